//! Ports that the cluster's parts listen on.

use super::{Check, HostInput, Scope, Severity, Verdict};
use crate::facts::Listener;
use crate::finding::Group;
use crate::fix::Fix;
use crate::requirements::{NODE_PORTS, PortNeed, Protocol};
use crate::text::list;

/// Programs of ours and of the cluster, as the kernel names them: at most 15 characters.
const OURS: [&str; 10] = [
    "kube-apiserver",
    "kube-controller",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "etcd",
    "haproxy",
    "installer",
    "containerd",
    "flanneld",
];

pub(super) const CHECKS: &[Check] = &[
    NODE_PORTS_FREE,
    EPHEMERAL,
    Check {
        id: "ports.free",
        title: "Free ports",
        why: "two programs cannot listen on one port: the part of the cluster that comes second does not start.",
        group: Group::Network,
        severity: Severity::Stop,
        beyond: None,
        deep: false,
        fixable: false,
        facts: &["listeners", "claim"],
        scope: Scope::Host(free),
    },
];

const NODE_PORTS_FREE: Check = Check::on_host(
    (Group::Network, Severity::Advice),
    "ports.of-services",
    "Ports of Services",
    "a Service that is given this port takes the connections of the program that listens there.",
    &["listeners", "claim"],
    of_services,
);

const EPHEMERAL: Check = Check::on_host(
    (Group::Network, Severity::Advice),
    "ports.outgoing",
    "Ports of outgoing connections",
    "a connection that happens to start from a port of the cluster keeps its owner from starting.",
    &["settings"],
    outgoing,
)
.fixable();

fn of_services(input: &HostInput<'_>) -> Verdict {
    let (first, last) = NODE_PORTS;
    let taken = input.facts.listeners.iter().filter(|listener| {
        (first..=last).contains(&listener.port) && !listener.address.is_loopback() && !input.ours()
    });
    let mut found: Vec<String> = taken
        .map(|listener| format!("{}/{} by {}", listener.port, listener.protocol, holder(listener)))
        .collect();
    found.dedup();
    let limit = format!("none of {first} to {last} in use");
    if found.is_empty() {
        Verdict::pass("none in use").limit(limit)
    } else {
        let remedy =
            "move these programs to other ports, or see that no Service of the product is given theirs";
        Verdict::warn(list(&found), remedy).limit(limit)
    }
}

/// The ports that the kernel takes for connections from here.
const RANGE: &str = "net.ipv4.ip_local_port_range";

fn outgoing(input: &HostInput<'_>) -> Verdict {
    let words = |name: &str| {
        let setting = input.details().settings.get(name);
        setting.map(|setting| setting.value.clone()).unwrap_or_default()
    };
    let range = words(RANGE);
    let mut ends = range.split_whitespace().filter_map(|word| word.parse::<u16>().ok());
    let (Some(first), Some(last)) = (ends.next(), ends.next()) else {
        return Verdict::error(format!("`{range}` is no range of ports"));
    };
    let reserved = words("net.ipv4.ip_local_reserved_ports");
    let spared = |port: u16| {
        reserved.split(',').any(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            matches!((from.trim().parse(), to.trim().parse()), (Ok(from), Ok(to)) if (from..=to).contains(&port))
        })
    };
    let needed = input.need.ports.iter().map(|need| need.port).chain([NODE_PORTS.0, NODE_PORTS.1]);
    let taken: Vec<String> = needed
        .filter(|port| (first..=last).contains(port) && !spared(*port))
        .map(|port| port.to_string())
        .collect();
    let limit =
        format!("none of the cluster's ports, nor {} to {}, in the range", NODE_PORTS.0, NODE_PORTS.1);
    if taken.is_empty() {
        Verdict::pass(format!("{first} to {last}")).limit(limit)
    } else {
        let remedy = "set it back for good, in /etc/sysctl.d: net.ipv4.ip_local_port_range = 32768 60999";
        let fix = Fix::Setting { name: RANGE.to_owned(), value: "32768 60999".to_owned() };
        Verdict::warn(format!("{first} to {last}, with {} in it", list(&taken)), remedy)
            .limit(limit)
            .fixed_by(input.settable(RANGE).then_some(fix))
    }
}

fn free(input: &HostInput<'_>) -> Verdict {
    let ours = input.ours();
    let mut taken = Vec::new();
    let mut holders = Vec::new();
    let mut own = 0;
    for need in &input.need.ports {
        let there = input.facts.listeners.iter().filter(|listener| holds(listener, need));
        let (mine, others): (Vec<&Listener>, Vec<&Listener>) =
            there.partition(|listener| ours && is_ours(listener, need));
        own += usize::from(!mine.is_empty());
        // One program listens on IPv4 and IPv6 alike: once is enough.
        if let Some(listener) = others.first() {
            let port = format!("{}/{}", need.port, need.protocol.name());
            taken.push(format!("{port} ({}) is held by {}", need.listener, holder(listener)));
            holders.push(format!("{port}: {}", how_to_find(listener, need)));
        }
    }
    let ports: Vec<String> =
        input.need.ports.iter().map(|need| format!("{}/{}", need.port, need.protocol.name())).collect();
    let limit = format!("free: {}", list(&ports));
    if taken.is_empty() {
        let measured = match own {
            0 => "all free".to_owned(),
            _ => format!("{own} held by our own parts, the others free"),
        };
        Verdict::pass(measured).limit(limit)
    } else {
        let remedy = format!("stop what holds it, for good, or use another host ({})", holders.join("; "));
        Verdict::fail(taken.join("; "), remedy).limit(limit)
    }
}

fn holds(listener: &Listener, need: &PortNeed) -> bool {
    // Facts may say tcp6 as well as tcp.
    listener.port == need.port && listener.protocol.trim_end_matches('6') == need.protocol.name()
}

fn is_ours(listener: &Listener, need: &PortNeed) -> bool {
    let named = OURS.contains(&listener.process.chars().take(15).collect::<String>().as_str());
    // The kernel itself holds the pod network's port: no process, no unit.
    named || (listener.process.is_empty() && need.protocol == Protocol::Udp)
}

fn holder(listener: &Listener) -> String {
    match (listener.process.as_str(), listener.unit.as_str()) {
        ("", "") => "a program that could not be named".to_owned(),
        (process, "") => process.to_owned(),
        ("", unit) => unit.to_owned(),
        (process, unit) => format!("{process} ({unit})"),
    }
}

fn how_to_find(listener: &Listener, need: &PortNeed) -> String {
    if listener.unit.ends_with(".service") && !listener.unit.contains('/') {
        return format!("systemctl disable --now {}", listener.unit);
    }
    let kind = if need.protocol == Protocol::Tcp { 't' } else { 'u' };
    format!("find it with ss -{kind}lnp sport = :{}", need.port)
}
