//! Sealed secrets: age files in ASCII armour, which may lie anywhere, opened by an identity or a passphrase.
//!
//! The format is age's own (<https://c2sp.org/age>), so that the `age` program reads and writes the same files.

use std::fmt;
use std::io::{Read, Write};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::{DecryptError, Decryptor, Encryptor, scrypt, x25519};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// How a sealed text begins.
const MARK: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
/// How an identity begins.
const IDENTITY: &str = "AGE-SECRET-KEY-";
/// Work of a new passphrase, log2 of scrypt's N: the `age` program's own default, about a second and 256 MiB.
const WORK: u8 = 18;
/// Most work that a file may ask for before it is opened: 1 GiB and some seconds. A file from a stranger could ask for
/// a day.
const MOST_WORK: u8 = 20;

/// Why something cannot be sealed or opened. Never holds what is inside.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// No age file in ASCII armour.
    #[error("this is no sealed secret, or not all of it\n  next: make one with `installer secrets seal`")]
    NotSealed,
    /// The bytes were changed or cut.
    #[error("it is damaged\n  next: copy it again from where it was made, or seal the secret again")]
    Damaged,
    /// Another passphrase, or another identity.
    #[error("{given} is not the one that it was sealed with")]
    WrongKey {
        /// What was tried, in words.
        given: &'static str,
    },
    /// A passphrase where an identity is needed, or the other way.
    #[error("it was sealed for {needed}\n  next: name that as `unseal` in the profile, or with --with")]
    OtherKind {
        /// What opens it, in words.
        needed: &'static str,
    },
    /// It would take too long.
    #[error(
        "it asks for 2^{asked} rounds of work, more than the 2^{MOST_WORK} that are allowed\n  next: seal the secret again"
    )]
    TooMuchWork {
        /// Log2 of the work.
        asked: u8,
    },
    /// Not UTF-8 inside.
    #[error("what is sealed in it is not UTF-8 text")]
    NotText,
    /// A line is no identity.
    #[error("line {line} is no age identity (`{IDENTITY}1…`)")]
    Identity {
        /// The line, from 1.
        line: usize,
    },
    /// A text is no recipient.
    #[error("`{text}` is no age recipient (`age1…`)")]
    Recipient {
        /// As it was given.
        text: String,
    },
    /// Nobody to seal for.
    #[error("there is nobody to seal it for")]
    NoRecipient,
    /// The sealing itself failed.
    #[error("the secret cannot be sealed: {why}")]
    Failed {
        /// What the age library said.
        why: String,
    },
}

/// Whether a text is sealed itself, and no name of a file.
pub(crate) fn is_sealed_text(text: &str) -> bool {
    text.trim_start().starts_with(MARK)
}

/// Reads the head of a sealed text, as far as that goes without opening it.
pub(crate) fn inspect(text: &str) -> Result<(), SealError> {
    let mut reader = ArmoredReader::new(text.trim_start().as_bytes());
    let mut bytes = Vec::new();
    // The armour first: a line that is missing at the end is seen here already.
    reader.read_to_end(&mut bytes).map_err(|_| SealError::Damaged)?;
    Decryptor::new_buffered(bytes.as_slice()).map(drop).map_err(|_| SealError::NotSealed)
}

/// What opens sealed secrets: identities or a passphrase. `Debug` shows neither.
pub struct Opener(Key);

enum Key {
    Passphrase(SecretString),
    Identities(Vec<x25519::Identity>),
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Opener").field(&self.said()).finish()
    }
}

