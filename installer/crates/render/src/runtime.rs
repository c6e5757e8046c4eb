//! containerd: configuration, unit, and where images come from.

use std::collections::BTreeSet;

use sealift_bundle::document::BundleDocument;
use sealift_profile::site::{Host, HostRole, Site};
use serde::Serialize;

use crate::{HostSettings, RenderError, SITE_CA, hosts_of, template, url_host};

/// `config.toml` of containerd 2.x (configuration version 3).
pub fn containerd_config(document: &BundleDocument, settings: HostSettings) -> Result<String, RenderError> {
    #[derive(Serialize)]
    struct Values<'a> {
        pause_image: &'a str,
        restrict_oom_score_adj: bool,
        systemd_cgroup: bool,
    }
    let values = Values {
        pause_image: &document.kubernetes.pause_image,
        restrict_oom_score_adj: settings.restricted_oom_score,
        systemd_cgroup: !settings.legacy_cgroup,
    };
    template::render("containerd.toml", &values)
}

/// `containerd.service`.
pub fn containerd_unit() -> Result<String, RenderError> {
    template::render("containerd.service", &Empty {})
}

/// `sealift-registry.service` on a master.
pub fn registry_unit(site: &Site, host: &Host) -> Result<String, RenderError> {
    #[derive(Serialize)]
    struct Values {
        listen: String,
    }
    let listen = format!("{}:{}", url_host(host.address), site.cluster.registry_port);
    template::render("sealift-registry.service", &Values { listen })
}

/// The masters' registries as a host asks them: its own first, then in an order that differs from host to host, so
/// that not all ask the same one.
#[must_use]
pub fn mirrors(site: &Site, host: &Host) -> Vec<String> {
    let masters: Vec<&Host> = hosts_of(site, HostRole::ControlPlane).collect();
    let position = site.hosts.iter().position(|other| other.name == host.name).unwrap_or_default();
    let first = masters.iter().position(|master| master.name == host.name);
    let first = first.unwrap_or(position % masters.len().max(1));
    let url = |master: &&Host| format!("https://{}:{}", url_host(master.address), site.cluster.registry_port);
    masters.iter().cycle().skip(first).take(masters.len()).map(url).collect()
}

/// `certs.d/NAME/hosts.toml` for every upstream registry that the bundle's images name: `(NAME, content)`.
pub fn registry_hosts(
    site: &Site,
    document: &BundleDocument,
    host: &Host,
) -> Result<Vec<(String, String)>, RenderError> {
    #[derive(Serialize)]
    struct Values<'a> {
        upstream: &'a str,
        mirrors: &'a [String],
        ca: &'a str,
    }
    let mirrors = mirrors(site, host);
    let upstreams: BTreeSet<&str> =
        document.images.iter().filter_map(|image| Some(image.name.split_once('/')?.0)).collect();
    upstreams
        .into_iter()
        .map(|upstream| {
            let values = Values { upstream, mirrors: &mirrors, ca: SITE_CA };
            Ok((upstream.to_owned(), template::render("hosts.toml", &values)?))
        })
        .collect()
}

#[derive(Serialize)]
pub(crate) struct Empty {}
