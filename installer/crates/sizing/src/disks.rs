//! Disks by path and duty: the one source of what an install takes and of what machines should be bought with.
//!
//! | path | least: this version, nothing else | advised |
//! | --- | --- | --- |
//! | `/` | | [`SYSTEM`] |
//! | `/usr/local/bin` | binaries, unpacked (also those for `/opt/cni/bin`, on the same file system on any host that was set up by hand) | twice (this version and the next) |
//! | `/var/lib/sealift` | masters: every blob of the bundle, since each serves them all; workers: packed binaries; and [`PROGRAM`] | blobs twice, and [`PROGRAM`] |
//! | `/var/lib/containerd` | images × [`UNPACKED`], and [`WRITABLE`] | images twice, [`WRITABLE`] twice, and at most 80 % full |
//! | `/var/lib/kubelet` | [`PODS`] | [`PODS`] twice |
//! | `/var/log/pods` | | [`LOGS`] |
//! | the folder of events' database (masters, where it is chosen) | [`EVENTS_LEAST`] | [`EVENTS`], a device of its own |
//! | the folder of its snapshots (masters, where they are taken) | [`EVENTS_LEAST`] | [`SNAPSHOT`] × those that are kept and the one in the making |
//! | the database's folder (masters) | [`ETCD_LEAST`] | [`ETCD`], a device of its own |
//!
//! A machine that both steers and works has the images and programs of both. Where a bundle is for several platforms, a
//! machine has the programs of one of them: those count that take most. What parts keep stands on workers under their own
//! paths.

use std::collections::BTreeSet;

use sealift_bundle::document::{BundleDocument, Role};
use sealift_profile::{Backup, Etcd, HostRole};
use serde::Serialize;

use crate::fit::spread;
use crate::parts::{Demand, Store};
use crate::words::{self, Figure, Unit, disk};

/// The operating system, its packages and its own logs, bytes.
pub const SYSTEM: u64 = 20_000_000_000;
/// Our own program, twice while it is replaced, and our logs and journals, bytes.
pub const PROGRAM: u64 = 200_000_000;
/// etcd: its largest quota advised (8 GiB, etcd.io "system limits"), snapshots and a log of writes, bytes.
pub const ETCD: u64 = 20 << 30;
/// etcd's default quota (2 GiB), its write-ahead log and a snapshot in the making, bytes.
pub const ETCD_LEAST: u64 = 3_000_000_000;
/// The database of events: etcd's default quota (2 GiB), twice while it is defragmented, and a log of writes, bytes.
pub const EVENTS: u64 = 6 << 30;
/// Events of one hour (kube-apiserver's `--event-ttl`) and a log of writes, bytes.
pub const EVENTS_LEAST: u64 = 1_000_000_000;
/// A snapshot of the database of events: etcd's default quota (2 GiB), above which no database grows, bytes.
pub const SNAPSHOT: u64 = 2 << 30;
/// An image's blobs are kept as they are (1) and unpacked (3: layers shrink to about a third when compressed).
pub const UNPACKED: u64 = 4;
/// What containers write into their own layers, bytes.
pub const WRITABLE: u64 = 1_000_000_000;
/// Volumes in memory's place, pod logs and plugin sockets, bytes.
pub const PODS: u64 = 1_000_000_000;
/// Logs of a full node: 110 pods with 5 files of 10 MiB each (kubelet's defaults), bytes.
pub const LOGS: u64 = 110 * 5 * (10 << 20);
/// Percent of the images' disk that may be used: kubelet deletes images from 85 % on, and checks complain from 80 %.
const IMAGES_FILL: u64 = 80;
/// Percent of a data disk that may be used.
pub(crate) const FILL: u64 = 85;

/// Bytes of a bundle that end up on machines, by what these do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BundleBytes {
    /// On machines that steer.
    pub masters: HostBytes,
    /// On machines that work.
    pub workers: HostBytes,
    /// On machines that do both.
    pub both: HostBytes,
}

/// Bytes of a bundle that end up on one machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostBytes {
    /// Blobs that it keeps in its store.
    pub store: u64,
    /// Images that it preloads, compressed.
    pub images: u64,
    /// Binaries, unpacked.
    pub programs: u64,
}

