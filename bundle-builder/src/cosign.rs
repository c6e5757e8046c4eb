//! Signatures of images in cosign's format with a key: who signed the manifest with this digest?
//!
//! Beside the image stands a manifest with the tag `sha256-HEX.sig`. Each of its layers is a payload (the "simple
//! signing" JSON that names the image's digest), and the layer's annotation holds the signature over the payload's bytes.
//! Only keys of one kind are read, ECDSA on P-256 as `cosign generate-key-pair` makes them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;
use sealift_bundle::digest::{self, digest_of};
use serde::Deserialize;

use crate::cache::Content;
use crate::source::image::ImageOrigin;
use crate::source::{Reach, SourceError};

/// Annotation of a layer: the signature over it, Base64 of the DER form.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// What a payload says that it is.
const TYPE: &str = "cosign container image signature";
/// A public key is shorter than this, bytes.
const LARGEST_KEY: u64 = 16 << 10;
/// A payload is shorter than this, bytes.
const LARGEST_PAYLOAD: u64 = 64 << 10;
/// Signatures of one image that are looked at.
const MOST_SIGNATURES: usize = 64;
/// How the DER form of a public key on P-256 begins (RFC 5480); the point of 65 bytes follows.
const P256_HEADER: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// Bytes of an uncompressed point.
const POINT: usize = 65;

/// Why an image does not count as signed.
#[derive(Debug, thiserror::Error)]
pub enum CosignError {
    /// The key cannot be read.
    #[error("cannot read the public key {}", path.display())]
    Read {
        /// The key.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The key is none, or of another kind.
    #[error("{} is no public key in PEM form (ECDSA P-256), as `cosign generate-key-pair` makes it", path.display())]
    Key {
        /// The key.
        path: PathBuf,
    },
    /// No signature at all.
    #[error("image {image} is not signed: there is no {tag} beside it")]
    Missing {
        /// The image.
        image: String,
        /// The tag that its signature would have.
        tag: String,
    },
    /// What stands there is no signature.
    #[error("the signature {tag} of image {image} cannot be read: {why}")]
    Malformed {
        /// The image.
        image: String,
        /// The signature's tag.
        tag: String,
        /// Why not.
        why: String,
    },
    /// Signed, but not this.
    #[error("the signature of image {image} is for another image: it names {found}, the image is {digest}")]
    OtherDigest {
        /// The image.
        image: String,
        /// Its digest.
        digest: String,
        /// What was signed.
        found: String,
    },
    /// Signed, but not by this key.
    #[error("image {image} is not signed by {}: {count} with other keys", path.display(),
        count = crate::progress::count(*signatures, "signature"))]
    OtherKey {
        /// The image.
        image: String,
        /// The key.
        path: PathBuf,
        /// How many signatures there are.
        signatures: usize,
    },
    /// The signature cannot be fetched.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// A key that signs images.
#[derive(Debug)]
pub struct PublicKey {
    path: PathBuf,
    point: Vec<u8>,
    /// Digest of its DER form.
    digest: String,
}

/// A good signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Digest of the signature's manifest.
    pub manifest: String,
    /// Digest of the key's DER form.
    pub key: String,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
