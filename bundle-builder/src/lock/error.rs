//! Why there is no lock, or not the right one.

use std::path::PathBuf;

use sealift_bundle::document::API_VERSION;

use super::KIND;
use crate::cache::CacheError;
use crate::cosign::CosignError;
use crate::image::ImageNameError;
use crate::manifest::ManifestError;
use crate::recipe::RecipeError;
use crate::source::SourceError;

/// Why there is no lock, or not the right one.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// No lock at all.
    #[error("there is no lock at {}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The lock.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not a lock.
    #[error(transparent)]
    Syntax(RecipeError),
    /// Made by a newer program.
    #[error("the lock is `{kind}` of `{api_version}`; this program reads `{KIND}` of `{API_VERSION}`")]
    Version {
        /// Its `kind`.
        kind: String,
        /// Its `apiVersion`.
        api_version: String,
    },
    /// The recipe was changed.
    #[error("the lock does not fit the recipe: changed since it was made: {}", entries.join(", "))]
    OtherRecipe {
        /// Entries and sections of the recipe that differ.
        entries: Vec<String>,
    },
    /// Files or charts were changed.
    #[error("the lock does not fit what is on disk:\n  {}", changes.join("\n  "))]
    OtherContent {
        /// One sentence per change.
        changes: Vec<String>,
    },
    /// An image is not made for a platform.
    #[error("image {image} is not made for {wanted}{}", only(found))]
    Platform {
        /// The image.
        image: String,
        /// What the recipe asks for.
        wanted: String,
        /// What there is.
        found: Vec<String>,
    },
    /// An image's manifest cannot be used.
    #[error("image {image} cannot be used")]
    Manifest {
        /// The image.
        image: String,
        /// Why.
        source: ManifestError,
    },
    /// The recipe holds a name that is no image.
    #[error(transparent)]
    ImageName(#[from] ImageNameError),
    /// Something cannot be had from its source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// An image is not signed as the recipe wants it.
    #[error(transparent)]
    Cosign(Box<CosignError>),
    /// No entry of the recipe has this name.
    #[error("the recipe has no image, chart or file named {name}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The name that is most like it.
        nearest: Option<String>,
    },
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

fn only(found: &[String]) -> String {
    if found.is_empty() {
        ": it names no platform".to_owned()
    } else {
        format!(", only for {}", found.join(", "))
    }
}

impl From<CosignError> for LockError {
    fn from(error: CosignError) -> Self {
        Self::Cosign(Box::new(error))
    }
}
