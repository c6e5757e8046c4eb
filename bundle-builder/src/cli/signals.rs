//! Ctrl-C and a polite request to end: leave nothing half-written, and say how to go on.

use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::Kind;
use crate::interrupt;

static WATCHING: AtomicBool = AtomicBool::new(false);

/// From now on, a signal that asks to end removes what is unfinished, says so in a last line, and ends the program as
/// resumable. Called when the questions are over: a prompt that hides a password is ended by the system as ever.
pub(super) fn watch() {
    if WATCHING.swap(true, Ordering::Relaxed) {
        return;
    }
    // Without this the system's own ending stays: as resumable, but silent.
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else { return };
    std::thread::spawn(move || {
        let Some(signal) = signals.forever().next() else { return };
        interrupt::remove_unfinished();
        let why = if signal == SIGINT { "by Ctrl-C" } else { "by SIGTERM" };
        super::lines::last(&format!(
            "stopped   {why}; what was fetched is kept: the same command goes on where this one stopped"
        ));
        std::process::exit(i32::from(Kind::Interrupted.exit_code()));
    });
}
