//! `bundle-builder build`

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use sealift_bundle::output::target::{self, Replaces};
use sealift_bundle::{Bundle, TrustedKeys};

use super::carry::Disk;
use super::password::{self, Password};
use super::standard::say;
use super::{Inputs, Lines};
use crate::build::{self, Order};
use crate::carry;
use crate::failure::Failure;
use crate::key::{self, SigningKey};
use crate::lock::Lock;
use crate::progress::{bytes, count};

/// Build the bundle of a locked recipe, sign and verify it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bundle-builder build --key release.key --out orders-4.2.0.bundle
  bundle-builder build --recipe orders/recipe.yaml --root payload=/srv/payload \\
      --key release.key --password-file release.password \\
      --out orders-4.2.0.bundle
  bundle-builder build --key release.key --out orders-4.2.0.bundle \\
      --carry /media/disk/orders-4.2.0 --installer linux/amd64=installer")]
pub(super) struct Arguments {
    #[command(flatten)]
    inputs: Inputs,
    /// Secret key that signs
    #[arg(long, value_name = "KEY")]
    key: PathBuf,
    #[command(flatten)]
    password: Password,
    /// Where the bundle goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Helm that renders the charts [default: the recipe's own file named helm, else the one in PATH]
    #[arg(long, value_name = "PATH")]
    helm: Option<PathBuf>,
    /// Transfers at a time
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// Folder for the customer's disk, made or replaced: bundle, installers, key, checksums, what to do
    #[arg(long, value_name = "DIR")]
    carry: Option<PathBuf>,
    #[command(flatten)]
    disk: Disk,
}

impl Arguments {
    /// The files that it reads by the names given to it. What the recipe names is no bundle, and safe by that.
    fn read(&self) -> Vec<PathBuf> {
        let public_key = key::public_key_path(&self.key);
        let own = [self.key.clone(), public_key].into_iter().chain(self.helm.clone());
        own.chain(self.password.file()).chain(self.inputs.files()).chain(self.disk.files()).collect()
    }
}

pub(super) fn run(arguments: &Arguments, lines: &Lines) -> Result<(), Failure> {
    let began = Instant::now();
    if arguments.out.is_dir() {
        return Err(Failure::usage(
            format!("{} is a folder", arguments.out.display()),
            "name the bundle's file, e.g. `--out orders-4.2.0.bundle`",
        ));
    }
    target::check(&arguments.out, Replaces::Bundles, arguments.read().iter().map(PathBuf::as_path))?;
    // The password is asked for before the work, not after it.
    let given = arguments.password.given()?;
    let prompt = format!("Password of {}: ", arguments.key.display());
    let key = SigningKey::open(&arguments.key, || Ok(given.or_else(|| password::ask(&prompt))))?;
    let inputs = arguments.inputs.open(lines)?;
    // What cannot be carried is said before the work, not after it.
    let installers = arguments.disk.installers()?;
    match &arguments.carry {
        Some(folder) => carry::check(&installers, &inputs.recipe.platforms, folder)?,
        None => arguments.disk.refuse()?,
    }
    let lock = Lock::load(&inputs.lock_path)?;
    let order = Order {
        recipe: &inputs.recipe,
        lock: &lock,
        roots: &inputs.roots,
        key: &key,
        helm: arguments.helm.as_deref(),
        jobs: usize::from(arguments.jobs),
        target: &arguments.out,
    };
    let built = build::build(&order, &inputs.registries, &inputs.cache, lines)?;
    say!(
        "built     {}: {}, {}, signed by key {}, in {:.1} s",
        arguments.out.display(),
        bytes(built.size),
        count(built.blobs, "blob"),
        built.key_id,
        began.elapsed().as_secs_f64()
    );
    let Some(folder) = &arguments.carry else { return Ok(()) };
    let keys = TrustedKeys::from_public_key_text(key.public_key())?;
    let bundle = Bundle::open(&arguments.out, &keys)?;
    arguments.disk.write(&bundle, &[], &installers, folder, lines)
}
