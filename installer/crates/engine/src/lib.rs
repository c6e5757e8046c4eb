//! Runs a plan: order, lanes, retry, cancel; everything it does goes out as events.
//!
//! This room must not know SSH, hosts, files or displays. It takes a [`sealift_plan::Plan`], an [`Executor`] that can
//! do one step, and a journal, and sees to it that a step runs when all its needs ended well, that no host gets more
//! than [`Options::lanes`] steps at once, that a lost connection is tried again, and that after a failure nothing new
//! starts while what runs may end. Resume needs no memory here: every operation probes first, so running the same
//! plan again does only what is missing.
//!
//! In order of use: [`Executor`], [`Options`], [`run`], [`Summary`].

mod schedule;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use schedule::Schedule;
use sealift_events::journal::{Journal, JournalError};
use sealift_events::{FailureReport, ProgressEvent, RunResult, StepEvent};
use sealift_plan::{Plan, Step};

/// Does one step. Called from several threads at once.
pub trait Executor: Sync {
    /// Probes, applies and verifies the step's operation on its host.
    fn execute(&self, step: &Step, progress: &dyn Fn(StepProgress)) -> Result<StepOutcome, StepError>;
}

/// How far a step is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepProgress {
    /// What it does now.
    pub message: String,
    /// Done so far.
    pub done: u64,
    /// In all; 0 where it cannot be counted.
    pub total: u64,
}

/// What a step came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepOutcome {
    /// Whether the host was changed.
    pub changed: bool,
    /// One line for people.
    pub summary: String,
    /// Bytes moved over a network.
    pub bytes: u64,
}

/// Why a step did not end well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepError {
    /// Whether trying again can help: the connection was lost, the operation itself did not fail.
    pub lost: bool,
    /// For people and machines.
    pub report: Box<FailureReport>,
}

/// How to run.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Most steps at once on one host.
    pub lanes: usize,
    /// Tries of a step whose connection is lost, the first included.
    pub attempts: u32,
    /// Pause before a new try.
    pub pause: Duration,
    /// Set to stop: what runs may end, nothing new starts.
    pub cancel: &'a AtomicBool,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// How it ended.
    pub result: RunResult,
    /// Steps that changed something.
    pub changed: u32,
    /// Steps that found everything in place.
    pub unchanged: u32,
    /// Steps that failed, with why.
    pub failures: BTreeMap<String, StepError>,
}

/// Why a run could not be made at all.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The journal cannot be written: without it nothing may start.
    #[error("the run cannot be recorded")]
    Journal(#[from] JournalError),
    /// A step needs one that does not exist or waits for itself.
    #[error("step {step} can never start: it needs {needs}")]
    Unreachable {
        /// The step.
        step: String,
        /// What it waits for.
        needs: String,
    },
}

type Finished = (usize, Result<StepOutcome, StepError>, Duration);

/// Runs all steps of a plan.
pub fn run(
    plan: &Plan,
    executor: &dyn Executor,
    journal: &Journal,
    options: Options<'_>,
) -> Result<Summary, EngineError> {
    let started = Instant::now();
    let mut schedule = Schedule::new(&plan.steps, options.lanes)?;
    let mut summary =
        Summary { result: RunResult::Done, changed: 0, unchanged: 0, failures: BTreeMap::new() };
    let (sender, receiver) = mpsc::channel::<Finished>();
    std::thread::scope(|scope| -> Result<(), EngineError> {
        loop {
            let stopping = !summary.failures.is_empty() || options.cancel.load(Ordering::Relaxed);
            while !stopping && let Some(index) = schedule.start_next() {
                let sender = sender.clone();
                let step = &plan.steps[index];
                scope.spawn(move || {
                    let begun = Instant::now();
                    let result = attempt(step, executor, journal, options);
                    // The receiver lives until every step has reported.
                    let _ = sender.send((index, result, begun.elapsed()));
                });
            }
            if schedule.running() == 0 {
                return Ok(());
            }
            let Ok((index, result, took)) = receiver.recv() else { return Ok(()) };
            schedule.finish(index, result.is_ok());
            note(&plan.steps[index], result, took, &mut summary, journal)?;
        }
    })?;
    summary.result = if !summary.failures.is_empty() {
        RunResult::Failed
    } else if schedule.all_done() {
        RunResult::Done
    } else {
        RunResult::Cancelled
    };
    journal.record(StepEvent::RunFinished {
        result: summary.result,
        changed: summary.changed,
        unchanged: summary.unchanged,
        millis: millis(started.elapsed()),
    })?;
    Ok(summary)
}

/// Tries one step until it ends, fails, or its connection was lost too often.
fn attempt(
    step: &Step,
    executor: &dyn Executor,
    journal: &Journal,
    options: Options<'_>,
) -> Result<StepOutcome, StepError> {
    let mut number = 1;
    loop {
        record(
            journal,
            StepEvent::StepStarted {
                step: step.id.clone(),
                host: step.host.clone(),
                title: step.title.clone(),
                attempt: number,
            },
        )?;
        let result = executor.execute(step, &|progress| {
            journal.progress(ProgressEvent {
                step: step.id.clone(),
                host: step.host.clone(),
                message: progress.message,
                done: progress.done,
                total: progress.total,
                elapsed_millis: 0,
            });
        });
        match result {
            Err(error)
                if error.lost && number < options.attempts && !options.cancel.load(Ordering::Relaxed) =>
            {
                let event = StepEvent::StepRetried {
                    step: step.id.clone(),
                    host: step.host.clone(),
                    reason: error.report.message,
                };
                record(journal, event)?;
                std::thread::sleep(options.pause);
                number += 1;
            }
            other => return other,
        }
    }
}

/// A step whose start cannot be recorded must not start.
fn record(journal: &Journal, event: StepEvent) -> Result<(), StepError> {
    journal.record(event).map_err(|error| {
        let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
        let report = FailureReport {
            kind: "journal".to_owned(),
            message: error.to_string(),
            causes: causes.map(ToString::to_string).collect(),
            ..FailureReport::default()
        };
        StepError { lost: false, report: Box::new(report) }
    })
}

fn note(
    step: &Step,
    result: Result<StepOutcome, StepError>,
    took: Duration,
    summary: &mut Summary,
    journal: &Journal,
) -> Result<(), JournalError> {
    match result {
        Ok(outcome) => {
            if outcome.changed {
                summary.changed += 1;
            } else {
                summary.unchanged += 1;
            }
            journal.record(StepEvent::StepFinished {
                step: step.id.clone(),
                host: step.host.clone(),
                changed: outcome.changed,
                summary: outcome.summary,
                bytes: outcome.bytes,
                millis: millis(took),
            })
        }
        Err(error) => {
            let event = StepEvent::StepFailed {
                step: step.id.clone(),
                host: step.host.clone(),
                failure: (*error.report).clone(),
            };
            summary.failures.insert(step.id.clone(), error);
            journal.record(event)
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
