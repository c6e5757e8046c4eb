//! `bundle-builder inventory`

use std::path::PathBuf;

use clap::Args;
use sealift_bundle::inventory::Inventory;
use sealift_bundle::output::target::Replaces;

use super::standard::say;
use super::trust::Trust;
use crate::failure::Failure;
use crate::progress::count;

/// List what a bundle consists of, for a delta against it
#[derive(Debug, Args)]
#[command(after_help = "The list holds digests, sizes and names, no content: a site can send it to the
vendor, whose `delta --base-inventory` leaves out what the site has.

Examples:
  bundle-builder inventory orders-4.1.0.bundle --out orders-4.1.0.inventory.json \\
      --key release.key.pub")]
pub(super) struct Arguments {
    /// The bundle, or its first part
    bundle: PathBuf,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    trust: Trust,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    arguments.trust.may_replace(&arguments.out, Replaces::Inventories, &arguments.bundle)?;
    let inventory = Inventory::of(&arguments.trust.open(&arguments.bundle)?);
    inventory.write(&arguments.out)?;
    say!("inventory {}, {}", arguments.out.display(), count(inventory.blobs.len(), "blob"));
    Ok(())
}
