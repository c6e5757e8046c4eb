//! Values to the files that hosts get: kubeadm documents, containerd and `HAProxy` configuration, units, drop-ins.
//!
//! Pure. This room must not know where a file goes over, who writes it or when; it turns a site, a bundle document
//! and facts into text. Structured documents are serialised from types, never templated; unit files and
//! configuration in other syntaxes come from templates that are embedded and parsed once.
//!
//! In order of use: [`HostSettings`], then [`kubeadm`], [`nodes`], [`api`], [`trust`], [`runtime`], [`system`],
//! [`load_balancer`], [`events`], [`values`].

pub mod api;
pub mod events;
pub mod kubeadm;
pub mod load_balancer;
pub mod nodes;
pub mod runtime;
pub mod system;
mod template;
pub mod trust;
pub mod values;

use std::net::IpAddr;

use ipnet::IpNet;
use sealift_profile::site::{Host, HostRole, Site};

/// Where the site's CA certificate stands on every host.
pub const SITE_CA: &str = "/var/lib/sealift/pki/site-ca.crt";

/// What was probed on a host and changes how its parts are configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostSettings {
    /// The host has only the legacy cgroup hierarchy: kubelet must be told, and the cgroupfs driver is used.
    pub legacy_cgroup: bool,
    /// Root cannot lower OOM scores here (a container without `CAP_SYS_RESOURCE`).
    pub restricted_oom_score: bool,
    /// Logical processors.
    pub cpus: u32,
    /// Memory, bytes.
    pub memory_bytes: u64,
}

/// Why something could not be rendered.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A template is wrong or lacks a value.
    #[error("template {name}: {reason}")]
    Template {
        /// Template name.
        name: &'static str,
        /// The template engine's words.
        reason: String,
    },
    /// A document cannot be written as YAML.
    #[error("{what} as YAML: {reason}")]
    Yaml {
        /// Which document.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// An image reference has no tag.
    #[error("image reference `{0}` has no tag")]
    NoTag(String),
    /// The service network is too small for the cluster DNS address.
    #[error("service network {0} has no tenth address for the cluster DNS")]
    ServiceNetwork(IpNet),
    /// A node would keep all that it has.
    #[error("`nodes.reserved` keeps {kept} of {of}: nothing is left for pods")]
    NothingLeft {
        /// How much it keeps.
        kept: String,
        /// Of how much.
        of: String,
    },
    /// A value from the site is put where the values have something else than a map.
    #[error("values path `{0}` runs through something that is no map")]
    ValuesPath(String),
    /// The site was loaded without the texts of its certificates.
    #[error("the certificates of `{0}` were not read")]
    CertificatesNotRead(&'static str),
    /// The product asks a question that nobody answered.
    #[error("setting `{0}` has no default and no answer")]
    Setting(String),
}

/// The cluster DNS address: the tenth of the service network, as kubeadm chooses it.
pub fn cluster_dns(service_network: IpNet) -> Result<IpAddr, RenderError> {
    // The hosts of an IPv4 network begin after the network's own address, those of an IPv6 network with it.
    let position = if service_network.addr().is_ipv4() { 9 } else { 10 };
    service_network.hosts().nth(position).ok_or(RenderError::ServiceNetwork(service_network))
}

/// A document as YAML.
pub(crate) fn yaml_document(what: &'static str, document: &serde_json::Value) -> Result<String, RenderError> {
    serde_yaml::to_string(document).map_err(|error| RenderError::Yaml { what, reason: error.to_string() })
}

/// Hosts of a role in the profile's order.
pub fn hosts_of(site: &Site, role: HostRole) -> impl Iterator<Item = &Host> {
    site.hosts.iter().filter(move |host| host.role == role)
}

/// An address as it stands in a URL or `host:port`: IPv6 in brackets.
#[must_use]
pub fn url_host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}
