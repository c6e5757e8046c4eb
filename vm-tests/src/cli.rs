//! The command line: one verb per part.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use crate::cache;
use crate::lab::{self, Lab, LabSpec};
use crate::stage::{Show, human_bytes};
use crate::{bench, demo, fuzz, payload, receiver, system, test};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The lab, the payload, the demo and the tests that use real hosts")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// The main job: payload, bundle, five hosts, install, proof; leaves the cluster up
    Demo(DemoVerb),
    /// Hosts to install on, with no way to the internet
    #[command(subcommand)]
    Lab(LabVerb),
    /// Build what stands for upstream: programs, images, and a registry with them
    Payload(payload::Arguments),
    /// Everything that CI runs: format, lints, unit tests, dependencies, and the scenarios on real hosts
    Test(test::Options),
    /// Figures with their targets, measured beside a baseline
    #[command(subcommand)]
    Bench(bench::Verb),
    /// Feed the readers of bundles, recipes and registries' answers with what a fuzzer makes up
    Fuzz(fuzz::Options),
}

/// What the demo is asked for.
#[derive(Args)]
struct DemoVerb {
    /// Take the demo down instead
    #[arg(long)]
    down: bool,
    /// Name of the demo's lab
    #[arg(long, default_value = "demo")]
    name: String,
    /// How many of the two workers are virtual machines
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    vm_workers: u8,
    /// Lines for people, or JSON for machines
    #[arg(long, value_enum, default_value = "lines")]
    output: Show,
}

/// Which lab.
#[derive(Args)]
struct Name {
    /// Name of the lab
    #[arg(long, default_value = "demo")]
    name: String,
}

