//! `installer plan`: the steps of an install, without doing them.

use std::path::PathBuf;

use sealift_plan::Plan;

use super::prepare::{self, Prepared};
use crate::failure::{Failure, Kind};
use crate::output::{Output, say};

/// What `plan` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    prepare: prepare::Arguments,
    /// Write the plan as JSON to this file.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let prepared = Prepared::new(&arguments.prepare, output)?;
    let plan = prepared.plan();
    let checked = prepared.check(output);
    prepared.sessions.close();
    let plan = plan?;
    show(&plan, output);
    if let Some(path) = &arguments.write {
        std::fs::write(path, plan.to_json()).map_err(|error| {
            let failure =
                Failure::new(Kind::Usage, format!("the plan cannot be written to {}", path.display()));
            Failure { causes: vec![error.to_string()], ..failure }
        })?;
    }
    checked?;
    prepare::nothing_changed(output);
    Ok(())
}

/// Every step, per host.
fn show(plan: &Plan, output: Output) {
    if output == Output::Json {
        output.line("plan", "the plan", plan);
        return;
    }
    say(&format!(
        "plan      {} steps on {} hosts for {} ({})",
        plan.steps.len(),
        plan.hosts.len(),
        plan.product,
        plan.kubernetes
    ));
    for host in &plan.hosts {
        say(&format!("\n{host}"));
        for step in plan.steps.iter().filter(|step| &step.host == host) {
            let name = step.id.split_once('.').map_or(step.id.as_str(), |(_, name)| name);
            say(&format!("  {name:<28} {}", step.title));
            for line in touched(step) {
                say(&format!("  {:<28}   {line}", ""));
            }
        }
    }
}

/// Files, units and commands that a step touches.
fn touched(step: &sealift_plan::Step) -> Vec<String> {
    use sealift_plan::operation::Operation;
    match &step.operation {
        Operation::WriteFiles { files, load_modules, .. } => {
            let modules = (!load_modules.is_empty()).then(|| format!("modules {}", load_modules.join(", ")));
            files.iter().map(|file| format!("file {}", file.path)).chain(modules).collect()
        }
        Operation::ManagedBlock { path, .. } => vec![format!("lines of our own in {path}")],
        Operation::Directories { directories } => {
            directories.iter().map(|one| format!("folder {} (owner {})", one.path, one.uid)).collect()
        }
        Operation::InstallBinaries { binaries } => {
            binaries.iter().map(|binary| format!("program {}", binary.path)).collect()
        }
        Operation::Service { service } => {
            let files = service.files.iter().map(|file| format!("file {}", file.path));
            files.chain([format!("unit {}", service.unit)]).collect()
        }
        Operation::PullImages { images } => {
            images.iter().map(|image| format!("image {}", image.name)).collect()
        }
        Operation::SwapOff => vec!["swap areas in /etc/fstab".to_owned()],
        _ => Vec::new(),
    }
}
