//! Looking at hosts and at what was found there: groups, findings, accepted risks, what can be mended.

use std::path::PathBuf;

use sealift_checks::{Severity, State, may_be_accepted};
use serde_json::json;

use super::hosts::moved;
use crate::effect::{Effect, Message, Trouble};
use crate::look::{Mended, Planned};
use crate::model::{Model, Task};
use crate::page::PageId;
use crate::part::{FindingName, Part};
use crate::risks::{RISKS, path_of};

impl Model {
    pub(super) fn change_part(&mut self, message: Message) -> Vec<Effect> {
        match message {
            Message::Open(part) => self.open_part(part),
            Message::AcceptRisk => self.accept_risk(),
            Message::TakeRiskBack => self.take_risk_back(),
            _ => self.make_fixes(),
        }
    }

    fn open_part(&mut self, part: Part) -> Vec<Effect> {
        if part.page() != self.page || !self.is_there(&part) {
            let key = if part == Part::Fixes { "refused.noFix" } else { "refused.noPart" };
            return self.no(None, key, &[]);
        }
        // Nothing lies twice over the page.
        let same = self.parts.iter().position(|one| one.name() == part.name());
        if let Some(depth) = same {
            self.close_parts_to(depth);
        }
        // What was closed may have been the last of its sort.
        if self.is_there(&part) {
            self.parts.push(part);
        }
        self.focus = None;
        Vec::new()
    }

    /// Back to what lies below.
    pub(super) fn close_part(&mut self) -> Vec<Effect> {
        self.close_parts_to(self.parts.len().saturating_sub(1));
        self.save(false)
    }

    /// Done with a part: an accepted risk has to be whole for that.
    pub(super) fn next_of_part(&mut self) -> Vec<Effect> {
        if let Some(Part::Risk(index)) = self.part() {
            let path = path_of(*index);
            let of_it = |path_of_problem: &str| path_of_problem.starts_with(&path);
            let open = self.problems().iter().filter(|one| one.field.as_deref().is_some_and(of_it)).count();
            if open > 0 {
                return self.no(None, "refused.risk", &[("count", &open.to_string())]);
            }
        }
        self.close_part()
    }

    /// Nothing lies over the page any more.
    pub(super) fn close_parts(&mut self) {
        self.close_parts_to(0);
    }

    fn close_parts_to(&mut self, depth: usize) {
        while self.parts.len() > depth {
            self.focus = None;
            if let Some(Part::Risk(index)) = self.parts.pop() {
                // Without any answer nobody accepts anything.
                let said = ["person", "reason", "until"].iter().any(|key| self.of_risk(index, key).is_some());
                if !said {
                    self.remove_risk(index);
                }
            }
        }
    }

    /// After findings or a plan have come: parts that are not there any more are not looked at.
    fn settle_parts(&mut self) {
        let waits = |part: &Part| match part {
            Part::PlannedHost(_) => matches!(self.planned, Task::Waiting(_)),
            _ => matches!(self.checked, Task::Waiting(_)),
        };
        let there = self.parts.iter().take_while(|part| waits(part) || self.is_there(part)).count();
        self.close_parts_to(there);
    }

    fn accept_risk(&mut self) -> Vec<Effect> {
        let name = match self.part() {
            Some(Part::Finding(name)) => name.clone(),
            _ => return self.no(None, "refused.noFinding", &[]),
        };
        let Some(finding) = self.finding(&name) else { return self.no(None, "refused.noFinding", &[]) };
        if !may_be_accepted(finding) {
            let key = match (finding.state, finding.severity) {
                (State::Fail, Severity::Stop) => "refused.accept.stop",
                (State::Error | State::Blocked, _) => "refused.accept.unseen",
                _ => "refused.accept.needless",
            };
            return self.no(None, key, &[]);
        }
        let index = self.risk_about(&name).unwrap_or_else(|| self.new_risk(&name));
        self.open_part(Part::Risk(index))
    }

    /// The beginning of a new acceptance.
    fn new_risk(&mut self, name: &FindingName) -> usize {
        let index = self.risk_count();
        let mut risk = json!({"check": name.check});
        if let Some(host) = &name.host {
            risk["host"] = json!(host);
            self.typed.insert(format!("{}.host", path_of(index)));
        }
        self.draft.set(&path_of(index), risk);
        self.rejudge_after(RISKS);
        index
    }

