//! What follows from a message.

mod checks;
mod hosts;
mod outcomes;
mod reach;
mod run;

use std::path::{Path, PathBuf};

use crate::effect::{Effect, Message};
use crate::field::{self, Field, Kind};
use crate::model::{FileState, Mark, Model, Refused, Stage, Task};
use crate::page::PageId;
use crate::words::Language;

/// The next model, and what has to be done outside. Pure: equal arguments give equal results.
#[must_use]
pub fn update(mut model: Model, message: Message) -> (Model, Vec<Effect>) {
    if model.has_ended() && !message.is_outcome() {
        return (model, Vec::new());
    }
    let effects = model.take(message);
    model.refocus();
    (model, effects)
}

impl Model {
    fn take(&mut self, message: Message) -> Vec<Effect> {
        if !message.is_outcome() {
            self.refused = None;
            if !matches!(message, Message::ReallyQuit(_) | Message::ReallyStop(_)) {
                self.stage = Stage::Going;
            }
        }
        match message {
            Message::Answer { field, text } => self.answered(&field, &text),
            Message::Clear { field } => self.cleared(&field),
            Message::Focus { field } => self.look_at(&field),
            Message::FocusNext => self.step(1),
            Message::FocusPrevious => self.step(-1),
            Message::Next => self.next(),
            Message::Skip => self.skip(),
            Message::Back => self.back(),
            Message::Go(page) => self.go(page),
            Message::Speak(language) => {
                self.language = language;
                Vec::new()
            }
            Message::Run => self.run(),
            Message::TrustKeys(keys) => self.trust_keys(&keys),
            Message::Save => {
                // What the world found may be mended: it is asked again.
                self.found.clear();
                self.notice = None;
                self.save(true)
            }
            Message::Quit => {
                self.stage = Stage::Leaving;
                Vec::new()
            }
            Message::ReallyQuit(yes) => self.really_quit(yes),
            Message::WatchRun(index) => self.watch_run(index),
            Message::Stop => self.stop(),
            Message::ReallyStop(yes) => self.really_stop(yes),
            Message::Detach => self.detach(),
            Message::InputEnded => self.end(),
            Message::AddHost
            | Message::EditHost(_)
            | Message::CloseHost
            | Message::RemoveHost(_)
            | Message::AddHosts(_)
            | Message::ImportHosts { .. } => self.change_hosts(message),
            Message::Open(_) | Message::AcceptRisk | Message::TakeRiskBack | Message::MakeFixes => {
                self.change_part(message)
            }
            outcome => self.outcome(outcome),
        }
    }

    /// Refuses with words of the table.
    fn no(&mut self, field: Option<&str>, key: &str, places: &[(&str, &str)]) -> Vec<Effect> {
        let words = self.words();
        self.refused = Some(Refused {
            field: field.map(str::to_owned),
            message: words.fill(key, places),
            remedy: words.fill(&format!("{key}.next"), places),
        });
        Vec::new()
    }

    fn field_here(&self, path: &str) -> Option<Field> {
        field::fields(self).into_iter().find(|field| field.path == path)
    }

    fn answered(&mut self, path: &str, text: &str) -> Vec<Effect> {
        let text = text.trim();
        let Some(field) = self.field_here(path) else {
            return self.no(Some(path), "refused.noField", &[("field", path)]);
        };
        if !self.is_enabled(&field) {
            let gate = field.gate.as_deref().map_or_else(String::new, |gate| self.label_of(gate));
            return self.no(Some(path), "refused.gate", &[("gate", &gate)]);
        }
        self.focus = Some(field.path.clone());
        if text.is_empty() {
            return Vec::new();
        }
        let value = match self.read_answer(&field, text) {
            Ok(value) => value,
            Err(refused) => {
                self.refused = Some(refused);
                return Vec::new();
            }
        };
        if field.is_of_wizard() {
            return self.own_answer(&field, value.as_str().unwrap_or_default());
        }
        if field.kind == Kind::TextOfFile {
            return vec![Effect::ReadText { field: field.path, file: text.to_owned() }];
        }
        if let Err(refused) = self.put(&field, value) {
            self.refused = Some(refused);
        }
        Vec::new()
    }

