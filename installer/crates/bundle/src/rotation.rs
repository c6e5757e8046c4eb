//! Key rotation: the old key says which key follows it.
//!
//! A statement is a text of seven lines. The first three are what is signed, the last four are minisign's signature file
//! over them, so that `head -3` and `tail -4` give two files that `minisign -V` reads:
//!
//! ```text
//! sealift key rotation v1
//! old BASE64-LINE-OF-THE-OLD-PUBLIC-KEY
//! new BASE64-LINE-OF-THE-NEW-PUBLIC-KEY
//! untrusted comment: signature of the old key over the three lines above
//! SIGNATURE
//! trusted comment: rotation<TAB>old:ID<TAB>new:ID
//! SIGNATURE OVER SIGNATURE AND COMMENT
//! ```
//!
//! There is one spelling: a statement with any other byte in it is refused. The first line keeps a statement apart from
//! everything else that a release key signs: no `index.json` starts like it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::error::BundleError;
use crate::signature::{SignatureText, TrustedKeys};

/// First line of a statement of this version.
const HEADING: &str = "sealift key rotation v1";
/// How every version's first line starts.
const FAMILY: &str = "sealift key rotation ";
/// Fourth line.
const UNTRUSTED_COMMENT: &str = "untrusted comment: signature of the old key over the three lines above";
/// Largest statement, bytes; ours have less than 600.
const LIMIT: u64 = 4 << 10;
/// Longest chain of keys that is followed.
const LONGEST_CHAIN: usize = 32;

/// Why a statement of rotation does not count.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The file cannot be read.
    #[error("{}: the statement of rotation cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not a statement, or not in our spelling.
    #[error("{origin}: not a statement of key rotation: {reason}")]
    Malformed {
        /// File name, or where else the text came from.
        origin: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// Made by a newer program.
    #[error("{origin}: `{found}` is newer than this program, which reads `{HEADING}`")]
    Newer {
        /// File name, or where else the text came from.
        origin: String,
        /// Its first line.
        found: String,
    },
    /// Old and new are one key.
    #[error("{origin}: the new key is the old one ({id})")]
    SameKey {
        /// File name, or where else the text came from.
        origin: String,
        /// The key's id.
        id: String,
    },
    /// The signature is not the old key's.
    #[error(
        "{origin}: the signature does not match: the statement was changed, or key {old} did not make it"
    )]
    Forged {
        /// File name, or where else the text came from.
        origin: String,
        /// Id of the key that should have signed.
        old: String,
    },
    /// Nobody here trusts the old key.
    #[error("{origin}: made by key {old}, which is not trusted here; trusted: {}", .trusted.join(", "))]
    NotTrusted {
        /// File name, or where else the text came from.
        origin: String,
        /// Id of the old key.
        old: String,
        /// Ids of the keys that are trusted.
        trusted: Vec<String>,
    },
    /// More statements than anybody has keys.
    #[error("{count} statements of key rotation; no more than {LONGEST_CHAIN} are followed")]
    TooMany {
        /// How many were given.
        count: usize,
    },
}

/// A statement whose signature is that of the old key it names.
#[derive(Debug, Clone)]
pub struct Rotation {
    origin: String,
    old: String,
    old_id: String,
    new: String,
    new_id: String,
    text: String,
}

impl Rotation {
    /// What the old key must sign: the statement's first three lines. Keys are the base64 lines of public key files.
    #[must_use]
    pub fn statement(old: &str, new: &str) -> String {
        format!("{HEADING}\nold {old}\nnew {new}\n")
    }

    /// The trusted comment that belongs under that signature.
    #[must_use]
    pub fn trusted_comment(old_id: &str, new_id: &str) -> String {
        format!("rotation\told:{old_id}\tnew:{new_id}")
    }

    /// Puts statement and signature file together, and checks the result as a reader would.
    ///
    /// # Errors
    /// When a key is no key, or the signature is not the old key's.
    pub fn assemble(old: &str, new: &str, signature: &str) -> Result<Self, RotationError> {
        let lines: Vec<&str> = signature.lines().skip(1).take(3).collect();
        let text = format!("{}{UNTRUSTED_COMMENT}\n{}\n", Self::statement(old, new), lines.join("\n"));
        Self::parse(&text, "the new statement")
    }

