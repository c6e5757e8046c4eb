//! Gates: conditions of the cluster that must hold before the next step.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use sealift_plan::operation::Gate;

use super::{ADMIN_CONF, etcd, kubectl, nodes, unchanged};
use crate::context::Context;
use crate::protocol::{Failure, FailureKind, Outcome};

const PAUSE: Duration = Duration::from_millis(500);

/// Waits until the gate is open.
pub(super) fn wait(ctx: &Context<'_>, gate: &Gate, timeout_seconds: u32) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let limit = Duration::from_secs(timeout_seconds.into());
    loop {
        // While the cluster changes, a question may fail: that is a closed gate with a reason.
        let missing = match missing(ctx, gate) {
            Ok(None) => return Ok(unchanged(describe(gate))),
            Ok(Some(missing)) => missing,
            Err(failure) => one_line(&failure),
        };
        if started.elapsed() > limit {
            let message = format!("{}: not within {timeout_seconds} s", describe(gate));
            return Err(Failure::new(FailureKind::Timeout, message).cause(missing).log(details(ctx, gate)));
        }
        ctx.still_wanted()?;
        ctx.progress(format!("waiting: {missing}"), 0, 0);
        std::thread::sleep(PAUSE);
    }
}

fn describe(gate: &Gate) -> String {
    match gate {
        Gate::ApiReady { address } => format!("API server of {address} ready"),
        Gate::EtcdVoters { members } => format!("{} healthy etcd voters", members.len()),
        Gate::EventsVoters { members } => format!("{} healthy voters for events", members.len()),
        Gate::NodesReady { nodes } if nodes.len() == 1 => "1 node Ready".to_owned(),
        Gate::NodesReady { nodes } => format!("{} nodes Ready", nodes.len()),
        Gate::WorkloadReady { namespace, workload, name } => format!("{workload} {namespace}/{name} ready"),
        Gate::AllPodsReady => "all pods Ready".to_owned(),
    }
}

/// What keeps the gate closed; `None` when it is open.
fn missing(ctx: &Context<'_>, gate: &Gate) -> Result<Option<String>, Failure> {
    match gate {
        Gate::ApiReady { .. } => api(ctx),
        Gate::EtcdVoters { members } => Ok(etcd::Members::read(ctx, etcd::CLUSTER)?.missing(members)),
        Gate::EventsVoters { members } => Ok(etcd::Members::read(ctx, etcd::EVENTS)?.missing(members)),
        Gate::NodesReady { nodes } => not_ready_nodes(ctx, nodes),
        Gate::WorkloadReady { namespace, workload, name } => unready_workload(ctx, namespace, workload, name),
        Gate::AllPodsReady => {
            let unwell: Vec<String> = nodes::pods(ctx)?
                .iter()
                .filter(|pod| !nodes::pod_is_well(pod))
                .map(nodes::pod_name)
                .collect();
            Ok((!unwell.is_empty()).then(|| format!("not Ready: {}", unwell.join(", "))))
        }
    }
}

fn api(ctx: &Context<'_>) -> Result<Option<String>, Failure> {
    let command = kubectl::command_with(ADMIN_CONF, &["get", "--raw", "/readyz", "--request-timeout=5s"]);
    let finished = ctx.run_to_end(command.timeout(Duration::from_secs(10)))?;
    if finished.success() && finished.text() == "ok" {
        return Ok(None);
    }
    Ok(Some(finished.last_lines().pop().unwrap_or_else(|| "the API server does not answer".to_owned())))
}

fn not_ready_nodes(ctx: &Context<'_>, wanted: &[String]) -> Result<Option<String>, Failure> {
    let found = nodes::list(ctx)?;
    let ready = |name: &String| {
        found.iter().any(|node| node.metadata.name.as_ref() == Some(name) && nodes::is_ready(node))
    };
    let missing: Vec<&str> = wanted.iter().filter(|name| !ready(name)).map(String::as_str).collect();
    Ok((!missing.is_empty()).then(|| format!("not Ready: {}", missing.join(", "))))
}

