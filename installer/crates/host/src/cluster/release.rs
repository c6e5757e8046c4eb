//! Helm releases, installed by the bundle's own Helm from the chart in the store.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use sealift_bundle::digest::digest_of;
use sealift_bundle::layout;
use sealift_plan::operation::ReleaseSpec;
use serde::Deserialize;

use super::{ADMIN_CONF, changed, kubectl, nodes, unchanged};
use crate::command::Command;
use crate::context::Context;
use crate::file;
use crate::journal::Change;
use crate::protocol::{Failure, FailureKind, Outcome};
use crate::transient::{self, TransientUnit};

/// What `helm status -o json` says, as far as we ask.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) info: Info,
    #[serde(default)]
    pub(super) hooks: Vec<Hook>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Info {
    pub(super) status: String,
    #[serde(default)]
    pub(super) description: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Hook {
    pub(super) name: String,
    #[serde(default)]
    pub(super) events: Vec<String>,
    #[serde(default)]
    pub(super) last_run: LastRun,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct LastRun {
    #[serde(default)]
    pub(super) phase: String,
}

/// Installs or upgrades the release where chart or values differ from what stands.
pub(super) fn ensure(ctx: &Context<'_>, release: &ReleaseSpec) -> Result<Outcome, Failure> {
    // The description travels with the release: it says exactly what was installed.
    let identity = digest_of(format!("{}\n{}", release.blob.digest, release.values).as_bytes());
    let description = format!("sealift {identity}");
    let unit = unit(ctx, release, &description)?;
    if !transient::is_running(ctx, &unit)? {
        let status = status(ctx, &release.name, &release.namespace)?;
        if status.as_ref().is_some_and(|s| s.info.status == "deployed" && s.info.description == description) {
            return Ok(unchanged(format!("{} {} in place", release.chart, release.version)));
        }
        if let Some(status) = status {
            repair(ctx, release, &status)?;
        }
        let values = serde_json::to_vec(&release.values)
            .map_err(|error| Failure::other("cannot write the values").because(&error))?;
        file::write_atomic(&ctx.paths().host(&values_path(release)), &values, 0o600)?;
    }
    ctx.record(Change::Command { command: format!("helm upgrade --install {}", release.name) })?;
    transient::run(ctx, &unit).map_err(|failure| with_hook_logs(ctx, release, failure))?;
    let after = status(ctx, &release.name, &release.namespace)?;
    match after {
        Some(status) if status.info.status == "deployed" && status.info.description == description => {
            Ok(changed(format!("{} {} deployed", release.chart, release.version)))
        }
        found => {
            let state = found.map_or("not there".to_owned(), |status| status.info.status);
            Err(Failure::new(
                FailureKind::Command,
                format!("release {} is {state}, not deployed", release.name),
            ))
        }
    }
}

/// `helm` with the administrator's kubeconfig; caches and plugins stay off the lasting disk.
pub(super) fn helm(args: &[&str]) -> Command {
    let mut command = Command::new("/usr/local/bin/helm").args(args.iter().copied());
    for (name, value) in environment() {
        command = command.env(name, value);
    }
    command
}

pub(super) fn environment() -> BTreeMap<String, String> {
    let pairs = [
        ("KUBECONFIG", ADMIN_CONF),
        ("KUBECACHEDIR", "/run/sealift/kube-cache"),
        ("HELM_CACHE_HOME", "/run/sealift/helm"),
        ("HELM_CONFIG_HOME", "/run/sealift/helm"),
        ("HELM_DATA_HOME", "/run/sealift/helm"),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// The newest revision of a release, if there is one.
pub(super) fn status(ctx: &Context<'_>, name: &str, namespace: &str) -> Result<Option<Status>, Failure> {
    let command = helm(&["status", name, "--namespace", namespace, "--output", "json"]);
    let line = command.line();
    let finished = ctx.run_to_end(command)?;
    if finished.success() {
        return serde_json::from_slice(&finished.stdout)
            .map(Some)
            .map_err(|error| super::unreadable(&line, &error));
    }
    let absent = finished.last_lines().iter().any(|line| line.contains("not found"));
    if absent { Ok(None) } else { Err(finished.failure(&line)) }
}

/// A release that a power cut left pending blocks Helm: a first install is taken away, an upgrade rolled back.
fn repair(ctx: &Context<'_>, release: &ReleaseSpec, status: &Status) -> Result<(), Failure> {
    let verb = match status.info.status.as_str() {
        "pending-install" | "uninstalling" => "uninstall",
        "pending-upgrade" | "pending-rollback" => "rollback",
        _ => return Ok(()),
    };
    ctx.record(Change::Command { command: format!("helm {verb} {}", release.name) })?;
    ctx.run(helm(&[verb, &release.name, "--namespace", &release.namespace, "--no-hooks"])).map(drop)
}

fn values_path(release: &ReleaseSpec) -> String {
    format!("/run/sealift/values-{}.json", release.name)
}

fn unit(ctx: &Context<'_>, release: &ReleaseSpec, description: &str) -> Result<TransientUnit, Failure> {
    let chart = layout::blob_path(&ctx.paths().store(), &release.blob.digest)
        .map_err(|error| Failure::other(format!("chart {}", release.chart)).because(&error))?;
    let args = [
        "upgrade",
        "--install",
        &release.name,
        &chart.display().to_string(),
        "--namespace",
        &release.namespace,
        "--create-namespace",
        "--values",
        &values_path(release),
        "--description",
        description,
        "--timeout",
        &format!("{}s", release.timeout_seconds),
        "--history-max",
        "5",
    ];
    Ok(TransientUnit {
        name: ctx.step_id().to_owned(),
        command: "/usr/local/bin/helm".to_owned(),
        args: args.map(str::to_owned).to_vec(),
        environment: environment(),
        instead: BTreeMap::new(),
        // Helm's own limit is for each hook.
        timeout: Duration::from_secs(u64::from(release.timeout_seconds) * 3 + 60),
        message: format!("helm: {} {}", release.chart, release.version),
    })
}

/// A failed hook is a failed migration more often than not: its pods' last lines say why.
fn with_hook_logs(ctx: &Context<'_>, release: &ReleaseSpec, failure: Failure) -> Failure {
    let Ok(pods) = kubectl::list::<Pod>(ctx, &["-n", &release.namespace, "pods"]) else {
        return failure;
    };
    let mut failure = failure;
    for pod in pods.iter().filter(|pod| of_job(pod) && !nodes::pod_is_well(pod)) {
        let name = pod.metadata.name.clone().unwrap_or_default();
        let args = ["-n", &release.namespace, "logs", &name, "--all-containers", "--tail=10"];
        if let Ok(logs) = kubectl::run(ctx, &args) {
            failure = failure.log(logs.text().lines().map(|line| format!("{name}: {line}")));
        }
    }
    failure
}

fn of_job(pod: &Pod) -> bool {
    pod.metadata.owner_references.iter().flatten().any(|owner| owner.kind == "Job")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_helm_writes_it() {
        let json = r#"{"name":"orders","info":{"status":"deployed","description":"sealift x","notes":"n"},
            "hooks":[{"name":"t","events":["test"],"last_run":{"started_at":"x","phase":"Succeeded"}}],"version":1}"#;
        let status: Status = serde_json::from_str(json).unwrap();
        assert_eq!(status.info.status, "deployed");
        assert_eq!(status.hooks[0].last_run.phase, "Succeeded");
    }
}
