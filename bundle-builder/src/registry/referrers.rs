//! Asking a registry for what stands beside an image (see [`crate::referrer`]), in the three ways that are in use: the
//! referrers API (OCI distribution-spec 1.1, "Listing Referrers"), the referrers tag schema where a registry has no such
//! API, and the tags that cosign has used from the beginning.

use std::collections::BTreeMap;

use sealift_bundle::digest;

use super::answer::{Trouble, Verdict};
use super::http::Wanted;
use super::{Failure, MANIFEST_LIMIT, Registries, RegistryError};
use crate::image::ImageName;
use crate::manifest::ACCEPTED;
use crate::progress::Progress;
use crate::referrer::{self, COSIGN_TAGS, Referrer};

/// Pages of the API that are read for one image.
const PAGES: usize = 16;

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
                // Some registries list it, too, though it names no subject: elsewhere only the tag leads to it.
                let by_tag = || Referrer::of_tag(&digest, &content, artifact_type);
                found.entry(digest.clone()).or_insert_with(by_tag).tag = Some(tag);
            }
        }
        if found.len() > referrer::MOST {
            return Err(self.refused(image, &what, format!("it names {} referrers", found.len())));
        }
        Ok(found.into_values().collect())
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
        let mut query = None;
        for number in 1..=PAGES {
            let what = if number == 1 { what.to_owned() } else { format!("page {number} of the {what}") };
            let page = self.persist(image, &what, progress, || {
                let request = self.listed_page(image, subject, query.as_deref());
                self.runtime.block_on(request).map_err(|trouble| (self.judge(image, &what, trouble), false))
            });
            let (content, next) = match page {
                // Some refuse what they do not know; whether they refuse the image, too, its tags will tell. Who gave one
                // page has the API: without the others, what they name would be missing, and nobody would know.
                Err(RegistryError::NotFound { .. } | RegistryError::Denied { .. }) if number == 1 => {
                    return Ok(None);
                }
                other => other?,
            };
            found.extend(self.page(image, &what, &content)?);
            if next.is_none() {
                return Ok(Some(found));
            }
            query = next;
        }
        Err(self.refused(image, what, format!("it has more than {PAGES} pages")))
    }

    /// The page that `query` leads to, else the first one; and the query that leads to the next one.
    async fn listed_page(
        &self,
        image: &ImageName,
        subject: &str,
        query: Option<&str>,
    ) -> Result<(Vec<u8>, Option<String>), Trouble> {
        let path = match query {
            None => format!("referrers/{subject}"),
            Some(query) => format!("referrers/{subject}?{query}"),
        };
        let wanted = Wanted::new(image, path, ACCEPTED[0]);
        let response = self.http.get(&wanted).await.map_err(|mut trouble| {
            match (query, trouble.status) {
                // Older registries have other ways to say that they do not know this path.
                (None, Some(400 | 405 | 406 | 501)) => trouble.verdict = Verdict::NotFound,
                // The list is there: what is not is its rest.
                (Some(_), Some(404)) => trouble.verdict = Verdict::Final,
                _ => {}
            }
            trouble
        })?;
        let link = response.headers().get(reqwest::header::LINK).and_then(|value| value.to_str().ok());
        let next = link.and_then(next_query).transpose()?;
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
        referrer::listed(content).map_err(|error| self.refused(image, what, error.to_string()))
    }

    /// What a registry sent cannot be used.
    fn refused(&self, image: &ImageName, what: &str, why: String) -> RegistryError {
        match self.judge(image, what, Trouble::new(Verdict::Final, why)) {
            Failure::Final(error) | Failure::Passing(error, _) => error,
        }
    }
}

/// The query of the next page in a `Link` header (RFC 8288). Only the query is taken: a page stands where the first did.
fn next_query(link: &str) -> Option<Result<String, Trouble>> {
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let next = parameters.split(';').any(|parameter| matches!(parameter.trim(), "rel=\"next\"" | "rel=next"));
    let query = target.split_once('?').map(|(_, query)| query.to_owned());
    let lost = || Trouble::new(Verdict::Final, "its link to the next page has no query");
    next.then(|| query.ok_or_else(lost))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_taken_by_its_query_alone() {
        let next = |link| next_query(link).map(|next| next.map_err(|trouble| trouble.why.to_string()));
        let found = next(r#"<https://evil.example/v2/x/referrers/y?n=5&last=z>; rel="next""#);
        assert_eq!(found, Some(Ok("n=5&last=z".to_owned())));
        assert_eq!(next(r#"</v2/x?n=5>; rel="prev""#), None);
        assert_eq!(next("garbage"), None);
        let lost = Err("its link to the next page has no query".to_owned());
        assert_eq!(next(r#"</v2/x/page2>; rel="next""#), Some(lost));
    }
}
