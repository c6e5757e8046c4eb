//! The lock: what every name of a recipe stood for when it was made, so that a build gives the same bytes for ever.
//!
//! A lock belongs to one recipe. Where they no longer fit, a build stops: it never renews the lock by itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sealift_bundle::digest::digest_of;
use sealift_bundle::document::API_VERSION;
use serde::{Deserialize, Serialize};

use crate::recipe::{self, FileContent, Recipe};
use crate::referrer::Referrer;

mod error;
mod make;
mod sources;

pub use error::LockError;
pub use make::{make, update};
pub(crate) use sources::other_file;
pub use sources::{LockedSources, Sources};

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
    /// Section of the recipe, and each image, chart and file in it, to the digest of what it said.
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
    /// The manifest was made by this program from what another format says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub converted: bool,
    /// Who signed it, where the recipe names a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<LockedSignature>,
    /// What stands beside it and travels with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub referrers: Vec<Referrer>,
}

/// A signature that was checked when the image was pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockedSignature {
    /// Digest of its manifest.
    pub manifest: String,
    /// Digest of the key (its DER form).
    pub key: String,
}

/// A chart, pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockedChart {
    /// Chart name.
    pub name: String,
    /// Chart version.
    pub version: String,
    /// Digest of its content, see [`crate::chart::Chart::content`].
    pub content: String,
    /// Where it was seen.
    pub from: String,
    /// URL that a chart repository gave for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Digest of its manifest in a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
}

/// A file, pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockedFile {
    /// As in the recipe.
    pub name: String,
    /// Platform that it is for; every platform of the bundle where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Digest of the file.
    pub digest: String,
    /// Its size, bytes.
    pub size: u64,
    /// Where it was seen.
    pub from: String,
    /// Digest of the archive that it came out of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<String>,
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
        let mut entries = self.differing(&parts(recipe));
        if entries.is_empty() && !self.in_order_of(recipe) {
            entries.push("the order of images, charts or files".to_owned());
        }
        if entries.is_empty() { Ok(()) } else { Err(LockError::OtherRecipe { entries }) }
    }

    /// Names of those parts of a recipe, as they are `now`, that are not what they were, with how where it is more than a
    /// change.
    fn differing(&self, now: &BTreeMap<String, String>) -> Vec<String> {
        let gone = self.recipe.keys().filter(|name| !now.contains_key(*name));
        let mut differing: Vec<String> = gone.map(|name| format!("{name} (gone)")).collect();
        for (name, digest) in now {
            match self.recipe.get(name) {
                Some(before) if before == digest => {}
                Some(_) => differing.push(name.clone()),
                None => differing.push(format!("{name} (new)")),
            }
        }
        differing.sort();
        differing
    }

    /// Whether each list stands in the recipe's order: what belongs together is found by its place.
    fn in_order_of(&self, recipe: &Recipe) -> bool {
        let files = recipe.file_contents();
        let files = files.iter().map(|file| (&file.entry.name, file.platform));
        self.images.iter().map(|image| &image.name).eq(recipe.images.iter().map(|image| &image.name))
            && self
                .charts
                .iter()
                .map(|chart| chart.from.clone())
                .eq(recipe.charts.iter().map(|chart| chart.source.to_string()))
            && self.files.iter().map(|file| (&file.name, file.platform.as_deref())).eq(files)
    }
}

/// Digest of each section of the recipe, and of each entry of its images, charts and files: comments, order of keys and
/// order of entries do not count.
fn parts(recipe: &Recipe) -> BTreeMap<String, String> {
    let mut value = serde_json::to_value(recipe).unwrap_or_default();
    // The order must come from the keys, whatever this program was linked with.
    value.sort_all_objects();
    let digest = |value: &serde_json::Value| digest_of(value.to_string().as_bytes());
    let mut parts = BTreeMap::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        let titles: Vec<String> = match name.as_str() {
            "images" => recipe.images.iter().map(|image| image_title(&image.name)).collect(),
            "charts" => recipe.charts.iter().map(|chart| chart_title(&chart.source.to_string())).collect(),
            "files" => recipe.files.iter().map(|file| file_title(&file.name)).collect(),
            _ => {
                parts.insert(name.clone(), digest(value));
                continue;
            }
        };
        let entries = value.as_array().into_iter().flatten();
        parts.extend(titles.into_iter().zip(entries.map(digest)));
    }
    parts
}

