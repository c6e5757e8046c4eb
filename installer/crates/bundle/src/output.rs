//! A file that gets its name when it is whole.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
#[cfg(feature = "write")]
use std::path::PathBuf;

use tempfile::NamedTempFile;

use crate::parts::folder_of;

/// A file in the making, of known size: what is never written are zeros.
#[cfg(feature = "write")]
pub(crate) struct Output {
    temporary: NamedTempFile,
    target: PathBuf,
}

#[cfg(feature = "write")]
impl Output {
    /// Starts the file that will be `target`, `size` bytes long.
    pub(crate) fn create(target: &Path, size: u64) -> io::Result<Self> {
        let temporary = temporary(target)?;
        temporary.as_file().set_len(size)?;
        Ok(Self { temporary, target: target.to_owned() })
    }

    /// To write into, at any place and by several threads.
    pub(crate) fn file(&self) -> &File {
        self.temporary.as_file()
    }

    /// Gives it its name once all of it is on the disk; what had the name is replaced.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.temporary.as_file().sync_all()?;
        self.name()
    }

    /// As [`Output::finish`], of a file that is on the disk already.
    pub(crate) fn name(self) -> io::Result<()> {
        self.temporary.persist(&self.target).map_err(|error| error.error)?;
        sync_folder(&self.target)
    }
}

/// A file beside `path`, gone unless it gets that name.
pub(crate) fn temporary(path: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".bundle-")
        .suffix(".partial")
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(folder_of(path))
}

/// Puts the names in the folder of `path` on the disk.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}
