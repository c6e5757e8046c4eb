//! Folders of runs: made when a run starts, found by those who look at it.

mod closing;
mod summary;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sealift_events::journal::{JournalError, Reader};
use sealift_events::picture::{LastWords, PlannedHost};
use sealift_events::progress::{ProgressFile, ProgressReader};
use sealift_plan::Plan;

pub(crate) use self::closing::{Closing, keep_failure};
pub(crate) use self::summary::{in_words, summaries};
use crate::failure::{Failure, Kind};
use crate::written::write;

/// Folder with the records of runs, where none is named.
pub(crate) const RUNS: &str = "runs";
/// Name of a run's journal in its folder.
pub(crate) const JOURNAL: &str = "events.jsonl";
/// Name of the file beside it with what may be lost.
const PROGRESS: &str = "progress.jsonl";
/// Name of the file beside it with the plan.
pub(crate) const PLAN: &str = "plan.json";
/// Name of the file beside it that asks the run to stop.
pub(crate) const STOP: &str = "stop";
/// Longest plan that is read, bytes.
const LONGEST_PLAN: u64 = 64 << 20;
/// How old a folder without a journal may be for its run to be one that begins: a run takes its hosts before it has a
/// journal, and waits half a minute for one that another has.
const FRESH: Duration = Duration::from_mins(1);
/// Letters of `DATE-TIME`.
const STAMP: usize = "2026-11-21-063800".len();
/// Most runs that are named where one was not found.
const NAMED: usize = 10;

/// A new folder `DATE-TIME`, with a number behind where two runs start in one second.
pub(crate) fn make(runs: &Path) -> Result<PathBuf, Failure> {
    let stamp = jiff::Zoned::now().strftime("%Y-%m-%d-%H%M%S").to_string();
    let failed = |path: &Path, error: &io::Error| {
        let failure = Failure::new(Kind::Usage, format!("the run folder {} cannot be made", path.display()));
        Failure { causes: vec![error.to_string()], ..failure }.hint("name another with `--runs DIR`")
    };
    std::fs::create_dir_all(runs).map_err(|error| failed(runs, &error))?;
    for number in 1..1000 {
        let name = if number == 1 { stamp.clone() } else { format!("{stamp}-{number}") };
        let folder = runs.join(name);
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(&folder, &error)),
        }
    }
    Err(Failure::new(Kind::Internal, format!("a thousand runs in {} within one second", runs.display())))
}

/// Takes away the folder of a run that could not begin: it has no record, and whoever looks for the newest run means
/// another one.
pub(crate) fn unmake(folder: &Path) {
    for name in [PLAN, PROGRESS, STOP] {
        // It need not be there; and a folder that stays is only one too many.
        let _ = std::fs::remove_file(folder.join(name));
    }
    let _ = std::fs::remove_dir(folder);
}

/// What a run's viewers get besides its journal.
pub(crate) fn progress_file(folder: &Path) -> Result<ProgressFile, JournalError> {
    let path = folder.join(PROGRESS);
    ProgressFile::create(&path).map_err(|source| JournalError::File { path, source })
}

/// Which run to look at.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// Name of the run's folder; the newest run where absent.
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// Folder with the records of runs.
    #[arg(long, value_name = "DIR", default_value = RUNS)]
    runs: PathBuf,
}

impl Which {
    /// The run that is meant.
    pub(crate) fn find(&self) -> Result<Run, Failure> {
        let names = names(&self.runs)?;
        let name = match &self.run {
            None => names.first(),
            Some(name) => Some(names.iter().find(|one| *one == name).ok_or_else(|| self.none(name, &names))?),
        };
        let Some(name) = name else {
            let message = format!("there is no run in {} yet", self.runs.display());
            return Err(Failure::new(Kind::Usage, message)
                .hint("`installer install` makes one; name another folder with `--runs DIR`"));
        };
        Ok(Run { name: name.clone(), folder: self.runs.join(name) })
    }

    fn none(&self, name: &str, names: &[String]) -> Failure {
        let failure = Failure::new(Kind::Usage, format!("there is no run {name} in {}", self.runs.display()));
        if names.is_empty() {
            return failure.hint("name another folder with `--runs DIR`");
        }
        let told: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
        let more = match names.len().saturating_sub(NAMED) {
            0 => String::new(),
            count => format!(" and {count} older ones"),
        };
        failure.hint(format!("there are, the newest first: {}{more}", told.join(", ")))
    }
}

/// Names of the runs in a folder, the newest first.
fn names(runs: &Path) -> Result<Vec<String>, Failure> {
    let failed = |error: io::Error| {
        let message = format!("the folder of runs {} cannot be read", runs.display());
        Failure { causes: vec![error.to_string()], ..Failure::new(Kind::Usage, message) }
            .hint("go to the folder in which the install was started, or name its runs with `--runs DIR`")
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(runs).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort_by(|one, other| Reverse(age(one)).cmp(&Reverse(age(other))));
    Ok(names)
}

/// Sorts runs by age: by time, then by the number behind where two started in one second.
fn age(name: &str) -> (Option<&str>, u32, &str) {
    let number = name.get(STAMP + 1..).and_then(|number| number.parse().ok()).unwrap_or(1);
    (name.get(..STAMP), number, name)
}

/// A run that somebody looks at.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) name: String,
    folder: PathBuf,
}

