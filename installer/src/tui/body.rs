//! The page as lines: what stands between the title and the message. It may be longer than the screen.

use std::ops::Range;

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use sealift_wizard::{FieldView, Kind, Mark, Row, Screen, Verdict, Words, width};

use super::run::Bars;
use super::state::{Spot, State, is_typed, may_be_place, options, table_lines};

pub(super) const PLAIN: Style = Style::new();
pub(super) const HEADING: Style = Style::new().add_modifier(Modifier::BOLD);
pub(super) const FAINT: Style = Style::new().add_modifier(Modifier::DIM);
pub(super) const SELECTED: Style = Style::new().add_modifier(Modifier::REVERSED);
pub(super) const GOOD: Style = Style::new().fg(Color::Green);
pub(super) const WARNING: Style = Style::new().fg(Color::Yellow);
pub(super) const BAD: Style = Style::new().fg(Color::Red);

/// Columns before the text of a line, where the mark of what is looked at stands.
pub(super) const INDENT: &str = "   ";
/// The same for what belongs to the line above.
pub(super) const DEEPER: &str = "     ";
pub(super) const HERE: &str = " ▸ ";

/// Lines, and where in them somebody can be.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub(super) lines: Vec<Line<'static>>,
    /// The spots from top to bottom, each with its lines.
    pub(super) spots: Vec<(Spot, Range<usize>)>,
    /// Line and column of the cursor.
    pub(super) cursor: Option<(usize, u16)>,
    /// How many of the first lines stay where they are when the others are scrolled.
    pub(super) pinned: usize,
}

impl Body {
    pub(super) fn say(&mut self, indent: &str, text: &str, style: Style, columns: usize) {
        let room = columns.saturating_sub(width::columns(indent));
        for line in width::wrap(&clean(text), room) {
            self.lines.push(Line::from(vec![Span::raw(indent.to_owned()), Span::styled(line, style)]));
        }
    }

    pub(super) fn blank(&mut self) {
        self.lines.push(Line::default());
    }
}

/// Without letters that would move the cursor: much of what is shown was written by others. Line breaks stay.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

/// The page.
pub(super) fn page(screen: &Screen, state: &State, words: Words, columns: usize) -> Body {
    let mut body = Body::default();
    body.say(" ", &screen.intro, PLAIN, columns);
    body.blank();
    let mut table = table_lines(screen).len();
    let bars = Bars::of(screen, columns);
    let mut line = 0;
    for row in &screen.rows {
        match row {
            Row::Table { names, lines } if table > 0 => {
                // Only the first can be walked through.
                let walked = std::mem::take(&mut table) > 0;
                body.table(names, lines, walked.then_some((state, 0)), columns);
            }
            Row::Warning(text) => body.say(INDENT, text, WARNING, columns),
            Row::Progress(progress) => body.progress(progress, bars, state, columns),
            Row::Log(lines) => body.log(lines, columns),
            Row::Entries { names, entries } => {
                let cells: Vec<Vec<String>> = entries.iter().map(|entry| entry.cells.clone()).collect();
                body.table(names, &cells, Some((state, line)), columns);
                line += entries.len();
            }
            Row::Matrix { matrix, entries, site, hosts } => {
                body.matrix(matrix, entries, (site, hosts), (state, line), columns);
                line += entries.len();
            }
            Row::Pair { name, text } => body.pair(name, text, columns),
            Row::Field(field) if field.enabled => body.field(field, screen, state, words, columns),
            row => body.rows(std::slice::from_ref(row), columns),
        }
    }
    body
}

impl Body {
    /// What is only read.
    pub(super) fn rows(&mut self, rows: &[Row], columns: usize) {
        for row in rows {
            match row {
                Row::Text(text) => self.say(INDENT, text, PLAIN, columns),
                Row::Heading(text) => {
                    if self.lines.last().is_some_and(|line| line.width() > 0) {
                        self.blank();
                    }
                    self.say(" ", text, HEADING, columns);
                }
                Row::Table { names, lines } => self.table(names, lines, None, columns),
                _ => {}
            }
        }
    }

