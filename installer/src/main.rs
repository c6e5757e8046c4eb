//! `installer`: verifies a bundle, checks the hosts, shows the plan, installs cluster and product, and is the agent
//! that does the work on each host.
//!
//! This crate joins the rooms and is the only one that prints. `cli` has one file per verb; `site` opens what a verb
//! starts from (profile, bundle, hosts); `executor` lets the engine act through agent sessions; `runs` knows the folders
//! of runs, `detached` starts one in a process of its own, `watch` follows it, `stopping` ends it safely; `lines` and
//! `jsonl` show the event stream; `tui` draws the wizard; `failure` alone decides kind, hint and exit code.

mod cli;
mod detached;
mod executor;
mod facts_files;
mod failure;
mod jsonl;
mod lines;
mod matrix;
mod output;
mod profiles;
mod runs;
mod seat;
mod services;
mod sessions;
mod site;
mod stopping;
mod trust;
mod tui;
mod watch;
mod written;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = cli::Arguments::given();
    let output = arguments.output();
    match cli::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}
