//! Drop-in files of our own for the kernel, the resolver and kubelet.

use std::fmt::Write as _;

use sealift_profile::site::{HostRole, Site};
use serde::Serialize;

use crate::runtime::Empty;
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

/// `/etc/sysctl.d/90-sealift.conf`.
pub fn sysctls() -> Result<String, RenderError> {
    template::render("sysctl.conf", &Empty {})
}

/// `kubelet.service`.
pub fn kubelet_unit() -> Result<String, RenderError> {
    template::render("kubelet.service", &Empty {})
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
pub fn hosts_lines(site: &Site, own: &sealift_profile::site::Host) -> Vec<String> {
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
