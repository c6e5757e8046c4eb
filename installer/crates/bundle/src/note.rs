//! Small JSON files that travel between a site and its vendor: damage lists and inventories. They are not signed: whatever
//! is made from them is checked against a signed bundle.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::digest::InvalidDigest;
use crate::document::API_VERSION;
use crate::open::DOCUMENT_LIMIT;
use crate::output::Output;
use crate::output::target::{self, Replaces, TargetError};

/// Why such a file cannot be used or written.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    /// It cannot be read.
    #[error("{}: cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("{}: cannot be written", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else is there.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// No JSON of the expected form.
    #[error("{}: not {expected}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should be, e.g. `a damage list`.
        expected: &'static str,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// JSON, but another thing.
    #[error("{}: not {expected} of format {API_VERSION}, but {found}", .path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// Kind and format that it names.
        found: String,
    },
    /// Longer than any list of blobs.
    #[error("{}: above the limit of {DOCUMENT_LIMIT} bytes", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It names a blob by something that is no digest.
    #[error("{}: one of its blobs has no digest", .path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// What stands there.
        source: InvalidDigest,
    },
}

/// What every such file starts with.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
}

/// Reads the file at `path`, which must be of `kind`; `expected` is what that is for people.
pub(crate) fn read<T: DeserializeOwned>(
    path: &Path,
    kind: &str,
    expected: &'static str,
) -> Result<T, NoteError> {
    let cannot = |source| NoteError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(cannot)?;
    let mut text = Vec::new();
    file.take(DOCUMENT_LIMIT + 1).read_to_end(&mut text).map_err(cannot)?;
    if text.len() as u64 > DOCUMENT_LIMIT {
        return Err(NoteError::TooLarge { path: path.to_owned() });
    }
    let malformed = |source| NoteError::Malformed { path: path.to_owned(), expected, source };
    let head: Head = serde_json::from_slice(&text).map_err(malformed)?;
    if head.kind != kind || head.api_version != API_VERSION {
        let found = match (head.kind.as_str(), head.api_version.as_str()) {
            ("", "") => "something else".to_owned(),
            (kind, version) => format!("{kind:?} of format {version:?}"),
        };
        return Err(NoteError::Other { path: path.to_owned(), expected, found });
    }
    serde_json::from_slice(&text).map_err(malformed)
}

/// The kind that such a file names; empty where it is none.
pub(crate) fn kind_of(file: impl Read) -> io::Result<String> {
    match serde_json::from_reader::<_, Head>(file.take(DOCUMENT_LIMIT)) {
        Ok(head) => Ok(head.kind),
        Err(error) if error.is_io() => Err(error.into()),
        Err(_) => Ok(String::new()),
    }
}

/// Writes `note` to `path`, where nothing may be but what it `replaces`: a temporary name in the same folder, flushed to
/// disk, then renamed.
pub(crate) fn write(path: &Path, note: &impl Serialize, replaces: Replaces) -> Result<(), NoteError> {
    target::check(path, replaces, [])?;
    let written = || {
        let mut text = serde_json::to_vec_pretty(note)?;
        text.push(b'\n');
        let mut output = Output::create(path)?;
        output.write_all(&text)?;
        output.finish()
    };
    written().map_err(|source| NoteError::Write { path: path.to_owned(), source })
}
