//! Files become one zstd frame each, the same on every run.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sealift_bundle::digest::{HashingReader, HashingWriter};
use sealift_bundle::frame;

use crate::cache::{Cache, CacheError, Content};

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
    /// Not the file that the lock names.
    #[error("{} changed while it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// The frame of the file at `path`, which has the content `plain`: from the cache, or made now.
///
/// One frame, with content size and checksum, by one thread: several threads would cut the input into jobs and give
/// other bytes than one does; the caller compresses several files at once instead.
pub fn frame(cache: &Cache, path: &Path, plain: &Content, level: i32) -> Result<Content, CompressError> {
    if let Some(frame) = cache.frame(&plain.digest, level)? {
        return Ok(frame);
    }
    let failed = |source| CompressError::Io { path: path.to_owned(), source };
    let mut output = cache.temporary()?;
    let file = File::open(path).map_err(failed)?;
    let (read, frame) = compress(file, plain.size, level, output.as_file_mut()).map_err(failed)?;
    if read != *plain {
        return Err(CompressError::Changed { path: path.to_owned() });
    }
    cache.adopt(output, &frame.digest)?;
    cache.remember_frame(&plain.digest, level, frame.clone())?;
    Ok(frame)
}

/// Compresses `size` bytes; what was read and what was written.
fn compress(input: File, size: u64, level: i32, output: &mut File) -> io::Result<(Content, Content)> {
    // One byte more than promised: a file that grew is noticed, and zstd refuses to end a frame of another size.
    let mut input = HashingReader::new(input.take(size + 1));
    let mut encoder = frame::encoder(HashingWriter::new(output), level, size)?;
    io::copy(&mut input, &mut encoder)?;
    let (digest, written, _) = encoder.finish()?.finish();
    let frame = Content { digest, size: written };
    let (digest, count, _) = input.finish();
    Ok((Content { digest, size: count }, frame))
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

    #[test]
    fn frames_are_single_deterministic_and_complete() {
        let content = sample();
        let plain = Content { digest: digest_of(&content), size: content.len() as u64 };
        let frames: Vec<Vec<u8>> = (0..2)
            .map(|_| {
                let (folder, cache) = cache();
                let path = folder.path().join("kubelet");
                std::fs::write(&path, &content).unwrap();
                let frame = super::frame(&cache, &path, &plain, 3).unwrap();
                let again = super::frame(&cache, Path::new("/nonexistent"), &plain, 3).unwrap();
                assert_eq!(frame, again);
                cache.read(&frame.digest).unwrap().unwrap()
            })
            .collect();
        assert_eq!(frames[0], frames[1]);
        assert_eq!(zstd::zstd_safe::get_frame_content_size(&frames[0]).unwrap(), Some(plain.size));
        assert_eq!(zstd::zstd_safe::find_frame_compressed_size(&frames[0]).unwrap(), frames[0].len());
        assert_eq!(zstd::decode_all(&*frames[0]).unwrap(), content);
        // Bit 2 of the frame header descriptor: a checksum of the content follows.
        assert_eq!(frames[0][4] & 0b100, 0b100);
    }

    #[test]
    fn another_content_than_the_locked_one_is_refused() {
        let (folder, cache) = cache();
        let path = folder.path().join("kubelet");
        std::fs::write(&path, "changed").unwrap();
        let plain = Content { digest: digest_of(b"kubelet"), size: 7 };
        assert!(matches!(super::frame(&cache, &path, &plain, 3), Err(CompressError::Changed { .. })));
        let shorter = Content { digest: digest_of(b"kubelet"), size: 3 };
        assert!(super::frame(&cache, &path, &shorter, 3).is_err());
        assert_eq!(cache.frame(&plain.digest, 3).unwrap(), None);
    }
}
