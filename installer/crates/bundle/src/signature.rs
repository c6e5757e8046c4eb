//! Whose signature counts, and what a signature file looks like.
//!
//! The file is minisign's, in one exact spelling: `minisign` reads it, and since also its unsigned first line is fixed,
//! no byte of it can change unnoticed.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign_verify::{PublicKey, Signature};

use crate::error::BundleError;
use crate::small;

/// First line of every signature file.
const UNTRUSTED_COMMENT: &str = "untrusted comment: signature over index.json";
/// How the third line starts.
const TRUSTED_PREFIX: &str = "trusted comment: ";
/// Algorithm of prehashed signatures; the older kind is not accepted.
const PREHASHED: &[u8] = b"ED";
/// Bytes of a decoded public key: algorithm, id, key.
const PUBLIC_KEY_LENGTH: usize = 2 + 8 + 32;
/// Bytes of the second line decoded: algorithm, id, signature.
const SIGNATURE_LENGTH: usize = 2 + 8 + 64;

/// Why a public key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No key at all was named.
    #[error("no trusted key: name at least one public key file")]
    NoKeys,
    /// The file cannot be read.
    #[error("{}: the public key cannot be read", .path.display())]
    Read {
        /// The key file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The text is not a public key.
    #[error("{origin}: not a minisign public key")]
    Malformed {
        /// File name, or where else the text came from.
        origin: String,
    },
}

/// The public keys whose signatures are accepted.
#[derive(Debug, Clone)]
pub struct TrustedKeys {
    keys: Vec<TrustedKey>,
}

/// One public key.
#[derive(Debug, Clone)]
pub(crate) struct TrustedKey {
    /// Id as `minisign` prints it.
    pub(crate) id: String,
    /// The key file's second line.
    pub(crate) base64: String,
    /// The key file's comment, empty where there is none.
    pub(crate) comment: String,
    key: PublicKey,
}

impl TrustedKeys {
    /// Reads public key files as `minisign -G` and `bundle-builder keygen` write them.
    ///
    /// # Errors
    /// When there is no file, or one cannot be read or is not a public key.
    pub fn from_files(paths: &[PathBuf]) -> Result<Self, KeyError> {
        let mut keys = Vec::with_capacity(paths.len());
        for path in paths {
            let text = small::read(path).map_err(|source| KeyError::Read { path: path.clone(), source })?;
            keys.push(TrustedKey::parse(&text, &path.display().to_string())?);
        }
        if keys.is_empty() {
            return Err(KeyError::NoKeys);
        }
        Ok(Self { keys })
    }

    /// Takes the text of one public key file, or only its base64 line.
    ///
    /// # Errors
    /// When the text is not a public key.
    pub fn from_public_key_text(text: &str) -> Result<Self, KeyError> {
        Ok(Self { keys: vec![TrustedKey::parse(text, "the given public key")?] })
    }

    /// These and also the `others`.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.keys.extend(others.keys);
        self
    }

    /// Ids of all keys, as `minisign` prints them.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.id.clone()).collect()
    }

    /// Whether this very key, given as the base64 line of its file, is among them.
    pub(crate) fn holds(&self, base64: &str) -> bool {
        self.keys.iter().any(|key| key.base64 == base64)
    }

    /// The key that signed `index`.
    pub(crate) fn verify(
        &self,
        path: &Path,
        index: &[u8],
        signature: &SignatureText,
    ) -> Result<&TrustedKey, BundleError> {
        let mut same_id = self.keys.iter().filter(|key| key.id == signature.key_id).peekable();
        if same_id.peek().is_none() {
            return Err(BundleError::WrongKey {
                path: path.to_owned(),
                expected: self.ids(),
                got: signature.key_id.clone(),
            });
        }
        same_id.find(|key| key.key.verify(index, &signature.signature, false).is_ok()).ok_or_else(|| {
            BundleError::BadSignature { path: path.to_owned(), key_id: signature.key_id.clone() }
        })
    }
}

impl TrustedKey {
    fn parse(text: &str, origin: &str) -> Result<Self, KeyError> {
        let malformed = || KeyError::Malformed { origin: origin.to_owned() };
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = lines.next().ok_or_else(malformed)?;
        let (comment, base64) = match first.strip_prefix("untrusted comment:") {
            Some(comment) => (comment.trim(), lines.next().ok_or_else(malformed)?),
            None => ("", first),
        };
        let bytes = STANDARD.decode(base64).map_err(|_| malformed())?;
        if bytes.len() != PUBLIC_KEY_LENGTH || lines.next().is_some() {
            return Err(malformed());
        }
        Ok(Self {
            id: key_id(&bytes[2..10]),
            base64: base64.to_owned(),
            comment: comment.to_owned(),
            key: PublicKey::from_base64(base64).map_err(|_| malformed())?,
        })
    }
}

