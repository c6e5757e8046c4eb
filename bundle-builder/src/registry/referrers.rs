//! Referrers: signatures, SBOMs and attestations that stand beside an image and name it as their subject.
//!
//! Found in the three ways that are in use: the referrers API (OCI distribution-spec 1.1, "Listing Referrers"), the
//! referrers tag schema where a registry has no such API, and the tags that cosign has used from the beginning.
//!
//! They come and go without the image changing, so a lock pins what [`Registries::referrers`] finds, and a build fetches
//! that: [`Registries::referrer_parts`] tells what there is to fetch, for the same queue as the images' blobs.

use std::collections::BTreeMap;

use sealift_bundle::digest;
use serde::{Deserialize, Serialize};

use super::answer::{Trouble, Verdict};
use super::http::Wanted;
use super::{Failure, MANIFEST_LIMIT, Registries, RegistryError};
use crate::cache::{Cache, Content};
use crate::image::ImageName;
use crate::manifest::ACCEPTED;
use crate::progress::Progress;

/// Pages of the API that are read for one image.
const PAGES: usize = 16;
/// Referrers of one image; more is taken for an attack or a mistake.
const MOST: usize = 256;
/// Blobs of one referrer.
const MOST_BLOBS: usize = 256;
/// What cosign puts behind the tag made from an image's digest, and what that is.
const COSIGN_TAGS: [(&str, &str); 3] = [
    ("sig", "application/vnd.dev.cosign.artifact.sig.v1+json"),
    ("att", "application/vnd.dev.cosign.artifact.att.v1+json"),
    ("sbom", "application/vnd.dev.cosign.artifact.sbom.v1+json"),
];

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
    /// What it is, e.g. `application/vnd.cyclonedx+json`; where the registry tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The tag that leads to it, where nothing else does (cosign's), e.g. `sha256-4b….sig`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// A list of descriptors, as an index has it.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
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
}

/// What the manifest of a referrer names.
#[derive(Deserialize)]
struct Parts {
    config: Option<Named>,
    #[serde(default)]
    layers: Vec<Named>,
}

/// Reads `content` as a list of referrers and as the manifest of one: for the fuzz target.
pub(super) fn read(content: &[u8]) {
    let _ = serde_json::from_slice::<Page>(content);
    let _ = serde_json::from_slice::<Parts>(content);
}

impl Registries {
    /// What stands beside the manifest `subject` in the repository of `image`, by digest. Nothing is no failure.
    pub fn referrers(
        &self,
        image: &ImageName,
        subject: &str,
        progress: &dyn Progress,
    ) -> Result<Vec<Referrer>, RegistryError> {
        let hex = digest::hex(subject).map_err(crate::cache::CacheError::from)?.to_owned();
        let what = format!("list of referrers of {subject} of {image}");
        let listed = match self.listed(image, subject, &what, progress)? {
            Some(listed) => listed,
            None => match self.tagged(image, &format!("sha256-{hex}"), progress)? {
                Some((content, _)) => self.page(image, &what, &content)?,
                None => Vec::new(),
            },
        };
        let mut found: BTreeMap<String, Referrer> =
            listed.into_iter().map(|referrer| (referrer.digest.clone(), referrer)).collect();
        for (suffix, artifact_type) in COSIGN_TAGS {
            let tag = format!("sha256-{hex}.{suffix}");
            if let Some((content, digest)) = self.tagged(image, &tag, progress)? {
                found.entry(digest.clone()).or_insert_with(|| Referrer {
                    digest,
                    size: content.len() as u64,
                    media_type: ACCEPTED[2].to_owned(),
                    artifact_type: Some(artifact_type.to_owned()),
                    tag: Some(tag),
                });
            }
        }
        if found.len() > MOST {
            return Err(self.refused(image, &what, format!("it names {} referrers", found.len())));
        }
        Ok(found.into_values().collect())
    }

    /// Everything that `referrer` consists of: its manifest, which is in the cache then, and the blobs that it names,
    /// which [`Registries::blob`] fetches.
    pub fn referrer_parts(
        &self,
        image: &ImageName,
        referrer: &Referrer,
        cache: &Cache,
        progress: &dyn Progress,
    ) -> Result<Vec<Content>, RegistryError> {
        let what = format!("referrer {} of {image}", referrer.digest);
        let manifest = if let Some(manifest) = cache.read(&referrer.digest)? {
            manifest
        } else {
            let manifest = self.manifest_by_digest(image, &referrer.digest, progress)?;
            cache.put(&manifest)?;
            manifest
        };
        let size = manifest.len() as u64;
        if size != referrer.size {
            let why = format!("it has {size} bytes, and {} were announced", referrer.size);
            return Err(self.refused(image, &what, why));
        }
        let parts: Parts = serde_json::from_slice(&manifest)
            .map_err(|error| self.refused(image, &what, format!("it is no manifest: {error}")))?;
        let named: Vec<Named> = parts.config.into_iter().chain(parts.layers).collect();
        if named.len() > MOST_BLOBS {
            return Err(self.refused(image, &what, format!("it names {} blobs", named.len())));
        }
        let mut all = vec![Content { digest: referrer.digest.clone(), size }];
        for named in named {
            digest::hex(&named.digest).map_err(|error| self.refused(image, &what, error.to_string()))?;
            let blob = Content { digest: named.digest, size: named.size };
            if !all.contains(&blob) {
                all.push(blob);
            }
        }
        Ok(all)
    }

