//! What kubeadm leaves on a host, phase by phase (Kubernetes' page "Implementation details" of kubeadm).

use super::{Content, FileChange};

/// Certificates and keys of every master.
const CERTIFICATES: [&str; 11] = [
    "ca",
    "apiserver",
    "apiserver-kubelet-client",
    "apiserver-etcd-client",
    "front-proxy-ca",
    "front-proxy-client",
    "etcd/ca",
    "etcd/server",
    "etcd/peer",
    "etcd/healthcheck-client",
    "sa",
];
/// Those that a joining master takes over.
const SHARED: [&str; 4] = ["ca", "front-proxy-ca", "etcd/ca", "sa"];
const CONTROL_PLANE: [&str; 3] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];

fn made(path: String, mode: &str, content: Content) -> FileChange {
    let (mode, owner) = (mode.to_owned(), "root:root".to_owned());
    FileChange { path, mode, owner, content, removed_afterwards: false, now: None }
}

fn by_kubeadm() -> Content {
    Content::Made { by: "kubeadm".to_owned() }
}

fn pair(name: &str) -> [FileChange; 2] {
    // The service account's public half is no certificate, and kubeadm writes it as it writes keys.
    let (public, mode) = if name == "sa" { ("pub", "0600") } else { ("crt", "0644") };
    let path = |suffix: &str| format!("/etc/kubernetes/pki/{name}.{suffix}");
    [made(path(public), mode, by_kubeadm()), made(path("key"), "0600", Content::Secret { size: None })]
}

/// Certificates and keys of the first master.
pub(super) fn certificates() -> Vec<FileChange> {
    CERTIFICATES.iter().flat_map(|name| pair(name)).collect()
}

/// Certificates and keys that a joining master makes beside those that it has taken over.
pub(super) fn own_certificates() -> Vec<FileChange> {
    CERTIFICATES.iter().filter(|name| !SHARED.contains(name)).flat_map(|name| pair(name)).collect()
}

/// The pairs that a joining master takes over from the first one.
pub(super) fn shared_pairs() -> Vec<FileChange> {
    let mut files: Vec<FileChange> = SHARED.iter().flat_map(|name| pair(name)).collect();
    for file in &mut files {
        if matches!(file.content, Content::Made { .. }) {
            "0644".clone_into(&mut file.mode);
        }
    }
    files
}

/// Kubeconfig files: they hold keys.
pub(super) fn kubeconfigs(names: &[&str]) -> Vec<FileChange> {
    let path = |name: &&str| format!("/etc/kubernetes/{name}.conf");
    names.iter().map(|name| made(path(name), "0600", Content::Secret { size: None })).collect()
}

/// etcd's static pod.
pub(super) fn etcd() -> Vec<FileChange> {
    vec![manifest("etcd")]
}

/// The control plane's static pods.
pub(super) fn control_plane() -> Vec<FileChange> {
    CONTROL_PLANE.iter().map(|name| manifest(name)).collect()
}

fn manifest(name: &str) -> FileChange {
    made(format!("/etc/kubernetes/manifests/{name}.yaml"), "0600", by_kubeadm())
}

/// kubelet's own configuration.
pub(super) fn kubelet() -> Vec<FileChange> {
    ["config.yaml", "kubeadm-flags.env"]
        .map(|name| made(format!("/var/lib/kubelet/{name}"), "0644", by_kubeadm()))
        .into()
}

/// What a worker gets of the cluster's certificates.
pub(super) fn authority() -> FileChange {
    made("/etc/kubernetes/pki/ca.crt".to_owned(), "0644", by_kubeadm())
}
