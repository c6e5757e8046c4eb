//! What can be told of runs in one line each: for a list to choose from.

use std::path::Path;
use std::time::Duration;

use sealift_events::picture::{RunPicture, RunSummary, Standing};

use super::{Run, names};
use crate::watch::Viewer;

/// Most runs that a list has.
const MOST: usize = 20;

/// How a run stands, for people.
pub(crate) fn in_words(standing: Standing) -> &'static str {
    match standing {
        Standing::GoesOn => "goes on",
        Standing::Done => "ended well",
        Standing::Failed => "ended with a failure",
        Standing::Stopped => "stopped as asked",
        Standing::CutOff => "cut off",
        Standing::Unreadable => "cannot be read",
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
        Some(RunPicture::default())
    } else {
        Viewer::without_plan(run).and_then(|mut viewer| viewer.picture(Duration::ZERO)).ok()
    };
    let standing = picture.as_ref().map_or(Standing::Unreadable, Standing::of);
    let RunPicture { site, product, done, steps, .. } = picture.unwrap_or_default();
    RunSummary { run: name, site, product, standing, done, steps }
}
