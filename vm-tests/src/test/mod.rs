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
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{Scope, ScopedJoinHandle};

use anyhow::{Context as _, Result, anyhow, bail};

pub use context::{Context, INSTALL_WITHIN, Installed, Profiles, SIGNED_PLAN, demo};
pub use installer_run::{Ended, InstallerRun, tail};
pub use sampler::Sampler;
pub use tally::Tally;

use freshness::Freshness;

use crate::bundle::{self, Made};
use crate::lab::{Backend, Lab};
use crate::payload::{self, Payload};
use crate::programs::{self, Programs, Workspace};
use crate::scenarios::{self, Group, Needs, Test};
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
        .chain(groups.iter().flat_map(|group| group.all().map(|test| test.name)))
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
        let run = Run { cache: &cache, parts: &parts, options, stop: &stop };
        let waits = |own: &mut Tally| {
            gates::upstream(own, &parts.payload);
            run.all(own, &waiting);
        };
        std::thread::scope(|scope| {
            let waits = beside(scope, &tally, waits);
            run.all(&mut tally, &busy);
            add(&mut tally, waits);
        });
    } else if needs_parts {
        tally.fail(gates::UPSTREAM, "there is no registry to test against");
        for group in &wanted {
            fail_all(&mut tally, group.all(), "there is no bundle to install");
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
    programs: ScopedJoinHandle<'_, Result<Programs>>,
    payload: ScopedJoinHandle<'_, Result<Payload>>,
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

/// Counts what ran beside; its lines come here.
fn add(tally: &mut Tally, thread: ScopedJoinHandle<'_, Tally>) {
    match thread.join() {
        Ok(own) => tally.add(own),
        Err(_) => tally.fail("run", "a thread of the tests broke"),
    }
}

/// Runs something beside what this thread goes on with.
fn beside<'scope>(
    scope: &'scope Scope<'scope, '_>,
    tally: &Tally,
    work: impl FnOnce(&mut Tally) + Send + 'scope,
) -> ScopedJoinHandle<'scope, Tally> {
    let mut own = tally.beside();
    scope.spawn(move || {
        work(&mut own);
        own
    })
}

/// What the scenarios run with.
#[derive(Clone, Copy)]
struct Run<'a> {
    cache: &'a Path,
    parts: &'a Parts,
    options: &'a Options,
    stop: &'a AtomicBool,
}

/// A lab, and what is known of its install.
struct Standing<'a> {
    lab: LabGuard<'a>,
    installed: Option<OnceLock<Result<Installed, String>>>,
}

impl<'a> Run<'a> {
    /// Runs groups one after the other, and what mostly waits at the end of one beside the next ones.
    fn all(self, tally: &mut Tally, groups: &[&Group]) {
        std::thread::scope(|scope| {
            let mut waiting = Vec::new();
            for group in groups.iter().take_while(|_| !self.stop.load(Ordering::Relaxed)) {
                let Some(mut standing) = self.up(tally, group) else { continue };
                self.tests(tally, group, &group.tests, &mut standing);
                if group.waiting_at_last.is_empty() {
                    continue;
                }
                let work =
                    move |own: &mut Tally| self.tests(own, group, &group.waiting_at_last, &mut standing);
                waiting.push(beside(scope, tally, work));
            }
            for thread in waiting {
                add(tally, thread);
            }
        });
    }

    /// Brings a group's lab up; where that fails, so do its tests.
    fn up(self, tally: &mut Tally, group: &Group) -> Option<Standing<'a>> {
        let Self { cache, options, .. } = self;
        let up = tally.require(group.lab_test, || {
            let fresh = group.all().any(|test| test.needs == Needs::FreshHosts);
            if fresh || !options.keep {
                Lab::down(cache, group.lab)?;
            }
            Lab::up(cache, group.lab, &(group.spec)())
        });
        let Some(lab) = up else {
            fail_all(tally, group.all(), &format!("the lab {} did not come up", group.lab));
            return None;
        };
        Some(Standing { lab: LabGuard { cache, lab, keep: options.keep }, installed: None })
    }

    fn tests(self, tally: &mut Tally, group: &Group, tests: &[Test], standing: &mut Standing<'_>) {
        let Parts { programs, payload, made } = self.parts;
        let context = match Context::new(self.cache, &standing.lab.lab, programs, payload, made) {
            Ok(context) => context.installed_by(group.profiles),
            Err(error) => return fail_all(tally, tests, &format!("the seat is not ready: {error:#}")),
        };
        let context = context.going_on(standing.installed.take().unwrap_or_default());
        for test in tests {
            if self.stop.load(Ordering::Relaxed) {
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
        standing.installed = Some(context.into_installed());
    }
}

fn fail_all<'a>(tally: &mut Tally, tests: impl IntoIterator<Item = &'a Test>, reason: &str) {
    for test in tests {
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
pub fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
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
