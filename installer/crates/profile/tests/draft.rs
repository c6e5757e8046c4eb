//! Profiles while they are written: judged by the rules of whole ones, saved so that they load.
#![allow(clippy::unwrap_used)] // a test may fall over, and so may what tests share

use std::collections::BTreeSet;

use jiff::civil::date;
use sealift_profile::{Circumstances, Draft, ProfileError, load_partly};
use serde_json::json;

fn today() -> Circumstances<'static> {
    Circumstances::on(date(2026, 11, 22))
}

/// Rules and paths of what is said about a draft.
fn said(draft: &Draft) -> (Vec<String>, Vec<String>) {
    let judged = draft.judge(&today());
    let paths = |findings: &[sealift_profile::ProfileFinding]| {
        findings.iter().map(|finding| format!("{} {}", finding.rule, finding.path)).collect()
    };
    (paths(&judged.missing), paths(&judged.wrong))
}

/// Saves a draft and loads the file; the sections that it left open.
fn saved(draft: &Draft) -> (String, Vec<String>) {
    let (text, open) = draft.to_text(&BTreeSet::new(), &today()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.yaml");
    std::fs::write(&path, &text).unwrap();
    let partly = load_partly(&[path], &today()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let named: Vec<String> = partly.open.iter().map(|section| section.name.clone()).collect();
    assert_eq!(named, open.into_iter().collect::<Vec<_>>());
    (text, named)
}

#[test]
fn a_draft_grows_into_a_site_and_can_be_saved_at_any_time() {
    let mut draft = Draft::default();
    assert_eq!(saved(&draft).1, ["access", "hosts", "metadata"]);
    draft.set("metadata.name", json!("plant"));
    draft.set("access.user", json!("ops"));
    draft.set("access.knownHosts", json!("/h"));
    assert_eq!(saved(&draft).1, ["hosts"], "without a host nobody needs a way to log in");
    draft.set("hosts[0].name", json!("m1"));
    draft.set("hosts[0].address", json!("10.20.0.11"));
    let (missing, wrong) = said(&draft);
    assert_eq!((missing, wrong), (vec!["missing-key hosts[0].role".into()], vec!["login access".into()]));
    draft.set("hosts[0].role", json!("control-plane"));
    assert_eq!(said(&draft).1, ["login access"]);
    assert_eq!(saved(&draft).1, ["access"]);
    draft.set("access.privateKey", json!({"file": "~/.ssh/id"}));
    let (text, open) = saved(&draft);
    assert!(open.is_empty() && !text.contains("interactive"), "{text}");
    assert_eq!(Draft::read(&text, "site.yaml").unwrap(), draft);
}

#[test]
fn what_is_incomplete_hides_nothing_that_is_wrong_elsewhere() {
    let mut draft = Draft::default();
    for (index, address) in [(0, "10.20.0.11"), (1, "10.20.0.11")] {
        draft.set(&format!("hosts[{index}].name"), json!(format!("w{index}")));
        draft.set(&format!("hosts[{index}].address"), json!(address));
        draft.set(&format!("hosts[{index}].role"), json!("worker"));
    }
    draft.set("hosts[2]", json!({}));
    let (missing, wrong) = said(&draft);
    assert!(missing.contains(&"missing-key hosts[2].name".to_owned()), "{missing:?}");
    assert!(wrong.contains(&"host-address-unique hosts[1].address".to_owned()), "{wrong:?}");
    assert!(!wrong.iter().any(|one| one.starts_with("masters-odd")), "{wrong:?}");
    let first = draft.take("hosts[0]");
    assert_eq!(first.unwrap()["name"], "w0");
    assert!(!said(&draft).1.contains(&"host-address-unique hosts[1].address".to_owned()));
    draft.set("needs.users", json!(0));
    draft.set("cluster.podCidr", json!("10.20.0.0/16"));
    let (_, wrong) = said(&draft);
    assert!(wrong.contains(&"cidr-host cluster.podCidr".to_owned()), "{wrong:?}");
    assert!(wrong.iter().any(|one| one.ends_with("needs.users")), "{wrong:?}");
}

#[test]
fn a_half_written_part_leaves_its_section_open_and_the_rest_judged() {
    let mut draft = Draft::default();
    draft.set("sizing.workers.count", json!(3));
    draft.set("services.database.host", json!("10.20.0.9"));
    draft.set("cluster.endpoint", json!("10.20.0.1"));
    let (missing, wrong) = said(&draft);
    assert!(missing.contains(&"missing-key sizing.workers.reason".to_owned()), "{missing:?}");
    assert!(missing.contains(&"missing-key services.database.user".to_owned()), "{missing:?}");
    assert!(wrong.contains(&"endpoint cluster.endpoint".to_owned()), "{wrong:?}");
    assert_eq!(saved(&draft).1, ["access", "cluster", "hosts", "metadata", "services", "sizing"]);
    assert_eq!(draft.so_far().unwrap().sizing.unwrap().workers.unwrap().count, 3);
    // Nobody calculates with half a machine.
    draft.set("sizing.machine.cpus", json!(8));
    assert_eq!(draft.so_far().unwrap().sizing.unwrap().machine, None);
    draft.take("sizing.machine");
    assert_eq!(draft.take("sizing.workers.count"), Some(json!(3)));
    assert_eq!(draft.get("sizing"), None, "no empty maps are left");
}

#[test]
fn certificates_in_files_are_read_only_where_that_is_wanted() {
    let mut draft = Draft::default();
    draft.set("customerCa.file", json!("/nonexistent.pem"));
    let pure = Circumstances { files: false, ..today() };
    assert_eq!(draft.judge(&pure).wrong, []);
    assert!(!draft.to_text(&BTreeSet::new(), &pure).unwrap().1.contains("customerCa"));
    assert_eq!(said(&draft).1, ["certificates customerCa.file"]);
    assert!(saved(&draft).1.contains(&"customerCa".to_owned()));
}

#[test]
fn names_of_the_product_may_have_points_and_values_stay_as_they_are() {
    let text = "apiVersion: sealift/v1\nkind: Site\nmetadata: {name: plant}\ninteractive: [hosts, access]\n\
                product:\n  settings: {a.b: \"1.30\", n: 1.5, on: true, list: [x, \"y z\"], text: \"007\"}\n";
    let mut draft = Draft::read(text, "site.yaml").unwrap();
    assert_eq!(draft.left_open().len(), 2);
    assert_eq!(draft.get("product.settings.a.b"), Some(&json!("1.30")));
    draft.set("product.settings.c.d", json!("x"));
    let again = Draft::read(&saved(&draft).0, "again.yaml").unwrap();
    assert_eq!(again.get("product.settings"), draft.get("product.settings"));
}

#[test]
fn text_that_looks_like_a_number_stays_text() {
    let mut draft = Draft::default();
    for (name, text) in [("a", "7"), ("b", "TRUE"), ("c", "~"), ("d", ""), ("e", "1.30"), ("f", "nan")] {
        draft.set(&format!("product.settings.{name}"), json!(text));
    }
    draft.set("needs.users", json!("7"));
    draft.set("hosts[0].address", json!("10.20.0.300"));
    let judged = draft.judge(&today());
    let wrong: Vec<&str> = judged.wrong.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(wrong, ["`hosts[0].address` is `10.20.0.300`", "`needs.users` is the text \"7\""]);
    for path in ["needs.users", "hosts[0].address"] {
        draft.take(path);
    }
    let again = Draft::read(&saved(&draft).0, "again.yaml").unwrap();
    assert_eq!(again.get("product.settings"), draft.get("product.settings"));
}

#[test]
fn what_is_no_profile_is_refused_with_places_and_nothing_else_is() {
    let refused = |text: &str| match Draft::read(text, "site.yaml") {
        Err(ProfileError::Invalid(invalid)) => invalid.to_string(),
        other => panic!("{other:?}"),
    };
    let head = "apiVersion: sealift/v1\nkind: Site\n";
    assert!(refused("").contains("site.yaml:1:1: the file is empty"));
    assert!(refused(&format!("{head}hots: []\n")).contains("site.yaml:3:1: `hots` is not known"));
    let literal = refused(&format!("{head}access: {{user: ops, password: hunter2}}\n"));
    assert!(literal.contains("holds the secret itself") && !literal.contains("hunter2"), "{literal}");
    // Missing and wrong in meaning can be mended in the wizard.
    assert!(Draft::read(&format!("{head}cluster: {{endpoint: 10.0.0.1}}\n"), "site.yaml").is_ok());
}
