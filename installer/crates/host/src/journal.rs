//! The host's own journal: every change, with what stood before, so that a reset can put the host back.
//!
//! One JSON line per change, on disk before the change is made. Nothing is written where nothing changes.
//! A run never trusts it to know what is done: that is probed.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use sealift_bundle::digest::digest_of;
use serde::{Deserialize, Serialize};

use crate::file;
use crate::paths::Paths;
use crate::protocol::Failure;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Milliseconds since the Unix epoch, by the host's clock.
    pub unix_millis: u64,
    /// Run identifier.
    pub run: String,
    /// Step identifier.
    pub step: String,
    /// What changed.
    #[serde(flatten)]
    pub change: Change,
}

/// A change, named for what undoes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "change")]
pub enum Change {
    /// A file that was not there.
    FileCreated {
        /// Host path.
        path: String,
    },
    /// A file that was there.
    FileReplaced {
        /// Host path.
        path: String,
        /// Permission bits before.
        mode: u32,
        /// Digest of the content before; the copy is `undo/` and its hex digits.
        digest: String,
    },
    /// A file that was there and is no more.
    FileRemoved {
        /// Host path.
        path: String,
        /// Permission bits before.
        mode: u32,
        /// Digest of the content before; the copy is `undo/` and its hex digits.
        digest: String,
    },
    /// A symbolic link that was there and gives way to a file.
    LinkReplaced {
        /// Host path.
        path: String,
        /// Where it pointed.
        target: String,
    },
    /// Permission bits of a file or folder.
    ModeChanged {
        /// Host path.
        path: String,
        /// Before.
        mode: u32,
    },
    /// Owner of a folder.
    OwnerChanged {
        /// Host path.
        path: String,
        /// Before.
        uid: u32,
        /// Before.
        gid: u32,
    },
    /// A folder that was not there.
    DirectoryCreated {
        /// Host path.
        path: String,
    },
    /// A kernel setting.
    Sysctl {
        /// Dotted name.
        name: String,
        /// Before.
        before: String,
    },
    /// A kernel module that was not loaded.
    ModuleLoaded {
        /// Name.
        name: String,
    },
    /// A swap area that was in use.
    SwapOff {
        /// Device or file.
        path: String,
    },
    /// A unit that was not masked.
    UnitMasked {
        /// Unit.
        unit: String,
    },
    /// A unit that did not start at boot.
    UnitEnabled {
        /// Unit.
        unit: String,
    },
    /// A unit that started at boot.
    UnitDisabled {
        /// Unit.
        unit: String,
    },
    /// A unit that was started or restarted.
    UnitStarted {
        /// Unit.
        unit: String,
    },
    /// A unit that was stopped.
    UnitStopped {
        /// Unit.
        unit: String,
    },
    /// The host's time service, which was off.
    TimeServiceOn,
    /// A command that changes things of its own.
    Command {
        /// What it does, without secrets.
        command: String,
    },
}

/// The journal of one host.
pub struct Journal<'a> {
    paths: &'a Paths,
}

impl<'a> Journal<'a> {
    /// The journal below these paths.
    #[must_use]
    pub fn new(paths: &'a Paths) -> Self {
        Self { paths }
    }

    /// Appends a change and waits until it is on disk.
    pub fn record(&self, run: &str, step: &str, change: Change) -> Result<(), Failure> {
        let unix_millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let entry = Entry {
            unix_millis: u64::try_from(unix_millis).unwrap_or(u64::MAX),
            run: run.to_owned(),
            step: step.to_owned(),
            change,
        };
        let path = self.paths.journal();
        let failed = |error: &std::io::Error| Failure::io("write", &path, error);
        file::make_state_folder(&self.paths.record())?;
        let mut line = serde_json::to_vec(&entry).map_err(|error| Failure::other(error.to_string()))?;
        line.push(b'\n');
        let mut journal = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| failed(&error))?;
        journal.write_all(&line).and_then(|()| journal.sync_data()).map_err(|error| failed(&error))
    }

    /// Forgets all entries but these.
    pub(crate) fn keep_only(&self, entries: &[Entry]) -> Result<(), Failure> {
        let mut text = Vec::new();
        for entry in entries {
            let line = serde_json::to_vec(entry).map_err(|error| Failure::other(error.to_string()))?;
            text.extend(line);
            text.push(b'\n');
        }
        file::write_atomic(&self.paths.journal(), &text, 0o600).map(drop)
    }

    /// Keeps a copy of content that is about to be replaced; gives its digest.
    pub fn keep(&self, content: &[u8]) -> Result<String, Failure> {
        let digest = digest_of(content);
        let copy = self.copy_of(&digest);
        if !copy.exists() {
            file::make_state_folder(&self.paths.undo())?;
            file::write_atomic(&copy, content, 0o600)?;
        }
        Ok(digest)
    }

    /// Where the copy of replaced content is.
    #[must_use]
    pub fn copy_of(&self, digest: &str) -> PathBuf {
        self.paths.undo().join(digest.trim_start_matches("sha256:"))
    }

    /// All entries, oldest first. A last line cut by a crash is left out.
    pub fn entries(&self) -> Result<Vec<Entry>, Failure> {
        let path = self.paths.journal();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Failure::io("read", &path, &error)),
        };
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }
}
