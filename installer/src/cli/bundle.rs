//! `installer bundle`: what a site does with a bundle before it installs it, where the way to it is long: make the next one
//! from the last one and a delta, mend a damaged copy, say what it has. Asks no host.

use std::path::PathBuf;

use sealift_bundle::Bundle;
use sealift_bundle::delta::{self, Delta};
use sealift_bundle::inventory::Inventory;
use sealift_bundle::output::target::Replaces;
use sealift_bundle::repair::{self, Spare};
use sealift_bundle::room;
use sealift_bundle::unfinished::{self, Left};
use serde_json::json;
use signal_hook::consts::SIGINT;

use crate::failure::{Failure, Kind};
use crate::output::{Output, bytes, counted};
use crate::seat::threads;
use crate::trust::Trust;

/// What is done with a bundle.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Make a newer bundle from the one that is here and the vendor's delta, byte for byte the vendor's own.
    Apply(Apply),
    /// Mend a damaged or incomplete bundle in place, from another copy or the vendor's re-carry file.
    Repair(Repair),
    /// List what a bundle consists of, for the vendor to make a delta from: digests, sizes and names, no content.
    Inventory(List),
}

/// What `bundle apply` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Apply {
    /// The bundle that is here, or its first part.
    old: PathBuf,
    /// The delta from the vendor, or its first part.
    delta: PathBuf,
    /// The bundle to write; nothing is replaced.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    trust: Trust,
}

/// What `bundle repair` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Repair {
    /// The bundle, or its first part.
    bundle: PathBuf,
    /// Another copy of it, which may be damaged itself, or the vendor's re-carry file.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    #[command(flatten)]
    trust: Trust,
}

/// What `bundle inventory` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// The bundle, or its first part.
    bundle: PathBuf,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    trust: Trust,
}

pub(crate) fn run(verb: &Verb, output: Output) -> Result<(), Failure> {
    match verb {
        Verb::Apply(arguments) => apply(arguments, output),
        Verb::Repair(arguments) => repair(arguments, output),
        Verb::Inventory(arguments) => inventory(arguments, output),
    }
}

fn apply(arguments: &Apply, output: Output) -> Result<(), Failure> {
    let keys = arguments.trust.trusted(&arguments.delta)?;
    let delta = Delta::open(&arguments.delta, &keys)?;
    let old = Bundle::open(&arguments.old, &keys)?;
    Trust::show(delta.target(), output);
    room::require_beside(&arguments.out, delta::room(&old, &delta, threads()))?;
    watch(NOTHING, output);
    let size = delta::apply(&old, &delta, &arguments.out, threads(), &output.moving("apply"))?;
    let text = format!("{}, {}, every blob matches the signature", arguments.out.display(), bytes(size));
    output.line("apply", &text, &json!({"path": arguments.out, "bytes": size}));
    Ok(())
}

fn repair(arguments: &Repair, output: Output) -> Result<(), Failure> {
    let keys = arguments.trust.trusted(&arguments.bundle)?;
    let spare = Spare::open(&arguments.from, &keys)?;
    room::require_beside(&arguments.bundle, repair::room(&arguments.bundle, &keys, &spare)?)?;
    watch("what was mended stays: the same command goes on", output);
    let repaired = repair::repair(&arguments.bundle, &keys, &spare, threads(), &output.moving("verify"))?;
    let places = repaired.damage.iter().map(|damage| {
        output.remark(&format!("mended    {damage}"));
        json!({"what": damage.to_string(), "offset": damage.offset, "bytes": damage.size})
    });
    let places: Vec<_> = places.collect();
    let data = json!({"mended": places, "bytes": repaired.bytes, "allRead": repaired.all_read});
    let read = if repaired.all_read { "every blob" } else { "what the re-carry file is for" };
    let mended = counted(places.len(), "place");
    let from = spare.path().display();
    let text = match places.len() {
        0 => format!("nothing to mend: {read} matches the signature"),
        _ => format!("{mended} mended, {} taken from {from}", bytes(repaired.bytes)),
    };
    output.line("repair", &text, &data);
    if !repaired.all_read {
        output.remark("repair    the rest was not read again: `installer verify` reads everything");
    }
    Ok(())
}

fn inventory(arguments: &List, output: Output) -> Result<(), Failure> {
    arguments.trust.may_replace(&arguments.out, Replaces::Inventories, &arguments.bundle)?;
    let inventory = Inventory::of(&arguments.trust.open(&arguments.bundle, output)?);
    inventory.write(&arguments.out)?;
    let text = format!("{}, {}", arguments.out.display(), counted(inventory.blobs.len(), "blob"));
    output.line("inventory", &text, &json!({"path": arguments.out, "blobs": inventory.blobs.len()}));
    output.remark("inventory send it to the vendor, who makes a delta from it: there is no content in it");
    Ok(())
}

const NOTHING: &str = "nothing was written";

/// From now on, Ctrl-C and a polite request to end remove what is unfinished, and say what `holds`.
fn watch(holds: &'static str, output: Output) {
    // Where the system does not take it, its own ending stays, which leaves a hidden file.
    let _ = unfinished::abandon_on_signals(move |signal, left| {
        let by = if signal == SIGINT { "Ctrl-C" } else { "SIGTERM" };
        let holds = match (holds, left) {
            (NOTHING, Left::Finished) => "it was done: what it wrote is whole, and stays",
            _ => holds,
        };
        let failure = Failure::new(Kind::Run, format!("stopped by {by}; {holds}"));
        output.failure(&failure);
        std::process::exit(i32::from(failure.exit_code()));
    });
}