#[derive(Subcommand)]
enum LabVerb {
    /// Make the lab, or start what is off of one that is there
    Up {
        #[command(flatten)]
        name: Name,
        /// How many masters
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(0..=9))]
        masters: u8,
        /// How many workers
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=9))]
        workers: u8,
        /// How many of the workers are virtual machines
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=9))]
        vm_workers: u8,
    },
    /// Take the lab down, and whatever a killed run left of it
    Down {
        #[command(flatten)]
        name: Name,
    },
    /// Log in to a host as root, or run a command there
    Ssh {
        #[command(flatten)]
        name: Name,
        /// Host, such as m1
        host: String,
        /// Command with its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Run a command at the seat
    Seat {
        #[command(flatten)]
        name: Name,
        /// Command with its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
    /// Show hosts, and packets that wanted out
    Status {
        #[command(flatten)]
        name: Name,
        /// One JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Show all labs
    List,
    /// Take a host's power away
    Kill {
        #[command(flatten)]
        name: Name,
        /// Host, such as m1
        host: String,
    },
    /// Give a host power and wait until it answers
    Start {
        #[command(flatten)]
        name: Name,
        /// Host, such as m1
        host: String,
    },
    /// Reboot a host from inside and wait until it answers
    Reboot {
        #[command(flatten)]
        name: Name,
        /// Host, such as m1
        host: String,
    },
    /// Try the lab's promises on labs of its own, and take them down
    Check {
        /// Name of the lab; a second one gets `-b` behind it
        #[arg(long, default_value = "check")]
        name: String,
        /// One of the hosts is a virtual machine
        #[arg(long)]
        machine: bool,
    },
    /// An OpenID Connect issuer; a test runs it at the seat
    #[command(hide = true)]
    Issuer {
        #[arg(long)]
        folder: std::path::PathBuf,
    },
    /// The process beside a host
    #[command(hide = true)]
    Supervise {
        host: String,
        #[arg(long)]
        folder: std::path::PathBuf,
    },
    /// The fake of a site's services for logs and measurements
    #[command(hide = true)]
    Receive {
        #[arg(long)]
        folder: std::path::PathBuf,
    },
    /// The step from a mount namespace to a host
    #[command(hide = true)]
    Boot {
        host: String,
        #[arg(long)]
        folder: std::path::PathBuf,
    },
}

/// Reads the command line and does what it says.
pub fn main() -> Result<ExitCode> {
    match Cli::parse().verb {
        Verb::Demo(verb) if verb.down => demo::down(&verb.name),
        Verb::Demo(DemoVerb { name, vm_workers, output, .. }) => {
            let kubernetes = payload::KUBERNETES.to_owned();
            demo::run(&demo::Options { name, vm_workers, kubernetes, show: output })
        }
        Verb::Lab(verb) => lab_verb(verb),
        Verb::Payload(arguments) => {
            system::ensure(&[payload::PACKAGES])?;
            payload::run(&arguments)?;
            Ok(ExitCode::SUCCESS)
        }
        Verb::Test(options) => test::run(&options),
        Verb::Bench(verb) => bench::run(&verb),
        Verb::Fuzz(options) => fuzz::run(&options),
    }
}

fn lab_verb(verb: LabVerb) -> Result<ExitCode> {
    let cache = cache::root();
    system::need_root()?;
    match verb {
        LabVerb::Up { name, masters, workers, vm_workers } => {
            up(&name.name, &LabSpec::new(masters, workers, vm_workers))?;
        }
        LabVerb::Down { name } => {
            let found = Lab::down(&cache, &name.name)?;
            if found.is_empty() {
                println!("there is no lab {}", name.name);
            } else {
                println!("lab {} is gone: {found}", name.name);
            }
        }
        LabVerb::Ssh { name, host, command } => {
            let lab = Lab::open(&cache, &name.name)?;
            lab.spec().host(&host)?;
            // As ssh itself does it: the words go to the host's shell as they are.
            return pass_on(lab.ssh_command(&host, &[]).args(command));
        }
        LabVerb::Seat { name, command } => {
            let lab = Lab::open(&cache, &name.name)?;
            let words: Vec<_> = command.iter().map(String::as_str).collect();
            return pass_on(&mut lab.seat_command(&words));
        }
        LabVerb::Status { name, json } => status(&Lab::open(&cache, &name.name)?, json)?,
        LabVerb::List => Lab::list(&cache).iter().for_each(|name| println!("{name}")),
        LabVerb::Kill { name, host } => Lab::open(&cache, &name.name)?.kill_host(&host)?,
        LabVerb::Start { name, host } => {
            let lab = Lab::open(&cache, &name.name)?;
            lab.start_host(&host)?;
            lab.wait_ssh(&host)?;
        }
        LabVerb::Reboot { name, host } => Lab::open(&cache, &name.name)?.reboot_host(&host)?,
        LabVerb::Check { name, machine } => {
            system::ensure(&[system::LAB, system::MACHINES])?;
            lab::check(&cache, &name, machine, &mut |promise| println!("seen: {promise}"))?;
        }
        LabVerb::Issuer { folder } => crate::issuer::serve(&folder)?,
        LabVerb::Supervise { host, folder } => lab::supervise::supervise(&folder, &host)?,
        LabVerb::Receive { folder } => receiver::serve(&folder)?,
        LabVerb::Boot { host, folder } => lab::supervise::boot(&folder, &host)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn up(name: &str, spec: &LabSpec) -> Result<()> {
    let start = Instant::now();
    let has_machines = spec.hosts.iter().any(|host| host.backend == lab::Backend::Qemu);
    system::ensure(if has_machines { &[system::LAB, system::MACHINES] } else { &[system::LAB] })?;
    let lab = Lab::up(&cache::root(), name, spec)?;
    let how = if lab.reused { "was there" } else { "is up" };
    println!(
        "lab {name} {how}: {} hosts answer after {:.1} s",
        spec.hosts.len(),
        start.elapsed().as_secs_f64()
    );
    status(&lab, false)
}

fn status(lab: &Lab, json: bool) -> Result<()> {
    let traffic = lab.traffic()?;
    if json {
        let hosts: Vec<_> = lab
            .spec()
            .hosts
            .iter()
            .map(|host| serde_json::json!({"host": host, "up": lab.is_up(&host.name)}))
            .collect();
        println!("{}", serde_json::json!({"name": lab.name(), "hosts": hosts, "traffic": traffic}));
        return Ok(());
    }
    for host in &lab.spec().hosts {
        let state = if lab.is_up(&host.name) { "on" } else { "off" };
        let accel = lab.acceleration().filter(|_| host.backend == lab::Backend::Qemu);
        let backend =
            accel.map_or("container".to_owned(), |accel| format!("machine ({accel:?})").to_lowercase());
        println!(
            "{:<10} {:<12} {:<7} {backend:<15} {state}",
            host.name,
            host.address,
            format!("{:?}", host.role).to_lowercase()
        );
    }
    println!("on disk    {}", human_bytes(cache::bytes_on_disk(lab.folder())));
    println!("seat       {:<12} home {}", lab::SEAT, lab.seat_home().display());
    println!("packets towards outside: {} (astray inside: {})", traffic.outside, traffic.astray);
    for offender in &traffic.offenders {
        let port = offender.port.as_ref().map(|port| format!(" port {port}")).unwrap_or_default();
        println!(
            "    {:>6}  {} -> {} {}{port}",
            offender.packets, offender.from, offender.to, offender.protocol
        );
    }
    Ok(())
}

/// Runs a command on this terminal and ends as it ends.
fn pass_on(command: &mut std::process::Command) -> Result<ExitCode> {
    let status = command.status().context("cannot start the command")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
