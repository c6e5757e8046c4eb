//! Space on disk, looked at before anything is fetched or written.

use std::fs;
use std::path::Path;

use sealift_bundle::room::{self, RoomError};

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
    Ok(room::require(folder, needed)?)
}

/// As [`require_room`], in the folder that the file `target` will be in.
pub fn require_room_beside(target: &Path, needed: u64) -> Result<(), CacheError> {
    Ok(room::require_beside(target, needed)?)
}

impl From<RoomError> for CacheError {
    fn from(error: RoomError) -> Self {
        match error {
            RoomError::Short { folder, needed, free } => Self::Room { folder, needed, free },
            RoomError::Unknown { folder, source } => Self::at("read", &folder)(source),
        }
    }
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
}
