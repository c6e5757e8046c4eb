//! The recipe: what a vendor writes. Types exactly as the file has them; [`load`] reads and checks one.
//!
//! Components, secrets, settings and the sizing model are the bundle document's own types: what the vendor writes is
//! what the site reads.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use sealift_bundle::document::{Component, KubernetesRelease, Product, ProductSecret, Role, Setting};
use sealift_bundle::services::{Replaced, ServiceKind};
use sealift_bundle::sizing::SizingModel;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod check;
mod doubles;
mod hint;
mod load;
mod places;
mod schema;
mod source;

pub use hint::{FieldPath, ImageHint};
pub(crate) use load::yaml;
pub use load::{RecipeError, load, parse};
pub use schema::schema_text;
pub use source::{ArchiveMember, ChartEntry, ChartSource, FileSource, ImageSource, Source, StoredImage, Url};

/// `kind` of a recipe.
pub const KIND: &str = "Recipe";

/// A recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recipe {
    /// Always `sealift/v1`.
    #[schemars(extend("const" = sealift_bundle::document::API_VERSION))]
    pub api_version: String,
    /// Always `Recipe`.
    #[schemars(extend("const" = KIND))]
    pub kind: String,
    /// What the vendor sells.
    pub product: Product,
    /// The Kubernetes release that the files and images make up.
    pub kubernetes: KubernetesRelease,
    /// Platforms of the hosts, e.g. `linux/amd64`: of each there is every file, and every image unless that says otherwise.
    #[serde(default = "default_platforms")]
    pub platforms: Vec<String>,
    /// How files are compressed.
    #[serde(default)]
    pub compression: Compression,
    /// Container images.
    pub images: Vec<ImageEntry>,
    /// Images that no pod spec names: where else to look, and what components start by themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_hints: Vec<ImageHint>,
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
    /// Services that the product can take from the site instead of bringing them, and what is left out then.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<ServiceKind, Replaced>,
    /// What the product needs for how much work; without it no site can be told how many machines it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sizing: Option<SizingModel>,
    /// How it was written, for findings that show only with the charts at hand.
    #[serde(skip)]
    written: Written,
}

/// The file that a recipe was read from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Written {
    path: PathBuf,
    text: String,
}

impl Recipe {
    /// `findings` about this recipe (the place of each, as a path from the top, and what is wrong), as its own checks are
    /// told: with file, line and column.
    #[must_use]
    pub fn placed(&self, findings: Vec<(String, String)>) -> RecipeError {
        load::placed(&self.written.path, &self.written.text, findings)
    }

    /// Platforms that `image` is packed for.
    #[must_use]
    pub fn platforms_of<'a>(&'a self, image: &'a ImageEntry) -> &'a [String] {
        if image.platforms.is_empty() { &self.platforms } else { &image.platforms }
    }

    /// Images that the cluster starts by itself, from no chart: the field that asks for each, and its name.
    #[must_use]
    pub fn cluster_images(&self) -> Vec<(&'static str, String)> {
        let release = &self.kubernetes;
        let named = [
            ("kubernetes.pauseImage", release.pause_image.clone()),
            ("kubernetes.etcdImage", release.etcd_image.clone()),
            ("kubernetes.loadBalancerImage", release.load_balancer_image.clone()),
        ];
        let own = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"]
            .map(|name| ("kubernetes.version", format!("registry.k8s.io/{name}:{}", release.version)));
        named.into_iter().chain(own).collect()
    }

    /// Every content of every file, in the recipe's order: one, or one per platform.
    #[must_use]
    pub fn file_contents(&self) -> Vec<FileContent<'_>> {
        self.files.iter().flat_map(|entry| entry.contents(&self.platforms)).collect()
    }
}

/// How files are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Compression {
    /// zstd level, 1 to 19.
    #[schemars(range(min = 1, max = 19))]
    pub level: i32,
}

impl Default for Compression {
    fn default() -> Self {
        Self { level: 3 }
    }
}

/// An image to pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageEntry {
    /// Full reference with registry and tag, as the charts name it.
    pub name: String,
    /// Hosts that preload it; all where absent. With none (`[]`) it waits in the site's registries until a pod wants it.
    #[serde(default = "all_roles")]
    pub roles: Vec<Role>,
    /// Platforms to pack of it, also ones that no host has yet; those of the recipe where absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// Where it lies on this machine; the registry of its name where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<ImageSource>,
    /// Public key (PEM, ECDSA P-256) that must have signed it in cosign's format; checked when it is locked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<Source>,
}

/// A file to pack: one content for all platforms (`source`), or one for each (`sources`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["source"]}, {"required": ["sources"]}]))]
pub struct FileEntry {
    /// Short name, unique, e.g. `kubelet`.
    pub name: String,
    /// Version for people.
    pub version: String,
    /// Where it goes on the host, absolute.
    pub path: String,
    /// Permission bits: octal digits in quotes, e.g. `"0755"` (the default).
    #[serde(default = "default_mode", with = "octal")]
    #[schemars(with = "String", regex(pattern = "^[0-7]{3,4}$"))]
    pub mode: u32,
    /// Hosts that get it; all where absent.
    #[serde(default = "all_roles")]
    pub roles: Vec<Role>,
    /// Platforms whose hosts get it; those of the recipe where absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// Where the builder finds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<FileSource>,
    /// Where the builder finds it, platform by platform.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, FileSource>,
}

