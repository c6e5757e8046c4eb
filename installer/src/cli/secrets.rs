//! `installer secrets …`: seals secrets, so that they can lie beside the profile or in it, and opens them.
//!
//! No secret, passphrase or identity is ever an argument: arguments name where they are.

use std::io;
use std::path::PathBuf;

use clap::Subcommand;
use sealift_profile::{Opener, Sealer, SecretRef, seal};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::failure::{Failure, Kind};
use crate::output::{Output, print};
use crate::site::ask;
use crate::written::write_new;

/// What can be done with secrets.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make an identity, which opens what is sealed for its recipient.
    Keygen(Keygen),
    /// Seal a secret, for `{sealed: …}` in a profile.
    Seal(Seal),
    /// Open a sealed secret.
    Unseal(Unseal),
}

/// What `keygen` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Keygen {
    /// Write the identity to this new file, which only you can read.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// What `seal` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Seal {
    /// Where the secret is: `file:PATH`, `env:NAME`, or `prompt` to be asked.
    #[arg(long, value_name = "WHERE", default_value = "prompt")]
    secret: String,
    /// Where the identity or the passphrase is that shall open it: `file:PATH`, `env:NAME`, or `prompt` for a
    /// passphrase.
    #[arg(long, value_name = "WHERE", default_value = "prompt", conflicts_with = "recipients")]
    with: String,
    /// Seal for the identity that belongs to this recipient (`age1…`); may be given more than once.
    #[arg(long = "recipient", value_name = "AGE1")]
    recipients: Vec<String>,
    /// Write the sealed text to this new file in place of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What `unseal` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Unseal {
    /// The sealed file.
    #[arg(long, value_name = "FILE")]
    sealed: String,
    /// Where the identity or the passphrase is that opens it: `file:PATH`, `env:NAME`, or `prompt` for a passphrase.
    #[arg(long, value_name = "WHERE", default_value = "prompt")]
    with: String,
    /// Write the secret to this new file, which only you can read; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(crate) fn run(verb: &Verb, output: Output) -> Result<(), Failure> {
    match verb {
        Verb::Keygen(keygen) => make(keygen, output),
        Verb::Seal(seal) => close(seal, output),
        Verb::Unseal(unseal) => open(unseal, output),
    }
}

fn make(keygen: &Keygen, output: Output) -> Result<(), Failure> {
    let (identity, recipient) = seal::generate();
    let text = SecretString::from(format!("# public key: {recipient}\n{}\n", identity.expose_secret()));
    write_new(&keygen.out, text.expose_secret().as_bytes(), 0o600)?;
    let said =
        format!("identity written to {}; seal for it with --recipient {recipient}", keygen.out.display());
    output.line("secrets", &said, &json!({"file": keygen.out, "recipient": recipient}));
    output.remark("          keep a copy in a safe place: without it nothing opens that was sealed for it");
    Ok(())
}

fn close(seal: &Seal, output: Output) -> Result<(), Failure> {
    let lock = if seal.recipients.is_empty() {
        let key = place("--with", &seal.with, "passphrase to seal with")?.resolve(&ask_twice)?;
        Opener::new(key)?.sealer()
    } else {
        Sealer::for_recipients(&seal.recipients)?
    };
    let secret = place("--secret", &seal.secret, "secret")?.resolve(&ask_twice)?;
    let sealed = lock.seal(&secret)?;
    let Some(path) = &seal.out else {
        return print(&sealed);
    };
    write_new(path, sealed.as_bytes(), 0o644)?;
    let said = format!("sealed to {0}; in the profile: {{sealed: {0}}}", path.display());
    output.line("secrets", &said, &json!({"file": path}));
    Ok(())
}

fn open(unseal: &Unseal, output: Output) -> Result<(), Failure> {
    let with = place("--with", &unseal.with, "passphrase of the sealed secret")?;
    let secret = SecretRef::Sealed(unseal.sealed.clone()).resolve_with(Some(&with), &ask)?;
    if unseal.out.as_os_str() == "-" {
        return print(secret.expose_secret());
    }
    write_new(&unseal.out, secret.expose_secret().as_bytes(), 0o600)?;
    let said = format!("opened to {}; remove that file when it is no longer needed", unseal.out.display());
    output.line("secrets", &said, &json!({"file": unseal.out}));
    Ok(())
}

/// `file:PATH`, `env:NAME` or `prompt`. What is none of these is not repeated: it may be the secret itself.
fn place(option: &str, text: &str, label: &str) -> Result<SecretRef, Failure> {
    match text.split_once(':') {
        Some(("file", path)) if !path.is_empty() => Ok(SecretRef::File(path.to_owned())),
        Some(("env", name)) if !name.is_empty() => Ok(SecretRef::Env(name.to_owned())),
        None if text == "prompt" => Ok(SecretRef::Prompt(label.to_owned())),
        _ => {
            let message = format!("{option} does not say where it is");
            Err(Failure::new(Kind::Usage, message).hint(format!(
                "write {option} file:PATH, {option} env:NAME or {option} prompt; if you wrote the secret itself, others \
                 on this machine could see it: change it"
            )))
        }
    }
}

/// Asks until nothing can have been mistyped: twice.
fn ask_twice(label: &str) -> io::Result<SecretString> {
    let first = ask(label)?;
    let second = ask(&format!("{label}, once more"))?;
    if first.expose_secret() == second.expose_secret() {
        return Ok(first);
    }
    Err(io::Error::other("the two answers differ"))
}
