//! minisign keys and signatures.
//!
//! Key files are the `minisign` crate's business. The signature itself is made here: that crate adds random noise to
//! each one, and two builds of one lock must be equal to the byte. Ed25519 as RFC 8032 has it (here by `ring`) is
//! deterministic, and every minisign program verifies it.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};
use ring::signature::Ed25519KeyPair;
use sealift_bundle::{TrustedKeys, small};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::atomic;

/// Key number inside a decrypted secret key, see minisign's key format.
const NUMBER: std::ops::Range<usize> = 54..62;
/// Seed of the Ed25519 key; its public half follows.
const SEED: std::ops::Range<usize> = 62..94;
const PUBLIC: std::ops::Range<usize> = 94..126;
/// Algorithm of a signature over the `BLAKE2b` hash of the content.
const PREHASHED: [u8; 2] = *b"ED";

/// What went wrong with a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A key is there already.
    #[error("{} exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not a minisign secret key.
    #[error("{} is no minisign secret key", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
    },
    /// The half that is no secret, and signs nothing.
    #[error("{} is the public half of a key, which cannot sign", path.display())]
    Public {
        /// The file.
        path: PathBuf,
    },
    /// The key has a password, and none was given.
    #[error("{} needs its password", path.display())]
    PasswordNeeded {
        /// The file.
        path: PathBuf,
    },
    /// The password does not open the key.
    #[error("wrong password for {}", path.display())]
    WrongPassword {
        /// The file.
        path: PathBuf,
    },
    /// Others may read the secret key.
    #[error("{} can be read by others (mode {mode:04o})", path.display())]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The system gave no randomness, or the key library failed.
    #[error("cannot make a key")]
    Generate {
        /// Why.
        source: minisign::PError,
    },
}

/// A new key pair on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// 16 hexadecimal digits.
    pub id: String,
    /// Where the public key is.
    pub public_key_path: PathBuf,
    /// The public key, as customers type or compare it.
    pub public_key: String,
}

/// Makes a key pair: the secret half at `path` with mode 0600, the public half at `path` + `.pub`. Both come together, and
/// nothing is replaced.
pub fn generate(path: &Path, password: Option<&SecretString>) -> Result<NewKey, KeyError> {
    let public_key_path = public_key_path(path);
    for path in [path, &public_key_path] {
        if path.symlink_metadata().is_ok() {
            return Err(KeyError::Exists { path: path.to_owned() });
        }
    }
    let make = || match password {
        Some(password) => KeyPair::generate_encrypted_keypair(Some(password.expose_secret().to_owned())),
        None => KeyPair::generate_unencrypted_keypair(),
    };
    let pair = make().map_err(|source| KeyError::Generate { source })?;
    let id = key_id(pair.pk.keynum());
    let secret = pair
        .sk
        .to_box(Some(&format!("minisign secret key {id}")))
        .map_err(|source| KeyError::Generate { source })?;
    let public = pair.pk.to_box().map_err(|source| KeyError::Generate { source })?;
    let secret = Zeroizing::new(secret.to_bytes());
    let files: [(&Path, u32, &[u8]); 2] =
        [(path, 0o600, &secret), (&public_key_path, 0o644, &public.to_bytes())];
    atomic::create_together(&files).map_err(|(path, source)| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyError::Exists { path },
        _ => KeyError::File { action: "write", path, source },
    })?;
    Ok(NewKey { id, public_key_path, public_key: pair.pk.to_base64() })
}

/// Where the public half of the key at `path` is.
#[must_use]
pub fn public_key_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

/// Minisign writes a key's number as one little-endian integer.
fn key_id(number: &[u8]) -> String {
    number.iter().rev().fold(String::new(), |text, byte| text + &format!("{byte:02X}"))
}

/// A key that signs.
pub struct SigningKey {
    number: [u8; 8],
    pair: Ed25519KeyPair,
    public_key: String,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SigningKey({})", self.id())
    }
}

impl SigningKey {
    /// Opens the secret key at `path`; `password` is asked only for a key that has one.
    pub fn open(
        path: &Path,
        password: impl FnOnce() -> Result<Option<SecretString>, KeyError>,
    ) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File { action: "read", path: path.to_owned(), source };
        let invalid = || KeyError::Invalid { path: path.to_owned() };
        let text = small::read(path).map(Zeroizing::new).map_err(|error| match error.kind() {
            // What no key is, it is, whoever may read it.
            io::ErrorKind::FileTooLarge | io::ErrorKind::InvalidData => invalid(),
            _ => failed(error),
        })?;
        let encrypted =
            has_password(&text).ok_or_else(|| match TrustedKeys::from_public_key_text(&text) {
                Ok(_) => KeyError::Public { path: path.to_owned() },
                Err(_) => invalid(),
            })?;
        check_mode(path, &path.metadata().map_err(failed)?)?;
        let boxed = || SecretKeyBox::from_string(&text).map_err(|_| invalid());
        let key = if encrypted {
            let password = password()?.ok_or_else(|| KeyError::PasswordNeeded { path: path.to_owned() })?;
            boxed()?
                .into_secret_key(Some(password.expose_secret().to_owned()))
                .map_err(|_| KeyError::WrongPassword { path: path.to_owned() })?
        } else {
            boxed()?.into_unencrypted_secret_key().map_err(|_| invalid())?
        };
        Self::from_secret(&key).ok_or_else(invalid)
    }

    fn from_secret(key: &SecretKey) -> Option<Self> {
        let bytes = Zeroizing::new(key.to_bytes());
        let number = bytes.get(NUMBER)?.try_into().ok()?;
        let pair = Ed25519KeyPair::from_seed_and_public_key(bytes.get(SEED)?, bytes.get(PUBLIC)?).ok()?;
        let public_key = PublicKey::from_secret_key(key).ok()?.to_base64();
        Some(Self { number, pair, public_key })
    }

    /// 16 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> String {
        key_id(&self.number)
    }

    /// The public half, as a public key file's second line has it.
    #[must_use]
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// The minisign signature file over `content`, the same each time; `comment` is one line and is signed, too.
    #[must_use]
    pub fn sign(&self, content: &[u8], comment: &str) -> String {
        let signature = self.pair.sign(blake2b_simd::blake2b(content).as_bytes());
        let both = [signature.as_ref(), comment.as_bytes()].concat();
        let line = [&PREHASHED[..], &self.number, signature.as_ref()].concat();
        format!(
            "untrusted comment: signature by minisign key {}\n{}\ntrusted comment: {comment}\n{}\n",
            self.id(),
            STANDARD.encode(line),
            STANDARD.encode(self.pair.sign(&both))
        )
    }
}

