//! Ctrl-C and a polite request to end: leave nothing half-written, and say how to go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use sealift_bundle::unfinished::{self, Left};
use signal_hook::consts::SIGINT;

use crate::failure::Kind;

static WATCHING: AtomicBool = AtomicBool::new(false);
/// What holds when a signal ends the program now.
static HOLDS: Mutex<&str> = Mutex::new("");

/// What holds after a pull was ended.
pub(super) const FETCHED: &str = "what was fetched is kept: the same command goes on where this one stopped";
/// What holds where results come in one piece.
pub(super) const NOTHING: &str = "nothing was written, and nothing replaced";
/// What holds where the result was there a moment before.
const FINISHED: &str = "it was done: what it wrote is whole, and stays";
/// What holds after a repair was ended.
pub(super) const MENDED: &str = "what was mended stays: the same command goes on";

/// From now on, a signal that asks to end removes what is unfinished, says so and what `holds` in a last line, and ends
/// the program as resumable. Called again when another thing holds.
pub(super) fn watch(holds: &'static str) {
    *HOLDS.lock().unwrap_or_else(PoisonError::into_inner) = holds;
    if WATCHING.swap(true, Ordering::Relaxed) {
        return;
    }
    // Where the system does not take it, its own ending stays: as resumable, but silent.
    let _ = unfinished::abandon_on_signals(move |signal, left| {
        let why = if signal == SIGINT { "by Ctrl-C" } else { "by SIGTERM" };
        super::password::show_for_good();
        let holds = *HOLDS.lock().unwrap_or_else(PoisonError::into_inner);
        let holds = if (holds, left) == (NOTHING, Left::Finished) { FINISHED } else { holds };
        super::lines::last(&format!("stopped   {why}; {holds}"));
        std::process::exit(i32::from(Kind::Interrupted.exit_code()));
    });
}
