//! What happens to the wizard, and what it wants done outside. Both are values.

use std::path::PathBuf;
use std::sync::Arc;

use sealift_bundle::document::BundleDocument;
use sealift_checks::{Finding, Wish};
use sealift_events::picture::{RunPicture, RunSummary};
use sealift_profile::{ProfileFinding, Site};
use sealift_sizing::{Input, Sizing, SizingError};

use crate::look::{Mended, Planned};
use crate::page::PageId;
use crate::part::Part;
use crate::reach::{NewKey, Reached};
use crate::runs::{Agreed, Handover};
use crate::words::Language;

/// Why something outside did not work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trouble {
    /// What did not work.
    pub message: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// What to do.
    pub remedies: Vec<String>,
}

/// What came out of looking for a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loaded {
    /// There is no such file yet.
    New,
    /// Its text.
    There(String),
    /// It cannot be read.
    Failed(Trouble),
}

/// What somebody did, or what came out of an effect.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// An answer as it was typed; an empty one changes nothing.
    Answer {
        /// Path of the field.
        field: String,
        /// What was typed.
        text: String,
    },
    /// Take an answer back: the default holds again.
    Clear {
        /// Path of the field.
        field: String,
    },
    /// Look at this field.
    Focus {
        /// Path of the field.
        field: String,
    },
    /// Look at the next field that can be answered.
    FocusNext,
    /// Look at the field before.
    FocusPrevious,
    /// This page is done.
    Next,
    /// Leave this page open for now, with what is missing or wrong on it, and go on.
    Skip,
    /// To the page last seen; from a host to the table of hosts.
    Back,
    /// To a page that was seen already, or the next one.
    Go(PageId),
    /// Speak this language.
    Speak(Language),
    /// A new host, to be answered.
    AddHost,
    /// Look at this host, by its number from 0.
    EditHost(usize),
    /// Back to the table of hosts.
    CloseHost,
    /// Take this host out, by its number from 0.
    RemoveHost(usize),
    /// Hosts as text: one a line, or a table with a line of column names.
    AddHosts(String),
    /// The same from a file.
    ImportHosts {
        /// The file, as it was typed.
        file: String,
    },
    /// Do what this page is for again: calculate, try the hosts, check, plan, install.
    Run,
    /// Watch a run that is there, by its number in the table from 0.
    WatchRun(usize),
    /// Somebody wants the run that is watched to stop.
    Stop,
    /// Whether they do.
    ReallyStop(bool),
    /// End the wizard; the run that is watched goes on.
    Detach,
    /// These keys were compared with what the hosts' own consoles say, and are theirs.
    TrustKeys(Vec<NewKey>),
    /// Look at a part of the page by itself.
    Open(Part),
    /// Somebody accepts the risk of the finding that is looked at.
    AcceptRisk,
    /// Nobody accepts the risk any more that is looked at, or of the finding that is.
    TakeRiskBack,
    /// Mend what [`Part::Fixes`] shows.
    MakeFixes,
    /// Write the profile now.
    Save,
    /// Somebody wants to leave.
    Quit,
    /// Whether they do.
    ReallyQuit(bool),
    /// Nobody will answer any more.
    InputEnded,
    /// From [`Effect::Load`].
    Loaded(Loaded),
    /// From [`Effect::Save`]: what is wrong with the file as it is now, beyond what the wizard could know, such as a file of
    /// certificates that is not there.
    Saved(Result<Vec<ProfileFinding>, Trouble>),
    /// From [`Effect::OpenBundle`].
    BundleOpened {
        /// The effect's.
        file: PathBuf,
        /// What the product is.
        outcome: Result<Arc<BundleDocument>, Trouble>,
    },
    /// From [`Effect::ReadText`].
    TextRead {
        /// Path of the field.
        field: String,
        /// The text.
        text: Result<String, Trouble>,
    },
    /// From [`Effect::ReadHosts`].
    HostsRead(Result<String, Trouble>),
    /// From [`Effect::Size`].
    Sized {
        /// The effect's.
        serial: u64,
        /// What is needed.
        outcome: Result<Box<Sizing>, Trouble>,
    },
    /// From [`Effect::Reach`].
    Reached {
        /// The effect's.
        serial: u64,
        /// The host's name.
        host: String,
        /// What it came to.
        outcome: Reached,
    },
    /// From [`Effect::Check`].
    Checked {
        /// The effect's.
        serial: u64,
        /// What the checks found.
        outcome: Result<Vec<Finding>, Trouble>,
    },
    /// From [`Effect::Plan`].
    Planned {
        /// The effect's.
        serial: u64,
        /// What would change.
        outcome: Result<Planned, Trouble>,
    },
    /// From [`Effect::Fix`].
    Fixed {
        /// The effect's.
        serial: u64,
        /// What became of the changes, and what the checks say now.
        outcome: Result<Mended, Trouble>,
    },
    /// From [`Effect::FindRuns`], the newest first.
    RunsFound(Vec<RunSummary>),
    /// From [`Effect::Install`].
    InstallBegun {
        /// The effect's.
        serial: u64,
        /// The run's name.
        outcome: Result<String, Trouble>,
    },
    /// From [`Effect::Watch`].
    Watched {
        /// The effect's.
        run: String,
        /// The run as it is now.
        outcome: Result<Box<RunPicture>, Trouble>,
    },
    /// From [`Effect::StopRun`].
    StopAsked {
        /// The effect's.
        run: String,
        /// Whether the run was told.
        outcome: Result<(), Trouble>,
    },
    /// From [`Effect::Report`].
    Reported {
        /// The effect's.
        serial: u64,
        /// What was written.
        outcome: Result<Handover, Trouble>,
    },
}

