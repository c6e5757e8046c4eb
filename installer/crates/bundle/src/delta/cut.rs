//! Cuts a delta: decides for each new blob whether it is carried whole or as a patch.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::{DeltaError, apply::files, patch};
use crate::bundle::Bundle;
use crate::digest::digest_of;
use crate::document::{API_VERSION, BlobEntry, File, Product};
use crate::error::BundleError;
use crate::frame;
use crate::inventory::Inventory;
use crate::parcel::write::{self, Content, ParcelWriteError, write};
use crate::parcel::{Base, HIGHEST_LEVEL, ParcelDocument, ParcelKind, Patch};
use crate::parts::folder_of;
use crate::source::{FileSource, Source};
use crate::workers;

/// Contents above this are carried whole: finding what two have in common needs six times their bytes of memory.
const LARGEST: u64 = 256 << 20;
/// Blobs below this are carried whole: a patch would save nothing worth its entry.
const SMALLEST: u64 = 4 << 10;
/// What a patch costs beside its bytes: its entries in the parcel's lists, header and padding.
const OVERHEAD: u64 = 1 << 10;
/// Patches made at once, at most, whatever the number of cores: each needs up to six times the content's bytes.
const MOST_THREADS: usize = 4;

/// What the receiving side has.
#[derive(Debug, Clone, Copy)]
pub enum Against<'a> {
    /// A bundle: patches can be made.
    Bundle(&'a Bundle),
    /// Only its digests: everything new is carried whole.
    Inventory(&'a Inventory),
}

/// What a delta holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What it starts from.
    pub old: Product,
    /// What it makes.
    pub new: Product,
    /// Bytes of the delta.
    pub bytes: u64,
    /// Bytes of the bundle that it makes.
    pub bundle_bytes: u64,
    /// Blobs that the older bundle has.
    pub kept: Share,
    /// Blobs that are carried whole.
    pub whole: Share,
    /// Blobs that are made by a patch; their own bytes.
    pub patched: Share,
    /// Bytes of all patches.
    pub patch_bytes: u64,
    /// Bytes of all files (cluster binaries and others) as the new bundle stores them.
    pub file_bytes: u64,
    /// Bytes that the delta holds for them.
    pub file_bytes_carried: u64,
}

impl Report {
    fn new(old: &Product, new: &Bundle) -> Self {
        let none = Share::default();
        Self {
            old: old.clone(),
            new: new.document().product.clone(),
            bytes: 0,
            bundle_bytes: new.size(),
            kept: none,
            whole: none,
            patched: none,
            patch_bytes: 0,
            file_bytes: 0,
            file_bytes_carried: 0,
        }
    }
}

/// Some of a bundle's blobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// How many.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Share {
    fn add(&mut self, bytes: u64) {
        self.blobs += 1;
        self.bytes += bytes;
    }
}

/// Bytes that [`cut`] writes for certain: of the blobs that no patch can be made for. What patches take is known only when
/// they are made; counting their blobs as whole would refuse deltas that fit. What they take more is little, and a disk
/// that they fill is survived.
#[must_use]
pub fn room_to_cut(against: Against<'_>, new: &Bundle) -> u64 {
    let (_, kept) = known(against);
    let cutter = match against {
        Against::Bundle(old) => Some(Cutter::new(old, new)),
        Against::Inventory(_) => None,
    };
    let whole = |blob: &&BlobEntry| cutter.as_ref().is_none_or(|cutter| cutter.base(blob).is_none());
    write::room(new, fresh(new, &kept).filter(whole))
}

