//! Progress for viewers in other processes: a file beside the journal, never synced and bounded in size.
//!
//! A file and no socket: the writer can neither wait for a viewer nor hear of one, it works on every disk that the
//! journal works on, and paths may be long. What is in it may be lost at any time, as droppable events may.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::{Event, ProgressEvent, ProgressLine, Sink, VERSION};

/// Most bytes that the file may have; before it would grow beyond, it starts anew. Some thousand lines: seconds of a
/// large site in full swing, and viewers look several times a second.
const MOST: u64 = 256 * 1024;

/// The writer's end: a sink that keeps what viewers may want.
#[derive(Debug)]
pub struct ProgressFile {
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    file: File,
    length: u64,
}

impl ProgressFile {
    /// Creates the file; an existing one is an error.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create_new(true).append(true).open(path)?;
        Ok(Self { written: Mutex::new(Written { file, length: 0 }) })
    }
}

impl Sink for ProgressFile {
    fn take(&self, event: &Event) {
        if let Event::Progress(progress) = event {
            let mut written = self.written.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            // Droppable: a disk that is full or gone stops the run at its journal, and there with a reason.
            let _ = written.add(progress);
        }
    }
}

impl Written {
    fn add(&mut self, progress: &ProgressEvent) -> io::Result<()> {
        let mut line = serde_json::to_vec(&ProgressLine::from(progress.clone()))?;
        line.push(b'\n');
        let length = line.len() as u64;
        if self.length + length > MOST {
            self.file.set_len(0)?;
            self.length = 0;
        }
        self.length += length;
        self.file.write_all(&line)
    }
}

/// A viewer's end.
#[derive(Debug)]
pub struct ProgressReader {
    path: PathBuf,
    file: Option<File>,
    offset: u64,
    rest: Vec<u8>,
}

impl ProgressReader {
    /// A reader of a file that may not be there yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: None, offset: 0, rest: Vec::new() }
    }

    /// What was added since the last call, as far as it can be had.
    pub fn more(&mut self) -> Vec<ProgressEvent> {
        // Droppable: what cannot be read now is not missed.
        let _ = self.fill();
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        // Where the file started anew behind our back, the first line is a piece of one.
        whole
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice::<ProgressLine>(line).ok())
            .filter(|line| line.version <= VERSION)
            .map(|line| line.progress)
            .collect()
    }

    fn fill(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(&self.path)?),
        };
        if file.metadata()?.len() < self.offset {
            self.offset = file.seek(SeekFrom::Start(0))?;
            self.rest.clear();
        }
        self.offset += file.read_to_end(&mut self.rest)? as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(done: u64) -> ProgressEvent {
        ProgressEvent {
            step: "m1.store".into(),
            host: "m1".into(),
            message: "receive".into(),
            done,
            total: 1_000_000,
            elapsed_millis: done,
        }
    }

    #[test]
    fn a_viewer_gets_what_was_added_whenever_it_came() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("progress.jsonl");
        let mut early = ProgressReader::new(&path);
        assert_eq!(early.more(), []);
        let file = ProgressFile::create(&path).unwrap();
        for done in [1, 2] {
            file.take(&Event::Progress(progress(done)));
            assert_eq!(early.more(), [progress(done)]);
        }
        assert_eq!(early.more(), []);
        assert_eq!(ProgressReader::new(&path).more(), [progress(1), progress(2)]);
    }

    #[test]
    fn the_file_stays_small_and_viewers_do_not_lose_their_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("progress.jsonl");
        let file = ProgressFile::create(&path).unwrap();
        // One looks all the time, one now and then: as often as the file has grown by more than it may have.
        let (mut steady, mut rare) = (ProgressReader::new(&path), ProgressReader::new(&path));
        for done in 0..9000 {
            file.take(&Event::Progress(progress(done)));
            assert_eq!(steady.more(), [progress(done)]);
            if done % 2500 == 0 {
                assert_eq!(rare.more().last(), Some(&progress(done)));
            }
        }
        let length = std::fs::metadata(&path).unwrap().len();
        assert!((1..=MOST).contains(&length), "{length}");
    }
}
