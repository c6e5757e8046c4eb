//! `installer size` as people and machines get it: the real program on a small real bundle.

use serde_json::Value;

use crate::seat::{Ended, Seat, program};

impl Seat {
    fn size(&self, arguments: &[&str]) -> Ended {
        self.run("size", arguments)
    }

    /// The last line of JSON with topic `size`.
    fn json(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let ended = self.size(&[arguments, &["--output", "json"]].concat());
        let mut lines = ended.output.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let found = lines.rfind(|line| line["topic"] == "size");
        (ended.code, found.unwrap_or_else(|| panic!("{}{}", ended.output, ended.errors)))
    }
}

/// What stands below the lines about the bundle.
fn page(output: &str) -> &str {
    output.split_once("\n\n").unwrap().1
}

const PROFILE: &str = "apiVersion: sealift/v1
kind: Site
metadata: {name: harbin-plant}
access: {user: ops, password: {prompt: ops}, knownHosts: /dev/null}
hosts:
  - {name: m1, address: 10.20.0.11, role: control-plane}
  - {name: w1, address: 10.20.0.21, role: worker}
needs: {users: 500, concurrentPercent: 20, availability: no-spare}
sizing:
  workers: {count: 2, reason: two fit into the rack}
";

#[test]
fn people_get_machines_first_and_no_jargon() {
    let seat = Seat::new();
    let ended = seat.size(&["--users", "2000"]);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let page = page(&ended.output);
    assert!(page.starts_with("In one sentence   "), "{page}");
    let flat = page.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "machines will run Orders for 2,000 people, without internet.",
        "Machines 3 x (4 cores, 16 GB memory,",
        "that steer,",
        "that work. Any one of them can fail and Orders goes on.",
        "Why so many ",
        "With growth 3 x (",
        "At the very least ",
        "The order database keeps its data once",
        "We assumed ASSUMED: 10 % of people work at the same time.",
        "Tell us if not: it changes the numbers.",
    ] {
        assert!(flat.contains(part), "`{part}` is not in\n{page}");
    }
    for word in ["kube", "pod", "node", "etcd", "master", "cluster", "replica", "container"] {
        assert!(!page.to_lowercase().contains(word), "`{word}` stands in\n{page}");
    }
    assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
    let why = seat.size(&["--users", "2000", "--why"]);
    let flat = why.output.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.contains("The order page needs 1.2 cores: 38.84 requests per second at 20 ms"),
        "{}",
        why.output
    );
    assert!(flat.contains("/var/lib/orders/database on machines that work:"), "{}", why.output);
}

#[test]
fn machines_get_every_number_with_reason_and_inputs() {
    let seat = Seat::new();
    let (code, answer) = seat.json(&["--users", "2000", "--shape", "8c/32GiB"]);
    assert_eq!((code, &answer["version"]), (Some(0), &Value::from(1)));
    let sizing = &answer["data"]["sizing"];
    assert_eq!(answer["data"]["product"]["name"], "orders");
    let kinds: Vec<&Value> = sizing["tiers"].as_array().unwrap().iter().map(|tier| &tier["kind"]).collect();
    assert_eq!(kinds, ["minimum", "recommended", "withGrowth"]);
    let tier = &sizing["tiers"][1];
    let keys: Vec<&String> = tier.as_object().unwrap().keys().collect();
    // The documented shape: what is added here stays.
    for key in [
        "binding", "classes", "cpu", "disks", "kind", "load", "masters", "memory", "oneDown", "parts",
        "pods", "slack", "workers",
    ] {
        assert!(keys.iter().any(|found| *found == key), "{key} is not in {keys:?}");
    }
    assert_eq!(tier["workers"]["shape"], serde_json::json!({"millicores": 8000, "memoryBytes": 32u64 << 30}));
    let cpu = &tier["parts"][0]["cpu"];
    assert_eq!((&cpu["amount"], &cpu["unit"]), (&Value::from(1195), &Value::from("millicores")));
    assert_eq!(cpu["inputs"][0], "needs.users");
    assert_eq!(sizing["answers"][0]["assumed"], true);
    assert!(answer["data"]["verdict"].is_null());
}

