//! Joining: the CA pairs and the discovery file come from a master through the seat's memory, then `kubeadm join`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_plan::operation::JoinSpec;
use serde_json::json;

use super::init::exists;
use super::{ADMIN_CONF, KUBELET_CONF, changed, kubectl, unchanged};
use crate::command::Command;
use crate::context::Context;
use crate::file;
use crate::journal::Change;
use crate::protocol::{Failure, FailureKind, Outcome, SecretFile, SecretFiles};
use crate::transient::{self, TransientUnit};

/// Exactly what a joining master needs; more would break its own certificates' names (kubeadm's page on highly
/// available clusters, "manual certificate distribution").
const SHARED: [&str; 8] = [
    "ca.crt",
    "ca.key",
    "sa.key",
    "sa.pub",
    "front-proxy-ca.crt",
    "front-proxy-ca.key",
    "etcd/ca.crt",
    "etcd/ca.key",
];
const PKI: &str = "/etc/kubernetes/pki";
/// Made by kubelet when the cluster has signed its request.
const KUBELET_CERTIFICATE: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";
/// Label that kubeadm gives to masters.
const CONTROL_PLANE_ROLE: &str = "node-role.kubernetes.io/control-plane";
/// How long an API server may take whose etcd has just joined.
const API_SERVER_START: Duration = Duration::from_mins(1);
const DISCOVERY_NAME: &str = "discovery.conf";
const DISCOVERY_PATH: &str = "/run/sealift/discovery.conf";
/// How long a join may take to begin.
const TOKEN_TTL: &str = "20m";
/// kubeadm's limits for discovery, TLS bootstrap, etcd and the control plane together.
const LIMIT: Duration = Duration::from_mins(20);

/// The CA pairs of this master.
pub(super) fn export_pki(ctx: &Context<'_>) -> Result<SecretFiles, Failure> {
    SHARED.iter().map(|name| read_secret(ctx, name)).collect::<Result<_, _>>().map(SecretFiles)
}

fn read_secret(ctx: &Context<'_>, name: &str) -> Result<SecretFile, Failure> {
    let path = ctx.paths().host(&format!("{PKI}/{name}"));
    let content = file::read_text_if_exists(&path)?
        .ok_or_else(|| Failure::new(FailureKind::Conflict, format!("{PKI}/{name} is not on this master")))?;
    Ok(SecretFile { name: name.to_owned(), content })
}

/// Writes the CA pairs where they are missing.
pub(super) fn install_pki(ctx: &Context<'_>, secrets: &SecretFiles) -> Result<Outcome, Failure> {
    if secrets.0.is_empty() {
        if SHARED.iter().all(|name| exists(ctx, &format!("{PKI}/{name}"))) {
            return Ok(unchanged("CA pairs in place"));
        }
        return Err(needs_secrets("the cluster's CA pairs"));
    }
    let mut written = false;
    for name in SHARED {
        let secret = secrets.0.iter().find(|secret| secret.name == name);
        let secret = secret.ok_or_else(|| Failure::other(format!("the CA pairs came without {name}")))?;
        let mode = if name.rsplit('.').next() == Some("key") { 0o600 } else { 0o644 };
        written |= ctx.write_file(&format!("{PKI}/{name}"), secret.content.as_bytes(), mode)?;
    }
    Ok(Outcome { changed: written, ..unchanged("CA pairs copied") })
}

/// A token of minutes and the kubeconfig that holds it; `address` is the API server's URL as the joining host asks it.
pub(super) fn export_discovery(ctx: &Context<'_>, address: &str) -> Result<SecretFiles, Failure> {
    let create = Command::new("/usr/local/bin/kubeadm").args([
        "token",
        "create",
        "--ttl",
        TOKEN_TTL,
        "--kubeconfig",
        ADMIN_CONF,
    ]);
    let token = ctx.run(create)?.text();
    let ca = read_secret(ctx, "ca.crt")?;
    let discovery = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "site", "cluster": {
            "server": address,
            "certificate-authority-data": STANDARD.encode(ca.content.as_bytes()),
        }}],
        "users": [{"name": "joining", "user": {"token": token}}],
        "contexts": [{"name": "join", "context": {"cluster": "site", "user": "joining"}}],
        "current-context": "join",
    });
    Ok(SecretFiles(vec![SecretFile { name: DISCOVERY_NAME.to_owned(), content: discovery.to_string() }]))
}

