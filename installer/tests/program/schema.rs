//! The schema of JSON lines against lines that the program writes.

use serde_json::{Value, json};

use crate::seat::program;

/// What the committed schema says against a line.
pub fn complaints(line: &str) -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/events.schema.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let line = serde_json::from_str(line).unwrap();
    validator.iter_errors(&line).map(|error| error.to_string()).collect()
}

/// A line of every sort, as the program and the journal have them.
fn samples() -> Vec<Value> {
    let failure = json!({"kind": "run", "message": "m", "causes": ["c"], "hint": null, "log": []});
    let events = [
        json!({"event": "runStarted", "run": "r", "verb": "install", "site": "s", "product": "P 1", "plan": "p",
            "hosts": ["m1"], "steps": 3}),
        json!({"event": "stepStarted", "step": "m1.a", "host": "m1", "title": "t", "attempt": 1}),
        json!({"event": "stepFinished", "step": "m1.a", "host": "m1", "changed": true, "summary": "s", "bytes": 0,
            "millis": 1}),
        json!({"event": "stepRetried", "step": "m1.a", "host": "m1", "reason": "r"}),
        json!({"event": "stepFailed", "step": "m1.a", "host": "m1", "failure": failure}),
        json!({"event": "note", "message": "m"}),
        json!({"event": "runFinished", "result": "done", "changed": 1, "unchanged": 0, "millis": 1}),
    ];
    let record = |mut event: Value| {
        for (key, value) in [("version", json!(1)), ("sequence", json!(1)), ("elapsedMillis", json!(0))] {
            event[key] = value;
        }
        event["at"] = json!("2026-11-21T10:00:00.5Z");
        event
    };
    let mut lines: Vec<Value> = events.into_iter().map(record).collect();
    lines.push(
        json!({"version": 1, "event": "progress", "progress": {"step": "m1.a", "host": "m1", "message": "m",
        "done": 1, "total": 2, "elapsedMillis": 3}}),
    );
    lines.push(json!({"version": 1, "topic": "plan", "text": "t", "data": {}}));
    lines.push(json!({"version": 1, "topic": "error", "text": "t", "exitCode": 4, "data": {
        "kind": "run", "message": "t", "causes": [], "hints": ["h"], "log": []}}));
    lines
}

#[test]
fn the_schema_takes_every_sort_of_line_and_misses_what_is_missing() {
    for line in samples() {
        assert_eq!(complaints(&line.to_string()), [""; 0], "{line}");
        for key in line.as_object().unwrap().keys() {
            let mut short = line.clone();
            short.as_object_mut().unwrap().remove(key);
            assert_ne!(complaints(&short.to_string()), [""; 0], "{line} without {key}");
            let mut wrong = line.clone();
            wrong[key] = json!([[]]);
            let any = key == "data" && line["topic"] != "error";
            assert_eq!(complaints(&wrong.to_string()).is_empty(), any, "{wrong}");
        }
        let mut later = line.clone();
        later["version"] = json!(2);
        assert_ne!(complaints(&later.to_string()), [""; 0], "{later}");
    }
}

#[test]
fn the_schema_knows_where_a_run_stands() {
    let host = json!({"host": "m1", "done": 0, "changed": 0, "failed": 0, "last": null, "silentMillis": null,
        "running": [{"step": "m1.a", "title": "t", "progress": null}]});
    let line = json!({"version": 1, "topic": "state", "text": "t", "data": {"run": "r", "site": "s", "product": "P 1",
        "steps": 1, "done": 0, "result": null, "goesOn": true, "hosts": [host], "failures": []}});
    assert_eq!(complaints(&line.to_string()), [""; 0]);
    for wrong in ["/data/hosts", "/data/hosts/0/running/0/title", "/data/result", "/data/goesOn"] {
        let mut line = line.clone();
        *line.pointer_mut(wrong).unwrap() = json!({});
        assert_ne!(complaints(&line.to_string()), [""; 0], "{wrong}");
    }
}

#[test]
fn the_schema_knows_the_line_that_names_a_run() {
    let line = json!({"version": 1, "topic": "run", "text": "t", "data": {"run": "r", "folder": "/runs/r"}});
    assert_eq!(complaints(&line.to_string()), [""; 0]);
    for key in ["run", "folder"] {
        let mut line = line.clone();
        line["data"].as_object_mut().unwrap().remove(key);
        assert_ne!(complaints(&line.to_string()), [""; 0], "{key}");
    }
}

#[test]
fn a_failure_is_a_line_of_the_schema() {
    let ended = program(&["replay", "--runs", "/nonexistent", "--output", "json"]);
    assert_eq!((ended.code, ended.errors.as_str()), (Some(2), ""));
    assert_eq!(complaints(ended.output.trim()), [""; 0]);
    let line: Value = serde_json::from_str(&ended.output).unwrap();
    assert_eq!((&line["topic"], &line["exitCode"]), (&"error".into(), &2.into()));
    let mut other = line;
    other["exitCode"].take();
    assert_ne!(complaints(&other.to_string()), [""; 0], "an error is no line about just any topic");
}
