//! `bundle-builder completions`

use clap::Args;
use clap_complete::Shell;

use super::standard;
use crate::failure::Failure;

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bundle-builder completions bash >/etc/bash_completion.d/bundle-builder
  bundle-builder completions zsh >~/.zfunc/_bundle-builder
  bundle-builder completions fish >/etc/fish/completions/bundle-builder.fish")]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

#[allow(clippy::unnecessary_wraps)] // as every verb
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::command(), "bundle-builder", &mut script);
    standard::result(format_args!("{}", String::from_utf8_lossy(&script)));
    Ok(())
}
