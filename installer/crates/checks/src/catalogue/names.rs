//! Names that the host's own files give to addresses.

use std::net::IpAddr;

use super::{Check, HostInput, Severity, Verdict};
use crate::finding::Group;
use crate::text::list;

pub(super) const CHECKS: &[Check] = &[
    Check::on_host(
        (Group::Identity, Severity::Block),
        "names.hosts-file",
        "Names of the site in /etc/hosts",
        "the first line that names a host or the endpoint wins, and sends everything to the address in it.",
        &["hostsFile"],
        site_names,
    ),
    Check::on_host(
        (Group::Identity, Severity::Advice),
        "names.own",
        "The host's own name",
        "programs that ask for the host's address by its name must not get one that only the host itself can reach.",
        &["hostsFile", "hostname"],
        own_name,
    ),
    Check::on_host(
        (Group::Identity, Severity::Block),
        "names.localhost",
        "localhost",
        "the kubelet's and other health questions go to localhost, which must be this host.",
        &["hostsFile"],
        localhost,
    ),
];

/// Addresses that `/etc/hosts` has for a name.
fn addresses(input: &HostInput<'_>, name: &str) -> Vec<IpAddr> {
    let lines = input.details().hosts_file.iter();
    lines.filter(|line| line.names.iter().any(|known| known == name)).map(|line| line.address).collect()
}

fn site_names(input: &HostInput<'_>) -> Verdict {
    let endpoint = &input.site.cluster.endpoint;
    let mut wrong: Vec<String> = Vec::new();
    for host in input.site.hosts.iter().filter(|host| host.name != input.host.name) {
        let found = addresses(input, &host.name).into_iter().filter(|address| *address != host.address);
        wrong.extend(
            found.map(|address| format!("{} is {address}, in the profile {}", host.name, host.address)),
        );
    }
    // Masters reach their own API server, workers the balancer on themselves.
    let known = |address: &IpAddr| {
        address.is_loopback() || input.site.hosts.iter().any(|host| host.address == *address)
    };
    let strange = addresses(input, endpoint).into_iter().filter(|address| !known(address));
    wrong.extend(strange.map(|address| format!("{endpoint} is {address}, which is no host of this site")));
    if wrong.is_empty() {
        Verdict::pass("no line against the profile").limit("as in the profile")
    } else {
        Verdict::fail(wrong.join("; "), "correct these lines in /etc/hosts, or take them out")
            .limit("as in the profile")
    }
}

fn own_name(input: &HostInput<'_>) -> Verdict {
    let names = [input.facts.hostname.to_lowercase(), input.host.name.clone()];
    let mut found: Vec<IpAddr> = names.iter().flat_map(|name| addresses(input, name)).collect();
    found.dedup();
    let strange: Vec<String> =
        found.iter().filter(|address| **address != input.host.address).map(IpAddr::to_string).collect();
    let limit = format!("{}, or no line", input.host.address);
    if strange.is_empty() {
        let measured = if found.is_empty() { "no line of its own" } else { "the profile's address" };
        Verdict::pass(measured).limit(limit)
    } else {
        let remedy = format!("write {} for it in /etc/hosts, or take the line out", input.host.address);
        Verdict::warn(format!("{} in /etc/hosts", list(&strange)), remedy).limit(limit)
    }
}

fn localhost(input: &HostInput<'_>) -> Verdict {
    let found = addresses(input, "localhost");
    let strange: Vec<String> =
        found.iter().filter(|address| !address.is_loopback()).map(IpAddr::to_string).collect();
    let remedy = "write into /etc/hosts: 127.0.0.1 localhost";
    let verdict = if !strange.is_empty() {
        Verdict::fail(list(&strange), remedy)
    } else if found.is_empty() {
        Verdict::warn("/etc/hosts has no line for it", remedy)
    } else {
        Verdict::pass(list(&found.iter().map(IpAddr::to_string).collect::<Vec<_>>()))
    };
    verdict.limit("127.0.0.1 or ::1")
}
