//! `bundle-builder schema`

use clap::Args;

use crate::failure::Failure;
use crate::recipe;

/// Print the JSON Schema of a recipe, for editors
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bundle-builder schema >recipe.schema.json")]
pub(super) struct Arguments {}

#[allow(clippy::unnecessary_wraps)] // as every verb
pub(super) fn run(_: &Arguments) -> Result<(), Failure> {
    print!("{}", recipe::schema_text());
    Ok(())
}
