//! `bundle-builder key`: keys after they were made.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use sealift_bundle::TrustedKeys;
use sealift_bundle::fingerprint::{Fingerprint, spoken};

use super::output::cannot_write;
use super::password::{self, Password};
use super::signals;
use super::standard::say;
use crate::failure::Failure;
use crate::key::{self, SigningKey};
use crate::{atomic, trust};

/// Show a public key's fingerprint, or let a new key follow an old one
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bundle-builder key show release.key.pub
  bundle-builder key rotate --old release.key --new release-2027.key")]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Show(Show),
    Rotate(Rotate),
}

/// Show a public key's fingerprint, to compare it by phone
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bundle-builder key show release.key.pub")]
struct Show {
    /// The public key
    key: PathBuf,
}

/// Let a new key follow an old one: write a statement that the old key signs
#[derive(Debug, Args)]
#[command(after_help = "Who trusts the old key and has the statement trusts the new key, too. The
old key stays trusted until it is no longer named with `--key`.

Examples:
  bundle-builder keygen --out release-2027.key
  bundle-builder key rotate --old release.key --new release-2027.key \\
      --out release-2027.rotation
  bundle-builder verify orders-5.0.0.bundle --key release.key.pub \\
      --rotation release-2027.rotation")]
struct Rotate {
    /// Secret key that customers trust now; it signs
    #[arg(long, value_name = "KEY")]
    old: PathBuf,
    #[command(flatten)]
    password: Password,
    /// Key that follows; only its public half (`KEY.pub`) is read
    #[arg(long, value_name = "KEY")]
    new: PathBuf,
    /// Where the statement goes [default: beside the new key: KEY.rotation]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.verb {
        Verb::Show(arguments) => show(arguments),
        Verb::Rotate(arguments) => rotate(arguments),
    }
}

fn show(arguments: &Show) -> Result<(), Failure> {
    let (id, line) = public_key(&arguments.key)?;
    let Some(fingerprint) = Fingerprint::of(&line) else { return Err(no_key(&arguments.key)) };
    say!("key id       {id}");
    say!("public key   {line}");
    say!("fingerprint  {fingerprint}");
    for (number, group) in fingerprint.groups().enumerate() {
        say!("  group {}    {group}  {}", number + 1, spoken(group));
    }
    Ok(())
}

fn rotate(arguments: &Rotate) -> Result<(), Failure> {
    let given = arguments.password.given()?;
    let prompt = format!("Password of {}: ", arguments.old.display());
    let new = public_half(&arguments.new);
    let (new_id, line) = public_key(&new)?;
    let old = SigningKey::open(&arguments.old, || Ok(given.or_else(|| password::ask(&prompt))))?;
    signals::watch(signals::NOTHING);
    let statement = trust::rotate(&old, &line)?;
    let out = arguments.out.clone().unwrap_or_else(|| arguments.new.with_extension("rotation"));
    atomic::create(&out, statement.text().as_bytes()).map_err(|error| cannot_write(&out, &error))?;
    say!("old key    {}", old.id());
    say!(
        "new key    {new_id}, fingerprint {}",
        Fingerprint::of(&line).map_or_else(String::new, |f| f.to_string())
    );
    say!("statement  {} (hand it to your customers with the next bundle)", out.display());
    Ok(())
}

/// Where the public half of the key that was named is; naming that itself is fine.
fn public_half(path: &Path) -> PathBuf {
    if path.extension().is_some_and(|extension| extension == "pub") {
        path.to_owned()
    } else {
        key::public_key_path(path)
    }
}

/// Id and base64 line of a public key file.
fn public_key(path: &Path) -> Result<(String, String), Failure> {
    let keys = TrustedKeys::from_files(std::slice::from_ref(&path.to_owned()))?;
    let text = std::fs::read_to_string(path).unwrap_or_default();
    match (keys.ids().pop(), trust::key_line(&text)) {
        (Some(id), Some(line)) => Ok((id, line.to_owned())),
        _ => Err(no_key(path)),
    }
}

fn no_key(path: &Path) -> Failure {
    Failure::usage(
        format!("{} is no minisign public key", path.display()),
        "name a file that ends with `.pub`",
    )
}
