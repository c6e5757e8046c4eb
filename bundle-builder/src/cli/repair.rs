//! `bundle-builder repair`

use std::path::PathBuf;

use clap::Args;
use sealift_bundle::repair::repair;

use super::Lines;
use super::trust::Trust;
use crate::failure::Failure;
use crate::parallel;
use crate::progress::{Progress as _, bytes, count};

/// Mend a damaged or incomplete bundle from a second copy
#[derive(Debug, Args)]
#[command(after_help = "Only what is damaged or missing is written, in place. The second copy may be
damaged itself, whole or split, as long as what is needed is good in it. A
repair that is interrupted goes on when it is run again.

Examples:
  bundle-builder repair orders-4.2.0.bundle --key release.key.pub \\
      --from /media/disk/orders-4.2.0.bundle.001")]
pub(super) struct Arguments {
    /// The bundle, or its first part
    bundle: PathBuf,
    /// Another copy of it
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    #[command(flatten)]
    trust: Trust,
}

pub(super) fn run(arguments: &Arguments, lines: &Lines) -> Result<(), Failure> {
    let keys = arguments.trust.keys()?;
    let spare = sealift_bundle::Bundle::open_damaged(&arguments.from, &keys)?;
    let progress = |done, total| lines.advance("verify", done, total);
    let repaired = repair(&arguments.bundle, &keys, &spare, parallel::cores(), &progress)?;
    lines.end();
    if repaired.damage.is_empty() {
        println!("repair    nothing to mend: every blob matches the signature");
        return Ok(());
    }
    for damage in &repaired.damage {
        println!("mended    {damage}");
    }
    println!(
        "repair    {}, {} taken from {}",
        count(repaired.damage.len(), "place"),
        bytes(repaired.bytes),
        spare.path().display()
    );
    Ok(())
}
