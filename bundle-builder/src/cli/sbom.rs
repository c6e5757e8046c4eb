//! `bundle-builder sbom`

use std::path::PathBuf;

use clap::Args;
use sealift_bundle::output::target::Replaces;

use super::output::{cannot_write, json, text_of};
use super::standard::say;
use super::trust::Trust;
use crate::failure::Failure;
use crate::{atomic, sbom};

/// Write a bundle's bill of materials (`CycloneDX` 1.6, JSON)
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bundle-builder sbom orders-4.2.0.bundle --key release.key.pub \\
      --out orders-4.2.0.cdx.json")]
pub(super) struct Arguments {
    /// The bundle
    bundle: PathBuf,
    #[command(flatten)]
    trust: Trust,
    /// Where it goes [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace what is there
    #[arg(long, requires = "out")]
    overwrite: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(out) = arguments.out.as_ref().filter(|_| arguments.overwrite) {
        arguments.trust.may_replace(out, Replaces::Files, &arguments.bundle)?;
    }
    let sbom = sbom::sbom(&arguments.trust.open(&arguments.bundle)?);
    let Some(out) = &arguments.out else { return json(&sbom) };
    let text = text_of(&sbom)? + "\n";
    let write = if arguments.overwrite { atomic::write } else { atomic::create };
    write(out, text.as_bytes()).map_err(|error| cannot_write(out, &error))?;
    say!("written   {}", out.display());
    Ok(())
}
