//! Everything that the wizard knows at one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Date;
use sealift_bundle::document::BundleDocument;
use sealift_checks::Finding;
use sealift_profile::{Circumstances, Draft, Judged, ProfileFinding};
use sealift_sizing::Sizing;
use serde_json::Value as Json;

use crate::effect::{Effect, Trouble};
use crate::field::Field;
use crate::look::{MadeChange, Planned};
use crate::page::PageId;
use crate::part::Part;
use crate::reach::Tries;
use crate::runs::Runs;
use crate::words::{Language, Words};

/// What a wizard starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The language that is spoken first.
    pub language: Language,
    /// Today, for accepted risks and certificates.
    pub today: Date,
    /// Ids of all checks there are.
    pub checks: Vec<&'static str>,
    /// The profile: opened where it is there.
    pub file: PathBuf,
    /// The bundle, where it was named.
    pub bundle: Option<PathBuf>,
    /// Words of the command line that say whom to trust, for the commands that come next.
    pub trust: Vec<String>,
    /// Folder with the records of runs, as commands name it.
    pub runs: PathBuf,
}

/// How far a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// Nobody was there yet.
    Unseen,
    /// Somebody was there.
    Seen,
    /// Left open on purpose.
    Open,
    /// Done, and something before it has changed since.
    Review,
    /// Done.
    Done,
}

impl Mark {
    /// Key of its word.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Unseen => "mark.unseen",
            Self::Seen => "mark.seen",
            Self::Open => "mark.open",
            Self::Review => "mark.review",
            Self::Done => "mark.done",
        }
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Nobody said anything, and nothing is assumed.
    Nothing,
    /// The profile's own default.
    Default,
    /// The default of the bundle's vendor.
    Vendor,
    /// The file that was opened.
    File,
    /// Typed here.
    Typed,
}

impl Source {
    /// Key of its word.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Nothing | Self::Default => "source.default",
            Self::Vendor => "source.vendor",
            Self::File => "source.file",
            Self::Typed => "source.typed",
        }
    }
}

/// Something that is done outside and takes a moment.
#[derive(Debug, Clone, PartialEq)]
pub enum Task<T> {
    /// Nobody asked.
    Idle,
    /// Asked, with this serial.
    Waiting(u64),
    /// The outcome; outdated where an answer has changed since.
    Done {
        /// What came out.
        value: T,
        /// Whether an answer has changed since it was asked.
        outdated: bool,
    },
    /// It did not work.
    Failed(Trouble),
}

impl<T> Task<T> {
    /// The outcome, outdated or not.
    #[must_use]
    pub fn value(&self) -> Option<&T> {
        if let Self::Done { value, .. } = self { Some(value) } else { None }
    }

    /// Something has changed: what is known is old, and what is asked for is not wanted any more.
    pub(crate) fn outdate(&mut self) {
        match self {
            Self::Done { outdated, .. } => *outdated = true,
            _ => *self = Self::Idle,
        }
    }

    /// Waits no more.
    pub(crate) fn forget(&mut self) {
        if matches!(self, Self::Waiting(_)) {
            *self = Self::Idle;
        }
    }

    /// Takes the outcome of what was asked last.
    pub(crate) fn finish(&mut self, serial: u64, outcome: Result<T, Trouble>) {
        if matches!(self, Self::Waiting(asked) if *asked == serial) {
            *self = match outcome {
                Ok(value) => Self::Done { value, outdated: false },
                Err(trouble) => Self::Failed(trouble),
            };
        }
    }
}

/// Why the last thing that somebody did was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Path of the field that it was for, if for one.
    pub field: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// What is known of the profile's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileState {
    /// Not looked for yet.
    Unknown,
    /// Not there yet: it will be made.
    New,
    /// There, and read.
    Opened,
    /// There, and not to be written over.
    Unusable(Trouble),
}

/// Whether the wizard goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It does.
    Going,
    /// Somebody wants to leave and is asked whether they do.
    Leaving,
    /// Somebody wants the run to stop and is asked whether they do.
    Stopping,
    /// It is over.
    Ended,
}

