//! The kernel: modules, settings, and whether it is well.

use super::{Check, HostInput, Severity, Verdict};
use crate::facts::{BootSetting, ModuleState};
use crate::finding::Group;
use crate::fix::Fix;
use crate::requirements::{OUR_SETTINGS, OUR_SETTINGS_FILE};
use crate::text::list;

/// Least number of processes and threads, and the number from which on nothing is said. 110 pods of some hundred
/// threads each are beyond the kernel's old default of 32768. The kernel allows few threads where memory is small
/// (`set_max_threads` in Linux' kernel/fork.c: some 7,900 per GiB); that alone must not stop the smallest worker.
const PROCESSES: (u64, u64) = (4_096, 65_536);
/// Least number of open files of the whole host, and the number from which on nothing is said.
const FILES: (u64, u64) = (100_000, 500_000);
/// Least entropy, bits. Kernels from 5.18 on always say 256.
const ENTROPY: u64 = 200;

pub(super) const CHECKS: &[Check] = &[
    Check::on_host(
        (Group::System, Severity::Stop),
        "kernel.module-overlay",
        "Kernel module overlay",
        "container file systems are layers that this module lays over each other.",
        &["modules"],
        |input| module(input, "overlay"),
    ),
    Check::on_host(
        (Group::System, Severity::Stop),
        "kernel.module-br-netfilter",
        "Kernel module br_netfilter",
        "without it, packets between pods of one host pass by the rules that make Services.",
        &["modules"],
        |input| module(input, "br_netfilter"),
    ),
    Check::on_host(
        (Group::System, Severity::Stop),
        "kernel.module-nf-conntrack",
        "Kernel module nf_conntrack",
        "an answer finds its way back through address translation only where connections are tracked.",
        &["modules"],
        |input| module(input, "nf_conntrack"),
    ),
    Check::on_host(
        (Group::System, Severity::Stop),
        "kernel.module-vxlan",
        "Kernel module vxlan",
        "pods of different hosts reach each other through tunnels that this module makes.",
        &["modules"],
        |input| module(input, "vxlan"),
    ),
    Check::on_host(
        (Group::System, Severity::Stop),
        "kernel.module-nf-tables",
        "Kernel module nf_tables",
        "Services are nftables rules.",
        &["modules"],
        |input| module(input, "nf_tables"),
    ),
    Check::on_host(
        (Group::System, Severity::Stop),
        "sysctl.writable",
        "Kernel settings can be set",
        "forwarding and file watches must be switched on, and in some containers nobody may.",
        &["settings", "privileges"],
        writable,
    ),
    Check::on_host(
        (Group::System, Severity::Block),
        "sysctl.at-boot",
        "Kernel settings of others",
        "a file that is applied after ours takes forwarding away at the next start, and pods lose their network.",
        &["bootSettings"],
        at_boot,
    ),
    Check::on_host(
        (Group::System, Severity::Block),
        "limits.processes",
        "Process numbers",
        "when the host runs out of process numbers, nothing can be started, not even to mend it.",
        &["settings"],
        processes,
    )
    .fixable(),
    Check::on_host(
        (Group::System, Severity::Block),
        "limits.open-files",
        "Open files",
        "every connection and every log is an open file; at the limit, services stop answering.",
        &["settings"],
        open_files,
    )
    .fixable(),
    Check::on_host(
        (Group::System, Severity::Advice),
        "kernel.entropy",
        "Random numbers",
        "keys and certificates wait until the kernel has collected enough randomness.",
        &["settings"],
        entropy,
    ),
    Check::on_host(
        (Group::System, Severity::Advice),
        "kernel.trouble",
        "Trouble that the kernel has seen",
        "a kernel that has stumbled over itself or over its memory may do so again, under load.",
        &["settings"],
        trouble,
    ),
    Check::on_host(
        (Group::System, Severity::Advice),
        "kernel.restart-pending",
        "Restart pending",
        "a restart that is due comes at a time that nobody chose, and modules of a removed kernel cannot be loaded.",
        &["machine"],
        restart_pending,
    ),
];

fn module(input: &HostInput<'_>, name: &str) -> Verdict {
    let found = input.facts.modules.iter().find(|module| module.name == name).map(|module| module.state);
    let limit = "loaded, built in or loadable";
    match found {
        None => Verdict::error(format!("nobody looked for {name}")),
        Some(ModuleState::Missing) => {
            let remedy = format!(
                "use the distribution's standard kernel (not a reduced one), or load it where the kernel is: modprobe {name}"
            );
            Verdict::fail(format!("missing in kernel {}", input.facts.kernel), remedy).limit(limit)
        }
        Some(ModuleState::Loaded) => Verdict::pass("loaded").limit(limit),
        Some(ModuleState::BuiltIn) => Verdict::pass("built in").limit(limit),
        Some(ModuleState::Available) => Verdict::pass("loadable").limit(limit),
    }
}

/// A setting as a number; none where this kernel has no such setting or says something else.
pub(super) fn number(input: &HostInput<'_>, name: &str) -> Option<u64> {
    input.details().settings.get(name)?.value.parse().ok()
}

