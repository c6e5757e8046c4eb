//! For every check, a world that makes it speak up; and the words it uses.

#![allow(clippy::unwrap_used)] // a test may fall over, and so may what tests share

mod more_faults;
mod world;

use std::collections::BTreeSet;

use sealift_checks::facts::{CgroupVersion, Claim, Swap};
use sealift_checks::{Severity, State, catalogue, check};
use sealift_profile::AcceptedRisk;
use world::{GB, World, leftover, route, tcp};

use more_faults::MORE;
use more_faults::services::SERVICES;

/// What is wrong, the check that must say so, how it must come out, and on which hosts (`-` for the site).
struct Fault {
    name: &'static str,
    check: &'static str,
    state: State,
    hosts: &'static str,
    make: fn(&mut World),
}

const fn fault(
    check: &'static str,
    name: &'static str,
    state: State,
    hosts: &'static str,
    make: fn(&mut World),
) -> Fault {
    Fault { name, check, state, hosts, make }
}

use State::{Blocked, Error, Fail, NotRun, Pass, Warn};

const FAULTS: &[Fault] = &[
    fault("identity.hostname", "a clone", Fail, "m1 m2", |w| w.host("m2").hostname = "M1".into()),
    fault("identity.hostname", "a name that is none", Fail, "w1", |w| {
        w.host("w1").hostname = "new_host".into();
    }),
    fault("identity.machine-id", "a clone", Fail, "w1 w2", |w| {
        w.host("w2").machine_id = w.facts["w1"].machine_id.clone();
    }),
    fault("identity.machine-id", "none", Fail, "m3", |w| w.host("m3").machine_id = "\n".into()),
    fault("identity.product-uuid", "a clone", Warn, "w1 w2", |w| {
        w.host("w2").product_uuid = w.facts["w1"].product_uuid.to_uppercase();
    }),
    fault("identity.product-uuid", "containers show none", Pass, "m1 m2 m3 w1 w2", |w| {
        w.every_host(|facts| facts.product_uuid.clear());
    }),
    fault("identity.mac", "a clone", Fail, "m1 w1", |w| {
        w.host("w1").interfaces[1].mac = w.facts["m1"].interfaces[1].mac.clone();
    }),
    fault("host.claimed", "by another site", Fail, "m1", |w| {
        w.host("m1").claim = Some(Claim { site: "old-plant".into(), host: "m7".into() });
    }),
    fault("host.claimed", "two hosts exchanged", Fail, "m1", |w| {
        w.host("m1").claim = Some(Claim { site: "harbin-plant".into(), host: "m2".into() });
    }),
    fault("leftovers", "of kubeadm", Fail, "m2", |w| {
        w.host("m2").leftovers = vec![
            leftover("/etc/kubernetes", "Kubernetes configuration"),
            leftover("/var/lib/etcd", "etcd data"),
        ];
    }),
    fault("leftovers", "of Docker", Fail, "w1", |w| {
        w.host("w1").leftovers = vec![
            leftover("/run/docker.sock", "a running Docker"),
            leftover("docker.service", "a Docker service"),
        ];
    }),
    fault("leftovers", "of another site of ours", Blocked, "m2", |w| {
        w.host("m2").leftovers = vec![leftover("/etc/kubernetes", "Kubernetes configuration")];
        w.host("m2").claim = Some(Claim { site: "old-plant".into(), host: "m7".into() });
    }),
    fault("facts.readable", "nobody knows what for", Error, "w1", |w| {
        w.host("w1").unreadable = vec!["/proc/strange: permission denied".into()];
    }),
    fault("os.supported", "no systemd", Fail, "w1", |w| w.host("w1").systemd = 0),
    fault("os.supported", "an old release", Fail, "w1", |w| {
        w.host("w1").os.name = "CentOS Linux 7 (Core)".into();
        w.host("w1").systemd = 219;
    }),
    fault("os.architecture", "another", Fail, "w2", |w| w.host("w2").architecture = "aarch64".into()),
    fault("kernel.version", "too old", Fail, "w1", |w| w.host("w1").kernel = "5.10.0-33-amd64".into()),
    fault("kernel.version", "just enough", Warn, "w1", |w| w.host("w1").kernel = "5.13.0".into()),
    fault("kernel.version", "nonsense", Error, "w1", |w| w.host("w1").kernel = "beta".into()),
    fault("cpu.count", "a small master", Fail, "m1", |w| w.host("m1").cpus = 1),
    fault("cpu.count", "a worker with one is just enough", Warn, "w1", |w| w.host("w1").cpus = 1),
    fault("memory.size", "just enough", Warn, "w1", |w| w.host("w1").memory_bytes = 2 << 30),
    fault("memory.size", "what is sold as 4 GiB", Pass, "w1", |w| w.host("w1").memory_bytes = 3900 << 20),
    fault("memory.size", "a small master", Fail, "m2", |w| w.host("m2").memory_bytes = 1699 << 20),
    fault("memory.size", "a small worker", Fail, "w1", |w| w.host("w1").memory_bytes = 1000 << 20),
    fault("cgroup.version", "the old one", Warn, "m1", |w| w.host("m1").cgroup = CgroupVersion::V1),
    fault("privileges.cap-sys-resource", "a container", Warn, "m1", |w| {
        w.host("m1").cap_sys_resource = false;
    }),
    fault("privileges.conntrack", "a container", Warn, "m1", |w| w.host("m1").conntrack_writable = false),
    fault("swap.active", "a partition and a file", Warn, "w1", |w| {
        let swap = |path: &str| Swap { path: path.into(), bytes: 2 << 30 };
        w.host("w1").swap = vec![swap("/dev/sda3"), swap("/swapfile")];
    }),
    fault("clock.skew", "one hour ahead", Fail, "w2", |w| w.host("w2").clock.skew_millis += 3_600_000),
    fault("clock.skew", "three seconds behind", Fail, "m1", |w| w.host("m1").clock.skew_millis -= 3_000),
    fault("clock.skew", "one second behind", Warn, "m1", |w| w.host("m1").clock.skew_millis -= 1_000),
    fault("clock.skew", "the seat's is wrong", Warn, "-", |w| {
        w.every_host(|facts| facts.clock.skew_millis = -86_400_000);
    }),
    fault("time.synchronised", "nothing keeps it", Warn, "m3", |w| w.host("m3").clock.synchronised = false),
    fault("time.synchronised", "no service for it", Warn, "m3", |w| {
        w.host("m3").clock.synchronised = false;
        w.details("m3").processes.remove("chronyd");
    }),
    fault("network.address", "on no interface", Fail, "m1", |w| {
        w.host("m1").interfaces[1].addresses = vec!["192.168.7.4/24".parse().unwrap()];
    }),
    fault("network.address", "interface down", Fail, "m1", |w| w.host("m1").interfaces[1].up = false),
    fault("network.default-route", "none", Fail, "w1", |w| {
        w.host("w1").routes.remove(0);
    }),
    fault("network.default-route", "a closed site's, for Services alone", Pass, "m1 m2 m3 w1 w2", |w| {
        w.every_host(|facts| facts.routes[0] = route("10.96.0.0/12", "eth0"));
    }),
    fault("network.cidr-overlap", "a closed site's route for Services", Pass, "m1 m2 m3 w1 w2", |w| {
        w.every_host(|facts| facts.routes[0] = route("10.96.0.0/12", "eth0"));
    }),
    fault("network.cidr-overlap", "a route inside", Fail, "w1", |w| {
        w.host("w1").routes.push(route("10.244.8.0/24", "eth1"));
        w.host("w1").interfaces.push(world::interface("docker0", "02:42:00:00:00:01", &["10.96.0.1/24"]));
    }),
    fault("network.cidr-overlap", "a wide route around", Warn, "w1", |w| {
        w.host("w1").routes.push(route("10.0.0.0/8", "eth0"));
    }),
    fault("network.mtu", "too small", Fail, "w1", |w| w.host("w1").interfaces[1].mtu = 1200),
    fault("network.mtu", "one differs", Warn, "w1", |w| w.host("w1").interfaces[1].mtu = 9000),
    fault("network.mtu", "no interface to look at", NotRun, "w1", |w| {
        w.host("w1").interfaces.pop();
    }),
    fault("dns.nameservers", "the host has one, the profile none", Warn, "m1", |w| {
        w.host("m1").nameservers = vec!["10.20.0.53".into(), "127.0.0.53".into()];
    }),
    fault("dns.nameservers", "the profile has one", Pass, "m1 m2 m3 w1 w2", |w| {
        w.site.cluster.nameservers = vec!["10.20.0.53".parse().unwrap()];
    }),
    fault("ports.free", "held by others", Fail, "m1", |w| {
        w.host("m1").listeners.extend([tcp(6443, "nginx", "nginx.service"), tcp(2379, "", "")]);
        w.host("m1")
            .listeners
            .push(sealift_checks::facts::Listener { protocol: "udp".into(), ..tcp(8472, "", "") });
    }),
    fault("ports.free", "a master's ports do not matter on a worker", Pass, "w1", |w| {
        w.host("w1").listeners.push(tcp(2379, "etcd", "etcd.service"));
    }),
    fault("ports.free", "a cluster that is not ours", Fail, "m2", |w| {
        w.host("m2").listeners.push(tcp(10250, "kubelet", "kubelet.service"));
    }),
    fault("disk.space", "the system's disk too small", Fail, "m1", |w| {
        w.host("m1")
            .disks
            .iter_mut()
            .filter(|disk| disk.mount_point == "/")
            .for_each(|disk| disk.available_bytes = 2 * GB);
    }),
    fault("disk.space", "each path fits, not all together", Fail, "w1", |w| {
        w.host("w1").disks.iter_mut().for_each(|disk| disk.available_bytes = 2_100_000_000);
    }),
    fault("disk.space", "nobody measured", Error, "w1", |w| w.host("w1").disks.truncate(1)),
    fault("disk.space", "our own files fill it", Warn, "w1", |w| {
        w.host("w1").disks.iter_mut().for_each(|disk| disk.available_bytes = GB);
        w.host("w1").claim = Some(Claim { site: "harbin-plant".into(), host: "w1".into() });
    }),
    fault("disk.headroom", "nearly full afterwards", Warn, "w2", |w| {
        w.host("w2").disks.iter_mut().for_each(|disk| disk.available_bytes = 16 * GB);
    }),
    fault("disk.file-system", "layers on layers, data in memory", Fail, "m1", |w| {
        for disk in &mut w.host("m1").disks {
            match disk.path.as_str() {
                "/var/lib/containerd" => disk.file_system = "overlay".into(),
                "/var/lib/etcd" => disk.file_system = "tmpfs".into(),
                _ => {}
            }
        }
    }),
    fault("product.settings", "one open, one misspelt", Fail, "-", |w| {
        w.document.settings.get_mut("siteTitle").unwrap().default = None;
        let greeting = w.site.product.settings.remove("greeting").unwrap();
        w.site.product.settings.insert("greting".into(), greeting);
    }),
    fault("product.secrets", "missing", Fail, "-", |w| {
        let secret = w.site.product.secrets.remove("adminPassword").unwrap();
        w.site.product.secrets.insert("admin-password".into(), secret);
    }),
    fault("product.secrets", "one too many", Fail, "-", |w| {
        let secret = w.site.product.secrets["adminPassword"].clone();
        w.site.product.secrets.insert("mailPassword".into(), secret);
    }),
    fault("risks.known", "an id that is none, one that cannot be", Fail, "-", |w| {
        w.site.accepted_risks = ["disk.spaec", "ports.free", "disk.space"].map(accept).to_vec();
    }),
];

