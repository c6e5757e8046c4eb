//! Runs as the wizard knows them: those that are there, the one that is begun, the one that is watched.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealift_events::picture::{HostPicture, RunPicture, RunSummary, Standing, StepPicture};

use crate::effect::Trouble;
use crate::model::{Model, Task};
use crate::page::PageId;

/// From so many hosts on, they are grouped by what they do.
const MANY: usize = 13;

/// Last part of the keys of its words.
pub(crate) fn standing_key(standing: Standing) -> &'static str {
    match standing {
        Standing::GoesOn => "goesOn",
        Standing::Done => "done",
        Standing::Failed => "failed",
        Standing::Stopped => "stopped",
        Standing::CutOff => "cutOff",
        Standing::Unreadable => "unreadable",
    }
}

/// Where the plan is that was agreed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agreed {
    /// In this file, shown on the page of review.
    File(PathBuf),
    /// In the folder of this run, which goes on where it stopped.
    Run(String),
}

/// What was written when a run had ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    /// The report.
    pub file: PathBuf,
    /// Where people find the product, as far as its releases say.
    pub addresses: Vec<String>,
}

/// What somebody came for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The whole way.
    #[default]
    Install,
    /// What the checks find.
    Check,
    /// What an install would change.
    Plan,
}

impl Purpose {
    /// The word that chooses it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Check => "check",
            Self::Plan => "plan",
        }
    }

    pub(crate) fn of(word: &str) -> Self {
        match word {
            "check" => Self::Check,
            "plan" => Self::Plan,
            _ => Self::Install,
        }
    }

    /// The page behind another; none where that is the last.
    fn after(self, page: PageId) -> Option<PageId> {
        match (self, page) {
            (Self::Check, PageId::Start) => Some(PageId::Checks),
            (Self::Plan, PageId::Start) => Some(PageId::Review),
            (Self::Check, PageId::Checks) | (Self::Plan, PageId::Review) => None,
            _ => page.next(),
        }
    }
}

/// All that the model keeps of runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Runs {
    /// Folder of their records, as commands name it.
    pub(crate) folder: PathBuf,
    /// The newest first.
    pub(crate) found: Vec<RunSummary>,
    pub(crate) purpose: Purpose,
    /// The site's name as it was typed to begin an install.
    pub(crate) site_again: Option<String>,
    /// The run that is being begun.
    pub(crate) beginning: Task<String>,
    pub(crate) watched: Option<Watched>,
    /// Runs whose next picture is waited for.
    pub(crate) looking: BTreeSet<String>,
    pub(crate) handover: Task<Handover>,
}

/// A run that is looked at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Watched {
    /// Name of its folder.
    pub(crate) run: String,
    /// Whether this wizard has begun it.
    pub(crate) begun_here: bool,
    /// As it was seen last.
    pub(crate) picture: Option<Arc<RunPicture>>,
    /// Why it cannot be seen.
    pub(crate) trouble: Option<Trouble>,
}

impl Runs {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            found: Vec::new(),
            purpose: Purpose::default(),
            site_again: None,
            beginning: Task::Idle,
            watched: None,
            looking: BTreeSet::new(),
            handover: Task::Idle,
        }
    }

    pub(crate) fn is_beginning(&self) -> bool {
        matches!(self.beginning, Task::Waiting(_))
    }
}

impl Model {
    /// The run that is watched, as it was seen last.
    #[must_use]
    pub fn picture(&self) -> Option<&RunPicture> {
        self.runs.watched.as_ref()?.picture.as_deref()
    }

