//! The rules that hold for all checks.

#![allow(clippy::unwrap_used)] // a test may fall over, and so may what tests share

mod world;

use std::collections::BTreeSet;

use sealift_checks::{Requirements, Severity, State, Summary, blocking, catalogue, check};
use sealift_profile::{AcceptedRisk, Environment};
use world::{GB, World};

fn accept(check: &str, host: Option<&str>) -> AcceptedRisk {
    AcceptedRisk {
        check: check.to_owned(),
        host: host.map(str::to_owned),
        person: "Li".into(),
        reason: "test site".into(),
        until: "2026-12-31".into(),
    }
}

#[test]
fn where_all_is_well_every_check_passes_on_every_host() {
    let world = World::healthy();
    let findings = world.findings();
    for finding in &findings {
        assert_eq!(finding.state, State::Pass, "{finding}");
    }
    assert!(blocking(&findings, &world.site).is_empty());
    for check in catalogue() {
        let hosts: Vec<_> =
            findings.iter().filter(|finding| finding.check == check.id).map(|f| &f.host).collect();
        let of_masters = check.id.starts_with("disk.etcd") || check.id == "network.latency";
        let known = hosts.len() == 5 || hosts == [&None] || (hosts.len() == 3 && of_masters);
        assert!(known, "{}: {hosts:?}", check.id);
    }
}

#[test]
fn a_second_install_is_not_in_its_own_way() {
    let world = World::healthy().installed();
    for finding in world.findings() {
        assert_eq!(finding.state, State::Pass, "{finding}");
    }
}

#[test]
fn another_sites_cluster_is() {
    let mut world = World::healthy().installed();
    world.every_host(|facts| facts.claim.as_mut().unwrap().site = "old-plant".into());
    let findings = world.findings();
    let in_the_way: BTreeSet<&str> =
        blocking(&findings, &world.site).iter().map(|finding| finding.check).collect();
    let expected =
        ["host.claimed", "leftovers", "leftovers.interfaces", "network.cidr-overlap", "ports.free"];
    assert_eq!(in_the_way, expected.into_iter().collect());
}

#[test]
fn a_port_of_ours_held_by_a_stranger_is_still_taken() {
    let mut world = World::healthy().installed();
    world.host("m1").listeners.push(world::tcp(10257, "minecraft", ""));
    let findings = world.findings();
    let blocked = blocking(&findings, &world.site);
    assert_eq!(
        blocked.iter().map(|finding| (finding.check, finding.host.as_deref())).collect::<Vec<_>>(),
        [("ports.free", Some("m1"))]
    );
    assert!(blocked[0].measured.contains("minecraft"), "{}", blocked[0]);
}

#[test]
fn what_cannot_be_read_is_an_error_and_never_a_pass() {
    // Each fact that any check needs, made unreadable: every check that needs it says so, no other does.
    let facts = serde_json::to_value(&World::healthy().facts["m1"]).unwrap();
    let outline = facts.as_object().unwrap().keys();
    let names = outline.chain(facts["details"].as_object().unwrap().keys());
    let mut seen = BTreeSet::new();
    for fact in names.filter(|fact| !["unreadable", "details"].contains(&fact.as_str())) {
        let mut world = World::healthy();
        world.host("m1").unreadable = vec![format!("{fact}: permission denied")];
        let findings = world.findings();
        for finding in findings.iter().filter(|finding| finding.state != State::Pass) {
            assert_eq!((finding.state, finding.host.as_deref()), (State::Error, Some("m1")), "{finding}");
            assert!(finding.measured.contains("permission denied"), "{finding}");
            seen.insert(finding.check);
        }
        let errors = findings.iter().filter(|finding| finding.state == State::Error);
        let grave = errors.filter(|finding| finding.severity != Severity::Advice).count();
        assert_eq!(blocking(&findings, &world.site).len(), grave, "errors block, but for those of advice");
    }
    let on_hosts = catalogue().iter().filter(|check| {
        let findings = World::healthy().findings();
        findings.iter().any(|finding| finding.check == check.id && finding.host.is_some())
    });
    let expected: BTreeSet<&str> =
        on_hosts.map(|check| check.id).filter(|id| !["facts.readable", "facts.age"].contains(id)).collect();
    assert_eq!(seen, expected, "every check on hosts names the facts that it needs");
}

#[test]
fn a_host_that_gives_the_outline_only_is_not_taken_for_good() {
    let mut world = World::healthy();
    world.host("w1").details = None;
    let findings = world.findings();
    let errors: Vec<_> = findings.iter().filter(|finding| finding.state == State::Error).collect();
    assert!(errors.len() >= 30, "{}", errors.len());
    assert!(errors.iter().all(|finding| finding.host.as_deref() == Some("w1")));
    assert!(errors.iter().any(|finding| finding.check == "access.root"));
}

