//! A beginning for tests, hosts that answer, what checks and plans may say, and runs as they may be seen.

use std::path::PathBuf;

use jiff::civil::date;
use sealift_checks::{Finding, Fix, Group, Severity, State};
use sealift_events::picture::{
    FailedStep, HostPicture, LogLine, RunOutcome, RunPicture, RunSummary, Standing, StepPicture, TestOutcome,
};
use sealift_events::{FailureReport, RunResult};
use sealift_profile::Site;

use crate::{KnownBy, Language, NewKey, Planned, PlannedHost, Reached, ShownKey, Start, Trouble, Whose};

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
        runs: PathBuf::from("runs"),
    }
}

fn step(title: &str) -> StepPicture {
    StepPicture { step: title.replace(' ', "-"), title: title.to_owned(), ..StepPicture::default() }
}

fn host(name: &str, role: &str, done: u32, running: Vec<StepPicture>) -> HostPicture {
    HostPicture {
        name: name.to_owned(),
        role: role.to_owned(),
        steps: 24,
        done,
        changed: done,
        running,
        last: (done > 0).then(|| "Settings of the kernel".to_owned()),
        silent_millis: Some(3000),
        ..HostPicture::default()
    }
}

/// A run of a site on three hosts, in its midst.
#[must_use]
pub fn going_on(site: &str, run: &str) -> RunPicture {
    let images = StepPicture {
        done: 412_000_000,
        total: 1_300_000_000,
        bytes_per_second: Some(81_000_000),
        left_millis: Some(11_000),
        ..step("Images into the store")
    };
    let join = StepPicture { message: "waits for the endpoint".to_owned(), ..step("Joins the cluster") };
    let line = |at_millis, host: Option<&str>, text: &str| LogLine {
        at_millis,
        host: host.map(str::to_owned),
        text: text.to_owned(),
        trouble: false,
    };
    RunPicture {
        run: run.to_owned(),
        site: site.to_owned(),
        product: "Orders 4.2.0".to_owned(),
        steps: 72,
        done: 38,
        goes_on: true,
        elapsed_millis: 401_000,
        hosts: vec![
            host("m1", "control-plane", 24, Vec::new()),
            host("w1", "worker", 9, vec![join]),
            host("w2", "worker", 5, vec![images]),
        ],
        log: vec![
            line(398_000, Some("m1"), "Starts the cluster: the API is up"),
            line(399_000, None, "the gate of the workers is open"),
            line(401_000, Some("w1"), "Settings of the kernel: 14 settings"),
        ],
        ..RunPicture::default()
    }
}

/// The same run with a step that has been silent for long.
#[must_use]
pub fn stuck(site: &str, run: &str) -> RunPicture {
    let mut picture = going_on(site, run);
    picture.hosts[1].silent_millis = Some(95_000);
    picture.hosts[1].running[0].silent_millis = 95_000;
    picture.hosts[1].running[0].limit_millis = Some(120_000);
    picture
}

/// The same run, cut off.
#[must_use]
pub fn cut_off(site: &str, run: &str) -> RunPicture {
    let mut picture = RunPicture { goes_on: false, ..going_on(site, run) };
    for host in &mut picture.hosts {
        host.silent_millis = None;
    }
    picture
}

/// The same run after a failure.
#[must_use]
pub fn failed(site: &str, run: &str) -> RunPicture {
    let mut picture = RunPicture { result: Some(RunResult::Failed), ..cut_off(site, run) };
    picture.hosts[1].running.clear();
    picture.hosts[1].failed = 1;
    picture.hosts[2].running.clear();
    picture.log.push(LogLine {
        at_millis: 401_000,
        host: Some("w1".to_owned()),
        text: "Joins the cluster: failed: the kubelet on w1 does not answer".to_owned(),
        trouble: true,
    });
    picture.failures = vec![FailedStep {
        step: "w1/join".to_owned(),
        host: "w1".to_owned(),
        title: "Joins the cluster".to_owned(),
        failure: FailureReport {
            kind: "run".to_owned(),
            message: "the kubelet on w1 does not answer".to_owned(),
            causes: vec!["port 10250 is closed".to_owned()],
            hint: Some("let port 10250 through on w1".to_owned()),
            log: vec!["kubelet: listen tcp :10250: bind: in use".to_owned()],
        },
    }];
    picture
}

/// The same run after it has ended well.
#[must_use]
pub fn done(site: &str, run: &str) -> RunPicture {
    let mut picture = cut_off(site, run);
    picture.result = Some(RunResult::Done);
    picture.done = picture.steps;
    for host in &mut picture.hosts {
        host.done = host.steps;
        host.running.clear();
    }
    let test = |title: &str, detail: &str| TestOutcome {
        title: title.to_owned(),
        passed: true,
        detail: detail.to_owned(),
    };
    picture.outcome = Some(RunOutcome {
        nodes: 3,
        ready: 3,
        voters: 1,
        pods: 21,
        tests: vec![
            test("A pod reaches a pod of another host", "3 of 3 ways"),
            test("The product answers", "200 after 41 ms"),
        ],
    });
    picture
}

/// A run as the first page lists it.
#[must_use]
pub fn summary(run: &str, standing: Standing) -> RunSummary {
    RunSummary {
        run: run.to_owned(),
        site: "harbin-plant".to_owned(),
        product: "Orders 4.2.0".to_owned(),
        standing,
        done: 38,
        steps: 72,
    }
}

/// The key that a host of this name shows.
#[must_use]
pub fn key_of(host: &str) -> ShownKey {
    let letters = host.chars().filter(char::is_ascii_alphanumeric).chain(['x']);
    let code: String = letters.collect::<Vec<_>>().into_iter().cycle().take(43).collect();
    ShownKey { algorithm: "ssh-ed25519".to_owned(), fingerprint: format!("SHA256:{code}") }
}

/// What trying a host of a site comes to: `w1` refuses the password, the others let in whoever knows their key.
#[must_use]
pub fn reached(host: &str, site: &Site) -> Reached {
    let key = key_of(host);
    let pinned = site.host(host).and_then(|host| host.host_key.clone());
    let known_by = match pinned {
        Some(pinned) if pinned != key.fingerprint => {
            let message = format!(
                "{host} shows another host key than the trusted one: expected {pinned}, got ssh-ed25519 {}",
                key.fingerprint
            );
            let remedies = vec![format!("someone may be between you and {host}, or it was installed anew")];
            let trouble = Trouble { message, causes: Vec::new(), remedies };
            return Reached::Failed { key: Some(key), trouble };
        }
        Some(_) => KnownBy::Profile,
        None if site.access.known_hosts.is_some() => KnownBy::KnownHosts,
        None => return Reached::NewKey(NewKey { whose: Whose::Host(host.to_owned()), key }),
    };
    if host == "w1" {
        return Reached::Failed { key: Some(key), trouble: refused(host) };
    }
    Reached::In { key, known_by, root: false, cpus: Some(8), memory_bytes: Some(33_000_000_000) }
}

fn refused(host: &str) -> Trouble {
    Trouble {
        message: format!("{host} (10.20.0.21) refused the password of user ops"),
        causes: Vec::new(),
        remedies: vec![format!(
            "check the password of ops, and ask the owner of {host} whether password login is allowed"
        )],
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
