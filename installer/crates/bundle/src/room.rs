//! Space on a disk, looked at before anything is written there: the one way in which both programs do it.

use std::io;
use std::path::{Path, PathBuf};

use crate::parts::folder_of;

/// Why nothing is written there.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// Too little.
    #[error("not enough room in {}: {needed} bytes needed, {free} bytes free", folder.display())]
    Short {
        /// Where.
        folder: PathBuf,
        /// Bytes that will come.
        needed: u64,
        /// Bytes that there are.
        free: u64,
    },
    /// The system does not tell.
    #[error("cannot read how much room there is in {}", folder.display())]
    Unknown {
        /// Where.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Whether `folder` (or the nearest one above it that exists) has room for `needed` bytes.
///
/// # Errors
/// When it has not.
pub fn require(folder: &Path, needed: u64) -> Result<(), RoomError> {
    let place = existing(folder);
    let found = rustix::fs::statvfs(&place)
        .map_err(|error| RoomError::Unknown { folder: place.clone(), source: error.into() })?;
    // What the system keeps for root is left out, as `df` does.
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    if free < needed { Err(RoomError::Short { folder: folder.to_owned(), needed, free }) } else { Ok(()) }
}

/// As [`require`], in the folder that the file `target` will be in.
///
/// # Errors
/// When it has not.
pub fn require_beside(target: &Path, needed: u64) -> Result<(), RoomError> {
    require(folder_of(target), needed)
}

fn existing(folder: &Path) -> PathBuf {
    let above = folder.ancestors().find(|path| path.is_dir());
    above.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_yet_is_on_the_disk_above() {
        let folder = tempfile::tempdir().unwrap();
        require(&folder.path().join("a/b"), 1).unwrap();
        require_beside(Path::new("x"), 1).unwrap();
        let error = require(Path::new(""), u64::MAX).unwrap_err();
        assert!(matches!(error, RoomError::Short { needed: u64::MAX, free: 1.., .. }), "{error}");
    }
}
