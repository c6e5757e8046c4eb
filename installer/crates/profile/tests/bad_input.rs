//! What people get wrong, each with its finding, its place and its remedy; and sections that are left open.
#![allow(clippy::unwrap_used)] // a test may fall over, and so may what tests share

use std::fs;
use std::path::PathBuf;

use jiff::civil::date;
use sealift_profile::{
    Availability, Circumstances, Etcd, Extent, Growth, ProfileError, load_partly, load_with_places, template,
    to_yaml, version,
};
use tempfile::TempDir;

const CHECKS: [&str; 2] = ["disk.space", "memory.size"];

fn circumstances() -> Circumstances<'static> {
    Circumstances { checks: Some(&CHECKS), ..Circumstances::on(date(2026, 11, 21)) }
}

fn good() -> String {
    "apiVersion: sealift/v1
kind: Site
metadata: {name: plant}
cluster:
  podCidr: 10.244.0.0/16
access:
  user: ops
  privateKey: {file: ~/.ssh/id}
  knownHosts: ~/.ssh/known_hosts
hosts:
  - name: m1
    address: 10.20.0.11
    role: control-plane
  - name: w1
    address: 10.20.0.21
    role: worker
acceptedRisks:
  - check: disk.space
    host: w1
    person: Li
    reason: new disk next week
    until: 2026-12-01
"
    .to_owned()
}

fn written(folder: &TempDir, text: &str) -> Vec<PathBuf> {
    let path = folder.path().join("p.yaml");
    fs::write(&path, text).unwrap();
    vec![path]
}

/// Every finding as `rule line:column message`, then its remedy.
fn findings(text: &str) -> Vec<String> {
    let folder = TempDir::new().unwrap();
    let error = load_with_places(&written(&folder, text), &circumstances()).expect_err("it is wrong");
    assert!(!error.findings().is_empty(), "{error}");
    let line = |finding: &sealift_profile::ProfileFinding| {
        let place = finding.place.as_ref().unwrap();
        assert!(!finding.remedy.is_empty(), "{}", finding.message);
        let said = format!("{}\n  {}", finding.message, finding.remedy);
        let said = said.replace(&format!("{}/", folder.path().display()), "");
        format!("{} {}:{} {said}", finding.rule, place.line, place.column)
    };
    error.findings().iter().map(line).collect()
}

