//! `installer verify BUNDLE`.

use std::path::PathBuf;

use crate::failure::Failure;
use crate::output::Output;
use crate::site::{open_bundle, verify_bundle};

/// What `verify` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The bundle.
    bundle: PathBuf,
    /// A public key of the vendor; may be given more than once. Without it, the keys in ~/.sealift/trusted and
    /// /etc/sealift/trusted count.
    #[arg(long, value_name = "FILE")]
    trust_key: Vec<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let bundle = open_bundle(&arguments.bundle, &arguments.trust_key, output)?;
    verify_bundle(&bundle, output)
}
