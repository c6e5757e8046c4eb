//! Whose bundles are opened: trusted keys, the keys that follow them, and how old a release may be.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sealift_bundle::fingerprint::Fingerprint;
use sealift_bundle::rotation::{Rotation, RotationError};
use sealift_bundle::{Bundle, BundleError, TrustedKeys};

use crate::key::SigningKey;

/// Whose bundles are opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// Public key files.
    pub keys: Vec<PathBuf>,
    /// Statements that other keys follow those.
    pub rotations: Vec<PathBuf>,
    /// Older serials are refused.
    pub minimum_serial: Option<u64>,
}

/// Why a bundle is not opened, or a key not followed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A trusted key cannot be used.
    #[error(transparent)]
    Key(#[from] sealift_bundle::KeyError),
    /// A statement of rotation does not count.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// The bundle is refused.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// An older release than the one that is known.
    #[error("{}: {product} {version} has serial {serial}, which is older than {minimum}", path.display())]
    Rollback {
        /// The bundle.
        path: PathBuf,
        /// Name of the product for people.
        product: String,
        /// Its version.
        version: String,
        /// Its serial.
        serial: u64,
        /// The oldest serial that is accepted.
        minimum: u64,
    },
}

impl Trust {
    /// The keys, and those that follow them.
    pub fn keys(&self) -> Result<TrustedKeys, TrustError> {
        let keys = TrustedKeys::from_files(&self.keys)?;
        let statements: Result<Vec<_>, _> =
            self.rotations.iter().map(|path| Rotation::from_file(path)).collect();
        Ok(keys.after(&statements?)?)
    }

    /// Opens the bundle at `path`: its signature counts, and it is not older than what is known.
    pub fn open(&self, path: &Path) -> Result<Bundle, TrustError> {
        let bundle = Bundle::open(path, &self.keys()?)?;
        self.not_older(path, &bundle)?;
        Ok(bundle)
    }

    /// Refuses a bundle that is older than what is known; `path` is for messages.
    pub fn not_older(&self, path: &Path, bundle: &Bundle) -> Result<(), TrustError> {
        let product = &bundle.document().product;
        match self.minimum_serial {
            Some(minimum) if product.serial < minimum => Err(TrustError::Rollback {
                path: path.to_owned(),
                product: product.title.clone(),
                version: product.version.clone(),
                serial: product.serial,
                minimum,
            }),
            _ => Ok(()),
        }
    }
}

/// The statement that the key `new` (the base64 line of its public file) follows the key `old`.
pub fn rotate(old: &SigningKey, new: &str) -> Result<Rotation, TrustError> {
    let new_id = TrustedKeys::from_public_key_text(new)?.ids().pop().unwrap_or_default();
    let comment = Rotation::trusted_comment(&old.id(), &new_id);
    let signature = old.sign(Rotation::statement(old.public_key(), new).as_bytes(), &comment);
    Ok(Rotation::assemble(old.public_key(), new, &signature)?)
}

/// The base64 line of a public key file's text; nothing where there is none.
#[must_use]
pub fn key_line(text: &str) -> Option<&str> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next()?;
    let line = if first.starts_with("untrusted comment:") { lines.next()? } else { first };
    Fingerprint::of(line).map(|_| line)
}

/// What the trusted comment of a bundle says, one part per field; the fields are separated by tabs in the comment.
#[must_use]
pub fn comment_parts(comment: &str) -> Vec<(&str, &str)> {
    comment.split('\t').map(|part| part.split_once(':').unwrap_or((part, ""))).collect()
}

/// When a bundle was signed, as its trusted comment says.
#[must_use]
pub fn signed_at(comment: &str) -> Option<Timestamp> {
    let (_, seconds) = comment_parts(comment).into_iter().find(|(name, _)| *name == "timestamp")?;
    Timestamp::from_second(seconds.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key;

    fn signing_key(folder: &Path, name: &str) -> SigningKey {
        let path = folder.join(name);
        key::generate(&path, None).unwrap();
        SigningKey::open(&path, || Ok(None)).unwrap()
    }

    #[test]
    fn a_statement_is_the_same_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (signing_key(folder.path(), "old.key"), signing_key(folder.path(), "new.key"));
        let statement = rotate(&old, new.public_key()).unwrap();
        assert_eq!(statement.text(), rotate(&old, new.public_key()).unwrap().text());
        assert_eq!((statement.old_id(), statement.new_id()), (&*old.id(), &*new.id()));
        assert!(matches!(
            rotate(&old, old.public_key()),
            Err(TrustError::Rotation(RotationError::SameKey { .. }))
        ));
        assert!(matches!(rotate(&old, "no key"), Err(TrustError::Key(_))));
    }

    #[test]
    fn the_comment_of_a_signature_is_taken_apart() {
        let comment = "product:orders\tversion:4.2.0\tserial:17\ttimestamp:1795338000";
        assert_eq!(comment_parts(comment)[2], ("serial", "17"));
        assert_eq!(signed_at(comment).unwrap().to_string(), "2026-11-22T09:00:00Z");
        for other in ["", "signed by hand", "timestamp:soon"] {
            assert_eq!(signed_at(other), None, "{other}");
        }
    }

    #[test]
    fn key_files_give_their_line() {
        let line = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
        assert_eq!(key_line(line), Some(line));
        assert_eq!(key_line(&format!("untrusted comment: Orders\n{line}\n")), Some(line));
        assert_eq!(key_line("untrusted comment: Orders\n"), None);
    }
}
