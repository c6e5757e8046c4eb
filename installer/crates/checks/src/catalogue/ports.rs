//! Ports that the cluster's parts listen on.

use super::{Check, HostInput, Scope, Severity, Verdict};
use crate::facts::Listener;
use crate::finding::Group;
use crate::requirements::{PortNeed, Protocol};
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

pub(super) const CHECKS: &[Check] = &[Check {
    id: "ports.free",
    title: "Free ports",
    why: "two programs cannot listen on one port: the part of the cluster that comes second does not start.",
    group: Group::Network,
    severity: Severity::Stop,
    facts: &["listeners", "claim"],
    scope: Scope::Host(free),
}];

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
