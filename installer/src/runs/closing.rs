//! What an install says last, kept in its run's folder for whoever looks later: what stands, or why nobody could tell.

use std::path::Path;

use sealift_events::FailureReport;
use sealift_events::picture::{LastWords, RunOutcome, TestOutcome};
use sealift_host::protocol::{ClusterState, TestResult};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::read_some;
use crate::failure::Failure;
use crate::output::counted;
use crate::written::write;

/// Name of the file about what stands.
const RESULT: &str = "result.json";
/// Name of the file about why that could not be told, where every step was done.
const FAILURE: &str = "failure.json";
/// Longest of these files that is read, bytes.
const MOST: u64 = 1 << 20;

/// What stands at the end of an install: the data of its `done` line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Closing {
    /// Steps that changed something.
    pub(crate) changed: u32,
    /// Steps that found everything in place.
    pub(crate) unchanged: u32,
    /// The cluster as a master sees it.
    pub(crate) cluster: ClusterState,
    /// The product's acceptance tests.
    pub(crate) acceptance: Vec<TestResult>,
    /// How long all of it took.
    pub(crate) seconds: f64,
}

impl Closing {
    /// One line for people.
    pub(crate) fn text(&self) -> String {
        let ready = self.cluster.nodes.iter().filter(|node| node.ready).count();
        let passed = self.acceptance.iter().filter(|test| test.passed).count();
        format!(
            "{} Ready, {}, {}; acceptance {passed} of {}; {} in {:.0} s",
            counted(ready, "node"),
            counted(self.cluster.etcd_voters as usize, "voter"),
            counted(self.cluster.pods as usize, "pod"),
            self.acceptance.len(),
            if self.changed == 0 { "nothing changed" } else { "installed" },
            self.seconds,
        )
    }

    fn outcome(&self) -> RunOutcome {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        // The agent says of a test its name, and whether it passed; nothing else.
        let test = |test: &TestResult| TestOutcome {
            title: test.name.clone(),
            passed: test.passed,
            detail: String::new(),
        };
        RunOutcome {
            nodes: count(self.cluster.nodes.len()),
            ready: count(self.cluster.nodes.iter().filter(|node| node.ready).count()),
            voters: self.cluster.etcd_voters,
            pods: self.cluster.pods,
            tests: self.acceptance.iter().map(test).collect(),
        }
    }

    /// Keeps it.
    pub(crate) fn keep(&self, folder: &Path) -> Result<(), Failure> {
        keep(&folder.join(RESULT), self)
    }

    /// What was kept, where it can be read.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        read(&folder.join(RESULT))
    }
}

/// Keeps why a run that did all its steps could not say what stands.
pub(crate) fn keep_failure(folder: &Path, report: &FailureReport) -> Result<(), Failure> {
    keep(&folder.join(FAILURE), report)
}

/// What the run in this folder said last.
pub(super) fn last_words(folder: &Path) -> LastWords {
    match Closing::read(folder) {
        Some(closing) => LastWords::Stands(closing.outcome()),
        None => read(&folder.join(FAILURE)).map_or(LastWords::NotYet, LastWords::Failed),
    }
}

fn keep(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    // Strings, numbers and lists: serialising cannot fail.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    write(path, &text)
}

/// What is missing or no such thing tells nothing.
fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_str(&read_some(path, MOST)?).ok()
}

#[cfg(test)]
mod tests {
    use sealift_host::protocol::NodeState;

    use super::*;

    fn closing() -> Closing {
        let node = |name: &str, ready| {
            let (name, version) = (name.to_owned(), "v1.36.1".to_owned());
            NodeState { name, roles: Vec::new(), version, ready }
        };
        let cluster = ClusterState {
            nodes: vec![node("m1", true), node("w1", false)],
            etcd_voters: 1,
            pods_not_ready: Vec::new(),
            pods: 21,
        };
        let acceptance = vec![TestResult { name: "it answers".into(), passed: true }];
        Closing { changed: 2, unchanged: 1, cluster, acceptance, seconds: 61.4 }
    }

    #[test]
    fn what_was_said_last_is_found_later() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(last_words(folder.path()), LastWords::NotYet);
        let report = FailureReport { message: "m1 is gone".into(), ..FailureReport::default() };
        keep_failure(folder.path(), &report).unwrap();
        assert_eq!(last_words(folder.path()), LastWords::Failed(report));
        closing().keep(folder.path()).unwrap();
        let tests = vec![TestOutcome { title: "it answers".into(), passed: true, detail: String::new() }];
        let outcome = RunOutcome { nodes: 2, ready: 1, voters: 1, pods: 21, tests };
        assert_eq!(last_words(folder.path()), LastWords::Stands(outcome));
        assert_eq!(Closing::read(folder.path()), Some(closing()));
        std::fs::write(folder.path().join(RESULT), "{}").unwrap();
        assert_eq!(Closing::read(folder.path()), None, "something else");
    }

    #[test]
    fn the_closing_words_count() {
        let mut closing = closing();
        assert_eq!(closing.text(), "1 node Ready, 1 voter, 21 pods; acceptance 1 of 1; installed in 61 s");
        closing.changed = 0;
        assert!(closing.text().ends_with("nothing changed in 61 s"));
    }
}
