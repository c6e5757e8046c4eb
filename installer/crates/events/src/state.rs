//! The fold: a list of records gives the state that any display shows, live or replayed.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{FailureReport, Record, RunResult, StepEvent};

/// Where a run stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunState {
    /// Run identifier.
    pub run: String,
    /// Site name.
    pub site: String,
    /// Product and version.
    pub product: String,
    /// Steps in all.
    pub steps: u32,
    /// Hosts with what they did, in name order.
    pub hosts: BTreeMap<String, HostState>,
    /// How it ended; `None` while it runs or after a crash.
    pub result: Option<RunResult>,
    /// Failures so far, by step.
    pub failures: Vec<(String, FailureReport)>,
    last_sequence: u64,
    /// When the last record was made, by both clocks.
    last: Option<(Timestamp, u64)>,
}

/// Where one host stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostState {
    /// Steps done.
    pub done: u32,
    /// Of these, steps that changed something.
    pub changed: u32,
    /// Steps that failed for good.
    pub failed: u32,
    /// Steps running now: identifier to title.
    pub running: BTreeMap<String, String>,
    /// Title of the step that ended last.
    pub last: Option<String>,
    /// Milliseconds since the run started at which the host was last heard of.
    pub heard_millis: u64,
    /// Bytes moved over a network.
    pub bytes: u64,
}

impl RunState {
    /// Folds records; a record seen before is ignored, so readers may repeat themselves.
    #[must_use]
    pub fn fold<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut state = Self::default();
        for record in records {
            state.apply(record);
        }
        state
    }

    /// Takes one record.
    pub fn apply(&mut self, record: &Record) {
        if self.has_seen(record) {
            return;
        }
        self.last_sequence = record.sequence;
        self.last = Some((record.at, record.elapsed_millis));
        if let Some(host) = record.event.host() {
            self.host(host).heard_millis = record.elapsed_millis;
        }
        match &record.event {
            StepEvent::RunStarted { run, site, product, hosts, steps, .. } => {
                self.run.clone_from(run);
                self.site.clone_from(site);
                self.product.clone_from(product);
                self.steps = *steps;
                self.hosts = hosts.iter().map(|host| (host.clone(), HostState::default())).collect();
            }
            StepEvent::StepStarted { step, host, title, .. } => {
                self.host(host).running.insert(step.clone(), title.clone());
            }
            StepEvent::StepFinished { step, host, changed, bytes, .. } => {
                let host = self.host(host);
                host.end(step);
                host.done += 1;
                host.changed += u32::from(*changed);
                host.bytes += bytes;
            }
            StepEvent::StepFailed { step, host, failure } => {
                let host = self.host(host);
                host.end(step);
                host.failed += 1;
                self.failures.push((step.clone(), failure.clone()));
            }
            StepEvent::RunFinished { result, .. } => self.result = Some(*result),
            StepEvent::StepRetried { .. } | StepEvent::Note { .. } | StepEvent::Unknown => {}
        }
    }

    /// Whether the record was taken before.
    #[must_use]
    pub fn has_seen(&self, record: &Record) -> bool {
        record.sequence <= self.last_sequence
    }

    /// Milliseconds from the run's start to its last record.
    #[must_use]
    pub fn last_millis(&self) -> u64 {
        self.last.map_or(0, |(_, millis)| millis)
    }

    /// Steps done on all hosts.
    #[must_use]
    pub fn done(&self) -> u32 {
        self.hosts.values().map(|host| host.done).sum()
    }

    /// Milliseconds from the run's start to `now`. Counted from the last record, so that a clock that was set in
    /// between spoils little.
    #[must_use]
    pub fn elapsed_millis(&self, now: Timestamp) -> u64 {
        let Some((at, millis)) = self.last else { return 0 };
        millis.saturating_add(u64::try_from(now.duration_since(at).as_millis()).unwrap_or(0))
    }

    fn host(&mut self, name: &str) -> &mut HostState {
        self.hosts.entry(name.to_owned()).or_default()
    }
}

impl HostState {
    fn end(&mut self, step: &str) {
        self.last = Some(self.running.remove(step).unwrap_or_else(|| step.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VERSION;

    fn record(sequence: u64, event: StepEvent) -> Record {
        Record {
            version: VERSION,
            sequence,
            at: jiff::Timestamp::UNIX_EPOCH,
            elapsed_millis: sequence,
            event,
        }
    }

    fn started(sequence: u64, step: &str) -> Record {
        let event =
            StepEvent::StepStarted { step: step.into(), host: "m1".into(), title: "t".into(), attempt: 1 };
        record(sequence, event)
    }

    fn finished(sequence: u64, step: &str, changed: bool) -> Record {
        let event = StepEvent::StepFinished {
            step: step.into(),
            host: "m1".into(),
            changed,
            summary: String::new(),
            bytes: 10,
            millis: 1,
        };
        record(sequence, event)
    }

    #[test]
    fn the_fold_counts_and_tolerates_repeats() {
        let records = [started(1, "a"), finished(2, "a", true), finished(2, "a", true), started(3, "b")];
        let state = RunState::fold(&records);
        let host = &state.hosts["m1"];
        assert_eq!((host.done, host.changed, host.bytes), (1, 1, 10));
        assert_eq!(host.running.keys().collect::<Vec<_>>(), ["b"]);
        assert_eq!(state.result, None, "a run without its last event has crashed or runs");
    }

    #[test]
    fn failures_are_kept_with_their_step() {
        let failure = FailureReport { message: "no".into(), ..FailureReport::default() };
        let event = StepEvent::StepFailed { step: "a".into(), host: "m1".into(), failure: failure.clone() };
        let state = RunState::fold(&[started(1, "a"), record(2, event)]);
        assert_eq!(state.failures, [("a".to_owned(), failure)]);
        let host = &state.hosts["m1"];
        assert!(host.running.is_empty());
        assert_eq!((host.failed, host.last.as_deref(), host.heard_millis), (1, Some("t"), 2));
    }

    #[test]
    fn the_age_of_a_run_goes_on_after_its_last_record() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!(RunState::default().elapsed_millis(at(9)), 0);
        let state = RunState::fold(&[started(1500, "a")]);
        assert_eq!(state.elapsed_millis(at(9)), 10_500);
        assert_eq!(state.elapsed_millis(at(-9)), 1500, "the clock was set back");
    }
}
