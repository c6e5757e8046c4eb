//! The recipe: what a vendor writes. Types exactly as the file has them; [`load`] reads and checks one.
//!
//! Components, secrets, settings and the sizing model are the bundle document's own types: what the vendor writes is
//! what the site reads.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sealift_bundle::document::{Component, KubernetesRelease, Product, ProductSecret, Role, Setting};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod check;
mod load;

pub use load::{RecipeError, load, parse};

/// `kind` of a recipe.
pub const KIND: &str = "Recipe";

/// A recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recipe {
    /// Always `sealift/v1`.
    pub api_version: String,
    /// Always `Recipe`.
    pub kind: String,
    /// What the vendor sells.
    pub product: Product,
    /// The Kubernetes release that the files and images make up.
    pub kubernetes: KubernetesRelease,
    /// Platforms to pack, e.g. `linux/amd64`.
    #[serde(default = "default_platforms")]
    pub platforms: Vec<String>,
    /// How files are compressed.
    #[serde(default)]
    pub compression: Compression,
    /// Container images.
    pub images: Vec<ImageEntry>,
    /// Helm charts.
    #[serde(default)]
    pub charts: Vec<ChartEntry>,
    /// Cluster binaries and other files for hosts.
    #[serde(default)]
    pub files: Vec<FileEntry>,
    /// Helm releases, in the order of their installation.
    #[serde(default)]
    pub components: Vec<Component>,
    /// Secrets made or given before a release.
    #[serde(default)]
    pub secrets: Vec<ProductSecret>,
    /// Questions to the site: name to description and default.
    #[serde(default)]
    pub settings: BTreeMap<String, Setting>,
    /// Sizing model, carried as it is.
    #[serde(default)]
    pub sizing: serde_json::Value,
}

/// How files are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Compression {
    /// zstd level, 1 to 19.
    pub level: i32,
}

impl Default for Compression {
    fn default() -> Self {
        Self { level: 3 }
    }
}

/// An image to pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageEntry {
    /// Full reference with registry and tag, as the charts name it.
    pub name: String,
    /// Hosts that preload it; all where absent.
    #[serde(default = "all_roles")]
    pub roles: Vec<Role>,
}

/// A chart to pack: a folder with a `Chart.yaml` (packed by the builder), or a chart archive (`.tgz`, packed as it is).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChartEntry {
    /// Named root that `path` starts from; the recipe's folder where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// Folder or archive below the root.
    pub path: PathBuf,
}

impl ChartEntry {
    /// Where the chart comes from.
    #[must_use]
    pub fn source(&self) -> Source {
        Source { root: self.root.clone(), path: self.path.clone() }
    }
}

/// A file to pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileEntry {
    /// Short name, unique, e.g. `kubelet`.
    pub name: String,
    /// Version for people.
    pub version: String,
    /// Where it goes on the host, absolute.
    pub path: String,
    /// Permission bits: octal digits in quotes, e.g. `"0755"` (the default).
    #[serde(default = "default_mode", with = "octal")]
    pub mode: u32,
    /// Hosts that get it; all where absent.
    #[serde(default = "all_roles")]
    pub roles: Vec<Role>,
    /// Where the builder finds it.
    pub source: Source,
}

/// A place on the vendor's machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// Named root (`--root NAME=DIR`) that `path` starts from; the recipe's folder where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// Path below the root.
    pub path: PathBuf,
}

impl std::fmt::Display for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.root {
            Some(root) => write!(formatter, "{root}:{}", self.path.display()),
            None => write!(formatter, "{}", self.path.display()),
        }
    }
}

fn default_platforms() -> Vec<String> {
    vec!["linux/amd64".to_owned()]
}

fn all_roles() -> Vec<Role> {
    vec![Role::ControlPlane, Role::Worker]
}

fn default_mode() -> u32 {
    0o755
}

/// Permission bits as octal text: a bare `0755` means 755 in some YAML readers and 493 in others.
mod octal {
    use super::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{mode:04o}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        let text = String::deserialize(deserializer)?;
        u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o7777 && text.len() >= 3).ok_or_else(|| {
            serde::de::Error::custom(format_args!("`{text}` is no file mode: write octal digits in quotes, e.g. \"0755\""))
        })
    }
}
