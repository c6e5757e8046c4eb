//! Whole profiles from files: what people get for what they wrote.
#![allow(clippy::unwrap_used)] // a test may fall over, and so may what tests share

use std::fs;
use std::path::PathBuf;

use jiff::civil::{Date, date};
use sealift_profile::{
    Circumstances, ProfileError, SecretRef, Site, load_at, load_with_places, schema_text, to_yaml,
};
use tempfile::TempDir;

const TODAY: Date = date(2026, 11, 21);
const KEY: &str = "SHA256:Zx1pQm0vZx1pQm0vZx1pQm0vZx1pQm0vZx1pQm0vZx1";

fn good() -> String {
    format!(
        "apiVersion: sealift/v1
kind: Site
metadata:
  name: harbin-plant
cluster:
  podCidr: 10.244.0.0/16
  serviceCidr: 10.96.0.0/12
access:
  user: ops
  privateKey: {{file: ~/.ssh/id_ed25519}}
  password: {{env: OPS_PASSWORD}}
hosts:
  - name: m1
    address: 10.20.0.11
    role: control-plane
    hostKey: {KEY}
  - name: w1
    address: 10.20.0.21
    role: worker
    hostKey: {KEY}
    user: admin
    sudoPassword: {{prompt: sudo on w1}}
product:
  settings:
    replicas: 2
    version: 1.30
    motd: \"yes\"
  secrets:
    database: {{file: db.txt}}
"
    )
}

/// Loads texts as files `a.yaml`, `b.yaml` … laid over each other.
fn load(texts: &[&str]) -> Result<Site, ProfileError> {
    let folder = TempDir::new().unwrap();
    load_at(&write(&folder, texts), TODAY)
}

fn write(folder: &TempDir, texts: &[&str]) -> Vec<PathBuf> {
    let write = |(i, text): (usize, &&str)| {
        let path = folder.path().join(format!("{}.yaml", char::from(b'a' + u8::try_from(i).unwrap())));
        fs::write(&path, text).unwrap();
        path
    };
    texts.iter().enumerate().map(write).collect()
}

/// What the user reads, without the folder that the test happens to use.
fn complaint(texts: &[&str]) -> String {
    let folder = TempDir::new().unwrap();
    let error = load_at(&write(&folder, texts), TODAY).expect_err("the profile is wrong");
    error.to_string().replace(&format!("{}/", folder.path().display()), "")
}

fn complaint_about(from: &str, to: &str) -> String {
    let text = good();
    assert!(text.contains(from), "{from}");
    complaint(&[&text.replacen(from, to, 1)])
}

#[test]
fn a_good_profile_is_read_with_defaults() {
    let site = load(&[&good()]).unwrap();
    assert_eq!(site.metadata.name, "harbin-plant");
    assert_eq!(site.cluster.endpoint, "api.cluster.internal");
    assert_eq!((site.cluster.endpoint_port, site.cluster.registry_port), (6443, 5443));
    assert_eq!(site.masters().map(|host| &host.name).collect::<Vec<_>>(), ["m1"]);
    assert_eq!(site.workers().map(|host| &host.name).collect::<Vec<_>>(), ["w1"]);
    let settings = serde_json::to_value(&site.product.settings).unwrap();
    assert_eq!(settings, serde_json::json!({"replicas": 2, "version": "1.30", "motd": "yes"}));
}

#[test]
fn a_host_has_its_own_access_over_the_sites() {
    let site = load(&[&good()]).unwrap();
    let m1 = site.access_for(site.host("m1").unwrap());
    let w1 = site.access_for(site.host("w1").unwrap());
    assert_eq!((m1.user, w1.user), ("ops", "admin"));
    assert_eq!(m1.sudo_password, m1.password, "the login password is tried for sudo");
    assert_eq!(w1.sudo_password.unwrap().to_string(), "the answer to \"sudo on w1\"");
    assert_eq!((w1.port, w1.host_key), (22, Some(KEY)));
}