fn all() -> impl Iterator<Item = &'static Fault> {
    FAULTS.iter().chain(MORE).chain(SERVICES)
}

fn accept(check: &str) -> AcceptedRisk {
    AcceptedRisk {
        check: check.to_owned(),
        host: None,
        person: "Li".into(),
        reason: "test site".into(),
        until: "2026-12-31".into(),
    }
}

#[test]
fn every_fault_is_found_where_it_is() {
    for fault in all() {
        let mut world = World::healthy();
        (fault.make)(&mut world);
        let findings = world.findings();
        let expected: BTreeSet<&str> = fault.hosts.split(' ').collect();
        for finding in findings.iter().filter(|finding| finding.check == fault.check) {
            let host = finding.host.as_deref().unwrap_or("-");
            let want = if expected.contains(host) { fault.state } else { Pass };
            assert_eq!(finding.state, want, "{}, {}:\n{finding}", fault.check, fault.name);
        }
        let found =
            findings.iter().filter(|finding| finding.check == fault.check && finding.state == fault.state);
        assert!(found.count() >= expected.len(), "{}, {}", fault.check, fault.name);
    }
}

#[test]
fn every_check_has_a_fault_as_grave_as_it_can_be() {
    for check in catalogue().iter().filter(|check| check.id != "facts.readable") {
        let worst = if check.severity == Severity::Advice { Warn } else { Fail };
        assert!(all().any(|fault| fault.check == check.id && fault.state == worst), "{}", check.id);
    }
    for fault in all() {
        let advice = check(fault.check).unwrap().severity == Severity::Advice;
        assert!(!(advice && fault.state == Fail), "{} is advice", fault.check);
    }
}

