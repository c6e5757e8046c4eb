//! The finer facts: small files, read as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;

use sealift_checks::facts::{
    Cpu, Details, Firewall, HardwareClock, HostsLine, Machine, Memory, Privileges, Proxy,
};

use super::disks::parse_mounts;
use super::{MAX_ENTRIES, Probe, guards, is_kind, settings, short};
use crate::protocol::ProbeOptions;

/// Units that we write; a drop-in of others changes them.
const UNITS: [&str; 3] = ["containerd", "kubelet", "sealift-registry"];

pub(super) fn probe(probe: &mut Probe<'_>, options: &ProbeOptions, firewall: Firewall) -> Details {
    let (status, users) = (probe.text("/proc/self/status"), probe.text("/proc/self/uid_map"));
    let meminfo = probe.text("/proc/meminfo");
    Details {
        privileges: parse_privileges(&status, &users),
        settings: settings::now(probe, &options.settings),
        boot_settings: settings::at_boot(probe, &options.settings),
        commands: commands(probe, &options.commands),
        processes: processes(probe),
        cpu: parse_cpu(&probe.text("/proc/cpuinfo")),
        controllers: controllers(probe),
        memory: parse_memory(&meminfo),
        machine: machine(probe),
        security: guards::security(probe),
        firewall,
        hosts_file: parse_hosts(&probe.text_if_any("/etc/hosts").unwrap_or_default()),
        proxies: proxies(probe),
        zone: zone(probe),
        hardware_clock: hardware_clock(probe),
        drop_ins: drop_ins(probe),
    }
}

/// `Uid:` has the real, effective, saved and file system user.
pub(super) fn parse_privileges(status: &str, uid_map: &str) -> Privileges {
    let value = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let user = value("Uid:").split_whitespace().nth(1).and_then(|user| user.parse().ok());
    let whole = uid_map.split_whitespace().collect::<Vec<_>>() == ["0", "0", "4294967295"];
    Privileges {
        // Who could not be told is not root.
        user: user.unwrap_or(u32::MAX),
        capabilities: u64::from_str_radix(value("CapEff:").trim(), 16).unwrap_or(0),
        whole_machine: whole,
    }
}

fn commands(probe: &Probe<'_>, names: &[String]) -> BTreeMap<String, bool> {
    let names = names.iter().take(MAX_ENTRIES);
    names.map(|name| (name.clone(), probe.ctx.find_program(name).is_some())).collect()
}

fn processes(probe: &mut Probe<'_>) -> BTreeSet<String> {
    let folders = probe.names("/proc");
    let ids = folders.iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let names: BTreeSet<String> = ids
        .filter_map(|id| probe.text_if_any(&format!("/proc/{id}/comm")))
        .map(|name| short(name.trim()))
        .take(1 << 16)
        .collect();
    if names.is_empty() {
        return probe.miss("/proc: no process can be seen");
    }
    names.into_iter().take(4 * MAX_ENTRIES).collect()
}

/// The first processor's lines: `flags` on x86, `Features` on ARM.
pub(super) fn parse_cpu(cpuinfo: &str) -> Cpu {
    let value = |names: [&str; 2]| {
        let mut lines = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        lines
            .find(|(name, _)| names.contains(&name.trim()))
            .map(|(_, value)| value.trim())
            .unwrap_or_default()
    };
    Cpu {
        model: short(value(["model name", "Model"])),
        flags: value(["flags", "Features"]).split_whitespace().take(MAX_ENTRIES).map(short).collect(),
    }
}

/// In the unified hierarchy the root lists them; in the older one the kernel does, and each has a folder.
fn controllers(probe: &mut Probe<'_>) -> BTreeSet<String> {
    if let Some(unified) = probe.text_if_any("/sys/fs/cgroup/cgroup.controllers") {
        return unified.split_whitespace().take(MAX_ENTRIES).map(short).collect();
    }
    let listed = parse_cgroups(&probe.text_if_any("/proc/cgroups").unwrap_or_default());
    let mounted = probe.names("/sys/fs/cgroup");
    let found: BTreeSet<String> = listed.into_iter().chain(mounted).take(MAX_ENTRIES).collect();
    if found.is_empty() { probe.miss("/proc/cgroups: no controller can be seen") } else { found }
}

/// `name hierarchy groups enabled`.
pub(super) fn parse_cgroups(text: &str) -> Vec<String> {
    let row = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        (columns.get(3) == Some(&"1")).then(|| short(columns[0]))
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(row).collect()
}

pub(super) fn parse_memory(meminfo: &str) -> Memory {
    let number = |name: &str| -> u64 {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    };
    Memory {
        available_bytes: number("MemAvailable").saturating_mul(1024),
        // Of all sizes, in kernels that say so; else of the default size.
        huge_pages_bytes: match number("Hugetlb") {
            0 => number("HugePages_Total").saturating_mul(number("Hugepagesize")).saturating_mul(1024),
            all => all.saturating_mul(1024),
        },
    }
}

