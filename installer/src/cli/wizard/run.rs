//! Runs, as the wizard needs them: listed, begun, watched, asked to stop, handed over.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sealift_events::picture::{RunPicture, RunSummary};
use sealift_plan::operation::Operation;
use sealift_plan::{Plan, flows, saved};
use sealift_wizard::{Agreed, Handover, Language};

use crate::cli::prepare;
use crate::cli::report::{self, Tongue};
use crate::detached::{self, Order};
use crate::failure::Failure;
use crate::output::Output;
use crate::runs::{self, PLAN, RUNS};
use crate::tui::Ask;
use crate::watch::Viewer;

/// How long a look at a run waits for something to change.
const PATIENCE: Duration = Duration::from_secs(1);
/// Most hosts that are named as a place of the product.
const PLACES: usize = 4;
/// Name of the report in a run's folder.
const REPORT: &str = "report.html";

/// The run that is watched, from one look to the next.
#[derive(Default)]
pub(super) struct Watching(Mutex<Option<(String, Viewer)>>);

impl Watching {
    /// The run as it is as soon as something has changed, or a second is over.
    pub(super) fn look(&self, run: &str) -> Result<Box<RunPicture>, Failure> {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut viewer = match watched.take() {
            Some((same, viewer)) if same == run => viewer,
            _ => Viewer::open(&runs::named(Path::new(RUNS), run)?)?,
        };
        let picture = viewer.picture(PATIENCE)?;
        *watched = Some((run.to_owned(), viewer));
        Ok(Box::new(picture))
    }
}

/// All runs that are here, the newest first.
pub(super) fn find() -> Vec<RunSummary> {
    runs::summaries(Path::new(RUNS))
}

/// Begins an install with the plan that was agreed to; the run's name.
pub(super) fn begin(arguments: prepare::Arguments, agreed: Agreed, ask: Ask<'_>) -> Result<String, Failure> {
    let plan = match agreed {
        Agreed::File(file) => file,
        Agreed::Run(run) => Path::new(RUNS).join(run).join(PLAN),
    };
    let order = Order {
        bundle: arguments.bundle,
        profile: arguments.profile.into_iter().next().unwrap_or_default(),
        plan: Some(plan),
        runs: PathBuf::from(RUNS),
        trust: arguments.trust,
    };
    detached::start(&order, ask)
}

pub(super) fn stop(run: &str) -> Result<(), Failure> {
    runs::ask_to_stop(&runs::named(Path::new(RUNS), run)?)
}

/// Writes the report into the run's folder, and says where its product is found.
pub(super) fn hand_over(
    arguments: prepare::Arguments,
    run: &str,
    language: Language,
) -> Result<Handover, Failure> {
    let folder = Path::new(RUNS).join(run);
    let file = folder.join(REPORT);
    let language = match language {
        Language::English => Tongue::En,
        Language::Chinese => Tongue::Zh,
    };
    report::run(&report::Arguments::handover(arguments, &folder, &file, language), Output::Quiet)?;
    let plan = std::fs::read_to_string(folder.join(PLAN)).ok().and_then(|text| saved::from_json(&text).ok());
    Ok(Handover { file, addresses: plan.as_ref().map(addresses).unwrap_or_default() })
}

/// For each release that opens ports on hosts, where people reach it: on the workers, or on the masters where there
/// are none.
fn addresses(plan: &Plan) -> Vec<String> {
    let hosts = plan.inputs.profile["hosts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of = |role: &str| -> Vec<&str> {
        let own = hosts.iter().filter(|host| host["role"] == role);
        own.filter_map(|host| host["address"].as_str()).collect()
    };
    let workers = of("worker");
    let serving = if workers.is_empty() { of("control-plane") } else { workers };
    let found = plan.steps.iter().filter_map(|step| match &step.operation {
        Operation::HelmRelease { release } => Some(release),
        _ => None,
    });
    let mut told = Vec::new();
    for release in found {
        for port in flows::node_ports(&release.values) {
            let places = serving.iter().take(PLACES).map(|address| format!("{address}:{port}"));
            told.push(format!("{}: {}", release.name, places.collect::<Vec<_>>().join(", ")));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_not_there_is_told_and_the_next_look_begins_anew() {
        let watching = Watching::default();
        for _ in 0..2 {
            let failure = watching.look("2026-01-01-000000").unwrap_err();
            assert!(!failure.message.is_empty() && !failure.hints.is_empty(), "{failure:?}");
        }
        assert!(stop("2026-01-01-000000").is_err());
    }
}
