//! Writes parcels: the vendor's half.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{CONTENT_MEDIA_TYPE, MANIFEST_LIMIT, PARCEL_ARTIFACT_TYPE, ParcelDocument};
use crate::bundle::{BlobReader, Bundle};
use crate::digest::{Hasher, digest_of};
use crate::document::BlobEntry;
use crate::error::BundleError;
use crate::layout::{self, INDEX_FILE, LAYOUT_CONTENT, LAYOUT_FILE};
use crate::member::{BLOCK_BYTES, MAX_SIZE, Member, MemberList, TRAILER, padding_length};
use crate::oci::{Descriptor, EMPTY_CONTENT, Index, MANIFEST_MEDIA_TYPE, Manifest};
use crate::output::Output;
use crate::source::Source;
use crate::workers;
use crate::write::WriteError;

/// Why a parcel was not written. Nothing is left behind then.
#[derive(Debug, thiserror::Error)]
pub enum ParcelWriteError {
    /// The bundle that it is for cannot be read, or is damaged.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Writing failed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Something is there already.
    #[error("{} exists already", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
}

/// Where content comes from.
pub(crate) enum Content {
    /// In memory.
    Bytes(Vec<u8>),
    /// A blob of the bundle that the parcel is for.
    Blob,
    /// Made for this parcel, put aside in a file.
    Stored(Arc<dyn Source>),
}

/// Bytes of a parcel for the bundle `bundle` with these of its blobs. Only the parcel's own lists are left out, some
/// hundred bytes for each blob.
pub(crate) fn room<'a>(bundle: &'a Bundle, blobs: impl IntoIterator<Item = &'a BlobEntry>) -> u64 {
    let texts = [bundle.index_json(), bundle.signature()].map(|text| text.len() as u64);
    let sizes = bundle.blobs().iter().take(3).chain(blobs).map(|blob| blob.size);
    let members = texts.into_iter().chain(sizes);
    members.fold(TRAILER, |sum, size| sum + BLOCK_BYTES + size + padding_length(size) as u64)
}

/// Writes a parcel for the bundle `bundle` to `target`: into a temporary file beside it, synced, then given its name;
/// nothing is replaced. `content` stands in it in this order. Gives its size. `progress` gets bytes done and bytes in all,
/// from any thread.
pub(crate) fn write(
    target: &Path,
    bundle: &Bundle,
    document: &ParcelDocument,
    content: Vec<(BlobEntry, Content)>,
    threads: usize,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<u64, ParcelWriteError> {
    if target.symlink_metadata().is_ok() {
        return Err(ParcelWriteError::Exists { path: target.to_owned() });
    }
    let (members, contents) = assemble(target, bundle, document, content)?;
    let cannot = |source| WriteError::Write { path: target.to_owned(), source };
    let total = members.total();
    let output = Output::sized(target, total).map_err(cannot)?;
    let done = AtomicU64::new(0);
    let put = |bytes: &[u8], offset: u64| -> Result<(), ParcelWriteError> {
        output.file().write_all_at(bytes, offset).map_err(cannot)?;
        progress(done.fetch_add(bytes.len() as u64, Ordering::Relaxed) + bytes.len() as u64, total);
        Ok(())
    };
    let items: Vec<(&Member, &Content)> = members.as_slice().iter().zip(&contents).collect();
    workers::try_for_each(threads, &items, |(member, content), buffer| {
        put(&member.header(), member.offset)?;
        copy(bundle, member, content, buffer, &put)
    })?;
    progress(total, total);
    // Somebody may have made it in the meantime.
    output.finish_new().map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => ParcelWriteError::Exists { path: target.to_owned() },
        _ => cannot(error).into(),
    })?;
    Ok(total)
}

