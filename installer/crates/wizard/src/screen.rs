//! What a front end shows, as a value: no colours, no places on a screen.

use sealift_checks::Matrix;

use crate::effect::Message;
use crate::field::Kind;
use crate::model::{Mark, Refused, Source};
use crate::page::PageId;
use crate::reach::NewKey;

/// How a field stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is wrong with it.
    Fine,
    /// It has to be answered.
    Missing,
    /// What is there cannot be so.
    Wrong {
        /// What is wrong.
        message: String,
        /// What to do.
        remedy: String,
    },
}

/// A field as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldView {
    /// Path in the profile.
    pub path: String,
    /// Its number on the page, from 1.
    pub number: usize,
    /// The question.
    pub label: String,
    /// How to write an answer, with an example; may be empty.
    pub example: String,
    /// What may be answered.
    pub kind: Kind,
    /// The words of a choice, and what people call each.
    pub choices: Vec<(String, String)>,
    /// The answer in words, none where there is none. Of a secret only where it is.
    pub value: Option<String>,
    /// The answer as somebody would type it again; none where there is none, or where a whole text stands in its place.
    pub answer: Option<String>,
    /// What holds without an answer, in words.
    pub default: Option<String>,
    /// Where the value comes from.
    pub source: Source,
    /// How it stands.
    pub verdict: Verdict,
    /// Whether it can be answered.
    pub enabled: bool,
    /// Whether most sites have an answer.
    pub usual: bool,
    /// Whether it is looked at.
    pub focused: bool,
    /// What, why and whom to ask, a paragraph each.
    pub help: Vec<String>,
}

/// A line that can be opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its cells.
    pub cells: Vec<String>,
    /// What opens it.
    pub opens: Message,
}

/// One part of a page's body, from top to bottom.
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    /// A paragraph.
    Text(String),
    /// A heading over what follows.
    Heading(String),
    /// Columns with a line of names.
    Table {
        /// Names of the columns.
        names: Vec<String>,
        /// Cells of each line.
        lines: Vec<Vec<String>>,
    },
    /// Columns with a line of names, and lines of which each can be opened.
    Entries {
        /// Names of the columns.
        names: Vec<String>,
        /// The lines.
        entries: Vec<Entry>,
    },
    /// A mark for each group on each host.
    Matrix {
        /// The marks.
        matrix: Matrix,
        /// A line for each of its rows: the group's name, and the same as its marks in words.
        entries: Vec<Entry>,
        /// What stands over the marks for the site as a whole.
        site: String,
        /// What stands before the list of hosts where they are numbered.
        hosts: String,
    },
    /// Something with its name before it.
    Pair {
        /// The name.
        name: String,
        /// What it is.
        text: String,
    },
    /// A question.
    Field(Box<FieldView>),
    /// Something that somebody should look at.
    Warning(String),
    /// How far something is.
    Progress(Progress),
    /// Lines as others wrote them, the oldest first.
    Log(Vec<String>),
}

/// How far something is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// What it is of: a host, or all of them.
    pub name: String,
    /// What that does; may be empty.
    pub role: String,
    /// Whether there is more to be seen of it: a host's whole log.
    pub opens: bool,
    /// Steps done.
    pub done: u32,
    /// Steps in all; 0 where nobody knows.
    pub total: u32,
    /// What goes on, in words.
    pub text: String,
    /// Time since its last sign, where that is of interest.
    pub age: Option<String>,
    /// Whether somebody should look at it.
    pub alarm: bool,
}

/// Something that can be done here beside answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// This page is done.
    Next,
    /// To the page last seen.
    Back,
    /// Leave this page open and go on.
    Skip,
    /// Write the profile now.
    Save,
    /// Leave the wizard.
    Quit,
    /// A new host.
    AddHost,
    /// Change a host.
    EditHost,
    /// Take a host out.
    RemoveHost,
    /// Many hosts as lines.
    PasteHosts,
    /// Many hosts from a file.
    ImportHosts,
    /// Back to the table of hosts.
    CloseHost,
    /// Calculate, try the hosts, check, plan or install (again).
    Run,
    /// Watch a run that is there.
    WatchRun,
    /// Ask the run to stop once its steps have ended.
    Stop,
    /// Leave the wizard while the run goes on.
    Detach,
    /// Confirm the host keys that are new.
    TrustKeys,
    /// Show what can be mended by itself, and ask.
    Fix,
    /// Mend that.
    MakeFixes,
    /// Accept the risk of the finding that is looked at, or change who accepts it.
    AcceptRisk,
    /// The acceptance is whole.
    KeepRisk,
    /// Nobody accepts it any more.
    TakeRiskBack,
}

/// A page as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Screen {
    /// Product and site, as far as they are known.
    pub title: String,
    /// The page.
    pub page: PageId,
    /// Its name.
    pub page_title: String,
    /// Number of the page from 1, and how many there are.
    pub step: (usize, usize),
    /// All pages with names and marks.
    pub steps: Vec<(PageId, String, Mark)>,
    /// What the page is for.
    pub intro: String,
    /// What stands on it.
    pub rows: Vec<Row>,
    /// What has happened in the run that the page is about, a line each, the oldest first.
    pub log: Vec<String>,
    /// One sentence: why Next is closed, or that all is well.
    pub message: String,
    /// Whether the page can be done as it is.
    pub next_open: bool,
    /// Whether that sentence is a good one.
    pub well: bool,
    /// The page that Next leads to; none where it is the last.
    pub next: Option<PageId>,
    /// Whether the message is about something that should not be so, though Next is open.
    pub warns: bool,
    /// Host keys that wait to be confirmed on this page.
    pub new_keys: Vec<NewKey>,
    /// How many hosts have not answered yet: their keys, if they have new ones, come later.
    pub asking: usize,
    /// Why the last thing was not taken.
    pub refused: Option<Refused>,
    /// What has just happened, if anything.
    pub notice: Option<String>,
    /// The question whether to leave, where it is asked.
    pub leaving: Option<String>,
    /// The question whether the run shall stop, where it is asked.
    pub stopping: Option<String>,
    /// What can be done.
    pub actions: Vec<Action>,
}

impl Screen {
    /// Whether a question has to be answered before anything else.
    #[must_use]
    pub fn asks(&self) -> bool {
        self.leaving.is_some() || self.stopping.is_some()
    }

    /// The fields, in their order.
    pub fn fields(&self) -> impl Iterator<Item = &FieldView> {
        self.rows.iter().filter_map(|row| if let Row::Field(field) = row { Some(&**field) } else { None })
    }

    /// The lines that can be opened, in their order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.rows.iter().flat_map(|row| match row {
            Row::Entries { entries, .. } | Row::Matrix { entries, .. } => entries.as_slice(),
            _ => &[],
        })
    }
}
