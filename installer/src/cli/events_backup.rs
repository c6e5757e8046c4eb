//! `installer events-backup`: a snapshot of this master's member of the database of events, and no more than are kept.

use sealift_host::cluster::{EventsBackup, back_up_events};
use sealift_host::protocol::{Failure as HostFailure, Progress};
use sealift_host::{Context, Paths, Reporter};
use serde_json::json;

use crate::failure::{Failure, Kind};
use crate::output::{Output, bytes};

/// What `events-backup` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Name of this master.
    #[arg(long, value_name = "NAME")]
    member: String,
    /// Folder of the snapshots.
    #[arg(long)]
    folder: String,
    /// Snapshots that are kept.
    #[arg(long, value_name = "NUMBER")]
    keep: usize,
}

pub(crate) fn run(arguments: Arguments, output: Output) -> Result<(), Failure> {
    let Arguments { member, folder, keep } = arguments;
    let paths = Paths::system();
    let context = Context::new(&paths, &Nobody, "", "");
    let taken = back_up_events(&context, &EventsBackup { member, folder, keep }).map_err(told)?;
    let text =
        format!("{}, {}; older ones removed: {}", taken.file.display(), bytes(taken.bytes), taken.removed);
    let data = json!({"path": taken.file, "bytes": taken.bytes, "removed": taken.removed});
    output.line("snapshot", &text, &data);
    Ok(())
}

/// For the host's journal: there is no run that goes on.
fn told(failure: HostFailure) -> Failure {
    let HostFailure { message, causes, hint, log, .. } = failure;
    Failure { causes, hints: hint.into_iter().collect(), log, ..Failure::new(Kind::Run, message) }
}

/// The journal is told the end alone.
struct Nobody;

impl Reporter for Nobody {
    fn progress(&self, _: Progress) {}
}
