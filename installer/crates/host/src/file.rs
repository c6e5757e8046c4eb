//! Files: read what is there, write whole files atomically and only where they differ, journal what gives way.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::journal::{Change, Journal};
use crate::protocol::Failure;

/// The content of a file, or nothing where there is none.
pub fn read_if_exists(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(Failure::io("read", path, &error)),
    }
}

/// The content of a text file, or nothing where there is none.
pub fn read_text_if_exists(path: &Path) -> Result<Option<String>, Failure> {
    Ok(read_if_exists(path)?.map(|content| String::from_utf8_lossy(&content).into_owned()))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Writes a file so that a reader, or a host that loses power, sees the old or the new one, never a part.
/// Content and mode that are the same already are left alone. Gives whether anything changed. The folder must
/// be there.
pub fn write_atomic(path: &Path, content: &[u8], mode: u32) -> Result<bool, Failure> {
    if let Ok(metadata) = fs::symlink_metadata(path)
        && metadata.is_file()
        && metadata.len() == content.len() as u64
        && read_if_exists(path)?.is_some_and(|old| old == content)
    {
        return set_mode(path, mode);
    }
    let temporary = temporary_beside(path);
    let mut pending = PendingFile::create(&temporary, mode)?;
    pending.file.write_all(content).map_err(|error| Failure::io("write", &temporary, &error))?;
    pending.commit(path)?;
    Ok(true)
}

/// Sets permission bits where they differ.
pub fn set_mode(path: &Path, mode: u32) -> Result<bool, Failure> {
    let failed = |error: io::Error| Failure::io("set the mode of", path, &error);
    let metadata = fs::metadata(path).map_err(failed)?;
    if metadata.mode() & 0o7777 == mode {
        return Ok(false);
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)?;
    Ok(true)
}

/// Removes a file; gives whether there was one.
pub(crate) fn remove_if_exists(path: &Path) -> Result<bool, Failure> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Failure::io("remove", path, &error)),
    }
}

/// Makes a folder of our own state with its ancestors. Nothing in it needs a journal: it is all ours.
pub(crate) fn make_state_folder(path: &Path) -> Result<(), Failure> {
    if path.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(|error| Failure::io("make the folder", path, &error))
}

/// A file that has no name yet: dropped without [`PendingFile::commit`], it is gone.
pub(crate) struct PendingFile {
    pub(crate) file: File,
    path: PathBuf,
    committed: bool,
}

impl PendingFile {
    pub(crate) fn create(path: &Path, mode: u32) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::io("write", path, &error);
        // A temporary file of a killed agent with the same process id.
        let _ = fs::remove_file(path);
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
        // The process's umask may have taken bits away.
        file.set_permissions(fs::Permissions::from_mode(mode)).map_err(failed)?;
        Ok(Self { file, path: path.to_owned(), committed: false })
    }

    /// Data to disk, then the name, then the folder.
    pub(crate) fn commit(mut self, to: &Path) -> Result<(), Failure> {
        self.file.sync_all().map_err(|error| Failure::io("write", &self.path, &error))?;
        match fs::rename(&self.path, to) {
            Ok(()) => self.committed = true,
            // A file that is itself a mount point (`/etc/hosts` in many containers) can only be written in place.
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                fs::copy(&self.path, to).map_err(|error| Failure::io("write", to, &error))?;
            }
            Err(error) => return Err(Failure::io("write", to, &error)),
        }
        sync_folder(to)
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        if !self.committed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes a rename in the folder of `path` last.
pub(crate) fn sync_folder(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Failure::io("write", folder, &error))
}

/// Copies a file under a temporary name first, so that a cut copy is never taken for a whole one.
fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let temporary = temporary_beside(to);
    fs::copy(from, &temporary)?;
    File::open(&temporary)?.sync_all()?;
    fs::rename(&temporary, to)
}

/// A hidden name in the same folder, of this process alone.
pub(crate) fn temporary_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.sealift-{}", std::process::id()))
}