/// Each fault alone gives this one finding, at this place.
#[test]
fn each_fault_has_a_finding_of_its_own_with_place_and_remedy() {
    let cases = [
        ("wrong YAML", "metadata: {name: plant}", "metadata: {name: plant"),
        ("tab", "  user: ops", "\tuser: ops"),
        ("unit behind a number", "  podCidr: 10.244.0.0/16", "  endpointPort: 6443/tcp"),
        ("number in words", "  podCidr: 10.244.0.0/16", "  registryPort: 5.4k"),
        ("impossible network", "10.244.0.0/16", "10.244.0.0/33"),
        ("address as network", "10.244.0.0/16", "10.244.0.0"),
        ("network with host bits", "10.244.0.0/16", "10.244.1.0/16"),
        ("host in the pod network", "10.20.0.21", "10.244.0.21"),
        ("networks overlap", "10.244.0.0/16", "10.100.0.0/16"),
        ("network for one host only", "10.244.0.0/16", "10.244.0.0/24"),
        ("no room for services", "  podCidr: 10.244.0.0/16", "  serviceCidr: 10.96.0.0/28"),
        ("one address twice", "10.20.0.21", "10.20.0.11"),
        ("two masters", "role: worker", "role: control-plane"),
        ("an address for the API", "  podCidr: 10.244.0.0/16", "  vip: 10.20.0.100"),
        ("no such setting", "  podCidr: 10.244.0.0/16", "  flannel: yes"),
        ("unknown check", "check: disk.space", "check: disk.spaces"),
        ("expired acceptance", "2026-12-01", "2026-11-20"),
        ("unknown host", "host: w1", "host: w2"),
        ("literal secret", "{file: ~/.ssh/id}", "canary-secret"),
        ("newer version", "sealift/v1", "sealift/v2"),
        ("older or unknown version", "sealift/v1", "sealift/v0"),
        ("name that means false", "name: m1", "name: no"),
        ("name that is a number", "name: m1", "name: 1e3"),
        ("no such environment", "access:", "environment: staging\naccess:"),
        ("no such preset", "access:", "nodes: {failure: fastest}\naccess:"),
        ("too few processes", "access:", "nodes: {podPidsLimit: 10}\naccess:"),
        ("memory with its unit", "access:", "nodes: {reserved: {memoryMebibytes: 2Gi}}\naccess:"),
        ("a share in percent", "access:", "nodes: {evictionBrake: {unhealthyZoneThreshold: 55}}\naccess:"),
        (
            "a brake the wrong way",
            "access:",
            "nodes: {evictionBrake: {secondaryNodeEvictionRate: 1}}\naccess:",
        ),
        ("no copy at all", "access:", "replicas: {services: 0}\naccess:"),
        ("a zone with a space", "role: worker", "role: worker\n    placement: {zone: hall a}"),
        (
            "a zone said twice",
            "role: worker",
            "role: worker\n    placement: {zone: a}\n    labels: {topology.kubernetes.io/zone: b}",
        ),
        ("sealed text that is cut", "{file: ~/.ssh/id}", "{sealed: '-----BEGIN AGE ENCRYPTED FILE-----'}"),
    ];
    let mut all = String::new();
    for (what, from, to) in cases {
        assert!(good().contains(from), "{from}");
        let found = findings(&good().replacen(from, to, 1));
        assert_eq!(found.len(), 1, "{what}: {found:#?}");
        assert!(!found[0].contains("canary"), "{what}");
        all = format!("{all}{what}: {}\n", found[0]);
    }
    insta::assert_snapshot!(all);
}

#[test]
fn faults_of_all_sorts_come_together() {
    let text = good()
        .replacen("10.244.0.0/16", "10.244.0.0/33", 1)
        .replacen("user: ops", "usr: ops", 1)
        .replacen("disk.space", "disk.spaces", 1);
    let found = findings(&text);
    assert_eq!(found.len(), 3, "{found:#?}");
}

#[test]
fn ten_megabytes_of_aliases_are_refused_unread() {
    let folder = TempDir::new().unwrap();
    let mut text = good();
    text.push_str("product: {settings: {a: &a [x, x, x, x, x, x, x, x], b: [");
    while text.len() < 10 << 20 {
        text.push_str("*a, ");
    }
    text.push_str("x]}}\n");
    let error = load_with_places(&written(&folder, &text), &circumstances()).unwrap_err();
    assert!(matches!(error, ProfileError::TooLarge { .. }), "{error}");

    // Small enough to be read: the aliases are counted before they are copied.
    let end = text[..1_000_000].rfind("*a").unwrap();
    let found = findings(&format!("{}x]}}}}\n", &text[..end]));
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("too-many-values"), "{found:?}");
}

#[test]
fn an_open_section_stops_what_runs_unattended() {
    let text = good().replace("cluster:", "interactive: [hosts, product]\ncluster:");
    let found = findings(&text);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("open-section 4:15 the section `hosts` is left open"), "{}", found[0]);
    assert!(found[0].contains("take it out of `interactive:`"), "{}", found[0]);

    let misspelt = findings(&text.replace("product]", "prodct]"));
    assert!(misspelt.iter().any(|finding| finding.contains("did you mean `product`?")), "{misspelt:#?}");
}