/// Replicas as a workload's status counts them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Replicas {
    wanted: i32,
    updated: i32,
    ready: i32,
    /// Whether the controller has seen the newest specification.
    observed: bool,
}

impl Replicas {
    fn missing(&self) -> Option<String> {
        if !self.observed {
            return Some("its controller has not seen the change yet".to_owned());
        }
        let short = self.updated.min(self.ready);
        (self.wanted == 0 || short < self.wanted)
            .then(|| format!("{short} of {} replicas ready", self.wanted))
    }
}

fn unready_workload(
    ctx: &Context<'_>,
    namespace: &str,
    workload: &str,
    name: &str,
) -> Result<Option<String>, Failure> {
    let args = ["-n", namespace, workload, name];
    let replicas = match workload {
        "Deployment" => kubectl::find::<Deployment>(ctx, &args)?.map(|found| of_deployment(&found)),
        "StatefulSet" => kubectl::find::<StatefulSet>(ctx, &args)?.map(|found| of_stateful_set(&found)),
        "DaemonSet" => kubectl::find::<DaemonSet>(ctx, &args)?.map(|found| of_daemon_set(&found)),
        other => return Err(Failure::other(format!("a gate on a {other} is not known"))),
    };
    Ok(match replicas {
        None => Some(format!("there is no {workload} {namespace}/{name}")),
        Some(replicas) => replicas.missing(),
    })
}

fn of_deployment(found: &Deployment) -> Replicas {
    let status = found.status.clone().unwrap_or_default();
    Replicas {
        wanted: found.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1),
        updated: status.updated_replicas.unwrap_or(0),
        ready: status.ready_replicas.unwrap_or(0),
        observed: status.observed_generation >= found.metadata.generation,
    }
}

fn of_stateful_set(found: &StatefulSet) -> Replicas {
    let status = found.status.clone().unwrap_or_default();
    Replicas {
        wanted: found.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1),
        updated: status.updated_replicas.unwrap_or(0),
        ready: status.ready_replicas.unwrap_or(0),
        observed: status.observed_generation >= found.metadata.generation,
    }
}

fn of_daemon_set(found: &DaemonSet) -> Replicas {
    let status = found.status.clone().unwrap_or_default();
    Replicas {
        wanted: status.desired_number_scheduled,
        updated: status.updated_number_scheduled.unwrap_or(0),
        ready: status.number_ready,
        observed: status.observed_generation >= found.metadata.generation,
    }
}

/// What a person would look at next, for a gate that stayed closed.
fn details(ctx: &Context<'_>, gate: &Gate) -> Vec<String> {
    let args: Vec<&str> = match gate {
        Gate::NodesReady { .. } => vec!["get", "nodes"],
        Gate::WorkloadReady { namespace, .. } => vec!["-n", namespace, "get", "pods,events"],
        Gate::AllPodsReady => vec!["get", "pods", "--all-namespaces"],
        Gate::ApiReady { .. } | Gate::EtcdVoters { .. } | Gate::EventsVoters { .. } => return Vec::new(),
    };
    match kubectl::run(ctx, &args) {
        Ok(finished) => finished.text().lines().rev().take(20).map(str::to_owned).collect(),
        Err(failure) => vec![failure.message],
    }
}

fn one_line(failure: &Failure) -> String {
    failure.log.last().cloned().unwrap_or_else(|| failure.message.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_set_without_nodes_is_not_ready() {
        assert!(Replicas { observed: true, ..Replicas::default() }.missing().is_some());
    }

    #[test]
    fn replicas_must_be_updated_and_ready() {
        let replicas = Replicas { wanted: 2, updated: 1, ready: 2, observed: true };
        assert_eq!(replicas.missing().unwrap(), "1 of 2 replicas ready");
        assert_eq!(Replicas { wanted: 2, updated: 2, ready: 2, observed: true }.missing(), None);
        assert!(Replicas { wanted: 2, updated: 2, ready: 2, observed: false }.missing().is_some());
    }
}
