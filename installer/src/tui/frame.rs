//! A frame: the rows of the screen from what the wizard shows and from where somebody is. Pure; it changes nothing.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::Line;
use sealift_wizard::{Screen, Words, width};

use super::body::{self, Body, FAINT, HEADING, PLAIN, SELECTED};
use super::display::Display;
use super::layers;
use super::rows;
use super::run;
use super::state::{Spot, State};

/// The least columns and rows.
pub(super) const FLOOR: (u16, u16) = (80, 24);
/// From here on the steps stand left and the help right.
const WIDE: (u16, u16) = (120, 36);
/// Columns of the two panes.
const LEFT: u16 = 28;
const RIGHT: u16 = 34;
/// The first row below the title and its rule.
const TOP: u16 = 2;
/// Rows of title, two rules, keys and buttons.
const ROWS: u16 = 5;
/// The log of a run has this part of the rows below its title; on small screens it gives way to the page down to
/// [`LEAST_LOG`] of them, its own rule among them.
const LOG: u16 = 3;
const LEAST_LOG: u16 = 3;

/// Everything that a frame is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Picture<'a> {
    pub(super) screen: &'a Screen,
    pub(super) state: &'a State,
    pub(super) words: Words,
    pub(super) display: Display,
}

/// What stands where.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) body: Body,
    /// Where the body stands that is scrolled.
    pub(super) area: Rect,
    /// Its first lines, which are not, and stand above it.
    head: Vec<Line<'static>>,
    /// The log below the page, where there is one.
    pub(super) log: Option<LogPane>,
    message: (Vec<String>, Style),
    panes: bool,
    /// Whether something lies over the page.
    over: bool,
}

impl Layout {
    /// Rows of the body.
    pub(super) fn height(&self) -> usize {
        usize::from(self.area.height)
    }

    /// The last line that the body can be scrolled to.
    pub(super) fn last_scroll(&self) -> usize {
        self.body.lines.len().saturating_sub(self.height())
    }
}

/// The log of a run below its page, with a rule above it.
#[derive(Debug)]
pub(super) struct LogPane {
    lines: Vec<Line<'static>>,
    /// Where its lines stand.
    area: Rect,
    /// Lines above the first that is shown.
    pub(super) scroll: usize,
}

impl LogPane {
    /// Its lines on that many of the rows, from the lowest up.
    fn new(picture: Picture<'_>, whole: Rect, rows: u16) -> Self {
        let lines = run::pane(&picture.screen.log, usize::from(whole.width) - 1);
        let area = Rect { y: whole.bottom() - rows + 1, height: rows - 1, ..whole };
        let mut pane = Self { lines, area, scroll: 0 };
        pane.scroll = picture.state.log_scroll.unwrap_or(usize::MAX).min(pane.last_scroll());
        pane
    }

    /// Rows of its lines.
    pub(super) fn height(&self) -> usize {
        usize::from(self.area.height)
    }

    /// The last line that it can be scrolled to.
    pub(super) fn last_scroll(&self) -> usize {
        self.lines.len().saturating_sub(self.height())
    }
}