/// The wizard. Changed by [`crate::update`] alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub(crate) language: Language,
    pub(crate) today: Date,
    pub(crate) checks: Vec<&'static str>,
    pub(crate) page: PageId,
    /// The pages that were seen, up to the one before this.
    pub(crate) trail: Vec<PageId>,
    pub(crate) marks: BTreeMap<PageId, Mark>,
    pub(crate) draft: Draft,
    pub(crate) judged: Judged,
    /// What the world found wrong with the saved file.
    pub(crate) found: Vec<ProfileFinding>,
    /// Paths whose values were typed here.
    pub(crate) typed: BTreeSet<String>,
    /// Answers that another answer has made needless, by their path.
    pub(crate) aside: BTreeMap<String, Json>,
    /// Sections that the file had left open and nobody has closed.
    pub(crate) left_open: BTreeSet<String>,
    pub(crate) focus: Option<String>,
    pub(crate) host: Option<usize>,
    /// Parts of the page that lie over each other, the one that is looked at last.
    pub(crate) parts: Vec<Part>,
    pub(crate) refused: Option<Refused>,
    pub(crate) notice: Option<String>,
    pub(crate) file: PathBuf,
    pub(crate) file_state: FileState,
    /// Whether the answers began with those of a file.
    pub(crate) from_file: bool,
    pub(crate) bundle: Option<PathBuf>,
    pub(crate) trust: Vec<String>,
    pub(crate) document: Option<Arc<BundleDocument>>,
    pub(crate) bundle_trouble: Option<Trouble>,
    pub(crate) sizing: Task<Sizing>,
    pub(crate) tries: Tries,
    pub(crate) checked: Task<Vec<Finding>>,
    pub(crate) planned: Task<Planned>,
    pub(crate) fixed: Task<Vec<MadeChange>>,
    pub(crate) runs: Runs,
    pub(crate) serial: u64,
    /// What is to be done when the profile is saved.
    pub(crate) after_save: Option<Effect>,
    pub(crate) unsaved: bool,
    pub(crate) stage: Stage,
}

impl Model {
    /// A new wizard, and what has to be done first.
    #[must_use]
    pub fn new(start: Start) -> (Self, Vec<Effect>) {
        let mut effects = vec![Effect::Load { file: start.file.clone() }, Effect::FindRuns];
        effects.extend(start.bundle.iter().map(|file| Effect::OpenBundle { file: file.clone() }));
        let mut model = Self {
            language: start.language,
            today: start.today,
            checks: start.checks,
            page: PageId::Start,
            trail: Vec::new(),
            marks: PageId::ALL.into_iter().map(|page| (page, Mark::Unseen)).collect(),
            draft: Draft::default(),
            judged: Judged::default(),
            found: Vec::new(),
            typed: BTreeSet::new(),
            aside: BTreeMap::new(),
            left_open: BTreeSet::new(),
            focus: None,
            host: None,
            parts: Vec::new(),
            refused: None,
            notice: None,
            file: start.file,
            file_state: FileState::Unknown,
            from_file: false,
            bundle: start.bundle,
            trust: start.trust,
            document: None,
            bundle_trouble: None,
            sizing: Task::Idle,
            tries: Tries::new(),
            checked: Task::Idle,
            planned: Task::Idle,
            runs: Runs::new(start.runs),
            fixed: Task::Idle,
            serial: 0,
            after_save: None,
            unsaved: false,
            stage: Stage::Going,
        };
        model.marks.insert(PageId::Start, Mark::Seen);
        model.judged = model.draft.judge(&model.circumstances());
        model.refocus();
        (model, effects)
    }

    /// The page that is shown.
    #[must_use]
    pub fn page(&self) -> PageId {
        self.page
    }

    /// The page that [`crate::Message::Back`] leads to.
    #[must_use]
    pub fn page_before(&self) -> Option<PageId> {
        self.trail.last().copied()
    }

