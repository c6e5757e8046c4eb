//! The promises, each tried on real hosts: one file per promise, one function per test.
//!
//! A scenario knows the product as its user does: programs, files, exit codes, words, and what the hosts and the
//! cluster themselves say. It must not know the installer's code.

mod api;
mod choices;
mod etcd;
mod events;
mod format;
mod guide;
mod hosts;
mod install;
mod kills;
mod machine;
mod masters;
mod operation;
mod plan;
mod ready;
mod reference;
mod refusals;
mod report;
mod secrets;
mod services;
mod shipped;
mod wizard;

use anyhow::Result;

pub use hosts::{HostFiles, look};

use crate::lab::LabSpec;
use crate::test::{Context, Options, Profiles, demo};

/// What a test finds when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Hosts that nobody has installed anything on. Such tests come first and leave the hosts as they were.
    FreshHosts,
    /// A lab, whatever is on it.
    Lab,
    /// A cluster that was installed undisturbed; tests leave it well.
    Cluster,
}

/// One test.
#[derive(Clone, Copy)]
pub struct Test {
    /// Name, `file::what_holds`.
    pub name: &'static str,
    /// What it needs.
    pub needs: Needs,
    /// The test itself; an error is a failure.
    pub work: fn(&Context<'_>) -> Result<()>,
}

impl Test {
    /// A test on fresh hosts.
    pub const fn fresh(name: &'static str, work: fn(&Context<'_>) -> Result<()>) -> Self {
        Self { name, needs: Needs::FreshHosts, work }
    }

    /// A test that needs the lab only.
    pub const fn lab(name: &'static str, work: fn(&Context<'_>) -> Result<()>) -> Self {
        Self { name, needs: Needs::Lab, work }
    }

    /// A test on an installed cluster.
    pub const fn cluster(name: &'static str, work: fn(&Context<'_>) -> Result<()>) -> Self {
        Self { name, needs: Needs::Cluster, work }
    }
}

/// Tests that share a lab, in the order in which they run. Hosts and installs are dear.
pub struct Group {
    /// Name of the lab.
    pub lab: &'static str,
    /// The line that says whether the lab came up.
    pub lab_test: &'static str,
    /// The lab.
    pub spec: fn() -> LabSpec,
    /// What it is installed by.
    pub profiles: Profiles,
    /// Whether its tests need little of the machine and much time: it runs beside the others.
    pub mostly_waits: bool,
    /// The tests.
    pub tests: Vec<Test>,
    /// Those at its end that mostly wait: the next group goes on beside them.
    pub waiting_at_last: Vec<Test>,
}

impl Group {
    /// All its tests, in order.
    pub fn all(&self) -> impl Iterator<Item = &Test> {
        self.tests.iter().chain(&self.waiting_at_last)
    }

    /// The group with the wanted tests; none where no test is wanted.
    pub fn only(mut self, options: &Options) -> Option<Self> {
        for tests in [&mut self.tests, &mut self.waiting_at_last] {
            tests.retain(|test| options.wants(test.name));
        }
        let any = self.all().next().is_some();
        any.then_some(self)
    }
}

/// All scenarios. One lab with work to do at a time, as a rule: the machine is small.
pub fn groups() -> Vec<Group> {
    vec![
        Group {
            lab: "test-d",
            lab_test: "lab::containers_beside",
            spec: || LabSpec::standard(0),
            profiles: demo,
            mostly_waits: true,
            tests: kills::WAITING.to_vec(),
            waiting_at_last: Vec::new(),
        },
        Group {
            // Not in the lab above: its test has the seat forget its connections, those of the site's services too.
            lab: "test-f",
            lab_test: "lab::services_of_the_site",
            spec: || LabSpec::standard(0),
            profiles: services::profiles,
            mostly_waits: true,
            tests: services::INSTALLED.to_vec(),
            waiting_at_last: Vec::new(),
        },
        Group {
            lab: "test-a",
            lab_test: "lab::containers",
            // The spare machine has a kernel and a clock of its own and is mostly emulated: all is slow there, so it
            // is switched on late, and joins the cluster that stands.
            spec: LabSpec::with_spare_machine,
            profiles: demo,
            mostly_waits: false,
            tests: [
                hosts::TESTS,
                ready::TESTS,
                refusals::TESTS,
                format::TESTS,
                services::BEFORE,
                plan::TESTS,
                report::TESTS,
                install::TESTS,
                guide::TESTS,
                secrets::TESTS,
                masters::TESTS,
            ]
            .concat(),
            // One processor emulates, the other one has time.
            waiting_at_last: machine::TESTS.to_vec(),
        },
        Group {
            lab: "test-e",
            lab_test: "lab::every_choice_made",
            spec: LabSpec::with_disks_for_events,
            profiles: choices::profiles,
            mostly_waits: false,
            tests: [
                shipped::TESTS,
                choices::TESTS,
                etcd::TESTS,
                events::TESTS,
                operation::TESTS,
                api::TESTS,
                etcd::LAST,
            ]
            .concat(),
            waiting_at_last: Vec::new(),
        },
        Group {
            lab: "test-b",
            lab_test: "lab::containers_again",
            spec: || LabSpec::standard(0),
            // Nobody is at the keyboard any more: what the wizard has saved suffices.
            profiles: wizard::profiles,
            mostly_waits: false,
            tests: [wizard::TESTS, kills::TESTS].concat(),
            waiting_at_last: Vec::new(),
        },
        Group {
            lab: "test-c",
            lab_test: "lab::one_master",
            spec: || LabSpec::new(1, 0, 0),
            profiles: demo,
            mostly_waits: false,
            tests: refusals::ON_THE_WAY.to_vec(),
            waiting_at_last: Vec::new(),
        },
    ]
}
