//! Runs: begun, watched, stopped, left to themselves, begun again.

use std::path::PathBuf;
use std::sync::Arc;

use sealift_events::RunResult;
use sealift_events::picture::{RunPicture, RunSummary, Standing};

use crate::effect::{Effect, Trouble};
use crate::field;
use crate::model::{FileState, Mark, Model, Stage, Task};
use crate::page::PageId;
use crate::runs::{Agreed, Purpose, Watched};

impl Model {
    /// An answer about runs; whether it was one.
    pub(super) fn own_answer_of_runs(&mut self, path: &str, text: &str) -> bool {
        match path {
            field::PURPOSE => self.runs.purpose = Purpose::of(text),
            field::SITE_AGAIN if Some(text) == self.site_name() => {
                self.runs.site_again = Some(text.to_owned());
            }
            field::SITE_AGAIN => {
                let site = self.site_name().unwrap_or("-").to_owned();
                let typed: String = text.chars().take(60).collect();
                self.clear_of_runs(path);
                self.no(Some(path), "refused.siteAgain", &[("typed", &typed), ("site", &site)]);
            }
            _ => return false,
        }
        true
    }

    /// Takes such an answer back; whether it was one.
    pub(super) fn clear_of_runs(&mut self, path: &str) -> bool {
        match path {
            field::PURPOSE => self.runs.purpose = Purpose::default(),
            field::SITE_AGAIN => self.runs.site_again = None,
            _ => return false,
        }
        self.typed.remove(path);
        true
    }

    fn site_name(&self) -> Option<&str> {
        self.draft.get("metadata.name")?.as_str()
    }

    /// What Next does on the page of a run; none where it does the usual.
    pub(super) fn next_of_run(&mut self) -> Option<Vec<Effect>> {
        match (self.page, self.standing()) {
            (PageId::Confirm, _) => Some(self.install()),
            (PageId::Install, Some(Standing::Done)) | (PageId::Result, _) => None,
            (PageId::Install, Some(Standing::GoesOn)) => Some(self.no(None, "refused.goesOn", &[])),
            (PageId::Install, _) => Some(self.no(None, "refused.notDone", &[])),
            _ => None,
        }
    }

    /// Installs what the page of review has shown.
    fn install(&mut self) -> Vec<Effect> {
        if self.runs.is_beginning() {
            return self.no(None, "refused.beginning", &[]);
        }
        if self.run_that_goes_on().is_some() {
            return self.no(None, "refused.oneGoesOn", &[]);
        }
        if self.runs.site_again.is_none() || self.runs.site_again.as_deref() != self.site_name() {
            self.runs.site_again = None;
            return self.no(Some(field::SITE_AGAIN), "refused.noSiteAgain", &[]);
        }
        let open = self.problems().len();
        if open > 0 || !self.left_open.is_empty() {
            return self.no(None, "refused.openInstall", &[("count", &open.max(1).to_string())]);
        }
        let Some(bundle) = self.bundle_at_hand() else {
            return self.no(None, "refused.noBundle", &[]);
        };
        if !matches!(self.planned, Task::Done { outdated: false, .. }) {
            return self.no(None, "refused.noPlan", &[]);
        }
        self.begin(bundle, Agreed::File(self.plan_file()))
    }

    /// The bundle's file, where it could be opened.
    fn bundle_at_hand(&self) -> Option<PathBuf> {
        self.bundle.clone().filter(|_| self.document.is_some())
    }

    /// With the answers as they are now.
    fn begin(&mut self, bundle: PathBuf, agreed: Agreed) -> Vec<Effect> {
        if !self.can_save() {
            return self.no(Some("start.file"), "refused.file", &[]);
        }
        self.serial += 1;
        let (serial, file) = (self.serial, self.file.clone());
        self.runs.beginning = Task::Waiting(serial);
        let effect = Effect::Install { serial, file, bundle, agreed };
        if !self.unsaved {
            return vec![effect];
        }
        self.after_save = Some(effect);
        self.save(true)
    }

    pub(super) fn install_begun(&mut self, serial: u64, outcome: Result<String, Trouble>) -> Vec<Effect> {
        if !matches!(self.runs.beginning, Task::Waiting(asked) if asked == serial) {
            return Vec::new();
        }
        match outcome {
            Err(trouble) => {
                self.failed(None, &trouble);
                self.runs.beginning = Task::Failed(trouble);
                Vec::new()
            }
            Ok(run) => {
                self.runs.beginning = Task::Idle;
                self.runs.site_again = None;
                self.typed.remove(field::SITE_AGAIN);
                let notice = self.words().fill("notice.begun", &[("run", &run)]);
                self.notice = Some(notice);
                let effects = self.watch(run, true);
                if matches!(self.page, PageId::Confirm | PageId::Install) {
                    self.turn_to(PageId::Install);
                }
                effects
            }
        }
    }

    /// A run of the table on the first page.
    pub(super) fn watch_run(&mut self, index: usize) -> Vec<Effect> {
        let found = self.runs.found.get(index).filter(|_| self.page == PageId::Start);
        let Some(run) = found.map(|found| found.run.clone()) else {
            return self.no(None, "refused.noRun", &[]);
        };
        let mut effects = self.save(false);
        effects.extend(self.watch(run, false));
        self.turn_to(PageId::Install);
        effects
    }

    /// From now on this run is looked at.
    fn watch(&mut self, run: String, begun_here: bool) -> Vec<Effect> {
        self.runs.watched = Some(Watched { run: run.clone(), begun_here, picture: None, trouble: None });
        self.runs.handover = Task::Idle;
        self.marks.insert(PageId::Install, Mark::Seen);
        self.marks.insert(PageId::Result, Mark::Unseen);
        self.trail.retain(|page| *page != PageId::Result);
        self.look(run)
    }

