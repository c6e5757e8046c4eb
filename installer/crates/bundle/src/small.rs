//! Small text files that a person names: read up to a limit and never on, whatever the name leads to.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Longest file of a key, a signature or a password.
pub const LIMIT: u64 = 16 << 10;

/// Reads all of the text at `path`. Nothing of it is copied about on the way: it may be a secret.
///
/// # Errors
/// When it cannot be read, is longer than [`LIMIT`] ([`io::ErrorKind::FileTooLarge`]) or no UTF-8
/// ([`io::ErrorKind::InvalidData`]).
pub fn read(path: &Path) -> io::Result<String> {
    let mut text = String::with_capacity(usize::try_from(LIMIT + 1).unwrap_or_default());
    let read = File::open(path)?.take(LIMIT + 1).read_to_string(&mut text);
    if text.len() as u64 > LIMIT {
        let why = format!("it is longer than {LIMIT} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    read.map(|_| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_small_texts_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let limit = usize::try_from(LIMIT).unwrap();
        std::fs::write(&path, "k".repeat(limit)).unwrap();
        assert_eq!(read(&path).unwrap().len(), limit);
        // Holes only: reading on would take more memory than there is.
        File::options().write(true).open(&path).unwrap().set_len(1 << 36).unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        std::fs::write(&path, b"\xff").unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
