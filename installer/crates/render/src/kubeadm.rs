//! kubeadm's documents (v1beta4) and the per-host kubelet patch.
//!
//! Field names and phases: the Kubernetes reference page `config-api/kubeadm-config.v1beta4`.

use sealift_bundle::document::BundleDocument;
use sealift_profile::site::{Host, HostRole, Site};
use serde_json::{Value, json};

use crate::nodes::{self, Arguments};
use crate::{HostSettings, RenderError, api, cluster_dns, hosts_of, yaml_document};

/// Folder with the host's patches, named in every kubeadm document.
pub const PATCHES_FOLDER: &str = "/etc/sealift/kubeadm-patches";
/// The kubelet patch in that folder.
pub const KUBELET_PATCH: &str = "/etc/sealift/kubeadm-patches/kubeletconfiguration0+merge.yaml";
/// The resolver file that kubelet gives to pods.
pub const RESOLV_CONF: &str = "/etc/sealift/resolv.conf";
/// What a join document has where the discovery file's path goes.
pub const DISCOVERY_PLACEHOLDER: &str = "@DISCOVERY@";

const CRI_SOCKET: &str = "unix:///run/containerd/containerd.sock";
const API_VERSION: &str = "kubeadm.k8s.io/v1beta4";

/// `InitConfiguration`, `ClusterConfiguration`, `KubeletConfiguration` and `KubeProxyConfiguration` of the first master.
///
/// `small_conntrack` leaves the connection tracking table alone, for hosts that may not write its size.
pub fn init_config(
    site: &Site,
    document: &BundleDocument,
    host: &Host,
    small_conntrack: bool,
) -> Result<String, RenderError> {
    let init = json!({
        "apiVersion": API_VERSION,
        "kind": "InitConfiguration",
        "localAPIEndpoint": local_endpoint(site, host),
        "nodeRegistration": node_registration(site, host),
        "patches": {"directory": PATCHES_FOLDER},
    });
    let documents = [
        init,
        cluster_configuration(site, document)?,
        kubelet_configuration(site)?,
        kube_proxy_configuration(site, small_conntrack),
    ];
    yaml_documents("kubeadm init configuration", &documents)
}

/// `JoinConfiguration` of every other host; the discovery file is put in at run time.
pub fn join_config(site: &Site, host: &Host) -> Result<String, RenderError> {
    let mut join = json!({
        "apiVersion": API_VERSION,
        "kind": "JoinConfiguration",
        "discovery": {"file": {"kubeConfigPath": DISCOVERY_PLACEHOLDER}},
        "nodeRegistration": node_registration(site, host),
        "patches": {"directory": PATCHES_FOLDER},
    });
    if host.role == HostRole::ControlPlane {
        join["controlPlane"] = json!({"localAPIEndpoint": local_endpoint(site, host)});
    }
    yaml_documents("kubeadm join configuration", &[join])
}

/// The part of `KubeletConfiguration` that depends on what was probed on this host: cgroups, and what of its size it
/// keeps.
pub fn kubelet_patch(site: &Site, settings: HostSettings) -> Result<String, RenderError> {
    let mut patch = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": if settings.legacy_cgroup { "cgroupfs" } else { "systemd" },
        // The default, true, keeps kubelet from starting on cgroup v1 (Kubernetes 1.35 and later).
        "failCgroupV1": !settings.legacy_cgroup,
    });
    add(&mut patch, nodes::kept(nodes::reservation(site.nodes.reserved, settings)?));
    yaml_documents("kubelet patch", &[patch])
}

/// kubeadm preflight checks to skip on this host, each for a reason that our own checks cover.
#[must_use]
pub fn ignored_preflight(site: &Site, host: &Host, settings: HostSettings) -> Vec<String> {
    let mut ignored = Vec::new();
    if host.role == HostRole::ControlPlane {
        // On a file system of its own it is never empty, and a join that is resumed finds its data there; kubeadm writes
        // the path into the check's name.
        ignored.push(format!("DirAvailable-{}", site.etcd.folder.replace('/', "-")));
    }
    if host.role == HostRole::Worker {
        // The load balancer's manifest stands there before kubelet starts.
        ignored.push("DirAvailable--etc-kubernetes-manifests".to_owned());
    }
    if settings.legacy_cgroup {
        // It refuses cgroup v1; the finding `cgroup.version` has told the site.
        ignored.push("SystemVerification".to_owned());
    }
    ignored
}

/// Masters listen on the endpoint's port, so that the endpoint's name leads to each of them unchanged.
fn local_endpoint(site: &Site, host: &Host) -> Value {
    json!({"advertiseAddress": host.address, "bindPort": site.cluster.endpoint_port})
}

