//! `cargo xtask bench delta`: from the demo's bundle with the Kubernetes before to the one of today.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::figure::Figure;
use super::surroundings;
use crate::lab::run as run_command;
use crate::payload::{self, Payload};
use crate::programs::{self, Programs};
use crate::stage::human_bytes;
use crate::{cache, system};

/// The release before [`payload::KUBERNETES`] that is pinned, too.
const BEFORE: &str = "1.35.4";

/// Nothing to choose.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {}

/// Measures and gives the figures.
pub fn run(_options: &Options) -> Result<Vec<Figure>> {
    system::need_root()?;
    // What compares both bundles, byte by byte.
    system::ensure(&[system::LAB, payload::PACKAGES, system::BUILD, &["diffutils"]])?;
    let cache = cache::root();
    for line in surroundings::lines() {
        println!("{line}");
    }
    let programs = programs::build()?;
    fs::create_dir_all(cache.join("bench"))?;
    let scratch = tempfile::Builder::new().prefix("delta-").tempdir_in(cache.join("bench"))?;
    let folder = scratch.path();
    let key = folder.join("vendor.key");
    run_command(Command::new(&programs.bundle_builder).args(["keygen", "--no-password", "--out"]).arg(&key))?;
    let old = bundle(&cache, &programs, folder, BEFORE)?;
    let new = bundle(&cache, &programs, folder, payload::KUBERNETES)?;
    let (delta, made) = (folder.join("update.delta"), folder.join("made.bundle"));
    let public = folder.join("vendor.key.pub");

    let mut report = Value::Null;
    let cut = timed(|| {
        let mut command = Command::new(&programs.bundle_builder);
        command.arg("delta").arg(&old).arg(&new).arg("--out").arg(&delta);
        command.arg("--output=json").arg("--key").arg(&public);
        report = serde_json::from_str(&run_command(&mut command)?).context("the report is no JSON")?;
        Ok(())
    })?;
    let applied = timed(|| {
        let mut command = Command::new(&programs.bundle_builder);
        command.arg("apply").arg(&old).arg(&delta).arg("--out").arg(&made);
        run_command(command.arg("--key").arg(&public)).map(drop)
    })?;
    if !Command::new("cmp").arg(&new).arg(&made).status().context("start cmp")?.success() {
        bail!("what the delta gives is not the new bundle");
    }
    let (binaries, carried) = (bytes(&report, "fileBytes")?, bytes(&report, "fileBytesCarried")?);
    println!("old          Kubernetes {BEFORE}, {}", human_bytes(old.metadata()?.len()));
    println!("new          Kubernetes {}, {}", payload::KUBERNETES, human_bytes(new.metadata()?.len()));
    println!("binaries     {} of the new one are cluster binaries", human_bytes(binaries));
    println!(
        "delta        {}, {} of it for cluster binaries; cut in {cut:.1} s, applied in {applied:.1} s",
        human_bytes(delta.metadata()?.len()),
        human_bytes(carried)
    );
    // Both come from the program that is measured; what it says must at least be possible.
    ensure!(
        carried > 0 && carried < delta.metadata()?.len(),
        "cluster binaries cannot be {carried} bytes of it"
    );
    Ok(vec![Figure {
        name: "delta-of-binaries",
        value: carried as f64 / binaries as f64,
        unit: "ratio",
        target: 0.45,
    }])
}

/// A number of the report on a delta.
fn bytes(report: &Value, name: &str) -> Result<u64> {
    report[name].as_u64().with_context(|| format!("the report on the delta has no {name}"))
}

/// The demo's bundle with another Kubernetes.
fn bundle(cache: &Path, programs: &Programs, folder: &Path, kubernetes: &str) -> Result<PathBuf> {
    let payload: Payload = payload::build(cache, kubernetes)?;
    let registry = payload::start_registry(cache, &payload, 0)?;
    let assets = folder.join(kubernetes);
    run_command(Command::new("cp").arg("-r").arg(programs::checkout().join("assets")).arg(&assets))?;
    let recipe = assets.join("orders/recipe.yaml");
    let text = fs::read_to_string(&recipe)?;
    let (from, to) = (format!("v{}", payload::KUBERNETES), format!("v{kubernetes}"));
    ensure!(text.contains(&from), "the recipe does not name {from}");
    fs::write(&recipe, text.replace(&from, &to))?;
    let mirrors = folder.join("mirrors.yaml");
    fs::write(&mirrors, payload::mirrors_yaml(&registry.address())?)?;
    let target = folder.join(format!("orders-{kubernetes}.bundle"));
    for verb in ["lock", "build"] {
        let mut command = Command::new(&programs.bundle_builder);
        command.arg(verb).arg("--recipe").arg(&recipe).arg("--mirrors").arg(&mirrors);
        command.arg(format!("--root=payload={}", payload.root().display()));
        command.arg("--cache").arg(folder.join("cache"));
        if verb == "build" {
            command.arg("--key").arg(folder.join("vendor.key")).arg("--out").arg(&target);
            command.arg("--helm").arg(payload.bin.join("helm"));
        }
        run_command(&mut command)?;
    }
    Ok(target)
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}
