//! Where a key's password comes from; never from the command line itself, which every user of the machine can read.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// How the password is given.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct Password {
    /// Name of the environment variable that holds the key's password
    #[arg(long, value_name = "NAME")]
    password_env: Option<String>,
    /// File that holds the key's password; one newline at its end is dropped
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl Password {
    /// The password given; nothing where none was.
    pub(super) fn given(&self) -> Result<Option<SecretString>, Failure> {
        if let Some(name) = &self.password_env {
            let value = std::env::var(name).map(Zeroizing::new).map_err(|_| {
                Failure::usage(
                    format!("the environment variable {name} is not set"),
                    "set it to the key's password",
                )
            })?;
            return Ok(Some(value.as_str().into()));
        }
        let Some(path) = &self.password_file else { return Ok(None) };
        let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| {
            Failure::usage(
                format!("cannot read {}\n  because: {error}", path.display()),
                "give a file that holds the password",
            )
        })?;
        // The end of a line is none of the password, whichever editor wrote it.
        let line = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        Ok(Some(line.unwrap_or(&text).into()))
    }
}

/// Asks at the terminal; nothing where there is none.
pub(super) fn ask(prompt: &str) -> Option<SecretString> {
    if !std::io::stdin().is_terminal() {
        return None;
    }
    rpassword::prompt_password(prompt).ok().map(SecretString::from)
}

/// Asks for a new password, twice.
pub(super) fn ask_new() -> Result<SecretString, Failure> {
    let next = "give `--password-env NAME`, `--password-file FILE`, or `--no-password`";
    let none = || Failure::usage("there is no terminal to ask for the key's password", next);
    let first = ask("Password for the new key: ").ok_or_else(none)?;
    let second = ask("Once more: ").ok_or_else(none)?;
    if first.expose_secret() == second.expose_secret() {
        Ok(first)
    } else {
        Err(Failure::usage("the two passwords differ", "run it again"))
    }
}
