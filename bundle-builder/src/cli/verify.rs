//! `bundle-builder verify`

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use sealift_bundle::{Bundle, TrustedKeys};

use super::Lines;
use crate::failure::Failure;
use crate::parallel;
use crate::progress::{Progress as _, bytes, count};

/// Check a bundle: its signature, and every byte against it
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The bundle
    bundle: PathBuf,
    /// Public key to trust; may be repeated
    #[arg(long = "key", value_name = "FILE", required = true)]
    keys: Vec<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, lines: &Lines) -> Result<(), Failure> {
    let keys = TrustedKeys::from_files(&arguments.keys)?;
    let bundle = Bundle::open(&arguments.bundle, &keys)?;
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
