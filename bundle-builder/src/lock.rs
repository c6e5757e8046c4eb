//! The lock: what every name of a recipe stood for when it was made, so that a build gives the same bytes for ever.
//!
//! A lock belongs to one recipe. Where they no longer fit, a build stops: it never renews the lock by itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sealift_bundle::digest::digest_of;
use sealift_bundle::document::API_VERSION;
use serde::{Deserialize, Serialize};

use crate::cache::{Cache, CacheError, Content};
use crate::chart::{Chart, ChartError};
use crate::image::{ImageName, ImageNameError};
use crate::manifest::{self, Manifest, ManifestError, Names};
use crate::parallel;
use crate::progress::{Progress, count};
use crate::recipe::{
    self, ChartEntry, ChartSource, FileEntry, FileSource, ImageEntry, Recipe, RecipeError, Source,
};
use crate::registry::{Registries, RegistryError};
use crate::source::{Roots, SourceError};

/// `kind` of a lock.
pub const KIND: &str = "Lock";

/// Everything that a recipe names, pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lock {
    /// Always `sealift/v1`.
    pub api_version: String,
    /// Always `Lock`.
    pub kind: String,
    /// When something in it changed last; stands in the bundle's signature.
    pub created: Timestamp,
    /// Section of the recipe to the digest of what it said.
    pub recipe: BTreeMap<String, String>,
    /// Images, in the recipe's order.
    pub images: Vec<LockedImage>,
    /// Charts, in the recipe's order.
    pub charts: Vec<LockedChart>,
    /// Files, in the recipe's order.
    pub files: Vec<LockedFile>,
}

/// An image's tag, pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockedImage {
    /// As in the recipe.
    pub name: String,
    /// Digest of its manifest or index.
    pub digest: String,
    /// Media type of that.
    pub media_type: String,
    /// Size of that, bytes.
    pub size: u64,
    /// Platform to the digest of its manifest; only platforms that the recipe asks for.
    pub platforms: BTreeMap<String, String>,
    /// Where it was seen.
    pub from: String,
}

/// A chart, pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockedChart {
    /// Chart name.
    pub name: String,
    /// Chart version.
    pub version: String,
    /// Digest of its content, see [`Chart::content`].
    pub content: String,
    /// Where it was seen.
    pub from: String,
}

/// A file, pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockedFile {
    /// As in the recipe.
    pub name: String,
    /// Digest of the file.
    pub digest: String,
    /// Its size, bytes.
    pub size: u64,
    /// Where it was seen.
    pub from: String,
}

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
    #[error("the lock does not fit the recipe: changed since it was made: {}", sections.join(", "))]
    OtherRecipe {
        /// Sections of the recipe that differ.
        sections: Vec<String>,
    },
    /// Files or charts were changed.
    #[error("the lock does not fit what is on disk:\n  {}", changes.join("\n  "))]
    OtherContent {
        /// One sentence per change.
        changes: Vec<String>,
    },
    /// An image is not made for a platform.
    #[error("image {image} is not made for {wanted}, only for {}", found.join(", "))]
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
    /// A registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A file or root is missing.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A chart cannot be read.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl Lock {
    /// Where the lock of the recipe at `recipe` is, unless said otherwise: `recipe.yaml` has `recipe.lock.yaml`.
    #[must_use]
    pub fn path_for(recipe: &Path) -> PathBuf {
        recipe.with_extension("lock.yaml")
    }

    /// Reads the lock at `path`.
    pub fn load(path: &Path) -> Result<Self, LockError> {
        let text = std::fs::read_to_string(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => LockError::Missing { path: path.to_owned() },
            _ => LockError::File { action: "read", path: path.to_owned(), source },
        })?;
        let lock: Self = recipe::yaml(&text, path).map_err(LockError::Syntax)?;
        if lock.kind != KIND || lock.api_version != API_VERSION {
            return Err(LockError::Version { kind: lock.kind, api_version: lock.api_version });
        }
        Ok(lock)
    }

    /// Writes the lock to `path`, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<(), LockError> {
        let failed = |source| LockError::File { action: "write", path: path.to_owned(), source };
        let body = serde_yaml::to_string(self).map_err(|error| failed(std::io::Error::other(error)))?;
        let text =
            format!("# Made by `bundle-builder lock`. Commit it beside the recipe; do not edit it.\n{body}");
        crate::atomic::write(path, text.as_bytes()).map_err(failed)
    }

    /// This lock, or `earlier` where both pin the same: a lock that pins nothing new keeps its time, and so its bundle.
    /// Another mirror that gives the same content is nothing new.
    #[must_use]
    pub fn or_unchanged(self, earlier: Option<Self>) -> Self {
        match earlier {
            Some(earlier) if self.pins() == earlier.pins() => earlier,
            _ => self,
        }
    }

    /// Everything but when and where it was seen.
    fn pins(&self) -> Self {
        let mut pins = Self { created: Timestamp::UNIX_EPOCH, ..self.clone() };
        let images = pins.images.iter_mut().map(|image| &mut image.from);
        let charts = pins.charts.iter_mut().map(|chart| &mut chart.from);
        let files = pins.files.iter_mut().map(|file| &mut file.from);
        images.chain(charts).chain(files).for_each(String::clear);
        pins
    }

    /// Whether this lock was made from `recipe`.
    pub fn fits(&self, recipe: &Recipe) -> Result<(), LockError> {
        let now = sections(recipe);
        let mut changed: Vec<String> = now.keys().chain(self.recipe.keys()).cloned().collect();
        changed.sort();
        changed.dedup();
        changed.retain(|name| now.get(name) != self.recipe.get(name));
        if changed.is_empty() { Ok(()) } else { Err(LockError::OtherRecipe { sections: changed }) }
    }
}

