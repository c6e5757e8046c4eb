//! A host as a container: a whole Debian with its own systemd, on this machine's kernel.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::State;
use super::command::run;
use super::network::{namespace, namespace_path};
use super::spec::{DiskSpec, HostSpec};

/// Mark of a container that has its identity.
pub const SEEDED: &str = "seeded";

/// Prepares what a container needs before its first start: its layer and its disks. What there is of them is removed.
pub fn create(folder: &Path, host: &HostSpec) -> Result<()> {
    let _ = fs::remove_file(folder.join(SEEDED));
    for name in ["upper", "work", "root", "disks"] {
        let path = folder.join(name);
        if path.exists() {
            fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
    }
    for disk in &host.disks {
        let image = image_path(folder, disk);
        // No journal: these disks end with the lab, and etcd's syncs would pay for it twice.
        let mut command = Command::new("mkfs.ext4");
        command.args(["-q", "-m", "0", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard"]);
        run(command.arg(&image).arg(format!("{}M", disk.mib)))?;
    }
    Ok(())
}

/// Image of one of the host's disks.
pub fn image_path(folder: &Path, disk: &DiskSpec) -> PathBuf {
    folder.join("disks").join(disk.mount.trim_matches('/').replace('/', "-")).with_extension("ext4")
}

/// Mounts root and disks, in the calling process's own mount namespace, and returns the root.
pub fn mount(state: &State, folder: &Path, host: &HostSpec) -> Result<PathBuf> {
    let root = folder.join("root");
    let layers = format!(
        "lowerdir={},upperdir={},workdir={}",
        state.tree.display(),
        folder.join("upper").display(),
        folder.join("work").display()
    );
    run(Command::new("mount").args(["-t", "overlay", "overlay", "-o", &layers]).arg(&root))?;
    for disk in &host.disks {
        let target = root.join(disk.mount.trim_start_matches('/'));
        fs::create_dir_all(&target).with_context(|| format!("cannot make {}", target.display()))?;
        // What the host deletes is given back to this machine's disk at once.
        run(Command::new("mount").args(["-o", "loop,discard"]).arg(image_path(folder, disk)).arg(&target))?;
    }
    Ok(root)
}

/// Replaces this process by nspawn; returns only if that fails.
pub fn become_host(state: &State, folder: &Path, host: &HostSpec, root: &Path) -> Result<()> {
    let machine_id =
        fs::read_to_string(folder.join("machine-id")).context("cannot read the host's machine-id")?;
    let machine = namespace(&state.name, &host.name);
    let mut command = Command::new("systemd-nspawn");
    command
        .args(["--quiet", "--boot", "--register=no", "--keep-unit", "--link-journal=no", "--resolv-conf=off"])
        .args(["--timezone=off", "--console=read-only", "--capability=all"])
        .arg("--system-call-filter=@raw-io @mount add_key keyctl bpf")
        .arg("--bind=/dev/kmsg")
        .arg(format!("--machine={machine}"))
        .arg(format!("--hostname={}", host.name))
        .arg(format!("--uuid={machine_id}"))
        .arg(format!("--network-namespace-path={}", namespace_path(&state.name, &host.name).display()))
        .arg(format!("--directory={}", root.display()))
        // Unit files know whether they are in a container; the kernel's settings must be writable as on a machine.
        .env("SYSTEMD_NSPAWN_API_VFS_WRITABLE", "1");
    Err(command.exec()).context("cannot start systemd-nspawn")
}

/// Removes nspawn's lock files that nobody holds: one stays behind for each container that lost its power.
pub fn remove_stale_locks() {
    let entries = fs::read_dir("/run/systemd/nspawn/locks").into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let Ok(file) = fs::OpenOptions::new().write(true).open(&path) else { continue };
        if rustix::fs::fcntl_lock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok() {
            // While the lock is held here: who waits for it looks whether the file is still the same one.
            let _ = fs::remove_file(&path);
        }
    }
}

/// Folders that nspawn leaves behind for each container it has run.
pub fn leftover_folders(lab: &str, hosts: &[String]) -> Vec<PathBuf> {
    let propagate = Path::new("/run/systemd/nspawn/propagate");
    hosts.iter().map(|host| propagate.join(namespace(lab, host))).filter(|path| path.is_dir()).collect()
}