fn machine(probe: &mut Probe<'_>) -> Machine {
    let mounts = parse_mounts(&probe.text("/proc/self/mountinfo"));
    let last = |point: &str| mounts.iter().rev().find(|mount| mount.point == point);
    let mode = probe.path("/tmp").metadata().map(|found| found.permissions().mode());
    Machine {
        container: probe.exists("/run/systemd/container") || probe.exists("/.dockerenv"),
        kernel_log: probe.exists("/dev/kmsg"),
        shared_mounts: last("/").is_some_and(|mount| mount.shared),
        proc_options: last("/proc").map(|mount| mount.options.clone()).unwrap_or_default(),
        restart_pending: probe.exists("/run/reboot-required") || probe.exists("/var/run/reboot-required"),
        temporary_mode: mode.unwrap_or(0) & 0o7777,
    }
}

/// `address name…`, comments after `#`.
pub(super) fn parse_hosts(text: &str) -> Vec<HostsLine> {
    let line = |line: &str| {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let address = words.next()?.parse().ok()?;
        let names: Vec<String> = words.take(64).map(|name| short(&name.to_lowercase())).collect();
        (!names.is_empty()).then_some(HostsLine { address, names })
    };
    text.lines().filter_map(line).take(MAX_ENTRIES).collect()
}

fn proxies(probe: &Probe<'_>) -> Vec<Proxy> {
    let mut files = vec!["/etc/environment".to_owned(), "/etc/systemd/system.conf".to_owned()];
    for folder in ["/etc/systemd/system.conf.d", "/etc/environment.d"] {
        files.extend(probe.names(folder).iter().map(|name| format!("{folder}/{name}")));
    }
    let read = |file: &String| parse_proxies(&probe.text_if_any(file).unwrap_or_default(), file);
    files.iter().take(MAX_ENTRIES).flat_map(read).take(MAX_ENTRIES).collect()
}

/// `http_proxy=…` alone or within systemd's `DefaultEnvironment="…" "…"`. Only whether it is set is kept: the address
/// may hold a password.
pub(super) fn parse_proxies(text: &str, file: &str) -> Vec<Proxy> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    let words =
        lines.flat_map(|line| line.strip_prefix("DefaultEnvironment=").unwrap_or(line).split_whitespace());
    let assignments: Vec<(String, &str)> = words
        .filter_map(|word| word.trim_matches(['"', '\'']).split_once('='))
        .map(|(name, value)| (name.to_lowercase(), value.trim_matches(['"', '\''])))
        .collect();
    let direct: Vec<String> = assignments
        .iter()
        .filter(|(name, _)| name == "no_proxy")
        .flat_map(|(_, value)| value.split(','))
        .map(|entry| short(entry.trim()))
        .take(MAX_ENTRIES)
        .collect();
    let set = assignments.iter().filter(|(name, value)| {
        matches!(name.as_str(), "http_proxy" | "https_proxy" | "all_proxy") && !value.is_empty()
    });
    set.map(|(name, _)| Proxy { file: short(file), variable: name.clone(), direct: direct.clone() }).collect()
}

/// `/etc/localtime` is a link into the zones; where it is a copy, Debian's `/etc/timezone` has the name.
fn zone(probe: &Probe<'_>) -> String {
    let link = probe.path("/etc/localtime").read_link().ok();
    let named =
        link.and_then(|link| link.to_string_lossy().split_once("zoneinfo/").map(|(_, zone)| short(zone)));
    let zone = named.unwrap_or_else(|| short(&probe.line_if_any("/etc/timezone")));
    // Names of the same.
    if matches!(zone.as_str(), "" | "Etc/UTC" | "UTC" | "Etc/UCT" | "Zulu" | "Etc/Zulu" | "Universal") {
        return "UTC".to_owned();
    }
    zone
}

/// The third line of `/etc/adjtime` is `UTC` or `LOCAL`.
fn hardware_clock(probe: &Probe<'_>) -> HardwareClock {
    let now = super::now() / 1000;
    let shown: Option<i64> = probe.line_if_any("/sys/class/rtc/rtc0/since_epoch").parse().ok();
    HardwareClock {
        local: probe.text_if_any("/etc/adjtime").is_some_and(|text| text.lines().nth(2) == Some("LOCAL")),
        offset_seconds: shown.map(|shown| shown.saturating_sub(now)),
    }
}

fn drop_ins(probe: &Probe<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for unit in UNITS {
        for root in ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system"] {
            let folder = format!("{root}/{unit}.service.d");
            let names = probe.names(&folder);
            found.extend(
                names
                    .iter()
                    .filter(|name| is_kind(name, "conf"))
                    .map(|name| short(&format!("{folder}/{name}"))),
            );
        }
    }
    found.truncate(MAX_ENTRIES);
    found
}
