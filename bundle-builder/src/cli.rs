//! The command line: one file per verb. The only part that prints: results to standard output, everything else to
//! standard error.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod build;
mod keygen;
mod lines;
mod lock;
mod password;
mod schema;
mod verify;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::cache::Cache;
use crate::failure::Failure;
use crate::lock::Lock;
use crate::mirrors::Mirrors;
use crate::recipe::{self, Recipe};
use crate::registry::{Patience, Registries};
use crate::source::Roots;
use lines::Lines;

/// Packs a product, its cluster and everything they need into one signed file.
#[derive(Debug, Parser)]
#[command(name = "bundle-builder", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Keygen(keygen::Arguments),
    Lock(lock::Arguments),
    Build(build::Arguments),
    Verify(verify::Arguments),
    Schema(schema::Arguments),
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
    /// Other places to pull from: a YAML file `mirrors: {registry.k8s.io: "https://mirror.example/k8s"}`
    #[arg(long, value_name = "FILE")]
    mirrors: Option<PathBuf>,
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
    fn open(&self, lines: &Lines) -> Result<Opened, Failure> {
        let recipe = recipe::load(&self.recipe)?;
        let mirrors = self.mirrors.as_deref().map(Mirrors::load).transpose()?.unwrap_or_default();
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
            lock_path: self.lock.clone().unwrap_or_else(|| Lock::path_for(&self.recipe)),
            roots: Roots::new(&self.recipe, roots),
            cache,
            registries: Registries::new(mirrors, Patience::default())?,
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

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    // Wrong usage ends here, with clap's own message and code 2.
    let cli = Cli::parse();
    let lines = Lines::new();
    let result = match cli.verb {
        Verb::Keygen(arguments) => keygen::run(&arguments),
        Verb::Lock(arguments) => lock::run(&arguments, &lines),
        Verb::Build(arguments) => build::run(&arguments, &lines),
        Verb::Verify(arguments) => verify::run(&arguments, &lines),
        Verb::Schema(arguments) => schema::run(&arguments),
    };
    lines.end();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.kind.exit_code())
        }
    }
}
