//! `bundle-builder verify`

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use sealift_bundle::output::target::Replaces;
use sealift_bundle::recarry::DamageList;
use sealift_bundle::{BundleError, NoteError};

use super::Lines;
use super::standard::say;
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
    if let Some(file) = &arguments.damage_list {
        arguments.trust.may_replace(file, Replaces::DamageLists, &arguments.bundle)?;
    }
    let Err(error) = check(arguments, lines) else { return Ok(()) };
    lines.end();
    let (Some(file), TrustError::Bundle(refusal)) = (&arguments.damage_list, &error) else {
        return Err(error.into());
    };
    let listed = list(arguments, refusal, file, lines);
    let failure = Failure::from(error);
    Err(match listed {
        Listed::Written => failure.with_damage_list(file),
        Listed::Unwritten(why) => failure.with_unwritten_damage_list(&why),
        Listed::Impossible => failure.without_damage_list(),
        Listed::Pointless => failure,
    })
}

/// What became of the list.
enum Listed {
    Written,
    /// There is one, but not on the disk.
    Unwritten(NoteError),
    /// The contents list is damaged: nobody knows what should be there.
    Impossible,
    /// Nothing that could be carried would help.
    Pointless,
}

fn check(arguments: &Arguments, lines: &Lines) -> Result<(), TrustError> {
    let bundle = arguments.trust.resolved().open(&arguments.bundle)?;
    let document = bundle.document();
    let product = &document.product;
    say!(
        "bundle    {} {} (serial {}), signed by key {}, {}, {}, {}",
        product.title,
        product.version,
        product.serial,
        bundle.key_id(),
        bytes(bundle.size()),
        count(document.images.len(), "image"),
        count(document.charts.len(), "chart")
    );
    say!("signed    {}", bundle.trusted_comment().replace('\t', " "));
    let began = Instant::now();
    let report = bundle.verify(parallel::cores(), &|done, total| lines.advance("verify", done, total))?;
    lines.end();
    say!(
        "verify    {} in {:.1} s, every blob matches the signature",
        bytes(report.bytes),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Writes the list, where there can be one. Whatever comes of it, the refusal is what is told.
fn list(arguments: &Arguments, refusal: &BundleError, file: &Path, lines: &Lines) -> Listed {
    // Parts only changed their names.
    if matches!(refusal, BundleError::SwappedPart { .. }) {
        return Listed::Pointless;
    }
    // They were read a moment ago.
    let Ok(keys) = arguments.trust.keys() else { return Listed::Pointless };
    let progress = |done, total| lines.advance("list", done, total);
    let found = DamageList::after(refusal, &arguments.bundle, &keys, parallel::cores(), &progress);
    lines.end();
    let list = match found {
        Ok(list) => list,
        Err(
            BundleError::Open { .. }
            | BundleError::NotABundle { .. }
            | BundleError::Parcel { .. }
            | BundleError::Unsigned { .. }
            | BundleError::WrongKey { .. }
            | BundleError::NewerFormat { .. },
        ) => return Listed::Pointless,
        Err(_) => return Listed::Impossible,
    };
    if let Err(why) = list.write(file) {
        return Listed::Unwritten(why);
    }
    say!(
        "damage    {}, {}, listed in {}",
        count(list.blobs.len(), "blob"),
        bytes(list.bytes()),
        file.display()
    );
    Listed::Written
}