/// Digest of each section of the recipe: comments and order of keys do not count.
fn sections(recipe: &Recipe) -> BTreeMap<String, String> {
    let mut value = serde_json::to_value(recipe).unwrap_or_default();
    // The order must come from the keys, whatever this program was linked with.
    value.sort_all_objects();
    let sections = value.as_object().into_iter().flatten();
    sections.map(|(name, value)| (name.clone(), digest_of(value.to_string().as_bytes()))).collect()
}

/// A recipe's charts and files as they are on this machine now.
#[derive(Debug)]
pub struct Sources {
    /// Charts, in the recipe's order.
    pub charts: Vec<Chart>,
    /// Files, in the recipe's order: where they are, and what is in them.
    pub files: Vec<(PathBuf, Content)>,
}

impl Sources {
    /// Reads charts and hashes files.
    pub fn read(recipe: &Recipe, roots: &Roots, cache: &Cache) -> Result<Self, LockError> {
        ready(recipe)?;
        let charts = recipe
            .charts
            .iter()
            .map(|entry| Ok(Chart::read(&roots.resolve(local_chart(entry)?)?)?))
            .collect::<Result<_, LockError>>()?;
        let files = parallel::map(parallel::cores(), recipe.files.iter().collect(), |entry| {
            let source = local_file(entry)?;
            let path = roots.resolve(source)?;
            let place = source.to_string();
            let content = cache.digest_of_file(&path).map_err(|error| match error {
                CacheError::File { action: "read", path, source } => {
                    LockError::Source(SourceError::Read { place: place.clone(), path, source })
                }
                other => other.into(),
            })?;
            Ok::<_, LockError>((path, content))
        })?;
        Ok(Self { charts, files })
    }

    /// Whether this is what `lock` pinned; all differences together.
    pub fn fit(&self, recipe: &Recipe, lock: &Lock) -> Result<(), LockError> {
        let mut changes = Vec::new();
        for (chart, locked) in self.charts.iter().zip(&lock.charts) {
            if chart.content != locked.content {
                changes.push(format!("chart {} ({}) has other content", locked.name, locked.from));
            }
        }
        for ((entry, (_, content)), locked) in recipe.files.iter().zip(&self.files).zip(&lock.files) {
            if content.digest != locked.digest {
                changes.push(format!(
                    "file {} ({}) has other content: {} instead of {}",
                    entry.name, locked.from, content.digest, locked.digest
                ));
            }
        }
        if (self.charts.len(), self.files.len(), recipe.images.len())
            != (lock.charts.len(), lock.files.len(), lock.images.len())
        {
            changes.push(
                "the lock was edited by hand: its lists have other lengths than the recipe's".to_owned(),
            );
        }
        if changes.is_empty() { Ok(()) } else { Err(LockError::OtherContent { changes }) }
    }
}