#[test]
fn machines_that_are_there_are_judged_and_the_exit_code_tells() {
    let seat = Seat::new();
    let small =
        ["--users", "2000", "--host", "2c/4GiB/60GiB", "--host", "2c/4GiB/60GiB", "--host", "2c/4GiB"];
    let ended = seat.size(&small);
    assert_eq!(ended.code, Some(3), "{}", ended.output);
    let page = page(&ended.output);
    assert!(page.starts_with("Verdict           NO. These 3 machines do not suffice for Orders"), "{page}");
    assert!(page.contains("Missing today     Processors: "), "{page}");
    assert!(page.contains("machine 1 steers and works: 2 cores, 4 GB memory"), "{page}");
    assert!(page.contains("Not judged        The disks of machine 3"), "{page}");
    assert!(
        ended.errors.starts_with("error: These 3 machines do not suffice for 2,000 people"),
        "{}",
        ended.errors
    );

    let master = ["--host", "master:4c/16GiB/200GiB"].repeat(3);
    let worker = ["--host", "worker:8c/32GiB/2TiB"].repeat(3);
    let large = [vec!["--users", "2000"], master, worker].concat();
    let ended = seat.size(&large);
    assert_eq!(ended.code, Some(0), "{}{}", ended.output, ended.errors);
    assert!(self::page(&ended.output).starts_with("Verdict           YES. These 6 machines suffice"));
    let (code, answer) = seat.json(&large);
    let verdict = &answer["data"]["verdict"];
    assert_eq!((code, &verdict["suffices"]), (Some(0), &Value::Bool(true)));
    let most = verdict["mostUsers"].as_u64().unwrap();
    assert!(most >= 2000);
    // The answer is sharp: one more is too many.
    for (users, code) in [(most, 0), (most + 1, 3)] {
        let users = users.to_string();
        let asked = [&["--users", users.as_str()][..], &large[2..]].concat();
        assert_eq!(seat.json(&asked).0, Some(code), "{users}");
    }
}

#[test]
fn the_profile_gives_needs_overrides_and_roles() {
    let seat = Seat::new();
    let profile = seat.write("site.yaml", PROFILE);
    let ended = seat.size(&["--profile", &profile]);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let flat = ended.output.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("for 500 people"), "{flat}");
    assert!(flat.contains("You decided 2 machines instead of 1 machine: two fit into the rack."), "{flat}");
    assert!(!flat.contains("ASSUMED: 20 % of people") && flat.contains("ASSUMED: data are kept"), "{flat}");
    let table = seat.write("hosts.csv", "name;cpus;memoryGiB;diskGiB\nm1;4;16;200\nw1;8;32;2000\n");
    let (code, answer) = seat.json(&["--profile", &profile, "--hosts-file", &table, "--users", "600"]);
    assert_eq!(code, Some(0), "{answer}");
    let hosts = &answer["data"]["verdict"]["hosts"];
    assert_eq!((&hosts[0]["name"], &hosts[0]["steers"]), (&Value::from("m1"), &Value::Bool(true)));
    assert_eq!((&hosts[1]["works"], &hosts[1]["steers"]), (&Value::Bool(true), &Value::Bool(false)));
}

#[test]
fn a_test_site_is_sized_without_spare_and_growth_and_keeps_what_it_says() {
    let seat = Seat::new();
    let head = PROFILE.split("needs:").next().unwrap();
    let sized = |name: &str, more: &str| {
        let profile = seat.write(name, &format!("{head}{more}"));
        seat.json(&["--profile", &profile]).1["data"]["sizing"].take()
    };
    let answer = |sizing: &Value, key: &str| {
        let list = sizing["answers"].as_array().unwrap();
        list.iter().find(|answer| answer["key"] == key).unwrap()["text"].as_str().unwrap().to_owned()
    };
    let (usual, trial) = (sized("usual.yaml", ""), sized("test.yaml", "environment: test\n"));
    assert_eq!(answer(&usual, "needs.retentionDays"), "data are kept for 365 days");
    assert_eq!(answer(&trial, "needs.retentionDays"), "data are kept for 7 days");
    assert_eq!(answer(&trial, "needs.growth.years"), "the machines shall do for 0 years");
    let masters = |sizing: &Value| sizing["tiers"][1]["masters"]["count"]["amount"].clone();
    assert_eq!((masters(&usual), masters(&trial)), (3.into(), 1.into()));

    let own = sized("own.yaml", "nodes: {reserved: {memoryMebibytes: 6000}}\n");
    let because = own["tiers"][1]["workers"]["because"].as_str().unwrap();
    assert!(because.contains("(decided by the site)"), "{because}");
}