#[test]
fn what_a_host_says_is_shown_without_control_characters_and_cut_short() {
    let mut world = World::healthy();
    world.host("w1").hostname = format!("\u{1b}[31mred\n{}", "x".repeat(5000));
    for finding in world.findings() {
        let text = format!("{}{}{}", finding.measured, finding.threshold, finding.remedy);
        assert!(!text.contains(char::is_control), "{text}");
        assert!(finding.measured.chars().count() < 1300, "{}", finding.check);
    }
}

#[test]
fn a_clock_is_judged_by_what_is_surely_wrong() {
    let mut world = World::healthy();
    world.host("w1").clock.skew_millis += 2_400;
    let found = |world: &World| {
        let findings = world.findings();
        let one = findings.iter().find(|f| f.check == "clock.skew" && f.host.as_deref() == Some("w1"));
        (one.unwrap().state, one.unwrap().severity)
    };
    assert_eq!(found(&world), (State::Fail, Severity::Block));
    // Read over a line of two seconds there and back, it may be off by one second.
    world.host("w1").clock.round_trip_millis = 2_000;
    assert_eq!(found(&world), (State::Warn, Severity::Block));
    world.host("w1").clock.skew_millis += 60_000;
    assert_eq!(found(&world), (State::Fail, Severity::Stop));
    world.site.accepted_risks = vec![accept("clock.skew", None)];
    assert_eq!(blocking(&world.findings(), &world.site).len(), 1, "beyond acceptance");
}

#[test]
fn a_load_making_measurement_that_nobody_asked_for_blocks_nothing() {
    let mut world = World::healthy();
    world.every_host(|facts| (facts.etcd_writes, facts.attempts) = (None, None));
    let findings = world.findings();
    let waiting = findings.iter().filter(|finding| finding.state == State::NotRun);
    let waiting: BTreeSet<&str> = waiting.map(|finding| finding.check).collect();
    let deep = catalogue().iter().filter(|check| check.deep).map(|check| check.id);
    assert_eq!(waiting, deep.collect());
    assert!(blocking(&findings, &world.site).is_empty());
}

#[test]
fn whatever_could_not_be_read_is_an_error_somewhere() {
    // As the agent words them.
    let cases: [(&str, &[&str]); 8] = [
        ("machine_id: no such file", &["identity.machine-id"]),
        ("/proc/meminfo: MemTotal", &["memory.size", "memory.available", "memory.huge-pages"]),
        (
            "/proc/net/tcp: Permission denied (os error 13)",
            &["ports.free", "ports.of-services", "dns.silent-resolver"],
        ),
        (
            "the program ip is not on this host",
            &[
                "identity.address",
                "identity.mac",
                "leftovers.interfaces",
                "network.address",
                "network.broken-packets",
                "network.cidr-overlap",
                "network.default-route",
                "network.duplex",
                "network.mtu",
                "network.reverse-path",
                "network.speed",
            ],
        ),
        (
            "`ip -4 -j route show table main` ended with status 1",
            &["network.cidr-overlap", "network.default-route"],
        ),
        (
            "/var/lib/sealift/host.json cannot be understood",
            &[
                "disk.headroom",
                "disk.space",
                "host.claimed",
                "leftovers",
                "leftovers.interfaces",
                "memory.available",
                "ports.free",
                "ports.of-services",
            ],
        ),
        ("`systemctl list-unit-files --type=service --plain` took longer than 20 s; killed", &["leftovers"]),
        ("something new: broken", &["facts.readable"]),
    ];
    for (entry, expected) in cases {
        let mut world = World::healthy();
        world.host("m1").unreadable = vec![entry.to_owned()];
        let findings = world.findings();
        let errors: BTreeSet<&str> = findings
            .iter()
            .filter(|finding| finding.state == State::Error)
            .map(|finding| finding.check)
            .collect();
        let mut missing = expected.iter().filter(|id| !errors.contains(**id));
        assert_eq!(missing.next(), None, "{entry}: {errors:?}");
        assert!(errors.len() <= expected.len() + 2, "{entry}: {errors:?}");
    }
}

#[test]
fn a_host_without_ipv6_need_not_answer_about_it() {
    let mut world = World::healthy();
    world.every_host(|facts| {
        facts.unreadable = vec!["`ip -6 -j route show table main` ended with status 2".into()];
    });
    assert!(world.findings().iter().all(|finding| finding.state == State::Pass));
}

