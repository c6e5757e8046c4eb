//! Watching a run that goes on in another process: its files are read, and nothing is written.
//!
//! Any number may watch, in any process. What is shown is made by the events room's fold; this only brings what is in
//! the run's folder, and waits.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sealift_events::journal::Reader;
use sealift_events::picture::{LastWords, Moment, PictureFold, PlannedHost, RunPicture};
use sealift_events::progress::ProgressReader;
use sealift_events::{ProgressEvent, Record, RunResult};
use sealift_remote::Timeouts;

use crate::failure::Failure;
use crate::runs::{Run, unreadable};

/// Between two looks at the run's files. Looking and not being told: a look is one read at the file's end and one try
/// of a lock, some ten microseconds; it works on every file system; and no notice of the kernel's tells that a lock was
/// given back, which is how a dead run shows.
pub(crate) const LOOK: Duration = Duration::from_millis(200);

/// Somebody who watches a run.
pub(crate) struct Viewer {
    run: Run,
    /// None until the run has its journal.
    journal: Option<Reader>,
    progress: ProgressReader,
    fold: PictureFold,
    seen: Seen,
    /// Whether a picture was given.
    shown: bool,
}

/// What no event tells.
#[derive(Debug, Clone, PartialEq, Default)]
struct Seen {
    lives: bool,
    stopping: bool,
    last_words: LastWords,
}

/// What is new since the last look.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Durable events.
    pub(crate) records: Vec<Record>,
    /// What running steps said.
    pub(crate) progress: Vec<ProgressEvent>,
    /// Whether something is new that no event tells.
    other: bool,
}

impl Viewer {
    /// Starts to watch. A run whose folder was made a moment ago need not have its journal yet.
    pub(crate) fn open(run: &Run) -> Result<Self, Failure> {
        Self::new(run.clone(), run.planned())
    }

    /// The same without roles and steps of hosts, which takes reading the plan.
    pub(crate) fn without_plan(run: Run) -> Result<Self, Failure> {
        Self::new(run, BTreeMap::new())
    }

    fn new(run: Run, planned: BTreeMap<String, PlannedHost>) -> Result<Self, Failure> {
        // A working agent says something every second; after so much silence its connection counts as lost, and the
        // step is tried again, at last given up. Steps have no other limit of silence.
        let silence = u64::try_from(Timeouts::default().silence.as_millis()).ok();
        let mut viewer = Self {
            progress: run.progress(),
            journal: None,
            fold: PictureFold::new(planned, silence),
            seen: Seen::default(),
            shown: false,
            run,
        };
        viewer.open_journal()?;
        Ok(viewer)
    }

    /// Opens the journal once it is there. That it is not there is an error where it will not come any more.
    fn open_journal(&mut self) -> Result<(), Failure> {
        if self.journal.is_none() && (self.run.has_journal() || !self.run.is_fresh()) {
            self.journal = Some(self.run.journal()?);
        }
        Ok(())
    }

    /// Waits until something changed or patience is over; where the run stands then. The first call does not wait.
    pub(crate) fn picture(&mut self, patience: Duration) -> Result<RunPicture, Failure> {
        let begun = Instant::now();
        let first = !std::mem::replace(&mut self.shown, true);
        loop {
            let changed = self.look()?.is_something();
            let left = patience.saturating_sub(begun.elapsed());
            if changed || first || left.is_zero() {
                return Ok(self.now());
            }
            std::thread::sleep(LOOK.min(left));
        }
    }

    /// Takes what is new, without waiting.
    pub(crate) fn look(&mut self) -> Result<News, Failure> {
        let had_journal = self.has_journal();
        self.open_journal()?;
        let mut news = News::default();
        let mut seen = Seen { lives: true, stopping: self.run.is_asked_to_stop(), ..Seen::default() };
        if let Some(journal) = &mut self.journal {
            // In this order: what the run has written before its death is read after its death was seen.
            seen.lives = journal.is_written().map_err(unreadable)?;
            news.records = journal.more().map_err(unreadable)?;
            news.records.iter().for_each(|record| self.fold.step(record));
            news.progress = self.progress.more();
            news.progress.retain(|progress| self.fold.progress_made(progress));
        }
        if self.fold.state().result == Some(RunResult::Done) {
            seen.last_words = self.run.last_words();
        }
        news.other = seen != self.seen || had_journal != self.has_journal();
        self.seen = seen;
        Ok(news)
    }

    /// Where the run stood at the last look.
    pub(crate) fn now(&self) -> RunPicture {
        let Seen { lives, stopping, last_words } = self.seen.clone();
        let moment = Moment { now: Timestamp::now(), lives, stopping, last_words };
        self.fold.picture(&self.run.name, &moment)
    }

    /// Whether the run has its journal.
    pub(crate) fn has_journal(&self) -> bool {
        self.journal.is_some()
    }

    /// What is known besides the picture.
    pub(crate) fn fold(&self) -> &PictureFold {
        &self.fold
    }
}

impl News {
    fn is_something(&self) -> bool {
        self.other || !self.records.is_empty() || !self.progress.is_empty()
    }
}

#[cfg(test)]
mod tests;
