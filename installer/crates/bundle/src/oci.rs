//! OCI index, manifest and descriptor, as far as the bundle format uses them.
//!
//! Own types because their text must be the same on every run: fields in declaration order, annotations sorted.
//! Reading ignores fields that the OCI specification may add.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Media type of an image index.
pub const INDEX_MEDIA_TYPE: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of an image manifest.
pub const MANIFEST_MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of [`EMPTY_CONTENT`].
pub const EMPTY_MEDIA_TYPE: &str = "application/vnd.oci.empty.v1+json";
/// The config of artifacts that have none.
pub const EMPTY_CONTENT: &[u8] = b"{}";
/// Annotation that names an image in the index: its full reference with tag.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Annotation for the title of a layer: the file's short name.
pub const TITLE: &str = "org.opencontainers.image.title";
/// Annotation for a version.
pub const VERSION: &str = "org.opencontainers.image.version";

/// Names one blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    pub media_type: String,
    /// Its digest.
    pub digest: String,
    /// Its size, bytes.
    pub size: u64,
    /// For manifests of artifacts: what kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Names and facts, sorted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// Describes `content`.
    #[must_use]
    pub fn of(media_type: &str, content: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: crate::digest::digest_of(content),
            size: content.len() as u64,
            artifact_type: None,
            annotations: BTreeMap::new(),
        }
    }

    /// With one more annotation.
    #[must_use]
    pub fn annotated(mut self, name: &str, value: &str) -> Self {
        self.annotations.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// `index.json`: the list of everything that the bundle offers by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// [`INDEX_MEDIA_TYPE`].
    pub media_type: String,
    /// The entries.
    pub manifests: Vec<Descriptor>,
}

impl Index {
    /// An index of `manifests`.
    #[must_use]
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self { schema_version: 2, media_type: INDEX_MEDIA_TYPE.to_owned(), manifests }
    }
}

/// A manifest of an artifact with one or more layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// [`MANIFEST_MEDIA_TYPE`].
    pub media_type: String,
    /// What kind of artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Its config blob.
    pub config: Descriptor,
    /// Its content blobs.
    pub layers: Vec<Descriptor>,
    /// Names and facts, sorted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// An artifact without config.
    #[must_use]
    pub fn artifact(artifact_type: &str, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: MANIFEST_MEDIA_TYPE.to_owned(),
            artifact_type: Some(artifact_type.to_owned()),
            config: Descriptor::of(EMPTY_MEDIA_TYPE, EMPTY_CONTENT),
            layers,
            annotations: BTreeMap::new(),
        }
    }
}
