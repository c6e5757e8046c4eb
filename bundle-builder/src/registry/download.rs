//! A blob on its way: the file so far, and its hash.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::PathBuf;

use sealift_bundle::digest::Hasher;

use super::RegistryError;
use crate::cache::Content;

/// What has come of a blob. Bytes on disk are all that it takes to go on after a kill: the hash is made from them.
pub(super) struct Download {
    path: PathBuf,
    file: File,
    hasher: Hasher,
    /// Bytes in the file.
    pub(super) have: u64,
    /// Whether some of them came in an earlier run: what is wrong with them is nobody's fault now.
    pub(super) taken_up: bool,
    pub(super) wanted: Content,
}

impl Download {
    /// Takes up what an earlier run left.
    pub(super) fn open(path: PathBuf, wanted: &Content) -> Result<Self, RegistryError> {
        let failed = |source| RegistryError::Write { path: path.clone(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        let (mut hasher, mut have) = (Hasher::new(), 0);
        let left = file.metadata().map_err(failed)?.len();
        if left > 0 && left <= wanted.size {
            let mut buffer = vec![0; 1 << 18];
            loop {
                let count = file.read(&mut buffer).map_err(failed)?;
                if count == 0 {
                    break;
                }
                hasher.update(&buffer[..count]);
                have += count as u64;
            }
        }
        let mut download = Self { path, file, hasher, have, taken_up: have > 0, wanted: wanted.clone() };
        if left > wanted.size {
            download.clear()?;
        }
        Ok(download)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.have == self.wanted.size
    }

    /// Digest of what there is.
    pub(super) fn digest(&self) -> String {
        self.hasher.clone().finish()
    }

    pub(super) fn append(&mut self, piece: &[u8]) -> Result<(), RegistryError> {
        if let Err(source) = self.file.write_all(piece) {
            // A full disk takes a part of a piece; without it, file and hash tell the same again.
            let _ = self.file.set_len(self.have);
            return Err(RegistryError::Write { path: self.path.clone(), source });
        }
        self.hasher.update(piece);
        self.have += piece.len() as u64;
        Ok(())
    }

    /// Leaves no file behind that holds nothing.
    pub(super) fn tidy(&self) {
        if self.have == 0 {
            // An empty file does no harm where it cannot be removed.
            let _ = std::fs::remove_file(&self.path);
        }
    }

    /// Forgets what came so far; how much that was.
    pub(super) fn clear(&mut self) -> Result<u64, RegistryError> {
        self.taken_up = false;
        self.hasher = Hasher::new();
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .map_err(|source: io::Error| RegistryError::Write { path: self.path.clone(), source })?;
        Ok(std::mem::take(&mut self.have))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealift_bundle::digest::digest_of;

    #[test]
    fn what_an_earlier_run_left_is_taken_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("partial");
        let wanted = Content { digest: digest_of(b"content"), size: 7 };
        std::fs::write(&path, b"cont").unwrap();
        let mut download = Download::open(path.clone(), &wanted).unwrap();
        assert_eq!((download.have, download.is_complete(), download.taken_up), (4, false, true));
        download.append(b"ent").unwrap();
        assert!(download.is_complete() && download.digest() == wanted.digest);
        assert_eq!(std::fs::read(&path).unwrap(), b"content");
        assert_eq!(download.clear().unwrap(), 7);
        assert_eq!((download.have, download.taken_up, std::fs::read(&path).unwrap().len()), (0, false, 0));
        download.tidy();
        assert!(!path.exists());

        std::fs::write(&path, b"too much content").unwrap();
        assert_eq!(Download::open(path.clone(), &wanted).unwrap().have, 0);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    }
}
