//! `bundle-builder split`

use std::path::PathBuf;

use clap::Args;
use sealift_bundle::split::{self, split};

use super::standard::say;
use super::{Lines, size};
use crate::cache::require_room;
use crate::failure::Failure;
use crate::progress::{Progress as _, bytes, count};

/// Cut a bundle into parts for disks that take no large files
#[derive(Debug, Args)]
#[command(after_help = "The parts are named orders-4.2.0.bundle.001, .002 and so on. Nobody has to join
them: bundle-builder and installer read a bundle by its first part. Parts of
size fat32 are as large as a file can be there, one byte less than 4 GiB.

Examples:
  bundle-builder split orders-4.2.0.bundle --size fat32 --out /media/disk
  bundle-builder verify /media/disk/orders-4.2.0.bundle.001 \\
      --key release.key.pub")]
pub(super) struct Arguments {
    /// The bundle
    bundle: PathBuf,
    /// Bytes of a part: fat32, 4GB, 700MB, 512MiB
    #[arg(long, value_parser = size::part)]
    size: u64,
    /// Folder for the parts [default: where the bundle is]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, lines: &Lines) -> Result<(), Failure> {
    let beside = || arguments.bundle.parent().map(PathBuf::from).unwrap_or_default();
    let folder = arguments.out.clone().unwrap_or_else(beside);
    // Blocks are shared only where a part's length is a multiple of theirs, which no medium asks for.
    require_room(&folder, split::size(&arguments.bundle)?)?;
    let advance = |done, total| lines.advance("split", done, total);
    let parts = split(&arguments.bundle, arguments.size, &folder, &advance)?;
    lines.end();
    if let [first, .., last] = parts.as_slice() {
        say!("split     {}: {} to {}", count(parts.len(), "part"), first.display(), last.display());
    } else if let [only] = parts.as_slice() {
        say!("split     one part of {}: {}", bytes(arguments.size), only.display());
    }
    Ok(())
}
