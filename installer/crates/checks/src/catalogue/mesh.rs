//! Whether each host reaches the others where the cluster's parts will listen, and how long that takes.

use sealift_profile::HostRole;

use super::{Check, HostInput, Severity, Verdict};
use crate::facts::Attempt;
use crate::finding::Group;
use crate::requirements::{Protocol, mesh_ports};
use crate::text::list;

/// Time to another master and back, microseconds: warning from, refused from. etcd's heartbeat is 100 ms and must fit
/// many times; beyond 2 ms its own guides advise to tune.
const LATENCY: (u64, u64) = (2_000, 10_000);
/// Places that are named at most.
const NAMED: usize = 6;

pub(super) const CHECKS: &[Check] = &[
    Check {
        deep: true,
        ..Check::on_host(
            (Group::Network, Severity::Block),
            "network.mesh-tcp",
            "Ways to the other hosts",
            "a firewall between two hosts stops the install half-way, at a place that says nothing of it.",
            &["attempts"],
            tcp,
        )
    },
    Check {
        deep: true,
        ..Check::on_host(
            (Group::Network, Severity::Block),
            "network.mesh-udp",
            "Whole packets of the pod network",
            "where whole packets are lost, pods of different hosts answer small questions and hang at large ones.",
            &["attempts"],
            udp,
        )
    },
    Check {
        deep: true,
        ..Check::on_masters(
            (Group::Network, Severity::Block),
            "network.latency",
            "Time between masters",
            "each change of the cluster waits until a second master has it.",
            &["attempts"],
            latency,
        )
    },
];

fn of<'a>(input: &HostInput<'a>, protocol: Protocol) -> Result<Vec<&'a Attempt>, Verdict> {
    let Some(attempts) = &input.facts.attempts else {
        return Err(Verdict::not_run("opens ports for a moment: only `installer check --deep` tries it"));
    };
    let found: Vec<&Attempt> = attempts.iter().filter(|attempt| attempt.protocol == protocol).collect();
    if found.is_empty() {
        return Err(Verdict::not_run("nothing to try: one host alone, or a running cluster holds the ports"));
    }
    Ok(found)
}

/// `m2 6443/tcp (the API server): no answer …`.
fn words(input: &HostInput<'_>, attempt: &Attempt) -> String {
    let listener = input
        .site
        .host(&attempt.host)
        .into_iter()
        .flat_map(|to| mesh_ports(input.site, input.host.role, to.role))
        .find(|need| need.port == attempt.port && need.protocol == attempt.protocol);
    let listener = listener.map_or("", |need| need.listener);
    format!("{} {}/{} ({listener}): {}", attempt.host, attempt.port, attempt.protocol.name(), attempt.problem)
}

fn all_reached(input: &HostInput<'_>, protocol: Protocol, remedy: &str) -> Verdict {
    let attempts = match of(input, protocol) {
        Ok(attempts) => attempts,
        Err(verdict) => return verdict,
    };
    let lost: Vec<&&Attempt> = attempts.iter().filter(|attempt| attempt.micros.is_none()).collect();
    let limit = format!("all {} reached", attempts.len());
    if lost.is_empty() {
        return Verdict::pass(format!("{} of {}", attempts.len(), attempts.len())).limit(limit);
    }
    let mut named: Vec<String> = lost.iter().take(NAMED).map(|attempt| words(input, attempt)).collect();
    if lost.len() > NAMED {
        named.push(format!("{} more", lost.len() - NAMED));
    }
    Verdict::fail(format!("{} of {} not reached: {}", lost.len(), attempts.len(), named.join("; ")), remedy)
        .limit(limit)
}

fn tcp(input: &HostInput<'_>) -> Verdict {
    let remedy = format!(
        "ask the owner of the network, and of the firewalls on the hosts, to let {} ({}) reach these ports",
        input.host.name, input.host.address
    );
    all_reached(input, Protocol::Tcp, &remedy)
}

fn udp(input: &HostInput<'_>) -> Verdict {
    let remedy = format!(
        "ask the owner of the network to let {} ({}) send these; where only whole packets are lost, to carry the hosts' packet size (network.mtu) on the whole way",
        input.host.name, input.host.address
    );
    all_reached(input, Protocol::Udp, &remedy)
}

/// The shortest way to each other master counts: a single slow answer says little.
fn latency(input: &HostInput<'_>) -> Verdict {
    let attempts = match of(input, Protocol::Tcp) {
        Ok(attempts) => attempts,
        Err(verdict) => return verdict,
    };
    let masters = input.site.hosts.iter().filter(|host| host.role == HostRole::ControlPlane);
    let times: Vec<(u64, &str)> = masters
        .filter_map(|master| {
            let to_it = attempts.iter().filter(|attempt| attempt.host == master.name);
            to_it.filter_map(|attempt| attempt.micros).min().map(|micros| (micros, master.name.as_str()))
        })
        .collect();
    let Some((worst, _)) = times.iter().max() else {
        return Verdict::not_run("no other master was reached");
    };
    let show = |micros: u64| format!("{:.1} ms", micros as f64 / 1e3);
    let texts: Vec<String> =
        times.iter().map(|(micros, name)| format!("{} to {name}", show(*micros))).collect();
    let measured = list(&texts);
    let remedy = "put the masters into one data centre, or find what slows the way between them";
    match *worst {
        micros if micros >= LATENCY.1 => Verdict::fail(measured, remedy),
        micros if micros >= LATENCY.0 => Verdict::warn(measured, remedy),
        _ => Verdict::pass(measured),
    }
    .limit(format!("less than {} (good: {})", show(LATENCY.1), show(LATENCY.0)))
}
