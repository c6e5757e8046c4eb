//! Files become one zstd frame each, the same on every run.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use sealift_bundle::digest::{Hasher, HashingWriter};
use sealift_bundle::frame;

use crate::cache::{Cache, CacheError, Content, OpenFile, PIECE};
use crate::source::file::FoundFile;

/// Why a file was not compressed.
#[derive(Debug, thiserror::Error)]
pub enum CompressError {
    /// Reading, compressing or writing failed.
    #[error("cannot compress {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framed {
    /// Its frame, in the cache.
    Frame(Content),
    /// It is not what it should be.
    Other {
        /// Digest of what it is.
        digest: String,
    },
    /// It is what it should be, and nobody wants its frame any more.
    Unwanted,
}

/// Makes frames of one level, several at once; what it took to make one is there for the next.
pub struct Frames {
    level: i32,
    idle: Mutex<Vec<frame::Maker>>,
}

impl Frames {
    /// Makes frames of `level`.
    #[must_use]
    pub fn of(level: i32) -> Self {
        Self { level, idle: Mutex::default() }
    }

    fn maker(&self) -> io::Result<frame::Maker> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| frame::Maker::new(self.level), Ok)
    }

    fn give_back(&self, maker: frame::Maker) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(maker);
    }
}

/// The frame of `found`: from the cache, or made now. A file whose content nobody has seen yet is read and hashed in any
/// case, once for both.
///
/// One frame, made as [`frame::encoder`] does; the caller makes several at once.
pub fn frame(
    cache: &Cache,
    found: &FoundFile,
    frames: &Frames,
    wanted: &dyn Fn() -> bool,
) -> Result<Framed, CompressError> {
    let plain = &found.content;
    let cached = cache.frame(&plain.digest, frames.level)?;
    if found.read {
        if let Some(frame) = cached {
            return Ok(Framed::Frame(frame));
        }
        if !wanted() {
            return Ok(Framed::Unwanted);
        }
    }
    let failed = |source| CompressError::Io { path: found.path.clone(), source };
    let mut opened = cache.open_file(&found.path)?;
    let mut output = cache.temporary()?;
    let (read, made) = if cached.is_some() {
        read(&mut opened, plain.size, None, wanted).map_err(failed)?
    } else {
        let mut maker = frames.maker().map_err(failed)?;
        let making = Some((&mut maker, output.as_file_mut()));
        let done = read(&mut opened, plain.size, making, wanted).map_err(failed)?;
        frames.give_back(maker);
        done
    };
    if read != *plain {
        return Ok(Framed::Other { digest: read.digest });
    }
    cache.remember_file(&opened, plain)?;
    match (cached, made) {
        (Some(frame), _) => Ok(Framed::Frame(frame)),
        (None, None) => Ok(Framed::Unwanted),
        (None, Some(frame)) => {
            cache.adopt(output, &frame.digest)?;
            cache.remember_frame(&plain.digest, frames.level, frame.clone())?;
            Ok(Framed::Frame(frame))
        }
    }
}

/// Reads all of `input`; compresses it too, with whom and into what `making` says, as long as that is `wanted` and it has no
/// more than `size` bytes. What was read and what was made of it.
fn read(
    input: &mut OpenFile,
    size: u64,
    making: Option<(&mut frame::Maker, &mut File)>,
    wanted: &dyn Fn() -> bool,
) -> io::Result<(Content, Option<Content>)> {
    // Few large writes: each costs the system as much as hashing some thousand bytes.
    let buffered = |output| HashingWriter::new(BufWriter::with_capacity(PIECE, output));
    let mut encoder = making.map(|(maker, output)| maker.encoder(buffered(output), size)).transpose()?;
    let (mut hasher, mut count, mut buffer) = (Hasher::new(), 0, vec![0; PIECE]);
    loop {
        let piece = match input.file.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => &buffer[..length],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(piece);
        count += piece.len() as u64;
        encoder = encoder.filter(|_| count <= size && wanted());
        if let Some(encoder) = &mut encoder {
            encoder.write_all(piece)?;
        }
    }
    let read = Content { digest: hasher.finish(), size: count };
    // A frame of fewer bytes than promised cannot be ended.
    let Some(encoder) = encoder.filter(|_| count == size) else { return Ok((read, None)) };
    let (digest, size, mut output) = encoder.finish()?.finish();
    output.flush()?;
    Ok((read, Some(Content { digest, size })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::testing::cache;
    use sealift_bundle::digest::digest_of;

    fn sample() -> Vec<u8> {
        (0..3_000_000_u32)
            .flat_map(|n| (n / 7).wrapping_mul(2_654_435_761).to_le_bytes()[..2].to_vec())
            .collect()
    }

    /// The file `path` that should have this content.
    fn found(path: PathBuf, content: &[u8], read: bool) -> FoundFile {
        let content = Content { digest: digest_of(content), size: content.len() as u64 };
        FoundFile { path, content, read, archive: None }
    }

    fn made(framed: Framed) -> Content {
        match framed {
            Framed::Frame(frame) => frame,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn frames_are_single_deterministic_and_complete() {
        let content = sample();
        let frames: Vec<Vec<u8>> = [true, false]
            .into_iter()
            .map(|read| {
                let (folder, cache) = cache();
                let path = folder.path().join("kubelet");
                std::fs::write(&path, &content).unwrap();
                let frame =
                    |file: &FoundFile| made(super::frame(&cache, file, &Frames::of(3), &|| true).unwrap());
                let first = frame(&found(path.clone(), &content, read));
                assert_eq!(first, frame(&found(path, &content, false)));
                assert_eq!(first, frame(&found("/nonexistent".into(), &content, true)));
                cache.read(&first.digest, first.size).unwrap().unwrap()
            })
            .collect();
        assert_eq!(frames[0], frames[1]);
        assert_eq!(zstd::zstd_safe::get_frame_content_size(&frames[0]).unwrap(), Some(content.len() as u64));
        assert_eq!(zstd::zstd_safe::find_frame_compressed_size(&frames[0]).unwrap(), frames[0].len());
        assert_eq!(zstd::decode_all(&*frames[0]).unwrap(), content);
        // Bit 2 of the frame header descriptor: whether a checksum of the content follows. Its SHA-256 stands beside it.
        assert_eq!(frames[0][4] & 0b100, 0);
    }

    #[test]
    fn another_content_than_the_locked_one_is_told() {
        let (folder, cache) = cache();
        let path = folder.path().join("kubelet");
        std::fs::write(&path, "changed").unwrap();
        for content in ["kubelet", "kube", "kubelet 2"] {
            let file = found(path.clone(), content.as_bytes(), false);
            let digest = digest_of(b"changed");
            assert_eq!(
                super::frame(&cache, &file, &Frames::of(3), &|| true).unwrap(),
                Framed::Other { digest }
            );
            assert_eq!(cache.frame(&file.content.digest, 3).unwrap(), None);
        }
    }

    #[test]
    fn what_nobody_wants_is_still_compared_with_the_lock() {
        let (folder, cache) = cache();
        let path = folder.path().join("kubelet");
        std::fs::write(&path, "kubelet").unwrap();
        let framed = |content: &[u8], read| {
            super::frame(&cache, &found(path.clone(), content, read), &Frames::of(3), &|| false).unwrap()
        };
        assert_eq!(framed(b"kubelet", false), Framed::Unwanted);
        assert_eq!(framed(b"kubelet", true), Framed::Unwanted);
        assert!(matches!(framed(b"kubectl", false), Framed::Other { .. }));
    }
}
