//! `bundle-builder diff`

use std::path::PathBuf;

use clap::Args;
use sealift_bundle::document::Product;

use super::output::{Format, fit, json};
use super::standard::{say, tell};
use super::trust::Trust;
use crate::diff::{self, Change, Diff, Group};
use crate::failure::{Failure, Kind};
use crate::progress::{bytes, count};

/// Columns for what a value was and is.
const TEXT_WIDTH: usize = 71;
/// How much of two long texts is shown before they begin to differ: little enough to be in the front half.
const BEFORE_DIFFERENCE: usize = 20;

/// Compare two bundles: images, charts, binaries, components, values, settings, and all else that is signed
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
    if let Some(note) = exchanged(&old.document().product, &new.document().product) {
        tell(format_args!("{note}\n"));
    }
    let diff = diff::diff(&old, &new).map_err(|error| Failure {
        kind: Kind::Internal,
        message: format!("the documents of the bundles cannot be compared\n  because: {error}"),
        next: None,
    })?;
    if arguments.output == Format::Json {
        return json(&diff);
    }
    show(&diff);
    Ok(())
}

/// A hint where the older bundle may have been named last.
pub(super) fn exchanged(old: &Product, new: &Product) -> Option<String> {
    (old.name == new.name && old.serial > new.serial).then(|| {
        format!(
            "note: OLD has serial {}, NEW only {}: for the way forward, exchange the two",
            old.serial, new.serial
        )
    })
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
    for (name, changes) in diff.document.iter().filter(|(_, changes)| !changes.is_empty()) {
        list(&words(name), changes);
    }
    list("settings", &diff.settings);
    list("chart values", &diff.values);
    list("values schema", &diff.schema);
    say!();
    say!("total: {}", count(diff.total, "change"));
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
        let start = alike(change);
        for (word, text) in [("was", &change.old), ("now", &change.new)] {
            if let Some(text) = text {
                say!("    {word}  {}", fit(&from(text, start), TEXT_WIDTH));
            }
        }
    }
}

/// Where to begin long texts so that what differs can be seen, characters from their start.
fn alike(change: &Change) -> usize {
    let (Some(old), Some(new)) = (&change.old, &change.new) else { return 0 };
    if old.chars().count().max(new.chars().count()) <= TEXT_WIDTH {
        return 0;
    }
    let same = old.chars().zip(new.chars()).take_while(|(one, other)| one == other).count();
    same.saturating_sub(BEFORE_DIFFERENCE)
}

/// `text` without its first `start` characters.
fn from(text: &str, start: usize) -> String {
    let dropped = if start == 0 { "" } else { "…" };
    dropped.chars().chain(text.chars().skip(start)).collect()
}

/// A field's name as words.
fn words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

fn mark(change: &Change) -> char {
    match (&change.old, &change.new) {
        (None, _) => '+',
        (_, None) => '-',
        _ => '~',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_in_long_texts_is_shown() {
        let long = |middle: &str| Some(format!("{}{middle}{}", "a".repeat(200), "z".repeat(200)));
        let change = |old, new| Change { name: String::new(), old, new, new_bytes: None };
        let shown = |change: &Change| {
            let start = alike(change);
            [&change.old, &change.new].map(|text| fit(&from(text.as_deref().unwrap(), start), TEXT_WIDTH))
        };
        let [old, new] = shown(&change(long("1"), long("2")));
        assert!(old.starts_with("…aaa") && old.contains("a1z") && new.contains("a2z"), "{old}\n{new}");
        let short = change(Some("one".to_owned()), Some("ones".to_owned()));
        assert_eq!(shown(&short), ["one", "ones"]);
        assert_eq!(alike(&change(None, long("1"))), 0);
    }

    #[test]
    fn fields_are_named_in_words() {
        assert_eq!([words("hostDirectories"), words("sizing")], ["host directories", "sizing"]);
    }
}
