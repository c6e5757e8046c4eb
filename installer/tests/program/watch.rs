//! `installer replay` and `installer attach` on runs that these tests make: written to the end, cut, going on, killed.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime};

use sealift_events::journal::Journal;
use sealift_events::progress::ProgressFile;
use sealift_events::{FailureReport, ProgressEvent, Record, RunResult, Sink, StepEvent, VERSION};
use serde_json::Value;
use tempfile::TempDir;

use crate::schema::complaints;
use crate::seat::{Ended, program};

/// A folder of runs.
pub struct Runs(pub TempDir);

impl Runs {
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub fn folder(&self, run: &str) -> PathBuf {
        let folder = self.0.path().join(run);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    pub fn journal(&self, run: &str) -> PathBuf {
        self.folder(run).join("events.jsonl")
    }

    /// Writes a journal that nobody writes any more: an event a second, and what is behind the last.
    pub fn ended(&self, run: &str, events: Vec<StepEvent>, behind: &str) -> String {
        let mut text = String::new();
        for (number, event) in (0_u32..).zip(events) {
            let at = jiff::Timestamp::from_second(1_795_000_000 + i64::from(number)).unwrap();
            let (sequence, elapsed_millis) = (u64::from(number) + 1, u64::from(number) * 1000);
            let record = Record { version: VERSION, sequence, at, elapsed_millis, event };
            text += &serde_json::to_string(&record).unwrap();
            text += "\n";
        }
        text += behind;
        std::fs::write(self.journal(run), &text).unwrap();
        text
    }

    /// Writes another file of a run.
    pub fn write(&self, run: &str, name: &str, text: &str) {
        std::fs::write(self.folder(run).join(name), text).unwrap();
    }

    fn arguments<'a>(&'a self, verb: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [&[verb, "--runs", self.0.path().to_str().unwrap()], more].concat()
    }

    pub fn run(&self, verb: &str, more: &[&str]) -> Ended {
        program(&self.arguments(verb, more))
    }

    pub fn viewer(&self, more: &[&str]) -> Viewer {
        Viewer::start(Command::new(env!("CARGO_BIN_EXE_installer")).args(self.arguments("attach", more)))
    }
}

/// A program that goes on while the test looks at what it says.
pub struct Viewer {
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Viewer {
    fn start(command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, input, lines: BufReader::new(output).lines() }
    }

    /// Waits for the next line.
    pub fn line(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }

    /// Waits for a line with this in it.
    pub fn until(&mut self, part: &str) -> String {
        let mut lines = self.lines.by_ref().map(Result::unwrap);
        lines.find(|line| line.contains(part)).unwrap()
    }

    /// Waits for the end; what was not read yet.
    pub fn end(self) -> Ended {
        let rest: Vec<String> = self.lines.map(Result::unwrap).collect();
        let ended = self.child.wait_with_output().unwrap();
        Ended {
            code: ended.status.code(),
            output: rest.join("\n"),
            errors: String::from_utf8(ended.stderr).unwrap(),
        }
    }
}

/// What a run says of what stands at its end.
pub const RESULT: &str = r#"{"changed": 1, "unchanged": 0, "seconds": 3.2,
    "cluster": {"nodes": [{"name": "m1", "roles": [], "version": "v1.36.1", "ready": true}], "etcdVoters": 1,
        "podsNotReady": [], "pods": 9},
    "acceptance": [{"name": "it answers", "passed": true}]}"#;
/// The same for people.
pub const CLOSING: &str = "1 node Ready, 1 voter, 9 pods; acceptance 1 of 1; installed in 3 s";

pub fn begun(run: &str) -> StepEvent {
    StepEvent::RunStarted {
        run: run.into(),
        verb: "install".into(),
        site: "harbin-plant".into(),
        product: "Orders 4.2.0".into(),
        plan: "sha256:0".into(),
        hosts: vec!["m1".into(), "w1".into()],
        steps: 3,
    }
}

pub fn started(step: &str, title: &str) -> StepEvent {
    let host = step.split('.').next().unwrap().to_owned();
    StepEvent::StepStarted { step: step.into(), host, title: title.into(), attempt: 1 }
}

