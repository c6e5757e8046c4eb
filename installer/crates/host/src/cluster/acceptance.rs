//! Acceptance: `helm test` runs the product's own tests against it; their TAP output is read line by line.

use std::collections::BTreeMap;
use std::time::Duration;

use super::release::{environment, status};
use super::{changed, kubectl, unchanged};
use crate::context::Context;
use crate::protocol::{Failure, FailureKind, Outcome, TestResult};
use crate::transient::{self, TransientUnit};

/// Runs the tests, or reads the results of a run that this very revision has passed already.
pub(super) fn run(
    ctx: &Context<'_>,
    release: &str,
    namespace: &str,
    timeout_seconds: u32,
) -> Result<Outcome, Failure> {
    let passed_before = hooks(ctx, release, namespace)?.values().all(|phase| phase == "Succeeded");
    let mut ended = Ok(());
    if !passed_before {
        let args = ["test", release, "--namespace", namespace, "--timeout", &format!("{timeout_seconds}s")];
        let unit = TransientUnit {
            name: ctx.step_id().to_owned(),
            command: "/usr/local/bin/helm".to_owned(),
            args: args.map(str::to_owned).to_vec(),
            environment: environment(),
            instead: BTreeMap::new(),
            timeout: Duration::from_secs(u64::from(timeout_seconds) + 60),
            message: format!("acceptance tests of {release}"),
        };
        ended = transient::run(ctx, &unit).map(drop);
    }
    let mut tests = Vec::new();
    for pod in hooks(ctx, release, namespace)?.keys() {
        let logs = kubectl::run(ctx, &["-n", namespace, "logs", pod]);
        if let Ok(logs) = logs {
            tests.extend(parse_tap(&logs.text()));
        }
    }
    judge(release, tests, ended, passed_before)
}

fn judge(
    release: &str,
    tests: Vec<TestResult>,
    ended: Result<(), Failure>,
    passed_before: bool,
) -> Result<Outcome, Failure> {
    let failed: Vec<&str> = tests.iter().filter(|test| !test.passed).map(|test| test.name.as_str()).collect();
    if !failed.is_empty() {
        let message = format!("{} of {} acceptance tests of {release} failed", failed.len(), tests.len());
        return Err(Failure::new(FailureKind::Command, message).log(failed.into_iter().map(str::to_owned)));
    }
    ended?;
    if tests.is_empty() {
        // A test run that tested nothing has not passed.
        let message = format!("the acceptance tests of {release} printed no result");
        return Err(Failure::new(FailureKind::Command, message));
    }
    let summary = format!("{} of {} passed", tests.len(), tests.len());
    let outcome = if passed_before { unchanged(summary) } else { changed(summary) };
    Ok(Outcome { tests, ..outcome })
}

/// The release's test hooks and how each ended last.
fn hooks(ctx: &Context<'_>, release: &str, namespace: &str) -> Result<BTreeMap<String, String>, Failure> {
    let status = status(ctx, release, namespace)?
        .ok_or_else(|| Failure::new(FailureKind::Conflict, format!("there is no release {release}")))?;
    let tests = status.hooks.into_iter().filter(|hook| hook.events.iter().any(|event| event == "test"));
    let tests: BTreeMap<String, String> = tests.map(|hook| (hook.name, hook.last_run.phase)).collect();
    if tests.is_empty() {
        return Err(Failure::new(FailureKind::Conflict, format!("release {release} has no acceptance test")));
    }
    Ok(tests)
}

/// Reads `ok N - name` and `not ok N - name`; a plan (`1..N`) with fewer results adds one failed test.
fn parse_tap(text: &str) -> Vec<TestResult> {
    let mut planned = 0;
    let mut tests = Vec::new();
    for line in text.lines() {
        if let Some(count) = line.strip_prefix("1..") {
            planned = count.trim().parse().unwrap_or(0);
        }
        let (passed, rest) = match (line.strip_prefix("ok "), line.strip_prefix("not ok ")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => continue,
        };
        let name = rest.split_once(" - ").map_or(rest, |(_, name)| name);
        tests.push(TestResult { name: name.trim().to_owned(), passed });
    }
    if tests.len() < planned {
        let name = format!("{} of {planned} tests gave no result", planned - tests.len());
        tests.push(TestResult { name, passed: false });
    }
    tests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tap_is_read() {
        let tests = parse_tap("1..2\nnoise\nok 1 - page answers\nnot ok 2 - order kept\n");
        assert_eq!(tests.len(), 2);
        assert!(tests[0].passed && tests[0].name == "page answers");
        assert!(!tests[1].passed);
    }

    #[test]
    fn a_run_cut_short_has_failed() {
        let tests = parse_tap("1..3\nok 1 - a\n");
        assert_eq!(
            tests.last().unwrap(),
            &TestResult { name: "2 of 3 tests gave no result".into(), passed: false }
        );
    }

    #[test]
    fn no_result_is_no_pass() {
        assert!(judge("orders", Vec::new(), Ok(()), false).is_err());
    }
}
