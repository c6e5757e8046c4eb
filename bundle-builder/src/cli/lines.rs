//! Progress as lines. On a terminal the last one is redrawn, with a bar, and the first word of the others stands out;
//! elsewhere there is one line for each change, and one in ten seconds while bytes move.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sealift_events::bar::{self, Letters, amount, bar, only_ascii};

use super::standard::tell;
use crate::progress::{Progress, Rate};

const ON_TERMINAL: Duration = Duration::from_millis(200);
const ELSEWHERE: Duration = Duration::from_secs(10);
/// Columns where a terminal does not tell.
const COLUMNS: usize = 80;
/// Fewer are taken for as many: nothing could be told on them.
const LEAST_COLUMNS: usize = 20;
const GREEN: &str = "\x1b[32m";
const FAINT: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

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
    /// The last line is redrawn, with a bar of these letters; none where nothing can be redrawn.
    bar: Option<Letters>,
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
    /// As <https://no-color.org> has it, `TERM=dumb` for terminals that cannot redraw, and `CI` for those that somebody
    /// reads when all is over.
    fn choose(terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let said = |name: &str| variable(name).filter(|value| !value.is_empty());
        let name = said("TERM").filter(|name| terminal && name != "dumb" && said("CI").is_none());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(said);
        let letters = |name: OsString| {
            let locale = locale.as_ref().map(|locale| locale.to_string_lossy());
            let ascii = only_ascii(&name.to_string_lossy(), locale.as_deref());
            if ascii { Letters::ASCII } else { Letters::BLOCKS }
        };
        let bar = name.map(letters);
        Self { bar, colour: bar.is_some() && said("NO_COLOR").is_none() }
    }

    /// A line about bytes that move, in at most so many columns: one that wraps cannot be redrawn.
    fn moving(self, what: &str, amount: &str, (done, total): (u64, u64), columns: usize) -> String {
        let Some(letters) = self.bar else { return format!("{what:9} {amount}") };
        let (full, rest) = bar(done, total, bar::COLUMNS, letters);
        let before = format!("{what:9} ");
        let taken = before.chars().count() + bar::COLUMNS + 1;
        let amount: String = amount.chars().take(columns.saturating_sub(taken)).collect();
        if self.colour {
            format!("{before}{GREEN}{full}{PLAIN}{FAINT}{rest}{PLAIN} {amount}")
        } else {
            format!("{before}{full}{rest} {amount}")
        }
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
        if self.style.bar.is_some() {
            with_state(close);
        }
    }
}

/// The program's last line; whatever else would be said is too late.
pub(super) fn last(line: &str) {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    close(state.get_or_insert_default());
    tell(format_args!("{line}\n"));
    // Kept locked: other threads go on until the program has ended.
    std::mem::forget(state);
}