pub fn finished(step: &str, summary: &str) -> StepEvent {
    let host = step.split('.').next().unwrap().to_owned();
    let summary = summary.to_owned();
    StepEvent::StepFinished { step: step.into(), host, changed: true, summary, bytes: 0, millis: 1000 }
}

pub fn failed(step: &str, kind: &str) -> StepEvent {
    let failure = FailureReport {
        kind: kind.into(),
        message: "the disk is full".into(),
        causes: vec!["No space left on device".into()],
        hint: Some("free 2 GB".into()),
        log: vec!["tar: write error".into()],
    };
    StepEvent::StepFailed { step: step.into(), host: "m1".into(), failure }
}

pub fn over(result: RunResult) -> StepEvent {
    StepEvent::RunFinished { result, changed: 1, unchanged: 0, millis: 3000 }
}

pub fn whole(result: RunResult) -> Vec<StepEvent> {
    vec![begun("one"), started("m1.store", "receive"), finished("m1.store", "12 blobs"), over(result)]
}

#[test]
fn a_replay_says_what_the_run_said() {
    let runs = Runs::new();
    runs.ended("2026-11-21-063800-2", Vec::new(), "");
    let text = runs.ended("2026-11-21-063800-10", whole(RunResult::Done), "");
    let ended = runs.run("replay", &[]);
    let expected = "run       one: 3 steps on 2 hosts\n\
                    00:02   1/3 m1   receive: 12 blobs (1.0 s)\n\
                    run       done in 3.0 s: 1 steps changed something, 0 found it in place\n";
    assert_eq!((ended.code, ended.output.as_str()), (Some(0), expected), "{}", ended.errors);
    // At any speed, for people and machines.
    let quick = runs.run("replay", &["2026-11-21-063800-10", "--speed", "10000", "--output", "json"]);
    assert_eq!((quick.code, quick.output), (Some(0), text), "{}", quick.errors);
    let failed =
        runs.ended("failed", vec![begun("x"), failed("m1.store", "run"), over(RunResult::Failed)], "");
    let ended = runs.run("replay", &["failed", "--output", "json"]);
    assert_eq!((ended.code, ended.output), (Some(0), failed), "looking at a failure is none");
}

