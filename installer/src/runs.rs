//! Folders of runs: made when a run starts, found by those who look at it.

use std::cmp::Reverse;
use std::io;
use std::path::{Path, PathBuf};

use sealift_events::journal::{JournalError, Reader};
use sealift_events::picture::FailedStep;
use sealift_events::progress::{ProgressFile, ProgressReader};

use crate::failure::{Failure, Kind};

/// Folder with the records of runs, where none is named.
pub(crate) const RUNS: &str = "runs";
/// Name of a run's journal in its folder.
pub(crate) const JOURNAL: &str = "events.jsonl";
/// Name of the file beside it with what may be lost.
const PROGRESS: &str = "progress.jsonl";
/// Name of the file beside it that asks the run to stop.
pub(crate) const STOP: &str = "stop";
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
        let names = self.names()?;
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

    /// Names of the runs, the newest first.
    fn names(&self) -> Result<Vec<String>, Failure> {
        let failed = |error: io::Error| {
            let message = format!("the folder of runs {} cannot be read", self.runs.display());
            Failure { causes: vec![error.to_string()], ..Failure::new(Kind::Usage, message) }
                .hint("go to the folder in which the install was started, or name its runs with `--runs DIR`")
        };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.runs).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.path().is_dir() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort_by(|one, other| Reverse(age(one)).cmp(&Reverse(age(other))));
        Ok(names)
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

/// Sorts runs by age: by time, then by the number behind where two started in one second.
fn age(name: &str) -> (Option<&str>, u32, &str) {
    let number = name.get(STAMP + 1..).and_then(|number| number.parse().ok()).unwrap_or(1);
    (name.get(..STAMP), number, name)
}

/// A run that somebody looks at.
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

    /// Its progress, which is there while the run goes on.
    pub(crate) fn progress(&self) -> ProgressReader {
        ProgressReader::new(&self.folder.join(PROGRESS))
    }
}

/// What can be told of a run in one line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RunSummary {
    /// Name of its folder.
    pub(crate) name: String,
    /// Site name; empty where nothing has begun.
    pub(crate) site: String,
    /// Product and version; empty where nothing has begun.
    pub(crate) product: String,
    /// Steps done.
    pub(crate) done: u32,
    /// Steps in all.
    pub(crate) steps: u32,
    /// How it stands.
    pub(crate) standing: Standing,
}

/// How a run stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Standing {
    /// Its process lives and has not said how it ended.
    GoesOn,
    /// It ended well.
    Done,
    /// It ended with these failures, the first of them first; that of the last question, after all steps, has no host.
    Failed(Vec<FailedStep>),
    /// It was stopped as asked.
    Stopped,
    /// Its process is gone without having said how it ended.
    CutOff,
    /// Its journal cannot be read, and why.
    Unreadable(String),
}

/// The newest runs in this folder, the newest first; a folder that cannot be read has none.
pub(crate) fn summaries(runs: &Path) -> Vec<RunSummary> {
    let _ = runs;
    Vec::new()
}

/// The run of this name in a folder of runs.
pub(crate) fn named(runs: &Path, name: &str) -> Result<Run, Failure> {
    Which { run: Some(name.to_owned()), runs: runs.to_owned() }.find()
}

/// Asks a run that goes on to stop safely: what runs may end, nothing new starts.
pub(crate) fn ask_to_stop(run: &Run) -> Result<(), Failure> {
    crate::written::write(&run.folder.join(STOP), "")
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
