//! Addresses, routes and packet sizes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Check, HostInput, Peer, PeerVerdicts, Scope, Severity, Verdict};
use crate::facts::{Facts, Route};
use crate::finding::{Group, State};
use crate::text::list;

/// Smallest packet size that IPv6 and the pod network's own headers leave room in, bytes.
const MTU: u32 = 1280;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "network.address",
        title: "Address",
        why: "the host announces this address to the cluster, and the others reach it there.",
        group: Group::Network,
        severity: Severity::Stop,
        beyond: None,
        deep: false,
        fixable: false,
        facts: &["interfaces"],
        scope: Scope::Host(address),
    },
    Check::on_host(
        (Group::Network, Severity::Block),
        "network.default-route",
        "Route to Services",
        "the kernel must have some route for a Service's address, or it refuses the packet before the cluster's rules can turn it to a pod.",
        &["routes"],
        service_route,
    ),
    Check {
        id: "network.cidr-overlap",
        title: "Networks of the cluster",
        why: "what has an address in one of the cluster's networks cannot be reached from it any more.",
        group: Group::Network,
        severity: Severity::Block,
        beyond: None,
        deep: false,
        fixable: false,
        facts: &["interfaces", "routes"],
        scope: Scope::Host(overlap),
    },
    Check {
        id: "network.mtu",
        title: "Packet size",
        why: "packets that are too large for a part of the way vanish without a word, and only large answers get stuck.",
        group: Group::Network,
        severity: Severity::Block,
        beyond: None,
        deep: false,
        fixable: false,
        facts: &["interfaces"],
        scope: Scope::Peers(mtu),
    },
    Check {
        id: "dns.nameservers",
        title: "Name servers",
        why: "pods resolve names outside the cluster through the name servers of the profile, not through the host's.",
        group: Group::Network,
        severity: Severity::Advice,
        beyond: None,
        deep: false,
        fixable: false,
        facts: &["nameservers"],
        scope: Scope::Host(nameservers),
    },
];

fn address(input: &HostInput<'_>) -> Verdict {
    let address = input.host.address;
    let limit = format!("{address} on an interface that is up");
    let all: Vec<String> = input
        .facts
        .interfaces
        .iter()
        .flat_map(|interface| interface.addresses.iter().map(ipnet::IpNet::addr))
        .filter(|address| !address.is_loopback())
        .map(|address| address.to_string())
        .collect();
    let verdict = match input.facts.interface_of(address) {
        Some(interface) if interface.up => Verdict::pass(format!("{address} on {}", interface.name)),
        Some(interface) => Verdict::fail(
            format!("{address} is on {}, which is down", interface.name),
            format!("bring it up: ip link set {} up, and see that it comes up at boot", interface.name),
        ),
        None => Verdict::fail(
            format!("the host has {}", if all.is_empty() { "no address".to_owned() } else { list(&all) }),
            "write one of these in the profile: behind address translation, the address inside counts",
        ),
    };
    verdict.limit(limit)
}

/// A closed site may have no gateway, and kubeadm gets every address told, so no default route is needed for it. But
/// what runs in the host's own network (flannel, kube-proxy's clients) asks Services by their address, and the kernel
/// looks for a route before it looks at the rules. Any route will do, wherever it leads.
fn service_route(input: &HostInput<'_>) -> Verdict {
    let service = input.site.cluster.service_cidr;
    let fitting = input.facts.routes.iter().filter(|route| route.destination.contains(&service));
    match fitting.max_by_key(|route| route.destination.prefix_len()) {
        Some(route) => Verdict::pass(match route.gateway {
            Some(gateway) => format!("{} by {gateway} on {}", route.destination, route.interface),
            None => format!("{} on {}", route.destination, route.interface),
        }),
        None => Verdict::fail(
            format!("no route leads to {service}, and there is no default route"),
            format!(
                "add one, for good; it need lead nowhere: ip route add {service} dev {}",
                input
                    .facts
                    .interface_of(input.host.address)
                    .map_or("the host's interface", |found| &found.name)
            ),
        )
        .limit(format!("a default route, or one for {service}")),
    }
}

/// Interfaces that the cluster itself makes.
pub(super) fn of_the_cluster(interface: &str) -> bool {
    ["cni", "flannel", "veth", "kube-", "nodelocaldns"].iter().any(|prefix| interface.starts_with(prefix))
}

