//! The texts for people. The same bundle and installers give the same texts.

use std::fmt::Write as _;

use sealift_bundle::Bundle;
use sealift_bundle::fingerprint::{Fingerprint, spoken};

use super::installer::Installer;
use super::{FINGERPRINT, START, SUMS};
use crate::fill::fill;
use crate::progress::count;

const START_TEXT: &str = include_str!("../../../assets/carry/START-HERE.txt");
const FINGERPRINT_TEXT: &str = include_str!("../../../assets/carry/KEY-FINGERPRINT.txt");

/// What the texts name.
pub(super) struct Names<'a> {
    /// The bundle's files: one, or its parts in order.
    pub(super) bundle: &'a [String],
    /// The public key's file.
    pub(super) key: &'a str,
    /// Statements that the key follows another.
    pub(super) rotations: &'a [String],
    /// The installers.
    pub(super) installers: &'a [Installer],
}

/// `START-HERE.txt`
pub(super) fn start(bundle: &Bundle, names: &Names<'_>) -> String {
    let first = names.bundle.first().map_or("", String::as_str);
    let installer = names.installers.first().map(Installer::file_name).unwrap_or_default();
    let choice =
        if names.installers.len() > 1 { " `uname -m` tells which installer that machine needs." } else { "" };
    filled(
        START_TEXT,
        bundle,
        &[
            ("files", &files(names)),
            ("choice", choice),
            ("installer", &installer),
            ("bundle", first),
            ("key", names.key),
            ("rotations", &rotations(names.rotations)),
        ],
    )
}

/// `KEY-FINGERPRINT.txt`
pub(super) fn fingerprint(bundle: &Bundle) -> String {
    let fingerprint = Fingerprint::of(bundle.public_key());
    let mut groups = String::new();
    for (number, group) in fingerprint.iter().flat_map(Fingerprint::groups).enumerate() {
        let end = if number == 0 { "" } else { "\n" };
        // As `key show` prints them.
        let _ = write!(groups, "{end}  group {}    {group}  {}", number + 1, spoken(group));
    }
    let fingerprint = fingerprint.map(|it| it.to_string()).unwrap_or_default();
    let own = [("key_id", bundle.key_id()), ("fingerprint", &fingerprint), ("groups", &groups)];
    filled(FINGERPRINT_TEXT, bundle, &own)
}

/// `text` with what every text names, and `own`.
fn filled(text: &str, bundle: &Bundle, own: &[(&str, &str)]) -> String {
    let product = &bundle.document().product;
    let serial = product.serial.to_string();
    let all = [("title", &*product.title), ("version", &product.version), ("serial", &serial)];
    fill(text, &[&all, own].concat())
}

/// Which file is what.
fn files(names: &Names<'_>) -> String {
    let mut lines = Vec::new();
    let mut add = |name: &str, what: &str| lines.push(format!("  {name}\n      {what}"));
    match names.bundle {
        [only] => add(only, "the product and the cluster: one signed file"),
        [first, .., last] => add(
            &format!("{first} to {}", last.rsplit('.').next().unwrap_or_default()),
            &format!("the product and the cluster: {}, never joined", count(names.bundle.len(), "part")),
        ),
        [] => {}
    }
    for installer in names.installers {
        let what = format!("the installer, for machines where `uname -m` says {}", installer.machine());
        add(&installer.file_name(), &what);
    }
    add(names.key, "the vendor's public key");
    for rotation in names.rotations {
        add(rotation, "the vendor's statement that this key follows an older one");
    }
    add(FINGERPRINT, "the key's fingerprint, to compare by phone");
    add(SUMS, "checksums of all files");
    add(START, "this text");
    lines.join("\n")
}

fn rotations(rotations: &[String]) -> String {
    if rotations.is_empty() {
        return String::new();
    }
    let options: Vec<String> = rotations.iter().map(|name| format!("     --rotation {name}\n")).collect();
    format!(
        "\nWhere the vendor's older key is trusted already, steps 3 to 5 take that key\n\
        instead, and these words behind it; step 2 is not needed then:\n\n{}",
        options.concat()
    )
}
