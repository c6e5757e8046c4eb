//! The one way in which files become zstd frames: the same content and level give the same bytes, for one version of the
//! zstd library.

use std::io::{self, Write};

use zstd::zstd_safe;

/// Starts a frame of `size` bytes of content: with content size and checksum, by one thread (several would cut the input
/// into jobs and give other bytes). Whoever writes another number of bytes gets an error at the end.
///
/// # Errors
/// When there is no memory for it, or no such level.
pub fn encoder<W: Write>(output: W, level: i32, size: u64) -> io::Result<zstd::Encoder<'static, W>> {
    let mut encoder = zstd::Encoder::new(output, level)?;
    encoder.include_contentsize(true)?;
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(Some(size))?;
    Ok(encoder)
}

/// Version of the zstd library, e.g. `1.5.7`.
#[must_use]
pub fn library_version() -> &'static str {
    zstd_safe::version_string()
}