    /// The referrers API; nothing where the registry has none.
    fn listed(
        &self,
        image: &ImageName,
        subject: &str,
        what: &str,
        progress: &dyn Progress,
    ) -> Result<Option<Vec<Referrer>>, RegistryError> {
        let mut found = Vec::new();
        let mut path = format!("referrers/{subject}");
        for _ in 0..PAGES {
            let page = self.persist(image, what, progress, || {
                let request = self.listed_page(image, &path);
                self.runtime.block_on(request).map_err(|trouble| (self.judge(image, what, trouble), false))
            });
            let (content, next) = match page {
                // Some refuse what they do not know; whether they refuse the image, too, its tags will tell.
                Err(RegistryError::NotFound { .. } | RegistryError::Denied { .. }) => return Ok(None),
                other => other?,
            };
            found.extend(self.page(image, what, &content)?);
            match next {
                Some(next) => path = format!("referrers/{subject}?{next}"),
                None => break,
            }
        }
        Ok(Some(found))
    }

    /// One page, and the query that leads to the next one.
    async fn listed_page(&self, image: &ImageName, path: &str) -> Result<(Vec<u8>, Option<String>), Trouble> {
        let response =
            self.http.get(&Wanted::new(image, path, ACCEPTED[0])).await.map_err(|mut trouble| {
                // Older registries have other ways to say that they do not know this path.
                if matches!(trouble.status, Some(400 | 405 | 406 | 501)) {
                    trouble.verdict = Verdict::NotFound;
                }
                trouble
            })?;
        let link = response.headers().get(reqwest::header::LINK).and_then(|value| value.to_str().ok());
        let next = link.and_then(next_query);
        Ok((super::answer::body(response, MANIFEST_LIMIT).await?, next))
    }

    /// The manifest with this tag; nothing where there is none.
    fn tagged(
        &self,
        image: &ImageName,
        tag: &str,
        progress: &dyn Progress,
    ) -> Result<Option<(Vec<u8>, String)>, RegistryError> {
        match self.manifest(image, tag, &format!("tag {tag} beside {image}"), progress) {
            Err(RegistryError::NotFound { .. }) => Ok(None),
            other => other.map(Some),
        }
    }

    fn page(&self, image: &ImageName, what: &str, content: &[u8]) -> Result<Vec<Referrer>, RegistryError> {
        let page: Page = serde_json::from_slice(content)
            .map_err(|error| self.refused(image, what, format!("it is no index: {error}")))?;
        let named = page.manifests.unwrap_or_default();
        if named.len() > MOST {
            return Err(self.refused(image, what, format!("it names {} referrers", named.len())));
        }
        // A digest of another kind cannot be packed; its maker has to say it in sha256, too.
        Ok(named.into_iter().filter(|named| digest::is_valid(&named.digest)).map(Referrer::from).collect())
    }

    /// What a registry sent cannot be used.
    fn refused(&self, image: &ImageName, what: &str, why: String) -> RegistryError {
        match self.judge(image, what, Trouble::new(Verdict::Final, why)) {
            Failure::Final(error) | Failure::Passing(error, _) => error,
        }
    }
}

impl From<Named> for Referrer {
    fn from(named: Named) -> Self {
        Self {
            digest: named.digest,
            size: named.size,
            media_type: named.media_type,
            artifact_type: named.artifact_type.filter(|text| !text.is_empty()),
            tag: None,
        }
    }
}

/// The query of the next page in a `Link` header (RFC 8288). Only the query is taken: a page stands where the first did.
fn next_query(link: &str) -> Option<String> {
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let next = parameters.split(';').any(|parameter| matches!(parameter.trim(), "rel=\"next\"" | "rel=next"));
    let query = target.split_once('?')?.1;
    next.then(|| query.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_taken_by_its_query_alone() {
        let next = next_query(r#"<https://evil.example/v2/x/referrers/y?n=5&last=z>; rel="next""#);
        assert_eq!(next.as_deref(), Some("n=5&last=z"));
        assert_eq!(next_query(r#"</v2/x?n=5>; rel="prev""#), None);
        assert_eq!(next_query("garbage"), None);
    }
}