/// Joins this host where it has not joined yet.
///
/// A master joins in two halves. Until its own etcd member runs, everything asks the endpoint for the cluster, so the
/// name leads to another master; then it leads to this one again, before any pod starts that would remember the other.
pub(super) fn join(ctx: &Context<'_>, join: &JoinSpec, secrets: &SecretFiles) -> Result<Outcome, Failure> {
    let halves = halves(ctx, join);
    let mut begun = None;
    for (number, unit) in halves.iter().enumerate() {
        if transient::is_running(ctx, unit)? {
            begun = Some(number);
        }
    }
    if begun.is_none() {
        if has_joined(ctx, join)? {
            return finish(ctx, join).map(|changed| Outcome { changed, ..unchanged("joined already") });
        }
        write_secrets(ctx, join, secrets)?;
        if first_half_is_done(ctx, join)? {
            begun = Some(1);
        } else {
            forget_half_joined(ctx, join)?;
        }
    }
    for (number, unit) in halves.iter().enumerate().skip(begun.unwrap_or_default()) {
        if join.control_plane {
            point_endpoint(ctx, join, if number == 0 { join.via } else { join.address })?;
        }
        ctx.record(Change::Command { command: unit.message.clone() })?;
        if let Err(failure) = transient::run(ctx, unit) {
            if !transient::is_running(ctx, unit)? {
                if join.control_plane {
                    point_endpoint(ctx, join, join.address)?;
                }
                remove_secrets(ctx, join);
            }
            return Err(failure);
        }
    }
    remove_secrets(ctx, join);
    finish(ctx, join)?;
    Ok(changed(if join.control_plane { "joined as master" } else { "joined as worker" }))
}

fn write_secrets(ctx: &Context<'_>, join: &JoinSpec, secrets: &SecretFiles) -> Result<(), Failure> {
    let Some(discovery) = secrets.0.iter().find(|secret| secret.name == DISCOVERY_NAME) else {
        return Err(needs_secrets("a token to join with"));
    };
    file::write_atomic(&ctx.paths().host(DISCOVERY_PATH), discovery.content.as_bytes(), 0o600)?;
    let config = join.config.content.replace("@DISCOVERY@", DISCOVERY_PATH);
    file::write_atomic(&ctx.paths().host(&join.config.path), config.as_bytes(), join.config.mode)?;
    Ok(())
}

fn remove_secrets(ctx: &Context<'_>, join: &JoinSpec) {
    for path in [DISCOVERY_PATH, join.config.path.as_str()] {
        // Both stand on a volatile file system; one that is gone is as good.
        let _ = std::fs::remove_file(ctx.paths().host(path));
    }
}

/// Lets the endpoint's name lead to a master, in the line that an earlier step has written into `/etc/hosts`.
fn point_endpoint(ctx: &Context<'_>, join: &JoinSpec, address: IpAddr) -> Result<(), Failure> {
    let name = join.endpoint.rsplit_once(':').map_or(join.endpoint.as_str(), |(name, _)| name);
    let path = ctx.paths().host("/etc/hosts");
    let hosts = file::read_text_if_exists(&path)?.unwrap_or_default();
    let line = format!("{address} {name}");
    let pointed: String = hosts
        .lines()
        .map(|old| if old.split_whitespace().nth(1) == Some(name) { line.as_str() } else { old })
        .fold(String::with_capacity(hosts.len()), |text, line| text + line + "\n");
    file::write_atomic(&path, pointed.as_bytes(), 0o644).map(drop)
}

/// The commands of a join. Phases are named as kubeadm names them.
fn halves(ctx: &Context<'_>, join: &JoinSpec) -> Vec<TransientUnit> {
    if !join.control_plane {
        return vec![unit(ctx, join, "kubeadm join", None)];
    }
    let first = "kubelet-wait-bootstrap,control-plane-join,wait-control-plane";
    let second = "preflight,control-plane-prepare,check-etcd,kubelet-start,etcd-join";
    vec![
        unit(ctx, join, "kubeadm join, until etcd", Some(first)),
        unit(ctx, join, "kubeadm join, from kubelet on", Some(second)),
    ]
}

