//! The page of checks and its parts: groups by hosts, the findings of a group, one finding, accepted risks, what can be
//! mended.

use std::cmp::Reverse;

use sealift_checks::{Finding, Group, Mark, Matrix, State, Wish, check, may_be_accepted, stands_in_the_way};

use crate::effect::Message;
use crate::look::{MadeChange, MadeResult};
use crate::model::{Model, Task};
use crate::page::PageId;
use crate::part::{FindingName, Part};
use crate::screen::{Action, Entry, Row};
use crate::width;

/// Columns of a host's measurement in the list of findings.
const MEASURED: usize = 36;
/// Hosts that are named for one mark of a group.
const NAMED: usize = 6;

/// The word of a mark, in lists and over findings.
fn word(mark: Mark) -> &'static str {
    match mark {
        Mark::NotRun => "found.notRun",
        Mark::Pass => "found.pass",
        Mark::Warn => "found.warn",
        Mark::Accepted => "found.accepted",
        Mark::Blocked => "found.blocked",
        Mark::Error => "found.error",
        Mark::Fail => "found.fail",
    }
}

/// The word of a group.
fn group_word(group: Group) -> &'static str {
    match group {
        Group::Access => "group.access",
        Group::Identity => "group.identity",
        Group::System => "group.system",
        Group::Time => "group.time",
        Group::Network => "group.network",
        Group::Disks => "group.disks",
        Group::Product => "group.product",
    }
}

impl Model {
    pub(super) fn check_rows(&self) -> Vec<Row> {
        match self.part() {
            None => self.all_checks(),
            Some(Part::Group(group)) => {
                self.task(&self.checked, "checks.idle", |findings| self.group_rows(findings, *group))
            }
            Some(Part::Finding(name)) => self.task(&self.checked, "checks.idle", |_| self.finding_rows(name)),
            Some(Part::Risk(index)) => self.risk_rows(*index),
            Some(Part::Fixes) => self.fix_rows(),
            Some(Part::PlannedHost(_)) => Vec::new(),
        }
    }

    fn pair(&self, key: &str, text: impl Into<String>) -> Row {
        Row::Pair { name: self.words().text(key), text: text.into() }
    }

    fn all_checks(&self) -> Vec<Row> {
        if self.document.is_none() {
            return [vec![self.text("checks.noBundle")], self.risk_list()].concat();
        }
        let mut rows = self.made_rows();
        rows.extend(self.task(&self.checked, "checks.idle", |findings| self.matrix_rows(findings)));
        rows.extend(self.risk_list());
        rows.push(self.deep("checks.deep"));
        rows
    }

    /// How to measure what takes load: on the command line.
    fn deep(&self, key: &str) -> Row {
        Row::Text(self.words().fill(key, &[("command", &self.command("check --deep"))]))
    }

    fn matrix_rows(&self, findings: &[Finding]) -> Vec<Row> {
        let words = self.words();
        let name = |index: usize| self.draft.get(&format!("hosts[{index}].name"))?.as_str();
        let mut hosts: Vec<String> = (0..self.draft.hosts()).filter_map(name).map(str::to_owned).collect();
        // Where answers have changed since, findings may name others.
        for host in findings.iter().filter_map(|finding| finding.host.as_ref()) {
            if !hosts.contains(host) {
                hosts.push(host.clone());
            }
        }
        let matrix = Matrix::of(findings, hosts, &self.accepted_risks());
        let entry = |row: &sealift_checks::MatrixRow| Entry {
            cells: vec![words.text(group_word(row.group)), self.counts_of(findings, row.group)],
            opens: Message::Open(Part::Group(row.group)),
        };
        let entries = matrix.rows.iter().map(entry).collect();
        let (site, hosts) = (words.text("checks.site"), words.text("checks.hosts"));
        let mut rows = vec![Row::Matrix { matrix, entries, site, hosts }];
        let letters =
            Mark::ALL.iter().rev().map(|mark| format!("{} {}", mark.letter(), words.text(word(*mark))));
        rows.push(Row::Text(letters.collect::<Vec<_>>().join("  ")));
        let (count, hosts) = (findings.len().to_string(), self.draft.hosts().to_string());
        let counts = self.counts(findings.iter(), |_| String::new());
        let places = [("count", count.as_str()), ("hosts", &hosts), ("counts", &counts)];
        rows.push(Row::Text(words.fill("checks.counts", &places)));
        let fixes = self.wishes().len();
        if fixes > 0 {
            rows.push(Row::Text(words.fill("checks.fixes", &[("count", &fixes.to_string())])));
        }
        rows
    }

    /// `1 FAIL (m1), 12 ok`: the gravest first.
    fn counts_of(&self, findings: &[Finding], group: Group) -> String {
        let of_group = || findings.iter().filter(|finding| finding.group == group);
        let risks = self.accepted_risks();
        let hosts = |mark: Mark| {
            let mut hosts: Vec<&str> = Vec::new();
            let alike = of_group().filter(|finding| Mark::of(finding, &risks) == mark);
            for host in alike.filter_map(|finding| finding.host.as_deref()) {
                if !hosts.contains(&host) {
                    hosts.push(host);
                }
            }
            let more = hosts.len() > NAMED;
            hosts.truncate(NAMED);
            let hosts = hosts.join(", ") + if more { "…" } else { "" };
            if hosts.is_empty() || mark <= Mark::Pass { String::new() } else { format!(" ({hosts})") }
        };
        self.counts(of_group(), hosts)
    }

