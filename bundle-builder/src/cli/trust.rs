//! What the verbs that read bundles share: whom to trust, and how to show what is in one.

use std::path::{Path, PathBuf};

use clap::Args;
use sealift_bundle::output::target::{self, Replaces};
use sealift_bundle::rotation::Rotation;
use sealift_bundle::{Bundle, TrustedKeys};

use super::output::Format;
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

/// A bundle to read, and how to show what is in it.
#[derive(Debug, Args)]
pub(super) struct Shown {
    /// The bundle
    bundle: PathBuf,
    #[command(flatten)]
    trust: Trust,
    /// Lines for people, or JSON for programs
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text")]
    pub(super) output: Format,
}

impl Shown {
    /// Opens the bundle.
    pub(super) fn open(&self) -> Result<Bundle, Failure> {
        self.trust.open(&self.bundle)
    }
}

impl Trust {
    /// Opens the bundle at `path`.
    pub(super) fn open(&self, path: &Path) -> Result<Bundle, Failure> {
        Ok(self.resolved().open(path)?)
    }

    /// Refuses `target` where something is that `replaces` does not name, or that is read with `bundle`: itself and these
    /// keys.
    pub(super) fn may_replace(
        &self,
        target: &Path,
        replaces: Replaces,
        bundle: &Path,
    ) -> Result<(), Failure> {
        let given = self.keys.iter().chain(&self.rotations).map(PathBuf::as_path);
        Ok(target::check(target, replaces, [bundle].into_iter().chain(given))?)
    }

    /// The statements that keys follow others.
    pub(super) fn statements(&self) -> Result<Vec<Rotation>, Failure> {
        let all: Result<_, _> = self.rotations.iter().map(|path| Rotation::from_file(path)).collect();
        Ok(all.map_err(trust::TrustError::from)?)
    }

    /// The keys, and those that follow them.
    pub(super) fn keys(&self) -> Result<TrustedKeys, Failure> {
        Ok(self.resolved().keys()?)
    }

    /// Refuses a bundle that is older than what is known; `path` is for messages.
    pub(super) fn not_older(&self, path: &Path, bundle: &Bundle) -> Result<(), Failure> {
        Ok(self.resolved().not_older(path, bundle)?)
    }

    pub(super) fn resolved(&self) -> trust::Trust {
        trust::Trust {
            keys: self.keys.clone(),
            rotations: self.rotations.clone(),
            minimum_serial: self.minimum_serial,
        }
    }
}
