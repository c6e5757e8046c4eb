//! `bundle-builder apply`

use std::path::PathBuf;

use clap::Args;
use sealift_bundle::delta::{self, Delta, apply};

use super::Lines;
use super::standard::say;
use super::trust::Trust;
use crate::cache::require_room_beside;
use crate::failure::Failure;
use crate::parallel;
use crate::progress::{Progress as _, bytes};

/// Make a newer bundle from an older one and a delta
#[derive(Debug, Args)]
#[command(after_help = "The bundle that comes out is the vendor's, byte for byte: its signature is
checked first, and every blob against it while it is written. Give the keys of
both bundles where they differ.

Examples:
  bundle-builder apply orders-4.1.0.bundle orders-4.1.0-4.2.0.delta \\
      --out orders-4.2.0.bundle --key release.key.pub")]
pub(super) struct Arguments {
    /// The older bundle, or its first part
    old: PathBuf,
    /// The delta
    delta: PathBuf,
    /// The bundle to write; nothing is replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    trust: Trust,
}

pub(super) fn run(arguments: &Arguments, lines: &Lines) -> Result<(), Failure> {
    let keys = arguments.trust.keys()?;
    let delta = Delta::open(&arguments.delta, &keys)?;
    arguments.trust.not_older(&arguments.delta, delta.target())?;
    // Older by nature: the serial that is asked for is the new one's.
    let old = sealift_bundle::Bundle::open(&arguments.old, &keys)?;
    let product = &delta.target().document().product;
    say!(
        "bundle    {} {} (serial {}), signed by key {}, {}",
        product.title,
        product.version,
        product.serial,
        delta.target().key_id(),
        bytes(delta.target().size())
    );
    require_room_beside(&arguments.out, delta::room(&old, &delta, parallel::cores()))?;
    let progress = |done, total| lines.advance("apply", done, total);
    let size = apply(&old, &delta, &arguments.out, parallel::cores(), &progress)?;
    lines.end();
    say!("apply     {}, {}, every blob matches the signature", arguments.out.display(), bytes(size));
    Ok(())
}
