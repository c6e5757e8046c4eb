//! `bundle-builder verify`

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use sealift_bundle::BundleError;
use sealift_bundle::recarry::DamageList;

use super::Lines;
use super::trust::Trust;
use crate::failure::Failure;
use crate::parallel;
use crate::progress::{Progress as _, bytes, count};
use crate::trust::TrustError;

/// Check a bundle: its signature, and every byte against it
#[derive(Debug, Args)]
#[command(after_help = "Where a copy is damaged at a site, the list of damaged blobs goes to the vendor,
whose `recarry` makes a small file from it, with which `repair` mends the copy.

Examples:
  bundle-builder verify orders-4.2.0.bundle --key release.key.pub
  bundle-builder verify /media/disk/orders-4.2.0.bundle.001 \\
      --key release.key.pub --damage-list damage.json")]
pub(super) struct Arguments {
    /// The bundle
    bundle: PathBuf,
    #[command(flatten)]
    trust: Trust,
    /// If it is damaged or incomplete: write the list of what is needed here
    #[arg(long, value_name = "FILE")]
    damage_list: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, lines: &Lines) -> Result<(), Failure> {
    let Err(error) = check(arguments, lines) else { return Ok(()) };
    lines.end();
    let list = match (&arguments.damage_list, &error) {
        (Some(file), TrustError::Bundle(refusal)) => list(arguments, refusal, file, lines)?,
        _ => None,
    };
    let failure = Failure::from(error);
    let (Some(list), Some(file)) = (list, &arguments.damage_list) else { return Err(failure) };
    println!(
        "damage    {}, {}, listed in {}",
        count(list.blobs.len(), "blob"),
        bytes(list.bytes()),
        file.display()
    );
    Err(failure.with_damage_list(file))
}

fn check(arguments: &Arguments, lines: &Lines) -> Result<(), TrustError> {
    let bundle = arguments.trust.resolved().open(&arguments.bundle)?;
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

/// Writes the list, where there can be one: not without a contents list to believe, and not where parts only changed
/// their names.
fn list(
    arguments: &Arguments,
    refusal: &BundleError,
    file: &Path,
    lines: &Lines,
) -> Result<Option<DamageList>, Failure> {
    if matches!(refusal, BundleError::SwappedPart { .. }) {
        return Ok(None);
    }
    let keys = arguments.trust.keys()?;
    let progress = |done, total| lines.advance("list", done, total);
    let found = DamageList::after(refusal, &arguments.bundle, &keys, parallel::cores(), &progress);
    lines.end();
    let Ok(list) = found else { return Ok(None) };
    list.write(file)?;
    Ok(Some(list))
}
