//! A report (or a form) in words, as blocks that every form of output can set: HTML, or text in 80 columns.

use crate::words::Language;

/// Something to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Language of all words in it.
    pub language: Language,
    /// Its title.
    pub title: String,
    /// Lines below the title: what, when, by whom.
    pub lines: Vec<String>,
    /// What stands on top of every printed page.
    pub running: String,
    /// The sections.
    pub sections: Vec<Section>,
}

/// A section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Anchor in HTML.
    pub id: &'static str,
    /// Its title.
    pub title: String,
    /// Whether it is for engineers only.
    pub annex: bool,
    /// Whether it begins on a new printed page.
    pub new_page: bool,
    /// What it holds.
    pub blocks: Vec<Block>,
}

/// A part of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// A paragraph.
    Say(String),
    /// A small heading.
    Heading(String),
    /// A label and what belongs to it, a line each.
    Lines(Vec<(String, Vec<Cell>)>),
    /// A table.
    Table(Table),
    /// Text as it is.
    Verbatim(String),
    /// Names and lines to sign on.
    Sign(Vec<String>),
    /// Empty lines to write on, so many.
    Blank(usize),
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Titles of the columns.
    pub head: Vec<String>,
    /// Rows, each as long as `head`.
    pub rows: Vec<Vec<Cell>>,
}

/// A piece of text. Colour never says more than the words do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// The words.
    pub text: String,
    /// How they look.
    pub mark: Mark,
}

/// How a cell looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Like any other.
    Plain,
    /// Heavier.
    Strong,
    /// All is well.
    Good,
    /// Somebody should know.
    Warn,
    /// In the way.
    Bad,
}

impl Cell {
    /// Plain words.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), mark: Mark::Plain }
    }

    /// Words that look so.
    pub fn marked(text: impl Into<String>, mark: Mark) -> Self {
        Self { text: text.into(), mark }
    }
}

impl Document {
    /// Every text of the sections before the annex, the title first.
    #[must_use]
    pub fn main_texts(&self) -> Vec<&str> {
        let mut texts = vec![self.title.as_str()];
        texts.extend(self.lines.iter().map(String::as_str));
        for section in self.sections.iter().filter(|section| !section.annex) {
            texts.push(&section.title);
            texts.extend(section.texts());
        }
        texts
    }
}

impl Section {
    /// Every text in it.
    #[must_use]
    pub fn texts(&self) -> Vec<&str> {
        self.blocks.iter().flat_map(Block::texts).collect()
    }
}

impl Block {
    fn texts(&self) -> Vec<&str> {
        match self {
            Self::Say(text) | Self::Heading(text) | Self::Verbatim(text) => vec![text],
            Self::Lines(lines) => lines
                .iter()
                .flat_map(|(label, cells)| {
                    std::iter::once(label.as_str()).chain(cells.iter().map(|cell| cell.text.as_str()))
                })
                .collect(),
            Self::Table(table) => {
                let cells = table.rows.iter().flatten().map(|cell| cell.text.as_str());
                table.head.iter().map(String::as_str).chain(cells).collect()
            }
            Self::Sign(names) => names.iter().map(String::as_str).collect(),
            Self::Blank(_) => Vec::new(),
        }
    }
}

/// What a screen or a printer may get of text that others wrote: no control characters, and nothing that turns the
/// direction of writing (Unicode TR 36, "Bidirectional Text Spoofing").
pub(crate) fn tame(text: &str) -> String {
    let hidden =
        |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    text.chars()
        .map(|c| if (c.is_control() && c != '\n' && c != '\t') || hidden(c) { '\u{fffd}' } else { c })
        .collect()
}
