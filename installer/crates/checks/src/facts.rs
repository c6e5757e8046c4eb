//! What the agent measured on one host. Plain data: no judgement, no I/O.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

mod details;
mod services;

pub use details::{
    Attempt, BootSetting, Cpu, Details, Drops, Firewall, HardwareClock, HostsLine, Machine, Memory,
    Privileges, Proxy, Security, Setting, WriteTimes,
};
pub use services::{ServiceAttempt, ServiceStage, ServiceTrouble};

/// Everything that checks, rendering and planning may know about one host.
///
/// Sizes are bytes, times are milliseconds since the Unix epoch. A list that could not be read is empty and
/// named in [`Facts::unreadable`], so that a check can say "error" where it must not say "pass".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// `/proc/sys/kernel/hostname`.
    pub hostname: String,
    /// `/etc/machine-id`, empty where there is none.
    pub machine_id: String,
    /// DMI product UUID, empty where the host has none (containers).
    pub product_uuid: String,
    /// `/proc/sys/kernel/random/boot_id`: changes at every boot.
    pub boot_id: String,
    /// From `os-release`.
    pub os: Os,
    /// `uname -r`.
    pub kernel: String,
    /// `uname -m`, e.g. `x86_64`.
    pub architecture: String,
    /// Logical processors usable by this host.
    pub cpus: u32,
    /// `MemTotal`, bytes.
    pub memory_bytes: u64,
    /// Active swap areas.
    pub swap: Vec<Swap>,
    /// Which cgroup hierarchy is mounted.
    pub cgroup: CgroupVersion,
    /// Whether the agent (as root) holds `CAP_SYS_RESOURCE`.
    pub cap_sys_resource: bool,
    /// Whether `net.netfilter.nf_conntrack_max` can be written.
    pub conntrack_writable: bool,
    /// One entry for each path asked about, on the nearest existing ancestor.
    pub disks: Vec<PathDisk>,
    /// Listening TCP and UDP sockets.
    pub listeners: Vec<Listener>,
    /// The host's wall clock at the time of the probe, and whether something keeps it in time.
    pub clock: Clock,
    /// Network interfaces with their addresses.
    pub interfaces: Vec<Interface>,
    /// IPv4 and IPv6 main-table routes.
    pub routes: Vec<Route>,
    /// `nameserver` lines of `/etc/resolv.conf`.
    pub nameservers: Vec<String>,
    /// The kernel modules asked about.
    pub modules: Vec<Module>,
    /// Traces of other clusters.
    pub leftovers: Vec<Leftover>,
    /// The claim of an earlier run of ours on this host (`/var/lib/sealift/host.json`).
    pub claim: Option<Claim>,
    /// The service manager: `systemctl --version`'s number, 0 where systemd is not running.
    pub systemd: u32,
    /// What could not be read, with the reason: `SOURCE: reason`, the source being a file, a program or the fact's
    /// own name in this JSON. [`Facts::why_unreadable`] knows which fact comes from where.
    pub unreadable: Vec<String>,
    /// The finer facts; checks that need them say *error* where a host did not give them.
    #[serde(default)]
    pub details: Option<Details>,
    /// How fast etcd's disk is; measured only when asked for, since it makes load.
    #[serde(default)]
    pub etcd_writes: Option<WriteTimes>,
    /// Tries to reach the other hosts' ports from here; made only when asked for, since ports are opened for it.
    #[serde(default)]
    pub attempts: Option<Vec<Attempt>>,
    /// Tries to use the services that the site runs itself; made only where the profile names some.
    #[serde(default)]
    pub services: Option<Vec<ServiceAttempt>>,
}

impl Facts {
    /// The architecture as images and bundles name it (Go's `GOARCH`), e.g. `amd64` for `x86_64`.
    #[must_use]
    pub fn image_architecture(&self) -> &str {
        match self.architecture.as_str() {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        }
    }

    /// Whether what was built for `platform` runs here; a platform may carry a variant: `linux/arm64/v8`.
    #[must_use]
    pub fn runs(&self, platform: &str) -> bool {
        let mut parts = platform.split('/');
        parts.next() == Some("linux") && parts.next() == Some(self.image_architecture())
    }

    /// The values of these kernel settings; one that the kernel does not have (yet: some come with a module) is missing.
    #[must_use]
    pub fn settings(&self, names: &[&str]) -> BTreeMap<String, String> {
        let known = self.details.iter().flat_map(|details| &details.settings);
        known
            .filter(|(name, _)| names.contains(&name.as_str()))
            .map(|(name, setting)| (name.clone(), setting.value.clone()))
            .collect()
    }

