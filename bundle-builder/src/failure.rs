//! What went wrong, for people and for the shell: the only place that decides on kind, next step and exit code.

use std::error::Error;
use std::fmt;
use std::path::Path;

use sealift_bundle::delta::DeltaError;
use sealift_bundle::output::target::TargetError;
use sealift_bundle::recarry::RecarryError;
use sealift_bundle::repair::RepairError;
use sealift_bundle::split::SplitError;
use sealift_bundle::{BundleError, NoteError};

use crate::build::BuildError;
use crate::cache::CacheError;
use crate::carry::CarryError;
use crate::helm::HelmError;
use crate::init::InitError;
use crate::inspect::extract::ExtractError;
use crate::key::KeyError;
use crate::lock::LockError;
use crate::recipe::RecipeError;
use crate::registry::RegistryError;
use crate::source::SourceError;
use crate::trust::TrustError;

mod bundles;
mod making;
mod sources;

use bundles::{
    of_bundle, of_delta, of_extract, of_note, of_public_key, of_recarry, of_repair, of_split, of_trust,
};
use making::{of_build, of_carry, of_helm, of_init, of_key, of_lock, of_recipe, of_target};
use sources::{of_cache, of_registry, of_source};

/// Kinds of failure; each has an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A fault of this program or its libraries.
    Internal,
    /// Something that the caller can mend: usage, recipe, lock, files, registries, disk.
    Usage,
    /// Stopped half-way by a person or the system; the same command goes on.
    Interrupted,
    /// Content is not what it should be.
    Verification,
}

impl Kind {
    /// The exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Interrupted => 4,
            Self::Verification => 5,
        }
    }
}

/// A failure, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which kind.
    pub kind: Kind,
    /// What, and below it why, one cause per line.
    pub message: String,
    /// What to do now.
    pub next: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "error: {}", self.message)?;
        match &self.next {
            Some(next) => write!(formatter, "\n  next: {next}"),
            None => Ok(()),
        }
    }
}

/// Kind and next step.
type Advice = (Kind, Option<String>);

impl Failure {
    /// A wrong use of the command line.
    #[must_use]
    pub fn usage(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, message: message.into(), next: Some(next.into()) }
    }

    /// With what to do with the damage list that was written to `file`.
    #[must_use]
    pub fn with_damage_list(mut self, file: &Path) -> Self {
        self.next = Some(format!(
            "send {} to the vendor, who makes a small file from it with `bundle-builder recarry`; `bundle-builder repair` mends this copy with that",
            file.display()
        ));
        self
    }

    /// With why the damage list could not be written.
    #[must_use]
    pub fn with_unwritten_damage_list(mut self, error: &NoteError) -> Self {
        let why = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        self.message = format!("{}\n  the list of what is needed: {error}{why}", self.message);
        self.next = Some(
            "name another place with `--damage-list`, and verify again; or copy the bundle again".to_owned(),
        );
        self
    }

    /// With what to do when no damage list could be made.
    #[must_use]
    pub fn without_damage_list(mut self) -> Self {
        self.next = Some(
            "no list could be made, since the contents list is damaged, too: copy the bundle again, or ask the vendor for a file made by `bundle-builder recarry` without a list, mend it with that, and verify again"
                .to_owned(),
        );
        self
    }

    fn new(error: &dyn Error, (kind, next): Advice) -> Self {
        let mut message = error.to_string();
        let mut said = message.clone();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some libraries repeat their cause.
            if !said.contains(&text) {
                message.push_str("\n  because: ");
                message.push_str(&text);
            }
            said = text;
            cause = error.source();
        }
        Self { kind, message, next }
    }
}

macro_rules! failure_from {
    ($($error:ty => $advice:path),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(&error, $advice(&error))
            }
        })*
    };
}

failure_from! {
    RecipeError => of_recipe,
    SourceError => of_source,
    KeyError => of_key,
    CacheError => of_cache,
    RegistryError => of_registry,
    LockError => of_lock,
    BuildError => of_build,
    BundleError => of_bundle,
    sealift_bundle::KeyError => of_public_key,
    TrustError => of_trust,
    ExtractError => of_extract,
    SplitError => of_split,
    RepairError => of_repair,
    CarryError => of_carry,
    HelmError => of_helm,
    InitError => of_init,
    NoteError => of_note,
    TargetError => of_target,
    RecarryError => of_recarry,
    DeltaError => of_delta,
}

fn usage(next: impl Into<String>) -> Advice {
    (Kind::Usage, Some(next.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pull::PullError;

    #[test]
    fn a_failure_shows_what_why_and_what_next() {
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error = CacheError::File { action: "write", path: "/cache/x".into(), source };
        let failure = Failure::from(BuildError::from(error));
        assert_eq!(failure.kind, Kind::Usage);
        let lines: Vec<String> = failure.to_string().lines().map(ToOwned::to_owned).collect();
        assert_eq!(lines[0], "error: cannot write /cache/x");
        assert!(lines[1].starts_with("  because: "), "{lines:?}");
        assert!(lines[2].starts_with("  next: make room"), "{lines:?}");
    }

    #[test]
    fn wrong_content_is_a_verification_failure() {
        let error = RegistryError::WrongContent {
            registry: "ghcr.io".into(),
            what: "blob x".into(),
            expected: "sha256:a".into(),
            got: "sha256:b".into(),
        };
        let failure = Failure::from(BuildError::Pull(PullError::Source(error.into())));
        assert_eq!(failure.kind.exit_code(), 5);
    }

    #[test]
    fn causes_are_not_said_twice() {
        let error = LockError::Syntax(RecipeError::Read {
            path: "lock".into(),
            source: std::io::Error::other("why"),
        });
        assert_eq!(Failure::from(error).message, "cannot read lock\n  because: why");
    }
}
