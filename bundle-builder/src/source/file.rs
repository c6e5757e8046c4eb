//! Files: on this machine, on web servers, inside archives.

use std::path::{Path, PathBuf};

use sealift_bundle::digest;

use super::{Reach, SourceError};
use crate::archive;
use crate::cache::{Cache, CacheError, Content};
use crate::lock::LockedFile;
use crate::recipe::{FileSource, Source, Url};

/// A file's content on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// Where it lies: where the recipe says, or in the cache.
    pub path: PathBuf,
    /// What is in it; where it is not `read`, what the lock says.
    pub content: Content,
    /// Whether its content was seen, now or before; otherwise only its size was.
    pub read: bool,
    /// Digest of the archive that it came out of.
    pub archive: Option<String>,
}

/// Where a locked file is, as far as that shows without reading it and without the network.
#[derive(Debug)]
pub enum Place<'a> {
    /// On this machine, where the recipe says.
    Here(FoundFile),
    /// In the cache, or in an archive on this machine: [`find`] gets it from there.
    AtHand,
    /// On a web server, itself or the archive that it is in.
    Away(&'a Url),
}

/// Looks where the file at `source` is. One on this machine that must be read, and has the size that `locked` says, is
/// left to who reads it anyway.
pub fn look<'a>(
    source: &'a FileSource,
    locked: &LockedFile,
    reach: &Reach<'_>,
) -> Result<Place<'a>, SourceError> {
    let is_cached = |digest: &str| Ok::<_, CacheError>(is_plain_file(&reach.cache.blob_path(digest)?));
    let url = match source {
        FileSource::Local(source) => return unread(source, locked, reach).map(Place::Here),
        FileSource::Url(url) => url,
        FileSource::Member(inside) => match &*inside.archive {
            FileSource::Url(url) if locked.archive != Some(pin(url)) || !is_cached(&locked.digest)? => url,
            _ => return Ok(Place::AtHand),
        },
    };
    Ok(if is_cached(&pin(url))? { Place::AtHand } else { Place::Away(url) })
}

/// Fetches what is at `url` into the cache.
pub fn fetch(url: &Url, reach: &Reach<'_>) -> Result<Content, SourceError> {
    let Reach { registries, cache, progress, .. } = *reach;
    registries.pinned(&url.url, &pin(url), cache, progress).map_err(SourceError::Web)
}

/// Digest of the file at `source`; what no reading can change is not fetched for that.
pub fn digest(source: &FileSource, locked: &LockedFile, reach: &Reach<'_>) -> Result<String, SourceError> {
    match source {
        FileSource::Url(url) => Ok(pin(url)),
        other => Ok(find(other, Some(locked), reach)?.content.digest),
    }
}

/// Gets the file at `source`; the member of an archive that `locked` pins is taken from the cache where it is there.
pub fn find(
    source: &FileSource,
    locked: Option<&LockedFile>,
    reach: &Reach<'_>,
) -> Result<FoundFile, SourceError> {
    let FileSource::Member(inside) = source else {
        let (path, content) = whole(source, reach)?;
        return Ok(FoundFile { path, content, read: true, archive: None });
    };
    // The archive's digest and the member's name say what the member is: it need not be looked for twice.
    let archive = match &*inside.archive {
        FileSource::Url(url) => pin(url),
        other => whole(other, reach)?.1.digest,
    };
    // Nor by two at once.
    let _claim = reach.cache.claim(&format!("{archive} {}", inside.member));
    let known = locked.filter(|locked| locked.archive.as_ref() == Some(&archive));
    let kept = match known {
        Some(locked) => sound(reach.cache, &locked.digest)?,
        None => None,
    };
    let content = match kept {
        Some(content) => content,
        None => archive::extract(&whole(&inside.archive, reach)?.0, &inside.member, reach.cache)?,
    };
    let path = reach.cache.blob_path(&content.digest)?;
    Ok(FoundFile { path, content, read: true, archive: Some(archive) })
}

/// A file as it lies on disk or on a web server.
fn whole(source: &FileSource, reach: &Reach<'_>) -> Result<(PathBuf, Content), SourceError> {
    match source {
        FileSource::Local(source) => local(source, reach),
        FileSource::Url(url) => {
            let digest = pin(url);
            // Of two, the second would drop as damaged what the first has fetched anew.
            let _claim = reach.cache.claim(&url.url);
            let content = match sound(reach.cache, &digest)? {
                Some(content) => content,
                None => fetch(url, reach)?,
            };
            Ok((reach.cache.blob_path(&digest)?, content))
        }
        // The recipe's types allow it; its file format does not.
        FileSource::Member(inside) => {
            find(&FileSource::Member(inside.clone()), None, reach).map(|found| (found.path, found.content))
        }
    }
}

/// A file on this machine, read only where it cannot be what `locked` says.
fn unread(source: &Source, locked: &LockedFile, reach: &Reach<'_>) -> Result<FoundFile, SourceError> {
    let path = reach.roots.resolve(source)?;
    let opened = reach.cache.open_file(&path).map_err(|error| unreadable(source, error))?;
    let known = reach.cache.known_file(&opened);
    let read = known.is_some() || opened.size() != locked.size;
    let content = match known {
        Some(content) => content,
        None if read => local(source, reach)?.1,
        None => Content { digest: locked.digest.clone(), size: locked.size },
    };
    Ok(FoundFile { path, content, read, archive: None })
}

/// Hashes a file on this machine.
fn local(source: &Source, reach: &Reach<'_>) -> Result<(PathBuf, Content), SourceError> {
    let path = reach.roots.resolve(source)?;
    let content = reach.cache.digest_of_file(&path).map_err(|error| unreadable(source, error))?;
    Ok((path, content))
}

/// Says for which source of the recipe a file was to be read.
fn unreadable(place: &Source, error: CacheError) -> SourceError {
    match error {
        CacheError::File { action: "read", path, source } => {
            SourceError::Read { place: place.to_string(), path, source }
        }
        other => other.into(),
    }
}

/// The digest that a recipe says.
pub(crate) fn pin(url: &Url) -> String {
    format!("{}{}", digest::PREFIX, url.sha256)
}

/// The blob `digest`, where it is in the cache and still what its name says; what is damaged is dropped.
fn sound(cache: &Cache, digest: &str) -> Result<Option<Content>, SourceError> {
    let path = cache.blob_path(digest)?;
    if !is_plain_file(&path) {
        return Ok(None);
    }
    // What this program itself has just fetched or extracted was hashed then.
    let content = match path.metadata() {
        Ok(file) if cache.is_fresh(digest)? => Content { digest: digest.to_owned(), size: file.len() },
        _ => cache.digest_of_file(&path)?,
    };
    // Asked only to tell the cache that it was used.
    if content.digest == digest && cache.has(digest, content.size)? {
        return Ok(Some(content));
    }
    cache.forget(digest)?;
    Ok(None)
}

/// Not followed: a link that someone put there leads to what may change.
fn is_plain_file(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|file| file.is_file())
}
