//! `installer install`: check, plan, run, prove. The same command again resumes, or changes nothing.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sealift_engine::{Options, Summary};
use sealift_events::journal::Journal;
use sealift_events::{RunResult, StepEvent};
use sealift_host::protocol::{ClusterState, Request, Response, TestResult};
use sealift_plan::Plan;
use sealift_profile::HostRole;
use serde_json::json;

use super::confirm::Question;
use super::prepare::{self, Prepared};
use super::signed::SignedPlan;
use crate::executor::AgentExecutor;
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::runs::{self, Closing, RUNS};
use crate::sessions::{CallOrConnect, NoBlobs, ask};
use crate::tui::Ask;
use crate::written::write;
use crate::{detached, site, stopping};

/// Most steps at once on one host: the store's filling beside the preparation, and one to spare.
const LANES: usize = 3;
/// Tries of a step whose connection is lost, and the pause between: a rebooting host is back within this time.
const ATTEMPTS: u32 = 6;
const PAUSE: Duration = Duration::from_secs(10);

/// What `install` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    prepare: prepare::Arguments,
    /// Do what this plan says, made by `installer plan --write FILE`, and nothing else: refused where bundle, profile or
    /// hosts differ from those that it was made with.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Accept the plan without being asked.
    #[arg(long)]
    yes: bool,
    /// Folder for the records of runs.
    #[arg(long, value_name = "DIR", default_value = RUNS)]
    runs: PathBuf,
    /// Go on in a session of its own, ask over the standard streams, and name the run once it has begun. For programs
    /// that start an install and watch it.
    #[arg(long, hide = true)]
    detached: bool,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let started = Instant::now();
    let mut ask: Ask<'_> = &site::ask;
    if arguments.detached {
        detached::leave_session(output)?;
        ask = &detached::ask;
    }
    let cancel = stopping::on_signals()?;
    let signed = arguments.plan.as_deref().map(SignedPlan::read).transpose()?;
    let mut prepared = Prepared::open_asking(&arguments.prepare, output, ask)?;
    if let Some(signed) = &signed {
        signed.agrees_before_hosts(&prepared.inputs())?;
    }
    prepared.probe()?;
    let result = (|| {
        // Before the checks: they judge what is there, and not what was signed.
        if let Some(signed) = &signed {
            signed.agrees(&prepared.plan()?)?;
        }
        prepared.check(output)?;
        let plan = prepared.plan()?;
        accept(&plan, arguments.yes, output)?;
        execute(arguments, &prepared, &plan, &cancel, started, output)
    })();
    prepared.sessions.close();
    result
}

fn execute(
    arguments: &Arguments,
    prepared: &Prepared,
    plan: &Plan,
    cancel: &Arc<AtomicBool>,
    started: Instant,
    output: Output,
) -> Result<(), Failure> {
    let folder = runs::make(&arguments.runs)?;
    let run = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // From now on the run can be found, and so be asked to stop.
    stopping::on_request(&folder, cancel).map_err(|error| Failure::of(Kind::Internal, &error))?;
    let journal =
        begin(arguments, prepared, plan, &folder, &run, output).inspect_err(|_| runs::unmake(&folder))?;
    if arguments.detached {
        detached::say_begun(&run, &folder);
    }
    journal.record(StepEvent::RunStarted {
        run: run.clone(),
        verb: "install".to_owned(),
        site: plan.site.clone(),
        product: plan.product.clone(),
        plan: plan.digest(),
        hosts: plan.hosts.clone(),
        steps: u32::try_from(plan.steps.len()).unwrap_or(u32::MAX),
    })?;
    let executor = AgentExecutor {
        sessions: &prepared.sessions,
        bundle: &prepared.bundle,
        site: &prepared.site,
        run: &run,
        tests: Mutex::default(),
    };
    let options = Options { lanes: LANES, attempts: ATTEMPTS, pause: PAUSE, cancel };
    let summary = sealift_engine::run(plan, &executor, &journal, options)?;
    let tests = executor.tests.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    // The journal stays open until this has ended: to viewers the run goes on as long.
    finish(prepared, &summary, tests, &folder, started, output)
}

