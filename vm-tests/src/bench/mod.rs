//! Benches: figures with their targets, every input, version and baseline above them.
//!
//! A bench measures against something that runs beside it, in the same run on the same machine, and ends with lines
//! `figure NAME VALUE UNIT target TARGET pass` or `… miss`. A miss makes the exit code non-zero.
//!
//! In order of use: [`Verb`], [`run`], [`figure::Figure`].

mod baseline;
mod bundle;
mod check;
mod delta;
mod figure;
mod install;
mod memory;
mod ours;
mod site_run;
mod surroundings;
mod wizard;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

/// What is measured.
#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// Installing five fresh hosts, against a plain shell script that does it by hand
    Install(install::Options),
    /// Packing, verifying and opening a bundle, against the tools at hand and against what the machine could do at best
    Bundle(bundle::Options),
    /// Checking five hosts, and a hundred that are simulated
    Check(check::Options),
    /// The delta from the Kubernetes before to the one of today
    Delta(delta::Options),
    /// The wizard and the viewer of a run on a terminal: first frame, key to frame, idle
    Wizard(wizard::Options),
}

/// Runs a bench and shows its figures.
pub fn run(verb: &Verb) -> Result<ExitCode> {
    let figures = match verb {
        Verb::Install(options) => install::run(options)?,
        Verb::Bundle(options) => bundle::run(options)?,
        Verb::Check(options) => check::run(options)?,
        Verb::Delta(options) => delta::run(options)?,
        Verb::Wizard(options) => wizard::run(options)?,
    };
    println!();
    for figure in &figures {
        println!("{figure}");
    }
    let missed = figures.iter().any(|figure| !figure.passes());
    Ok(if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
