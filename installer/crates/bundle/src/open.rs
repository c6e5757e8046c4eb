//! Opens a bundle: nothing is believed before the signature over the index matches, and after it only what the index
//! leads to by digest.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::check;
use crate::digest::digest_of;
use crate::document::{API_VERSION, BundleDocument, DOCUMENT_ARTIFACT_TYPE};
use crate::error::{BundleError, DamageKind};
use crate::inspect::{Archive, damaged};
use crate::layout;
use crate::member::{BLOCK, FoundHeader, Member, MemberList, header, padding_length};
use crate::oci::{Descriptor, Index, Manifest};
use crate::parcel::Parcel;
use crate::parts;
use crate::signature::{SignatureText, TrustedKey, TrustedKeys};
use crate::source::{Source, read_full};

/// Largest `index.json`.
pub(crate) const INDEX_LIMIT: u64 = 16 << 20;
/// Largest signature file.
const SIGNATURE_LIMIT: u64 = 4 << 10;
/// Largest manifest or config of the document.
const MANIFEST_LIMIT: u64 = 1 << 20;
/// Largest bundle document, and largest blob read into memory.
pub(crate) const DOCUMENT_LIMIT: u64 = 64 << 20;
/// How every version of [`DOCUMENT_ARTIFACT_TYPE`] starts.
const ARTIFACT_TYPE_FAMILY: &str = "application/vnd.sealift.bundle.v";

/// Everything that opening learns; nobody may have vouched for it where there is no key.
pub(crate) struct Opened<K = TrustedKey> {
    pub(crate) index_json: String,
    pub(crate) signature: SignatureText,
    pub(crate) key: K,
    pub(crate) document: BundleDocument,
    pub(crate) members: MemberList,
}

/// Reads and checks everything up to the document, then the archive's size.
pub(crate) fn open(path: &Path, source: &Arc<dyn Source>, keys: &TrustedKeys) -> Result<Opened, BundleError> {
    let bytes = source.as_ref();
    let opened = front(path, source, keys).map_err(|error| parts::explain_front(bytes, error))?;
    parts::check(bytes, &opened.members)?;
    check_size(path, bytes, &opened.members)?;
    Ok(opened)
}

/// Refuses parts of which one is missing, cut short or not in its place, and what is neither bundle nor parcel. It goes
/// by their own contents list, which nobody vouches for here: whoever joins parts needs no key.
#[cfg(feature = "write")]
pub(crate) fn complete(path: &Path, source: &Arc<dyn Source>) -> Result<(), BundleError> {
    let bytes = source.as_ref();
    match contents(path, source, |_, _| Ok(())) {
        Ok(opened) => parts::check(bytes, &opened.members),
        // To say so, it was looked at in the same way.
        Err(BundleError::Parcel { .. }) => Ok(()),
        Err(error) => Err(parts::explain_front(bytes, error)),
    }
}

/// Reads and checks everything up to the document.
pub(crate) fn front(
    path: &Path,
    source: &Arc<dyn Source>,
    keys: &TrustedKeys,
) -> Result<Opened, BundleError> {
    contents(path, source, |index_json, signature| keys.verify(path, index_json, signature).cloned())
}

/// Reads everything up to the document; `vouch` has its say before the index is believed.
fn contents<K>(
    path: &Path,
    source: &Arc<dyn Source>,
    vouch: impl FnOnce(&[u8], &SignatureText) -> Result<K, BundleError>,
) -> Result<Opened<K>, BundleError> {
    read_contents(path, source.as_ref(), vouch).map_err(|error| match error {
        BundleError::Unsigned { .. } => unsigned(path, source, error),
        other => other,
    })
}

/// Parcels are not signed, but no bundles that lost their signature either.
fn unsigned(path: &Path, source: &Arc<dyn Source>, error: BundleError) -> BundleError {
    match Parcel::from_source(path, Arc::clone(source)) {
        Ok(parcel) => BundleError::Parcel { path: path.to_owned(), kind: parcel.document().kind },
        Err(BundleError::NotAParcel { .. } | BundleError::Malformed { .. }) => error,
        Err(damaged) => damaged,
    }
}

fn read_contents<K>(
    path: &Path,
    source: &dyn Source,
    vouch: impl FnOnce(&[u8], &SignatureText) -> Result<K, BundleError>,
) -> Result<Opened<K>, BundleError> {
    let (mut front, Signed { index_json, signature, key }) = read_signed(path, source, vouch)?;
    let index: Index = front.parse(index_json.as_bytes(), "index.json")?;
    let document = front.document(&index)?;
    let mut members = front.members;
    for blob in &document.blobs {
        let name = layout::blob_name(&blob.digest).map_err(|error| check::odd_digest(path, &error))?;
        members.push(name, blob.digest.clone(), blob.size).map_err(|size| {
            let what = format!("blob {}", blob.digest);
            BundleError::TooLarge { path: path.to_owned(), what, size, limit: crate::member::MAX_SIZE }
        })?;
    }
    check::contents(path, &document, &index, members.as_slice())?;
    Ok(Opened { index_json, signature, key, document, members })
}

