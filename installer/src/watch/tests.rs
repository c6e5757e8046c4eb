use std::path::PathBuf;

use sealift_events::journal::Journal;
use sealift_events::picture::Standing;
use sealift_events::progress::ProgressFile;
use sealift_events::{FailureReport, Sink, StepEvent};
use sealift_plan::inputs::{BundleId, Inputs};
use sealift_plan::operation::Operation;
use sealift_plan::{Plan, Step};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::runs::{self, JOURNAL, PLAN, ask_to_stop, in_words, summaries};

/// No time to wait: what is asked for is there already.
const NONE: Duration = Duration::ZERO;
/// More than any test waits: what is waited for comes.
const LONG: Duration = Duration::from_mins(10);

fn run(runs: &TempDir, name: &str) -> (Run, PathBuf) {
    let folder = runs.path().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    (runs::named(runs.path(), name).unwrap(), folder)
}

fn journal(folder: &std::path::Path) -> Journal {
    let progress = ProgressFile::create(&folder.join("progress.jsonl")).unwrap();
    let sinks = vec![Box::new(progress) as Box<dyn Sink>];
    let journal = Journal::create(&folder.join(JOURNAL), sinks).unwrap();
    journal
        .record(StepEvent::RunStarted {
            run: "run".into(),
            verb: "install".into(),
            site: "plant".into(),
            product: "Orders 4".into(),
            plan: "sha256:0".into(),
            hosts: vec!["w1".into(), "m1".into()],
            steps: 2,
        })
        .unwrap();
    journal
}

fn begins(step: &str) -> StepEvent {
    StepEvent::StepStarted { step: step.into(), host: "m1".into(), title: "join".into(), attempt: 1 }
}

fn over(result: RunResult) -> StepEvent {
    StepEvent::RunFinished { result, changed: 1, unchanged: 0, millis: 1 }
}

fn plan() -> Plan {
    let step = |id: &str| Step {
        id: id.into(),
        host: "m1".into(),
        title: "join".into(),
        needs: Vec::new(),
        operation: Operation::Acceptance { release: "r".into(), namespace: "n".into(), timeout_seconds: 1 },
    };
    let bundle =
        BundleId { product: "orders".into(), version: "4".into(), serial: 1, digest: "sha256:0".into() };
    let hosts = json!([{"name": "m1", "role": "control-plane"}, {"name": "w1", "role": "worker"}]);
    Plan {
        api_version: sealift_plan::API_VERSION.into(),
        site: "plant".into(),
        product: "Orders 4".into(),
        kubernetes: "1.36.1".into(),
        inputs: Inputs {
            bundle,
            installer: "sha256:1".into(),
            profile: json!({"hosts": hosts}),
            hosts: BTreeMap::new(),
        },
        hosts: vec!["w1".into(), "m1".into()],
        steps: vec![step("m1.one"), step("m1.two")],
    }
}

#[test]
fn before_its_journal_a_run_goes_on_and_nothing_else_is_known() {
    let runs = TempDir::new().unwrap();
    let (run, folder) = run(&runs, "run");
    let mut viewer = Viewer::open(&run).unwrap();
    let begins = RunPicture { run: "run".into(), goes_on: true, ..RunPicture::default() };
    assert_eq!(viewer.picture(LONG).unwrap(), begins, "the first call does not wait");
    assert_eq!(viewer.picture(NONE).unwrap(), begins);
    let written = journal(&folder);
    let picture = viewer.picture(LONG).unwrap();
    assert_eq!((picture.site.as_str(), picture.steps, picture.goes_on), ("plant", 2, true));
    drop(written);
    let picture = viewer.picture(LONG).unwrap();
    assert_eq!((picture.goes_on, picture.result), (false, None));
}

#[test]
fn a_folder_that_never_got_a_journal_is_an_error_once_it_is_old() {
    let runs = TempDir::new().unwrap();
    let (run, folder) = run(&runs, "run");
    let mut viewer = Viewer::open(&run).unwrap();
    let old = std::time::SystemTime::now() - Duration::from_hours(1);
    std::fs::File::open(&folder).unwrap().set_modified(old).unwrap();
    let said = [viewer.picture(NONE).map(drop), Viewer::open(&run).map(drop)];
    for failure in said.map(Result::unwrap_err) {
        assert!(failure.message.contains("no step of it has begun"), "{failure:?}");
    }
    assert_eq!(summaries(runs.path())[0].standing, Standing::CutOff);
    runs::unmake(&folder);
    assert_eq!(summaries(runs.path()), []);
}

