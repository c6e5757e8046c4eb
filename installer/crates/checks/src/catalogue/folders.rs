//! The way to each folder that the cluster uses, and how its file system is mounted.

use sealift_profile::HostRole;

use super::{Check, HostInput, Severity, Verdict};
use crate::facts::PathDisk;
use crate::finding::Group;
use crate::fix::Fix;
use crate::requirements::{
    BINARIES, CNI_BINARIES, CONTAINERD, KUBELET_DIR, LOGS, SETTINGS_DIR, STORE, TEMPORARY,
};
use crate::text::{bytes, list};

/// Share of the files that a file system can hold, in percent, that must be free: the kubelet throws images away
/// below 5 (`nodefs.inodesFree`), and the installer warns earlier.
const FILES: (u64, u64) = (5, 15);
/// Room for logs: least, and from which on nothing is said, bytes. The kubelet keeps 5 files of 10 MiB for each
/// container, up to 110 pods.
const LOG_ROOM: (u64, u64) = (1_000_000_000, 5_000_000_000);
/// Room for temporary files, bytes.
const TEMPORARY_ROOM: u64 = 100_000_000;

pub(super) const CHECKS: &[Check] = &[
    Check::on_host(
        (Group::Disks, Severity::Block),
        "disk.inodes",
        "Room for files",
        "images are tens of thousands of small files; a file system can run out of them while bytes are free.",
        &["disks"],
        inodes,
    ),
    Check::on_host(
        (Group::Disks, Severity::Stop),
        "disk.read-only",
        "Folders can be written to",
        "programs, settings and data are written there.",
        &["disks"],
        read_only,
    ),
    Check::on_host(
        (Group::Disks, Severity::Stop),
        "disk.noexec",
        "Programs may run",
        "the cluster's programs and all containers are started from there.",
        &["disks"],
        noexec,
    ),
    Check::on_host(
        (Group::Disks, Severity::Advice),
        "disk.nosuid",
        "Programs with rights of their own",
        "programs in images that need more rights than their caller (ping, sudo) lose them.",
        &["disks"],
        nosuid,
    ),
    Check::on_host(
        (Group::Disks, Severity::Stop),
        "disk.entry-kinds",
        "Kinds of folder entries",
        "layers cannot be laid over each other where a folder does not tell files from folders (xfs with ftype=0).",
        &["disks"],
        entry_kinds,
    ),
    Check::on_host(
        (Group::Disks, Severity::Block),
        "disk.links",
        "No symbolic links on the way",
        "the kubelet compares paths letter by letter, and mistakes a linked folder for a mount of another.",
        &["disks"],
        links,
    ),
    Check::on_host(
        (Group::Disks, Severity::Advice),
        "disk.closed-parents",
        "Folders above are passable",
        "services and containers that do not run as root cannot reach their files.",
        &["disks"],
        closed,
    ),
    Check::on_host(
        (Group::Disks, Severity::Block),
        "disk.open-parents",
        "Folders above are guarded",
        "whoever may write there can put a folder of his own in the place of the cluster's.",
        &["disks"],
        open,
    ),
    Check::on_host(
        (Group::Disks, Severity::Block),
        "disk.errors",
        "Errors that the kernel has seen",
        "a file system with errors loses data, or is switched to reading only at the worst moment.",
        &["disks"],
        errors,
    ),
    Check::on_host(
        (Group::Disks, Severity::Advice),
        "disk.mounted-at-boot",
        "Mounted at every start",
        "after a power cut the cluster would start on empty folders.",
        &["disks", "machine"],
        at_boot,
    ),
    Check::on_host(
        (Group::Disks, Severity::Block),
        "disk.logs",
        "Room for logs",
        "pods' logs go to /var/log; when it is full, services stop and nobody can read why.",
        &["disks"],
        logs,
    ),
    Check::on_host(
        (Group::Disks, Severity::Advice),
        "disk.temporary",
        "Temporary files",
        "kubeadm, helm and shells put files there, and fail in odd ways where they cannot.",
        &["disks", "machine"],
        temporary,
    )
    .fixable(),
];

/// The measured disks of these paths; `Err` names those that nobody measured.
pub(super) fn measured<'a>(input: &HostInput<'a>, paths: &[&str]) -> Result<Vec<&'a PathDisk>, Verdict> {
    let unseen: Vec<&str> = paths.iter().copied().filter(|path| input.facts.disk(path).is_none()).collect();
    if unseen.is_empty() {
        Ok(paths.iter().filter_map(|path| input.facts.disk(path)).collect())
    } else {
        Err(Verdict::error(format!("nobody measured {}", list(&unseen))))
    }
}

