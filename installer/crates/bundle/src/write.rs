//! stub
use std::path::{Path, PathBuf};
use crate::{BlobEntry, BundleDocument};
use crate::oci::Descriptor;
/// Which group of members a blob belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlobGroup {
    /// Manifests, indexes, configs: small JSON, first.
    Metadata,
    /// Layers, files, archives.
    Data,
}
/// Where a blob's bytes come from.
#[derive(Debug, Clone)]
pub enum BlobContent {
    /// A file, read (and hashed) while packing.
    File(PathBuf),
    /// In memory.
    Bytes(Vec<u8>),
}
/// Why packing failed; nothing is left behind.
#[derive(Debug, thiserror::Error)]
#[error("stub")]
pub struct WriteError;
/// What was written.
#[derive(Debug, Clone)]
pub struct Packed {
    /// Bytes.
    pub size: u64,
    /// The signed index.
    pub index_json: String,
    /// The document, with its blobs.
    pub document: BundleDocument,
    /// All blobs, in member order.
    pub blobs: Vec<BlobEntry>,
}
/// Collects and packs.
pub struct BundleWriter {}
#[allow(missing_docs)]
impl BundleWriter {
    /// `document.blobs` is filled in here.
    #[must_use]
    pub fn new(_document: BundleDocument) -> Self { unimplemented!() }
    /// An entry of `index.json` (image, chart or file manifest); order does not matter.
    pub fn add_entry(&mut self, _descriptor: Descriptor) { unimplemented!() }
    /// A blob; adding the same digest again is fine.
    pub fn add_blob(&mut self, _digest: &str, _size: u64, _group: BlobGroup, _content: BlobContent) -> Result<(), WriteError> { unimplemented!() }
    /// Adds bytes, returns their digest.
    pub fn add_bytes(&mut self, _group: BlobGroup, _content: Vec<u8>) -> Result<String, WriteError> { unimplemented!() }
    /// Writes `target`: temporary name beside it, fsync, rename.
    pub fn pack<E>(self, _target: &Path, _threads: usize, _progress: &(dyn Fn(u64, u64) + Sync), _sign: impl FnOnce(&[u8]) -> Result<String, E>) -> Result<Packed, WriteError>
    where E: Into<Box<dyn std::error::Error + Send + Sync>> { unimplemented!() }
}