/// One content of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileContent<'a> {
    /// The file.
    pub entry: &'a FileEntry,
    /// Platform that it is for; every platform of the bundle where absent.
    pub platform: Option<&'a str>,
    /// Where it is.
    pub source: &'a FileSource,
}

impl FileContent<'_> {
    /// The file's name, and its platform where that matters.
    #[must_use]
    pub fn title(&self) -> String {
        match self.platform {
            Some(platform) => format!("{} for {platform}", self.entry.name),
            None => self.entry.name.clone(),
        }
    }
}

impl FileEntry {
    /// Its contents where the recipe packs `packed`. What serves every platform packed carries none.
    fn contents<'a>(&'a self, packed: &'a [String]) -> Vec<FileContent<'a>> {
        let only = |platform: &'a str| (packed.len() > 1).then_some(platform);
        if let Some(source) = &self.source {
            let of = |platform| FileContent { entry: self, platform, source };
            if self.platforms.is_empty() || packed.iter().all(|platform| self.platforms.contains(platform)) {
                return vec![of(None)];
            }
            return self.platforms.iter().map(|platform| of(only(platform))).collect();
        }
        let sources = self.sources.iter();
        sources
            .map(|(platform, source)| FileContent { entry: self, platform: only(platform), source })
            .collect()
    }
}

/// A folder on every host of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DirectoryEntry {
    /// Absolute path.
    pub path: String,
    /// Permission bits: octal digits in quotes, e.g. `"0700"`.
    #[serde(default = "default_mode", with = "octal")]
    #[schemars(with = "String", regex(pattern = "^[0-7]{3,4}$"))]
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
sizing:
  kilobytesPerUserPerDay: 100
  dataBasis: {kind: assumed, source: a guess}
  parts:
    - name: web
      title: the order page
      component: orders
      class: general
      copies: 2
      cpuMillicores: 10
      memoryMebibytes: 32
      cpuMicrosecondsPerRequest: 5000
      basis: {kind: assumed, source: requests of the chart}
"#;

    /// [`RECIPE`] with every other form of a source, for two platforms.
    pub(crate) const FULL: &str = r#"
apiVersion: sealift/v1
kind: Recipe
product: {name: orders, title: Orders, version: 4.2.0, serial: 17}
kubernetes:
  version: v1.36.3
  pauseImage: registry.k8s.io/pause:3.10.2
  etcdImage: registry.k8s.io/etcd:3.6.8-0
  loadBalancerImage: docker.io/library/haproxy:2.6
platforms: [linux/amd64, linux/arm64]
images:
  - name: registry.k8s.io/pause:3.10.2
  - {name: registry.k8s.io/etcd:3.6.8-0, from: {ociLayout: {root: images, path: etcd}}}
  - name: docker.io/library/haproxy:2.6
    from: {dockerArchive: {path: haproxy.tar}}
    platforms: [linux/amd64]
  - name: registry.k8s.io/kube-apiserver:v1.36.3
    publicKey: {root: keys, path: kubernetes.pub}
  - {name: registry.k8s.io/kube-controller-manager:v1.36.3}
  - {name: registry.k8s.io/kube-scheduler:v1.36.3}
  - {name: registry.k8s.io/kube-proxy:v1.36.3}
  - name: registry.sealift.example/orders/web:4.2.0
    from:
      ociArchive:
        path: web.tar
        reference: web
imageHints:
  - kind: Cluster
    apiVersion: db.example/v1
    fields: [spec.imageName, "spec.sidecars[*].image"]
  - {component: orders, images: [registry.sealift.example/orders/web:4.2.0]}
charts:
  - path: charts/orders
    profiles: [{path: charts/large.yaml}]
  - {repository: https://charts.example/stable, name: dns, version: 1.2.3}
  - {oci: registry.example/charts/flannel, version: 0.28.4}
files:
  - name: kubelet
    version: v1.36.3
    path: /usr/local/bin/kubelet
    sources:
      linux/amd64: {root: payload, path: amd64/kubelet}
      linux/arm64:
        url: https://dl.example/arm64/kubelet
        sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
  - name: helm
    version: v4.3.1
    path: /usr/local/bin/helm
    platforms: [linux/amd64]
    source:
      archive:
        path: helm.tar.gz
        member: bin/helm
  - {name: notes, version: v1, path: /usr/share/notes, mode: "0644", source: {path: notes}}
components:
  - {name: orders, chart: orders, namespace: orders, stage: product, timeoutSeconds: 60}
hostDirectories:
  - {path: /var/lib/orders}
"#;
}
