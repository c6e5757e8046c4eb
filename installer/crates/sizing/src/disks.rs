//! Disks by path and role.
//!
//! | path | masters | workers |
//! | --- | --- | --- |
//! | `/` | [`SYSTEM`] | [`SYSTEM`] |
//! | `/var/lib/etcd` | [`ETCD`], a device of its own | none |
//! | `/var/lib/sealift` | bundle × 2 (this version and the next) | binaries × 2 |
//! | `/var/lib/containerd` | images × [`UNPACKED`] × 2, and [`WRITABLE`]; of all that 80 % may be used | the same |
//! | `/var/lib/kubelet` | [`PODS`] | [`PODS`] |
//! | `/var/log/pods` | [`LOGS`] | [`LOGS`] |
//!
//! What parts keep stands on workers under their own paths.

use std::collections::BTreeSet;

use sealift_bundle::document::{BundleDocument, Role};
use sealift_profile::HostRole;
use serde::Serialize;

use crate::fit::spread;
use crate::parts::{Demand, Store};
use crate::words::{self, Figure, Unit, disk};

/// The operating system, its packages and its own logs, bytes.
pub const SYSTEM: u64 = 20_000_000_000;
/// etcd: its largest quota advised (8 GiB, etcd.io "system limits"), snapshots and a log of writes, bytes.
pub const ETCD: u64 = 20 << 30;
/// An image's blobs are kept as they are (1) and unpacked (3: layers shrink to about a third when compressed).
pub const UNPACKED: u64 = 4;
/// What containers write into their own layers, bytes.
pub const WRITABLE: u64 = 2_000_000_000;
/// Volumes in memory's place and plugin sockets, bytes.
pub const PODS: u64 = 2_000_000_000;
/// Logs of a full node: 110 pods with 5 files of 10 MiB each (kubelet's defaults), bytes.
pub const LOGS: u64 = 110 * 5 * (10 << 20);
/// Percent of the images' disk that may be used: kubelet deletes images from 85 % on, and checks complain from 80 %.
const IMAGES_FILL: u64 = 80;
/// Percent of a data disk that may be used.
pub(crate) const FILL: u64 = 85;

/// Bytes of a bundle that end up on hosts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BundleBytes {
    /// Every blob: what each master serves.
    pub all: u64,
    /// Images that masters preload, compressed.
    pub master_images: u64,
    /// Images that workers preload, compressed.
    pub worker_images: u64,
    /// Binaries of workers, unpacked.
    pub worker_files: u64,
}

impl BundleBytes {
    /// Those of a bundle; a blob that two images share counts once.
    #[must_use]
    pub fn of(document: &BundleDocument) -> Self {
        let images = |role: Role| -> u64 {
            let of_role = document.images.iter().filter(|image| image.roles.contains(&role));
            let wanted: BTreeSet<&str> =
                of_role.flat_map(|image| image.blobs.iter().map(String::as_str)).collect();
            let blobs = document.blobs.iter().filter(|blob| wanted.contains(blob.digest.as_str()));
            blobs.map(|blob| blob.size).sum()
        };
        let files = document.files.iter().filter(|file| file.roles.contains(&Role::Worker));
        Self {
            all: document.blobs.iter().map(|blob| blob.size).sum(),
            master_images: images(Role::ControlPlane),
            worker_images: images(Role::Worker),
            worker_files: files.map(|file| file.plain_size).sum(),
        }
    }
}

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

fn path(role: HostRole, path: &str, bytes: u64, because: String, input: &str) -> PathNeed {
    let size =
        Figure { amount: bytes, unit: Unit::Bytes, because, inputs: vec![input.to_owned()], assumed: false };
    PathNeed { role, path: path.to_owned(), machines: None, own_device: false, size }
}

/// Paths that every host of a role has.
pub(crate) fn of_system(role: HostRole, bytes: &BundleBytes) -> Vec<PathNeed> {
    let master = role == HostRole::ControlPlane;
    let (images, store) =
        if master { (bytes.master_images, bytes.all) } else { (bytes.worker_images, bytes.worker_files) };
    let unpacked = images.saturating_mul(UNPACKED * 2).saturating_add(WRITABLE);
    let containerd = words::narrow((u128::from(unpacked) * 100).div_ceil(u128::from(IMAGES_FILL)));
    let what =
        if master { "the whole bundle, served to the other machines," } else { "the cluster's programs" };
    let mut needs = vec![
        path(role, "/", SYSTEM, format!("{} for the operating system.", disk(SYSTEM)), "constant"),
        path(
            role,
            "/var/lib/sealift",
            store.saturating_mul(2),
            format!("{what} twice: this version and the next ({} each).", disk(store)),
            "bundle",
        ),
        path(
            role,
            "/var/lib/containerd",
            containerd,
            format!(
                "Images ({} packed) as they came and unpacked, this version and the next, with {} to write; at most {IMAGES_FILL} % full.",
                disk(images),
                disk(WRITABLE)
            ),
            "bundle",
        ),
        path(
            role,
            "/var/lib/kubelet",
            PODS,
            format!("{} for files of running programs.", disk(PODS)),
            "constant",
        ),
        path(
            role,
            "/var/log/pods",
            LOGS,
            format!("{}: logs of 110 programs, 5 files of 10 MiB each.", disk(LOGS)),
            "constant",
        ),
    ];
    for need in &mut needs {
        need.size.because = crate::parts::capital(&need.size.because);
    }
    if master {
        let because =
            "The cluster's database: 8 GiB of records, copies of them, and a log of writes.".to_owned();
        needs.push(PathNeed { own_device: true, ..path(role, "/var/lib/etcd", ETCD, because, "constant") });
    }
    needs
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
