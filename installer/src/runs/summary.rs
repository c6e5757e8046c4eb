//! What can be told of runs in one line each: for a list to choose from.

use std::path::Path;
use std::time::Duration;

use sealift_events::RunResult;
use sealift_events::picture::{FailedStep, RunPicture};

use super::{Run, names};
use crate::watch::Viewer;

/// Most runs that a list has.
const MOST: usize = 20;

/// What can be told of a run in one line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RunSummary {
    /// Name of its folder.
    pub(crate) name: String,
    /// Site name; empty where nothing has begun.
    pub(crate) site: String,
    /// Product and version; empty where nothing has begun.
    pub(crate) product: String,
    /// Steps done.
    pub(crate) done: u32,
    /// Steps in all.
    pub(crate) steps: u32,
    /// How it stands.
    pub(crate) standing: Standing,
}

/// How a run stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Standing {
    /// Its process lives and has not said how it ended.
    GoesOn,
    /// It ended well.
    Done,
    /// It ended with these failures; that of the last question, after all steps, has no host.
    Failed(Vec<FailedStep>),
    /// It was stopped as asked.
    Stopped,
    /// Its process is gone without having said how it ended.
    CutOff,
    /// Its journal cannot be read, and why.
    Unreadable(String),
}

impl Standing {
    /// How the run on this picture stands.
    pub(crate) fn of(picture: &RunPicture) -> Self {
        match picture.result {
            _ if picture.goes_on => Self::GoesOn,
            Some(RunResult::Done) => Self::Done,
            Some(RunResult::Failed) => Self::Failed(picture.failures.clone()),
            Some(RunResult::Cancelled) => Self::Stopped,
            None => Self::CutOff,
        }
    }

    /// For people.
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Self::GoesOn => "goes on",
            Self::Done => "ended well",
            Self::Failed(_) => "ended with a failure",
            Self::Stopped => "stopped as asked",
            Self::CutOff => "cut off",
            Self::Unreadable(_) => "cannot be read",
        }
    }
}

/// The newest runs in a folder, the newest first; a folder that cannot be read has none.
pub(crate) fn summaries(runs: &Path) -> Vec<RunSummary> {
    let names = names(runs).unwrap_or_default();
    let run = |name: String| Run { folder: runs.join(&name), name };
    names.into_iter().take(MOST).map(|name| summary(run(name))).collect()
}

fn summary(run: Run) -> RunSummary {
    let name = run.name.clone();
    // One that was left before its first step has no journal, and never will have.
    let left = !run.has_journal() && !run.is_fresh();
    let picture = if left {
        Ok(RunPicture::default())
    } else {
        Viewer::without_plan(run).and_then(|mut viewer| viewer.picture(Duration::ZERO))
    };
    match picture {
        Ok(picture) => RunSummary {
            name,
            standing: Standing::of(&picture),
            site: picture.site,
            product: picture.product,
            done: picture.done,
            steps: picture.steps,
        },
        Err(failure) => RunSummary {
            name,
            standing: Standing::Unreadable(failure.message),
            site: String::new(),
            product: String::new(),
            done: 0,
            steps: 0,
        },
    }
}
