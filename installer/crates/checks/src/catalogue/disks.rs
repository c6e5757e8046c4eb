//! File systems: room, headroom, kind. Several paths on one file system are summed.

use std::collections::BTreeMap;

use super::{BUNDLE, Check, HostInput, Scope, Severity, Verdict};
use crate::facts::PathDisk;
use crate::finding::Group;
use crate::requirements::{CONTAINERD, DiskNeed, KUBELET_DIR, STORE};
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
        fixable: false,
        facts: &["disks", "claim", BUNDLE],
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
        fixable: false,
        facts: &["disks", "claim", BUNDLE],
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
        fixable: false,
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
    /// `/dev/sda2 at /`.
    fn name(&self) -> String {
        format!("{} at {}", self.disk.device, self.disk.mount_point)
    }
}

/// Bytes without which the install is refused.
fn least(room: &Room<'_>) -> u64 {
    room.needs.iter().fold(0, |sum, need| sum.saturating_add(need.bytes))
}

/// Bytes below which there is a warning.
fn advised(room: &Room<'_>) -> u64 {
    room.needs.iter().fold(0, |sum, need| sum.saturating_add(need.advised))
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
    let below = |bytes: fn(&Room<'_>) -> u64| -> Vec<&Room<'_>> {
        rooms.iter().filter(|room| room.disk.available_bytes < bytes(room)).collect()
    };
    let (short, tight) = (below(least), below(advised));
    let shown: Vec<&Room<'_>> = match (short.is_empty(), tight.is_empty()) {
        (false, _) => short.clone(),
        (true, false) => tight.clone(),
        _ => rooms.iter().collect(),
    };
    let free = |room: &&Room<'_>| format!("{} free on {}", bytes(room.disk.available_bytes), room.name());
    let measured = list(&shown.iter().map(free).collect::<Vec<_>>());
    let limit = list(&shown.iter().map(|room| wanted(room)).collect::<Vec<_>>());
    if tight.is_empty() && short.is_empty() {
        Verdict::pass(measured)
    } else if input.ours() {
        // An earlier run of ours took part of it already; how much cannot be told from outside.
        let remedy = "nothing, if the earlier run got far: its files are part of this; else give the file system more room";
        Verdict::warn(format!("{measured}, beside what an earlier run of ours wrote"), remedy)
    } else if short.is_empty() {
        let remedy = format!("enough for this version; {} for the next one and for years", more(&tight, advised));
        Verdict::warn(measured, remedy)
    } else {
        Verdict::fail(measured, more(&short, least))
    }
    .limit(limit)
}

/// `free or add 2.1 GB on /, or give /var/lib/containerd and /var/lib/kubelet a larger disk`.
fn more(rooms: &[&Room<'_>], wanted: fn(&Room<'_>) -> u64) -> String {
    let lack = |room: &&Room<'_>| {
        let bytes = bytes(wanted(room).saturating_sub(room.disk.available_bytes));
        format!("{bytes} on {}", room.disk.mount_point)
    };
    let missing: Vec<String> = rooms.iter().map(lack).collect();
    let paths: Vec<&str> =
        rooms.iter().flat_map(|room| room.needs.iter().map(|need| need.path.as_str())).collect();
    format!("free or add {}, or give {} a larger disk", list(&missing), list(&paths))
}

/// `5.2 GB on / (4.0 GB for /var/lib/containerd: images, packed and unpacked; …)`; with what is advised where that is
/// more.
fn wanted(room: &Room<'_>) -> String {
    let parts: Vec<String> = room
        .needs
        .iter()
        .map(|need| format!("{} for {}: {}", bytes(need.bytes), need.path, need.holds))
        .collect();
    let good =
        if advised(room) > least(room) { format!(", good: {}", bytes(advised(room))) } else { String::new() };
    format!("{} on {}{good} ({})", bytes(least(room)), room.disk.mount_point, parts.join("; "))
}

fn headroom(input: &HostInput<'_>) -> Verdict {
    let rooms = match rooms(input) {
        Ok(rooms) => rooms,
        Err(verdict) => return verdict,
    };
    let watched =
        |room: &&Room<'_>| room.needs.iter().any(|need| need.path == CONTAINERD || need.path == KUBELET_DIR);
    let after = |room: &Room<'_>| {
        let need = if input.ours() { 0 } else { least(room) };
        room.disk.available_bytes.saturating_sub(need).saturating_mul(100) / room.disk.total_bytes
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
    let data = super::folders::data(input).into_iter().filter(|path| *path != STORE);
    let disks: Vec<&PathDisk> = data.filter_map(|path| input.facts.disk(path)).collect();
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
