//! Small files that are there whole or not at all.

use std::io::{self, Write as _};
use std::path::Path;

use sealift_bundle::output::Output;

/// Writes `content` to `path`: a temporary name in the same folder, flushed to disk, then renamed.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    whole(path, content)?.finish()
}

/// As [`write`], but never replaces anything.
pub fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    whole(path, content)?.finish_new()
}

fn whole(path: &Path, content: &[u8]) -> io::Result<Output> {
    let mut output = Output::create(path)?;
    output.write_all(content)?;
    Ok(output)
}