/// Paths of the cluster's data on a host of this role.
pub(super) fn data<'a>(input: &HostInput<'a>) -> Vec<&'a str> {
    let mut paths = vec![STORE, CONTAINERD, KUBELET_DIR];
    if input.host.role == HostRole::ControlPlane {
        paths.extend(input.site.etcd.folders());
    }
    paths
}

/// Fails, or whatever `bad` makes of it, where a disk of these paths has a fault in words.
fn where_wrong(
    input: &HostInput<'_>,
    paths: &[&str],
    fault: impl Fn(&PathDisk) -> Option<String>,
    (good, limit): (&str, &str),
    bad: impl Fn(String, &[&str]) -> Verdict,
) -> Verdict {
    let disks = match measured(input, paths) {
        Ok(disks) => disks,
        Err(verdict) => return verdict,
    };
    let found: Vec<(&str, String)> =
        disks.iter().filter_map(|disk| Some((disk.path.as_str(), fault(disk)?))).collect();
    if found.is_empty() {
        return Verdict::pass(good).limit(limit);
    }
    let paths: Vec<&str> = found.iter().map(|(path, _)| *path).collect();
    let mut words: Vec<String> = found.iter().map(|(_, what)| what.clone()).collect();
    words.dedup();
    bad(list(&words), &paths).limit(limit)
}

fn inodes(input: &HostInput<'_>) -> Verdict {
    let disks = match measured(input, &data(input)) {
        Ok(disks) => disks,
        Err(verdict) => return verdict,
    };
    // xfs and btrfs make room for files as they need it, and some report 0 in all.
    let shares = disks.iter().filter(|disk| disk.total_files > 0).map(|disk| {
        let share = disk.available_files.saturating_mul(100) / disk.total_files;
        (share, format!("{share} % of {} files free on {}", disk.total_files, disk.mount_point))
    });
    let limit = format!("{} % free (good: {} %)", FILES.0, FILES.1);
    let remedy = "remove what has very many small files, or make the file system anew with more (mkfs.ext4 -N), or as xfs";
    match shares.min() {
        None => Verdict::pass("no such limit here"),
        Some((share, words)) if share < FILES.0 => Verdict::fail(words, remedy),
        Some((share, words)) if share < FILES.1 => Verdict::warn(words, remedy),
        Some((_, words)) => Verdict::pass(words),
    }
    .limit(limit)
}

fn has(disk: &PathDisk, option: &str) -> bool {
    disk.options.iter().any(|one| one == option)
}

fn mounted(disk: &PathDisk, option: &str) -> Option<String> {
    has(disk, option).then(|| format!("{} is on {}, mounted with {option}", disk.path, disk.mount_point))
}

fn read_only(input: &HostInput<'_>) -> Verdict {
    let mut paths = data(input);
    paths.extend([BINARIES, CNI_BINARIES, SETTINGS_DIR, LOGS]);
    let limit = ("all can be written to", "mounted for reading and writing");
    where_wrong(
        input,
        &paths,
        |disk| mounted(disk, "ro"),
        limit,
        |words, paths| {
            let remedy = format!(
                "mount {} for reading and writing; if the kernel switched it, look for disk errors first (journalctl -k)",
                list(paths)
            );
            Verdict::fail(words, remedy)
        },
    )
}

fn noexec(input: &HostInput<'_>) -> Verdict {
    let paths = [STORE, CONTAINERD, BINARIES, CNI_BINARIES];
    let limit = ("all may run programs", "mounted without noexec");
    where_wrong(
        input,
        &paths,
        |disk| mounted(disk, "noexec"),
        limit,
        |words, paths| {
            let remedy =
                format!("take noexec out of /etc/fstab for {}, or mount another disk there", list(paths));
            Verdict::fail(words, remedy)
        },
    )
}

fn nosuid(input: &HostInput<'_>) -> Verdict {
    let limit = ("they keep them", "mounted without nosuid");
    where_wrong(
        input,
        &[CONTAINERD],
        |disk| mounted(disk, "nosuid"),
        limit,
        |words, paths| Verdict::warn(words, format!("take nosuid out of /etc/fstab for {}", list(paths))),
    )
}

fn entry_kinds(input: &HostInput<'_>) -> Verdict {
    let disk = match measured(input, &[CONTAINERD]) {
        Ok(disks) => disks[0],
        Err(verdict) => return verdict,
    };
    let limit = "told";
    match disk.entry_kinds {
        Some(true) => Verdict::pass(format!("told on {}", disk.mount_point)).limit(limit),
        Some(false) => Verdict::fail(
            format!("not told on {} ({})", disk.mount_point, disk.file_system),
            "make the file system anew (mkfs.xfs -n ftype=1), or mount another disk at /var/lib/containerd",
        )
        .limit(limit),
        None => Verdict::not_run(format!("{} is empty: nothing to see", disk.mount_point)),
    }
}

