//! Packs a bundle: the vendor's half of the format.
//!
//! The same document, entries and blobs give the same bytes, whatever order they are added in.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::check;
use crate::digest::{Hasher, InvalidDigest, digest_of};
use crate::document::{BlobEntry, BundleDocument, DOCUMENT_ARTIFACT_TYPE, Product};
use crate::error::BundleError;
use crate::layout;
use crate::member::{MAX_SIZE, Member, MemberList};
use crate::oci::{Descriptor, EMPTY_CONTENT, Index, MANIFEST_MEDIA_TYPE, Manifest, REF_NAME};
use crate::open::{DOCUMENT_LIMIT, INDEX_LIMIT};
use crate::output::Output;
use crate::signature::SignatureText;
use crate::source::{Source as _, read_full};
use crate::workers;

mod growing;
mod prove;

use growing::Growing;

/// How much of a file is copied at once: small enough to stay in the processor's own cache until it is written.
const PIECE: usize = 1 << 18;

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
    /// A file whose content the caller has hashed in this run, while it wrote it, and which nobody has touched since: where
    /// the bundle is proved, these bytes are not hashed a second time.
    Hashed(PathBuf),
    /// In memory.
    Bytes(Vec<u8>),
}

/// Why packing failed. Nothing is left behind then, and an older file of the target's name is untouched.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A blob's name is no digest.
    #[error(transparent)]
    InvalidDigest(#[from] InvalidDigest),
    /// One digest, two sizes.
    #[error("blob {digest} was added with {first} bytes and with {second} bytes")]
    SizeConflict {
        /// Which blob.
        digest: String,
        /// Bytes, the first time.
        first: u64,
        /// Bytes, another time.
        second: u64,
    },
    /// A blob's source is not what its digest says.
    #[error("{from}: not blob {digest}: its content has digest {found}")]
    Content {
        /// Which blob it should be.
        digest: String,
        /// Where it was read.
        from: String,
        /// What it is.
        found: String,
    },
    /// A blob's source has another length.
    #[error("{from}: not blob {digest}: it has {found} bytes, not {expected}")]
    Size {
        /// Which blob it should be.
        digest: String,
        /// Where it was read.
        from: String,
        /// Bytes it should have.
        expected: u64,
        /// Bytes it has.
        found: u64,
    },
    /// A blob's source cannot be read.
    #[error("{}: cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The target cannot be written.
    #[error("{}: cannot be written", .path.display())]
    Write {
        /// The target.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The signer failed.
    #[error("index.json cannot be signed")]
    Sign {
        /// What the signer said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The signer's text is no signature.
    #[error("the signer's text is not a minisign signature: {reason}")]
    Signature {
        /// What is wrong.
        reason: &'static str,
    },
    /// The document or index cannot be written as JSON.
    #[error("{what} cannot be written as JSON")]
    Json {
        /// Which part.
        what: &'static str,
        /// What the serializer said.
        source: serde_json::Error,
    },
    /// A reader would refuse it.
    #[error("no installer would accept this bundle")]
    Refused {
        /// As what it would be refused.
        source: Box<BundleError>,
    },
    /// What was written is not what was meant.
    #[error("what was written does not verify")]
    Proof {
        /// As what a reader would refuse it.
        source: Box<BundleError>,
    },
}

/// What was written.
#[derive(Debug, Clone)]
pub struct Packed {
    /// Bytes of the file.
    pub size: u64,
    /// The signed index.
    pub index_json: String,
    /// The document as packed, its list of blobs filled in.
    pub document: BundleDocument,
    /// All blobs in member order, the document's own three first.
    pub blobs: Vec<BlobEntry>,
}

/// The trusted comment that signers put under a bundle's signature.
#[must_use]
pub fn trusted_comment(product: &Product) -> String {
    format!("product:{}\tversion:{}\tserial:{}", product.name, product.version, product.serial)
}

/// Collects what goes into a bundle, then packs it.
#[derive(Debug)]
pub struct BundleWriter {
    document: BundleDocument,
    entries: Vec<Descriptor>,
    blobs: BTreeMap<String, Blob>,
}

#[derive(Debug)]
struct Blob {
    size: u64,
    group: BlobGroup,
    content: BlobContent,
}

impl BundleWriter {
    /// Starts with the document; its list of blobs is filled in when packing.
    #[must_use]
    pub fn new(document: BundleDocument) -> Self {
        Self { document, entries: Vec::new(), blobs: BTreeMap::new() }
    }

    /// Adds an entry of `index.json`: the manifest of an image (annotated with [`REF_NAME`]), chart or file. The
    /// document's own entry is added by itself.
    pub fn add_entry(&mut self, descriptor: Descriptor) {
        self.entries.push(descriptor);
    }

    /// Adds a blob of `size` bytes. Adding one again is fine, since images share layers.
    ///
    /// # Errors
    /// When `digest` is not a digest, or the blob was added before with another size.
    pub fn add_blob(
        &mut self,
        digest: &str,
        size: u64,
        group: BlobGroup,
        content: BlobContent,
    ) -> Result<(), WriteError> {
        crate::digest::hex(digest)?;
        let blob = self.blobs.entry(digest.to_owned()).or_insert(Blob { size, group, content });
        if blob.size != size {
            return Err(WriteError::SizeConflict {
                digest: digest.to_owned(),
                first: blob.size,
                second: size,
            });
        }
        // The order of adding must not show.
        blob.group = blob.group.min(group);
        Ok(())
    }

    /// Adds bytes, and says their digest.
    ///
    /// # Errors
    /// As [`BundleWriter::add_blob`].
    pub fn add_bytes(&mut self, group: BlobGroup, content: Vec<u8>) -> Result<String, WriteError> {
        let digest = digest_of(&content);
        self.add_blob(&digest, content.len() as u64, group, BlobContent::Bytes(content))?;
        Ok(digest)
    }

    /// Writes the bundle to `target`: into a temporary file beside it, synced, then renamed. Up to `threads` blobs are
    /// copied and hashed at once; `progress` gets bytes done and bytes in all, from any thread. `sign` gets the bytes of
    /// `index.json` and gives the text of a minisign signature file; for identical bundles it must be deterministic.
    ///
    /// # Errors
    /// When a blob's source is not what its digest says, parts contradict each other, signing or writing fails.
    pub fn pack<E>(
        self,
        target: &Path,
        threads: usize,
        progress: &(dyn Fn(u64, u64) + Sync),
        sign: impl FnOnce(&[u8]) -> Result<String, E>,
    ) -> Result<Packed, WriteError>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let cannot = |source| WriteError::Write { path: target.to_owned(), source };
        let prepared = self.prepare(target, sign)?;
        let output = Output::sized(target, prepared.members.total()).map_err(cannot)?;
        write_file(target, output.file(), &prepared, threads, progress, None)?;
        output.finish().map_err(cannot)?;
        Ok(prepared.packed)
    }

    /// Everything that is written, signed.
    fn prepare<E>(
        self,
        target: &Path,
        sign: impl FnOnce(&[u8]) -> Result<String, E>,
    ) -> Result<Prepared, WriteError>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let assembled = self.assemble(target)?;
        let signature = sign(assembled.index_json.as_bytes())
            .map_err(|error| WriteError::Sign { source: error.into() })
            .and_then(|text| {
                SignatureText::rewrite(&text).map_err(|reason| WriteError::Signature { reason })
            })?;
        let (members, contents) = assembled.members(target, &signature.text)?;
        let blobs = crate::open::blobs(members.as_slice())
            .iter()
            .map(|member| BlobEntry { digest: member.digest.clone(), size: member.size })
            .collect();
        let packed = Packed {
            size: members.total(),
            index_json: assembled.index_json,
            document: assembled.document,
            blobs,
        };
        Ok(Prepared { packed, members, contents })
    }

    /// As [`BundleWriter::pack`], but the content of files stays a hole: a bundle of any size for tests and benches of
    /// whatever reads no content.
    #[cfg(feature = "testing")]
    pub(crate) fn pack_hollow(
        self,
        target: &Path,
        sign: impl FnOnce(&[u8]) -> String,
    ) -> Result<(), WriteError> {
        let cannot = |source| WriteError::Write { path: target.to_owned(), source };
        let assembled = self.assemble(target)?;
        let signature = SignatureText::rewrite(&sign(assembled.index_json.as_bytes()))
            .map_err(|reason| WriteError::Signature { reason })?;
        let (members, contents) = assembled.members(target, &signature.text)?;
        let output = Output::sized(target, members.total()).map_err(cannot)?;
        for (member, content) in members.as_slice().iter().zip(&contents) {
            output.file().write_all_at(&member.header(), member.offset).map_err(cannot)?;
            if let BlobContent::Bytes(bytes) = content {
                output.file().write_all_at(bytes, member.content()).map_err(cannot)?;
            }
        }
        output.finish().map_err(cannot)
    }

    /// Puts the members in order and writes document and index.
    fn assemble(mut self, target: &Path) -> Result<Assembled, WriteError> {
        // The document's config; artifacts without a config share it.
        self.blobs.remove(&digest_of(EMPTY_CONTENT));
        let mut order: Vec<(BlobGroup, String)> =
            self.blobs.iter().map(|(digest, blob)| (blob.group, digest.clone())).collect();
        order.sort();
        let sizes = |digest: &String| self.blobs.get(digest).map_or(0, |blob| blob.size);
        self.document.blobs =
            order.into_iter().map(|(_, digest)| BlobEntry { size: sizes(&digest), digest }).collect();
        let document = json(&self.document, "the bundle document")?;
        let layer = Descriptor::of(DOCUMENT_ARTIFACT_TYPE, &document);
        let manifest = Manifest::artifact(DOCUMENT_ARTIFACT_TYPE, vec![layer]);
        let manifest = json(&manifest, "the document's manifest")?;
        let mut entry = Descriptor::of(MANIFEST_MEDIA_TYPE, &manifest);
        entry.artifact_type = Some(DOCUMENT_ARTIFACT_TYPE.to_owned());
        let key = |entry: &Descriptor| (entry.annotations.get(REF_NAME).cloned(), entry.digest.clone());
        self.entries.sort_by_key(key);
        self.entries.dedup();
        self.entries.insert(0, entry);
        let index = Index::new(self.entries);
        let index_json = json(&index, "index.json")?;
        limit(target, "index.json", index_json.len() as u64, INDEX_LIMIT)?;
        limit(target, "the bundle document", document.len() as u64, DOCUMENT_LIMIT)?;
        Ok(Assembled {
            index,
            index_json: String::from_utf8_lossy(&index_json).into_owned(),
            own: [manifest, EMPTY_CONTENT.to_vec(), document],
            document: self.document,
            blobs: self.blobs,
        })
    }
}