    fn counts<'a>(
        &self,
        findings: impl Iterator<Item = &'a Finding>,
        hosts: impl Fn(Mark) -> String,
    ) -> String {
        let risks = self.accepted_risks();
        let marks: Vec<Mark> = findings.map(|finding| Mark::of(finding, &risks)).collect();
        let count = |mark: &Mark| {
            let count = marks.iter().filter(|one| *one == mark).count();
            (count > 0).then(|| format!("{count} {}{}", self.words().text(word(*mark)), hosts(*mark)))
        };
        Mark::ALL.iter().rev().filter_map(count).collect::<Vec<_>>().join(&self.words().text("word.comma"))
    }

    /// The findings of a group, the gravest first.
    fn group_rows(&self, findings: &[Finding], group: Group) -> Vec<Row> {
        let words = self.words();
        let risks = self.accepted_risks();
        let mut found: Vec<(Mark, &Finding)> = findings
            .iter()
            .filter(|finding| finding.group == group)
            .map(|finding| (Mark::of(finding, &risks), finding))
            .collect();
        found.sort_by_key(|(mark, _)| Reverse(*mark));
        let entry = |(mark, finding): &(Mark, &Finding)| Entry {
            cells: vec![
                words.text(word(*mark)),
                finding.check.to_owned(),
                finding.host.clone().unwrap_or_else(|| words.text("checks.site")),
                width::cut(&finding.measured, MEASURED),
            ],
            opens: Message::Open(Part::Finding(FindingName::of(finding))),
        };
        let names = ["state", "check", "host", "measured"].map(|name| words.text(&format!("finding.{name}")));
        vec![Row::Entries { names: names.to_vec(), entries: found.iter().map(entry).collect() }]
    }

    /// What was measured, what it is compared with, why it matters, what to do, who accepts it.
    fn finding_rows(&self, name: &FindingName) -> Vec<Row> {
        let Some(finding) = self.finding(name) else { return vec![self.text("checks.idle")] };
        let words = self.words();
        let risks = self.accepted_risks();
        let state = words.text(word(Mark::of(finding, &risks)));
        let mut rows = vec![
            Row::Heading(words.fill("finding.heading", &[("about", &self.about(name)), ("state", &state)])),
            Row::Text(finding.title.into()),
        ];
        let parts = [
            ("finding.measured", &finding.measured),
            ("finding.limit", &finding.threshold),
            ("finding.why", &finding.why),
            ("finding.remedy", &finding.remedy),
        ];
        let said = parts.into_iter().filter(|(_, text)| !text.is_empty());
        rows.extend(said.map(|(key, text)| self.pair(key, text.clone())));
        rows.extend(finding.fixes.iter().map(|fix| self.pair("finding.fix", fix.to_string())));
        rows.extend(self.acceptance_row(name));
        if may_be_accepted(finding) && self.risk_about(name).is_none() {
            rows.push(self.text("finding.mayBeAccepted"));
        } else if stands_in_the_way(finding, &risks) && !may_be_accepted(finding) {
            rows.push(self.text("finding.mayNotBeAccepted"));
        }
        if finding.state == State::NotRun && check(finding.check).is_some_and(|check| check.deep) {
            rows.push(self.deep("finding.deep"));
        }
        rows
    }

    fn acceptance_row(&self, name: &FindingName) -> Option<Row> {
        let words = self.words();
        let text = match self.accepted_risk(self.risk_about(name)?) {
            Some(risk) => {
                let places =
                    [("person", risk.person.as_str()), ("until", &risk.until), ("reason", &risk.reason)];
                words.fill("finding.acceptedBy", &places)
            }
            None => words.text("risk.open"),
        };
        Some(self.pair("finding.accepted", text))
    }

    /// `disk.space on m1`.
    fn about(&self, name: &FindingName) -> String {
        let host = name.host.clone().unwrap_or_else(|| self.words().text("checks.site"));
        self.words().fill("finding.about", &[("check", name.check), ("host", &host)])
    }

    /// What the form of an accepted risk begins with.
    fn risk_rows(&self, index: usize) -> Vec<Row> {
        let check_id = self.of_risk(index, "check").unwrap_or_default();
        let mut rows = vec![Row::Heading(check_id.to_owned())];
        rows.extend(check(check_id).map(|check| Row::Text(check.title.to_owned())));
        let finding = self.parts.iter().find_map(|part| match part {
            Part::Finding(name) => self.finding(name),
            _ => None,
        });
        rows.extend(finding.map(|finding| self.pair("finding.measured", finding.measured.clone())));
        rows.extend(finding.map(|finding| self.pair("finding.why", finding.why.clone())));
        if finding.is_none() {
            rows.push(Row::Text(self.risk_state(index)));
        }
        rows
    }

    /// All accepted risks, with whether they still fit what was found.
    fn risk_list(&self) -> Vec<Row> {
        if self.risk_count() == 0 {
            return Vec::new();
        }
        let words = self.words();
        let entry = |index: usize| {
            let said = |key: &str| self.of_risk(index, key).unwrap_or("-").to_owned();
            let host =
                self.of_risk(index, "host").map_or_else(|| words.text("risk.everyHost"), str::to_owned);
            Entry {
                cells: vec![said("check"), host, said("person"), said("until"), self.risk_state(index)],
                opens: Message::Open(Part::Risk(index)),
            }
        };
        let names =
            ["check", "host", "person", "until", "state"].map(|name| words.text(&format!("risk.{name}")));
        let entries = (0..self.risk_count()).map(entry).collect();
        vec![self.heading("checks.risks"), Row::Entries { names: names.to_vec(), entries }]
    }

    fn risk_state(&self, index: usize) -> String {
        let words = self.words();
        let Some(risk) = self.accepted_risk(index) else { return words.text("risk.open") };
        match self.fits(&risk) {
            None => words.text("risk.unknown"),
            Some(0) => words.text("risk.fitsNothing"),
            Some(count) => words.fill("risk.fits", &[("count", &count.to_string())]),
        }
    }

    /// The question whether to mend, with everything that would be changed.
    fn fix_rows(&self) -> Vec<Row> {
        let words = self.words();
        let wishes = self.wishes();
        if wishes.is_empty() {
            return vec![self.text("refused.noFix")];
        }
        let line = |wish: &Wish| vec![wish.host.clone(), wish.fix.to_string(), wish.check.to_owned()];
        let names = ["host", "change", "check"].map(|name| words.text(&format!("fix.{name}")));
        let table = Row::Table { names: names.to_vec(), lines: wishes.iter().map(line).collect() };
        let undo = words.fill("fix.undo", &[("command", &self.command("check --undo-fixes"))]);
        vec![Row::Heading(words.text("fix.ask")), table, Row::Text(undo)]
    }

    /// What became of what was mended last.
    fn made_rows(&self) -> Vec<Row> {
        if self.fixed == Task::Idle {
            return Vec::new();
        }
        let mut rows = vec![self.heading("fix.made")];
        rows.extend(self.task(&self.fixed, "fix.none", |made| {
            if made.is_empty() {
                return vec![self.text("fix.none")];
            }
            made.iter().map(|made| Row::Text(self.made(made))).collect()
        }));
        if self.fixed.value().is_some() {
            rows.push(self.heading("fix.now"));
        }
        rows
    }

    fn made(&self, made: &MadeChange) -> String {
        let words = self.words();
        let result = match &made.result {
            MadeResult::Done => words.text("fix.done"),
            MadeResult::WasSo => words.text("fix.wasSo"),
            MadeResult::Failed(why) => words.fill("fix.failed", &[("why", why)]),
        };
        let places = [("host", made.host.as_str()), ("change", &made.change), ("result", &result)];
        words.fill("fix.line", &places)
    }

    /// What a part is for, in place of what the page is for.
    pub(super) fn part_intro(&self) -> Option<String> {
        let words = self.words();
        let part = self.part()?;
        let key = format!("part.{}.intro", part.name());
        Some(match part {
            Part::Group(group) => words.fill(&key, &[("group", &words.text(group_word(*group)))]),
            Part::PlannedHost(index) => {
                let host = self.planned.value().and_then(|planned| planned.hosts.get(*index));
                words.fill(&key, &[("host", host.map_or("-", |host| host.host.as_str()))])
            }
            Part::Finding(_) | Part::Risk(_) | Part::Fixes => words.text(&key),
        })
    }

    /// What can be done on the page of checks and in the parts, beside what can be done everywhere.
    pub(super) fn check_actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        let run = self.document.is_some().then_some(Action::Run);
        let fix = (self.page == PageId::Checks && !self.wishes().is_empty()).then_some(Action::Fix);
        match self.part() {
            None | Some(Part::Group(_)) => actions.extend(run.into_iter().chain(fix)),
            Some(Part::Finding(name)) => {
                let about = self.risk_about(name);
                let may = self.finding(name).is_some_and(may_be_accepted);
                actions.extend(may.then_some(Action::AcceptRisk));
                actions.extend(about.map(|_| Action::TakeRiskBack));
                actions.extend(fix.into_iter().chain(run));
            }
            Some(Part::Risk(_)) => actions.extend([Action::KeepRisk, Action::TakeRiskBack]),
            Some(Part::Fixes) => actions.push(Action::MakeFixes),
            Some(Part::PlannedHost(_)) => actions.extend(run),
        }
        actions
    }

    /// Why Next is closed on the page of checks, or in a part of it.
    pub(super) fn in_the_way_message(&self) -> Option<String> {
        let standing = self.in_the_way();
        if self.page != PageId::Checks || standing.is_empty() {
            return None;
        }
        let all = standing.iter().all(|finding| may_be_accepted(finding));
        Some(self.words().text(if all { "message.standing" } else { "message.standing.grave" }))
    }
}
