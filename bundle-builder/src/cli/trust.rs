//! What the verbs that read bundles share: whom to trust.

use std::path::{Path, PathBuf};

use clap::Args;
use sealift_bundle::Bundle;

use crate::failure::Failure;
use crate::trust;

/// Whom to trust.
#[derive(Debug, Args)]
pub(super) struct Trust {
    /// Public key to trust; may be repeated
    #[arg(long = "key", value_name = "FILE", required = true)]
    keys: Vec<PathBuf>,
    /// Statement by a trusted key that another key follows it; may be repeated
    #[arg(long = "rotation", value_name = "FILE")]
    rotations: Vec<PathBuf>,
    /// Refuse a bundle with an older serial than this
    #[arg(long, value_name = "N")]
    minimum_serial: Option<u64>,
}

impl Trust {
    /// Opens the bundle at `path`.
    pub(super) fn open(&self, path: &Path) -> Result<Bundle, Failure> {
        let trust = trust::Trust {
            keys: self.keys.clone(),
            rotations: self.rotations.clone(),
            minimum_serial: self.minimum_serial,
        };
        Ok(trust.open(path)?)
    }
}
