//! Operating choices: what the site is for, how nodes and controllers behave, how many copies of services run.
//!
//! All have defaults, so that a small site need not know them. Words and defaults are those of Kubernetes' own settings.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::needs::{Availability, Growth, Needs};
use crate::site::{Host, Site};

/// Node label of a region, read by Kubernetes itself ("Well-Known Labels, Annotations and Taints").
pub const REGION_LABEL: &str = "topology.kubernetes.io/region";
/// Node label of a zone: volumes, spread rules and the eviction brake go by it.
pub const ZONE_LABEL: &str = "topology.kubernetes.io/zone";
/// Node label of a unit. Our own: Kubernetes has none for what is smaller than a zone.
pub const UNIT_LABEL: &str = "sealift.dev/unit";

/// What the site is for. Changes what is judged and what is assumed, and nothing on the hosts.
///
/// | | not said | `production` | `pre-release` | `test` |
/// | --- | --- | --- | --- | --- |
/// | fewer than three masters, one worker | warns | blocks, unless accepted | warns | nothing is said |
/// | slow or shared disks and links (`disk.headroom`, `disk.etcd-…`, `network.latency`) | as each says | as each says | as each says | one step lower: what blocks warns, what warns is silent |
/// | one machine may fail, where `needs.availability` is not said | yes | yes | yes | no |
/// | days that data are kept, where `needs.retentionDays` is not said | 365 | 365 | 30 | 7 |
/// | years to look ahead, where `needs.growth.years` is not said | 2 | 2 | 0 | 0 |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(
    description = "What the site is for; decides what is judged and assumed, and changes nothing on the hosts."
)]
pub enum Environment {
    /// People depend on it: three masters and two workers are asked for.
    Production,
    /// A new version is tried as it will run: judged as any site, sized without growth and for a month of data.
    PreRelease,
    /// Thrown away soon: one master and one worker will do, slow disks only warn, a week of data.
    Test,
}

/// How nodes behave, and how the controllers watch them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Nodes {
    /// Most processes and threads of one pod; one that wants more cannot start another and leaves its neighbours alone.
    ///
    /// Default as in `OpenShift` (4096); upstream has no limit. Fewer than 128 are too few for the
    /// cluster's own parts.
    #[schemars(range(min = 128, max = 4_194_304))]
    pub pod_pids_limit: u32,
    /// What each node keeps for itself; calculated from its size where nothing is said.
    #[serde(skip_serializing_if = "Reserved::is_calculated")]
    pub reserved: Reserved,
    /// How soon a silent node counts as failed and its pods start elsewhere.
    pub failure: NodeFailure,
    /// Slows down the moving of pods when many nodes of a zone fall silent at once; Kubernetes' own numbers where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eviction_brake: Option<EvictionBrake>,
    /// Whether a pod's annotations `kubernetes.io/ingress-bandwidth` and `kubernetes.io/egress-bandwidth` limit its
    /// network. Without it they are ignored, which lets such pods start where a kernel cannot limit (ifb, tbf).
    pub pod_bandwidth: bool,
}

impl Default for Nodes {
    fn default() -> Self {
        Self {
            pod_pids_limit: 4096,
            reserved: Reserved::default(),
            failure: NodeFailure::default(),
            eviction_brake: None,
            pod_bandwidth: true,
        }
    }
}

/// Numbers in place of those that sizing's formula gives for a node; each alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Reserved {
    /// Thousandths of a processor that pods do not get.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 64_000))]
    pub cpu_millicores: Option<u32>,
    /// Memory that pods do not get, MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 262_144))]
    pub memory_mebibytes: Option<u32>,
    /// Free memory below which pods are moved away, MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 50, max = 65_536))]
    pub eviction_mebibytes: Option<u32>,
}

impl Reserved {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_calculated(&self) -> bool {
        *self == Self::default()
    }
}

