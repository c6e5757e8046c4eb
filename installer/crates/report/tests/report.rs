//! Reports of the demo site and of a site of twelve hosts with three failed checks: what they say, in which words, and
//! how they look in each form.
#![allow(clippy::unwrap_used)] // a test may fall over

mod language;
mod printed;
mod questionnaire;
mod world;

use std::path::Path;

use sealift_events::RunResult;
use sealift_profile::{AcceptedRisk, CountOverride, SecretRef, SizingOverrides};
use sealift_report::{
    Document, Language, Readiness, Report, RiskState, Stage, TestResult, Words, compare, document, from_json,
    html, text, to_json,
};
use serde_json::{Value, json};
use world::World;

/// Every sort of report: before (looked at or not), during, after.
fn cases() -> Vec<(&'static str, World)> {
    let hosts = ["m1", "m2", "m3", "w1", "w2"];
    let run = |end| Some(world::run(&hosts, 540_000, end));
    let no_model = {
        let mut world = World::demo();
        world.document.sizing = None;
        world
    };
    vec![
        ("demo", World::demo()),
        ("twelve", World::twelve()),
        ("offline", World { looked: false, ..World::twelve() }),
        ("running", World { run: run(None), ..World::demo() }),
        ("stopped", World { run: run(Some(RunResult::Failed)), ..World::demo() }),
        ("handover", World { run: run(Some(RunResult::Done)), ..World::demo() }),
        ("no-model", no_model),
        ("beyond", beyond()),
    ]
}

/// More people than any machine to choose from can bear.
fn beyond() -> World {
    let mut world = World { looked: false, ..World::twelve() };
    world.site.needs.as_mut().unwrap().users = Some(9_000_000);
    world
}

/// The text of one section.
fn section(set: &Document, id: &str) -> String {
    let section = set.sections.iter().find(|section| section.id == id).unwrap();
    section.texts().join("\n")
}

/// They are left for people to look at: `target/tmp/report-*`.
#[test]
fn every_case_is_set_in_every_form_and_language() {
    for (name, world) in cases() {
        let report = world.report();
        for language in Language::ALL {
            let set = document(&report, language);
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
            let stem = format!("report-{name}-{}", language.tag());
            let page = html(&set);
            assert!(page.starts_with(&format!("<!doctype html>\n<html lang=\"{}\">", language.tag())));
            for part in
                ["<meta charset=\"utf-8\">", "@page { size: A4", "width=device-width", "break-before: page"]
            {
                assert!(page.contains(part), "{part}");
            }
            for part in ["<script", "<link", "<img", "http://", "https://", "url(", "@import", "src="] {
                assert!(!page.contains(part), "{name}: {part}");
            }
            std::fs::write(folder.join(format!("{stem}.html")), page).unwrap();
            std::fs::write(folder.join(format!("{stem}.txt")), text(&set)).unwrap();
        }
    }
}

#[test]
fn page_one_says_how_many_machines_by_when_and_what_is_needed() {
    let report = World::twelve().report();
    let set = document(&report, Language::English);
    let page = section(&set, "decision");
    for part in [
        "5 machines in your data centre will run Orders for 2,000 people, without internet.",
        "READY WITH CONDITIONS",
        "To be mended first: 3 things.",
        "3 machines\n4 cores, 16 GB memory, 70 GB disk",
        "Any one of them can fail, and Orders goes on.",
        "You have named 12 machines. They suffice today",
        "working days in all, so between",
        "Who mends it: your storage team.",
        "By 26 Nov 2026, your network team: the firewall request, granted.",
        "10 % of people work at the same time.\n",
        "Tell us if not: it changes the numbers.",
    ] {
        assert!(page.contains(part), "`{part}` is not in\n{page}");
    }
    let must: Vec<(&str, Vec<&str>)> = report
        .risks
        .iter()
        .filter(|risk| risk.state == RiskState::MustMend)
        .map(|risk| (risk.topic.as_str(), risk.hosts.iter().map(String::as_str).collect()))
        .collect();
    let mut topics = must.clone();
    topics.sort_unstable();
    let expected = [("clock", vec!["w5"]), ("clones", vec!["w2", "w3"]), ("disk-speed", vec!["m1"])];
    assert_eq!(topics, expected);
    assert_eq!(report.risks[0].id, "R1");
    // The first page of paper: what a reader without a second one has.
    let lines = text(&set).lines().position(|line| line.starts_with("2  ")).unwrap();
    assert!(lines < 70, "the first section takes {lines} lines");
}

