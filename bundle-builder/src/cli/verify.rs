//! `bundle-builder verify`

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use super::Lines;
use super::trust::Trust;
use crate::failure::Failure;
use crate::parallel;
use crate::progress::{Progress as _, bytes, count};

/// Check a bundle: its signature, and every byte against it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bundle-builder verify orders-4.2.0.bundle --key release.key.pub
  bundle-builder verify /media/disk/orders-4.2.0.bundle.001 \\
      --key release.key.pub")]
pub(super) struct Arguments {
    /// The bundle
    bundle: PathBuf,
    #[command(flatten)]
    trust: Trust,
}

pub(super) fn run(arguments: &Arguments, lines: &Lines) -> Result<(), Failure> {
    let bundle = arguments.trust.open(&arguments.bundle)?;
    let document = bundle.document();
    let product = &document.product;
    println!(
        "bundle    {} {} (serial {}), signed by key {}, {}, {}, {}",
        product.title,
        product.version,
        product.serial,
        bundle.key_id(),
        bytes(bundle.size()),
        count(document.images.len(), "image"),
        count(document.charts.len(), "chart")
    );
    println!("signed    {}", bundle.trusted_comment().replace('\t', " "));
    let began = Instant::now();
    let report = bundle.verify(parallel::cores(), &|done, total| lines.advance("verify", done, total))?;
    lines.end();
    println!(
        "verify    {} in {:.1} s, every blob matches the signature",
        bytes(report.bytes),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}
