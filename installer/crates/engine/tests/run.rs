//! The engine against an executor that lives in memory.
#![allow(clippy::unwrap_used)] // helpers of tests, outside of the test functions

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealift_engine::{EngineError, Executor, Options, StepError, StepOutcome, StepProgress, Summary, run};
use sealift_events::journal::{self, Journal};
use sealift_events::state::RunState;
use sealift_events::{Event, FailureReport, RunResult, Sink, StepEvent};
use sealift_plan::inputs::{BundleId, Inputs};
use sealift_plan::operation::Operation;
use sealift_plan::{Plan, Step};

fn step(id: &str, needs: &[&str]) -> Step {
    let host = id.split('.').next().unwrap().to_owned();
    Step {
        id: id.to_owned(),
        host,
        title: id.to_owned(),
        needs: needs.iter().map(ToString::to_string).collect(),
        operation: Operation::SwapOff,
    }
}

fn plan(steps: Vec<Step>) -> Plan {
    Plan {
        api_version: "sealift/v1".into(),
        site: "test".into(),
        product: "P 1".into(),
        kubernetes: "v1".into(),
        inputs: Inputs {
            bundle: BundleId {
                product: "p".into(),
                version: "1".into(),
                serial: 1,
                digest: "sha256:0".into(),
            },
            installer: "sha256:1".into(),
            profile: serde_json::Value::Null,
            hosts: BTreeMap::new(),
        },
        hosts: vec!["a".into(), "b".into()],
        steps,
    }
}

