//! What can be done to a host: a closed list of typed operations, each probe, apply, verify.
//!
//! Operations carry no secret: where one is needed at run time, [`Operation::secret_source`] says where from.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// First line of our block in a file that belongs to the host.
pub const BLOCK_BEGIN: &str = "# BEGIN Sealift: changed by the installer, do not edit";
/// Last line of that block.
pub const BLOCK_END: &str = "# END Sealift";

/// A blob of the bundle, by what proves it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Blob {
    /// `sha256:` and 64 hex digits.
    pub digest: String,
    /// Size in bytes as stored.
    pub size: u64,
}

/// A text file as it must stand on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileSpec {
    /// Absolute path. Missing parent folders are made with mode 0755.
    pub path: String,
    /// Permission bits, e.g. `0o644`. Owner is root.
    pub mode: u32,
    /// Whole content.
    pub content: String,
}

/// A folder as it must stand on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DirectorySpec {
    /// Absolute path.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
}

/// A cluster binary: a zstd frame in the store and the file it becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BinarySpec {
    /// Absolute path on the host.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// The blob in the store.
    pub blob: Blob,
    /// Digest of the file after decompression.
    pub plain_digest: String,
    /// Size of the file after decompression.
    pub plain_size: u64,
}

/// An image under the name that manifests use for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageSpec {
    /// Full reference with tag, e.g. `registry.k8s.io/pause:3.10.2`.
    pub name: String,
    /// Digest of the manifest or index that the bundle's index names.
    pub digest: String,
}

/// A systemd service with the files it reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSpec {
    /// Unit name with suffix, e.g. `containerd.service`.
    pub unit: String,
    /// Unit file and configuration; a change of any restarts the service.
    pub files: Vec<FileSpec>,
    /// Folders that must exist before it starts.
    pub directories: Vec<DirectorySpec>,
    /// Whether it starts at boot.
    pub enabled: bool,
    /// Whether it must be running now. kubelet is enabled but started by kubeadm; what is neither is stopped.
    pub running: bool,
    /// When it counts as up.
    pub ready: Ready,
}

/// When a service counts as up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub enum Ready {
    /// systemd says active.
    Active,
    /// A Unix socket accepts connections.
    Socket {
        /// Absolute path.
        path: String,
    },
    /// A TCP port accepts connections.
    Port {
        /// Address on this host.
        address: IpAddr,
        /// Port.
        port: u16,
    },
}

/// One phase of `kubeadm init`, the grain at which a killed run resumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // named exactly as kubeadm names them
pub enum InitPhase {
    Certs,
    Kubeconfig,
    Etcd,
    ControlPlane,
    KubeletStart,
    UploadConfig,
    MarkControlPlane,
    BootstrapToken,
    KubeletFinalize,
    KubeProxy,
}

/// Parts of `kubeadm join`. A worker joins at once; a master in three parts, of which only the one that changes etcd
/// has to wait for the other masters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JoinPhase {
    /// All of a worker's join.
    Worker,
    /// A master's certificates and kubeconfig files, and the first start of its kubelet.
    Prepare,
    /// A master's static pods and etcd member, until that is a voter. One master at a time: etcd takes one learner at a time
    /// (etcd, "Learner", section on `--max-learners`).
    Etcd,
    /// A master's node object, label and taint. Its own API server has to answer.
    ControlPlane,
}

/// How a host joins a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinSpec {
    /// Kubernetes node name.
    pub node: String,
    /// Address of the master that is asked while joining.
    pub via: IpAddr,
    /// The cluster's endpoint, `name:port`.
    pub endpoint: String,
    /// How much of the join this is.
    pub phase: JoinPhase,
    /// `JoinConfiguration` and its siblings; `@DISCOVERY@` is replaced by the path of the discovery file.
    pub config: FileSpec,
    /// kubeadm preflight checks to skip, with reasons in the plan's notes.
    pub ignore_preflight: Vec<String>,
}

/// Something in the cluster that must be ready before the next step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub enum Gate {
    /// The API server of this master answers `/readyz`.
    ApiReady {
        /// Address of the master.
        address: IpAddr,
    },
    /// etcd has exactly these members, all started voters, all healthy, no alarm.
    EtcdVoters {
        /// Node names.
        members: Vec<String>,
    },
    /// The database of events has these members, all started voters, all healthy, no alarm.
    EventsVoters {
        /// Node names.
        members: Vec<String>,
    },
    /// These nodes are registered and Ready.
    NodesReady {
        /// Node names.
        nodes: Vec<String>,
    },
    /// A Deployment, `StatefulSet` or `DaemonSet` has all its replicas updated and ready.
    WorkloadReady {
        /// Namespace.
        namespace: String,
        /// `Deployment`, `StatefulSet` or `DaemonSet`.
        workload: String,
        /// Object name.
        name: String,
    },
    /// No pod in any namespace is other than Ready or Succeeded.
    AllPodsReady,
}