#[test]
fn every_value_knows_where_it_was_written() {
    let folder = TempDir::new().unwrap();
    let over = "apiVersion: sealift/v1\nkind: Site\nhosts:\n  - name: w1\n    address: 10.20.0.99\n";
    let loaded = load_with_places(&write(&folder, &[&good(), over]), &Circumstances::on(TODAY)).unwrap();
    let line = |path: &str| {
        let place = loaded.places.exact(path).unwrap();
        (place.file.rsplit('/').next().unwrap().to_owned(), place.line, place.column)
    };
    assert_eq!(line("hosts[1].address"), ("b.yaml".to_owned(), 5, 14));
    assert_eq!(line("hosts[1].role"), ("a.yaml".to_owned(), 19, 11));
    assert_eq!(line("product.secrets.database.file"), ("a.yaml".to_owned(), 29, 22));
}

#[test]
fn overlays_merge_maps_replace_lists_and_merge_hosts_by_name() {
    let over = "apiVersion: sealift/v1
kind: Site
cluster: {nameservers: [10.20.0.53], registryPort: 5555}
access:
  password: {prompt: password of ops}
  privateKey:
hosts:
  - {name: w1, address: 10.20.0.99}
  - {name: w2, address: 10.20.0.22, role: worker, hostKey: SHA256:Zx1pQm0vZx1pQm0vZx1pQm0vZx1pQm0vZx1pQm0vZx1}
";
    let more = "apiVersion: sealift/v1\nkind: Site\ncluster: {nameservers: [10.20.0.54]}\n";
    let site = load(&[&good(), over, more]).unwrap();
    assert_eq!(site.hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>(), ["m1", "w1", "w2"]);
    assert_eq!(site.host("w1").unwrap().address.to_string(), "10.20.0.99");
    assert_eq!(
        site.host("w1").unwrap().user.as_deref(),
        Some("admin"),
        "what the overlay does not say stays"
    );
    assert_eq!(site.cluster.nameservers.len(), 1);
    assert_eq!((site.cluster.registry_port, site.cluster.endpoint_port), (5555, 6443));
    assert_eq!(site.access.private_key, None, "an empty value takes the base's away");
    assert_eq!(site.access.password.unwrap().to_string(), "the answer to \"password of ops\"");
}

#[test]
fn a_host_twice_in_an_overlay_is_still_twice() {
    let over = "apiVersion: sealift/v1\nkind: Site\nhosts: [{name: w1, port: 23}, {name: w1, port: 24}]\n";
    let text = complaint(&[&good(), over]);
    assert!(text.contains("b.yaml:3:31: `hosts[2]` has no `address`"), "{text}");
}

#[test]
fn all_shape_findings_come_together() {
    let text = good()
        .replace("address: 10.20.0.11", "adress: 10.20.0.11")
        .replace("role: worker", "role: Worker")
        .replace("podCidr: 10.244.0.0/16", "podCidr: 10.244.0.0\n  hostKey: x\n  flavour: vanilla")
        .replace("    user: admin", "    port: \"22\"\n    port: 70000\n    serviceCidr: 10.96.0.0/12")
        .replace("{env: OPS_PASSWORD}", "hunter2-canary")
        .replace("{prompt: sudo on w1}", "{promt: sudo on w1}")
        .replace("{file: db.txt}", "{file: db.txt, env: DB}");
    let text = complaint(&[&text]);
    assert!(!text.contains("canary"), "a secret must not get into a message");
    insta::assert_snapshot!(text);
}

