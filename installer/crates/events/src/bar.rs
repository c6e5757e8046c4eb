//! How far something is, in letters: one bar and one order of words for every program of the project.
//!
//! Pure. It must not know where it is drawn: what a terminal says of itself comes in, and colours are the front end's.
//!
//! In order of use: [`only_ascii`], [`Letters`], [`bar`], [`amount`].

use crate::picture::{bytes, clock};

/// Columns of a bar on usual screens.
pub const COLUMNS: usize = 12;

/// Terminals that show no letters beyond ASCII, or not for sure.
const ONLY_ASCII: [&str; 3] = ["linux", "vt100", "vt220"];

/// Whether a terminal of this name, in this locale of letters, shows nothing beyond ASCII.
#[must_use]
pub fn only_ascii(terminal: &str, locale: Option<&str>) -> bool {
    let locale = locale.unwrap_or_default().to_lowercase();
    let unicode = locale.contains("utf-8") || locale.contains("utf8");
    !unicode || ONLY_ASCII.contains(&terminal)
}

/// What a bar is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Letters {
    /// What is done.
    pub full: char,
    /// What is not.
    pub rest: char,
}

impl Letters {
    /// Of terminals that show them.
    pub const BLOCKS: Self = Self { full: '█', rest: '░' };
    /// Of all others.
    pub const ASCII: Self = Self { full: '#', rest: '.' };
}

/// A bar of so many columns: its full part and its rest. It is full only where all is done, and empty where nobody knows
/// how much that is.
#[must_use]
pub fn bar(done: u64, total: u64, columns: usize, letters: Letters) -> (String, String) {
    let all = columns as u128;
    let full = if total == 0 { 0 } else { u128::from(done.min(total)) * all / u128::from(total) };
    let part = |letter: char, from: u128, to: u128| (from..to).map(|_| letter).collect();
    (part(letters.full, 0, full), part(letters.rest, full, all))
}

/// `412 MB of 1.3 GB, 81 MB/s, 00:11 left`, as far as it is known.
#[must_use]
pub fn amount(done: u64, total: u64, bytes_per_second: Option<u64>, left_millis: Option<u64>) -> String {
    let mut text = format!("{} of {}", bytes(done), bytes(total));
    if let Some(rate) = bytes_per_second {
        text = format!("{text}, {}/s", bytes(rate));
    }
    if let Some(left) = left_millis {
        text = format!("{text}, {} left", clock(left));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_only_where_all_is_done() {
        let at = |done, total| {
            let (full, rest) = bar(done, total, COLUMNS, Letters::ASCII);
            full + &rest
        };
        assert_eq!(
            [at(0, 24), at(12, 24), at(23, 24), at(24, 24), at(30, 24), at(5, 0)],
            ["............", "######......", "###########.", "############", "############", "............"]
        );
        assert_eq!(at(u64::MAX - 1, u64::MAX), "###########.");
        let (full, rest) = bar(1, 4, 4, Letters::BLOCKS);
        assert_eq!((full.as_str(), rest.as_str()), ("█", "░░░"));
    }

    #[test]
    fn an_amount_says_what_is_known() {
        let (done, total) = (412_000_000, 1_300_000_000);
        assert_eq!(amount(done, total, None, None), "412 MB of 1.3 GB");
        assert_eq!(
            amount(done, total, Some(81_000_000), Some(11_000)),
            "412 MB of 1.3 GB, 81 MB/s, 00:11 left"
        );
    }

    #[test]
    fn letters_beyond_ascii_are_for_terminals_that_say_so() {
        for (terminal, locale, ascii) in [
            ("xterm-256color", Some("zh_CN.UTF-8"), false),
            ("xterm-256color", Some("C.utf8"), false),
            ("xterm-256color", Some("de_DE.ISO-8859-1"), true),
            ("xterm-256color", None, true),
            ("linux", Some("C.UTF-8"), true),
            ("vt220", Some("C.UTF-8"), true),
        ] {
            assert_eq!(only_ascii(terminal, locale), ascii, "{terminal} {locale:?}");
        }
    }
}
