//! The disk under the cluster's database, on masters.

use super::{Check, HostInput, Severity, Verdict};
use crate::finding::Group;
use crate::requirements::{CONTAINERD, ETCD_DIR};

/// 99th percentile of a write that is waited for, microseconds: good below, refused from, beyond acceptance from.
/// etcd's hardware guide asks for 10 ms; from 50 ms on heartbeats (100 ms) come late under load.
const FSYNC: (u64, u64, u64) = (10_000, 50_000, 150_000);

pub(super) const CHECKS: &[Check] = &[
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

fn alone(input: &HostInput<'_>) -> Verdict {
    let (Some(etcd), Some(images)) = (input.facts.disk(ETCD_DIR), input.facts.disk(CONTAINERD)) else {
        return Verdict::error(format!("nobody measured {ETCD_DIR} and {CONTAINERD}"));
    };
    let limit = "another disk than that of /var/lib/containerd";
    let words = format!("{} at {}", etcd.device, etcd.mount_point);
    // What is no device (overlay, tmpfs) is told by its place.
    let one_device = etcd.device == images.device && etcd.device.starts_with('/');
    if one_device || etcd.mount_point == images.mount_point {
        let remedy = "nothing for a small load; else mount a disk of its own, best an SSD, at /var/lib/etcd";
        Verdict::warn(format!("{words}, with the images"), remedy).limit(limit)
    } else {
        Verdict::pass(words).limit(limit)
    }
}

fn rotational(input: &HostInput<'_>) -> Verdict {
    let Some(disk) = input.facts.disk(ETCD_DIR) else {
        return Verdict::error(format!("nobody measured {ETCD_DIR}"));
    };
    let words = format!("{} at {}", disk.device, disk.mount_point);
    match disk.rotational {
        Some(true) => Verdict::warn(
            format!("the kernel says that {words} turns"),
            "give /var/lib/etcd an SSD; in a virtual machine the kernel may be wrong: `installer check --deep` measures",
        ),
        Some(false) => Verdict::pass(format!("{words} does not turn")),
        None => Verdict::pass(format!("the kernel does not say of {words}")),
    }
    .limit("an SSD")
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
    let remedy = "give /var/lib/etcd an SSD of its own, no network disk, then check again";
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
