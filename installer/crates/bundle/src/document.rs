//! The bundle document: what a bundle is, in one JSON artifact reached from the signed index.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::services::{Replaced, ServiceKind, ServiceValue};
use crate::sizing::SizingModel;

/// Artifact type of the bundle document's manifest.
pub const DOCUMENT_ARTIFACT_TYPE: &str = "application/vnd.sealift.bundle.v1+json";
/// Artifact type of a cluster binary's or file's manifest.
pub const FILE_ARTIFACT_TYPE: &str = "application/vnd.sealift.file.v1";
/// The format's version, refused when newer.
pub const API_VERSION: &str = "sealift/v1";

/// The bundle document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BundleDocument {
    /// Always [`API_VERSION`]; anything else is a newer format.
    pub api_version: String,
    /// Always `Bundle`.
    pub kind: String,
    /// What the vendor sells.
    pub product: Product,
    /// The Kubernetes release that the binaries and images make up.
    pub kubernetes: KubernetesRelease,
    /// Platforms packed, e.g. `linux/amd64`.
    pub platforms: Vec<String>,
    /// Container images, sorted by name.
    pub images: Vec<Image>,
    /// Cluster binaries and other files, sorted by path.
    pub files: Vec<File>,
    /// Helm charts, sorted by name.
    pub charts: Vec<Chart>,
    /// What gets installed, in this order.
    pub components: Vec<Component>,
    /// Folders that hosts need before the product starts (static local volumes).
    #[serde(default)]
    pub host_directories: Vec<HostDirectory>,
    /// Secrets the product needs, made or given before its release.
    #[serde(default)]
    pub secrets: Vec<ProductSecret>,
    /// Settings that a site may answer: name to description and default.
    #[serde(default)]
    pub settings: BTreeMap<String, Setting>,
    /// Services that the product can take from the site, and what is left out then.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<ServiceKind, Replaced>,
    /// What the product needs for how much work; none where the vendor gave none.
    #[serde(default, with = "crate::sizing::optional")]
    pub sizing: Option<SizingModel>,
    /// Every other blob of the bundle in member order (the document's own three stand before them).
    pub blobs: Vec<BlobEntry>,
}

impl BundleDocument {
    /// Bytes of the blobs in [`BundleDocument::blobs`] that hosts need: all but those that only referrers consist of.
    #[must_use]
    pub fn host_bytes(&self) -> u64 {
        let mut beside: BTreeSet<&str> = BTreeSet::new();
        for referrer in self.images.iter().flat_map(|image| &image.referrers) {
            beside.extend(referrer.blobs.iter().map(String::as_str));
        }
        for blob in self.images.iter().flat_map(|image| &image.blobs) {
            beside.remove(blob.as_str());
        }
        self.blobs.iter().filter(|blob| !beside.contains(blob.digest.as_str())).map(|blob| blob.size).sum()
    }

    /// The files that one host with any of these roles gets: those of its own platform, and those for all. Where there are
    /// several platforms, of the one whose files take most on the host.
    #[must_use]
    pub fn files_of_a_host(&self, roles: &[Role]) -> Vec<&File> {
        let wanted: Vec<&File> =
            self.files.iter().filter(|file| roles.iter().any(|role| file.roles.contains(role))).collect();
        let on = |platform: Option<&str>| -> Vec<&File> {
            let fits = |file: &&File| file.platform.is_none() || file.platform.as_deref() == platform;
            wanted.iter().copied().filter(fits).collect()
        };
        let platforms: BTreeSet<&str> = wanted.iter().filter_map(|file| file.platform.as_deref()).collect();
        let plain_size = |files: &Vec<&File>| files.iter().map(|file| file.plain_size).sum::<u64>();
        let each = platforms.into_iter().map(|platform| on(Some(platform)));
        each.max_by_key(plain_size).unwrap_or_else(|| on(None))
    }
}

/// Product name, version and serial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Product {
    /// Machine name, e.g. `orders`.
    pub name: String,
    /// Name for people, e.g. `Orders`.
    pub title: String,
    /// Product version.
    pub version: String,
    /// Grows with every release, so that a rollback is noticed.
    pub serial: u64,
}

/// Versions of the cluster's parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KubernetesRelease {
    /// `v1.36.3`.
    pub version: String,
    /// Image reference of the sandbox, e.g. `registry.k8s.io/pause:3.10.2`.
    pub pause_image: String,
    /// Image reference of etcd.
    pub etcd_image: String,
    /// Image reference of the load balancer on workers.
    pub load_balancer_image: String,
}

/// Which hosts need a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Masters.
    ControlPlane,
    /// Workers.
    Worker,
}

