//! The fold that makes a picture of a run: records and progress go in, and at any moment the picture comes out.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use super::{FailedStep, HostPicture, LogLine, RunOutcome, RunPicture, StepPicture};
use crate::state::{HostState, RunState};
use crate::{FailureReport, ProgressEvent, Record, RunResult, StepEvent};

/// Most lines of the log that are kept; the oldest go.
const MOST_LINES: usize = 500;
/// Milliseconds of late over which a rate is taken: long enough to be steady, short enough to follow.
const WINDOW: u64 = 10_000;
/// Fewer milliseconds give no rate worth telling.
const LEAST: u64 = 1_000;
/// Most points of progress that are kept of a step, however fast it speaks.
const MOST_POINTS: usize = 256;
/// Totals below it count things and not bytes.
const BYTES: u64 = 1_000_000;
/// What the question is called that a run asks after its last step.
const LAST_QUESTION: &str = "ask what stands at the end";

/// What the plan says of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlannedHost {
    /// Its role, as the plan calls it.
    pub role: String,
    /// Its steps in all.
    pub steps: u32,
}

/// What a run that did all its steps says at its very end, when it has asked the cluster.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum LastWords {
    /// Nothing yet.
    #[default]
    NotYet,
    /// What stands.
    Stands(RunOutcome),
    /// It could not be told, and why.
    Failed(FailureReport),
}

/// When the picture is made, and what no event tells.
#[derive(Debug, Clone)]
pub struct Moment {
    /// The time.
    pub now: Timestamp,
    /// Whether the run's process lives.
    pub lives: bool,
    /// Whether somebody asked it to stop.
    pub stopping: bool,
    /// What it said at its end.
    pub last_words: LastWords,
}

/// What is known of a run, ready for a picture.
#[derive(Debug, Clone, Default)]
pub struct PictureFold {
    planned: BTreeMap<String, PlannedHost>,
    limit_millis: Option<u64>,
    state: RunState,
    /// Hosts in the profile's order.
    hosts: Vec<String>,
    /// Steps that have begun and not ended, by host and step.
    running: BTreeMap<(String, String), Running>,
    /// When hosts last told of progress, milliseconds since the run began.
    told: BTreeMap<String, u64>,
    failures: Vec<FailedStep>,
    log: VecDeque<LogLine>,
}

/// A step that has begun and not ended.
#[derive(Debug, Clone, Default)]
struct Running {
    title: String,
    /// When this try of it began.
    begun: u64,
    /// When it was last heard of.
    heard: u64,
    /// What it said last in this try.
    said: Option<ProgressEvent>,
    /// When how much was done, of late.
    points: VecDeque<(u64, u64)>,
}

impl PictureFold {
    /// Nothing yet of a run with this plan, as far as it is known. `limit_millis` is the silence after which a step
    /// that has spoken is given up.
    #[must_use]
    pub fn new(planned: BTreeMap<String, PlannedHost>, limit_millis: Option<u64>) -> Self {
        Self { planned, limit_millis, ..Self::default() }
    }

    /// Where the run stands, by its durable events alone.
    #[must_use]
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// What a running step said last.
    #[must_use]
    pub fn progress(&self, host: &str, step: &str) -> Option<&ProgressEvent> {
        self.running.get(&(host.to_owned(), step.to_owned()))?.said.as_ref()
    }

    /// Takes one record; one that was seen before is ignored.
    pub fn step(&mut self, record: &Record) {
        if self.state.has_seen(record) {
            return;
        }
        self.state.apply(record);
        let at = record.elapsed_millis;
        match &record.event {
            StepEvent::RunStarted { hosts, .. } => self.hosts.clone_from(hosts),
            StepEvent::StepStarted { step, host, title, .. } => {
                let running = Running { title: title.clone(), begun: at, heard: at, ..Running::default() };
                self.running.insert((host.clone(), step.clone()), running);
            }
            StepEvent::StepFinished { step, host, summary, .. } => {
                let title = self.end(host, step);
                let text = if summary.is_empty() { title } else { format!("{title}: {summary}") };
                self.write(at, Some(host), text);
            }
            StepEvent::StepRetried { step, host, reason } => self.again(at, host, step, reason),
            StepEvent::StepFailed { step, host, failure } => {
                let title = self.end(host, step);
                self.write_trouble(at, host, format!("{title}: failed: {}", failure.message));
                let (step, host, failure) = (step.clone(), host.clone(), failure.clone());
                self.failures.push(FailedStep { step, host, title, failure });
            }
            StepEvent::Note { message } => self.write(at, None, message.clone()),
            StepEvent::RunFinished { .. } | StepEvent::Unknown => {}
        }
    }