/// What stands where on a screen of this size; it is never smaller than the floor.
pub(super) fn layout(picture: Picture<'_>, size: (u16, u16)) -> Layout {
    let (columns, rows) = (size.0.max(FLOOR.0), size.1.max(FLOOR.1));
    let Picture { screen, state, words, .. } = picture;
    let panes = columns >= WIDE.0 && rows >= WIDE.1;
    let message = rows::message(screen, state, words, usize::from(columns) - 2);
    let message_rows = u16::try_from(message.0.len()).unwrap_or(1);
    let (x, width) = if panes { (LEFT + 1, columns - LEFT - RIGHT - 2) } else { (0, columns) };
    let whole = Rect { x: 0, y: TOP, width: columns, height: rows - ROWS - message_rows - 1 };
    let room = usize::from(width) - 1;
    let over = layers::layer(screen, state, words, room);
    let is_over = over.is_some();
    let mut body = over.unwrap_or_else(|| body::page(screen, state, words, room));
    let head: Vec<_> = body.lines.drain(..body.pinned).collect();
    let log = (!is_over && !screen.log.is_empty()).then(|| {
        let most = whole.height / LOG;
        let free = whole.height.saturating_sub(u16::try_from(body.lines.len()).unwrap_or(u16::MAX));
        LogPane::new(picture, whole, if panes { most } else { free.clamp(LEAST_LOG, most) })
    });
    let taken = log.as_ref().map_or(0, |log| log.area.height + 1);
    let above = u16::try_from(head.len()).unwrap_or(0);
    let area = Rect { x, y: whole.y + above, width, height: whole.height - taken - above };
    Layout { body, area, head, log, message, panes, over: is_over }
}

/// Draws all of it; where the cursor stands, if it is to be seen.
pub(super) fn draw(picture: Picture<'_>, buffer: &mut Buffer) -> Option<Position> {
    let area = buffer.area;
    let cursor = if area.width < FLOOR.0 || area.height < FLOOR.1 {
        too_small(picture.words, buffer);
        None
    } else {
        whole(picture, buffer)
    };
    picture.display.fit(buffer);
    cursor
}

/// The one line for a screen on which nothing fits.
fn too_small(words: Words, buffer: &mut Buffer) {
    let area = buffer.area;
    let text = |number: u16| number.to_string();
    let places = [
        ("columns", text(FLOOR.0)),
        ("rows", text(FLOOR.1)),
        ("ownColumns", text(area.width)),
        ("ownRows", text(area.height)),
    ];
    let places = places.each_ref().map(|(name, value)| (*name, value.as_str()));
    let lines = width::wrap(&words.fill("draw.small", &places), usize::from(area.width));
    for (row, line) in (area.y..area.bottom()).zip(&lines) {
        buffer.set_string(area.x, row, line, PLAIN);
    }
}

fn whole(picture: Picture<'_>, buffer: &mut Buffer) -> Option<Position> {
    let Picture { screen, state, words, .. } = picture;
    let size = buffer.area;
    let layout = layout(picture, (size.width, size.height));
    let scroll = if layout.over { state.layer_scroll } else { state.scroll }.min(layout.last_scroll());
    title(screen, words, buffer);
    let hidden = layout.body.lines.len().saturating_sub(scroll + layout.height());
    rule(buffer, 1, scroll, "draw.above", words);
    let area = Rect { y: TOP, ..layout.area };
    lines(buffer, area, layout.head.iter());
    lines(buffer, layout.area, layout.body.lines.iter().skip(scroll));
    if let Some(pane) = &layout.log {
        log(buffer, pane, state, words);
    }
    // A blank row parts the message from what may look like it.
    let below = layout.log.as_ref().map_or(layout.area, |pane| pane.area).bottom() + 1;
    let (text, style) = &layout.message;
    let mut row = below;
    for line in text {
        buffer.set_string(1, row, line, *style);
        row += 1;
    }
    rule(buffer, row, hidden, "draw.below", words);
    let columns = usize::from(size.width);
    buffer.set_string(0, row + 1, rows::keys(screen, state, words, columns), PLAIN);
    if !layout.over {
        for (column, text, button) in rows::button_row(screen, state, words, columns) {
            let style = if state.spot == Spot::Button(button) { SELECTED } else { PLAIN };
            buffer.set_string(u16::try_from(column).unwrap_or(0), row + 2, text, style);
        }
    }
    if layout.panes {
        panes(picture, &layout, buffer);
    }
    let (line, column) = layout.body.cursor?;
    let x = layout.area.x + column;
    let Some(line) = line.checked_sub(layout.head.len()) else {
        return Some(Position { x, y: area.y + u16::try_from(line).ok()? });
    };
    let row = u16::try_from(line.checked_sub(scroll)?).ok().filter(|row| *row < layout.area.height)?;
    Some(Position { x, y: layout.area.y + row })
}