    /// Reads the statement at `path`.
    ///
    /// # Errors
    /// As [`Rotation::parse`], or when the file cannot be read.
    pub fn from_file(path: &Path) -> Result<Self, RotationError> {
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(LIMIT + 1).read_to_string(&mut text))
            .map_err(|source| RotationError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads a statement; `origin` is for messages. Whether the old key is trusted is not asked here, see
    /// [`TrustedKeys::after`].
    ///
    /// # Errors
    /// When it is not exactly a statement that the old key signed.
    pub fn parse(text: &str, origin: &str) -> Result<Self, RotationError> {
        let malformed = |reason| RotationError::Malformed { origin: origin.to_owned(), reason };
        if text.len() as u64 > LIMIT {
            return Err(malformed("it is far too long"));
        }
        let mut lines = text.lines();
        let heading = lines.next().unwrap_or_default();
        if heading != HEADING {
            return Err(if heading.starts_with(FAMILY) {
                RotationError::Newer { origin: origin.to_owned(), found: heading.to_owned() }
            } else {
                malformed("its first line is another one")
            });
        }
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).ok_or(malformed("no old key"))?;
        let new = lines.next().and_then(|line| line.strip_prefix("new ")).ok_or(malformed("no new key"))?;
        let (old_keys, old_id) = key(old).ok_or(malformed("its old key is no public key"))?;
        let (_, new_id) = key(new).ok_or(malformed("its new key is no public key"))?;
        if old == new {
            return Err(RotationError::SameKey { origin: origin.to_owned(), id: old_id });
        }
        let rest: Vec<&str> = lines.collect();
        let statement = Self::statement(old, new);
        let comment = Self::trusted_comment(&old_id, &new_id);
        let signature = SignatureText::rewrite(&rest.join("\n")).map_err(malformed)?;
        if signature.trusted_comment != comment {
            return Err(malformed("its trusted comment names other keys"));
        }
        if text != format!("{statement}{}\n", rest.join("\n")) || rest.len() != 4 {
            return Err(malformed("its lines are spelled differently"));
        }
        if rest.first() != Some(&UNTRUSTED_COMMENT) {
            return Err(malformed("its fourth line is another one"));
        }
        old_keys.verify(Path::new(origin), statement.as_bytes(), &signature).map_err(|_: BundleError| {
            RotationError::Forged { origin: origin.to_owned(), old: old_id.clone() }
        })?;
        let (old, new, text) = (old.to_owned(), new.to_owned(), text.to_owned());
        Ok(Self { origin: origin.to_owned(), old, old_id, new, new_id, text })
    }

    /// The base64 line of the old public key.
    #[must_use]
    pub fn old(&self) -> &str {
        &self.old
    }

    /// The base64 line of the new public key.
    #[must_use]
    pub fn new_key(&self) -> &str {
        &self.new
    }

    /// Id of the old key, as `minisign` prints it.
    #[must_use]
    pub fn old_id(&self) -> &str {
        &self.old_id
    }

    /// Id of the new key, as `minisign` prints it.
    #[must_use]
    pub fn new_id(&self) -> &str {
        &self.new_id
    }

    /// The whole statement, as its file has it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl TrustedKeys {
    /// These keys, and those that follow them by the `statements`, in whatever order these are given. A key stays
    /// trusted when another follows it: whoever no longer wants it stops naming it.
    ///
    /// # Errors
    /// When the old key of a statement is not trusted, not even by another statement.
    pub fn after(self, statements: &[Rotation]) -> Result<Self, RotationError> {
        if statements.len() > LONGEST_CHAIN {
            return Err(RotationError::TooMany { count: statements.len() });
        }
        let mut trusted = self;
        let mut left: Vec<&Rotation> = statements.iter().collect();
        while !left.is_empty() {
            let (next, later): (Vec<&Rotation>, Vec<&Rotation>) =
                left.iter().partition(|statement| trusted.holds(&statement.old));
            let Some(first) = later.first().filter(|_| next.is_empty()) else {
                for statement in next {
                    let comment =
                        format!("untrusted comment: follows {}\n{}", statement.old_id, statement.new);
                    // It was read as a key before, with the statement.
                    if let Ok(new) = Self::from_public_key_text(&comment) {
                        trusted = trusted.and(new);
                    }
                }
                left = later;
                continue;
            };
            return Err(RotationError::NotTrusted {
                origin: first.origin.clone(),
                old: first.old_id.clone(),
                trusted: trusted.ids(),
            });
        }
        Ok(trusted)
    }
}

