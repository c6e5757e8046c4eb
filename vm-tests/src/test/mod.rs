//! `cargo xtask test`: everything that has to hold before a change is good, in one command with one closing line.
//!
//! First what needs no host (format, lints, unit tests, dependencies), then the product as a vendor and a customer
//! get it (programs, payload, bundle), then the scenarios on real labs. A failure does not hide what comes after it;
//! what cannot be tried because of an earlier failure counts as failed and says so. Nothing is left out in silence.
//!
//! In order of use: [`run`], [`Tally`], [`Context`], [`InstallerRun`], [`Sampler`].

mod binaries;
mod context;
mod freshness;
mod gates;
mod installer_run;
mod sampler;
mod tally;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, anyhow, bail};

pub use context::{Context, INSTALL_WITHIN, Profiles, SIGNED_PLAN, demo};
pub use installer_run::{Ended, InstallerRun};
pub use sampler::Sampler;
pub use tally::Tally;

use freshness::Freshness;

use crate::bundle::{self, Made};
use crate::lab::{Backend, Lab};
use crate::payload::{self, Payload};
use crate::programs::{self, Programs, Workspace};
use crate::scenarios::{self, Group, Needs};
use crate::{cache, system};

/// What is asked for.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// Only tests whose name starts with this (`install`, `hosts::port_taken`); may be repeated
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Leave labs up at the end, and go on with those that an earlier `--keep` left
    #[arg(long)]
    pub keep: bool,
    /// Print the names of all tests and do nothing
    #[arg(long)]
    pub list: bool,
}

impl Options {
    /// Whether a test of this name is wanted.
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|start| name.starts_with(start.as_str()))
    }
}

/// Runs the tests.
pub fn run(options: &Options) -> Result<ExitCode> {
    let groups = scenarios::groups();
    let names: Vec<&str> = gates::NAMES
        .iter()
        .copied()
        .chain(groups.iter().flat_map(|group| group.tests.iter().map(|test| test.name)))
        .collect();
    if options.list {
        println!("{}", names.join("\n"));
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(unknown) =
        options.only.iter().find(|start| !names.iter().any(|name| name.starts_with(*start)))
    {
        bail!("no test starts with {unknown}; there are {}", names.join(", "));
    }
    let cache = cache::root();
    let stop = stop_on_signals()?;
    let mut tally = Tally::new(options.clone());
    let wanted: Vec<Group> = groups.into_iter().filter_map(|group| group.only(options)).collect();
    let needs_parts = !wanted.is_empty() || options.wants(gates::UPSTREAM);
    if needs_parts {
        system::need_root()?;
    }
    install_packages(&wanted, needs_parts)?;
    let checkout = programs::checkout();
    let freshness = Freshness::restore(&checkout, Workspace::of(&checkout)?)?;
    let parts = std::thread::scope(|scope| {
        // Where they are not there yet they take a quarter of an hour, and the gates leave processors idle.
        let payload = needs_parts.then(|| scope.spawn(|| payload::build(&cache, payload::KUBERNETES)));
        let programs = needs_parts.then(|| scope.spawn(programs::build));
        gates::run(&mut tally, &cache, options.wants(gates::UPSTREAM));
        build(&mut tally, &cache, programs?, payload?)
    });
    if let Some(parts) = parts {
        let (waiting, busy): (Vec<_>, Vec<_>) = wanted.iter().partition(|group| group.mostly_waits);
        let run_all = |tally: &mut Tally, groups: &[&Group]| {
            for group in groups.iter().take_while(|_| !stop.load(Ordering::Relaxed)) {
                run_group(tally, group, &cache, &parts, options, &stop);
            }
        };
        let waits = |own: &mut Tally| {
            gates::upstream(own, &parts.payload);
            run_all(own, &waiting);
        };
        beside(&mut tally, waits, |tally| run_all(tally, &busy));
    } else if needs_parts {
        tally.fail(gates::UPSTREAM, "there is no registry to test against");
        for group in &wanted {
            fail_all(&mut tally, group, "there is no bundle to install");
        }
    }
    if stop.load(Ordering::Relaxed) {
        tally.fail("run", "it was interrupted: what is missing above was not tried");
    }
    freshness.note()?;
    println!("\n{}", tally.closing_line());
    Ok(if tally.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What every scenario starts from.
struct Parts {
    programs: Programs,
    payload: Payload,
    made: Made,
}

fn install_packages(groups: &[Group], needs_parts: bool) -> Result<()> {
    let mut packages = vec![system::BUILD, system::CHECKS];
    if needs_parts {
        packages.extend([system::LAB, payload::PACKAGES]);
    }
    let machine = |group: &Group| (group.spec)().hosts.iter().any(|host| host.backend == Backend::Qemu);
    if groups.iter().any(machine) {
        packages.push(system::MACHINES);
    }
    system::ensure(&packages)
}

fn build(
    tally: &mut Tally,
    cache: &Path,
    programs: std::thread::ScopedJoinHandle<'_, Result<Programs>>,
    payload: std::thread::ScopedJoinHandle<'_, Result<Payload>>,
) -> Option<Parts> {
    let programs = tally.require("build::programs", || joined(programs))?;
    let payload = tally.require("build::payload", || joined(payload))?;
    let made = tally.require("build::bundle", || bundle::make(cache, &programs, &payload))?;
    Some(Parts { programs, payload, made })
}

/// A lab that goes down with the one who asked for it.
struct LabGuard<'a> {
    cache: &'a Path,
    lab: Lab,
    keep: bool,
}

impl Drop for LabGuard<'_> {
    fn drop(&mut self) {
        if self.keep {
            println!("lab {} stays up: cargo xtask lab down --name {0}", self.lab.name());
        } else if let Err(error) = Lab::down(self.cache, self.lab.name()) {
            println!("lab {} does not go down: {error:#}", self.lab.name());
        }
    }
}

/// Runs what mostly waits beside what keeps the machine busy; its lines come last.
fn beside(tally: &mut Tally, waiting: impl FnOnce(&mut Tally) + Send, busy: impl FnOnce(&mut Tally)) {
    let mut own = tally.beside();
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            waiting(&mut own);
            own
        });
        busy(tally);
        match thread.join() {
            Ok(own) => tally.add(own),
            Err(_) => tally.fail("run", "a thread of the tests broke"),
        }
    });
}

