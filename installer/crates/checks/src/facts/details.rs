//! The finer facts of one host: what breaks an install on one site in twenty. Plain data, as in the page above.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::requirements::Protocol;

/// What the agent measured beyond the outline.
///
/// The agent bounds every list (a few hundred entries) and every text (a few hundred characters): a host that says
/// more than that is cut short, not believed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// What the agent may do.
    pub privileges: Privileges,
    /// Kernel settings asked about, by their name with dots; a setting that this kernel lacks is not in the map.
    pub settings: BTreeMap<String, Setting>,
    /// What files of others say about these settings at every boot (`sysctl.d(5)`), in the order they are applied.
    pub boot_settings: Vec<BootSetting>,
    /// Programs asked about, and whether they are in root's search path.
    pub commands: BTreeMap<String, bool>,
    /// Names of running processes (`/proc/PID/comm`, at most 15 characters each).
    pub processes: BTreeSet<String>,
    /// The first processor.
    pub cpu: Cpu,
    /// Control group controllers that the kernel offers, e.g. `memory`.
    pub controllers: BTreeSet<String>,
    /// Memory beyond its size.
    pub memory: Memory,
    /// What the machine or container gives.
    pub machine: Machine,
    /// Mandatory access control.
    pub security: Security,
    /// Packet filters of others.
    pub firewall: Firewall,
    /// Lines of `/etc/hosts`, those that a run of ours wrote included.
    pub hosts_file: Vec<HostsLine>,
    /// Where a proxy is set for services or for everybody.
    pub proxies: Vec<Proxy>,
    /// The time zone, e.g. `Asia/Shanghai`; `UTC` where none is set.
    pub zone: String,
    /// The clock that runs while the machine is off.
    pub hardware_clock: HardwareClock,
    /// Drop-ins of others for the units that we write, e.g. `/etc/systemd/system/kubelet.service.d/10-kubeadm.conf`.
    pub drop_ins: Vec<String>,
}

/// What the agent may do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Privileges {
    /// Effective user, 0 for root.
    pub user: u32,
    /// Effective capabilities as the kernel's bit mask (`CapEff`).
    pub capabilities: u64,
    /// Whether the agent's root is that of the machine, not of a user namespace (`/proc/self/uid_map`).
    pub whole_machine: bool,
}

impl Privileges {
    /// Whether the capability of this number (`capabilities(7)`) is there.
    #[must_use]
    pub fn has(&self, capability: u32) -> bool {
        self.capabilities.checked_shr(capability).is_some_and(|bits| bits & 1 == 1)
    }
}

/// A kernel setting.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Setting {
    /// As the kernel prints it, white space squeezed.
    pub value: String,
    /// Whether root can open it for writing.
    pub writable: bool,
}

/// A line of a file that is applied at boot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BootSetting {
    /// The file.
    pub file: String,
    /// The setting, with dots.
    pub name: String,
    /// The value.
    pub value: String,
}

/// A processor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cpu {
    /// `model name`, empty where the kernel says none.
    pub model: String,
    /// `flags` of x86, `Features` of ARM.
    pub flags: BTreeSet<String>,
}

/// Memory beyond its size.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// `MemAvailable`, bytes.
    pub available_bytes: u64,
    /// Put aside as huge pages, which nothing else can use, bytes.
    pub huge_pages_bytes: u64,
}

/// What the machine or container gives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
// Answers to questions that have nothing to do with each other.
#[allow(clippy::struct_excessive_bools)]
pub struct Machine {
    /// Whether the host is a container, by its own account.
    pub container: bool,
    /// Whether `/dev/kmsg` is there.
    pub kernel_log: bool,
    /// Whether mounts below `/` are passed on (`shared` in `mountinfo`).
    pub shared_mounts: bool,
    /// Options of the mount at `/proc`, those of the file system included.
    pub proc_options: Vec<String>,
    /// Whether the distribution says that the host must be restarted.
    pub restart_pending: bool,
    /// Permission bits of `/tmp`.
    pub temporary_mode: u32,
}

/// Mandatory access control.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Security {
    /// Whether `SELinux` refuses (`enforce` is 1).
    pub selinux_enforcing: bool,
    /// Whether the kernel has `AppArmor` on.
    pub apparmor: bool,
    /// Whether the loader for `AppArmor`'s profiles is there.
    pub apparmor_parser: bool,
}

/// Packet filters of others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Firewall {
    /// Whether ufw is switched on (`/etc/ufw/ufw.conf`).
    pub ufw: bool,
    /// Chains that drop what no rule lets through.
    pub drops: Vec<Drops>,
}

/// A base chain with the policy *drop*.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drops {
    /// Where it stands: `input`, `forward`, `output` …
    pub hook: String,
    /// `FAMILY TABLE CHAIN`.
    pub chain: String,
}

/// A line of `/etc/hosts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostsLine {
    /// Address.
    pub address: IpAddr,
    /// Names, lowercase.
    pub names: Vec<String>,
}

/// A proxy for everybody. Its address is not kept: it may hold a password.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proxy {
    /// The file that sets it.
    pub file: String,
    /// The variable, lowercase: `http_proxy`, `https_proxy`, `all_proxy`.
    pub variable: String,
    /// What the same file lets go directly (`no_proxy`).
    pub direct: Vec<String>,
}

/// The clock that runs while the machine is off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HardwareClock {
    /// Whether it is said to show local time (`LOCAL` in `/etc/adjtime`).
    pub local: bool,
    /// Hardware clock minus system clock, seconds; none where there is no such clock (containers, some machines).
    pub offset_seconds: Option<i64>,
}

/// How fast small writes reach the disk, each waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteTimes {
    /// Where it was measured.
    pub path: String,
    /// Median over the runs of each run's 99th percentile, microseconds.
    pub p99_micros: u64,
    /// Each run's 99th percentile, microseconds, in the order of the runs.
    pub runs: Vec<u64>,
    /// Writes in all runs together.
    pub writes: u64,
}

/// One try to reach a port of another host, from this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The other host's name in the profile.
    pub host: String,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The port there.
    pub port: u16,
    /// Time to there and back, microseconds; none where it was not reached.
    pub micros: Option<u64>,
    /// Why it was not reached, in words; empty where it was.
    pub problem: String,
}
