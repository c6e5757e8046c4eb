//! What every operation gets: where it is, who asks, and ways to report, to journal, to run and to write.

use std::io;

use crate::journal::{Change, Journal};
use crate::paths::Paths;
use crate::protocol::{BlobNeed, Failure, FailureKind, Progress};

/// Takes progress. The agent's reporter repeats the last one as a heartbeat.
pub trait Reporter: Sync {
    /// Takes the state of things; cheap, may be called for every buffer.
    fn progress(&self, progress: Progress);
    /// Whether the seat has gone: nobody reads what is reported.
    fn lost(&self) -> bool {
        false
    }
}

/// The way blobs come from the seat.
pub trait BlobChannel {
    /// Asks for blobs, in order.
    fn need(&self, needs: &[BlobNeed]) -> io::Result<()>;
    /// The next data frame.
    fn data(&self) -> io::Result<Vec<u8>>;
}

/// The surroundings of one operation.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    paths: &'a Paths,
    reporter: &'a dyn Reporter,
    run: &'a str,
    step: &'a str,
    blobs: Option<&'a dyn BlobChannel>,
}

impl<'a> Context<'a> {
    /// Surroundings without a blob channel.
    pub fn new(paths: &'a Paths, reporter: &'a dyn Reporter, run: &'a str, step: &'a str) -> Self {
        Self { paths, reporter, run, step, blobs: None }
    }

    /// Adds the way blobs come from the seat.
    #[must_use]
    pub fn with_blobs(mut self, blobs: &'a dyn BlobChannel) -> Self {
        self.blobs = Some(blobs);
        self
    }

    /// The host's folders.
    #[must_use]
    pub fn paths(&self) -> &'a Paths {
        self.paths
    }

    /// Run identifier, empty outside of a run.
    #[must_use]
    pub fn run_id(&self) -> &'a str {
        self.run
    }

    /// Step identifier, empty outside of a step.
    #[must_use]
    pub fn step_id(&self) -> &'a str {
        self.step
    }

    /// The reporter itself, for worker threads.
    #[must_use]
    pub fn reporter(&self) -> &'a dyn Reporter {
        self.reporter
    }

    /// Says what is being done and how far it is; `0, 0` where it cannot be counted.
    pub fn progress(&self, message: impl Into<String>, done: u64, total: u64) {
        self.reporter.progress(Progress { message: message.into(), done, total });
    }

    /// Fails when the seat has gone. Every loop that may take long asks this, so that an orphaned agent ends.
    pub fn still_wanted(&self) -> Result<(), Failure> {
        if self.reporter.lost() { Err(seat_gone()) } else { Ok(()) }
    }

    /// The way blobs come from the seat.
    pub fn blobs(&self) -> Result<&'a dyn BlobChannel, Failure> {
        self.blobs.ok_or_else(|| Failure::other("this session cannot send blobs"))
    }

    /// Records a change, on disk before it is made.
    pub fn record(&self, change: Change) -> Result<(), Failure> {
        Journal::new(self.paths).record(self.run, self.step, change)
    }
}

pub(crate) fn seat_gone() -> Failure {
    Failure::new(FailureKind::Network, "the connection to the seat is gone; stopped here")
}

#[cfg(test)]
pub(crate) mod testing {
    //! A reporter that keeps what it was told.

    use std::sync::Mutex;

    use super::Reporter;
    use crate::protocol::Progress;

    #[derive(Default)]
    pub(crate) struct Recorder(pub(crate) Mutex<Vec<Progress>>);

    impl Reporter for Recorder {
        fn progress(&self, progress: Progress) {
            self.0.lock().unwrap().push(progress);
        }
    }
}
