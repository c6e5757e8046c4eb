//! The installer is killed at steps of every sort, and a host is cut off half-way: each time the same command goes on,
//! and what stands at the end is what an undisturbed install leaves.
//!
//! The tests stand in the order of an install and share one lab: each goes on where the last one was killed.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::Test;
use super::reference::Reference;
use crate::demo::Proof;
use crate::test::{Context, Ended, INSTALL_WITHIN, InstallerRun};
use crate::wait::until;

/// On a lab of their own: a host that does not answer is waited for.
pub const WAITING: &[Test] =
    &[Test::fresh("kills::host_unreachable_half_way_is_named", host_unreachable_half_way)];

/// In order.
pub const TESTS: &[Test] = &[
    Test::lab("kills::while_hosts_are_prepared", |context| killed(context, "m2.certificate", Moment::Begun)),
    Test::lab("kills::while_blobs_come_from_the_seat", |context| {
        over_a_slow_link(context, || killed(context, "m1.store-binaries", Moment::HalfWay))
    }),
    // The slow link keeps the first master's next blobs away meanwhile: the test after this one needs them on their way.
    Test::lab("kills::while_a_master_fetches_blobs", |context| {
        over_a_slow_link(context, || killed(context, "m2.store-binaries", Moment::Moving))
    }),
    Test::lab("kills::after_a_cut_that_the_run_rode_out", |context| {
        over_a_slow_link(context, || rides_out_a_cut(context))
    }),
    Test::lab("kills::while_images_are_pulled", |context| killed(context, "m1.images", Moment::Moving)),
    Test::lab("kills::while_the_first_kubelet_starts", |context| {
        killed(context, "m1.init-kubelet-start", Moment::Begun)
    }),
    Test::lab("kills::while_kubeadm_init_waits", |context| killed(context, "m1.api", Moment::Begun)),
    Test::lab("kills::while_a_worker_joins", |context| killed(context, "w1.join", Moment::Moving)),
    // Its join may have been begun by the run before, and go on without anyone; then it is attached to.
    Test::lab("kills::while_the_second_master_joins", |context| {
        killed(context, "m2.join-etcd", Moment::MovingOrOver)
    }),
    Test::lab("kills::while_the_third_master_joins", |context| {
        killed(context, "m3.join-etcd", Moment::Moving)
    }),
    Test::lab("kills::while_the_product_is_released", |context| {
        killed(context, "m1.release-orders", Moment::Moving)
    }),
    Test::lab("kills::while_the_acceptance_tests_run", |context| {
        killed(context, "m1.acceptance-orders", Moment::Begun)
    }),
    Test::lab("kills::the_last_run_outlives_its_terminal_and_ends_as_undisturbed", end_is_as_undisturbed),
    Test::lab("kills::a_further_run_changes_nothing", further_run_changes_nothing),
];

/// Longest time from a start to the step where it is killed, and longest time for a host's loss to be noticed.
const WITHIN: Duration = INSTALL_WITHIN;
/// The installer's exit code when a run stopped half-way and can be resumed.
const RESUMABLE: i32 = 4;
/// Slow enough for a transfer to have a middle: megabits per second.
const SLOW: u32 = 120;

/// When a step is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// As soon as it has begun.
    Begun,
    /// When it says what it does: its command runs, its bytes flow.
    Moving,
    /// When half of its bytes are through.
    HalfWay,
    /// As [`Moment::Moving`], or at its end where all is done already.
    MovingOrOver,
}

/// What an event says about a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// It is the moment.
    Now,
    /// Not yet, or about something else.
    NotYet,
    /// The step is over, the moment was missed.
    Over,
}

impl Moment {
    fn judge(self, step: &str, event: &Value) -> Said {
        let own = event["step"] == step;
        let progress = &event["progress"];
        let moves = event["event"] == "progress" && progress["step"] == step;
        let number = |name: &str| progress[name].as_u64().unwrap_or_default();
        let now = match self {
            Self::Begun => own && event["event"] == "stepStarted",
            Self::Moving | Self::MovingOrOver => moves,
            Self::HalfWay => moves && number("total") > 0 && number("done") * 2 >= number("total"),
        };
        let over = own && matches!(event["event"].as_str(), Some("stepFinished" | "stepFailed"));
        match (now, over) {
            (true, _) => Said::Now,
            (_, true) if self == Self::MovingOrOver => Said::Now,
            (_, true) => Said::Over,
            _ => Said::NotYet,
        }
    }
}

