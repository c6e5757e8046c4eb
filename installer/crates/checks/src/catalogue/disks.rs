//! File systems: room, headroom, kind. Several paths on one file system are summed.

use std::collections::BTreeMap;

use super::{Check, HostInput, Scope, Severity, Verdict};
use crate::facts::PathDisk;
use crate::finding::Group;
use crate::requirements::{CONTAINERD, DiskNeed, ETCD_DIR, KUBELET_DIR};
use crate::text::{bytes, list};

/// Share of a file system, in percent, that must stay free: below it the kubelet throws images away, then pods.
const HEADROOM: u64 = 15;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "disk.space",
        title: "Disk space",
        why: "a disk that fills up during the install leaves it half done; later it stops the database.",
        group: Group::Disks,
        severity: Severity::Block,
        beyond: None,
        deep: false,
        facts: &["disks", "claim"],
        scope: Scope::Host(space),
    },
    Check {
        id: "disk.headroom",
        title: "Disk headroom",
        why: "on a file system that is nearly full, the kubelet throws images away and moves pods off the host.",
        group: Group::Disks,
        severity: Severity::Advice,
        beyond: None,
        deep: false,
        facts: &["disks", "claim"],
        scope: Scope::Host(headroom),
    },
    Check {
        id: "disk.file-system",
        title: "File system type",
        why: "images are laid over each other, and the database waits for the disk; some file systems can do neither.",
        group: Group::Disks,
        severity: Severity::Stop,
        beyond: None,
        deep: false,
        facts: &["disks"],
        scope: Scope::Host(file_system),
    },
];

/// One file system and what shall go there.
struct Room<'a> {
    disk: &'a PathDisk,
    needs: Vec<&'a DiskNeed>,
}

impl Room<'_> {
    fn bytes(&self) -> u64 {
        self.needs.iter().map(|need| need.bytes).sum()
    }

    /// `/dev/sda2 at /`.
    fn name(&self) -> String {
        format!("{} at {}", self.disk.device, self.disk.mount_point)
    }
}

/// The needs by file system; `Err` names the paths that nobody measured.
fn rooms<'a>(input: &HostInput<'a>) -> Result<Vec<Room<'a>>, Verdict> {
    let mut rooms: BTreeMap<&str, Room<'a>> = BTreeMap::new();
    let mut unseen = Vec::new();
    for need in &input.need.disks {
        match input.facts.disk(&need.path) {
            Some(disk) if disk.total_bytes > 0 => {
                // A device may be mounted at several places; what is no device (overlay, tmpfs) is told by its place.
                let device = disk.device.starts_with('/');
                let key = if device { disk.device.as_str() } else { disk.mount_point.as_str() };
                rooms.entry(key).or_insert_with(|| Room { disk, needs: Vec::new() }).needs.push(need);
            }
            _ => unseen.push(need.path.as_str()),
        }
    }
    if unseen.is_empty() {
        Ok(rooms.into_values().collect())
    } else {
        Err(Verdict::error(format!("nobody measured {}", list(&unseen))))
    }
}

fn space(input: &HostInput<'_>) -> Verdict {
    let rooms = match rooms(input) {
        Ok(rooms) => rooms,
        Err(verdict) => return verdict,
    };
    let short: Vec<&Room<'_>> =
        rooms.iter().filter(|room| room.disk.available_bytes < room.bytes()).collect();
    let shown: Vec<&Room<'_>> = if short.is_empty() { rooms.iter().collect() } else { short.clone() };
    let measured: Vec<String> = shown
        .iter()
        .map(|room| format!("{} free on {}", bytes(room.disk.available_bytes), room.name()))
        .collect();
    let limit: Vec<String> = shown.iter().map(|room| wanted(room)).collect();
    let (measured, limit) = (list(&measured), list(&limit));
    if short.is_empty() {
            Verdict::pass(measured)
        } else if input.ours() {
            // An earlier run of ours took part of it already; how much cannot be told from outside.
            let remedy = "nothing, if the earlier run got far: its files are part of this; else give the file system more room";
            Verdict::warn(format!("{measured}, beside what an earlier run of ours wrote"), remedy)
        } else {
            let missing: Vec<String> = short
                .iter()
                .map(|room| format!("{} on {}", bytes(room.bytes() - room.disk.available_bytes), room.disk.mount_point))
                .collect();
            let paths: Vec<&str> = short.iter().flat_map(|room| room.needs.iter().map(|need| need.path.as_str())).collect();
            let remedy = format!("free or add {}, or give {} a larger disk", list(&missing), list(&paths));
            Verdict::fail(measured, remedy)
        }
        .limit(limit)
}

