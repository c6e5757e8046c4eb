//! `installer report` and `installer questionnaire` as people get them: the real program on a small real bundle.

use std::path::PathBuf;

use serde_json::Value;

use crate::seat::{Ended, Seat};

impl Seat {
    fn report(&self, arguments: &[&str]) -> Ended {
        let profile = self.path("site.yaml");
        self.run("report", &[&["--profile", &profile, "--offline", "--by", "Li Wei"], arguments].concat())
    }
}

const PROFILE: &str = "apiVersion: sealift/v1
kind: Site
metadata: {name: harbin-plant}
access: {user: ops, password: {prompt: ops}, knownHosts: /dev/null}
hosts:
  - {name: m1, address: 10.20.0.11, role: control-plane}
  - {name: w1, address: 10.20.0.21, role: worker}
needs: {users: 500}
";

#[test]
fn a_report_without_a_look_at_hosts_comes_in_every_form() {
    let seat = Seat::new();
    seat.write("site.yaml", PROFILE);
    let (page, text, data) = (seat.path("r.html"), seat.path("r.txt"), seat.path("r.json"));
    let ended = seat.report(&["--html", &page, "--text", &text, "--json", &data]);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert!(ended.output.contains("written to") && ended.output.contains("nothing was changed on any host"));
    assert!(seat.read("r.html").contains("<h1>Orders 4.2.0 for harbin-plant</h1>"));
    assert!(seat.read("r.txt").contains("NOT KNOWN YET") && seat.read("r.txt").contains("by Li Wei"));
    let report: Value = serde_json::from_str(&seat.read("r.json")).unwrap();
    assert_eq!((&report["kind"], &report["decision"]["readiness"]), (&"Report".into(), &"unknown".into()));
    let chinese = seat.report(&["--language", "zh"]);
    assert!(chinese.output.contains("需要您决定的事"), "without a file it is shown: {}", chinese.output);
    let lines = seat.report(&["--output", "json"]);
    let found = lines.output.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let shown = found.into_iter().find(|line| line["topic"] == "report").unwrap();
    assert_eq!(shown["data"]["heading"]["site"], "harbin-plant");
}

#[test]
fn two_reports_are_compared() {
    let seat = Seat::new();
    seat.write("site.yaml", PROFILE);
    let data = seat.path("old.json");
    assert_eq!(seat.report(&["--json", &data]).code, Some(0));
    seat.write("site.yaml", &PROFILE.replace("users: 500", "users: 900"));
    let ended = seat.report(&["--text", &seat.path("new.txt"), "--compare", &data]);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let expected = "  needs.users\n    was  500 people have an account. (You)\n    is   900 people have an account. (You)";
    assert!(ended.output.contains(expected), "{}", ended.output);
}

#[test]
fn a_run_makes_the_report_a_handover_and_bad_input_writes_nothing() {
    let seat = Seat::new();
    seat.write("site.yaml", PROFILE);
    let run = PathBuf::from(seat.path("run"));
    std::fs::create_dir(&run).unwrap();
    let started = r#"{"version":1,"sequence":1,"at":"2026-11-21T10:00:00Z","elapsedMillis":0,"event":"runStarted","run":"r","verb":"install","site":"harbin-plant","product":"Orders 4.2.0","plan":"p","hosts":["m1","w1"],"steps":1}"#;
    let ended = r#"{"version":1,"sequence":2,"at":"2026-11-21T10:05:00Z","elapsedMillis":300000,"event":"runFinished","result":"done","changed":1,"unchanged":0,"millis":300000}"#;
    std::fs::write(run.join("events.jsonl"), format!("{started}\n{ended}\n")).unwrap();
    let folder = run.display().to_string();
    let done = seat.report(&["--run", &folder]);
    assert!(done.output.contains("Handover") && done.output.contains("INSTALLED"), "{}", done.output);
    let page = seat.path("never.html");
    std::fs::write(run.join("plan.json"), "{}").unwrap();
    let data = seat.write("wrong.json", "{\"kind\": \"Plan\"}");
    for (wrong, said) in [
        (vec!["--run", &folder], "plan file"),
        (vec!["--earlier", "/nonexistent"], "run journal /nonexistent/events.jsonl"),
        (vec!["--compare", &data], "wrong.json: the file is a `Plan`"),
        (vec!["--compare", "/nonexistent"], "the earlier report /nonexistent cannot be read"),
    ] {
        let ended = seat.report(&[wrong.as_slice(), &["--html", &page]].concat());
        assert_eq!(ended.code, Some(2), "{}{}", ended.output, ended.errors);
        assert!(ended.errors.contains(said) && ended.errors.contains("next:"), "{}", ended.errors);
        assert!(!std::path::Path::new(&page).exists());
    }
}

#[test]
fn the_questionnaire_goes_out_and_comes_back_as_a_profile() {
    let seat = Seat::new();
    let (form, sheet, profile) = (seat.path("form.txt"), seat.path("form.html"), seat.path("new.yaml"));
    let ended = seat.run("questionnaire", &["--out", &form, "--html", &sheet, "--language", "zh"]);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert!(seat.read("form.html").contains("<html lang=\"zh-Hans\">"));
    let mut text = seat.read("form.txt");
    let mut answer = |key: &str, said: &str| {
        let at = text.find(&format!("[{key}]")).unwrap();
        let colon = at + text[at..].find("回答: ").unwrap() + "回答: ".len();
        text.insert_str(colon, said);
    };
    answer("metadata.name", "harbin-plant");
    answer("needs.users", "2,000");
    answer("hosts", "m1, 10.20.0.11, 管理\nw1, 10.20.0.11, 工作");
    answer("access.user", "ops");
    answer("access.password", "hunter2");
    seat.write("form.txt", &text);
    let import = |text: &str| {
        seat.write("form.txt", text);
        seat.run("questionnaire", &["--import", &form, "--profile", &profile])
    };
    // What the form itself says wrong, then what the profile's rules say about it, each with the form's line.
    let literal = import(&text);
    assert_eq!(literal.code, Some(2));
    assert!(literal.errors.contains("access.password: the answer does not say where"), "{}", literal.errors);
    assert!(!literal.errors.contains("hunter2") && !literal.output.contains("hunter2"));
    let text = text.replace("hunter2", "ask");
    let twice = import(&text);
    let line = text.lines().position(|line| line.starts_with("w1, ")).unwrap() + 1;
    assert_eq!(twice.code, Some(2));
    assert!(twice.errors.contains(&format!("line {line}, hosts[1]")), "{}", twice.errors);
    assert!(!std::path::Path::new(&profile).exists(), "nothing half-written");
    let good = import(&text.replace("w1, 10.20.0.11", "w1, 10.20.0.21"));
    assert_eq!(good.code, Some(0), "{}", good.errors);
    assert!(good.output.contains("left open until they are answered: access, product"), "{}", good.output);
    assert!(seat.read("new.yaml").contains("users: 2000"), "{}", seat.read("new.yaml"));
    let again = import(&text.replace("w1, 10.20.0.11", "w1, 10.20.0.21"));
    assert_eq!(again.code, Some(2), "an existing profile is not overwritten");
}
