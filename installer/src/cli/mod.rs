//! The command line: one file per verb.

mod agent;
mod attach;
mod bundle;
mod check;
mod confirm;
mod deep;
mod events_backup;
mod fix;
mod install;
mod kit;
mod measured;
mod plan;
mod plan_view;
mod prepare;
mod profile;
mod questionnaire;
mod registry;
mod replay;
mod report;
pub(crate) mod run_view;
mod secrets;
mod signed;
mod size;
mod stop;
mod verify;
mod wizard;

use clap::{Parser, Subcommand};

use crate::failure::Failure;
use crate::output::Output;

/// Installs a product and its Kubernetes cluster from one signed file, without internet.
#[derive(Debug, Parser)]
#[command(name = "installer", version, max_term_width = 100)]
pub(crate) struct Arguments {
    /// How to speak: lines for people or one JSON object per line.
    #[arg(long, global = true, value_enum, default_value = "plain")]
    output: Output,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check every byte of a bundle against its signature.
    Verify(verify::Arguments),
    /// Make a newer bundle from a delta, mend a damaged one, list what one consists of; asks no host.
    #[command(subcommand)]
    Bundle(bundle::Verb),
    /// Say how many machines of what size a site needs, or whether those that are there suffice; changes nothing.
    Size(size::Arguments),
    /// Look at the hosts and say what stands in the way; changes nothing unless told to fix it.
    Check(check::Arguments),
    /// On a host, days before: measure it, say what stands in the way, write a file for `check --facts`.
    Kit(kit::Arguments),
    /// Show everything that an install would change, per host; changes nothing.
    Plan(plan::Arguments),
    /// Install, or go on where an earlier run stopped.
    Install(install::Arguments),
    /// Watch a run that goes on in another window or on a line that dropped; changes nothing.
    Attach(attach::Arguments),
    /// Ask a run that goes on to stop safely: what is running ends first.
    Stop(stop::Arguments),
    /// Play the record of a run that has ended; changes nothing.
    Replay(replay::Arguments),
    /// Say what people have to decide and sign: as HTML to print, as text, as JSON; changes nothing.
    Report(report::Arguments),
    /// Ask for everything that a site profile needs, page by page, and write it; changes no host.
    Wizard(wizard::Arguments),
    /// Print the questions that a site must answer, or make a profile of a filled-in form; asks no host.
    Questionnaire(questionnaire::Arguments),
    /// Start, check and show a site profile; asks no host.
    #[command(subcommand)]
    Profile(profile::Verb),
    /// Seal secrets, so that they can lie beside the profile or in it.
    #[command(subcommand)]
    Secrets(secrets::Verb),
    /// Do the work on a host, asked over standard input. Started by the installer itself.
    #[command(hide = true)]
    Agent,
    /// Serve a store as a read-only image registry. Started by systemd on masters.
    #[command(hide = true)]
    Registry(registry::Arguments),
    /// Take a snapshot of this master's member of the database of events. Started by systemd on masters.
    #[command(hide = true)]
    EventsBackup(events_backup::Arguments),
}

impl Arguments {
    /// The command line of this process. Somebody who says nothing at a terminal is led.
    pub(crate) fn given() -> Self {
        if std::env::args_os().len() < 2 && wizard::on_terminal() {
            Self::parse_from(["installer", "wizard"])
        } else {
            Self::parse()
        }
    }

    pub(crate) fn output(&self) -> Output {
        self.output
    }
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let output = arguments.output;
    match arguments.verb {
        Verb::Verify(arguments) => verify::run(&arguments, output),
        Verb::Size(arguments) => size::run(&arguments, output),
        Verb::Check(arguments) => check::run(arguments, output),
        Verb::Kit(arguments) => kit::run(&arguments, output),
        Verb::Plan(arguments) => plan::run(&arguments, output),
        Verb::Install(arguments) => install::run(&arguments, output),
        Verb::Attach(arguments) => attach::run(&arguments, output),
        Verb::Stop(arguments) => stop::run(&arguments, output),
        Verb::Replay(arguments) => replay::run(&arguments, output),
        Verb::Report(arguments) => report::run(&arguments, output),
        Verb::Questionnaire(arguments) => questionnaire::run(&arguments, output),
        Verb::Bundle(verb) => bundle::run(&verb, output),
        Verb::Wizard(arguments) => wizard::run(&arguments, output),
        Verb::Profile(verb) => profile::run(&verb, output),
        Verb::Secrets(verb) => secrets::run(&verb, output),
        Verb::Agent => agent::run(),
        Verb::Registry(arguments) => registry::run(arguments),
        Verb::EventsBackup(arguments) => events_backup::run(arguments, output),
    }
}