/// A container image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Image {
    /// Full reference with tag, as manifests name it.
    pub name: String,
    /// Digest of its manifest or index.
    pub digest: String,
    /// Media type of that manifest or index.
    pub media_type: String,
    /// Sum of its blobs' sizes, bytes.
    pub size: u64,
    /// Hosts that preload it.
    pub roles: Vec<Role>,
    /// Every blob of it (manifests, configs, layers).
    pub blobs: Vec<String>,
    /// What stood beside it where it came from: signatures, SBOMs, attestations. Hosts do not need them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub referrers: Vec<Referrer>,
}

/// A manifest that says something about an image (image-spec, "Referrers"); an entry of `index.json`, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Referrer {
    /// Digest of the manifest.
    pub digest: String,
    /// What it is, e.g. `application/vnd.cyclonedx+json`; where its registry told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Tags that lead to it in the image's repository, e.g. `sha256-4b….sig`; none where its own `subject` field does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Every blob of it, the manifest first.
    pub blobs: Vec<String>,
}

/// What a referrer says about its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReferrerKind {
    /// Who vouches for it.
    Signature,
    /// How it was made, or what was found out about it, signed.
    Attestation,
    /// What it is made of.
    Sbom,
    /// Something else.
    Other,
}

impl ReferrerKind {
    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Attestation => "attestation",
            Self::Sbom => "SBOM",
            Self::Other => "attachment",
        }
    }
}

impl Referrer {
    /// What it is, by its artifact type: those of cosign and sigstore (`application/vnd.dev.cosign.artifact.sig.v1+json`,
    /// `application/vnd.dev.sigstore.bundle.v0.3+json`), Notary Project (`application/vnd.cncf.notary.signature`), in-toto
    /// (`application/vnd.in-toto+json`), SPDX and `CycloneDX` in their several spellings.
    #[must_use]
    pub fn kind(&self) -> ReferrerKind {
        let text = self.artifact_type.as_deref().unwrap_or_default().to_ascii_lowercase();
        let any = |words: &[&str]| words.iter().any(|word| text.contains(word));
        // An attestation may say in its type what it holds, e.g. an SBOM.
        if any(&["in-toto", "dsse", ".att.", "attestation"]) {
            ReferrerKind::Attestation
        } else if any(&["sbom", "cyclonedx", "spdx", "syft"]) {
            ReferrerKind::Sbom
        } else if any(&["signature", ".sig.", "simplesigning", "sigstore.bundle"]) {
            ReferrerKind::Signature
        } else {
            ReferrerKind::Other
        }
    }
}

/// A file that ends up on hosts: cluster binary or other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct File {
    /// Short name, e.g. `kubelet`.
    pub name: String,
    /// Version for people.
    pub version: String,
    /// Where it goes, absolute.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Hosts that get it.
    pub roles: Vec<Role>,
    /// Platform that it was built for, e.g. `linux/arm64`; every platform of the bundle where absent. Files of one name
    /// and path differ in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Digest of its OCI manifest.
    pub manifest: String,
    /// Digest of its blob: a zstd frame.
    pub digest: String,
    /// Size of its blob, bytes.
    pub size: u64,
    /// Digest of the file itself.
    pub plain_digest: String,
    /// Size of the file itself, bytes.
    pub plain_size: u64,
}

/// A Helm chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Chart {
    /// Chart name.
    pub name: String,
    /// Chart version.
    pub version: String,
    /// Digest of its OCI manifest.
    pub manifest: String,
    /// Digest of the chart archive.
    pub digest: String,
    /// Size of the chart archive, bytes.
    pub size: u64,
}

/// One Helm release of the product or the platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Component {
    /// Release name.
    pub name: String,
    /// Chart name in [`BundleDocument::charts`].
    pub chart: String,
    /// Namespace.
    pub namespace: String,
    /// Where in the order: platform components come before the workers' gate, product ones after.
    pub stage: Stage,
    /// The vendor's values.
    #[serde(default)]
    pub values: serde_json::Value,
    /// Values taken from the site: dotted path in the values to what to put there.
    #[serde(default)]
    pub values_from: BTreeMap<String, SiteValue>,
    /// Workloads that must be ready before the next component starts.
    #[serde(default)]
    pub gates: Vec<Workload>,
    /// Seconds that hooks and gates may take.
    pub timeout_seconds: u32,
    /// Whether `helm test` of this release is the acceptance test.
    #[serde(default)]
    pub acceptance: bool,
}

/// When a component is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// As soon as the first master answers (network, DNS).
    Platform,
    /// When all nodes are Ready.
    Product,
}