    /// Why a fact could not be read; `None` where it was. `fact` is its name in JSON, e.g. `machineId`.
    #[must_use]
    pub fn why_unreadable(&self, fact: &str) -> Option<&str> {
        let said = self.unreadable.iter().map(String::as_str).find(|entry| belongs(entry, fact));
        said.or_else(|| {
            (self.details.is_none() && DETAILS.contains(&fact)).then_some("the host said nothing about it")
        })
    }

    /// What could not be read and belongs to no fact that is known here.
    pub fn unreadable_for_unknown_reasons(&self) -> impl Iterator<Item = &str> {
        let known = |entry: &str| SOURCES.iter().any(|(fact, _)| belongs(entry, fact));
        self.unreadable.iter().map(String::as_str).filter(move |entry| !known(entry))
    }

    /// The file system behind one of the paths that were asked about.
    #[must_use]
    pub fn disk(&self, path: &str) -> Option<&PathDisk> {
        self.disks.iter().find(|disk| disk.path == path)
    }

    /// The interface that has this address.
    #[must_use]
    pub fn interface_of(&self, address: IpAddr) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.addresses.iter().any(|net| net.addr() == address))
    }
}

/// Where the agent reads each fact: what an entry of [`Facts::unreadable`] about it has in it.
const SOURCES: [(&str, &[&str]); 43] = [
    ("hostname", &["/proc/sys/kernel/hostname"]),
    ("machineId", &["/etc/machine-id"]),
    ("productUuid", &["product_uuid"]),
    ("bootId", &["/proc/sys/kernel/random/boot_id"]),
    ("os", &["os-release"]),
    ("kernel", &["uname"]),
    ("architecture", &["uname"]),
    ("cpus", &["/proc/cpuinfo", "/sys/devices/system/cpu"]),
    ("memoryBytes", &["/proc/meminfo"]),
    ("swap", &["/proc/swaps"]),
    ("cgroup", &["/sys/fs/cgroup"]),
    ("capSysResource", &["/proc/self/status"]),
    ("conntrackWritable", &["nf_conntrack_max"]),
    (
        "disks",
        &[
            "/proc/self/mountinfo",
            "/var/lib/sealift: ",
            "/var/lib/containerd: ",
            "/var/lib/kubelet: ",
            // As an older agent has it; now these say `disks` themselves.
            "/var/lib/etcd: ",
            "/usr/local/bin: ",
            "/opt/cni/bin: ",
            "/etc: ",
            "/tmp: ",
            "/var/log: ",
        ],
    ),
    ("listeners", &["/proc/net/"]),
    ("clock", &["adjtimex"]),
    ("interfaces", &["`ip -j address", "program ip "]),
    ("routes", &["`ip -4 ", "`ip -j route", "program ip "]),
    // Of its own: a host whose kernel has no IPv6 refuses the question.
    ("routes6", &["`ip -6 "]),
    ("nameservers", &["/etc/resolv.conf"]),
    ("modules", &["/proc/modules"]),
    // One that cannot be read counts as not there: none is needed to decide whether an install can go on.
    ("leftovers", &["systemctl list-unit-files"]),
    ("claim", &["host.json"]),
    ("systemd", &["systemctl --version", "program systemctl "]),
    ("privileges", &["/proc/self/status", "/proc/self/uid_map"]),
    ("settings", &["/proc/sys: "]),
    ("bootSettings", &["sysctl.d", "sysctl.conf"]),
    ("commands", &[]),
    ("processes", &["/proc: "]),
    ("cpu", &["/proc/cpuinfo"]),
    ("controllers", &["/proc/cgroups", "cgroup.controllers"]),
    ("memory", &["/proc/meminfo"]),
    ("machine", &["/proc/self/mountinfo"]),
    ("security", &["/sys/fs/selinux", "/sys/module/apparmor"]),
    ("firewall", &["`nft ", "ufw.conf"]),
    ("hostsFile", &["/etc/hosts: "]),
    ("proxies", &["/etc/environment", "/etc/systemd/system.conf"]),
    ("zone", &["/etc/localtime"]),
    ("hardwareClock", &["/sys/class/rtc", "/etc/adjtime"]),
    ("dropIns", &[".service.d"]),
    ("etcdWrites", &[]),
    ("attempts", &[]),
    ("services", &[]),
];

/// Facts in [`Facts::details`].
const DETAILS: [&str; 16] = [
    "privileges",
    "settings",
    "bootSettings",
    "commands",
    "processes",
    "cpu",
    "controllers",
    "memory",
    "machine",
    "security",
    "firewall",
    "hostsFile",
    "proxies",
    "zone",
    "hardwareClock",
    "dropIns",
];

fn belongs(entry: &str, fact: &str) -> bool {
    let name = entry.split(':').next().unwrap_or_default();
    // Named by hand: `machine_id`, `machineId` and `machine-id` are one.
    let plain = |text: &str| text.trim().replace(['_', '-', ' '], "").to_lowercase();
    let mut sources = SOURCES.iter().filter(|(known, _)| *known == fact).flat_map(|(_, sources)| *sources);
    plain(name) == plain(fact) || sources.any(|source| entry.contains(source))
}

