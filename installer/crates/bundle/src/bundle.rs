//! stub
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use crate::{BlobEntry, BundleDocument, BundleError, Source, TrustedKeys, VerifyReport};
/// An opened bundle.
pub struct Bundle {}
/// Reads one blob.
pub struct BlobReader {}
impl Read for BlobReader {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> { unimplemented!() }
}
#[allow(missing_docs, clippy::must_use_candidate, clippy::unused_self)]
impl Bundle {
    pub fn open(_path: &Path, _keys: &TrustedKeys) -> Result<Self, BundleError> { unimplemented!() }
    pub fn from_source(_path: &Path, _source: Arc<dyn Source>, _keys: &TrustedKeys) -> Result<Self, BundleError> { unimplemented!() }
    pub fn document(&self) -> &BundleDocument { unimplemented!() }
    pub fn index_json(&self) -> &str { unimplemented!() }
    pub fn signature(&self) -> &str { unimplemented!() }
    pub fn public_key(&self) -> &str { unimplemented!() }
    pub fn key_id(&self) -> &str { unimplemented!() }
    pub fn key_comment(&self) -> &str { unimplemented!() }
    pub fn trusted_comment(&self) -> &str { unimplemented!() }
    pub fn size(&self) -> u64 { unimplemented!() }
    pub fn blobs(&self) -> &[BlobEntry] { unimplemented!() }
    pub fn blob_reader(&self, _digest: &str, _offset: u64) -> Result<BlobReader, BundleError> { unimplemented!() }
    pub fn read_blob(&self, _digest: &str) -> Result<Vec<u8>, BundleError> { unimplemented!() }
    /// Ok only when every byte is the expected one; all damaged places are listed in the error.
    pub fn verify(&self, _threads: usize, _progress: &(dyn Fn(u64, u64) + Sync)) -> Result<VerifyReport, BundleError> { unimplemented!() }
}
