//! `bundle-builder cache`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use sealift_bundle::digest;

use super::standard::say;
use super::{Lines, default_cache};
use crate::cache::{Cache, CacheError, Keep};
use crate::failure::Failure;
use crate::lock::{Lock, LockError};
use crate::parallel;
use crate::progress::{bytes, count};

/// Look after the cache
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bundle-builder cache verify --fix
  bundle-builder cache prune --older-than 30d --keep recipe.lock.yaml")]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Read every blob and compare it with its name; bad ones are named
    #[command(after_help = "Examples:
  bundle-builder cache verify
  bundle-builder cache verify --cache /srv/cache --fix")]
    Verify {
        #[command(flatten)]
        place: Place,
        /// Remove the bad ones: the next build fetches or makes them again
        #[arg(long)]
        fix: bool,
    },
    /// Drop what was not used for long, or the longest unused until the rest fits
    #[command(after_help = "Examples:
  bundle-builder cache prune --older-than 30d
  bundle-builder cache prune --max-size 20GB --keep recipe.lock.yaml")]
    #[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["older_than", "max_size"]))]
    Prune {
        #[command(flatten)]
        place: Place,
        /// Drop what no build used for this long, e.g. `30d` or `12h`
        #[arg(long, value_name = "TIME", value_parser = age)]
        older_than: Option<Duration>,
        /// Drop the longest unused until this is left, e.g. `20GB`
        #[arg(long, value_name = "SIZE", value_parser = size)]
        max_size: Option<u64>,
        /// A lock whose images and files stay, whatever their age; may be repeated
        #[arg(long, value_name = "LOCK")]
        keep: Vec<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct Place {
    /// The cache [default: sealift/bundle-builder in the user's cache folder]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

impl Place {
    fn open(&self, lines: &Lines) -> Result<Cache, Failure> {
        let folder = self.cache.clone().map_or_else(default_cache, Ok)?;
        if !Cache::is_at(&folder) {
            let message = format!("there is no cache at {}", folder.display());
            return Err(Failure::usage(message, "say where it is: `--cache DIR`"));
        }
        Ok(Cache::open(&folder, || lines.waiting(&folder))?)
    }
}

pub(super) fn run(arguments: &Arguments, lines: &Lines) -> Result<(), Failure> {
    match &arguments.verb {
        Verb::Verify { place, fix } => verify(&place.open(lines)?, *fix, lines),
        Verb::Prune { place, older_than, max_size, keep } => {
            // Read before anything is dropped: a lock that cannot be read keeps nothing.
            let mut digests = BTreeSet::new();
            for path in keep {
                digests.extend(pinned(path)?);
            }
            prune(&place.open(lines)?, &Keep { age: *older_than, bytes: *max_size, digests })
        }
    }
}

fn verify(cache: &Cache, fix: bool, lines: &Lines) -> Result<(), Failure> {
    let found = cache.verify(parallel::cores(), lines)?;
    lines.end();
    let looked_at = format!("{}, {}", count(found.blobs, "blob"), bytes(found.bytes));
    if found.bad.is_empty() {
        say!("verified  {looked_at}: all are what their names say");
        return Ok(());
    }
    if !fix {
        return Err(CacheError::Bad { entries: found.bad }.into());
    }
    for entry in &found.bad {
        say!("bad       {entry}");
    }
    cache.remove(&found.bad)?;
    say!("removed   {} bad of {looked_at}: the next build fetches or makes them again", found.bad.len());
    Ok(())
}

fn prune(cache: &Cache, keep: &Keep) -> Result<(), Failure> {
    let pruned = cache.prune(keep, SystemTime::now())?;
    say!(
        "pruned    {}, {}; {} left, {}",
        count(pruned.dropped, "file"),
        bytes(pruned.dropped_bytes),
        count(pruned.kept, "file"),
        bytes(pruned.kept_bytes)
    );
    Ok(())
}

/// Every digest that the lock at `path` pins. Taken from its text: whatever kinds of things locks will pin.
fn pinned(path: &Path) -> Result<BTreeSet<String>, Failure> {
    Lock::load(path)?;
    let text = std::fs::read_to_string(path).map_err(|source| LockError::File {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    let after = text.split(digest::PREFIX).skip(1);
    let digests = after.filter_map(|rest| Some(format!("{}{}", digest::PREFIX, rest.get(..64)?)));
    Ok(digests.filter(|text| digest::is_valid(text)).collect())
}

fn age(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text)?;
    let hours = match unit.as_str() {
        "h" => 1,
        "d" => 24,
        "w" => 24 * 7,
        _ => return Err("must be a number of hours, days or weeks, e.g. 12h, 30d, 4w".to_owned()),
    };
    let seconds = number.checked_mul(hours * 3600).ok_or_else(|| "is too long".to_owned())?;
    Ok(Duration::from_secs(seconds))
}

fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text)?;
    let factor = match unit.as_str() {
        // A number alone would be taken for bytes, and drop everything.
        "b" => 1,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err("must be a number with B, kB, MB, GB or TB, e.g. 20GB".to_owned()),
    };
    number.checked_mul(factor).ok_or_else(|| "is too large".to_owned())
}

/// A whole number, and the unit behind it in small letters.
fn split(text: &str) -> Result<(u64, String), String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..end].parse().map_err(|_| "must begin with a whole number".to_owned())?;
    Ok((number, text[end..].trim().to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_sizes_have_units() {
        assert_eq!(["12h", "30d", "1w"].map(|text| age(text).unwrap().as_secs() / 3600), [12, 720, 168]);
        assert_eq!(
            ["7B", "5 kB", "20GB", "1tb"].map(|text| size(text).unwrap()),
            [7, 5000, 20_000_000_000, 1_000_000_000_000]
        );
        for wrong in ["", "d", "5", "5m", "99999999999999999w", "-1d"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "GB", "5", "5 GiB", "1.5GB", "99999999999TB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
