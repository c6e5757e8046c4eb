//! `bundle-builder repair`

use std::path::PathBuf;

use clap::Args;
use sealift_bundle::repair::{Spare, repair};

use super::Lines;
use super::standard::say;
use super::trust::Trust;
use crate::failure::Failure;
use crate::parallel;
use crate::progress::{Progress as _, bytes, count};

/// Mend a damaged or incomplete bundle from a second copy or a re-carry file
#[derive(Debug, Args)]
#[command(after_help = "Only what is damaged or missing is written, in place. The second copy may be
damaged itself, whole or split, as long as what is needed is good in it. With
a re-carry file (see `recarry`) only what it is for is read, not the whole
bundle. A repair that is interrupted goes on when it is run again.

Examples:
  bundle-builder repair orders-4.2.0.bundle --key release.key.pub \\
      --from /media/disk/orders-4.2.0.bundle.001
  bundle-builder repair orders-4.2.0.bundle --key release.key.pub \\
      --from mend.recarry")]
pub(super) struct Arguments {
    /// The bundle, or its first part
    bundle: PathBuf,
    /// Another copy of it, or a re-carry file
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    #[command(flatten)]
    trust: Trust,
}

pub(super) fn run(arguments: &Arguments, lines: &Lines) -> Result<(), Failure> {
    let keys = arguments.trust.keys()?;
    let spare = Spare::open(&arguments.from, &keys)?;
    let progress = |done, total| lines.advance("verify", done, total);
    let repaired = repair(&arguments.bundle, &keys, &spare, parallel::cores(), &progress)?;
    lines.end();
    if repaired.damage.is_empty() {
        let read = if repaired.all_read { "every blob" } else { "what the re-carry file is for" };
        say!("repair    nothing to mend: {read} matches the signature");
        return Ok(());
    }
    for damage in &repaired.damage {
        say!("mended    {damage}");
    }
    say!(
        "repair    {}, {} taken from {}",
        count(repaired.damage.len(), "place"),
        bytes(repaired.bytes),
        spare.path().display()
    );
    if !repaired.all_read {
        say!("repair    the rest was not read again: `bundle-builder verify` reads everything");
    }
    Ok(())
}
