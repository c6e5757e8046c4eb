//! A parcel: what a bundle needs besides another one. Deltas (from an older version) and re-carry files (to mend a copy)
//! are parcels.
//!
//! Like a bundle a parcel is an OCI image layout in a tar with fixed headers and order: `oci-layout`, `index.json` with
//! one entry, that entry's manifest and config, then the manifest's layers. The layers are the parcel's document, then
//! `index.json`, its signature and the bundle document (manifest, config, layer) of the bundle that it is for, then
//! content: whole blobs under their own digest, and patches. A blob that stands there already is not written twice.
//!
//! It is not signed itself: whatever is made with it is compared with the signature of the bundle inside.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::bundle::{BlobReader, Bundle};
use crate::digest::{self, digest_of};
use crate::document::{API_VERSION, Product};
use crate::error::BundleError;
use crate::layout::{self, INDEX_FILE, LAYOUT_CONTENT, LAYOUT_FILE, SIGNATURE_FILE};
use crate::member::{MAX_SIZE, Member, MemberList, header, padding_length};
use crate::oci::{Descriptor, Index, Manifest};
use crate::open::{DOCUMENT_LIMIT, Front, INDEX_LIMIT};
use crate::parts;
use crate::signature::TrustedKeys;
use crate::source::Source;

#[cfg(feature = "write")]
pub(crate) mod write;
#[cfg(feature = "write")]
pub use write::ParcelWriteError;

/// Artifact type of a parcel's manifest, and media type of its document.
pub const PARCEL_ARTIFACT_TYPE: &str = "application/vnd.sealift.parcel.v1+json";
/// How every version of [`PARCEL_ARTIFACT_TYPE`] starts.
const ARTIFACT_TYPE_FAMILY: &str = "application/vnd.sealift.parcel.v";
/// Media type of everything else in it.
pub const CONTENT_MEDIA_TYPE: &str = "application/octet-stream";
/// Largest manifest of a parcel: about 90 000 blobs.
pub(crate) const MANIFEST_LIMIT: u64 = 16 << 20;
/// Layers in front of the content: the parcel's document, index, signature, and the bundle document's three.
const FRONT_LAYERS: usize = 6;
/// Highest zstd level that a patch may ask for, as in recipes: higher ones need hundreds of megabytes.
pub(crate) const HIGHEST_LEVEL: i32 = 19;

/// What a parcel is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParcelKind {
    /// Makes a bundle out of an older one.
    Delta,
    /// Mends a copy of the bundle.
    Recarry,
}

impl fmt::Display for ParcelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Delta => "a delta",
            Self::Recarry => "a re-carry file",
        })
    }
}

/// The parcel's own document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ParcelDocument {
    /// Always [`API_VERSION`]; anything else is a newer format.
    pub api_version: String,
    /// What it is for.
    pub kind: ParcelKind,
    /// The product of the bundle that it is for.
    pub product: Product,
    /// Digest of that bundle's `index.json`.
    pub index: String,
    /// The bundle that a delta starts from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    /// The [maker](crate::frame::maker) of the frames which patches lead to; another one may give other bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zstd: Option<String>,
    /// Blobs that are made from a blob of the older bundle.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patch>,
}

/// Names the bundle that a delta starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Base {
    /// Its product.
    pub product: Product,
    /// Digest of its `index.json`.
    pub index: String,
}

/// How to make one blob from another: see `delta`. Blobs of files are zstd frames in both bundles: the patch is for
/// what is in the frames.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Patch {
    /// Digest of the blob that comes out.
    pub digest: String,
    /// Digest of the blob of the older bundle that goes in.
    pub base: String,
    /// Digest of the patch, a layer of the parcel.
    pub patch: String,
    /// Bytes of the patch's first and second of three zstd frames: steps, differences, and then what is new.
    pub frames: [u64; 2],
    /// zstd level of the outcome, 1 to 19; none where it is no frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<i32>,
}

/// What every version of the parcel's document has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    api_version: String,
}

/// An opened parcel: its document and its list of content are read; content is checked when it is used.
pub struct Parcel {
    path: PathBuf,
    source: Arc<dyn Source>,
    document: ParcelDocument,
    members: MemberList,
    /// Digest to place among the members.
    places: BTreeMap<String, usize>,
    /// The layers in front: the bundle that it is for.
    front: Vec<Descriptor>,
}

