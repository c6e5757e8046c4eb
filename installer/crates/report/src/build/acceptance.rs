//! How people see that it works, and after an install what the run saw.

use sealift_events::{Record, RunResult, StepEvent};

use crate::input::Input;
use crate::message::Message;
use crate::report::{Test, TestResult};

/// The product's own tests, then what people do together.
pub(crate) fn tests(input: &Input<'_>) -> Vec<Test> {
    let product = &input.document.product.title;
    let by_people = |name: &str| Test {
        what: Message::new(format!("test.{name}")).word("product", product),
        result: TestResult::Open,
    };
    let mut tests = Vec::new();
    for component in input.document.components.iter().filter(|component| component.acceptance) {
        tests.push(Test {
            what: Message::new("test.own").word("name", &component.name),
            result: result(input.run, &format!(".acceptance-{}", component.name)),
        });
    }
    tests.push(Test { what: Message::new("test.machines"), result: whole(input.run) });
    if input.site.hosts.len() > 1 {
        tests.push(by_people("one-off"));
    }
    tests.extend(["open", "restart", "again"].map(by_people));
    tests
}

/// How the step with this ending came out last.
fn result(run: Option<&[Record]>, ending: &str) -> TestResult {
    let mut found = TestResult::Open;
    for record in run.unwrap_or_default() {
        match &record.event {
            StepEvent::StepFinished { step, summary, .. } if step.ends_with(ending) => {
                found = TestResult::Passed(summary.clone());
            }
            StepEvent::StepFailed { step, failure, .. } if step.ends_with(ending) => {
                found = TestResult::Failed(failure.message.clone());
            }
            _ => {}
        }
    }
    found
}

/// Whether every step of the run ended well.
fn whole(run: Option<&[Record]>) -> TestResult {
    let ended = run.unwrap_or_default().iter().rev().find_map(|record| match record.event {
        StepEvent::RunFinished { result, changed, unchanged, .. } => Some((result, changed + unchanged)),
        _ => None,
    });
    match ended {
        None => TestResult::Open,
        Some((RunResult::Done, steps)) => TestResult::Passed(format!("{steps} of {steps}")),
        Some((RunResult::Failed | RunResult::Cancelled, steps)) => TestResult::Failed(format!("{steps}")),
    }
}
