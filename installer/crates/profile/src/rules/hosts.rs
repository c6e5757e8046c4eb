//! Hosts: names, addresses, labels, number of masters.

use std::net::IpAddr;

use super::{LABEL, Report};
use crate::names::{is_dns_label, is_label_key, is_label_value, is_yaml_word};
use crate::site::Site;

pub(super) fn check(site: &Site, report: &mut Report<'_>) {
    if site.hosts.is_empty() {
        report.find(
            "hosts-empty",
            "hosts",
            "there is no host".to_owned(),
            "add one host or more under `hosts:`",
        );
        return;
    }
    masters(site, report);
    names(site, report);
    addresses(site, report);
    labels(site, report);
}

fn masters(site: &Site, report: &mut Report<'_>) {
    let count = site.masters().count();
    let remedy = match count {
        0 => "give one host, or better three, `role: control-plane`",
        1 | 3 | 5 => return,
        2 | 4 => "use one fewer or one more: an even number survives no more failures than one fewer would",
        _ => "use 1, 3 or 5: more make every change of the cluster slower",
    };
    let number = if count == 0 { "no".to_owned() } else { count.to_string() };
    let plural = if count == 1 { "" } else { "s" };
    let message = format!("the site has {number} control plane host{plural}; 1, 3 or 5 are possible");
    report.find("masters-odd", "hosts", message, remedy);
}

fn names(site: &Site, report: &mut Report<'_>) {
    for (i, host) in site.hosts.iter().enumerate() {
        let path = format!("hosts[{i}].name");
        if !is_dns_label(&host.name) {
            report.find("host-name", &path, format!("`{}` is no name for a host", host.name), LABEL);
        }
        if is_yaml_word(&host.name) {
            report.yaml_word(&path, &host.name);
        }
        if let Some(first) = site.hosts[..i].iter().position(|other| other.name == host.name) {
            let other = report.also_at(&format!("hosts[{first}].name"));
            let message = format!("the name `{}` is used twice{other}", host.name);
            report.find("host-name-unique", &path, message, "give each host a name of its own");
        }
    }
}

fn addresses(site: &Site, report: &mut Report<'_>) {
    let first_family = site.hosts[0].address.is_ipv4();
    for (i, host) in site.hosts.iter().enumerate() {
        let (path, address) = (format!("hosts[{i}].address"), host.address);
        if let Some(why) = unusable(address) {
            let message = format!("`{}` cannot have the address {address}: {why}", host.name);
            report.find("host-address", &path, message, "give the address that the other hosts reach it by");
        }
        if let Some(first) = site.hosts[..i].iter().position(|other| other.address == address) {
            let (other, at) = (&site.hosts[first].name, report.also_at(&format!("hosts[{first}].address")));
            let message = format!("`{}` and `{other}`{at} have the same address {address}", host.name);
            report.find("host-address-unique", &path, message, "give each host its own address");
        }
        if address.is_ipv4() != first_family {
            let message = format!(
                "`{}` has the address {address}, of another family than `{}`",
                host.name, site.hosts[0].name
            );
            report.find("host-address-family", &path, message, "use IPv4 for all hosts, or IPv6 for all");
        }
    }
}

fn unusable(address: IpAddr) -> Option<&'static str> {
    if address.is_unspecified() {
        Some("it stands for any address")
    } else if address.is_loopback() {
        Some("it never leaves a host")
    } else if address.is_multicast() || matches!(address, IpAddr::V4(v4) if v4.is_broadcast()) {
        Some("it names many hosts")
    } else {
        let link_local = match address {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        link_local.then_some("it is link-local, and may change or need a zone")
    }
}

fn labels(site: &Site, report: &mut Report<'_>) {
    for (i, host) in site.hosts.iter().enumerate() {
        for (key, value) in &host.labels {
            let path = format!("hosts[{i}].labels.{key}");
            if !is_label_key(key) {
                let message = format!("`{key}` is no key for a node label");
                let remedy =
                    "use letters, digits, `-`, `_` and `.`, at most 63, with an optional `domain/` before";
                report.find("label", &path, message, remedy);
            } else if !is_label_value(value) {
                let message = format!("`{value}` is no value for the node label `{key}`");
                report.find("label", &path, message, "use letters, digits, `-`, `_` and `.`, at most 63");
            }
        }
    }
}
