//! What came out of effects.

use std::path::PathBuf;
use std::sync::Arc;

use sealift_bundle::document::BundleDocument;
use sealift_profile::{Draft, ProfileFinding};
use serde_json::json;

use crate::effect::{Effect, Loaded, Message, Trouble};
use crate::field;
use crate::model::{FileState, Mark, Model, Refused};
use crate::page::PageId;

impl Message {
    /// Whether it came from an effect, and not from somebody.
    pub(super) fn is_outcome(&self) -> bool {
        matches!(
            self,
            Self::Loaded(_)
                | Self::Saved(_)
                | Self::BundleOpened { .. }
                | Self::TextRead { .. }
                | Self::HostsRead(_)
                | Self::Sized { .. }
                | Self::Reached { .. }
                | Self::Checked { .. }
                | Self::Planned { .. }
                | Self::RunsFound(_)
                | Self::InstallBegun { .. }
                | Self::Watched { .. }
                | Self::StopAsked { .. }
                | Self::Reported { .. }
                | Self::Fixed { .. }
        )
    }
}

impl Model {
    pub(super) fn outcome(&mut self, message: Message) -> Vec<Effect> {
        match message {
            Message::Loaded(loaded) => self.loaded(loaded),
            Message::Saved(Ok(found)) => return self.saved(found),
            Message::BundleOpened { file, outcome } => self.bundle_opened(file, outcome),
            Message::TextRead { field, text } => match (text, self.field_anywhere(&field)) {
                (Ok(text), Some(found)) => {
                    if let Err(refused) = self.put(&found, json!(text)) {
                        self.refused = Some(refused);
                    }
                }
                (Err(trouble), _) => self.failed(Some(field), &trouble),
                (Ok(_), None) => {}
            },
            Message::HostsRead(Ok(text)) if self.page == PageId::Hosts => return self.add_hosts(&text),
            Message::Saved(Err(trouble)) => {
                self.look_no_more();
                self.failed(None, &trouble);
            }
            Message::HostsRead(Err(trouble)) => self.failed(None, &trouble),
            Message::Sized { serial, outcome } => self.sizing.finish(serial, outcome.map(|sizing| *sizing)),
            Message::Reached { serial, host, outcome } => self.take_reached(serial, &host, outcome),
            Message::RunsFound(found) => self.runs_found(found),
            Message::InstallBegun { serial, outcome } => return self.install_begun(serial, outcome),
            Message::Watched { run, outcome } => return self.watched(run, outcome),
            Message::StopAsked { run, outcome } => self.stop_asked(&run, outcome),
            Message::Reported { serial, outcome } => self.runs.handover.finish(serial, outcome),
            Message::Checked { .. } | Message::Planned { .. } | Message::Fixed { .. } => self.looked(message),
            // Hosts that came too late; everything else is what somebody did.
            _ => {}
        }
        Vec::new()
    }

    /// Sections in which the file has something wrong are left open in it, so that it loads.
    fn saved(&mut self, found: Vec<ProfileFinding>) -> Vec<Effect> {
        self.unsaved = false;
        self.file_state = FileState::Opened;
        // What led to it says more.
        if self.notice.is_none() {
            let file = self.file.display().to_string();
            self.notice = Some(self.words().fill("notice.saved", &[("file", &file)]));
        }
        let next = self.after_save.take();
        if found.is_empty() || !self.found.is_empty() {
            return next.into_iter().collect();
        }
        self.look_no_more();
        self.found = found.into_iter().map(|finding| ProfileFinding { place: None, ..finding }).collect();
        self.save(true)
    }

    /// The hosts are not looked at with a profile that is not what was answered.
    fn look_no_more(&mut self) {
        self.after_save = None;
        self.checked.forget();
        self.planned.forget();
        self.runs.beginning.forget();
        self.fixed.forget();
    }

    pub(super) fn failed(&mut self, field: Option<String>, trouble: &Trouble) {
        let message = trouble.causes.iter().fold(trouble.message.clone(), |text, cause| text + "\n" + cause);
        self.refused = Some(Refused { field, message, remedy: trouble.remedies.join("; ") });
    }

    fn field_anywhere(&self, path: &str) -> Option<field::Field> {
        let (page, found) = field::asking(self, path)?;
        field::of_page(self, page).into_iter().find(|field| field.path == found && found == path)
    }

    fn loaded(&mut self, loaded: Loaded) {
        let file = self.file.display().to_string();
        let words = self.words();
        let trouble = |key: &str, causes: Vec<String>| Trouble {
            message: words.fill(key, &[("file", &file)]),
            causes,
            remedies: vec![words.text(&format!("{key}.next"))],
        };
        self.file_state = match loaded {
            Loaded::New => FileState::New,
            Loaded::Failed(trouble) => FileState::Unusable(trouble),
            // Opening would throw away what was typed; writing would throw away the file.
            Loaded::There(_) if self.has_answers() => FileState::Unusable(trouble("file.taken", Vec::new())),
            Loaded::There(text) => match Draft::read(&text, &file) {
                Ok(draft) => {
                    self.left_open = draft.left_open().clone();
                    self.draft = draft;
                    self.from_file = true;
                    self.judged = self.draft.judge(&self.circumstances());
                    // All of it can be looked at in any order.
                    for page in PageId::ALL.into_iter().filter(|page| !page.is_of_run()) {
                        self.marks.insert(page, self.mark(page).max(Mark::Seen));
                    }
                    self.notice = Some(words.fill("notice.opened", &[("file", &file)]));
                    FileState::Opened
                }
                Err(error) => {
                    let findings = error.findings().iter().map(ToString::to_string).collect();
                    FileState::Unusable(trouble("file.wrong", findings))
                }
            },
        };
        // A new name: what there is has to go there.
        self.unsaved |= self.file_state == FileState::New && self.has_answers();
    }

    fn bundle_opened(&mut self, file: PathBuf, outcome: Result<Arc<BundleDocument>, Trouble>) {
        match outcome {
            Ok(document) => {
                self.bundle = Some(file);
                self.document = Some(document);
                self.bundle_trouble = None;
                self.sizing.outdate();
                self.checked.outdate();
                self.planned.outdate();
            }
            // The one before, if any, still holds.
            Err(trouble) if self.document.is_some() => {
                self.failed(Some("start.bundle".to_owned()), &trouble);
            }
            Err(trouble) => self.bundle_trouble = Some(trouble),
        }
    }
}