#[test]
fn at_least_seventy_checks_are_shown_to_fail_and_to_pass() {
    let mut shown = BTreeSet::new();
    for fault in all().filter(|fault| matches!(fault.state, Fail | Warn)) {
        let mut world = World::healthy();
        let healthy = world.findings();
        (fault.make)(&mut world);
        let broken = world.findings();
        let has = |findings: &[sealift_checks::Finding], state| {
            findings.iter().any(|finding| finding.check == fault.check && finding.state == state)
        };
        if has(&healthy, Pass) && has(&broken, fault.state) {
            shown.insert(fault.check);
        }
    }
    let not_shown: Vec<&str> =
        catalogue().iter().map(|check| check.id).filter(|id| !shown.contains(id)).collect();
    assert_eq!(not_shown, ["facts.readable"], "it says error, see what_cannot_be_read_is_an_error");
    assert!(shown.len() >= 70, "{}", shown.len());
}

#[test]
fn what_can_be_mended_by_itself_is_listed_so_and_nothing_else_is() {
    let mut mended = BTreeSet::new();
    for fault in all() {
        let mut world = World::healthy();
        (fault.make)(&mut world);
        for finding in world.findings().into_iter().filter(|finding| !finding.fixes.is_empty()) {
            assert!(matches!(finding.state, Fail | Warn), "{finding}");
            mended.insert(finding.check);
        }
    }
    let listed = catalogue().iter().filter(|check| check.fixable).map(|check| check.id);
    assert_eq!(mended, listed.collect());
    assert!(mended.len() >= 8, "{mended:?}");
}

