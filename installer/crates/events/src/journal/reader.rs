//! A journal as somebody sees it who does not write it: once, or as it grows.

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::JournalError;
use crate::{Record, VERSION};

/// Reads a journal as far as it is written. What a crash has done to its last line is left out; a bad line anywhere
/// else is an error.
pub fn read(path: &Path) -> Result<Vec<Record>, JournalError> {
    Reader::open(path)?.more()
}

/// An open journal. Any number of them may be open beside the writer, who never notices.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    file: File,
    decoder: Decoder,
}

impl Reader {
    /// Opens a journal that is there.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        match File::open(path) {
            Ok(file) => Ok(Self { path: path.to_owned(), file, decoder: Decoder::default() }),
            Err(source) => Err(JournalError::File { path: path.to_owned(), source }),
        }
    }

    /// The records that were added since the last call.
    pub fn more(&mut self) -> Result<Vec<Record>, JournalError> {
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes).map_err(|source| self.failed(source))?;
        let path = self.path.clone();
        self.decoder.feed(&bytes).map_err(|wrong| match wrong {
            Wrong::Line { line, source } => JournalError::Line { path, line, source },
            Wrong::Newer { line, version } => JournalError::Newer { path, line, version },
        })
    }

    /// Whether the process that writes the journal lives. Ask before [`Self::more`]: what is read after a no is all
    /// that there will ever be.
    pub fn is_written(&self) -> Result<bool, JournalError> {
        match self.file.try_lock_shared() {
            // Nobody waits for it: the writer's lock is older than the file's name.
            Ok(()) => self.file.unlock().map(|()| false).map_err(|source| self.failed(source)),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(source)) => Err(self.failed(source)),
        }
    }

    /// Number of the last line, where it is no whole event: still being written, or cut off by a crash.
    #[must_use]
    pub fn cut_line(&self) -> Option<usize> {
        self.decoder.cut_line()
    }

    fn failed(&self, source: io::Error) -> JournalError {
        JournalError::File { path: self.path.clone(), source }
    }
}

/// Bytes in, records of whole lines out.
#[derive(Debug, Default)]
struct Decoder {
    /// What came after the last line's end.
    rest: Vec<u8>,
    /// Lines that have ended.
    lines: usize,
    /// Why the last of them is no event: damage if anything follows, else the trace of a crash.
    wrong: Option<serde_json::Error>,
}

enum Wrong {
    Line { line: usize, source: serde_json::Error },
    Newer { line: usize, version: u32 },
}

/// The part of a line that every version has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Decoder {
    fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Record>, Wrong> {
        self.rest.extend_from_slice(bytes);
        let rest = std::mem::take(&mut self.rest);
        let mut records = Vec::new();
        let mut open = rest.as_slice();
        while let Some(end) = open.iter().position(|byte| *byte == b'\n') {
            self.refuse_wrong()?;
            let line = &open[..end];
            open = &open[end + 1..];
            self.lines += 1;
            match record(line) {
                Ok(Ok(record)) => records.push(record),
                Ok(Err(version)) => return Err(Wrong::Newer { line: self.lines, version }),
                Err(error) => self.wrong = Some(error),
            }
        }
        if !open.is_empty() {
            self.refuse_wrong()?;
        }
        open.clone_into(&mut self.rest);
        Ok(records)
    }

    fn refuse_wrong(&mut self) -> Result<(), Wrong> {
        match self.wrong.take() {
            Some(source) => Err(Wrong::Line { line: self.lines, source }),
            None => Ok(()),
        }
    }

    fn cut_line(&self) -> Option<usize> {
        if self.wrong.is_some() {
            return Some(self.lines);
        }
        (!self.rest.is_empty()).then_some(self.lines + 1)
    }
}

/// A record, or the version of a format that is later than this one.
fn record(line: &[u8]) -> Result<Result<Record, u32>, serde_json::Error> {
    let Versioned { version } = serde_json::from_slice(line)?;
    if version > VERSION {
        return Ok(Err(version));
    }
    serde_json::from_slice(line).map(Ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StepEvent;
    use crate::journal::Journal;

    fn note(text: &str) -> StepEvent {
        StepEvent::Note { message: text.to_owned() }
    }

    /// A journal file with this content.
    fn file(content: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        std::fs::write(&path, content).unwrap();
        (folder, path)
    }

    const LINE: &str = r#"{"version":1,"sequence":1,"at":"2026-11-21T10:00:00Z","elapsedMillis":0,"event":"note","message":"kept"}"#;

    #[test]
    fn what_a_crash_left_of_the_last_line_is_left_out_and_told() {
        for cut in ["{\"version\":1,\"sequ", "\0\0\0\0", "{\"version\":1,\n"] {
            let (_folder, path) = file(format!("{LINE}\n{cut}"));
            let mut reader = Reader::open(&path).unwrap();
            let records = reader.more().unwrap();
            assert_eq!((records.len(), reader.cut_line()), (1, Some(2)), "{cut:?}");
            assert_eq!(records[0].event, note("kept"));
        }
        let (_folder, path) = file(format!("{LINE}\n"));
        let mut reader = Reader::open(&path).unwrap();
        assert_eq!((reader.more().unwrap().len(), reader.cut_line()), (1, None));
    }

    #[test]
    fn a_bad_line_in_the_middle_is_named() {
        for after in ["{}\n", "{"] {
            let (_folder, path) = file(format!("{LINE}\nnonsense\n{after}"));
            assert!(matches!(read(&path), Err(JournalError::Line { line: 2, .. })), "{after:?}");
        }
        let (_folder, path) = file([LINE.as_bytes(), b"\n\xff\xfe\n", LINE.as_bytes(), b"\n"].concat());
        assert!(matches!(read(&path), Err(JournalError::Line { line: 2, .. })), "not UTF-8");
    }

    #[test]
    fn an_event_of_a_newer_installer_is_kept_as_unknown() {
        let line = LINE.replace("\"note\"", "\"comet\"");
        let (_folder, path) = file(format!("{line}\n"));
        assert_eq!(read(&path).unwrap()[0].event, StepEvent::Unknown);
    }

    #[test]
    fn a_later_format_is_refused_even_where_its_lines_look_like_ours() {
        let later = LINE.replace("\"version\":1", "\"version\":2");
        let (_folder, path) = file(format!("{LINE}\n{later}\n"));
        let error = read(&path).unwrap_err();
        assert!(matches!(error, JournalError::Newer { line: 2, version: 2, .. }), "{error}");
    }

    #[test]
    fn a_reader_follows_and_sees_the_writer_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let journal = Journal::create(&path, Vec::new()).unwrap();
        let mut readers = [Reader::open(&path).unwrap(), Reader::open(&path).unwrap()];
        for text in ["one", "two"] {
            journal.record(note(text)).unwrap();
            for reader in &mut readers {
                assert!(reader.is_written().unwrap());
                let events: Vec<StepEvent> =
                    reader.more().unwrap().into_iter().map(|one| one.event).collect();
                assert_eq!(events, [note(text)]);
            }
        }
        drop(journal);
        for reader in &mut readers {
            assert!(!reader.is_written().unwrap());
            assert_eq!(reader.more().unwrap(), []);
        }
    }

    #[test]
    fn nothing_but_the_journal_is_left_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let _journal = Journal::create(&folder.path().join("events.jsonl"), Vec::new()).unwrap();
        let names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["events.jsonl"]);
    }
}