/// The index, which is believed from here on.
pub(crate) struct Signed<K = TrustedKey> {
    pub(crate) index_json: String,
    signature: SignatureText,
    key: K,
}

/// Reads the index and checks its signature, and nothing of what the index leads to.
pub(crate) fn signed<'a>(
    path: &'a Path,
    source: &'a dyn Source,
    keys: &TrustedKeys,
) -> Result<(Front<'a>, Signed), BundleError> {
    read_signed(path, source, |index_json, signature| keys.verify(path, index_json, signature).cloned())
}

fn read_signed<'a, K>(
    path: &'a Path,
    source: &'a dyn Source,
    vouch: impl FnOnce(&[u8], &SignatureText) -> Result<K, BundleError>,
) -> Result<(Front<'a>, Signed<K>), BundleError> {
    let names = [layout::LAYOUT_FILE, layout::INDEX_FILE, layout::SIGNATURE_FILE].map(str::to_owned).to_vec();
    let mut front = Front::new(path, source, names);
    front.layout_file()?;
    let index_json = front.announced_member(layout::INDEX_FILE, INDEX_LIMIT)?;
    let signature = front.signature_file()?;
    let key = vouch(&index_json, &signature)?;
    let index_json = String::from_utf8(index_json)
        .map_err(|_| front.inconsistent("index.json is not UTF-8 text".to_owned()))?;
    Ok((front, Signed { index_json, signature, key }))
}

/// The names of `members`.
pub(crate) fn names(members: &MemberList) -> Vec<String> {
    members.as_slice().iter().map(|member| member.name.clone()).collect()
}

/// Refuses an archive that is too short or too long, and finds out which member is missing or too many.
fn check_size(path: &Path, source: &dyn Source, members: &MemberList) -> Result<(), BundleError> {
    let size = members.total();
    if source.size() == size {
        return Ok(());
    }
    let names = names(members);
    let archive = Archive { path, source, names: &names, size: Some(size) };
    let mut block = [0; BLOCK];
    for (index, member) in members.as_slice().iter().enumerate() {
        let count = read_full(source, &mut block, member.offset).map_err(|source| BundleError::Read {
            path: path.to_owned(),
            offset: member.offset,
            source,
        })?;
        if count < BLOCK || block != member.header() {
            return Err(archive.explain(index, member.offset));
        }
    }
    Err(archive.explain_end(members.end(), size))
}

/// The members in front, read one after the other.
pub(crate) struct Front<'a> {
    path: &'a Path,
    source: &'a dyn Source,
    /// Names of the members known so far.
    names: Vec<String>,
    pub(crate) members: MemberList,
}

impl<'a> Front<'a> {
    /// Reads `source`, whose first members have these names.
    pub(crate) fn new(path: &'a Path, source: &'a dyn Source, names: Vec<String>) -> Self {
        Self { path, source, names, members: MemberList::default() }
    }

    /// Reads and checks the first member.
    pub(crate) fn layout_file(&mut self) -> Result<(), BundleError> {
        let expected = layout::LAYOUT_CONTENT.as_bytes();
        let mut block = [0; BLOCK];
        let count = self.read(&mut block, 0)?;
        if count < BLOCK || block != header(layout::LAYOUT_FILE, expected.len() as u64) {
            return Err(self.archive().explain_start());
        }
        let content = self.content(layout::LAYOUT_FILE, expected.len() as u64)?;
        if content == expected {
            return Ok(());
        }
        let (offset, size) = (BLOCK as u64, expected.len() as u64);
        Err(damaged(self.path, layout::LAYOUT_FILE, offset, size, DamageKind::Content))
    }

    fn signature_file(&mut self) -> Result<SignatureText, BundleError> {
        let bytes = self.announced_member(layout::SIGNATURE_FILE, SIGNATURE_LIMIT)?;
        std::str::from_utf8(&bytes)
            .map_err(|_| "it is not text")
            .and_then(SignatureText::parse)
            .map_err(|reason| BundleError::MalformedSignature { path: self.path.to_owned(), reason })
    }

