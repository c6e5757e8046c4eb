//! What a viewer shows of a run at one moment: everything in one value, ready to be drawn or said.
//!
//! Pure. It must not know how anything is displayed, and reads no file and no clock: the time comes in.
//!
//! In order of use: [`PictureFold`], [`Moment`], [`RunPicture`], [`Standing`], [`RunSummary`].

mod fold;
mod summary;

pub use fold::{LastWords, Moment, PictureFold, PlannedHost};
pub use summary::{RunSummary, Standing};

use crate::{FailureReport, RunResult};

/// A run at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunPicture {
    /// Name of its folder.
    pub run: String,
    /// Site name; empty before the first event.
    pub site: String,
    /// Product and version; empty before the first event.
    pub product: String,
    /// Steps in all.
    pub steps: u32,
    /// Steps done.
    pub done: u32,
    /// How it ended; none while it goes on, and where it was cut off.
    pub result: Option<RunResult>,
    /// Whether its process lives and has not said how it ended.
    pub goes_on: bool,
    /// Whether somebody asked it to stop.
    pub stopping: bool,
    /// Milliseconds since it began; until its last event where it does not go on.
    pub elapsed_millis: u64,
    /// All hosts, in the profile's order.
    pub hosts: Vec<HostPicture>,
    /// What failed for good.
    pub failures: Vec<FailedStep>,
    /// What has happened, the oldest first.
    pub log: Vec<LogLine>,
    /// What stands at the end, where it ended well.
    pub outcome: Option<RunOutcome>,
}

/// One host of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostPicture {
    /// Its name.
    pub name: String,
    /// Its role, as the plan calls it; empty where the plan is not at hand.
    pub role: String,
    /// Its steps in all; 0 where the plan is not at hand.
    pub steps: u32,
    /// Steps done.
    pub done: u32,
    /// Of these, steps that changed something.
    pub changed: u32,
    /// Steps that failed for good.
    pub failed: u32,
    /// Steps that have begun and not ended.
    pub running: Vec<StepPicture>,
    /// Title of the step that ended last.
    pub last: Option<String>,
    /// Milliseconds since the host was last heard of; none where nothing was asked of it, or the run does not go on.
    pub silent_millis: Option<u64>,
}

/// A step that has begun and not ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepPicture {
    /// Step identifier.
    pub step: String,
    /// What it does, for people.
    pub title: String,
    /// What it does just now; may be empty.
    pub message: String,
    /// Done so far: bytes where `total` is a million and more.
    pub done: u64,
    /// In all; 0 where it cannot be counted.
    pub total: u64,
    /// Bytes per second of late, where bytes move.
    pub bytes_per_second: Option<u64>,
    /// Milliseconds left at that speed.
    pub left_millis: Option<u64>,
    /// Milliseconds since it last said something.
    pub silent_millis: u64,
    /// Milliseconds of silence after which it is given up, where there is such a limit.
    pub limit_millis: Option<u64>,
}

impl StepPicture {
    /// Whether it has been silent for so long that somebody should look: half of what it may be.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.limit_millis.is_some_and(|limit| self.silent_millis >= limit / 2)
    }
}

/// Bytes for people: decimal units, as disks and links are sold.
#[must_use]
pub fn bytes(count: u64) -> String {
    let value = count as f64;
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.0} kB", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.0} MB", value / 1e6),
        _ => format!("{:.1} GB", value / 1e9),
    }
}

/// A time as clocks show it.
#[must_use]
pub fn clock(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds / 3600 {
        0 => format!("{:02}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

/// A step that failed for good.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FailedStep {
    /// Step identifier.
    pub step: String,
    /// Host name.
    pub host: String,
    /// What it does, for people.
    pub title: String,
    /// Why, and what to do next.
    pub failure: FailureReport,
}

/// A line about something that happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogLine {
    /// Milliseconds since the run began.
    pub at_millis: u64,
    /// The host that it is about, where it is about one.
    pub host: Option<String>,
    /// For people.
    pub text: String,
    /// Whether it tells of something that went wrong: a step that failed, or that was tried again.
    pub trouble: bool,
}

/// What stands at the end of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunOutcome {
    /// Nodes of the cluster.
    pub nodes: u32,
    /// Of these, nodes that are Ready.
    pub ready: u32,
    /// Voting members of etcd.
    pub voters: u32,
    /// Pods.
    pub pods: u32,
    /// The product's acceptance tests.
    pub tests: Vec<TestOutcome>,
}

/// An acceptance test and how it came out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestOutcome {
    /// What it proves, for people.
    pub title: String,
    /// Whether it passed.
    pub passed: bool,
    /// What was seen.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_bytes_are_told_in_few_letters() {
        assert_eq!([0, 401_999, 3_723_000].map(clock), ["00:00", "06:41", "1:02:03"]);
        assert_eq!([999, 81_000_000, 1_300_000_000].map(bytes), ["999 B", "81 MB", "1.3 GB"]);
    }
}
