//! What is known about files on this machine: one that did not change since it was hashed is not read again.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use sealift_bundle::digest;
use serde::{Deserialize, Serialize};

use super::{Cache, CacheError, Content, KNOWN_FILES};

/// How long ago a file must have changed last for its stamp to be believed. A second change within one tick of its file
/// system's clock would leave the same stamp (Git calls such entries racy); the coarsest clock in use, FAT's, ticks every
/// two seconds.
const SETTLED: Duration = Duration::from_secs(3);

/// What a file looked like before it was read: if all this is the same, so is its content, as Git's index assumes. Whoever
/// writes to a file changes the last of these times, which no program can set back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    digest: String,
}

/// A file that is open for reading, and what it looked like before.
#[derive(Debug)]
pub struct OpenFile {
    /// At its start.
    pub file: File,
    path: PathBuf,
    stamp: Stamp,
    settled: bool,
}

impl OpenFile {
    /// Bytes in it when it was opened.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.stamp.size
    }
}

impl Cache {
    /// Opens a file on this machine.
    pub fn open_file(&self, path: &Path) -> Result<OpenFile, CacheError> {
        let failed = CacheError::at("read", path);
        let opened = fs::canonicalize(path).and_then(|path| {
            let file = File::open(&path)?;
            let metadata = file.metadata()?;
            let (stamp, settled) = (stamp(&metadata), settled(&metadata, SystemTime::now()));
            Ok(OpenFile { file, path, stamp, settled })
        });
        opened.map_err(failed)
    }

    /// Digest and size of `opened`, where it did not change since it was read.
    pub fn known_file(&self, opened: &OpenFile) -> Option<Content> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(&opened.path)?;
        let same = Stamp { digest: known.digest.clone(), ..opened.stamp.clone() } == *known;
        same.then(|| Content { digest: known.digest.clone(), size: known.size })
    }

    /// Remembers that all of `opened` was read and what its content is; nothing where the next change might not show.
    pub fn remember_file(&self, opened: &OpenFile, content: &Content) -> Result<(), CacheError> {
        if !opened.settled || content.size != opened.size() {
            return Ok(());
        }
        let stamp = Stamp { digest: content.digest.clone(), ..opened.stamp.clone() };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(opened.path.clone(), stamp);
        self.remember(KNOWN_FILES, &*known)
    }

    /// Remembers that this program has just made the blob `digest` at `path`, and hashed it.
    pub(super) fn remember_fresh(&self, digest: &str, path: &Path) -> Result<(), CacheError> {
        let metadata = fs::symlink_metadata(path).map_err(CacheError::at("read", path))?;
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        fresh.insert(digest.to_owned(), stamp(&metadata));
        Ok(())
    }

    /// Whether this program itself has made the blob `digest`, hashing it, and its file looks as it did then. The cache is
    /// locked meanwhile, so that a change within one tick of the file system's clock is nobody's who keeps to the rules.
    pub fn is_fresh(&self, digest: &str) -> Result<bool, CacheError> {
        let path = self.blob_path(digest)?;
        let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        let now = fs::symlink_metadata(path).ok();
        Ok(fresh.get(digest).is_some_and(|before| now.is_some_and(|now| stamp(&now) == *before)))
    }

    /// Digest and size of a file on this machine; one that did not change since the last time is not read again.
    pub fn digest_of_file(&self, path: &Path) -> Result<Content, CacheError> {
        self.digest_of_opened(&self.open_file(path)?)
    }

    /// As [`Cache::digest_of_file`], of a file that is open; at its start, if it must be read.
    pub fn digest_of_opened(&self, opened: &OpenFile) -> Result<Content, CacheError> {
        if let Some(content) = self.known_file(opened) {
            return Ok(content);
        }
        let (digest, size) =
            digest::of_all(&mut &opened.file).map_err(CacheError::at("read", &opened.path))?;
        let content = Content { digest, size };
        self.remember_file(opened, &content)?;
        Ok(content)
    }
}

fn stamp(metadata: &fs::Metadata) -> Stamp {
    Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
        digest: String::new(),
    }
}

/// Whether the last change of a file lies so far before `now` that the next one will show. A clock that is behind the file
/// system's says no.
fn settled(metadata: &fs::Metadata, now: SystemTime) -> bool {
    let changed = u64::try_from(metadata.ctime()).unwrap_or(0);
    let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(changed);
    now.duration_since(changed).is_ok_and(|age| age > SETTLED)
}

#[cfg(test)]
mod tests {
    use super::super::testing::cache;
    use super::*;
    use sealift_bundle::digest::digest_of;

    #[test]
    fn a_changed_file_is_hashed_again() {
        let (folder, cache) = cache();
        let path = folder.path().join("kubelet");
        fs::write(&path, "one").unwrap();
        assert_eq!(cache.digest_of_file(&path).unwrap().digest, digest_of(b"one"));
        assert_eq!(cache.digest_of_file(&path).unwrap().digest, digest_of(b"one"));
        // A new file under the same name: same size, another inode.
        fs::write(folder.path().join("new"), "two").unwrap();
        fs::rename(folder.path().join("new"), &path).unwrap();
        assert_eq!(cache.digest_of_file(&path).unwrap().digest, digest_of(b"two"));
    }

    #[test]
    fn only_a_file_that_has_settled_is_remembered() {
        let (folder, cache) = cache();
        let path = folder.path().join("kubelet");
        fs::write(&path, "one").unwrap();
        let content = cache.digest_of_file(&path).unwrap();
        let mut opened = cache.open_file(&path).unwrap();
        assert_eq!(cache.known_file(&opened), None, "it could change again and look the same");
        opened.settled = true;
        cache.remember_file(&opened, &Content { size: 4, ..content.clone() }).unwrap();
        assert_eq!(cache.known_file(&opened), None, "it changed while it was read");
        cache.remember_file(&opened, &content).unwrap();
        assert_eq!(cache.known_file(&opened), Some(content.clone()));
        drop(cache);
        let cache = Cache::open(folder.path(), || ()).unwrap();
        assert_eq!(cache.known_file(&cache.open_file(&path).unwrap()), Some(content));
        fs::write(&path, "three").unwrap();
        assert_eq!(cache.known_file(&cache.open_file(&path).unwrap()), None);

        let metadata = fs::metadata(&path).unwrap();
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(metadata.ctime().unsigned_abs());
        assert!(settled(&metadata, changed + Duration::from_secs(4)));
        assert!(!settled(&metadata, changed + Duration::from_secs(2)));
        assert!(!settled(&metadata, changed - Duration::from_mins(1)));
    }
}