#[test]
fn a_replay_says_where_a_crash_cut_the_journal() {
    let runs = Runs::new();
    runs.ended("run", whole(RunResult::Done)[..3].to_vec(), "{\"version\":1,\"seq");
    let ended = runs.run("replay", &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let said = "replay    line 4, the last of the journal, was cut off by a crash and is left out\n\
                replay    run has no end: its process is gone; the same install command goes on where it stopped\n";
    assert!(ended.output.ends_with(said), "{}", ended.output);
    assert!(ended.output.contains("12 blobs"), "{}", ended.output);
    let lines = runs.run("replay", &["--output", "json"]);
    let last: Value = serde_json::from_str(lines.output.lines().last().unwrap()).unwrap();
    assert_eq!((&last["topic"], &last["data"]["goesOn"]), (&"replay".into(), &false.into()));
}

#[test]
fn what_cannot_be_looked_at_is_named_with_the_way_forward() {
    let runs = Runs::new();
    let line = runs.ended("good", vec![begun("good")], "");
    let left = std::fs::File::open(runs.folder("empty")).unwrap();
    left.set_modified(SystemTime::now() - Duration::from_hours(1)).unwrap();
    runs.ended("damaged", vec![begun("x"), over(RunResult::Done)], &format!("nonsense\n{line}"));
    runs.ended("later", vec![begun("x")], &line.replace("\"version\":1", "\"version\":2"));
    let nowhere = Runs::new();
    let missing = nowhere.0.path().join("none").display().to_string();
    for verb in ["replay", "attach"] {
        for (ended, said, next) in [
            (program(&[verb, "--runs", &missing]), "none cannot be read", "No such file"),
            (nowhere.run(verb, &[]), "there is no run in", "`installer install` makes one"),
            (runs.run(verb, &["gone"]), "there is no run gone in", "good"),
            (runs.run(verb, &["../good"]), "there is no run ../good in", "empty"),
            (
                runs.run(verb, &["empty"]),
                "the run empty has no journal",
                "run the same install command again",
            ),
            (
                runs.run(verb, &["damaged"]),
                "damaged/events.jsonl, line 3, is not an event",
                "as it was written",
            ),
            (runs.run(verb, &["later"]), "line 2, has format 2; this installer reads", "or a newer one"),
        ] {
            assert_eq!(ended.code, Some(2), "{verb} {said}: {}{}", ended.output, ended.errors);
            let errors = &ended.errors;
            assert!(errors.contains(said) && errors.contains(next) && errors.contains("next:"), "{errors}");
            assert_eq!(ended.output, "", "{verb} {said}");
        }
    }
    let wrong = runs.run("replay", &["--speed", "0"]);
    assert!(wrong.code == Some(2) && wrong.errors.contains("0.01 to 10000"), "{}", wrong.errors);
}

#[test]
fn who_attaches_late_gets_the_result_of_the_run() {
    let failing = |kind| vec![begun("x"), failed("m1.store", kind), over(RunResult::Failed)];
    for (events, code, state, error) in [
        (whole(RunResult::Done), 0, "1 of 3 steps done, ended well\nm1        1 done; last receive\nw1", ""),
        (whole(RunResult::Cancelled), 4, "stopped as asked\n", "stopped as asked"),
        (
            failing("run"),
            4,
            "m1        0 done; 1 failed; last m1.store\n",
            "m1.store: the disk is full: No space",
        ),
        (failing("verification"), 5, "failed    m1.store: the disk is full", "next: free 2 GB"),
        (
            vec![begun("x"), started("w1.store", "t")],
            4,
            "done, cut off\nm1        0 done; nothing yet\nw1        0 done; was at t\n",
            "its process is gone",
        ),
        (Vec::new(), 4, "state     run: no event yet\n", "run the same install command again"),
    ] {
        let runs = Runs::new();
        runs.ended("run", events, "");
        runs.write("run", "result.json", RESULT);
        let ended = runs.run("attach", &["run"]);
        assert_eq!(ended.code, Some(code), "{}{}", ended.output, ended.errors);
        assert!(ended.output.contains(state), "{}", ended.output);
        assert!(ended.errors.contains(error) && ended.errors.is_empty() == (code == 0), "{}", ended.errors);
        let lines = runs.run("attach", &["--output", "json"]);
        assert_eq!(lines.code, Some(code));
        for line in lines.output.lines() {
            assert_eq!(complaints(line), [""; 0], "{line}");
        }
    }
}

/// A run that goes on in this process.
pub fn going(runs: &Runs, run: &str) -> Journal {
    let progress = ProgressFile::create(&runs.folder(run).join("progress.jsonl")).unwrap();
    let journal = Journal::create(&runs.journal(run), vec![Box::new(progress) as Box<dyn Sink>]).unwrap();
    for event in [begun(run), started("m1.store", "receive"), finished("m1.store", "12 blobs")] {
        journal.record(event).unwrap();
    }
    journal.record(started("w1.store", "receive all")).unwrap();
    journal.progress(receiving(4_000_000));
    journal
}

fn receiving(done: u64) -> ProgressEvent {
    let (step, host, message) = ("w1.store".into(), "w1".into(), "blobs".into());
    ProgressEvent { step, host, message, done, total: 8_000_000, elapsed_millis: 0 }
}

pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn many_watch_a_run_that_goes_on_until_it_ends() {
    let runs = Runs::new();
    let journal = going(&runs, "run");
    let mut people = [runs.viewer(&[]), runs.viewer(&["run"])];
    let mut machine = runs.viewer(&["--output", "json"]);
    for one in &mut people {
        let state = one.line();
        let expected = "state     run: Orders 4.2.0 for harbin-plant, 1 of 3 steps done, goes on, started ";
        assert!(state.starts_with(expected), "{state}");
        let (m1, w1) = (one.line(), one.line());
        assert!(m1.starts_with("m1        1 done; last receive; heard of "), "{m1}");
        assert!(w1.starts_with("w1        0 done; now receive all (4 MB of 8 MB); heard of "), "{w1}");
    }
    let state = machine.line();
    assert_eq!(complaints(&state), [""; 0]);
    let state: Value = serde_json::from_str(&state).unwrap();
    assert_eq!((&state["topic"], &state["data"]["goesOn"]), (&"state".into(), &true.into()));
    assert_eq!(state["data"]["hosts"][1]["running"][0]["progress"]["done"], 4_000_000);

    journal.progress(receiving(6_000_000));
    let said = machine.until("progress");
    assert_eq!(complaints(&said), [""; 0]);
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["progress"]["done"], 6_000_000);
    journal.record(finished("w1.store", "9 blobs")).unwrap();
    for one in &mut people {
        // A slow machine's viewer also tells of the progress.
        let line = one.until("9 blobs");
        assert!(line.contains("2/3 w1   receive all: 9 blobs"), "{line}");
    }
    journal.record(over(RunResult::Done)).unwrap();
    // The run's process still lives, as it does until it has said what stands: viewers wait for that alone.
    runs.write("run", "result.json", RESULT);
    for one in people {
        let ended = one.end();
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
        assert!(ended.output.starts_with("run       done"), "{}", ended.output);
        assert!(ended.output.ends_with(&format!("\ndone      {CLOSING}")), "{}", ended.output);
    }
    let ended = machine.end();
    let rest: Vec<Value> = ended.output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((ended.code, rest.len()), (Some(0), 2), "{rest:?}");
    assert_eq!((&rest[0]["sequence"], &rest[1]["result"]), (&5.into(), &"done".into()));
    let files = ["events.jsonl", "progress.jsonl", "result.json"];
    assert_eq!(names(&runs.folder("run")), files, "a viewer leaves nothing");
}

