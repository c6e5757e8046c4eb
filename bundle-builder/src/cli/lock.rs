//! `bundle-builder lock`

use clap::Args;
use jiff::Timestamp;

use super::standard::say;
use super::{Inputs, Lines};
use crate::failure::Failure;
use crate::gate;
use crate::lock::{self, Lock, LockError, Sources};
use crate::progress::count;
use crate::source::Reach;

/// Pin every image, chart and file of a recipe by digest
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bundle-builder lock
  bundle-builder lock --recipe orders/recipe.yaml --root payload=/srv/payload \\
      --mirrors mirrors.yaml")]
pub(super) struct Arguments {
    #[command(flatten)]
    inputs: Inputs,
    /// Pin only this image, chart or file anew and leave all else as it is; may be repeated
    #[arg(long, value_name = "NAME")]
    update: Vec<String>,
}

pub(super) fn run(arguments: &Arguments, lines: &Lines) -> Result<(), Failure> {
    let inputs = arguments.inputs.open(lines)?;
    let earlier = match Lock::load(&inputs.lock_path) {
        Ok(lock) => Some(lock),
        Err(error) if !arguments.update.is_empty() => return Err(error.into()),
        // Whatever is wrong with it, it is about to be made anew; but a file that is no lock at all is not replaced.
        Err(LockError::Missing { .. } | LockError::Version { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let reach =
        Reach { roots: &inputs.roots, registries: &inputs.registries, cache: &inputs.cache, progress: lines };
    let now = Timestamp::now();
    let made = match &earlier {
        Some(earlier) if !arguments.update.is_empty() => {
            lock::update(&inputs.recipe, earlier, &arguments.update, &reach, now)?
        }
        _ => {
            let sources = Sources::current(&inputs.recipe, &reach)?;
            gate::charts(&inputs.recipe, &sources.charts).map_err(crate::build::BuildError::from)?;
            lock::make(&inputs.recipe, &sources, &reach, now)?
        }
    };
    let lock = made.or_unchanged(earlier.clone());
    let path = inputs.lock_path.display();
    if earlier.as_ref() == Some(&lock) {
        say!("unchanged {path}");
        return Ok(());
    }
    lock.save(&inputs.lock_path)?;
    say!(
        "locked    {path}: {}, {}, {}",
        count(lock.images.len(), "image"),
        count(lock.charts.len(), "chart"),
        count(lock.files.len(), "file")
    );
    Ok(())
}