fn image_title(name: &str) -> String {
    format!("image {name}")
}

fn chart_title(source: &str) -> String {
    format!("chart {source}")
}

fn file_title(name: &str) -> String {
    format!("file {name}")
}

impl LockedFile {
    /// Whether this pins `content`.
    fn is_of(&self, content: &FileContent<'_>) -> bool {
        self.name == content.entry.name && self.platform.as_deref() == content.platform
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::testing::RECIPE;

    fn recipe(text: &str) -> Recipe {
        recipe::parse(text, Path::new("recipe.yaml")).unwrap()
    }

    fn image(name: &str, from: &str) -> LockedImage {
        LockedImage {
            name: name.to_owned(),
            digest: digest_of(b""),
            media_type: "m".to_owned(),
            size: 1,
            platforms: BTreeMap::new(),
            from: from.to_owned(),
            converted: false,
            signature: None,
            referrers: Vec::new(),
        }
    }

    /// A lock of `recipe` whose pins mean nothing.
    fn lock(recipe: &Recipe) -> Lock {
        let chart = |from: String| LockedChart {
            name: String::new(),
            version: String::new(),
            content: String::new(),
            from,
            url: None,
            manifest: None,
        };
        let file = |content: &FileContent<'_>| LockedFile {
            name: content.entry.name.clone(),
            platform: content.platform.map(ToOwned::to_owned),
            digest: String::new(),
            size: 0,
            from: String::new(),
            archive: None,
        };
        Lock {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            created: "2026-11-21T09:00:00Z".parse().unwrap(),
            recipe: parts(recipe),
            images: recipe.images.iter().map(|entry| image(&entry.name, "")).collect(),
            charts: recipe.charts.iter().map(|entry| chart(entry.source.to_string())).collect(),
            files: recipe.file_contents().iter().map(file).collect(),
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
    fn changed_new_and_gone_entries_are_named() {
        use crate::recipe::testing::FULL;
        let lock = lock(&recipe(FULL));
        lock.fits(&recipe(FULL)).unwrap();
        let changed = FULL
            .replace("path: haproxy.tar", "path: other.tar")
            .replace("{path: charts/orders}", "{path: orders}")
            .replace("path: charts/orders", "path: charts/sales")
            .replace("path: notes}}", "path: text}}");
        let error = lock.fits(&recipe(&changed)).unwrap_err().to_string();
        assert!(
            error.ends_with(
                ": chart charts/orders (gone), chart charts/sales (new), file notes, \
                 image docker.io/library/haproxy:2.6"
            ),
            "{error}"
        );
    }

    #[test]
    fn another_order_is_another_lock() {
        let (one, two) = ("  - path: charts/flannel\n", "  - path: charts/orders\n");
        let swapped = RECIPE.replace(&format!("{one}{two}"), &format!("{two}{one}"));
        assert_ne!(swapped, RECIPE);
        let error = lock(&recipe(RECIPE)).fits(&recipe(&swapped)).unwrap_err().to_string();
        assert!(error.ends_with("the order of images, charts or files"), "{error}");
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

        let image = |from: &str| image("ghcr.io/a/b:1", from);
        let first = Lock { images: vec![image("http://127.0.0.1:5000/a")], ..first };
        let created = "2026-11-22T09:00:00Z".parse().unwrap();
        let later = Lock { created, images: vec![image("http://127.0.0.1:5001/a")], ..first.clone() };
        assert_eq!(later.clone().or_unchanged(Some(first.clone())), first);
        let other = Lock { recipe: BTreeMap::new(), ..later };
        assert_eq!(other.clone().or_unchanged(Some(first)), other);
    }
}
