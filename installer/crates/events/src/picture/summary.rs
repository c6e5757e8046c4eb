//! How a run stands, and what can be told of it in a line.

use super::RunPicture;
use crate::RunResult;

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its process lives and has not said how it ended.
    GoesOn,
    /// It ended well.
    Done,
    /// It ended with a failure.
    Failed,
    /// It was stopped as asked.
    Stopped,
    /// Its process is gone without having said how it ended.
    CutOff,
    /// Its records cannot be read.
    Unreadable,
}

impl Standing {
    /// How the run on this picture stands.
    #[must_use]
    pub fn of(picture: &RunPicture) -> Self {
        match picture.result {
            _ if picture.goes_on => Self::GoesOn,
            Some(RunResult::Done) => Self::Done,
            Some(RunResult::Failed) => Self::Failed,
            Some(RunResult::Cancelled) => Self::Stopped,
            None => Self::CutOff,
        }
    }
}

/// What can be told of a run in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSummary {
    /// Name of its folder.
    pub run: String,
    /// Site name; empty where nothing has begun.
    pub site: String,
    /// Product and version; empty where nothing has begun.
    pub product: String,
    /// How it stands.
    pub standing: Standing,
    /// Steps done.
    pub done: u32,
    /// Steps in all.
    pub steps: u32,
}