/// Refuses what the recipe's format knows and this program does not do yet: nothing is left out in silence.
fn ready(recipe: &Recipe) -> Result<(), SourceError> {
    let not_yet = |place: String| SourceError::NotYet { place };
    for (index, image) in recipe.images.iter().enumerate() {
        if image.from.is_some() {
            return Err(not_yet(format!("images[{index}].from")));
        }
        if image.public_key.is_some() {
            return Err(not_yet(format!("images[{index}].publicKey")));
        }
    }
    match recipe.file_contents().iter().find(|content| content.platform.is_some()) {
        Some(content) => Err(not_yet(format!("file {}", content.title()))),
        None => Ok(()),
    }
}

fn local_chart(entry: &ChartEntry) -> Result<&Source, SourceError> {
    match &entry.source {
        ChartSource::Local(source) => Ok(source),
        other => Err(SourceError::NotYet { place: format!("chart {other}") }),
    }
}

fn local_file(entry: &FileEntry) -> Result<&Source, SourceError> {
    match entry.source.as_ref().or(entry.sources.values().next()) {
        Some(FileSource::Local(source)) => Ok(source),
        _ => Err(SourceError::NotYet { place: format!("file {}", entry.name) }),
    }
}

/// Pins everything that `recipe` names, as it is `now`.
pub fn make(
    recipe: &Recipe,
    sources: &Sources,
    registries: &Registries,
    cache: &Cache,
    now: Timestamp,
    progress: &dyn Progress,
) -> Result<Lock, LockError> {
    progress.note(&format!("lock      {}", count(recipe.images.len(), "image")));
    let images = parallel::map(8, recipe.images.iter().collect(), |entry| {
        pin_image(entry, recipe.platforms_of(entry), registries, cache, progress)
    })?;
    let charts = recipe.charts.iter().zip(&sources.charts).map(|(entry, chart)| LockedChart {
        name: chart.name.clone(),
        version: chart.version.clone(),
        content: chart.content.clone(),
        from: entry.source.to_string(),
    });
    let files = recipe.files.iter().zip(&sources.files).map(|(entry, (_, content))| LockedFile {
        name: entry.name.clone(),
        digest: content.digest.clone(),
        size: content.size,
        from: entry.source.as_ref().map(ToString::to_string).unwrap_or_default(),
    });
    Ok(Lock {
        api_version: API_VERSION.to_owned(),
        kind: KIND.to_owned(),
        created: Timestamp::from_second(now.as_second()).unwrap_or(now),
        recipe: sections(recipe),
        images,
        charts: charts.collect(),
        files: files.collect(),
    })
}

