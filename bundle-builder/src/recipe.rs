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

pub(crate) use load::yaml;
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
    /// Folders that hosts need before the product starts.
    #[serde(default)]
    pub host_directories: Vec<DirectoryEntry>,
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

/// A folder on every host of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DirectoryEntry {
    /// Absolute path.
    pub path: String,
    /// Permission bits: octal digits in quotes, e.g. `"0700"`.
    #[serde(default = "default_mode", with = "octal")]
    pub mode: u32,
    /// Numeric owner; root where absent.
    #[serde(default)]
    pub uid: u32,
    /// Numeric group; root where absent.
    #[serde(default)]
    pub gid: u32,
    /// Hosts that get it; all where absent.
    #[serde(default = "all_roles")]
    pub roles: Vec<Role>,
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

    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    pub fn serialize<S: Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{mode:04o}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        let text = String::deserialize(deserializer)?;
        u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o7777 && text.len() >= 3).ok_or_else(
            || {
                serde::de::Error::custom(format_args!(
                    "`{text}` is no file mode: write octal digits in quotes, e.g. \"0755\""
                ))
            },
        )
    }
}

#[cfg(test)]
pub(crate) mod testing {
    /// A recipe that is right in itself.
    pub(crate) const RECIPE: &str = r#"
apiVersion: sealift/v1
kind: Recipe
product:
  name: orders
  title: Orders
  version: 4.2.0
  serial: 17
kubernetes:
  version: v1.36.3
  pauseImage: registry.k8s.io/pause:3.10.2
  etcdImage: registry.k8s.io/etcd:3.6.8-0
  loadBalancerImage: docker.io/library/haproxy:2.6
platforms: [linux/amd64]
compression: {level: 3}
images:
  - name: registry.k8s.io/pause:3.10.2
  - name: registry.k8s.io/etcd:3.6.8-0
    roles: [control-plane]
  - {name: docker.io/library/haproxy:2.6, roles: [worker]}
  - {name: registry.k8s.io/kube-apiserver:v1.36.3, roles: [control-plane]}
  - {name: registry.k8s.io/kube-controller-manager:v1.36.3, roles: [control-plane]}
  - {name: registry.k8s.io/kube-scheduler:v1.36.3, roles: [control-plane]}
  - name: registry.k8s.io/kube-proxy:v1.36.3
charts:
  - path: charts/flannel
  - path: charts/orders
files:
  - name: kubelet
    version: v1.36.3
    path: /usr/local/bin/kubelet
    mode: "0755"
    source: {root: payload, path: bin/kubelet}
components:
  - name: flannel
    chart: flannel
    namespace: kube-flannel
    stage: platform
    valuesFrom:
      podCidr: pod-cidr
    gates:
      - {kind: DaemonSet, name: flannel}
    timeoutSeconds: 300
  - name: orders
    chart: orders
    namespace: orders
    stage: product
    values:
      web: {image: registry.sealift.example/orders/web:4.2.0}
    valuesFrom:
      web.replicas: service-replicas
      web.title: {setting: title}
    timeoutSeconds: 600
    acceptance: true
secrets:
  - component: orders
    name: orders-database
    fromSite: {password: databasePassword}
    generated: [session]
settings:
  title:
    description: Name on the first page
    default: Orders
sizing: {}
"#;
}