/// Writes the delta that makes `new` out of what `against` has to `target`: into a temporary file beside it, synced, then
/// renamed. `progress` gets what is done (`patch` or `write`), bytes done and bytes in all, from any thread.
///
/// # Errors
/// When the two are one bundle, a blob is damaged, `target` is there already, or writing fails.
pub fn cut(
    against: Against<'_>,
    new: &Bundle,
    target: &Path,
    threads: usize,
    progress: &(dyn Fn(&str, u64, u64) + Sync),
) -> Result<Report, DeltaError> {
    let (base, kept) = known(against);
    let product = &new.document().product;
    let index = digest_of(new.index_json().as_bytes());
    if base.index == index {
        return Err(DeltaError::Same { product: Box::new(product.clone()) });
    }
    if target.symlink_metadata().is_ok() {
        return Err(DeltaError::Exists { path: target.to_owned() });
    }
    let fresh: Vec<&BlobEntry> = fresh(new, &kept).collect();
    let made = match against {
        Against::Bundle(old) => Cutter::new(old, new).patches(&fresh, target, threads, progress)?,
        Against::Inventory(_) => BTreeMap::new(),
    };
    let mut report = Report::new(&base.product, new);
    for blob in new.blobs().iter().filter(|blob| kept.contains(blob.digest.as_str())) {
        report.kept.add(blob.size);
    }
    let (patches, content) = carried(fresh, made, new, &mut report);
    let document = ParcelDocument {
        api_version: API_VERSION.to_owned(),
        kind: ParcelKind::Delta,
        product: product.clone(),
        index,
        base: Some(base),
        zstd: (!patches.is_empty()).then(frame::maker),
        patches,
    };
    let progress = |done, total| progress("write", done, total);
    let written = write(target, new, &document, content, threads, &progress);
    report.bytes = written.map_err(|error| match error {
        ParcelWriteError::Exists { path } => DeltaError::Exists { path },
        other => other.into(),
    })?;
    Ok(report)
}

/// What goes into the delta for the blobs `fresh`: their patch where one was made, else themselves.
fn carried(
    fresh: Vec<&BlobEntry>,
    mut made: BTreeMap<String, Made>,
    new: &Bundle,
    report: &mut Report,
) -> (Vec<Patch>, Vec<(BlobEntry, Content)>) {
    let of_files = files(new);
    report.file_bytes = of_files.values().map(|file| file.size).sum();
    let (mut patches, mut content) = (Vec::new(), Vec::new());
    for blob in fresh {
        let carried = if let Some(made) = made.remove(&blob.digest) {
            let entry = BlobEntry { digest: made.patch.patch.clone(), size: made.size };
            report.patched.add(blob.size);
            report.patch_bytes += made.size;
            patches.push(made.patch);
            content.push((entry, Content::Stored(made.content)));
            made.size
        } else {
            report.whole.add(blob.size);
            content.push((blob.clone(), Content::Blob));
            blob.size
        };
        if of_files.contains_key(blob.digest.as_str()) {
            report.file_bytes_carried += carried;
        }
    }
    (patches, content)
}

/// The blobs that the delta is for: those in front of them are in every parcel.
fn fresh<'a>(new: &'a Bundle, kept: &BTreeSet<&str>) -> impl Iterator<Item = &'a BlobEntry> {
    new.blobs().iter().skip(3).filter(|blob| !kept.contains(blob.digest.as_str()))
}

/// What it is, and the digests that it has.
fn known(against: Against<'_>) -> (Base, BTreeSet<&str>) {
    match against {
        Against::Bundle(old) => {
            let index = digest_of(old.index_json().as_bytes());
            let digests = old.blobs().iter().map(|blob| blob.digest.as_str()).collect();
            (Base { product: old.document().product.clone(), index }, digests)
        }
        Against::Inventory(inventory) => {
            let digests = inventory.blobs.iter().map(|blob| blob.digest.as_str()).collect();
            (Base { product: inventory.product.clone(), index: inventory.index.clone() }, digests)
        }
    }
}

/// A patch that is worth it.
struct Made {
    patch: Patch,
    content: Arc<dyn Source>,
    size: u64,
}

/// Makes patches.
struct Cutter<'a> {
    old: &'a Bundle,
    new: &'a Bundle,
    old_files: BTreeMap<&'a str, &'a File>,
    new_files: BTreeMap<&'a str, &'a File>,
    old_sizes: BTreeMap<&'a str, u64>,
    /// What the newer bundle has, too, is no base: it did not change.
    unchanged: BTreeSet<&'a str>,
}

impl<'a> Cutter<'a> {
    fn new(old: &'a Bundle, new: &'a Bundle) -> Self {
        Self {
            old,
            new,
            old_files: files(old),
            new_files: files(new),
            old_sizes: old.blobs().iter().map(|blob| (blob.digest.as_str(), blob.size)).collect(),
            unchanged: new.blobs().iter().map(|blob| blob.digest.as_str()).collect(),
        }
    }

