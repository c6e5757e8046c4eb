//! `bundle-builder recarry`

use std::path::PathBuf;

use clap::Args;
use sealift_bundle::recarry::{DamageList, recarry};

use super::Lines;
use super::standard::say;
use super::trust::Trust;
use crate::failure::Failure;
use crate::parallel;
use crate::progress::{Progress as _, bytes, count};

/// Make a small file that mends a damaged copy of a bundle
#[derive(Debug, Args)]
#[command(after_help = "The site makes the list with `verify --damage-list`, and mends its copy with
`bundle-builder repair BUNDLE --from FILE`. Without a list the file holds only
what stands in front of the blobs: it makes a copy readable whose contents
list is damaged.

Examples:
  bundle-builder recarry orders-4.2.0.bundle --damage-list damage.json \\
      --out mend.recarry --key release.key.pub")]
pub(super) struct Arguments {
    /// The bundle, a good copy
    bundle: PathBuf,
    /// The list that the site sent
    #[arg(long, value_name = "FILE")]
    damage_list: Option<PathBuf>,
    /// The file to write; nothing is replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    trust: Trust,
}

pub(super) fn run(arguments: &Arguments, lines: &Lines) -> Result<(), Failure> {
    let list = arguments.damage_list.as_deref().map(DamageList::read).transpose()?;
    let bundle = arguments.trust.open(&arguments.bundle)?;
    let progress = |done, total| lines.advance("recarry", done, total);
    let size = recarry(&bundle, list.as_ref(), &arguments.out, parallel::cores(), &progress)?;
    lines.end();
    let blobs = list.map_or(0, |list| list.blobs.len());
    say!("recarry   {} with {}, {}", arguments.out.display(), count(blobs, "blob"), bytes(size));
    Ok(())
}