impl Parcel {
    /// Opens a parcel, split or not.
    ///
    /// # Errors
    /// When it is none, is cut short, or contradicts itself.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        Self::from_source(path, parts::open(path)?)
    }

    /// Opens a parcel whose bytes come from anywhere; `path` is for messages.
    ///
    /// # Errors
    /// As [`Parcel::open`].
    pub fn from_source(path: &Path, source: Arc<dyn Source>) -> Result<Self, BundleError> {
        let mut front =
            Front::new(path, source.as_ref(), vec![LAYOUT_FILE.to_owned(), INDEX_FILE.to_owned()]);
        front.layout_file().map_err(|error| not_a_parcel(path, error))?;
        let index = front.announced_member(INDEX_FILE, INDEX_LIMIT)?;
        let index: Index = front.parse(&index, "index.json")?;
        let entry = only_entry(path, &index)?;
        let manifest = front.blob(entry, "the parcel's manifest", MANIFEST_LIMIT)?;
        let manifest: Manifest = front.parse(&manifest, "the parcel's manifest")?;
        front.blob(&manifest.config, "the parcel's config", INDEX_LIMIT)?;
        let (own, layers) =
            manifest.layers.split_first().ok_or_else(|| contradicts(path, "its manifest is empty"))?;
        let what = "the parcel's document";
        let document = front.blob(own, what, DOCUMENT_LIMIT)?;
        let version: Version = front.parse(&document, what)?;
        if version.api_version != API_VERSION {
            return Err(newer(path, version.api_version));
        }
        let document: ParcelDocument = front.parse(&document, what)?;
        let mut members = front.members;
        let mut places: BTreeMap<String, usize> = members
            .as_slice()
            .iter()
            .enumerate()
            .skip(2)
            .map(|(place, member)| (member.digest.clone(), place))
            .collect();
        for layer in layers {
            if !places.contains_key(&layer.digest) {
                places.insert(layer.digest.clone(), members.as_slice().len());
                push(path, &mut members, layer)?;
            }
        }
        let front = layers.iter().take(FRONT_LAYERS - 1).cloned().collect();
        let parcel = Self { path: path.to_owned(), source, document, members, places, front };
        parcel.check()?;
        Ok(parcel)
    }

    /// Whether everything that the document names is inside.
    fn check(&self) -> Result<(), BundleError> {
        parts::check(self.source.as_ref(), &self.members)?;
        let (path, total, got) = (self.path.clone(), self.members.total(), self.source.size());
        if got < total {
            return Err(BundleError::Truncated { path, expected: Some(total), got });
        }
        if got > total {
            return Err(BundleError::TrailingData { path, expected: total, got });
        }
        if (self.document.kind == ParcelKind::Delta) != self.document.base.is_some() {
            return Err(contradicts(&path, "a delta names the bundle it starts from, nothing else does"));
        }
        for patch in &self.document.patches {
            self.check_patch(patch).map_err(|what| contradicts(&path, what))?;
        }
        Ok(())
    }

    fn check_patch(&self, patch: &Patch) -> Result<(), String> {
        for digest in [&patch.digest, &patch.base] {
            digest::hex(digest).map_err(|error| error.to_string())?;
        }
        let name = &patch.patch;
        let size = self.size_of(name).ok_or_else(|| format!("patch {name} is not inside"))?;
        if patch.frames[0].checked_add(patch.frames[1]).is_none_or(|both| both > size) {
            return Err(format!("patch {name} is shorter than its frames"));
        }
        match patch.level {
            Some(level) if !(1..=HIGHEST_LEVEL).contains(&level) => {
                Err(format!("patch {name} asks for zstd level {level}, above {HIGHEST_LEVEL}"))
            }
            _ => Ok(()),
        }
    }

    /// Where it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its document.
    #[must_use]
    pub fn document(&self) -> &ParcelDocument {
        &self.document
    }

    /// Bytes of the whole file.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.members.total()
    }

    /// Bytes of the blob `digest`, where it is inside.
    #[must_use]
    pub fn size_of(&self, digest: &str) -> Option<u64> {
        Some(self.member(digest)?.size)
    }

    fn member(&self, digest: &str) -> Option<&Member> {
        self.members.as_slice().get(*self.places.get(digest)?)
    }

    /// Reads the blob `digest` from byte `offset` to its end; not compared with the digest.
    ///
    /// # Errors
    /// When there is no such blob, or it is shorter.
    pub fn blob_reader(&self, digest: &str, offset: u64) -> Result<BlobReader, BundleError> {
        let path = self.path.clone();
        let Some(member) = self.member(digest) else {
            return Err(BundleError::NoSuchBlob { path, digest: digest.to_owned() });
        };
        if offset > member.size {
            let (digest, size) = (digest.to_owned(), member.size);
            return Err(BundleError::BehindBlob { path, digest, size, offset });
        }
        Ok(BlobReader::new(Arc::clone(&self.source), member.content() + offset, member.padding()))
    }

    /// Reads a small blob and checks its digest.
    fn read_blob(&self, digest: &str) -> Result<Vec<u8>, BundleError> {
        let path = self.path.clone();
        let size = self.size_of(digest).unwrap_or(0);
        if size > DOCUMENT_LIMIT {
            let what = format!("blob {digest}, to be read into memory,");
            return Err(BundleError::TooLarge { path, what, size, limit: DOCUMENT_LIMIT });
        }
        let mut content = Vec::new();
        let mut reader = self.blob_reader(digest, 0)?;
        let offset = reader.position();
        if let Err(source) = reader.read_to_end(&mut content) {
            return Err(BundleError::Read { path, offset, source });
        }
        if digest_of(&content) == digest {
            return Ok(content);
        }
        Err(BundleError::DigestMismatch { path, digest: digest.to_owned(), offset })
    }

    /// The bundle that it is for, as far as its contents list goes: its own blobs cannot be read from it. Its signature
    /// is checked here.
    ///
    /// # Errors
    /// When the signature is not that of a trusted key, the list is damaged, or it is another bundle than the parcel's
    /// document says.
    pub fn target(&self, keys: &TrustedKeys) -> Result<Bundle, BundleError> {
        let [index, signature, own @ ..] = self.front.as_slice() else {
            return Err(contradicts(&self.path, "it does not say which bundle it is for"));
        };
        let mut bytes = Vec::new();
        let mut append = |name: &str, content: &[u8]| {
            bytes.extend(header(name, content.len() as u64));
            bytes.extend(content);
            bytes.resize(bytes.len() + padding_length(content.len() as u64), 0);
        };
        append(LAYOUT_FILE, LAYOUT_CONTENT.as_bytes());
        append(INDEX_FILE, &self.read_blob(&index.digest)?);
        append(SIGNATURE_FILE, &self.read_blob(&signature.digest)?);
        for blob in own {
            let name = layout::blob_name(&blob.digest)
                .map_err(|error| contradicts(&self.path, error.to_string()))?;
            append(&name, &self.read_blob(&blob.digest)?);
        }
        let target = Bundle::contents_only(&self.path, bytes, keys)?;
        if digest_of(target.index_json().as_bytes()) != self.document.index
            || target.document().product != self.document.product
        {
            return Err(contradicts(&self.path, "it is for another bundle than the one whose list it holds"));
        }
        Ok(target)
    }
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parcel")
            .field("path", &self.path)
            .field("kind", &self.document.kind)
            .field("product", &self.document.product)
            .finish_non_exhaustive()
    }
}