impl Opener {
    /// Takes the text of an identity file as such, and every other text as a passphrase.
    pub fn new(text: SecretString) -> Result<Self, SealError> {
        let lines = || text.expose_secret().lines().map(str::trim).enumerate();
        if !lines().any(|(_, line)| line.starts_with(IDENTITY)) {
            return Ok(Self(Key::Passphrase(text)));
        }
        let identities: Result<Vec<x25519::Identity>, SealError> = lines()
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(i, line)| line.parse().map_err(|_| SealError::Identity { line: i + 1 }))
            .collect();
        identities.map(|identities| Self(Key::Identities(identities)))
    }

    fn said(&self) -> &'static str {
        match &self.0 {
            Key::Passphrase(_) => "the passphrase",
            Key::Identities(_) => "the identity",
        }
    }

    /// Opens a sealed text (ASCII armour).
    pub fn open(&self, sealed: &str) -> Result<Zeroizing<String>, SealError> {
        if !is_sealed_text(sealed) {
            return Err(SealError::NotSealed);
        }
        let decryptor = Decryptor::new_buffered(ArmoredReader::new(sealed.trim_start().as_bytes()))
            .map_err(|error| self.refused(&error))?;
        let by_passphrase = decryptor.is_scrypt();
        let opened = match &self.0 {
            Key::Passphrase(_) if !by_passphrase => {
                return Err(SealError::OtherKind { needed: "an identity, and a passphrase was given" });
            }
            Key::Identities(_) if by_passphrase => {
                return Err(SealError::OtherKind { needed: "a passphrase, and an identity was given" });
            }
            Key::Passphrase(passphrase) => {
                let mut identity = scrypt::Identity::new(passphrase.clone());
                identity.set_max_work_factor(MOST_WORK);
                decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity))
            }
            Key::Identities(identities) => {
                decryptor.decrypt(identities.iter().map(|identity| identity as &dyn age::Identity))
            }
        };
        let mut reader = opened.map_err(|error| self.refused(&error))?;
        // Room for all of it beforehand: a growing buffer would leave unwiped copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(sealed.len()));
        reader.read_to_end(&mut bytes).map_err(|_| SealError::Damaged)?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(Zeroizing::new(text.to_owned())),
            Err(_) => Err(SealError::NotText),
        }
    }

    fn refused(&self, error: &DecryptError) -> SealError {
        match error {
            DecryptError::ExcessiveWork { required, .. } => SealError::TooMuchWork { asked: *required },
            DecryptError::InvalidHeader | DecryptError::UnknownFormat => SealError::NotSealed,
            DecryptError::InvalidMac | DecryptError::Io(_) => SealError::Damaged,
            _ => SealError::WrongKey { given: self.said() },
        }
    }

    /// What seals so that this opens.
    #[must_use]
    pub fn sealer(&self) -> Sealer {
        Sealer(match &self.0 {
            Key::Passphrase(passphrase) => Lock::Passphrase(passphrase.clone()),
            Key::Identities(identities) => {
                Lock::Recipients(identities.iter().map(x25519::Identity::to_public).collect())
            }
        })
    }
}

/// What seals secrets: a passphrase, or recipients, whose identities open them. `Debug` does not show a passphrase.
pub struct Sealer(Lock);

enum Lock {
    Passphrase(SecretString),
    Recipients(Vec<x25519::Recipient>),
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Lock::Passphrase(_) => f.write_str("Sealer(the passphrase)"),
            Lock::Recipients(recipients) => f.debug_tuple("Sealer").field(recipients).finish(),
        }
    }
}

impl Sealer {
    /// Seals for recipients (`age1…`), each of whom can open it alone.
    pub fn for_recipients(texts: &[String]) -> Result<Self, SealError> {
        if texts.is_empty() {
            return Err(SealError::NoRecipient);
        }
        let parse =
            |text: &String| text.trim().parse().map_err(|_| SealError::Recipient { text: text.clone() });
        texts.iter().map(parse).collect::<Result<_, _>>().map(|all| Self(Lock::Recipients(all)))
    }

    /// The sealed text, in ASCII armour.
    pub fn seal(&self, secret: &SecretString) -> Result<String, SealError> {
        let encryptor = match &self.0 {
            Lock::Passphrase(passphrase) => {
                let mut recipient = scrypt::Recipient::new(passphrase.clone());
                recipient.set_work_factor(WORK);
                Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
            }
            Lock::Recipients(recipients) => {
                Encryptor::with_recipients(recipients.iter().map(|one| one as &dyn age::Recipient))
            }
        };
        let encryptor = encryptor.map_err(|error| SealError::Failed { why: error.to_string() })?;
        let write = || -> std::io::Result<Vec<u8>> {
            let armour = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
            let mut writer = encryptor.wrap_output(armour)?;
            writer.write_all(secret.expose_secret().as_bytes())?;
            writer.finish()?.finish()
        };
        let bytes = write().map_err(|error| SealError::Failed { why: error.to_string() })?;
        String::from_utf8(bytes).map_err(|error| SealError::Failed { why: error.to_string() })
    }
}

/// A new identity and the recipient that belongs to it, which is no secret.
#[must_use]
pub fn generate() -> (SecretString, String) {
    let identity = x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    (identity.to_string(), recipient)
}