/// Only what is wrong now and cannot be set: bridge settings appear when their module is loaded.
fn writable(input: &HostInput<'_>) -> Verdict {
    if number(input, "net.ipv4.ip_forward").is_none() {
        return Verdict::error("the kernel says no net.ipv4.ip_forward");
    }
    let stuck = |name: &str, least: u64| {
        let setting = input.details().settings.get(name);
        setting.is_some_and(|setting| !setting.writable) && number(input, name).is_none_or(|now| now < least)
    };
    let found: Vec<&str> =
        OUR_SETTINGS.into_iter().filter(|(name, least)| stuck(name, *least)).map(|(name, _)| name).collect();
    let limit = format!("{} set or settable", list(&OUR_SETTINGS.map(|(name, _)| name)));
    if found.is_empty() {
        Verdict::pass("all set or settable").limit(limit)
    } else {
        let wanted: Vec<String> = OUR_SETTINGS
            .iter()
            .filter(|(name, _)| found.contains(name))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let remedy = format!("set them on the machine below this host: sysctl -w {}", wanted.join(" "));
        Verdict::fail(format!("{} cannot be set here", list(&found)), remedy).limit(limit)
    }
}

/// Files are applied in the order of their names, whatever folder they are in; `/etc/sysctl.conf` comes as
/// `99-sysctl.conf` (`sysctl.d(5)`).
fn at_boot(input: &HostInput<'_>) -> Verdict {
    let later = |setting: &&BootSetting| {
        let file = setting.file.rsplit('/').next().unwrap_or_default();
        let file = if file == "sysctl.conf" { "99-sysctl.conf" } else { file };
        file > OUR_SETTINGS_FILE
    };
    let lowers = |setting: &&BootSetting| {
        let ours = OUR_SETTINGS.iter().find(|(name, _)| *name == setting.name);
        ours.is_some_and(|(_, least)| setting.value.parse::<u64>().is_ok_and(|value| value < *least))
    };
    let found: Vec<String> = input
        .details()
        .boot_settings
        .iter()
        .filter(later)
        .filter(lowers)
        .map(|setting| format!("{} = {} in {}", setting.name, setting.value, setting.file))
        .collect();
    let limit = format!("nothing against {OUR_SETTINGS_FILE} in files that come after it");
    if found.is_empty() {
        Verdict::pass("nothing").limit(limit)
    } else {
        Verdict::fail(list(&found), "take these lines out, or ask who needs them").limit(limit)
    }
}

fn processes(input: &HostInput<'_>) -> Verdict {
    let lesser = ["kernel.pid_max", "kernel.threads-max"]
        .into_iter()
        .filter_map(|name| number(input, name).map(|value| (value, name)))
        .min();
    let Some((value, name)) = lesser else { return Verdict::error("the kernel says no kernel.pid_max") };
    raised(input, (name, value), PROCESSES, 4_194_304)
}

fn open_files(input: &HostInput<'_>) -> Verdict {
    let Some(value) = number(input, "fs.file-max") else {
        return Verdict::error("the kernel says no fs.file-max");
    };
    raised(input, ("fs.file-max", value), FILES, 1_000_000)
}

/// Fails below the first limit, warns below the second; `to` is the value to set.
fn raised(input: &HostInput<'_>, (name, value): (&str, u64), (least, good): (u64, u64), to: u64) -> Verdict {
    let measured = format!("{value} ({name})");
    let remedy = format!("raise it for good, in /etc/sysctl.d: {name} = {to}");
    let fix = || {
        let fix = Fix::Setting { name: name.to_owned(), value: to.to_string() };
        input.settable(name).then_some(fix)
    };
    let verdict = match value {
        value if value < least => Verdict::fail(measured, remedy).fixed_by(fix()),
        value if value < good => Verdict::warn(measured, remedy).fixed_by(fix()),
        _ => Verdict::pass(measured),
    };
    verdict.limit(format!("{least} or more (good: {good})"))
}

fn entropy(input: &HostInput<'_>) -> Verdict {
    let Some(bits) = number(input, "kernel.random.entropy_avail") else {
        return Verdict::error("the kernel says nothing of its entropy");
    };
    let limit = format!("{ENTROPY} bits or more");
    if bits >= ENTROPY {
        Verdict::pass(format!("{bits} bits")).limit(limit)
    } else {
        let remedy = "give a virtual machine a random number device (virtio-rng), or install rng-tools";
        Verdict::warn(format!("{bits} bits"), remedy).limit(limit)
    }
}

/// Bits of `kernel.tainted` that speak of trouble, not of drivers (admin-guide, "Tainted kernels").
fn trouble(input: &HostInput<'_>) -> Verdict {
    const SIGNS: [(u64, &str); 4] = [
        (4, "the processor reported a machine check"),
        (5, "a page of memory was bad"),
        (7, "the kernel died and went on"),
        (14, "a processor was stuck"),
    ];
    let Some(bits) = number(input, "kernel.tainted") else {
        return Verdict::error("the kernel says nothing of its state");
    };
    let found: Vec<&str> =
        SIGNS.iter().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, what)| *what).collect();
    if found.is_empty() {
        Verdict::pass("none since it started").limit("none")
    } else {
        let remedy = "look into the kernel's log (journalctl -k), mend the cause, restart the host";
        Verdict::warn(format!("{}, since it started", list(&found)), remedy).limit("none")
    }
}

fn restart_pending(input: &HostInput<'_>) -> Verdict {
    if input.details().machine.restart_pending {
        Verdict::warn(
            "the distribution asks for a restart",
            "restart the host now, before anything runs on it",
        )
        .limit("none")
    } else {
        Verdict::pass("none").limit("none")
    }
}
