//! Standard output and standard error: nothing else writes to them. A reader that is gone ends no work, nor does a disk
//! that is full; that not all of a result could be written is said at the end.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write as _};
use std::sync::{Mutex, PoisonError};

use crate::failure::Failure;

/// Why no more of the result can be written.
static LOST: Mutex<Option<io::Error>> = Mutex::new(None);

/// A line of the result, written as `println!` has it.
macro_rules! say {
    () => { $crate::cli::standard::result(format_args!("\n")) };
    ($($text:tt)*) => { $crate::cli::standard::result(format_args!("{}\n", format_args!($($text)*))) };
}
pub(super) use say;

/// Writes a piece of the result to standard output.
pub(super) fn result(text: Arguments<'_>) {
    attempt(|| io::stdout().write_fmt(text));
}

/// Writes what is no result to standard error. What cannot be told is no reason to stop, nor to end otherwise.
pub(super) fn tell(text: Arguments<'_>) {
    let _ = io::stderr().write_fmt(text);
}

/// Whether all of the result was written, as far as somebody reads it: `ls | head` ends with the code of the work, since
/// whoever closes a pipe has read what they wanted.
pub(super) fn finish() -> Result<(), Failure> {
    attempt(|| io::stdout().flush());
    let lost = LOST.lock().unwrap_or_else(PoisonError::into_inner).take();
    lost.filter(|error| error.kind() != ErrorKind::BrokenPipe).map_or(Ok(()), |error| {
        let message = format!("cannot write all of the result to standard output\n  because: {error}");
        Err(Failure::usage(message, "make room where it goes, or send it somewhere else"))
    })
}

/// Writes; after the first failure nothing more, which would be a result with a gap.
fn attempt(write: impl FnOnce() -> io::Result<()>) {
    let mut lost = LOST.lock().unwrap_or_else(PoisonError::into_inner);
    if lost.is_none() {
        *lost = write().err();
    }
}
