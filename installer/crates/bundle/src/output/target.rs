//! What may be where a result is to go: a person's slip of the keyboard must cost neither a key nor a device.

use std::fs::{File, FileType};
use std::io::{self, BufReader, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::layout;
use crate::member::{BLOCK, header};
use crate::{note, parts};

/// What a result may replace; an empty file is always one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaces {
    /// Every regular file: the caller was told to.
    Files,
    /// Bundles, whole or not.
    Bundles,
    /// Damage lists.
    DamageLists,
    /// Inventories.
    Inventories,
}

/// Why nothing is written there.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// A device, a pipe, a folder or the like.
    #[error("{} is {kind}, and never replaced", .path.display())]
    Special {
        /// The target.
        path: PathBuf,
        /// What it is, e.g. `a device`.
        kind: &'static str,
    },
    /// It is read, perhaps under another name.
    #[error("{} is what this command reads{}, and never replaced", .path.display(), as_other(.path, .input))]
    Input {
        /// The target.
        path: PathBuf,
        /// The same file as it was named to be read.
        input: PathBuf,
    },
    /// Another kind of file.
    #[error("{} exists already and is not {expected}: it is not replaced", .path.display())]
    Foreign {
        /// The target.
        path: PathBuf,
        /// What it should be, e.g. `a bundle`.
        expected: &'static str,
    },
    /// Nobody knows what it is.
    #[error("{} exists already and cannot be read: it is not replaced", .path.display())]
    Unread {
        /// The target.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn as_other(path: &Path, input: &Path) -> String {
    if path == input { String::new() } else { format!(" as {}", input.display()) }
}

/// Refuses `target` where a file is that a result must not replace: anything but a regular file (a link to one is none:
/// it would be the link that is replaced), a file of `read` or one of the parts of a bundle there, and what `replaces` does
/// not name.
///
/// # Errors
/// When the result must not go there.
pub fn check<'a>(
    target: &Path,
    replaces: Replaces,
    read: impl IntoIterator<Item = &'a Path>,
) -> Result<(), TargetError> {
    // What cannot be looked at cannot be written either: that is told then.
    let Ok(there) = target.symlink_metadata() else { return Ok(()) };
    let path = || target.to_owned();
    if let Some(kind) = special(there.file_type()) {
        return Err(TargetError::Special { path: path(), kind });
    }
    let same = |input: &PathBuf| {
        input.metadata().is_ok_and(|read| (read.dev(), read.ino()) == (there.dev(), there.ino()))
    };
    if let Some(input) = read.into_iter().flat_map(with_parts).find(same) {
        return Err(TargetError::Input { path: path(), input });
    }
    match replaces.holds(target) {
        Ok(None) => Ok(()),
        Ok(Some(expected)) => Err(TargetError::Foreign { path: path(), expected }),
        Err(source) => Err(TargetError::Unread { path: path(), source }),
    }
}

/// What it is, where that is no regular file.
fn special(kind: FileType) -> Option<&'static str> {
    let kinds = [
        (kind.is_file(), None),
        (kind.is_dir(), Some("a folder")),
        (kind.is_symlink(), Some("a symbolic link")),
        (kind.is_fifo(), Some("a pipe")),
        (kind.is_socket(), Some("a socket")),
    ];
    kinds.into_iter().find_map(|(is_it, name)| is_it.then_some(name)).unwrap_or(Some("a device"))
}

/// The file itself, and where it is a bundle in parts, those.
fn with_parts(path: &Path) -> Vec<PathBuf> {
    let wholes = parts::whole_path(path).into_iter().chain([path.to_owned()]);
    // What is not there is not read.
    let parts = wholes.flat_map(|whole| parts::part_paths(&whole).unwrap_or_default().into_values());
    [path.to_owned()].into_iter().chain(parts).collect()
}

