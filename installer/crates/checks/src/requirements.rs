//! What a host must have, by role. Figures follow from the bundle's own byte counts wherever they can, and from the
//! sizing room: its table of paths ([`sealift_sizing::system_paths`]), and, where the profile says what is needed
//! (`needs`) and the bundle what it costs, its sizes of masters and of the site's own choice of worker.

use sealift_bundle::document::{BundleDocument, Role};
use sealift_profile::{Etcd, HostRole, Site};
use sealift_sizing::masters::master_size;
use sealift_sizing::{HostBytes, Shape, SystemPath, system_paths};
use serde::{Deserialize, Serialize};

use crate::services::services_of;

/// Paths that the agent must measure for the checks.
#[must_use]
pub fn paths(etcd: &Etcd) -> Vec<&str> {
    let (data, rest) =
        ([STORE, CONTAINERD, KUBELET_DIR], [BINARIES, CNI_BINARIES, SETTINGS_DIR, TEMPORARY, LOGS]);
    data.into_iter().chain(etcd.folders()).chain(etcd.backup_folder()).chain(rest).collect()
}

/// Kernel modules that the agent must look for.
pub const MODULES: [&str; 5] = ["overlay", "br_netfilter", "nf_conntrack", "vxlan", "nf_tables"];
/// Programs that the agent must look for in root's search path.
pub const COMMANDS: [&str; 11] = [
    "ip",
    "mount",
    "umount",
    "nsenter",
    "modprobe",
    "systemd-run",
    "ethtool",
    "tc",
    "timedatectl",
    "update-ca-certificates",
    "update-ca-trust",
];
/// Kernel settings (`sysctl(8)` names) that the agent must read.
pub const SETTINGS: [&str; 24] = [
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
    "net.ipv4.conf.all.rp_filter",
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
pub(crate) const BINARIES: &str = "/usr/local/bin";
pub(crate) const CNI_BINARIES: &str = "/opt/cni/bin";
pub(crate) const SETTINGS_DIR: &str = "/etc";
pub(crate) const TEMPORARY: &str = "/tmp";
pub(crate) const LOGS: &str = "/var/log";

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
    /// One of [`paths`].
    pub path: String,
    /// Bytes without which the install is refused.
    pub bytes: u64,
    /// Bytes below which there is a warning; not less than `bytes`.
    pub advised: u64,
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
    /// What this bundle needs on this site; of disks nothing where no bundle is at hand.
    #[must_use]
    pub fn new(site: &Site, document: Option<&BundleDocument>) -> Self {
        let document = document.map(|document| document.for_services(&services_of(site)));
        let document = document.as_ref();
        let sized = document.is_some_and(|document| document.sizing.is_some()) && site.needs.is_some();
        let mut needs = Self::usual(site);
        if let Some(document) = document {
            // Where nobody else works, masters do.
            let both = [Role::ControlPlane, Role::Worker];
            let masters = if site.workers().next().is_none() { &both[..] } else { &both[..1] };
            needs.masters.disks = disk_needs(document, masters, &site.etcd);
            needs.workers.disks = disk_needs(document, &[Role::Worker], &site.etcd);
        }
        if sized {
            needs.sized_for(site);
        } else {
            let all = needs.masters.disks.iter_mut().chain(&mut needs.workers.disks);
            all.for_each(|need| need.advised = need.bytes);
        }
        needs
    }

    /// Whatever the product is.
    fn usual(site: &Site) -> Self {
        Self {
            masters: RoleNeeds {
                // kubeadm's own floor; the recommendation is that of RKE2 and kURL for a server.
                cpus: 2,
                cpus_good: 4,
                memory_bytes: 1700 << 20,
                memory_bytes_good: 8 << 30,
                disks: Vec::new(),
                ports: ports(site, HostRole::ControlPlane),
            },
            workers: RoleNeeds {
                cpus: 1,
                cpus_good: 2,
                memory_bytes: 1 << 30,
                memory_bytes_good: 4 << 30,
                disks: Vec::new(),
                ports: ports(site, HostRole::Worker),
            },
            kernel: KERNEL,
            kernel_good: KERNEL_GOOD,
            systemd: SYSTEMD,
        }
    }

    /// Masters for the number of workers there are; workers of the size that the site decided on. Whether all workers
    /// together do for the work is another question (`site.capacity`): there may be many small or few large ones.
    fn sized_for(&mut self, site: &Site) {
        let (masters, workers) = (site.masters().count() as u64, site.workers().count() as u64);
        let (least, good) = (master_size(workers, masters, false), master_size(workers, masters, true));
        self.masters.at_least(least, good);
        let decided = site.sizing.as_ref().and_then(|sizing| sizing.machine.as_ref());
        if let Some(machine) = decided {
            let good = Shape::new(machine.cpus, machine.memory_gigabytes);
            self.workers.at_least(Shape { millicores: 0, memory_bytes: 0 }, good);
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

impl RoleNeeds {
    /// Raises the limits where these sizes are larger. Of memory, what machines of such a size say of themselves will
    /// do: a sixteenth less ([`sealift_sizing::memory_as_sold`]).
    fn at_least(&mut self, least: Shape, good: Shape) {
        let cpus = |shape: Shape| u32::try_from(shape.millicores.div_ceil(1000)).unwrap_or(u32::MAX);
        self.cpus = self.cpus.max(cpus(least));
        self.cpus_good = self.cpus_good.max(cpus(good)).max(self.cpus);
        self.memory_bytes = self.memory_bytes.max(least.memory_bytes - least.memory_bytes / 16);
        self.memory_bytes_good = self.memory_bytes_good.max(good.memory_bytes).max(self.memory_bytes);
    }
}

/// Free space that a host of these roles must have, by path. The vendor's program shows [`usual_disk_needs`].
#[must_use]
pub fn disk_needs(document: &BundleDocument, roles: &[Role], etcd: &Etcd) -> Vec<DiskNeed> {
    let databases = roles.contains(&Role::ControlPlane).then_some(etcd);
    let paths = system_paths(&HostBytes::of(document, roles), databases);
    let need =
        |SystemPath { path, least, advised, holds, .. }| DiskNeed { path, bytes: least, advised, holds };
    paths.into_iter().filter(|path| path.least > 0).map(need).collect()
}

/// [`disk_needs`] of a site that chose nothing about its database.
#[must_use]
pub fn usual_disk_needs(document: &BundleDocument, roles: &[Role]) -> Vec<DiskNeed> {
    disk_needs(document, roles, &Etcd::default())
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
            if site.etcd.events.is_some() {
                ports.push(tcp(2382, "the database of events"));
                ports.push(tcp(2383, "the members of the database of events among themselves"));
            }
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
    if role == HostRole::ControlPlane && site.etcd.events.is_some() {
        ports.extend([
            tcp(2382, "the database of events"),
            tcp(2383, "the members of the database of events among themselves"),
            tcp(2384, "the metrics of the database of events"),
        ]);
    }
    ports.sort_by_key(|need| need.port);
    ports
}