    /// How the run that is watched stands, where it was seen.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        self.picture().map(Standing::of)
    }

    /// The run that is watched and goes on, or was not seen yet.
    #[must_use]
    pub fn run_that_goes_on(&self) -> Option<&str> {
        let watched = self.runs.watched.as_ref()?;
        let goes_on = watched.picture.as_ref().map_or(watched.trouble.is_none(), |picture| picture.goes_on);
        goes_on.then_some(watched.run.as_str())
    }

    /// Whether the wizard has led to an end: leaving here is no giving up.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(self.page, PageId::Confirm | PageId::Result)
    }

    /// The page behind this one, by what somebody came for; none where this is the last.
    #[must_use]
    pub fn page_after(&self) -> Option<PageId> {
        self.runs.purpose.after(self.page)
    }

    /// Where the plan is kept that the page of review has shown.
    #[must_use]
    pub fn plan_file(&self) -> PathBuf {
        let mut name = self.file.as_os_str().to_owned();
        name.push(".plan.json");
        PathBuf::from(name)
    }

    /// Where the records of a run are.
    pub(crate) fn records(&self, run: &str) -> PathBuf {
        Path::new(&self.runs.folder).join(run)
    }
}

/// Hosts as they are shown: in their order; many by what they do, with a group's role before it, the worst first.
pub(crate) fn groups(hosts: &[HostPicture]) -> Vec<(Option<&str>, Vec<&HostPicture>)> {
    if hosts.len() < MANY {
        return vec![(None, hosts.iter().collect())];
    }
    let mut groups: Vec<(Option<&str>, Vec<&HostPicture>)> = Vec::new();
    for host in hosts {
        let role = Some(host.role.as_str());
        match groups.iter_mut().find(|(known, _)| *known == role) {
            Some((_, group)) => group.push(host),
            None => groups.push((role, vec![host])),
        }
    }
    for (_, group) in &mut groups {
        group.sort_by_key(|host| rank(host));
    }
    groups
}

/// Failed before stuck before at work before waiting before done; the slower before the faster.
fn rank(host: &HostPicture) -> (Reverse<bool>, Reverse<bool>, bool, bool, u64) {
    let is_done = host.steps > 0 && host.done >= host.steps;
    let part = u64::from(host.done) * 1000 / u64::from(host.steps.max(1));
    let stuck = host.running.iter().any(StepPicture::is_stuck);
    (Reverse(host.failed > 0), Reverse(stuck), is_done, host.running.is_empty(), part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, role: &str, done: u32, failed: u32) -> HostPicture {
        let running = (done < 9).then(StepPicture::default).into_iter().collect();
        HostPicture {
            name: name.to_owned(),
            role: role.to_owned(),
            steps: 9,
            done,
            failed,
            running,
            ..HostPicture::default()
        }
    }

    #[test]
    fn few_hosts_stay_in_order_and_many_are_grouped_with_the_worst_first() {
        let mut hosts: Vec<_> = (1..=12).map(|n| host(&format!("w{n}"), "worker", n.min(9), 0)).collect();
        assert_eq!(groups(&hosts).len(), 1);
        assert_eq!(groups(&hosts)[0].1[11].name, "w12");
        hosts[7].failed = 1;
        hosts[6].running[0].limit_millis = Some(100);
        hosts[6].running[0].silent_millis = 50;
        hosts.push(host("m1", "control-plane", 3, 0));
        let groups = groups(&hosts);
        assert_eq!(
            groups.iter().map(|(role, _)| role.unwrap()).collect::<Vec<_>>(),
            ["worker", "control-plane"]
        );
        let names: Vec<&str> = groups[0].1.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(names[..4], ["w8", "w7", "w1", "w2"]);
        assert_eq!(names[11], "w12");
    }

    #[test]
    fn a_purpose_leads_past_what_it_does_not_need() {
        assert_eq!(Purpose::of("check").after(PageId::Start), Some(PageId::Checks));
        assert_eq!(Purpose::of("check").after(PageId::Checks), None);
        assert_eq!(Purpose::of("plan").after(PageId::Start), Some(PageId::Review));
        assert_eq!(Purpose::of("plan").after(PageId::Review), None);
        assert_eq!(Purpose::of("install").after(PageId::Start), Some(PageId::Needs));
        assert_eq!(Purpose::Install.after(PageId::Result), None);
    }
}
