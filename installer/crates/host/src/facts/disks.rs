//! The file system behind each path that was asked about.

use std::path::Path;

use sealift_checks::facts::PathDisk;

use super::Probe;
use super::system::unescape;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) point: String,
    pub(super) device: String,
    pub(super) file_system: String,
}

pub(super) fn probe(probe: &mut Probe<'_>, paths: &[String]) -> Vec<PathDisk> {
    let mounts = parse_mounts(&probe.text("/proc/self/mountinfo"));
    paths.iter().filter_map(|path| measure(probe, &mounts, path)).collect()
}

fn measure(probe: &mut Probe<'_>, mounts: &[Mount], path: &str) -> Option<PathDisk> {
    let existing = Path::new(path).ancestors().find(|path| probe.exists(&path.display().to_string()))?;
    // Links lead to other file systems.
    let place = probe.path(&existing.display().to_string()).canonicalize().ok()?;
    let size = match rustix::fs::statvfs(&place) {
        Ok(size) => size,
        Err(error) => {
            let what = format!("{path}: {error}");
            return probe.miss(what);
        }
    };
    let mount = mount_of(mounts, &place)?;
    Some(PathDisk {
        path: path.to_owned(),
        mount_point: mount.point.clone(),
        device: mount.device.clone(),
        file_system: mount.file_system.clone(),
        total_bytes: size.f_blocks.saturating_mul(size.f_frsize),
        available_bytes: size.f_bavail.saturating_mul(size.f_frsize),
    })
}

/// The mount that holds a path: the longest mount point above it, the last of those mounted over each other.
pub(super) fn mount_of<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let above = mounts.iter().filter(|mount| path.starts_with(&mount.point));
    above.max_by_key(|mount| mount.point.trim_end_matches('/').len())
}

/// `36 35 98:0 /root /mount/point rw,noatime shared:1 - ext4 /dev/sda1 rw`.
pub(super) fn parse_mounts(mountinfo: &str) -> Vec<Mount> {
    mountinfo
        .lines()
        .filter_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let point = unescape(before.split(' ').nth(4)?);
            let mut after = after.split(' ');
            let file_system = after.next()?.to_owned();
            Some(Mount { point, device: unescape(after.next()?), file_system })
        })
        .collect()
}