#[test]
fn all_findings_of_meaning_come_together() {
    let text = good()
        .replace("harbin-plant", "Harbin_Plant")
        .replace(
            "serviceCidr: 10.96.0.0/12",
            "serviceCidr: 10.244.7.0/26\n  endpoint: w1\n  registryPort: 2379",
        )
        .replace("10.244.0.0/16", "10.244.3.0/16")
        .replace("address: 10.20.0.21", "address: 10.20.0.11")
        .replace("role: worker", "role: control-plane")
        .replace("    user: admin\n", "    labels: {\"a b\": c, rack: 3 4}\n")
        .replacen(KEY, "SHA256:short", 1)
        .replace("    motd:", "    smtpPassword: canary-9\n    motd:")
        + "acceptedRisks:
  - {check: disk.space, host: w9, person: Li, reason: test site, until: 2026-11-20}
  - {check: disk.space, host: W1, person: \"\", reason: test site, until: 21.11.2026}
";
    let text = complaint(&[&text]);
    assert!(!text.contains("canary"), "a secret must not get into a message");
    insta::assert_snapshot!(text);
}

#[test]
fn networks_must_leave_the_hosts_alone_and_be_wide_enough() {
    let text = good()
        .replace(
            "podCidr: 10.244.0.0/16",
            "podCidr: 10.20.0.0/24\n  nameservers: [10.20.0.53]\n  endpointPort: 22",
        )
        .replace("serviceCidr: 10.96.0.0/12", "serviceCidr: fd00::/64\n  endpoint: 10.20.0.100");
    insta::assert_snapshot!(complaint(&[&text]));
}

#[test]
fn hosts_must_be_reachable_and_known() {
    let text = good()
        .replace(
            "  privateKey: {file: ~/.ssh/id_ed25519}\n  password: {env: OPS_PASSWORD}\n",
            "  privateKeyPassphrase: {env: 1-2}\n  bastion: {address: 10.20.0.1, user: jump}\n",
        )
        .replacen(&format!("    hostKey: {KEY}\n"), "", 1)
        .replace("address: 10.20.0.21", "address: 127.0.0.1");
    insta::assert_snapshot!(complaint(&[&text]));
}

#[test]
fn numbers_of_masters() {
    for (count, fine) in
        [(0, false), (1, true), (2, false), (3, true), (4, false), (5, true), (6, false), (7, false)]
    {
        let mut text = good().replace("role: control-plane", "role: worker");
        let host = |i: i32| {
            format!("  - {{name: c{i}, address: 10.20.1.{i}, role: control-plane, hostKey: {KEY}}}\n")
        };
        let hosts = (0..count).map(host).collect::<Vec<_>>().concat();
        text = text.replace("product:\n", &format!("{hosts}product:\n"));
        let result = load(&[&text]);
        assert_eq!(result.is_ok(), fine, "{count} masters: {result:?}");
        if let Err(error) = result {
            assert_eq!(
                error.findings().iter().map(|finding| finding.rule).collect::<Vec<_>>(),
                ["masters-odd"]
            );
        }
    }
}

#[test]
fn no_host_at_all() {
    let text = good();
    let start = text.find("hosts:").unwrap();
    let end = text.find("product:").unwrap();
    insta::assert_snapshot!(complaint(&[&format!("{}hosts: []\n{}", &text[..start], &text[end..])]));
}

#[test]
fn needs_are_numbers_within_reason_and_overrides_say_why() {
    let good = good();
    let needs = "apiVersion: sealift/v1
kind: Site
needs:
  users: 2000
  thinkSeconds: 10
  responseSeconds: 0.3
  growth: {usersPercentPerYear: 20}
  availability: no-spare
sizing:
  workers: {count: 6, reason: the rack holds six}
";
    let site = load(&[&good, needs]).unwrap();
    let read = site.needs.unwrap();
    assert_eq!((read.users, read.think_seconds, read.response_seconds), (Some(2000), Some(10.0), Some(0.3)));
    assert_eq!(site.sizing.unwrap().workers.unwrap().reason, "the rack holds six");
    for (from, to, place, message) in [
        ("users: 2000", "users: 0", "b.yaml:4:10", "`needs.users` is `0`"),
        ("thinkSeconds: 10", "thinkSeconds: 0", "b.yaml:5:17", "`thinkSeconds` is 0"),
        ("thinkSeconds: 10", "thinkSeconds: .nan", "b.yaml:5:17", "`needs.thinkSeconds` is `.nan`"),
        ("responseSeconds: 0.3", "responseSeconds: 601", "b.yaml:6:20", "`responseSeconds` is 601"),
        ("Year: 20}", "Year: 501}", "b.yaml:7:33", "`needs.growth.usersPercentPerYear` is `501`"),
        ("no-spare", "some", "b.yaml:8:17", "`needs.availability` is `some`"),
        ("reason: the rack holds six", "reason: ''", "b.yaml:10:31", "`sizing.workers.reason` is empty"),
        (", reason: the rack holds six", "", "b.yaml:10:12", "`sizing.workers` has no `reason`"),
        ("workers: {count: 6", "masters: {count: 4", "b.yaml:10:20", "4 masters cannot agree safely"),
    ] {
        let wrong = needs.replacen(from, to, 1);
        assert_ne!(wrong, needs, "{from}");
        let error = load(&[&good, &wrong]).unwrap_err();
        let found: Vec<String> = error.findings().iter().map(ToString::to_string).collect();
        assert!(
            found.len() == 1 && found[0].contains(place) && found[0].contains(message),
            "{to}: {found:?}"
        );
    }
}

#[test]
fn services_are_reachable_and_vouched_for() {
    let with = |services: &str| good().replace("product:\n", &format!("services:\n{services}product:\n"));
    let database = "  database: {host: 10.20.0.9, database: orders, user: orders, password: {env: DB}, tls: {mode: require}}\n";
    let site = load(&[&with(database)]).unwrap();
    assert_eq!(site.services.database.as_ref().unwrap().port, 5432);
    assert_eq!(site.services.addresses().collect::<Vec<_>>(), [("database", "10.20.0.9", 5432)]);
    assert!(
        site.secret_references().any(|one| *one == SecretRef::Env("DB".into())),
        "it is fetched with the others"
    );
    assert_eq!(site.product_secret("services.database.password"), Some(&SecretRef::Env("DB".into())));
    assert_eq!(site.product_secret("database"), Some(&SecretRef::File("db.txt".into())));
    assert_eq!(site.product_secret("services.logs.password"), None);
    let text = with(
        "  database:
    host: db.plant.example
    database: ''
    user: orders
    password: hunter2
    minimumVersion: 15.2
    tls: {mode: verify-ful}
",
    );
    let shape = complaint(&[&text]);
    assert!(!shape.contains("hunter2"), "{shape}");
    let text = with(
        "  database:
    host: db.plant.example
    database: ''
    user: orders
    password: {env: DB}
  logs:
    url: https://ops:hunter2@10.244.3.1:9200
    user: orders
  metrics:
    url: http://10.244.3.1:9090/api/v1/write
    ca: |
      -----BEGIN RSA PRIVATE KEY-----
      hunter2
      -----END RSA PRIVATE KEY-----
",
    );
    let meaning = complaint(&[&text]);
    assert!(!meaning.contains("hunter2"), "{meaning}");
    insta::assert_snapshot!([shape, meaning].join("\n\n"));
}

#[test]
fn what_is_no_yaml_says_where() {
    let cases = [
        complaint_about("  name: harbin-plant", "\tname: harbin-plant"),
        complaint_about("metadata:", "metadata"),
        complaint_about("  user: ops", "  user: o\u{200b}ps"),
        complaint_about("  user: ops", "\u{a0}\u{a0}user: ops"),
        complaint_about("  user: ops", "  user: ops\n  user: admin"),
        complaint_about("{env: OPS_PASSWORD}", "{env: OPS_PASSWORD"),
        complaint_about("kind: Site", "kind: Site\n---\nkind: Site"),
        complaint_about("  user: ops", "  user: !name ops"),
        complaint_about("  user: ops", "  <<: {user: ops}\n  [a, b]: c\n  user: ops"),
        complaint_about("  user: ops", "  user: &a [*a]"),
    ];
    insta::assert_snapshot!(cases.join("\n\n"));
}

#[test]
fn other_documents_are_not_profiles() {
    let cases = [
        complaint_about("sealift/v1", "sealift/v2"),
        complaint_about("sealift/v1", "v1"),
        complaint_about("kind: Site", "kind: Bundle"),
        complaint_about("kind: Site\n", ""),
        complaint(&["- a\n- b\n"]),
        complaint(&["# nothing\n"]),
        complaint(&[&good(), "hosts: []\n"]),
    ];
    insta::assert_snapshot!(cases.join("\n\n"));
}

#[test]
fn an_alias_stands_for_its_value() {
    let text = good().replacen(&format!("hostKey: {KEY}"), &format!("hostKey: &key {KEY}"), 1).replacen(
        &format!("hostKey: {KEY}\n    user"),
        "hostKey: *key\n    user",
        1,
    );
    assert!(text.contains("*key"));
    assert_eq!(load(&[&text]).unwrap().hosts[1].host_key.as_deref(), Some(KEY));
}

#[test]
fn bombs_do_not_go_off() {
    let mut aliases =
        "apiVersion: sealift/v1\nkind: Site\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let ten = vec![format!("*a{}", i - 1); 10].join(", ");
        aliases = format!("{aliases}a{i}: &a{i} [{ten}]\n");
    }
    let deep = format!("apiVersion: sealift/v1\nkind: Site\na: {}{}\n", "[".repeat(100), "]".repeat(100));
    insta::assert_snapshot!([complaint(&[&aliases]), complaint(&[&deep])].join("\n\n"));

    let long = format!("{}# {}\n", good(), "x".repeat(1 << 20));
    assert!(matches!(load(&[&long]), Err(ProfileError::TooLarge { limit: 1_048_576, .. })));
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("missing.yaml");
    let error = load_at(std::slice::from_ref(&missing), TODAY).unwrap_err();
    assert!(matches!(&error, ProfileError::Read { path, .. } if *path == missing));
    assert!(matches!(load_at(&[], TODAY), Err(ProfileError::NoFile)));
    let binary = folder.path().join("binary.yaml");
    fs::write(&binary, b"kind: \xff").unwrap();
    assert!(matches!(load_at(&[binary], TODAY), Err(ProfileError::NotText { offset: 6, .. })));
}

