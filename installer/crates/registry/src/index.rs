//! The store as a registry sees it: names from the index, blobs from their folder.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use oci_spec::image::ImageIndex;
use sealift_bundle::digest::digest_of;
use sealift_bundle::layout;
use serde::Deserialize;

/// Annotation that carries an image's full upstream name.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Manifests are small; the distribution specification asks for at least this much.
const MANIFEST_LIMIT: u64 = 4 << 20;

/// A store that is served.
#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
    index: Mutex<(Option<Stamp>, Arc<Names>)>,
}

/// Full name with tag to digest of the manifest.
type Names = HashMap<String, String>;

/// What tells one version of the index from another: it is replaced by a rename.
type Stamp = (u64, i64, i64, u64);

/// A manifest ready to send.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) digest: String,
    pub(crate) media_type: String,
    pub(crate) content: Vec<u8>,
}

impl Store {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, index: Mutex::default() }
    }

    /// The digest that a name stands for: `tag` of `name`, asked for on behalf of the registry `ns`, or with the
    /// registry as the name's first part.
    pub(crate) fn resolve(&self, ns: Option<&str>, name: &str, tag: &str) -> Option<String> {
        let names = self.names();
        let with_namespace = ns.and_then(|ns| names.get(&format!("{ns}/{name}:{tag}")));
        with_namespace.or_else(|| names.get(&format!("{name}:{tag}"))).cloned()
    }

    /// The tags of a name, sorted.
    pub(crate) fn tags(&self, ns: Option<&str>, name: &str) -> Vec<String> {
        let names = self.names();
        let of = |full: &str| {
            let tag = |known: &String| known.strip_prefix(full)?.strip_prefix(':').map(str::to_owned);
            let mut tags: Vec<String> = names.keys().filter_map(tag).collect();
            tags.sort();
            tags
        };
        let with_namespace = ns.map(|ns| of(&format!("{ns}/{name}"))).filter(|tags| !tags.is_empty());
        with_namespace.unwrap_or_else(|| of(name))
    }

    /// A manifest by digest, verified. Nothing where the blob is not there, is damaged, or is no manifest.
    pub(crate) fn manifest(&self, digest: &str) -> io::Result<Option<Manifest>> {
        let Some((mut file, size)) = self.blob(digest)? else { return Ok(None) };
        if size > MANIFEST_LIMIT {
            return Ok(None);
        }
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        if digest_of(&content) != digest {
            tracing::error!(digest, "a blob in the store is damaged");
            return Ok(None);
        }
        let media_type = media_type(&content);
        Ok(media_type.map(|media_type| Manifest { digest: digest.to_owned(), media_type, content }))
    }

    /// A whole blob and its size. Blobs get their names when they are whole.
    pub(crate) fn blob(&self, digest: &str) -> io::Result<Option<(File, u64)>> {
        let Ok(path) = layout::blob_path(&self.root, digest) else { return Ok(None) };
        match File::open(path) {
            Ok(file) => {
                let metadata = file.metadata()?;
                Ok(metadata.is_file().then_some((file, metadata.len())))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The names in the index, read again where it was replaced. An index that cannot be read keeps the old names.
    fn names(&self) -> Arc<Names> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let path = layout::index_path(&self.root);
        let metadata = std::fs::metadata(&path).ok();
        let stamp = metadata.map(|found| (found.ino(), found.mtime(), found.mtime_nsec(), found.len()));
        if stamp.is_some() && stamp != index.0 {
            match ImageIndex::from_file(&path) {
                Ok(read) => *index = (stamp, Arc::new(names_of(&read))),
                Err(error) => tracing::error!(%error, "cannot read {}", path.display()),
            }
        }
        index.1.clone()
    }
}

fn names_of(index: &ImageIndex) -> Names {
    let entries = index.manifests().iter().filter_map(|entry| {
        let name = entry.annotations().as_ref()?.get(REF_NAME)?;
        Some((name.clone(), entry.digest().to_string()))
    });
    entries.collect()
}

/// What a manifest says it is; older ones say it by their shape only.
fn media_type(content: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Shape {
        schema_version: u32,
        media_type: Option<String>,
        manifests: Option<serde::de::IgnoredAny>,
        config: Option<serde::de::IgnoredAny>,
    }
    let shape: Shape = serde_json::from_slice(content).ok()?;
    if shape.schema_version != 2 {
        return None;
    }
    shape.media_type.or(match (shape.manifests, shape.config) {
        (Some(_), _) => Some("application/vnd.oci.image.index.v1+json".to_owned()),
        (None, Some(_)) => Some("application/vnd.oci.image.manifest.v1+json".to_owned()),
        (None, None) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_without_a_media_type_are_known_by_their_shape() {
        assert_eq!(
            media_type(br#"{"schemaVersion":2,"manifests":[]}"#).as_deref(),
            Some("application/vnd.oci.image.index.v1+json")
        );
        assert_eq!(
            media_type(br#"{"schemaVersion":2,"config":{},"layers":[]}"#).as_deref(),
            Some("application/vnd.oci.image.manifest.v1+json")
        );
        assert_eq!(
            media_type(br#"{"schemaVersion":2,"mediaType":"application/x","config":{}}"#).as_deref(),
            Some("application/x")
        );
        for other in [&br#"{"architecture":"amd64"}"#[..], b"\x1f\x8b", b"", br#"{"schemaVersion":1}"#] {
            assert_eq!(media_type(other), None);
        }
    }
}