#[test]
fn before_during_and_after_differ_in_what_is_filled_in() {
    let stage = |name: &str| {
        let (_, world) = cases().into_iter().find(|(case, _)| *case == name).unwrap();
        let report = world.report();
        (report.heading.stage, report.decision.readiness, report)
    };
    let expected = [
        ("demo", Stage::Proposal, Readiness::Ready),
        ("offline", Stage::Proposal, Readiness::Unknown),
        ("running", Stage::Running, Readiness::Installing),
        ("stopped", Stage::Running, Readiness::Stopped),
        ("handover", Stage::Handover, Readiness::Installed),
    ];
    for (name, wanted, word) in expected {
        let (found, readiness, _) = stage(name);
        assert_eq!((found, readiness), (wanted, word), "{name}");
    }
    let results =
        |report: &Report| report.acceptance.iter().map(|test| test.result.clone()).collect::<Vec<_>>();
    assert!(results(&stage("demo").2).iter().all(|result| *result == TestResult::Open));
    let failed = results(&stage("stopped").2);
    assert_eq!(failed[0], TestResult::Failed("2 of 9 tests failed".into()));
    let (_, _, after) = stage("handover");
    let passed = results(&after);
    assert_eq!(passed[0], TestResult::Passed("9 of 9 passed".into()));
    assert!(matches!(passed[1], TestResult::Passed(_)) && passed.last() == Some(&TestResult::Open));
    let install = after.timeline.phases.iter().find(|phase| phase.id == "install").unwrap();
    assert_eq!((install.time.optimistic, install.time.pessimistic, install.done), (9, 9, true), "540 s");
    let words = section(&document(&after, Language::English), "timeline");
    assert!(words.contains("Measured by the run itself."), "{words}");
    let (_, _, before) = stage("offline");
    assert!(before.annex.matrix.is_empty() && before.annex.summary.is_none());
    assert_eq!(before.timeline.phases.iter().filter(|phase| phase.done).count(), 0);
}

#[test]
fn what_no_machine_can_bear_is_said_and_not_hidden() {
    let report = beyond().report();
    assert_eq!((report.decision.readiness, report.decision.machines.len()), (Readiness::NotReady, 0));
    assert_eq!((report.risks[0].topic.as_str(), &report.risks[0].state), ("beyond", &RiskState::MustMend));
    let set = document(&report, Language::English);
    let decision = section(&set, "decision");
    assert!(decision.contains("No usual machines are large enough for Orders"), "{decision}");
    assert!(decision.contains("Whether one of them may fail cannot be said."), "{decision}");
    assert!(!section(&set, "told").contains("The vendor gave no numbers"));
    assert!(section(&set, "annex").contains("no machine to choose from has that free"));
}

#[test]
fn an_unlooked_site_needs_longer_than_one_that_is_ready() {
    let days = |world: World| world.report().timeline.total;
    let looked = days(World::twelve());
    let unseen = days(World { looked: false, ..World::twelve() });
    assert!(unseen.likely > looked.likely && unseen.pessimistic > unseen.likely && unseen.optimistic >= 1);
}

