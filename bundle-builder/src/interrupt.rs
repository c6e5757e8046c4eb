//! What must not be left behind when a person or the system ends the program half-way.
//!
//! Whoever begins something that no later run can use registers it; the front end, told by a signal, removes all of it
//! before it ends the program. A killed program (SIGKILL, a power cut) cannot do this: then the next run does.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A folder that is worth nothing until its maker is done with it; forgotten when dropped.
#[derive(Debug)]
pub struct Unfinished(PathBuf);

impl Unfinished {
    /// Registers `folder`. It is not removed when this is dropped: that is its maker's business.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        // Absolute, so that it is found from wherever the program is then.
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).push(folder.clone());
        Self(folder)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let mut all = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = all.iter().position(|folder| *folder == self.0) {
            all.swap_remove(index);
        }
    }
}

/// Removes everything that is registered now.
pub fn remove_unfinished() {
    for folder in UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        // Another thread may still write there; what cannot be removed now is removed by the next run.
        let _ = std::fs::remove_dir_all(&folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_unfinished_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (done, half) = (folder.path().join("done"), folder.path().join("half"));
        std::fs::create_dir(&done).unwrap();
        std::fs::create_dir(&half).unwrap();
        drop(Unfinished::new(&done));
        let _half = Unfinished::new(&half);
        remove_unfinished();
        assert!(done.exists() && !half.exists());
    }
}