/// The members and the content of each.
fn assemble(
    target: &Path,
    bundle: &Bundle,
    document: &ParcelDocument,
    content: Vec<(BlobEntry, Content)>,
) -> Result<(MemberList, Vec<Content>), ParcelWriteError> {
    let document = json(document, "the parcel's document")?;
    let mut layers = vec![Descriptor::of(PARCEL_ARTIFACT_TYPE, &document)];
    let mut blobs = vec![(layers[0].digest.clone(), Content::Bytes(document))];
    let mut layer = |content: Vec<u8>| {
        let layer = Descriptor::of(CONTENT_MEDIA_TYPE, &content);
        blobs.push((layer.digest.clone(), Content::Bytes(content)));
        layers.push(layer);
    };
    layer(bundle.index_json().as_bytes().to_vec());
    layer(bundle.signature().as_bytes().to_vec());
    for own in bundle.blobs().iter().take(3) {
        layer(bundle.read_blob(&own.digest)?);
    }
    for (entry, content) in content {
        let mut layer = Descriptor::of(CONTENT_MEDIA_TYPE, b"");
        (layer.digest, layer.size) = (entry.digest.clone(), entry.size);
        layers.push(layer);
        blobs.push((entry.digest, content));
    }
    let sizes: Vec<u64> = layers.iter().map(|layer| layer.size).collect();
    let manifest = Manifest::artifact(PARCEL_ARTIFACT_TYPE, layers);
    let manifest = json(&manifest, "the parcel's manifest")?;
    if manifest.len() as u64 > MANIFEST_LIMIT {
        let (what, size) = ("the parcel's manifest".to_owned(), manifest.len() as u64);
        let path = target.to_owned();
        return Err(BundleError::TooLarge { path, what, size, limit: MANIFEST_LIMIT }.into());
    }
    let mut entry = Descriptor::of(MANIFEST_MEDIA_TYPE, &manifest);
    entry.artifact_type = Some(PARCEL_ARTIFACT_TYPE.to_owned());
    let index = json(&Index::new(vec![entry]), "index.json")?;

    let (mut members, mut contents) = (MemberList::default(), Vec::new());
    let mut push = |name: String, digest: String, size: u64, content: Content| {
        contents.push(content);
        members.push(name, digest, size).map_err(|size| BundleError::TooLarge {
            path: target.to_owned(),
            what: "the parcel".to_owned(),
            size,
            limit: MAX_SIZE,
        })
    };
    for (name, bytes) in [(LAYOUT_FILE, LAYOUT_CONTENT.as_bytes().to_vec()), (INDEX_FILE, index)] {
        push(name.to_owned(), digest_of(&bytes), bytes.len() as u64, Content::Bytes(bytes))?;
    }
    let mut seen = BTreeSet::new();
    let own = [manifest, EMPTY_CONTENT.to_vec()]
        .map(|bytes| (digest_of(&bytes), bytes.len() as u64, Content::Bytes(bytes)));
    let layers = blobs.into_iter().zip(sizes).map(|((digest, content), size)| (digest, size, content));
    for (digest, size, content) in own.into_iter().chain(layers) {
        if seen.insert(digest.clone()) {
            push(layout::blob_name(&digest).map_err(WriteError::from)?, digest, size, content)?;
        }
    }
    Ok((members, contents))
}

/// Writes bytes to a place.
type Put<'a> = dyn Fn(&[u8], u64) -> Result<(), ParcelWriteError> + 'a;

/// Copies the content of one member, and compares it with its digest on the way.
fn copy(
    bundle: &Bundle,
    member: &Member,
    content: &Content,
    buffer: &mut [u8],
    put: &Put<'_>,
) -> Result<(), ParcelWriteError> {
    let (mut reader, path) = match content {
        Content::Bytes(bytes) => return put(bytes, member.content()),
        Content::Blob => (bundle.blob_reader(&member.digest, 0)?, bundle.path()),
        Content::Stored(source) => {
            (BlobReader::new(Arc::clone(source), 0, member.size), Path::new("temporary file"))
        }
    };
    let path = path.to_owned();
    let start = reader.position();
    let mut hasher = Hasher::new();
    let mut done = 0;
    while done < member.size {
        let count = match reader.read(buffer) {
            Ok(0) => return Err(BundleError::Truncated { path, expected: None, got: start + done }.into()),
            Ok(count) => count,
            Err(source) => return Err(BundleError::Read { path, offset: start + done, source }.into()),
        };
        hasher.update(&buffer[..count]);
        put(&buffer[..count], member.content() + done)?;
        done += count as u64;
    }
    if hasher.finish() == member.digest {
        return Ok(());
    }
    Err(BundleError::DigestMismatch { path, digest: member.digest.clone(), offset: start }.into())
}

fn json(value: &impl serde::Serialize, what: &'static str) -> Result<Vec<u8>, WriteError> {
    serde_json::to_vec(value).map_err(|source| WriteError::Json { what, source })
}
