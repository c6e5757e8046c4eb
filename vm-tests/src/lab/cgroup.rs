//! One control group per host in every hierarchy: the host's own root of control groups, and the list of all
//! that runs in it, which no process can leave by forking.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::wait::until;

/// How long threads of killed processes may take to end: they may wait for a disk.
const LAST_THREADS: Duration = Duration::from_secs(30);

/// Where control groups are mounted on this machine.
#[derive(Debug, PartialEq, Eq)]
struct Hierarchy {
    path: PathBuf,
    unified: bool,
}

/// Every hierarchy of this machine, version 1 and 2.
fn hierarchies() -> Result<Vec<Hierarchy>> {
    Ok(parse_mounts(&fs::read_to_string("/proc/self/mounts").context("cannot read the mount table")?))
}

fn parse_mounts(mounts: &str) -> Vec<Hierarchy> {
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (path, kind) = (fields.next()?, fields.next()?);
            let unified = kind == "cgroup2";
            (unified || kind == "cgroup").then(|| Hierarchy { path: path.into(), unified })
        })
        .collect()
}

fn lab_group(lab: &str) -> String {
    format!("sl-{lab}")
}

/// Moves this process into the host's groups, which are made where they are missing.
pub fn join(lab: &str, host: &str, memory_mib: Option<u32>) -> Result<()> {
    for hierarchy in hierarchies()? {
        let root = &hierarchy.path;
        let group = root.join(lab_group(lab)).join(host);
        fs::create_dir_all(&group)
            .with_context(|| format!("cannot make the control group {}", group.display()))?;
        for (parent, child) in
            [(root.clone(), root.join(lab_group(lab))), (root.join(lab_group(lab)), group.clone())]
        {
            prepare(&parent, &child, hierarchy.unified)?;
        }
        if let Some(mib) = memory_mib {
            limit_memory(&group, hierarchy.unified, mib)?;
        }
        fs::write(group.join("cgroup.procs"), std::process::id().to_string())
            .with_context(|| format!("cannot enter the control group {}", group.display()))?;
    }
    Ok(())
}

/// A new group of version 1 has no processors to run on, one of version 2 no controllers.
fn prepare(parent: &Path, child: &Path, unified: bool) -> Result<()> {
    if unified {
        let controllers = fs::read_to_string(parent.join("cgroup.controllers")).unwrap_or_default();
        for controller in controllers.split_whitespace() {
            // One that cannot be delegated (another mount holds it) is one the host goes without.
            let _ = fs::write(parent.join("cgroup.subtree_control"), format!("+{controller}"));
        }
        return Ok(());
    }
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if let Ok(value) = fs::read_to_string(parent.join(file)) {
            let target = child.join(file);
            fs::write(&target, value.trim()).with_context(|| format!("cannot write {}", target.display()))?;
        }
    }
    Ok(())
}

fn limit_memory(group: &Path, unified: bool, mib: u32) -> Result<()> {
    let file = group.join(if unified { "memory.max" } else { "memory.limit_in_bytes" });
    if file.exists() {
        fs::write(&file, (u64::from(mib) << 20).to_string())
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Everything that runs in one host of a lab, or in all of them.
pub fn processes(lab: &str, host: Option<&str>) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for group in groups(lab, host) {
        collect(&group, &mut found);
    }
    found
}

fn collect(group: &Path, found: &mut BTreeSet<u32>) {
    if let Ok(list) = fs::read_to_string(group.join("cgroup.procs")) {
        found.extend(list.lines().filter_map(|line| line.parse::<u32>().ok()));
    }
    for child in children(group) {
        collect(&child, found);
    }
}

/// The groups that exist for one host of a lab, or for the lab.
pub fn groups(lab: &str, host: Option<&str>) -> Vec<PathBuf> {
    let group = |hierarchy: Hierarchy| {
        let lab = hierarchy.path.join(lab_group(lab));
        host.map_or(lab.clone(), |host| lab.join(host))
    };
    hierarchies().unwrap_or_default().into_iter().map(group).filter(|path| path.is_dir()).collect()
}

/// Removes the groups; nothing may run in them any more.
pub fn remove(lab: &str, host: Option<&str>) -> Result<()> {
    for group in groups(lab, host) {
        remove_tree(&group)?;
    }
    Ok(())
}

fn remove_tree(group: &Path) -> Result<()> {
    for child in children(group) {
        remove_tree(&child)?;
    }
    // A killed process whose threads are still on their way out is in no list, and its group is busy until they are.
    until(&format!("removing the control group {}", group.display()), LAST_THREADS, || {
        match fs::remove_dir(group) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(Some(())),
        }
    })
}

fn children(group: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_found_in_the_mount_table() {
        let mounts = "proc /proc proc rw 0 0\n\
            tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
            cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n\
            cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(
            parse_mounts(mounts),
            [
                Hierarchy { path: "/sys/fs/cgroup/cpu,cpuacct".into(), unified: false },
                Hierarchy { path: "/sys/fs/cgroup/unified".into(), unified: true },
            ]
        );
    }

    #[test]
    fn a_lab_that_never_was_has_no_groups() {
        assert_eq!(groups("no-such-lab", None), Vec::<PathBuf>::new());
        assert!(processes("no-such-lab", Some("m1")).is_empty());
    }
}