#[test]
fn a_viewer_sees_every_change_and_waits_for_the_next() {
    let runs = TempDir::new().unwrap();
    let (run, folder) = run(&runs, "run");
    let journal = journal(&folder);
    let mut viewer = Viewer::open(&run).unwrap();
    assert!(viewer.picture(LONG).unwrap().goes_on);
    journal.record(begins("m1.one")).unwrap();
    let picture = viewer.picture(LONG).unwrap();
    assert_eq!(picture.hosts[1].running[0].title, "join");
    let (step, host, message) = ("m1.one".into(), "m1".into(), "wait".into());
    journal.progress(ProgressEvent { step, host, message, done: 1, total: 3, elapsed_millis: 0 });
    let picture = viewer.picture(LONG).unwrap();
    let step = &picture.hosts[1].running[0];
    assert_eq!((step.message.as_str(), step.done, step.limit_millis), ("wait", 1, Some(20_000)));
    ask_to_stop(&run).unwrap();
    assert!(viewer.picture(LONG).unwrap().stopping);
    journal.record(over(RunResult::Done)).unwrap();
    let picture = viewer.picture(LONG).unwrap();
    assert_eq!((picture.goes_on, picture.result), (true, None), "it asks what stands");
    let report = FailureReport { message: "m1 is gone".into(), ..FailureReport::default() };
    runs::keep_failure(&folder, &report).unwrap();
    let picture = viewer.picture(LONG).unwrap();
    assert_eq!((picture.goes_on, picture.result), (false, Some(RunResult::Failed)));
    assert_eq!(picture.failures[0].failure, report);
}

#[test]
fn roles_and_steps_come_from_the_plan_where_it_is_as_it_was_written() {
    let runs = TempDir::new().unwrap();
    let (run, folder) = run(&runs, "run");
    let _journal = journal(&folder);
    let whole = sealift_plan::saved::to_json(&plan());
    let hosts = |text: Option<&str>| {
        if let Some(text) = text {
            std::fs::write(folder.join(PLAN), text).unwrap();
        }
        let picture = Viewer::open(&run).unwrap().picture(NONE).unwrap();
        let hosts = picture.hosts.into_iter();
        hosts.map(|host| format!("{} {} {}", host.name, host.role, host.steps)).collect::<Vec<_>>()
    };
    assert_eq!(hosts(None), ["w1  0", "m1  0"]);
    assert_eq!(hosts(Some(&whole)), ["w1 worker 0", "m1 control-plane 2"]);
    for broken in ["", "{}", &whole[1..], &whole.replace("\"worker\"", "\"master\"")] {
        assert_eq!(hosts(Some(broken)), ["w1  0", "m1  0"], "{broken}");
    }
}

#[test]
fn runs_are_listed_newest_first_with_how_they_stand() {
    let runs = TempDir::new().unwrap();
    assert_eq!(summaries(&runs.path().join("none")), []);
    let folder = |name: &str| run(&runs, name).1;
    let ended = |name: &str, result: RunResult| journal(&folder(name)).record(over(result)).unwrap();
    for number in 0..20 {
        ended(&format!("2026-11-20-0638{number:02}"), RunResult::Cancelled);
    }
    let going = journal(&folder("2026-11-22-063800"));
    going.record(begins("m1.one")).unwrap();
    drop(journal(&folder("2026-11-22-063700")));
    std::fs::write(folder("2026-11-22-063600").join(JOURNAL), "nonsense\n{}\n").unwrap();
    let failing = journal(&folder("2026-11-22-063500"));
    failing.record(begins("m1.two")).unwrap();
    let failure = FailureReport { message: "no".into(), ..FailureReport::default() };
    failing.record(StepEvent::StepFailed { step: "m1.two".into(), host: "m1".into(), failure }).unwrap();
    failing.record(over(RunResult::Failed)).unwrap();
    let summaries = summaries(runs.path());
    assert_eq!(summaries.len(), 20);
    let first = &summaries[0];
    assert_eq!((first.run.as_str(), first.site.as_str()), ("2026-11-22-063800", "plant"));
    assert_eq!((first.product.as_str(), first.done, first.steps), ("Orders 4", 0, 2));
    let words: Vec<_> = summaries.iter().take(5).map(|one| in_words(one.standing)).collect();
    let expected = ["goes on", "cut off", "cannot be read", "ended with a failure", "stopped as asked"];
    assert_eq!(words, expected);
}
