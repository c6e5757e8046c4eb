//! Joining: the CA pairs and the discovery file come from a master through the seat's memory, then `kubeadm join`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_plan::operation::{JoinPhase, JoinSpec};
use serde_json::json;

use super::init::{CERTIFICATES, exists};
use super::{ADMIN_CONF, KUBELET_CONF, changed, etcd, kubectl, unchanged};
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
/// What kubelet has of every node that joined: its configuration and the certificate that the cluster gave it.
const NODE_TRACES: [&str; 3] = [KUBELET_CONF, "/var/lib/kubelet/config.yaml", KUBELET_CERTIFICATE];
/// What a prepared master has beside its certificates; kubelet's flags are written last.
const PREPARED_TRACES: [&str; 5] = [
    ADMIN_CONF,
    "/etc/kubernetes/controller-manager.conf",
    "/etc/kubernetes/scheduler.conf",
    "/var/lib/kubelet/config.yaml",
    "/var/lib/kubelet/kubeadm-flags.env",
];
const MANIFESTS: &str = "/etc/kubernetes/manifests";
const MANIFEST_NAMES: [&str; 4] =
    ["kube-apiserver.yaml", "kube-controller-manager.yaml", "kube-scheduler.yaml", "etcd.yaml"];
/// Label that kubeadm gives to masters.
const CONTROL_PLANE_ROLE: &str = "node-role.kubernetes.io/control-plane";
/// How long etcd and an API server may take to be there again after a cut.
const CLUSTER_START: Duration = Duration::from_mins(1);
const DISCOVERY_NAME: &str = "discovery.conf";
const DISCOVERY_PATH: &str = "/run/sealift/discovery.conf";
const HOSTS: &str = "/etc/hosts";
/// What kubeadm sees in its place while a master asks another one.
const JOINING_HOSTS: &str = "/run/sealift/hosts-joining";
/// How long a join may take to begin.
const TOKEN_TTL: &str = "20m";
/// How often the part that changes etcd is tried.
const ETCD_ATTEMPTS: u32 = 3;
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

/// Does one part of this host's join where it is not done yet.
pub(super) fn join(ctx: &Context<'_>, join: &JoinSpec, secrets: &SecretFiles) -> Result<Outcome, Failure> {
    let units = units(ctx, join);
    let mut begun = None;
    for (number, unit) in units.iter().enumerate() {
        if transient::is_running(ctx, unit)? {
            begun = Some(number);
        }
    }
    if begun.is_none() {
        if is_done(ctx, join)? {
            return finish(ctx, join).map(|changed| Outcome { changed, ..unchanged("joined already") });
        }
        write_secrets(ctx, join, secrets)?;
        if join.phase != JoinPhase::Worker {
            write_hosts(ctx, join)?;
            // kubelet looks for static pods once in 20 seconds where the folder comes after it.
            if ctx.make_directory(MANIFESTS)? {
                // As kubeadm makes it.
                file::set_mode(&ctx.paths().host(MANIFESTS), 0o700)?;
            }
        }
    }
    for (number, unit) in units.iter().enumerate().skip(begun.unwrap_or_default()) {
        // A kubelet that has its certificate needs no second start.
        let again = join.phase == JoinPhase::ControlPlane && number == 0;
        if again && begun.is_none() && exists(ctx, KUBELET_CERTIFICATE) {
            continue;
        }
        ctx.record(Change::Command { command: unit.message.clone() })?;
        if let Err(failure) = run(ctx, join.phase, unit) {
            if !transient::is_running(ctx, unit)? {
                remove_secrets(ctx, join);
            }
            return Err(failure);
        }
    }
    remove_secrets(ctx, join);
    finish(ctx, join)?;
    Ok(changed(match join.phase {
        JoinPhase::Worker => "joined as worker",
        JoinPhase::Prepare => "certificates made, kubelet started",
        JoinPhase::Etcd => "etcd member added",
        JoinPhase::ControlPlane => "joined as master",
    }))
}