    /// Reads the member whose size only its own header tells.
    pub(crate) fn announced_member(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, BundleError> {
        let offset = self.members.end();
        let mut block = [0; BLOCK];
        let count = self.read(&mut block, offset)?;
        let size = FoundHeader::parse(&block).filter(|_| count == BLOCK).map_or(0, |found| found.size);
        if block != header(name, size) {
            return Err(self.archive().explain(self.members.as_slice().len(), offset));
        }
        self.limit(name, size, limit)?;
        self.content(name, size)
    }

    /// Reads a blob that a checked descriptor names.
    pub(crate) fn blob(&mut self, blob: &Descriptor, what: &str, limit: u64) -> Result<Vec<u8>, BundleError> {
        let name = layout::blob_name(&blob.digest).map_err(|error| check::odd_digest(self.path, &error))?;
        self.limit(what, blob.size, limit)?;
        let (index, offset) = (self.members.as_slice().len(), self.members.end());
        self.names.push(name.clone());
        let mut block = [0; BLOCK];
        let count = self.read(&mut block, offset)?;
        if count < BLOCK || block != header(&name, blob.size) {
            return Err(self.archive().explain(index, offset));
        }
        let content = self.content(&name, blob.size)?;
        if digest_of(&content) == blob.digest {
            return Ok(content);
        }
        Err(damaged(self.path, &name, offset + BLOCK as u64, blob.size, DamageKind::Content))
    }

    /// Reads content and padding behind a checked header, and enters the member.
    fn content(&mut self, name: &str, size: u64) -> Result<Vec<u8>, BundleError> {
        let start = self.members.end() + BLOCK as u64;
        let padding = padding_length(size);
        let length = usize::try_from(size).unwrap_or(usize::MAX);
        // Checked before anything is allocated: the limit alone would let a tiny file ask for a lot.
        if self.source.size() < start + size + padding as u64 {
            return Err(self.archive().truncated());
        }
        let mut content = vec![0; length + padding];
        if self.read(&mut content, start)? < content.len() {
            return Err(self.archive().truncated());
        }
        if content[length..].iter().any(|byte| *byte != 0) {
            return Err(damaged(self.path, name, start + size, padding as u64, DamageKind::Padding));
        }
        content.truncate(length);
        self.members.push(name.to_owned(), digest_of(&content), size).map_err(|size| {
            BundleError::TooLarge {
                path: self.path.to_owned(),
                what: name.to_owned(),
                size,
                limit: crate::member::MAX_SIZE,
            }
        })?;
        Ok(content)
    }

    /// Finds and reads the bundle document through its manifest.
    fn document(&mut self, index: &Index) -> Result<BundleDocument, BundleError> {
        let entry = self.document_entry(index)?;
        let manifest = self.blob(entry, "the document's manifest", MANIFEST_LIMIT)?;
        let manifest: Manifest = self.parse(&manifest, "the document's manifest")?;
        let [layer] = manifest.layers.as_slice() else {
            let count = manifest.layers.len();
            return Err(self.inconsistent(format!("the document's manifest has {count} layers, not one")));
        };
        self.blob(&manifest.config, "the document's config", MANIFEST_LIMIT)?;
        let document = self.blob(layer, "the bundle document", DOCUMENT_LIMIT)?;
        let what = "the bundle document";
        let version: Version = self.parse(&document, what)?;
        if version.api_version != API_VERSION {
            return Err(self.newer(version.api_version));
        }
        self.parse(&document, what)
    }

    fn document_entry<'i>(&self, index: &'i Index) -> Result<&'i Descriptor, BundleError> {
        let of_type = |entry: &Descriptor, wanted: &str| entry.artifact_type.as_deref() == Some(wanted);
        let mut own = index.manifests.iter().filter(|entry| of_type(entry, DOCUMENT_ARTIFACT_TYPE));
        match (own.next(), own.next()) {
            (Some(entry), None) => Ok(entry),
            (Some(_), Some(_)) => {
                Err(self.inconsistent("index.json names more than one bundle document".to_owned()))
            }
            (None, _) => {
                let mut types = index.manifests.iter().filter_map(|entry| entry.artifact_type.as_ref());
                Err(match types.find(|kind| kind.starts_with(ARTIFACT_TYPE_FAMILY)) {
                    Some(newer) => self.newer(newer.clone()),
                    None => self.inconsistent("index.json names no bundle document".to_owned()),
                })
            }
        }
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> Result<usize, BundleError> {
        read_full(self.source, buffer, offset).map_err(|source| BundleError::Read {
            path: self.path.to_owned(),
            offset,
            source,
        })
    }

    pub(crate) fn parse<T: DeserializeOwned>(
        &self,
        content: &[u8],
        what: &'static str,
    ) -> Result<T, BundleError> {
        serde_json::from_slice(content).map_err(|source| BundleError::Malformed {
            path: self.path.to_owned(),
            what,
            source,
        })
    }

    fn limit(&self, what: &str, size: u64, limit: u64) -> Result<(), BundleError> {
        if size <= limit {
            return Ok(());
        }
        Err(BundleError::TooLarge { path: self.path.to_owned(), what: what.to_owned(), size, limit })
    }

    fn newer(&self, found: String) -> BundleError {
        BundleError::NewerFormat { path: self.path.to_owned(), found, supported: API_VERSION }
    }

    fn inconsistent(&self, what: String) -> BundleError {
        BundleError::Inconsistent { path: self.path.to_owned(), what }
    }

    fn archive(&self) -> Archive<'_> {
        Archive { path: self.path, source: self.source, names: &self.names, size: None }
    }
}

/// What every version of the document has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    api_version: String,
}

/// The blobs among `members`: all but the three in front.
pub(crate) fn blobs(members: &[Member]) -> &[Member] {
    members.get(3..).unwrap_or(&[])
}