/// Where somebody is: the site, and the page with its number.
fn title(screen: &Screen, words: Words, buffer: &mut Buffer) {
    let columns = usize::from(buffer.area.width);
    let (number, count) = (screen.step.0.to_string(), screen.step.1.to_string());
    let places = [("number", number.as_str()), ("count", &count), ("page", &screen.page_title)];
    let title = body::clean(&screen.title);
    let room = columns.saturating_sub(width::columns(&title) + 4).max(columns / 2);
    let place = width::cut(&words.fill("draw.place", &places), room);
    let start = columns - width::columns(&place) - 1;
    let title = width::cut(&title, start.saturating_sub(3));
    buffer.set_string(1, 0, title, HEADING);
    buffer.set_string(u16::try_from(start).unwrap_or(0), 0, place, HEADING);
}

/// The log, below a rule with its title and what it can do, or how much of it has come since it was held.
fn log(buffer: &mut Buffer, pane: &LogPane, state: &State, words: Words) {
    let row = pane.area.y - 1;
    let hidden = pane.last_scroll() - pane.scroll;
    rule(buffer, row, hidden, "draw.below", words);
    let columns = usize::from(pane.area.width);
    let here = state.spot == Spot::Log;
    let mark = if here { body::HERE } else { " " };
    let title = width::cut(&format!("{mark}{} ", words.text("run.log")), columns / 2);
    buffer.set_string(2, row, title, if here { SELECTED } else { HEADING });
    if hidden == 0 && !here {
        let hint = format!(" {} ", words.text("draw.log.hint"));
        let start = columns.saturating_sub(width::columns(&hint) + 2);
        buffer.set_string(u16::try_from(start).unwrap_or(0), row, hint, FAINT);
    }
    lines(buffer, pane.area, pane.lines.iter().skip(pane.scroll));
}

/// A rule that says how many lines are hidden behind it.
fn rule(buffer: &mut Buffer, row: u16, hidden: usize, key: &str, words: Words) {
    let columns = buffer.area.width;
    buffer.set_string(0, row, "─".repeat(usize::from(columns)), PLAIN);
    if hidden > 0 {
        let text = words.fill(key, &[("count", &hidden.to_string())]);
        let text = format!(" {text} ");
        let start = usize::from(columns).saturating_sub(width::columns(&text) + 2);
        buffer.set_string(u16::try_from(start).unwrap_or(0), row, text, PLAIN);
    }
}

fn lines<'a>(buffer: &mut Buffer, area: Rect, lines: impl Iterator<Item = &'a Line<'static>>) {
    for (row, line) in (area.y..area.bottom()).zip(lines) {
        buffer.set_line(area.x, row, line, area.width);
    }
}

/// The steps left and the help right.
fn panes(picture: Picture<'_>, layout: &Layout, buffer: &mut Buffer) {
    let Picture { screen, state, words, .. } = picture;
    let (top, height) = (TOP, layout.area.bottom() - TOP);
    let left = Rect { x: 0, y: top, width: LEFT, height };
    let mut steps_and_title = Body::default();
    steps_and_title.say(" ", &words.text("draw.pages"), HEADING, usize::from(LEFT));
    steps_and_title.blank();
    steps_and_title.lines.extend(body::steps(screen, words, usize::from(LEFT), None));
    lines(buffer, left, steps_and_title.lines.iter());
    let right = Rect { x: layout.area.right() + 1, y: top, width: RIGHT, height };
    let mut help = Body::default();
    layers::about(&mut help, screen, state, words, usize::from(RIGHT) - 1);
    lines(buffer, right, help.lines.iter());
    for row in top..top + height {
        buffer.set_string(LEFT, row, "│", FAINT);
        buffer.set_string(right.x - 1, row, "│", FAINT);
    }
}
