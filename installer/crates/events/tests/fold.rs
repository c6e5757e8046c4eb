//! The fold over a journal is that of the live stream, whatever happened and wherever the file was cut.
#![allow(clippy::unwrap_used)] // helpers of tests, outside of the test functions

use std::path::Path;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use sealift_events::journal::{Journal, Reader, read};
use sealift_events::state::RunState;
use sealift_events::{Event, FailureReport, ProgressEvent, Record, RunResult, Sink, StepEvent};

/// Keeps the live stream.
#[derive(Clone, Default)]
struct Live(Arc<Mutex<Vec<Event>>>);

impl Sink for Live {
    fn take(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Live {
    fn records(&self) -> Vec<Record> {
        let events = self.0.lock().unwrap();
        let step = |event: &Event| match event {
            Event::Step(record) => Some(record.clone()),
            Event::Progress(_) => None,
        };
        events.iter().filter_map(step).collect()
    }
}

/// Any letters, line ends, quotes and Chinese among them.
fn words() -> impl Strategy<Value = String> {
    let letter = prop_oneof![any::<char>(), Just('\n'), Just('"'), Just('存'), Just('\u{2028}')];
    proptest::collection::vec(letter, 0..8).prop_map(|letters| letters.into_iter().collect())
}

/// A few names, so that events meet.
fn name(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(of).prop_map(str::to_owned)
}

fn host() -> impl Strategy<Value = String> {
    name(&["m1", "m2", "w1"])
}

fn step() -> impl Strategy<Value = String> {
    name(&["m1.store", "m1.join", "w1.store", "product"])
}

fn report() -> impl Strategy<Value = FailureReport> {
    let lines = || proptest::collection::vec(words(), 0..3);
    (words(), words(), lines(), proptest::option::of(words()), lines())
        .prop_map(|(kind, message, causes, hint, log)| FailureReport { kind, message, causes, hint, log })
}

fn event() -> impl Strategy<Value = StepEvent> {
    let result = prop_oneof![Just(RunResult::Done), Just(RunResult::Failed), Just(RunResult::Cancelled)];
    let hosts = proptest::collection::vec(host(), 0..4);
    prop_oneof![
        (words(), words(), hosts, any::<u32>()).prop_map(|(run, site, hosts, steps)| {
            let (verb, product, plan) = ("install".to_owned(), site.clone(), run.clone());
            StepEvent::RunStarted { run, verb, site, product, plan, hosts, steps }
        }),
        (step(), host(), words(), any::<u32>())
            .prop_map(|(step, host, title, attempt)| StepEvent::StepStarted { step, host, title, attempt }),
        (step(), host(), any::<bool>(), words(), any::<u32>(), any::<u64>()).prop_map(
            |(step, host, changed, summary, bytes, millis)| {
                StepEvent::StepFinished { step, host, changed, summary, bytes: bytes.into(), millis }
            }
        ),
        (step(), host(), words()).prop_map(|(step, host, reason)| StepEvent::StepRetried {
            step,
            host,
            reason
        }),
        (step(), host(), report()).prop_map(|(step, host, failure)| StepEvent::StepFailed {
            step,
            host,
            failure
        }),
        words().prop_map(|message| StepEvent::Note { message }),
        (result, any::<u32>(), any::<u32>(), any::<u64>()).prop_map(
            |(result, changed, unchanged, millis)| {
                StepEvent::RunFinished { result, changed, unchanged, millis }
            }
        ),
        Just(StepEvent::Unknown),
    ]
}

/// Writes a journal; what its sink saw.
fn run(path: &Path, events: &[StepEvent]) -> Vec<Record> {
    let live = Live::default();
    let journal = Journal::create(path, vec![Box::new(live.clone())]).unwrap();
    for event in events {
        journal.record(event.clone()).unwrap();
        let (step, host) = ("m1.store".to_owned(), "m1".to_owned());
        let message = String::new();
        journal.progress(ProgressEvent { step, host, message, done: 1, total: 2, elapsed_millis: 0 });
    }
    live.records()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_journal_folds_as_the_live_stream(events in proptest::collection::vec(event(), 0..24)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let live = run(&path, &events);
        let records = read(&path).unwrap();
        prop_assert_eq!(RunState::fold(&records), RunState::fold(&live));
        prop_assert_eq!(records, live);
    }

    #[test]
    fn a_journal_cut_at_any_byte_folds_as_its_whole_lines(
        events in proptest::collection::vec(event(), 1..6),
        part in 0.0..1.0,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let live = run(&path, &events);
        let text = std::fs::read(&path).unwrap();
        let short = folder.path().join("cut.jsonl");
        // Around every line's end, where mistakes live, and at one place more.
        let ends = (0..text.len()).filter(|index| text[*index] == b'\n').flat_map(|end| [end, end + 1]);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below the length")]
        let anywhere = (part * text.len() as f64) as usize;
        for cut in ends.chain([0, anywhere]) {
            let kept = &text[..cut];
            std::fs::write(&short, kept).unwrap();
            let mut reader = Reader::open(&short).unwrap();
            let records = reader.more().unwrap();
            let whole = kept.split(|byte| *byte == b'\n').count() - 1;
            prop_assert_eq!(&records, &live[..whole]);
            prop_assert_eq!(RunState::fold(&records), RunState::fold(&live[..whole]));
            let partial = kept.last().is_some_and(|byte| *byte != b'\n');
            prop_assert_eq!(reader.cut_line(), partial.then_some(whole + 1));
            // The rest comes later: the same as if it had never been cut.
            std::fs::write(&short, &text).unwrap();
            let later = reader.more().unwrap();
            prop_assert_eq!([records, later].concat(), live.clone());
        }
    }
}
