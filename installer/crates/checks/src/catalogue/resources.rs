//! What the host has of processor and memory beyond their number and size.

use super::{Check, HostInput, Severity, Verdict};
use crate::finding::Group;
use crate::fix::Fix;
use crate::text::{list, mebibytes};

/// What x86-64-v2 has over the first 64-bit processors (psABI, "Micro-architecture levels").
const LEVEL_2: [&str; 7] = ["cx16", "lahf_lm", "popcnt", "sse3", "sse4_1", "sse4_2", "ssse3"];
/// Share of the memory, in percent, that huge pages may take.
const HUGE_PAGES: u64 = 10;

pub(super) const CHECKS: &[Check] = &[
    Check::on_host(
        (Group::System, Severity::Block),
        "cpu.level",
        "Processor level",
        "many images of today are built for x86-64-v2; on less, their programs end with an illegal instruction.",
        &["cpu", "architecture"],
        level,
    ),
    Check::on_host(
        (Group::System, Severity::Advice),
        "memory.available",
        "Memory in use already",
        "what other programs hold, the cluster does not get.",
        &["memory", "claim"],
        available,
    ),
    Check::on_host(
        (Group::System, Severity::Advice),
        "memory.huge-pages",
        "Huge pages",
        "memory that is put aside as huge pages serves only programs that ask for it.",
        &["memory", "memoryBytes"],
        huge_pages,
    ),
    Check::on_host(
        (Group::System, Severity::Advice),
        "memory.killer",
        "Second memory killer",
        "a service that kills programs before memory is short does not know which pods matter.",
        &["processes"],
        killer,
    )
    .fixable(),
];

fn level(input: &HostInput<'_>) -> Verdict {
    if input.facts.architecture != "x86_64" {
        return Verdict::pass(format!("{}: has no such levels", input.facts.architecture));
    }
    let flags = &input.details().cpu.flags;
    if flags.is_empty() {
        return Verdict::error("the kernel names no processor flags");
    }
    // Linux calls SSE3 by its old name.
    let has = |flag: &str| flags.contains(if flag == "sse3" { "pni" } else { flag });
    let missing: Vec<&str> = LEVEL_2.into_iter().filter(|flag| !has(flag)).collect();
    if missing.is_empty() {
        Verdict::pass("x86-64-v2 or higher").limit("x86-64-v2")
    } else {
        let remedy = "let the hypervisor pass on more of the processor (CPU type host, not kvm64 or qemu64), or use a newer machine";
        Verdict::fail(format!("{} missing", list(&missing)), remedy).limit("x86-64-v2")
    }
}

fn available(input: &HostInput<'_>) -> Verdict {
    let (free, least) = (input.details().memory.available_bytes, input.need.memory_bytes);
    let measured = format!("{} free", mebibytes(free));
    let limit = format!("{} or more free", mebibytes(least));
    if input.ours() || free >= least {
        Verdict::pass(measured).limit(limit)
    } else {
        let remedy = "stop what else runs on this host (ps aux --sort=-rss shows it), or give it more memory";
        Verdict::warn(measured, remedy).limit(limit)
    }
}

fn huge_pages(input: &HostInput<'_>) -> Verdict {
    let (aside, all) = (input.details().memory.huge_pages_bytes, input.facts.memory_bytes);
    let limit = format!("{HUGE_PAGES} % of the memory or less");
    if aside.saturating_mul(100) <= all.saturating_mul(HUGE_PAGES) {
        Verdict::pass(mebibytes(aside)).limit(limit)
    } else {
        let remedy = "set vm.nr_hugepages = 0 for good, unless the product asks for huge pages";
        Verdict::warn(format!("{} of {}", mebibytes(aside), mebibytes(all)), remedy).limit(limit)
    }
}

fn killer(input: &HostInput<'_>) -> Verdict {
    const KILLERS: [&str; 3] = ["systemd-oomd", "earlyoom", "nohang"];
    let found: Vec<&str> =
        KILLERS.into_iter().filter(|name| input.details().processes.contains(*name)).collect();
    if found.is_empty() {
        Verdict::pass("none runs").limit("none")
    } else {
        let remedy = format!("systemctl disable --now {}: the kubelet does this work", found.join(" "));
        // systemd's has a socket that would start it again.
        let sockets =
            found.iter().filter(|name| **name == "systemd-oomd").map(|name| format!("{name}.socket"));
        let services = found.iter().map(|name| format!("{name}.service"));
        let units = sockets.chain(services).collect();
        Verdict::warn(list(&found), remedy).limit("none").fixed_by([Fix::StopUnits { units }])
    }
}