    /// The patches for those of `fresh` where one is smaller, by the digest of what comes out.
    fn patches(
        &self,
        fresh: &[&BlobEntry],
        target: &Path,
        threads: usize,
        progress: &(dyn Fn(&str, u64, u64) + Sync),
    ) -> Result<BTreeMap<String, Made>, DeltaError> {
        let pairs: Vec<(&BlobEntry, &str)> =
            fresh.iter().filter_map(|blob| Some((*blob, self.base(blob)?))).collect();
        let total = pairs.iter().map(|(blob, _)| blob.size).sum();
        let done = AtomicU64::new(0);
        let patches = workers::try_for_each(threads.min(MOST_THREADS), &pairs, |(blob, base), _| {
            let made = self.patch(blob, base, folder_of(target));
            progress("patch", done.fetch_add(blob.size, Ordering::Relaxed) + blob.size, total);
            Ok::<_, DeltaError>(made?.map(|made| (blob.digest.clone(), made)))
        })?;
        Ok(patches.into_iter().flatten().collect())
    }

    /// The blob of the older bundle that is most like `blob`: of the same file, or of the same image the one nearest in
    /// size. None where no patch would help.
    fn base(&self, blob: &BlobEntry) -> Option<&'a str> {
        if let Some(file) = self.new_files.get(blob.digest.as_str()) {
            let files = &self.old.document().files;
            let same = |other: &&File| other.platform == file.platform && other.path == file.path;
            let named = |other: &&File| other.platform == file.platform && other.name == file.name;
            let base = files.iter().find(same).or_else(|| files.iter().find(named))?;
            let sizes = [blob.size, file.plain_size, base.size, base.plain_size];
            let fits = blob.size >= SMALLEST && sizes.iter().all(|size| *size <= LARGEST);
            return fits.then_some(base.digest.as_str());
        }
        let sizes = SMALLEST..=LARGEST;
        if !sizes.contains(&blob.size) || is_compressed(self.new, &blob.digest) {
            return None;
        }
        let image = self.new.document().images.iter().find(|image| image.blobs.contains(&blob.digest))?;
        let older = self.old.document().images.iter();
        older
            .filter(|older| repository(&older.name) == repository(&image.name))
            .flat_map(|older| &older.blobs)
            .map(String::as_str)
            .filter(|digest| !self.unchanged.contains(digest) && !self.old_files.contains_key(digest))
            .filter_map(|digest| Some((*self.old_sizes.get(digest)?, digest)))
            .filter(|(size, _)| sizes.contains(size))
            .min_by_key(|(size, digest)| (size.abs_diff(blob.size), *digest))
            .map(|(_, digest)| digest)
            .filter(|digest| !is_compressed(self.old, digest))
    }

    /// A patch from the blob `base` to `blob`, where that is possible and smaller than the blob.
    fn patch(&self, blob: &BlobEntry, base: &str, folder: &Path) -> Result<Option<Made>, DeltaError> {
        let content = content(self.new, &blob.digest, blob.size)?;
        let older = content_of(self.old, base, &self.old_sizes)?;
        let (target, base_content, level) = if let Some(file) = self.new_files.get(blob.digest.as_str()) {
            let plain = unpacked(&content, file);
            let older = self.old_files.get(base).and_then(|file| unpacked(&older, file));
            let level = plain.as_deref().and_then(|plain| level_of(plain, &content));
            let (Some(plain), Some(older), Some(level)) = (plain, older, level) else { return Ok(None) };
            (plain, older, Some(level))
        } else {
            (content, older, None)
        };
        let temporary = |source| DeltaError::Temporary { folder: folder.to_owned(), source };
        let (bytes, frames) = patch::make(&base_content, &target).map_err(temporary)?;
        let size = bytes.len() as u64;
        if size + OVERHEAD >= blob.size {
            return Ok(None);
        }
        let mut file = tempfile::tempfile_in(folder).map_err(temporary)?;
        file.write_all(&bytes).map_err(temporary)?;
        let stored = FileSource::new(file).map_err(temporary)?;
        let digests = (blob.digest.clone(), base.to_owned(), digest_of(&bytes));
        let patch = Patch { digest: digests.0, base: digests.1, patch: digests.2, frames, level };
        Ok(Some(Made { patch, content: Arc::new(stored), size }))
    }
}