    /// Answers that the profile does not hold.
    fn own_answer(&mut self, field: &Field, text: &str) -> Vec<Effect> {
        self.typed.insert(field.path.clone());
        if self.own_answer_of_runs(&field.path, text) {
            return Vec::new();
        }
        match field.path.as_str() {
            "start.language" => {
                self.language = if text == "zh" { Language::Chinese } else { Language::English };
                Vec::new()
            }
            "start.file" if Path::new(text) == self.file => Vec::new(),
            "start.file" => {
                self.file = PathBuf::from(text);
                self.file_state = FileState::Unknown;
                // What was kept of a plan is beside the other file.
                self.planned.outdate();
                vec![Effect::Load { file: self.file.clone() }]
            }
            _ => vec![Effect::OpenBundle { file: PathBuf::from(text) }],
        }
    }

    fn cleared(&mut self, path: &str) -> Vec<Effect> {
        if self.field_here(path).is_some() && self.clear_of_runs(path) {
            return Vec::new();
        }
        match self.field_here(path) {
            None => self.no(Some(path), "refused.noField", &[("field", path)]),
            Some(field) if field.path == "start.bundle" => {
                (self.bundle, self.document, self.bundle_trouble) = (None, None, None);
                Vec::new()
            }
            Some(field) if field.is_of_wizard() => self.no(Some(path), "refused.clear", &[]),
            Some(field) => {
                self.focus = Some(field.path.clone());
                self.clear(&field);
                Vec::new()
            }
        }
    }

    fn look_at(&mut self, path: &str) -> Vec<Effect> {
        match self.field_here(path) {
            Some(field) if self.is_enabled(&field) => self.focus = Some(field.path),
            _ => return self.no(Some(path), "refused.noField", &[("field", path)]),
        }
        Vec::new()
    }

    /// To the next or previous field that can be answered; stays at the ends.
    fn step(&mut self, by: isize) -> Vec<Effect> {
        let fields = field::fields(self);
        let can: Vec<&Field> = fields.iter().filter(|field| self.is_enabled(field)).collect();
        let at = can.iter().position(|field| Some(&field.path) == self.focus.as_ref()).unwrap_or_default();
        if let Some(field) = at.checked_add_signed(by).and_then(|at| can.get(at)) {
            self.focus = Some(field.path.clone());
        }
        Vec::new()
    }

    fn next(&mut self) -> Vec<Effect> {
        if self.host.is_some() {
            return self.close_host();
        }
        if self.part().is_some() {
            return self.next_of_part();
        }
        let problems = self.problems_of(self.page).len();
        if problems > 0 {
            return self.no(None, "refused.next", &[("count", &problems.to_string())]);
        }
        let standing = self.in_the_way().len();
        if self.page == PageId::Checks && standing > 0 {
            return self.no(None, "refused.standing", &[("count", &standing.to_string())]);
        }
        if self.page == PageId::Start && self.file_state == FileState::Unknown {
            return self.no(Some("start.file"), "refused.file", &[]);
        }
        if let Some(effects) = self.next_of_run() {
            return effects;
        }
        for section in self.page.sections() {
            self.left_open.remove(*section);
        }
        // A host that does not answer keeps no page open: a profile may be written far from its hosts.
        let tries = if self.page == PageId::Hosts { self.reach_untried() } else { Vec::new() };
        let mut effects = self.leave(Mark::Done);
        effects.extend(tries);
        effects
    }

    fn skip(&mut self) -> Vec<Effect> {
        if self.page == PageId::Start && !self.can_save() {
            return self.no(Some("start.file"), "refused.file", &[]);
        }
        if self.page == PageId::Confirm || self.page.is_of_run() {
            return self.no(None, "refused.skip", &[]);
        }
        self.put_host_away();
        self.close_parts();
        self.leave(Mark::Open)
    }

