//! `bundle-builder diff`

use std::path::PathBuf;

use clap::Args;

use super::output::{Format, fit, json};
use super::standard::say;
use super::trust::Trust;
use crate::diff::{self, Change, Diff, Group};
use crate::failure::Failure;
use crate::progress::{bytes, count};

/// Compare two bundles: images, what stands beside them, charts, binaries, settings, values, bytes
#[derive(Debug, Args)]
#[command(after_help = "Marks: + new, - gone, ~ changed.

Examples:
  bundle-builder diff orders-4.1.0.bundle orders-4.2.0.bundle \\
      --key release.key.pub
  bundle-builder diff orders-4.1.0.bundle orders-4.2.0.bundle \\
      --key release.key.pub --output json")]
pub(super) struct Arguments {
    /// The older bundle
    old: PathBuf,
    /// The newer bundle
    new: PathBuf,
    #[command(flatten)]
    trust: Trust,
    /// Lines for people, or JSON for programs
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text")]
    output: Format,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let old = arguments.trust.open(&arguments.old)?;
    let new = arguments.trust.open(&arguments.new)?;
    let diff = diff::diff(&old, &new);
    if arguments.output == Format::Json {
        return json(&diff);
    }
    show(&diff);
    Ok(())
}

fn show(diff: &Diff) {
    let (old, new) = (&diff.old, &diff.new);
    say!("old         {} {} (serial {})", old.title, old.version, old.serial);
    say!("new         {} {} (serial {})", new.title, new.version, new.serial);
    let [before, after] = &diff.kubernetes;
    if before == after {
        say!("Kubernetes  {after}, the same");
    } else {
        say!("Kubernetes  {before} to {after}");
    }
    say!(
        "bytes       {} new, {} gone, {} the same",
        bytes(diff.bytes.new),
        bytes(diff.bytes.gone),
        bytes(diff.bytes.same)
    );
    group("images", &diff.images);
    if diff.referrers != Group::default() {
        group("beside images", &diff.referrers);
    }
    group("charts", &diff.charts);
    group("files", &diff.files);
    list("settings", &diff.settings);
    list("chart values", &diff.values);
    list("values schema", &diff.schema);
}

fn group(title: &str, group: &Group) {
    say!();
    say!("{title}: {}, {} the same", count(group.changes.len(), "change"), group.same);
    for change in &group.changes {
        let size = change.new_bytes.map(|size| format!("{} new", bytes(size))).unwrap_or_default();
        say!("{} {:<40} {:<22} {size:>14}", mark(change), fit(&change.name, 40), fit(&versions(change), 22));
    }
}

fn versions(change: &Change) -> String {
    match (&change.old, &change.new) {
        (Some(old), Some(new)) if old == new => format!("{new}, other content"),
        (Some(old), Some(new)) => format!("{old} to {new}"),
        (old, new) => old.clone().or_else(|| new.clone()).unwrap_or_default(),
    }
}

fn list(title: &str, changes: &[Change]) {
    say!();
    say!("{title}: {}", count(changes.len(), "change"));
    for change in changes {
        say!("{} {}", mark(change), fit(&change.name, 78));
        for (word, text) in [("was", &change.old), ("now", &change.new)] {
            if let Some(text) = text {
                say!("    {word}  {}", fit(text, 71));
            }
        }
    }
}

fn mark(change: &Change) -> char {
    match (&change.old, &change.new) {
        (None, _) => '+',
        (_, None) => '-',
        _ => '~',
    }
}
