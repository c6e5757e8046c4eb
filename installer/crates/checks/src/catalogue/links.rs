//! The host's own link, and what the kernel and files of the host do to packets and names.

use std::net::IpAddr;

use ipnet::IpNet;

use super::kernel::number;
use super::{Check, HostInput, Severity, Verdict};
use crate::facts::{Interface, Proxy};
use crate::finding::Group;
use crate::fix::Fix;
use crate::text::list;

/// Least speed, and the speed from which on nothing is said, Mbit/s.
const SPEED: (u32, u32) = (100, 1000);
/// Packets in a million that may be broken.
const BROKEN: u64 = 100;
/// Share of the table of connections, in percent, from which on there is a warning.
const TABLE: u64 = 80;

pub(super) const CHECKS: &[Check] = &[
    Check::on_host(
        (Group::Network, Severity::Block),
        "network.speed",
        "Speed of the link",
        "images and the database's changes go over this link, to all other hosts.",
        &["interfaces"],
        speed,
    ),
    Check::on_host(
        (Group::Network, Severity::Advice),
        "network.duplex",
        "Both ways at a time",
        "a link that either sends or receives loses packets as soon as both happen.",
        &["interfaces"],
        duplex,
    ),
    Check::on_host(
        (Group::Network, Severity::Advice),
        "network.broken-packets",
        "Broken packets",
        "a cable, a plug or a card that breaks packets makes everything slow, and only sometimes.",
        &["interfaces"],
        broken,
    ),
    Check::on_host(
        (Group::Network, Severity::Advice),
        "network.reverse-path",
        "Reverse path filter",
        "with the strict filter, answers to pods that come in by another interface are dropped.",
        &["interfaces"],
        reverse_path,
    )
    .fixable(),
    Check::on_host(
        (Group::Network, Severity::Advice),
        "network.arp",
        "Answers to ARP",
        "a host that does not say its own address to everybody cannot be found by new neighbours.",
        &["settings"],
        arp,
    )
    .fixable(),
    Check::on_host(
        (Group::Network, Severity::Advice),
        "network.connection-table",
        "Table of connections",
        "when the table is full, new connections are dropped, those of the cluster too.",
        &["settings"],
        table,
    ),
    Check::on_host(
        (Group::Network, Severity::Stop),
        "network.ipv6",
        "IPv6",
        "a host that the profile names by an IPv6 address needs IPv6.",
        &["settings"],
        ipv6,
    ),
    Check::on_host(
        (Group::Network, Severity::Advice),
        "network.proxy",
        "Proxies",
        "services that are told to use a proxy send it what is meant for the cluster itself.",
        &["proxies"],
        proxy,
    ),
    Check::on_host(
        (Group::Network, Severity::Block),
        "dns.in-cluster-network",
        "Where the name servers are",
        "a name server with an address of the cluster's networks cannot be reached any more.",
        &["nameservers"],
        in_cluster_network,
    ),
    Check::on_host(
        (Group::Network, Severity::Advice),
        "dns.silent-resolver",
        "Resolver on the host",
        "a resolver that is named but does not run makes every login and every lookup wait for it.",
        &["nameservers", "listeners"],
        silent_resolver,
    ),
];

/// The interface with the profile's address, or what to say without one.
fn link<'a>(input: &HostInput<'a>) -> Result<&'a Interface, Verdict> {
    let address = input.host.address;
    input
        .facts
        .interface_of(address)
        .ok_or_else(|| Verdict::not_run(format!("no interface has {address}: see network.address")))
}

fn speed(input: &HostInput<'_>) -> Verdict {
    let link = match link(input) {
        Ok(link) => link,
        Err(verdict) => return verdict,
    };
    let limit = format!("{} Mbit/s or more (good: {})", SPEED.0, SPEED.1);
    let remedy = "look at the cable, the plug and the switch's port, or ask for a faster link";
    match link.speed {
        None => Verdict::pass(format!("{} says none: it is virtual", link.name)),
        Some(speed) if speed < SPEED.0 => Verdict::fail(format!("{speed} Mbit/s on {}", link.name), remedy),
        Some(speed) if speed < SPEED.1 => Verdict::warn(format!("{speed} Mbit/s on {}", link.name), remedy),
        Some(speed) => Verdict::pass(format!("{speed} Mbit/s on {}", link.name)),
    }
    .limit(limit)
}