impl Context<'_> {
    /// Writes a host file where content or mode differ; missing parent folders are made (0755); what gives way is
    /// kept and journaled. Gives whether anything changed.
    pub fn write_file(&self, path: &str, content: &[u8], mode: u32) -> Result<bool, Failure> {
        let place = self.paths().host(path);
        match fs::symlink_metadata(&place) {
            Ok(metadata) if metadata.is_file() => {
                let old = read_if_exists(&place)?.unwrap_or_default();
                let before = metadata.mode() & 0o7777;
                if old == content {
                    if before != mode {
                        self.record(Change::ModeChanged { path: path.to_owned(), mode: before })?;
                    }
                    return set_mode(&place, mode);
                }
                let digest = Journal::new(self.paths()).keep(&old)?;
                self.record(Change::FileReplaced { path: path.to_owned(), mode: before, digest })?;
            }
            Ok(metadata) if metadata.is_symlink() => {
                let target = fs::read_link(&place).map_err(|error| Failure::io("read", &place, &error))?;
                let target = target.display().to_string();
                self.record(Change::LinkReplaced { path: path.to_owned(), target })?;
            }
            Ok(_) => {
                return Err(Failure::new(
                    crate::protocol::FailureKind::Conflict,
                    format!("{path} is not a file; a file must be written there"),
                ));
            }
            Err(error) if is_absent(&error) => {
                if let Some(parent) = Path::new(path).parent() {
                    self.make_directory(&parent.display().to_string())?;
                }
                self.record(Change::FileCreated { path: path.to_owned() })?;
            }
            Err(error) => return Err(Failure::io("read", &place, &error)),
        }
        write_atomic(&place, content, mode)
    }

    /// Journals that a large file is about to be written, and keeps the one that stands there without reading it
    /// into memory: as another name for the same bytes where it can be.
    pub(crate) fn keep_before_replace(&self, path: &str) -> Result<(), Failure> {
        let place = self.paths().host(path);
        let Ok(metadata) = fs::metadata(&place) else {
            return self.record(Change::FileCreated { path: path.to_owned() });
        };
        let digest = crate::operation::stamp::digest(self.paths(), &place)?;
        let copy = Journal::new(self.paths()).copy_of(&digest);
        if !copy.exists() {
            make_state_folder(&self.paths().undo())?;
            fs::hard_link(&place, &copy)
                .or_else(|_| copy_file(&place, &copy))
                .map_err(|error| Failure::io("write", &copy, &error))?;
        }
        self.record(Change::FileReplaced { path: path.to_owned(), mode: metadata.mode() & 0o7777, digest })
    }

    /// Removes a host file; what gives way is kept and journaled. Gives whether there was one.
    pub fn remove_file(&self, path: &str) -> Result<bool, Failure> {
        let place = self.paths().host(path);
        let Some(old) = read_if_exists(&place)? else { return Ok(false) };
        let metadata = fs::metadata(&place).map_err(|error| Failure::io("read", &place, &error))?;
        let digest = Journal::new(self.paths()).keep(&old)?;
        let mode = metadata.mode() & 0o7777;
        self.record(Change::FileRemoved { path: path.to_owned(), mode, digest })?;
        fs::remove_file(&place).map_err(|error| Failure::io("remove", &place, &error))?;
        sync_folder(&place)?;
        Ok(true)
    }

    /// Makes a host folder and its missing ancestors with mode 0755, each journaled. Gives whether any was missing.
    pub fn make_directory(&self, path: &str) -> Result<bool, Failure> {
        let mut missing: Vec<&Path> = Vec::new();
        for ancestor in Path::new(path).ancestors() {
            if self.paths().host(&ancestor.display().to_string()).is_dir() {
                break;
            }
            missing.push(ancestor);
        }
        for folder in missing.iter().rev() {
            let name = folder.display().to_string();
            let place = self.paths().host(&name);
            self.record(Change::DirectoryCreated { path: name })?;
            // The journal's own folder may just have been made by recording that.
            match fs::DirBuilder::new().mode(0o755).create(&place) {
                Ok(()) => set_mode(&place, 0o755)?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && place.is_dir() => false,
                Err(error) => return Err(Failure::io("make the folder", &place, &error)),
            };
        }
        Ok(!missing.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::testing::Recorder;
    use crate::paths::Paths;

    fn changes(paths: &Paths) -> Vec<Change> {
        Journal::new(paths).entries().unwrap().into_iter().map(|entry| entry.change).collect()
    }

    #[test]
    fn a_file_is_written_once_and_each_way_of_replacing_is_journaled() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "r", "s");
        assert!(ctx.write_file("/etc/x/y.conf", b"one", 0o640).unwrap());
        assert!(!ctx.write_file("/etc/x/y.conf", b"one", 0o640).unwrap());
        let created = changes(&paths);
        assert_eq!(created.last(), Some(&Change::FileCreated { path: "/etc/x/y.conf".to_owned() }));
        assert!(created.contains(&Change::DirectoryCreated { path: "/etc/x".to_owned() }));
        assert!(ctx.write_file("/etc/x/y.conf", b"one", 0o600).unwrap());
        assert_eq!(
            changes(&paths).last(),
            Some(&Change::ModeChanged { path: "/etc/x/y.conf".to_owned(), mode: 0o640 })
        );
        assert!(ctx.write_file("/etc/x/y.conf", b"two", 0o600).unwrap());
        let Some(Change::FileReplaced { digest, mode: 0o600, .. }) = changes(&paths).pop() else { panic!() };
        assert_eq!(fs::read(Journal::new(&paths).copy_of(&digest)).unwrap(), b"one");
        assert!(ctx.remove_file("/etc/x/y.conf").unwrap());
        assert!(!ctx.remove_file("/etc/x/y.conf").unwrap());
        assert!(matches!(changes(&paths).last(), Some(Change::FileRemoved { .. })));
        let names: Vec<_> = fs::read_dir(root.path().join("etc/x")).unwrap().collect();
        assert!(names.is_empty(), "nothing temporary is left: {names:?}");
    }

    #[test]
    fn a_link_gives_way_and_what_it_points_at_stays() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "r", "s");
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/target"), "theirs").unwrap();
        std::os::unix::fs::symlink("target", root.path().join("etc/link")).unwrap();
        assert!(ctx.write_file("/etc/link", b"ours", 0o644).unwrap());
        assert_eq!(fs::read(root.path().join("etc/target")).unwrap(), b"theirs");
        assert_eq!(
            changes(&paths).last(),
            Some(&Change::LinkReplaced { path: "/etc/link".to_owned(), target: "target".to_owned() })
        );
        fs::create_dir(root.path().join("etc/folder")).unwrap();
        let failure = ctx.write_file("/etc/folder", b"ours", 0o644).unwrap_err();
        assert_eq!(failure.kind, crate::protocol::FailureKind::Conflict);
    }

    #[test]
    fn a_full_disk_is_said_with_its_mount_point() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let failure = Failure::io("write", Path::new("/dev/shm/no/such/file"), &full);
        assert_eq!(failure.kind, crate::protocol::FailureKind::DiskFull);
        assert!(failure.message.contains("is full"), "{failure}");
    }
}