/// What the front end's world has to do; all but [`Effect::End`] answer with a [`Message`]. An answer whose serial is not
/// that of the last question is dropped.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Write the profile, whole or not at all, for its owner only; and judge it as a reader would.
    Save {
        /// The file.
        file: PathBuf,
        /// What it shall hold.
        text: String,
    },
    /// Read the profile, if there is one.
    Load {
        /// The file.
        file: PathBuf,
    },
    /// Verify the bundle's index and read what the product is.
    OpenBundle {
        /// The file.
        file: PathBuf,
    },
    /// Read a small text file for a field.
    ReadText {
        /// Path of the field.
        field: String,
        /// The file, as it was typed.
        file: String,
    },
    /// Read a small text file with hosts.
    ReadHosts {
        /// The file, as it was typed.
        file: String,
    },
    /// Calculate what the site needs: [`size`].
    Size {
        /// To be given back.
        serial: u64,
        /// The product.
        document: Arc<BundleDocument>,
        /// The site as far as it is known.
        site: Box<Site>,
    },
    /// Try to log in on a host, with the answers as they are now. A host whose key nobody vouches for is not logged in on.
    Reach {
        /// To be given back.
        serial: u64,
        /// The host's name.
        host: String,
        /// The site as far as it is known; the host is in it.
        site: Arc<Site>,
    },
    /// Look at the hosts of the saved profile.
    Check {
        /// To be given back.
        serial: u64,
        /// The profile.
        file: PathBuf,
        /// The bundle.
        bundle: PathBuf,
    },
    /// Look at the hosts of the saved profile, make the plan and keep it.
    Plan {
        /// To be given back.
        serial: u64,
        /// The profile.
        file: PathBuf,
        /// The bundle.
        bundle: PathBuf,
        /// Where to keep it, as `installer plan --write` does.
        keep: PathBuf,
    },
    /// Look for runs whose records are here.
    FindRuns,
    /// Begin an install in a process of its own, which outlives the wizard.
    Install {
        /// To be given back.
        serial: u64,
        /// The profile.
        file: PathBuf,
        /// The bundle.
        bundle: PathBuf,
        /// The plan: nothing else is done.
        agreed: Agreed,
    },
    /// See where a run stands: wait until something has changed or a second is over.
    Watch {
        /// Its name.
        run: String,
    },
    /// Ask a run to stop once its steps have ended.
    StopRun {
        /// Its name.
        run: String,
    },
    /// Write the report that is handed over into the folder of a run.
    Report {
        /// To be given back.
        serial: u64,
        /// The run's name.
        run: String,
        /// The profile.
        file: PathBuf,
        /// The bundle.
        bundle: PathBuf,
        /// Language of its words.
        language: Language,
    },
    /// Make those of these changes that the hosts of the saved profile still ask for, and check them again.
    Fix {
        /// To be given back.
        serial: u64,
        /// The profile.
        file: PathBuf,
        /// The bundle.
        bundle: PathBuf,
        /// The changes that somebody agreed to; no others are made.
        wishes: Vec<Wish>,
    },
    /// The wizard is over.
    End,
}

/// What a site needs of a product, by what it told and decided. Pure: an effect only because it may take a moment.
pub fn size(document: &BundleDocument, site: &Site) -> Result<Sizing, SizingError> {
    let document = document.for_services(&sealift_checks::services_of(site));
    let needs = site.planned_needs();
    let overrides = site.sizing.clone().unwrap_or_default();
    let input = Input::new(&document, &needs, overrides, Vec::new())?;
    sealift_sizing::sizing(&Input { reserved: site.nodes.reserved, ..input })
}