fn pin_image(
    entry: &ImageEntry,
    wanted: &[String],
    registries: &Registries,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<LockedImage, LockError> {
    let name: ImageName = entry.name.parse()?;
    let (content, digest) = registries.manifest_by_tag(&name, progress)?;
    cache.put(&content)?;
    let parsed = Manifest::parse(&content)
        .map_err(|source| LockError::Manifest { image: entry.name.clone(), source })?;
    let offered = match parsed.names {
        Names::Platforms(platforms) => {
            platforms.into_iter().map(|(platform, manifest)| (platform, manifest.digest)).collect()
        }
        Names::Blobs { config, .. } => {
            registries.blob(&name, &config, cache, progress, &|_| ())?;
            let platform = cache.read(&config.digest)?.and_then(|config| manifest::config_platform(&config));
            // An image without platform (an artifact) serves everywhere.
            let all = || wanted.iter().map(|platform| (platform.clone(), digest.clone())).collect();
            platform.map_or_else(all, |platform| vec![(platform, digest.clone())])
        }
    };
    let platforms = choose(&entry.name, wanted, &offered)?;
    let from = registries.origin(&name);
    let size = content.len() as u64;
    Ok(LockedImage { name: entry.name.clone(), digest, media_type: parsed.media_type, size, platforms, from })
}

/// Those of the `offered` platforms that serve the `wanted` ones; each must be served.
fn choose(
    image: &str,
    wanted: &[String],
    offered: &[(String, String)],
) -> Result<BTreeMap<String, String>, LockError> {
    let mut chosen = BTreeMap::new();
    for platform in wanted {
        let serving: Vec<_> = offered.iter().filter(|(name, _)| manifest::serves(name, platform)).collect();
        if serving.is_empty() {
            return Err(LockError::Platform {
                image: image.to_owned(),
                wanted: platform.clone(),
                found: offered.iter().map(|(name, _)| name.clone()).collect(),
            });
        }
        chosen.extend(serving.into_iter().cloned());
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::testing::RECIPE;

    fn recipe(text: &str) -> Recipe {
        recipe::parse(text, Path::new("recipe.yaml")).unwrap()
    }

    fn lock(recipe: &Recipe) -> Lock {
        Lock {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            created: "2026-11-21T09:00:00Z".parse().unwrap(),
            recipe: sections(recipe),
            images: vec![],
            charts: vec![],
            files: vec![],
        }
    }

    #[test]
    fn comments_and_order_of_keys_do_not_count() {
        let lock = lock(&recipe(RECIPE));
        lock.fits(&recipe(&format!("# a comment\n{RECIPE}"))).unwrap();
        let swapped =
            RECIPE.replace("  title: Orders\n  version: 4.2.0\n", "  version: 4.2.0\n  title: Orders\n");
        lock.fits(&recipe(&swapped)).unwrap();
    }

    #[test]
    fn a_changed_recipe_is_named_by_section() {
        let lock = lock(&recipe(RECIPE));
        let changed = RECIPE.replace("serial: 17", "serial: 18").replace("default: Orders", "default: Sales");
        let error = lock.fits(&recipe(&changed)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the lock does not fit the recipe: changed since it was made: product, settings"
        );
    }

    #[test]
    fn a_lock_survives_its_file_and_keeps_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = Lock::path_for(&folder.path().join("recipe.yaml"));
        assert!(path.ends_with("recipe.lock.yaml"));
        assert!(matches!(Lock::load(&path), Err(LockError::Missing { .. })));
        let first = lock(&recipe(RECIPE));
        first.save(&path).unwrap();
        assert_eq!(Lock::load(&path).unwrap(), first);

        let image = |from: &str| LockedImage {
            name: "ghcr.io/a/b:1".to_owned(),
            digest: digest_of(b""),
            media_type: "m".to_owned(),
            size: 1,
            platforms: BTreeMap::new(),
            from: from.to_owned(),
        };
        let first = Lock { images: vec![image("http://127.0.0.1:5000/a")], ..first };
        let created = "2026-11-22T09:00:00Z".parse().unwrap();
        let later = Lock { created, images: vec![image("http://127.0.0.1:5001/a")], ..first.clone() };
        assert_eq!(later.clone().or_unchanged(Some(first.clone())), first);
        let other = Lock { recipe: BTreeMap::new(), ..later };
        assert_eq!(other.clone().or_unchanged(Some(first)), other);
    }

    #[test]
    fn every_platform_must_be_served() {
        let offered: Vec<(String, String)> =
            [("linux/amd64", "a"), ("linux/arm64/v8", "b"), ("unknown/unknown", "c")]
                .map(|(name, digest)| (name.to_owned(), digest.to_owned()))
                .into();
        let wanted = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let chosen = choose("i", &wanted(&["linux/amd64", "linux/arm64"]), &offered).unwrap();
        assert_eq!(chosen.into_iter().collect::<Vec<_>>(), offered[..2]);
        let error = choose("i", &wanted(&["linux/s390x"]), &offered).unwrap_err();
        assert!(error.to_string().starts_with("image i is not made for linux/s390x, only for linux/amd64, "));
    }
}
