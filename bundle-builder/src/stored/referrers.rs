//! What stands beside an image in a layout or archive.

use sealift_bundle::digest;

use super::{Stored, StoredError};
use crate::referrer::{self, COSIGN_TAGS, Referrer, ReferrerError};

impl Stored {
    /// What stands beside the manifest `subject`: entries of the index whose manifest names it as its subject (as `oras
    /// copy -r` writes them), those that a tag made from its digest leads to, and those in the list that such a tag leads
    /// to.
    pub fn referrers(&self, subject: &str) -> Result<Vec<Referrer>, ReferrerError> {
        let tag = format!("sha256-{}", digest::hex(subject).unwrap_or_default());
        let mut found: Vec<Referrer> = Vec::new();
        for image in &self.images {
            let content = match self.manifest(&image.digest) {
                // A layout may leave out what nobody asked for.
                Err(StoredError::NoBlob { .. }) => continue,
                content => content?,
            };
            let tagged = |(suffix, artifact_type): &(&str, &str)| {
                let tag = format!("{tag}.{suffix}");
                let by_tag =
                    image.has_tag(&tag).then(|| Referrer::of_tag(&image.digest, &content, artifact_type));
                by_tag.map(|referrer| Referrer { tag: Some(tag), ..referrer })
            };
            found.extend(COSIGN_TAGS.iter().find_map(tagged));
            if image.has_tag(&tag) {
                found.extend(referrer::listed(&content)?);
            } else {
                found.extend(Referrer::of_subject(&image.digest, &content, subject));
            }
        }
        // The one with a tag first.
        found.sort_by(|a, b| (&a.digest, &b.tag).cmp(&(&b.digest, &a.tag)));
        found.dedup_by(|a, b| a.digest == b.digest && (a.tag.is_none() || a.tag == b.tag));
        Ok(found)
    }
}
