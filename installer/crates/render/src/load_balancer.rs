//! The load balancer on each worker: `HAProxy` as a static pod, health-checked, on the loopback address.

use sealift_bundle::digest::digest_of;
use sealift_bundle::document::BundleDocument;
use sealift_profile::site::{HostRole, Site};
use serde::Serialize;
use serde_json::json;

use crate::{RenderError, hosts_of, template, url_host};

/// Where its configuration stands on the worker.
pub const CONFIG_PATH: &str = "/etc/sealift/haproxy/haproxy.cfg";
/// Where its manifest stands on the worker.
pub const MANIFEST_PATH: &str = "/etc/kubernetes/manifests/sealift-api-balancer.yaml";

/// `haproxy.cfg`.
pub fn config(site: &Site) -> Result<String, RenderError> {
    #[derive(Serialize)]
    struct Master<'a> {
        name: &'a str,
        address: String,
    }
    #[derive(Serialize)]
    struct Values<'a> {
        port: u16,
        masters: Vec<Master<'a>>,
    }
    let masters = hosts_of(site, HostRole::ControlPlane)
        .map(|host| Master { name: &host.name, address: url_host(host.address) })
        .collect();
    template::render("haproxy.cfg", &Values { port: site.cluster.endpoint_port, masters })
}

/// The static pod. Its annotation holds the configuration's digest, so that a changed member list replaces the pod.
pub fn manifest(document: &BundleDocument, config: &str) -> Result<String, RenderError> {
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "sealift-api-balancer",
            "namespace": "kube-system",
            "labels": {"app.kubernetes.io/name": "api-balancer", "app.kubernetes.io/managed-by": "sealift"},
            "annotations": {"sealift.dev/config-digest": digest_of(config.as_bytes())},
        },
        "spec": {
            "hostNetwork": true,
            "priorityClassName": "system-node-critical",
            "containers": [{
                "name": "haproxy",
                "image": document.kubernetes.load_balancer_image,
                "imagePullPolicy": "IfNotPresent",
                "command": ["haproxy", "-W", "-db", "-f", CONFIG_PATH],
                "resources": {"requests": {"cpu": "25m", "memory": "32Mi"}},
                "securityContext": {"readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false},
                "volumeMounts": [{"name": "config", "mountPath": "/etc/sealift/haproxy", "readOnly": true}],
            }],
            "volumes": [{"name": "config", "hostPath": {"path": "/etc/sealift/haproxy", "type": "Directory"}}],
        },
    });
    serde_yaml::to_string(&pod)
        .map_err(|error| RenderError::Yaml { what: "load balancer pod", reason: error.to_string() })
}
