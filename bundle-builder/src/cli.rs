//! The command line: one file per verb. The only part that prints: results to standard output, everything else to
//! standard error, all of it by way of `standard`.

mod access;
mod apply;
mod build;
mod cache;
mod carry;
mod completions;
mod delta;
mod diff;
mod extract;
mod init;
mod inspect;
mod inventory;
mod join;
mod key;
mod keygen;
mod lines;
mod lock;
mod ls;
mod man;
mod output;
mod password;
mod recarry;
mod repair;
mod sbom;
mod schema;
mod signals;
mod size;
mod split;
mod standard;
mod trust;
mod verify;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::cache::Cache;
use crate::failure::Failure;
use crate::lock::Lock;
use crate::recipe::{self, Recipe};
use crate::registry::Registries;
use crate::source::Roots;
use access::Access;
use lines::Lines;

/// Packs a product, its cluster and everything they need into one signed file.
#[derive(Debug, Parser)]
#[command(name = "bundle-builder", version, arg_required_else_help = true)]
#[command(after_help = "Examples:
  bundle-builder init charts
  bundle-builder keygen --out release.key
  bundle-builder lock --recipe recipe.yaml
  bundle-builder build --recipe recipe.yaml --key release.key \\
      --out orders-4.2.0.bundle
  bundle-builder verify orders-4.2.0.bundle --key release.key.pub")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Init(init::Arguments),
    Keygen(keygen::Arguments),
    Key(key::Arguments),
    Lock(lock::Arguments),
    Build(build::Arguments),
    Carry(carry::Arguments),
    Verify(verify::Arguments),
    Inspect(inspect::Arguments),
    Ls(ls::Arguments),
    Extract(extract::Arguments),
    Diff(diff::Arguments),
    Sbom(sbom::Arguments),
    Split(split::Arguments),
    Join(join::Arguments),
    Repair(repair::Arguments),
    Recarry(recarry::Arguments),
    Delta(delta::Arguments),
    Apply(apply::Arguments),
    Inventory(inventory::Arguments),
    Cache(cache::Arguments),
    Schema(schema::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

impl Verb {
    /// What holds when a signal ends it; nothing for those that watch for signals themselves, and those that write nothing
    /// that could be half-written.
    fn holds(&self) -> Option<&'static str> {
        match self {
            Self::Carry(_)
            | Self::Init(_)
            | Self::Verify(_)
            | Self::Extract(_)
            | Self::Sbom(_)
            | Self::Split(_)
            | Self::Join(_)
            | Self::Recarry(_)
            | Self::Delta(_)
            | Self::Apply(_)
            | Self::Inventory(_) => Some(signals::NOTHING),
            Self::Repair(_) => Some(signals::MENDED),
            // The first four watch for themselves: what holds changes once a password was asked for.
            Self::Keygen(_)
            | Self::Key(_)
            | Self::Lock(_)
            | Self::Build(_)
            | Self::Inspect(_)
            | Self::Ls(_)
            | Self::Diff(_)
            | Self::Cache(_)
            | Self::Schema(_)
            | Self::Completions(_)
            | Self::Man(_) => None,
        }
    }
}

/// What `lock` and `build` share.
#[derive(Debug, Args)]
struct Inputs {
    /// The recipe
    #[arg(long, value_name = "FILE", default_value = "recipe.yaml")]
    recipe: PathBuf,
    /// The lock [default: beside the recipe: recipe.yaml has recipe.lock.yaml]
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// Folder for a root that the recipe names; may be repeated
    #[arg(long = "root", value_name = "NAME=DIR", value_parser = root)]
    roots: Vec<(String, PathBuf)>,
    #[command(flatten)]
    access: Access,
    /// Folder that keeps what was fetched and compressed [default: sealift/bundle-builder in the user's cache folder]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

/// The shared inputs, opened.
struct Opened {
    recipe: Recipe,
    lock_path: PathBuf,
    roots: Roots,
    cache: Cache,
    registries: Registries,
}

impl Inputs {
    /// The files that are read by the names given here.
    fn files(&self) -> impl Iterator<Item = PathBuf> {
        [self.recipe.clone(), self.lock_path()].into_iter().chain(self.access.files())
    }

    fn lock_path(&self) -> PathBuf {
        self.lock.clone().unwrap_or_else(|| Lock::path_for(&self.recipe))
    }

    fn open(&self, lines: &Lines) -> Result<Opened, Failure> {
        signals::watch(signals::FETCHED);
        let recipe = recipe::load(&self.recipe)?;
        let mut roots = BTreeMap::new();
        for (name, folder) in self.roots.iter().cloned() {
            if roots.insert(name.clone(), folder).is_some() {
                return Err(Failure::usage(format!("the root `{name}` is given twice"), "give it once"));
            }
        }
        let folder = self.cache.clone().map_or_else(default_cache, Ok)?;
        let cache = Cache::open(&folder, || lines.waiting(&folder))?;
        Ok(Opened {
            recipe,
            lock_path: self.lock_path(),
            roots: Roots::new(&self.recipe, roots),
            cache,
            registries: self.access.open()?,
        })
    }
}

fn root(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, folder)) if !name.is_empty() && !folder.is_empty() => {
            Ok((name.to_owned(), folder.into()))
        }
        _ => Err("must look like NAME=DIR".to_owned()),
    }
}

fn default_cache() -> Result<PathBuf, Failure> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("XDG_CACHE_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".cache")))
        .map(|base| base.join("sealift/bundle-builder"))
        .ok_or_else(|| Failure::usage("there is no home folder to keep a cache in", "give `--cache DIR`"))
}

/// The command line's definition: what completions and manual pages are made from.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    // Wrong usage ends here, with clap's own message and code 2.
    let cli = Cli::parse();
    let lines = Lines::new();
    if let Some(holds) = cli.verb.holds() {
        signals::watch(holds);
    }
    let result = match cli.verb {
        Verb::Init(arguments) => init::run(&arguments, &lines),
        Verb::Keygen(arguments) => keygen::run(&arguments),
        Verb::Key(arguments) => key::run(&arguments),
        Verb::Lock(arguments) => lock::run(&arguments, &lines),
        Verb::Build(arguments) => build::run(&arguments, &lines),
        Verb::Carry(arguments) => carry::run(&arguments, &lines),
        Verb::Verify(arguments) => verify::run(&arguments, &lines),
        Verb::Inspect(arguments) => inspect::run(&arguments),
        Verb::Ls(arguments) => ls::run(&arguments),
        Verb::Extract(arguments) => extract::run(&arguments),
        Verb::Diff(arguments) => diff::run(&arguments),
        Verb::Sbom(arguments) => sbom::run(&arguments),
        Verb::Split(arguments) => split::run(&arguments, &lines),
        Verb::Join(arguments) => join::run(&arguments, &lines),
        Verb::Repair(arguments) => repair::run(&arguments, &lines),
        Verb::Recarry(arguments) => recarry::run(&arguments, &lines),
        Verb::Delta(arguments) => delta::run(&arguments, &lines),
        Verb::Apply(arguments) => apply::run(&arguments, &lines),
        Verb::Inventory(arguments) => inventory::run(&arguments),
        Verb::Cache(arguments) => cache::run(&arguments, &lines),
        Verb::Schema(arguments) => schema::run(&arguments),
        Verb::Completions(arguments) => completions::run(&arguments),
        Verb::Man(arguments) => man::run(&arguments),
    };
    lines.end();
    match result.and_then(|()| standard::finish()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            standard::tell(format_args!("{failure}\n"));
            ExitCode::from(failure.kind.exit_code())
        }
    }
}