#[test]
fn earlier_runs_calibrate_the_time_of_the_install() {
    let likely = |earlier: Vec<Vec<sealift_events::Record>>| {
        let report = World { earlier, ..World::demo() }.report();
        let phase = report.timeline.phases.iter().find(|phase| phase.id == "install").unwrap().clone();
        let words = Words::of(Language::English).say(&phase.time.reason);
        (phase.time.likely, words)
    };
    let hosts = ["m1", "m2", "m3", "w1", "w2"];
    let slow = || world::run(&hosts, 3_000_000, Some(RunResult::Done));
    let (alone, words) = likely(Vec::new());
    assert!(words.ends_with("Not yet compared with earlier runs."), "{words}");
    let (slower, words) = likely(vec![slow(), slow()]);
    assert!(slower > 2 * alone && words.contains("Compared with 2 earlier runs"), "{slower} {alone} {words}");
    let failed = world::run(&hosts, 3_000_000, Some(RunResult::Failed));
    assert_eq!(likely(vec![failed]).0, alone, "a run that failed says nothing about time");
}

#[test]
fn what_the_site_decides_and_accepts_is_said_with_its_reason() {
    let mut world = World::twelve();
    world.site.sizing = Some(SizingOverrides {
        workers: Some(CountOverride { count: 9, reason: "they are there already".into() }),
        ..SizingOverrides::default()
    });
    world.site.accepted_risks = vec![AcceptedRisk {
        check: "disk.etcd-fsync".into(),
        host: None,
        person: "Wang Fang".into(),
        reason: "a new disk is ordered".into(),
        until: "2026-12-20".into(),
    }];
    let report = world.report();
    let set = document(&report, Language::English);
    assert!(section(&set, "told").contains("9 machines work"), "{}", section(&set, "told"));
    assert!(section(&set, "told").contains("they are there already"));
    let risks = section(&set, "risks");
    assert!(risks.contains("ACCEPTED by Wang Fang until 2026-12-20"), "{risks}");
    assert!(risks.contains("is accepted until 20 Dec 2026 only"), "it ends soon\n{risks}");
    let accepted = report.risks.iter().find(|risk| matches!(risk.state, RiskState::Accepted { .. })).unwrap();
    assert_eq!(accepted.checks, ["disk.etcd-fsync"]);
}

#[test]
fn weaknesses_that_no_check_finds_are_risks() {
    let topics = |world: World| {
        let report = world.report();
        report.risks.iter().map(|risk| risk.topic.clone()).collect::<Vec<_>>()
    };
    let demo = topics(World::demo());
    for topic in ["assumed", "backup", "one-place", "single-copy"] {
        assert!(demo.iter().any(|one| one == topic), "{topic} is not in {demo:?}");
    }
    let twelve = topics(World::twelve());
    assert!(!twelve.iter().any(|one| one == "one-place" || one == "single-machine"), "{twelve:?}");
    let mut alone = World::demo();
    alone.site.hosts.retain(|host| host.name == "m1" || host.name == "w1");
    let alone = topics(alone);
    assert!(alone.iter().any(|one| one == "single-machine"), "{alone:?}");
    assert!(alone.iter().any(|one| one == "too-small"), "two machines leave none to spare: {alone:?}");
}

#[test]
fn nothing_that_others_wrote_becomes_markup_or_a_secret() {
    let mut world = World::twelve();
    let hostile = "<script>alert(1)</script>\"'&\u{1b}[2J\u{202e}";
    world.document.product.title = hostile.into();
    world.document.sizing.as_mut().unwrap().parts[1].title = hostile.into();
    world.site.metadata.name = format!("a\"; }} </style>{hostile}");
    world.site.hosts[0].labels.insert("note".into(), hostile.into());
    world.site.accepted_risks = vec![AcceptedRisk {
        check: "clock.skew".into(),
        host: None,
        person: hostile.into(),
        reason: hostile.into(),
        until: hostile.into(),
    }];
    world.host("w1").os.name = hostile.into();
    world.site.product.secrets.insert(
        "sealed".into(),
        SecretRef::Sealed(
            "-----BEGIN AGE ENCRYPTED FILE-----\nc2VjcmV0\n-----END AGE ENCRYPTED FILE-----".into(),
        ),
    );
    let report = world.report();
    for language in Language::ALL {
        let set = document(&report, language);
        let page = html(&set);
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;alert(1)"), "{page}");
        assert_eq!(page.matches("</style>").count(), 1);
        for form in [&page, &text(&set)] {
            assert!(!form.contains('\u{1b}') && !form.contains('\u{202e}'));
            assert!(!form.contains("c2VjcmV0") && form.contains("(sealed text, not shown)"));
        }
    }
    assert!(!to_json(&report, Language::English).contains("c2VjcmV0"));
}

