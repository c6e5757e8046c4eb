//! Secrets by reference, and the secrets themselves in memory only.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::seal::{self, Opener, SealError};
use crate::site::Site;

/// Largest file that a secret is read from, bytes.
const MAX_SECRET: u64 = 1 << 20;

/// Where a secret is. The profile never holds the secret itself: exactly one of these keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-secret" = true))]
pub enum SecretRef {
    /// A file on the seat; one trailing newline is dropped. `~/` is the home of the caller.
    File(String),
    /// An environment variable of the installer.
    Env(String),
    /// Asked for at the terminal, with this label.
    Prompt(String),
    /// Sealed with age: a file in ASCII armour, or that text itself. `unseal` says what opens it.
    Sealed(String),
}

impl fmt::Display for SecretRef {
    /// The reference as people say it; never the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {path}"),
            Self::Env(name) => write!(f, "the environment variable {name}"),
            Self::Prompt(label) => write!(f, "the answer to \"{label}\""),
            Self::Sealed(text) if seal::is_sealed_text(text) => f.write_str("the sealed text in the profile"),
            Self::Sealed(path) => write!(f, "the sealed file {path}"),
        }
    }
}

/// Why a secret could not be had. Names the reference, never the value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("the secret in the file {} cannot be read", path.display())]
    File {
        /// The file, `~/` expanded.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `~/` without a home.
    #[error("the secret in the file {path} cannot be read: HOME is not set\n  next: write the whole path")]
    NoHome {
        /// As the profile has it.
        path: String,
    },
    /// The variable is not set.
    #[error(
        "the secret in the environment variable {name} is not there\n  next: export {name} before the start"
    )]
    NotSet {
        /// Its name.
        name: String,
    },
    /// Larger than any secret.
    #[error("{reference} is larger than {MAX_SECRET} bytes: this is no secret")]
    TooLarge {
        /// Where it was looked for.
        reference: SecretRef,
    },
    /// Nothing there.
    #[error("{reference} is empty\n  next: put the secret there")]
    Empty {
        /// Where it was looked for.
        reference: SecretRef,
    },
    /// Not UTF-8.
    #[error("{reference} is not UTF-8 text")]
    NotText {
        /// Where it was looked for.
        reference: SecretRef,
    },
    /// It is sealed and does not open.
    #[error("{reference} cannot be opened")]
    Sealed {
        /// What was to be opened.
        reference: SecretRef,
        /// Why.
        source: SealError,
    },
    /// What should open sealed secrets does not.
    #[error("{reference} opens no sealed secret")]
    Opener {
        /// Where it was looked for.
        reference: SecretRef,
        /// Why.
        source: SealError,
    },
    /// Nobody answered.
    #[error(
        "nobody answered \"{label}\"\n  next: start again at a terminal, or name a file or a variable instead"
    )]
    Prompt {
        /// What was asked.
        label: String,
        /// Why.
        source: io::Error,
    },
}

/// A secret's file that others on the seat can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// The file.
    pub path: PathBuf,
    /// Its permission bits, e.g. `0o644`.
    pub mode: u32,
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(
            f,
            "others on this machine can read the secret in {path} (mode {:04o}): chmod 600 {path}",
            self.mode
        )
    }
}

impl SecretRef {
    /// Fetches the secret. `prompt` asks a person and is called for [`SecretRef::Prompt`], and for the passphrase of a
    /// [`SecretRef::Sealed`].
    ///
    /// One trailing newline (`\n` or `\r\n`) is dropped, unless a person typed it; an empty secret is an error.
    pub fn resolve(
        &self,
        prompt: &dyn Fn(&str) -> io::Result<SecretString>,
    ) -> Result<SecretString, SecretError> {
        let text = match self {
            Self::File(path) => self.read(&expand(path)?)?,
            Self::Env(name) => Zeroizing::new(match std::env::var(name) {
                Ok(value) => value,
                Err(std::env::VarError::NotPresent) => {
                    return Err(SecretError::NotSet { name: name.clone() });
                }
                Err(std::env::VarError::NotUnicode(_)) => {
                    return Err(SecretError::NotText { reference: self.clone() });
                }
            }),
            Self::Prompt(label) => {
                return prompt(label).map_err(|source| SecretError::Prompt { label: label.clone(), source });
            }
            Self::Sealed(_) => return self.resolve_with(None, prompt),
        };
        self.tidy(text)
    }

    /// [`SecretRef::resolve`] with a place for what opens a sealed secret; `None` asks for its passphrase.
    pub fn resolve_with(
        &self,
        unseal: Option<&Self>,
        prompt: &dyn Fn(&str) -> io::Result<SecretString>,
    ) -> Result<SecretString, SecretError> {
        match self {
            Self::Sealed(text) => self.open(text, &opener(unseal, prompt)?),
            _ => self.resolve(prompt),
        }
    }

