//! Files that the installer leaves at the seat: whole or not at all.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::failure::{Failure, Kind};

/// Writes a file that its owner alone may read; what had the name is replaced.
pub(crate) fn write(path: &Path, content: &str) -> Result<(), Failure> {
    whole(path, content.as_bytes(), 0o600)
        .and_then(|file| file.persist(path).map_err(|error| error.error))
        .map(drop)
        .map_err(|error| cannot(path, &error))
}

/// Writes a file that was not there before, with these permission bits.
pub(crate) fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<(), Failure> {
    whole(path, content, mode)
        .and_then(|file| file.persist_noclobber(path).map_err(|error| error.error))
        .map(drop)
        .map_err(|error| cannot(path, &error))
}

/// All of it on the disk, under a temporary name beside `path`.
fn whole(path: &Path, content: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".installer-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    let failed = Failure::new(Kind::Usage, format!("{} cannot be written", path.display()));
    let hint = if error.kind() == io::ErrorKind::AlreadyExists {
        "name another file, or move that one away first: it is not overwritten"
    } else {
        "name a file in a folder that you may write to"
    };
    Failure { causes: vec![error.to_string()], ..failed }.hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        std::fs::write(&path, "old").unwrap();
        write(&path, "new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file is left");
        let failure = write(&folder.path().join("none/plan.json"), "new").unwrap_err();
        assert_eq!((failure.exit_code(), failure.hints.len()), (2, 1));
    }
}
