//! Images: in registries, and in layouts and archives on this machine.

use std::sync::OnceLock;

use super::{Reach, SourceError};
use crate::cache::Content;
use crate::image::ImageName;
use crate::manifest::MOST_BYTES;
use crate::recipe::{ImageEntry, ImageSource};
use crate::referrer::{self, Referrer, ReferrerError};
use crate::stored::Stored;

/// Where one image comes from.
#[derive(Debug)]
pub struct ImageOrigin<'a> {
    name: ImageName,
    stored: Option<(&'a ImageSource, OnceLock<Stored>)>,
}

impl<'a> ImageOrigin<'a> {
    /// Where `entry` says; nothing is opened yet.
    pub fn of(entry: &'a ImageEntry) -> Result<Self, SourceError> {
        let stored = entry.from.as_ref().map(|from| (from, OnceLock::new()));
        Ok(Self { name: entry.name.parse()?, stored })
    }

    /// The image's name.
    #[must_use]
    pub fn name(&self) -> &ImageName {
        &self.name
    }

    /// Whether its manifest is made by this program, from what another format says.
    #[must_use]
    pub fn is_converted(&self) -> bool {
        matches!(self.stored, Some((ImageSource::DockerArchive(_), _)))
    }

    /// Where that is, for provenance.
    #[must_use]
    pub fn shown(&self, reach: &Reach<'_>) -> String {
        match &self.stored {
            Some((source, _)) => source.to_string(),
            None => reach.registries.origin(&self.name),
        }
    }

    /// The layout or archive, opened once.
    fn stored(&self, reach: &Reach<'_>) -> Result<Option<&Stored>, SourceError> {
        let Some((source, opened)) = &self.stored else { return Ok(None) };
        if opened.get().is_none() {
            let found = Stored::open(source, &reach.roots.resolve(&source.stored().source())?)?;
            // Whoever else opened it meanwhile saw the same.
            let _ = opened.set(found);
        }
        Ok(opened.get())
    }

    /// The manifest or index that the image's name stands for now, and its digest.
    pub fn current(&self, reach: &Reach<'_>) -> Result<(Vec<u8>, String), SourceError> {
        let (Some(stored), Some((source, _))) = (self.stored(reach)?, &self.stored) else {
            return Ok(reach.registries.manifest_by_tag(&self.name, reach.progress)?);
        };
        let digest = stored.find(&self.name.to_string(), source.stored().reference.as_deref())?;
        Ok((stored.manifest(digest)?, digest.to_owned()))
    }

    /// The manifest with the tag `tag` that stands beside the image, and its digest.
    pub fn beside(&self, tag: &str, reach: &Reach<'_>) -> Result<Option<(Vec<u8>, String)>, SourceError> {
        use crate::registry::RegistryError;
        if let Some(stored) = self.stored(reach)? {
            let found = stored.tagged(tag);
            return Ok(match found {
                Some(digest) => Some((stored.manifest(digest)?, digest.to_owned())),
                None => None,
            });
        }
        let name: ImageName = format!("{}/{}:{tag}", self.name.registry(), self.name.repository()).parse()?;
        match reach.registries.manifest_by_tag(&name, reach.progress) {
            Err(RegistryError::NotFound { .. }) => Ok(None),
            other => Ok(Some(other?)),
        }
    }

    /// What stands beside the manifests `subjects` of the image and what is `known` of it already, and beside that in turn:
    /// an SBOM may be signed, too.
    pub fn referrers(
        &self,
        mut subjects: Vec<String>,
        known: Vec<Referrer>,
        reach: &Reach<'_>,
    ) -> Result<Vec<Referrer>, SourceError> {
        subjects.extend(known.iter().map(|referrer| referrer.digest.clone()));
        let mut found = known;
        let mut next = 0;
        while let Some(subject) = subjects.get(next).cloned() {
            // Of several names for one manifest the first counts.
            let again = subjects[..next].contains(&subject);
            next += 1;
            if again {
                continue;
            }
            for referrer in self.referrers_of(&subject, reach)? {
                subjects.push(referrer.digest.clone());
                if !found.contains(&referrer) {
                    found.push(referrer);
                }
            }
            if found.len() > referrer::MOST {
                return Err(self.refused(ReferrerError::TooMany { subject, count: found.len() }));
            }
        }
        Ok(found)
    }

    fn referrers_of(&self, subject: &str, reach: &Reach<'_>) -> Result<Vec<Referrer>, SourceError> {
        match self.stored(reach)? {
            Some(stored) => stored.referrers(subject).map_err(|error| self.refused(error)),
            None => Ok(reach.registries.referrers(&self.name, subject, reach.progress)?),
        }
    }

    /// Everything that `referrer` consists of: its manifest, the manifests in it where it is an index, which are in the
    /// cache then, and the blobs that they name, which [`Self::blob`] gets there.
    pub fn referrer_parts(
        &self,
        referrer: &Referrer,
        reach: &Reach<'_>,
    ) -> Result<Vec<Content>, SourceError> {
        let mut manifests = vec![Content { digest: referrer.digest.clone(), size: referrer.size }];
        let mut blobs = Vec::new();
        let mut next = 0;
        while let Some(wanted) = manifests.get(next).cloned() {
            next += 1;
            let content = self.manifest(&wanted.digest, reach)?;
            let parts = referrer::parts(&wanted, &content).map_err(|error| self.refused(error))?;
            for (found, all) in [(parts.manifests, &mut manifests), (parts.blobs, &mut blobs)] {
                for content in found {
                    if !all.contains(&content) {
                        all.push(content);
                    }
                }
            }
            let count = manifests.len() + blobs.len();
            if count > referrer::MOST_PARTS {
                let digest = referrer.digest.clone();
                return Err(self.refused(ReferrerError::TooManyParts { digest, count }));
            }
        }
        manifests.append(&mut blobs);
        Ok(manifests)
    }

    fn refused(&self, source: ReferrerError) -> SourceError {
        SourceError::Referrer { image: self.name.to_string(), source }
    }

    /// A manifest by digest, from the cache or from where the image is.
    pub fn manifest(&self, digest: &str, reach: &Reach<'_>) -> Result<Vec<u8>, SourceError> {
        if let Some(content) = reach.cache.read(digest, MOST_BYTES)? {
            return Ok(content);
        }
        let content = match self.stored(reach)? {
            Some(stored) => stored.manifest(digest)?,
            None => reach.registries.manifest_by_digest(&self.name, digest, reach.progress)?,
        };
        reach.cache.put(&content)?;
        Ok(content)
    }

    /// Gets the blob `wanted` into the cache, where it is not there yet.
    pub fn blob(
        &self,
        wanted: &Content,
        reach: &Reach<'_>,
        advanced: &dyn Fn(i64),
    ) -> Result<(), SourceError> {
        match self.stored(reach)? {
            Some(stored) => Ok(stored.blob(wanted, reach.cache, advanced)?),
            None => Ok(reach.registries.blob(&self.name, wanted, reach.cache, reach.progress, advanced)?),
        }
    }
}
