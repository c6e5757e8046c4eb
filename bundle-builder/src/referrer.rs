//! Referrers: signatures, SBOMs and attestations that stand beside an image and name it as their subject (OCI image-spec
//! 1.1, "Referrers"), that the tags of cosign lead to, or that stand in the image's own index (`BuildKit`'s).
//!
//! They come and go without the image changing, so a lock pins what is found, and a build fetches that. Their manifests
//! travel byte for byte, `subject` included.

use std::collections::BTreeMap;

use sealift_bundle::digest;
use serde::{Deserialize, Serialize};

use crate::cache::Content;
use crate::manifest::ACCEPTED;

/// Referrers of one image; more is taken for an attack or a mistake.
pub const MOST: usize = 256;
/// Manifests and blobs of one referrer.
pub const MOST_PARTS: usize = 256;
/// What cosign puts behind the tag `sha256-HEX` made from an image's digest, and what stands there (cosign's signature
/// specification, "Discovery").
pub const COSIGN_TAGS: [(&str, &str); 3] = [
    ("sig", "application/vnd.dev.cosign.artifact.sig.v1+json"),
    ("att", "application/vnd.dev.cosign.artifact.att.v1+json"),
    ("sbom", "application/vnd.dev.cosign.artifact.sbom.v1+json"),
];

/// What `BuildKit` calls an attestation that it puts into an image's index (its document "Image attestation storage").
const ATTESTATION: &str = "application/vnd.docker.attestation.manifest.v1+json";
/// The annotations by which it marks it, and those that say of which manifest it is.
const ATTESTATION_MARK: (&str, &str) = ("vnd.docker.reference.type", "attestation-manifest");
const ATTESTATION_SUBJECT: &str = "vnd.docker.reference.digest";

/// A manifest that says something about an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Referrer {
    /// Digest of the manifest.
    pub digest: String,
    /// Its size, bytes.
    pub size: u64,
    /// Its media type.
    pub media_type: String,
    /// What it is, e.g. `application/vnd.cyclonedx+json`; where that is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The tag that leads to it (cosign's), e.g. `sha256-4b….sig`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// Why what stands beside an image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReferrerError {
    /// More than [`MOST`].
    #[error("there are more than {count} referrers, the last ones of {subject}", count = count - 1)]
    TooMany {
        /// Of what.
        subject: String,
        /// How many, so far.
        count: usize,
    },
    /// A list with more than [`MOST`] entries.
    #[error("it names {count} referrers")]
    LongList {
        /// How many.
        count: usize,
    },
    /// A list that is none.
    #[error("it is no index: {why}")]
    NoList {
        /// Why not.
        why: String,
    },
    /// Another size than announced.
    #[error("referrer {digest} has {got} bytes, and {announced} were announced")]
    Size {
        /// Of which.
        digest: String,
        /// Its bytes.
        got: u64,
        /// What its descriptor says.
        announced: u64,
    },
    /// No manifest.
    #[error("referrer {digest} is no manifest: {why}")]
    NoManifest {
        /// Which.
        digest: String,
        /// Why not.
        why: String,
    },
    /// More than [`MOST_PARTS`].
    #[error("referrer {digest} consists of {count} parts")]
    TooManyParts {
        /// Which.
        digest: String,
        /// How many.
        count: usize,
    },
    /// The layout or archive cannot be read.
    #[error(transparent)]
    Stored(#[from] crate::stored::StoredError),
}

/// What a manifest or an index of referrers names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// Manifests, of an index.
    pub manifests: Vec<Content>,
    /// Config and layers.
    pub blobs: Vec<Content>,
}

/// A manifest or an index, as far as referrers matter.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    media_type: Option<String>,
    artifact_type: Option<String>,
    subject: Option<Named>,
    config: Option<Named>,
    layers: Option<Vec<Named>>,
    manifests: Option<Vec<Named>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    artifact_type: Option<String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Named {
    fn referrer(self) -> Referrer {
        Referrer {
            digest: self.digest,
            size: self.size,
            media_type: if self.media_type.is_empty() { ACCEPTED[2].to_owned() } else { self.media_type },
            artifact_type: self.artifact_type.filter(|text| !text.is_empty()),
            tag: None,
        }
    }

    /// Which manifest of the same index it is an attestation of.
    fn attests(&self) -> Option<&str> {
        let annotation = |name| self.annotations.get(name).map(String::as_str);
        (annotation(ATTESTATION_MARK.0) == Some(ATTESTATION_MARK.1))
            .then(|| annotation(ATTESTATION_SUBJECT))?
    }
}