/// Registry and repository of an image's name, without tag and digest.
fn repository(name: &str) -> &str {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

fn content_of(bundle: &Bundle, digest: &str, sizes: &BTreeMap<&str, u64>) -> Result<Vec<u8>, DeltaError> {
    content(bundle, digest, sizes.get(digest).copied().unwrap_or(0))
}

/// All of a blob, whose signed size was found to be below [`LARGEST`]; compared with its digest.
fn content(bundle: &Bundle, digest: &str, size: u64) -> Result<Vec<u8>, DeltaError> {
    let mut reader = bundle.blob_reader(digest, 0)?;
    let (path, offset) = (bundle.path().to_owned(), reader.position());
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    if let Err(source) = reader.read_to_end(&mut content) {
        return Err(BundleError::Read { path, offset, source }.into());
    }
    if digest_of(&content) == digest {
        return Ok(content);
    }
    Err(BundleError::DigestMismatch { path, digest: digest.to_owned(), offset }.into())
}

/// What is in a file's frame, where it is what the document says.
fn unpacked(frame: &[u8], file: &File) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(usize::try_from(file.plain_size).ok()?);
    zstd::Decoder::new(frame).ok()?.take(file.plain_size + 1).read_to_end(&mut plain).ok()?;
    (digest_of(&plain) == file.plain_digest).then_some(plain)
}

/// The zstd level at which this program makes the frame from its content; the usual one is tried first.
fn level_of(plain: &[u8], frame: &[u8]) -> Option<i32> {
    let usual = 3;
    let others = (1..=HIGHEST_LEVEL).filter(|level| *level != usual);
    std::iter::once(usual).chain(others).find(|level| makes(plain, frame, *level).is_ok())
}

/// Fails at the first byte that differs.
fn makes(plain: &[u8], frame: &[u8], level: i32) -> io::Result<()> {
    let mut encoder = frame::encoder(Expected { left: frame }, level, plain.len() as u64)?;
    encoder.write_all(plain)?;
    let rest = encoder.finish()?.left;
    if rest.is_empty() { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Takes only the bytes that it waits for.
struct Expected<'a> {
    left: &'a [u8],
}

impl Write for Expected<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.strip_prefix(bytes).ok_or(io::ErrorKind::InvalidData)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether this blob is a gzip or zstd stream: no patch helps there, and gzip cannot be made again. One that cannot be
/// read is none: whoever uses it says why.
fn is_compressed(bundle: &Bundle, digest: &str) -> bool {
    let mut start = [0; 4];
    let read = bundle.blob_reader(digest, 0).is_ok_and(|mut reader| reader.read_exact(&mut start).is_ok());
    read && (start.starts_with(&[0x1f, 0x8b]) || start == [0x28, 0xb5, 0x2f, 0xfd])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_have_no_tag() {
        for name in ["a.example:5000/b/c:1.2", "a.example:5000/b/c", "a.example:5000/b/c:1@sha256:00"] {
            assert_eq!(repository(name), "a.example:5000/b/c");
        }
    }

    #[test]
    fn the_level_of_a_frame_is_found_again() {
        let plain: Vec<u8> =
            (0..200_000_u32).flat_map(|n| ((n / 3).wrapping_mul(n) % 977).to_le_bytes()).collect();
        for level in [1, 3, 12, 19] {
            let mut encoder = frame::encoder(Vec::new(), level, plain.len() as u64).unwrap();
            encoder.write_all(&plain).unwrap();
            let frame = encoder.finish().unwrap();
            let found = level_of(&plain, &frame).unwrap();
            assert!(makes(&plain, &frame, found).is_ok(), "{found} for {level}");
        }
        // As other programs do it: without a checksum.
        assert_eq!(level_of(&plain, &zstd::encode_all(&*plain, 3).unwrap()), None);
    }
}