    /// Takes what a step said of how far it is. Gives whether that is still of use: the step runs, in the same try.
    pub fn progress_made(&mut self, progress: &ProgressEvent) -> bool {
        let key = (progress.host.clone(), progress.step.clone());
        let Some(running) = self.running.get_mut(&key) else { return false };
        if progress.elapsed_millis < running.begun {
            return false;
        }
        running.hear(progress);
        let told = self.told.entry(progress.host.clone()).or_default();
        *told = (*told).max(progress.elapsed_millis);
        true
    }

    /// The picture at this moment.
    #[must_use]
    pub fn picture(&self, run: &str, moment: &Moment) -> RunPicture {
        let mut picture = RunPicture {
            run: run.to_owned(),
            site: self.state.site.clone(),
            product: self.state.product.clone(),
            steps: self.state.steps,
            done: self.state.done(),
            result: self.state.result,
            goes_on: moment.lives && self.state.result.is_none(),
            stopping: moment.stopping,
            elapsed_millis: self.state.last_millis(),
            hosts: Vec::new(),
            failures: self.failures.clone(),
            log: self.log.iter().cloned().collect(),
            outcome: None,
        };
        if self.state.result == Some(RunResult::Done) {
            end(&mut picture, moment);
        }
        if picture.goes_on {
            picture.elapsed_millis = self.elapsed_millis(moment.now);
        }
        picture.hosts = self.host_pictures(&picture);
        picture
    }

    /// Milliseconds since the run began.
    fn elapsed_millis(&self, now: Timestamp) -> u64 {
        let told = self.told.values().copied().max().unwrap_or_default();
        self.state.elapsed_millis(now).max(told)
    }

    fn host_pictures(&self, picture: &RunPicture) -> Vec<HostPicture> {
        let known = |name: &&String| self.state.hosts.contains_key(*name);
        // A host that the run did not name at its start comes last.
        let others = self.state.hosts.keys().filter(|name| !self.hosts.contains(name));
        let names = self.hosts.iter().filter(known).chain(others);
        names.map(|name| self.host_picture(name, &self.state.hosts[name], picture)).collect()
    }

    fn host_picture(&self, name: &str, host: &HostState, picture: &RunPicture) -> HostPicture {
        let planned = self.planned.get(name).cloned().unwrap_or_default();
        let mut running: Vec<_> = self.running.iter().filter(|((of, _), _)| of == name).collect();
        running.sort_by_key(|((_, step), one)| (one.begun, step));
        let asked = host.last.is_some() || !running.is_empty();
        let heard = self.told.get(name).copied().unwrap_or_default().max(host.heard_millis);
        HostPicture {
            name: name.to_owned(),
            role: planned.role,
            steps: planned.steps,
            done: host.done,
            changed: host.changed,
            failed: host.failed,
            last: host.last.clone(),
            silent_millis: (picture.goes_on && asked).then(|| picture.elapsed_millis.saturating_sub(heard)),
            running: running
                .into_iter()
                .map(|((_, step), one)| one.picture(step, picture, self.limit_millis))
                .collect(),
        }
    }

    /// A lost connection: until the next try says something, its silence means nothing.
    fn again(&mut self, at: u64, host: &str, step: &str, reason: &str) {
        let title = match self.running.get_mut(&(host.to_owned(), step.to_owned())) {
            Some(running) => {
                *running = Running {
                    title: std::mem::take(&mut running.title),
                    begun: at,
                    heard: at,
                    ..Running::default()
                };
                running.title.clone()
            }
            None => step.to_owned(),
        };
        self.write_trouble(at, host, format!("{title}: tried again: {reason}"));
    }

