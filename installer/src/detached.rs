//! An install in a process of its own, which outlives the one that starts it: started, asked for and then left alone.

use std::path::PathBuf;

use crate::failure::{Failure, Kind};
use crate::trust::Trust;
use crate::tui::Ask;

/// What is to be installed, and where its record goes.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// The bundle.
    pub(crate) bundle: PathBuf,
    /// The site profile.
    pub(crate) profile: PathBuf,
    /// The plan that was agreed to, where there is one.
    pub(crate) plan: Option<PathBuf>,
    /// Folder with the records of runs.
    pub(crate) runs: PathBuf,
    /// Whose bundles are opened.
    pub(crate) trust: Trust,
}

/// Starts the install and answers its questions. Gives the run's name once the run has begun, or why it could not
/// begin. Takes as long as verifying, looking at the hosts and checking take.
pub(crate) fn start(order: &Order, ask: Ask<'_>) -> Result<String, Failure> {
    let _ = (order, ask);
    Err(Failure::new(Kind::Internal, "not there yet"))
}
