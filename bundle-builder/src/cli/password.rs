//! Where a key's password comes from; never from the command line itself, which every user of the machine can read.
//!
//! A question hides what is typed, and whoever ends the program shows it again: a terminal outlives the programs in it.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use clap::Args;
use rpassword::ConfigBuilder;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use sealift_bundle::small;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::signals;
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
    /// The file that is read.
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.password_file.clone()
    }

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
        let text = small::read(path).map(Zeroizing::new).map_err(|error| {
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
    signals::watch(signals::NOTHING);
    let typed = hidden(prompt).ok();
    show();
    typed.map(SecretString::from)
}

/// What is typed at the terminal, hidden until [`show`].
fn hidden(prompt: &str) -> io::Result<String> {
    let mut terminal = File::options().read(true).write(true).open("/dev/tty")?;
    hide(&terminal)?;
    terminal.write_all(prompt.as_bytes())?;
    // Its lines, as the terminal itself edits them: Ctrl-C stays a signal.
    let settings = ConfigBuilder::new().input_reader(terminal).output_discard().build();
    rpassword::read_password_with_config(settings)
}

/// A terminal that hides what is typed, and how it was before.
static HIDING: Mutex<Option<(File, Termios)>> = Mutex::new(None);

fn hide(terminal: &File) -> io::Result<()> {
    // Locked until it is done: a signal comes before, or after.
    let mut hiding = HIDING.lock().unwrap_or_else(PoisonError::into_inner);
    let before = tcgetattr(terminal)?;
    let mut settings = before.clone();
    settings.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
    // Neither aside nor dead without a word: both would leave the terminal as it is then.
    for key in [SpecialCodeIndex::VSUSP, SpecialCodeIndex::VQUIT] {
        settings.special_codes[key] = 0;
    }
    *hiding = Some((terminal.try_clone()?, before));
    tcsetattr(terminal, OptionalActions::Now, &settings)?;
    Ok(())
}

/// Shows again what is typed, where that was hidden.
fn show() {
    restore(HIDING.lock().unwrap_or_else(PoisonError::into_inner).take());
}

/// As [`show`], for the last time: nothing is hidden from now on.
pub(super) fn show_for_good() {
    let mut hiding = HIDING.lock().unwrap_or_else(PoisonError::into_inner);
    restore(hiding.take());
    // Kept locked: other threads go on until the program has ended.
    std::mem::forget(hiding);
}

fn restore(hiding: Option<(File, Termios)>) {
    if let Some((mut terminal, before)) = hiding {
        // Where it is gone, there is nobody to tell.
        let _ = tcsetattr(&terminal, OptionalActions::Now, &before);
        let _ = terminal.write_all(b"\n");
    }
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
