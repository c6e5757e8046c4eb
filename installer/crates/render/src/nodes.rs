//! Operating choices of nodes and controllers: what kubelet keeps, how soon a silent node counts as failed, how many
//! copies run.
//!
//! In order of use: [`kubelet_settings`] and [`reservation`] for kubelet, [`controller_manager_arguments`] and
//! [`api_server_arguments`] for the masters, [`dns_replicas`] and [`service_replicas`] for charts.

use sealift_profile::site::{HostRole, Site};
use sealift_profile::{NodeFailure, Reserved};
use sealift_sizing::node_overhead;
use serde_json::{Value, json};

use crate::{HostSettings, RenderError, hosts_of};

/// Names and values of a component's command-line arguments.
pub type Arguments = Vec<(String, String)>;

const MEBIBYTE: u64 = 1 << 20;

/// What kubelet keeps of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// Thousandths of a processor.
    pub cpu_millicores: u64,
    /// Memory, MiB.
    pub memory_mebibytes: u64,
    /// Free memory below which pods are evicted, MiB; pods do not get that either.
    pub eviction_mebibytes: u64,
}

/// The memory that a node's reservation is calculated from, bytes: whole GiB, rounded up. Kernels show somewhat less than a
/// machine was sold with, which is what sizing plans with; and one that takes some pages more at its next boot changes
/// nothing.
#[must_use]
pub fn counted_memory(memory_bytes: u64) -> u64 {
    memory_bytes.next_multiple_of(1 << 30)
}

/// What a node of this size keeps: by the formula that sizing plans with ([`node_overhead`] of [`counted_memory`]), with the
/// site's own numbers in place of it. An error where nothing is left for pods: such a kubelet would not start.
pub fn reservation(own: Reserved, settings: HostSettings) -> Result<Reservation, RenderError> {
    let formula = node_overhead(u64::from(settings.cpus) * 1000, counted_memory(settings.memory_bytes));
    let kept = Reservation {
        cpu_millicores: own.cpu_millicores.map_or(formula.cpu_millicores, u64::from),
        memory_mebibytes: own.memory_mebibytes.map_or(formula.memory_bytes.div_ceil(MEBIBYTE), u64::from),
        eviction_mebibytes: own
            .eviction_mebibytes
            .map_or(formula.eviction_bytes.div_ceil(MEBIBYTE), u64::from),
    };
    let (memory, has) = (kept.memory_mebibytes + kept.eviction_mebibytes, settings.memory_bytes / MEBIBYTE);
    if memory >= has {
        return Err(RenderError::NothingLeft {
            kept: format!("{memory} MiB"),
            of: format!("{has} MiB of memory"),
        });
    }
    if kept.cpu_millicores >= u64::from(settings.cpus) * 1000 {
        let kept = format!("{} thousandths of a processor", kept.cpu_millicores);
        return Err(RenderError::NothingLeft { kept, of: format!("{} processors", settings.cpus) });
    }
    Ok(kept)
}

/// The part of a host's `KubeletConfiguration` that keeps something of the node.
///
/// One sum in `kubeReserved`: kubelet takes it off what pods get just as `systemReserved`, and neither is enforced on the
/// system's own services (page "Reserve Compute Resources for System Daemons"). Thresholds of eviction that are not named
/// here would be none at all, so kubelet's own for disks are repeated; `pid.available` is beside the limit of each pod.
pub(crate) fn kept(reservation: Reservation) -> Value {
    let Reservation { cpu_millicores, memory_mebibytes, eviction_mebibytes } = reservation;
    json!({
        "kubeReserved": {"cpu": format!("{cpu_millicores}m"), "memory": format!("{memory_mebibytes}Mi")},
        "evictionHard": {
            "memory.available": format!("{eviction_mebibytes}Mi"),
            "nodefs.available": "10%",
            "nodefs.inodesFree": "5%",
            "imagefs.available": "15%",
            "imagefs.inodesFree": "5%",
            "pid.available": "10%",
        },
    })
}

/// The part of every `KubeletConfiguration` that follows from operating choices.
pub(crate) fn kubelet_settings(site: &Site) -> Value {
    let mut settings = json!({
        "podPidsLimit": site.nodes.pod_pids_limit,
        // The default, and said all the same: where swap comes back after a boot, kubelet must not start.
        "failSwapOn": true,
    });
    if let Some(preset) = preset(site.nodes.failure) {
        settings["nodeStatusUpdateFrequency"] = json!(preset.status_update);
    }
    settings
}

