//! Findings for people: groups by hosts in 80 columns, then what is not as it should be, in words.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sealift_checks::{Finding, Mark, Matrix, State};
use sealift_profile::Site;

/// Width of a terminal that nobody made wider.
const WIDTH: usize = 80;
/// Width of a row's title.
const TITLE: usize = 8;
/// Width of a mark for the whole site.
const COLUMN: usize = 3;
/// Lines about one check at most, where hosts differ in what was measured.
const LINES: usize = 3;

/// What the marks mean.
const LEGEND: &str = ". ok  W warning  F fail  A accepted  B blocked  ? broke  - not run";

/// The matrix; more hosts than fit beside each other stand in blocks below each other.
pub(crate) fn lines(findings: &[Finding], site: &Site) -> Vec<String> {
    let hosts = site.hosts.iter().map(|host| host.name.clone()).collect();
    let matrix = Matrix::of(findings, hosts, &site.accepted_risks);
    let columns = matrix.columns(WIDTH - TITLE);
    let mut lines = Vec::new();
    for first in (0..matrix.hosts.len()).step_by(columns.at_once) {
        let block = first..matrix.hosts.len().min(first + columns.at_once);
        lines.extend(columns.heads.iter().map(|heads| row("", &heads[block.clone()], columns.width)));
        for group in &matrix.rows {
            let marks = &group.hosts[block.clone()];
            if marks.iter().any(Option::is_some) {
                let cells: Vec<String> = marks.iter().copied().map(cell).collect();
                lines.push(row(group.group.title(), &cells, columns.width));
            }
        }
    }
    for group in matrix.rows.iter().filter(|group| group.site.is_some()) {
        let row = row(group.group.title(), &[cell(group.site)], COLUMN);
        lines.push(format!("{row} for the whole site"));
    }
    if !columns.by_name {
        let names: Vec<String> =
            matrix.hosts.iter().enumerate().map(|(i, name)| format!("{} {name}", i + 1)).collect();
        lines.extend(wrapped("Hosts    ", &names.join("  ")));
    }
    lines.push(LEGEND.to_owned());
    lines
}

fn cell(mark: Option<Mark>) -> String {
    mark.map_or(' ', Mark::letter).to_string()
}

fn row(title: &str, cells: &[String], column: usize) -> String {
    let mut line = format!("{title:<TITLE$}");
    for cell in cells {
        // Writing to a String cannot fail.
        let _ = write!(line, "{cell:>column$}");
    }
    line
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
