//! Interfaces, addresses and routes, as iproute2 prints them.

use std::net::IpAddr;

use ipnet::IpNet;
use sealift_checks::facts::{Interface, Route};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Probe;
use crate::command::Command;

pub(super) fn probe(probe: &mut Probe<'_>) -> (Vec<Interface>, Vec<Route>) {
    let interfaces = ask::<Vec<Link>>(probe, &["-j", "address", "show"]).unwrap_or_default();
    let mut routes = Vec::new();
    for family in ["-4", "-6"] {
        let found = ask::<Vec<RouteRow>>(probe, &[family, "-j", "route", "show", "table", "main"]);
        routes.extend(found.unwrap_or_default().iter().flat_map(|row| row.routes(family)));
    }
    let mut interfaces: Vec<Interface> = interfaces.into_iter().filter_map(Link::interface).collect();
    for interface in &mut interfaces {
        state_of_link(probe, interface);
    }
    (interfaces, routes)
}

/// What the kernel says about the link itself, below `/sys/class/net` (`sysfs-class-net`). Virtual interfaces have no
/// speed: the file cannot be read, or says -1.
fn state_of_link(probe: &Probe<'_>, interface: &mut Interface) {
    // The kernel lets no interface be called so, but the name came from a program.
    if interface.name.contains('/') || interface.name.starts_with('.') {
        return;
    }
    let line = |path: &str| probe.line_if_any(&format!("/sys/class/net/{}/{path}", interface.name));
    let count = |name: &str| line(&format!("statistics/{name}")).parse::<u64>().unwrap_or(0);
    let filter = |name: &str| {
        let path = format!("/proc/sys/net/ipv4/conf/{name}/rp_filter");
        probe.line_if_any(&path).parse::<u32>().unwrap_or(0)
    };
    let speed = line("speed").parse().ok().filter(|speed| *speed > 0);
    let half_duplex = line("duplex") == "half";
    let packets = count("rx_packets").saturating_add(count("tx_packets"));
    let errors = count("rx_errors").saturating_add(count("tx_errors"));
    let reverse_path_filter = filter("all").max(filter(&interface.name));
    *interface = Interface { speed, half_duplex, packets, errors, reverse_path_filter, ..interface.clone() };
}

fn ask<T: DeserializeOwned>(probe: &mut Probe<'_>, args: &[&str]) -> Option<T> {
    let text = probe.output(Command::new("ip").args(args.iter().copied()))?;
    // Without a row it prints nothing at all.
    let text = if text.is_empty() { "[]" } else { &text };
    match serde_json::from_str(text) {
        Ok(value) => Some(value),
        Err(error) => {
            let what = format!("`ip {}`: {error}", args.join(" "));
            probe.miss(what)
        }
    }
}

/// A row of `ip -j address`; some versions print empty rows.
#[derive(Debug, Deserialize)]
pub(super) struct Link {
    ifname: Option<String>,
    #[serde(default)]
    address: String,
    #[serde(default)]
    mtu: u32,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    addr_info: Vec<Address>,
}

#[derive(Debug, Deserialize)]
struct Address {
    local: Option<IpAddr>,
    prefixlen: Option<u8>,
}

impl Link {
    pub(super) fn interface(self) -> Option<Interface> {
        let net = |address: &Address| IpNet::new(address.local?, address.prefixlen?).ok();
        Some(Interface {
            name: self.ifname?,
            mac: self.address.to_lowercase(),
            mtu: self.mtu,
            up: self.flags.iter().any(|flag| flag == "UP"),
            addresses: self.addr_info.iter().filter_map(net).collect(),
            speed: None,
            half_duplex: false,
            packets: 0,
            errors: 0,
            reverse_path_filter: 0,
        })
    }
}

/// A row of `ip -j route`.
#[derive(Debug, Deserialize)]
pub(super) struct RouteRow {
    dst: String,
    gateway: Option<IpAddr>,
    dev: Option<String>,
    #[serde(default)]
    nexthops: Vec<NextHop>,
}

#[derive(Debug, Deserialize)]
struct NextHop {
    gateway: Option<IpAddr>,
    dev: Option<String>,
}

impl RouteRow {
    /// One route for each way out; rows without an interface (`unreachable`) lead nowhere.
    pub(super) fn routes(&self, family: &str) -> Vec<Route> {
        let Some(destination) = destination(&self.dst, family) else { return Vec::new() };
        let route = |gateway: Option<IpAddr>, dev: &Option<String>| {
            dev.clone().map(|interface| Route { destination, gateway, interface })
        };
        let single = route(self.gateway, &self.dev).into_iter();
        single.chain(self.nexthops.iter().filter_map(|hop| route(hop.gateway, &hop.dev))).collect()
    }
}

fn destination(text: &str, family: &str) -> Option<IpNet> {
    match text {
        "default" if family == "-4" => "0.0.0.0/0".parse().ok(),
        "default" => "::/0".parse().ok(),
        _ => text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from)),
    }
}