/// Operating system, from `/etc/os-release`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Os {
    /// `ID`.
    pub id: String,
    /// `VERSION_ID`.
    pub version: String,
    /// `PRETTY_NAME`.
    pub name: String,
}

/// An active swap area.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Swap {
    /// Device or file.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
}

/// The cgroup hierarchy the kernel offers at `/sys/fs/cgroup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CgroupVersion {
    /// Legacy or hybrid.
    V1,
    /// Unified.
    V2,
}

/// The file system behind a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PathDisk {
    /// The path that was asked about.
    pub path: String,
    /// Where its file system is mounted.
    pub mount_point: String,
    /// The device or source of the mount.
    pub device: String,
    /// File system type, e.g. `ext4`.
    pub file_system: String,
    /// Size, bytes.
    pub total_bytes: u64,
    /// Free for root's use without reserved blocks, bytes.
    pub available_bytes: u64,
    /// Files that fit in all; 0 where the file system has no such limit.
    pub total_files: u64,
    /// Files that still fit.
    pub available_files: u64,
    /// Options of the mount and of its file system, e.g. `noexec`.
    pub options: Vec<String>,
    /// Whether folders tell the kind of their entries (`ftype=1` of xfs); none where there was nothing to see.
    pub entry_kinds: Option<bool>,
    /// The first symbolic link on the way to the path, and what it leads to.
    pub link: Option<String>,
    /// Existing folders on the way that only their owner may pass.
    pub closed: Vec<String>,
    /// Existing folders on the way that everybody may write to (without the sticky bit).
    pub open: Vec<String>,
    /// Whether the disk below turns; none where the kernel does not say (no disk of its own, network).
    pub rotational: Option<bool>,
    /// Errors that the kernel has counted in this file system; none where it counts none (only ext4 does).
    pub errors: Option<u64>,
    /// Whether the mount is made at every boot (`fstab`, a mount unit); `/` always is.
    pub at_boot: bool,
}

/// A listening socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// Bound address.
    pub address: IpAddr,
    /// Bound port.
    pub port: u16,
    /// Name of the process that holds it, empty where unknown.
    pub process: String,
    /// Its systemd unit or cgroup path, empty where unknown.
    pub unit: String,
}

/// The wall clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Clock {
    /// Host time at the probe minus the seat's time at the same moment, milliseconds; filled in by the seat.
    pub skew_millis: i64,
    /// Milliseconds since the epoch, as the host sees it.
    pub unix_millis: i64,
    /// Whether the kernel says the clock is synchronised (`adjtimex` without `STA_UNSYNC`).
    pub synchronised: bool,
    /// Shortest round trip of a question to the host, milliseconds; the skew is known to half of it. Filled in by
    /// the seat.
    #[serde(default)]
    pub round_trip_millis: u64,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Interface {
    /// Kernel name.
    pub name: String,
    /// MAC address, lowercase.
    pub mac: String,
    /// MTU in bytes.
    pub mtu: u32,
    /// Whether it is up.
    pub up: bool,
    /// Addresses with their prefix.
    pub addresses: Vec<IpNet>,
    /// Speed in Mbit/s; none where the kernel does not say (virtual interfaces).
    pub speed: Option<u32>,
    /// Whether it can either send or receive at a time.
    pub half_duplex: bool,
    /// Packets since it came up, both ways.
    pub packets: u64,
    /// Packets of these that were broken.
    pub errors: u64,
    /// `rp_filter` as it counts for this interface: 0 off, 1 strict, 2 loose (`ip-sysctl`: the larger of the
    /// interface's and `all`'s).
    pub reverse_path_filter: u32,
}

/// A route of the main table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// Destination network; `0.0.0.0/0` is the default route.
    pub destination: IpNet,
    /// Next hop, if any.
    pub gateway: Option<IpAddr>,
    /// Outgoing interface.
    pub interface: String,
}

/// A kernel module and whether it can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Module {
    /// Module name, underscores.
    pub name: String,
    /// How the kernel has it.
    pub state: ModuleState,
}

/// How the kernel has a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ModuleState {
    /// In `/proc/modules` or `/sys/module`.
    Loaded,
    /// Part of the kernel image (`modules.builtin`, or seen at work).
    BuiltIn,
    /// A file that `modprobe` could load.
    Available,
    /// None of these.
    Missing,
}

/// A trace of another cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Leftover {
    /// File, folder or unit.
    pub path: String,
    /// What it is, in words: "Kubernetes configuration", "etcd data".
    pub what: String,
}

/// Our own mark on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// `metadata.name` of the site profile that this host belongs to.
    pub site: String,
    /// The host's name in that profile.
    pub host: String,
}
