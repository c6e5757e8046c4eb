//! Limits of this machine's kernel that all containers share, and that a few of them use up together.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// What several labs with a cluster in each need. systemd, kubelet and containerd each hold a handful of inotify
/// instances; all of them count as root's, and a kernel allows 128 unless told otherwise. A host that gets none
/// does not start to the end, and says so nowhere.
const NEEDED: &[(&str, u64)] =
    &[("/proc/sys/fs/inotify/max_user_instances", 8192), ("/proc/sys/fs/inotify/max_user_watches", 524_288)];

/// Raises what is lower than needed; never lowers anything. The values hold until this machine reboots.
pub fn raise() -> Result<()> {
    NEEDED.iter().try_for_each(|(path, least)| raise_one(Path::new(path), *least))
}

fn raise_one(path: &Path, least: u64) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let now: u64 = text.trim().parse().with_context(|| format!("{} is not a number", path.display()))?;
    if now < least {
        fs::write(path, least.to_string()).with_context(|| format!("cannot raise {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_raised_and_never_lowered() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (before, after) in [("128\n", "500"), ("900\n", "900\n")] {
            fs::write(file.path(), before).unwrap();
            raise_one(file.path(), 500).unwrap();
            assert_eq!(fs::read_to_string(file.path()).unwrap(), after);
        }
    }
}
