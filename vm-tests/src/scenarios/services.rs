//! A site that runs its own PostgreSQL, and services for logs and measurements: every host tries them before an install,
//! what is wrong has its finding, and the product uses them.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::choices::cluster_and_product_stand;
use super::{Test, hosts};
use crate::lab::Role;
use crate::receiver::SiteReceiver;
use crate::test::Context;
use crate::wait::until_true;

/// Far longer than the product waits before it sends.
const WITHIN: Duration = Duration::from_mins(2);

/// Before an install: hosts are looked at, and nothing else.
pub const BEFORE: &[Test] = &[
    Test::fresh("services::checked_from_every_host", checked_from_every_host),
    Test::fresh("services::each_fault_has_its_finding", each_fault_has_its_finding),
];

/// On a cluster that was installed by [`profiles`].
pub const INSTALLED: &[Test] = &[
    Test::cluster("services::cluster_and_product_stand", cluster_and_product_stand),
    Test::cluster("services::orders_stand_in_the_sites_database", orders_stand_in_the_sites_database),
    Test::cluster("services::logs_and_measurements_reach_the_site", logs_and_measurements_reach_the_site),
];

/// The shipped profile with a database of the site's own, and what it leaves open.
pub fn profiles(context: &Context<'_>) -> Result<Vec<String>> {
    Ok(vec!["profiles/external-services.yaml".to_owned(), profile(context)?])
}

/// The overlay that names the site's services, for `--profile` behind another one.
pub fn profile(context: &Context<'_>) -> Result<String> {
    context.receiver()?;
    let services = context.database()?.profile()? + &SiteReceiver::profile();
    context.overlay("site-services", &services)
}

fn check(context: &Context<'_>, more: &[&str]) -> Result<crate::test::Ended> {
    let overlay = profile(context)?;
    let words = [
        "check",
        "--output=json",
        "--bundle",
        "orders.bundle",
        "--profile",
        hosts::DEMO,
        "--profile",
        &overlay,
    ];
    context.installer(&[&words[..], more].concat())
}

/// Hosts and states of one check, as the findings have them.
fn states(ended: &crate::test::Ended, check: &str) -> Result<Vec<(String, String)>> {
    let said = ended.topic("check").context("there are no findings")?;
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let findings = said["data"].as_array().context("the findings are no list")?;
    let of = findings.iter().filter(|finding| finding["check"] == check);
    Ok(of.map(|finding| (text(finding, "host"), text(finding, "state"))).collect())
}

/// Every host of the demo comes to one of these states, parted by `|`.
fn everywhere(context: &Context<'_>, ended: &crate::test::Ended, check: &str, state: &str) -> Result<()> {
    let found = states(ended, check)?;
    for host in context.hosts() {
        ensure!(
            found.iter().any(|(name, came)| name == host && state.split('|').any(|state| came == state)),
            "{check} on {host} is not {state}: {found:?}"
        );
    }
    Ok(())
}

fn checked_from_every_host(context: &Context<'_>) -> Result<()> {
    let ended = check(context, &[])?;
    ended.expect_code(0)?;
    for stage in ["reachable", "tls", "login", "version"] {
        // A busy machine may be slow, which is a warning.
        let state = if stage == "reachable" { "pass|warn" } else { "pass" };
        everywhere(context, &ended, &format!("service.database.{stage}"), state)?;
    }
    for service in ["logs", "metrics"] {
        for (stage, state) in [("reachable", "pass"), ("tls", "warn"), ("login", "pass"), ("version", "pass")]
        {
            everywhere(context, &ended, &format!("service.{service}.{stage}"), state)?;
        }
    }
    // The shipped profile names the same server, and takes it by whatever certificate.
    let words = ["check", "--bundle", "orders.bundle", "--profile", "profiles/external-services.yaml"];
    context.installer(&words)?.expect_code(0)?;
    Ok(())
}

