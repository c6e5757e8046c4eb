//! What a run says about itself: event types, their fold into a state, and the run journal's format.
//!
//! Two sorts of event, on purpose of different types: [`StepEvent`]s are durable (numbered, written to the journal
//! with fsync before anybody shows them), [`ProgressEvent`]s may be dropped. Every reader (plain lines, JSON lines,
//! the journal, later the wizard and the report) sees the same stream.
//!
//! This room is pure but for [`journal`] and [`progress`], each of which writes and reads one file. It must not know
//! what a step does, how hosts are reached or how anything is displayed; [`bar`] alone has letters for it, so that all
//! front ends use the same.
//!
//! In order of use: [`StepEvent`], [`Record`], [`Event`], [`journal::Journal`], [`progress::ProgressFile`],
//! [`journal::Reader`], [`state::RunState`], [`picture::PictureFold`], [`bar::bar`].

pub mod bar;
pub mod journal;
pub mod picture;
pub mod progress;
pub mod state;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of the event format, the first field of every JSON line.
///
/// A new event or a new field leaves it as it is: older readers skip what they do not know. It is raised where an older
/// reader would misread; readers refuse what is later than they are.
pub const VERSION: u32 = 1;

/// Something that happened and will be remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "event")]
pub enum StepEvent {
    /// First event of a run.
    RunStarted {
        /// Run identifier, the name of its folder.
        run: String,
        /// `install`, later others.
        verb: String,
        /// Site name.
        site: String,
        /// Product and version.
        product: String,
        /// Digest of the plan's JSON.
        plan: String,
        /// Names of the hosts in the profile's order.
        hosts: Vec<String>,
        /// Number of steps.
        steps: u32,
    },
    /// A step begins.
    StepStarted {
        /// Step identifier.
        step: String,
        /// Host name.
        host: String,
        /// What it does, for people.
        title: String,
        /// Which try this is, from 1.
        attempt: u32,
    },
    /// A step ended well.
    StepFinished {
        /// Step identifier.
        step: String,
        /// Host name.
        host: String,
        /// Whether the host was changed.
        changed: bool,
        /// What was done or found, for people.
        summary: String,
        /// Bytes moved over a network.
        bytes: u64,
        /// Milliseconds it took.
        millis: u64,
    },
    /// A step will be tried again.
    StepRetried {
        /// Step identifier.
        step: String,
        /// Host name.
        host: String,
        /// Why.
        reason: String,
    },
    /// A step failed for good.
    StepFailed {
        /// Step identifier.
        step: String,
        /// Host name.
        host: String,
        /// Why.
        failure: FailureReport,
    },
    /// Something worth knowing that is no step.
    Note {
        /// For people.
        message: String,
    },
    /// Last event of a run.
    RunFinished {
        /// How it ended.
        result: RunResult,
        /// Steps that changed something.
        changed: u32,
        /// Steps that found everything in place.
        unchanged: u32,
        /// Milliseconds the run took.
        millis: u64,
    },
    /// An event of a newer version; kept so that older readers go on.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

impl StepEvent {
    /// The host that it is about, where it is about one.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::StepStarted { host, .. }
            | Self::StepFinished { host, .. }
            | Self::StepRetried { host, .. }
            | Self::StepFailed { host, .. } => Some(host),
            Self::RunStarted { .. } | Self::Note { .. } | Self::RunFinished { .. } | Self::Unknown => None,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RunResult {
    /// Every step done.
    Done,
    /// A step failed; the same command resumes.
    Failed,
    /// Stopped by the operator; the same command resumes.
    Cancelled,
}

/// Why a step failed, as people and machines read it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailureReport {
    /// Sort of failure, e.g. `verification`; the front end derives hint and exit code from it.
    pub kind: String,
    /// What failed, naming the object.
    pub message: String,
    /// Causes, outermost first.
    pub causes: Vec<String>,
    /// What to do next, where it is known here.
    pub hint: Option<String>,
    /// Last lines of the log of a failed command.
    pub log: Vec<String>,
}

/// A step event with its number and time: a line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Version of the event format.
    #[schemars(extend("const" = VERSION))]
    pub version: u32,
    /// Counts from 1 without gaps.
    pub sequence: u64,
    /// When, in UTC.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
    /// Milliseconds since the run started.
    pub elapsed_millis: u64,
    /// What.
    #[serde(flatten)]
    pub event: StepEvent,
}

/// How far a running step is. Droppable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProgressEvent {
    /// Step identifier.
    pub step: String,
    /// Host name.
    pub host: String,
    /// What it does now.
    pub message: String,
    /// Done so far: bytes where `total` is above one, 0 of 0 where it cannot be counted.
    pub done: u64,
    /// In all.
    pub total: u64,
    /// Milliseconds since the run started.
    pub elapsed_millis: u64,
}

/// How far a running step is, as a line of its own: among the JSON lines of a run, and in the file that viewers follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProgressLine {
    /// Version of the event format.
    #[schemars(extend("const" = VERSION))]
    pub version: u32,
    /// Tells the line from those of durable events.
    pub event: ProgressWord,
    /// How far the step is.
    pub progress: ProgressEvent,
}

/// The word that marks a line about progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ProgressWord {
    /// The only one.
    Progress,
}

impl From<ProgressEvent> for ProgressLine {
    fn from(progress: ProgressEvent) -> Self {
        Self { version: VERSION, event: ProgressWord::Progress, progress }
    }
}

/// One element of the stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Durable.
    Step(Record),
    /// Droppable.
    Progress(ProgressEvent),
}

/// A reader of the stream. Called from the engine's threads, one event at a time.
pub trait Sink: Send + Sync {
    /// Takes one event. Must not block for long.
    fn take(&self, event: &Event);
}