    /// The risk that is looked at, or the one about the finding that is.
    fn take_risk_back(&mut self) -> Vec<Effect> {
        let index = match self.part() {
            Some(Part::Risk(index)) => Some(*index),
            Some(Part::Finding(name)) => self.risk_about(name),
            _ => None,
        };
        let Some(index) = index else { return self.no(None, "refused.noRisk", &[]) };
        if matches!(self.part(), Some(Part::Risk(_))) {
            self.parts.pop();
            self.focus = None;
        }
        self.remove_risk(index);
        self.notice = Some(self.words().text("notice.riskTakenBack"));
        self.save(false)
    }

    fn remove_risk(&mut self, index: usize) {
        self.draft.take(&path_of(index));
        if self.risk_count() == 0 {
            self.draft.take(RISKS);
        }
        let typed = std::mem::take(&mut self.typed);
        self.typed = typed.into_iter().filter_map(|path| moved(RISKS, &path, index)).collect();
        self.rejudge_after(RISKS);
    }

    /// Checks the hosts, or makes the plan.
    pub(super) fn look_at_hosts(&mut self) -> Vec<Effect> {
        let checks = self.page == PageId::Checks;
        let keep = self.plan_file();
        let asked = self.ask_hosts(|serial, file, bundle| {
            if checks {
                Effect::Check { serial, file, bundle }
            } else {
                Effect::Plan { serial, file, bundle, keep }
            }
        });
        let Some(serial) = asked else { return Vec::new() };
        if checks {
            self.checked = Task::Waiting(serial);
            // What goes on on the hosts is waited for.
            if !matches!(self.fixed, Task::Waiting(_)) {
                self.fixed = Task::Idle;
            }
        } else {
            self.planned = Task::Waiting(serial);
        }
        self.save(true)
    }

    fn make_fixes(&mut self) -> Vec<Effect> {
        let wishes = self.wishes();
        if self.part() != Some(&Part::Fixes) || wishes.is_empty() {
            return self.no(None, "refused.noFix", &[]);
        }
        let asked = self.ask_hosts(|serial, file, bundle| Effect::Fix { serial, file, bundle, wishes });
        let Some(serial) = asked else { return Vec::new() };
        self.close_parts();
        self.checked = Task::Waiting(serial);
        self.fixed = Task::Waiting(serial);
        self.save(true)
    }

    /// Wants something done with hosts and saved profile once that is saved; the serial of its outcome.
    fn ask_hosts(&mut self, effect: impl FnOnce(u64, PathBuf, PathBuf) -> Effect) -> Option<u64> {
        let Some(bundle) = self.bundle.clone().filter(|_| self.document.is_some()) else {
            self.no(None, "refused.noBundle", &[]);
            return None;
        };
        let open = self.problems().len();
        if open > 0 || !self.left_open.is_empty() {
            self.no(None, "refused.open", &[("count", &open.max(1).to_string())]);
            return None;
        }
        self.serial += 1;
        self.after_save = Some(effect(self.serial, self.file.clone(), bundle));
        Some(self.serial)
    }

    /// What came of a look at the hosts.
    pub(super) fn looked(&mut self, message: Message) {
        match message {
            Message::Checked { serial, outcome } => self.checked.finish(serial, outcome),
            Message::Planned { serial, outcome } => self.planned(serial, outcome),
            Message::Fixed { serial, outcome } => self.mended(serial, outcome),
            _ => {}
        }
        self.settle_parts();
    }

    fn planned(&mut self, serial: u64, outcome: Result<Planned, Trouble>) {
        let waited = self.planned == Task::Waiting(serial);
        self.planned.finish(serial, outcome);
        if let Some(planned) = self.planned.value().filter(|_| waited) {
            // It stands below what the page begins with, out of sight on a small screen.
            self.notice = Some(self.about_plan("notice.planned", planned));
        }
    }

    fn mended(&mut self, serial: u64, outcome: Result<Mended, Trouble>) {
        match outcome {
            Ok(Mended { made, findings }) => {
                self.fixed.finish(serial, Ok(made));
                self.checked.finish(serial, findings);
            }
            // Nobody knows how the hosts are now; said in one place.
            Err(trouble) if self.checked == Task::Waiting(serial) => {
                self.checked = Task::Failed(trouble);
                self.fixed = Task::Idle;
            }
            Err(trouble) => self.fixed.finish(serial, Err(trouble)),
        }
    }
}