#[test]
fn what_is_missing_in_an_open_section_is_told_and_no_fault() {
    let folder = TempDir::new().unwrap();
    let text = good()
        .replace("cluster:", "interactive: [hosts, access]\ncluster:")
        .replace("    address: 10.20.0.11\n", "    address:\n")
        .replace(
            "  user: ops\n  privateKey: {file: ~/.ssh/id}\n  knownHosts: ~/.ssh/known_hosts\n",
            "  port: 22\n",
        );
    let partly = load_partly(&written(&folder, &text), &circumstances()).unwrap();
    assert_eq!(partly.name.as_deref(), Some("plant"));
    let open: Vec<(&str, usize)> =
        partly.open.iter().map(|section| (section.name.as_str(), section.missing.len())).collect();
    assert_eq!(open, [("access", 1), ("hosts", 1)]);
    assert!(partly.loaded.is_none());

    // Without hosts altogether; what stands in closed sections is judged all the same.
    let start = text.find("hosts:\n").unwrap();
    let end = text.find("acceptedRisks:").unwrap();
    let none = format!("{}{}", &text[..start], &text[end..]);
    assert!(load_partly(&written(&folder, &none), &circumstances()).is_ok());
    let wrong = none.replace("10.244.0.0/16", "10.244.1.0/16").replace("port: 22", "prt: 22");
    let error = load_partly(&written(&folder, &wrong), &circumstances()).unwrap_err();
    assert_eq!(
        error.findings().iter().map(|finding| finding.rule).collect::<Vec<_>>(),
        ["cidr-bits", "unknown-key"]
    );
}

#[test]
fn an_open_section_is_closed_by_a_profile_laid_over() {
    let folder = TempDir::new().unwrap();
    let mut files = written(&folder, &good().replace("cluster:", "interactive: [hosts]\ncluster:"));
    let over = folder.path().join("over.yaml");
    fs::write(&over, "apiVersion: sealift/v1\nkind: Site\ninteractive: []\n").unwrap();
    files.push(over);
    assert!(load_with_places(&files, &circumstances()).is_ok());
}

#[test]
fn only_the_head_decides_the_version() {
    let folder = TempDir::new().unwrap();
    assert_eq!(version(&written(&folder, &good().replace("ops", ""))).unwrap(), "sealift/v1");
    let newer = version(&written(&folder, &good().replace("sealift/v1", "sealift/v7"))).unwrap_err();
    assert!(newer.to_string().contains("newer installer"), "{newer}");
}

#[test]
fn the_full_template_loads_as_it_is_and_with_all_that_is_switched_off() {
    let folder = TempDir::new().unwrap();
    let text = template(Extent::Full);
    let loaded = load_with_places(&written(&folder, &text), &circumstances()).unwrap();
    assert_eq!(loaded.site.hosts.len(), 5);
    let on = |line: &str| match line.split_once('#') {
        Some((indent, rest)) if indent.trim().is_empty() && !rest.starts_with(' ') && !rest.is_empty() => {
            format!("{indent}{rest}")
        }
        _ => line.to_owned(),
    };
    let all: Vec<String> = text.lines().map(on).collect();
    let partly = load_partly(&written(&folder, &all.join("\n")), &circumstances()).unwrap();
    let site = partly.loaded.expect("nothing is missing").site;
    assert!(site.access.bastion.is_some() && site.unseal.is_some());
    assert_eq!((site.interactive.len(), site.accepted_risks.len()), (1, 1));
    assert!(text.lines().all(|line| line.chars().count() <= 120));
    assert!(text.contains("\n  # Port of the API endpoint. Default: 6443\n"), "{text}");
    assert!(text.contains("\n    # What it does. One of: control-plane, worker.\n"), "{text}");
}

