//! Where a bundle's bytes come from.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes that can be read at any place by several threads at once.
pub trait Source: Send + Sync {
    /// Reads up to `buffer.len()` bytes at `offset`; 0 only at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// All bytes there are.
    fn size(&self) -> u64;

    /// The files that these bytes are spread over, in order; none where they are in one place.
    fn parts(&self) -> &[Part] {
        &[]
    }
}

/// One file of several that make up a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The file.
    pub path: PathBuf,
    /// Which byte of the bundle its first one is.
    pub start: u64,
    /// Bytes in it.
    pub size: u64,
}

/// Which part holds the byte at `offset`: the last that starts there or before, since parts may be empty.
pub(crate) fn part_index(parts: &[Part], offset: u64) -> Option<usize> {
    parts.partition_point(|part| part.start <= offset).checked_sub(1)
}

/// The part that holds the byte at `offset` (for one behind the end: the last), and where in it.
pub(crate) fn place(parts: &[Part], offset: u64) -> Option<(&Path, u64)> {
    let part = &parts[part_index(parts, offset)?];
    Some((&part.path, offset - part.start))
}

/// One file on disk; its size is taken once, when it is opened.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    size: u64,
}

impl FileSource {
    /// Takes an open file.
    ///
    /// # Errors
    /// When its size cannot be asked for.
    pub fn new(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(Self { file, size })
    }
}

impl Source for FileSource {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn size(&self) -> u64 {
        self.size
    }
}

/// A bundle in memory.
impl Source for Vec<u8> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|start| self.get(start..)).unwrap_or(&[]);
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn size(&self) -> u64 {
        self.len() as u64
    }
}

/// Fills `buffer` from `offset` on as far as there are bytes, and says how many.
pub(crate) fn read_full(source: &dyn Source, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
