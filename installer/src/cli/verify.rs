//! `installer verify BUNDLE`.

use std::path::PathBuf;

use crate::failure::Failure;
use crate::output::Output;
use crate::site::verify_bundle;
use crate::trust::Trust;

/// What `verify` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The bundle.
    bundle: PathBuf,
    #[command(flatten)]
    trust: Trust,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let bundle = arguments.trust.open(&arguments.bundle, output)?;
    verify_bundle(&bundle, output)
}
