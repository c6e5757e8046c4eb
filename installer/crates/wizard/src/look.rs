//! What came of a look at the hosts, as far as the wizard shows it.

use sealift_checks::Finding;

use crate::effect::Trouble;

/// What an install would change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Planned {
    /// Steps of all hosts.
    pub steps: usize,
    /// Each host, in the profile's order.
    pub hosts: Vec<PlannedHost>,
}

/// What an install would change on one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlannedHost {
    /// Its name.
    pub host: String,
    /// Steps that are done there.
    pub steps: usize,
    /// Files that are written, but for those that stand there as wanted.
    pub files: usize,
    /// Services that are put there or started.
    pub services: usize,
    /// What is stopped or switched off there, in words.
    pub stops: Vec<String>,
    /// All of it, line by line, with how files differ.
    pub lines: Vec<String>,
}

/// What came of changes that mend something.
#[derive(Debug, Clone, PartialEq)]
pub struct Mended {
    /// What became of each change.
    pub made: Vec<MadeChange>,
    /// What the checks say afterwards, or why nobody could look.
    pub findings: Result<Vec<Finding>, Trouble>,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeChange {
    /// The host's name.
    pub host: String,
    /// The change, in words.
    pub change: String,
    /// How it went.
    pub result: MadeResult,
}

/// How a change went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MadeResult {
    /// It was made.
    Done,
    /// There was nothing to do any more.
    WasSo,
    /// It could not be made, and why.
    Failed(String),
}