#[test]
fn text_keeps_to_eighty_columns() {
    for (name, world) in cases() {
        let report = world.report();
        for language in Language::ALL {
            let set = text(&document(&report, language));
            // The profile and the matrix stand as they are.
            let main = set.split("\nAnnex for engineers\n").next().unwrap();
            let main = main.split("\n附录（供工程师）\n").next().unwrap();
            for line in main.lines() {
                let columns: usize = line.chars().map(|c| if u32::from(c) > 0x2e80 { 2 } else { 1 }).sum();
                assert!(columns <= 80, "{name}: {columns} columns: {line}");
            }
        }
    }
}

#[test]
fn json_comes_back_and_every_number_in_it_has_unit_and_reason() {
    for (name, world) in cases() {
        let report = world.report();
        for language in Language::ALL {
            let written = to_json(&report, language);
            assert_eq!(from_json(&written).unwrap(), report, "{name}");
            let value: Value = serde_json::from_str(&written).unwrap();
            assert_eq!(value["language"], json!(language));
            let mut numbers = 0;
            explained(&value, &mut numbers);
            assert!(numbers >= 10, "{numbers} numbers");
        }
    }
    assert!(from_json("{}").unwrap_err().to_string().contains("`nothing`"));
    assert!(from_json("nonsense").is_err());
}

/// An amount has a unit; what holds one has a reason, whose words are complete.
fn explained(value: &Value, numbers: &mut usize) {
    match value {
        Value::Object(map) => {
            if map.contains_key("amount") || map.contains_key("optimistic") || map.contains_key("cells") {
                let text = map["reason"]["text"].as_str().unwrap_or_default();
                assert!(!text.is_empty() && !text.contains('['), "{value}");
                *numbers += 1;
            }
            if map.get("value").is_some_and(Value::is_number) || map.contains_key("optimistic") {
                assert!(map["unit"].is_string(), "{value}");
            }
            map.values().for_each(|inner| explained(inner, numbers));
        }
        Value::Array(list) => list.iter().for_each(|inner| explained(inner, numbers)),
        _ => {}
    }
}

#[test]
fn equal_inputs_give_equal_reports_and_others_are_compared() {
    let old = World::twelve().report();
    assert_eq!(World::twelve().report(), old);
    let words = Words::of(Language::English);
    assert_eq!(compare(&old, &old, words), []);
    let mut world = World::twelve();
    world.site.needs.as_mut().unwrap().users = Some(20_000);
    world.host("w5").clock.skew_millis = 40;
    world.host("w8").memory_bytes = 1 << 30;
    let found = compare(&old, &world.report(), words);
    let named = |what: &str| found.iter().find(|one| one.what.starts_with(what));
    let users = named("needs.users").unwrap();
    assert_eq!(users.was.as_deref(), Some("2,000 people have an account. (You)"));
    assert_eq!(users.is.as_deref(), Some("20,000 people have an account. (You)"));
    assert!(named("Work: run the product").is_some(), "{found:?}");
    assert!(named("Risk: Clocks do not agree").unwrap().is.is_none());
    assert_eq!(named("Risk: A machine has too little memory").unwrap().is.as_deref(), Some("w8"));
}