    /// How far a page is.
    #[must_use]
    pub fn mark(&self, page: PageId) -> Mark {
        self.marks.get(&page).copied().unwrap_or(Mark::Unseen)
    }

    /// The language that is spoken.
    #[must_use]
    pub fn words(&self) -> Words {
        Words::of(self.language)
    }

    /// The values as far as they are there.
    #[must_use]
    pub fn draft(&self) -> &Draft {
        &self.draft
    }

    /// The host that is looked at, by its number from 0.
    #[must_use]
    pub fn host(&self) -> Option<usize> {
        self.host
    }

    /// Path of the field that is looked at.
    #[must_use]
    pub fn focus(&self) -> Option<&str> {
        self.focus.as_deref()
    }

    /// Why the last thing was not taken, if it was not.
    #[must_use]
    pub fn refused(&self) -> Option<&Refused> {
        self.refused.as_ref()
    }

    /// The profile's file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Whether the answers began with those of a file.
    #[must_use]
    pub fn is_from_file(&self) -> bool {
        self.from_file
    }

    /// The bundle's file.
    #[must_use]
    pub fn bundle(&self) -> Option<&Path> {
        self.bundle.as_deref()
    }

    /// Whether somebody wants to leave and is asked whether they do.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.stage == Stage::Leaving
    }

    /// Whether somebody wants the run to stop and is asked whether they do.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stage == Stage::Stopping
    }

    /// Whether it is over.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.stage == Stage::Ended
    }

    /// Whether there are answers that no file has.
    #[must_use]
    pub fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// The value of a field's path, in the profile or kept aside.
    #[must_use]
    pub fn answer(&self, path: &str) -> Option<Json> {
        let aside = || {
            let (kept, value) = self.aside.iter().find(|(kept, _)| {
                path.strip_prefix(kept.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })?;
            let rest = path[kept.len()..].trim_start_matches('.');
            rest.split('.')
                .filter(|key| !key.is_empty())
                .try_fold(value, |value, key| value.get(key))
                .cloned()
        };
        self.draft.get(path).cloned().or_else(aside)
    }

    /// Whether there is a file that answers can be written to.
    #[must_use]
    pub fn can_save(&self) -> bool {
        matches!(self.file_state, FileState::New | FileState::Opened)
    }

    /// Whether an answer for the profile was typed here.
    pub(crate) fn has_answers(&self) -> bool {
        self.typed.iter().any(|path| !crate::field::is_of_wizard(path))
    }

    /// Where the value of a field comes from.
    #[must_use]
    pub fn source(&self, field: &Field) -> Source {
        if self.typed.contains(&field.path) {
            Source::Typed
        } else if field.is_of_wizard() {
            Source::Default
        } else if self.draft.get(&field.path).is_some() {
            Source::File
        } else if field.default.is_none() {
            Source::Nothing
        } else if field.path.starts_with("product.") {
            Source::Vendor
        } else {
            Source::Default
        }
    }

    /// Whether a field can be answered: what it hangs on is.
    #[must_use]
    pub fn is_enabled(&self, field: &Field) -> bool {
        field.gate.as_ref().is_none_or(|gate| self.draft.get(gate).is_some())
    }

    /// The product, where the bundle is at hand.
    pub(crate) fn product(&self) -> Option<&BundleDocument> {
        self.document.as_deref()
    }

    pub(crate) fn circumstances(&self) -> Circumstances<'_> {
        Circumstances { today: self.today, checks: Some(&self.checks), files: false }
    }

    /// Keeps the focus on a field that is there and can be answered; else on the first such.
    pub(crate) fn refocus(&mut self) {
        let fields = crate::field::fields(self);
        let mut can = fields.iter().filter(|field| self.is_enabled(field));
        let stays = self.focus.as_ref().is_some_and(|focus| can.clone().any(|field| field.path == *focus));
        if !stays {
            self.focus = can.next().map(|field| field.path.clone());
        }
    }
}