#[test]
fn in_a_container_only_settings_of_its_own_network_are_set() {
    let fixes = |container: bool| {
        let mut world = World::healthy();
        let details = world.details("w1");
        details.machine.container = container;
        details.settings.insert("kernel.pid_max".into(), world::setting("2048"));
        details.settings.insert("net.ipv4.conf.all.arp_ignore".into(), world::setting("1"));
        world.host("w1").swap = vec![Swap { path: "/swapfile".into(), bytes: 2 << 30 }];
        let findings = world.findings().into_iter();
        findings.flat_map(|finding| finding.fixes).map(|fix| fix.to_string()).collect::<Vec<_>>()
    };
    let file = sealift_checks::SETTINGS_FILE;
    let arp = format!("set net.ipv4.conf.all.arp_ignore = 0, now and in {file}");
    let processes = format!("set kernel.pid_max = 4194304, now and in {file}");
    let swap = "switch swap off, now and in /etc/fstab".to_owned();
    assert_eq!(fixes(false), [swap, processes, arp.clone()]);
    assert_eq!(fixes(true), [arp]);
}

#[test]
fn a_setting_that_cannot_be_written_is_no_fix() {
    let mut world = World::healthy();
    let stuck = sealift_checks::facts::Setting { writable: false, ..world::setting("2048") };
    world.details("w1").settings.insert("kernel.pid_max".into(), stuck);
    let findings = world.findings();
    let found = findings.iter().find(|finding| finding.state == Fail).unwrap();
    assert_eq!((found.check, found.fixes.len()), ("limits.processes", 0));
}

#[test]
fn a_check_with_two_limits_is_shown_beyond_the_second() {
    for check in catalogue().iter().filter(|check| check.beyond.is_some()) {
        let beyond = all().filter(|fault| fault.check == check.id).any(|fault| {
            let mut world = World::healthy();
            (fault.make)(&mut world);
            let findings = world.findings();
            findings.iter().any(|finding| {
                finding.check == check.id && finding.state == Fail && Some(finding.severity) == check.beyond
            })
        });
        assert!(beyond, "{}", check.id);
    }
}

#[test]
fn the_words() {
    for check in catalogue() {
        let mut texts = Vec::new();
        for fault in all().filter(|fault| fault.check == check.id) {
            let mut world = World::healthy();
            (fault.make)(&mut world);
            let findings = world.findings();
            let first =
                findings.iter().find(|finding| finding.check == check.id && finding.state == fault.state);
            texts.push(format!("({})\n{}", fault.name, first.unwrap()));
        }
        let healthy = World::healthy().findings();
        texts.push(format!(
            "(all is well)\n{}",
            healthy.iter().find(|finding| finding.check == check.id).unwrap()
        ));
        insta::assert_snapshot!(check.id, texts.join("\n\n"));
    }
}

#[test]
fn what_went_wrong_always_says_what_to_do_and_why() {
    for fault in all() {
        let mut world = World::healthy();
        (fault.make)(&mut world);
        for finding in world.findings().iter().filter(|finding| !matches!(finding.state, Pass | NotRun)) {
            assert!(
                !finding.measured.is_empty() && !finding.why.is_empty() && !finding.remedy.is_empty(),
                "{finding}"
            );
            assert!(!finding.to_string().contains(['!', '\u{2014}']), "calm words: {finding}");
        }
    }
}
