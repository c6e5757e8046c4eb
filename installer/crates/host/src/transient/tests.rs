use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::context::Reporter;
use crate::context::testing::Recorder;
use crate::paths::Paths;
use crate::protocol::Progress;

/// Stands for systemd where none runs: real processes, their state in files beside the scripts.
const SYSTEMD_RUN: &str = r#"#!/bin/sh
here=${0%/*}
while [ "$1" != -- ]; do
  case "$1" in
    --unit=*) unit=${1#*=} ;;
    --description=*) description=${1#*=} ;;
    --setenv=*) export "${1#*=}" ;;
  esac
  shift
done
shift
for word; do case "$word" in *[!A-Za-z0-9_./-]*) echo "a daemon-reload could change: $word" >&2; exit 1 ;; esac; done
echo "$description" >"$here/$unit.loaded"
echo started >>"$here/started"
setsid sh -c '"$@"; echo $? >"$0.new"; mv "$0.new" "$0"' "$here/$unit.status" "$@" </dev/null >/dev/null 2>&1 &
echo $! >"$here/$unit.pid"
"#;
const SYSTEMCTL: &str = r#"#!/bin/sh
here=${0%/*}
unit=$2
case "$1" in
  show)
    [ -e "$here/$unit.loaded" ] || { echo LoadState=not-found; echo ActiveState=inactive; exit; }
    echo LoadState=loaded
    echo "Description=$(cat "$here/$unit.loaded")"
    if [ ! -e "$here/$unit.status" ]; then echo ActiveState=active; echo SubState=running
    else
      status=$(cat "$here/$unit.status")
      echo ExecMainCode=1; echo "ExecMainStatus=$status"
      if [ "$status" = 0 ]; then echo ActiveState=active; echo SubState=exited; echo Result=success
      else echo ActiveState=failed; echo SubState=failed; echo Result=exit-code; fi
    fi ;;
  stop) [ -e "$here/$unit.pid" ] && kill -9 -"$(cat "$here/$unit.pid")" 2>/dev/null; rm -f "$here/$unit".* ;;
esac
exit 0
"#;

/// A seat that goes as soon as the unit says something.
#[derive(Default)]
struct Lost(AtomicBool);

impl Reporter for Lost {
    fn progress(&self, progress: Progress) {
        self.0.fetch_or(progress.message.contains("begun"), Ordering::Relaxed);
    }
    fn lost(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

struct Host {
    root: tempfile::TempDir,
    paths: Paths,
    recorder: Recorder,
}

impl Host {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        for (name, script) in [("systemctl", SYSTEMCTL), ("systemd-run", SYSTEMD_RUN)] {
            sealift_bundle::testing::program(&paths.host("/usr/local/sbin").join(name), script);
        }
        Self { root, paths, recorder: Recorder::default() }
    }

    fn context<'a>(&'a self, run: &'a str) -> Context<'a> {
        Context::new(&self.paths, &self.recorder, run, "m1/join")
    }

    fn started(&self) -> usize {
        let started = fs::read_to_string(self.paths.host("/usr/local/sbin/started"));
        started.map_or(0, |text| text.lines().count())
    }

    fn touch(&self, name: &str) {
        fs::write(self.root.path().join(name), "").unwrap();
    }
}

fn unit(script: &str) -> TransientUnit {
    TransientUnit {
        name: "m1/join".to_owned(),
        command: "sh".to_owned(),
        args: vec!["-c".to_owned(), script.to_owned(), "name".to_owned(), "a $b".to_owned()],
        environment: BTreeMap::from([("SPEED".to_owned(), "full".to_owned())]),
        instead: BTreeMap::new(),
        timeout: Duration::from_mins(1),
        message: "joining".to_owned(),
    }
}

#[test]
fn output_and_end_are_collected_and_nothing_is_left() {
    let host = Host::new();
    let good = unit(r#"echo "$SPEED $1"; echo "on stderr" >&2"#);
    let finished = run(&host.context("run-1"), &good).unwrap();
    assert_eq!((finished.log.as_str(), finished.attached), ("full a $b\non stderr\n", false));
    let failure = run(&host.context("run-1"), &unit("echo nearly; echo no; exit 4")).unwrap_err();
    assert!(failure.message.ends_with("ended with status 4"), "{failure}");
    assert_eq!(failure.log, ["nearly", "no"]);
    let left: Vec<_> =
        fs::read_dir(host.paths.host("/usr/local/sbin")).unwrap().flatten().map(|e| e.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains(".service")), "{left:?}");
    assert_eq!(fs::read_dir(host.paths.run().join("units")).unwrap().count(), 0);
}

#[test]
fn a_session_that_comes_back_attaches_to_the_running_unit() {
    let host = Host::new();
    let gate = host.root.path().join("open");
    let long =
        unit(&format!("echo begun; while [ ! -e {} ]; do sleep 0.05; done; echo done", gate.display()));
    // The first session starts it and is lost.
    let lost = run(&Context::new(&host.paths, &Lost::default(), "run-1", "m1/join"), &long).unwrap_err();
    assert_eq!(lost.kind, FailureKind::Network);
    assert!(is_running(&host.context("run-2"), &long).unwrap());
    let finished = std::thread::scope(|scope| {
        let back = scope.spawn(|| run(&host.context("run-2"), &long));
        let shown = |progress: &Progress| progress.message == "joining: begun";
        while !host.recorder.0.lock().unwrap().iter().any(shown) {
            std::thread::yield_now();
        }
        host.touch("open");
        back.join().unwrap()
    })
    .unwrap();
    assert!(finished.attached);
    assert_eq!((finished.log.as_str(), host.started()), ("begun\ndone\n", 1));
}

#[test]
fn a_result_that_nobody_collected_counts_in_its_own_run_only() {
    let host = Host::new();
    let failing = unit("exit 5");
    let ctx = host.context("run-1");
    let session = Session::new(&ctx, &failing).unwrap();
    session.start(false).unwrap();
    session.wait().unwrap();
    // The session was lost here. The same run learns the result; it does not start it again.
    assert!(run(&host.context("run-1"), &failing).unwrap_err().message.ends_with("status 5"));
    assert_eq!(host.started(), 1);
    session.start(false).unwrap();
    session.wait().unwrap();
    // A later run tries for itself.
    assert!(run(&host.context("run-2"), &failing).is_err());
    assert_eq!(host.started(), 3);
}

#[test]
fn what_takes_too_long_is_stopped() {
    let host = Host::new();
    let slow = TransientUnit { timeout: Duration::from_millis(200), ..unit("echo slow; sleep 1000") };
    let failure = run(&host.context("run-1"), &slow).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Timeout);
    assert_eq!(failure.log, ["slow"]);
    assert!(!is_running(&host.context("run-1"), &slow).unwrap());
}

#[test]
fn ends_in_systemds_words() {
    let shown = |text: &str| Shown::parse(text);
    let killed = shown(
        "LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=signal\nExecMainCode=2\nExecMainStatus=9\n",
    );
    assert_eq!(
        (killed.running(), killed.succeeded(), killed.ended().as_str()),
        (false, false, "was killed by signal 9")
    );
    let vanished = shown(
        "LoadState=not-found\nActiveState=inactive\nSubState=dead\nResult=success\nExecMainCode=0\nExecMainStatus=0\n",
    );
    assert_eq!(vanished.ended(), "is gone: it was stopped from outside");
    assert!(!vanished.succeeded());
    let slow =
        shown("LoadState=loaded\nActiveState=failed\nResult=timeout\nExecMainCode=2\nExecMainStatus=15\n");
    assert_eq!(slow.ended(), "was stopped because it took too long");
    assert!(shown("LoadState=loaded\nActiveState=active\nSubState=exited\nExecMainStatus=0\n").succeeded());
}

#[test]
fn names_are_valid_and_tell_commands_apart() {
    let one = unit_stem(&unit("one"));
    assert!(one.starts_with("sealift-m1-join-"), "{one}");
    assert_eq!(one, unit_stem(&unit("one")));
    assert_ne!(one, unit_stem(&unit("two")));
}
