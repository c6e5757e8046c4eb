//! Facts files and folders of them, read for the seat: whatever is wrong with any of them is told together.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use sealift_checks::facts::Facts;
use sealift_checks::{FactsFile, MAX_BYTES, Record, RecordError, assign};
use sealift_profile::Site;

use crate::failure::{Failure, Kind};

/// Most files that are read: a cluster may have 5,000 nodes.
const MOST_FILES: usize = 5_000;

/// Reads files, and those ending in `.json` of folders.
pub(crate) fn read(places: &[PathBuf]) -> Result<Vec<FactsFile>, Failure> {
    let mut wrong = Vec::new();
    let mut files = Vec::new();
    for path in expanded(places, &mut wrong) {
        match read_one(&path) {
            Ok(record) => files.push(FactsFile { path: path.display().to_string(), record }),
            Err(cause) => wrong.push(format!("{}: {cause}", path.display())),
        }
    }
    if wrong.is_empty() { Ok(files) } else { Err(refused(wrong)) }
}

/// Something of each host, by its name in the profile.
type ByHost<T> = BTreeMap<String, T>;

/// Facts, and how old they are, milliseconds.
pub(crate) fn of_site(site: &Site, files: Vec<FactsFile>) -> Result<(ByHost<Facts>, ByHost<i64>), Failure> {
    let records =
        assign(site, files).map_err(|errors| refused(errors.iter().map(ToString::to_string).collect()))?;
    let now = unix_millis();
    // 0 would be a host that is being measured.
    let age = |record: &Record| match now.saturating_sub(record.taken_unix_millis) {
        0 => 1,
        age => age,
    };
    let ages = records.iter().map(|(host, record)| (host.clone(), age(record))).collect();
    Ok((records.into_iter().map(|(host, record)| (host, record.facts)).collect(), ages))
}

/// Now, milliseconds since the Unix epoch.
pub(crate) fn unix_millis() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

fn refused(causes: Vec<String>) -> Failure {
    let count = causes.len();
    let things = if count == 1 { "thing is" } else { "things are" };
    let message = format!("{count} {things} wrong with the facts files; nothing was judged");
    Failure { causes, ..Failure::new(Kind::Usage, message) }
        .hint("give one file for each host of the profile, as `installer kit --out FILE` wrote it there")
}

fn expanded(places: &[PathBuf], wrong: &mut Vec<String>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for place in places {
        if !place.is_dir() {
            files.push(place.clone());
            continue;
        }
        let found: io::Result<Vec<PathBuf>> =
            place.read_dir().and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
        let mut found = match found {
            Ok(found) => found,
            Err(error) => {
                wrong.push(format!("{}: {error}", place.display()));
                continue;
            }
        };
        found.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        found.sort();
        if found.is_empty() {
            wrong.push(format!("{}: there is no file ending in .json in this folder", place.display()));
        }
        files.append(&mut found);
    }
    if files.len() > MOST_FILES {
        wrong.push(format!("{} files are more than the {MOST_FILES} that are read", files.len()));
        files.clear();
    }
    files
}

/// The record, or why not, in words.
fn read_one(path: &Path) -> Result<Record, String> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error| error.to_string())?;
    Record::from_json(&bytes).map_err(|error| said(&error))
}

fn said(error: &RecordError) -> String {
    let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    let remedy = match error {
        RecordError::Newer(_) => "; use the installer that wrote it, or measure again with this one",
        RecordError::Damaged => "; copy it again as it was written",
        RecordError::NotFacts(_) => {
            "; it is of another release of the installer: measure again with this one"
        }
        _ => "",
    };
    format!("{error}{source}{remedy}")
}