    /// Opens what is sealed in `text`, or in the file of that name.
    fn open(&self, text: &str, opener: &Opener) -> Result<SecretString, SecretError> {
        let file;
        let sealed = if seal::is_sealed_text(text) {
            text
        } else {
            file = self.read(&expand(text)?)?;
            &file
        };
        let inside =
            opener.open(sealed).map_err(|source| SecretError::Sealed { reference: self.clone(), source });
        self.tidy(inside?)
    }

    fn tidy(&self, mut text: Zeroizing<String>) -> Result<SecretString, SecretError> {
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        if text.is_empty() {
            return Err(SecretError::Empty { reference: self.clone() });
        }
        Ok(SecretString::from(std::mem::take(&mut *text)))
    }

    fn read(&self, path: &Path) -> Result<Zeroizing<String>, SecretError> {
        let failed = |source| SecretError::File { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        // Sized before reading: a growing buffer would leave unwiped copies behind.
        let length = file.metadata().map_err(failed)?.len().min(MAX_SECRET);
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 2));
        file.take(MAX_SECRET + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_SECRET {
            return Err(SecretError::TooLarge { reference: self.clone() });
        }
        match String::from_utf8(std::mem::take(&mut *bytes)) {
            Ok(text) => Ok(Zeroizing::new(text)),
            Err(error) => {
                drop(Zeroizing::new(error.into_bytes()));
                Err(SecretError::NotText { reference: self.clone() })
            }
        }
    }

    /// Whether the secret's file can be read by others than its owner; `None` where it cannot, or is no file.
    #[must_use]
    pub fn exposure(&self) -> Option<Exposure> {
        // A sealed file may be read by anybody.
        let Self::File(path) = self else { return None };
        let path = expand(path).ok()?;
        let mode = std::fs::metadata(&path).ok()?.permissions().mode() & 0o7777;
        (mode & 0o077 != 0).then_some(Exposure { path, mode })
    }
}

/// Fetches what opens sealed secrets; a passphrase is asked for where the profile says nothing.
fn opener(
    unseal: Option<&SecretRef>,
    prompt: &dyn Fn(&str) -> io::Result<SecretString>,
) -> Result<Opener, SecretError> {
    let asked = SecretRef::Prompt("passphrase of the sealed secrets".to_owned());
    let reference = unseal.unwrap_or(&asked);
    Opener::new(reference.resolve(prompt)?)
        .map_err(|source| SecretError::Opener { reference: reference.clone(), source })
}

fn expand(path: &str) -> Result<PathBuf, SecretError> {
    match path.strip_prefix("~/") {
        None => Ok(PathBuf::from(path)),
        Some(rest) => {
            let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
            home.map(|home| Path::new(&home).join(rest))
                .ok_or_else(|| SecretError::NoHome { path: path.to_owned() })
        }
    }
}

/// All secrets of a site, each fetched once. Wiped when dropped; `Debug` shows the references alone.
#[derive(Default)]
pub struct ResolvedSecrets {
    secrets: BTreeMap<SecretRef, SecretString>,
    exposures: Vec<Exposure>,
}

impl ResolvedSecrets {
    /// Fetches every secret that the site refers to. Errors of all references are given together.
    pub fn resolve(
        site: &Site,
        prompt: &dyn Fn(&str) -> io::Result<SecretString>,
    ) -> Result<Self, Vec<SecretError>> {
        let mut resolved = Self::default();
        let mut errors = Vec::new();
        let mut key = None;
        if site.secret_references().any(|reference| matches!(reference, SecretRef::Sealed(_))) {
            match opener(site.unseal.as_ref(), prompt) {
                Ok(opener) => key = Some(opener),
                Err(error) => errors.push(error),
            }
            resolved.exposures.extend(site.unseal.as_ref().and_then(SecretRef::exposure));
        }
        for reference in site.secret_references() {
            if resolved.secrets.contains_key(reference) {
                continue;
            }
            let secret = match (reference, &key) {
                // What opens them all is not there: said once.
                (SecretRef::Sealed(_), None) => continue,
                (SecretRef::Sealed(text), Some(key)) => reference.open(text, key),
                _ => reference.resolve(prompt),
            };
            match secret {
                Ok(secret) => {
                    resolved.exposures.extend(reference.exposure());
                    resolved.secrets.insert(reference.clone(), secret);
                }
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(resolved) } else { Err(errors) }
    }

    /// The secret behind a reference of the site that was resolved.
    #[must_use]
    pub fn get(&self, reference: &SecretRef) -> Option<&SecretString> {
        self.secrets.get(reference)
    }

    /// Files of secrets that others on the seat can read: a warning, not an error.
    #[must_use]
    pub fn exposures(&self) -> &[Exposure] {
        &self.exposures
    }
}

impl fmt::Debug for ResolvedSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.secrets.keys()).finish()
    }
}
