//! `bundle-builder extract`

use std::path::PathBuf;

use clap::Args;
use sealift_bundle::output::target::Replaces;

use super::standard::say;
use super::trust::Trust;
use crate::cache::require_room_beside;
use crate::failure::Failure;
use crate::inspect::extract::{self, Found};
use crate::progress::bytes;

/// Copy an image, a chart or a file out of a bundle
#[derive(Debug, Args)]
#[command(after_help = "An image becomes an OCI archive, a chart the archive that Helm installs, a file
what hosts get. Names are those of `ls`; `image:`, `chart:` or `file:` before
a name says which one is meant, `@linux/arm64` behind it for which platform.

Examples:
  bundle-builder extract orders-4.2.0.bundle postgres:15 --out postgres.tar \\
      --key release.key.pub
  bundle-builder extract orders-4.2.0.bundle chart:orders --out . \\
      --key release.key.pub")]
pub(super) struct Arguments {
    /// The bundle
    bundle: PathBuf,
    /// Image, chart or file
    name: String,
    /// Where it goes; in a folder it gets its own name
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// Replace what is there
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    trust: Trust,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let bundle = arguments.trust.open(&arguments.bundle)?;
    let found = extract::find(&bundle, &arguments.name)?;
    let target =
        if arguments.out.is_dir() { arguments.out.join(found.file_name()) } else { arguments.out.clone() };
    if arguments.overwrite {
        arguments.trust.may_replace(&target, Replaces::Files, &arguments.bundle)?;
    }
    require_room_beside(&target, found.size())?;
    let size = extract::extract(&bundle, found, &target, arguments.overwrite)?;
    let what = match found {
        Found::Image(image) => format!("image {} as an OCI archive", image.name),
        Found::Chart(chart) => format!("chart {} {}", chart.name, chart.version),
        Found::File(file) => format!("file {} {}", file.name, file.version),
    };
    say!("extracted {what}: {}, {}", target.display(), bytes(size));
    Ok(())
}
