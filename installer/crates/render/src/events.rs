//! The database of events: its members as static pods beside the cluster's own database, how API servers find it, and
//! when snapshots of it are taken.
//!
//! Who trusts whom. kube-apiserver has one set of `--etcd-…file` arguments for all its databases (page "kube-apiserver",
//! `--etcd-servers-overrides`), so it shows the members of both the same client certificate, which the authority of the
//! cluster's own database signed, and it believes a server that any authority in its one CA file vouches for. So:
//!
//! - Members here have an authority of their own for what they serve and for each other: [`PKI`]`/ca.crt`.
//! - As clients they take whom the cluster's own database takes, and nobody else: `clients-ca.crt` is a copy of that
//!   database's authority. A copy, since the pod then needs no folder in which that authority's key stands.
//! - API servers get both authorities in one file ([`SERVERS_CA`]).
//!
//! Nothing that the new authority signs opens the cluster's own database, and as a client not even this one; and there is
//! no client certificate more to renew.

use std::net::IpAddr;

use sealift_bundle::document::BundleDocument;
use sealift_profile::Events;
use sealift_profile::site::{Host, HostRole, Site};
use serde::Serialize;
use serde_json::json;

use crate::{RenderError, hosts_of, template, url_host, yaml_document};

/// Folder of its certificates on masters. API servers see it: kubeadm mounts `/etc/kubernetes/pki` into their pods.
pub const PKI: &str = "/etc/kubernetes/pki/etcd-events";
/// The authorities of all databases, for API servers.
pub const SERVERS_CA: &str = "/etc/kubernetes/pki/etcd-events/servers-ca.crt";
/// Name of the static pod.
pub const POD: &str = "etcd-events";
/// Its manifest on masters.
pub const MANIFEST_PATH: &str = "/etc/kubernetes/manifests/etcd-events.yaml";
/// TCP port for clients.
pub const CLIENT_PORT: u16 = 2382;
/// TCP port for the other members.
pub const PEER_PORT: u16 = 2383;
/// TCP port on the loopback address for health and metrics.
pub const METRICS_PORT: u16 = 2384;

/// The unit that says when a master takes a snapshot of its member.
pub const BACKUP_TIMER: &str = "sealift-events-backup.timer";
/// Where the two units of snapshots stand: what is done, and when.
pub const BACKUP_UNITS: [&str; 2] =
    ["/etc/systemd/system/sealift-events-backup.service", "/etc/systemd/system/sealift-events-backup.timer"];
/// Minutes after the start of the first master until its first snapshot; each master begins so many after the one before.
const APART: usize = 10;

/// Seconds that a member may take to start, in tries of ten: as kubeadm gives the cluster's own database.
const START_TRIES: u32 = 24;

/// Where clients reach the member of this address.
#[must_use]
pub fn client_url(address: IpAddr) -> String {
    format!("https://{}:{CLIENT_PORT}", url_host(address))
}

/// Where the other members reach the member of this address.
#[must_use]
pub fn peer_url(address: IpAddr) -> String {
    format!("https://{}:{PEER_PORT}", url_host(address))
}

/// Names of a member's certificates.
#[must_use]
pub fn certificate_names(host: &Host) -> Vec<String> {
    let own = [host.name.clone(), host.address.to_string()];
    own.into_iter().chain(["localhost", "127.0.0.1", "::1"].map(str::to_owned)).collect()
}

/// Arguments of every API server, by name: events go to the member on its own master, as all else goes to the cluster's
/// own database there.
#[must_use]
pub fn api_server_arguments(site: &Site) -> crate::nodes::Arguments {
    if site.etcd.events.is_none() {
        return Vec::new();
    }
    vec![
        ("etcd-cafile".to_owned(), SERVERS_CA.to_owned()),
        ("etcd-servers-overrides".to_owned(), format!("/events#https://127.0.0.1:{CLIENT_PORT}")),
    ]
}

/// The masters whose members stand before that of this host: members are added one at a time in the profile's order.
pub fn before<'a>(site: &'a Site, host: &'a Host) -> impl Iterator<Item = &'a Host> {
    hosts_of(site, HostRole::ControlPlane).take_while(|other| other.name != host.name)
}

