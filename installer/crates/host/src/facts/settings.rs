//! Kernel settings: as they are, and as files of others set them at boot.

use std::collections::BTreeMap;
use std::fs::OpenOptions;

use sealift_checks::facts::{BootSetting, Setting};

use super::{MAX_ENTRIES, Probe, is_kind, short};

/// Folders of `sysctl.d(5)`, those that win first.
const FOLDERS: [&str; 4] = ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d"];
/// The file that we write ourselves.
const OURS: &str = "90-sealift.conf";

/// Settings by their names with dots; those that this kernel lacks are left out.
pub(super) fn now(probe: &Probe<'_>, names: &[String]) -> BTreeMap<String, Setting> {
    let read = |name: &String| {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        let text = probe.text_if_any(&path)?;
        let value = short(&text.split_whitespace().collect::<Vec<_>>().join(" "));
        // Opening changes nothing: a setting changes when something is written.
        let writable = OpenOptions::new().write(true).open(probe.path(&path)).is_ok();
        Some((name.clone(), Setting { value, writable }))
    };
    names
        .iter()
        .filter(|name| !name.contains("..") && !name.contains('/'))
        .take(MAX_ENTRIES)
        .filter_map(read)
        .collect()
}

/// What files other than ours say about these settings. A file hides those of its name in folders that come later;
/// all are applied in the order of their names, `/etc/sysctl.conf` last.
pub(super) fn at_boot(probe: &Probe<'_>, names: &[String]) -> Vec<BootSetting> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for folder in FOLDERS {
        for name in probe.names(folder).into_iter().filter(|name| is_kind(name, "conf") && name != OURS) {
            let path = format!("{folder}/{name}");
            files.entry(name).or_insert(path);
        }
    }
    let paths = files.into_values().chain(["/etc/sysctl.conf".to_owned()]);
    let found = paths.flat_map(|path| parse(&probe.text_if_any(&path).unwrap_or_default(), &path));
    found.filter(|setting| names.contains(&setting.name)).take(MAX_ENTRIES).collect()
}

/// `name = value` lines; a leading `-` means that a failure does not matter, and slashes may stand for dots.
pub(super) fn parse(text: &str, file: &str) -> Vec<BootSetting> {
    let line = |line: &str| {
        let line = line.trim().trim_start_matches('-');
        if line.starts_with(['#', ';']) {
            return None;
        }
        let (name, value) = line.split_once('=')?;
        let name = name.trim().replace('/', ".");
        Some(BootSetting { file: short(file), name: short(&name), value: short(value.trim()) })
    };
    text.lines().filter_map(line).collect()
}
