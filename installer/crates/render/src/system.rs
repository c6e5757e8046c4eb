//! Drop-in files of our own for the kernel, the resolver and kubelet.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sealift_profile::site::{Host, HostRole, Site};
use serde::Serialize;

use crate::{RenderError, hosts_of, template};

/// Kernel modules that the cluster needs on every host.
pub const MODULES: [&str; 4] = ["overlay", "br_netfilter", "nf_conntrack", "vxlan"];

/// `/etc/modules-load.d/sealift.conf`.
pub fn modules() -> Result<String, RenderError> {
    #[derive(Serialize)]
    struct Values {
        modules: [&'static str; 4],
    }
    template::render("modules.conf", &Values { modules: MODULES })
}

/// Kernel settings that the drop-in sets: what a probe must read beforehand.
pub const SYSCTLS: [&str; 5] = [
    "net.ipv4.ip_forward",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    INSTANCES,
    WATCHES,
];
const INSTANCES: &str = "fs.inotify.max_user_instances";
const WATCHES: &str = "fs.inotify.max_user_watches";
/// kubelet, containerd and the product's pods watch files; the kernel's default of 128 instances is used up soon.
const LEAST_INSTANCES: u64 = 8192;
/// What Kubernetes' kind asks for ("Known issues", section on too many open files). Since Linux 5.11 the kernel's own
/// default grows with memory, beyond this on large hosts.
const LEAST_WATCHES: u64 = 524_288;

/// `/etc/sysctl.d/90-sealift.conf`. Limits are raised to what the cluster needs and never lowered: `present` is what the
/// host has, by dotted name.
pub fn sysctls(present: &BTreeMap<String, String>) -> Result<String, RenderError> {
    #[derive(Serialize)]
    struct Values {
        instances: u64,
        watches: u64,
    }
    let at_least = |name: &str, least: u64| {
        let present = present.get(name).and_then(|value| value.parse().ok());
        present.unwrap_or(least).max(least)
    };
    let values =
        Values { instances: at_least(INSTANCES, LEAST_INSTANCES), watches: at_least(WATCHES, LEAST_WATCHES) };
    template::render("sysctl.conf", &values)
}

/// `kubelet.service`.
///
/// On a master whose databases have file systems of their own it starts with them mounted and not otherwise: else a
/// database would start empty on the bare folder, and join its cluster with nothing.
pub fn kubelet_unit(site: &Site, host: &Host) -> Result<String, RenderError> {
    #[derive(Serialize)]
    struct Values<'a> {
        mounts: Vec<&'a str>,
    }
    let waits = site.etcd.own_disk && host.role == HostRole::ControlPlane;
    let mounts = if waits { site.etcd.folders() } else { Vec::new() };
    template::render("kubelet.service", &Values { mounts })
}

/// The resolver file that pods start from: the site's name servers, or none at all on a closed site, so that no
/// query for an outside name ever leaves.
#[must_use]
pub fn resolv_conf(site: &Site) -> String {
    let mut text = String::from("# Written by Sealift: name servers for names outside the cluster.\n");
    for server in &site.cluster.nameservers {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "nameserver {server}");
    }
    text
}

/// Our lines in `/etc/hosts`: every host of the site, and the endpoint, which each host reaches on itself (masters
/// have an API server, workers a load balancer).
#[must_use]
pub fn hosts_lines(site: &Site, own: &Host) -> Vec<String> {
    let endpoint = &site.cluster.endpoint;
    let here = match own.role {
        HostRole::ControlPlane => own.address.to_string(),
        HostRole::Worker => "127.0.0.1".to_owned(),
    };
    let mut lines = vec![format!("{here} {endpoint}")];
    let all = hosts_of(site, HostRole::ControlPlane).chain(hosts_of(site, HostRole::Worker));
    lines.extend(all.map(|host| format!("{} {}", host.address, host.name)));
    lines
}
