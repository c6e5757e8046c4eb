//! What a lab is made of outside its folder, found by looking at the machine and not at what was written down:
//! so a lab whose maker was killed goes as completely as any other.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::command::run;
use super::{cgroup, network, nspawn, process};
use crate::cache::remove_folder;

/// Everything of one lab that this machine has.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Processes in the lab's control groups or network namespaces.
    pub processes: BTreeSet<u32>,
    /// Network namespaces.
    pub namespaces: Vec<String>,
    /// Mounts in this process's namespace.
    pub mounts: Vec<PathBuf>,
    /// Loop devices over files of the lab.
    pub loops: Vec<String>,
    /// Control groups.
    pub groups: Vec<PathBuf>,
    /// Folders: the lab's own, and nspawn's.
    pub folders: Vec<PathBuf>,
}

impl Leftovers {
    /// Looks for everything of the lab whose folder this is.
    pub fn find(name: &str, folder: &Path) -> Result<Self> {
        let mut folders = nspawn_folders(name);
        folders.extend(folder.is_dir().then(|| folder.to_owned()));
        Ok(Self {
            processes: processes(name, folder),
            namespaces: network::namespaces(name).into_iter().map(|(name, _)| name).collect(),
            mounts: mounts_below(
                &fs::read_to_string("/proc/self/mounts").context("cannot read mounts")?,
                folder,
            ),
            loops: loops_below(folder)?,
            groups: cgroup::groups(name, None),
            folders,
        })
    }

    /// Whether the machine has nothing of the lab.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Removes all of it, in the order in which things hold each other.
    pub fn clear(name: &str, folder: &Path) -> Result<()> {
        Self::clear_running(name, folder)?;
        for folder in nspawn_folders(name) {
            remove_folder(&folder)?;
        }
        nspawn::remove_stale_locks();
        remove_folder(folder)?;
        let left = Self::find(name, folder)?;
        if !left.is_empty() {
            bail!("lab {name} could not be cleared; still there: {left}");
        }
        Ok(())
    }
}

impl Leftovers {
    /// Ends and removes all but the folder: what a loss of power of the whole machine would take.
    pub fn clear_running(name: &str, folder: &Path) -> Result<()> {
        process::kill_all(&format!("lab {name}"), || processes(name, folder))?;
        network::remove(name)?;
        for mount in Self::find(name, folder)?.mounts {
            run(Command::new("umount").arg("--lazy").arg(&mount))?;
        }
        wait_for_loops(folder)?;
        cgroup::remove(name, None)
    }
}

impl fmt::Display for Leftovers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} processes, {} network namespaces, {} mounts, {} loop devices, {} control groups, {} folders",
            self.processes.len(),
            self.namespaces.len(),
            self.mounts.len(),
            self.loops.len(),
            self.groups.len(),
            self.folders.len()
        )
    }
}

/// All that runs in a lab: on its hosts by control group, on its seat and for its virtual machines by namespace,
/// and supervisors, which start before they are in either, by their program.
fn processes(name: &str, folder: &Path) -> BTreeSet<u32> {
    let inodes = network::namespaces(name).into_iter().map(|(_, inode)| inode).collect();
    let mut found = process::in_namespaces("net", &inodes);
    found.extend(cgroup::processes(name, None));
    found.extend(process::running_from(folder));
    found.remove(&std::process::id());
    found
}

fn nspawn_folders(name: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir("/run/systemd/nspawn/propagate").into_iter().flatten().flatten();
    let hosts: Vec<_> = entries
        .filter_map(|entry| {
            let machine = entry.file_name().into_string().ok()?;
            let (lab, host) = machine.strip_prefix("sl-")?.rsplit_once('-')?;
            (lab == name).then(|| host.to_owned())
        })
        .collect();
    nspawn::leftover_folders(name, &hosts)
}

/// Mount points at or below the folder, the innermost first.
fn mounts_below(mounts: &str, folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .map(|path| PathBuf::from(path.replace(r"\040", " ")))
        .filter(|path| path.starts_with(folder))
        .collect();
    found.reverse();
    found
}

/// Loop devices whose file is in the folder.
pub fn loops_below(folder: &Path) -> Result<Vec<String>> {
    let text = run(Command::new("losetup").args(["--json", "--list", "--output", "NAME,BACK-FILE"]))?;
    // Nothing at all is said where there is no loop device.
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let answer: Value = serde_json::from_str(&text).context("losetup answered something that is not JSON")?;
    let devices = answer["loopdevices"].as_array().map(Vec::as_slice).unwrap_or_default();
    let own = |device: &&Value| {
        device["back-file"].as_str().is_some_and(|file| Path::new(file).starts_with(folder))
    };
    Ok(devices.iter().filter(own).filter_map(|device| device["name"].as_str().map(str::to_owned)).collect())
}

/// Loop devices go by themselves once the last mount namespace that saw them is gone; waits for that, so that a
/// host's next life never writes beside its last one.
pub fn wait_for_loops(folder: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let left = loops_below(folder)?;
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("loop devices {} are still in use", left.join(", "));
        }
        for device in &left {
            // Detaches it, or marks it to be detached with its last user.
            let _ = run(Command::new("losetup").args(["--detach", device]));
        }
        std::thread::sleep(Duration::from_millis(30));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_comes_first_and_neighbours_stay() {
        let mounts = "overlay /c/labs/a/hosts/m1/root overlay rw 0 0\n\
            /dev/loop1 /c/labs/a/hosts/m1/root/var/lib/etcd ext4 rw 0 0\n\
            overlay /c/labs/ab/hosts/m1/root overlay rw 0 0\n";
        assert_eq!(
            mounts_below(mounts, Path::new("/c/labs/a")),
            [Path::new("/c/labs/a/hosts/m1/root/var/lib/etcd"), Path::new("/c/labs/a/hosts/m1/root")]
        );
    }

    #[test]
    fn a_lab_that_never_was_leaves_nothing() {
        let left = Leftovers::find("no-such-lab", Path::new("/no/such/folder")).unwrap();
        assert!(left.is_empty(), "{left}");
    }
}