impl Run {
    /// Its journal, which a run has from its first event on.
    pub(crate) fn journal(&self) -> Result<Reader, Failure> {
        Reader::open(&self.folder.join(JOURNAL)).map_err(|error| match &error {
            JournalError::File { source, .. } if source.kind() == io::ErrorKind::NotFound => Failure::new(
                Kind::Usage,
                format!("the run {} has no journal: no step of it has begun", self.name),
            )
            .hint("if it was started a moment ago, try again; else run the same install command again"),
            _ => unreadable(error),
        })
    }

    /// Whether it has its journal already.
    pub(crate) fn has_journal(&self) -> bool {
        self.folder.join(JOURNAL).exists()
    }

    /// Whether its folder was made a moment ago, so that its journal may be about to come.
    pub(crate) fn is_fresh(&self) -> bool {
        let made = std::fs::metadata(&self.folder).and_then(|folder| folder.modified());
        // Also a little ahead of a clock that was set back since.
        made.is_ok_and(|made| made.elapsed().unwrap_or_else(|ahead| ahead.duration()) < FRESH)
    }

    /// What its plan says of each host. Empty where the plan is missing, or not as it was written.
    pub(crate) fn planned(&self) -> BTreeMap<String, PlannedHost> {
        let text = read_some(&self.folder.join(PLAN), LONGEST_PLAN).unwrap_or_default();
        sealift_plan::saved::from_json(&text).map(|plan| planned(&plan)).unwrap_or_default()
    }

    /// What it said last.
    pub(crate) fn last_words(&self) -> LastWords {
        closing::last_words(&self.folder)
    }

    /// What stands since it ended well.
    pub(crate) fn closing(&self) -> Option<Closing> {
        Closing::read(&self.folder)
    }

    /// Whether somebody asked it to stop.
    pub(crate) fn is_asked_to_stop(&self) -> bool {
        self.folder.join(STOP).exists()
    }

    /// Its progress, which is there while the run goes on.
    pub(crate) fn progress(&self) -> ProgressReader {
        ProgressReader::new(&self.folder.join(PROGRESS))
    }
}

/// The run of this name in a folder of runs.
pub(crate) fn named(runs: &Path, name: &str) -> Result<Run, Failure> {
    Which { run: Some(name.to_owned()), runs: runs.to_owned() }.find()
}

/// Asks a run that goes on to stop safely: what runs may end, nothing new starts.
pub(crate) fn ask_to_stop(run: &Run) -> Result<(), Failure> {
    write(&run.folder.join(STOP), "")
}

/// Steps and role of each host.
fn planned(plan: &Plan) -> BTreeMap<String, PlannedHost> {
    let profile = plan.inputs.profile["hosts"].as_array().into_iter().flatten();
    let roles: BTreeMap<_, _> =
        profile.filter_map(|host| Some((host["name"].as_str()?, host["role"].as_str()?))).collect();
    let host = |name: &String| {
        let steps = plan.steps.iter().filter(|step| step.host == *name).count();
        let role = roles.get(name.as_str()).copied().unwrap_or_default().to_owned();
        (name.clone(), PlannedHost { role, steps: u32::try_from(steps).unwrap_or(u32::MAX) })
    };
    plan.hosts.iter().map(host).collect()
}

/// A file's text, where it can be read and is no longer than this.
fn read_some(path: &Path, most: u64) -> Option<String> {
    let mut text = String::new();
    let length = File::open(path).ok()?.take(most + 1).read_to_string(&mut text).ok()?;
    (length as u64 <= most).then_some(text)
}

/// A journal that was to be read only.
pub(crate) fn unreadable(error: JournalError) -> Failure {
    match &error {
        JournalError::File { .. } => Failure::of(Kind::Usage, &error)
            .hint("look at the run from the account that installs, on the machine that it was started on"),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_room_for_many_runs() {
        let mut names = ["2026-11-21-063800", "notes", "2026-11-21-063800-10", "2026-11-21-063800-2"];
        names.sort_by_key(|name| age(name));
        assert_eq!(names, ["notes", "2026-11-21-063800", "2026-11-21-063800-2", "2026-11-21-063800-10"]);
    }

    #[test]
    fn runs_of_one_second_get_folders_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path().join("runs");
        let made: Vec<PathBuf> = (0..3).map(|_| make(&runs).unwrap()).collect();
        let newest = Which { run: None, runs }.find().unwrap();
        assert_eq!(newest.folder, made[2]);
        assert_eq!(newest.journal().unwrap_err().exit_code(), 2);
    }
}
