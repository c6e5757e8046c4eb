//! Operating system, memory, control groups, capabilities.

use std::fs::OpenOptions;

use sealift_checks::facts::{CgroupVersion, Os, Swap};

use super::Probe;
use crate::command::Command;

/// Bit of `CAP_SYS_RESOURCE` in a capability mask.
const CAP_SYS_RESOURCE: u32 = 24;

/// From `/etc/os-release`, else the vendor's copy.
pub(super) fn os(probe: &mut Probe<'_>) -> Os {
    let text = probe.text_if_any("/etc/os-release").or_else(|| probe.text_if_any("/usr/lib/os-release"));
    let Some(text) = text else { return probe.miss("/etc/os-release") };
    parse_os(&text)
}

pub(super) fn parse_os(text: &str) -> Os {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(|value| value.trim().trim_matches(['"', '\'']).to_owned()).unwrap_or_default()
    };
    Os { id: value("ID"), version: value("VERSION_ID"), name: value("PRETTY_NAME") }
}

pub(super) fn parse_memory_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The rows of `/proc/swaps`.
pub(crate) fn parse_swaps(text: &str) -> Vec<Swap> {
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let mut columns = line.split_whitespace();
            let path = unescape(columns.next()?);
            let kib: u64 = columns.nth(1)?.parse().ok()?;
            Some(Swap { path, bytes: kib * 1024 })
        })
        .collect()
}

/// The kernel writes white space in paths as octal: `\040`.
pub(super) fn unescape(text: &str) -> String {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let octal =
            after.get(..3).filter(|digits| byte == b'\\' && digits.iter().all(|c| (b'0'..=b'7').contains(c)));
        if let Some(digits) = octal {
            plain.push(digits.iter().fold(0u8, |value, digit| (value << 3) | (digit - b'0')));
            rest = &after[3..];
        } else {
            plain.push(byte);
            rest = after;
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

pub(super) fn cgroup(probe: &Probe<'_>) -> CgroupVersion {
    // Only the root of a unified hierarchy has this file; in a hybrid one it is below `unified/`.
    if probe.exists("/sys/fs/cgroup/cgroup.controllers") { CgroupVersion::V2 } else { CgroupVersion::V1 }
}

pub(super) fn parse_cap_sys_resource(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> CAP_SYS_RESOURCE & 1 == 1
}

/// In another than the first network namespace the kernel refuses to open it for writing. Where it is missing,
/// connection tracking is not loaded yet, so this is no such namespace.
pub(super) fn conntrack_writable(probe: &Probe<'_>) -> bool {
    let path = probe.path("/proc/sys/net/netfilter/nf_conntrack_max");
    !path.exists() || OpenOptions::new().write(true).open(path).is_ok()
}

/// Empty in containers: they show the machine's that runs them, so it would not tell hosts apart.
pub(super) fn product_uuid(probe: &Probe<'_>) -> String {
    let container = probe.exists("/run/systemd/container") || probe.exists("/.dockerenv");
    if container { String::new() } else { probe.line_if_any("/sys/class/dmi/id/product_uuid").to_lowercase() }
}

pub(super) fn parse_nameservers(resolv_conf: &str) -> Vec<String> {
    let lines = resolv_conf.lines().map(str::split_whitespace);
    lines
        .filter_map(|mut words| (words.next()? == "nameserver").then(|| words.next().map(str::to_owned))?)
        .collect()
}

/// The version of the running service manager, 0 where systemd does not run.
pub(super) fn systemd(probe: &mut Probe<'_>) -> u32 {
    if !probe.exists("/run/systemd/system") {
        return 0;
    }
    let text = probe.output(Command::new("systemctl").arg("--version")).unwrap_or_default();
    parse_systemd_version(&text)
}

/// `systemd 252 (252.39-1~deb12u1)`.
pub(super) fn parse_systemd_version(text: &str) -> u32 {
    let number = text.split_whitespace().nth(1).unwrap_or_default();
    number.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
}