#[test]
fn an_acceptance_holds_through_its_last_day() {
    let risk = |until: Date| {
        good()
            + &format!("acceptedRisks:\n  - {{check: disk.space, person: Li, reason: lab, until: {until}}}\n")
    };
    assert!(load(&[&risk(TODAY)]).is_ok());
    assert!(load(&[&risk(TODAY.yesterday().unwrap())]).is_err());
}

#[test]
fn the_schema_file_is_current() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../profiles/site.schema.json");
    if std::env::var_os("SEALIFT_UPDATE").is_some() {
        fs::write(&path, schema_text()).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == schema_text(), "stale: run this test with SEALIFT_UPDATE=1 and commit the file");
}

#[test]
fn every_shipped_profile_loads() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../profiles");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let profiles: Vec<_> = files.filter(|path| path.extension().is_some_and(|name| name == "yaml")).collect();
    for path in &profiles {
        let site = load_at(std::slice::from_ref(path), TODAY);
        assert!(site.is_ok(), "{}: {}", path.display(), site.unwrap_err());
        let text = fs::read_to_string(path).unwrap();
        assert!(
            text.starts_with("# ") && text.contains("\n# Suits "),
            "{} says whom it suits",
            path.display()
        );
        // Written and read again it is the same, with its origins and without.
        let loaded = load_with_places(std::slice::from_ref(path), &Circumstances::on(TODAY)).unwrap();
        assert_eq!(load(&[&loaded.to_yaml().unwrap()]).unwrap(), loaded.site);
        assert_eq!(load(&[&to_yaml(&loaded.site).unwrap()]).unwrap(), loaded.site);
    }
    let mut names: Vec<_> = profiles.iter().filter_map(|path| path.file_stem()?.to_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["demo", "external-services", "hardened", "large", "pre-release", "small", "standard", "test"]
    );
}

#[test]
fn a_saved_site_loads_as_the_same_site() {
    let site = load(&[&good()]).unwrap();
    assert_eq!(load(&[&to_yaml(&site).unwrap()]).unwrap(), site);
}