#[test]
fn the_minimal_template_names_its_blanks_and_loads_when_they_are_filled() {
    let folder = TempDir::new().unwrap();
    let text = template(Extent::Minimal);
    let error = load_with_places(&written(&folder, &text), &circumstances()).unwrap_err();
    assert_eq!(error.findings().len(), 7, "{error}");
    assert!(error.findings().iter().all(|finding| finding.rule == "missing-key"), "{error}");
    let mut host = 10;
    let fill = |line: &str| match line.trim() {
        "name:" => "  name: plant".to_owned(),
        "user:" => "  user: ops".to_owned(),
        "address:" => {
            host += 1;
            format!("    address: 10.20.0.{host}")
        }
        _ => line.to_owned(),
    };
    let filled: Vec<String> = text.lines().map(fill).collect();
    let loaded = load_with_places(&written(&folder, &filled.join("\n")), &circumstances()).unwrap();
    assert_eq!((loaded.site.masters().count(), loaded.site.workers().count()), (3, 2));
}

#[test]
fn a_rendered_profile_says_where_each_value_comes_from() {
    let folder = TempDir::new().unwrap();
    let files = written(&folder, &good());
    let loaded = load_with_places(&files, &circumstances()).unwrap();
    let text = loaded.to_yaml().unwrap().replace(&format!("{}/", folder.path().display()), "");
    assert_eq!(loaded.origin("cluster.endpoint"), "default");
    insta::assert_snapshot!(text);
    assert!(!to_yaml(&loaded.site).unwrap().contains('#'));
}

#[test]
fn each_master_runs_a_dns_server() {
    let masters = "  - {name: m2, address: 10.20.0.12, role: control-plane}
  - {name: m3, address: 10.20.0.13, role: control-plane}
  - name: w1\n";
    let text = good().replacen("  - name: w1\n", masters, 1);
    let with = |dns: u32| text.replacen("access:", &format!("replicas: {{dns: {dns}}}\naccess:"), 1);
    let found = findings(&with(2));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("each of the 3 masters runs a DNS server\n  write 3 or more"), "{}", found[0]);
    let folder = TempDir::new().unwrap();
    assert!(load_with_places(&written(&folder, &with(3)), &circumstances()).is_ok());
}

#[test]
fn an_environment_answers_what_nobody_told() {
    let folder = TempDir::new().unwrap();
    let planned = |environment: &str, needs: &str| {
        let more = format!("environment: {environment}\nneeds: {{{needs}}}\naccess:");
        let text = good().replacen("access:", &more, 1);
        load_with_places(&written(&folder, &text), &circumstances()).unwrap().site.planned_needs()
    };
    let production = planned("production", "users: 50");
    assert_eq!((production.users, production.retention_days, production.growth), (Some(50), None, None));
    let test = planned("test", "retentionDays: 3, growth: {usersPercentPerYear: 5}");
    assert_eq!((test.retention_days, test.availability), (Some(3), Some(Availability::NoSpare)));
    let growth = Growth { users_percent_per_year: Some(5), data_percent_per_year: None, years: Some(0) };
    assert_eq!(test.growth, Some(growth));
    let trial = planned("pre-release", "");
    assert_eq!((trial.retention_days, trial.availability), (Some(30), None));
}

const AUTHORITY: &str = include_str!("authority.pem");
const SERVER: &str = include_str!("server.pem");
const EXPIRED: &str = include_str!("expired.pem");

/// The choices of the API server, none of them wrong.
const API: &str = "api:
  audit: {maxAgeDays: 60}
  encryptionAtRest: {}
  podSecurity: {enforce: baseline, exemptNamespaces: [tools]}
  oidc:
    issuer: https://login.example/realms/x
    audiences: [kubernetes]
    groups:
      - {name: /staff, role: view}
      - {name: /operators, role: admin}
";

fn indented(pem: &str) -> String {
    pem.lines().fold(String::new(), |text, line| text + "    " + line + "\n")
}

