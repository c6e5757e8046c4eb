//! Hosts compared: addresses that two have, and hosts that are unlike the others.

use std::collections::BTreeMap;

use super::identity::{compare, filled};
use super::{Check, HostInput, Peer, PeerVerdicts, Severity, Verdict};
use crate::facts::{Details, Facts};
use crate::finding::Group;
use crate::text::list;

pub(super) const CHECKS: &[Check] = &[
    Check::among_hosts(
        (Group::Identity, Severity::Block),
        "identity.address",
        "Address of one host only",
        "when two hosts have one address, each gets a part of the other's packets.",
        &["interfaces"],
        address,
    ),
    Check::on_host(
        (Group::Identity, Severity::Advice),
        "identity.profile-name",
        "Name in the profile",
        "a host that calls itself by another host's name is probably not the one that was meant.",
        &["hostname"],
        profile_name,
    ),
    Check::among_hosts(
        (Group::Identity, Severity::Advice),
        "identity.kernel",
        "A kernel of its own",
        "hosts that share a kernel are containers on one machine: they fail together.",
        &["bootId"],
        own_kernel,
    ),
    Check::among_hosts(
        (Group::System, Severity::Advice),
        "os.alike",
        "One operating system",
        "what was proved on one release may fail on another, and people must know two.",
        &["os"],
        os,
    ),
    Check::among_hosts(
        (Group::System, Severity::Advice),
        "kernel.alike",
        "One kernel series",
        "a fault that only some hosts have is hard to find when their kernels differ.",
        &["kernel"],
        kernel,
    ),
    Check::among_hosts(
        (Group::System, Severity::Advice),
        "os.architecture-alike",
        "One processor architecture",
        "a pod moves to any host only where all hosts run the same programs.",
        &["architecture"],
        architecture,
    ),
];

fn address<'a>(peers: &[Peer<'a>]) -> PeerVerdicts<'a> {
    let judge = |peer: &Peer<'a>| {
        let address = peer.host.address;
        let others: Vec<&str> = peers
            .iter()
            .filter(|other| other.host.name != peer.host.name && other.facts.interface_of(address).is_some())
            .map(|other| other.host.name.as_str())
            .collect();
        if others.is_empty() {
            Verdict::pass(format!("{address} on no other host")).limit("on no other host")
        } else {
            let remedy =
                format!("take {address} off {}: each host needs addresses of its own", list(&others));
            Verdict::fail(format!("{address} is also on {}", list(&others)), remedy).limit("on no other host")
        }
    };
    peers.iter().map(|peer| (Some(peer.host), judge(peer))).collect()
}

fn profile_name(input: &HostInput<'_>) -> Verdict {
    let (says, name) = (input.facts.hostname.to_lowercase(), &input.host.name);
    let short = says.split('.').next().unwrap_or_default();
    let limit = format!("{name}, as in the profile");
    if short == name {
        Verdict::pass(says).limit(limit)
    } else {
        let remedy = format!(
            "if it is the right host, nothing (the cluster calls it {name}), or: hostnamectl set-hostname {name}; else correct the address in the profile"
        );
        Verdict::warn(format!("the host calls itself {says}"), remedy).limit(limit)
    }
}

fn own_kernel<'a>(peers: &[Peer<'a>]) -> PeerVerdicts<'a> {
    compare(
        peers,
        |peer| filled(&peer.facts.boot_id),
        |_, id, others| match id {
            None => Verdict::error("the host says no boot id"),
            Some(_) if !others.is_empty() => {
                let remedy = "spread the hosts, masters first, over machines that fail one by one";
                Verdict::warn(format!("shared with {}", list(others)), remedy)
                    .limit("shared with no other host")
            }
            Some(_) => Verdict::pass("shared with no other host"),
        },
    )
}

fn os<'a>(peers: &[Peer<'a>]) -> PeerVerdicts<'a> {
    let remedy = "install the same release on all hosts, or see that all of them are kept up to date";
    unlike(peers, |facts| format!("{} {}", facts.os.id, facts.os.version), remedy)
}

fn kernel<'a>(peers: &[Peer<'a>]) -> PeerVerdicts<'a> {
    let series = |facts: &Facts| {
        let mut parts = facts.kernel.split(|c: char| !c.is_ascii_digit());
        format!("{}.{}", parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    };
    unlike(peers, series, "bring all hosts to one kernel series at the next maintenance")
}

fn architecture<'a>(peers: &[Peer<'a>]) -> PeerVerdicts<'a> {
    let remedy = "use hosts of one architecture, or keep pods to theirs by the label kubernetes.io/arch";
    unlike(peers, |facts| facts.architecture.clone(), remedy)
}

/// A word of the finer facts that should be the same on all hosts.
pub(super) fn unlike_the_others<'a>(
    peers: &[Peer<'a>],
    word: impl Fn(&Details) -> String,
    remedy: &str,
) -> PeerVerdicts<'a> {
    unlike(peers, |facts| facts.details.as_ref().map(&word).unwrap_or_default(), remedy)
}

/// A word that should be the same on all hosts: whoever is not like most is told so.
fn unlike<'a>(peers: &[Peer<'a>], word: impl Fn(&Facts) -> String, remedy: &str) -> PeerVerdicts<'a> {
    let words: Vec<String> = peers.iter().map(|peer| word(peer.facts)).collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for word in &words {
        *counts.entry(word).or_default() += 1;
    }
    let usual = counts.into_iter().max_by_key(|(_, count)| *count).map(|(word, _)| word).unwrap_or_default();
    let judge = |word: &str| {
        if word.trim().is_empty() {
            Verdict::error("the host says nothing about it")
        } else if word == usual {
            Verdict::pass(word)
        } else {
            Verdict::warn(format!("{word}, on most others {usual}"), remedy).limit("the same on all hosts")
        }
    };
    peers.iter().zip(&words).map(|(peer, word)| (Some(peer.host), judge(word))).collect()
}
