//! Progress as lines: on a terminal the last one is redrawn, elsewhere there is a new one every two seconds.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::progress::{Progress, bytes};

const ON_TERMINAL: Duration = Duration::from_millis(200);
const ELSEWHERE: Duration = Duration::from_secs(2);

/// Writes progress to standard error.
pub(super) struct Lines {
    terminal: bool,
    state: Mutex<State>,
}

/// What was drawn last.
struct State {
    what: String,
    began: Instant,
    /// Bytes that were there already when this transfer was first heard of.
    first: u64,
    drawn: Instant,
    /// Whether the cursor stands behind an unfinished line.
    open: bool,
}

impl Lines {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let state = State { what: String::new(), began: now, first: 0, drawn: now, open: false };
        Self { terminal: std::io::stderr().is_terminal(), state: Mutex::new(state) }
    }

    /// Another program uses the cache.
    pub(super) fn waiting(&self, cache: &Path) {
        self.note(&format!("waiting   another bundle-builder uses {}", cache.display()));
    }

    /// Leaves the cursor at the start of a line.
    pub(super) fn end(&self) {
        close(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn line(state: &State, done: u64, total: u64) -> String {
        let seconds = state.began.elapsed().as_secs_f64();
        let rate = done.saturating_sub(state.first) as f64 / seconds.max(0.001);
        let left = if rate > 1.0 { total.saturating_sub(done) as f64 / rate } else { 0.0 };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a rate for people
        let rate = rate as u64;
        format!("{:9} {} of {}  {}/s  {left:.0} s left", state.what, bytes(done), bytes(total), bytes(rate))
    }
}

/// Ends an unfinished line.
fn close(state: &mut State) {
    if state.open {
        eprint!("\r\x1b[K");
        state.open = false;
    }
}

impl Progress for Lines {
    fn note(&self, line: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        close(&mut state);
        eprintln!("{line}");
    }

    fn advance(&self, what: &str, done: u64, total: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if state.what != what {
            // The first report sets the clock; a transfer that ends at once needs no line.
            *state = State { what: what.to_owned(), began: now, first: done, drawn: now, open: state.open };
            return;
        }
        let pause = if self.terminal { ON_TERMINAL } else { ELSEWHERE };
        if now.duration_since(state.drawn) < pause {
            return;
        }
        state.drawn = now;
        let line = Self::line(&state, done, total);
        if self.terminal {
            eprint!("\r\x1b[K{line}");
            // A progress line that cannot be shown is no reason to stop.
            let _ = std::io::stderr().flush();
            state.open = true;
        } else {
            eprintln!("{line}");
        }
    }
}
