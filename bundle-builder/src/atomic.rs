//! Small files that are there whole or not at all.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sealift_bundle::output::{Output, finish_all_new};

/// Readable by all.
const PUBLIC: u32 = 0o644;

/// Writes `content` to `path`: a temporary name in the same folder, flushed to disk, then renamed.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    whole(path, PUBLIC, content)?.finish()
}

/// As [`write`], but never replaces anything.
pub fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    whole(path, PUBLIC, content)?.finish_new()
}

/// As [`create`], of several files, each with its permissions: all of them are there, or none. An error comes with the path
/// that it is about.
pub fn create_together(files: &[(&Path, u32, &[u8])]) -> Result<(), (PathBuf, io::Error)> {
    let begun: Result<Vec<Output>, _> = files
        .iter()
        .map(|(path, mode, content)| whole(path, *mode, content).map_err(|error| ((*path).to_owned(), error)))
        .collect();
    finish_all_new(begun?).map(drop)
}

fn whole(path: &Path, mode: u32, content: &[u8]) -> io::Result<Output> {
    let mut output = Output::with_mode(path, mode)?;
    output.write_all(content)?;
    Ok(output)
}
