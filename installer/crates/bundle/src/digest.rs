//! Content digests: the only place that hashes content.
//!
//! By `ring`, which both programs link anyway: its SHA-256 is the assembly of OpenSSL, with the processor's own instructions
//! where it has some.
//!
//! A digest is written as `sha256:` and 64 lower-case hexadecimal digits, as the OCI image specification does.

use std::fmt;
use std::io::{self, Read, Write};

use ring::digest::{Context, SHA256};

/// What every digest starts with.
pub const PREFIX: &str = "sha256:";
/// Hexadecimal digits after [`PREFIX`].
const HEX_LENGTH: usize = 64;
/// How much is hashed at once: few calls of the system, and small enough for the processor's own cache.
const PIECE: usize = 1 << 18;

/// A text that is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a digest: expected sha256: and 64 lower-case hexadecimal digits")]
pub struct InvalidDigest {
    /// What stood there, shortened to 100 characters.
    pub text: String,
}

/// Computes one digest piece by piece.
#[derive(Clone)]
pub struct Hasher {
    state: Context,
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").finish_non_exhaustive()
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self { state: Context::new(&SHA256) }
    }
}

impl Hasher {
    /// Starts with no content.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds content.
    pub fn update(&mut self, content: &[u8]) {
        self.state.update(content);
    }

    /// The digest of all content added.
    #[must_use]
    pub fn finish(self) -> String {
        let mut text = String::with_capacity(PREFIX.len() + HEX_LENGTH);
        text.push_str(PREFIX);
        for byte in self.state.finish().as_ref() {
            for nibble in [byte >> 4, byte & 0x0f] {
                text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
        }
        text
    }
}

/// The digest of `content`.
#[must_use]
pub fn digest_of(content: &[u8]) -> String {
    let mut hasher = Hasher::new();
    hasher.update(content);
    hasher.finish()
}

/// Digest and count of all bytes that `content` still gives.
///
/// # Errors
/// When it cannot be read.
pub fn of_all(content: &mut impl Read) -> io::Result<(String, u64)> {
    let (mut hasher, mut buffer, mut bytes) = (Hasher::new(), vec![0; PIECE], 0);
    loop {
        match content.read(&mut buffer) {
            Ok(0) => return Ok((hasher.finish(), bytes)),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether `text` is a digest as this module writes them.
#[must_use]
pub fn is_valid(text: &str) -> bool {
    hex(text).is_ok()
}

/// The hexadecimal digits of a digest: the blob's file name.
///
/// # Errors
/// When `text` is not a digest; so whatever comes back is safe as a file name.
pub fn hex(text: &str) -> Result<&str, InvalidDigest> {
    text.strip_prefix(PREFIX)
        .filter(|hex| hex.len() == HEX_LENGTH && hex.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')))
        .ok_or_else(|| InvalidDigest { text: text.chars().take(100).collect() })
}

/// Hashes everything that is read through it.
#[derive(Debug)]
pub struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
    bytes: u64,
}

impl<R: Read> HashingReader<R> {
    /// Wraps `inner`.
    pub fn new(inner: R) -> Self {
        Self { inner, hasher: Hasher::new(), bytes: 0 }
    }

    /// Digest and count of the bytes read so far, and the reader.
    pub fn finish(self) -> (String, u64, R) {
        (self.hasher.finish(), self.bytes, self.inner)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

/// Hashes everything that is written through it.
#[derive(Debug)]
pub struct HashingWriter<W> {
    inner: W,
    hasher: Hasher,
    bytes: u64,
}

impl<W: Write> HashingWriter<W> {
    /// Wraps `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, hasher: Hasher::new(), bytes: 0 }
    }

    /// Digest and count of the bytes written so far, and the writer; flushing is left to the caller.
    pub fn finish(self) -> (String, u64, W) {
        (self.hasher.finish(), self.bytes, self.inner)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(content)?;
        self.hasher.update(&content[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn known_answers() {
        assert_eq!(digest_of(b""), EMPTY);
        assert_eq!(digest_of(b"abc"), ABC);
        assert_eq!(of_all(&mut &b"abc"[..]).unwrap(), (ABC.to_owned(), 3));
    }

    #[test]
    fn syntax_is_exact() {
        assert!(is_valid(ABC));
        assert_eq!(hex(ABC), Ok(&ABC[7..]));
        let too_long = format!("{ABC}0");
        for wrong in ["", "sha256:", &ABC[7..], &ABC.to_uppercase(), &ABC[..70], &too_long, "sha512:../x"] {
            assert!(!is_valid(wrong), "{wrong}");
        }
    }

    #[test]
    fn reader_and_writer_see_the_same_bytes() {
        let mut reader = HashingReader::new(&b"abc"[..]);
        let mut writer = HashingWriter::new(Vec::new());
        io::copy(&mut reader, &mut writer).unwrap();
        let (digest, count, _) = reader.finish();
        assert_eq!((digest.as_str(), count), (ABC, 3));
        assert_eq!(writer.finish(), (ABC.to_owned(), 3, b"abc".to_vec()));
    }
}
