//! The main job from one command: payload, bundle, hosts, install, proof.

mod proof;
pub mod seat;

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::lab::{Backend, Lab, LabSpec};
use crate::stage::{Done, Show, Stages};
use crate::{bundle, cache, payload, programs, system};
pub use proof::{Proof, page_of};

/// What the demo is asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name of the lab.
    pub name: String,
    /// How many of the two workers are virtual machines.
    pub vm_workers: u8,
    /// Kubernetes release of the payload.
    pub kubernetes: String,
    /// How it is shown.
    pub show: Show,
}

/// Runs the demo and leaves the cluster up.
pub fn run(options: &Options) -> Result<ExitCode> {
    system::need_root()?;
    let spec = LabSpec::standard(options.vm_workers);
    let machines = spec.hosts.iter().any(|host| host.backend == Backend::Qemu);
    system::ensure(if machines {
        &[system::LAB, payload::PACKAGES, system::BUILD, system::MACHINES]
    } else {
        &[system::LAB, payload::PACKAGES, system::BUILD]
    })?;
    let cache = cache::root();
    let mut stages = Stages::new(options.show);
    let programs = stages.run("programs", || {
        let programs = programs::build()?;
        let bytes = programs.bytes;
        Ok((programs, Done { bytes, skipped: false }))
    })?;
    let payload = stages.run("payload", || {
        let payload = payload::build(&cache, &options.kubernetes)?;
        let done = Done { bytes: payload.bytes, skipped: payload.steps.iter().all(|step| step.skipped) };
        Ok((payload, done))
    })?;
    let made = stages.run("bundle", || {
        let made = bundle::make(&cache, &programs, &payload)?;
        let done = Done { bytes: made.bytes, skipped: made.reused };
        Ok((made, done))
    })?;
    let lab = stages.run("hosts", || {
        let lab = Lab::up(&cache, &options.name, &spec)?;
        let skipped = lab.reused;
        Ok((lab, Done { bytes: 0, skipped }))
    })?;
    let seat = seat::Seat::prepare(&lab, &programs, &made)?;
    stages.run("verify", || {
        seat.verify(options.show)?;
        Ok(((), Done { bytes: made.bytes, skipped: false }))
    })?;
    stages.run("install", || {
        let before = lab.seat_tx_bytes()?;
        let changed = seat.install(options.show)?;
        Ok(((), Done { bytes: lab.seat_tx_bytes()? - before, skipped: changed == 0 }))
    })?;
    let closing = stages.run("proof", || Ok((Proof::collect(&lab)?, Done::default())))?;
    closing.show(options.show, stages.records(), &lab);
    Ok(if closing.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Takes the demo's lab down.
pub fn down(name: &str) -> Result<ExitCode> {
    system::need_root()?;
    let found = Lab::down(&cache::root(), name).context("cannot take the demo down")?;
    println!(
        "{}",
        if found.is_empty() { "there was no demo".to_owned() } else { format!("the demo is gone: {found}") }
    );
    Ok(ExitCode::SUCCESS)
}