    /// A table; where it is walked, with the number of its first line among all that can be opened.
    fn table(
        &mut self,
        names: &[String],
        lines: &[Vec<String>],
        walked: Option<(&State, usize)>,
        columns: usize,
    ) {
        let widths = widths(names, lines, columns.saturating_sub(INDENT.len() + 1));
        for text in in_columns(names, &widths) {
            self.lines.push(Line::from(vec![Span::raw(INDENT), Span::styled(text, HEADING)]));
        }
        for (index, cells) in lines.iter().enumerate() {
            let spot = Spot::Line(index + walked.map_or(0, |(_, first)| first));
            let here = walked.is_some_and(|(state, _)| state.spot == spot);
            let (mark, style) = if here { (HERE, SELECTED) } else { (INDENT, PLAIN) };
            let start = self.lines.len();
            for (row, text) in in_columns(cells, &widths).into_iter().enumerate() {
                let mark = if row == 0 { mark } else { INDENT };
                self.lines.push(Line::from(vec![Span::raw(mark), Span::styled(text, style)]));
            }
            if walked.is_some() {
                self.spots.push((spot, start..self.lines.len()));
            }
        }
        self.blank();
    }

    fn field(&mut self, field: &FieldView, screen: &Screen, state: &State, words: Words, columns: usize) {
        let spot = Spot::Field(field.path.clone());
        let here = state.spot == spot;
        let start = self.lines.len();
        let style = if here { HEADING } else { PLAIN };
        self.say(INDENT, &field.label, style, columns);
        if here && let Some(first) = self.lines.get_mut(start) {
            first.spans[0] = Span::raw(HERE);
        }
        let (mark, mark_style) = mark(field, screen, state, words);
        let room = columns.saturating_sub(DEEPER.len() + width::columns(&mark) + 3);
        let value =
            if here && is_typed(field) { self.typed(field, state, room) } else { value(field, room, here) };
        let mark = Span::styled(mark, mark_style);
        self.lines.push(Line::from(vec![Span::raw(DEEPER), value, Span::raw("  "), mark]));
        if here {
            self.more(field, words, columns);
        }
        self.spots.push((spot, start..self.lines.len()));
    }

    /// The text while it is typed. What may be a secret is shown as dots.
    fn typed(&mut self, field: &FieldView, state: &State, room: usize) -> Span<'static> {
        let edit = state.edit.as_ref().filter(|edit| edit.field == field.path);
        let Some(edit) = edit else { return value(field, room, true) };
        let typed = edit.input.value();
        let seen = field.kind != Kind::Secret || may_be_place(typed);
        let (shown, column) = if seen {
            visible(&edit.input, room)
        } else {
            let dots = typed.chars().count().min(room.saturating_sub(1));
            ("●".repeat(dots), dots)
        };
        let column = u16::try_from(DEEPER.len() + column).unwrap_or(u16::MAX);
        self.cursor = Some((self.lines.len(), column));
        Span::styled(width::pad(&shown, room), SELECTED)
    }

    /// What helps to answer the field that is looked at.
    fn more(&mut self, field: &FieldView, words: Words, columns: usize) {
        let options = options(field, words.text("word.yes"), words.text("word.no"));
        for (word, called) in &options {
            let chosen = field.answer.as_ref() == Some(word);
            let sign = if chosen { "●" } else { "○" };
            self.say(DEEPER, &format!("({sign}) {called}"), PLAIN, columns);
        }
        if options.is_empty() && !field.example.is_empty() {
            self.say(DEEPER, &field.example, FAINT, columns);
        }
        if let (None, Some(default)) = (&field.value, &field.default)
            && !field.example.contains(default.as_str())
        {
            self.say(DEEPER, &words.fill("draw.default", &[("value", default)]), FAINT, columns);
        }
    }
}