/// What an API server reads and is started with, as far as the profile chooses it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiServerSpec {
    /// Folders that are mounted into its pod.
    pub directories: Vec<DirectorySpec>,
    /// Files that it reads when it starts.
    pub files: Vec<FileSpec>,
    /// Files that it reads anew when they change.
    pub reloaded_files: Vec<FileSpec>,
    /// Arguments by name; `null` for one that must not be given.
    pub arguments: BTreeMap<String, Option<String>>,
}

/// A member of the database of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventsMemberSpec {
    /// The member's name: that of its node.
    pub name: String,
    /// Where the other members reach it, a URL.
    pub peer_url: String,
    /// Where the members that stand before it are asked, URLs; none for the first member.
    pub ask: Vec<String>,
    /// Its static pod.
    pub manifest: FileSpec,
}

/// A `ClusterRoleBinding` for a group of people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupRole {
    /// Name of the binding.
    pub name: String,
    /// The group as the API server sees it.
    pub group: String,
    /// Name of the `ClusterRole`.
    pub role: String,
}

/// Secrets that move between hosts through the seat's memory, never its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SecretSet {
    /// Cluster CA, front-proxy CA, etcd CA (pairs) and the service account pair: what a joining master needs.
    KubernetesPki,
    /// The site's own CA pair, which signs the registries' certificates.
    SiteCa,
    /// A short-lived bootstrap token and the discovery file that holds it.
    JoinDiscovery,
    /// The encryption configuration of the API servers, which holds the key.
    EncryptionKey,
    /// The authority of the database of events.
    EventsPki,
}

/// Where a step's secrets come from at run time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub enum SecretSource {
    /// Exported by another host just before the step.
    Host {
        /// Name of the host in the profile.
        host: String,
        /// What to export.
        set: SecretSet,
    },
    /// Resolved from the profile's references on the seat: key in the Secret to name in `product.secrets`.
    Profile {
        /// Key to profile secret name.
        keys: BTreeMap<String, String>,
    },
}

/// A Helm release as it must stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseSpec {
    /// Release name.
    pub name: String,
    /// Namespace, made if missing.
    pub namespace: String,
    /// Chart name, for messages.
    pub chart: String,
    /// Chart version, for messages.
    pub version: String,
    /// The chart archive (`.tgz`) in the store.
    pub blob: Blob,
    /// Merged values, JSON.
    pub values: serde_json::Value,
    /// Seconds that hooks (migrations) may take.
    pub timeout_seconds: u32,
}