/// What will stand in the file.
struct Prepared {
    packed: Packed,
    members: MemberList,
    /// Of each member.
    contents: Vec<BlobContent>,
}

/// Everything but the signature.
struct Assembled {
    index: Index,
    index_json: String,
    /// The document's manifest, config and layer.
    own: [Vec<u8>; 3],
    document: BundleDocument,
    blobs: BTreeMap<String, Blob>,
}

impl Assembled {
    /// The members and the content of each.
    fn members(&self, target: &Path, signature: &str) -> Result<(MemberList, Vec<BlobContent>), WriteError> {
        let mut members = MemberList::default();
        let mut contents = Vec::new();
        let mut push = |name: String, digest: String, size: u64, content: BlobContent| {
            contents.push(content);
            // With this member the bundle as a whole is too large, whatever its own size.
            members.push(name, digest, size).map_err(|size| {
                too_large(target, "the bundle", size.saturating_add(members.total()), MAX_SIZE)
            })
        };
        let texts = [
            (layout::LAYOUT_FILE, layout::LAYOUT_CONTENT),
            (layout::INDEX_FILE, &self.index_json),
            (layout::SIGNATURE_FILE, signature),
        ];
        for (name, text) in texts {
            let content = text.as_bytes().to_vec();
            push(name.to_owned(), digest_of(&content), content.len() as u64, BlobContent::Bytes(content))?;
        }
        for own in &self.own {
            let digest = digest_of(own);
            push(layout::blob_name(&digest)?, digest, own.len() as u64, BlobContent::Bytes(own.clone()))?;
        }
        for entry in &self.document.blobs {
            if let Some(blob) = self.blobs.get(&entry.digest) {
                push(
                    layout::blob_name(&entry.digest)?,
                    entry.digest.clone(),
                    blob.size,
                    blob.content.clone(),
                )?;
            }
        }
        check::contents(target, &self.document, &self.index, members.as_slice()).map_err(refused)?;
        Ok((members, contents))
    }
}

