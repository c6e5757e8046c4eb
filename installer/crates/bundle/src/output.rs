//! A file that gets its name when it is whole: the one way in which both programs write results.

use std::collections::BTreeSet;
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::parts::folder_of;
use crate::unfinished::{Unfinished, undisturbed};

pub mod target;

/// A file in the making, hidden beside the place where it will be; gone when dropped, or when a signal ends the program.
#[derive(Debug)]
pub struct Output {
    temporary: NamedTempFile,
    target: PathBuf,
    /// Dropped last: until the file is gone or has its name, it is unfinished.
    mark: Unfinished,
}

impl Output {
    /// Starts the file that will be `target`, readable by all.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn create(target: &Path) -> io::Result<Self> {
        Self::with_mode(target, 0o644)
    }

    /// As [`Output::create`], with these permissions from its first moment on: a secret can never be read by others, and
    /// disks without permissions refuse to change them later.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn with_mode(target: &Path, mode: u32) -> io::Result<Self> {
        let make = || {
            tempfile::Builder::new()
                .prefix(".bundle-")
                .suffix(".partial")
                .permissions(Permissions::from_mode(mode))
                .tempfile_in(folder_of(target))
        };
        let (temporary, mark) = Unfinished::begin(make, NamedTempFile::path)?;
        Ok(Self { temporary, target: target.to_owned(), mark })
    }

    /// As [`Output::create`], `size` bytes long: what is never written are zeros.
    #[cfg(feature = "write")]
    pub(crate) fn sized(target: &Path, size: u64) -> io::Result<Self> {
        let output = Self::create(target)?;
        output.file().set_len(size)?;
        Ok(output)
    }

    /// To write into, also at any place and by several threads.
    #[must_use]
    pub fn file(&self) -> &File {
        self.temporary.as_file()
    }

    /// Gives it its name once all of it is on the disk; what had the name is replaced.
    ///
    /// # Errors
    /// When that fails; it is gone then.
    pub fn finish(self) -> io::Result<()> {
        self.file().sync_all()?;
        self.name()
    }

    /// As [`Output::finish`], of a file that is on the disk already.
    pub(crate) fn name(self) -> io::Result<()> {
        let Self { temporary, target, mark } = self;
        undisturbed(&target, || temporary.persist(&target)).map_err(|error| error.error)?;
        drop(mark);
        sync(folder_of(&target))
    }

    /// As [`Output::finish`], but nothing is replaced.
    ///
    /// # Errors
    /// When something has the name already, or that fails; it is gone then.
    pub fn finish_new(self) -> io::Result<()> {
        finish_all_new(vec![self]).map(drop).map_err(|(_, error)| error)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temporary.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.as_file_mut().flush()
    }
}

/// Gives all of them their names, or none; nothing is replaced. An error comes with the name that was not to be had.
///
/// # Errors
/// When something has one of the names already, or that fails; all are gone then.
pub fn finish_all_new(outputs: Vec<Output>) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    for output in &outputs {
        output.file().sync_all().map_err(|error| (output.target.clone(), error))?;
    }
    let (files, marks): (Vec<_>, Vec<_>) =
        outputs.into_iter().map(|one| ((one.temporary, one.target), one.mark)).unzip();
    let first = files.first().map(|(_, target)| target.clone()).unwrap_or_default();
    let named = undisturbed(&first, || {
        let mut named: Vec<PathBuf> = Vec::new();
        for (file, target) in files {
            if let Err(error) = file.persist_noclobber(&target) {
                for path in &named {
                    // Made a moment ago, by this very loop.
                    let _ = std::fs::remove_file(path);
                }
                return Err((target, error.error));
            }
            named.push(target);
        }
        Ok(named)
    });
    drop(marks);
    let named = named?;
    let folders: BTreeSet<&Path> = named.iter().map(|path| folder_of(path)).collect();
    for folder in folders {
        sync(folder).map_err(|error| (folder.to_owned(), error))?;
    }
    Ok(named)
}

/// Puts the names in `folder` on the disk.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn several_files_get_their_names_together_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let outputs =
            |list: &[&str]| list.iter().map(|name| Output::create(&path(name)).unwrap()).collect::<Vec<_>>();
        std::fs::write(path("2"), "there already").unwrap();
        let (refused, error) = finish_all_new(outputs(&["1", "2", "3"])).unwrap_err();
        assert_eq!((refused, error.kind()), (path("2"), io::ErrorKind::AlreadyExists));
        assert_eq!(names(folder.path()), ["2"]);
        assert_eq!(std::fs::read(path("2")).unwrap(), b"there already");
        finish_all_new(outputs(&["1", "3"])).unwrap();
        assert_eq!(names(folder.path()), ["1", "2", "3"]);
    }

    #[test]
    fn a_file_replaces_only_where_it_may() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("file");
        for content in ["one", "two"] {
            let mut output = Output::create(&target).unwrap();
            output.write_all(content.as_bytes()).unwrap();
            output.finish().unwrap();
        }
        let error = Output::create(&target).unwrap().finish_new().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&target).unwrap(), b"two");
        drop(Output::create(&target).unwrap());
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_secret_is_private_from_its_first_moment_on() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("secret");
        let output = Output::with_mode(&target, 0o600).unwrap();
        let mode = |file: &File| file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(output.file()), 0o600);
        output.finish_new().unwrap();
        assert_eq!(mode(&File::open(&target).unwrap()), 0o600);
    }
}
