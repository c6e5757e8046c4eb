//! Makes a bundle from an older one and a delta.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, ErrorKind::AlreadyExists, Read, Write};
use std::path::{Path, PathBuf};

use super::DeltaError;
use super::patch::{self, ApplyError, PatchError};
use crate::bundle::{BlobReader, Bundle};
use crate::digest::{HashingWriter, digest_of};
use crate::document::{self, BlobEntry};
use crate::error::BundleError;
use crate::frame;
use crate::parcel::{HIGHEST_LEVEL, Parcel, ParcelKind, Patch};
use crate::parts::folder_of;
use crate::rebuild::{Blobs, rebuild};
use crate::signature::TrustedKeys;
use crate::write::WriteError;

/// Bytes copied at once.
const PIECE: usize = 256 << 10;

/// An opened delta: the signature of the bundle that it makes is checked.
#[derive(Debug)]
pub struct Delta {
    parcel: Parcel,
    target: Bundle,
}

impl Delta {
    /// Opens a delta, split or not.
    ///
    /// # Errors
    /// When it is none, or the bundle that it makes is not signed by a trusted key.
    pub fn open(path: &Path, keys: &TrustedKeys) -> Result<Self, DeltaError> {
        Self::new(Parcel::open(path)?, keys)
    }

    /// Takes an opened parcel for a delta.
    ///
    /// # Errors
    /// As [`Delta::open`].
    pub fn new(parcel: Parcel, keys: &TrustedKeys) -> Result<Self, DeltaError> {
        let found = parcel.document().kind;
        if found != ParcelKind::Delta {
            return Err(DeltaError::Kind { path: parcel.path().to_owned(), found });
        }
        let target = parcel.target(keys)?;
        Ok(Self { parcel, target })
    }

    /// The bundle that it makes: what is in it can be asked, its blobs cannot be read.
    #[must_use]
    pub fn target(&self) -> &Bundle {
        &self.target
    }
}

/// Makes the newer bundle at `target` from `old` and `delta`, on up to `threads` threads: into a temporary file beside it,
/// synced, then given its name. Each blob is compared with the signed list while it is written. Gives the bundle's size;
/// `progress` gets bytes done and bytes in all. While patches are applied, unnamed files in the folder of `target` hold
/// what they start from, one per thread.
///
/// # Errors
/// When the delta starts from another bundle, old bundle or delta are damaged, `target` is there already, or writing
/// fails.
pub fn apply(
    old: &Bundle,
    delta: &Delta,
    target: &Path,
    threads: usize,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<u64, DeltaError> {
    if target.symlink_metadata().is_ok() {
        return Err(DeltaError::Exists { path: target.to_owned() });
    }
    let (parcel, path) = (&delta.parcel, || delta.parcel.path().to_owned());
    if let Some(base) = &parcel.document().base
        && base.index != digest_of(old.index_json().as_bytes())
    {
        let (expected, found) = (Box::new(base.product.clone()), Box::new(old.document().product.clone()));
        return Err(DeltaError::OtherBase { path: path(), expected, found });
    }
    let source = Making {
        old,
        delta,
        folder: folder_of(target).to_owned(),
        patches: parcel.document().patches.iter().map(|patch| (patch.digest.as_str(), patch)).collect(),
        old_files: files(old),
        new_files: files(&delta.target),
    };
    let kept: BTreeSet<&str> = old.blobs().iter().map(|blob| blob.digest.as_str()).collect();
    let there = |digest: &str| {
        source.patches.contains_key(digest) || parcel.size_of(digest).is_some() || kept.contains(digest)
    };
    if let Some(blob) = delta.target.blobs().iter().find(|blob| !there(&blob.digest)) {
        return Err(DeltaError::Lacking { path: path(), digest: blob.digest.clone() });
    }
    rebuild(&delta.target, target, threads, progress, &source).map_err(|error| match error {
        // Somebody made it in the meantime.
        DeltaError::Write(WriteError::Write { path, source }) if source.kind() == AlreadyExists => {
            DeltaError::Exists { path }
        }
        other => other,
    })
}

/// Bytes that [`apply`] takes in the folder of its target while it works: the newer bundle, and what patches start from,
/// the largest of them at once.
#[must_use]
pub fn room(old: &Bundle, delta: &Delta, threads: usize) -> u64 {
    let (files, blobs) = (files(old), old.blobs());
    let base = |patch: &Patch| {
        let blob = || blobs.iter().find(|blob| blob.digest == patch.base).map_or(0, |blob| blob.size);
        files.get(patch.base.as_str()).map_or_else(blob, |file| file.plain_size)
    };
    let mut bases: Vec<u64> = delta.parcel.document().patches.iter().map(base).collect();
    bases.sort_unstable_by_key(|size| Reverse(*size));
    bases.iter().take(threads).fold(delta.target.size(), |sum, size| sum.saturating_add(*size))
}

/// The files of a bundle by the digest of their blob: those blobs are zstd frames.
pub(super) fn files(bundle: &Bundle) -> BTreeMap<&str, &document::File> {
    bundle.document().files.iter().map(|file| (file.digest.as_str(), file)).collect()
}

/// The blobs of the newer bundle.
struct Making<'a> {
    old: &'a Bundle,
    delta: &'a Delta,
    /// Where unnamed files go.
    folder: PathBuf,
    patches: BTreeMap<&'a str, &'a Patch>,
    old_files: BTreeMap<&'a str, &'a document::File>,
    new_files: BTreeMap<&'a str, &'a document::File>,
}