impl Document {
    fn parse(content: &[u8]) -> Option<Self> {
        serde_json::from_slice(content).ok()
    }

    /// As image-spec has it: the media type of the config stands for a missing artifact type.
    fn artifact_type(&self) -> Option<String> {
        let own = self.artifact_type.clone();
        own.or_else(|| Some(self.config.as_ref()?.media_type.clone())).filter(|text| !text.is_empty())
    }
}

impl Referrer {
    /// The manifest `content`, which one of [`COSIGN_TAGS`] leads to.
    #[must_use]
    pub fn of_tag(digest: &str, content: &[u8], artifact_type: &str) -> Self {
        let media_type = Document::parse(content).and_then(|document| document.media_type);
        Self {
            digest: digest.to_owned(),
            size: content.len() as u64,
            media_type: media_type.unwrap_or_else(|| ACCEPTED[2].to_owned()),
            artifact_type: Some(artifact_type.to_owned()),
            tag: None,
        }
    }

    /// The manifest `content`, where it names `subject` as its subject.
    #[must_use]
    pub fn of_subject(digest: &str, content: &[u8], subject: &str) -> Option<Self> {
        let document = Document::parse(content)?;
        (document.subject.as_ref()?.digest == subject).then(|| Self {
            digest: digest.to_owned(),
            size: content.len() as u64,
            artifact_type: document.artifact_type(),
            media_type: document
                .media_type
                .unwrap_or_else(|| ACCEPTED[if document.manifests.is_some() { 0 } else { 2 }].to_owned()),
            tag: None,
        })
    }
}

/// The referrers in a list: an answer of the API, or what the tag `sha256-HEX` leads to.
pub fn listed(content: &[u8]) -> Result<Vec<Referrer>, ReferrerError> {
    let list: Document =
        serde_json::from_slice(content).map_err(|error| ReferrerError::NoList { why: error.to_string() })?;
    let named = list.manifests.unwrap_or_default();
    if named.len() > MOST {
        return Err(ReferrerError::LongList { count: named.len() });
    }
    // A digest of another kind cannot be packed; its maker has to say it in sha256, too.
    Ok(named.into_iter().filter(|named| digest::is_valid(&named.digest)).map(Named::referrer).collect())
}

/// Attestations of the manifests `subjects` that stand with them in the image's index `content`; none in a manifest.
#[must_use]
pub fn inside(content: &[u8], subjects: &[&str]) -> Vec<Referrer> {
    let entries = Document::parse(content).and_then(|document| document.manifests).unwrap_or_default();
    let wanted = |entry: &Named| {
        digest::is_valid(&entry.digest) && entry.attests().is_some_and(|subject| subjects.contains(&subject))
    };
    let referrer = |entry: Named| {
        let mut referrer = entry.referrer();
        referrer.artifact_type.get_or_insert_with(|| ATTESTATION.to_owned());
        referrer
    };
    entries.into_iter().filter(wanted).map(referrer).collect()
}

/// What `content` names, the manifest or index `wanted` of a referrer.
pub fn parts(wanted: &Content, content: &[u8]) -> Result<Parts, ReferrerError> {
    let digest = || wanted.digest.clone();
    let (got, announced) = (content.len() as u64, wanted.size);
    if got != announced {
        return Err(ReferrerError::Size { digest: digest(), got, announced });
    }
    let no_manifest = |why: String| ReferrerError::NoManifest { digest: digest(), why };
    let document: Document =
        serde_json::from_slice(content).map_err(|error| no_manifest(error.to_string()))?;
    let contents = |named: Vec<Named>| -> Result<Vec<Content>, ReferrerError> {
        let content = |named: Named| match digest::hex(&named.digest) {
            Ok(_) => Ok(Content { digest: named.digest, size: named.size }),
            Err(error) => Err(no_manifest(error.to_string())),
        };
        named.into_iter().map(content).collect()
    };
    let blobs = document.config.into_iter().chain(document.layers.unwrap_or_default()).collect();
    Ok(Parts { manifests: contents(document.manifests.unwrap_or_default())?, blobs: contents(blobs)? })
}