    /// A step has ended; its title.
    fn end(&mut self, host: &str, step: &str) -> String {
        let ended = self.running.remove(&(host.to_owned(), step.to_owned()));
        ended.map_or_else(|| step.to_owned(), |running| running.title)
    }

    fn write(&mut self, at_millis: u64, host: Option<&str>, text: String) {
        self.keep(LogLine { at_millis, host: host.map(str::to_owned), text, trouble: false });
    }

    fn write_trouble(&mut self, at_millis: u64, host: &str, text: String) {
        self.keep(LogLine { at_millis, host: Some(host.to_owned()), text, trouble: true });
    }

    fn keep(&mut self, line: LogLine) {
        if self.log.len() >= MOST_LINES {
            self.log.pop_front();
        }
        self.log.push_back(line);
    }
}

/// The end of a run that did all its steps: it is told when the cluster was asked, and only then.
fn end(picture: &mut RunPicture, moment: &Moment) {
    let failure = match &moment.last_words {
        LastWords::Stands(outcome) => {
            picture.outcome = Some(outcome.clone());
            return;
        }
        LastWords::NotYet if moment.lives => {
            picture.result = None;
            picture.goes_on = true;
            return;
        }
        LastWords::NotYet => FailureReport {
            kind: "run".to_owned(),
            message: "every step is done, but the run's process was gone before it had asked what stands"
                .to_owned(),
            hint: Some(
                "run the same install command again: it changes nothing that is in place, and asks again"
                    .to_owned(),
            ),
            ..FailureReport::default()
        },
        LastWords::Failed(failure) => failure.clone(),
    };
    picture.result = Some(RunResult::Failed);
    let title = LAST_QUESTION.to_owned();
    picture.failures.push(FailedStep { title, failure, ..FailedStep::default() });
}

impl Running {
    fn hear(&mut self, progress: &ProgressEvent) {
        let (at, done) = (progress.elapsed_millis, progress.done);
        let goes_on =
            self.said.as_ref().is_some_and(|said| said.total == progress.total && said.done <= done);
        if !goes_on {
            self.points.clear();
        }
        self.points.push_back((at, done));
        // One point at the window's edge or before it stays, so that the whole window counts.
        while self.points.len() > MOST_POINTS
            || self.points.get(1).is_some_and(|(second, _)| second.saturating_add(WINDOW) <= at)
        {
            self.points.pop_front();
        }
        self.heard = self.heard.max(at);
        self.said = Some(progress.clone());
    }

    /// Bytes per second of late.
    fn rate(&self) -> Option<u64> {
        let bytes = self.said.as_ref().is_some_and(|said| said.total >= BYTES);
        let ((from, before), (to, now)) = (*self.points.front()?, *self.points.back()?);
        let millis = to.saturating_sub(from);
        if !bytes || millis < LEAST {
            return None;
        }
        Some(now.saturating_sub(before).saturating_mul(1000) / millis)
    }

    fn picture(&self, step: &str, run: &RunPicture, limit_millis: Option<u64>) -> StepPicture {
        let (step, title) = (step.to_owned(), self.title.clone());
        let silent_millis = run.elapsed_millis.saturating_sub(self.heard);
        let Some(said) = &self.said else {
            return StepPicture { step, title, silent_millis, ..StepPicture::default() };
        };
        let rate = self.rate();
        let left = said.total.saturating_sub(said.done);
        StepPicture {
            step,
            title,
            message: said.message.clone(),
            done: said.done,
            total: said.total,
            bytes_per_second: rate,
            left_millis: rate.filter(|rate| *rate > 0).map(|rate| left.saturating_mul(1000) / rate),
            silent_millis,
            // Before its first word a host is being connected to, which has limits of its own.
            limit_millis: limit_millis.filter(|_| run.goes_on),
        }
    }
}

#[cfg(test)]
mod tests;
