//! `bundle-builder lock`

use clap::Args;
use jiff::Timestamp;

use super::{Inputs, Lines};
use crate::failure::Failure;
use crate::gate;
use crate::lock::{self, Lock, LockError, Sources};
use crate::progress::count;

/// Pin every image, chart and file of a recipe by digest
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bundle-builder lock
  bundle-builder lock --recipe orders/recipe.yaml --root payload=/srv/payload \\
      --mirrors mirrors.yaml")]
pub(super) struct Arguments {
    #[command(flatten)]
    inputs: Inputs,
}

pub(super) fn run(arguments: &Arguments, lines: &Lines) -> Result<(), Failure> {
    let inputs = arguments.inputs.open(lines)?;
    let sources = Sources::read(&inputs.recipe, &inputs.roots, &inputs.cache)?;
    gate::charts(&inputs.recipe, &sources.charts).map_err(crate::build::BuildError::from)?;
    let earlier = match Lock::load(&inputs.lock_path) {
        Ok(lock) => Some(lock),
        // Whatever is wrong with it, it is about to be made anew; but a file that is no lock at all is not replaced.
        Err(LockError::Missing { .. } | LockError::Version { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let now = Timestamp::now();
    let made = lock::make(&inputs.recipe, &sources, &inputs.registries, &inputs.cache, now, lines)?;
    let lock = made.or_unchanged(earlier.clone());
    let path = inputs.lock_path.display();
    if earlier.as_ref() == Some(&lock) {
        println!("unchanged {path}");
        return Ok(());
    }
    lock.save(&inputs.lock_path)?;
    println!(
        "locked    {path}: {}, {}, {}",
        count(lock.images.len(), "image"),
        count(lock.charts.len(), "chart"),
        count(lock.files.len(), "file")
    );
    Ok(())
}
