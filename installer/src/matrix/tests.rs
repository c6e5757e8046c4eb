use sealift_checks::{Group, Severity};
use serde_json::json;

use super::*;

/// A site of so many hosts with names of this form.
fn site(count: usize, name: impl Fn(usize) -> String) -> Site {
    let host = |i: usize| {
        let role = if i < 3 { "control-plane" } else { "worker" };
        json!({"name": name(i), "address": format!("10.20.{}.{}", i / 200, i % 200 + 1), "role": role})
    };
    serde_json::from_value(json!({
        "apiVersion": "sealift/v1", "kind": "Site", "metadata": {"name": "plant"},
        "access": {"user": "ops", "password": {"env": "OPS_PASSWORD"}},
        "hosts": (0..count).map(host).collect::<Vec<_>>(),
    }))
    .unwrap()
}

fn finding(check: &'static str, group: Group, host: Option<&str>, state: State, measured: &str) -> Finding {
    Finding {
        check,
        title: "A title",
        host: host.map(str::to_owned),
        group,
        state,
        severity: Severity::Block,
        measured: measured.to_owned(),
        threshold: "enough".to_owned(),
        why: "it matters.".to_owned(),
        remedy: "mend it".to_owned(),
        fixes: Vec::new(),
    }
}

/// All groups on all hosts, all well.
fn healthy(site: &Site) -> Vec<Finding> {
    let groups = [Group::Access, Group::Identity, Group::System, Group::Time, Group::Network, Group::Disks];
    let hosts = site.hosts.iter().flat_map(|host| {
        groups.map(|group| finding("some.check", group, Some(&host.name), State::Pass, "fine"))
    });
    hosts.chain([finding("product.secrets", Group::Product, None, State::Pass, "1 of 1 named")]).collect()
}

fn narrow(lines: &[String]) {
    for line in lines {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
}

#[test]
fn five_hosts_stand_under_their_names() {
    let site = site(5, |i| ["m1", "m2", "m3", "w1", "w2"][i].to_owned());
    let mut findings = healthy(&site);
    findings.push(finding("disk.space", Group::Disks, Some("m1"), State::Fail, "2 GB free"));
    findings.push(finding("swap.active", Group::System, Some("w2"), State::Warn, "/dev/sda3"));
    let expected = "         m1 m2 m3 w1 w2
Access    .  .  .  .  .
Identity  .  .  .  .  .
System    .  .  .  .  W
Time      .  .  .  .  .
Network   .  .  .  .  .
Disks     F  .  .  .  .
Product   . for the whole site
. ok  W warning  F fail  A accepted  B blocked  ? broke  - not run";
    assert_eq!(lines(&findings, &site).join("\n"), expected);
}

#[test]
fn twenty_four_hosts_with_long_names_fit_80_columns() {
    let site = site(24, |i| format!("harbin-plant-node-{i:02}"));
    let mut findings = healthy(&site);
    findings.push(finding("a.b", Group::Time, Some("harbin-plant-node-23"), State::Error, "?"));
    let lines = lines(&findings, &site);
    narrow(&lines);
    let head = &lines[0];
    assert!(head.ends_with("22 23 24") && head.chars().count() == 80, "{head}");
    let time = lines.iter().find(|line| line.starts_with("Time")).unwrap();
    assert_eq!((time.chars().count(), time.chars().last()), (80, Some('?')));
    let names = lines.join(" ");
    assert!(names.contains("24 harbin-plant-node-23"), "{names}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("Disks")).count(), 1);
}

#[test]
fn a_hundred_hosts_stand_in_blocks() {
    let site = site(100, |i| format!("node-{i:03}"));
    let lines = lines(&healthy(&site), &site);
    narrow(&lines);
    assert_eq!(lines.iter().filter(|line| line.starts_with("Disks")).count(), 6);
    assert!(lines.iter().any(|line| line.ends_with("  99 100")), "{lines:#?}");
}

#[test]
fn the_gravest_mark_of_a_group_is_shown_and_an_accepted_one_as_such() {
    let mut site = site(1, |_| "m1".to_owned());
    let disks = |state| finding("disk.space", Group::Disks, Some("m1"), state, "x");
    let mark = |findings: &[Finding], site: &Site| {
        let lines = lines(findings, site);
        lines.iter().find(|line| line.starts_with("Disks")).unwrap().chars().last().unwrap()
    };
    let all = [State::NotRun, State::Pass, State::Warn, State::Blocked, State::Error, State::Fail].map(disks);
    let seen: Vec<char> = (1..=all.len()).map(|count| mark(&all[..count], &site)).collect();
    assert_eq!(seen, ['-', '.', 'W', 'B', '?', 'F']);
    site.accepted_risks = serde_json::from_value(json!([
        {"check": "disk.space", "person": "Li", "reason": "test", "until": "2026-12-31"}
    ]))
    .unwrap();
    assert_eq!(mark(&[disks(State::Fail)], &site), 'A');
}

#[test]
fn hosts_that_share_an_exception_share_its_line() {
    let hosts: Vec<String> = (1..=24).map(|i| format!("node-{i}")).collect();
    let mut findings: Vec<Finding> = hosts
        .iter()
        .map(|host| finding("limits.processes", Group::System, Some(host), State::Warn, "32768"))
        .collect();
    let own = |host: &String| {
        finding("disk.headroom", Group::Disks, Some(host), State::Warn, &format!("of {host}"))
    };
    findings.extend(hosts.iter().map(own));
    findings.push(finding(
        "disk.etcd-fsync",
        Group::Disks,
        Some("node-1"),
        State::NotRun,
        "only with --deep",
    ));
    findings.push(finding("some.check", Group::Disks, Some("node-1"), State::Pass, "fine"));
    let lines = exceptions(&findings.iter().collect::<Vec<_>>());
    narrow(&lines);
    let text = lines.join("\n");
    assert_eq!(text.matches("limits.processes").count(), 1, "{text}");
    assert!(text.contains("node-23 and node-24: 32768"), "{text}");
    assert_eq!(text.matches("disk.headroom").count(), 4, "{text}");
    assert!(text.contains("disk.headroom on 21 more hosts") && !text.contains("some.check"), "{text}");
    assert!(text.ends_with("not run disk.etcd-fsync"), "{text}");
    assert!(exceptions(&[]).is_empty());
}

#[test]
fn hosts_that_nobody_looked_at_are_named_once_and_their_checks_are_not() {
    let all = |host, state| {
        ["a.first", "b.second"].map(|check| finding(check, Group::Disks, Some(host), state, "x"))
    };
    let mut findings = [all("w1", State::NotRun), all("w2", State::NotRun), all("m1", State::Pass)].concat();
    findings.push(finding("c.third", Group::Time, Some("m1"), State::NotRun, "only seen by the seat"));
    let lines = exceptions(&findings.iter().collect::<Vec<_>>());
    assert_eq!(lines, ["  not run everything on w1, w2", "  not run c.third"]);
}

#[test]
fn a_reason_is_told_once_for_all_its_hosts() {
    let findings = ["w1", "w2", "w3"].map(|host| {
        let measured = if host == "w3" { "other" } else { "same" };
        finding("disk.noexec", Group::Disks, Some(host), State::Fail, measured)
    });
    let reasons = reasons(&findings.iter().collect::<Vec<_>>());
    assert_eq!(reasons.len(), 2);
    let expected = "disk.noexec on w1 and w2: A title\nmeasured    same\nlimit       enough\nwhy         it matters.\nwhat to do  mend it";
    assert_eq!(reasons[0], expected);
}