/// The part of a typed text around its cursor, and the cursor's column in it.
pub(super) fn visible(input: &tui_input::Input, room: usize) -> (String, usize) {
    let scroll = input.visual_scroll(room.saturating_sub(1));
    let (mut skipped, mut shown, mut used) = (0, String::new(), 0);
    for letter in clean(input.value()).chars() {
        let wide = width::columns(letter.encode_utf8(&mut [0; 4]));
        if skipped < scroll {
            skipped += wide;
        } else if used + wide <= room {
            used += wide;
            shown.push(letter);
        } else {
            break;
        }
    }
    (shown, input.visual_cursor().saturating_sub(skipped.max(scroll)).min(room.saturating_sub(1)))
}

fn value(field: &FieldView, room: usize, here: bool) -> Span<'static> {
    let (text, style) = match (&field.value, &field.default) {
        (Some(value), _) => (value.as_str(), PLAIN),
        (None, Some(default)) => (default.as_str(), FAINT),
        (None, None) => ("-", FAINT),
    };
    let text = width::pad(&clean(text).replace('\n', " "), room);
    Span::styled(text, if here { SELECTED } else { style })
}

/// How a field stands, in a word.
fn mark(field: &FieldView, screen: &Screen, state: &State, words: Words) -> (String, Style) {
    let typing = state.edit.as_ref().is_some_and(|edit| edit.field == field.path && edit.is_changed());
    let refused = screen.refused.as_ref().and_then(|refused| refused.field.as_ref()) == Some(&field.path);
    match field.verdict {
        _ if typing && refused => (words.text("draw.wrong"), BAD),
        _ if typing => (words.text("draw.typing"), FAINT),
        Verdict::Missing => (words.text("draw.missing"), WARNING),
        Verdict::Wrong { .. } => (words.text("draw.wrong"), BAD),
        Verdict::Fine if field.value.is_none() && field.default.is_none() => {
            (words.text("draw.empty"), FAINT)
        }
        Verdict::Fine => (words.text(field.source.key()), FAINT),
    }
}

/// A line of a table as lines of the screen: what does not fit into its column goes on below.
fn in_columns(cells: &[String], widths: &[usize]) -> Vec<String> {
    let wrapped: Vec<Vec<String>> =
        cells.iter().zip(widths).map(|(cell, width)| width::wrap(&clean(cell), *width)).collect();
    let rows = wrapped.iter().map(Vec::len).max().unwrap_or_default();
    let part = |row: usize| {
        let cells = wrapped
            .iter()
            .zip(widths)
            .map(|(lines, width)| width::pad(lines.get(row).map_or("", String::as_str), *width));
        cells.collect::<Vec<_>>().join("  ")
    };
    (0..rows).map(part).collect()
}

/// Columns of each cell: as wide as its widest, and the widest narrower where all together are too wide.
fn widths(names: &[String], lines: &[Vec<String>], room: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = names.iter().map(|name| width::columns(name)).collect();
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(width::columns(cell));
        }
    }
    let gaps = 2 * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > room {
        match widths.iter_mut().max() {
            Some(widest) if *widest > 1 => *widest -= 1,
            _ => break,
        }
    }
    widths
}

/// The list of pages, with the one that is looked at and the one that is shown.
pub(super) fn steps(
    screen: &Screen,
    words: Words,
    columns: usize,
    looked_at: Option<usize>,
) -> Vec<Line<'static>> {
    let line = |(index, (page, title, mark)): (usize, &(sealift_wizard::PageId, String, Mark))| {
        let word = words.text(mark.key());
        let room = columns.saturating_sub(INDENT.len() + width::columns(&word) + 2);
        let title = width::pad(&format!("{:>2} {title}", index + 1), room);
        let here = looked_at.map_or(*page == screen.page, |at| at == index);
        let style = if here { SELECTED } else { PLAIN };
        let sign = if here { HERE } else { INDENT };
        let word = Span::styled(word, mark_style(*mark));
        Line::from(vec![Span::raw(sign), Span::styled(title, style), Span::raw(" "), word])
    };
    screen.steps.iter().enumerate().map(line).collect()
}

fn mark_style(mark: Mark) -> Style {
    match mark {
        Mark::Done => GOOD,
        Mark::Open | Mark::Review => WARNING,
        Mark::Unseen | Mark::Seen => FAINT,
    }
}