/// Writes all members at their places in `file`; what is in memory first, since a reader begins there, then the largest: no
/// thread is left alone with a large one at the end. Content of files is hashed on the way, unless there is a `reader` who
/// does that.
fn write_file(
    target: &Path,
    file: &File,
    prepared: &Prepared,
    threads: usize,
    progress: &(dyn Fn(u64, u64) + Sync),
    reader: Option<&Growing>,
) -> Result<(), WriteError> {
    let (done, total) = (AtomicU64::new(0), prepared.members.total());
    let copy = Copy { file, target, done, total, progress, reader };
    let mut items: Vec<(&Member, &BlobContent)> =
        prepared.members.as_slice().iter().zip(&prepared.contents).collect();
    items.sort_by_key(|(member, content)| (!matches!(content, BlobContent::Bytes(_)), Reverse(member.size)));
    workers::try_for_each(threads, &items, |(member, content), buffer| copy.member(member, content, buffer))?;
    copy.advance(total - copy.done.load(Ordering::Relaxed));
    Ok(())
}

/// Copies members into the file.
struct Copy<'a> {
    file: &'a File,
    target: &'a Path,
    done: AtomicU64,
    total: u64,
    progress: &'a (dyn Fn(u64, u64) + Sync),
    /// Who reads meanwhile what is written, and hashes it.
    reader: Option<&'a Growing>,
}

