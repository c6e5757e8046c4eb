//! Nodes and pods as the API shows them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Pod};

use super::{changed, kubectl, unchanged};
use crate::context::Context;
use crate::protocol::{Failure, NodeState, Outcome};

const ROLE_PREFIX: &str = "node-role.kubernetes.io/";

pub(super) fn list(ctx: &Context<'_>) -> Result<Vec<Node>, Failure> {
    kubectl::list(ctx, &["nodes"])
}

pub(super) fn pods(ctx: &Context<'_>) -> Result<Vec<Pod>, Failure> {
    kubectl::list(ctx, &["pods", "--all-namespaces"])
}

pub(super) fn state(node: &Node) -> NodeState {
    let labels = node.metadata.labels.iter().flatten();
    let roles = labels.filter_map(|(key, _)| key.strip_prefix(ROLE_PREFIX)).map(str::to_owned).collect();
    let version = node.status.as_ref().and_then(|status| status.node_info.as_ref());
    NodeState {
        name: node.metadata.name.clone().unwrap_or_default(),
        roles,
        version: version.map(|info| info.kubelet_version.clone()).unwrap_or_default(),
        ready: is_ready(node),
    }
}

pub(super) fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Ready and staying, or done.
pub(super) fn pod_is_well(pod: &Pod) -> bool {
    let Some(status) = &pod.status else { return false };
    if status.phase.as_deref() == Some("Succeeded") {
        return true;
    }
    let conditions = status.conditions.iter().flatten();
    pod.metadata.deletion_timestamp.is_none()
        && conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

pub(super) fn pod_name(pod: &Pod) -> String {
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    format!("{}/{}", part(&pod.metadata.namespace), part(&pod.metadata.name))
}

/// Sets labels that are missing or differ.
pub(super) fn label(
    ctx: &Context<'_>,
    node: &str,
    labels: &BTreeMap<String, String>,
) -> Result<Outcome, Failure> {
    let found: Node = kubectl::get(ctx, &["node", node])?;
    let has = found.metadata.labels.unwrap_or_default();
    let missing: Vec<String> = labels
        .iter()
        .filter(|(key, value)| has.get(*key) != Some(value))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    if missing.is_empty() {
        return Ok(unchanged(format!("{node} has its labels")));
    }
    let mut args = vec!["label", "node", node, "--overwrite"];
    args.extend(missing.iter().map(String::as_str));
    kubectl::run(ctx, &args)?;
    Ok(changed(format!("{node}: {}", missing.join(", "))))
}
