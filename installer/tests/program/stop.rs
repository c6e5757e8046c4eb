//! Runs that begin, are asked to stop, end without their last words, or fall silent: as viewers and `installer stop` see
//! them.

use std::fs::File;
use std::time::{Duration, SystemTime};

use sealift_events::journal::Journal;
use sealift_events::{ProgressEvent, ProgressLine, Record, RunResult, VERSION};
use serde_json::{Value, json};

use crate::schema::complaints;
use crate::watch::{RESULT, Runs, begun, failed, going, names, over, started, whole};

#[test]
fn a_run_that_goes_on_is_asked_to_stop_and_viewers_see_it() {
    let runs = Runs::new();
    let journal = going(&runs, "run");
    for _ in 0..2 {
        let ended = runs.run("stop", &[]);
        let said = "stop      run stops as soon as what it is doing has ended; the same install command goes on where it stopped\n";
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
        assert!(ended.output.starts_with(said), "{}", ended.output);
    }
    assert_eq!(names(&runs.folder("run")), ["events.jsonl", "progress.jsonl", "stop"]);
    let mut viewer = runs.viewer(&["run"]);
    assert!(viewer.line().ends_with(", asked to stop"));
    journal.record(over(RunResult::Cancelled)).unwrap();
    let ended = viewer.end();
    assert!(
        ended.code == Some(4) && ended.errors.contains("the run was stopped as asked"),
        "{}",
        ended.errors
    );
    let line = going(&runs, "other");
    let ended = runs.run("stop", &["other", "--output", "json"]);
    assert_eq!(complaints(ended.output.trim()), [""; 0]);
    let said: Value = serde_json::from_str(&ended.output).unwrap();
    assert_eq!((&said["topic"], &said["data"]), (&"stop".into(), &json!({"run": "other"})));
    drop(line);
}

#[test]
fn a_run_that_does_not_go_on_is_not_asked_to_stop() {
    let failing = vec![begun("x"), failed("m1.store", "run"), over(RunResult::Failed)];
    for (events, result, said) in [
        (whole(RunResult::Done), RESULT, "the run run does not go on: it has ended well"),
        (whole(RunResult::Done), "", "does not go on: ended with a failure"),
        (failing, "", "does not go on: ended with a failure"),
        (whole(RunResult::Cancelled), "", "does not go on: stopped as asked"),
        (vec![begun("x"), started("m1.store", "t")], "", "does not go on: cut off"),
        (Vec::new(), "", "does not go on: cut off"),
    ] {
        let runs = Runs::new();
        runs.ended("run", events, "");
        runs.write("run", "result.json", result);
        let ended = runs.run("stop", &[]);
        assert_eq!((ended.code, ended.output.as_str()), (Some(2), ""), "{}", ended.errors);
        assert!(ended.errors.contains(said), "{said} is not in {}", ended.errors);
        assert_eq!(ended.errors.contains("next: the same install command goes on"), result.is_empty());
        assert_eq!(names(&runs.folder("run")), ["events.jsonl", "result.json"]);
    }
    let runs = Runs::new();
    assert_eq!(runs.run("stop", &["gone"]).code, Some(2));
    let left = File::open(runs.folder("left")).unwrap();
    left.set_modified(SystemTime::now() - Duration::from_hours(1)).unwrap();
    let ended = runs.run("stop", &["left"]);
    assert!(ended.code == Some(2) && ended.errors.contains("no step of it has begun"), "{}", ended.errors);
}

#[test]
fn who_attaches_before_the_first_event_waits_for_it() {
    let runs = Runs::new();
    runs.folder("run");
    let mut viewer = runs.viewer(&[]);
    assert_eq!(viewer.line(), "run       run begins: it takes its hosts");
    let journal = going(&runs, "run");
    assert!(viewer.until("state ").starts_with("state     run: "));
    journal.record(over(RunResult::Cancelled)).unwrap();
    assert_eq!(viewer.end().code, Some(4));
}