fn each_fault_has_its_finding(context: &Context<'_>) -> Result<()> {
    const REFUSED: i32 = 3;
    let database = context.database()?;
    fs::write(context.lab.seat_home().join(".sealift/wrong-password"), "a-wrong-password-of-the-site\n")?;
    let wrong = context.overlay(
        "wrong-password",
        "services:\n  database:\n    password: {file: ~/.sealift/wrong-password}\n",
    )?;
    let ended = check(context, &["--profile", &wrong])?;
    ended.expect_code(REFUSED)?.expect_text(&["28P01"])?;
    everywhere(context, &ended, "service.database.login", "fail")?;
    everywhere(context, &ended, "service.database.version", "not-run")?;
    ensure!(!ended.text().contains("a-wrong-password-of-the-site"), "the password was shown");

    let (off, on) = (|| database.set("ssl", "off"), || database.set("ssl", "on"));
    off()?;
    let ended = check(context, &[]);
    on()?;
    let ended = ended?;
    ended.expect_code(REFUSED)?;
    everywhere(context, &ended, "service.database.tls", "fail")?;

    database.stop()?;
    let ended = check(context, &[]);
    database.start_again()?;
    let ended = ended?;
    ended.expect_code(REFUSED)?;
    everywhere(context, &ended, "service.database.reachable", "fail")?;
    everywhere(context, &ended, "service.database.login", "not-run")?;
    check(context, &[])?.expect_code(0)?;
    Ok(())
}

fn orders_stand_in_the_sites_database(context: &Context<'_>) -> Result<()> {
    const CUSTOMER: &str = "the site's own database";
    let database = context.database()?;
    let cluster = context.cluster();
    let sets = cluster.get(&["statefulsets", "-n", "orders"])?;
    ensure!(sets["items"].as_array().is_some_and(Vec::is_empty), "the product brought a database: {sets}");
    let volumes = cluster.get(&["persistentvolumes"])?;
    ensure!(volumes["items"].as_array().is_some_and(Vec::is_empty), "there are volumes for it: {volumes}");

    let worker = context.lab.hosts().find(|host| host.role == Role::Worker).context("no worker")?;
    let url = format!("http://{}:30080/api/orders", worker.address);
    let draft = serde_json::json!({"customer": CUSTOMER, "item": "bolt", "quantity": 3}).to_string();
    let words = ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "15"];
    let more = ["--header", "Content-Type: application/json", "--data-binary", &draft, &url];
    let said = crate::lab::run(&mut context.lab.seat_command(&[&words[..], &more].concat()))?;
    let created: Value = serde_json::from_str(&said).context("the product's answer is no JSON")?;
    let id = created["id"].as_i64().context("the order has no number")?;
    let row = database.query(&format!("SELECT customer, item, quantity FROM orders WHERE id = {id}"))?;
    if row.trim() != format!("{CUSTOMER}|bolt|3") {
        bail!("order {id} stands there as {row:?}");
    }
    let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'orders'";
    ensure!(database.query(encrypted)?.trim() == "t", "the product's connections are not encrypted");
    database.query(&format!("DELETE FROM orders WHERE id = {id}"))?;
    Ok(())
}

fn logs_and_measurements_reach_the_site(context: &Context<'_>) -> Result<()> {
    let receiver = context.receiver()?;
    let worker = context.lab.hosts().find(|host| host.role == Role::Worker).context("no worker")?;
    let url = format!("http://{}:30080/api/orders?search=logs-of-the-site", worker.address);
    crate::lab::run(&mut context.lab.seat_command(&[
        "curl",
        "--silent",
        "--fail",
        "--max-time",
        "15",
        &url,
    ]))?;
    until_true("logs and measurements at the site's receiver", WITHIN, || {
        let [logs, metrics] = receiver.received()?;
        let has = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        Ok(has(&logs, "/api/orders") && has(&metrics, "orders_http_answers_total"))
    })
}