impl BundleBytes {
    /// Those of a bundle; a blob that two images share counts once.
    #[must_use]
    pub fn of(document: &BundleDocument) -> Self {
        Self {
            masters: HostBytes::of(document, &[Role::ControlPlane]),
            workers: HostBytes::of(document, &[Role::Worker]),
            both: HostBytes::of(document, &[Role::ControlPlane, Role::Worker]),
        }
    }

    /// Those of a machine that steers, works, or does both.
    #[must_use]
    pub fn doing(&self, steers: bool, works: bool) -> HostBytes {
        match (steers, works) {
            (true, true) => self.both,
            (true, false) => self.masters,
            (false, _) => self.workers,
        }
    }
}

impl HostBytes {
    /// Those of a machine that has these roles.
    #[must_use]
    pub fn of(document: &BundleDocument, roles: &[Role]) -> Self {
        let wanted = |of: &[Role]| roles.iter().any(|role| of.contains(role));
        let images = document.images.iter().filter(|image| wanted(&image.roles));
        let blobs: BTreeSet<&str> = images.flat_map(|image| image.blobs.iter().map(String::as_str)).collect();
        let blobs = document.blobs.iter().filter(|blob| blobs.contains(blob.digest.as_str()));
        let files = document.files_of_a_host(roles);
        Self {
            store: if roles.contains(&Role::ControlPlane) {
                document.host_bytes()
            } else {
                files.iter().map(|file| file.size).sum()
            },
            images: blobs.map(|blob| blob.size).sum(),
            programs: files.iter().map(|file| file.plain_size).sum(),
        }
    }
}

/// A path of the system on one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemPath {
    /// Absolute path.
    pub path: String,
    /// Bytes without which this version cannot be installed; 0 where that asks for none.
    pub least: u64,
    /// Bytes that it should have.
    pub advised: u64,
    /// What it holds, in words.
    pub holds: &'static str,
    /// Why so many are advised, one sentence.
    pub because: String,
    /// Whether it is to have a device of its own that answers fast: a database waits for its disk at every change.
    pub own_device: bool,
}

fn row(path: &str, least: u64, advised: u64, holds: &'static str, because: &str) -> SystemPath {
    let because = crate::parts::capital(because);
    SystemPath { path: path.to_owned(), least, advised, holds, because, own_device: false }
}

fn of_events(folder: &str) -> SystemPath {
    let because =
        "The database of events: 2 GiB of them, as much again while it is tidied, and a log of writes.";
    let row = row(folder, EVENTS_LEAST, EVENTS, "the database of events", because);
    SystemPath { own_device: true, ..row }
}

/// Room for the snapshots of events' database.
fn of_snapshots(backup: &Backup) -> SystemPath {
    let advised = SNAPSHOT.saturating_mul(u64::from(backup.keep) + 1);
    let because = format!(
        "Snapshots of the database of events, 2 GiB each at most: {} that are kept, and the next one.",
        backup.keep
    );
    row(&backup.folder, EVENTS_LEAST, advised, "snapshots of the database of events", &because)
}

/// The system's paths on a machine with these bytes; `databases` where it is a master.
#[must_use]
pub fn system_paths(bytes: &HostBytes, databases: Option<&Etcd>) -> Vec<SystemPath> {
    let HostBytes { store, images, programs } = *bytes;
    let unpacked = images.saturating_mul(UNPACKED * 2).saturating_add(WRITABLE * 2);
    let (held, what) = if databases.is_some() {
        ("the whole bundle, served to the other hosts", "the whole bundle, served to the other machines,")
    } else {
        ("the installer and the packed binaries", "the packed programs of the cluster")
    };
    let mut paths = vec![
        row("/", 0, SYSTEM, "the operating system", &format!("{} for the operating system.", disk(SYSTEM))),
        row(
            STORE,
            store.saturating_add(PROGRAM),
            store.saturating_mul(2).saturating_add(PROGRAM),
            held,
            &format!(
                "{what} twice: this version and the next ({} each), and {} for the installer.",
                disk(store),
                disk(PROGRAM)
            ),
        ),
        row(
            BINARIES,
            programs,
            programs.saturating_mul(2),
            "the cluster's binaries",
            &format!("The cluster's programs, this version and the next ({} each).", disk(programs)),
        ),
        row(
            CONTAINERD,
            images.saturating_mul(UNPACKED).saturating_add(WRITABLE),
            words::narrow((u128::from(unpacked) * 100).div_ceil(u128::from(IMAGES_FILL))),
            "images, packed and unpacked",
            &format!(
                "Images ({} packed) as they came and unpacked, this version and the next, with {} to write; at most {IMAGES_FILL} % full.",
                disk(images),
                disk(WRITABLE * 2)
            ),
        ),
        row(
            KUBELET,
            PODS,
            PODS * 2,
            "pods' own files",
            &format!("{} for files of running programs.", disk(PODS * 2)),
        ),
        row(
            "/var/log/pods",
            0,
            LOGS,
            "pods' logs",
            &format!("{}: logs of 110 programs, 5 files of 10 MiB each.", disk(LOGS)),
        ),
    ];
    if let Some(etcd) = databases {
        let because = "The cluster's database: 8 GiB of records, copies of them, and a log of writes.";
        let row = row(&etcd.folder, ETCD_LEAST, ETCD, "the cluster's database", because);
        paths.push(SystemPath { own_device: true, ..row });
        if let Some(events) = &etcd.events {
            paths.push(of_events(&events.folder));
            paths.extend(events.backup().map(of_snapshots));
        }
    }
    paths
}