/// Whether the key file `text` is encrypted; nothing where it is no key file.
fn has_password(text: &str) -> Option<bool> {
    let bytes = Zeroizing::new(STANDARD.decode(text.lines().nth(1)?.trim()).ok()?);
    (bytes.len() == 158 && bytes.starts_with(b"Ed")).then(|| bytes[2..4] != [0, 0])
}

fn check_mode(path: &Path, metadata: &std::fs::Metadata) -> Result<(), KeyError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o7777;
    let others = mode & 0o077;
    if others == 0 { Ok(()) } else { Err(KeyError::Readable { path: path.to_owned(), mode }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    #[test]
    fn signatures_are_the_same_each_time_and_verify() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("release.key");
        let made = generate(&path, None).unwrap();
        let key = SigningKey::open(&path, || Ok(None)).unwrap();
        assert_eq!((key.id(), key.public_key()), (made.id.clone(), made.public_key.as_str()));
        let signature = key.sign(b"content", "Orders 4.2.0 serial 17");
        assert_eq!(signature, key.sign(b"content", "Orders 4.2.0 serial 17"));

        let public = minisign_verify::PublicKey::from_base64(key.public_key()).unwrap();
        let decoded = minisign_verify::Signature::decode(&signature).unwrap();
        public.verify(b"content", &decoded, false).unwrap();
        assert!(public.verify(b"Content", &decoded, false).is_err());
        let forged = signature.replace("serial 17", "serial 18");
        let forged = minisign_verify::Signature::decode(&forged).unwrap();
        assert!(public.verify(b"content", &forged, false).is_err());
    }

    #[test]
    fn the_minisign_program_agrees() {
        let folder = tempfile::tempdir().unwrap();
        let (path, content) = (folder.path().join("release.key"), folder.path().join("index.json"));
        let made = generate(&path, None).unwrap();
        let key = SigningKey::open(&path, || Ok(None)).unwrap();
        std::fs::write(&content, "{}").unwrap();
        std::fs::write(folder.path().join("index.json.minisig"), key.sign(b"{}", "Orders")).unwrap();
        let output = Command::new("minisign")
            .arg("-Vm")
            .arg(&content)
            .arg("-p")
            .arg(&made.public_key_path)
            .output()
            .expect("Debian's minisign is needed for the tests");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("Trusted comment: Orders"), "{output:?}");
    }

    #[test]
    fn a_password_protects_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("release.key");
        let made = generate(&path, Some(&"correct horse".into())).unwrap();
        assert!(matches!(SigningKey::open(&path, || Ok(None)), Err(KeyError::PasswordNeeded { .. })));
        let wrong = SigningKey::open(&path, || Ok(Some("incorrect horse".into())));
        assert!(matches!(wrong, Err(KeyError::WrongPassword { .. })));
        let key = SigningKey::open(&path, || Ok(Some("correct horse".into()))).unwrap();
        assert_eq!(key.id(), made.id);
    }

    #[test]
    fn secret_keys_are_private_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("release.key");
        generate(&path, None).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&public_key_path(&path))), (0o600, 0o644));
        assert!(matches!(generate(&path, None), Err(KeyError::Exists { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(SigningKey::open(&path, || Ok(None)), Err(KeyError::Readable { mode: 0o640, .. })));
    }

    #[test]
    fn other_files_are_no_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("release.key");
        let text: &[u8] = b"untrusted comment: x\nAAAA\n";
        atomic::create_together(&[(&path, 0o600, text)]).unwrap();
        let refused = |path: &Path| SigningKey::open(path, || Ok(None)).unwrap_err();
        assert!(matches!(refused(&path), KeyError::Invalid { .. }));
        // What it is comes before who may read it.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(refused(&path), KeyError::Invalid { .. }));
        std::fs::write(&path, [0xff; 100]).unwrap();
        assert!(matches!(refused(&path), KeyError::Invalid { .. }));
        std::fs::File::options().write(true).open(&path).unwrap().set_len(1 << 36).unwrap();
        assert!(matches!(refused(&path), KeyError::Invalid { .. }));
        assert!(matches!(refused(folder.path()), KeyError::File { action: "read", .. }));
        let debug = generate(&folder.path().join("other.key"), None).map(|key| format!("{key:?}")).unwrap();
        assert!(debug.contains("public_key"));
        assert!(matches!(refused(&folder.path().join("other.key.pub")), KeyError::Public { .. }));
    }
}
