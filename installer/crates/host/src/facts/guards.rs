//! What guards the host: mandatory access control and packet filters.

use sealift_checks::facts::{Drops, Firewall, ModuleState, Security};

use super::{MAX_ENTRIES, Probe, modules, short};
use crate::command::Command;

pub(super) fn security(probe: &Probe<'_>) -> Security {
    Security {
        selinux_enforcing: probe.line_if_any("/sys/fs/selinux/enforce") == "1",
        apparmor: probe.line_if_any("/sys/module/apparmor/parameters/enabled") == "Y",
        apparmor_parser: probe.ctx.find_program("apparmor_parser").is_some(),
    }
}

/// The packet filters of others, and whether nftables answered. No file has nftables' rules; on a host without the
/// program nobody has made any with it.
pub(super) fn firewall(probe: &mut Probe<'_>) -> (Firewall, bool) {
    let ufw = probe.text_if_any("/etc/ufw/ufw.conf").is_some_and(|text| ufw_enabled(&text));
    // The question itself would load the module; where it is not loaded yet, there are no rules.
    let loaded = modules::state(probe.ctx.paths(), "nf_tables") != ModuleState::Available;
    if !loaded || probe.ctx.find_program("nft").is_none() {
        return (Firewall { ufw, drops: Vec::new() }, false);
    }
    let listed = probe.output(Command::new("nft").args(["list", "chains"]));
    let drops = listed.as_deref().map(parse_chains).unwrap_or_default();
    (Firewall { ufw, drops }, listed.is_some())
}

pub(super) fn ufw_enabled(conf: &str) -> bool {
    let value = conf.lines().find_map(|line| line.trim().strip_prefix("ENABLED="));
    value.is_some_and(|value| value.trim_matches(['"', '\'']).eq_ignore_ascii_case("yes"))
}

/// Chains with the policy drop in the text of `nft list chains`:
///
/// ```text
/// table inet filter {
///     chain input {
///         type filter hook input priority filter; policy drop;
///     }
/// }
/// ```
pub(super) fn parse_chains(text: &str) -> Vec<Drops> {
    let (mut table, mut chain, mut drops) = (String::new(), String::new(), Vec::new());
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("table ") {
            name.trim_end_matches('{').trim().clone_into(&mut table);
        } else if let Some(name) = line.strip_prefix("chain ") {
            name.trim_end_matches('{').trim().clone_into(&mut chain);
        } else if line.contains("policy drop") {
            let mut words = line.split_whitespace().skip_while(|word| *word != "hook").skip(1);
            if let Some(hook) = words.next() {
                drops.push(Drops { hook: short(hook), chain: short(&format!("{table} {chain}")) });
            }
        }
    }
    drops.truncate(MAX_ENTRIES);
    drops
}
