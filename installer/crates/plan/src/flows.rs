//! Who listens where, and who connects: one table for the change list, the ports of a check and the firewall ticket.
//!
//! Port numbers: Kubernetes' page "Ports and Protocols" for the control plane and the kubelet, etcd's and kube-proxy's
//! own defaults, flannel's VXLAN backend. The registry and the endpoint have the ports that the profile names.

use sealift_checks::Protocol;
use sealift_profile::site::Cluster;
use sealift_profile::{Etcd, HostRole};
use sealift_render::events;

/// A part of the cluster that listens on hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// kubelet, kube-proxy and the pod network: on every host.
    Node,
    /// etcd, on masters.
    Etcd,
    /// The database of events, on masters, where there is one.
    Events,
    /// API server, controller manager, scheduler, on masters.
    ControlPlane,
    /// The registry over a master's store.
    Registry,
    /// A worker's way to the API servers.
    Balancer,
}

/// Who connects to a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Programs on the host itself, alone.
    Itself,
    /// The masters.
    Masters,
    /// Every host of the site.
    Hosts,
    /// People who use the product.
    Users,
}

impl Peer {
    /// For people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Itself => "this host alone",
            Self::Masters => "the masters",
            Self::Hosts => "all hosts of the site",
            Self::Users => "the product's users",
        }
    }
}

/// A port that a part listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listening {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Port.
    pub port: u16,
    /// Who listens, in words.
    pub listener: &'static str,
    /// Who connects.
    pub from: Peer,
    /// What for, in words.
    pub purpose: &'static str,
}

/// The parts on a host of this role.
#[must_use]
pub fn parts_of(role: HostRole, etcd: &Etcd) -> Vec<Part> {
    let events = etcd.events.is_some().then_some(Part::Events);
    match role {
        HostRole::ControlPlane => {
            let databases = [Part::Node, Part::Etcd].into_iter().chain(events);
            databases.chain([Part::ControlPlane, Part::Registry]).collect()
        }
        HostRole::Worker => vec![Part::Node, Part::Balancer],
    }
}

/// What a part listens on.
#[must_use]
pub fn listening(part: Part, cluster: &Cluster) -> Vec<Listening> {
    let tcp =
        |port, listener, from, purpose| Listening { protocol: Protocol::Tcp, port, listener, from, purpose };
    let itself = |port, listener| tcp(port, listener, Peer::Itself, "health and metrics");
    match part {
        Part::Node => vec![
            Listening {
                protocol: Protocol::Udp,
                port: 8472,
                listener: "the pod network (VXLAN)",
                from: Peer::Hosts,
                purpose: "pods of one host reach pods of another",
            },
            itself(10248, "the kubelet's health"),
            itself(10249, "kube-proxy's metrics"),
            tcp(10250, "the kubelet", Peer::Hosts, "masters start and watch containers, metrics are read"),
            itself(10256, "kube-proxy's health"),
        ],
        Part::Etcd => vec![
            tcp(2379, "etcd", Peer::Masters, "API servers read and write the cluster's database"),
            tcp(
                2380,
                "etcd's members among themselves",
                Peer::Masters,
                "the database is kept on every master",
            ),
            itself(2381, "etcd's metrics"),
        ],
        Part::Events => vec![
            tcp(
                events::CLIENT_PORT,
                "the database of events",
                Peer::Masters,
                "each master asks whether all members are well",
            ),
            tcp(
                events::PEER_PORT,
                "the members of the database of events among themselves",
                Peer::Masters,
                "the database is kept on every master",
            ),
            itself(events::METRICS_PORT, "the metrics of the database of events"),
        ],
        Part::ControlPlane => vec![
            tcp(cluster.endpoint_port, "the API server", Peer::Hosts, "hosts and pods ask what to run"),
            itself(10257, "the controller manager"),
            itself(10259, "the scheduler"),
        ],
        Part::Registry => {
            vec![tcp(cluster.registry_port, "the registry", Peer::Hosts, "hosts fetch images and programs")]
        }
        Part::Balancer => vec![itself(cluster.endpoint_port, "the load balancer")],
    }
}

/// Ports that Kubernetes gives to Services of type `NodePort` (kube-apiserver's default range).
pub const NODE_PORTS: std::ops::RangeInclusive<u16> = 30_000..=32_767;

/// The node ports that a release's values name: every number below a key `nodePort` or `nodePorts` in that range.
#[must_use]
pub fn node_ports(values: &serde_json::Value) -> Vec<u16> {
    let mut ports = Vec::new();
    collect(values, false, &mut ports);
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn collect(value: &serde_json::Value, named: bool, ports: &mut Vec<u16>) {
    use serde_json::Value;
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                collect(value, named || matches!(key.as_str(), "nodePort" | "nodePorts"), ports);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, named, ports)),
        _ if named => {
            let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
            ports.extend(number.and_then(|port| u16::try_from(port).ok()).filter(|p| NODE_PORTS.contains(p)));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use sealift_bundle::testing::sample_document;
    use sealift_checks::Requirements;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_listens_is_what_the_ports_check_looks_for() {
        let site: sealift_profile::Site = serde_json::from_value(json!({
            "apiVersion": "sealift/v1", "kind": "Site", "metadata": {"name": "plant"},
            "access": {"user": "ops"}, "hosts": [], "cluster": {"endpointPort": 7443, "registryPort": 7000},
            "etcd": {"events": {}},
        }))
        .unwrap();
        let plain = sealift_profile::Site { etcd: Etcd::default(), ..site.clone() };
        let cases = [&plain, &site].map(|site| [(site, HostRole::ControlPlane), (site, HostRole::Worker)]);
        for (site, role) in cases.concat() {
            let needs = Requirements::new(site, Some(&sample_document()));
            let table = parts_of(role, &site.etcd);
            let table = table.iter().flat_map(|part| listening(*part, &site.cluster));
            let mut table: Vec<_> = table.map(|one| (one.port, one.protocol.name(), one.listener)).collect();
            table.sort_unstable();
            let checked = needs.of(role).ports.iter();
            let mut checked: Vec<_> =
                checked.map(|one| (one.port, one.protocol.name(), one.listener)).collect();
            checked.sort_unstable();
            assert_eq!(table, checked, "{role:?}");
        }
    }

    #[test]
    fn node_ports_are_found_by_their_name_and_range() {
        let values = json!({
            "web": {"nodePort": 30080, "port": 30081}, "more": {"nodePorts": {"https": "30443", "off": 0}},
        });
        assert_eq!(node_ports(&values), [30080, 30443]);
        assert!(node_ports(&json!({"nodePort": 80})).is_empty());
    }
}
