//! `bundle-builder delta`

use std::path::PathBuf;

use clap::Args;
use sealift_bundle::Bundle;
use sealift_bundle::delta::{Against, Report, cut, room_to_cut};
use sealift_bundle::document::Product;
use sealift_bundle::inventory::Inventory;

use super::Lines;
use super::diff::exchanged;
use super::output::{Format, json};
use super::standard::{say, tell};
use super::trust::Trust;
use crate::cache::require_room_beside;
use crate::failure::Failure;
use crate::parallel;
use crate::progress::{Progress as _, bytes, count};

/// Write only what a newer bundle has and an older one has not
#[derive(Debug, Args)]
#[command(after_help = "Whoever has the older bundle makes the newer one from it and the delta, with
`bundle-builder apply`. Files that changed little are carried as a patch.
Against an inventory everything new is carried whole.

Examples:
  bundle-builder delta orders-4.1.0.bundle orders-4.2.0.bundle \\
      --out orders-4.1.0-4.2.0.delta --key release.key.pub
  bundle-builder delta --base-inventory orders-4.1.0.inventory.json \\
      orders-4.2.0.bundle --out orders-4.2.0.delta --key release.key.pub")]
pub(super) struct Arguments {
    /// The older bundle and the newer one; only the newer one with an inventory
    #[arg(value_names = ["OLD", "NEW"], num_args = 1..=2, required = true)]
    bundles: Vec<PathBuf>,
    /// Inventory of the older bundle, instead of the bundle
    #[arg(long, value_name = "FILE")]
    base_inventory: Option<PathBuf>,
    /// The delta to write; nothing is replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    trust: Trust,
    /// Lines for people, or JSON for programs
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text")]
    output: Format,
}

pub(super) fn run(arguments: &Arguments, lines: &Lines) -> Result<(), Failure> {
    let trust = &arguments.trust;
    let make = |against: Against<'_>, new: &Bundle| -> Result<Report, Failure> {
        require_room_beside(&arguments.out, room_to_cut(against, new))?;
        let progress = |what: &str, done, total| lines.advance(what, done, total);
        Ok(cut(against, new, &arguments.out, parallel::cores(), &progress)?)
    };
    let hint = |old: &Product, new: &Bundle| {
        if let Some(note) = exchanged(old, &new.document().product) {
            tell(format_args!("{note}\n"));
        }
    };
    let report = match (&arguments.base_inventory, arguments.bundles.as_slice()) {
        (None, [old, new]) => {
            let (old, new) = (trust.open(old)?, trust.open(new)?);
            hint(&old.document().product, &new);
            make(Against::Bundle(&old), &new)?
        }
        (Some(inventory), [new]) => {
            let (inventory, new) = (Inventory::read(inventory)?, trust.open(new)?);
            hint(&inventory.product, &new);
            make(Against::Inventory(&inventory), &new)?
        }
        _ => {
            return Err(Failure::usage(
                "a delta needs an older and a newer bundle",
                "give OLD and NEW, or `--base-inventory FILE` and NEW",
            ));
        }
    };
    lines.end();
    if arguments.output == Format::Json {
        return json(&report);
    }
    show(&report, arguments);
    Ok(())
}

fn show(report: &Report, arguments: &Arguments) {
    let (old, new) = (&report.old, &report.new);
    say!("old       {} {} (serial {})", old.title, old.version, old.serial);
    say!("new       {} {} (serial {})", new.title, new.version, new.serial);
    let (kept, whole, patched) = (report.kept, report.whole, report.patched);
    say!("kept      {}, {}", count(kept.blobs, "blob"), bytes(kept.bytes));
    say!("whole     {}, {}", count(whole.blobs, "blob"), bytes(whole.bytes));
    if patched.blobs > 0 {
        say!(
            "patched   {}, {} for {}",
            count(patched.blobs, "blob"),
            bytes(report.patch_bytes),
            bytes(patched.bytes)
        );
    }
    say!(
        "files     {} for {}: {} %",
        bytes(report.file_bytes_carried),
        bytes(report.file_bytes),
        percent(report.file_bytes_carried, report.file_bytes)
    );
    say!(
        "delta     {}, {} for {}: {} % saved",
        arguments.out.display(),
        bytes(report.bytes),
        bytes(report.bundle_bytes),
        100_u64.saturating_sub(percent(report.bytes, report.bundle_bytes))
    );
}

/// Rounded up: what is left to carry is not made to look smaller.
fn percent(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100).div_ceil(whole.max(1))
}
