//! Fuzz targets of the builder and the bundle's reader: built with coverage, run for a while on all cores.
//!
//! The targets stand in `bundle-builder/fuzz`, with a corpus that every test run goes through once. What a run finds new
//! stays in the cache; an input that breaks a target goes from there into the corpus, beside the change that mends it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use crate::{cache, programs};

/// Coverage for libFuzzer, which the stable compiler knows as a pass of LLVM's, and checks that a release leaves out.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";
/// Named, so that flags count for the targets alone and not for what builds them.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";
/// Memory that a target may take, MiB.
const MEMORY: u32 = 512;
/// Seconds that one input may take.
const INPUT_SECONDS: u32 = 10;

/// What is asked for.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Only this target
    #[arg(long, value_enum)]
    target: Option<Target>,
    /// Seconds for each target
    #[arg(long, default_value_t = 900, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

/// What is fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// The bundle's reader
    Bundle,
    /// The recipe's reader and checks, and the reader of what Helm prints
    Recipe,
    /// What registries send
    Manifest,
    /// Deltas and the patches in them
    Parcel,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::Recipe => "recipe",
            Self::Manifest => "manifest",
            Self::Parcel => "parcel",
        }
    }
}

/// Builds the targets and runs them, one after the other.
pub fn run(options: &Options) -> Result<ExitCode> {
    let cache = cache::root().join("fuzz");
    let programs = build(&cache)?;
    let mut findings = 0;
    for target in Target::value_variants() {
        if options.target.is_none_or(|only| only == *target) {
            findings += one(*target, &programs, &cache, options.seconds)?;
        }
    }
    Ok(if findings == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn package() -> PathBuf {
    programs::checkout().join("bundle-builder/fuzz")
}

/// Builds all targets; the folder that they are in.
fn build(cache: &Path) -> Result<PathBuf> {
    let target = cache.join("target");
    let status = programs::cargo()
        .args(["build", "--quiet", "--locked", "--release", "--bins", "--target", PLATFORM])
        .current_dir(package())
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTFLAGS", FLAGS)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("the fuzz targets cannot be built");
    }
    Ok(target.join(PLATFORM).join("release"))
}

/// Runs a target for `seconds` on all cores; how many inputs broke it.
fn one(target: Target, programs: &Path, cache: &Path, seconds: u32) -> Result<usize> {
    let name = target.name();
    let folder = |kind: &str| -> Result<PathBuf> {
        let path = cache.join(kind).join(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    };
    let (found, corpus, logs) = (folder("findings")?, folder("corpus")?, folder("logs")?);
    let before = files(&found)?.len();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{name}: {seconds} s on {cores} cores");
    let output = Command::new(programs.join(name))
        .args([format!("-jobs={cores}"), format!("-workers={cores}")])
        .args([format!("-max_total_time={seconds}"), format!("-timeout={INPUT_SECONDS}")])
        .args([format!("-rss_limit_mb={MEMORY}"), "-print_final_stats=1".to_owned()])
        .arg(format!("-artifact_prefix={}/", found.display()))
        // New inputs go to the first folder.
        .args([&corpus, &package().join("corpus").join(name)])
        // Each job writes a log there.
        .current_dir(&logs)
        .output()
        .with_context(|| format!("cannot start {name}"))?;
    let inputs: usize = files(&logs)?.iter().map(|log| executed(log)).sum();
    println!("{name}: {inputs} inputs");
    let after = files(&found)?;
    for path in &after {
        println!("{name}: broken by {}", path.display());
    }
    if !output.status.success() || after.len() > before {
        println!("{name}: what it said is in {}", logs.display());
        return Ok((after.len() - before).max(1));
    }
    Ok(0)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

/// How many inputs a job tried, as its log's last lines tell.
fn executed(log: &Path) -> usize {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let number = |line: &str| line.strip_prefix("stat::number_of_executed_units:")?.trim().parse().ok();
    text.lines().rev().find_map(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_a_program_with_a_corpus() {
        let manifest = fs::read_to_string(package().join("Cargo.toml")).unwrap();
        for target in Target::value_variants() {
            let name = target.name();
            assert!(manifest.contains(&format!("[[bin]]\nname = \"{name}\"\n")), "{name}");
            assert!(!files(&package().join("corpus").join(name)).unwrap().is_empty(), "{name}");
        }
        assert_eq!(manifest.matches("[[bin]]").count(), Target::value_variants().len());
    }

    #[test]
    fn logs_tell_how_many_inputs_there_were() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("fuzz-0.log");
        fs::write(&log, "INFO: x\nstat::number_of_executed_units: 1234\nstat::peak_rss_mb: 90\n").unwrap();
        assert_eq!(executed(&log), 1234);
        fs::write(&log, "").unwrap();
        assert_eq!(executed(&log), 0);
    }
}
