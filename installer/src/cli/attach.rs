//! `installer attach`: watches a run that goes on in another process. Only reads, so that any number may watch.
//!
//! First the state so far (with `--output json` one line with topic `state`), then every event as it comes. Ends as the
//! run ends, with its exit code; ending the viewer ends nothing else.

use std::collections::{BTreeMap, BTreeSet};

use sealift_events::picture::{RunPicture, StepPicture};
use sealift_events::{Event, Record, RunResult};
use serde_json::json;

use super::run_view::{say_state, span};
use crate::failure::{Failure, Kind};
use crate::output::{Output, nobody_reads};
use crate::runs::{Run, Which};
use crate::watch::{LOOK, Viewer};

/// What `attach` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let run = arguments.which.find()?;
    let mut viewer = Viewer::open(&run)?;
    let seen = beginning(&run, &mut viewer, output)?;
    let sink = output.sink(&seen);
    say_state(&viewer.now(), viewer.fold(), output);
    let mut warned = BTreeSet::new();
    loop {
        let picture = viewer.now();
        if !picture.goes_on {
            return ended(&run, &viewer, &picture, output);
        }
        warn(&picture, &mut warned, output);
        if nobody_reads() {
            return Ok(());
        }
        std::thread::sleep(LOOK);
        let news = viewer.look()?;
        news.records.into_iter().for_each(|record| sink.take(&Event::Step(record)));
        news.progress.into_iter().for_each(|progress| sink.take(&Event::Progress(progress)));
    }
}

/// Waits for the run's journal; what is in it so far.
fn beginning(run: &Run, viewer: &mut Viewer, output: Output) -> Result<Vec<Record>, Failure> {
    if !viewer.has_journal() {
        output.remark(&format!("run       {} begins: it takes its hosts", run.name));
    }
    loop {
        let news = viewer.look()?;
        if viewer.has_journal() {
            return Ok(news.records);
        }
        std::thread::sleep(LOOK);
    }
}

/// One line for each step that has been silent for so long that somebody should look; another one when it is so again.
fn warn(picture: &RunPicture, warned: &mut BTreeSet<(String, String)>, output: Output) {
    let steps = picture.hosts.iter().flat_map(|host| host.running.iter().map(move |step| (&host.name, step)));
    let stuck: BTreeMap<_, _> = steps
        .filter(|(_, step)| step.is_stuck())
        .map(|(host, step)| ((host.clone(), step.step.clone()), step))
        .collect();
    warned.retain(|key| stuck.contains_key(key));
    for (key, StepPicture { step, title, silent_millis, limit_millis, .. }) in stuck {
        if warned.contains(&key) {
            continue;
        }
        let (host, silence) = (&key.0, span(*silent_millis));
        let limit = span(limit_millis.unwrap_or_default());
        let text = format!(
            "{host} has been silent for {silence} at \"{title}\"; after {limit} its connection counts as lost and the step is tried again"
        );
        let data =
            json!({"host": host, "step": step, "silentMillis": silent_millis, "limitMillis": limit_millis});
        output.line("warning", &text, &data);
        warned.insert(key);
    }
}

/// As the run's own process ends.
fn ended(run: &Run, viewer: &Viewer, picture: &RunPicture, output: Output) -> Result<(), Failure> {
    match picture.result {
        Some(RunResult::Done) => {
            if let Some(closing) = run.closing() {
                output.remark(&format!("done      {}", closing.text()));
            }
            Ok(())
        }
        Some(RunResult::Cancelled) => Err(Failure::stopped()),
        // Every step was done: what failed is what came after.
        Some(RunResult::Failed) if viewer.fold().state().result == Some(RunResult::Done) => {
            let failed = picture.failures.last().map(|failed| Failure::of_report(&failed.failure));
            Err(failed.unwrap_or_else(|| cut(picture)))
        }
        Some(RunResult::Failed) => {
            // In the order in which the run's process names them.
            let failures: BTreeMap<_, _> =
                picture.failures.iter().map(|failed| (failed.step.as_str(), &failed.failure)).collect();
            Err(Failure::of_steps(failures))
        }
        None => Err(cut(picture)),
    }
}

fn cut(picture: &RunPicture) -> Failure {
    let message = format!(
        "the run {} was cut off: its process is gone, {} of {} steps were done",
        picture.run, picture.done, picture.steps
    );
    Failure::new(Kind::Run, message)
        .hint("run the same install command again: it goes on where the run was cut off")
}
