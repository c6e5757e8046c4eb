//! The annex in words: titles in the reader's language, measured values and digests as they are.

use super::Pages;
use crate::annex::{Annex, FindingLine};
use crate::document::{Block, Cell, Section, Table};

impl Pages<'_> {
    pub(super) fn annex(&self) -> Vec<Section> {
        let annex = &self.report.annex;
        let mut blocks =
            vec![Block::Say(self.text("annex.intro")), Block::Heading(self.text("annex.digests"))];
        blocks.push(Block::Lines(
            annex.digests.iter().map(|(name, value)| (name.clone(), vec![Cell::new(value)])).collect(),
        ));
        if !annex.run.is_empty() {
            blocks.push(Block::Heading(self.text("annex.run")));
            blocks.extend(annex.run.iter().map(|line| Block::Say(line.clone())));
        }
        blocks.push(Block::Heading(self.text("annex.hosts")));
        blocks.push(self.hosts(annex));
        if let Some(summary) = &annex.summary {
            blocks.push(Block::Heading(self.text("annex.checks")));
            blocks.push(Block::Say(summary.clone()));
            blocks.push(Block::Verbatim(matrix(annex)));
            blocks.extend(self.findings(&annex.findings));
        }
        blocks.push(Block::Heading(self.text("annex.ports")));
        let columns =
            ["annex.on", "annex.protocol", "annex.port", "annex.listener", "annex.from", "annex.purpose"];
        let rows = annex.ports.iter().map(|one| {
            [&one.on, &one.protocol, &one.port.to_string(), &one.listener, &one.from, &one.purpose]
                .map(Cell::new)
                .to_vec()
        });
        blocks.push(Block::Table(Table { head: self.head(&columns), rows: rows.collect() }));
        if !annex.sizing.is_empty() {
            blocks.push(Block::Heading(self.text("annex.sizing")));
            blocks.push(Block::Verbatim(annex.sizing.join("\n")));
        }
        blocks.push(Block::Heading(self.text("annex.versions")));
        let rows =
            annex.versions.iter().map(|one| [&one.name, &one.version, &one.digest].map(Cell::new).to_vec());
        let head = self.head(&["annex.name", "annex.version", "annex.digest"]);
        blocks.push(Block::Table(Table { head, rows: rows.collect() }));
        blocks.push(Block::Heading(self.text("annex.profile")));
        blocks.push(Block::Verbatim(annex.profile.clone()));
        vec![Section { id: "annex", title: self.text("section.annex"), annex: true, new_page: true, blocks }]
    }

    fn hosts(&self, annex: &Annex) -> Block {
        let rows = annex.hosts.iter().map(|host| {
            let unknown =
                |text: &str| if text.is_empty() { self.text("annex.unseen") } else { text.to_owned() };
            vec![
                Cell::new(&host.name),
                Cell::new(&host.address),
                Cell::new(&host.role),
                Cell::new(unknown(&host.system)),
                Cell::new(unknown(&host.size)),
            ]
        });
        let head = self.head(&["annex.name", "annex.address", "annex.role", "annex.system", "annex.size"]);
        Block::Table(Table { head, rows: rows.collect() })
    }

    /// One block for each, as at the terminal.
    fn findings(&self, findings: &[FindingLine]) -> Vec<Block> {
        let mut blocks = Vec::new();
        for finding in findings {
            let title = self.words.check_title(&finding.check, &finding.title);
            let hosts = finding.hosts.join(", ");
            let place = if hosts.is_empty() { String::new() } else { format!(" ({hosts})") };
            let risk = if finding.risk.is_empty() { String::new() } else { format!("{}, ", finding.risk) };
            let head = format!("{risk}{}: {title}{place}, {}", finding.check, finding.state);
            let parts = [
                ("annex.measured", &finding.measured),
                ("annex.limit", &finding.limit),
                ("annex.why", &finding.why),
                ("annex.remedy", &finding.remedy),
            ];
            let lines = parts.into_iter().filter(|(_, text)| !text.is_empty());
            blocks.push(Block::Heading(head));
            blocks.push(Block::Lines(
                lines.map(|(key, text)| (self.text(key), vec![Cell::new(text)])).collect(),
            ));
        }
        blocks
    }
}

/// Groups below each other, hosts beside each other by number; the last column is the site as a whole.
fn matrix(annex: &Annex) -> String {
    let hosts = annex.hosts.len();
    let column = |text: &str| format!("{text:>4}");
    let head: String = (1..=hosts).map(|number| column(&number.to_string())).chain([column("all")]).collect();
    let mut lines = vec![format!("{:<10}{head}", "")];
    for row in &annex.matrix {
        let marks: String = row.marks.iter().map(|mark| column(&mark.to_string())).collect();
        lines.push(format!("{:<10}{marks}", row.group));
    }
    lines.push(". ok  W warning  F fail  A accepted  B blocked  ? broke  - not run".to_owned());
    lines.join("\n")
}