fn duplex(input: &HostInput<'_>) -> Verdict {
    match link(input) {
        Err(verdict) => verdict,
        Ok(link) if link.half_duplex => {
            let remedy = "let both ends agree by themselves (autonegotiation), on the host and on the switch";
            Verdict::warn(format!("half duplex on {}", link.name), remedy).limit("full duplex")
        }
        Ok(link) => Verdict::pass(format!("not half duplex on {}", link.name)).limit("full duplex"),
    }
}

fn broken(input: &HostInput<'_>) -> Verdict {
    let link = match link(input) {
        Ok(link) => link,
        Err(verdict) => return verdict,
    };
    let measured = format!("{} of {} packets on {}", link.errors, link.packets, link.name);
    let limit = format!("{BROKEN} or fewer in a million");
    if link.errors.saturating_mul(1_000_000) <= link.packets.saturating_mul(BROKEN) {
        Verdict::pass(measured).limit(limit)
    } else {
        Verdict::warn(
            measured,
            format!("change the cable, then the plug; ethtool -S {} tells more", link.name),
        )
        .limit(limit)
    }
}

/// The larger of this and an interface's own counts for the interface.
const ALL_FILTERS: &str = "net.ipv4.conf.all.rp_filter";

fn reverse_path(input: &HostInput<'_>) -> Verdict {
    match link(input) {
        Err(verdict) => verdict,
        Ok(link) if link.reverse_path_filter == 1 => {
            let remedy = format!(
                "make it loose for good, in /etc/sysctl.d: net.ipv4.conf.all.rp_filter = 2 (now 1 on {})",
                link.name
            );
            let fix = Fix::Setting { name: ALL_FILTERS.to_owned(), value: "2".to_owned() };
            Verdict::warn(format!("strict (1) on {}", link.name), remedy)
                .limit("off (0) or loose (2)")
                .fixed_by(input.settable(ALL_FILTERS).then_some(fix))
        }
        Ok(link) => Verdict::pass(format!("{} on {}", link.reverse_path_filter, link.name))
            .limit("off (0) or loose (2)"),
    }
}

fn arp(input: &HostInput<'_>) -> Verdict {
    let names = ["net.ipv4.conf.all.arp_ignore", "net.ipv4.conf.all.arp_filter"];
    if names.iter().all(|name| number(input, name).is_none()) {
        return Verdict::error("the kernel says nothing of it");
    }
    let set: Vec<&str> =
        names.into_iter().filter(|name| number(input, name).is_some_and(|value| value != 0)).collect();
    let limit = format!("{} at 0", list(&names));
    if set.is_empty() {
        Verdict::pass("to everybody").limit(limit)
    } else {
        let settable = set.iter().filter(|name| input.settable(name));
        let fixes = settable.map(|name| Fix::Setting { name: (*name).to_owned(), value: "0".to_owned() });
        Verdict::warn(format!("{} not 0", list(&set)), "set it to 0 for good, or ask who needs it")
            .limit(limit)
            .fixed_by(fixes)
    }
}

/// Before connection tracking is loaded there is no table, and nothing in it.
fn table(input: &HostInput<'_>) -> Verdict {
    let used = number(input, "net.netfilter.nf_conntrack_count");
    let size = number(input, "net.netfilter.nf_conntrack_max").filter(|size| *size > 0);
    let (Some(used), Some(size)) = (used, size) else { return Verdict::pass("no table yet") };
    let measured = format!("{used} of {size} connections");
    let limit = format!("less than {TABLE} % of the table");
    if used.saturating_mul(100) < size.saturating_mul(TABLE) {
        Verdict::pass(measured).limit(limit)
    } else {
        let remedy = format!("find what opens so many, or double net.netfilter.nf_conntrack_max ({size})");
        Verdict::warn(measured, remedy).limit(limit)
    }
}