/// Reads on until the moment of a step.
fn wait_for(run: &mut InstallerRun, step: &str, moment: Moment) -> Result<Value> {
    let what = format!("the moment {moment:?} of {step}");
    let event = run.wait_for(&what, WITHIN, |event| {
        moment.judge(step, event) != Said::NotYet || event["event"] == "stepFailed"
    })?;
    if moment.judge(step, &event) != Said::Now {
        bail!("{what} did not come: {event}");
    }
    Ok(event)
}

/// Starts the install and kills it at the moment of a step.
fn killed(context: &Context<'_>, step: &str, moment: Moment) -> Result<()> {
    let mut run = context.start_install(&[])?;
    let event = wait_for(&mut run, step, moment)?;
    kill(context, run, step, &event)
}

/// Kills (SIGKILL) and makes sure that it was alive until then.
fn kill(context: &Context<'_>, run: InstallerRun, step: &str, event: &Value) -> Result<()> {
    let ended = run.kill()?;
    ensure!(ended.code.is_none(), "the installer had ended with {:?} before it was killed", ended.code);
    let word = event["progress"]["message"].as_str().or(event["event"].as_str()).unwrap_or_default();
    context.note(format!("killed at {step} ({word}) after {:.1} s", ended.seconds));
    Ok(())
}

/// Runs with the seat's cable slowed down.
fn over_a_slow_link(context: &Context<'_>, work: impl FnOnce() -> Result<()>) -> Result<()> {
    context.lab.shape_seat(Some(SLOW))?;
    let result = work();
    context.lab.shape_seat(None)?;
    result
}

/// The first master's cable is pulled while bytes flow to it, and stays out: everything else waits for these bytes. It
/// is back when the seat knows nothing of the connections any more: the host has to find out by itself that it is free,
/// and the same command then gets as far as the same step.
fn host_unreachable_half_way(context: &Context<'_>) -> Result<()> {
    let lab = context.lab;
    let step = "m1.store-binaries";
    lab.shape_seat(Some(SLOW))?;
    let mut run = context.start_install(&[])?;
    wait_for(&mut run, step, Moment::Moving)?;
    let cut = Instant::now();
    lab.cut_link("m1")?;
    let ended = run.finish(WITHIN);
    let forgotten = lab.forget_seat_connections();
    lab.restore_link("m1")?;
    lab.shape_seat(None)?;
    forgotten?;
    let ended = ended?;
    context.note(format!("given up {:.0} s after the cable was pulled", cut.elapsed().as_secs_f64()));
    names_host_cause_and_next_step(&ended, "m1 (10.77.0.11)")?;
    killed(context, step, Moment::Begun)
}

fn names_host_cause_and_next_step(ended: &Ended, host: &str) -> Result<()> {
    ended.expect_code(RESUMABLE)?;
    let error = ended.topic("error").context("the run ended without a word about why")?;
    ensure!(error["exitCode"] == RESUMABLE, "the exit code is told as {}", error["exitCode"]);
    let texts = |name: &str| {
        let texts = error["data"][name].as_array().into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect::<Vec<_>>()
    };
    let (causes, hints) = (texts("causes"), texts("hints"));
    let unreachable = |cause: &String| {
        ["cannot be reached", "did not answer", "was lost"].iter().any(|word| cause.contains(word))
    };
    ensure!(
        causes.iter().any(|cause| cause.contains(host) && unreachable(cause)),
        "no cause says that {host} cannot be reached: {causes:?}"
    );
    let next = |hint: &String| hint.contains("m1") || hint.contains("run the same command again");
    ensure!(hints.iter().any(next), "no next step is told: {hints:?}");
    Ok(())
}

