//! The run journal: one JSON object per line, synced to disk before the event is shown.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use jiff::Timestamp;

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

impl Journal {
    /// Creates a new journal file; an existing one is an error.
    pub fn create(path: &Path, sinks: Vec<Box<dyn Sink>>) -> Result<Self, JournalError> {
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(path)
            .map_err(|source| JournalError::File { path: path.to_owned(), source })?;
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

/// Reads a journal. A last line cut off by a crash is left out; a bad line anywhere else is an error.
pub fn read(path: &Path) -> Result<Vec<Record>, JournalError> {
    let file = File::open(path).map_err(|source| JournalError::File { path: path.to_owned(), source })?;
    let lines: Vec<String> = BufReader::new(file)
        .split(b'\n')
        .map(|line| line.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
        .collect::<Result<_, _>>()
        .map_err(|source| JournalError::File { path: path.to_owned(), source })?;
    let mut records = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        match serde_json::from_str(line) {
            Ok(record) => records.push(record),
            Err(_) if index + 1 == lines.len() => break,
            Err(source) => {
                return Err(JournalError::Line { path: path.to_owned(), line: index + 1, source });
            }
        }
    }
    Ok(records)
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
    fn a_last_line_cut_by_a_crash_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        Journal::create(&path, Vec::new()).unwrap().record(note("kept")).unwrap();
        let mut text = std::fs::read(&path).unwrap();
        text.extend_from_slice(b"{\"version\":1,\"sequ");
        std::fs::write(&path, text).unwrap();
        assert_eq!(read(&path).unwrap().len(), 1);
    }

    #[test]
    fn a_bad_line_in_the_middle_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        std::fs::write(&path, "nonsense\n{}\n").unwrap();
        assert!(matches!(read(&path), Err(JournalError::Line { line: 1, .. })));
    }

    #[test]
    fn an_event_of_a_newer_version_is_kept_as_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let line =
            r#"{"version":2,"sequence":1,"at":"2026-11-21T10:00:00Z","elapsedMillis":0,"event":"comet"}"#;
        std::fs::write(&path, format!("{line}\n")).unwrap();
        assert_eq!(read(&path).unwrap()[0].event, StepEvent::Unknown);
    }

    #[test]
    fn an_existing_journal_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        std::fs::write(&path, "").unwrap();
        assert!(matches!(Journal::create(&path, Vec::new()), Err(JournalError::File { .. })));
    }
}
