//! The file system behind each path that was asked about, and the way to it.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Dir, FileType, Mode, OFlags};
use sealift_checks::facts::PathDisk;

use super::Probe;
use super::system::unescape;

/// Entries of a folder that are looked at for their kind.
const ENTRIES: usize = 64;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) point: String,
    pub(super) device: String,
    pub(super) file_system: String,
    /// Of the mount, then of the file system.
    pub(super) options: Vec<String>,
    /// Whether mounts below are passed on.
    pub(super) shared: bool,
}

pub(super) fn probe(probe: &mut Probe<'_>, paths: &[String]) -> Vec<PathDisk> {
    let mounts = parse_mounts(&probe.text("/proc/self/mountinfo"));
    let at_boot = mounted_at_boot(probe);
    paths.iter().filter_map(|path| measure(probe, &mounts, &at_boot, path)).collect()
}

fn measure(probe: &mut Probe<'_>, mounts: &[Mount], at_boot: &[String], path: &str) -> Option<PathDisk> {
    let existing = Path::new(path).ancestors().find(|path| probe.exists(&path.display().to_string()))?;
    // Links lead to other file systems.
    let place = probe.path(&existing.display().to_string()).canonicalize().ok()?;
    let size = match rustix::fs::statvfs(&place) {
        Ok(size) => size,
        Err(error) => {
            let what = format!("disks: {path}: {error}");
            return probe.miss(what);
        }
    };
    let mount = mount_of(mounts, &place)?;
    let (closed, open) = modes(probe, path);
    Some(PathDisk {
        path: path.to_owned(),
        mount_point: mount.point.clone(),
        device: mount.device.clone(),
        file_system: mount.file_system.clone(),
        total_bytes: size.f_blocks.saturating_mul(size.f_frsize),
        available_bytes: size.f_bavail.saturating_mul(size.f_frsize),
        total_files: size.f_files,
        available_files: size.f_favail,
        options: mount.options.clone(),
        entry_kinds: entry_kinds(&place).or_else(|| entry_kinds(Path::new(&mount.point))),
        link: link(probe, path),
        closed,
        open,
        rotational: rotational(probe, &place),
        errors: errors(probe, mount),
        at_boot: mount.point == "/" || at_boot.contains(&mount.point),
    })
}

/// The folders from below `/` down to the path, as far as they exist.
fn way<'a>(probe: &Probe<'_>, path: &'a str) -> Vec<&'a Path> {
    let mut folders: Vec<&Path> = Path::new(path).ancestors().collect();
    folders.reverse();
    folders
        .into_iter()
        .skip(1)
        .take_while(|folder| probe.path(&folder.display().to_string()).symlink_metadata().is_ok())
        .collect()
}

fn link(probe: &Probe<'_>, path: &str) -> Option<String> {
    way(probe, path).into_iter().find_map(|folder| {
        let target = probe.path(&folder.display().to_string()).read_link().ok()?;
        Some(format!("{} leads to {}", folder.display(), target.display()))
    })
}

/// The folders above the path that others may not pass, and those up to the path itself that everybody may write to.
fn modes(probe: &Probe<'_>, path: &str) -> (Vec<String>, Vec<String>) {
    let (mut closed, mut open) = (Vec::new(), Vec::new());
    for folder in way(probe, path) {
        let name = folder.display().to_string();
        let Ok(found) = probe.path(&name).metadata() else { continue };
        let mode = found.permissions().mode();
        if name != path && mode & 0o001 == 0 {
            closed.push(name.clone());
        }
        if mode & 0o002 != 0 && mode & 0o1000 == 0 {
            open.push(name);
        }
    }
    (closed, open)
}

/// Whether a folder tells the kinds of its entries; none where it has none. Overlay file systems need it (kernel
/// documentation, overlayfs), and xfs made with `ftype=0` lacks it.
fn entry_kinds(folder: &Path) -> Option<bool> {
    let opened =
        rustix::fs::open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let entries = Dir::read_from(opened).ok()?.take(ENTRIES).flatten();
    let mut kinds = entries
        .filter(|entry| !matches!(entry.file_name().to_bytes(), b"." | b".."))
        .map(|entry| entry.file_type() != FileType::Unknown);
    kinds.next().map(|first| first && kinds.all(|known| known))
}

/// Whether the disk below turns. The queue's settings belong to the whole disk; a partition's folder is inside of it.
fn rotational(probe: &Probe<'_>, place: &Path) -> Option<bool> {
    let device = place.metadata().ok()?.dev();
    let folder = format!("/sys/dev/block/{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    let answer = ["queue/rotational", "../queue/rotational"]
        .iter()
        .find_map(|file| probe.text_if_any(&format!("{folder}/{file}")));
    match answer?.trim() {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// What ext4 has counted since the file system was made or last mended (`Documentation/ABI/testing/sysfs-fs-ext4`).
fn errors(probe: &Probe<'_>, mount: &Mount) -> Option<u64> {
    // `/dev/mapper/name` and such are links to the kernel's own name.
    let device = probe.path(&mount.device).canonicalize().ok()?;
    let name = device.file_name()?.to_string_lossy().into_owned();
    (mount.file_system == "ext4")
        .then(|| probe.line_if_any(&format!("/sys/fs/ext4/{name}/errors_count")).parse().ok())?
}

/// Mount points of `/etc/fstab` and of mount units.
fn mounted_at_boot(probe: &Probe<'_>) -> Vec<String> {
    let mut points = parse_fstab(&probe.text_if_any("/etc/fstab").unwrap_or_default());
    for folder in ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"] {
        for name in probe.names(folder).iter().filter(|name| super::is_kind(name, "mount")) {
            let text = probe.text_if_any(&format!("{folder}/{name}")).unwrap_or_default();
            points.extend(
                text.lines().filter_map(|line| line.trim().strip_prefix("Where=")).map(str::to_owned),
            );
        }
    }
    points
}

/// The second column; what is marked `noauto` is not mounted by itself.
pub(super) fn parse_fstab(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines
        .filter_map(|line| {
            let mut columns = line.split_whitespace();
            let point = columns.nth(1)?;
            let by_itself =
                columns.nth(1).is_none_or(|options| !options.split(',').any(|one| one == "noauto"));
            (by_itself && point.starts_with('/')).then(|| unescape(point))
        })
        .collect()
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
            let mut before = before.split(' ').skip(4);
            let (point, of_mount) = (unescape(before.next()?), before.next()?);
            let shared = before.any(|field| field.starts_with("shared:"));
            let mut after = after.split(' ');
            let (file_system, device) = (after.next()?.to_owned(), unescape(after.next()?));
            let of_file_system = after.next().unwrap_or_default();
            let options =
                of_mount.split(',').chain(of_file_system.split(',')).take(64).map(super::short).collect();
            Some(Mount { point, device, file_system, options, shared })
        })
        .collect()
}
