//! What a host must have, by role. Figures follow from the bundle's own byte counts wherever they can.
//!
//! Disk formulas, all in bytes, per path:
//!
//! | path | master | worker |
//! | --- | --- | --- |
//! | `/var/lib/sealift` | every blob of the bundle (each master serves them all) + [`PROGRAM`] | blobs of the worker's files + [`PROGRAM`] |
//! | `/usr/local/bin` | files of the role, unpacked (also those for `/opt/cni/bin`, which is on the same file system on any host that was set up by hand) | the same |
//! | `/var/lib/containerd` | images of the role × [`UNPACKED`] + [`WRITABLE`] | the same |
//! | `/var/lib/kubelet` | [`KUBELET`] | the same |
//! | `/var/lib/etcd` | [`ETCD`] | none |
//!
//! Paths on one file system are summed.

use std::collections::BTreeSet;

use sealift_bundle::document::{BundleDocument, Role};
use sealift_profile::{HostRole, Site};
use serde::{Deserialize, Serialize};

use crate::services::services_of;

/// Paths that the agent must measure for the checks.
pub const PATHS: [&str; 9] =
    [STORE, CONTAINERD, KUBELET_DIR, ETCD_DIR, BINARIES, CNI_BINARIES, SETTINGS_DIR, TEMPORARY, LOGS];
/// Kernel modules that the agent must look for.
pub const MODULES: [&str; 5] = ["overlay", "br_netfilter", "nf_conntrack", "vxlan", "nf_tables"];
/// Programs that the agent must look for in root's search path.
pub const COMMANDS: [&str; 10] = [
    "ip",
    "mount",
    "umount",
    "nsenter",
    "modprobe",
    "systemd-run",
    "ethtool",
    "tc",
    "update-ca-certificates",
    "update-ca-trust",
];
/// Kernel settings (`sysctl(8)` names) that the agent must read.
pub const SETTINGS: [&str; 23] = [
    "net.ipv4.ip_forward",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "fs.inotify.max_user_instances",
    "fs.inotify.max_user_watches",
    "kernel.pid_max",
    "kernel.threads-max",
    "fs.file-max",
    "kernel.random.entropy_avail",
    "kernel.tainted",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.conf.all.arp_ignore",
    "net.ipv4.conf.all.arp_filter",
    "net.ipv6.conf.all.disable_ipv6",
    "net.netfilter.nf_conntrack_count",
    "net.netfilter.nf_conntrack_max",
    // What a hardened host sets: the plan shows what stood there.
    "kernel.keys.root_maxbytes",
    "kernel.keys.root_maxkeys",
    "kernel.panic",
    "kernel.panic_on_oops",
    "vm.overcommit_memory",
    "vm.panic_on_oom",
];
/// What our own file sets at every boot, and to which least value (`assets/templates/sysctl.conf`).
pub(crate) const OUR_SETTINGS: [(&str, u64); 5] = [
    ("net.ipv4.ip_forward", 1),
    ("net.bridge.bridge-nf-call-iptables", 1),
    ("net.bridge.bridge-nf-call-ip6tables", 1),
    ("fs.inotify.max_user_instances", 8192),
    ("fs.inotify.max_user_watches", 524_288),
];
/// Our file among those that are applied at boot in the order of their names.
pub(crate) const OUR_SETTINGS_FILE: &str = "90-sealift.conf";
/// Ports that Services take on every node (kube-apiserver's default `service-node-port-range`).
pub(crate) const NODE_PORTS: (u16, u16) = (30_000, 32_767);

pub(crate) const STORE: &str = "/var/lib/sealift";
pub(crate) const CONTAINERD: &str = "/var/lib/containerd";
pub(crate) const KUBELET_DIR: &str = "/var/lib/kubelet";
pub(crate) const ETCD_DIR: &str = "/var/lib/etcd";
pub(crate) const BINARIES: &str = "/usr/local/bin";
pub(crate) const CNI_BINARIES: &str = "/opt/cni/bin";
pub(crate) const SETTINGS_DIR: &str = "/etc";
pub(crate) const TEMPORARY: &str = "/tmp";
pub(crate) const LOGS: &str = "/var/log";

/// Our own program, twice while it is replaced, and our logs and journals, bytes.
pub const PROGRAM: u64 = 200_000_000;
/// An image's blobs are kept as they are (1) and unpacked (3: layers shrink to about a third when compressed).
pub const UNPACKED: u64 = 4;
/// What containers write into their own layers, bytes.
pub const WRITABLE: u64 = 1_000_000_000;
/// Volumes in memory's place, pod logs and plugin sockets, bytes.
pub const KUBELET: u64 = 1_000_000_000;
/// etcd's default quota (2 GiB), its write-ahead log and a snapshot in the making, bytes.
pub const ETCD: u64 = 3_000_000_000;

/// Least kernel version: kube-proxy's nftables mode needs it.
pub const KERNEL: (u32, u32) = (5, 13);
/// Kernel version from which on nothing is said.
pub const KERNEL_GOOD: (u32, u32) = (5, 15);
/// Least systemd version.
pub const SYSTEMD: u32 = 245;

/// UDP port of flannel's VXLAN.
const VXLAN: u16 = 8472;

/// What hosts must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirements {
    /// For masters.
    pub masters: RoleNeeds,
    /// For workers.
    pub workers: RoleNeeds,
    /// Least kernel version (major, minor).
    pub kernel: (u32, u32),
    /// Kernel version (major, minor) below which there is a warning.
    pub kernel_good: (u32, u32),
    /// Least systemd version.
    pub systemd: u32,
}

