//! The seat streams the blobs that the store lacks.

use std::io;

use sealift_plan::operation::Blob;

use crate::context::{BlobChannel, Context, seat_gone};
use crate::protocol::{BlobNeed, Failure, Outcome};
use crate::store::Store;

pub(crate) fn apply(ctx: &Context<'_>, blobs: &[Blob]) -> Result<Outcome, Failure> {
    if Store::at(ctx.paths().store()).missing(blobs)?.is_empty() {
        return Ok(Outcome::new(false, format!("the store has all {} blobs", blobs.len())));
    }
    let store = Store::open(ctx)?;
    let needs = store.missing(blobs)?;
    store.check_space(&needs)?;
    let total: u64 = needs.iter().map(|need| need.blob.size - need.offset).sum();
    let channel = ctx.blobs()?;
    channel.need(&needs).map_err(|error| broken(&error))?;
    let mut stream = Stream { channel, ctx, frame: Vec::new(), used: 0, received: 0, total };
    for need in &needs {
        receive(&store, &mut stream, need)?;
    }
    store.sync()?;
    let summary = format!("received {} blobs", needs.len());
    Ok(Outcome { bytes: total, ..Outcome::new(true, summary) })
}

fn receive(store: &Store, stream: &mut Stream<'_>, need: &BlobNeed) -> Result<(), Failure> {
    let mut left = need.blob.size - need.offset;
    let Some(mut incoming) = store.begin(stream.ctx, &need.blob)? else {
        // Another session has brought it meanwhile; the seat sends it all the same.
        while left > 0 {
            left -= stream.next(left)?.len() as u64;
        }
        return Ok(());
    };
    if incoming.offset() < need.offset {
        return Err(Failure::other(format!("the partial of the blob {} has gone", need.blob.digest))
            .hint("run again"));
    }
    if incoming.offset() > need.offset {
        incoming.resume_at(need.offset)?;
    }
    while left > 0 {
        let bytes = stream.next(left)?;
        left -= bytes.len() as u64;
        incoming.write(bytes)?;
    }
    incoming.finish()
}

/// The seat's data frames as one stream of bytes: frames need not end where blobs end.
struct Stream<'a> {
    channel: &'a dyn BlobChannel,
    ctx: &'a Context<'a>,
    frame: Vec<u8>,
    used: usize,
    received: u64,
    total: u64,
}

impl Stream<'_> {
    /// The next bytes, at least one and at most `limit`.
    fn next(&mut self, limit: u64) -> Result<&[u8], Failure> {
        while self.used == self.frame.len() {
            self.frame = self.channel.data().map_err(|error| broken(&error))?;
            self.used = 0;
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let start = self.used;
        self.used = self.frame.len().min(start.saturating_add(limit));
        self.received += (self.used - start) as u64;
        self.ctx.progress("receiving blobs", self.received, self.total);
        Ok(&self.frame[start..self.used])
    }
}

fn broken(error: &io::Error) -> Failure {
    seat_gone().because(error)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::fs;

    use sealift_bundle::digest::digest_of;

    use super::*;
    use crate::context::testing::Recorder;
    use crate::paths::Paths;
    use crate::protocol::FailureKind;

    /// A seat that sends the content it has, in frames of an odd size, and may stop after some bytes.
    struct Seat {
        contents: Vec<Vec<u8>>,
        frames: RefCell<Vec<Vec<u8>>>,
        asked: RefCell<Vec<BlobNeed>>,
        stop_after: usize,
    }

    impl Seat {
        fn new(contents: &[&[u8]], stop_after: usize) -> Self {
            let contents = contents.iter().map(|content| content.to_vec()).collect();
            Self { contents, frames: RefCell::default(), asked: RefCell::default(), stop_after }
        }

        fn blobs(&self) -> Vec<Blob> {
            self.contents.iter().map(|content| blob(content)).collect()
        }
    }

    impl BlobChannel for Seat {
        fn need(&self, needs: &[BlobNeed]) -> io::Result<()> {
            let mut stream = Vec::new();
            for need in needs {
                let content = self.contents.iter().find(|content| blob(content) == need.blob).unwrap();
                stream.extend_from_slice(&content[usize::try_from(need.offset).unwrap()..]);
            }
            stream.truncate(self.stop_after);
            let frames: Vec<Vec<u8>> = stream.chunks(7).map(<[u8]>::to_vec).rev().collect();
            self.frames.replace(frames);
            self.asked.replace(needs.to_vec());
            Ok(())
        }

        fn data(&self) -> io::Result<Vec<u8>> {
            self.frames.borrow_mut().pop().ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
        }
    }

    /// A seat that sends other bytes than it was asked for.
    struct Liar<'a>(&'a Seat);
    impl BlobChannel for Liar<'_> {
        fn need(&self, _: &[BlobNeed]) -> io::Result<()> {
            self.0.need(&[BlobNeed { blob: blob(b"the right bytes"), offset: 0 }])
        }
        fn data(&self) -> io::Result<Vec<u8>> {
            self.0.data()
        }
    }

    fn blob(content: &[u8]) -> Blob {
        Blob { digest: digest_of(content), size: content.len() as u64 }
    }

    #[test]
    fn a_cut_transfer_goes_on_where_it_was() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let contents: [&[u8]; 3] = [b"the first blob", b"", b"the second blob, which is cut"];
        let cut = Seat::new(&contents, 25);
        let failure =
            apply(&Context::new(&paths, &recorder, "r", "s").with_blobs(&cut), &cut.blobs()).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Network);
        let seat = Seat::new(&contents, usize::MAX);
        let ctx = Context::new(&paths, &recorder, "r", "s").with_blobs(&seat);
        let outcome = apply(&ctx, &seat.blobs()).unwrap();
        assert_eq!((outcome.changed, outcome.bytes), (true, 29 - 11));
        assert_eq!(*seat.asked.borrow(), [BlobNeed { blob: blob(contents[2]), offset: 11 }]);
        for content in contents {
            let stored = Store::at(paths.store()).blob(&digest_of(content)).unwrap();
            assert_eq!(fs::read(stored).unwrap(), content);
        }
        assert!(!apply(&ctx, &seat.blobs()).unwrap().changed);
    }

    #[test]
    fn a_damaged_blob_is_named_and_not_kept() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let seat = Seat::new(&[b"the right bytes"], usize::MAX);
        let wanted = [Blob { digest: digest_of(b"the other bytes"), size: 15 }];
        let liar = Liar(&seat);
        let ctx = Context::new(&paths, &recorder, "r", "s").with_blobs(&liar);
        let failure = apply(&ctx, &wanted).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Verification);
        assert!(failure.message.contains(&wanted[0].digest), "{failure}");
        assert_eq!(Store::at(paths.store()).missing(&wanted).unwrap()[0].offset, 0);
    }

    #[test]
    fn too_small_a_disk_is_said_before_anything_is_sent() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let seat = Seat::new(&[], usize::MAX);
        let ctx = Context::new(&paths, &recorder, "r", "s").with_blobs(&seat);
        let huge = [Blob { digest: digest_of(b"huge"), size: 1 << 60 }];
        let failure = apply(&ctx, &huge).unwrap_err();
        assert_eq!(failure.kind, FailureKind::DiskFull);
        assert!(failure.message.contains("are missing"), "{failure}");
        assert!(seat.asked.borrow().is_empty());
    }
}
