//! The disk under the cluster's database, on masters.

use super::{Check, HostInput, Severity, Verdict};
use crate::facts::PathDisk;
use crate::finding::Group;
use crate::requirements::CONTAINERD;
use crate::text::list;

/// 99th percentile of a write that is waited for, microseconds: good below, refused from, beyond acceptance from.
/// etcd's hardware guide asks for 10 ms; from 50 ms on heartbeats (100 ms) come late under load.
const FSYNC: (u64, u64, u64) = (10_000, 50_000, 150_000);

pub(super) const CHECKS: &[Check] = &[
    Check::on_masters(
        (Group::Disks, Severity::Block),
        "disk.etcd-own",
        "The disk that the profile asks for",
        "the profile says etcd.ownDisk: what shares the database's disk would make it wait, or fill it.",
        &["disks", "machine"],
        own,
    ),
    Check::on_masters(
        (Group::Disks, Severity::Advice),
        "disk.etcd-alone",
        "A disk of the database's own",
        "while images are unpacked on the same disk, the database waits, and masters lose their leader.",
        &["disks"],
        alone,
    ),
    Check::on_masters(
        (Group::Disks, Severity::Advice),
        "disk.etcd-rotational",
        "A disk that does not turn",
        "the database waits for the disk at every change; a turning disk takes some 10 ms for each.",
        &["disks"],
        rotational,
    ),
    Check {
        beyond: Some(Severity::Stop),
        deep: true,
        ..Check::on_masters(
            (Group::Disks, Severity::Block),
            "disk.etcd-fsync",
            "Speed of the database's disk",
            "the cluster database waits for the disk at every change; slower than this, masters lose their leader under load.",
            &["etcdWrites"],
            fsync,
        )
    },
];

/// The disks below the databases' folders; `Err` names the folders that nobody measured.
fn databases<'a>(input: &HostInput<'a>) -> Result<Vec<&'a PathDisk>, Verdict> {
    super::folders::measured(input, &input.site.etcd.folders())
}

/// `/dev/sdb1 at /var/lib/etcd`.
fn words(disk: &PathDisk) -> String {
    format!("{} at {}", disk.device, disk.mount_point)
}

/// Whether two paths are on one file system. What is no device (overlay, tmpfs) is told by its place.
fn together(one: &PathDisk, other: &PathDisk) -> bool {
    let one_device = one.device == other.device && one.device.starts_with('/');
    one_device || one.mount_point == other.mount_point
}

fn own(input: &HostInput<'_>) -> Verdict {
    if !input.site.etcd.own_disk {
        return Verdict::pass("not asked for: the profile leaves out etcd.ownDisk");
    }
    let disks = match databases(input) {
        Ok(disks) => disks,
        Err(verdict) => return verdict,
    };
    let faults: Vec<String> = disks.iter().filter_map(|disk| not_own(input, disk)).collect();
    let folders = list(&input.site.etcd.folders());
    let limit = format!("a file system mounted at {folders} at every start, with nothing else on it");
    if faults.is_empty() {
        return Verdict::pass(list(&disks.into_iter().map(words).collect::<Vec<_>>())).limit(limit);
    }
    let remedy = format!(
        "mount a file system of its own at {folders}, with a line in /etc/fstab, or take ownDisk out of the profile"
    );
    Verdict::fail(faults.join("; "), remedy).limit(limit)
}

/// Why a database does not have the file system to itself, in words.
fn not_own(input: &HostInput<'_>, disk: &PathDisk) -> Option<String> {
    let shares = |one: &&PathDisk| one.path != disk.path && together(one, disk);
    if disk.mount_point != disk.path {
        Some(format!("{} is on {}", disk.path, words(disk)))
    } else if let Some(other) = input.facts.disks.iter().find(shares) {
        Some(format!("{} is also that of {}", words(disk), other.path))
    } else {
        // What a container has is mounted by the machine below. Elsewhere the kubelet would not start after a boot.
        let lasts = disk.at_boot || input.details().machine.container;
        (!lasts).then(|| format!("{} is not mounted at every start", words(disk)))
    }
}

fn alone(input: &HostInput<'_>) -> Verdict {
    let (disks, Some(images)) = (databases(input), input.facts.disk(CONTAINERD)) else {
        return Verdict::error(format!("nobody measured {CONTAINERD}"));
    };
    let disks = match disks {
        Ok(disks) => disks,
        Err(verdict) => return verdict,
    };
    let limit = "another disk than that of /var/lib/containerd";
    let (with_images, apart): (Vec<&PathDisk>, Vec<&PathDisk>) =
        disks.into_iter().partition(|disk| together(disk, images));
    let named = |disks: &[&PathDisk]| list(&disks.iter().map(|disk| words(disk)).collect::<Vec<_>>());
    if with_images.is_empty() {
        return Verdict::pass(named(&apart)).limit(limit);
    }
    let paths: Vec<&str> = with_images.iter().map(|disk| disk.path.as_str()).collect();
    let remedy =
        format!("nothing for a small load; else mount a disk of its own, best an SSD, at {}", list(&paths));
    Verdict::warn(format!("{}, with the images", named(&with_images)), remedy).limit(limit)
}

fn rotational(input: &HostInput<'_>) -> Verdict {
    let disks = match databases(input) {
        Ok(disks) => disks,
        Err(verdict) => return verdict,
    };
    let turning: Vec<&str> =
        disks.iter().filter(|disk| disk.rotational == Some(true)).map(|disk| disk.path.as_str()).collect();
    let said = |disk: &&PathDisk| match disk.rotational {
        Some(true) => format!("the kernel says that {} turns", words(disk)),
        Some(false) => format!("{} does not turn", words(disk)),
        None => format!("the kernel does not say of {}", words(disk)),
    };
    let measured = list(&disks.iter().map(said).collect::<Vec<_>>());
    if turning.is_empty() {
        return Verdict::pass(measured).limit("an SSD");
    }
    let remedy = format!(
        "give {} an SSD; in a virtual machine the kernel may be wrong: `installer check --deep` measures",
        list(&turning)
    );
    Verdict::warn(measured, remedy).limit("an SSD")
}

fn fsync(input: &HostInput<'_>) -> Verdict {
    let Some(times) = &input.facts.etcd_writes else {
        return Verdict::not_run("makes load: only `installer check --deep` measures it");
    };
    let show = |micros: u64| {
        if micros < 10_000 {
            format!("{:.1} ms", micros as f64 / 1e3)
        } else {
            format!("{} ms", micros / 1000)
        }
    };
    if times.runs.is_empty() || times.writes == 0 {
        return Verdict::error(format!("nothing could be written at {}", times.path));
    }
    let words = format!(
        "p99 {} over {} runs ({} writes) at {}",
        show(times.p99_micros),
        times.runs.len(),
        times.writes,
        times.path
    );
    let (good, refused, beyond) = FSYNC;
    let remedy = format!("give {} an SSD of its own, no network disk, then check again", times.path);
    match times.p99_micros {
        micros if micros > beyond => Verdict::fail(words, remedy).beyond_acceptance(),
        micros if micros > refused => Verdict::fail(words, remedy),
        micros if micros >= good => Verdict::warn(words, remedy),
        _ => Verdict::pass(words),
    }
    .limit(format!(
        "{} or less (good: {}; no acceptance above {})",
        show(refused),
        show(good),
        show(beyond)
    ))
}
