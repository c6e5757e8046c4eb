//! How a run is asked to stop: by a signal, or by a file in its folder.
//!
//! The first request, whichever way it comes, is for a safe stop: what runs may end, and nothing new starts. A second
//! signal ends the process at once; a run that was killed is resumed as well.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::failure::{Failure, Kind};
use crate::runs::STOP;
use crate::watch::LOOK;
use crate::written::write;

/// A flag that the first signal sets.
pub(crate) fn on_signals() -> Result<Arc<AtomicBool>, Failure> {
    let cancel = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let register = || -> io::Result<()> {
            // In this order: the second signal finds the flag of the first.
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&cancel))?;
            signal_hook::flag::register(signal, Arc::clone(&cancel))?;
            Ok(())
        };
        register().map_err(|error| Failure::of(Kind::Internal, &error))?;
    }
    debug_assert!(!cancel.load(Ordering::Relaxed));
    Ok(cancel)
}

/// Sets the flag once the file is in the run's folder, and puts the file there where a signal has set the flag, so that
/// viewers see it. A file and no socket or signal: whoever may write into the folder may ask, from any process, and
/// needs no process number. Looking every so often, and not being told, for the reasons at [`LOOK`].
pub(crate) fn on_request(folder: &Path, cancel: &Arc<AtomicBool>) -> io::Result<JoinHandle<()>> {
    let (file, flag) = (folder.join(STOP), Arc::downgrade(cancel));
    let look = move || {
        // Until somebody stopped the run or nobody works on it any more.
        while let Some(cancel) = flag.upgrade() {
            if cancel.load(Ordering::Relaxed) {
                // Only viewers miss it.
                let _ = write(&file, "");
                return;
            }
            if file.exists() {
                cancel.store(true, Ordering::Relaxed);
                return;
            }
            drop(cancel);
            std::thread::sleep(LOOK);
        }
    };
    std::thread::Builder::new().name("stop".to_owned()).spawn(look)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_asks_as_a_signal_does_and_a_signal_leaves_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let cancel = Arc::new(AtomicBool::new(false));
        let looks = on_request(folder.path(), &cancel).unwrap();
        std::fs::write(folder.path().join(STOP), "").unwrap();
        looks.join().unwrap();
        assert!(cancel.load(Ordering::Relaxed));
        let folder = tempfile::tempdir().unwrap();
        on_request(folder.path(), &cancel).unwrap().join().unwrap();
        assert!(folder.path().join(STOP).exists());
    }

    #[test]
    fn nobody_looks_when_nobody_works() {
        let folder = tempfile::tempdir().unwrap();
        let cancel = Arc::new(AtomicBool::new(false));
        let looks = on_request(folder.path(), &cancel).unwrap();
        drop(cancel);
        looks.join().unwrap();
        assert!(!folder.path().join(STOP).exists());
    }
}
