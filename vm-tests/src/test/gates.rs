//! What needs no host: format, lints, unit tests, dependencies.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::Tally;
use super::binaries::{self, TestBinary};
use super::installer_run::tail;
use crate::payload::Payload;
use crate::programs::cargo;
use crate::{cache, programs};

const FORMAT: &str = "gate::format";
const LINTS: &str = "gate::lints";
const WORKSPACE: &str = "gate::workspace";
const WEB: &str = "gate::web";
const DEPENDENCIES: &str = "gate::dependencies";

/// The vendor's program against the registry that the payload builds.
pub const UPSTREAM: &str = "upstream::distribution";

/// Names of these tests, in order; the last one comes when there is a payload.
pub const NAMES: &[&str] = &[FORMAT, LINTS, WORKSPACE, WEB, DEPENDENCIES, UPSTREAM];

/// The test program that takes the real registry in place of its own small one. A run of everything has it once, with
/// the real one.
const UPSTREAM_TESTS: &str = "upstream";

/// The release of cargo-deny that reads `deny.toml`.
const DENY: &str = "0.20.2";

/// Runs those that are wanted. With `upstream` the tests of the registry client are left to [`upstream`].
pub fn run(tally: &mut Tally, cache: &Path, upstream: bool) {
    tally.run(FORMAT, || succeed(cargo().args(["fmt", "--all", "--check"])).map(drop));
    tally.run(LINTS, || {
        let words =
            ["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "--deny", "warnings"];
        succeed(cargo().args(words)).map(drop)
    });
    tally.run_many(WORKSPACE, || {
        let binaries = binaries::build()?;
        let (output, well) = binaries::run(&here(&binaries, upstream), &[])?;
        counted(&rust_counts(&output), well, &output)
    });
    tally.run_many(WEB, || {
        // With the tests that start a real PostgreSQL.
        succeed(go().args(["vet", "-tags", "postgres", "./..."]))?;
        let (output, well) = output(go().args(["test", "-json", "-tags", "postgres", "./..."]))?;
        counted(&go_counts(&output), well, &output)
    });
    tally.run(DEPENDENCIES, || {
        // Also those of other systems, which no build here needs and which a new machine does not have.
        succeed(cargo().args(["fetch", "--locked", "--quiet"]))?;
        let mut deny = Command::new(deny(cache)?);
        deny.args(["--offline", "--locked", "check", "bans", "licenses", "sources"])
            .current_dir(programs::checkout());
        succeed(&mut deny).map(drop)
    });
}

/// What of the test programs waits for the real registry, or does not.
fn here(binaries: &[TestBinary], upstream: bool) -> Vec<&TestBinary> {
    binaries.iter().filter(|binary| !(upstream && of_upstream(binary))).collect()
}

fn of_upstream(binary: &TestBinary) -> bool {
    binary.name == UPSTREAM_TESTS
}

/// The tests of the registry client, with the real registry behind the proxy that misbehaves.
pub fn upstream(tally: &mut Tally, payload: &Payload) {
    tally.run_many(UPSTREAM, || {
        // Built before, as a rule; then cargo only says where they are.
        let binaries = binaries::build()?;
        let wanted: Vec<_> = binaries.iter().filter(|binary| of_upstream(binary)).collect();
        let registry = payload.bin.join("registry");
        let (output, well) = binaries::run(&wanted, &[("SEALIFT_TEST_REGISTRY", registry)])?;
        counted(&rust_counts(&output), well, &output)
    });
}

fn go() -> Command {
    let mut command = Command::new("go");
    command.current_dir(programs::checkout().join("assets/orders/web"));
    command
}

/// cargo-deny of the one release, built once per cache.
fn deny(cache: &Path) -> Result<PathBuf> {
    let found = cache::folder(&cache.join("tools"), &format!("cargo-deny-{DENY}"), |folder| {
        let mut install = cargo();
        install
            // Unoptimised, and for nobody to debug: it is built more slowly than it ever runs.
            .args(["install", "cargo-deny", "--debug", "--locked", "--version", DENY, "--quiet", "--root"])
            .arg(folder)
            .env("CARGO_PROFILE_DEV_DEBUG", "false");
        succeed(&mut install).map(drop)
    })?;
    Ok(found.path.join("bin/cargo-deny"))
}

/// What tests of their own count: passed, failed and left out.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
    left_out: usize,
}

