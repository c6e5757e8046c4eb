//! The run journal: one JSON object per line, synced to disk before the event is shown.
//!
//! Its writer holds a lock on the file from before the file has its name until the process ends, however it ends: the
//! kernel gives the lock back. So a journal that nobody has locked is one that nobody writes any more, and no
//! reader needs process numbers, which are used again and mean nothing on another machine.

mod reader;

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use jiff::Timestamp;
pub use reader::{Reader, read};

use crate::{Event, ProgressEvent, Record, Sink, StepEvent, VERSION};

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be opened, written or synced.
    #[error("run journal {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file system gives no locks.
    #[error("run journal {path} cannot be locked, so nobody could tell whether its run goes on")]
    Lock {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not an event.
    #[error("run journal {path}, line {line}, is not an event")]
    Line {
        /// The file.
        path: PathBuf,
        /// Line number from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// A later installer wrote it, in a format that this one would misread.
    #[error(
        "run journal {path}, line {line}, has format {version}; this installer reads formats up to {VERSION}"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Line number from 1.
        line: usize,
        /// The format's version.
        version: u32,
    },
}

/// Numbers, stamps and writes events, then hands them to the sinks.
pub struct Journal {
    path: PathBuf,
    started: Instant,
    writer: Mutex<Writer>,
    sinks: Vec<Box<dyn Sink>>,
}

struct Writer {
    file: File,
    sequence: u64,
}

impl Drop for Writer {
    /// Gives the lock back at once: closing the file would leave it with the copy that a program being started on
    /// another thread has of every open file until it is loaded (flock(2)).
    fn drop(&mut self) {
        // Where this fails, the lock goes with the last copy.
        let _ = self.file.unlock();
    }
}

impl Journal {
    /// Creates a new journal file; an existing one is an error.
    pub fn create(path: &Path, sinks: Vec<Box<dyn Sink>>) -> Result<Self, JournalError> {
        let failed = |source| JournalError::File { path: path.to_owned(), source };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Under another name until it is locked: nobody may see it unlocked while its writer lives.
        let file = tempfile::Builder::new()
            .prefix(".events-")
            .append(true)
            // As the person's umask has it.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)
            .map_err(failed)?;
        file.as_file()
            .try_lock()
            .map_err(|error| JournalError::Lock { path: path.to_owned(), source: error.into() })?;
        let file = file.persist_noclobber(path).map_err(|error| failed(error.error))?;
        Ok(Self {
            path: path.to_owned(),
            started: Instant::now(),
            writer: Mutex::new(Writer { file, sequence: 0 }),
            sinks,
        })
    }

    /// Writes a durable event, syncs it, then shows it.
    pub fn record(&self, event: StepEvent) -> Result<(), JournalError> {
        let mut writer = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let record = Record {
            version: VERSION,
            sequence: writer.sequence + 1,
            at: Timestamp::now(),
            elapsed_millis: self.elapsed_millis(),
            event,
        };
        let written = serde_json::to_vec(&record).map_err(io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            writer.file.write_all(&line)?;
            writer.file.sync_data()
        });
        written.map_err(|source| JournalError::File { path: self.path.clone(), source })?;
        writer.sequence += 1;
        let event = Event::Step(record);
        for sink in &self.sinks {
            sink.take(&event);
        }
        Ok(())
    }

    /// Shows a droppable event.
    pub fn progress(&self, mut progress: ProgressEvent) {
        progress.elapsed_millis = self.elapsed_millis();
        let event = Event::Progress(progress);
        for sink in &self.sinks {
            sink.take(&event);
        }
    }

    /// Milliseconds since the journal was created.
    #[must_use]
    pub fn elapsed_millis(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RunResult;

    fn note(text: &str) -> StepEvent {
        StepEvent::Note { message: text.to_owned() }
    }

    #[test]
    fn events_come_back_numbered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let journal = Journal::create(&path, Vec::new()).unwrap();
        journal.record(note("one")).unwrap();
        journal
            .record(StepEvent::RunFinished { result: RunResult::Done, changed: 1, unchanged: 2, millis: 3 })
            .unwrap();
        let records = read(&path).unwrap();
        assert_eq!(records.iter().map(|r| r.sequence).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(records[0].event, note("one"));
    }

    #[test]
    fn a_journal_that_ended_is_free_although_a_child_still_has_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let journal = Journal::create(&path, Vec::new()).unwrap();
        let reader = Reader::open(&path).unwrap();
        // What a child has between its fork and its exec.
        let child = journal.writer.lock().unwrap().file.try_clone().unwrap();
        assert!(reader.is_written().unwrap());
        drop(journal);
        assert!(!reader.is_written().unwrap());
        drop(child);
    }

    #[test]
    fn an_existing_journal_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        std::fs::write(&path, "").unwrap();
        assert!(matches!(Journal::create(&path, Vec::new()), Err(JournalError::File { .. })));
    }
}
