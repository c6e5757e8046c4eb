//! Progress as lines. On a terminal the last one is redrawn and the first word of the others stands out; elsewhere there
//! is one line for each change, and one in ten seconds while bytes move.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::progress::{Progress, Rate, bytes, time};

const ON_TERMINAL: Duration = Duration::from_millis(200);
const ELSEWHERE: Duration = Duration::from_secs(10);
/// Columns where a terminal does not tell.
const COLUMNS: usize = 80;

/// What was drawn last. One for the program: whoever ends it by a signal must not write into an open line.
static STATE: Mutex<Option<State>> = Mutex::new(None);

/// Writes progress to standard error.
pub(super) struct Lines {
    style: Style,
    began: Instant,
}

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Style {
    /// The last line is redrawn.
    terminal: bool,
    /// The first word stands out.
    colour: bool,
}

#[derive(Default)]
struct State {
    what: String,
    rate: Rate,
    drawn: Duration,
    /// Whether the cursor stands behind an unfinished line.
    open: bool,
}

impl Style {
    /// As <https://no-color.org> has it, and `TERM=dumb` for terminals that cannot redraw.
    fn choose(terminal: bool, variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Self {
        let terminal = terminal && variable("TERM").is_some_and(|name| name != "dumb" && !name.is_empty());
        let plain = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { terminal, colour: terminal && !plain }
    }

    /// A finished line.
    fn line(self, text: &str) -> String {
        match text.split_once(' ') {
            Some((word, rest)) if self.colour && !word.is_empty() => format!("\x1b[1m{word}\x1b[0m {rest}"),
            _ => text.to_owned(),
        }
    }
}

impl Lines {
    pub(super) fn new() -> Self {
        let style = Style::choose(std::io::stderr().is_terminal(), |name| std::env::var_os(name));
        Self { style, began: Instant::now() }
    }

    /// Another program uses the cache.
    pub(super) fn waiting(&self, cache: &Path) {
        self.note(&format!("waiting   another bundle-builder uses {}", cache.display()));
    }

    /// Leaves the cursor at the start of a line.
    pub(super) fn end(&self) {
        if self.style.terminal {
            with_state(close);
        }
    }
}

/// The program's last line; whatever else would be said is too late.
pub(super) fn last(line: &str) {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    close(state.get_or_insert_default());
    eprintln!("{line}");
    // Kept locked: other threads go on until the program has ended.
    std::mem::forget(state);
}

fn with_state<R>(act: impl FnOnce(&mut State) -> R) -> R {
    act(STATE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

/// Ends an unfinished line.
fn close(state: &mut State) {
    if state.open {
        eprint!("\r\x1b[K");
        state.open = false;
    }
}

/// `pull      12 MB of 612 MB  88 MB/s  7 s left`
fn progress_line(state: &State, now: Duration, done: u64, total: u64) -> String {
    let mut line = format!("{:9} {} of {}", state.what, bytes(done), bytes(total));
    if let Some(rate) = state.rate.per_second(now, done) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a rate for people
        let (rate, left) = (rate as u64, (total.saturating_sub(done) as f64 / rate).ceil());
        line = format!("{line}  {}/s", bytes(rate));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a time for people
        match rate {
            0 => line.push_str("  nothing comes"),
            _ => line = format!("{line}  {} left", time(left as u64)),
        }
    }
    line
}

/// At most as long as the terminal is wide: a line that wraps cannot be redrawn.
fn cut(line: &str) -> String {
    let told = rustix::termios::tcgetwinsize(std::io::stderr()).map(|size| usize::from(size.ws_col));
    // A terminal that does not know its size says 0, e.g. a serial line.
    let columns = told.ok().filter(|columns| *columns > 0).unwrap_or(COLUMNS);
    line.chars().take(columns.max(20) - 1).collect()
}

impl Progress for Lines {
    fn note(&self, line: &str) {
        with_state(|state| {
            close(state);
            eprintln!("{}", self.style.line(line));
        });
    }

    fn advance(&self, what: &str, done: u64, total: u64) {
        let now = self.began.elapsed();
        with_state(|state| {
            if state.what != what {
                // The first report sets the clock; a transfer that ends at once needs no line.
                *state = State { what: what.to_owned(), drawn: now, open: state.open, ..State::default() };
            }
            state.rate.add(now, done);
            let pause = if self.style.terminal { ON_TERMINAL } else { ELSEWHERE };
            if now.saturating_sub(state.drawn) < pause {
                return;
            }
            state.drawn = now;
            let line = progress_line(state, now, done, total);
            if self.style.terminal {
                eprint!("\r\x1b[K{}", cut(&line));
                // A progress line that cannot be shown is no reason to stop.
                let _ = std::io::stderr().flush();
                state.open = true;
            } else {
                eprintln!("{line}");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(terminal: bool, variables: &[(&str, &str)]) -> Style {
        Style::choose(terminal, |name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).into())
        })
    }

    #[test]
    fn colour_and_redrawing_are_only_for_terminals_that_want_them() {
        let (plain, terminal) = (Style { terminal: false, colour: false }, [("TERM", "xterm")]);
        assert_eq!(style(true, &terminal), Style { terminal: true, colour: true });
        assert_eq!(style(true, &[terminal[0], ("NO_COLOR", "1")]), Style { terminal: true, colour: false });
        assert_eq!(style(true, &[terminal[0], ("NO_COLOR", "")]), Style { terminal: true, colour: true });
        assert_eq!(style(true, &[("TERM", "dumb")]), plain);
        assert_eq!([style(true, &[]), style(false, &terminal)], [plain, plain]);
        assert_eq!(style(false, &terminal).line("pull      1 image"), "pull      1 image");
        assert_eq!(style(true, &terminal).line("pull      1 image"), "\x1b[1mpull\x1b[0m      1 image");
    }

    #[test]
    fn a_progress_line_has_bytes_rate_and_time_left() {
        let mut state = State { what: "pull".to_owned(), ..State::default() };
        assert_eq!(progress_line(&state, Duration::ZERO, 0, 2000), "pull      0 B of 2.0 kB");
        state.rate.add(Duration::ZERO, 0);
        let second = Duration::from_secs(1);
        assert_eq!(
            progress_line(&state, second, 500, 200_000),
            "pull      500 B of 200 kB  500 B/s  6:39 min left"
        );
        assert_eq!(progress_line(&state, second, 0, 2000), "pull      0 B of 2.0 kB  0 B/s  nothing comes");
    }
}