#[test]
fn a_viewer_whose_reader_has_gone_goes_too_and_the_run_goes_on() {
    let runs = Runs::new();
    let journal = going(&runs, "run");
    let mut viewer = runs.viewer(&[]);
    viewer.until("w1");
    drop(viewer.lines);
    journal.record(finished("w1.store", "9 blobs")).unwrap();
    assert_eq!(viewer.child.wait().unwrap().code(), Some(0));
    let replay = runs.run("replay", &[]);
    let said = "replay    run is still going on: follow it with `installer attach run`\n";
    assert!(replay.output.ends_with(said), "{}", replay.output);
    journal.record(over(RunResult::Done)).unwrap();
}

/// Names the folder in which this program is to be a run, and not the test.
const WRITER: &str = "SEALIFT_TEST_RUN";

#[test]
fn a_killed_run_is_told_from_one_that_is_silent() {
    if let Some(folder) = std::env::var_os(WRITER) {
        let journal = Journal::create(&Path::new(&folder).join("events.jsonl"), Vec::new()).unwrap();
        for event in [begun("run"), started("m1.store", "receive")] {
            journal.record(event).unwrap();
        }
        println!("\nthe run goes on");
        // Until it is killed; a line that is typed is an event.
        for line in std::io::stdin().lines() {
            journal.record(StepEvent::Note { message: line.unwrap() }).unwrap();
        }
        return;
    }
    let runs = Runs::new();
    let name = "watch::a_killed_run_is_told_from_one_that_is_silent";
    let mut writer = Viewer::start(
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(WRITER, runs.folder("run")),
    );
    writer.until("the run goes on");
    let mut viewer = runs.viewer(&[]);
    assert!(viewer.until("m1 ").contains("now receive"));
    viewer.until("w1 ");
    writer.input.write_all(b"still here\n").unwrap();
    assert_eq!(viewer.line(), "note      still here");
    writer.child.kill().unwrap();
    writer.child.wait().unwrap();
    let ended = viewer.end();
    assert_eq!((ended.code, ended.output.as_str()), (Some(4), ""), "{}", ended.errors);
    let said = "error: the run run was cut off: its process is gone, 0 of 3 steps were done\n  next: run the same install command again";
    assert!(ended.errors.starts_with(said), "{}", ended.errors);
}
