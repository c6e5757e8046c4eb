//! A new file that gets its name when it is whole.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::failure::{Failure, Kind};

/// Writes a file that was not there before, with these permission bits.
pub(crate) fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<(), Failure> {
    write(path, content, mode).map_err(|error| {
        let failed = Failure::new(Kind::Usage, format!("{} cannot be written", path.display()));
        let hint = if error.kind() == io::ErrorKind::AlreadyExists {
            "name another file, or move that one away first: it is not overwritten"
        } else {
            "name a file in a folder that you may write to"
        };
        Failure { causes: vec![error.to_string()], ..failed }.hint(hint)
    })
}

fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".installer-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map(drop).map_err(|error| error.error)
}
