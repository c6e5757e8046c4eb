//! What the terminal can show, and whether anything is drawn on it at all. Decided once, from what was asked for and
//! from what the terminal says about itself.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};
use sealift_events::bar::{Letters, only_ascii};
use sealift_wizard::width;

/// Terminals without colours.
const NO_COLOUR: [&str; 2] = ["vt100", "vt220"];

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Display {
    /// No letters beyond ASCII: lines are `-` and `|`, and Chinese cannot be shown.
    pub(crate) ascii: bool,
    /// Whether there are colours.
    pub(crate) colour: bool,
}

/// What somebody asked for on the command line.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted {
    pub(crate) plain: bool,
    pub(crate) ascii: bool,
    pub(crate) no_colour: bool,
}

/// What the environment says about the terminal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    pub(crate) term: Option<String>,
    /// The locale of letters.
    pub(crate) locale: Option<String>,
    pub(crate) no_colour: bool,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn here() -> Self {
        let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            term: given("TERM"),
            locale: ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(given),
            no_colour: given("NO_COLOR").is_some(),
        }
    }
}

/// How the wizard speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// In numbered lines.
    Plain,
    /// Drawn on the whole screen.
    Drawn(Display),
}

/// The way to speak on a terminal.
pub(crate) fn choose(wanted: Wanted, surroundings: &Surroundings) -> Way {
    let Some(term) = surroundings.term.as_deref().filter(|term| *term != "dumb") else { return Way::Plain };
    if wanted.plain {
        return Way::Plain;
    }
    Way::Drawn(Display {
        ascii: wanted.ascii || only_ascii(term, surroundings.locale.as_deref()),
        colour: !(wanted.no_colour || surroundings.no_colour || NO_COLOUR.contains(&term)),
    })
}

impl Display {
    /// Takes out of a drawn frame what the terminal cannot show. No letter changes its place.
    pub(super) fn fit(self, buffer: &mut Buffer) {
        let area = buffer.area;
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                if self.ascii {
                    to_ascii(buffer, x, y);
                }
                if !self.colour {
                    let cell = &mut buffer[(x, y)];
                    (cell.fg, cell.bg) = (Color::Reset, Color::Reset);
                    // A terminal without colours rarely knows faint letters.
                    cell.modifier.remove(Modifier::DIM);
                }
            }
        }
    }
}

fn to_ascii(buffer: &mut Buffer, x: u16, y: u16) {
    let symbol = buffer[(x, y)].symbol();
    if symbol.is_ascii() {
        return;
    }
    let wide = width::columns(symbol) > 1;
    let letter = symbol.chars().next().map_or('?', ascii);
    buffer[(x, y)].set_char(letter);
    // The second half of a wide letter.
    if wide && x + 1 < buffer.area.right() {
        buffer[(x + 1, y)].set_char(letter);
    }
}

/// What comes closest.
fn ascii(letter: char) -> char {
    match letter {
        '─' | '–' | '—' | '·' => '-',
        '│' | '┃' => '|',
        '▸' | '→' | '≥' => '>',
        '◂' | '←' | '≤' => '<',
        '↑' => '^',
        '↓' => 'v',
        '●' | '•' => '*',
        '○' => ' ',
        '…' => '~',
        '×' => 'x',
        letter if letter == Letters::BLOCKS.full => Letters::ASCII.full,
        letter if letter == Letters::BLOCKS.rest => Letters::ASCII.rest,
        '“' | '”' => '"',
        '‘' | '’' => '\'',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(term: Option<&str>, locale: Option<&str>, no_colour: bool) -> Way {
        let surroundings =
            Surroundings { term: term.map(str::to_owned), locale: locale.map(str::to_owned), no_colour };
        choose(Wanted::default(), &surroundings)
    }

    #[test]
    fn the_terminal_decides_unless_somebody_does() {
        let drawn = |ascii, colour| Way::Drawn(Display { ascii, colour });
        let utf = Some("zh_CN.UTF-8");
        for (term, locale, no_colour, way) in [
            (Some("xterm-256color"), utf, false, drawn(false, true)),
            (Some("xterm-256color"), Some("C.utf8"), true, drawn(false, false)),
            (Some("xterm-256color"), Some("de_DE.ISO-8859-1"), false, drawn(true, true)),
            (Some("xterm-256color"), None, false, drawn(true, true)),
            (Some("linux"), utf, false, drawn(true, true)),
            (Some("vt100"), utf, false, drawn(true, false)),
            (Some("vt220"), utf, false, drawn(true, false)),
            (Some("dumb"), utf, false, Way::Plain),
            (None, utf, false, Way::Plain),
        ] {
            assert_eq!(chosen(term, locale, no_colour), way, "{term:?} {locale:?} {no_colour}");
        }
        let best = Surroundings {
            term: Some("xterm".to_owned()),
            locale: Some("C.UTF-8".to_owned()),
            no_colour: false,
        };
        let wanted = |plain, ascii, no_colour| choose(Wanted { plain, ascii, no_colour }, &best);
        assert_eq!(wanted(true, false, false), Way::Plain);
        assert_eq!(wanted(false, true, false), drawn(true, true));
        assert_eq!(wanted(false, false, true), drawn(false, false));
    }

    #[test]
    fn what_cannot_be_shown_keeps_its_place() {
        let mut buffer = Buffer::with_lines(["─ 机器 …|"]);
        buffer[(0, 0)].fg = Color::Red;
        Display { ascii: true, colour: false }.fit(&mut buffer);
        let letters: String = buffer.content.iter().map(ratatui::buffer::Cell::symbol).collect();
        assert_eq!(letters, "- ???? ~|");
        assert_eq!(buffer[(0, 0)].fg, Color::Reset);
    }
}
