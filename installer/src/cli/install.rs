//! `installer install`: check, plan, run, prove. The same command again resumes, or changes nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sealift_engine::{Options, Summary};
use sealift_events::journal::Journal;
use sealift_events::{RunResult, Sink, StepEvent};
use sealift_host::protocol::{ClusterState, Request, Response, TestResult};
use sealift_plan::Plan;
use sealift_profile::HostRole;
use serde_json::json;

use super::confirm::Question;
use super::prepare::{self, Prepared};
use super::signed::SignedPlan;
use crate::executor::AgentExecutor;
use crate::failure::{Failure, Kind};
use crate::jsonl::JsonLines;
use crate::lines::Lines;
use crate::output::{Output, counted};
use crate::sessions::{CallOrConnect, NoBlobs, ask};
use crate::written::write;

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
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let started = Instant::now();
    let cancel = stop_on_signals()?;
    let signed = arguments.plan.as_deref().map(SignedPlan::read).transpose()?;
    let mut prepared = Prepared::open(&arguments.prepare, output)?;
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
    cancel: &AtomicBool,
    started: Instant,
    output: Output,
) -> Result<(), Failure> {
    let folder = run_folder(&arguments.runs)?;
    let run = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    write(&folder.join("plan.json"), &sealift_plan::saved::to_json(plan))?;
    prepared.sessions.lock(&owner(), &run)?;
    let sink: Box<dyn Sink> = match output {
        Output::Plain | Output::Quiet => Box::new(Lines::default()),
        Output::Json => Box::new(JsonLines),
    };
    let journal = Journal::create(&folder.join("events.jsonl"), vec![sink])?;
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
    finish(prepared, &summary, &tests, started, output)
}

/// The closing words: what stands, or what stopped it and how to go on.
fn finish(
    prepared: &Prepared,
    summary: &Summary,
    tests: &[TestResult],
    started: Instant,
    output: Output,
) -> Result<(), Failure> {
    match summary.result {
        RunResult::Done => {}
        RunResult::Cancelled => {
            return Err(Failure::new(
                Kind::Run,
                "the run was stopped as asked; what was begun has ended well",
            )
            .hint("run the same command again: it goes on where it stopped"));
        }
        RunResult::Failed => return Err(failed(summary)),
    }
    let state = cluster_state(prepared)?;
    let ready = state.nodes.iter().filter(|node| node.ready).count();
    let passed = tests.iter().filter(|test| test.passed).count();
    let text = format!(
        "{} Ready, {}, {}; acceptance {passed} of {}; {} in {:.0} s",
        counted(ready, "node"),
        counted(state.etcd_voters as usize, "voter"),
        counted(state.pods as usize, "pod"),
        tests.len(),
        if summary.changed == 0 { "nothing changed" } else { "installed" },
        started.elapsed().as_secs_f64(),
    );
    let data = json!({
        "changed": summary.changed, "unchanged": summary.unchanged, "cluster": state, "acceptance": tests,
        "seconds": started.elapsed().as_secs_f64(),
    });
    output.line("done", &text, &data);
    Ok(())
}

fn failed(summary: &Summary) -> Failure {
    let mut causes = Vec::new();
    let mut hints = Vec::new();
    let mut log = Vec::new();
    let mut kind = Kind::Run;
    for (step, error) in &summary.failures {
        let report = &error.report;
        if report.kind == "verification" {
            kind = Kind::Verification;
        }
        causes.push(format!(
            "{step}: {}",
            std::iter::once(&report.message).chain(&report.causes).cloned().collect::<Vec<_>>().join(": ")
        ));
        hints.extend(report.hint.clone());
        log.extend(report.log.iter().cloned());
    }
    hints.dedup();
    let message = match summary.failures.len() {
        1 => "a step failed; what was done before stands".to_owned(),
        count => format!("{count} steps failed; what was done before stands"),
    };
    Failure { causes, hints, log, ..Failure::new(kind, message) }
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

/// A new folder `DATE-TIME`, with a number behind where two runs start in one second.
fn run_folder(runs: &Path) -> Result<PathBuf, Failure> {
    let stamp = jiff::Zoned::now().strftime("%Y-%m-%d-%H%M%S").to_string();
    let failed = |path: &Path, error: &io::Error| {
        let failure = Failure::new(Kind::Usage, format!("the run folder {} cannot be made", path.display()));
        Failure { causes: vec![error.to_string()], ..failure }.hint("name another with `--runs DIR`")
    };
    std::fs::create_dir_all(runs).map_err(|error| failed(runs, &error))?;
    for number in 1..1000 {
        let name = if number == 1 { stamp.clone() } else { format!("{stamp}-{number}") };
        let folder = runs.join(name);
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(&folder, &error)),
        }
    }
    Err(Failure::new(Kind::Internal, format!("a thousand runs in {} within one second", runs.display())))
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

/// The first signal asks for a safe stop, the second ends at once; a killed run is resumed as well.
fn stop_on_signals() -> Result<Arc<AtomicBool>, Failure> {
    let cancel = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let register = || -> io::Result<()> {
            // In this order: the second signal finds the flag of the first.
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&cancel))?;
            signal_hook::flag::register(signal, Arc::clone(&cancel))?;
            Ok(())
        };
        register().map_err(|error| Failure::of(Kind::Internal, &error))?;
    }
    debug_assert!(!cancel.load(Ordering::Relaxed));
    Ok(cancel)
}
