//! The folder of a cache, known by a file of its own: no other folder is ever taken for one, and pruned.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use super::{BLOBS, CacheError, FRAMES, KNOWN_FILES, LOCK, PARTIAL, RENDERINGS};

/// Name of the file, as the Cache Directory Tagging Specification has it: backups pass over folders that have it.
const TAG: &str = "CACHEDIR.TAG";
/// What is in it: the specification's signature, and whose cache it is.
const TAGGED: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # The cache of Sealift's bundle-builder. It may go at any time: what is missing is fetched or made again.\n";

/// Makes `root` the folder of a cache, where it is none yet: a new one, an empty one, or one of an older version, which had
/// no tag.
pub(super) fn claim(root: &Path) -> Result<(), CacheError> {
    let tag = root.join(TAG);
    if is_ours(&tag) {
        return Ok(());
    }
    fs::create_dir_all(root).map_err(CacheError::at("create", root))?;
    if let Some(name) = foreign(root).map_err(CacheError::at("read", root))? {
        return Err(CacheError::Foreign { folder: root.to_owned(), name });
    }
    match fs::write(&tag, TAGGED) {
        // One of an older version on a full disk: it is there to be pruned.
        Err(_) if root.join(PARTIAL).is_dir() => Ok(()),
        written => written.map_err(CacheError::at("create", &tag)),
    }
}

/// Whether there is a cache at `root`.
pub(super) fn is_one(root: &Path) -> bool {
    is_ours(&root.join(TAG))
        || (root.join(PARTIAL).is_dir() && foreign(root).is_ok_and(|found| found.is_none()))
}

fn is_ours(tag: &Path) -> bool {
    let mut content = Vec::new();
    let read = File::open(tag).and_then(|file| file.take(TAGGED.len() as u64 + 1).read_to_end(&mut content));
    read.is_ok() && content == TAGGED.as_bytes()
}

/// Something in the folder that no cache has; a tag that was not written to its end is no such thing.
fn foreign(root: &Path) -> io::Result<Option<String>> {
    for entry in fs::read_dir(root)? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        let name = name.to_string_lossy().into_owned();
        let own = match name.as_str() {
            BLOBS | PARTIAL => path.is_dir(),
            LOCK | KNOWN_FILES | FRAMES | RENDERINGS => path.is_file(),
            TAG => fs::read(&path).is_ok_and(|content| TAGGED.as_bytes().starts_with(&content)),
            _ => false,
        };
        if !own {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Cache;

    fn open(root: &Path) -> Result<Cache, CacheError> {
        Cache::open(root, || panic!("nobody else uses it"))
    }

    #[test]
    fn a_cache_is_known_again_with_or_without_its_tag() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("new/cache");
        assert!(!is_one(&root));
        let cache = open(&root).unwrap();
        let frame = cache.put(b"x").unwrap();
        cache.remember_frame("sha256:plain", 3, frame).unwrap();
        drop(cache);
        assert!(is_one(&root));
        for cut in ["", &TAGGED[..20]] {
            fs::write(root.join(TAG), cut).unwrap();
            assert!(is_one(&root));
        }
        fs::remove_file(root.join(TAG)).unwrap();
        assert!(is_one(&root));
        open(&root).unwrap();
        assert!(is_ours(&root.join(TAG)));
        // Whatever somebody put into it later.
        fs::write(root.join("notes.txt"), "").unwrap();
        open(&root).unwrap();
    }

    #[test]
    fn the_folder_of_somebody_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in
            [("index.json", "{}"), (TAG, "Signature: 8a477f597d28d172789f06886806bc55\n# cargo\n")]
        {
            let root = folder.path().join(name.to_lowercase());
            fs::create_dir_all(root.join("blobs/sha256")).unwrap();
            fs::write(root.join(name), content).unwrap();
            let error = open(&root).unwrap_err();
            assert!(matches!(&error, CacheError::Foreign { name: found, .. } if found == name), "{error}");
            assert!(!is_one(&root));
            assert_eq!(fs::read_dir(&root).unwrap().count(), 2);
        }
    }
}
