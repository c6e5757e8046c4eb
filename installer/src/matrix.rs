//! Findings for people: groups by hosts in 80 columns, then what is not as it should be, in words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use sealift_checks::{Finding, Group, State, accepted};
use sealift_profile::Site;

/// Width of a terminal that nobody made wider.
const WIDTH: usize = 80;
/// Width of a row's title.
const TITLE: usize = 8;
/// Least width of a host's column: two digits and a space.
const COLUMN: usize = 3;
/// Lines about one check at most, where hosts differ in what was measured.
const LINES: usize = 3;

/// What the marks mean.
const LEGEND: &str = ". ok  W warning  F fail  A accepted  B blocked  ? broke  - not run";

/// The matrix; more hosts than fit beside each other stand in blocks below each other.
pub(crate) fn lines(findings: &[Finding], site: &Site) -> Vec<String> {
    let hosts: Vec<&str> = site.hosts.iter().map(|host| host.name.as_str()).collect();
    let widest = hosts.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let by_name = TITLE + hosts.len() * (widest + 1).max(COLUMN) <= WIDTH;
    let column = if by_name { (widest + 1).max(COLUMN) } else { COLUMN };
    let heads: Vec<String> = if by_name {
        hosts.iter().map(|name| (*name).to_owned()).collect()
    } else {
        (1..=hosts.len()).map(|number| number.to_string()).collect()
    };
    let marks = marks(findings, site);
    let mut lines = Vec::new();
    // Three digits fill a column: then there is a column more between numbers.
    let column = if heads.len() > 99 { column.max(COLUMN + 1) } else { column };
    let at_once = ((WIDTH - TITLE) / column).max(1);
    for (hosts, heads) in hosts.chunks(at_once).zip(heads.chunks(at_once)) {
        lines.push(row("", heads, column));
        for group in Group::ALL {
            let cells: Vec<String> = hosts
                .iter()
                .map(|host| marks.get(&(group, Some(*host))).copied().unwrap_or(' ').to_string())
                .collect();
            if cells.iter().any(|cell| cell != " ") {
                lines.push(row(group.title(), &cells, column));
            }
        }
    }
    for group in Group::ALL {
        if let Some(mark) = marks.get(&(group, None)) {
            lines.push(format!("{} for the whole site", row(group.title(), &[mark.to_string()], COLUMN)));
        }
    }
    if !by_name {
        let names: Vec<String> =
            hosts.iter().enumerate().map(|(i, name)| format!("{} {name}", i + 1)).collect();
        lines.extend(wrapped("Hosts    ", &names.join("  ")));
    }
    lines.push(LEGEND.to_owned());
    lines
}

fn row(title: &str, cells: &[String], column: usize) -> String {
    let mut line = format!("{title:<TITLE$}");
    for cell in cells {
        // Writing to a String cannot fail.
        let _ = write!(line, "{cell:>column$}");
    }
    line
}

/// The gravest finding of each group and host (none for the site as a whole).
fn marks<'a>(findings: &'a [Finding], site: &Site) -> BTreeMap<(Group, Option<&'a str>), char> {
    let mut marks: BTreeMap<(Group, Option<&str>), (u8, char)> = BTreeMap::new();
    for finding in findings {
        let mark = match finding.state {
            State::Pass => (1, '.'),
            State::NotRun => (0, '-'),
            State::Warn => (2, 'W'),
            State::Fail if accepted(finding, site) => (3, 'A'),
            State::Blocked => (4, 'B'),
            State::Error => (5, '?'),
            State::Fail => (6, 'F'),
        };
        let place = marks.entry((finding.group, finding.host.as_deref())).or_insert(mark);
        *place = (*place).max(mark);
    }
    marks.into_iter().map(|(place, (_, mark))| (place, mark)).collect()
}

