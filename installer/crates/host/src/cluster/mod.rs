//! Operations on the cluster: images, kubeadm, gates, releases. Asked of a master, through the bundle's own
//! `kubectl`, `etcdctl` and `helm`; their JSON is read into typed objects.

mod acceptance;
mod api_server;
mod config_map;
mod etcd;
mod events;
mod gate;
mod images;
mod init;
mod join;
mod kubectl;
mod nodes;
mod release;
mod roles;
mod secret;

pub use events::{EventsBackup, Snapshot, back_up_events};
use sealift_plan::operation::{Operation, SecretSet};

use crate::context::Context;
use crate::protocol::{ClusterState, Failure, FailureKind, Outcome, SecretFiles};

/// Folder of kubeadm's files.
const KUBERNETES: &str = "/etc/kubernetes";
/// The administrator's kubeconfig on masters.
const ADMIN_CONF: &str = "/etc/kubernetes/admin.conf";
/// kubelet's kubeconfig on every node.
const KUBELET_CONF: &str = "/etc/kubernetes/kubelet.conf";

pub(crate) fn apply(
    ctx: &Context<'_>,
    operation: &Operation,
    secrets: &SecretFiles,
) -> Result<Outcome, Failure> {
    match operation {
        Operation::PullImages { images } => images::pull(ctx, images),
        Operation::KubeadmInit { phase, node, config } => init::phase(ctx, *phase, node, config),
        Operation::InstallKubernetesPki { .. } => join::install_pki(ctx, secrets),
        Operation::KubeadmJoin { join, .. } => join::join(ctx, join, secrets),
        Operation::WaitFor { gate, timeout_seconds } => gate::wait(ctx, gate, *timeout_seconds),
        Operation::NodeLabels { node, labels } => nodes::label(ctx, node, labels),
        Operation::EnsureSecret { namespace, name, generated, .. } => {
            secret::ensure(ctx, namespace, name, generated, secrets)
        }
        Operation::PrepareDatabase { pod, directory } => etcd::prepare(ctx, pod, directory),
        Operation::EnsureEventsPki { names } => events::ensure(ctx, names),
        Operation::InstallEventsPki { names, .. } => events::install(ctx, secrets, names),
        Operation::JoinEvents { member } => events::join(ctx, member),
        Operation::PrepareApiServer { api_server } => api_server::prepare(ctx, api_server),
        Operation::EnsureEncryptionKey { resources } => api_server::ensure_key(ctx, resources),
        Operation::InstallEncryptionKey { .. } => api_server::install_key(ctx, secrets),
        Operation::GroupRoles { roles } => roles::ensure(ctx, roles),
        Operation::EnsureConfigMap { namespace, name, data } => {
            config_map::ensure(ctx, namespace, name, data)
        }
        Operation::HelmRelease { release } => release::ensure(ctx, release),
        Operation::Acceptance { release, namespace, timeout_seconds } => {
            acceptance::run(ctx, release, namespace, *timeout_seconds)
        }
        other => Err(Failure::other(format!("not an operation on the cluster: {other:?}"))),
    }
}

/// Hands out what a joining host needs.
pub(crate) fn export(ctx: &Context<'_>, set: SecretSet, address: &str) -> Result<SecretFiles, Failure> {
    match set {
        SecretSet::KubernetesPki => join::export_pki(ctx),
        SecretSet::JoinDiscovery => join::export_discovery(ctx, address),
        SecretSet::EncryptionKey => api_server::export_key(ctx),
        SecretSet::EventsPki => events::export(ctx),
        SecretSet::SiteCa => Err(Failure::other("the site's CA is no secret of the cluster")),
    }
}

/// The cluster as this master sees it.
pub(crate) fn state(ctx: &Context<'_>) -> Result<ClusterState, Failure> {
    let nodes = nodes::list(ctx)?;
    let pods = nodes::pods(ctx)?;
    Ok(ClusterState {
        nodes: nodes.iter().map(nodes::state).collect(),
        etcd_voters: etcd::Members::read(ctx, etcd::CLUSTER)?.healthy_voters(),
        pods: u32::try_from(pods.len()).unwrap_or(u32::MAX),
        pods_not_ready: pods.iter().filter(|pod| !nodes::pod_is_well(pod)).map(nodes::pod_name).collect(),
    })
}

/// The outcome of something that was in place already.
fn unchanged(summary: impl Into<String>) -> Outcome {
    Outcome { summary: summary.into(), ..Outcome::default() }
}

/// The outcome of something that was done.
fn changed(summary: impl Into<String>) -> Outcome {
    Outcome { changed: true, summary: summary.into(), ..Outcome::default() }
}

/// A tool's JSON that is not what its documentation says.
fn unreadable(what: &str, error: &serde_json::Error) -> Failure {
    Failure::new(FailureKind::Command, format!("cannot read the output of {what}")).because(error)
}