fn ipv6(input: &HostInput<'_>) -> Verdict {
    // A kernel without IPv6 has no such setting.
    let off = number(input, "net.ipv6.conf.all.disable_ipv6") != Some(0);
    match (input.host.address.is_ipv6(), off) {
        (true, true) => Verdict::fail(
            "switched off",
            "switch it on: net.ipv6.conf.all.disable_ipv6 = 0 in /etc/sysctl.d, and no ipv6.disable=1 on the kernel's command line",
        )
        .limit("on"),
        (true, false) => Verdict::pass("on").limit("on"),
        (false, _) => Verdict::pass(if off { "off, and not needed" } else { "on, and not needed" }),
    }
}

fn proxy(input: &HostInput<'_>) -> Verdict {
    let cluster = &input.site.cluster;
    let addresses = input.site.hosts.iter().map(|host| IpNet::from(host.address));
    let inside: Vec<IpNet> = addresses.chain([cluster.pod_cidr, cluster.service_cidr]).collect();
    let spares = |proxy: &Proxy, net: &IpNet| {
        proxy.direct.iter().any(|entry| {
            let entry = entry.parse::<IpNet>().or_else(|_| entry.parse::<IpAddr>().map(IpNet::from));
            entry.is_ok_and(|entry| entry.contains(net))
        })
    };
    let everything = |proxy: &Proxy| proxy.direct.iter().any(|entry| entry == "*");
    let catching: Vec<String> = input
        .details()
        .proxies
        .iter()
        .filter(|proxy| !everything(proxy) && !inside.iter().all(|net| spares(proxy, net)))
        .map(|proxy| format!("{} in {}", proxy.variable, proxy.file))
        .collect();
    let limit = "none, or all hosts and the cluster's networks in no_proxy";
    if catching.is_empty() {
        Verdict::pass("none that would catch it").limit(limit)
    } else {
        let mut nets: Vec<String> = inside.iter().take(4).map(ToString::to_string).collect();
        nets.extend([cluster.pod_cidr.to_string(), cluster.service_cidr.to_string()]);
        nets.dedup();
        let remedy = format!(
            "take it out, or add the addresses of all hosts and both networks to no_proxy there: {} …",
            nets.join(",")
        );
        Verdict::warn(list(&catching), remedy).limit(limit)
    }
}

fn in_cluster_network(input: &HostInput<'_>) -> Verdict {
    let cluster = &input.site.cluster;
    let of_host = input.facts.nameservers.iter().filter_map(|server| server.parse::<IpAddr>().ok());
    let mut inside: Vec<String> = of_host
        .chain(cluster.nameservers.iter().copied())
        .filter_map(|server| {
            let nets = [("podCidr", cluster.pod_cidr), ("serviceCidr", cluster.service_cidr)];
            let (key, net) = nets.into_iter().find(|(_, net)| net.contains(&server))?;
            Some(format!("{server} is in {key} {net}"))
        })
        .collect();
    inside.dedup();
    let limit = format!("none in {} or {}", cluster.pod_cidr, cluster.service_cidr);
    if inside.is_empty() {
        Verdict::pass("none inside").limit(limit)
    } else {
        let remedy = "choose other networks in the profile (cluster.podCidr, cluster.serviceCidr)";
        Verdict::fail(list(&inside), remedy).limit(limit)
    }
}

fn silent_resolver(input: &HostInput<'_>) -> Verdict {
    let servers = input.facts.nameservers.iter().filter_map(|server| server.parse::<IpAddr>().ok());
    let answers = |server: &IpAddr| {
        let listeners = input.facts.listeners.iter();
        listeners
            .filter(|listener| listener.port == 53)
            .any(|listener| listener.address == *server || listener.address.is_unspecified())
    };
    let silent: Vec<String> = servers
        .filter(|server| server.is_loopback() && !answers(server))
        .map(|server| server.to_string())
        .collect();
    if silent.is_empty() {
        Verdict::pass("none that is silent").limit("none that is silent")
    } else {
        let remedy = "start it (systemd-resolved, dnsmasq), or take its line out of /etc/resolv.conf";
        Verdict::warn(format!("nothing listens at {}, port 53", list(&silent)), remedy)
            .limit("none that is silent")
    }
}