/// What does not stand in the way but is not as it should be: a line or more for each check, hosts put together.
/// What was not run is only named.
pub(crate) fn exceptions(findings: &[&Finding]) -> Vec<String> {
    let mut lines = Vec::new();
    let speaking = |finding: &&&Finding| !matches!(finding.state, State::Pass | State::NotRun);
    let kinds = groups(findings.iter().filter(speaking).copied(), |finding| (finding.check, finding.state));
    for alike in kinds {
        let said = groups(alike.iter().copied(), |finding| finding.measured.clone());
        for same in said.iter().take(LINES) {
            let first = same[0];
            let text = format!("{}{}: {}", first.check, place(same), first.measured);
            lines.extend(wrapped(&format!("  {:<8}", first.state.word()), &text));
        }
        if said.len() > LINES {
            let hosts: usize = said.iter().skip(LINES).map(Vec::len).sum();
            let check = alike[0].check;
            lines.extend(wrapped(
                "          ",
                &format!("{check} on {hosts} more hosts; --output json names them"),
            ));
        }
    }
    let looked_at = |host: &str| {
        let of_host = |finding: &&&Finding| finding.host.as_deref() == Some(host);
        findings.iter().filter(of_host).any(|finding| finding.state != State::NotRun)
    };
    let silent: BTreeSet<&str> = findings.iter().filter_map(|finding| finding.host.as_deref()).collect();
    let silent: Vec<&str> = silent.into_iter().filter(|host| !looked_at(host)).collect();
    if !silent.is_empty() {
        lines.extend(wrapped("  not run ", &format!("everything on {}", silent.join(", "))));
    }
    let waiting: BTreeSet<&str> = findings
        .iter()
        .filter(|finding| finding.state == State::NotRun)
        .filter(|finding| finding.host.as_deref().is_none_or(|host| !silent.contains(&host)))
        .map(|finding| finding.check)
        .collect();
    if !waiting.is_empty() {
        let names: Vec<&str> = waiting.into_iter().collect();
        lines.extend(wrapped("  not run ", &names.join(", ")));
    }
    lines
}

/// What stands in the way, each reason once with all its hosts: title, then measured, limit, why, what to do.
pub(crate) fn reasons(findings: &[&Finding]) -> Vec<String> {
    let alike = groups(findings.iter().copied(), |finding| {
        (
            finding.check,
            finding.state,
            finding.measured.clone(),
            finding.threshold.clone(),
            finding.remedy.clone(),
        )
    });
    alike.iter().map(|same| reason(same)).collect()
}

fn reason(same: &[&Finding]) -> String {
    let finding = same[0];
    let mut text = format!("{}{}: {}", finding.check, place(same), finding.title);
    for (name, value) in [
        ("measured", &finding.measured),
        ("limit", &finding.threshold),
        ("why", &finding.why),
        ("what to do", &finding.remedy),
    ] {
        if !value.is_empty() {
            text = format!("{text}\n{name:<11} {value}");
        }
    }
    text
}

/// ` on m1, m2 and w1`; nothing for the site as a whole.
fn place(findings: &[&Finding]) -> String {
    let hosts: Vec<&str> = findings.iter().filter_map(|finding| finding.host.as_deref()).collect();
    match hosts.as_slice() {
        [] => String::new(),
        [one] => format!(" on {one}"),
        [most @ .., last] => format!(" on {} and {last}", most.join(", ")),
    }
}

/// Findings with one key together, in the order in which the keys come first.
fn groups<'a, K: PartialEq>(
    findings: impl Iterator<Item = &'a Finding>,
    key: impl Fn(&Finding) -> K,
) -> Vec<Vec<&'a Finding>> {
    let mut groups: Vec<(K, Vec<&Finding>)> = Vec::new();
    for finding in findings {
        let wanted = key(finding);
        match groups.iter_mut().find(|(key, _)| *key == wanted) {
            Some((_, group)) => group.push(finding),
            None => groups.push((wanted, vec![finding])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Text in lines of at most [`WIDTH`], the first behind `head`, the others as far in. A word that is longer stays whole.
fn wrapped(head: &str, text: &str) -> Vec<String> {
    let indent = " ".repeat(head.chars().count());
    let mut lines = Vec::new();
    let mut line = head.to_owned();
    let mut empty = true;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let room = line.chars().count() + usize::from(!empty) + word.chars().count() <= WIDTH;
        if !room && !empty {
            lines.push(std::mem::replace(&mut line, indent.clone()));
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests;