/// The cable is pulled until the run notices, and put back: the same run goes on with the same step by itself.
fn rides_out_a_cut(context: &Context<'_>) -> Result<()> {
    let lab = context.lab;
    let step = "m1.store-control-plane";
    let mut run = context.start_install(&[])?;
    wait_for(&mut run, step, Moment::Moving)?;
    lab.cut_link("m1")?;
    let retried = run.wait_for("a new try", WITHIN, |event| {
        event["event"] == "stepRetried" && event["step"] == step
            || event["event"] == "stepFailed"
            || event["topic"] == "error"
    });
    lab.restore_link("m1")?;
    let retried = retried?;
    ensure!(retried["event"] == "stepRetried", "the run did not try again: {retried}");
    let reason = retried["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("m1 (10.77.0.11)"), "the new try's reason names no host: {reason}");
    let event = wait_for(&mut run, step, Moment::Moving)?;
    kill(context, run, step, &event)
}

/// An install on a terminal whose window is closed: it goes on, and viewers follow it to its end.
fn outlives_its_terminal(context: &Context<'_>) -> Result<()> {
    let before = context.runs()?;
    let mut terminal = context.start_install_on_terminal()?;
    let begun = until("the run's first event", WITHIN, || {
        let new = context.runs()?.into_iter().find(|run| !before.contains(run));
        // The journal has its name when there is something in it.
        Ok(new.filter(|run| context.lab.seat_home().join("runs").join(run).join("events.jsonl").exists()))
    });
    let watch = |run: &str| context.start_installer(&["attach", run, "--output=json"]);
    let closed = begun.and_then(|run| {
        let mut first = watch(&run)?;
        first.wait_for("an event of the run", WITHIN, |event| event["event"].is_string())?;
        Ok((run, first))
    });
    terminal.kill().context("cannot close the terminal")?;
    terminal.wait().context("cannot wait for the terminal")?;
    let (run, first) = closed?;
    let mut second = watch(&run)?;
    let state = second.next_event(WITHIN)?.context("the second viewer said nothing")?;
    ensure!(state["topic"] == "state", "the second viewer began with {state}");
    for viewer in [first, second] {
        let ended = viewer.finish(WITHIN)?;
        ended.expect_code(0)?;
        let last = ended.events().last().context("a viewer said nothing")?;
        ensure!(last["event"] == "runFinished" && last["result"] == "done", "the last event was {last}");
    }
    Ok(())
}

/// The last run ends well, the cluster is whole, and every host has the files of an undisturbed install.
fn end_is_as_undisturbed(context: &Context<'_>) -> Result<()> {
    outlives_its_terminal(context)?;
    let proof = Proof::collect(context.lab)?;
    ensure!(proof.holds(), "{}", proof.json(&[]));
    let undisturbed = Reference::of_undisturbed(context)?;
    let differences = undisturbed.differences(&Reference::look(context)?);
    ensure!(differences.is_empty(), "files differ from an undisturbed install:\n{}", differences.join("\n"));
    Ok(())
}

/// The same command once more.
pub fn further_run_changes_nothing(context: &Context<'_>) -> Result<()> {
    let ended = context.install(&[])?;
    ended.expect_code(0)?.expect_text(&["nothing changed"])?;
    let done = ended.topic("done").context("the run has no closing words")?;
    ensure!(done["data"]["changed"] == 0, "{} steps changed something", done["data"]["changed"]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Said::{NotYet, Now, Over};
    use super::*;
    use serde_json::json;

    #[test]
    fn moments_are_told_apart() {
        let started = json!({"event": "stepStarted", "step": "m1.x"});
        let some = json!({"event": "progress", "progress": {"step": "m1.x", "done": 40, "total": 100}});
        let more = json!({"event": "progress", "progress": {"step": "m1.x", "done": 50, "total": 100}});
        let uncounted = json!({"event": "progress", "progress": {"step": "m1.x", "done": 0, "total": 0}});
        let finished = json!({"event": "stepFinished", "step": "m1.x"});
        let judge = |moment: Moment| {
            [&started, &some, &more, &uncounted, &finished].map(|event| moment.judge("m1.x", event))
        };
        assert_eq!(judge(Moment::Begun), [Now, NotYet, NotYet, NotYet, Over]);
        assert_eq!(judge(Moment::Moving), [NotYet, Now, Now, Now, Over]);
        assert_eq!(judge(Moment::HalfWay), [NotYet, NotYet, Now, NotYet, Over]);
        assert_eq!(judge(Moment::MovingOrOver), [NotYet, Now, Now, Now, Now]);
        assert_eq!(Moment::Begun.judge("m2.x", &started), NotYet);
    }

    #[test]
    fn an_error_without_host_or_next_step_is_not_enough() {
        let said = |error: Value| Ended {
            code: Some(4),
            output: error.to_string(),
            errors: String::new(),
            seconds: 1.0,
        };
        let error = |causes: &[&str], hints: &[&str]| {
            said(json!({"topic": "error", "exitCode": 4, "data": {"causes": causes, "hints": hints}}))
        };
        let judge = |ended: Ended| names_host_cause_and_next_step(&ended, "m1 (10.77.0.11)");
        let cause = "m1.x: m1 (10.77.0.11) cannot be reached: No route to host";
        let hint = "check that m1 is switched on";
        assert!(judge(error(&[cause], &[hint])).is_ok());
        assert!(judge(error(&[cause], &[])).is_err());
        assert!(judge(error(&["m2 (10.77.0.12) cannot be reached"], &[hint])).is_err());
        assert!(judge(Ended { code: Some(1), ..error(&[cause], &[hint]) }).is_err());
    }
}