fn unit(ctx: &Context<'_>, join: &JoinSpec, message: &str, skip_phases: Option<&str>) -> TransientUnit {
    let mut args = vec!["join".to_owned(), format!("--config={}", join.config.path)];
    args.extend(skip_phases.map(|phases| format!("--skip-phases={phases}")));
    let mut ignored = join.ignore_preflight.clone();
    // Left by a join that a power cut ended; our own checks have refused other clusters' leftovers before.
    for check in [
        "FileAvailable--etc-kubernetes-kubelet.conf",
        "FileAvailable--etc-kubernetes-bootstrap-kubelet.conf",
        "FileAvailable--etc-kubernetes-pki-ca.crt",
        "DirAvailable--var-lib-etcd",
        "DirAvailable--etc-kubernetes-manifests",
        "FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml",
        "FileAvailable--etc-kubernetes-manifests-kube-controller-manager.yaml",
        "FileAvailable--etc-kubernetes-manifests-kube-scheduler.yaml",
        "FileAvailable--etc-kubernetes-manifests-etcd.yaml",
        "Port-10250",
        "Port-6443",
        "Port-10257",
        "Port-10259",
        "Port-2379",
        "Port-2380",
    ] {
        if !ignored.iter().any(|one| one == check) {
            ignored.push(check.to_owned());
        }
    }
    args.push(format!("--ignore-preflight-errors={}", ignored.join(",")));
    TransientUnit {
        name: ctx.step_id().to_owned(),
        command: "/usr/local/bin/kubeadm".to_owned(),
        args,
        environment: BTreeMap::new(),
        timeout: LIMIT,
        message: message.to_owned(),
    }
}

/// A joined host has kubelet's configuration and the certificate that the cluster gave it; a master also has an API
/// server that knows it.
fn has_joined(ctx: &Context<'_>, join: &JoinSpec) -> Result<bool, Failure> {
    let mut traces = vec![KUBELET_CONF, "/var/lib/kubelet/config.yaml", KUBELET_CERTIFICATE];
    if join.control_plane {
        traces.extend([ADMIN_CONF, "/etc/kubernetes/manifests/kube-apiserver.yaml"]);
    }
    if !traces.iter().all(|path| exists(ctx, path)) {
        return Ok(false);
    }
    if !join.control_plane {
        return Ok(true);
    }
    // The label is the last trace that a join leaves.
    let labelled =
        ["get", "nodes", "--output=name", "--request-timeout=10s", "--selector", CONTROL_PLANE_ROLE];
    let finished = ctx.run_to_end(kubectl::command(&labelled).timeout(Duration::from_secs(20)))?;
    let name = format!("node/{}", join.node);
    Ok(finished.success() && finished.text().lines().any(|line| line == name))
}

/// Nobody may have been there when the first half ended: then etcd's manifest stands and this master's own API server
/// answers, or will within moments.
fn first_half_is_done(ctx: &Context<'_>, join: &JoinSpec) -> Result<bool, Failure> {
    if !join.control_plane || !exists(ctx, ADMIN_CONF) || !exists(ctx, "/etc/kubernetes/manifests/etcd.yaml")
    {
        return Ok(false);
    }
    let port = join.endpoint.rsplit(':').next().unwrap_or("6443");
    let server = format!("--server=https://{}:{port}", join.address);
    let started = Instant::now();
    loop {
        let ask = kubectl::command(&["get", "--raw", "/readyz", "--request-timeout=5s", &server]);
        if ctx.run_to_end(ask.timeout(Duration::from_secs(10)))?.success() {
            return Ok(true);
        }
        if started.elapsed() > API_SERVER_START {
            return Ok(false);
        }
        ctx.still_wanted()?;
        ctx.progress("waiting for this master's API server", 0, 0);
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// A master whose join was cut short may be known as a node already: kubeadm refuses the name of a Ready node.
fn forget_half_joined(ctx: &Context<'_>, join: &JoinSpec) -> Result<(), Failure> {
    if !join.control_plane || !exists(ctx, ADMIN_CONF) {
        return Ok(());
    }
    let port = join.endpoint.rsplit(':').next().unwrap_or("6443");
    let server = format!("--server=https://{}:{port}", join.via);
    let args = ["delete", "node", &join.node, "--ignore-not-found", &server];
    ctx.run(kubectl::command(&args)).map(drop)
}

/// A worker's kubelet asks its own load balancer from now on, not the master that it joined through. Gives whether
/// anything changed.
fn finish(ctx: &Context<'_>, join: &JoinSpec) -> Result<bool, Failure> {
    if join.control_plane {
        return Ok(false);
    }
    let server = format!("    server: https://{}", join.endpoint);
    let conf = file::read_text_if_exists(&ctx.paths().host(KUBELET_CONF))?.unwrap_or_default();
    let rewritten: String = conf
        .lines()
        .map(|line| if line.trim_start().starts_with("server:") { server.as_str() } else { line })
        .fold(String::with_capacity(conf.len()), |text, line| text + line + "\n");
    if !ctx.write_file(KUBELET_CONF, rewritten.as_bytes(), 0o600)? {
        return Ok(false);
    }
    ctx.run(Command::new("systemctl").args(["restart", "kubelet"]))?;
    Ok(true)
}

fn needs_secrets(what: &str) -> Failure {
    Failure::new(FailureKind::NeedsSecrets, format!("this step needs {what}"))
}
