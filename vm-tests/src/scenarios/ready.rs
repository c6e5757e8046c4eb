//! Ready for the install: what can be mended by itself is, and is taken back without a trace; a host measures itself and
//! the seat judges its file; the measurements that make load see all hosts.

use std::fs;

use anyhow::{Context as _, Result, bail, ensure};

use super::Test;
use super::hosts::Before;
use crate::lab::Lab;
use crate::test::{Context, Ended};

/// In order.
pub const TESTS: &[Test] = &[
    Test::fresh("ready::a_fix_is_shown_made_and_taken_back", fix_and_back),
    Test::fresh("ready::a_host_measures_itself_for_the_seat", kit),
    Test::fresh("ready::deep_measurements_see_all_hosts", deep),
];

/// Exit codes of wrong use, and of what stands in the way.
const USAGE: i32 = 2;
const CHECKS: i32 = 3;
const CHECK: [&str; 5] = ["check", "--profile", "profiles/demo.yaml", "--bundle", "orders.bundle"];
const FIX: &str = "--fix=network.reverse-path";

fn check(context: &Context<'_>, more: &[&str]) -> Result<Ended> {
    context.installer(&[&CHECK[..], more].concat())
}

fn filter(lab: &Lab, interface: &str) -> Result<String> {
    let place = format!("/proc/sys/net/ipv4/conf/{interface}/rp_filter");
    Ok(lab.run("w1", &["cat", &place])?.trim().to_owned())
}

fn set_filter(lab: &Lab, interface: &str, value: &str) -> Result<()> {
    let place = format!("/proc/sys/net/ipv4/conf/{interface}/rp_filter");
    lab.run("w1", &["sh", "-c", "echo \"$1\" >\"$2\"", "sh", value, &place]).map(drop)
}

fn fix_and_back(context: &Context<'_>) -> Result<()> {
    let lab = context.lab;
    let address = lab.spec().host("w1")?.address.to_string();
    let script = "ip -o -4 address show | awk -v a=\"$1/\" 'index($4, a) == 1 { print $2 }'";
    let interface = lab.run("w1", &["sh", "-c", script, "sh", &address])?.trim().to_owned();
    ensure!(!interface.is_empty(), "no interface of w1 has {address}");
    let before = Before::look(lab, &["w1"])?;
    let was = [filter(lab, "all")?, filter(lab, &interface)?];
    set_filter(lab, "all", "0")?;
    set_filter(lab, &interface, "1")?;
    let result = mend(context, &before);
    set_filter(lab, "all", &was[0])?;
    set_filter(lab, &interface, &was[1])?;
    result
}

fn mend(context: &Context<'_>, before: &Before<'_>) -> Result<()> {
    let lab = context.lab;
    let strict = "network.reverse-path on w1: strict (1)";
    check(context, &[])?.expect_code(0)?.expect_text(&[strict, "installer check --fix"])?;
    let asked = check(context, &[FIX])?;
    asked.expect_code(USAGE)?.expect_text(&[
        "set net.ipv4.conf.all.rp_filter = 2",
        "nobody is here",
        "--yes",
    ])?;
    check(context, &["--fix=kernel.version"])?
        .expect_code(USAGE)?
        .expect_text(&["cannot be mended by itself"])?;
    before.unchanged().context("before anything was agreed to")?;

    let mended = check(context, &[FIX, "--yes"])?;
    mended.expect_code(0)?.expect_text(&["w1: set net.ipv4.conf.all.rp_filter = 2", ": done"])?;
    mended.expect_text(&["network.reverse-path on w1: ok, was warning"])?;
    ensure!(filter(lab, "all")? == "2", "the setting was not set");
    let kept = lab.read_file("w1", "/etc/sysctl.d/95-sealift-fixes.conf")?;
    ensure!(String::from_utf8_lossy(&kept).contains("net.ipv4.conf.all.rp_filter = 2"), "it does not last");
    let again = check(context, &[])?;
    again.expect_code(0)?;
    if again.output.contains("network.reverse-path on w1") {
        bail!("the check still complains:\n{}", again.output);
    }

    let undone = check(context, &["--undo-fixes", "--yes"])?;
    undone.expect_code(0)?.expect_text(&[
        "set net.ipv4.conf.all.rp_filter back to 0",
        "taken back",
        strict,
    ])?;
    ensure!(filter(lab, "all")? == "0", "the setting was not set back");
    before.unchanged().context("after it was taken back")?;
    check(context, &["--undo-fixes", "--yes"])?.expect_text(&["there is no fix to take back"])?;
    Ok(())
}