#[test]
fn a_host_that_was_not_measured_blocks() {
    let mut world = World::healthy();
    world.facts.remove("w2");
    let findings = world.findings();
    let of_w2: Vec<_> = findings.iter().filter(|finding| finding.host.as_deref() == Some("w2")).collect();
    assert!(of_w2.len() > 15);
    assert!(of_w2.iter().all(|finding| finding.state == State::Blocked));
    assert_eq!(blocking(&findings, &world.site).len(), of_w2.len());
    assert!(
        findings.iter().all(|finding| finding.host.as_deref() == Some("w2") || finding.state == State::Pass)
    );
}

#[test]
fn an_accepted_risk_blocks_no_more_but_only_there() {
    let mut world = World::healthy();
    for host in ["m1", "m2"] {
        world.host(host).cpus = 1;
    }
    world.host("m1").listeners.push(world::tcp(6443, "nginx", ""));
    let blocked = |world: &World| {
        let findings = world.findings();
        let blocked = blocking(&findings, &world.site).into_iter();
        blocked
            .map(|finding| format!("{} {}", finding.check, finding.host.as_deref().unwrap_or("-")))
            .collect::<Vec<_>>()
    };
    assert_eq!(blocked(&world), ["cpu.count m1", "cpu.count m2", "ports.free m1"]);
    world.site.accepted_risks = vec![accept("cpu.count", Some("m1"))];
    assert_eq!(blocked(&world), ["cpu.count m2", "ports.free m1"]);
    world.site.accepted_risks = vec![accept("cpu.count", None)];
    assert_eq!(blocked(&world), ["ports.free m1"]);
    world.site.accepted_risks = vec![accept("ports.free", None), accept("cpu.count", None)];
    assert_eq!(
        blocked(&world),
        ["ports.free m1", "risks.known -"],
        "what nothing works without cannot be accepted"
    );
}

#[test]
fn an_error_cannot_be_accepted() {
    let mut world = World::healthy();
    world.host("m1").unreadable = vec!["cpus: permission denied".into()];
    world.site.accepted_risks = vec![accept("cpu.count", None)];
    assert_eq!(blocking(&world.findings(), &world.site).len(), 1);
}

#[test]
fn of_two_clocks_each_is_held_against_the_other() {
    let mut world = World::healthy();
    world.site.hosts.retain(|host| host.name == "m1" || host.name == "w1");
    world.host("w1").clock.skew_millis += 3_600_000;
    let findings = world.findings();
    let words: Vec<_> = findings
        .iter()
        .filter(|finding| finding.check == "clock.skew")
        .map(|f| f.measured.as_str())
        .collect();
    assert_eq!(words, ["60 min behind the other host", "60 min ahead of the other host"]);
    world.site.hosts.retain(|host| host.name == "w1");
    let findings = world.findings();
    let only = findings.iter().find(|finding| finding.check == "clock.skew").unwrap();
    assert_eq!(only.state, State::Warn, "{only}");
}

#[test]
fn disk_needs_follow_from_the_bundle() {
    let world = World::healthy();
    let need = Requirements::new(&world.site, Some(&world.document));
    let bytes = |role: &sealift_checks::RoleNeeds, path: &str| {
        role.disks.iter().find(|need| need.path == path).map(|need| need.bytes)
    };
    // All blobs of the bundle (308 MB) and the installer's own 200 MB.
    assert_eq!(bytes(&need.masters, "/var/lib/sealift"), Some(508_000_000));
    // Only the packed kubelet.
    assert_eq!(bytes(&need.workers, "/var/lib/sealift"), Some(220_000_000));
    // Blob 2 is in all images and counts once: 30 + 50 + 40 MB, four times, and 1 GB.
    assert_eq!(bytes(&need.masters, "/var/lib/containerd"), Some(1_480_000_000));
    assert_eq!(bytes(&need.workers, "/var/lib/containerd"), Some(1_960_000_000));
    assert_eq!(bytes(&need.masters, "/usr/local/bin"), Some(115_000_000));
    assert_eq!(bytes(&need.workers, "/var/lib/etcd"), None);
    assert_eq!(bytes(&need.masters, "/var/lib/etcd"), Some(3 * GB));
    // Nobody said what is needed: nothing beyond the install is asked for.
    assert!(need.masters.disks.iter().all(|disk| disk.advised == disk.bytes));
    let mut alone = world.clone();
    alone.site.hosts.truncate(3);
    let need = Requirements::new(&alone.site, Some(&alone.document));
    // Masters without workers do their work: the database's image, too, 150 MB four times.
    assert_eq!(bytes(&need.masters, "/var/lib/containerd"), Some(2_080_000_000));
    // The same programs for another platform are on other hosts.
    let mut two = world.clone();
    let mut others = two.document.files.clone();
    for (one, other) in two.document.files.iter_mut().zip(&mut others) {
        one.platform = Some("linux/amd64".into());
        other.platform = Some("linux/arm64".into());
        other.plain_size += 1;
    }
    let count = others.len() as u64;
    two.document.files.extend(others);
    let need = Requirements::new(&two.site, Some(&two.document));
    assert_eq!(bytes(&need.masters, "/usr/local/bin"), Some(115_000_000 + count));
    assert_eq!(bytes(&need.workers, "/var/lib/sealift"), Some(220_000_000));
}