#[test]
fn a_run_whose_last_question_failed_is_told_as_failed() {
    let runs = Runs::new();
    runs.ended("run", whole(RunResult::Done), "");
    let ended = runs.run("attach", &[]);
    assert_eq!(ended.code, Some(4), "{}", ended.output);
    assert!(ended.output.contains("done, ended with a failure\n"), "{}", ended.output);
    let said =
        "error: every step is done, but the run's process was gone before it had asked what stands\n  next: ";
    assert!(ended.errors.starts_with(said), "{}", ended.errors);
    let report = json!({"kind": "checks", "message": "m1 (10.20.0.11) cannot be reached", "causes": ["No route to host"],
        "hint": "is m1 up?", "log": []});
    runs.write("run", "failure.json", &report.to_string());
    let ended = runs.run("attach", &[]);
    assert_eq!(ended.code, Some(3), "{}", ended.output);
    assert!(
        ended.output.contains("failed    ask what stands at the end: m1 (10.20.0.11)"),
        "{}",
        ended.output
    );
    let said = "error: m1 (10.20.0.11) cannot be reached\n  No route to host\n  next: is m1 up?\n";
    assert_eq!(ended.errors, said);
    for line in runs.run("attach", &["--output", "json"]).output.lines() {
        assert_eq!(complaints(line), [""; 0], "{line}");
    }
}

#[test]
fn viewers_wait_for_the_last_words_of_a_run_that_lives() {
    let runs = Runs::new();
    let journal = going(&runs, "run");
    journal.record(over(RunResult::Done)).unwrap();
    let mut viewer = runs.viewer(&["--output", "json"]);
    let state: Value = serde_json::from_str(&viewer.line()).unwrap();
    assert_eq!((&state["data"]["goesOn"], &state["data"]["result"]), (&true.into(), &Value::Null));
    // Killed at its question.
    drop(journal);
    assert_eq!(viewer.end().code, Some(4));
}

#[test]
fn a_silent_step_is_warned_of_once() {
    let runs = Runs::new();
    // All of it happened long ago, and still its process lives.
    let record = |sequence: u64, event| Record {
        version: VERSION,
        sequence,
        at: jiff::Timestamp::from_second(1_000_000_000).unwrap(),
        elapsed_millis: 1000,
        event,
    };
    let records = [record(1, begun("run")), record(2, started("m1.join", "join the cluster"))];
    let lines: String = records.iter().map(|one| serde_json::to_string(one).unwrap() + "\n").collect();
    runs.write("run", "events.jsonl", &lines);
    let (step, host, message) = ("m1.join".to_owned(), "m1".to_owned(), "join".to_owned());
    let said = ProgressEvent { step, host, message, done: 0, total: 0, elapsed_millis: 2000 };
    let said = serde_json::to_string(&ProgressLine::from(said)).unwrap() + "\n";
    runs.write("run", "progress.jsonl", &said);
    let lock = File::options().append(true).open(runs.journal("run")).unwrap();
    lock.lock().unwrap();
    let mut people = runs.viewer(&[]);
    let line = people.until("warning");
    assert!(line.starts_with("warning   m1 has been silent for "), "{line}");
    let rest =
        "h at \"join the cluster\"; after 20 s its connection counts as lost and the step is tried again";
    assert!(line.ends_with(rest), "{line}");
    let mut machine = runs.viewer(&["--output", "json"]);
    let line: Value = serde_json::from_str(&machine.until("warning")).unwrap();
    assert_eq!((&line["data"]["step"], &line["data"]["limitMillis"]), (&"m1.join".into(), &20_000.into()));
    drop(lock);
    for viewer in [people, machine] {
        let ended = viewer.end();
        assert_eq!(ended.code, Some(4));
        assert!(!ended.output.contains("warning"), "{}", ended.output);
    }
}

#[test]
fn a_journal_that_grew_before_the_viewer_came_is_one_run() {
    // The journal is there, and its first event is not: as for a moment at every start.
    let runs = Runs::new();
    let journal = Journal::create(&runs.journal("run"), Vec::new()).unwrap();
    let mut viewer = runs.viewer(&[]);
    assert_eq!(viewer.line(), "state     run: no event yet");
    journal.record(begun("run")).unwrap();
    assert!(viewer.line().starts_with("run       run: 3 steps on 2 hosts"));
    drop(journal);
    assert_eq!(viewer.end().code, Some(4));
}
