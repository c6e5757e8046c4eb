//! An opened bundle.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::digest::digest_of;
use crate::document::{BlobEntry, BundleDocument};
use crate::error::{BundleError, Damage};
use crate::member::{Member, MemberList};
use crate::open::{self, DOCUMENT_LIMIT, Opened};
use crate::parts;
use crate::remains::Remains;
use crate::signature::{SignatureText, TrustedKey, TrustedKeys};
use crate::source::Source;
use crate::usage;
use crate::verify::{Check, VerifyReport};

/// A bundle whose signature, index and document are checked. Its other blobs are read, and checked, on demand.
pub struct Bundle {
    path: PathBuf,
    source: Arc<dyn Source>,
    index_json: String,
    signature: SignatureText,
    key: TrustedKey,
    document: BundleDocument,
    members: MemberList,
    blobs: Vec<BlobEntry>,
    /// Digest to place among the members.
    places: BTreeMap<String, usize>,
}

impl Bundle {
    /// Opens a bundle: checks the signature over its index, reads the document, and compares the file's size with what
    /// the document says. Content is checked by [`Bundle::verify`].
    ///
    /// A split bundle is opened by its first part, or by the name that the parts share, and read where it lies.
    ///
    /// # Errors
    /// Every refusal that shows without reading the blobs.
    pub fn open(path: &Path, keys: &TrustedKeys) -> Result<Self, BundleError> {
        Self::from_source(path, parts::open(path)?, keys)
    }

    /// Opens a bundle whose bytes come from anywhere; `path` is for messages.
    ///
    /// # Errors
    /// As [`Bundle::open`].
    pub fn from_source(
        path: &Path,
        source: Arc<dyn Source>,
        keys: &TrustedKeys,
    ) -> Result<Self, BundleError> {
        let opened = open::open(path, &source, keys)?;
        Ok(Self::from_opened(path, source, opened))
    }

    /// Opens what is left of a bundle, whatever its length and whichever parts are there: only what it is must be
    /// readable. The rest shows in [`Bundle::damage`] and when blobs are read.
    ///
    /// # Errors
    /// When there is nothing, or its index, signature or document cannot be read or believed.
    pub fn open_damaged(path: &Path, keys: &TrustedKeys) -> Result<Self, BundleError> {
        let remains = Remains::find(path)?;
        let opened = open::front(path, &remains.source(None)?, keys)?;
        let source = remains.source(Some(opened.members.total()))?;
        Ok(Self::from_opened(path, source, opened))
    }

