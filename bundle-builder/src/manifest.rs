//! Image indexes and manifests as registries give them: read for what they name, never rewritten.

use oci_spec::image::{Descriptor, ImageIndex, ImageManifest, Platform};
use sealift_bundle::digest;
use serde::Deserialize;

use crate::cache::Content;

/// Media types asked for.
pub const ACCEPTED: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// Bytes that a manifest, an index or a config may have. They are read into memory; those of images have some thousand.
pub const MOST_BYTES: u64 = 8 << 20;

/// What stands behind an image's digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its own media type.
    pub media_type: String,
    /// What it names.
    pub names: Names,
}

/// What a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// An index: one manifest per platform.
    Platforms(Vec<(String, Content)>),
    /// A manifest: config and layers.
    Blobs {
        /// The image's config.
        config: Content,
        /// Its layers.
        layers: Vec<Content>,
    },
}

/// Why a manifest cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Neither an index nor a manifest.
    #[error("not an image manifest that this program knows ({0})")]
    Unknown(String),
    /// Far too large.
    #[error("it names a config of {0} bytes; the most are {MOST_BYTES}")]
    Config(u64),
    /// Not sha256.
    #[error("it names a blob as `{0}`, which is no sha256 digest")]
    Digest(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    schema_version: u32,
    media_type: Option<String>,
    manifests: Option<serde::de::IgnoredAny>,
}

impl Manifest {
    /// Reads a manifest or an index.
    pub fn parse(content: &[u8]) -> Result<Self, ManifestError> {
        let unknown = |why: String| ManifestError::Unknown(why);
        let header: Header = serde_json::from_slice(content).map_err(|error| unknown(error.to_string()))?;
        if header.schema_version != 2 {
            return Err(unknown(format!("schema version {}", header.schema_version)));
        }
        let index = header.manifests.is_some();
        let media_type = header.media_type.unwrap_or_else(|| ACCEPTED[if index { 0 } else { 2 }].to_owned());
        let expected = if index { &ACCEPTED[..2] } else { &ACCEPTED[2..] };
        if !expected.contains(&media_type.as_str()) {
            return Err(unknown(media_type));
        }
        let names = if index { platforms(content)? } else { blobs(content)? };
        Ok(Self { media_type, names })
    }
}

fn platforms(content: &[u8]) -> Result<Names, ManifestError> {
    let index =
        ImageIndex::from_reader(content).map_err(|error| ManifestError::Unknown(error.to_string()))?;
    let entries = index
        .manifests()
        .iter()
        .filter_map(|entry| entry.platform().as_ref().map(|platform| (platform, entry)));
    entries
        .map(|(platform, entry)| Ok((platform_name(platform), named(entry)?)))
        .collect::<Result<_, _>>()
        .map(Names::Platforms)
}

fn blobs(content: &[u8]) -> Result<Names, ManifestError> {
    let manifest =
        ImageManifest::from_reader(content).map_err(|error| ManifestError::Unknown(error.to_string()))?;
    let config = named(manifest.config())?;
    if config.size > MOST_BYTES {
        return Err(ManifestError::Config(config.size));
    }
    Ok(Names::Blobs { config, layers: manifest.layers().iter().map(named).collect::<Result<_, _>>()? })
}

fn named(descriptor: &Descriptor) -> Result<Content, ManifestError> {
    let text = descriptor.digest().to_string();
    if digest::is_valid(&text) {
        Ok(Content { digest: text, size: descriptor.size() })
    } else {
        Err(ManifestError::Digest(text))
    }
}

fn platform_name(platform: &Platform) -> String {
    let mut name = format!("{}/{}", platform.os(), platform.architecture());
    if let Some(variant) = platform.variant() {
        name.push('/');
        name.push_str(variant);
    }
    name
}

/// The platform of an image's config; nothing where the config has none.
#[must_use]
pub fn config_platform(config: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Config {
        os: String,
        architecture: String,
        variant: Option<String>,
    }
    let config: Config = serde_json::from_slice(config).ok()?;
    let variant = config.variant.filter(|text| !text.is_empty()).map(|text| format!("/{text}"));
    Some(format!("{}/{}{}", config.os, config.architecture, variant.unwrap_or_default()))
}

/// Whether an image for `platform` serves where `wanted` is asked for: `linux/arm64` takes `linux/arm64/v8`, too.
#[must_use]
pub fn serves(platform: &str, wanted: &str) -> bool {
    platform == wanted || platform.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn an_index_names_its_platforms() {
        let text = format!(
            r#"{{"schemaVersion":2,"manifests":[
            {{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{DIGEST}","size":7,
              "platform":{{"os":"linux","architecture":"amd64"}}}},
            {{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{DIGEST}","size":8,
              "platform":{{"os":"linux","architecture":"arm64","variant":"v8"}}}}]}}"#
        );
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        assert_eq!(manifest.media_type, ACCEPTED[0]);
        let Names::Platforms(platforms) = manifest.names else { panic!("not an index") };
        let names: Vec<&str> = platforms.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["linux/amd64", "linux/arm64/v8"]);
        assert!(serves(names[1], "linux/arm64") && !serves("linux/arm64", "linux/arm"));
    }

    #[test]
    fn a_docker_manifest_names_its_blobs() {
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}",
            "config":{{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"{DIGEST}","size":7}},
            "layers":[{{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","digest":"{DIGEST}","size":9}}]}}"#,
            ACCEPTED[3]
        );
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        assert_eq!(manifest.media_type, ACCEPTED[3]);
        let Names::Blobs { config, layers } = manifest.names else { panic!("not a manifest") };
        assert_eq!((config.size, layers[0].size), (7, 9));
    }

    #[test]
    fn other_documents_are_refused() {
        for text in ["", "{}", r#"{"schemaVersion":1}"#, r#"{"schemaVersion":2,"mediaType":"text/plain"}"#] {
            assert!(Manifest::parse(text.as_bytes()).is_err(), "{text}");
        }
        let trick = r#"{"schemaVersion":2,"config":{"mediaType":"x/y","digest":"sha256:../../x","size":1},"layers":[]}"#;
        assert!(Manifest::parse(trick.as_bytes()).is_err());
    }

    #[test]
    fn configs_tell_their_platform() {
        let platform =
            config_platform(br#"{"os":"linux","architecture":"arm64","variant":"v8","rootfs":{}}"#);
        assert_eq!(platform.as_deref(), Some("linux/arm64/v8"));
        assert_eq!(config_platform(b"{}"), None);
    }
}
