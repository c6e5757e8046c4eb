//! Space on disk, looked at before anything is fetched or written.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Cache, CacheError, Content};

/// What each new file costs beside its bytes, at most: its last block, and its entry in the folder.
const PER_FILE: u64 = 8 << 10;

/// Space that will be needed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    bytes: u64,
    files: u64,
}

impl Room {
    /// Space for one more file of `size` bytes.
    pub fn add(&mut self, size: u64) {
        self.bytes = self.bytes.saturating_add(size);
        self.files += 1;
    }

    /// Bytes, with what the files cost beside their content.
    #[must_use]
    pub fn needed(self) -> u64 {
        self.bytes.saturating_add(self.files.saturating_mul(PER_FILE))
    }
}

impl Cache {
    /// Whether there is room for those of `wanted` that are not here yet; what came of unfinished downloads counts as
    /// here.
    pub fn require_room_for<'a>(
        &self,
        wanted: impl IntoIterator<Item = &'a Content>,
    ) -> Result<(), CacheError> {
        let mut room = Room::default();
        for content in wanted {
            if !self.has(&content.digest, content.size)? {
                let here = fs::metadata(self.partial_path(&content.digest)?).map_or(0, |file| file.len());
                room.add(content.size.saturating_sub(here));
            }
        }
        require_room(&self.root, room.needed())
    }
}

/// Whether `folder` (or the nearest one above it that exists) has room for `needed` bytes.
pub fn require_room(folder: &Path, needed: u64) -> Result<(), CacheError> {
    let place = existing(folder);
    let found = rustix::fs::statvfs(&place).map_err(|error| CacheError::at("read", &place)(error.into()))?;
    // What the system keeps for root is left out, as `df` does.
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    if free < needed { Err(CacheError::Room { folder: folder.to_owned(), needed, free }) } else { Ok(()) }
}

/// As [`require_room`], in the folder that the file `target` will be in.
pub fn require_room_beside(target: &Path, needed: u64) -> Result<(), CacheError> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    require_room(folder.unwrap_or(Path::new(".")), needed)
}

fn existing(folder: &Path) -> PathBuf {
    let above = folder.ancestors().find(|path| path.is_dir());
    above.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::testing::cache;
    use sealift_bundle::digest::digest_of;

    #[test]
    fn what_is_here_needs_no_room() {
        let (_folder, cache) = cache();
        let here = cache.put(b"content").unwrap();
        let huge = Content { digest: digest_of(b"huge"), size: 1 << 60 };
        cache.require_room_for([&here]).unwrap();
        let error = cache.require_room_for([&here, &huge]).unwrap_err();
        let CacheError::Room { folder, needed, free } = &error else { panic!("{error:?}") };
        assert!(folder == cache.folder() && *needed >= 1 << 60 && *free < 1 << 60, "{error}");
        assert!(error.to_string().contains(" TB needed, "), "{error}");
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_on_the_disk_above() {
        let folder = tempfile::tempdir().unwrap();
        require_room(&folder.path().join("a/b"), 1).unwrap();
        require_room(Path::new("x"), 1).unwrap();
        assert!(require_room(Path::new(""), u64::MAX).is_err());
    }
}