/// The key of a base64 line alone, and its id.
fn key(line: &str) -> Option<(TrustedKeys, String)> {
    // A line that the reader of key files would trim or skip is another spelling.
    if line.trim() != line || line.contains(char::is_whitespace) {
        return None;
    }
    let keys = TrustedKeys::from_public_key_text(line).ok()?;
    let id = keys.ids().pop()?;
    Some((keys, id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SampleKey;

    /// A key pair and the base64 line of its public half.
    fn pair() -> (SampleKey, String) {
        let key = SampleKey::generate();
        let line = key.public_key_text().lines().nth(1).unwrap().to_owned();
        (key, line)
    }

    fn id(line: &str) -> String {
        key(line).unwrap().1
    }

    fn rotation(signer: &SampleKey, old: &str, new: &str) -> Result<Rotation, RotationError> {
        let comment = Rotation::trusted_comment(&id(old), &id(new));
        Rotation::assemble(old, new, &signer.sign(Rotation::statement(old, new).as_bytes(), &comment))
    }

    fn trusted(line: &str) -> TrustedKeys {
        TrustedKeys::from_public_key_text(line).unwrap()
    }

    #[test]
    fn trust_follows_a_chain_in_any_order() {
        let ((first, a), (second, b), (_, c)) = (pair(), pair(), pair());
        let (ab, bc) = (rotation(&first, &a, &b).unwrap(), rotation(&second, &b, &c).unwrap());
        assert_eq!((ab.old(), ab.new_key(), ab.old_id(), ab.new_id()), (&*a, &*b, &*id(&a), &*id(&b)));
        for order in [[ab.clone(), bc.clone()], [bc.clone(), ab.clone()]] {
            let ids = trusted(&a).after(&order).unwrap().ids();
            assert_eq!(ids, [id(&a), id(&b), id(&c)]);
        }
        assert_eq!(trusted(&c).after(&[]).unwrap().ids(), [id(&c)]);
    }

    #[test]
    fn a_stranger_introduces_nobody() {
        let ((first, a), (stranger, b), (_, c)) = (pair(), pair(), pair());
        let error = trusted(&a).after(&[rotation(&stranger, &b, &c).unwrap()]).unwrap_err();
        assert!(matches!(&error, RotationError::NotTrusted { old, .. } if *old == id(&b)), "{error}");
        // Signed by the stranger, in the name of the first.
        assert!(matches!(rotation(&stranger, &a, &b), Err(RotationError::Forged { .. })));
        assert!(matches!(rotation(&first, &a, &a), Err(RotationError::SameKey { .. })));
    }

    #[test]
    fn a_key_with_a_trusted_id_is_not_trusted_for_that() {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        let ((_, a), (stranger, b), (_, c)) = (pair(), pair(), pair());
        // The stranger's key under the trusted key's id, which anybody can write.
        let (mut forged, own) = (STANDARD.decode(&b).unwrap(), STANDARD.decode(&a).unwrap());
        forged[2..10].copy_from_slice(&own[2..10]);
        let forged = STANDARD.encode(forged);
        let comment = Rotation::trusted_comment(&id(&forged), &id(&c));
        let signature = stranger.sign(Rotation::statement(&forged, &c).as_bytes(), &comment);
        let mut lines: Vec<String> = signature.lines().map(ToOwned::to_owned).collect();
        let mut bytes = STANDARD.decode(&lines[1]).unwrap();
        bytes[2..10].copy_from_slice(&own[2..10]);
        lines[1] = STANDARD.encode(bytes);
        let statement = Rotation::assemble(&forged, &c, &lines.join("\n")).unwrap();
        assert!(matches!(trusted(&a).after(&[statement]), Err(RotationError::NotTrusted { .. })));
    }

    #[test]
    fn no_byte_can_change() {
        let ((first, a), (_, b)) = (pair(), pair());
        let text = rotation(&first, &a, &b).unwrap().text().to_owned();
        assert_eq!(Rotation::parse(&text, "x").unwrap().text(), text);
        for place in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[place] ^= 1;
            if let Ok(changed) = String::from_utf8(changed) {
                assert!(Rotation::parse(&changed, "x").is_err(), "byte {place}");
            }
        }
        for other in
            [format!("{text}\n"), text.trim_end().to_owned(), text.replace('\n', "\r\n"), String::new()]
        {
            assert!(Rotation::parse(&other, "x").is_err(), "{other}");
        }
        let newer = text.replace("rotation v1", "rotation v2");
        assert!(matches!(Rotation::parse(&newer, "x"), Err(RotationError::Newer { .. })));
        assert!(matches!(Rotation::parse(&"x".repeat(1 << 20), "x"), Err(RotationError::Malformed { .. })));
    }
}