/// The one entry of a parcel's index.
fn only_entry<'i>(path: &Path, index: &'i Index) -> Result<&'i Descriptor, BundleError> {
    let kind = |entry: &'i Descriptor| entry.artifact_type.as_deref().unwrap_or_default();
    match index.manifests.as_slice() {
        [entry] if kind(entry) == PARCEL_ARTIFACT_TYPE => Ok(entry),
        [entry] if kind(entry).starts_with(ARTIFACT_TYPE_FAMILY) => Err(newer(path, kind(entry).to_owned())),
        _ => Err(BundleError::NotAParcel {
            path: path.to_owned(),
            reason: "its index names other things, as a bundle's does".to_owned(),
        }),
    }
}

fn push(path: &Path, members: &mut MemberList, layer: &Descriptor) -> Result<(), BundleError> {
    let name = layout::blob_name(&layer.digest).map_err(|error| contradicts(path, error.to_string()))?;
    members.push(name, layer.digest.clone(), layer.size).map_err(|size| {
        let what = format!("blob {}", layer.digest);
        BundleError::TooLarge { path: path.to_owned(), what, size, limit: MAX_SIZE }
    })
}

fn not_a_parcel(path: &Path, error: BundleError) -> BundleError {
    match error {
        BundleError::NotABundle { reason, .. } => BundleError::NotAParcel { path: path.to_owned(), reason },
        other => other,
    }
}

fn newer(path: &Path, found: String) -> BundleError {
    BundleError::NewerFormat { path: path.to_owned(), found, supported: API_VERSION }
}

fn contradicts(path: &Path, what: impl Into<String>) -> BundleError {
    BundleError::ParcelInconsistent { path: path.to_owned(), what: what.into() }
}
