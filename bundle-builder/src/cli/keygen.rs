//! `bundle-builder keygen`

use std::path::PathBuf;

use clap::Args;
use secrecy::ExposeSecret as _;

use super::password::{self, Password};
use super::signals;
use super::standard::say;
use crate::failure::Failure;
use crate::key;

/// Make a key pair to sign bundles with
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bundle-builder keygen --out release.key
  bundle-builder keygen --out release.key --password-file release.password")]
pub(super) struct Arguments {
    /// Where the secret key goes (mode 0600); the public key goes to the same name with `.pub`
    #[arg(long, value_name = "KEY")]
    out: PathBuf,
    #[command(flatten)]
    password: Password,
    /// Leave the secret key without a password
    #[arg(long, conflicts_with_all = ["password_env", "password_file"])]
    no_password: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let password = match (arguments.no_password, arguments.password.given()?) {
        (true, _) => None,
        (false, Some(password)) => Some(password),
        (false, None) => Some(password::ask_new()?),
    };
    if password.as_ref().is_some_and(|password| password.expose_secret().is_empty()) {
        return Err(Failure::usage("the password is empty", "choose one, or say `--no-password`"));
    }
    signals::watch(signals::NOTHING);
    let made = key::generate(&arguments.out, password.as_ref())?;
    say!("key id      {}", made.id);
    say!("secret key  {} (keep it; who has it can sign in your name)", arguments.out.display());
    say!("public key  {} (hand it to your customers)", made.public_key_path.display());
    say!("            {}", made.public_key);
    Ok(())
}
