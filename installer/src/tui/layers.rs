//! What lies over the page, as lines: help, questions, lists. One at a time, in the place of the body.

use ratatui::text::{Line, Span};
use sealift_wizard::{FieldView, NewKey, Screen, Verdict, Words, key_rows, width};
use tui_input::Input;

use super::body::{BAD, Body, FAINT, HEADING, PLAIN, SELECTED, clean, steps, visible};
use super::run;
use super::state::{Asked, Layer, Spot, State, fields, table_lines};

/// Lines of a list that are shown above the one that is typed.
const SHOWN: usize = 8;

/// What lies over the page, if anything does.
pub(super) fn layer(screen: &Screen, state: &State, words: Words, columns: usize) -> Option<Body> {
    if let Some(asked) = &state.asked {
        return Some(secret(asked, words, columns));
    }
    let question = screen.leaving.as_ref().map(|question| ("draw.leave", question));
    if let Some((title, question)) =
        question.or(screen.stopping.as_ref().map(|question| ("draw.stop", question)))
    {
        return Some(heading(&words.text(title), question, columns));
    }
    Some(match state.layer.as_ref()? {
        Layer::Help => help(screen, state, words, columns),
        Layer::Pages(at) => pages(screen, words, columns, *at),
        Layer::RemoveHost(index) => {
            let name = host_name(screen, *index);
            let question = words.fill("draw.remove.ask", &[("name", &name)]);
            heading(&words.text("draw.remove"), &question, columns)
        }
        Layer::TrustKeys(keys) => trust(keys, screen.asking, words, columns),
        Layer::Import(input) => {
            let mut body = heading(&words.text("draw.import"), &words.text("draw.import.ask"), columns);
            body.blank();
            body.input(input, columns);
            body
        }
        Layer::List { lines, input } => list(lines, input, words, columns),
        Layer::Log(log) => run::log(log, words, columns),
    })
}

/// The name of a host in the table; its number where it has none. In a host, it is this one.
pub(super) fn host_name(screen: &Screen, index: usize) -> String {
    let name = table_lines(screen).get(index).and_then(|cells| cells.get(1)).filter(|name| *name != "-");
    name.cloned().unwrap_or_else(|| (index + 1).to_string())
}

fn heading(title: &str, text: &str, columns: usize) -> Body {
    let mut body = Body::default();
    body.say(" ", title, HEADING, columns);
    body.blank();
    body.say(" ", text, PLAIN, columns);
    body
}

impl Body {
    fn input(&mut self, input: &Input, columns: usize) {
        let room = columns.saturating_sub(2);
        let (shown, column) = visible(input, room);
        self.cursor = Some((self.lines.len(), u16::try_from(column + 1).unwrap_or(u16::MAX)));
        let text = Span::styled(width::pad(&shown, room), SELECTED);
        self.lines.push(Line::from(vec![Span::raw(" "), text]));
    }
}

/// The question stands above the list: it is seen however long the list is.
fn trust(keys: &[NewKey], asking: usize, words: Words, columns: usize) -> Body {
    let mut body = heading(&words.text("draw.trust"), &words.text("draw.trust.ask"), columns);
    if asking > 0 {
        let places = [("count", &*asking.to_string())];
        body.say(" ", &words.fill("draw.trust.asking", &places), PLAIN, columns);
    }
    body.blank();
    body.rows(&key_rows(words, keys), columns);
    body
}

/// A password is shown as dots.
fn secret(asked: &Asked, words: Words, columns: usize) -> Body {
    let mut body = heading(&words.text("draw.secret"), &clean(&asked.label), columns);
    body.blank();
    let dots = asked.typed.count().min(columns.saturating_sub(3));
    body.cursor = Some((body.lines.len(), u16::try_from(dots + 1).unwrap_or(u16::MAX)));
    let text = Span::styled(width::pad(&"●".repeat(dots), columns.saturating_sub(2)), SELECTED);
    body.lines.push(Line::from(vec![Span::raw(" "), text]));
    body.blank();
    body.say(" ", &words.text("draw.secret.wiped"), FAINT, columns);
    body
}

fn pages(screen: &Screen, words: Words, columns: usize, at: usize) -> Body {
    let mut body = heading(&words.text("draw.pages"), &words.text("draw.pages.which"), columns);
    body.blank();
    let start = body.lines.len();
    body.lines.extend(steps(screen, words, columns.min(64), Some(at)));
    body.spots =
        (0..screen.steps.len()).map(|index| (Spot::Line(index), start + index..start + index + 1)).collect();
    body
}

fn list(lines: &[String], input: &Input, words: Words, columns: usize) -> Body {
    let mut body = heading(&words.text("draw.list"), &words.text("draw.list.how"), columns);
    body.blank();
    let count = lines.len().to_string();
    body.say(" ", &words.fill("draw.list.count", &[("count", &count)]), HEADING, columns);
    for line in &lines[lines.len().saturating_sub(SHOWN)..] {
        let line = width::cut(&clean(line), columns.saturating_sub(2));
        body.lines.push(Line::from(format!(" {line}")));
    }
    body.input(input, columns);
    body
}

/// The field that is looked at.
pub(super) fn looked_at<'a>(screen: &'a Screen, state: &State) -> Option<&'a FieldView> {
    let Spot::Field(path) = &state.spot else { return None };
    fields(screen).find(|field| field.path == *path)
}

/// Why the last thing was not taken, about the question, and all keys.
fn help(screen: &Screen, state: &State, words: Words, columns: usize) -> Body {
    let mut body = Body::default();
    if let Some(refused) = &screen.refused {
        body.say(" ", &words.text("draw.help.refused"), HEADING, columns);
        body.say("   ", &refused.message, BAD, columns);
        body.say("   ", &refused.remedy, PLAIN, columns);
        body.blank();
    }
    about(&mut body, screen, state, words, columns);
    body.blank();
    body.say(" ", &words.text("draw.help.keys"), HEADING, columns);
    for line in words.text("draw.help.keys.all").lines() {
        body.say("   ", line, PLAIN, columns);
    }
    body
}

/// What is known of the question that is looked at, or what the page is for.
pub(super) fn about(body: &mut Body, screen: &Screen, state: &State, words: Words, columns: usize) {
    let Some(field) = looked_at(screen, state) else {
        body.say(" ", &screen.page_title, HEADING, columns);
        body.say("   ", &screen.intro, PLAIN, columns);
        return;
    };
    body.say(" ", &field.label, HEADING, columns);
    for text in &field.help {
        body.say("   ", text, PLAIN, columns);
    }
    if let Verdict::Wrong { message, remedy } = &field.verdict {
        body.say("   ", message, BAD, columns);
        body.say("   ", remedy, PLAIN, columns);
    }
    body.say("   ", &words.text(field.source.key()), FAINT, columns);
}