impl Replaces {
    /// Whether the regular file at `path` may be replaced; what it should be where it may not.
    fn holds(self, path: &Path) -> io::Result<Option<&'static str>> {
        if self == Self::Files {
            return Ok(None);
        }
        let mut block = Vec::with_capacity(BLOCK);
        File::open(path)?.take(BLOCK as u64).read_to_end(&mut block)?;
        let is = |kind| note::kind_of(BufReader::new(File::open(path)?)).map(|found| found == kind);
        let (fits, expected) = match self {
            Self::Files => (true, ""),
            Self::Bundles => (begins_bundle(&block), "a bundle"),
            Self::DamageLists => (is(crate::recarry::KIND)?, "a damage list"),
            Self::Inventories => (is(crate::inventory::KIND)?, "an inventory"),
        };
        Ok((!fits && !block.is_empty()).then_some(expected))
    }
}

/// Whether a bundle begins with `block`, as its reader asks first.
fn begins_bundle(block: &[u8]) -> bool {
    block == header(layout::LAYOUT_FILE, layout::LAYOUT_CONTENT.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    fn refused(target: &Path, replaces: Replaces, read: &[&Path]) -> String {
        check(target, replaces, read.iter().copied()).unwrap_err().to_string()
    }

    #[test]
    fn only_regular_files_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("folder")).unwrap();
        fs::write(path("file"), "mine").unwrap();
        symlink(path("file"), path("link")).unwrap();
        symlink(path("nothing"), path("dangling")).unwrap();
        let socket = UnixListener::bind(path("socket")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(path("pipe")).status().unwrap();
        assert!(made.success());
        for (name, kind) in [
            ("folder", "a folder"),
            ("link", "a symbolic link"),
            ("dangling", "a symbolic link"),
            ("socket", "a socket"),
            ("pipe", "a pipe"),
        ] {
            let said = refused(&path(name), Replaces::Files, &[]);
            assert_eq!(said, format!("{} is {kind}, and never replaced", path(name).display()));
        }
        assert_eq!(special(Path::new("/dev/null").metadata().unwrap().file_type()), Some("a device"));
        drop(socket);
        check(&path("file"), Replaces::Files, []).unwrap();
        check(&path("new"), Replaces::Bundles, []).unwrap();
        check(&path("file/new"), Replaces::Bundles, []).unwrap();
    }

    #[test]
    fn what_is_read_is_not_replaced_whatever_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["key", "x.001", "x.002"] {
            fs::write(path(name), name).unwrap();
        }
        fs::hard_link(path("key"), path("other")).unwrap();
        symlink(path("key"), path("link")).unwrap();
        for (target, read, input) in [
            ("key", "key", "key"),
            ("other", "key", "key"),
            ("key", "link", "link"),
            ("x.002", "x.001", "x.002"),
            ("x.002", "x", "x.002"),
        ] {
            let error = check(&path(target), Replaces::Files, [&*path(read)]).unwrap_err();
            assert!(matches!(error, TargetError::Input { input: ref found, .. } if *found == path(input)));
        }
        assert!(refused(&path("other"), Replaces::Files, &[&path("key")]).contains("reads as "));
        check(&path("key"), Replaces::Files, [&*path("x"), &*path("gone")]).unwrap();
    }

    #[test]
    fn a_result_replaces_only_its_like() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let block = header(layout::LAYOUT_FILE, layout::LAYOUT_CONTENT.len() as u64);
        fs::write(path("bundle"), [&block[..], b"more"].concat()).unwrap();
        fs::write(path("list"), r#"{"apiVersion": "old", "kind": "DamageList", "blobs": []}"#).unwrap();
        fs::write(path("inventory"), r#"{"kind": "Inventory"}"#).unwrap();
        fs::write(path("other"), "[1, 2]").unwrap();
        fs::write(path("empty"), "").unwrap();
        for (replaces, name) in [
            (Replaces::Bundles, "bundle"),
            (Replaces::DamageLists, "list"),
            (Replaces::Inventories, "inventory"),
        ] {
            for there in ["bundle", "list", "inventory", "other", "empty"] {
                let allowed = check(&path(there), replaces, []).is_ok();
                assert_eq!(allowed, there == name || there == "empty", "{replaces:?} {there}");
            }
        }
        let said = refused(&path("other"), Replaces::Bundles, &[]);
        assert!(said.ends_with("other exists already and is not a bundle: it is not replaced"), "{said}");
    }
}
