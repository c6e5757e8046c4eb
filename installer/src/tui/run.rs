//! A run as lines: how far it is on each host, and what has happened on one. Pure.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use sealift_events::bar::{self, Letters, bar};
use sealift_wizard::{LogLines, Progress, Row, Screen, Words, width};

use super::body::{BAD, Body, DEEPER, FAINT, GOOD, HEADING, HERE, INDENT, PLAIN, SELECTED, clean, visible};
use super::state::{ReadLog, Spot, State};

/// Most columns of a name and of what a host does.
const NAME: usize = 14;
const ROLE: usize = 13;
/// Columns of a bar where there is room.
const LONG_BAR: usize = 20;
/// Most columns of the text that lines of a log must have.
const MOST_FILTER: usize = 40;
/// Columns from which there is room.
const ROOM: usize = 90;

/// How wide the columns of all lines of a run are, so that they stand below each other.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bars {
    name: usize,
    role: usize,
    count: usize,
    bar: usize,
    age: usize,
}

impl Bars {
    pub(super) fn of(screen: &Screen, columns: usize) -> Self {
        let bar = if columns < ROOM { bar::COLUMNS } else { LONG_BAR };
        let mut bars = Self { bar, ..Self::default() };
        for row in &screen.rows {
            let Row::Progress(progress) = row else { continue };
            bars.name = bars.name.max(width::columns(&progress.name)).min(NAME);
            bars.role = bars.role.max(width::columns(&progress.role)).min(ROLE);
            bars.count = bars.count.max(count(progress).len());
            bars.age = bars.age.max(progress.age.as_deref().map_or(0, width::columns));
        }
        bars
    }
}

/// Steps done, of how many where that is known.
fn count(progress: &Progress) -> String {
    match progress.total {
        0 => progress.done.to_string(),
        total => format!("{}/{total}", progress.done),
    }
}

impl Body {
    /// One line; where it is looked at, what did not fit stands below it.
    pub(super) fn progress(&mut self, progress: &Progress, bars: Bars, state: &State, columns: usize) {
        let lines = self.spots.iter().filter(|(spot, _)| matches!(spot, Spot::Line(_))).count();
        let here = progress.opens && state.spot == Spot::Line(lines);
        let start = self.lines.len();
        let name = if here { SELECTED } else { PLAIN };
        let role =
            if bars.role > 0 { width::pad(&clean(&progress.role), bars.role) + " " } else { String::new() };
        let (done, total) = (progress.done.into(), progress.total.into());
        let (full, rest) = bar(done, total, bars.bar, Letters::BLOCKS);
        let text_style = if progress.alarm { BAD } else { PLAIN };
        let age = progress.age.clone().unwrap_or_default();
        let age = " ".repeat(bars.age.saturating_sub(width::columns(&age))) + &age;
        let used = INDENT.len()
            + bars.name
            + 1
            + width::columns(&role)
            + bars.count
            + 1
            + bars.bar
            + 1
            + bars.age
            + 1;
        let room = columns.saturating_sub(used);
        let text = clean(&progress.text).replace('\n', " ");
        self.lines.push(Line::from(vec![
            Span::raw(if here { HERE } else { INDENT }),
            Span::styled(width::pad(&clean(&progress.name), bars.name), name),
            Span::raw(format!(" {role}{:>width$} ", count(progress), width = bars.count)),
            Span::styled(full, bar_style(progress)),
            Span::styled(rest, FAINT),
            Span::raw(" "),
            Span::styled(width::pad(&text, room), text_style),
            Span::styled(format!(" {age}"), FAINT),
        ]));
        if here && width::columns(&progress.name) > bars.name {
            self.say(DEEPER, &progress.name, PLAIN, columns);
        }
        if here && width::columns(&text) > room {
            self.say(DEEPER, &text, PLAIN, columns);
        }
        if progress.opens {
            self.spots.push((Spot::Line(lines), start..self.lines.len()));
        }
    }

    /// Lines as others wrote them, each with all its letters.
    pub(super) fn log(&mut self, lines: &[String], columns: usize) {
        for line in lines {
            self.say(INDENT, line, FAINT, columns);
        }
    }
}

fn bar_style(progress: &Progress) -> Style {
    if progress.alarm { BAD } else { GOOD }
}

/// The log below the page, each line with all its letters.
pub(super) fn pane(lines: &[String], columns: usize) -> Vec<Line<'static>> {
    let mut body = Body::default();
    for line in lines {
        body.say(" ", line, PLAIN, columns);
    }
    body.lines
}

/// The whole log of a host or of all, each line with all its letters. What says which lines are wanted stays above them.
pub(super) fn log(log: &ReadLog, words: Words, columns: usize) -> Body {
    let mut body = Body::default();
    let title = match &log.host {
        Some(name) => words.fill("draw.log", &[("name", name)]),
        None => words.text("draw.log.all"),
    };
    body.say(" ", &title, HEADING, columns);
    let key = if log.held { "draw.log.holds" } else { "draw.log.follows" };
    body.say(" ", &words.text(key), FAINT, columns);
    body.filter(log, words, columns);
    body.blank();
    body.pinned = body.lines.len();
    let LogLines { lines, of } = &log.found;
    if lines.is_empty() {
        let key = if *of == 0 { "draw.log.none" } else { "draw.log.noSuch" };
        body.say(INDENT, &words.text(key), PLAIN, columns);
    }
    for line in lines {
        body.say(INDENT, line, PLAIN, columns);
    }
    body
}

impl Body {
    /// Which lines are wanted, and how many of how many they are.
    fn filter(&mut self, log: &ReadLog, words: Words, columns: usize) {
        let key = if log.troubles { "draw.log.troubles" } else { "draw.log.every" };
        let before = format!(" {} ", words.text(key));
        let places = [("shown", &*log.found.lines.len().to_string()), ("count", &log.found.of.to_string())];
        let behind = format!("  {}", words.fill("log.count", &places));
        let taken = width::columns(&before) + width::columns(&behind);
        let room = columns.saturating_sub(taken).clamp(1, MOST_FILTER);
        let (shown, column) = visible(&log.text, room);
        let column = width::columns(&before) + column;
        self.cursor = Some((self.lines.len(), u16::try_from(column).unwrap_or(u16::MAX)));
        self.lines.push(Line::from(vec![
            Span::raw(before),
            Span::styled(width::pad(&shown, room), SELECTED),
            Span::raw(behind),
        ]));
    }
}
