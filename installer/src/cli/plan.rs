//! `installer plan`: everything that an install would change, without doing it; for people, for machines, and as tables
//! for other teams' tickets.

use std::path::PathBuf;

use sealift_plan::changes::{HostChanges, changes, found};
use sealift_plan::dns::Records;
use sealift_plan::{Plan, saved, tickets};

use super::plan_view;
use super::prepare::{self, Prepared};
use crate::failure::Failure;
use crate::output::{Output, say};
use crate::written::write;

/// What `plan` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    prepare: prepare::Arguments,
    /// Show what is in the files, and how that differs from what the hosts have now.
    #[arg(long)]
    diff: bool,
    /// Write the plan as JSON to this file, for people who have to agree, and for `install --plan`.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Write every flow that firewalls must let through to this CSV file.
    #[arg(long, value_name = "FILE")]
    firewall: Option<PathBuf>,
    /// Write what each machine must have to this CSV file.
    #[arg(long, value_name = "FILE")]
    machines: Option<PathBuf>,
    /// Write the names of endpoint, product and hosts to this zone file, for the DNS team.
    #[arg(long, value_name = "FILE")]
    dns_zone: Option<PathBuf>,
    /// Write the same names to this CSV file.
    #[arg(long, value_name = "FILE")]
    dns_records: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let prepared = Prepared::new(&arguments.prepare, output)?;
    let result = look(arguments, &prepared, output);
    prepared.sessions.close();
    result?;
    prepare::nothing_changed(output);
    Ok(())
}

fn look(arguments: &Arguments, prepared: &Prepared, output: Output) -> Result<(), Failure> {
    let plan = prepared.plan();
    let checked = prepared.check(output);
    let plan = plan?;
    let mut changes = changes(&plan);
    let places = changes.iter().map(|host| (host.host.clone(), found::comparable(host))).collect();
    found::compare(&mut changes, &prepared.sessions.read_files(&places)?);
    show(&plan, &changes, arguments.diff, output);
    // Also where checks failed: tickets are how some of that is mended.
    if let Some(path) = &arguments.write {
        write(path, &saved::to_json(&plan))?;
    }
    if let Some(path) = &arguments.firewall {
        write(path, &tickets::firewall(&prepared.site.site, &plan))?;
    }
    if let Some(path) = &arguments.machines {
        let document = prepared.bundle.document();
        write(path, &tickets::machines(&prepared.site.site, document, &prepared.facts))?;
    }
    write_names(arguments, &Records::of(&prepared.site.site, &plan), output)?;
    checked
}

fn write_names(arguments: &Arguments, records: &Records, output: Output) -> Result<(), Failure> {
    if let Some(path) = &arguments.dns_zone {
        write(path, &records.zone_file())?;
    }
    if let Some(path) = &arguments.dns_records {
        write(path, &records.table())?;
    }
    if arguments.dns_zone.is_some() || arguments.dns_records.is_some() {
        for left_out in records.left_out() {
            output.remark(&format!("names     left out: {left_out}"));
        }
    }
    Ok(())
}

fn show(plan: &Plan, changes: &[HostChanges], diff: bool, output: Output) {
    if output == Output::Json {
        output.line("plan", "the plan", plan);
        output.line("changes", "what changes on each host", &changes);
        return;
    }
    say(&format!(
        "plan      {} steps on {} hosts for {} ({})",
        plan.steps.len(),
        plan.hosts.len(),
        plan.product,
        plan.kubernetes
    ));
    for line in plan_view::summary(changes) {
        say(&line);
    }
    if diff {
        for line in plan_view::contents(changes) {
            say(&line);
        }
    } else {
        say("\ncontents of files: the same command with --diff");
    }
}