const STORE: &str = "/var/lib/sealift";
const BINARIES: &str = "/usr/local/bin";
const CONTAINERD: &str = "/var/lib/containerd";
const KUBELET: &str = "/var/lib/kubelet";

/// Disk that a path needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PathNeed {
    /// Whose path it is.
    pub role: HostRole,
    /// Absolute path.
    pub path: String,
    /// On how many of these machines; absent for all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machines: Option<u64>,
    /// Whether it needs a device of its own that answers fast (SSD).
    pub own_device: bool,
    /// Bytes on each of these machines.
    pub size: Figure,
}

/// Paths that every host of a role has.
pub(crate) fn of_system(role: HostRole, bytes: &BundleBytes, etcd: &Etcd) -> Vec<PathNeed> {
    let steers = role == HostRole::ControlPlane;
    let need = |one: SystemPath| {
        let of_bundle = [STORE, BINARIES, CONTAINERD].contains(&one.path.as_str());
        PathNeed {
            role,
            path: one.path,
            machines: None,
            own_device: one.own_device,
            size: Figure {
                amount: one.advised,
                unit: Unit::Bytes,
                because: one.because,
                inputs: vec![if of_bundle { "bundle" } else { "constant" }.to_owned()],
                assumed: false,
            },
        }
    };
    system_paths(&bytes.doing(steers, !steers), steers.then_some(etcd)).into_iter().map(need).collect()
}

/// What a store takes on each worker that holds some of it, when one of them may be lost (`spare`) or not.
pub(crate) fn on_each(store: &Store, spare: bool) -> u64 {
    let carriers = spread(store, spare).map_or(1, |all| if spare { all - 1 } else { all });
    let each = (u128::from(store.bytes) * 100).div_ceil(u128::from(FILL) * u128::from(carriers));
    words::narrow(each)
}

/// Paths of what parts keep.
pub(crate) fn of_stores(demand: &Demand, spare: bool) -> Vec<PathNeed> {
    let need = |store: &Store| {
        let each = on_each(store, spare);
        let place = match spread(store, spare) {
            None => "It may be on any machine that works, so each has room for it.".to_owned(),
            Some(all) if spare => {
                format!(
                    "It is spread over {all} machines; when one is lost the others still have room for all."
                )
            }
            Some(all) => format!("It is spread over {all} machines."),
        };
        let because =
            format!("{} {place} Disks are at most {FILL} % full: {} on each.", store.because, disk(each));
        PathNeed {
            role: HostRole::Worker,
            path: store.path.clone(),
            machines: spread(store, spare),
            own_device: false,
            size: Figure {
                amount: each,
                unit: Unit::Bytes,
                because,
                inputs: store.inputs.clone(),
                assumed: store.assumed,
            },
        }
    };
    demand.stores.iter().map(need).collect()
}

/// Bytes of all these paths together.
pub(crate) fn total<'a>(paths: impl Iterator<Item = &'a PathNeed>) -> u64 {
    paths.fold(0, |sum, need| sum.saturating_add(need.size.amount))
}

/// The next 10 GB: a disk that one can ask for.
pub(crate) fn rounded(bytes: u64) -> u64 {
    const STEP: u64 = 10_000_000_000;
    bytes.div_ceil(STEP).saturating_mul(STEP)
}
