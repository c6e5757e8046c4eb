//! The file system that hosts start from: Debian with what a server has, built once and kept by content key.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::command::run;
use crate::cache::{Cached, Key, folder, remove_folder};

/// Debian 12: the newest release whose systemd still takes control groups of version 1.
const SUITE: &str = "bookworm";

/// What a plain server has that someone will install Kubernetes on.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,sudo,iproute2,iptables,nftables,\
kmod,procps,conntrack,ethtool,socat,iputils-ping,util-linux,mount,curl,ca-certificates";

/// A virtual machine brings its own kernel.
const KERNEL_PACKAGES: &str = "linux-image-cloud-amd64,initramfs-tools,udev,zstd";

/// Units that would only cost start time, or look for the internet.
const MASKED: &[&str] = &[
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "console-getty.service",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-pstore.service",
];

/// Users of every host, with the number that each has. None has a password until a lab gives it one.
const USERS: &[(&str, u32)] = &[("ops", 1001), ("admin", 1002), ("plain", 1003)];

/// Files of the lab's own: path, mode, content.
const FILES: &[(&str, u32, &str)] = &[
    ("etc/ssh/sshd_config.d/lab.conf", 0o644, include_str!("files/sshd.conf")),
    ("etc/sudoers.d/lab", 0o440, include_str!("files/sudoers")),
    ("etc/systemd/system/lab-container.service", 0o644, include_str!("files/container.service")),
    ("usr/local/lib/lab/container", 0o755, include_str!("files/container.sh")),
    ("etc/systemd/system/lab-seed.service", 0o644, include_str!("files/seed.service")),
    ("usr/local/lib/lab/seed", 0o755, include_str!("files/seed.sh")),
    // No name service: the hosts have no internet, and nothing may try.
    ("etc/resolv.conf", 0o644, ""),
    ("etc/apt/sources.list", 0o644, ""),
    // Empty, not missing: with none, the first start would switch on every unit that Debian ships.
    ("etc/machine-id", 0o444, ""),
    ("etc/fstab", 0o644, ""),
];

/// Raised when the steps below change in a way that their texts do not show.
const KIND: &str = "root file system 1";

/// The tree that containers have below their own layer.
pub fn tree(cache: &Path) -> Result<Cached> {
    folder(&cache.join("rootfs"), &tree_key(), |path| build_tree(path, PACKAGES))
}

/// Folder name of the tree as it would be built now.
pub fn tree_key() -> String {
    format!("tree-{}", key(PACKAGES).finish())
}

/// Folder name of the machine image as it would be built now.
pub fn machine_key(root_mib: u64) -> String {
    let key = key(KERNEL_PACKAGES).text(PACKAGES).text(&root_mib.to_string()).text(INITRD_MODULES);
    format!("machine-{}", key.finish())
}

/// The base image of virtual machines, a folder with `disk` (raw, sparse), `vmlinuz`, `initrd` and `shadow`; its
/// root disk has this size in MiB.
pub fn machine_image(cache: &Path, root_mib: u64) -> Result<Cached> {
    folder(&cache.join("rootfs"), &machine_key(root_mib), |path| {
        let tree = path.join("tree");
        fs::create_dir(&tree).context("cannot make the tree of the machine image")?;
        build_tree(&tree, &format!("{PACKAGES},{KERNEL_PACKAGES}"))?;
        build_machine(path, &tree, root_mib)
    })
}

fn key(packages: &str) -> Key {
    let mut key = Key::new(KIND).text(SUITE).text(packages);
    for (path, mode, content) in FILES {
        key = key.text(path).text(&mode.to_string()).text(content);
    }
    for unit in MASKED {
        key = key.text(unit);
    }
    for (user, id) in USERS {
        key = key.text(user).text(&id.to_string());
    }
    key
}

fn build_tree(tree: &Path, packages: &str) -> Result<()> {
    let mut command = Command::new("mmdebstrap");
    command.args(["--variant=minbase", "--quiet", "--aptopt=Acquire::Retries \"3\""]);
    // The first file system of a machine is small and holds what its disk needs, not every driver there is.
    command.arg("--essential-hook=mkdir -p \"$1/etc/initramfs-tools/conf.d\"");
    command.arg(format!("--essential-hook=printf '{INITRD_MODULES}' >\"$1/etc/initramfs-tools/modules\""));
    command.arg(
        "--essential-hook=printf 'MODULES=list\\nCOMPRESS=zstd\\n' >\"$1/etc/initramfs-tools/conf.d/lab\"",
    );
    command.arg(format!("--include={packages}")).arg(SUITE).arg(tree);
    run(&mut command).context("cannot build the hosts' root file system")?;
    customise(tree)
}

const INITRD_MODULES: &str = "virtio_pci\\nvirtio_blk\\next4\\ncrc32c_generic\\n";

/// Users, files and units of the lab, the same for all hosts.
fn customise(tree: &Path) -> Result<()> {
    for (user, id) in USERS {
        let mut command = Command::new("chroot");
        command.arg(tree).args([
            "useradd",
            "--create-home",
            "--shell",
            "/bin/bash",
            "--uid",
            &id.to_string(),
            user,
        ]);
        run(&mut command).with_context(|| format!("cannot add the user {user}"))?;
    }
    for (path, mode, content) in FILES {
        let path = tree.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        }
        // Some of them are links into /run as packages made them.
        let _ = fs::remove_file(&path);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode))
            .with_context(|| format!("cannot set the mode of {}", path.display()))?;
    }
    systemctl(tree, "mask", MASKED)?;
    systemctl(tree, "enable", &["lab-container.service", "lab-seed.service"])?;
    remove_matching(&tree.join("etc/ssh"), "ssh_host_")?;
    remove_folder(&tree.join("var/lib/apt/lists"))?;
    remove_folder(&tree.join("var/cache/apt"))
}

fn systemctl(tree: &Path, verb: &str, units: &[&str]) -> Result<()> {
    let mut command = Command::new("chroot");
    command.arg(tree).args(["systemctl", "--quiet", verb]).args(units);
    run(&mut command).with_context(|| format!("cannot {verb} units of the hosts")).map(drop)
}

fn remove_matching(folder: &Path, prefix: &str) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            fs::remove_file(entry.path())
                .with_context(|| format!("cannot remove {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Turns the tree into a disk and takes kernel and first file system out of it.
fn build_machine(folder: &Path, tree: &Path, root_mib: u64) -> Result<()> {
    for (prefix, name) in [("vmlinuz-", "vmlinuz"), ("initrd.img-", "initrd")] {
        let found = fs::read_dir(tree.join("boot"))
            .context("the machine image has no /boot")?
            .flatten()
            .find(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
            .with_context(|| format!("the machine image has no /boot/{prefix}*"))?;
        fs::copy(found.path(), folder.join(name)).with_context(|| format!("cannot copy {name}"))?;
    }
    fs::copy(tree.join("etc/shadow"), folder.join("shadow"))
        .context("cannot copy the machine image's shadow file")?;
    // A container's namespace is set up from outside; a machine does it itself.
    systemctl(tree, "enable", &["systemd-networkd.service"])?;
    fs::write(tree.join("etc/fstab"), "/dev/vda / ext4 defaults 0 0\n").context("cannot write fstab")?;
    let mut command = Command::new("mke2fs");
    command.args(["-q", "-t", "ext4", "-m", "1", "-d"]).arg(tree);
    command.arg(folder.join("disk")).arg(format!("{root_mib}M"));
    run(&mut command).context("cannot make the machine image's disk")?;
    remove_folder(tree)
}