struct Layer {
    digest: String,
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: SignedImage,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct SignedImage {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// What one signature says.
enum Said {
    /// Made by the key, for this digest.
    Good(String),
    /// Not made by the key.
    OtherKey,
}

impl PublicKey {
    /// Reads the key at `path`.
    pub fn load(path: &Path) -> Result<Self, CosignError> {
        let mut text = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| {
                std::io::Read::read_to_end(&mut std::io::Read::take(file, LARGEST_KEY), &mut text)
            })
            .map_err(|source| CosignError::Read { path: path.to_owned(), source })?;
        let key = SubjectPublicKeyInfoDer::from_pem_slice(&text).ok();
        let point = key.as_ref().and_then(|key| key.strip_prefix(&P256_HEADER[..]));
        match (&key, point.filter(|point| point.len() == POINT)) {
            (Some(key), Some(point)) => {
                Ok(Self { path: path.to_owned(), point: point.to_vec(), digest: digest_of(key) })
            }
            _ => Err(CosignError::Key { path: path.to_owned() }),
        }
    }

    /// Looks for a signature by this key over the manifest `digest` of the image at `origin`.
    pub fn check(
        &self,
        origin: &ImageOrigin<'_>,
        digest: &str,
        reach: &Reach<'_>,
    ) -> Result<Signed, CosignError> {
        let image = origin.name().to_string();
        let hex = digest::hex(digest).map_err(|error| SourceError::Cache(error.into()))?;
        let tag = format!("sha256-{hex}.sig");
        let Some((content, manifest)) = origin.beside(&tag, reach)? else {
            return Err(CosignError::Missing { image, tag });
        };
        let malformed = |why: String| CosignError::Malformed { image: image.clone(), tag: tag.clone(), why };
        let parsed: Manifest =
            serde_json::from_slice(&content).map_err(|error| malformed(error.to_string()))?;
        let mut other_digest = None;
        let signatures = parsed.layers.len().min(MOST_SIGNATURES);
        for layer in parsed.layers.into_iter().take(MOST_SIGNATURES) {
            if layer.size > LARGEST_PAYLOAD {
                return Err(malformed(format!("a payload of {} bytes", layer.size)));
            }
            let wanted = Content { digest: layer.digest, size: layer.size };
            origin.blob(&wanted, reach, &|_| ())?;
            let payload = reach
                .cache
                .read(&wanted.digest, LARGEST_PAYLOAD)
                .map_err(SourceError::from)?
                .unwrap_or_default();
            let signature = layer.annotations.get(SIGNATURE).map_or("", String::as_str);
            match self.read(signature, &payload).map_err(malformed)? {
                Said::Good(found) if found == digest => {
                    reach.cache.put(&content).map_err(SourceError::from)?;
                    return Ok(Signed { manifest, key: self.digest.clone() });
                }
                Said::Good(found) => other_digest = Some(found),
                Said::OtherKey => {}
            }
        }
        Err(match other_digest {
            Some(found) => CosignError::OtherDigest { image, digest: digest.to_owned(), found },
            None => CosignError::OtherKey { image, path: self.path.clone(), signatures },
        })
    }

    /// The digest that `payload` names, where `signature` is this key's over it. Nothing of a payload is believed before.
    fn read(&self, signature: &str, payload: &[u8]) -> Result<Said, String> {
        let signature = STANDARD.decode(signature).map_err(|error| format!("its annotation: {error}"))?;
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point);
        if key.verify(payload, &signature).is_err() {
            return Ok(Said::OtherKey);
        }
        let said: Payload =
            serde_json::from_slice(payload).map_err(|error| format!("its payload: {error}"))?;
        if said.critical.kind != TYPE {
            return Err(format!("its payload is a {:?}", said.critical.kind));
        }
        Ok(Said::Good(said.critical.image.digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

    fn pair() -> EcdsaKeyPair {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random).unwrap()
    }

    fn pem(label: &str, der: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    }

    fn load(text: &str) -> Result<PublicKey, CosignError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        PublicKey::load(file.path())
    }

    fn spki(pair: &EcdsaKeyPair) -> Vec<u8> {
        [&P256_HEADER[..], pair.public_key().as_ref()].concat()
    }

    #[test]
    fn only_p256_keys_are_taken() {
        let der = spki(&pair());
        assert_eq!(load(&pem("PUBLIC KEY", &der)).unwrap().digest, digest_of(&der));
        let mut other = der.clone();
        other[22] = 0x22;
        for text in [
            pem("PUBLIC KEY", &other),
            pem("PUBLIC KEY", &der[..90]),
            pem("PRIVATE KEY", &der),
            String::new(),
        ] {
            assert!(matches!(load(&text), Err(CosignError::Key { .. })), "{text}");
        }
        assert!(matches!(PublicKey::load(Path::new("/none")), Err(CosignError::Read { .. })));
    }

    #[test]
    fn payloads_count_only_with_the_keys_signature() {
        let pair = pair();
        let key = load(&pem("PUBLIC KEY", &spki(&pair))).unwrap();
        let sign = |payload: &str| {
            let signature = pair.sign(&SystemRandom::new(), payload.as_bytes()).unwrap();
            STANDARD.encode(signature.as_ref())
        };
        let payload = format!(
            r#"{{"critical":{{"identity":{{"docker-reference":"x"}},"image":{{"docker-manifest-digest":"sha256:a"}},
            "type":"{TYPE}"}},"optional":null}}"#
        );
        let good = key.read(&sign(&payload), payload.as_bytes());
        assert!(matches!(good, Ok(Said::Good(found)) if found == "sha256:a"));
        let changed = payload.replace("sha256:a", "sha256:b");
        assert!(matches!(key.read(&sign(&payload), changed.as_bytes()), Ok(Said::OtherKey)));
        assert!(matches!(key.read("", payload.as_bytes()), Ok(Said::OtherKey)));
        assert!(key.read("no base64!", payload.as_bytes()).is_err());
        let other = payload.replace(TYPE, "atomic container signature");
        assert!(key.read(&sign(&other), other.as_bytes()).is_err());
    }
}
