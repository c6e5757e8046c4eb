//! Where the things are that a recipe names: places on the vendor's machine, web servers, archives, registries. Whatever
//! kind of source, what comes out is content with a digest.
//!
//! Parts: [`file`], [`image`], [`chart`].

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::archive::MemberError;
use crate::cache::{Cache, CacheError};
use crate::chart::ChartError;
use crate::image::ImageNameError;
use crate::progress::Progress;
use crate::recipe::Source;
use crate::referrer::ReferrerError;
use crate::registry::{Registries, RegistryError};
use crate::stored::StoredError;

pub mod chart;
pub mod file;
pub mod image;

/// What it takes to get at sources.
#[derive(Clone, Copy)]
pub struct Reach<'a> {
    /// Where paths lead.
    pub roots: &'a Roots,
    /// Registries and web servers.
    pub registries: &'a Registries,
    /// Where fetched things go.
    pub cache: &'a Cache,
    /// Who hears of it.
    pub progress: &'a dyn Progress,
}

impl<'a> Reach<'a> {
    /// The same, told to someone else.
    #[must_use]
    pub fn told_to<'b>(&self, progress: &'b dyn Progress) -> Reach<'b>
    where
        'a: 'b,
    {
        let Self { roots, registries, cache, .. } = *self;
        Reach { roots, registries, cache, progress }
    }
}

/// Where relative paths and named roots of a recipe lead.
#[derive(Debug, Clone, Default)]
pub struct Roots {
    recipe: PathBuf,
    named: BTreeMap<String, PathBuf>,
}

/// Why something cannot be had from its source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nobody said where a root is.
    #[error("the root `{root}` of {place} is not given")]
    UnknownRoot {
        /// The root's name.
        root: String,
        /// What uses it.
        place: String,
    },
    /// A path that would leave its root.
    #[error("{place} leads out of its root")]
    Outside {
        /// What is wrong.
        place: String,
    },
    /// Cannot be read.
    #[error("cannot read {} ({place})", path.display())]
    Read {
        /// As the recipe says it.
        place: String,
        /// Where that leads.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A web server failed.
    #[error(transparent)]
    Web(RegistryError),
    /// A file is not in its archive, or the archive cannot be used.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// A layout or archive with images cannot be used.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// What stands beside an image cannot be used.
    #[error("what stands beside image {image} cannot be used")]
    Referrer {
        /// The image.
        image: String,
        /// Why.
        source: ReferrerError,
    },
    /// A chart cannot be read.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// A repository or registry has no such chart.
    #[error(transparent)]
    RemoteChart(#[from] chart::RemoteChartError),
    /// A name that is no image's.
    #[error(transparent)]
    ImageName(#[from] ImageNameError),
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl Roots {
    /// Roots of the recipe at `recipe`: its folder, and the named ones.
    #[must_use]
    pub fn new(recipe: &Path, named: BTreeMap<String, PathBuf>) -> Self {
        Self { recipe: recipe.parent().unwrap_or(Path::new("")).to_owned(), named }
    }

    /// The path that `source` leads to.
    pub fn resolve(&self, source: &Source) -> Result<PathBuf, SourceError> {
        let Some(root) = &source.root else {
            return Ok(self.recipe.join(&source.path));
        };
        let Some(folder) = self.named.get(root) else {
            return Err(SourceError::UnknownRoot { root: root.clone(), place: source.to_string() });
        };
        let inside =
            source.path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if inside {
            Ok(folder.join(&source.path))
        } else {
            Err(SourceError::Outside { place: source.to_string() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(root: Option<&str>, path: &str) -> Source {
        Source { root: root.map(ToOwned::to_owned), path: path.into() }
    }

    #[test]
    fn paths_start_from_the_recipe_or_a_named_root() {
        let named = [("payload".to_owned(), PathBuf::from("/data/payload"))].into();
        let roots = Roots::new(Path::new("assets/orders/recipe.yaml"), named);
        let resolve = |root, path| roots.resolve(&source(root, path));
        assert_eq!(resolve(None, "../charts/dns").unwrap(), Path::new("assets/orders/../charts/dns"));
        assert_eq!(resolve(Some("payload"), "bin/kubelet").unwrap(), Path::new("/data/payload/bin/kubelet"));
        assert!(matches!(resolve(Some("payload"), "../secret"), Err(SourceError::Outside { .. })));
        assert!(matches!(resolve(Some("payload"), "/etc/passwd"), Err(SourceError::Outside { .. })));
        let unknown = resolve(Some("other"), "bin/kubelet").unwrap_err();
        assert_eq!(unknown.to_string(), "the root `other` of other:bin/kubelet is not given");
    }
}
