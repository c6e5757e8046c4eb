//! Columns that a text takes on a terminal, where Chinese letters take two.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Columns of a text.
#[must_use]
pub fn columns(text: &str) -> usize {
    text.width()
}

/// A text of at most so many columns; one that is longer ends with `…`. No letter is cut in half.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    if columns(text) <= most {
        return text.to_owned();
    }
    let Some(room) = most.checked_sub(1) else { return String::new() };
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= room
    };
    let mut kept: String = text.chars().take_while(fits).collect();
    kept.push('…');
    kept
}

/// A text with blanks behind it up to so many columns; one that is longer is cut.
#[must_use]
pub fn pad(text: &str, to: usize) -> String {
    let text = cut(text, to);
    let blanks = to.saturating_sub(columns(&text));
    text + &" ".repeat(blanks)
}

/// Lines of at most so many columns, broken between words; where a word alone is longer, and between Chinese letters,
/// within it. Line breaks of the text stay, and what goes on in the next line stands below where its line began.
#[must_use]
pub fn wrap(text: &str, most: usize) -> Vec<String> {
    let most = most.max(2);
    text.split('\n').flat_map(|line| wrap_line(line, most)).collect()
}

fn wrap_line(text: &str, most: usize) -> Vec<String> {
    let letters = text.trim_start_matches(' ');
    let indent = text.len() - letters.len();
    // More than half of a line is for letters, however deep it began.
    if indent == 0 || indent >= most / 2 {
        return wrap_letters(text, most);
    }
    let before = " ".repeat(indent);
    wrap_letters(letters, most - indent)
        .into_iter()
        .map(|line| format!("{before}{line}").trim_end().to_owned())
        .collect()
}

fn wrap_letters(text: &str, most: usize) -> Vec<String> {
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0);
    for piece in pieces(text) {
        let wide = columns(piece.trim_end());
        if used + wide > most && used > 0 {
            lines.push(std::mem::take(&mut line).trim_end().to_owned());
            used = 0;
        }
        for c in piece.chars() {
            let wide = c.width().unwrap_or(0);
            if used + wide > most {
                if c == ' ' {
                    continue;
                }
                lines.push(std::mem::take(&mut line).trim_end().to_owned());
                used = 0;
            }
            line.push(c);
            used += wide;
        }
    }
    lines.push(line.trim_end().to_owned());
    lines
}

/// Words with the blanks behind them; each wide letter is a piece of its own, with the marks that must not begin a line.
fn pieces(text: &str) -> Vec<&str> {
    const CLOSING: &str = "，。；：、？！）”》";
    let (mut found, mut start, mut before) = (Vec::new(), 0, None::<char>);
    for (at, c) in text.char_indices() {
        let wide = |c: char| c.width().unwrap_or(0) > 1;
        let breaks = before.is_some_and(|before| {
            (before == ' ' && c != ' ') || ((wide(before) || wide(c)) && !CLOSING.contains(c))
        });
        if breaks && at > start {
            found.push(&text[start..at]);
            start = at;
        }
        before = Some(c);
    }
    found.push(&text[start..]);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_letters_count_twice() {
        assert_eq!((columns("m1"), columns("机器"), columns("m1 机器")), (2, 4, 7));
        assert_eq!(cut("机器名称", 8), "机器名称");
        assert_eq!(
            [cut("机器名称", 7), cut("机器名称", 6), cut("机器", 1), cut("机器", 0)],
            ["机器名…", "机器…", "…", ""]
        );
        assert_eq!(pad("机器", 6), "机器  ");
        assert_eq!(pad("machine", 4), "mac…");
    }

    #[test]
    fn lines_break_between_words_and_between_wide_letters() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("各机器的地址，例如", 8), ["各机器的", "地址，例", "如"]);
        assert_eq!(wrap("a\nb", 10), ["a", "b"]);
        assert_eq!(wrap("", 10), [""]);
        assert_eq!(wrap("  next: mend it\n   ", 10), ["  next:", "  mend it", ""]);
        assert_eq!(wrap("      ab cd", 8), ["      ab", "cd"]);
        assert!(wrap(" a。", 2).iter().all(|line| columns(line) <= 2), "no room for an indent");
    }

    proptest::proptest! {
        #[test]
        fn no_line_is_wider_than_asked_and_no_letter_is_lost(text in "[ a-z机器，。]{0,60}", most in 2usize..30) {
            let lines = wrap(&text, most);
            for line in &lines {
                // A closing mark may hang over by its own width.
                proptest::prop_assert!(columns(line) <= most, "{line:?}");
            }
            let bare = |text: &str| text.replace(' ', "");
            proptest::prop_assert_eq!(bare(&lines.concat()), bare(&text));
            proptest::prop_assert!(columns(&cut(&text, most)) <= most);
        }
    }
}
