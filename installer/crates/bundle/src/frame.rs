//! The one way in which files become zstd frames: the same content and level give the same bytes, for one [`maker`].

use std::io::{self, Write};

use zstd::zstd_safe::{self, CCtx, CParameter};

/// The highest level at which content is compressed in jobs. The levels above need many times a job's memory for their
/// tables, and most of their time for them again in each job.
const HIGHEST_OF_JOBS: i32 = 4;
/// Bytes of content in each job: twice what these levels look back at. A job begins with an eighth of that of the one
/// before it, so that hardly anything is lost: 0.1 % of programs in Go.
const JOB: u32 = 4 << 20;
/// The level that recipes have where they name none.
const USUAL: i32 = 3;
/// At the usual level: binary logarithm of the entries in the table of short matches. For files over 256 KiB half of what
/// the library takes, so that more of the tables stays in a processor's own cache: a twentieth of the time for 0.3 % of
/// programs in Go, which are as small then as `zstd -3 -T0` of Debian 12 makes them.
const SHORT_MATCHES: u32 = 15;

/// A frame in the making. Content of another size than was promised is an error: the library does not look.
pub struct Encoder<'a, W: Write> {
    inner: zstd::Encoder<'a, W>,
    /// Bytes of content still to come.
    left: u64,
}

impl<W: Write> Encoder<'_, W> {
    /// Ends the frame; what it was written to.
    ///
    /// # Errors
    /// When content is missing, or the rest cannot be written.
    pub fn finish(self) -> io::Result<W> {
        if self.left > 0 {
            return Err(io::Error::other(format!("{} bytes are missing at the end", self.left)));
        }
        self.inner.finish()
    }
}

impl<W: Write> Write for Encoder<'_, W> {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        if content.len() as u64 > self.left {
            return Err(io::Error::other("there is more of it than was promised"));
        }
        let count = self.inner.write(content)?;
        self.left -= count as u64;
        Ok(count)
    }

    /// Does nothing: it would end a job or a block, and show in the bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes frames one after the other, each as [`encoder`] does: its threads and memory are there for the next one, and the
/// system need not clear some three thousand pages of memory for each.
pub struct Maker {
    context: CCtx<'static>,
    level: i32,
}

impl Maker {
    /// Makes frames of `level`.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn new(level: i32) -> io::Result<Self> {
        let context = CCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { context, level })
    }

    /// Starts a frame of `size` bytes of content. What came of one that was not finished is forgotten.
    ///
    /// # Errors
    /// As [`encoder`].
    pub fn encoder<W: Write>(&mut self, output: W, size: u64) -> io::Result<Encoder<'_, W>> {
        // At one that nobody ended somebody may still work.
        let waited = self.context.wait_for_workers();
        waited.map_err(|code| io::Error::other(zstd_safe::get_error_name(code)))?;
        let mut inner = zstd::Encoder::with_context(output, &mut self.context);
        inner.set_parameter(CParameter::CompressionLevel(self.level))?;
        started(inner, self.level, size)
    }
}

/// Starts a frame of `size` bytes of content, with its size and no checksum of its own: whoever reads frames holds their
/// content against its SHA-256, and the checksum takes a twentieth of the time of compressing.
///
/// At the usual levels another thread compresses, job by job, while the caller reads and hashes. That is not for the sake of
/// the thread: a stream outside jobs lies in a ring of memory, and the search for matches across its ends takes a quarter
/// longer. Where the jobs begin follows from the content's size alone, so that the same content gives the same bytes on
/// every machine.
///
/// # Errors
/// When there is no memory or no thread for it, or no such level.
pub fn encoder<W: Write>(output: W, level: i32, size: u64) -> io::Result<Encoder<'static, W>> {
    started(zstd::Encoder::new(output, level)?, level, size)
}

fn started<W: Write>(mut inner: zstd::Encoder<'_, W>, level: i32, size: u64) -> io::Result<Encoder<'_, W>> {
    inner.include_contentsize(true)?;
    inner.set_pledged_src_size(Some(size))?;
    if level <= HIGHEST_OF_JOBS {
        inner.multithread(2)?;
        inner.set_parameter(CParameter::JobSize(JOB))?;
    }
    if level == USUAL {
        inner.set_parameter(CParameter::ChainLog(SHORT_MATCHES))?;
    }
    Ok(Encoder { inner, left: size })
}

/// What makes frames: version of the zstd library and way of using it. Frames of another maker may have other bytes for the
/// same content and level.
#[must_use]
pub fn maker() -> String {
    let jobs = JOB >> 20;
    format!(
        "{}, in jobs of {jobs} MiB up to level {HIGHEST_OF_JOBS}, chain log {SHORT_MATCHES} at level {USUAL}, no checksum",
        zstd_safe::version_string()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some of it comes again, near and far.
    fn content(size: u32) -> Vec<u8> {
        (0..size)
            .map(|n| (n / 5 % 70_000).wrapping_mul(2_654_435_761).to_le_bytes()[(n % 4) as usize])
            .collect()
    }

    fn frame(content: &[u8], pieces: usize) -> Vec<u8> {
        let mut encoder = encoder(Vec::new(), 3, content.len() as u64).unwrap();
        content
            .chunks(pieces)
            .for_each(|piece| encoder.write_all(piece).and_then(|()| encoder.flush()).unwrap());
        encoder.finish().unwrap()
    }

    #[test]
    fn the_pieces_that_content_comes_in_do_not_show() {
        for size in [0, 1, 600_000, 3 * JOB + 12_345] {
            let content = content(size);
            let whole = frame(&content, content.len().max(1));
            for pieces in [977, 1 << 18, JOB as usize + 1] {
                assert!(frame(&content, pieces) == whole, "{size} bytes in pieces of {pieces}");
            }
            assert_eq!(zstd_safe::find_frame_compressed_size(&whole), Ok(whole.len()));
            assert_eq!(zstd_safe::get_frame_content_size(&whole).unwrap(), Some(u64::from(size)));
            assert!(zstd::decode_all(&*whole).unwrap() == content);
        }
    }

    #[test]
    fn what_a_maker_made_before_does_not_show() {
        let mut maker = Maker::new(3).unwrap();
        for size in [3 * JOB + 12_345, 600_000, 0, 2 * JOB, 1, 3 * JOB + 12_345] {
            let content = content(size);
            let mut encoder = maker.encoder(Vec::new(), u64::from(size)).unwrap();
            encoder.write_all(&content).unwrap();
            assert!(encoder.finish().unwrap() == frame(&content, 1 << 18), "{size} bytes");
            // Nobody ends this one.
            let mut unfinished = maker.encoder(Vec::new(), 10_000_000).unwrap();
            unfinished.write_all(&content[..content.len().min(5_000_000)]).unwrap();
        }
    }

    #[test]
    fn how_many_threads_compress_does_not_show() {
        let content = content(3 * JOB + 12_345);
        let mut other = encoder(Vec::new(), 3, content.len() as u64).unwrap();
        other.inner.multithread(3).unwrap();
        other.write_all(&content).unwrap();
        assert!(other.finish().unwrap() == frame(&content, 1 << 18));
    }

    #[test]
    fn another_size_than_the_promised_one_is_an_error() {
        for (promised, given) in [(10_000_000, 9_000_000), (100, 99), (9_000_000, 10_000_000), (99, 100)] {
            let mut encoder = encoder(Vec::new(), 3, promised).unwrap();
            let written = encoder.write_all(&content(given)).and_then(|()| encoder.finish().map(drop));
            assert!(written.is_err(), "{given} for {promised}");
        }
    }
}
