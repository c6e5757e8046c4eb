//! Building [`Failure`]s: the object in the message, causes outermost first, a hint where the host knows better.

use std::error::Error;
use std::fmt::Display;
use std::io;
use std::path::Path;

use crate::protocol::{Failure, FailureKind};

impl Failure {
    /// A failure of a kind.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hint: None, log: Vec::new() }
    }

    /// A failure of no particular kind.
    pub fn other(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Other, message)
    }

    /// A file operation that failed: `action` is a verb such as `write`. A full disk gets its own kind and names
    /// the mount point.
    #[must_use]
    pub fn io(action: &str, path: &Path, source: &io::Error) -> Self {
        let failure = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::new(
                FailureKind::DiskFull,
                format!("cannot {action} {}: {} is full", path.display(), mount_point(path).display()),
            )
            .hint("free space on this file system, or give it a larger one, and run again"),
            io::ErrorKind::ReadOnlyFilesystem => {
                Self::new(FailureKind::Conflict, format!("cannot {action} {}", path.display()))
                    .hint("the file system is mounted read-only: look for disk errors in the kernel's log")
            }
            _ => Self::other(format!("cannot {action} {}", path.display())),
        };
        failure.because(source)
    }

    /// Adds an error and all its sources to the causes.
    #[must_use]
    pub fn because(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            self.causes.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// Adds one cause in words.
    #[must_use]
    pub fn cause(mut self, cause: impl Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Says what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds log lines.
    #[must_use]
    pub fn log(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.log.extend(lines);
        self
    }
}

/// The mount point of the nearest existing ancestor: the highest folder on the same device.
pub(crate) fn mount_point(path: &Path) -> std::path::PathBuf {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| path.metadata().ok().map(|metadata| metadata.dev());
    let mut existing = path.ancestors().filter(|ancestor| ancestor.exists());
    let Some(mut mount) = existing.next() else { return Path::new("/").to_owned() };
    let here = device(mount);
    for ancestor in existing {
        if device(ancestor) != here {
            break;
        }
        mount = ancestor;
    }
    mount.to_owned()
}