impl Copy<'_> {
    fn member(&self, member: &Member, content: &BlobContent, buffer: &mut [u8]) -> Result<(), WriteError> {
        self.write(member, &member.header(), member.offset)?;
        match content {
            BlobContent::Bytes(bytes) => self.bytes(member, bytes)?,
            BlobContent::File(path) | BlobContent::Hashed(path) => {
                self.file(member, path, &mut buffer[..PIECE])?;
            }
        }
        // The padding is there from the beginning.
        self.wrote(member, member.end());
        Ok(())
    }

    fn wrote(&self, member: &Member, end: u64) {
        if let Some(reader) = self.reader {
            reader.wrote(member, end);
        }
    }

    fn bytes(&self, member: &Member, bytes: &[u8]) -> Result<(), WriteError> {
        let from = "bytes in memory";
        same_size(member, from, bytes.len() as u64)?;
        same_digest(member, from, digest_of(bytes))?;
        self.write(member, bytes, member.content())
    }

    /// Through our own memory: members begin at multiples of 512 bytes, so that no file system can share their blocks with
    /// the source, and where the kernel must copy, it does so in smaller pieces and takes longer.
    fn file(&self, member: &Member, path: &Path, buffer: &mut [u8]) -> Result<(), WriteError> {
        let cannot = |source| WriteError::Read { path: path.to_owned(), source };
        let from = path.display().to_string();
        let not_a_file = || io::Error::other("not a regular file");
        if !fs::metadata(path).map_err(cannot)?.is_file() {
            return Err(cannot(not_a_file()));
        }
        let source = File::open(path).and_then(crate::source::FileSource::new).map_err(cannot)?;
        same_size(member, &from, source.size())?;
        let mut hasher = Hasher::new();
        let mut position = 0;
        while position < member.size {
            let length = usize::try_from(member.size - position).unwrap_or(usize::MAX).min(buffer.len());
            let piece = &mut buffer[..length];
            if read_full(&source, piece, position).map_err(cannot)? < length {
                return Err(cannot(io::ErrorKind::UnexpectedEof.into()));
            }
            if self.reader.is_none() {
                hasher.update(piece);
            }
            self.write(member, piece, member.content() + position)?;
            position += length as u64;
        }
        if self.reader.is_none() { same_digest(member, &from, hasher.finish()) } else { Ok(()) }
    }

    fn write(&self, member: &Member, bytes: &[u8], offset: u64) -> Result<(), WriteError> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|source| WriteError::Write { path: self.target.to_owned(), source })?;
        self.wrote(member, offset + bytes.len() as u64);
        self.advance(bytes.len() as u64);
        Ok(())
    }

    fn advance(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (self.progress)(done, self.total);
    }
}

fn same_size(member: &Member, from: &str, found: u64) -> Result<(), WriteError> {
    if found == member.size {
        return Ok(());
    }
    let (digest, expected) = (member.digest.clone(), member.size);
    Err(WriteError::Size { digest, from: from.to_owned(), expected, found })
}

fn same_digest(member: &Member, from: &str, found: String) -> Result<(), WriteError> {
    if found == member.digest {
        return Ok(());
    }
    Err(WriteError::Content { digest: member.digest.clone(), from: from.to_owned(), found })
}

fn json(value: &impl serde::Serialize, what: &'static str) -> Result<Vec<u8>, WriteError> {
    serde_json::to_vec(value).map_err(|source| WriteError::Json { what, source })
}

fn limit(target: &Path, what: &str, size: u64, limit: u64) -> Result<(), WriteError> {
    if size <= limit { Ok(()) } else { Err(too_large(target, what, size, limit)) }
}

fn too_large(target: &Path, what: &str, size: u64, limit: u64) -> WriteError {
    refused(BundleError::TooLarge { path: target.to_owned(), what: what.to_owned(), size, limit })
}

fn refused(error: BundleError) -> WriteError {
    WriteError::Refused { source: Box::new(error) }
}