/// A signature file in our spelling.
#[derive(Clone)]
pub(crate) struct SignatureText {
    /// Id of the key that it names.
    pub(crate) key_id: String,
    /// What the signer says about the content; covered by the signature.
    pub(crate) trusted_comment: String,
    /// The file itself.
    pub(crate) text: String,
    signature: Signature,
}

impl SignatureText {
    /// Reads a signature file; what is not exactly our spelling is refused.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let signature = Self::rewrite(text)?;
        if signature.text == text { Ok(signature) } else { Err("its lines are spelled differently") }
    }

    /// Takes what a signer gives (any untrusted comment) and puts it into our spelling.
    pub(crate) fn rewrite(text: &str) -> Result<Self, &'static str> {
        let mut lines = text.lines();
        let mut line = || lines.next().ok_or("it has fewer than four lines");
        let (_, own, trusted, global) = (line()?, line()?, line()?, line()?);
        let trusted_comment = trusted.strip_prefix(TRUSTED_PREFIX).ok_or("it has no trusted comment")?;
        let bytes = STANDARD.decode(own).map_err(|_| "its second line is not base64")?;
        if bytes.len() != SIGNATURE_LENGTH {
            return Err("its second line has the wrong length");
        }
        if !bytes.starts_with(PREHASHED) {
            return Err("it was not made with minisign's present algorithm");
        }
        // The decoder of minisign-verify takes any spare bits at the end; ours does not.
        STANDARD.decode(global).map_err(|_| "its fourth line is not base64")?;
        let text = format!("{UNTRUSTED_COMMENT}\n{own}\n{trusted}\n{global}\n");
        let signature = Signature::decode(&text).map_err(|_| "minisign cannot read it")?;
        Ok(Self {
            key_id: key_id(&bytes[2..10]),
            trusted_comment: trusted_comment.to_owned(),
            text,
            signature,
        })
    }
}

/// A key id as `minisign` prints it: a little-endian number in hexadecimal.
pub(crate) fn key_id(bytes: &[u8]) -> String {
    bytes.iter().rev().fold(String::new(), |text, byte| text + &format!("{byte:02X}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Published example of the minisign format: key, and signature over the text `test`.
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key
RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
trusted comment: timestamp:1633700835\tfile:test\tprehashed
wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==
";

    #[test]
    fn key_file_and_base64_line_are_the_same_key() {
        let line = TrustedKeys::from_public_key_text(KEY).unwrap();
        let file =
            TrustedKeys::from_public_key_text(&format!("untrusted comment: Orders 2026\n{KEY}\n")).unwrap();
        assert_eq!(line.ids(), ["E7620F1842B4E81F"]);
        assert_eq!(line.ids(), file.ids());
        assert_eq!(file.keys[0].comment, "Orders 2026");
        assert_eq!(file.keys[0].base64, KEY);
    }

    #[test]
    fn what_is_no_key_is_refused_by_name() {
        for text in ["", "untrusted comment: x", "x", &KEY[1..], &format!("{KEY}\n{KEY}")] {
            assert!(
                matches!(TrustedKeys::from_public_key_text(text), Err(KeyError::Malformed { .. })),
                "{text}"
            );
        }
        assert!(matches!(TrustedKeys::from_files(&[]), Err(KeyError::NoKeys)));
        let missing = PathBuf::from("/nonexistent/key.pub");
        let error = TrustedKeys::from_files(&[missing]).unwrap_err();
        assert_eq!(error.to_string(), "/nonexistent/key.pub: the public key cannot be read");
    }

    #[test]
    fn only_our_spelling_is_read_and_it_verifies() {
        assert_eq!(SignatureText::parse(SIGNATURE).err(), Some("its lines are spelled differently"));
        let ours = SignatureText::rewrite(SIGNATURE).unwrap();
        let read = SignatureText::parse(&ours.text).unwrap();
        assert_eq!(read.trusted_comment, "timestamp:1633700835\tfile:test\tprehashed");
        let keys = TrustedKeys::from_public_key_text(KEY).unwrap();
        let path = Path::new("b");
        assert_eq!(keys.verify(path, b"test", &read).unwrap().id, read.key_id);
        assert!(matches!(keys.verify(path, b"Test", &read), Err(BundleError::BadSignature { .. })));
        for other in
            [format!("{}\n", ours.text), ours.text.replace('\n', "\r\n"), ours.text.trim_end().to_owned()]
        {
            assert!(SignatureText::parse(&other).is_err());
        }
    }
}
