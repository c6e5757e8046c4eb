//! Traces of other clusters and container runtimes. Whether they are ours is for the checks to say.

use sealift_checks::facts::Leftover;

use super::Probe;
use crate::command::Command;

/// Folders that count when there is something in them.
const FOLDERS: [(&str, &str); 6] = [
    ("/etc/kubernetes", "Kubernetes configuration"),
    ("/var/lib/kubelet/pods", "pods of a kubelet"),
    ("/etc/cni/net.d", "pod network configuration"),
    ("/var/lib/rancher/k3s", "a k3s installation"),
    ("/var/lib/rancher/rke2", "an RKE2 installation"),
    ("/var/snap/microk8s", "a MicroK8s installation"),
];

/// Files, folders and sockets that count as they are.
const PATHS: [(&str, &str); 7] = [
    ("/var/lib/etcd/member", "etcd data"),
    ("/var/lib/kubelet/config.yaml", "kubelet configuration"),
    ("/run/containerd/containerd.sock", "a running containerd"),
    ("/run/docker.sock", "a running Docker"),
    ("/run/crio/crio.sock", "a running CRI-O"),
    ("/run/k3s/containerd/containerd.sock", "a running k3s or RKE2"),
    ("/run/podman/podman.sock", "a running Podman service"),
];

/// Units of other installations.
const UNITS: [(&str, &str); 10] = [
    ("containerd.service", "a containerd service"),
    ("docker.service", "a Docker service"),
    ("crio.service", "a CRI-O service"),
    ("kubelet.service", "a kubelet service"),
    ("etcd.service", "an etcd service"),
    ("k3s.service", "a k3s server"),
    ("k3s-agent.service", "a k3s agent"),
    ("rke2-server.service", "an RKE2 server"),
    ("rke2-agent.service", "an RKE2 agent"),
    ("k0scontroller.service", "a k0s controller"),
];

/// `paths` are those that were asked about: whichever of them a database has stood in.
pub(super) fn probe(probe: &mut Probe<'_>, paths: &[String]) -> Vec<Leftover> {
    let found = |path: &str, what: &str| Leftover { path: path.to_owned(), what: what.to_owned() };
    let mut leftovers: Vec<Leftover> = Vec::new();
    for (path, what) in FOLDERS {
        if has_content(probe, path, 3) {
            leftovers.push(found(path, what));
        }
    }
    leftovers
        .extend(PATHS.iter().filter(|(path, _)| probe.exists(path)).map(|(path, what)| found(path, what)));
    let members = paths.iter().map(|path| format!("{path}/member"));
    let elsewhere = members.filter(|path| !PATHS.iter().any(|(known, _)| known == path));
    // Other programs may call something `member`, too.
    let is_data = |path: &String| probe.exists(&format!("{path}/snap"));
    leftovers.extend(elsewhere.filter(is_data).map(|path| found(&path, "etcd data")));
    let units = units(probe);
    leftovers.extend(
        UNITS
            .iter()
            .filter(|(unit, _)| units.contains(&(*unit).to_owned()))
            .map(|(unit, what)| found(unit, what)),
    );
    leftovers
}

/// Whether a folder has a file in it, not only empty folders and placeholders as packages make them.
fn has_content(probe: &Probe<'_>, path: &str, depth: u32) -> bool {
    probe.names(path).iter().filter(|name| *name != ".kubernetes-cni-keep").any(|name| {
        let inner = format!("{path}/{name}");
        let is_folder = probe.path(&inner).is_dir();
        !is_folder || depth == 0 || has_content(probe, &inner, depth - 1)
    })
}

/// Service units that have a file on this host.
fn units(probe: &mut Probe<'_>) -> Vec<String> {
    if !probe.exists("/run/systemd/system") {
        return Vec::new();
    }
    let command = Command::new("systemctl").args([
        "list-unit-files",
        "--type=service",
        "--plain",
        "--no-legend",
        "--no-pager",
        "--full",
    ]);
    let text = probe.output(command).unwrap_or_default();
    text.lines().filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}
