//! Facts in files: what is written, what is refused, whose they are, and how they are judged.

#![allow(clippy::unwrap_used)] // a test may fall over, and so may what tests share

mod world;

use proptest::prelude::*;
use sealift_checks::facts::Facts;
use sealift_checks::{
    CheckInput, FactsFile, ImportError, MAX_BYTES, Record, RecordError, State, assign, run, run_alone,
};
use sealift_profile::HostRole;
use serde_json::Value;
use world::World;

const TAKEN: i64 = 1_795_000_000_000;

fn record(world: &World, host: &str) -> Record {
    Record::new(world.facts[host].clone(), "0.1.0", TAKEN, Some(HostRole::Worker))
}

fn file(path: &str, record: Record) -> FactsFile {
    FactsFile { path: path.to_owned(), record }
}

/// The text with its checksum made anew, as somebody would who wants to fool the reader.
fn with(text: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut value: Value = serde_json::from_str(text).unwrap();
    change(&mut value);
    value.to_string()
}

#[test]
fn a_file_comes_back_as_it_was_and_holds_no_identity() {
    let world = World::healthy();
    let written = record(&world, "w1");
    let text = written.to_json();
    assert_eq!(Record::from_json(text.as_bytes()).unwrap(), written);
    let identities = [&world.facts["w1"].machine_id, &world.facts["w1"].product_uuid];
    assert!(identities.iter().all(|identity| !text.contains(identity.as_str())));
    assert_eq!(record(&world, "w1").facts.machine_id, written.facts.machine_id, "clones are still told");
    // White space is nobody's business.
    let compact = with(&text, |_| {});
    assert_eq!(Record::from_json(compact.as_bytes()).unwrap(), written);
}

