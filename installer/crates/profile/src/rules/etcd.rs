//! Folders of the databases and of their snapshots.

use std::path::{Component, Path};

use super::Report;
use crate::etcd::BACKUPS;
use crate::site::Site;

/// Folders of the system and of other parts of the cluster: a database is neither in one nor around one, and snapshots
/// are not, either.
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

/// What a folder is for: its name in messages, and one that does.
type For = (&'static str, &'static str);

const DATABASE: For = ("the database's folder", "/var/lib/etcd");
const SNAPSHOTS: For = ("the folder of snapshots", "/var/lib/sealift/backup/etcd-events");

pub(super) fn check(site: &Site, report: &mut Report<'_>) {
    let etcd = &site.etcd;
    let own = folder("etcd.folder", &etcd.folder, DATABASE, report);
    let Some(events) = &etcd.events else { return };
    let their = folder("etcd.events.folder", &events.folder, DATABASE, report);
    if overlap(&etcd.folder, &events.folder) {
        let message = format!(
            "the folder of events `{}` and that of the cluster's database `{}` overlap",
            events.folder, etcd.folder
        );
        let remedy = "choose two folders that stand beside each other, such as /var/lib/etcd-events";
        report.find("etcd-folder", "etcd.events.folder", message, remedy);
    }
    // What is wrong with a database's own folder is told once.
    let databases = [(own, &etcd.folder), (their, &events.folder)];
    let databases = databases.into_iter().filter_map(|(fine, folder)| fine.then_some(folder.as_str()));
    snapshots(databases, &events.backup.folder, report);
}

/// The folder of snapshots. It is judged where none are taken, too: whoever turns them on finds it in order.
fn snapshots<'a>(mut databases: impl Iterator<Item = &'a str>, path: &str, report: &mut Report<'_>) {
    let at = "etcd.events.backup.folder";
    if !plain(at, path, SNAPSHOTS, report) {
        return;
    }
    if let Some(database) = databases.find(|other| overlap(path, other)) {
        let message = format!("the folder of snapshots `{path}` and that of a database `{database}` overlap");
        let remedy = format!("choose one that stands beside it, such as {}", SNAPSHOTS.1);
        report.find("etcd-folder", at, message, remedy);
    } else if !inside(path, BACKUPS) {
        // In our own folder that is the one place for them.
        alone(at, path, SNAPSHOTS, report);
    }
}

/// Whether the folder of a database is in order.
fn folder(at: &'static str, path: &str, what: For, report: &mut Report<'_>) -> bool {
    plain(at, path, what, report) && alone(at, path, what, report)
}

/// Whether a path is one that kubeadm, systemd and etcd take as it stands.
fn plain(at: &'static str, path: &str, (name, example): For, report: &mut Report<'_>) -> bool {
    let shown = format!("{name} `{path}`");
    let remedy = format!("write an absolute path of letters, digits, `-`, `_` and `.`, such as {example}");
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
    let normal = Path::new(path).components().skip(1).all(|part| matches!(part, Component::Normal(_)));
    if !path.starts_with('/') {
        report.find("etcd-folder", at, format!("{shown} does not begin with `/`"), remedy);
    } else if !path.chars().all(plain) || !normal || path.contains("//") || path.contains("/./") {
        report.find("etcd-folder", at, format!("{shown} is no plain path"), remedy);
    } else if path.ends_with('/') || path.ends_with("/.") {
        let message = format!("{shown} ends with `{}`", if path.ends_with('/') { "/" } else { "." });
        report.find("etcd-folder", at, message, "take the end off; `/` alone is no folder for it");
    } else {
        return true;
    }
    false
}

/// Whether nothing else stands there.
fn alone(at: &'static str, path: &str, (name, example): For, report: &mut Report<'_>) -> bool {
    let Some(other) = OTHERS.iter().chain(&LOST).find(|other| overlap(path, other)) else { return true };
    let message = format!("{name} `{path}` shares a place with {other}, which belongs to something else");
    report.find("etcd-folder", at, message, format!("choose a folder of its own, such as {example}"));
    false
}

/// Whether one of two folders is the other, or stands in it.
fn overlap(one: &str, other: &str) -> bool {
    inside(one, other) || inside(other, one)
}

/// Whether a path is a folder or stands in it.
fn inside(path: &str, folder: &str) -> bool {
    Path::new(path).starts_with(folder)
}
