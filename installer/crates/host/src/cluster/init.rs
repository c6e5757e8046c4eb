//! `kubeadm init`, one phase at a time. Each phase is probed by what it leaves behind, so a killed run goes on at the
//! first phase whose traces are missing.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{ConfigMap, Node};
use sealift_plan::operation::{FileSpec, InitPhase};
use serde::de::DeserializeOwned;

use super::{KUBELET_CONF, KUBERNETES, changed, kubectl, unchanged};
use crate::command::Command;
use crate::context::Context;
use crate::file;
use crate::journal::Change;
use crate::protocol::{Failure, FailureKind, Outcome};
use crate::transient::{self, TransientUnit};

/// Rights of `system:masters`, on the host that ran `init` alone.
const SUPER_ADMIN_CONF: &str = "/etc/kubernetes/super-admin.conf";
/// Longest time for one phase: kubeadm's own limits for kubelet and control plane are four minutes each.
const LIMIT: Duration = Duration::from_mins(10);

/// What a master has below `/etc/kubernetes/pki`.
pub(super) const CERTIFICATES: [&str; 22] = [
    "ca.crt",
    "ca.key",
    "apiserver.crt",
    "apiserver.key",
    "apiserver-kubelet-client.crt",
    "apiserver-kubelet-client.key",
    "front-proxy-ca.crt",
    "front-proxy-ca.key",
    "front-proxy-client.crt",
    "front-proxy-client.key",
    "etcd/ca.crt",
    "etcd/ca.key",
    "etcd/server.crt",
    "etcd/server.key",
    "etcd/peer.crt",
    "etcd/peer.key",
    "etcd/healthcheck-client.crt",
    "etcd/healthcheck-client.key",
    "apiserver-etcd-client.crt",
    "apiserver-etcd-client.key",
    "sa.key",
    "sa.pub",
];

/// Probes and, where its traces are missing, runs one phase.
pub(super) fn phase(
    ctx: &Context<'_>,
    phase: InitPhase,
    node: &str,
    config: &FileSpec,
) -> Result<Outcome, Failure> {
    let wrote = ctx.write_file(&config.path, config.content.as_bytes(), config.mode)?;
    if is_done(ctx, phase, node)? {
        // A running cluster is not told anew what its masters and kubelets go by: that must not look as if it were.
        return Ok(if wrote {
            changed("in place as it was made; what differs in its configuration now is not applied to it")
        } else {
            unchanged("in place")
        });
    }
    let args = arguments(phase);
    let command = format!("kubeadm init phase {}", args.join(" "));
    ctx.record(Change::Command { command: command.clone() })?;
    let mut all = vec!["init".to_owned(), "phase".to_owned()];
    all.extend(args.iter().map(ToString::to_string));
    all.push(format!("--config={}", config.path));
    if phase == InitPhase::BootstrapToken {
        all.push("--skip-token-print".to_owned());
    }
    let unit = TransientUnit {
        name: ctx.step_id().to_owned(),
        command: "/usr/local/bin/kubeadm".to_owned(),
        args: all,
        environment: BTreeMap::new(),
        instead: BTreeMap::new(),
        timeout: LIMIT,
        message: command,
    };
    transient::run(ctx, &unit)?;
    if phase == InitPhase::BootstrapToken {
        forget_default_token(ctx)?;
    }
    if !is_done(ctx, phase, node)? {
        let message = format!("kubeadm init phase {} ended well but left no trace", args.join(" "));
        return Err(Failure::new(FailureKind::Command, message));
    }
    Ok(changed("done"))
}