fn run_group(
    tally: &mut Tally,
    group: &Group,
    cache: &Path,
    parts: &Parts,
    options: &Options,
    stop: &AtomicBool,
) {
    let up = tally.require(group.lab_test, || {
        let fresh = group.tests.iter().any(|test| test.needs == Needs::FreshHosts);
        if fresh || !options.keep {
            Lab::down(cache, group.lab)?;
        }
        Lab::up(cache, group.lab, &(group.spec)())
    });
    let Some(lab) = up else {
        return fail_all(tally, group, &format!("the lab {} did not come up", group.lab));
    };
    let guard = LabGuard { cache, lab, keep: options.keep };
    let context = match Context::new(cache, &guard.lab, &parts.programs, &parts.payload, &parts.made) {
        Ok(context) => context.installed_by(group.profiles),
        Err(error) => return fail_all(tally, group, &format!("the seat is not ready: {error:#}")),
    };
    for test in &group.tests {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        tally.run(test.name, || {
            if test.needs == Needs::Cluster {
                context.installed()?;
            }
            (test.work)(&context)
        });
        context.take_notes().iter().for_each(|note| tally.note(note));
    }
}

fn fail_all(tally: &mut Tally, group: &Group, reason: &str) {
    for test in &group.tests {
        tally.fail(test.name, reason);
    }
}

/// After the first signal the running test ends and labs go down; the second one ends this program at once.
fn stop_on_signals() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .with_context(|| format!("cannot listen to signal {signal}"))?;
    }
    Ok(stop)
}

/// What a thread of a test left; a panic in it is a failure of the test.
pub fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| Err(anyhow!("a thread of the test broke")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_takes_starts_of_names() {
        let options = Options { only: vec!["hosts".into(), "install::second".into()], ..Options::default() };
        assert!(options.wants("hosts::port_taken"));
        assert!(options.wants("install::second_run"));
        assert!(!options.wants("install::undisturbed"));
        assert!(Options::default().wants("anything"));
    }

    #[test]
    fn test_names_are_unique() {
        let groups = scenarios::groups();
        let mut names: Vec<_> = groups
            .iter()
            .flat_map(|group| group.tests.iter().map(|test| test.name))
            .chain(gates::NAMES.iter().copied())
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
