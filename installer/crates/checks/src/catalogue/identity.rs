//! Whether each host is one host: clones answer for each other.

use std::collections::BTreeMap;

use sealift_profile::is_dns_label;

use super::{Check, Peer, PeerVerdicts, Scope, Severity, Verdict};
use crate::finding::Group;
use crate::text::list;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "identity.hostname",
        title: "Host name",
        why: "logs, certificates and people tell hosts apart by their names.",
        group: Group::Identity,
        severity: Severity::Block,
        beyond: None,
        deep: false,
        fixable: false,
        facts: &["hostname"],
        scope: Scope::Peers(hostname),
    },
    Check {
        id: "identity.machine-id",
        title: "Machine id",
        why: "cloned hosts share it, and then get each other's addresses, logs and leases.",
        group: Group::Identity,
        severity: Severity::Block,
        beyond: None,
        deep: false,
        fixable: false,
        facts: &["machineId"],
        scope: Scope::Peers(machine_id),
    },
    Check {
        id: "identity.product-uuid",
        title: "Hardware id",
        why: "two hosts with one hardware id are usually clones of one virtual machine, or containers on one machine that fail together.",
        group: Group::Identity,
        severity: Severity::Advice,
        beyond: None,
        deep: false,
        fixable: false,
        facts: &["productUuid"],
        scope: Scope::Peers(product_uuid),
    },
    Check {
        id: "identity.mac",
        title: "Network hardware address",
        why: "two hosts with one MAC address in one network take each other's packets.",
        group: Group::Identity,
        severity: Severity::Block,
        beyond: None,
        deep: false,
        fixable: false,
        facts: &["interfaces"],
        scope: Scope::Peers(mac),
    },
];

/// Compares one word of each host with that of the others. `judge` gets host, word and the names that share it.
pub(super) fn compare<'a>(
    peers: &[Peer<'a>],
    word: impl Fn(&Peer<'a>) -> Option<String>,
    judge: impl Fn(&Peer<'a>, Option<&str>, &[&str]) -> Verdict,
) -> PeerVerdicts<'a> {
    let words: Vec<Option<String>> = peers.iter().map(word).collect();
    let mut holders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (peer, word) in peers.iter().zip(&words) {
        if let Some(word) = word {
            holders.entry(word).or_default().push(&peer.host.name);
        }
    }
    peers
        .iter()
        .zip(&words)
        .map(|(peer, word)| {
            let word = word.as_deref();
            let sharers = word.and_then(|word| holders.get(word)).map(Vec::as_slice).unwrap_or_default();
            let others: Vec<&str> = sharers.iter().copied().filter(|name| *name != peer.host.name).collect();
            (Some(peer.host), judge(peer, word, &others))
        })
        .collect()
}

pub(super) fn filled(text: &str) -> Option<String> {
    Some(text.trim().to_lowercase()).filter(|text| !text.is_empty())
}

fn hostname<'a>(peers: &[Peer<'a>]) -> PeerVerdicts<'a> {
    compare(
        peers,
        |peer| filled(&peer.facts.hostname),
        |peer, name, others| {
            let remedy = format!("set it on {0}: hostnamectl set-hostname {0}", peer.host.name);
            match name {
                None => Verdict::error("the host says no name"),
                Some(name) if !others.is_empty() => {
                    Verdict::fail(format!("{name}, also on {}", list(others)), remedy)
                        .limit("a name of its own")
                }
                Some(_) if !peer.facts.hostname.split('.').all(is_dns_label) => {
                    Verdict::fail(peer.facts.hostname.clone(), remedy)
                        .limit("lowercase letters, digits and hyphens")
                }
                Some(name) => Verdict::pass(name),
            }
        },
    )
}

fn machine_id<'a>(peers: &[Peer<'a>]) -> PeerVerdicts<'a> {
    let remedy = "on the clone: rm /etc/machine-id /var/lib/dbus/machine-id; systemd-machine-id-setup; then restart the host";
    compare(
        peers,
        |peer| filled(&peer.facts.machine_id),
        |_, id, others| match id {
            None => Verdict::fail("there is none", remedy).limit("one of its own in /etc/machine-id"),
            Some(id) if !others.is_empty() => {
                Verdict::fail(format!("{id}, also on {}", list(others)), remedy).limit("one of its own")
            }
            Some(id) => Verdict::pass(id),
        },
    )
}

fn product_uuid<'a>(peers: &[Peer<'a>]) -> PeerVerdicts<'a> {
    compare(
        peers,
        |peer| filled(&peer.facts.product_uuid),
        |_, id, others| match id {
            None => Verdict::pass("the host shows none"),
            Some(id) if !others.is_empty() => {
                let remedy = "give the clone a hardware id of its own in the hypervisor; for containers, spread them over machines";
                Verdict::warn(format!("{id}, also on {}", list(others)), remedy).limit("one of its own")
            }
            Some(id) => Verdict::pass(id),
        },
    )
}

/// Of the interface with the profile's address only: bridges that software makes have the same address everywhere.
fn mac<'a>(peers: &[Peer<'a>]) -> PeerVerdicts<'a> {
    compare(
        peers,
        |peer| peer.facts.interface_of(peer.host.address).and_then(|interface| filled(&interface.mac)),
        |peer, mac, others| match mac {
            None => Verdict::pass(format!("no interface with a MAC address has {}", peer.host.address)),
            Some(mac) if !others.is_empty() => {
                let remedy = "give the clone's network card an address of its own in the hypervisor";
                Verdict::fail(format!("{mac}, also on {}", list(others)), remedy).limit("one of its own")
            }
            Some(mac) => Verdict::pass(mac),
        },
    )
}
