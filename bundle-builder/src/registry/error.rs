//! Why something could not be had from a registry.

use std::io;
use std::path::PathBuf;

use crate::cache::CacheError;

/// Any cause.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why something could not be had from a registry. Each names the registry and what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The HTTP client or its runtime does not start.
    #[error("cannot start the HTTP client")]
    Client {
        /// Why.
        source: Cause,
    },
    /// A CA file cannot be used.
    #[error("cannot use the CA file {}", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Cause,
    },
    /// Does not exist there.
    #[error("{registry} has no {what}")]
    NotFound {
        /// Host, and where a mirror stands in, which one.
        registry: String,
        /// Image or blob.
        what: String,
    },
    /// Not without (other) credentials.
    #[error("{registry} refuses access to {what}")]
    Denied {
        /// Host.
        registry: String,
        /// Image or blob.
        what: String,
        /// What it says, or what is wrong with the login.
        source: Cause,
    },
    /// Its certificate is not trusted, or it speaks no TLS.
    #[error("{registry}: no trusted connection")]
    Tls {
        /// Host.
        registry: String,
        /// Why.
        source: Cause,
    },
    /// Failed, also after all tries.
    #[error("{registry}: {what} could not be fetched, {tries} {}", if *tries == 1 { "try" } else { "tries" })]
    Failed {
        /// Host.
        registry: String,
        /// Image or blob.
        what: String,
        /// Tries made.
        tries: u32,
        /// The last failure.
        source: Cause,
    },
    /// Other content than asked for, each time.
    #[error("{registry} sends wrong content for {what}: expected {expected}, got {got}")]
    WrongContent {
        /// Host.
        registry: String,
        /// Image or blob.
        what: String,
        /// Digest or size asked for.
        expected: String,
        /// Digest or size sent.
        got: String,
    },
    /// Nobody wants it any more: something else failed, and is told.
    #[error("stopped, since something else failed")]
    Stopped,
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A file of the cache failed.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
