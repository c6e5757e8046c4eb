//! What must not be left behind when a person or the system ends a program half-way.
//!
//! Whoever begins something that no later run can use registers it; the front end, told by a signal, calls [`abandon`]
//! before it ends the program. A killed program (SIGKILL, a power cut) cannot do this: then a hidden file or folder stays,
//! and nothing else.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn unfinished() -> MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file or folder that is worth nothing until its maker is done with it; forgotten when dropped.
#[derive(Debug)]
pub struct Unfinished(PathBuf);

impl Unfinished {
    /// Registers what is at `path`. It is not removed when this is dropped: that is its maker's business.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self::listed(&mut unfinished(), path)
    }

    /// Makes something, and registers the path that `path` gives for it; no signal comes in between.
    pub(crate) fn begin<T>(
        make: impl FnOnce() -> io::Result<T>,
        path: impl FnOnce(&T) -> &Path,
    ) -> io::Result<(T, Self)> {
        let mut all = unfinished();
        let thing = make()?;
        let mark = Self::listed(&mut all, path(&thing));
        Ok((thing, mark))
    }

    fn listed(all: &mut Vec<PathBuf>, path: &Path) -> Self {
        // Absolute, so that it is found from wherever the program is then.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        all.push(path.clone());
        Self(path)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let mut all = unfinished();
        if let Some(index) = all.iter().position(|path| *path == self.0) {
            all.swap_remove(index);
        }
    }
}

/// Does `act`, which gives finished things their names: all of it comes before a signal, or nothing.
pub(crate) fn undisturbed<T>(act: impl FnOnce() -> T) -> T {
    let _all = unfinished();
    act()
}

/// Removes everything that is registered. From then on nothing can be begun or finished: whoever tries waits for the end
/// of the program, which is the caller's next step.
pub fn abandon() {
    let mut all = unfinished();
    remove(&mut all);
    std::mem::forget(all);
}

fn remove(all: &mut Vec<PathBuf>) {
    for path in all.drain(..) {
        // Another thread may still write there; what cannot be removed now is removed by the next run.
        let _ = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_unfinished_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut all = Vec::new();
        for name in ["kept", "half"] {
            std::fs::create_dir(path(name)).unwrap();
            std::fs::write(path(&format!("{name}.txt")), name).unwrap();
        }
        let marks = ["half", "half.txt", "gone"].map(|name| Unfinished::listed(&mut all, &path(name)));
        remove(&mut all);
        assert!(all.is_empty() && path("kept").exists() && path("kept.txt").exists());
        assert!(!path("half").exists() && !path("half.txt").exists());
        drop(marks);
    }

    #[test]
    fn what_is_done_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let make = || {
            let path = folder.path().join("file");
            std::fs::write(&path, "x").map(|()| path)
        };
        let (_, mark) = Unfinished::begin(make, |path: &PathBuf| path).unwrap();
        assert!(unfinished().contains(&mark.0));
        let path = mark.0.clone();
        drop(mark);
        assert!(!unfinished().contains(&path));
        let refused = Unfinished::begin(|| Err::<PathBuf, _>(io::Error::other("no")), |path| path);
        assert!(refused.is_err());
    }
}