    /// Saves, and goes to the page behind this one.
    fn leave(&mut self, mark: Mark) -> Vec<Effect> {
        self.marks.insert(self.page, mark);
        let mut effects = self.save(false);
        match self.page_after() {
            Some(page) => {
                self.trail.push(self.page);
                effects.extend(self.enter(page));
            }
            None => effects.extend(self.end()),
        }
        effects
    }

    fn back(&mut self) -> Vec<Effect> {
        if self.host.is_some() {
            return self.close_host();
        }
        if self.part().is_some() {
            return self.close_part();
        }
        let Some(page) = self.trail.pop() else {
            return self.no(None, "refused.back", &[]);
        };
        let mut effects = self.save(false);
        effects.extend(self.enter(page));
        effects
    }

    fn go(&mut self, page: PageId) -> Vec<Effect> {
        let can = self.mark(page) != Mark::Unseen;
        if !can {
            let title = self.words().text(&format!("page.{}", page.name()));
            return self.no(None, "refused.go", &[("page", &title)]);
        }
        self.put_host_away();
        self.close_parts();
        let mut effects = self.save(false);
        if page != self.page {
            self.trail.push(self.page);
        }
        effects.extend(self.enter(page));
        effects
    }

    /// Shows a page; what it needs and has not, or has of old, is asked for where that costs nothing.
    fn enter(&mut self, page: PageId) -> Vec<Effect> {
        if page != self.page {
            self.focus = None;
        }
        self.page = page;
        if self.mark(page) == Mark::Unseen {
            self.marks.insert(page, Mark::Seen);
        }
        let fresh = matches!(self.sizing, Task::Waiting(_) | Task::Done { outdated: false, .. });
        match page {
            PageId::Sizing if !fresh => self.calculate(),
            PageId::Start => vec![Effect::FindRuns],
            _ => Vec::new(),
        }
    }

    fn calculate(&mut self) -> Vec<Effect> {
        let (Some(document), Some(site)) = (self.document.clone(), self.draft.so_far()) else {
            return Vec::new();
        };
        self.serial += 1;
        self.sizing = Task::Waiting(self.serial);
        vec![Effect::Size { serial: self.serial, document, site: Box::new(site) }]
    }

    /// What the page is for: sizing, logins, checks, plan.
    fn run(&mut self) -> Vec<Effect> {
        match self.page {
            PageId::Sizing if self.document.is_none() => self.no(None, "refused.noBundle", &[]),
            PageId::Sizing => self.calculate(),
            PageId::Hosts | PageId::Access => self.reach(),
            PageId::Checks | PageId::Review => self.look_at_hosts(),
            PageId::Install => self.again(),
            _ => self.no(None, "refused.run", &[]),
        }
    }

    /// The profile as it is, unless there is nothing to write; `asked` where somebody wants it now.
    pub(super) fn save(&mut self, asked: bool) -> Vec<Effect> {
        if !self.can_save() {
            return if asked { self.no(Some("start.file"), "refused.file", &[]) } else { Vec::new() };
        }
        if !(self.unsaved || asked) {
            return Vec::new();
        }
        let mut open = self.left_open.clone();
        if self.product_is_open() {
            open.insert("product".to_owned());
        }
        let found = self.found.iter().filter_map(|finding| finding.path.split(['.', '[']).next());
        open.extend(found.map(str::to_owned));
        match self.draft.to_text(&open, &self.circumstances()) {
            Ok((text, _)) => vec![Effect::Save { file: self.file.clone(), text }],
            Err(error) => {
                let (message, remedy) = (error.to_string(), self.words().text("refused.save.next"));
                self.refused = Some(Refused { field: None, message, remedy });
                Vec::new()
            }
        }
    }

    fn really_quit(&mut self, yes: bool) -> Vec<Effect> {
        let asked = std::mem::replace(&mut self.stage, Stage::Going) == Stage::Leaving;
        if asked && yes { self.end() } else { Vec::new() }
    }

    fn end(&mut self) -> Vec<Effect> {
        self.put_host_away();
        self.close_parts();
        let mut effects = self.save(false);
        self.stage = Stage::Ended;
        effects.push(Effect::End);
        effects
    }
}