impl Blobs for Making<'_> {
    type Error = DeltaError;

    fn fill(&self, blob: &BlobEntry, output: &mut dyn Write) -> Result<(), DeltaError> {
        if let Some(patch) = self.patches.get(blob.digest.as_str()) {
            return self.patched(patch, blob, output);
        }
        let parcel = &self.delta.parcel;
        let (reader, path) = match parcel.size_of(&blob.digest) {
            Some(_) => (parcel.blob_reader(&blob.digest, 0)?, parcel.path()),
            None => (self.old.blob_reader(&blob.digest, 0)?, self.old.path()),
        };
        copy(reader, path, output)
    }

    fn wrong(&self, blob: &BlobEntry) -> DeltaError {
        let parcel = &self.delta.parcel;
        let digest = blob.digest.clone();
        if let Some(patch) = self.patches.get(blob.digest.as_str()) {
            // Content was compared already: of a file, only compressing it can have gone another way.
            if patch.level.is_some() {
                let made_with = parcel.document().zstd.clone().unwrap_or_else(|| "unknown".to_owned());
                let path = parcel.path().to_owned();
                return DeltaError::Zstd { path, digest, made_with, here: frame::maker() };
            }
            return self.refused(&digest, PatchError::Content);
        }
        let (reader, path) = match parcel.size_of(&digest) {
            Some(_) => (parcel.blob_reader(&digest, 0), parcel.path()),
            None => (self.old.blob_reader(&digest, 0), self.old.path()),
        };
        let offset = reader.map_or(0, |reader| reader.position());
        BundleError::DigestMismatch { path: path.to_owned(), digest, offset }.into()
    }
}

impl Making<'_> {
    /// Makes `blob` from a blob of the older bundle.
    fn patched(&self, patch: &Patch, blob: &BlobEntry, output: &mut dyn Write) -> Result<(), DeltaError> {
        let parcel = &self.delta.parcel;
        let mut buffer = vec![0; PIECE];
        parcel.blob_reader(&patch.patch, 0)?.check(parcel.path(), &patch.patch, &mut buffer)?;
        let base = self.base(&patch.base)?;
        let [first, second] = patch.frames;
        let frame = |offset: u64| parcel.blob_reader(&patch.patch, offset);
        let frames =
            [frame(0)?.take(first), frame(first)?.take(second), frame(first + second)?.take(u64::MAX)];
        let refused = |error| self.applied(&blob.digest, error);
        let Some(file) = self.new_files.get(blob.digest.as_str()) else {
            return patch::apply(&base, frames, blob.size, output).map_err(refused);
        };
        let level = patch.level.filter(|level| (1..=HIGHEST_LEVEL).contains(level)).unwrap_or(1);
        let written = |error| refused(ApplyError::Output(error));
        let encoder = frame::encoder(output, level, file.plain_size).map_err(written)?;
        let mut plain = HashingWriter::new(encoder);
        patch::apply(&base, frames, file.plain_size, &mut plain).map_err(refused)?;
        let (digest, _, encoder) = plain.finish();
        if digest != file.plain_digest {
            return Err(self.refused(&blob.digest, PatchError::Content));
        }
        encoder.finish().map_err(written)?;
        Ok(())
    }

    /// A blob of the older bundle, unpacked where it is a frame, in an unnamed file.
    fn base(&self, digest: &str) -> Result<File, DeltaError> {
        let path = self.old.path();
        self.old.blob_reader(digest, 0)?.check(path, digest, &mut vec![0; PIECE])?;
        let temporary = |source| DeltaError::Temporary { folder: self.folder.clone(), source };
        let mut file = tempfile::tempfile_in(&self.folder).map_err(temporary)?;
        let reader = self.old.blob_reader(digest, 0)?;
        let offset = reader.position();
        let read = |source| BundleError::Read { path: path.to_owned(), offset, source };
        match self.old_files.get(digest) {
            None => copy_to(reader, &mut file),
            Some(entry) => {
                let decoder = zstd::Decoder::new(reader).map_err(read)?;
                copy_to(decoder.take(entry.plain_size), &mut file)
            }
        }
        .map_err(|error| match error {
            Failed::Read(error) => read(error).into(),
            Failed::Write(error) => temporary(error),
        })?;
        Ok(file)
    }

    fn refused(&self, digest: &str, source: PatchError) -> DeltaError {
        let path = self.delta.parcel.path().to_owned();
        DeltaError::Patch { path, digest: digest.to_owned(), source }
    }

    fn applied(&self, digest: &str, error: ApplyError) -> DeltaError {
        match error {
            ApplyError::Patch(error) => self.refused(digest, error),
            ApplyError::Base(source) | ApplyError::Output(source) => {
                DeltaError::Temporary { folder: self.folder.clone(), source }
            }
        }
    }
}

/// Copies what a blob's reader gives; the output remembers its own failures.
fn copy(mut reader: BlobReader, path: &Path, output: &mut dyn Write) -> Result<(), DeltaError> {
    let mut buffer = vec![0; PIECE];
    loop {
        let offset = reader.position();
        let read = |source| BundleError::Read { path: path.to_owned(), offset, source };
        let count = reader.read(&mut buffer).map_err(read)?;
        if count == 0 || output.write_all(&buffer[..count]).is_err() {
            return Ok(());
        }
    }
}

/// Which side of a copy failed.
enum Failed {
    Read(io::Error),
    Write(io::Error),
}

fn copy_to(mut reader: impl Read, file: &mut File) -> Result<(), Failed> {
    let mut buffer = vec![0; PIECE];
    loop {
        let count = reader.read(&mut buffer).map_err(Failed::Read)?;
        if count == 0 {
            return Ok(());
        }
        file.write_all(&buffer[..count]).map_err(Failed::Write)?;
    }
}
