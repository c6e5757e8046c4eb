//! Makes a bundle anew from its contents list and its blobs, wherever they come from.

use std::cmp::Reverse;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::bundle::Bundle;
use crate::digest::Hasher;
use crate::document::BlobEntry;
use crate::layout::LAYOUT_CONTENT;
use crate::member::Member;
use crate::output::Output;
use crate::workers;
use crate::write::WriteError;

/// Where the blobs come from; asked from several threads.
pub trait Blobs: Sync {
    /// Why a blob cannot be had.
    type Error: From<WriteError> + Send;

    /// Writes the content of `blob` to `output`.
    ///
    /// # Errors
    /// When it cannot be had. A failure of `output` need not be told apart: it is remembered there.
    fn fill(&self, blob: &BlobEntry, output: &mut dyn Write) -> Result<(), Self::Error>;

    /// What it means that [`Blobs::fill`] wrote something else than `blob`.
    fn wrong(&self, blob: &BlobEntry) -> Self::Error;
}

/// Writes the bundle that `contents` is the contents list of to `target`: into a temporary file beside it, synced, then
/// given its name. Up to `threads` blobs are written at once; each is compared with its digest on the way. `progress` gets
/// bytes done and bytes in all. Gives the bundle's size.
///
/// # Errors
/// When a blob cannot be had or is another one, `target` is there, or writing fails. Nothing is left behind then, and
/// nothing replaced.
pub fn rebuild<B: Blobs>(
    contents: &Bundle,
    target: &Path,
    threads: usize,
    progress: &(dyn Fn(u64, u64) + Sync),
    source: &B,
) -> Result<u64, B::Error> {
    let cannot = |source| B::Error::from(WriteError::Write { path: target.to_owned(), source });
    let total = contents.size();
    let output = Output::sized(target, total).map_err(cannot)?;
    let done = AtomicU64::new(0);
    let place = |bytes: &[u8], offset| {
        output.file().write_all_at(bytes, offset)?;
        progress(done.fetch_add(bytes.len() as u64, Ordering::Relaxed) + bytes.len() as u64, total);
        Ok(())
    };
    let (front, blobs) = contents.members().as_slice().split_at(3);
    let texts = [LAYOUT_CONTENT, contents.index_json(), contents.signature()];
    for (member, text) in front.iter().zip(texts) {
        place(&member.header(), member.offset).map_err(cannot)?;
        place(text.as_bytes(), member.content()).map_err(cannot)?;
    }
    // Largest first: no thread is left alone with a large one at the end.
    let mut queue: Vec<&Member> = blobs.iter().collect();
    queue.sort_by_key(|member| Reverse(member.size));
    workers::try_for_each(threads, &queue, |member, _| blob(member, &place, &cannot, source))?;
    progress(total, total);
    output.finish_new().map_err(cannot)?;
    Ok(total)
}

/// Writes one blob and compares it with its digest.
fn blob<B: Blobs>(
    member: &Member,
    place: &dyn Fn(&[u8], u64) -> io::Result<()>,
    cannot: &dyn Fn(io::Error) -> B::Error,
    source: &B,
) -> Result<(), B::Error> {
    place(&member.header(), member.offset).map_err(cannot)?;
    let blob = BlobEntry { digest: member.digest.clone(), size: member.size };
    let mut sink = Sink { member, place, written: 0, hasher: Hasher::new(), stopped: None };
    let filled = source.fill(&blob, &mut sink);
    match sink.stopped {
        Some(Stop::Failed(error)) => return Err(cannot(error)),
        Some(Stop::TooLong) => return Err(source.wrong(&blob)),
        None => filled?,
    }
    if sink.written != member.size || sink.hasher.finish() != member.digest {
        return Err(source.wrong(&blob));
    }
    Ok(())
}

/// The place of one blob's content, and nothing beyond it.
struct Sink<'a> {
    member: &'a Member,
    place: &'a dyn Fn(&[u8], u64) -> io::Result<()>,
    written: u64,
    hasher: Hasher,
    stopped: Option<Stop>,
}

/// Why a sink takes nothing more.
enum Stop {
    /// The system refused.
    Failed(io::Error),
    /// More came than the blob has.
    TooLong,
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.member.size - self.written {
            self.stopped = Some(Stop::TooLong);
            return Err(io::Error::other("more came than the blob has"));
        }
        if let Err(error) = (self.place)(bytes, self.member.content() + self.written) {
            let copy = error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
            self.stopped = Some(Stop::Failed(error));
            return Err(copy);
        }
        self.hasher.update(bytes);
        self.written += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