#[test]
fn each_choice_of_the_api_server_is_judged() {
    let folder = TempDir::new().unwrap();
    let text = format!("{}{API}", good());
    let site = load_with_places(&written(&folder, &text), &circumstances()).unwrap().site;
    let audit = site.api.audit.unwrap();
    assert_eq!((audit.max_age_days, audit.max_files, audit.max_file_megabytes), (60, 10, 100));
    let oidc = site.api.oidc.unwrap();
    assert_eq!((oidc.username_claim.as_str(), oidc.groups_prefix.as_str()), ("sub", "oidc:"));

    let cases = [
        ("no days", "maxAgeDays: 60", "maxAgeDays: 0"),
        ("slip in a key", "maxAgeDays", "maxAgeDay"),
        ("no such standard", "enforce: baseline", "enforce: strict"),
        ("namespace in capitals", "[tools]", "[Tools]"),
        ("issuer without TLS", "https://login", "http://login"),
        ("issuer with a query", "realms/x", "realms/x?y=1"),
        ("issuer without a host", "https://login.example/", "https:///"),
        ("no audience", "audiences: [kubernetes]", "audiences: []"),
        ("audience twice", "audiences: [kubernetes]", "audiences: [kubernetes, kubernetes]"),
        ("group twice", "name: /operators", "name: /staff"),
        ("no such role", "role: admin", "role: root"),
        ("no prefix", "audiences:", "groupsPrefix: ''\n    audiences:"),
        ("the cluster's prefix", "audiences:", "usernamePrefix: 'system:'\n    audiences:"),
        ("no claim", "audiences:", "groupsClaim: ''\n    audiences:"),
    ];
    let mut all = String::new();
    for (what, from, to) in cases {
        assert!(API.contains(from), "{from}");
        let found = findings(&format!("{}{}", good(), API.replacen(from, to, 1)));
        assert_eq!(found.len(), 1, "{what}: {found:#?}");
        all = format!("{all}{what}: {}\n", found[0]);
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_database_has_a_folder_of_its_own() {
    let folder = TempDir::new().unwrap();
    let with = |etcd: &str| format!("{}etcd: {{{etcd}}}\n", good());
    let read =
        |etcd: &str| load_with_places(&written(&folder, &with(etcd)), &circumstances()).unwrap().site.etcd;
    assert_eq!(
        read("ownDisk: true"),
        Etcd { folder: "/var/lib/etcd".to_owned(), own_disk: true, events: None }
    );
    assert_eq!(read("folder: /data/etcd.d").folder, "/data/etcd.d");
    assert_eq!(read("events: {}").folders(), ["/var/lib/etcd", "/var/lib/etcd-events"]);
    assert_eq!(read("events: {}").backup_folder(), Some("/var/lib/sealift/backup/etcd-events"));
    assert_eq!(read("events: {backup: {folder: /mnt/copies}}").backup_folder(), Some("/mnt/copies"));
    assert_eq!(read("events: {backup: {keep: 0}}").backup_folder(), None);
    let cases = [
        ("relative", "folder: var/lib/etcd"),
        ("empty", "folder: ''"),
        ("the root", "folder: /"),
        ("a slash at the end", "folder: /data/etcd/"),
        ("up and down", "folder: /data/../etc"),
        ("twice the slash", "folder: /data//etcd"),
        ("a space", "folder: '/data/my etcd'"),
        ("a percent sign, which systemd reads", "folder: /data/%i"),
        ("our own", "folder: /var/lib/sealift/etcd"),
        ("settings", "folder: /etc/etcd"),
        ("around others", "folder: /var/lib"),
        ("gone after a boot", "folder: /var/run/etcd"),
        ("slip in a key", "ownDisc: true"),
        ("events in the same folder", "folder: /data/etcd, events: {folder: /data/etcd}"),
        ("events inside", "events: {folder: /var/lib/etcd/events}"),
        ("events with our own", "events: {folder: /var/lib/sealift}"),
        ("never a snapshot", "events: {backup: {everyHours: 0}}"),
        ("more than a week", "events: {backup: {everyHours: 169}}"),
        ("a time with a unit", "events: {backup: {everyHours: 1h}}"),
        ("fewer than none", "events: {backup: {keep: -1}}"),
        ("no switch", "events: {backup: off}"),
        ("slip in a key of snapshots", "events: {backup: {keeps: 3}}"),
        ("snapshots nowhere", "events: {backup: {folder: ''}}"),
        ("snapshots up and down", "events: {backup: {folder: /var/lib/sealift/backup/../store}}"),
        ("snapshots beside the store", "events: {backup: {folder: /var/lib/sealift/store}}"),
        ("snapshots gone after a boot", "events: {backup: {folder: /run/copies}}"),
        ("snapshots in a database", "events: {backup: {folder: /var/lib/etcd/copies}}"),
        ("snapshots with events", "events: {folder: /data, backup: {folder: /data}, }"),
        ("snapshots around a database, and none taken", "events: {backup: {folder: /var, keep: 0}}"),
    ];
    let mut all = String::new();
    for (what, etcd) in cases {
        let found = findings(&with(etcd));
        assert_eq!(found.len(), 1, "{what}: {found:#?}");
        all = format!("{all}{what}: {}\n", found[0]);
    }
    insta::assert_snapshot!(all);
}

#[test]
fn certificates_must_be_those_of_authorities_and_hold_today() {
    let customer = |pem: &str| format!("{}customerCa:\n  text: |\n{}", good(), indented(pem));
    let folder = TempDir::new().unwrap();
    let twice = format!("# the plant's\n{AUTHORITY}{AUTHORITY}");
    let loaded = load_with_places(&written(&folder, &customer(&twice)), &circumstances()).unwrap();
    let authorities = loaded.site.customer_ca.unwrap().authorities().unwrap();
    assert_eq!(authorities.len(), 1);
    assert_eq!(authorities[0].pem, AUTHORITY);
    assert_eq!(authorities[0].subject, "O=Plant, CN=Authority of the plant");

    let cut = AUTHORITY.lines().take(3).collect::<Vec<_>>().join("\n");
    let key = "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n";
    let cases = [
        ("a server's", SERVER.to_owned()),
        ("ran out", EXPIRED.to_owned()),
        ("cut", cut),
        ("no PEM", "just text\n".to_owned()),
        ("a key", key.to_owned()),
    ];
    let mut all = String::new();
    for (what, pem) in cases {
        let found = findings(&customer(&pem));
        assert_eq!(found.len(), 1, "{what}: {found:#?}");
        assert!(!found[0].contains("canary"), "{what}");
        all = format!("{all}{what}: {}\n", found[0]);
    }
    let missing = findings(&format!("{}customerCa: {{file: {}/ca.pem}}\n", good(), folder.path().display()));
    let missing = missing[0].replace(&folder.path().display().to_string(), "FOLDER");
    let both = findings(&format!("{}customerCa: {{file: ca.pem, text: x}}\n", good()));
    let none = findings(&format!("{}customerCa: {{}}\n", good()));
    insta::assert_snapshot!(format!("{all}missing: {missing}\nboth: {}\nnone: {}", both[0], none[0]));
    let all = findings(&customer(&format!("{SERVER}{EXPIRED}{key}")));
    assert_eq!(all.len(), 3, "all that is no authority's comes at once: {all:#?}");
}

#[test]
fn certificates_in_a_file_are_read_for_the_plan_and_stay_a_file_in_the_profile() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("ca.pem");
    fs::write(&file, AUTHORITY).unwrap();
    let text = format!("{}customerCa: {{file: {}}}\n{API}", good(), file.display());
    let site = load_with_places(&written(&folder, &text), &circumstances()).unwrap().site;
    assert_eq!(site.customer_ca.as_ref().unwrap().authorities(), None);
    assert!(to_yaml(&site).unwrap().contains("ca.pem"));
    let site = site.with_certificates().unwrap();
    assert_eq!(site.oidc_ca().unwrap().authorities().unwrap().len(), 1, "the issuer's is the site's");
}
