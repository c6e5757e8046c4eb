//! A beginning for tests, and what checks and plans may say.

use std::path::PathBuf;

use jiff::civil::date;
use sealift_checks::{Finding, Fix, Group, Severity, State};

use crate::{Language, Planned, PlannedHost, Start};

/// In English, with one check that can be accepted, a bundle, and files that need not be there.
#[must_use]
pub fn start() -> Start {
    Start {
        language: Language::English,
        today: date(2026, 11, 22),
        checks: vec!["disk.space"],
        file: PathBuf::from("site.yaml"),
        bundle: Some(PathBuf::from("orders.bundle")),
        trust: Vec::new(),
    }
}

/// A finding in words that say little.
#[must_use]
pub fn finding(check: &'static str, group: Group, host: Option<&str>, state: State) -> Finding {
    Finding {
        check,
        title: "Free space where the cluster keeps its data",
        host: host.map(str::to_owned),
        group,
        state,
        severity: Severity::Block,
        measured: "12 GB free below /var/lib/sealift, on /dev/sda2".to_owned(),
        threshold: "at least 40 GB".to_owned(),
        why: "images and data fill the disk, and then the host stops working.".to_owned(),
        remedy: "free some space, or mount a larger disk there; then check again.".to_owned(),
        fixes: Vec::new(),
    }
}

/// What checks may find on these hosts: all is well, but for what the first and the last of them have.
#[must_use]
pub fn findings(hosts: &[&str]) -> Vec<Finding> {
    let groups = [Group::Access, Group::Identity, Group::System, Group::Time, Group::Network, Group::Disks];
    let well = |(index, group): (usize, Group)| {
        let checks =
            ["user.access", "host.identity", "system.kernel", "clock.skew", "ports.free", "disk.mounts"];
        hosts.iter().map(move |host| finding(checks[index], group, Some(host), State::Pass))
    };
    let mut all: Vec<Finding> = groups.into_iter().enumerate().flat_map(well).collect();
    all.push(finding("product.secrets", Group::Product, None, State::Pass));
    if let (Some(first), Some(last)) = (hosts.first(), hosts.last()) {
        all.push(finding("disk.space", Group::Disks, Some(first), State::Fail));
        let swap = finding("swap.active", Group::System, Some(last), State::Warn);
        all.push(Finding { severity: Severity::Advice, fixes: vec![Fix::SwapOff], ..swap });
        all.push(finding("disk.etcd-fsync", Group::Disks, Some(first), State::NotRun));
    }
    all
}

/// What an install may change on these hosts.
#[must_use]
pub fn planned(hosts: &[&str]) -> Planned {
    let host = |(index, host): (usize, &&str)| PlannedHost {
        host: (*host).to_owned(),
        steps: 31 - index,
        files: 12,
        services: 4,
        stops: if index == 0 { vec!["swap /dev/sda3".to_owned()] } else { Vec::new() },
        lines: (1..=30)
            .flat_map(|number| {
                [format!("    new    0644 /etc/{host}/{number}.conf"), "+one line of it".to_owned()]
            })
            .collect(),
    };
    let hosts: Vec<PlannedHost> = hosts.iter().enumerate().map(host).collect();
    Planned { steps: hosts.iter().map(|host| host.steps).sum(), hosts }
}