#[test]
fn nonsense_is_refused_with_everything_that_is_wrong() {
    let seat = Seat::new();
    let ended = seat.size(&["--users", "0", "--think-seconds", "NaN", "--years", "99"]);
    assert_eq!((ended.code, ended.output.as_str()), (Some(2), ""));
    for part in ["`users` is 0: write a number from 1", "`thinkSeconds` is NaN", "`growth.years` is 99"] {
        assert!(ended.errors.contains(part), "{}", ended.errors);
    }
    let table = seat.write("hosts.csv", "cpus,memoryGiB\n4,x\n0,16\n");
    let ended = seat.size(&["--hosts-file", &table]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.errors.contains("line 2: `x` in memoryGiB") && ended.errors.contains("line 3: `0` in cpus")
    );
    let ended = seat.size(&["--host", "8 cores"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.errors.contains("such as 8c/32GiB/500GiB"), "{}", ended.errors);
    let ended = seat.size(&["--host", "a=8c/32GiB", "--host", "a=8c/32GiB"]);
    assert!(ended.errors.contains("the machine `a` was given twice"), "{}", ended.errors);
    let ended = seat.size(&["--shape", "1c/1GiB", "--users", "100000"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.errors.contains("no machine to choose from has that free"), "{}", ended.errors);
}

/// What this machine says of itself, as a file of a host with this name.
fn facts_file(seat: &Seat, name: &str) -> String {
    let out = seat.path(&format!("{name}.json"));
    let ended = program(&["kit", "--out", &out]);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    out
}

#[test]
fn measured_machines_are_judged_like_described_ones() {
    let seat = Seat::new();
    let file = facts_file(&seat, "here");
    let (code, line) = seat.json(&["--users", "10", "--availability", "no-spare", "--facts", &file]);
    let verdict = &line["data"]["verdict"];
    let hosts = verdict["hosts"].as_array().unwrap();
    assert_eq!((hosts.len(), &hosts[0]["works"]), (1, &Value::Bool(true)));
    let cores = std::thread::available_parallelism().unwrap().get() as u64 * 1000;
    assert_eq!(hosts[0]["shape"]["millicores"].as_u64(), Some(cores));
    assert!(hosts[0]["diskBytes"].as_u64().unwrap() > 1_000_000_000, "{verdict}");
    assert_eq!(code, Some(if verdict["suffices"].as_bool().unwrap() { 0 } else { 3 }));
}

#[test]
fn files_that_are_no_facts_are_named_with_what_is_wrong_all_at_once() {
    let seat = Seat::new();
    let garbage = seat.write("garbage.json", "kind: Site\n");
    let newer = seat.write("newer.json", r#"{"apiVersion": "sealift/v7", "kind": "HostFacts"}"#);
    let ended = seat.size(&["--facts", &garbage, "--facts", &newer, "--facts", "/nonexistent.json"]);
    assert_eq!(ended.code, Some(2), "{}", ended.errors);
    for part in
        ["3 things are wrong", "garbage.json: it is no JSON", "sealift/v7", "/nonexistent.json", "next: "]
    {
        assert!(ended.errors.contains(part), "{part}: {}", ended.errors);
    }
}

#[test]
fn a_file_of_one_host_is_judged_by_its_age_and_the_other_host_is_not_run() {
    let seat = Seat::new();
    let file = facts_file(&seat, "here");
    let written: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let hostname = written["facts"]["hostname"].as_str().unwrap().to_lowercase();
    let here = hostname.split('.').next().unwrap();
    let profile = PROFILE.replace("name: m1,", &format!("name: {here},"));
    let profile = seat.write("site.yaml", &profile);
    let check = |facts: &[&str]| {
        let mut arguments = vec!["--output", "json", "--profile", &profile];
        arguments.extend(facts.iter().flat_map(|path| ["--facts", path]));
        let ended = seat.run("check", &arguments);
        (ended.code, ended.output)
    };
    let (code, output) = check(&[&file]);
    assert!(matches!(code, Some(0 | 3)), "{output}");
    let line = |topic: &str| -> Value {
        let mut lines = output.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.find(|line| line["topic"] == topic).unwrap_or_else(|| panic!("no {topic} in {output}"))
    };
    assert_eq!(line("facts")["text"], "1 host of 2 from files; none of w1");
    let found = line("check");
    let findings = found["data"].as_array().unwrap();
    let of = |host: &str| findings.iter().filter(move |finding| finding["host"] == host).collect::<Vec<_>>();
    assert!(of(here).len() > 70 && of("w1").len() > 70);
    assert!(of("w1").iter().all(|finding| finding["state"] == "not-run"));
    let seen: Vec<_> = of(here).into_iter().filter(|finding| finding["state"] != "not-run").collect();
    assert!(seen.len() > 60);
    for finding in seen {
        assert!(finding["measured"].as_str().unwrap().ends_with("(as of a moment ago)"), "{finding}");
    }

    let (code, output) = check(&[&file, &file]);
    assert_eq!(code, Some(2));
    assert!(output.contains(&format!("are all of {here}")), "{output}");
}

#[test]
fn a_host_that_the_bundle_has_not_reached_is_judged_by_what_it_asks() {
    let seat = Seat::new();
    let asked = seat.path("asked.json");
    let (bundle, key) = (seat.bundle(), seat.path("vendor.pub"));
    let verified = program(&["verify", bundle, "--trust-key", &key, "--requirements", &asked]);
    assert_eq!(verified.code, Some(0), "{}", verified.errors);
    let kit = |requirements: &str| {
        let out = seat.path("kit.json");
        let ended = program(&["kit", "--output", "json", "--requirements", requirements, "--out", &out]);
        (ended.code, ended.output)
    };
    let (code, output) = kit(&asked);
    assert_eq!(code, Some(0), "{output}");
    let line = output
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|line| line["topic"] == "kit");
    let findings = line.unwrap()["data"].clone();
    let space =
        findings.as_array().unwrap().iter().find(|finding| finding["check"] == "disk.space").unwrap().clone();
    assert_ne!(space["state"], "not-run", "{space}");
    assert!(space["threshold"].as_str().unwrap().contains("for /var/lib/containerd"), "{space}");
    let garbage = seat.write("garbage.json", "{}");
    let (code, output) = kit(&garbage);
    assert!(code == Some(2) && output.contains("says nothing of what hosts need"), "{output}");
}
