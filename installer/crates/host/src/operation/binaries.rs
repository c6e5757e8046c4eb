//! Decompresses binaries from the store to their places, verified before they get their names.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use sealift_bundle::digest::Hasher;
use sealift_plan::operation::BinarySpec;

use crate::context::{Context, Reporter};
use crate::file::{self, PendingFile};
use crate::journal::Change;
use crate::operation::stamp;
use crate::paths::Paths;
use crate::protocol::{Failure, FailureKind, Outcome};
use crate::store::Store;

/// Files under way at the same time, where there are that many processors.
const THREADS: usize = 4;

pub(crate) fn apply(ctx: &Context<'_>, binaries: &[BinarySpec]) -> Result<Outcome, Failure> {
    let work = Work {
        queue: Mutex::new(binaries.iter().collect()),
        written: AtomicU64::new(0),
        total: binaries.iter().map(|binary| binary.plain_size).sum(),
        changed: AtomicU64::new(0),
        failure: Mutex::new(None),
    };
    let (paths, reporter, run, step) = (ctx.paths(), ctx.reporter(), ctx.run_id(), ctx.step_id());
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work.run(paths, reporter, run, step));
        }
    });
    if let Some(failure) = work.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(failure);
    }
    let changed = work.changed.into_inner();
    let summary = match changed {
        0 => format!("all {} binaries are in place", binaries.len()),
        _ => format!("installed {changed} of {} binaries", binaries.len()),
    };
    Ok(Outcome::new(changed > 0, summary))
}

struct Work<'a> {
    queue: Mutex<Vec<&'a BinarySpec>>,
    written: AtomicU64,
    total: u64,
    changed: AtomicU64,
    failure: Mutex<Option<Failure>>,
}

impl Work<'_> {
    fn run(&self, paths: &Paths, reporter: &dyn Reporter, run: &str, step: &str) {
        let ctx = Context::new(paths, reporter, run, step);
        loop {
            if self.failure.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                return;
            }
            let next = self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(binary) = next else { return };
            match self.ensure(&ctx, binary) {
                Ok(changed) => drop(self.changed.fetch_add(u64::from(changed), Ordering::Relaxed)),
                Err(failure) => {
                    self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
                }
            }
        }
    }

    fn ensure(&self, ctx: &Context<'_>, binary: &BinarySpec) -> Result<bool, Failure> {
        ctx.still_wanted()?;
        let place = ctx.paths().host(&binary.path);
        if place.is_file() && stamp::digest(ctx.paths(), &place)? == binary.plain_digest {
            self.advance(ctx, binary.plain_size);
            return ensure_mode(ctx, binary, &place);
        }
        if let Some(folder) = Path::new(&binary.path).parent() {
            ctx.make_directory(&folder.display().to_string())?;
        }
        let store = Store::at(ctx.paths().store());
        let blob = store.blob(&binary.blob.digest)?;
        let frame = File::open(&blob).map_err(|error| {
            Failure::io("read", &blob, &error)
                .hint("the store lacks a blob; run again, it is then brought anew")
        })?;
        let mut pending = PendingFile::create(&file::temporary_beside(&place), binary.mode)?;
        self.decompress(ctx, frame, &mut pending.file, binary, &place)
            .map_err(|failure| blame(&store, &blob, binary, failure))?;
        ctx.keep_before_replace(&binary.path)?;
        pending.commit(&place)?;
        stamp::remember(ctx.paths(), &place, &binary.plain_digest)?;
        Ok(true)
    }

    /// Writes the file that the frame holds; never more than its size, and only the right bytes.
    fn decompress(
        &self,
        ctx: &Context<'_>,
        frame: File,
        out: &mut File,
        binary: &BinarySpec,
        place: &Path,
    ) -> Result<(), Failure> {
        let damaged = |error: &io::Error| {
            Failure::new(FailureKind::Verification, format!("{} cannot be unpacked", binary.path))
                .because(error)
        };
        let mut decoder = zstd::stream::read::Decoder::new(frame).map_err(|error| damaged(&error))?;
        let mut hasher = Hasher::new();
        let mut size = 0;
        let mut buffer = vec![0u8; 256 << 10];
        loop {
            let count = decoder.read(&mut buffer).map_err(|error| damaged(&error))?;
            size += count as u64;
            if count == 0 || size > binary.plain_size {
                break;
            }
            hasher.update(&buffer[..count]);
            out.write_all(&buffer[..count]).map_err(|error| Failure::io("write", place, &error))?;
            self.advance(ctx, count as u64);
        }
        if size == binary.plain_size && hasher.finish() == binary.plain_digest {
            return Ok(());
        }
        Err(Failure::new(FailureKind::Verification, format!("{} is not what the bundle says", binary.path)))
    }

    fn advance(&self, ctx: &Context<'_>, bytes: u64) {
        let written = self.written.fetch_add(bytes, Ordering::Relaxed) + bytes;
        ctx.progress("installing binaries", written, self.total);
    }
}