fn arguments(phase: InitPhase) -> Vec<&'static str> {
    match phase {
        InitPhase::Certs => vec!["certs", "all"],
        InitPhase::Kubeconfig => vec!["kubeconfig", "all"],
        InitPhase::Etcd => vec!["etcd", "local"],
        InitPhase::ControlPlane => vec!["control-plane", "all"],
        InitPhase::KubeletStart => vec!["kubelet-start"],
        InitPhase::UploadConfig => vec!["upload-config", "all"],
        InitPhase::MarkControlPlane => vec!["mark-control-plane"],
        InitPhase::BootstrapToken => vec!["bootstrap-token"],
        InitPhase::KubeletFinalize => vec!["kubelet-finalize", "all"],
        InitPhase::KubeProxy => vec!["addon", "kube-proxy"],
    }
}

fn is_done(ctx: &Context<'_>, phase: InitPhase, node: &str) -> Result<bool, Failure> {
    let there = |names: &[&str]| names.iter().all(|name| ctx.paths().host(KUBERNETES).join(name).is_file());
    Ok(match phase {
        InitPhase::Certs => CERTIFICATES.iter().all(|name| there(&[&format!("pki/{name}")])),
        InitPhase::Kubeconfig => there(&[
            "admin.conf",
            "super-admin.conf",
            "kubelet.conf",
            "controller-manager.conf",
            "scheduler.conf",
        ]),
        InitPhase::Etcd => there(&["manifests/etcd.yaml"]),
        InitPhase::ControlPlane => there(&[
            "manifests/kube-apiserver.yaml",
            "manifests/kube-controller-manager.yaml",
            "manifests/kube-scheduler.yaml",
        ]),
        InitPhase::KubeletStart => kubelet_runs(ctx)?,
        InitPhase::UploadConfig => {
            config_map(ctx, "kube-system", "kubeadm-config")?
                && config_map(ctx, "kube-system", "kubelet-config")?
        }
        InitPhase::MarkControlPlane => is_marked(ctx, node)?,
        InitPhase::BootstrapToken => config_map(ctx, "kube-public", "cluster-info")?,
        InitPhase::KubeletFinalize => {
            let conf = file::read_text_if_exists(&ctx.paths().host(KUBELET_CONF))?.unwrap_or_default();
            conf.contains("kubelet-client-current.pem")
        }
        InitPhase::KubeProxy => {
            find::<DaemonSet>(ctx, &["-n", "kube-system", "daemonset", "kube-proxy"])?.is_some()
        }
    })
}

fn kubelet_runs(ctx: &Context<'_>) -> Result<bool, Failure> {
    let configured = ctx.paths().host("/var/lib/kubelet/config.yaml").is_file();
    Ok(configured
        && ctx.run_to_end(Command::new("systemctl").args(["is-active", "--quiet", "kubelet"]))?.success())
}

/// As the super-administrator: kubeadm gives the administrator its rights in one of these very phases.
fn find<T: DeserializeOwned>(ctx: &Context<'_>, args: &[&str]) -> Result<Option<T>, Failure> {
    kubectl::find_with(ctx, SUPER_ADMIN_CONF, args)
}

fn config_map(ctx: &Context<'_>, namespace: &str, name: &str) -> Result<bool, Failure> {
    Ok(find::<ConfigMap>(ctx, &["-n", namespace, "configmap", name])?.is_some())
}

fn is_marked(ctx: &Context<'_>, node: &str) -> Result<bool, Failure> {
    const ROLE: &str = "node-role.kubernetes.io/control-plane";
    let Some(node) = find::<Node>(ctx, &["node", node])? else { return Ok(false) };
    // The taint comes in the same patch, and only where the site has workers.
    Ok(node.metadata.labels.iter().flatten().any(|(key, _)| key == ROLE))
}

/// The phase always makes a token that lasts a day; ours are made for each join and last minutes.
fn forget_default_token(ctx: &Context<'_>) -> Result<(), Failure> {
    let select = "--field-selector=type=bootstrap.kubernetes.io/token";
    kubectl::run(ctx, &["-n", "kube-system", "delete", "secrets", select])?;
    Ok(())
}

/// Whether a file of a host path is there.
pub(super) fn exists(ctx: &Context<'_>, path: &str) -> bool {
    Path::is_file(&ctx.paths().host(path))
}