/// `5.2 GB at / (4.0 GB for /var/lib/containerd: images, packed and unpacked; …)`.
fn wanted(room: &Room<'_>) -> String {
    let parts: Vec<String> = room
        .needs
        .iter()
        .map(|need| format!("{} for {}: {}", bytes(need.bytes), need.path, need.holds))
        .collect();
    format!("{} on {} ({})", bytes(room.bytes()), room.disk.mount_point, parts.join("; "))
}

fn headroom(input: &HostInput<'_>) -> Verdict {
    let rooms = match rooms(input) {
        Ok(rooms) => rooms,
        Err(verdict) => return verdict,
    };
    let watched =
        |room: &&Room<'_>| room.needs.iter().any(|need| need.path == CONTAINERD || need.path == KUBELET_DIR);
    let after = |room: &Room<'_>| {
        let need = if input.ours() { 0 } else { room.bytes() };
        room.disk.available_bytes.saturating_sub(need) * 100 / room.disk.total_bytes
    };
    let shares: Vec<(u64, String)> = rooms
        .iter()
        .filter(watched)
        .map(|room| {
            (after(room), format!("{} % of {} on {}", after(room), bytes(room.disk.total_bytes), room.name()))
        })
        .collect();
    let tight = shares.iter().any(|(share, _)| *share < HEADROOM);
    let texts: Vec<String> =
        shares.into_iter().filter(|(share, _)| !tight || *share < HEADROOM).map(|(_, text)| text).collect();
    let (measured, limit) =
        (format!("{} free after the install", list(&texts)), format!("{HEADROOM} % or more"));
    if tight {
        Verdict::warn(measured, "give it more room before the product's own data comes").limit(limit)
    } else {
        Verdict::pass(measured).limit(limit)
    }
}

fn file_system(input: &HostInput<'_>) -> Verdict {
    const NETWORK: [&str; 6] = ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph"];
    const MEMORY: [&str; 2] = ["tmpfs", "ramfs"];
    const LAYERED: [&str; 4] = ["overlay", "aufs", "squashfs", "vfat"];
    let unfit = |path: &str, kind: &str| {
        if MEMORY.contains(&kind) {
            Some("loses everything when the host restarts")
        } else if NETWORK.contains(&kind) {
            Some("is on the network: too slow for the database, and it cannot hold image layers")
        } else if path == CONTAINERD && LAYERED.contains(&kind) {
            Some("cannot hold image layers")
        } else {
            None
        }
    };
    let disks: Vec<&PathDisk> = input
        .need
        .disks
        .iter()
        .filter(|need| [CONTAINERD, KUBELET_DIR, ETCD_DIR].contains(&need.path.as_str()))
        .filter_map(|need| input.facts.disk(&need.path))
        .collect();
    let bad: Vec<String> = disks
        .iter()
        .filter_map(|disk| {
            let kind = disk.file_system.to_lowercase();
            unfit(&disk.path, &kind).map(|why| format!("{} is on {kind}, which {why}", disk.path))
        })
        .collect();
    let limit = "ext4 or xfs on a disk of the host";
    if disks.is_empty() {
        Verdict::error("nobody measured the file systems")
    } else if bad.is_empty() {
        let kinds: Vec<String> =
            disks.iter().map(|disk| format!("{} on {}", disk.path, disk.file_system)).collect();
        Verdict::pass(list(&kinds)).limit(limit)
    } else {
        Verdict::fail(bad.join("; "), "mount a disk of the host there (ext4 or xfs)").limit(limit)
    }
}