/// The static pod of this master; nothing where events have no database of their own.
pub fn manifest(site: &Site, document: &BundleDocument, host: &Host) -> Result<Option<String>, RenderError> {
    let Some(events) = &site.etcd.events else { return Ok(None) };
    let arguments = arguments(site, host, &events.folder);
    let probe = |path: &str, tries: u32| {
        json!({
            "httpGet": {"host": "127.0.0.1", "port": METRICS_PORT, "path": path, "scheme": "HTTP"},
            "initialDelaySeconds": 5, "periodSeconds": 10, "timeoutSeconds": 15, "failureThreshold": tries,
        })
    };
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": POD,
            "namespace": "kube-system",
            "labels": {"component": POD, "tier": "control-plane", "app.kubernetes.io/managed-by": "sealift"},
        },
        "spec": {
            "hostNetwork": true,
            "priorityClassName": "system-node-critical",
            "priority": 2_000_001_000,
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": POD,
                "image": document.kubernetes.etcd_image,
                "imagePullPolicy": "IfNotPresent",
                "command": arguments,
                // Half of what kubeadm asks for the cluster's own database: events are the smaller part of the writes.
                "resources": {"requests": {"cpu": "50m", "memory": "100Mi"}},
                // A member alone reads what it has, a quorum or not: no restart heals one that has none.
                "livenessProbe": probe("/livez", 8),
                "readinessProbe": probe("/readyz", 3),
                "startupProbe": probe("/readyz", START_TRIES),
                "volumeMounts": [
                    {"name": "data", "mountPath": events.folder},
                    {"name": "certificates", "mountPath": PKI, "readOnly": true},
                ],
            }],
            "volumes": [
                // No folder is made here: it is there, or its disk is missing.
                {"name": "data", "hostPath": {"path": events.folder, "type": "Directory"}},
                {"name": "certificates", "hostPath": {"path": PKI, "type": "Directory"}},
            ],
        },
    });
    yaml_document("pod of the database of events", &pod).map(Some)
}

/// The units in [`BACKUP_UNITS`] that take snapshots on this master; nothing where none are taken.
///
/// Every master takes its own: whichever is lost, the others have them, and none needs to know which is well.
pub fn backup_units(site: &Site, host: &Host) -> Result<Option<[String; 2]>, RenderError> {
    #[derive(Serialize)]
    struct Values<'a> {
        member: &'a str,
        folder: &'a str,
        keep: u32,
        hours: u32,
        first_minutes: usize,
    }
    let Some(backup) = site.etcd.events.as_ref().and_then(Events::backup) else { return Ok(None) };
    let values = Values {
        member: &host.name,
        folder: &backup.folder,
        keep: backup.keep,
        hours: backup.every_hours,
        first_minutes: APART * (before(site, host).count() + 1),
    };
    let service = template::render("sealift-events-backup.service", &values)?;
    Ok(Some([service, template::render(BACKUP_TIMER, &values)?]))
}

/// The first member begins alone, each other one comes to those before it, as with the cluster's own database. With all of
/// them named from the start, the first would have no quorum before the second stood; an API server is well only while
/// each of its databases is (its checks `etcd-override-0` and `etcd-override-readiness-0`), and without the first one no
/// other master could join.
fn arguments(site: &Site, host: &Host, folder: &str) -> Vec<String> {
    let (client, peer) = (client_url(host.address), peer_url(host.address));
    let members: Vec<String> = before(site, host)
        .chain([host])
        .map(|member| format!("{}={}", member.name, peer_url(member.address)))
        .collect();
    let state = if members.len() == 1 { "new" } else { "existing" };
    let file = |name: &str| format!("{PKI}/{name}");
    let options = [
        ("name", host.name.clone()),
        ("data-dir", folder.to_owned()),
        ("initial-cluster", members.join(",")),
        ("initial-cluster-state", state.to_owned()),
        // Other than etcd's default, which the cluster's own database has: members of the two never mix.
        ("initial-cluster-token", "sealift-events".to_owned()),
        ("listen-client-urls", format!("https://127.0.0.1:{CLIENT_PORT},{client}")),
        ("advertise-client-urls", client),
        ("listen-peer-urls", peer.clone()),
        ("initial-advertise-peer-urls", peer),
        ("listen-metrics-urls", format!("http://127.0.0.1:{METRICS_PORT}")),
        ("snapshot-count", "10000".to_owned()),
        // Its gateway for JSON would call itself with a certificate that is none of a client.
        ("enable-grpc-gateway", "false".to_owned()),
        ("client-cert-auth", "true".to_owned()),
        ("trusted-ca-file", file("clients-ca.crt")),
        ("cert-file", file("server.crt")),
        ("key-file", file("server.key")),
        ("peer-client-cert-auth", "true".to_owned()),
        ("peer-trusted-ca-file", file("ca.crt")),
        ("peer-cert-file", file("peer.crt")),
        ("peer-key-file", file("peer.key")),
    ];
    let options = options.into_iter().map(|(name, value)| format!("--{name}={value}"));
    ["etcd".to_owned()].into_iter().chain(options).collect()
}
