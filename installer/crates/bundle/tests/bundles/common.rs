//! A tiny bundle in memory, and ways to spoil it.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use sealift_bundle::document::BundleDocument;
use sealift_bundle::testing::{SampleKey, sample_document};
use sealift_bundle::write::{BlobGroup, BundleWriter};
use sealift_bundle::{Bundle, BundleError, TrustedKeys, VerifyReport};

/// Bytes of a tar block.
pub const BLOCK: usize = 512;

/// A bundle in memory and the key that it is signed with.
pub struct Tiny {
    pub bytes: Vec<u8>,
    pub keys: TrustedKeys,
}

/// One member of an archive, as it lies there.
#[derive(Clone)]
pub struct Piece {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// A document that needs nothing.
pub fn empty_document() -> BundleDocument {
    let mut document = sample_document();
    document.images.clear();
    document.files.clear();
    document.charts.clear();
    document.components.clear();
    document.host_directories.clear();
    document.secrets.clear();
    document.settings.clear();
    document.blobs.clear();
    document
}

/// Packs a document with a few small blobs.
pub fn tiny(document: BundleDocument) -> Tiny {
    let key = SampleKey::generate();
    let bytes = tiny_bytes(document, &key, |index, key| key.sign(index, "product:orders"));
    Tiny { bytes, keys: TrustedKeys::from_public_key_text(&key.public_key_text()).unwrap() }
}

pub fn tiny_bytes(
    document: BundleDocument,
    key: &SampleKey,
    sign: impl FnOnce(&[u8], &SampleKey) -> String,
) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.bundle");
    let mut writer = BundleWriter::new(document);
    writer.add_bytes(BlobGroup::Data, b"some content".to_vec()).unwrap();
    writer.add_bytes(BlobGroup::Data, vec![b'x'; BLOCK]).unwrap();
    writer.add_bytes(BlobGroup::Metadata, b"{\"a\":1}".to_vec()).unwrap();
    writer.pack(&path, 1, &|_, _| {}, |index| Ok::<_, Infallible>(sign(index, key))).unwrap();
    std::fs::read(&path).unwrap()
}

/// Opens and verifies.
pub fn check(bytes: Vec<u8>, keys: &TrustedKeys) -> Result<VerifyReport, BundleError> {
    Bundle::from_source(Path::new("tiny.bundle"), Arc::new(bytes), keys)?.verify(1, &|_, _| {})
}

/// The members of an archive.
pub fn pieces(bytes: &[u8]) -> Vec<Piece> {
    let mut archive = tar::Archive::new(bytes);
    let entries = archive.entries().unwrap();
    let piece = |entry: tar::Entry<'_, &[u8]>| {
        let start = usize::try_from(entry.raw_header_position()).unwrap();
        let size = usize::try_from(entry.size()).unwrap();
        let end = start + BLOCK + size.next_multiple_of(BLOCK);
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        Piece { name, bytes: bytes[start..end].to_vec() }
    };
    entries.map(|entry| piece(entry.unwrap())).collect()
}

/// An archive of these members.
pub fn join(pieces: &[Piece]) -> Vec<u8> {
    let mut bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes.clone()).collect();
    bytes.resize(bytes.len() + 2 * BLOCK, 0);
    bytes
}

/// A well-formed member of any name.
pub fn piece(name: &str, content: &[u8]) -> Piece {
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    Piece { name: name.to_owned(), bytes }
}

/// This piece with a changed, well-formed tar header.
pub fn with_header(piece: &Piece, change: impl FnOnce(&mut tar::Header)) -> Piece {
    let mut header = tar::Header::from_byte_slice(&piece.bytes[..BLOCK]).clone();
    change(&mut header);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend(&piece.bytes[BLOCK..]);
    Piece { name: piece.name.clone(), bytes }
}