fn kit(context: &Context<'_>) -> Result<()> {
    let lab = context.lab;
    let before = Before::look(lab, &["w1"])?;
    let program = fs::read(&context.programs.installer).context("cannot read the installer")?;
    lab.write_file("w1", "/tmp/kit/installer", &program)?;
    lab.run("w1", &["chmod", "-R", "a+rwx", "/tmp/kit"])?;
    let result = measured_by_its_owner(context);
    lab.run("w1", &["rm", "--recursive", "/tmp/kit"])?;
    result?;
    before.unchanged()
}

fn measured_by_its_owner(context: &Context<'_>) -> Result<()> {
    let lab = context.lab;
    let said =
        lab.run("w1", &["/tmp/kit/installer", "kit", "--role", "worker", "--out", "/tmp/kit/w1.json"])?;
    ensure!(said.contains("/tmp/kit/w1.json written") && said.contains("0 fail"), "the kit said:\n{said}");
    let user = ["runuser", "-u", "plain", "--", "/tmp/kit/installer", "kit", "--out", "/tmp/kit/plain.json"];
    let said = lab.run("w1", &user)?;
    ensure!(
        said.contains("not started by root") && said.contains("only root can see it"),
        "it said:\n{said}"
    );

    let folder = lab.seat_home().join("facts");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("w1.json"), lab.read_file("w1", "/tmp/kit/w1.json")?)?;
    let judged = check(context, &["--facts", "facts"])?;
    judged.expect_code(0)?.expect_text(&[
        "1 host of 5 from files; none of m1, m2, m3, w2",
        "no host was asked",
        "- not run",
    ])?;

    fs::write(folder.join("plain.json"), lab.read_file("w1", "/tmp/kit/plain.json")?)?;
    let twice = check(context, &["--facts", "facts"])?;
    twice.expect_code(USAGE)?.expect_text(&["facts/plain.json and facts/w1.json are all of w1", "next: "])?;
    fs::write(folder.join("plain.json"), "kind: Site\n")?;
    check(context, &["--facts", "facts"])?.expect_code(USAGE)?.expect_text(&["plain.json: it is no JSON"])?;
    fs::remove_dir_all(&folder)?;
    Ok(())
}

fn deep(context: &Context<'_>) -> Result<()> {
    let before = Before::look(context.lab, &["w1"])?;
    let ended = check(context, &["--deep"])?;
    // The lab's disks are files on one disk, and whether that is fast enough today is not what is tried here.
    if ended.code == Some(CHECKS) {
        ended.expect_text(&["disk.etcd-fsync on m", "p99"])?;
    } else {
        ended.expect_code(0)?;
    }
    ended.expect_text(&["opening the cluster's ports on 5 hosts", "         m1 m2 m3 w1 w2"])?;
    let text = ended.text();
    let matrix: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.contains("m1 m2 m3"))
        .take_while(|line| !line.starts_with(". ok"))
        .collect();
    ensure!(matrix.len() >= 7 && matrix.iter().all(|line| line.chars().count() <= 80), "no matrix:\n{text}");
    let unseen = |check: &str| {
        let named = |line: &&str| line.contains("not run") && line.contains(check);
        text.lines().any(|line| named(&line)) || text.contains(&format!("{check} on "))
    };
    for check in ["network.mesh-tcp", "network.mesh-udp"] {
        ensure!(!unseen(check), "{check} did not see all ways:\n{text}");
    }
    before.unchanged()
}