/// Something the site knows, put into a chart's values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SiteValue {
    /// Pod network, CIDR text.
    PodCidr,
    /// Service network, CIDR text.
    ServiceCidr,
    /// Address of the cluster DNS service.
    ClusterDns,
    /// The endpoint's host name.
    EndpointHost,
    /// The endpoint's port.
    EndpointPort,
    /// Number of masters.
    ControlPlaneCount,
    /// Number of workers.
    WorkerCount,
    /// Node names of all workers (of all masters where there is no worker).
    WorkerNames,
    /// Replicas for a stateless service: 1 on one worker node, else 2, 3 from five workers on; or what the site decides.
    ServiceReplicas,
    /// DNS servers of the whole cluster; each master runs one of them.
    DnsReplicas,
    /// Whether pods' annotations limit their network.
    PodBandwidth,
    /// `nameserver`s that the site gave for names outside the cluster; an empty list where there are none.
    Nameservers,
    /// A setting of this name: the site's answer or its default.
    Setting(String),
    /// Something about a service that the site runs itself; the chart's own default stays where it does not.
    Service(ServiceValue),
}

/// A folder on every host of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostDirectory {
    /// Absolute path.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Hosts that get it.
    pub roles: Vec<Role>,
}

/// A workload of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Workload {
    /// `Deployment`, `StatefulSet` or `DaemonSet`.
    pub kind: String,
    /// Object name.
    pub name: String,
}

/// A Secret that the installer makes before the release of its component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProductSecret {
    /// Component whose release reads it.
    pub component: String,
    /// Name of the Secret in that component's namespace.
    pub name: String,
    /// Key to the name under `product.secrets` of the profile.
    #[serde(default)]
    pub from_site: BTreeMap<String, String>,
    /// Keys that hold the password of a service where the site runs it itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub from_services: BTreeMap<String, ServiceKind>,
    /// Keys that get a random value once, unless the site's own service gives them.
    #[serde(default)]
    pub generated: Vec<String>,
}

/// A question that the product asks the site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Setting {
    /// For people.
    pub description: String,
    /// Taken where the site says nothing; without one the site must answer.
    #[serde(default)]
    pub default: Option<serde_json::Value>,
}

/// A blob and its size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlobEntry {
    /// `sha256:` and 64 hex digits.
    pub digest: String,
    /// Bytes.
    pub size: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_gets_the_files_of_one_platform() {
        let file = |name: &str, platform: Option<&str>, role: Role, plain_size: u64| File {
            name: name.to_owned(),
            version: String::new(),
            path: format!("/usr/local/bin/{name}"),
            mode: 0o755,
            roles: vec![role],
            platform: platform.map(str::to_owned),
            manifest: String::new(),
            digest: String::new(),
            size: plain_size / 3,
            plain_digest: String::new(),
            plain_size,
        };
        let (master, worker) = (Role::ControlPlane, Role::Worker);
        let mut document = crate::testing::sample_document();
        document.files = vec![
            file("etcdctl", None, master, 5),
            file("kubelet", Some("linux/amd64"), worker, 60),
            file("kubelet", Some("linux/arm64"), worker, 50),
            file("runc", Some("linux/amd64"), worker, 3),
            file("runc", Some("linux/arm64"), worker, 20),
            file("settings", None, worker, 7),
        ];
        let sizes = |roles: &[Role]| {
            document.files_of_a_host(roles).iter().map(|file| file.plain_size).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&[worker]), [50, 20, 7]);
        assert_eq!(sizes(&[master]), [5]);
        assert_eq!(sizes(&[master, worker]), [5, 50, 20, 7]);
        document.files.retain(|file| file.platform.as_deref() != Some("linux/arm64"));
        assert_eq!(document.files_of_a_host(&[worker]).len(), 3);
    }

    #[test]
    fn referrers_are_told_apart_by_their_type() {
        let kind = |text: &str| {
            let artifact_type = (!text.is_empty()).then(|| text.to_owned());
            Referrer { digest: String::new(), artifact_type, tags: vec![], blobs: vec![] }.kind().name()
        };
        for (text, expected) in [
            ("application/vnd.dev.cosign.artifact.sig.v1+json", "signature"),
            ("application/vnd.dev.sigstore.bundle.v0.3+json", "signature"),
            ("application/vnd.cncf.notary.signature", "signature"),
            ("application/vnd.dev.cosign.artifact.att.v1+json", "attestation"),
            ("application/vnd.in-toto.cyclonedx+dsse", "attestation"),
            ("application/vnd.dev.cosign.artifact.sbom.v1+json", "SBOM"),
            ("application/spdx+json", "SBOM"),
            ("application/vnd.example.licence", "attachment"),
            ("", "attachment"),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }
}
