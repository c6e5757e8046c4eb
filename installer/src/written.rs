//! Files that the installer leaves at the seat: whole or not at all, readable by their owner alone.

use std::io::{self, Write};
use std::path::Path;

use crate::failure::{Failure, Kind};

/// Writes under a temporary name beside `path` (mode 0600), then renames.
pub(crate) fn write(path: &Path, content: &str) -> Result<(), Failure> {
    let put = || -> io::Result<()> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(content.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    put().map_err(|error| {
        let failure = Failure::new(Kind::Usage, format!("{} cannot be written", path.display()));
        Failure { causes: vec![error.to_string()], ..failure }
            .hint("name a file in a folder that can be written")
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

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
