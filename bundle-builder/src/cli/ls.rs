//! `bundle-builder ls`

use clap::Args;

use super::output::{Format, json};
use super::standard::say;
use super::trust::Shown;
use crate::failure::Failure;
use crate::inspect::list;

/// List a bundle's images, what stands beside them, charts and files, one per line
#[derive(Debug, Args)]
#[command(after_help = "Columns: kind, name, version, platforms, digest, bytes; spaces between them.
Referrers are the signatures, SBOMs and attestations of images: their version is
the tag that leads to them, or what they are where none does.

Examples:
  bundle-builder ls orders-4.2.0.bundle --key release.key.pub
  bundle-builder ls orders-4.2.0.bundle --key release.key.pub | grep ^image")]
pub(super) struct Arguments {
    #[command(flatten)]
    shown: Shown,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let entries = list::entries(&arguments.shown.open()?);
    if arguments.shown.output == Format::Json {
        return json(&entries);
    }
    for entry in entries {
        // A column is never empty, nor does it hold a space: programs split these lines.
        let word = |text: &str| if text.is_empty() { "-".to_owned() } else { text.replace(' ', "_") };
        say!(
            "{:<8} {} {} {} {} {}",
            entry.kind.name(),
            word(&entry.name),
            word(&entry.version),
            word(&entry.platforms.join(",")),
            entry.digest,
            entry.size
        );
    }
    Ok(())
}
