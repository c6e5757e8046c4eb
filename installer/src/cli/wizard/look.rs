//! A look at the hosts from inside the wizard: what the checks find, what an install would change, and what of it can be
//! mended by itself.

use std::path::Path;

use sealift_checks::{Finding, Wish};
use sealift_host::fix::Fixed;
use sealift_plan::changes::{HostChanges, Now, changes, found};
use sealift_plan::{Plan, saved};
use sealift_wizard::{MadeChange, MadeResult, Mended, Planned, PlannedHost};

use super::seat::trouble;
use crate::cli::prepare::{Arguments, Prepared};
use crate::cli::{fix, plan_view};
use crate::failure::Failure;
use crate::output::Output;
use crate::tui::Ask;
use crate::written::write;

/// Columns of a change list: the narrowest terminal, less what stands around it there.
const WIDTH: usize = 75;

/// What all checks find.
pub(super) fn check(arguments: &Arguments, output: Output, ask: Ask<'_>) -> Result<Vec<Finding>, Failure> {
    let prepared = Prepared::new_asking(arguments, output, ask)?;
    let findings = prepared.findings();
    prepared.sessions.close();
    Ok(findings)
}

/// What an install would change on each host. The plan is kept in a file, for the install that does it.
pub(super) fn plan(
    arguments: &Arguments,
    keep: &Path,
    output: Output,
    ask: Ask<'_>,
) -> Result<Planned, Failure> {
    let prepared = Prepared::new_asking(arguments, output, ask)?;
    let planned = planned(&prepared, keep);
    prepared.sessions.close();
    planned
}

fn planned(prepared: &Prepared, keep: &Path) -> Result<Planned, Failure> {
    let plan = prepared.plan()?;
    write(keep, &saved::to_json(&plan))?;
    let mut changes = changes(&plan);
    let places = changes.iter().map(|host| (host.host.clone(), found::comparable(host))).collect();
    found::compare(&mut changes, &prepared.sessions.read_files(&places)?);
    let hosts = changes.iter().map(|changes| planned_host(&plan, changes)).collect();
    Ok(Planned { steps: plan.steps.len(), hosts })
}

fn planned_host(plan: &Plan, changes: &HostChanges) -> PlannedHost {
    let to_write = |now: Option<&Now>| now != Some(&Now::Same);
    let files = changes.files.iter().filter(|file| to_write(file.now.as_ref())).count();
    let lines = changes.lines.iter().filter(|lines| to_write(lines.now.as_ref())).count();
    let swap = changes.swap.iter().map(|swap| format!("swap {}", swap.areas.join(" ")).trim_end().to_owned());
    PlannedHost {
        host: changes.host.clone(),
        steps: plan.steps.iter().filter(|step| step.host == changes.host).count(),
        files: files + lines,
        services: changes.units.len(),
        stops: swap.collect(),
        lines: plan_view::of_host(changes, WIDTH),
    }
}

/// Makes the changes that somebody agreed to, as far as the hosts still ask for them, and checks again.
pub(super) fn fix(
    arguments: &Arguments,
    output: Output,
    ask: Ask<'_>,
    agreed: &[Wish],
) -> Result<Mended, Failure> {
    let mut prepared = Prepared::new_asking(arguments, output, ask)?;
    let made = fix::make_agreed(&prepared, agreed);
    let again = if made.is_ok() { prepared.probe() } else { Ok(()) };
    prepared.sessions.close();
    let made = made?.into_iter().flat_map(|(host, answer)| of_host(&host, answer)).collect();
    Ok(Mended { made, findings: again.map(|()| prepared.findings()).map_err(trouble) })
}

fn of_host(host: &str, answer: Result<Vec<Fixed>, Failure>) -> Vec<MadeChange> {
    let made = |change: String, result: MadeResult| MadeChange { host: host.to_owned(), change, result };
    match answer {
        Ok(all) => all
            .into_iter()
            .map(|Fixed { fix, changed, failure }| {
                let result = match failure {
                    Some(failure) => MadeResult::Failed(failure.message),
                    None if changed => MadeResult::Done,
                    None => MadeResult::WasSo,
                };
                made(fix.to_string(), result)
            })
            .collect(),
        Err(failure) => vec![made("-".to_owned(), MadeResult::Failed(failure.message))],
    }
}
