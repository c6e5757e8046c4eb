//! Runs as the wizard's first and last pages show them: the real program on runs that these tests write.

use std::os::unix::fs::symlink;

use rustix::process::Signal;
use sealift_events::RunResult;
use sealift_events::journal::Journal;

use crate::drawn;
use crate::seat::Seat;
use crate::terminal::{CTRL_C, ENTER, Terminal};
use crate::watch::{RESULT, Runs, begun, failed, going, names, over, whole};

const INSTALLER: &str = env!("CARGO_BIN_EXE_installer");
const UP: &str = "\x1b[A";
const F9: &str = "\x1b[20~";

/// A seat in whose folder the runs of a test lie.
fn seat_of(runs: &Runs) -> Seat {
    let seat = Seat::new();
    symlink(runs.0.path(), seat.path("runs")).unwrap();
    seat
}

#[test]
fn a_run_that_has_ended_is_listed_and_shows_its_result_or_its_failure() {
    let runs = Runs::new();
    runs.ended("2026-11-21-063800", whole(RunResult::Done), "");
    runs.write("2026-11-21-063800", "result.json", RESULT);
    let failing = vec![begun("2026-11-22-063800"), failed("m1.store", "run"), over(RunResult::Failed)];
    runs.ended("2026-11-22-063800", failing, "");
    let seat = seat_of(&runs);
    let ended = seat.wizard(&["--plain"], "watch 2\nquit\nyes\n");
    let flat = ended.output.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(ended.code, Some(0), "{}{}", ended.output, ended.errors);
    for part in
        ["Run: 2026-11-22-063800;", "State: failed;", "Page 13 of 13: Result", "1 of 1 nodes are ready"]
    {
        assert!(flat.contains(part), "`{part}` is not in {}", ended.output);
    }
    // The end of the input on the page of a run that failed is a failure.
    let ended = seat.wizard(&["--plain"], "watch 1\n");
    assert_eq!(ended.code, Some(4), "{}{}", ended.output, ended.errors);
    assert!(ended.output.contains("Page 12 of 13: Install"), "{}", ended.output);
    assert!(ended.errors.contains("The run 2026-11-22-063800 has not ended well"), "{}", ended.errors);
    assert_eq!(
        names(&runs.folder("2026-11-21-063800")),
        ["events.jsonl", "result.json"],
        "nothing is written"
    );
}

#[test]
fn an_install_that_cannot_begin_again_says_why_and_changes_nothing() {
    let runs = Runs::new();
    let failing = vec![begun("run"), failed("m1.store", "run"), over(RunResult::Failed)];
    runs.ended("run", failing, "");
    let seat = seat_of(&runs);
    seat.write("site.yaml", drawn::WHOLE);
    let bundle = ["--plain", "--bundle", seat.bundle(), "--trust-key", "vendor.pub"];
    let ended = seat.wizard(&bundle, "watch 1\nrun\nquit\nyes\n");
    let flat = ended.output.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(ended.code, Some(0), "{}{}", ended.output, ended.errors);
    for part in [
        "m1 failed:",
        "The install is started now. It goes on by itself",
        "The install was not begun: the plan file runs/run/plan.json cannot be read",
    ] {
        assert!(flat.contains(part), "`{part}` is not in {}", ended.output);
    }
    assert_eq!(names(&runs.folder("run")), ["events.jsonl"]);
    // Without the bundle, or with another site's profile, nothing is tried.
    let ended = seat.wizard(&["--plain"], "watch 1\nrun\nquit\nyes\n");
    assert!(ended.output.contains("error: there is no bundle"), "{}", ended.output);
    seat.write("site.yaml", &drawn::WHOLE.replace("harbin-plant", "dalian-plant"));
    let ended = seat.wizard(&bundle, "watch 1\nrun\nquit\nyes\n");
    let flat = ended.output.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("the run is of the site harbin-plant"), "{}", ended.output);
}

/// The wizard, drawn, on the page of the run that goes on.
fn watching(seat: &Seat) -> Terminal {
    let mut terminal = Terminal::start(INSTALLER, &["wizard"], &seat.path(""), &[]);
    terminal.wait_for("goes on");
    terminal.write(&UP.repeat(10));
    terminal.write(ENTER);
    terminal.wait_for("12/13");
    // What can be left is offered at once, what can be stopped as soon as the run is seen.
    terminal.wait_for("Stop safely");
    terminal
}

fn going_on(runs: &Runs) -> Journal {
    going(runs, "run")
}

#[test]
fn a_run_is_stopped_from_the_screen_and_its_end_is_seen() {
    let runs = Runs::new();
    let journal = going_on(&runs);
    let seat = seat_of(&runs);
    let mut terminal = watching(&seat);
    terminal.write(CTRL_C);
    terminal.wait_for("Stop the run?");
    assert!(!runs.folder("run").join("stop").exists(), "asked first");
    terminal.write(ENTER);
    terminal.wait_for("is stopping");
    assert!(runs.folder("run").join("stop").exists());
    journal.record(over(RunResult::Cancelled)).unwrap();
    drop(journal);
    terminal.wait_for("stopped as asked");
    terminal.signal(Signal::TERM);
    terminal.wait_for("Left.");
    terminal.ended();
}

#[test]
fn the_wizard_ends_and_the_run_goes_on() {
    let runs = Runs::new();
    let _journal = going_on(&runs);
    let seat = seat_of(&runs);
    let mut terminal = watching(&seat);
    terminal.write(F9);
    terminal.wait_for("Come back to it with: installer attach run");
    assert_eq!(terminal.ended().code(), Some(0));
    for signal in [Signal::HUP, Signal::TERM] {
        let mut terminal = watching(&seat);
        terminal.signal(signal);
        terminal.wait_for("Come back to it with: installer attach run");
        terminal.ended();
    }
    assert!(!runs.folder("run").join("stop").exists());
}
