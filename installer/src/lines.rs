//! Plain lines: what a terminal without cursor control, a pipe or a log gets. One line per finished step, one for a
//! running step every few seconds, so that it is never silent for long.

use std::collections::BTreeMap;
use std::sync::Mutex;

use sealift_events::bar::amount;
use sealift_events::picture::clock;
use sealift_events::{Event, ProgressEvent, Record, RunResult, Sink, StepEvent};

use crate::output::{bytes, say};

/// Milliseconds between two lines about the same running step.
const EVERY: u64 = 4_000;

/// Shows the stream as lines.
pub(crate) struct Lines {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    steps: u32,
    done: u32,
    started: BTreeMap<String, Running>,
}

struct Running {
    title: String,
    last_line: u64,
    last_done: u64,
}

impl Lines {
    /// Goes on after what was said already.
    pub(crate) fn after(seen: &[Record]) -> Self {
        let mut state = State::default();
        for record in seen {
            state.step(record);
        }
        Self { state: Mutex::new(state) }
    }
}

impl Sink for Lines {
    fn take(&self, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let line = match event {
            Event::Step(record) => state.step(record),
            Event::Progress(progress) => state.progress(progress),
        };
        if let Some(line) = line {
            say(&line);
        }
    }
}

impl State {
    fn step(&mut self, record: &Record) -> Option<String> {
        let clock = clock(record.elapsed_millis);
        match &record.event {
            StepEvent::RunStarted { run, steps, hosts, .. } => {
                self.steps = *steps;
                Some(format!("run       {run}: {steps} steps on {} hosts", hosts.len()))
            }
            StepEvent::StepStarted { step, title, .. } => {
                let running =
                    Running { title: title.clone(), last_line: record.elapsed_millis, last_done: 0 };
                self.started.insert(step.clone(), running);
                None
            }
            StepEvent::StepFinished { step, host, changed, summary, bytes: moved, millis } => {
                self.done += 1;
                let title = self.started.remove(step).map_or_else(|| step.clone(), |running| running.title);
                if !changed {
                    return None;
                }
                let mut line =
                    format!("{clock} {:>3}/{} {host:<4} {title}: {summary}", self.done, self.steps);
                if *moved > 0 {
                    line = format!("{line}, {}/s", bytes(per_second(*moved, *millis)));
                }
                Some(format!("{line} ({:.1} s)", *millis as f64 / 1e3))
            }
            StepEvent::StepRetried { host, step, reason } => {
                let title = self.started.get(step).map_or(step.as_str(), |running| &running.title);
                Some(format!("{clock} again    {host:<4} {title}: {reason}"))
            }
            StepEvent::StepFailed { step, host, failure } => {
                let title = self.started.remove(step).map_or_else(|| step.clone(), |running| running.title);
                Some(format!("{clock} FAILED   {host:<4} {title}: {}", failure.message))
            }
            StepEvent::Note { message } => Some(format!("note      {message}")),
            StepEvent::RunFinished { result, changed, unchanged, millis } => {
                let seconds = *millis as f64 / 1e3;
                Some(match result {
                    RunResult::Done if *changed == 0 => {
                        format!(
                            "run       nothing changed: all {unchanged} steps found everything in place ({seconds:.1} s)"
                        )
                    }
                    RunResult::Done => {
                        format!(
                            "run       done in {seconds:.1} s: {changed} steps changed something, {unchanged} found it in place"
                        )
                    }
                    RunResult::Failed => format!(
                        "run       stopped after {seconds:.1} s, {} of {} steps done",
                        self.done, self.steps
                    ),
                    RunResult::Cancelled => {
                        format!("run       stopped as asked, {} of {} steps done", self.done, self.steps)
                    }
                })
            }
            StepEvent::Unknown => None,
        }
    }

    fn progress(&mut self, progress: &ProgressEvent) -> Option<String> {
        let running = self.started.get_mut(&progress.step)?;
        let since = progress.elapsed_millis.saturating_sub(running.last_line);
        if since < EVERY {
            return None;
        }
        let moved = progress.done.saturating_sub(running.last_done);
        running.last_line = progress.elapsed_millis;
        running.last_done = progress.done;
        let clock = clock(progress.elapsed_millis);
        let host = &progress.host;
        // Small totals count things, not bytes.
        let amount = match progress.total {
            0 => String::new(),
            1..1_000_000 => format!(" {} of {}", progress.done, progress.total),
            total => format!(" {}", amount(progress.done, total, Some(per_second(moved, since)), None)),
        };
        Some(format!("{clock} ...      {host:<4} {}: {}{amount}", running.title, progress.message))
    }
}

fn per_second(moved: u64, millis: u64) -> u64 {
    moved * 1000 / millis.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(elapsed_millis: u64, event: StepEvent) -> Record {
        Record { version: 1, sequence: 1, at: jiff::Timestamp::UNIX_EPOCH, elapsed_millis, event }
    }

    #[test]
    fn a_finished_step_says_host_title_and_rate() {
        let mut state = State { steps: 2, ..State::default() };
        let (step, host, title) = ("m1.store".to_owned(), "m1".to_owned(), "receive binaries".to_owned());
        let event = StepEvent::StepStarted { step: step.clone(), host: host.clone(), title, attempt: 1 };
        assert_eq!(state.step(&record(0, event)), None);
        let event = StepEvent::StepFinished {
            step,
            host,
            changed: true,
            summary: "12 blobs".into(),
            bytes: 88_000_000,
            millis: 1000,
        };
        let line = state.step(&record(61_000, event)).unwrap();
        assert_eq!(line, "01:01   1/2 m1   receive binaries: 12 blobs, 88 MB/s (1.0 s)");
    }

    #[test]
    fn a_run_without_changes_says_so() {
        let event =
            StepEvent::RunFinished { result: RunResult::Done, changed: 0, unchanged: 71, millis: 5000 };
        let line = State::default().step(&record(0, event)).unwrap();
        assert!(line.contains("nothing changed"), "{line}");
    }

    #[test]
    fn a_long_step_speaks_every_few_seconds_only() {
        let mut state = State::default();
        let started =
            StepEvent::StepStarted { step: "s".into(), host: "m1".into(), title: "t".into(), attempt: 1 };
        state.step(&record(0, started));
        let at = |elapsed_millis| ProgressEvent {
            step: "s".into(),
            host: "m1".into(),
            message: "x".into(),
            done: 0,
            total: 0,
            elapsed_millis,
        };
        assert_eq!(state.progress(&at(1000)), None);
        assert!(state.progress(&at(5000)).is_some());
        assert_eq!(state.progress(&at(6000)), None);
    }

    #[test]
    fn whoever_comes_late_goes_on_counting() {
        let started = StepEvent::StepStarted {
            step: "s".into(),
            host: "m1".into(),
            title: "receive binaries".into(),
            attempt: 1,
        };
        let lines = Lines::after(&[record(0, started)]);
        let event = StepEvent::StepFinished {
            step: "s".into(),
            host: "m1".into(),
            changed: true,
            summary: "12 blobs".into(),
            bytes: 0,
            millis: 1000,
        };
        let line = lines.state.into_inner().unwrap().step(&record(1000, event)).unwrap();
        assert!(line.contains("1/0 m1   receive binaries: 12 blobs"), "{line}");
    }
}
