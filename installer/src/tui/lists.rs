//! Groups by hosts and named values, as lines of a page.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use sealift_checks::{Columns, Mark, Matrix};
use sealift_wizard::{Entry, width};

use super::body::{BAD, Body, FAINT, GOOD, HEADING, HERE, INDENT, PLAIN, SELECTED, WARNING, clean};
use super::state::{Spot, State};

/// Columns of a name before its value.
const NAME: usize = 13;
/// Least columns of a group's name.
const TITLE: usize = 8;

fn style(mark: Mark) -> Style {
    match mark {
        Mark::NotRun => FAINT,
        Mark::Pass => GOOD,
        Mark::Warn | Mark::Accepted | Mark::Blocked => WARNING,
        Mark::Error | Mark::Fail => BAD,
    }
}

/// How a matrix is laid out on this screen.
struct Grid<'a> {
    matrix: &'a Matrix,
    columns: Columns,
    /// Columns of the groups' names.
    title: usize,
    /// What stands over the marks for the whole site; none where there are no such marks.
    site: Option<&'a str>,
}

impl Grid<'_> {
    /// The lines above the marks of these hosts.
    fn heads(&self, hosts: &std::ops::Range<usize>) -> Vec<String> {
        let width = self.columns.width;
        let last = self.columns.heads.len().saturating_sub(1);
        let line = |(index, heads): (usize, &Vec<String>)| {
            let heads = &heads[hosts.clone()];
            let cells = heads.iter().fold(String::new(), |text, head| text + &format!("{head:>width$}"));
            let site = self.site.filter(|_| index == last && hosts.start == 0);
            let site = site.map_or_else(String::new, |site| format!("  {site}"));
            " ".repeat(self.title) + &cells + &site
        };
        self.columns.heads.iter().enumerate().map(line).collect()
    }

    /// The marks of a row on these hosts, and for the site beside the first of them.
    fn marks(&self, row: usize, hosts: &std::ops::Range<usize>, here: bool) -> Vec<Span<'static>> {
        let row = &self.matrix.rows[row];
        let span = |mark: Option<Mark>, width: usize| {
            let letter = mark.map_or(' ', Mark::letter);
            let style = if here { SELECTED } else { mark.map_or(PLAIN, style) };
            Span::styled(format!("{letter:>width$}"), style)
        };
        let mut spans: Vec<_> =
            row.hosts[hosts.clone()].iter().map(|mark| span(*mark, self.columns.width)).collect();
        if let Some(site) = self.site.filter(|_| hosts.start == 0) {
            spans.push(span(row.site, 2 + width::columns(site)));
        }
        spans
    }
}

impl Body {
    /// A mark for each group on each host. More hosts than fit beside each other stand in blocks below each other; the
    /// first block is where somebody walks.
    pub(super) fn matrix(
        &mut self,
        matrix: &Matrix,
        entries: &[Entry],
        (site, hosts): (&str, &str),
        (state, first): (&State, usize),
        columns: usize,
    ) {
        let name = |entry: &Entry| entry.cells.first().cloned().unwrap_or_default();
        let title = entries.iter().map(|entry| width::columns(&name(entry))).max().unwrap_or(0).max(TITLE);
        let site = matrix.rows.iter().any(|row| row.site.is_some()).then_some(site);
        let taken = INDENT.len() + title + site.map_or(0, |site| width::columns(site) + 2);
        let columns_of_hosts = matrix.narrow_columns(columns.saturating_sub(taken));
        let grid = Grid { matrix, columns: columns_of_hosts, title, site };
        let count = matrix.hosts.len();
        for start in (0..count.max(1)).step_by(grid.columns.at_once) {
            let block = start..count.min(start + grid.columns.at_once);
            for head in grid.heads(&block) {
                self.lines.push(Line::from(vec![Span::raw(INDENT), Span::styled(head, HEADING)]));
            }
            for (row, entry) in entries.iter().enumerate() {
                let spot = Spot::Line(first + row);
                let here = state.spot == spot;
                let (mark, style) = if here { (HERE, SELECTED) } else { (INDENT, PLAIN) };
                let mark = if start == 0 { mark } else { INDENT };
                let title = Span::styled(width::pad(&name(entry), title), style);
                let mut spans = vec![Span::raw(mark), title];
                spans.extend(grid.marks(row, &block, here));
                if start == 0 {
                    self.spots.push((spot, self.lines.len()..self.lines.len() + 1));
                }
                self.lines.push(Line::from(spans));
            }
        }
        if !grid.columns.by_name {
            let names =
                matrix.hosts.iter().enumerate().map(|(index, name)| format!("{}\u{a0}{name}", index + 1));
            let names = names.collect::<Vec<_>>().join("  ");
            let start = self.lines.len();
            self.say(INDENT, &format!("{hosts}  {names}"), PLAIN, columns);
            // What kept a number beside its name is an ordinary blank on the screen.
            for line in &mut self.lines[start..] {
                for span in &mut line.spans {
                    span.content = span.content.replace('\u{a0}', " ").into();
                }
            }
        }
    }

    /// A value with its name before it.
    pub(super) fn pair(&mut self, name: &str, text: &str, columns: usize) {
        let room = columns.saturating_sub(INDENT.len() + NAME);
        for (index, line) in width::wrap(&clean(text), room).into_iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            let name = Span::styled(width::pad(name, NAME), HEADING);
            self.lines.push(Line::from(vec![Span::raw(INDENT), name, Span::raw(line)]));
        }
    }
}