fn with_state<R>(act: impl FnOnce(&mut State) -> R) -> R {
    act(STATE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

/// Ends an unfinished line.
fn close(state: &mut State) {
    if state.open {
        tell(format_args!("\r\x1b[K"));
        state.open = false;
    }
}

/// `412 MB of 1.3 GB, 81 MB/s, 00:11 left`
fn amount_of(state: &State, now: Duration, done: u64, total: u64) -> String {
    let Some(rate) = state.rate.per_second(now, done) else { return amount(done, total, None, None) };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a rate for people
    let told = rate as u64;
    if told == 0 {
        return format!("{}, nothing comes", amount(done, total, None, None));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a time for people
    let left = (total.saturating_sub(done) as f64 * 1000.0 / rate).ceil() as u64;
    amount(done, total, Some(told), Some(left))
}

/// Columns that can be redrawn.
fn columns() -> usize {
    let told = rustix::termios::tcgetwinsize(std::io::stderr()).map(|size| usize::from(size.ws_col));
    // A terminal that does not know its size says 0, e.g. a serial line.
    told.ok().filter(|columns| *columns > 0).unwrap_or(COLUMNS).max(LEAST_COLUMNS) - 1
}

impl Progress for Lines {
    fn note(&self, line: &str) {
        with_state(|state| {
            close(state);
            tell(format_args!("{}\n", self.style.line(line)));
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
            let pause = if self.style.bar.is_some() { ON_TERMINAL } else { ELSEWHERE };
            if now.saturating_sub(state.drawn) < pause {
                return;
            }
            state.drawn = now;
            let amount = amount_of(state, now, done, total);
            let line = self.style.moving(what, &amount, (done, total), columns());
            if self.style.bar.is_some() {
                tell(format_args!("\r\x1b[K{line}"));
                state.open = true;
            } else {
                tell(format_args!("{line}\n"));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN_LINES: Style = Style { bar: None, colour: false };

    fn style(terminal: bool, variables: &[(&str, &str)]) -> Style {
        Style::choose(terminal, |name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).into())
        })
    }

    #[test]
    fn colour_and_redrawing_are_only_for_terminals_that_want_them() {
        let terminal = [("TERM", "xterm"), ("LANG", "C.UTF-8")];
        let with = |more: (&'static str, &'static str)| style(true, &[more, terminal[0], terminal[1]]);
        let (blocks, ascii) = (Some(Letters::BLOCKS), Some(Letters::ASCII));
        assert_eq!(style(true, &terminal), Style { bar: blocks, colour: true });
        assert_eq!(with(("NO_COLOR", "1")), Style { bar: blocks, colour: false });
        assert_eq!(with(("NO_COLOR", "")), Style { bar: blocks, colour: true });
        assert_eq!(with(("LC_ALL", "de_DE.ISO-8859-1")), Style { bar: ascii, colour: true });
        assert_eq!(style(true, &terminal[..1]), Style { bar: ascii, colour: true });
        assert_eq!([with(("TERM", "dumb")), with(("CI", "true"))], [PLAIN_LINES; 2]);
        assert_eq!([style(true, &[]), style(false, &terminal)], [PLAIN_LINES; 2]);
        assert_eq!(style(false, &terminal).line("pull      1 image"), "pull      1 image");
        assert_eq!(style(true, &terminal).line("pull      1 image"), "\x1b[1mpull\x1b[0m      1 image");
    }

    #[test]
    fn an_amount_has_bytes_rate_and_time_left() {
        let mut state = State { what: "pull".to_owned(), ..State::default() };
        assert_eq!(amount_of(&state, Duration::ZERO, 0, 2000), "0 B of 2 kB");
        state.rate.add(Duration::ZERO, 0);
        let second = Duration::from_secs(1);
        assert_eq!(amount_of(&state, second, 500, 200_000), "500 B of 200 kB, 500 B/s, 06:39 left");
        assert_eq!(amount_of(&state, second, 0, 2000), "0 B of 2 kB, nothing comes");
    }

    #[test]
    fn a_line_is_that_of_the_installer() {
        let line = |bar, colour, columns| {
            let (done, total) = (412_000_000, 1_300_000_000);
            let amount = amount(done, total, Some(81_000_000), Some(11_000));
            Style { bar, colour }.moving("pull", &amount, (done, total), columns)
        };
        let said = [
            line(Some(Letters::BLOCKS), false, 79),
            line(Some(Letters::ASCII), false, 79),
            line(Some(Letters::ASCII), false, 40),
            line(None, false, 79),
        ];
        let expected = [
            "pull      ███░░░░░░░░░ 412 MB of 1.3 GB, 81 MB/s, 00:11 left",
            "pull      ###......... 412 MB of 1.3 GB, 81 MB/s, 00:11 left",
            "pull      ###......... 412 MB of 1.3 GB,",
            "pull      412 MB of 1.3 GB, 81 MB/s, 00:11 left",
        ];
        assert_eq!(said, expected);
        let coloured = line(Some(Letters::BLOCKS), true, 79);
        assert_eq!(
            coloured,
            "pull      \x1b[32m███\x1b[0m\x1b[2m░░░░░░░░░\x1b[0m 412 MB of 1.3 GB, 81 MB/s, 00:11 left"
        );
    }
}
