//! Files that are there whole or not at all.

use std::io::{self, Write as _};
use std::path::Path;

/// Writes `content` to `path`: a temporary name in the same folder, flushed to disk, then renamed.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    flushed(path, content)?.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// As [`write`], but never replaces anything.
pub fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    flushed(path, content)?.persist_noclobber(path).map_err(|error| error.error)?;
    Ok(())
}

fn flushed(path: &Path, content: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut file = temporary(path)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// A temporary file in the folder of `path`, as readable as a file usually is.
pub fn temporary(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Temporary files are private; what replaces a user's file is as readable as a file usually is.
    tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o644)).tempfile_in(folder)
}
