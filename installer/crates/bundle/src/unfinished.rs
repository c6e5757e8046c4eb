//! What must not be left behind when a person or the system ends a program half-way.
//!
//! Whoever begins something that no later run can use registers it; the front end, told by a signal, calls [`abandon`]
//! before it ends the program. A killed program (SIGKILL, a power cut) cannot do this: then a hidden file or folder stays,
//! and nothing else.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
/// Whether something got its name.
static NAMED: AtomicBool = AtomicBool::new(false);

fn unfinished() -> MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file or folder that is worth nothing until its maker is done with it; forgotten when dropped.
#[derive(Debug)]
pub struct Unfinished(PathBuf);

impl Unfinished {
    /// Makes something, and registers the path that `path` gives for it; no signal comes in between. It is not removed
    /// when this is dropped: that is its maker's business.
    ///
    /// # Errors
    /// What `make` gives.
    pub fn begin<T>(
        make: impl FnOnce() -> io::Result<T>,
        path: impl FnOnce(&T) -> &Path,
    ) -> io::Result<(T, Self)> {
        let mut all = unfinished();
        let thing = make()?;
        let mark = Self::listed(&mut all, path(&thing));
        Ok((thing, mark))
    }

    /// Makes the folder `path`, whose parent exists, and registers it as [`Self::begin`] does.
    ///
    /// # Errors
    /// When it cannot be made, or is there already.
    pub fn folder(path: PathBuf) -> io::Result<(PathBuf, Self)> {
        Self::begin(|| std::fs::create_dir(&path).map(|()| path), |path| path)
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

/// Does `act`, which gives something finished its name `target`: all of it comes before a signal, or nothing.
///
/// # Errors
/// What `act` gives.
pub fn undisturbed<T, E>(target: &Path, act: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let all = unfinished();
    let named = act();
    NAMED.fetch_or(named.is_ok() && stays(&all, target), Ordering::Relaxed);
    named
}

/// Whether `target` is left when all that is unfinished is removed: what lies in an unfinished folder goes with it.
fn stays(all: &[PathBuf], target: &Path) -> bool {
    let target = std::path::absolute(target).unwrap_or_else(|_| target.to_owned());
    !all.iter().any(|path| target.starts_with(path))
}

/// What stays when a program is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nothing of what it was to make.
    Nothing,
    /// Something that was finished a moment before.
    Finished,
}

/// Removes everything that is registered; what is left then. From then on nothing can be begun or finished: whoever tries
/// waits for the end of the program, which is the caller's next step.
pub fn abandon() -> Left {
    let mut all = unfinished();
    remove(&mut all);
    std::mem::forget(all);
    if NAMED.load(Ordering::Relaxed) { Left::Finished } else { Left::Nothing }
}

/// From now on Ctrl-C and a polite request to end (SIGTERM) [`abandon`] what is unfinished; then `end` is told the signal's
/// number and what is left, says the last words and ends the program.
///
/// # Errors
/// When the system does not take it: then its own ending stays.
#[cfg(feature = "write")]
pub fn abandon_on_signals(end: impl FnOnce(i32, Left) + Send + 'static) -> io::Result<()> {
    let mut signals =
        signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM])?;
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            end(signal, abandon());
        }
    });
    Ok(())
}

/// More threads than this do not write to one folder.
const MOST_WRITERS: usize = 64;

fn remove(all: &mut Vec<PathBuf>) {
    for path in all.drain(..) {
        // What cannot be removed now is removed by the next run.
        let _ = if path.is_dir() { remove_folder(&path) } else { std::fs::remove_file(&path) };
    }
}

/// Removes a folder that other threads may still write to: under its own name they could put a file into it between the
/// removal of its contents and of itself, and it would stay. Under a name that nobody knows, it keeps still; but who had
/// found it under its own name a moment before may still put one file into it.
fn remove_folder(path: &Path) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".ended-{}", std::process::id()));
    let aside = path.with_file_name(name);
    if std::fs::rename(path, &aside).is_err() {
        return std::fs::remove_dir_all(path);
    }
    let not_empty = io::ErrorKind::DirectoryNotEmpty;
    // Not for ever: where open files keep a name (NFS), it does not become empty.
    let mut attempts = (0..=MOST_WRITERS).map(|_| std::fs::remove_dir_all(&aside));
    let last = attempts.find(|removed| !matches!(removed, Err(error) if error.kind() == not_empty));
    last.unwrap_or(Err(not_empty.into()))
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
    fn what_has_its_name_stays_but_for_what_lies_in_something_unfinished() {
        let all = [PathBuf::from("/d/.disk.carrying"), PathBuf::from("/d/.bundle-x.partial")];
        let stay = |target: &str| stays(&all, Path::new(target));
        assert!(stay("/d/disk") && stay("/d/x.bundle") && stay("/d/.disk.carrying-else"));
        assert!(!stay("/d/.disk.carrying/x.bundle.001"));
    }

    #[test]
    fn what_was_named_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        undisturbed(&target, || std::fs::write(&target, "x")).unwrap();
        // For the rest of this program.
        assert!(NAMED.load(Ordering::Relaxed));
    }

    #[test]
    fn a_folder_goes_while_others_write_to_it() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("folder");
        for _ in 0..100 {
            std::fs::create_dir(&folder).unwrap();
            let mut all = Vec::new();
            let mark = Unfinished::listed(&mut all, &folder);
            let begun = std::sync::Barrier::new(2);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    begun.wait();
                    // Ends when the folder is gone.
                    for number in 0..10_000 {
                        if std::fs::write(folder.join(format!("{number}")), "x").is_err() {
                            break;
                        }
                    }
                });
                begun.wait();
                remove(&mut all);
            });
            assert_eq!(std::fs::read_dir(above.path()).unwrap().count(), 0);
            drop(mark);
        }
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
