//! `bundle-builder join`

use std::path::PathBuf;

use clap::Args;
use sealift_bundle::split::{self, join};

use super::Lines;
use super::standard::say;
use crate::cache::require_room_beside;
use crate::failure::Failure;
use crate::progress::{Progress as _, bytes};

/// Join the parts of a bundle into one file
#[derive(Debug, Args)]
#[command(after_help = "Parts that are missing or cut short are refused. What is in them is not
checked: `verify` does that, before or after.

Examples:
  bundle-builder join /media/disk/orders-4.2.0.bundle.001 \\
      --out orders-4.2.0.bundle")]
pub(super) struct Arguments {
    /// The first part, or the name without its number
    first: PathBuf,
    /// The bundle to write; nothing is replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn run(arguments: &Arguments, lines: &Lines) -> Result<(), Failure> {
    require_room_beside(&arguments.out, split::size(&arguments.first)?)?;
    let size = join(&arguments.first, &arguments.out, &|done, total| lines.advance("join", done, total))?;
    lines.end();
    say!("joined    {}, {}", arguments.out.display(), bytes(size));
    Ok(())
}