/// One typed operation on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "operation")]
pub enum Operation {
    /// Marks the host as part of a site, before anything else changes.
    ClaimHost {
        /// `metadata.name` of the profile.
        site: String,
        /// The host's name. In JSON `name`: a step has a `host` of its own beside it.
        #[serde(rename = "name")]
        host: String,
    },
    /// Puts this very program at its lasting place, for the registry unit and later sessions.
    InstallAgent {
        /// Digest of the program that the seat uploaded.
        digest: String,
    },
    /// Writes drop-in files and makes them effective now.
    WriteFiles {
        /// The files.
        files: Vec<FileSpec>,
        /// Kernel modules to load now.
        load_modules: Vec<String>,
        /// Whether to apply the sysctl drop-ins among the files now.
        apply_sysctls: bool,
    },
    /// Keeps a marked block of lines in a file that belongs to the host (`/etc/hosts`).
    ManagedBlock {
        /// Absolute path.
        path: String,
        /// Lines between our begin and end markers.
        lines: Vec<String>,
    },
    /// Makes folders.
    Directories {
        /// The folders.
        directories: Vec<DirectorySpec>,
    },
    /// Switches swap off now and keeps it off after a boot (fstab entries commented out by us, swap units masked).
    SwapOff,
    /// Verifies and keeps the bundle's signed index in the store.
    StoreIndex {
        /// `index.json`, byte for byte.
        index: String,
        /// `index.json.minisig`.
        signature: String,
        /// The public key (second line of a minisign public key file) that the seat trusted.
        public_key: String,
    },
    /// The seat streams the blobs that the store lacks.
    ReceiveBlobs {
        /// Blobs in the bundle's order.
        blobs: Vec<Blob>,
    },
    /// The host fetches the blobs that its store lacks from registries of other hosts, several at a time.
    FetchBlobs {
        /// Blobs.
        blobs: Vec<Blob>,
        /// `https://ADDRESS:PORT`, tried in this order, rotated per blob.
        sources: Vec<String>,
    },
    /// Decompresses binaries from the store to their places, verified.
    InstallBinaries {
        /// Binaries.
        binaries: Vec<BinarySpec>,
    },
    /// Makes the site's CA where there is none.
    EnsureSiteCa {
        /// Site name, for the subject.
        site: String,
    },
    /// Puts the site's CA certificate (and on masters its key) on the host, and lets it issue its registry certificate.
    InstallSiteCa {
        /// The host that exports the CA.
        from: String,
        /// Whether this host keeps the key (masters) or the certificate alone (workers).
        with_key: bool,
        /// Names and addresses for this host's registry certificate; empty for none.
        certificate_names: Vec<String>,
    },
    /// Puts the certificates of the customer's authorities into the host's trust store; others of ours are taken out.
    TrustAuthorities {
        /// One file for each authority.
        files: Vec<FileSpec>,
        /// The program that takes up the change.
        program: String,
    },
    /// Makes the folder of a database before its static pod. One that runs with its data elsewhere is refused: no run
    /// moves data.
    PrepareDatabase {
        /// Name of the static pod.
        pod: String,
        /// The folder.
        directory: DirectorySpec,
    },
    /// Makes the authority of the database of events where there is none, and this member's certificates from it.
    EnsureEventsPki {
        /// Names and addresses of the member.
        names: Vec<String>,
    },
    /// Copies the authority of the database of events, and makes this member's certificates from it.
    InstallEventsPki {
        /// The master that exports it.
        from: String,
        /// Names and addresses of the member.
        names: Vec<String>,
    },
    /// Starts this master's member of the database of events; where others stand before it, adds it to them and has it
    /// vote.
    JoinEvents {
        /// The member.
        member: EventsMemberSpec,
    },
    /// Writes what the API server of this master reads. One that was made with other choices is refused: they are
    /// chosen when a cluster is installed.
    PrepareApiServer {
        /// The files and arguments.
        api_server: ApiServerSpec,
    },
    /// Makes the key that API servers encrypt with, once, where there is none.
    EnsureEncryptionKey {
        /// What is encrypted: names of resources.
        resources: Vec<String>,
    },
    /// Copies the encryption configuration with its key.
    InstallEncryptionKey {
        /// The master that exports it.
        from: String,
    },
    /// Gives groups of people their roles in the cluster, and takes those away that we gave and that are not wanted.
    GroupRoles {
        /// The roles.
        roles: Vec<GroupRole>,
    },
    /// Makes a config map, or corrects it.
    EnsureConfigMap {
        /// Namespace, made if missing.
        namespace: String,
        /// Name.
        name: String,
        /// Key to text.
        data: BTreeMap<String, String>,
    },
    /// Writes files and unit, enables and starts.
    Service {
        /// The service.
        service: ServiceSpec,
    },
    /// Pulls images through the mirrors into containerd, checks their digests, pins them.
    PullImages {
        /// Images.
        images: Vec<ImageSpec>,
    },
    /// One phase of `kubeadm init`.
    KubeadmInit {
        /// The phase.
        phase: InitPhase,
        /// Kubernetes node name.
        node: String,
        /// `InitConfiguration`, `ClusterConfiguration`, `KubeletConfiguration`, `KubeProxyConfiguration`.
        config: FileSpec,
    },
    /// Copies the CA pairs that a joining master needs.
    InstallKubernetesPki {
        /// The master that exports them.
        from: String,
    },
    /// `kubeadm join`, as worker or master.
    KubeadmJoin {
        /// The master (host name in the profile) that exports the discovery file.
        from: String,
        /// The rest.
        join: JoinSpec,
    },
    /// Waits for a gate, asked on this host.
    WaitFor {
        /// The gate.
        gate: Gate,
        /// Seconds after which it fails.
        timeout_seconds: u32,
    },
    /// Sets labels and removes or sets taints on a node, through the API.
    NodeLabels {
        /// Kubernetes node name.
        node: String,
        /// Labels to set.
        labels: BTreeMap<String, String>,
    },
    /// Makes a Secret from profile references; keys in `generated` get random values once.
    EnsureSecret {
        /// Namespace, made if missing.
        namespace: String,
        /// Name.
        name: String,
        /// Key in the Secret to name in `product.secrets`, or `services.SERVICE.password`.
        keys: BTreeMap<String, String>,
        /// Keys that get 32 random alphanumeric characters where the Secret lacks them.
        generated: Vec<String>,
    },
    /// Installs or upgrades a Helm release.
    HelmRelease {
        /// The release.
        release: ReleaseSpec,
    },
    /// Runs the release's acceptance tests (`helm test`) and reads their TAP output.
    Acceptance {
        /// Release name.
        release: String,
        /// Namespace.
        namespace: String,
        /// Seconds for all tests together.
        timeout_seconds: u32,
    },
}

impl Operation {
    /// Where this operation's secrets come from, if it needs any.
    #[must_use]
    pub fn secret_source(&self) -> Option<SecretSource> {
        let from = |host: &str, set| Some(SecretSource::Host { host: host.to_owned(), set });
        match self {
            Self::InstallSiteCa { from: host, .. } => from(host, SecretSet::SiteCa),
            Self::InstallKubernetesPki { from: host } => from(host, SecretSet::KubernetesPki),
            Self::KubeadmJoin { from: host, .. } => from(host, SecretSet::JoinDiscovery),
            Self::InstallEventsPki { from: host, .. } => from(host, SecretSet::EventsPki),
            Self::InstallEncryptionKey { from: host } => from(host, SecretSet::EncryptionKey),
            Self::EnsureSecret { keys, .. } if !keys.is_empty() => {
                Some(SecretSource::Profile { keys: keys.clone() })
            }
            _ => None,
        }
    }
}
