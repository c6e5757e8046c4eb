//! Folders of the databases.

use std::path::{Component, Path};

use super::Report;
use crate::site::Site;

/// Folders of the system and of other parts of the cluster: a database is neither in one nor around one.
const OTHERS: [&str; 18] = [
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/opt/cni",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/tmp",
    "/usr",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/lib/sealift",
    "/var/log",
];
/// Gone after a boot, though nobody takes them for a part of the system.
const LOST: [&str; 2] = ["/var/run", "/var/tmp"];

pub(super) fn check(site: &Site, report: &mut Report<'_>) {
    folder("etcd.folder", &site.etcd.folder, report);
    let Some(events) = &site.etcd.events else { return };
    folder("etcd.events.folder", &events.folder, report);
    let (own, events) = (&site.etcd.folder, &events.folder);
    if inside(own, events) || inside(events, own) {
        let message =
            format!("the folder of events `{events}` and that of the cluster's database `{own}` overlap");
        let remedy = "choose two folders that stand beside each other, such as /var/lib/etcd-events";
        report.find("etcd-folder", "etcd.events.folder", message, remedy);
    }
}

/// One folder: a path that kubeadm, systemd and etcd take as it stands.
fn folder(at: &'static str, path: &str, report: &mut Report<'_>) {
    let shown = format!("the database's folder `{path}`");
    let remedy = "write an absolute path of letters, digits, `-`, `_` and `.`, such as /var/lib/etcd";
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
    if !path.starts_with('/') {
        return report.find("etcd-folder", at, format!("{shown} does not begin with `/`"), remedy);
    }
    let normal = Path::new(path).components().skip(1).all(|part| matches!(part, Component::Normal(_)));
    if !path.chars().all(plain) || !normal || path.contains("//") || path.contains("/./") {
        return report.find("etcd-folder", at, format!("{shown} is no plain path"), remedy);
    }
    if path.ends_with('/') || path.ends_with("/.") {
        let message = format!("{shown} ends with `{}`", if path.ends_with('/') { "/" } else { "." });
        return report.find("etcd-folder", at, message, "take the end off; `/` alone is no folder for it");
    }
    if let Some(other) = OTHERS.iter().chain(&LOST).find(|other| inside(path, other) || inside(other, path)) {
        let message = format!("{shown} shares a place with {other}, which belongs to something else");
        report.find("etcd-folder", at, message, "choose a folder of its own, such as /var/lib/etcd");
    }
}

/// Whether a path is a folder or stands in it.
fn inside(path: &str, folder: &str) -> bool {
    Path::new(path).starts_with(folder)
}
