//! Config maps with what the site knows and the product may want.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{changed, kubectl, unchanged};
use crate::context::Context;
use crate::protocol::{Failure, Outcome};

/// Makes a config map, or corrects it.
pub(super) fn ensure(
    ctx: &Context<'_>,
    namespace: &str,
    name: &str,
    data: &BTreeMap<String, String>,
) -> Result<Outcome, Failure> {
    kubectl::ensure_namespace(ctx, namespace)?;
    let before: Option<ConfigMap> = kubectl::find(ctx, &["-n", namespace, "configmap", name])?;
    if before.as_ref().and_then(|map| map.data.as_ref()) == Some(data) {
        return Ok(unchanged(format!("config map {name} is as wanted")));
    }
    let map = ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some(BTreeMap::from([("app.kubernetes.io/managed-by".into(), "sealift".into())])),
            ..ObjectMeta::default()
        },
        data: Some(data.clone()),
        ..ConfigMap::default()
    };
    let verb = if before.is_some() { "replace" } else { "create" };
    let object = serde_json::to_vec(&map)
        .map_err(|error| Failure::other(format!("cannot write config map {name}")).because(&error))?;
    ctx.run(kubectl::command(&[verb, "-f", "-"]).input(object))?;
    Ok(changed(format!("config map {namespace}/{name}")))
}
