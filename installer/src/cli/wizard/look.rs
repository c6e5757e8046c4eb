//! A look at the hosts from inside the wizard: what the checks find, what an install would change.

use std::path::Path;

use sealift_checks::Finding;
use sealift_plan::changes::{changes, found};
use sealift_plan::saved;

use crate::cli::plan_view;
use crate::cli::prepare::{Arguments, Prepared};
use crate::failure::Failure;
use crate::output::{Output, counted};
use crate::tui::Ask;
use crate::written::write;

/// What all checks find.
pub(super) fn check(arguments: &Arguments, output: Output, ask: Ask<'_>) -> Result<Vec<Finding>, Failure> {
    let prepared = Prepared::new_asking(arguments, output, ask)?;
    let findings = prepared.findings();
    prepared.sessions.close();
    Ok(findings)
}

/// What an install would change, a line each. The plan is kept in a file, for the install that does it.
pub(super) fn plan(
    arguments: &Arguments,
    keep: &Path,
    output: Output,
    ask: Ask<'_>,
) -> Result<Vec<String>, Failure> {
    let prepared = Prepared::new_asking(arguments, output, ask)?;
    let lines = lines(&prepared, keep);
    prepared.sessions.close();
    lines
}

fn lines(prepared: &Prepared, keep: &Path) -> Result<Vec<String>, Failure> {
    let plan = prepared.plan()?;
    write(keep, &saved::to_json(&plan))?;
    let mut changes = changes(&plan);
    let places = changes.iter().map(|host| (host.host.clone(), found::comparable(host))).collect();
    found::compare(&mut changes, &prepared.sessions.read_files(&places)?);
    let steps = counted(plan.steps.len(), "step");
    let first = format!("{steps} on {}", counted(plan.hosts.len(), "host"));
    Ok(std::iter::once(first).chain(plan_view::summary(&changes)).collect())
}