/// Masters keep ordinary pods away, unless there is nobody else to run them. An empty list is no taint; a missing one
/// would be kubeadm's default taint.
fn node_registration(site: &Site, host: &Host) -> Value {
    let reserved = host.role == HostRole::ControlPlane && site.workers().next().is_some();
    let taints = if reserved {
        json!([{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}])
    } else {
        json!([])
    };
    let mut arguments = vec![("node-ip".to_owned(), host.address.to_string())];
    // Where it stands must be known from its first moment: the scheduler goes by it. A kubelet may say these labels itself
    // (page "Using Node Authorization", NodeRestriction); the others come through the API.
    let labels: Vec<String> =
        host.placement.labels().iter().map(|(label, value)| format!("{label}={value}")).collect();
    if !labels.is_empty() {
        arguments.push(("node-labels".to_owned(), labels.join(",")));
    }
    json!({
        "name": host.name,
        "criSocket": CRI_SOCKET,
        "imagePullPolicy": "IfNotPresent",
        "taints": taints,
        "kubeletExtraArgs": named(arguments),
    })
}

fn cluster_configuration(site: &Site, document: &BundleDocument) -> Result<Value, RenderError> {
    let cluster = &site.cluster;
    let (etcd_repository, etcd_tag) = split_tag(&document.kubernetes.etcd_image)?;
    let repository = etcd_repository.rsplit_once('/').map_or(etcd_repository, |(repository, _)| repository);
    let mut names = vec![cluster.endpoint.clone(), "127.0.0.1".to_owned(), "localhost".to_owned()];
    for master in hosts_of(site, HostRole::ControlPlane) {
        names.push(master.name.clone());
        names.push(master.address.to_string());
    }
    let api_server = [nodes::api_server_arguments(site), api::api_server_arguments(site)].concat();
    let controller_manager = [nodes::controller_manager_arguments(site), api::other_arguments(site)].concat();
    Ok(json!({
        "apiVersion": API_VERSION,
        "kind": "ClusterConfiguration",
        "clusterName": site.metadata.name,
        "kubernetesVersion": document.kubernetes.version,
        "imageRepository": repository,
        "controlPlaneEndpoint": format!("{}:{}", cluster.endpoint, cluster.endpoint_port),
        "networking": {
            "podSubnet": cluster.pod_cidr.to_string(),
            "serviceSubnet": cluster.service_cidr.to_string(),
            "dnsDomain": "cluster.local",
        },
        "apiServer": {
            "certSANs": names,
            "extraArgs": named(api_server),
            "extraVolumes": api::api_server_volumes(site),
        },
        "controllerManager": {"extraArgs": named(controller_manager)},
        "scheduler": {"extraArgs": named(api::other_arguments(site))},
        "etcd": {"local": {"dataDir": site.etcd.folder, "imageRepository": repository, "imageTag": etcd_tag}},
        // CoreDNS is a component of the bundle, spread over the masters.
        "dns": {"disabled": true},
    }))
}

/// Arguments as kubeadm wants them.
fn named(arguments: Arguments) -> Value {
    arguments.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

/// Puts the keys of one map beside those of another.
fn add(map: &mut Value, more: Value) {
    if let (Value::Object(map), Value::Object(more)) = (map, more) {
        map.extend(more);
    }
}

fn kubelet_configuration(site: &Site) -> Result<Value, RenderError> {
    let mut configuration = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "clusterDNS": [cluster_dns(site.cluster.service_cidr)?],
        "resolvConf": RESOLV_CONF,
        "serializeImagePulls": false,
        "maxParallelImagePulls": 3,
        // Images cannot be pulled again from outside: collect late. Those of the bundle are pinned besides.
        "imageGCHighThresholdPercent": 90,
        "imageGCLowThresholdPercent": 85,
    });
    add(&mut configuration, nodes::kubelet_settings(site));
    add(&mut configuration, api::kubelet_settings(site));
    Ok(configuration)
}

fn kube_proxy_configuration(site: &Site, small_conntrack: bool) -> Value {
    let mut config = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": site.cluster.pod_cidr.to_string(),
    });
    if small_conntrack {
        config["conntrack"] = json!({"maxPerCore": 0, "min": 0});
    }
    config
}

/// Splits `repository:tag`; a colon before the last slash belongs to a port.
fn split_tag(reference: &str) -> Result<(&str, &str), RenderError> {
    match reference.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => Ok((repository, tag)),
        _ => Err(RenderError::NoTag(reference.to_owned())),
    }
}

fn yaml_documents(what: &'static str, documents: &[Value]) -> Result<String, RenderError> {
    let texts: Result<Vec<String>, _> = documents.iter().map(|one| yaml_document(what, one)).collect();
    texts.map(|texts| texts.join("---\n"))
}