/// Does what the table says and writes down the order. Named steps meet at a barrier to prove that they overlap.
#[derive(Default)]
struct FakeExecutor {
    order: Mutex<Vec<String>>,
    failing: BTreeMap<&'static str, StepError>,
    lost: BTreeMap<&'static str, AtomicUsize>,
    meeting: Option<(Vec<&'static str>, std::sync::Barrier)>,
    running: Mutex<BTreeMap<String, usize>>,
    most: AtomicUsize,
    cancel_after: Option<(&'static str, Arc<AtomicBool>)>,
}

impl Executor for FakeExecutor {
    fn execute(&self, step: &Step, progress: &dyn Fn(StepProgress)) -> Result<StepOutcome, StepError> {
        self.order.lock().unwrap().push(step.id.clone());
        let now = {
            let mut running = self.running.lock().unwrap();
            let count = running.entry(step.host.clone()).or_default();
            *count += 1;
            *count
        };
        self.most.fetch_max(now, Ordering::SeqCst);
        progress(StepProgress { message: "at it".into(), done: 1, total: 2 });
        if let Some((names, barrier)) = &self.meeting
            && names.contains(&step.id.as_str())
        {
            barrier.wait();
        }
        *self.running.lock().unwrap().get_mut(&step.host).unwrap() -= 1;
        if let Some((name, flag)) = &self.cancel_after
            && *name == step.id
        {
            flag.store(true, Ordering::SeqCst);
        }
        if let Some(times) = self.lost.get(step.id.as_str())
            && times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        {
            return Err(error(true, "connection lost"));
        }
        match self.failing.get(step.id.as_str()) {
            Some(error) => Err(error.clone()),
            None => Ok(StepOutcome { changed: step.id != "a.same", summary: "ok".into(), bytes: 5 }),
        }
    }
}

fn error(lost: bool, message: &str) -> StepError {
    StepError {
        lost,
        report: Box::new(FailureReport { message: message.into(), ..FailureReport::default() }),
    }
}

struct Outcome {
    summary: Summary,
    state: RunState,
    events: Vec<StepEvent>,
    order: Vec<String>,
}

fn go(steps: Vec<Step>, executor: &FakeExecutor, lanes: usize) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let journal = Journal::create(&path, Vec::new()).unwrap();
    let never = AtomicBool::new(false);
    let cancel = executor.cancel_after.as_ref().map_or(&never, |(_, flag)| flag.as_ref());
    let options = Options { lanes, attempts: 3, pause: Duration::ZERO, cancel };
    let summary = run(&plan(steps), executor, &journal, options).unwrap();
    let records = journal::read(&path).unwrap();
    Outcome {
        summary,
        state: RunState::fold(&records),
        events: records.into_iter().map(|record| record.event).collect(),
        order: executor.order.lock().unwrap().clone(),
    }
}

#[test]
fn a_step_starts_when_all_its_needs_have_ended() {
    let steps = vec![
        step("a.one", &[]),
        step("b.one", &[]),
        step("a.two", &["a.one", "b.one"]),
        step("b.two", &["a.two"]),
    ];
    let outcome = go(steps, &FakeExecutor::default(), 2);
    assert_eq!(outcome.summary.result, RunResult::Done);
    assert_eq!(outcome.order[2..], ["a.two", "b.two"]);
    assert_eq!(outcome.state.done(), 4);
}

#[test]
fn independent_steps_of_two_hosts_overlap() {
    // Both must be inside at once for the barrier to open: a serial engine would never end here.
    let meeting = Some((vec!["a.one", "b.one"], std::sync::Barrier::new(2)));
    let executor = FakeExecutor { meeting, ..FakeExecutor::default() };
    let outcome = go(vec![step("a.one", &[]), step("b.one", &[])], &executor, 1);
    assert_eq!(outcome.summary.changed, 2);
}

#[test]
fn a_host_never_gets_more_steps_at_once_than_it_has_lanes() {
    let names = ["a.1", "a.2", "a.3", "a.4", "a.5", "a.6"];
    let executor = FakeExecutor::default();
    go(names.map(|name| step(name, &[])).to_vec(), &executor, 2);
    assert!(executor.most.load(Ordering::SeqCst) <= 2);
}

#[test]
fn after_a_failure_nothing_new_starts_and_the_failure_is_recorded() {
    let failing = BTreeMap::from([("a.one", error(false, "disk full"))]);
    let executor = FakeExecutor { failing, ..FakeExecutor::default() };
    let outcome =
        go(vec![step("a.one", &[]), step("a.two", &["a.one"]), step("b.x", &["a.two"])], &executor, 1);
    assert_eq!(outcome.summary.result, RunResult::Failed);
    assert_eq!(outcome.order, ["a.one"]);
    assert_eq!(outcome.state.failures[0].1.message, "disk full");
    assert_eq!(outcome.state.result, Some(RunResult::Failed));
}

#[test]
fn a_lost_connection_is_tried_again_and_said() {
    let lost = BTreeMap::from([("a.one", AtomicUsize::new(2))]);
    let executor = FakeExecutor { lost, ..FakeExecutor::default() };
    let outcome = go(vec![step("a.one", &[])], &executor, 1);
    assert_eq!(outcome.summary.result, RunResult::Done);
    let retries =
        outcome.events.iter().filter(|event| matches!(event, StepEvent::StepRetried { .. })).count();
    assert_eq!(retries, 2);
}

#[test]
fn a_connection_lost_for_good_fails_the_step() {
    let lost = BTreeMap::from([("a.one", AtomicUsize::new(99))]);
    let executor = FakeExecutor { lost, ..FakeExecutor::default() };
    let outcome = go(vec![step("a.one", &[])], &executor, 1);
    assert_eq!(outcome.summary.result, RunResult::Failed);
    assert_eq!(outcome.order.len(), 3, "as many tries as the options allow");
}

#[test]
fn a_safe_stop_lets_running_steps_end_and_starts_nothing_new() {
    let flag = Arc::new(AtomicBool::new(false));
    let executor = FakeExecutor { cancel_after: Some(("a.one", flag)), ..FakeExecutor::default() };
    let outcome = go(vec![step("a.one", &[]), step("a.two", &["a.one"])], &executor, 1);
    assert_eq!(outcome.summary.result, RunResult::Cancelled);
    assert_eq!((outcome.order.len(), outcome.state.done()), (1, 1));
}

#[test]
fn steps_that_found_everything_in_place_are_counted_apart() {
    let outcome = go(vec![step("a.same", &[]), step("a.other", &[])], &FakeExecutor::default(), 1);
    assert_eq!((outcome.summary.changed, outcome.summary.unchanged), (1, 1));
}

#[test]
fn a_need_that_stands_behind_its_step_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::create(&folder.path().join("events.jsonl"), Vec::new()).unwrap();
    let executor = FakeExecutor::default();
    let cancel = AtomicBool::new(false);
    let options = Options { lanes: 1, attempts: 1, pause: Duration::ZERO, cancel: &cancel };
    let steps = vec![step("a.one", &["a.two"]), step("a.two", &[])];
    let result = run(&plan(steps), &executor, &journal, options);
    assert!(matches!(result, Err(EngineError::Unreachable { step, .. }) if step == "a.one"));
    assert!(executor.order.lock().unwrap().is_empty());
}

#[test]
fn every_sink_sees_progress_and_steps() {
    #[derive(Clone, Default)]
    struct Counter(Arc<Mutex<(usize, usize)>>);
    impl Sink for Counter {
        fn take(&self, event: &Event) {
            let mut counts = self.0.lock().unwrap();
            match event {
                Event::Step(_) => counts.0 += 1,
                Event::Progress(_) => counts.1 += 1,
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let counter = Counter::default();
    let journal =
        Journal::create(&folder.path().join("events.jsonl"), vec![Box::new(counter.clone())]).unwrap();
    let cancel = AtomicBool::new(false);
    let options = Options { lanes: 1, attempts: 1, pause: Duration::ZERO, cancel: &cancel };
    run(&plan(vec![step("a.one", &[])]), &FakeExecutor::default(), &journal, options).unwrap();
    assert_eq!(*counter.0.lock().unwrap(), (3, 1), "started, finished, run finished; one progress");
}
