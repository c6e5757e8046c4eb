//! The machine that this program runs on: its processors, and the home of whoever runs it.

use std::path::{Path, PathBuf};

/// How many threads read, hash and write at once.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

/// A path as somebody wrote it; `~/` is the caller's home.
pub(crate) fn written_path(path: &str) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(rest) => Path::new(&std::env::var_os("HOME").unwrap_or_default()).join(rest),
        None => PathBuf::from(path),
    }
}