/// After a verification failure: a blob that is damaged itself is taken out of the store and named.
fn blame(store: &Store, blob: &Path, binary: &BinarySpec, failure: Failure) -> Failure {
    if failure.kind != FailureKind::Verification {
        return failure;
    }
    let digest = &binary.blob.digest;
    match stamp::digest_of_file(blob) {
        Ok(found) if found == *digest => failure.cause(format!("the blob {digest} is as it should be")),
        _ => match store.discard(digest) {
            Ok(()) => failure
                .cause(format!("the blob {digest} was damaged in the store"))
                .hint("it was taken out; run again, it is then brought anew"),
            Err(error) => failure.cause(error),
        },
    }
}

fn ensure_mode(ctx: &Context<'_>, binary: &BinarySpec, place: &Path) -> Result<bool, Failure> {
    let metadata = fs::metadata(place).map_err(|error| Failure::io("read", place, &error))?;
    let mode = metadata.mode() & 0o7777;
    if mode == binary.mode {
        return Ok(false);
    }
    ctx.record(Change::ModeChanged { path: binary.path.clone(), mode })?;
    file::set_mode(place, binary.mode)?;
    // Setting the mode touched the file; its bytes are known.
    stamp::remember(ctx.paths(), place, &binary.plain_digest)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use sealift_bundle::digest::digest_of;
    use sealift_plan::operation::Blob;

    use super::*;
    use crate::context::testing::Recorder;
    use crate::journal::Journal;

    /// Puts a frame with this content into the store and gives its spec.
    fn stored(ctx: &Context<'_>, path: &str, content: &[u8]) -> BinarySpec {
        let frame = zstd::encode_all(content, 3).unwrap();
        let blob = Blob { digest: digest_of(&frame), size: frame.len() as u64 };
        if let Some(mut incoming) = Store::open(ctx).unwrap().begin(ctx, &blob).unwrap() {
            incoming.write(&frame).unwrap();
            incoming.finish().unwrap();
        }
        let plain_size = content.len() as u64;
        BinarySpec { path: path.to_owned(), mode: 0o755, blob, plain_digest: digest_of(content), plain_size }
    }

    #[test]
    fn binaries_are_installed_once_and_replaced_ones_are_kept() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "r", "s");
        let place = paths.host("/usr/local/bin/kubelet");
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, "the distribution's own").unwrap();
        let binaries = [
            stored(&ctx, "/usr/local/bin/kubelet", b"kubelet one"),
            stored(&ctx, "/opt/cni/bin/bridge", b"bridge one"),
        ];
        assert_eq!(apply(&ctx, &binaries).unwrap().summary, "installed 2 of 2 binaries");
        assert_eq!(fs::read(&place).unwrap(), b"kubelet one");
        assert_eq!(fs::metadata(&place).unwrap().mode() & 0o777, 0o755);
        let copy = Journal::new(&paths).copy_of(&digest_of(b"the distribution's own"));
        assert_eq!(fs::read(copy).unwrap(), b"the distribution's own");
        let entries = Journal::new(&paths).entries().unwrap().len();
        assert!(!apply(&ctx, &binaries).unwrap().changed);
        assert_eq!(Journal::new(&paths).entries().unwrap().len(), entries);
        // Somebody changes one: only that one is put right.
        fs::write(&place, "kubelet 0ne").unwrap();
        assert_eq!(apply(&ctx, &binaries).unwrap().summary, "installed 1 of 2 binaries");
        assert_eq!(fs::read(&place).unwrap(), b"kubelet one");
    }

    #[test]
    fn a_blob_damaged_in_the_store_is_named_and_taken_out() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "r", "s");
        let binary = stored(&ctx, "/usr/local/bin/kubelet", &[7u8; 10_000]);
        let blob = Store::at(paths.store()).blob(&binary.blob.digest).unwrap();
        let mut bytes = fs::read(&blob).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&blob, bytes).unwrap();
        let failure = apply(&ctx, std::slice::from_ref(&binary)).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Verification);
        assert!(failure.causes.iter().any(|cause| cause.contains(&binary.blob.digest)), "{failure:?}");
        assert!(!blob.exists());
        assert!(!paths.host("/usr/local/bin/kubelet").exists());
    }

    #[test]
    fn a_frame_that_holds_more_than_it_says_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "r", "s");
        let binary =
            BinarySpec { plain_size: 10, ..stored(&ctx, "/usr/local/bin/kubelet", &vec![7u8; 1 << 20]) };
        assert_eq!(apply(&ctx, &[binary]).unwrap_err().kind, FailureKind::Verification);
        assert_eq!(fs::read_dir(paths.host("/usr/local/bin")).unwrap().count(), 0);
    }
}