#[test]
fn what_is_no_facts_file_is_refused_with_its_reason() {
    let text = record(&World::healthy(), "m1").to_json();
    let refused = |text: &str| Record::from_json(text.as_bytes()).unwrap_err();
    assert!(matches!(refused(""), RecordError::NotJson(_)));
    assert!(matches!(refused("# a profile\nkind: Site"), RecordError::NotJson(_)));
    assert!(matches!(refused(&text[..text.len() / 2]), RecordError::NotJson(_)));
    assert!(matches!(refused(&"[".repeat(100_000)), RecordError::NotJson(_)));
    assert!(matches!(refused("[]"), RecordError::OtherKind(_)));
    assert!(matches!(refused(r#"{"kind": "Site"}"#), RecordError::OtherKind(kind) if kind == "Site"));
    let newer = with(&text, |value| value["apiVersion"] = "sealift/v2".into());
    assert!(matches!(refused(&newer), RecordError::Newer(version) if version == "sealift/v2"));
    let edited = with(&text, |value| value["facts"]["cpus"] = 64.into());
    assert!(matches!(refused(&edited), RecordError::Damaged));
    let added = with(&text, |value| value["remark"] = "x".into());
    assert!(matches!(refused(&added), RecordError::Damaged));
    let large = " ".repeat(usize::try_from(MAX_BYTES).unwrap() + 1);
    assert!(matches!(refused(&large), RecordError::TooLarge));
}

#[test]
fn files_go_to_the_host_with_their_address_or_else_their_name() {
    let mut world = World::healthy();
    world.host("w1").hostname = "M1.plant.example".into();
    world.host("m1").interfaces.pop();
    world.host("m1").hostname = "m1.plant.example".into();
    let files = ["w1", "m1"].map(|host| file(&format!("{host}.json"), record(&world, host)));
    let found = assign(&world.site, files.to_vec()).unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["m1", "w1"]);
    assert_eq!(found["w1"].facts.hostname, "M1.plant.example", "the address counts more than the name");
}

#[test]
fn every_file_that_fits_nowhere_or_twice_is_named() {
    let mut world = World::healthy();
    let twice = record(&world, "w1");
    world.host("w2").hostname = "db7\u{1b}[31m".into();
    world.host("w2").interfaces[1].addresses = vec!["192.168.7.4/24".parse().unwrap()];
    let files = vec![
        file("facts/w1.json", twice.clone()),
        file("facts/other.json", record(&world, "w2")),
        file("facts/w1-again.json", twice),
        file("facts/m1.json", record(&world, "m1")),
    ];
    let errors = assign(&world.site, files).unwrap_err();
    assert_eq!(
        errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "facts/other.json is of a host that the profile does not name: it calls itself db7[31m and has 192.168.7.4",
            "facts/w1.json and facts/w1-again.json are all of w1",
        ]
    );
    assert!(matches!(&errors[1], ImportError::Twice { host, .. } if host == "w1"));
}

#[test]
fn facts_from_files_are_judged_as_if_seen_and_say_how_old_they_are() {
    let mut world = World::healthy();
    world.facts.remove("w2");
    world.host("w1").cpus = 1;
    world.in_files().insert("w1".into(), 3 * 86_400_000);
    let findings = world.findings();
    let of = |check: &str, host: &str| {
        findings.iter().find(|one| one.check == check && one.host.as_deref() == Some(host)).unwrap()
    };
    assert_eq!(of("cpu.count", "w1").state, State::Warn);
    assert_eq!(of("cpu.count", "w1").measured, "1 processor (as of 3 days ago)");
    assert_eq!(of("cpu.count", "m1").measured, "8 processors (as of 24 hours ago)");
    // No file, and what only the seat can see: not run, and in nobody's way.
    assert!(
        findings.iter().filter(|one| one.host.as_deref() == Some("w2")).all(|one| one.state == State::NotRun)
    );
    for seat in ["clock.skew", "access.root", "access.round-trip"] {
        assert_eq!(of(seat, "m1").state, State::NotRun, "{seat}");
    }
    assert!(sealift_checks::blocking(&findings, &world.site).is_empty());
    assert!(findings.iter().all(|finding| finding.fixes.is_empty()));
}

#[test]
fn one_host_alone_is_judged_without_the_others_and_without_a_bundle() {
    let mut world = World::healthy();
    world.site.hosts.retain(|host| host.name == "m1");
    world.facts.retain(|name, _| name == "m1");
    world.host("m1").attempts = None;
    let ages = [("m1".to_owned(), 0)].into();
    let findings = run_alone(&CheckInput::without_bundle(&world.site, &world.facts).aged(&ages));
    let waiting: Vec<&str> =
        findings.iter().filter(|one| one.state == State::NotRun).map(|one| one.check).collect();
    let expected = [
        "access.root",
        "access.round-trip",
        "os.architecture",
        "network.mesh-tcp",
        "network.mesh-udp",
        "network.latency",
        "disk.space",
        "disk.headroom",
    ];
    assert_eq!(waiting, expected);
    assert!(findings.iter().all(|one| matches!(one.state, State::Pass | State::NotRun)), "{findings:#?}");
    assert!(findings.len() > 70, "{}", findings.len());
    let with = run_alone(&world.input());
    assert!(with.iter().any(|one| one.check == "disk.space" && one.state == State::Pass));
    assert!(with.iter().all(|one| one.host.is_some() && one.check != "identity.mac"));
}

/// Every number and text of a JSON document, by its place.
fn leaves(value: &mut Value, visit: &mut dyn FnMut(&mut Value)) {
    match value {
        Value::Object(members) => members.values_mut().for_each(|value| leaves(value, visit)),
        Value::Array(items) => items.iter_mut().for_each(|value| leaves(value, visit)),
        leaf => visit(leaf),
    }
}

fn nonsense() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(Value::from(0)),
        Just(Value::from(1)),
        Just(Value::from(65_535)),
        Just(Value::from(i64::MAX)),
        Just(Value::from(-1)),
        Just(Value::from(u64::MAX)),
        Just(Value::from(i64::MIN)),
        Just(Value::from(u32::MAX)),
        Just(Value::from(1.5)),
        Just(Value::from(true)),
        Just(Value::from("0.0.0.0/0")),
        Just(Value::from("::/0")),
        Just(Value::from("")),
        ".{0,40}".prop_map(Value::from),
        Just(Value::Array(Vec::new())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_bytes_there_are_the_reader_answers(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Record::from_json(&bytes).is_err());
    }

    #[test]
    fn a_damaged_file_is_refused_or_means_the_same(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let written = record(&World::healthy(), "w1");
        let mut bytes = written.to_json().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = Record::from_json(&bytes) {
            prop_assert_eq!(read, written);
        }
        prop_assert!(Record::from_json(&bytes[..at]).is_err());
    }

    /// Absurd facts are refused or judged; nothing falls over, and nothing absurd goes to a terminal as it is.
    #[test]
    fn absurd_facts_are_judged_all_the_same(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), nonsense()), 20..60),
        age in any::<i64>(),
    ) {
        let mut world = World::healthy();
        world.work_for(1_000);
        let mut value = serde_json::to_value(&world.facts["m1"]).unwrap();
        let mut count = 0;
        leaves(&mut value, &mut |_| count += 1);
        for (at, new) in changes {
            let (at, mut now, mut changed) = (at.index(count), 0, value.clone());
            leaves(&mut changed, &mut |leaf| {
                if now == at {
                    *leaf = new.clone();
                }
                now += 1;
            });
            // What the reader refuses by its type is shown above.
            if serde_json::from_value::<Facts>(changed.clone()).is_ok() {
                value = changed;
            }
        }
        let facts: Facts = serde_json::from_value(value).unwrap();
        let text = Record::new(facts, "0.1.0", age, None).to_json();
        let read = Record::from_json(text.as_bytes()).unwrap();
        *world.host("m1") = read.facts;
        world.in_files().insert("m1".into(), age);
        for finding in run(&world.input()) {
            prop_assert!(!finding.to_string().replace('\n', " ").contains(char::is_control), "{}", finding);
        }
        world.ages = None;
        prop_assert!(!run(&world.input()).is_empty());
    }
}