    fn look(&mut self, run: String) -> Vec<Effect> {
        let waits = !self.runs.looking.insert(run.clone());
        if waits || self.has_ended() { Vec::new() } else { vec![Effect::Watch { run }] }
    }

    /// Shows another page.
    fn turn_to(&mut self, page: PageId) {
        if page != self.page {
            self.trail.push(self.page);
            // What it needs has been asked for.
            let _ = self.enter(page);
        }
    }

    pub(super) fn watched(&mut self, run: String, outcome: Result<Box<RunPicture>, Trouble>) -> Vec<Effect> {
        self.runs.looking.remove(&run);
        let Some(watched) = self.runs.watched.as_mut().filter(|watched| watched.run == run) else {
            return Vec::new();
        };
        let picture = match outcome {
            Ok(picture) => picture,
            Err(trouble) => {
                watched.trouble = Some(trouble);
                return Vec::new();
            }
        };
        let before = watched.picture.as_deref().and_then(|picture| picture.result);
        let (goes_on, result) = (picture.goes_on, picture.result);
        (watched.picture, watched.trouble) = (Some(Arc::from(picture)), None);
        if goes_on {
            return self.look(run);
        }
        if self.stage == Stage::Stopping {
            self.stage = Stage::Going;
        }
        if result == Some(RunResult::Done) && before != result { self.done() } else { Vec::new() }
    }

    /// The run has ended well: the last page opens by itself where the run is looked at.
    fn done(&mut self) -> Vec<Effect> {
        // That it has begun is no news any more.
        self.notice = None;
        self.marks.insert(PageId::Install, Mark::Done);
        self.marks.insert(PageId::Result, Mark::Seen);
        if self.page == PageId::Install && !self.has_ended() {
            self.turn_to(PageId::Result);
        }
        self.hand_over()
    }

    /// The report of a run that was begun here, so that profile and bundle are its own.
    fn hand_over(&mut self) -> Vec<Effect> {
        let begun = self.runs.watched.as_ref().filter(|watched| watched.begun_here);
        let (Some(run), false) = (begun.map(|watched| watched.run.clone()), self.has_ended()) else {
            return Vec::new();
        };
        let Some(bundle) = self.bundle_at_hand().filter(|_| self.is_of_this_site()) else {
            return Vec::new();
        };
        self.serial += 1;
        self.runs.handover = Task::Waiting(self.serial);
        let (serial, file, language) = (self.serial, self.file.clone(), self.language);
        vec![Effect::Report { serial, run, file, bundle, language }]
    }

    /// Whether the run that is watched is of the site whose profile is open.
    pub(crate) fn is_of_this_site(&self) -> bool {
        self.file_state == FileState::Opened
            && self.picture().is_some_and(|picture| Some(picture.site.as_str()) == self.site_name())
    }

    /// The same install again, which goes on where it stopped.
    pub(super) fn again(&mut self) -> Vec<Effect> {
        if self.runs.is_beginning() {
            return self.no(None, "refused.beginning", &[]);
        }
        let Some(watched) = &self.runs.watched else {
            return self.no(None, "refused.run", &[]);
        };
        let run = watched.run.clone();
        if watched.trouble.is_some() {
            return self.look(run);
        }
        match self.standing() {
            None | Some(Standing::GoesOn) => return self.no(None, "refused.goesOn", &[]),
            Some(Standing::Done) => return self.no(None, "refused.runDone", &[]),
            Some(Standing::Failed | Standing::Stopped | Standing::CutOff | Standing::Unreadable) => {}
        }
        let Some(bundle) = self.bundle_at_hand() else {
            return self.no(None, "refused.noBundle", &[]);
        };
        if !self.is_of_this_site() {
            let file = self.file.display().to_string();
            let site = self.picture().map(|picture| picture.site.clone()).unwrap_or_default();
            return self.no(None, "refused.otherSite", &[("site", &site), ("file", &file)]);
        }
        self.begin(bundle, Agreed::Run(run))
    }

    pub(super) fn stop(&mut self) -> Vec<Effect> {
        if self.run_that_goes_on().is_none() {
            return self.no(None, "refused.noStop", &[]);
        }
        self.stage = Stage::Stopping;
        Vec::new()
    }

    pub(super) fn really_stop(&mut self, yes: bool) -> Vec<Effect> {
        let asked = std::mem::replace(&mut self.stage, Stage::Going) == Stage::Stopping;
        match &self.runs.watched {
            Some(watched) if asked && yes => vec![Effect::StopRun { run: watched.run.clone() }],
            _ => Vec::new(),
        }
    }

    pub(super) fn stop_asked(&mut self, run: &str, outcome: Result<(), Trouble>) {
        if self.runs.watched.as_ref().is_none_or(|watched| watched.run != run) {
            return;
        }
        match outcome {
            Ok(()) => self.notice = Some(self.words().text("notice.stop")),
            Err(trouble) => self.failed(None, &trouble),
        }
    }

    /// The wizard ends, and the run goes on.
    pub(super) fn detach(&mut self) -> Vec<Effect> {
        if self.run_that_goes_on().is_none() {
            return self.no(None, "refused.noStop", &[]);
        }
        self.end()
    }

    pub(super) fn runs_found(&mut self, found: Vec<RunSummary>) {
        self.runs.found = found.into_iter().take(MOST).collect();
    }
}

/// Most runs of the table.
const MOST: usize = 5;