#[test]
fn one_device_at_two_places_is_one_disk() {
    let mut world = World::healthy();
    // 3.2 GB: enough for /var/lib/etcd alone, not for it and what the root file system takes.
    for disk in &mut world.host("m1").disks {
        disk.device = "/dev/sda2".into();
        disk.available_bytes = 3_200_000_000;
    }
    let findings = world.findings();
    let found = findings.iter().find(|f| f.check == "disk.space" && f.host.as_deref() == Some("m1")).unwrap();
    assert_eq!(found.state, State::Fail, "{found}");
}

#[test]
fn summaries_count_and_read_well() {
    let mut world = World::healthy();
    let all = Summary::of(&world.findings());
    assert_eq!((all.pass, all.hosts), (all.findings, 5));
    world.host("m1").cpus = 1;
    world.host("m1").cgroup = sealift_checks::facts::CgroupVersion::V1;
    world.host("w1").unreadable = vec!["swap: nonsense".into()];
    let summary = Summary::of(&world.findings());
    assert_eq!((summary.fail, summary.warn, summary.error), (1, 1, 1));
    assert_eq!(
        summary.to_string(),
        format!("{} checks on 5 hosts: 1 fail, 1 broke, 1 warning", all.findings)
    );
}

#[test]
fn ids_are_unique_and_well_formed() {
    let ids: BTreeSet<&str> = catalogue().iter().map(|check| check.id).collect();
    assert_eq!(ids.len(), catalogue().len());
    for one in catalogue() {
        assert!(
            one.id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-'),
            "{}",
            one.id
        );
        assert!(!one.title.is_empty() && one.why.ends_with('.'), "{}", one.id);
        assert_eq!(check(one.id).map(|check| check.title), Some(one.title));
    }
    assert!(check("disk").is_none());
}

#[test]
fn findings_are_plain_json() {
    let mut world = World::healthy();
    world.host("m1").cpus = 1;
    let findings = world.findings();
    let found = findings.iter().find(|finding| finding.state == State::Fail).unwrap();
    let json = serde_json::to_value(found).unwrap();
    assert_eq!(
        (&json["check"], &json["host"], &json["state"]),
        (&"cpu.count".into(), &"m1".into(), &"fail".into())
    );
}

#[test]
fn production_asks_for_spare_machines_or_for_somebody_who_accepts() {
    let mut world = World::healthy();
    world.site.environment = Some(Environment::Production);
    world.site.hosts.retain(|host| !["m2", "m3", "w2"].contains(&host.name.as_str()));
    let findings = world.findings();
    let blocked: Vec<&str> = blocking(&findings, &world.site).iter().map(|finding| finding.check).collect();
    assert_eq!(blocked, ["site.masters", "site.workers"]);
    assert!(findings.iter().any(|finding| finding.remedy.contains("acceptedRisks")));

    world.site.accepted_risks = vec![accept("site.masters", None), accept("site.workers", None)];
    let findings = world.findings();
    assert!(blocking(&findings, &world.site).is_empty());
    assert!(findings.iter().all(|finding| finding.check != "risks.known" || finding.state == State::Pass));

    // Elsewhere it only warns: nobody need accept it.
    world.site.environment = None;
    let findings = world.findings();
    let said: Vec<&str> = blocking(&findings, &world.site).iter().map(|finding| finding.check).collect();
    assert_eq!(said, ["risks.known"]);
}

#[test]
fn a_test_site_takes_a_slow_disk_and_no_useless_one() {
    let mut world = World::healthy();
    let fsync = |world: &mut World, micros: u64| {
        let times = world.host("m1").etcd_writes.as_mut().unwrap();
        (times.p99_micros, times.runs) = (micros, vec![micros; 3]);
        let findings = world.findings();
        let found = findings.iter().find(|one| one.check == "disk.etcd-fsync" && one.state != State::Pass);
        found.map(|one| (one.state, one.severity))
    };
    assert_eq!(fsync(&mut world, 60_000), Some((State::Fail, Severity::Block)));
    let useless = fsync(&mut world, 5_000_000).unwrap();
    world.site.environment = Some(Environment::Test);
    assert_eq!(fsync(&mut world, 60_000), Some((State::Warn, Severity::Advice)));
    assert_eq!(fsync(&mut world, 5_000_000), Some(useless));
    assert_eq!(useless, (State::Fail, Severity::Stop));
}
