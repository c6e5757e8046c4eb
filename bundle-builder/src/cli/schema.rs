//! `bundle-builder schema`

use clap::Args;

use super::standard;
use crate::failure::Failure;
use crate::recipe;

/// Print the JSON Schema of a recipe, for editors
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bundle-builder schema >recipe.schema.json")]
pub(super) struct Arguments {}

#[allow(clippy::unnecessary_wraps)] // as every verb
pub(super) fn run(_: &Arguments) -> Result<(), Failure> {
    standard::result(format_args!("{}", recipe::schema_text()));
    Ok(())
}