    /// What lies at `path`, taken for a damaged copy of this bundle; or what speaks against taking it for one.
    ///
    /// # Errors
    /// When there is nothing, or it cannot be opened.
    #[cfg(feature = "write")]
    pub(crate) fn damaged_copy(
        &self,
        path: &Path,
        keys: &TrustedKeys,
    ) -> Result<Result<Self, &'static str>, BundleError> {
        let source = Remains::find(path)?.source(Some(self.size()))?;
        if let Some(reason) = crate::resemblance::against(self, path, source.as_ref(), keys) {
            return Ok(Err(reason));
        }
        Ok(Ok(Self::from_opened(path, source, self.opened())))
    }

    #[cfg(feature = "write")]
    fn opened(&self) -> Opened {
        Opened {
            index_json: self.index_json.clone(),
            signature: self.signature.clone(),
            key: self.key.clone(),
            document: self.document.clone(),
            members: self.members.clone(),
        }
    }

    /// A bundle of which only the members in front are there: what it is, and what must be in it.
    pub(crate) fn contents_only(
        path: &Path,
        front: Vec<u8>,
        keys: &TrustedKeys,
    ) -> Result<Self, BundleError> {
        let source: Arc<dyn Source> = Arc::new(front);
        let opened = open::front(path, &source, keys)?;
        Ok(Self::from_opened(path, source, opened))
    }

    fn from_opened(path: &Path, source: Arc<dyn Source>, opened: Opened) -> Self {
        let members = opened.members;
        let entry = |member: &Member| BlobEntry { digest: member.digest.clone(), size: member.size };
        let blobs: Vec<BlobEntry> = open::blobs(members.as_slice()).iter().map(entry).collect();
        let front = members.as_slice().len() - blobs.len();
        let places = blobs.iter().enumerate().map(|(i, blob)| (blob.digest.clone(), front + i)).collect();
        Self {
            path: path.to_owned(),
            source,
            index_json: opened.index_json,
            signature: opened.signature,
            key: opened.key,
            document: opened.document,
            members,
            blobs,
            places,
        }
    }

    /// Where it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it.
    #[must_use]
    pub fn document(&self) -> &BundleDocument {
        &self.document
    }

    /// The signed text of `index.json`.
    #[must_use]
    pub fn index_json(&self) -> &str {
        &self.index_json
    }

    /// The text of `index.json.minisig`.
    #[must_use]
    pub fn signature(&self) -> &str {
        &self.signature.text
    }

    /// The base64 line of the public key that verified it.
    #[must_use]
    pub fn public_key(&self) -> &str {
        &self.key.base64
    }

    /// Id of that key, 16 hexadecimal digits as `minisign` prints them.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key.id
    }

    /// Comment in that key's file on this side; empty where there is none.
    #[must_use]
    pub fn key_comment(&self) -> &str {
        &self.key.comment
    }

    /// What the signer wrote under the signature: product, version, serial.
    #[must_use]
    pub fn trusted_comment(&self) -> &str {
        &self.signature.trusted_comment
    }

    /// Bytes of the whole file.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.members.total()
    }

    /// All blobs in member order, the document's own three first.
    #[must_use]
    pub fn blobs(&self) -> &[BlobEntry] {
        &self.blobs
    }

    /// Reads a blob's content from byte `offset` of the blob on. What comes is not compared with the digest: whoever
    /// takes all of it must do that, see [`crate::digest::HashingReader`].
    ///
    /// # Errors
    /// When there is no such blob, or it is shorter.
    pub fn blob_reader(&self, digest: &str, offset: u64) -> Result<BlobReader, BundleError> {
        let member = self.member(digest)?;
        if offset > member.size {
            return Err(BundleError::BehindBlob {
                path: self.path.clone(),
                digest: digest.to_owned(),
                size: member.size,
                offset,
            });
        }
        let position = member.content() + offset;
        Ok(BlobReader::new(Arc::clone(&self.source), position, member.padding()))
    }

    /// Reads a small blob (up to 64 MiB) and checks its digest.
    ///
    /// # Errors
    /// When there is no such blob, it is too large, cannot be read, or is damaged.
    pub fn read_blob(&self, digest: &str) -> Result<Vec<u8>, BundleError> {
        let member = self.member(digest)?;
        let (path, offset, size) = (self.path.clone(), member.content(), member.size);
        if size > DOCUMENT_LIMIT {
            let what = format!("blob {digest}, to be read into memory,");
            return Err(BundleError::TooLarge { path, what, size, limit: DOCUMENT_LIMIT });
        }
        let mut content = Vec::new();
        if let Err(source) = self.blob_reader(digest, 0)?.read_to_end(&mut content) {
            return Err(BundleError::Read { path, offset, source });
        }
        if digest_of(&content) == member.digest {
            return Ok(content);
        }
        Err(BundleError::DigestMismatch { path, digest: digest.to_owned(), offset })
    }

    /// Reads the whole file on `threads` threads and compares every byte with what index and format make it: blobs by
    /// digest, headers, padding and end literally. `progress` gets bytes done and bytes in all; it is called from all
    /// threads, calls may overtake each other.
    ///
    /// # Errors
    /// When anything differs; [`BundleError::Damaged`] lists every damaged place with its offset. `Ok` means that
    /// every byte is the expected one.
    pub fn verify(
        &self,
        threads: usize,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<VerifyReport, BundleError> {
        self.check().verify(&|_| true, threads, progress)
    }

    /// As [`Bundle::verify`], but reads only the contents that `wanted` names; headers, padding and end of all.
    #[cfg(feature = "write")]
    pub(crate) fn verify_where(
        &self,
        wanted: &(dyn Fn(&Member) -> bool + Sync),
        threads: usize,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<VerifyReport, BundleError> {
        self.check().verify(wanted, threads, progress)
    }

    /// As [`Bundle::verify`], but gives all damaged places as values, and takes what cannot be read as damaged.
    #[must_use]
    pub fn damage(&self, threads: usize, progress: &(dyn Fn(u64, u64) + Sync)) -> Vec<Damage> {
        self.check().damage(self.members.as_slice(), threads, progress)
    }

    pub(crate) fn check(&self) -> Check<'_> {
        let (path, source) = (self.path.as_path(), self.source.as_ref());
        Check { path, source, members: &self.members, uses: usage::of(&self.document) }
    }

    /// All members, the three in front of the blobs included.
    pub(crate) fn members(&self) -> &MemberList {
        &self.members
    }

    fn member(&self, digest: &str) -> Result<&Member, BundleError> {
        self.places
            .get(digest)
            .and_then(|place| self.members.as_slice().get(*place))
            .ok_or_else(|| BundleError::NoSuchBlob { path: self.path.clone(), digest: digest.to_owned() })
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle")
            .field("path", &self.path)
            .field("product", &self.document.product)
            .field("key_id", &self.key.id)
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

/// Reads one blob's content, and nothing else of the bundle.
pub struct BlobReader {
    source: Arc<dyn Source>,
    position: u64,
    end: u64,
}

impl BlobReader {
    pub(crate) fn new(source: Arc<dyn Source>, position: u64, end: u64) -> Self {
        Self { source, position, end }
    }

    /// Where the next byte stands in the file.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Reads all of it through `buffer` and compares it with `digest`; `path` is for messages.
    #[cfg(feature = "write")]
    pub(crate) fn check(mut self, path: &Path, digest: &str, buffer: &mut [u8]) -> Result<(), BundleError> {
        let offset = self.position;
        let mut hasher = crate::digest::Hasher::new();
        loop {
            let (path, offset) = (path.to_owned(), self.position);
            let count = self.read(buffer).map_err(|source| BundleError::Read { path, offset, source })?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
        }
        if hasher.finish() == digest {
            return Ok(());
        }
        Err(BundleError::DigestMismatch { path: path.to_owned(), digest: digest.to_owned(), offset })
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let length = left.min(buffer.len());
        if length == 0 {
            return Ok(0);
        }
        let count = self.source.read_at(&mut buffer[..length], self.position)?;
        if count == 0 {
            let message = format!("the bundle ends at byte {}, inside a blob", self.position);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        self.position += count as u64;
        Ok(count)
    }
}