fn links(input: &HostInput<'_>) -> Verdict {
    let limit = ("none", "none");
    where_wrong(
        input,
        &data(input),
        |disk| disk.link.clone(),
        limit,
        |words, paths| {
            let remedy = format!(
                "mount the other place at {} (bind mount in /etc/fstab) instead of the link",
                list(paths)
            );
            Verdict::fail(words, remedy)
        },
    )
}

fn closed(input: &HostInput<'_>) -> Verdict {
    let fault = |disk: &PathDisk| (!disk.closed.is_empty()).then(|| list(&disk.closed));
    let limit = ("all passable", "passable for everybody");
    where_wrong(input, &data(input), fault, limit, |words, _| {
        Verdict::warn(words, "chmod o+x for each of them")
    })
}

fn open(input: &HostInput<'_>) -> Verdict {
    let fault = |disk: &PathDisk| (!disk.open.is_empty()).then(|| list(&disk.open));
    let mut paths = data(input);
    paths.extend([BINARIES, CNI_BINARIES, SETTINGS_DIR]);
    let limit = ("only root writes there", "writable for root alone");
    where_wrong(input, &paths, fault, limit, |words, _| {
        Verdict::fail(format!("everybody may write to {words}"), "chmod o-w for each of them")
    })
}

fn errors(input: &HostInput<'_>) -> Verdict {
    let fault = |disk: &PathDisk| {
        let count = disk.errors.filter(|count| *count > 0)?;
        Some(format!("{count} on {} at {}", disk.device, disk.mount_point))
    };
    let mut paths = data(input);
    paths.extend([BINARIES, LOGS]);
    let limit = ("none counted", "none");
    where_wrong(input, &paths, fault, limit, |words, _| {
        Verdict::fail(words, "unmount it and let fsck look; if it finds more, replace the disk")
    })
}

fn at_boot(input: &HostInput<'_>) -> Verdict {
    if input.details().machine.container {
        return Verdict::pass("the machine below mounts what this container has");
    }
    let fault = |disk: &PathDisk| {
        (!disk.at_boot).then(|| format!("{} ({}) for {}", disk.mount_point, disk.device, disk.path))
    };
    let limit = ("all", "in /etc/fstab, or a mount unit");
    where_wrong(input, &data(input), fault, limit, |words, _| {
        Verdict::warn(format!("not mounted at every start: {words}"), "write a line for it into /etc/fstab")
    })
}

fn logs(input: &HostInput<'_>) -> Verdict {
    let disk = match measured(input, &[LOGS]) {
        Ok(disks) => disks[0],
        Err(verdict) => return verdict,
    };
    let words = format!("{} free on {} at {}", bytes(disk.available_bytes), disk.device, disk.mount_point);
    let remedy = "remove old logs (journalctl --vacuum-size=500M), or give /var/log more room";
    match disk.available_bytes {
        free if free < LOG_ROOM.0 => Verdict::fail(words, remedy),
        free if free < LOG_ROOM.1 => Verdict::warn(words, remedy),
        _ => Verdict::pass(words),
    }
    .limit(format!("{} (good: {})", bytes(LOG_ROOM.0), bytes(LOG_ROOM.1)))
}

fn temporary(input: &HostInput<'_>) -> Verdict {
    let disk = match measured(input, &[TEMPORARY]) {
        Ok(disks) => disks[0],
        Err(verdict) => return verdict,
    };
    let mode = input.details().machine.temporary_mode & 0o7777;
    let limit = format!("{} free, mode 1777, writable", bytes(TEMPORARY_ROOM));
    let words = format!("{} free, mode {mode:o}", bytes(disk.available_bytes));
    if has(disk, "ro") {
        Verdict::warn("mounted for reading only", "mount /tmp for reading and writing").limit(limit)
    } else if mode != 0o1777 {
        let fix = Fix::FolderMode { path: TEMPORARY.to_owned(), mode: 0o1777 };
        Verdict::warn(words, "chmod 1777 /tmp").limit(limit).fixed_by([fix])
    } else if disk.available_bytes < TEMPORARY_ROOM {
        Verdict::warn(words, "remove old files from /tmp, or give it more room").limit(limit)
    } else {
        Verdict::pass(words).limit(limit)
    }
}