/// Settings of kubelet, controller manager and API server that only make sense together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NodeFailure {
    /// As Kubernetes has it: silent for 50 seconds is failed, pods move 5 minutes later.
    #[default]
    Default,
    /// Silent for 20 seconds is failed, pods move 30 seconds later: for steady networks; costs the masters more work.
    Fast,
    /// Silent for 2 minutes is failed, pods move 5 minutes later: for links that break for a minute and come back.
    Tolerant,
}

/// When the controller manager moves pods slower, or not at all: a zone that fell silent as a whole is more often a cut
/// network than so many dead machines.
///
/// Names and defaults are those of kube-controller-manager's flags. It brakes where at least three nodes of a zone are
/// silent; zones are those of `placement`, all hosts without one make one zone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(
    description = "When the controller manager moves pods slower, or not at all: many silent nodes are more often a cut network than dead machines."
)]
pub struct EvictionBrake {
    /// Share of silent nodes from which on a zone counts as cut off, above 0 to 1.
    #[schemars(range(min = 0.01, max = 1.0))]
    pub unhealthy_zone_threshold: f64,
    /// A cut-off zone with more nodes than this goes on slowly; a smaller one stops.
    #[schemars(range(min = 0, max = 5000))]
    pub large_cluster_size_threshold: u32,
    /// Nodes a second whose pods are moved while a zone is well, above 0 to 10.
    #[schemars(range(min = 0.001, max = 10.0))]
    pub node_eviction_rate: f64,
    /// Nodes a second in a large zone that is cut off, 0 to 10.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub secondary_node_eviction_rate: f64,
}

impl Default for EvictionBrake {
    fn default() -> Self {
        Self {
            unhealthy_zone_threshold: 0.55,
            large_cluster_size_threshold: 50,
            node_eviction_rate: 0.1,
            secondary_node_eviction_rate: 0.01,
        }
    }
}

/// Where a host stands; becomes labels of its node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Placement {
    /// City, campus or data centre.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// What fails together: a hall, a fire section, a power supply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Smaller than a zone: a rack, a chassis, a machine that carries virtual ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

impl Placement {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    /// Key in the profile, node label and value of what is said.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (&'static str, &'static str, &str)> {
        let parts = [
            ("region", REGION_LABEL, &self.region),
            ("zone", ZONE_LABEL, &self.zone),
            ("unit", UNIT_LABEL, &self.unit),
        ];
        parts.into_iter().filter_map(|(key, label, value)| Some((key, label, value.as_deref()?)))
    }

    /// The node's labels.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        self.parts().map(|(_, label, value)| (label.to_owned(), value.to_owned())).collect()
    }
}

/// How many copies run, where the site decides that itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Replicas {
    /// DNS servers of the cluster. Each master runs one; more run on workers. Calculated from the number of hosts and
    /// processors where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 500))]
    pub dns: Option<u32>,
    /// Copies of the product's services that keep no data. Calculated from the number of workers where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 500))]
    pub services: Option<u32>,
}

impl Replicas {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_calculated(&self) -> bool {
        *self == Self::default()
    }
}

impl Host {
    /// The zone that the host stands in, however the profile says it.
    #[must_use]
    pub fn zone(&self) -> Option<&str> {
        self.placement.zone.as_deref().or_else(|| self.labels.get(ZONE_LABEL).map(String::as_str))
    }

    /// All labels of the host's node that the profile decides.
    #[must_use]
    pub fn node_labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        labels.extend(self.placement.labels());
        labels
    }
}

impl Site {
    /// The needs, with what the environment says where they say nothing. What both leave open, sizing assumes.
    #[must_use]
    pub fn planned_needs(&self) -> Needs {
        let mut needs = self.needs.clone().unwrap_or_default();
        let days = match self.environment {
            None | Some(Environment::Production) => return needs,
            Some(Environment::PreRelease) => 30,
            Some(Environment::Test) => 7,
        };
        needs.retention_days = needs.retention_days.or(Some(days));
        let growth = needs.growth.unwrap_or_default();
        needs.growth = Some(Growth { years: growth.years.or(Some(0)), ..growth });
        if self.environment == Some(Environment::Test) {
            needs.availability = needs.availability.or(Some(Availability::NoSpare));
        }
        needs
    }
}