/// What a preset sets; never one of them alone.
struct Preset {
    /// kubelet's `nodeStatusUpdateFrequency`.
    status_update: &'static str,
    /// Controller manager: how often it looks.
    monitor_period: &'static str,
    /// Controller manager: silent for so long is failed.
    grace_period: &'static str,
    /// API server: seconds that pods tolerate a failed node, where they say nothing themselves.
    toleration_seconds: u32,
}

/// Sources: kubespray, "Kubernetes reliability" (fast: its "fast update and fast reaction"; tolerant: heartbeat and grace
/// of its "medium update and average reaction"), and for tolerant the five minutes that Kubernetes lets pods wait by
/// default. `OpenShift`'s worker latency profiles have the same numbers for the latter. None: Kubernetes' own 10 s, 5 s,
/// 50 s and 300 s.
fn preset(failure: NodeFailure) -> Option<Preset> {
    match failure {
        NodeFailure::Default => None,
        NodeFailure::Fast => Some(Preset {
            status_update: "4s",
            monitor_period: "2s",
            grace_period: "20s",
            toleration_seconds: 30,
        }),
        NodeFailure::Tolerant => Some(Preset {
            status_update: "20s",
            monitor_period: "5s",
            grace_period: "2m0s",
            toleration_seconds: 300,
        }),
    }
}

/// Arguments of kube-controller-manager: the preset for silent nodes, and the eviction brake.
#[must_use]
pub fn controller_manager_arguments(site: &Site) -> Arguments {
    let mut arguments = Vec::new();
    let mut add = |name: &str, value: String| arguments.push((name.to_owned(), value));
    if let Some(preset) = preset(site.nodes.failure) {
        add("node-monitor-period", preset.monitor_period.to_owned());
        add("node-monitor-grace-period", preset.grace_period.to_owned());
    }
    if let Some(brake) = &site.nodes.eviction_brake {
        add("unhealthy-zone-threshold", brake.unhealthy_zone_threshold.to_string());
        add("large-cluster-size-threshold", brake.large_cluster_size_threshold.to_string());
        add("node-eviction-rate", brake.node_eviction_rate.to_string());
        add("secondary-node-eviction-rate", brake.secondary_node_eviction_rate.to_string());
    }
    arguments
}

/// Arguments of kube-apiserver: how long pods stay on a failed node.
#[must_use]
pub fn api_server_arguments(site: &Site) -> Arguments {
    let Some(preset) = preset(site.nodes.failure) else { return Vec::new() };
    let names = ["default-not-ready-toleration-seconds", "default-unreachable-toleration-seconds"];
    names.map(|name| (name.to_owned(), preset.toleration_seconds.to_string())).into()
}

/// Cores and nodes for which one DNS server does: the numbers of the linear rule in Kubernetes' page "Autoscale the DNS
/// Service in a Cluster".
const CORES_PER_DNS: u64 = 256;
const NODES_PER_DNS: u64 = 16;

/// DNS servers of the whole cluster. Each master runs one and no host runs two.
///
/// By Kubernetes' linear rule, with its guard against a single point of failure: two at least where there are two hosts.
/// `cores` are the processors of all hosts.
#[must_use]
pub fn dns_replicas(site: &Site, cores: u64) -> u64 {
    let count = |role| hosts_of(site, role).count() as u64;
    let (masters, workers) = (count(HostRole::ControlPlane), count(HostRole::Worker));
    let hosts = masters + workers;
    let by_rule = cores.div_ceil(CORES_PER_DNS).max(hosts.div_ceil(NODES_PER_DNS)).max(2);
    site.replicas.dns.map_or(by_rule, u64::from).clamp(masters, hosts)
}

/// Copies of a stateless service: 1 on a single host that the product may run on, 2 on up to four, 3 from five on.
#[must_use]
pub fn service_replicas(site: &Site) -> u64 {
    let workers = match hosts_of(site, HostRole::Worker).count() {
        0 => hosts_of(site, HostRole::ControlPlane).count(),
        count => count,
    };
    let by_rule = match workers {
        0 | 1 => 1,
        2..=4 => 2,
        _ => 3,
    };
    site.replicas.services.map_or(by_rule, u64::from)
}