fn overlap(input: &HostInput<'_>) -> Verdict {
    let cluster = &input.site.cluster;
    let ours = input.ours();
    let foreign = |interface: &str| !(ours && of_the_cluster(interface));
    let attached =
        input.facts.interfaces.iter().filter(|interface| foreign(&interface.name)).flat_map(|interface| {
            interface
                .addresses
                .iter()
                .map(|net| (net.trunc(), format!("the network {} of {}", net.trunc(), interface.name)))
        });
    // A route for exactly the Service network without a gateway is what network.default-route asks for.
    let asked_for = |route: &&Route| route.destination == cluster.service_cidr && route.gateway.is_none();
    let of_others = input.facts.routes.iter().filter(|route| foreign(&route.interface));
    let routed = of_others.filter(|route| !asked_for(route)).map(|route| {
        (
            route.destination.trunc(),
            format!("the route to {} by {}", route.destination.trunc(), route.interface),
        )
    });
    let others: BTreeMap<IpNet, String> =
        routed.chain(attached).filter(|(net, _)| net.prefix_len() > 0).collect();
    let networks = [("podCidr", cluster.pod_cidr), ("serviceCidr", cluster.service_cidr)];
    let mut inside = Vec::new();
    let mut around = Vec::new();
    for (key, network) in networks {
        for (other, what) in &others {
            if network.contains(other) {
                inside.push(format!("{key} {network} takes in {what}"));
            } else if other.contains(&network) {
                around.push(format!("{key} {network} lies in {what}"));
            }
        }
    }
    let limit = format!("no route or address in {} or {}", cluster.pod_cidr, cluster.service_cidr);
    if !inside.is_empty() {
        inside.append(&mut around);
        let remedy = "choose networks in the profile (cluster.podCidr, cluster.serviceCidr) that nothing on the site uses";
        Verdict::fail(inside.join("; "), remedy).limit(limit)
    } else if !around.is_empty() {
        let remedy = "ask the owner of the network that nothing there has such an address, or choose other networks in the profile";
        Verdict::warn(around.join("; "), remedy).limit(limit)
    } else {
        Verdict::pass("none").limit(limit)
    }
}

fn mtu<'a>(peers: &[Peer<'a>]) -> PeerVerdicts<'a> {
    let size = |facts: &Facts, address: IpAddr| {
        facts.interface_of(address).map(|interface| (interface.mtu, interface.name.clone()))
    };
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for (mtu, _) in peers.iter().filter_map(|peer| size(peer.facts, peer.host.address)) {
        *counts.entry(mtu).or_default() += 1;
    }
    let usual = counts.into_iter().max_by_key(|(_, count)| *count).map(|(mtu, _)| mtu);
    let judge = |peer: &Peer<'a>| {
        let Some((mtu, name)) = size(peer.facts, peer.host.address) else {
            return Verdict {
                state: State::NotRun,
                ..Verdict::pass(format!("no interface has {}: see network.address", peer.host.address))
            };
        };
        let limit = format!("{MTU} bytes or more, the same on all hosts");
        let measured = format!("{mtu} bytes on {name}");
        if mtu < MTU {
            Verdict::fail(
                measured,
                format!("set it to what the whole network carries, usually 1500: ip link set {name} mtu 1500, and so at every boot"),
            )
            .limit(limit)
        } else if Some(mtu) != usual {
            let usual = usual.unwrap_or_default();
            Verdict::warn(
                format!("{measured}, {usual} bytes on most others"),
                "set all hosts to the size that the whole network carries",
            )
            .limit(limit)
        } else {
            Verdict::pass(measured).limit(limit)
        }
    };
    peers.iter().map(|peer| (Some(peer.host), judge(peer))).collect()
}

fn nameservers(input: &HostInput<'_>) -> Verdict {
    let profile: Vec<String> = input.site.cluster.nameservers.iter().map(IpAddr::to_string).collect();
    // A resolver on the host itself (127.0.0.53) is nothing that pods could ask.
    let hosts: Vec<&str> = input
        .facts
        .nameservers
        .iter()
        .map(String::as_str)
        .filter(|server| server.parse::<IpAddr>().is_ok_and(|address| !address.is_loopback()))
        .collect();
    match (profile.is_empty(), hosts.is_empty()) {
        (true, true) => Verdict::pass("none: names outside the cluster do not exist here"),
        (true, false) => Verdict::warn(
            format!("the host asks {}, the profile names none", list(&hosts)),
            "if pods need names of your network, write them under cluster.nameservers; else nothing",
        ),
        (false, _) => Verdict::pass(format!("pods ask {}", list(&profile))),
    }
}
