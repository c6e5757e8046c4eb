//! Names and paths of an OCI image layout: in the bundle's tar, and in a folder on disk (stores, caches).

use std::path::{Path, PathBuf};

use crate::digest::{self, InvalidDigest};

/// The marker file of every OCI layout.
pub const LAYOUT_FILE: &str = "oci-layout";
/// Content of [`LAYOUT_FILE`].
pub const LAYOUT_CONTENT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
/// The signed root of the tree.
pub const INDEX_FILE: &str = "index.json";
/// The signature over [`INDEX_FILE`].
pub const SIGNATURE_FILE: &str = "index.json.minisig";
/// The folder of all blobs.
pub const BLOBS_FOLDER: &str = "blobs/sha256";

/// A blob's name inside the layout, with `/` between parts.
///
/// # Errors
/// When `digest` is not a digest.
pub fn blob_name(digest: &str) -> Result<String, InvalidDigest> {
    Ok(format!("{BLOBS_FOLDER}/{}", digest::hex(digest)?))
}

/// Where a blob lies in the layout folder `root`.
///
/// # Errors
/// When `digest` is not a digest; so the path never leaves `root`.
pub fn blob_path(root: &Path, digest: &str) -> Result<PathBuf, InvalidDigest> {
    Ok(root.join(BLOBS_FOLDER).join(digest::hex(digest)?))
}

/// Where the blobs of the layout folder `root` lie.
#[must_use]
pub fn blobs_folder(root: &Path) -> PathBuf {
    root.join(BLOBS_FOLDER)
}

/// The layout marker of the layout folder `root`.
#[must_use]
pub fn layout_path(root: &Path) -> PathBuf {
    root.join(LAYOUT_FILE)
}

/// The index of the layout folder `root`.
#[must_use]
pub fn index_path(root: &Path) -> PathBuf {
    root.join(INDEX_FILE)
}

/// The index's signature in the layout folder `root`.
#[must_use]
pub fn signature_path(root: &Path) -> PathBuf {
    root.join(SIGNATURE_FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_stay_below_the_root() {
        let digest = digest::digest_of(b"abc");
        let root = Path::new("/store");
        assert_eq!(blob_path(root, &digest).unwrap(), Path::new("/store/blobs/sha256").join(&digest[7..]));
        assert_eq!(blob_name(&digest).unwrap(), format!("blobs/sha256/{}", &digest[7..]));
        for trick in ["sha256:../../etc/passwd", "../x", "sha256:/etc/passwd"] {
            assert!(blob_path(root, trick).is_err(), "{trick}");
            assert!(blob_name(trick).is_err(), "{trick}");
        }
    }
}
