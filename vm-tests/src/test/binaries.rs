//! The workspace's test programs: built in one go by cargo, run several at once by us.
//!
//! cargo runs them one after the other, and many of them mostly wait (for a registry that stalls, for a login); that
//! would leave processors idle for minutes. cargo-nextest does the same and more, but takes longer to build than it
//! would save on a new machine.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::available_parallelism;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::gates::output;
use super::installer_run::tail;
use crate::programs::cargo;

/// One test program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestBinary {
    /// The target's name: the file below `tests`, or the crate's.
    pub name: String,
    /// The program.
    program: PathBuf,
    /// Its package's folder, in which cargo would start it.
    folder: PathBuf,
}

#[cfg(test)]
impl TestBinary {
    /// One that is nowhere.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), program: PathBuf::new(), folder: PathBuf::new() }
    }
}

/// Builds the test programs of all packages.
pub fn build() -> Result<Vec<TestBinary>> {
    let mut build = cargo();
    build.args(["test", "--workspace", "--lib", "--bins", "--tests", "--locked", "--no-run"]);
    build.args(["--quiet", "--message-format=json-render-diagnostics"]);
    let (text, well) = output(&mut build)?;
    if !well {
        bail!("not all tests can be built:\n{}", tail(&text));
    }
    let binaries: Vec<_> = text.lines().filter_map(test_binary).collect();
    if binaries.is_empty() {
        bail!("there was no test at all:\n{}", tail(&text));
    }
    Ok(binaries)
}

/// From one of cargo's messages; none where it is about something else.
fn test_binary(line: &str) -> Option<TestBinary> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let manifest = PathBuf::from(message["manifest_path"].as_str()?);
    Some(TestBinary {
        name: message["target"]["name"].as_str()?.to_owned(),
        program: PathBuf::from(message["executable"].as_str()?),
        folder: manifest.parent()?.to_owned(),
    })
}

/// Runs programs with these variables set, one more at once than there are processors, each with twice as many threads:
/// many tests mostly wait. Gives what they said, in the order of `binaries`, and whether all of them ended well.
pub fn run(binaries: &[&TestBinary], variables: &[(&str, PathBuf)]) -> Result<(String, bool)> {
    // The largest first: what has most in it has most to try, and a long one must not be the last.
    let size = |index: &usize| binaries[*index].program.metadata().map_or(0, |file| file.len());
    let mut order: Vec<usize> = (0..binaries.len()).collect();
    order.sort_by_cached_key(|index| Reverse(size(index)));
    let queue: Mutex<VecDeque<usize>> = Mutex::new(order.into());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let processors = available_parallelism().context("cannot count the processors")?.get();
    let threads = (2 * processors).to_string();
    let work = || -> Result<Vec<(usize, String, bool)>> {
        let mut done = Vec::new();
        while let Some(index) = next() {
            let binary = binaries[index];
            let mut command = Command::new(&binary.program);
            command.current_dir(&binary.folder).env("CARGO_MANIFEST_DIR", &binary.folder);
            command.env("RUST_TEST_THREADS", &threads);
            command.envs(variables.iter().map(|(name, value)| (name, value)));
            let (text, well) = output(command.stdin(Stdio::null()))?;
            done.push((index, text, well));
        }
        Ok(done)
    };
    let mut all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..=processors).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(super::joined).collect::<Result<Vec<_>>>()
    })?
    .concat();
    all.sort_by_key(|(index, ..)| *index);
    let well = all.iter().all(|(.., well)| *well);
    Ok((all.into_iter().map(|(_, text, _)| text).collect(), well))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_programs_are_told_from_other_artifacts() {
        let line = r#"{"reason":"compiler-artifact","manifest_path":"/a/b/Cargo.toml","target":{"name":"gate"},"profile":{"test":true},"executable":"/t/gate-1"}"#;
        let expected = TestBinary { name: "gate".into(), program: "/t/gate-1".into(), folder: "/a/b".into() };
        assert_eq!(test_binary(line), Some(expected));
        for other in
            [line.replace("true", "false"), line.replace("\"/t/gate-1\"", "null"), "warning: x".into()]
        {
            assert_eq!(test_binary(&other), None);
        }
    }

    #[test]
    fn all_run_with_the_variables_in_their_folders_and_a_failure_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let script = |name: &str, text: &str| {
            let program = folder.path().join(name);
            sealift_bundle::testing::program(&program, &format!("#!/bin/sh\n{text}\n"));
            TestBinary { name: name.into(), program, folder: folder.path().to_owned() }
        };
        let said = script("said", "echo $WORD in $PWD");
        let also = script("also", "echo second");
        let place = folder.path().canonicalize().unwrap();
        let variables = [("WORD", PathBuf::from("word"))];
        let (text, well) = run(&[&said, &also], &variables).unwrap();
        assert_eq!((text, well), (format!("word in {}\nsecond\n", place.display()), true));
        let broken = script("broken", "echo broken; exit 101");
        assert_eq!(run(&[&broken, &also], &[]).unwrap(), ("broken\nsecond\n".to_owned(), false));
    }
}