/// What hosts of one role must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleNeeds {
    /// Least number of processors.
    pub cpus: u32,
    /// Number of processors from which on nothing is said.
    pub cpus_good: u32,
    /// Least memory, bytes.
    pub memory_bytes: u64,
    /// Memory from which on nothing is said, bytes; a tenth less will do, since kernels keep some for themselves.
    pub memory_bytes_good: u64,
    /// Free space by path.
    pub disks: Vec<DiskNeed>,
    /// Ports that must be free.
    pub ports: Vec<PortNeed>,
}

/// Free space that a path must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskNeed {
    /// One of [`PATHS`].
    pub path: String,
    /// Bytes.
    pub bytes: u64,
    /// What it is for, in words.
    pub holds: &'static str,
}

/// A port that must be free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortNeed {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Port.
    pub port: u16,
    /// Who will listen there, in words.
    pub listener: &'static str,
}

/// Transport protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// `tcp` or `udp`, as facts have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl Requirements {
    /// What this bundle needs on this site.
    #[must_use]
    pub fn new(site: &Site, document: &BundleDocument) -> Self {
        let document = &document.for_services(&services_of(site));
        Self {
            masters: RoleNeeds {
                // kubeadm's own floor; the recommendation is that of RKE2 and kURL for a server.
                cpus: 2,
                cpus_good: 4,
                memory_bytes: 1700 << 20,
                memory_bytes_good: 8 << 30,
                disks: disk_needs(document, Role::ControlPlane),
                ports: ports(site, HostRole::ControlPlane),
            },
            workers: RoleNeeds {
                cpus: 1,
                cpus_good: 2,
                memory_bytes: 1 << 30,
                memory_bytes_good: 4 << 30,
                disks: disk_needs(document, Role::Worker),
                ports: ports(site, HostRole::Worker),
            },
            kernel: KERNEL,
            kernel_good: KERNEL_GOOD,
            systemd: SYSTEMD,
        }
    }

    /// What hosts of a role must have.
    #[must_use]
    pub fn of(&self, role: HostRole) -> &RoleNeeds {
        match role {
            HostRole::ControlPlane => &self.masters,
            HostRole::Worker => &self.workers,
        }
    }
}

/// Free space that a host of this role must have, by path. The vendor's program shows the same figures.
#[must_use]
pub fn disk_needs(document: &BundleDocument, role: Role) -> Vec<DiskNeed> {
    let files = || document.files.iter().filter(|file| file.roles.contains(&role));
    let need = |path: &str, bytes, holds| DiskNeed { path: path.to_owned(), bytes, holds };
    let mut needs = vec![
        match role {
            Role::ControlPlane => {
                need(STORE, document.host_bytes() + PROGRAM, "the whole bundle, served to the other hosts")
            }
            Role::Worker => {
                let blobs: u64 = files().map(|file| file.size).sum();
                need(STORE, blobs + PROGRAM, "the installer and the packed binaries")
            }
        },
        need(BINARIES, files().map(|file| file.plain_size).sum(), "the cluster's binaries"),
        need(CONTAINERD, image_bytes(document, role) * UNPACKED + WRITABLE, "images, packed and unpacked"),
        need(KUBELET_DIR, KUBELET, "pods' own files"),
    ];
    if role == Role::ControlPlane {
        needs.push(need(ETCD_DIR, ETCD, "the cluster's database"));
    }
    needs
}

/// Bytes of the images that hosts of this role preload; a blob that two images share counts once.
fn image_bytes(document: &BundleDocument, role: Role) -> u64 {
    let images = document.images.iter().filter(|image| image.roles.contains(&role));
    let wanted: BTreeSet<&str> = images.flat_map(|image| image.blobs.iter().map(String::as_str)).collect();
    document.blobs.iter().filter(|blob| wanted.contains(blob.digest.as_str())).map(|blob| blob.size).sum()
}

/// Ports of a host of role `to` that hosts of role `from` must reach over the network. (The others of
/// [`RoleNeeds::ports`] are for the host itself.)
#[must_use]
pub fn mesh_ports(site: &Site, from: HostRole, to: HostRole) -> Vec<PortNeed> {
    let tcp = |port, listener| PortNeed { protocol: Protocol::Tcp, port, listener };
    let mut ports = vec![
        tcp(10250, "the kubelet"),
        PortNeed { protocol: Protocol::Udp, port: VXLAN, listener: "the pod network (VXLAN)" },
    ];
    if to == HostRole::ControlPlane {
        ports.push(tcp(site.cluster.endpoint_port, "the API server"));
        ports.push(tcp(site.cluster.registry_port, "the registry"));
        if from == HostRole::ControlPlane {
            ports.push(tcp(2379, "etcd"));
            ports.push(tcp(2380, "etcd's members among themselves"));
        }
    }
    ports.sort_by_key(|need| need.port);
    ports
}

fn ports(site: &Site, role: HostRole) -> Vec<PortNeed> {
    let tcp = |port, listener| PortNeed { protocol: Protocol::Tcp, port, listener };
    let mut ports = vec![
        tcp(10248, "the kubelet's health"),
        tcp(10249, "kube-proxy's metrics"),
        tcp(10250, "the kubelet"),
        tcp(10256, "kube-proxy's health"),
        PortNeed { protocol: Protocol::Udp, port: VXLAN, listener: "the pod network (VXLAN)" },
    ];
    match role {
        HostRole::ControlPlane => ports.extend([
            tcp(site.cluster.endpoint_port, "the API server"),
            tcp(2379, "etcd"),
            tcp(2380, "etcd's members among themselves"),
            tcp(2381, "etcd's metrics"),
            tcp(10257, "the controller manager"),
            tcp(10259, "the scheduler"),
            tcp(site.cluster.registry_port, "the registry"),
        ]),
        HostRole::Worker => ports.push(tcp(site.cluster.endpoint_port, "the load balancer")),
    }
    ports.sort_by_key(|need| need.port);
    ports
}