/// Runs a command to its end. kubeadm gives up where a busy etcd takes two seconds for one of its questions, and goes on
/// when run again.
fn run(ctx: &Context<'_>, phase: JoinPhase, unit: &TransientUnit) -> Result<(), Failure> {
    let attempts = if phase == JoinPhase::Etcd { ETCD_ATTEMPTS } else { 1 };
    for _ in 1..attempts {
        match transient::run(ctx, unit) {
            Err(failure) if failure.kind == FailureKind::Command => {}
            result => return result.map(drop),
        }
    }
    transient::run(ctx, unit).map(drop)
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

/// A copy of `/etc/hosts` in which the endpoint's name leads to the master that is joined through.
fn write_hosts(ctx: &Context<'_>, join: &JoinSpec) -> Result<(), Failure> {
    let name = join.endpoint.rsplit_once(':').map_or(join.endpoint.as_str(), |(name, _)| name);
    let hosts = file::read_text_if_exists(&ctx.paths().host(HOSTS))?.unwrap_or_default();
    let line = format!("{} {name}", join.via);
    let pointed: String = hosts
        .lines()
        .map(|old| if old.split_whitespace().nth(1) == Some(name) { line.as_str() } else { old })
        .fold(String::with_capacity(hosts.len()), |text, line| text + line + "\n");
    file::write_atomic(&ctx.paths().host(JOINING_HOSTS), pointed.as_bytes(), 0o644).map(drop)
}

/// The phases of each command of a part, named as kubeadm names them; a worker's join has no parts.
///
/// kubelet is started twice. The first start is for the static pods; it has to ask the API server of its own host for a
/// certificate, pauses longer after each refusal, and so does what reads the node's pods. When that API server answers,
/// the second start asks at once, with a token that is surely valid.
fn phases(part: JoinPhase) -> &'static [&'static [&'static str]] {
    match part {
        JoinPhase::Worker => &[&[]],
        JoinPhase::Prepare => &[&[
            "preflight",
            "control-plane-prepare/download-certs",
            "control-plane-prepare/certs",
            "control-plane-prepare/kubeconfig",
            "kubelet-start",
        ]],
        JoinPhase::Etcd => &[&["control-plane-prepare/control-plane", "check-etcd", "etcd-join"]],
        JoinPhase::ControlPlane => {
            &[&["kubelet-start"], &["kubelet-wait-bootstrap", "control-plane-join", "wait-control-plane"]]
        }
    }
}

/// The commands of a part.
///
/// Until a master's own etcd member runs, it has to ask another master, though the endpoint's name leads to itself:
/// kubeadm alone sees another `/etc/hosts`, so that no pod that starts meanwhile remembers the other master.
fn units(ctx: &Context<'_>, join: &JoinSpec) -> Vec<TransientUnit> {
    phases(join.phase).iter().map(|own| unit(ctx, join, own)).collect()
}

fn unit(ctx: &Context<'_>, join: &JoinSpec, own: &[&str]) -> TransientUnit {
    let parts = [JoinPhase::Prepare, JoinPhase::Etcd, JoinPhase::ControlPlane];
    let mut skipped: Vec<&str> = parts.into_iter().flat_map(phases).copied().flatten().copied().collect();
    skipped.retain(|phase| !own.contains(phase));
    skipped.sort_unstable();
    skipped.dedup();
    let mut args = vec!["join".to_owned(), format!("--config={}", join.config.path)];
    if !own.is_empty() {
        args.push(format!("--skip-phases={}", skipped.join(",")));
    }
    let mut ignored = join.ignore_preflight.clone();
    // Left by a join that a power cut ended; our own checks have refused other clusters' leftovers before.
    for check in [
        "FileAvailable--etc-kubernetes-kubelet.conf",
        "FileAvailable--etc-kubernetes-bootstrap-kubelet.conf",
        "FileAvailable--etc-kubernetes-pki-ca.crt",
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
    let through_another = matches!(join.phase, JoinPhase::Prepare | JoinPhase::Etcd);
    TransientUnit {
        name: ctx.step_id().to_owned(),
        command: "/usr/local/bin/kubeadm".to_owned(),
        args,
        environment: BTreeMap::new(),
        timeout: LIMIT,
        instead: BTreeMap::from_iter(through_another.then(|| (HOSTS.to_owned(), JOINING_HOSTS.to_owned()))),
        message: match join.phase {
            JoinPhase::Worker => "kubeadm join".to_owned(),
            _ => format!("kubeadm join: {}", own.join(", ")),
        },
    }
}

/// Whether this part has been done. Nobody may have been there when its command ended.
fn is_done(ctx: &Context<'_>, join: &JoinSpec) -> Result<bool, Failure> {
    let there = |paths: &[&str]| paths.iter().all(|path| exists(ctx, path));
    match join.phase {
        JoinPhase::Worker => Ok(there(&NODE_TRACES)),
        JoinPhase::Prepare => {
            let certificates = CERTIFICATES.iter().all(|name| exists(ctx, &format!("{PKI}/{name}")));
            Ok(certificates && there(&PREPARED_TRACES))
        }
        // One that is a master already is never joined anew because its etcd is unwell.
        JoinPhase::Etcd => Ok(MANIFEST_NAMES.iter().all(|name| exists(ctx, &format!("{MANIFESTS}/{name}")))
            && (there(&NODE_TRACES) && is_labelled(ctx, join)? || becomes_voter(ctx, join)?)),
        JoinPhase::ControlPlane => Ok(there(&NODE_TRACES) && is_labelled(ctx, join)?),
    }
}

/// Whether the cluster knows this node as a master: the label is the last trace that a join leaves. The master that is
/// joined through is asked; after a power cut the cluster may need a moment.
fn is_labelled(ctx: &Context<'_>, join: &JoinSpec) -> Result<bool, Failure> {
    let server = through(join);
    let args =
        ["get", "nodes", "--output=name", "--request-timeout=10s", "--selector", CONTROL_PLANE_ROLE, &server];
    let name = format!("node/{}", join.node);
    let started = Instant::now();
    loop {
        let asked = ctx.run(kubectl::command(&args).timeout(Duration::from_secs(20)));
        match asked {
            Ok(finished) => return Ok(finished.text().lines().any(|line| line == name)),
            Err(failure) if started.elapsed() > CLUSTER_START => return Err(failure),
            Err(_) => wait_a_second(ctx, "waiting for the cluster's API")?,
        }
    }
}

/// Whether this host's etcd member is a healthy voter, or will be within moments.
fn becomes_voter(ctx: &Context<'_>, join: &JoinSpec) -> Result<bool, Failure> {
    let started = Instant::now();
    loop {
        let missing = etcd::Members::read(ctx, etcd::CLUSTER)
            .map(|members| members.missing(std::slice::from_ref(&join.node)));
        if matches!(missing, Ok(None)) {
            return Ok(true);
        }
        if started.elapsed() > CLUSTER_START {
            return Ok(false);
        }
        wait_a_second(ctx, "waiting for this master's etcd")?;
    }
}

fn wait_a_second(ctx: &Context<'_>, message: &str) -> Result<(), Failure> {
    ctx.still_wanted()?;
    ctx.progress(message, 0, 0);
    std::thread::sleep(Duration::from_secs(1));
    Ok(())
}

/// The option that lets kubectl ask the master that is joined through.
fn through(join: &JoinSpec) -> String {
    let port = join.endpoint.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(6443);
    format!("--server=https://{}", SocketAddr::new(join.via, port))
}

/// A worker's kubelet asks its own load balancer from now on, not the master that it joined through. Gives whether
/// anything changed.
fn finish(ctx: &Context<'_>, join: &JoinSpec) -> Result<bool, Failure> {
    if join.phase != JoinPhase::Worker {
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
