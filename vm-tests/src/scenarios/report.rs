//! What people sign: a report before the install and one after, about real hosts.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::Test;
use crate::test::Context;

/// In order.
pub const TESTS: &[Test] = &[
    Test::fresh("report::proposal_says_what_hosts_are_there", proposal),
    Test::cluster("report::handover_says_what_the_run_has_shown", handover),
];

const REPORT: [&str; 5] = ["report", "--profile", "profiles/demo.yaml", "--bundle", "orders.bundle"];
const FILES: [&str; 4] = ["--json", "report.json", "--html", "report.html"];

/// The report as data; its page must be there, too.
fn made(context: &Context<'_>, more: &[&str]) -> Result<Value> {
    context.installer(&[&REPORT[..], &FILES, more].concat())?.expect_code(0)?;
    let read = |name: &str| fs::read_to_string(context.lab.seat_home().join(name)).context("no report");
    let page = read("report.html")?;
    ensure!(page.starts_with("<!doctype html>") && !page.contains("<script"), "this is no page:\n{page}");
    serde_json::from_str(&read("report.json")?).context("report.json")
}

fn proposal(context: &Context<'_>) -> Result<()> {
    let report = made(context, &[])?;
    ensure!(report["heading"]["stage"] == "proposal" && report["heading"]["looked"] == true, "{report}");
    ensure!(report["decision"]["readiness"] != "unknown", "the hosts were looked at: {}", report["decision"]);
    for host in context.hosts() {
        let lines = report["annex"]["hosts"].as_array().context("no hosts")?;
        let known = lines.iter().any(|line| line["name"] == host && line["size"] != "");
        ensure!(known, "{host} is not in {lines:?}");
    }
    Ok(())
}

/// The newest run that installed something: its report shows the product's own tests as passed.
fn handover(context: &Context<'_>) -> Result<()> {
    let mut runs: Vec<PathBuf> = fs::read_dir(context.lab.seat_home().join("runs"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    runs.sort();
    let done = |run: &&PathBuf| {
        let events = fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
        events.lines().last().is_some_and(|line| line.contains("\"result\":\"done\""))
    };
    let Some(run) = runs.iter().rev().find(done) else { bail!("no run ended well: {runs:?}") };
    let report = made(context, &["--run", &run.display().to_string(), "--language", "zh"])?;
    let readiness = &report["decision"]["readiness"];
    ensure!(report["heading"]["stage"] == "handover" && readiness == "installed", "{}", report["decision"]);
    let first = &report["acceptance"][0];
    ensure!(first["result"]["kind"] == "passed", "{first}");
    Ok(())
}