/// Counts for the tally. Tests that were left out are a failure: nothing is left out in silence.
fn counted(counts: &Counts, well: bool, output: &str) -> Result<(usize, usize)> {
    let Counts { passed, failed, left_out } = *counts;
    if failed > 0 || !well || left_out > 0 {
        println!("\n{}", failures(output));
    }
    if left_out > 0 {
        bail!("{left_out} tests are switched off ({passed} passed, {failed} failed)");
    }
    if !well && failed == 0 {
        bail!("not all tests could be built or run ({passed} passed)");
    }
    if passed == 0 {
        bail!("there was no test at all:\n{}", tail(output));
    }
    Ok((passed, failed))
}

/// Sums the closing lines of `cargo test`.
fn rust_counts(output: &str) -> Counts {
    let mut counts = Counts::default();
    for line in output.lines().filter(|line| line.starts_with("test result:")) {
        let number = |word: &str| {
            line.split(['.', ';'])
                .find_map(|part| part.trim().strip_suffix(word)?.trim().parse::<usize>().ok())
                .unwrap_or_default()
        };
        counts.passed += number("passed");
        counts.failed += number("failed");
        counts.left_out += number("ignored");
    }
    counts
}

/// Sums the results of single tests of `go test -json`.
fn go_counts(output: &str) -> Counts {
    let mut counts = Counts::default();
    for line in output.lines() {
        let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
        if event["Test"].is_null() {
            continue;
        }
        match event["Action"].as_str() {
            Some("pass") => counts.passed += 1,
            Some("fail") => counts.failed += 1,
            Some("skip") => counts.left_out += 1,
            _ => {}
        }
    }
    counts
}

/// The part of a test output that a person needs: what failed and why.
fn failures(output: &str) -> String {
    match output.find("\nfailures:\n") {
        Some(start) => output[start..].lines().take(200).collect::<Vec<_>>().join("\n"),
        None => tail(output),
    }
}

/// Runs to the end; gives both outputs and whether it went well.
pub(super) fn output(command: &mut Command) -> Result<(String, bool)> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok((text, output.status.success()))
}

fn succeed(command: &mut Command) -> Result<String> {
    let (text, well) = output(command)?;
    if !well {
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        bail!("{} {} failed:\n{}", command.get_program().to_string_lossy(), words.join(" "), tail(&text));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_test_program_runs_once() {
        let program = |name: &str| TestBinary::named(name);
        let binaries = [program("program"), program("upstream"), program("sshd")];
        let names = |upstream| -> Vec<&str> {
            here(&binaries, upstream).into_iter().map(|binary| binary.name.as_str()).collect()
        };
        assert_eq!(names(true), ["program", "sshd"]);
        assert_eq!(names(false), ["program", "upstream", "sshd"]);
        let tests = crate::programs::checkout().join("bundle-builder/tests");
        assert!(tests.join(UPSTREAM_TESTS).join("main.rs").is_file());
    }

    #[test]
    fn closing_lines_of_cargo_add_up() {
        let output = "running 2 tests\n\
            test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s\n\
            test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.10s\n";
        assert_eq!(rust_counts(output), Counts { passed: 15, failed: 2, left_out: 1 });
    }

    #[test]
    fn go_counts_tests_and_not_packages() {
        let output = r#"{"Action":"pass","Package":"p","Test":"A"}
{"Action":"fail","Package":"p","Test":"B"}
{"Action":"skip","Package":"p","Test":"C"}
{"Action":"fail","Package":"p"}"#;
        assert_eq!(go_counts(output), Counts { passed: 1, failed: 1, left_out: 1 });
    }

    #[test]
    fn a_test_that_is_switched_off_is_a_failure() {
        let left_out = Counts { passed: 5, failed: 0, left_out: 1 };
        assert!(counted(&left_out, true, "").unwrap_err().to_string().contains("1 tests are switched off"));
        let none = Counts::default();
        assert!(counted(&none, true, "").is_err());
        assert_eq!(counted(&Counts { passed: 5, failed: 0, left_out: 0 }, true, "").unwrap(), (5, 0));
    }
}
