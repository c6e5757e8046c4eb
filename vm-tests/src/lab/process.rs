//! Processes that outlive this one: known by number *and* start time, since numbers are used again.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

/// One process, told apart from a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Number.
    pub pid: u32,
    /// Start time in clock ticks since boot.
    pub started: u64,
}

impl ProcessId {
    /// The process that has this number now.
    pub fn of(pid: u32) -> Result<Self> {
        let stat =
            fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("no process {pid}"))?;
        let (_, started) =
            parse_stat(&stat).with_context(|| format!("cannot read the state of process {pid}"))?;
        Ok(Self { pid, started })
    }

    /// Whether it still runs; a dead process that nobody waited for does not.
    pub fn is_alive(self) -> bool {
        let Ok(stat) = fs::read_to_string(format!("/proc/{}/stat", self.pid)) else { return false };
        parse_stat(&stat)
            .is_some_and(|(state, started)| started == self.started && !matches!(state, 'Z' | 'X'))
    }

    /// Kills it, if it is still the same one.
    pub fn kill(self) {
        if self.is_alive() {
            kill(self.pid);
        }
    }
}

/// State letter and start time out of `/proc/PID/stat`; the command's name may hold spaces and brackets.
fn parse_stat(stat: &str) -> Option<(char, u64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may just have ended by itself.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Kills everything that `find` returns until it returns nothing: what is killed may just have started more.
pub fn kill_all(what: &str, mut find: impl FnMut() -> BTreeSet<u32>) -> Result<usize> {
    let own = std::process::id();
    let mut seen = BTreeSet::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let mut found = find();
        found.remove(&own);
        found.retain(|pid| ProcessId::of(*pid).is_ok_and(ProcessId::is_alive));
        if found.is_empty() {
            return Ok(seen.len());
        }
        if Instant::now() > deadline {
            bail!("{what}: processes {found:?} do not end although killed");
        }
        for pid in &found {
            kill(*pid);
        }
        seen.extend(found);
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The processes whose `/proc/PID/ns/KIND` is one of these namespaces (inode numbers).
pub fn in_namespaces(kind: &str, inodes: &BTreeSet<u64>) -> BTreeSet<u32> {
    let of = |pid: u32| {
        let link = fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok()?;
        link.to_str()?.strip_prefix(kind)?.strip_prefix(":[")?.strip_suffix(']')?.parse::<u64>().ok()
    };
    all().filter(|pid| of(*pid).is_some_and(|inode| inodes.contains(&inode))).collect()
}

/// The processes whose program is in this folder.
pub fn running_from(folder: &Path) -> BTreeSet<u32> {
    all()
        .filter(|pid| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.starts_with(folder)))
        .collect()
}

/// The child of `parent` that is the first process of a process namespace: a container's init.
pub fn namespace_init(parent: u32) -> Option<u32> {
    all().find(|pid| {
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return false };
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .map(|rest| rest.split_whitespace().collect::<Vec<_>>())
        };
        let is_child = field("PPid:").is_some_and(|values| values == [parent.to_string()]);
        is_child && field("NSpid:").is_some_and(|values| values.len() > 1 && values.last() == Some(&"1"))
    })
}

fn all() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn stat_is_read_past_a_name_with_brackets() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 1000 10";
        assert_eq!(parse_stat(stat), Some(('S', 777)));
        assert_eq!(parse_stat("nonsense"), None);
    }

    #[test]
    fn a_process_is_itself_only_with_its_start_time() {
        let me = ProcessId::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        assert!(!ProcessId { started: me.started + 1, ..me }.is_alive());
    }

    #[test]
    fn a_program_is_found_by_its_folder() {
        let own = std::env::current_exe().unwrap();
        assert!(running_from(own.parent().unwrap()).contains(&std::process::id()));
        assert!(running_from(Path::new("/no/such/folder")).is_empty());
    }

    #[test]
    fn a_killed_child_is_not_alive_even_before_it_is_waited_for() {
        let mut child = Command::new("sleep").arg("600").stdout(Stdio::null()).spawn().unwrap();
        let id = ProcessId::of(child.id()).unwrap();
        let killed = kill_all("test", || BTreeSet::from([id.pid])).unwrap();
        assert_eq!(killed, 1);
        assert!(!id.is_alive());
        child.wait().unwrap();
    }
}