/// Keeps the plan, takes the hosts, and opens the run's records.
fn begin(
    arguments: &Arguments,
    prepared: &Prepared,
    plan: &Plan,
    folder: &Path,
    run: &str,
    output: Output,
) -> Result<Journal, Failure> {
    write(&folder.join(runs::PLAN), &sealift_plan::saved::to_json(plan))?;
    prepared.sessions.lock(&owner(), run)?;
    outlive_terminal()?;
    if io::stdout().is_terminal() {
        let runs = if arguments.runs == Path::new(RUNS) {
            String::new()
        } else {
            format!(" --runs {}", arguments.runs.display())
        };
        output.remark(&format!(
            "run       you may close this window: the work goes on, `installer attach{runs}` shows it; Ctrl-C stops it"
        ));
    }
    let progress = runs::progress_file(folder)?;
    Ok(Journal::create(&folder.join(runs::JOURNAL), vec![output.sink(&[]), Box::new(progress)])?)
}

/// The closing words: what stands, or what stopped it and how to go on.
fn finish(
    prepared: &Prepared,
    summary: &Summary,
    tests: Vec<TestResult>,
    folder: &Path,
    started: Instant,
    output: Output,
) -> Result<(), Failure> {
    match summary.result {
        RunResult::Done => {}
        RunResult::Cancelled => return Err(Failure::stopped()),
        RunResult::Failed => {
            let failures = summary.failures.iter().map(|(step, error)| (step.as_str(), &*error.report));
            return Err(Failure::of_steps(failures));
        }
    }
    // Viewers learn from the folder how the question came out.
    let untold = |kept: Result<(), Failure>| {
        if let Err(failure) = kept {
            let text = format!("{}: who watches the run takes it for one that was cut off", failure.message);
            output.line("warning", &text, &json!({"causes": failure.causes}));
        }
    };
    let cluster = cluster_state(prepared)
        .inspect_err(|failure| untold(runs::keep_failure(folder, &failure.report())))?;
    let closing = Closing {
        changed: summary.changed,
        unchanged: summary.unchanged,
        cluster,
        acceptance: tests,
        seconds: started.elapsed().as_secs_f64(),
    };
    untold(closing.keep(folder));
    output.line("done", &closing.text(), &closing);
    Ok(())
}

/// The cluster as the first master that answers sees it.
fn cluster_state(prepared: &Prepared) -> Result<ClusterState, Failure> {
    let mut last = Failure::new(Kind::Internal, "the profile names no master");
    for host in prepared.site.site.hosts.iter().filter(|host| host.role == HostRole::ControlPlane) {
        match ask(&prepared.sessions, &host.name, &Request::ClusterState, &mut |_| {}, &mut NoBlobs) {
            Ok(Response::ClusterState(state)) => return Ok(state),
            Ok(_) => last = Failure::new(Kind::Internal, format!("{} gave no cluster state", host.name)),
            Err(CallOrConnect::Connect(failure)) => last = failure,
            Err(CallOrConnect::Call(error)) => last = error.into(),
        }
    }
    Err(last)
}

fn accept(plan: &Plan, yes: bool, output: Output) -> Result<(), Failure> {
    let text = format!(
        "{} steps on {} hosts for {} ({})",
        plan.steps.len(),
        plan.hosts.len(),
        plan.product,
        plan.kubernetes
    );
    output.line("plan", &text, &json!({"digest": plan.digest(), "steps": plan.steps.len()}));
    let question = Question {
        ask: "Do it?",
        nobody: "accept the plan",
        no: "the plan was not accepted",
        hint: "look at it with `installer plan`, then give `--yes`",
    };
    question.answered(yes)
}

/// Who runs this, for whoever finds the hosts taken.
pub(super) fn owner() -> String {
    let user = account();
    let seat = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{user} at {}, process {}", seat.trim(), std::process::id())
}

/// The person's account at the seat.
pub(crate) fn account() -> String {
    let user = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER"));
    user.unwrap_or_else(|_| "unknown".to_owned())
}

/// From now on, a terminal that closes or a connection to this seat that is lost ends nothing: what the run says is in its
/// journal, and its viewers read that.
fn outlive_terminal() -> Result<(), Failure> {
    // A handler in place of the system's ending is all that is needed: nobody asks the flag.
    signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::default())
        .map_err(|error| Failure::of(Kind::Internal, &error))?;
    Ok(())
}
