//! Digests of large files, remembered where the file has not been touched since.
//!
//! A stamp is written by the operation that wrote the file, never by a probe: probing changes nothing.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sealift_bundle::digest::{HashingReader, digest_of};
use serde::{Deserialize, Serialize};

use crate::file;
use crate::paths::Paths;
use crate::protocol::Failure;

/// What the file was when its digest was known. Any write changes `ctime`, which no program can set.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    size: u64,
    inode: u64,
    device: u64,
    mtime: (i64, i64),
    ctime: (i64, i64),
    digest: String,
}

impl Stamp {
    fn of(metadata: &fs::Metadata, digest: String) -> Self {
        Self {
            size: metadata.size(),
            inode: metadata.ino(),
            device: metadata.dev(),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            ctime: (metadata.ctime(), metadata.ctime_nsec()),
            digest,
        }
    }
}

/// Reads a file through the hash.
pub(crate) fn digest_of_file(path: &Path) -> Result<String, Failure> {
    let hash = || -> io::Result<String> {
        let mut reader = HashingReader::new(File::open(path)?);
        let mut buffer = vec![0u8; 256 << 10];
        while io::Read::read(&mut reader, &mut buffer)? > 0 {}
        Ok(reader.finish().0)
    };
    hash().map_err(|error| Failure::io("read", path, &error))
}

/// The digest of a file: remembered where it stands untouched, else computed.
pub(crate) fn digest(paths: &Paths, path: &Path) -> Result<String, Failure> {
    let metadata = fs::metadata(path).map_err(|error| Failure::io("read", path, &error))?;
    // A stamp that cannot be read counts as none.
    let remembered =
        fs::read(stamp_path(paths, path)).ok().and_then(|text| serde_json::from_slice::<Stamp>(&text).ok());
    match remembered {
        Some(stamp) if stamp == Stamp::of(&metadata, stamp.digest.clone()) => Ok(stamp.digest),
        _ => digest_of_file(path),
    }
}

/// Remembers the digest of a file that was just written and verified.
pub(crate) fn remember(paths: &Paths, path: &Path, digest: &str) -> Result<(), Failure> {
    let metadata = fs::metadata(path).map_err(|error| Failure::io("read", path, &error))?;
    let stamp = Stamp::of(&metadata, digest.to_owned());
    let text = serde_json::to_vec(&stamp).map_err(|error| Failure::other(error.to_string()))?;
    file::make_state_folder(&paths.stamps())?;
    file::write_atomic(&stamp_path(paths, path), &text, 0o600).map(drop)
}

fn stamp_path(paths: &Paths, path: &Path) -> PathBuf {
    paths.stamps().join(digest_of(path.as_os_str().as_encoded_bytes()).trim_start_matches("sha256:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_touched_file_is_hashed_again() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let path = root.path().join("kubelet");
        fs::write(&path, "one").unwrap();
        // A stamp that lies shows that it is believed.
        remember(&paths, &path, "sha256:remembered").unwrap();
        assert_eq!(digest(&paths, &path).unwrap(), "sha256:remembered");
        fs::write(&path, "another").unwrap();
        assert_eq!(digest(&paths, &path).unwrap(), digest_of(b"another"));
    }
}
