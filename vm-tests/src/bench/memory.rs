//! The most memory that a process had.

use std::fs;
use std::thread::JoinHandle;
use std::time::Duration;

/// Reads the process's high-water mark until it ends: the kernel keeps it, so looking now and then misses only what
/// comes in the last moment.
pub fn watch(pid: u32) -> JoinHandle<Option<u64>> {
    std::thread::spawn(move || {
        let mut peak = None;
        while let Some(bytes) =
            fs::read_to_string(format!("/proc/{pid}/status")).ok().as_deref().and_then(high_water)
        {
            peak = peak.max(Some(bytes));
            std::thread::sleep(Duration::from_millis(20));
        }
        peak
    })
}

/// `VmHWM` in bytes; a process that has ended has none.
fn high_water(status: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    rest.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read() {
        assert_eq!(high_water("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n"), Some(2 * 1024 * 1024));
        assert_eq!(high_water("Name:\tx\nState:\tZ (zombie)\n"), None);
    }

    #[test]
    fn a_process_is_watched_to_its_end() {
        let mut child = std::process::Command::new("sleep").arg("0.2").spawn().unwrap();
        let watch = watch(child.id());
        child.wait().unwrap();
        assert!(watch.join().unwrap().unwrap() > 0);
    }
}
