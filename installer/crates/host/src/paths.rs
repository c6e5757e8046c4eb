//! Where things are on a host, all below one root so that tests work on a folder of their own.

use std::path::{Path, PathBuf};

/// The host's folders.
#[derive(Debug, Clone)]
pub struct Paths {
    root: PathBuf,
    /// Folder of the journal below the state, empty for the state itself.
    record: &'static str,
}

impl Paths {
    /// The machine itself.
    #[must_use]
    pub fn system() -> Self {
        Self { root: PathBuf::from("/"), record: "" }
    }

    /// Everything below `root`, which stands for `/`.
    #[must_use]
    pub fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), record: "" }
    }

    /// The place of a host path such as `/etc/hosts`.
    #[must_use]
    pub fn host(&self, absolute: &str) -> PathBuf {
        self.root.join(absolute.trim_start_matches('/'))
    }

    /// Lasting state: `/var/lib/sealift`.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.host("/var/lib/sealift")
    }

    /// The blob store, an OCI layout.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.state().join("store")
    }

    /// The lasting place of this program.
    #[must_use]
    pub fn agent(&self) -> PathBuf {
        self.state().join("bin/installer")
    }

    /// The claim of a site on this host.
    #[must_use]
    pub fn claim(&self) -> PathBuf {
        self.state().join("host.json")
    }

    /// The same host with a journal of its own for changes that are taken back on their own.
    #[must_use]
    pub fn recording_below(&self, folder: &'static str) -> Self {
        Self { root: self.root.clone(), record: folder }
    }

    /// The folder of the journal and of what was replaced.
    #[must_use]
    pub fn record(&self) -> PathBuf {
        if self.record.is_empty() { self.state() } else { self.state().join(self.record) }
    }

    /// The record of every change.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.record().join("journal.jsonl")
    }

    /// Copies of what was replaced, by digest.
    #[must_use]
    pub fn undo(&self) -> PathBuf {
        self.record().join("undo")
    }

    /// The site's CA and this host's registry certificate.
    #[must_use]
    pub fn pki(&self) -> PathBuf {
        self.state().join("pki")
    }

    /// Remembered digests of large files.
    #[must_use]
    pub fn stamps(&self) -> PathBuf {
        self.state().join("stamps")
    }

    /// Volatile state: `/run/sealift`.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.host("/run/sealift")
    }

    /// Output of long commands.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.host("/var/log/sealift")
    }

    /// `PATH` for the commands we run. On a root other than `/`, that root's folders come first.
    #[must_use]
    pub fn search_path(&self) -> String {
        const FOLDERS: [&str; 6] =
            ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
        let mut folders: Vec<String> = Vec::new();
        if self.root != Path::new("/") {
            folders.extend(FOLDERS.iter().map(|folder| self.host(folder).display().to_string()));
        }
        folders.extend(FOLDERS.iter().map(ToString::to_string));
        folders.join(":")
    }
}