/// Reads `content` as a list of referrers and as the manifest of one: for the fuzz target.
pub(crate) fn read(content: &[u8]) {
    let _ = listed(content);
    let wanted = Content { digest: digest::digest_of(content), size: content.len() as u64 };
    let _ = parts(&wanted, content);
    let _ = inside(content, &[]);
    let _ = Referrer::of_subject(&wanted.digest, content, "");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(content: &str) -> Content {
        Content { digest: digest::digest_of(content.as_bytes()), size: content.len() as u64 }
    }

    #[test]
    fn a_subject_and_a_type_are_read_from_the_manifest() {
        let subject = digest::digest_of(b"image");
        let manifest = format!(
            r#"{{"mediaType":"m","config":{{"mediaType":"c","digest":"d","size":2}},"layers":[],
            "subject":{{"mediaType":"m","digest":"{subject}","size":1}}}}"#
        );
        let found = Referrer::of_subject("d", manifest.as_bytes(), &subject).unwrap();
        assert_eq!((&*found.media_type, found.artifact_type.as_deref()), ("m", Some("c")));
        assert_eq!(found.size, manifest.len() as u64);
        assert_eq!(Referrer::of_subject("d", manifest.as_bytes(), "sha256:other"), None);
        assert_eq!(Referrer::of_subject("d", b"no manifest", &subject), None);
        let index = format!(r#"{{"manifests":[],"subject":{{"digest":"{subject}","size":1}}}}"#);
        assert_eq!(
            Referrer::of_subject("d", index.as_bytes(), &subject).unwrap().media_type,
            "application/vnd.oci.image.index.v1+json"
        );
    }

    #[test]
    fn an_index_leads_to_manifests_and_a_manifest_to_blobs() {
        let one = digest::digest_of(b"one");
        let index = format!(r#"{{"manifests":[{{"digest":"{one}","size":3}}]}}"#);
        let content = Content { digest: one.clone(), size: 3 };
        let found = parts(&wanted(&index), index.as_bytes()).unwrap();
        assert_eq!(found, Parts { manifests: vec![content.clone()], blobs: vec![] });
        let manifest = format!(r#"{{"config":{{"digest":"{one}","size":3}}}}"#);
        let found = parts(&wanted(&manifest), manifest.as_bytes()).unwrap();
        assert_eq!(found, Parts { manifests: vec![], blobs: vec![content] });
    }

    #[test]
    fn attestations_in_an_index_belong_to_their_manifest() {
        let [amd64, arm64, first, second] =
            ["amd64", "arm64", "first", "second"].map(|text| digest::digest_of(text.as_bytes()));
        let attestation = |own: &str, subject: &str, kind: &str| {
            format!(
                r#"{{"mediaType":"m","digest":"{own}","size":7,"platform":{{"os":"unknown","architecture":"unknown"}},
                "annotations":{{"vnd.docker.reference.type":"{kind}","vnd.docker.reference.digest":"{subject}"}}}}"#
            )
        };
        let index = format!(
            r#"{{"manifests":[{{"digest":"{amd64}","size":3}},{},{},{},{}]}}"#,
            attestation(&first, &amd64, "attestation-manifest"),
            attestation(&second, &arm64, "attestation-manifest"),
            attestation(&second, &amd64, "other"),
            attestation("sha512:00", &amd64, "attestation-manifest"),
        );
        let found = inside(index.as_bytes(), &[&amd64]);
        let expected = Referrer {
            digest: first,
            size: 7,
            media_type: "m".to_owned(),
            artifact_type: Some(ATTESTATION.to_owned()),
            tag: None,
        };
        assert_eq!(found, [expected]);
        assert_eq!(inside(b"no index", &[&amd64]), []);
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let trick = r#"{"layers":[{"digest":"sha256:../../x","size":3}]}"#;
        for (content, expected) in [("{", "is no manifest: "), ("[]", "is no manifest: "), (trick, "../../x")]
        {
            let error = parts(&wanted(content), content.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let error = parts(&Content { size: 9, ..wanted("{}") }, b"{}").unwrap_err().to_string();
        assert!(error.ends_with(" has 2 bytes, and 9 were announced"), "{error}");
    }
}
