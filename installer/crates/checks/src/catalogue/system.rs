//! Operating system, kernel, processors, memory.

use super::{BUNDLE, Check, HostInput, Scope, Severity, Verdict};
use crate::facts::CgroupVersion;
use crate::finding::Group;
use crate::fix::Fix;
use crate::text::{list, mebibytes};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "facts.readable",
        title: "Measurements",
        why: "what cannot be seen cannot be called good.",
        group: Group::System,
        severity: Severity::Stop,
        beyond: None,
        deep: false,
        fixable: false,
        facts: &[],
        scope: Scope::Host(readable),
    },
    Check {
        id: "os.supported",
        title: "Operating system",
        why: "services are run and watched by systemd; older ones lack what the cluster's services use.",
        group: Group::System,
        severity: Severity::Stop,
        beyond: None,
        deep: false,
        fixable: false,
        facts: &["os", "systemd"],
        scope: Scope::Host(os),
    },
    Check {
        id: "os.architecture",
        title: "Processor architecture",
        why: "programs and images of the bundle run on the architectures that they were built for, and on no other.",
        group: Group::System,
        severity: Severity::Stop,
        beyond: None,
        deep: false,
        fixable: false,
        facts: &["architecture", BUNDLE],
        scope: Scope::Host(architecture),
    },
    Check {
        id: "kernel.version",
        title: "Kernel version",
        why: "Services of the cluster are made by nftables rules that older kernels do not know.",
        group: Group::System,
        severity: Severity::Stop,
        beyond: None,
        deep: false,
        fixable: false,
        facts: &["kernel"],
        scope: Scope::Host(kernel),
    },
    Check {
        id: "cpu.count",
        title: "Processors",
        why: "with fewer, the control plane's parts wait for each other and give up.",
        group: Group::System,
        severity: Severity::Block,
        beyond: None,
        deep: false,
        fixable: false,
        facts: &["cpus"],
        scope: Scope::Host(cpus),
    },
    Check {
        id: "memory.size",
        title: "Memory",
        why: "with less, the kernel kills parts of the cluster at the first load.",
        group: Group::System,
        severity: Severity::Block,
        beyond: None,
        deep: false,
        fixable: false,
        facts: &["memoryBytes"],
        scope: Scope::Host(memory),
    },
    Check {
        id: "cgroup.version",
        title: "Control groups",
        why: "Kubernetes is giving up cgroup v1: it still runs on it, but a later release will not.",
        group: Group::System,
        severity: Severity::Advice,
        beyond: None,
        deep: false,
        fixable: false,
        facts: &["cgroup"],
        scope: Scope::Host(cgroup),
    },
    Check {
        id: "privileges.cap-sys-resource",
        title: "Privilege to shield processes from the memory killer",
        why: "without CAP_SYS_RESOURCE (usual in a container), the cluster's own parts are killed as easily as any other when memory runs out.",
        group: Group::System,
        severity: Severity::Advice,
        beyond: None,
        deep: false,
        fixable: false,
        facts: &["capSysResource"],
        scope: Scope::Host(cap_sys_resource),
    },
    Check {
        id: "privileges.conntrack",
        title: "Privilege to size the connection table",
        why: "the table of tracked connections keeps the size that the machine gave it; when it is full, new connections fail.",
        group: Group::System,
        severity: Severity::Advice,
        beyond: None,
        deep: false,
        fixable: false,
        facts: &["conntrackWritable"],
        scope: Scope::Host(conntrack),
    },
    Check {
        id: "swap.active",
        title: "Swap",
        why: "a swapping host answers too late and is taken for dead.",
        group: Group::System,
        severity: Severity::Advice,
        beyond: None,
        deep: false,
        fixable: true,
        facts: &["swap"],
        scope: Scope::Host(swap),
    },
];

/// Only what no other check speaks of: each thing that cannot be read is an error once or more, never nowhere.
fn readable(input: &HostInput<'_>) -> Verdict {
    let unseen: Vec<&str> = input.facts.unreadable_for_unknown_reasons().collect();
    if unseen.is_empty() { Verdict::pass("all could be read") } else { Verdict::error(unseen.join("; ")) }
}

fn os(input: &HostInput<'_>) -> Verdict {
    let (os, least) = (&input.facts.os, input.all.systemd);
    let name = if os.name.is_empty() { format!("{} {}", os.id, os.version) } else { os.name.clone() };
    let limit = format!("Linux with systemd {least} or newer");
    let remedy = "install a supported release: Debian 12, Ubuntu 22.04, RHEL 9 or newer ones of these";
    match input.facts.systemd {
        0 => Verdict::fail(format!("{name}, systemd is not running"), remedy),
        version if version < least => Verdict::fail(format!("{name}, systemd {version}"), remedy),
        version => Verdict::pass(format!("{name}, systemd {version}")),
    }
    .limit(limit)
}

fn architecture(input: &HostInput<'_>) -> Verdict {
    let uname = input.facts.architecture.as_str();
    if uname.is_empty() {
        return Verdict::error("the host says no architecture");
    }
    let ours = input.facts.image_architecture();
    let limit = format!("one that the bundle was built for: {}", list(input.platforms));
    if input.platforms.iter().any(|platform| input.facts.runs(platform)) {
        Verdict::pass(format!("{uname} (linux/{ours})")).limit(limit)
    } else {
        let remedy = "use a host of that architecture, or ask the vendor for a bundle for this one";
        Verdict::fail(format!("{uname} (linux/{ours})"), remedy).limit(limit)
    }
}

fn kernel(input: &HostInput<'_>) -> Verdict {
    let text = &input.facts.kernel;
    let Some(version) = version(text) else {
        return Verdict::error(format!("`{text}` is no kernel version"));
    };
    let show = |(major, minor): (u32, u32)| format!("{major}.{minor}");
    let (least, good) = (input.all.kernel, input.all.kernel_good);
    let limit = format!("{} or newer (good: {})", show(least), show(good));
    let remedy = "install the distribution's newest kernel, restart the host, check again";
    match () {
        () if version < least => Verdict::fail(text, remedy),
        () if version < good => Verdict::warn(text, remedy),
        () => Verdict::pass(text),
    }
    .limit(limit)
}

/// `6.1.0-28-amd64` → (6, 1).
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn cpus(input: &HostInput<'_>) -> Verdict {
    let (have, least, good) = (input.facts.cpus, input.need.cpus, input.need.cpus_good);
    let count =
        |number: u32| if number == 1 { "1 processor".to_owned() } else { format!("{number} processors") };
    let verdict = match have {
        0 => Verdict::error("the host says it has none"),
        have if have < least => Verdict::fail(count(have), "give the host more processors, or use another"),
        have if have < good => Verdict::warn(count(have), "enough for a small load; for more, give it more"),
        have => Verdict::pass(count(have)),
    };
    verdict.limit(format!("{} or more for {} (good: {good})", count(least), super::role(input.host.role)))
}

fn memory(input: &HostInput<'_>) -> Verdict {
    let (have, least, good) =
        (input.facts.memory_bytes, input.need.memory_bytes, input.need.memory_bytes_good);
    let role = super::role(input.host.role);
    let limit = format!("{} or more for {role} (good: {})", mebibytes(least), mebibytes(good));
    let verdict = match have {
        0 => Verdict::error("the host says it has none"),
        have if have < least => Verdict::fail(mebibytes(have), "give the host more memory, or use another"),
        have if have < good / 10 * 9 => {
            Verdict::warn(mebibytes(have), "enough for a small load; for more, give it more")
        }
        have => Verdict::pass(mebibytes(have)),
    };
    verdict.limit(limit)
}

fn cgroup(input: &HostInput<'_>) -> Verdict {
    match input.facts.cgroup {
        CgroupVersion::V2 => Verdict::pass("v2"),
        CgroupVersion::V1 => Verdict::warn(
            "v1",
            "nothing now: the kubelet is set up for it (failCgroupV1: false); before an upgrade, start the host with systemd.unified_cgroup_hierarchy=1",
        )
        .limit("v2"),
    }
}

fn cap_sys_resource(input: &HostInput<'_>) -> Verdict {
    if input.facts.cap_sys_resource {
        Verdict::pass("root has it")
    } else {
        let remedy = "nothing now: containerd is set up for it (restrict_oom_score_adj = true); better, grant CAP_SYS_RESOURCE to the container that this host is";
        Verdict::warn("root lacks it", remedy).limit("root has it")
    }
}

fn conntrack(input: &HostInput<'_>) -> Verdict {
    if input.facts.conntrack_writable {
        Verdict::pass("net.netfilter.nf_conntrack_max can be set")
    } else {
        let remedy = "nothing now: kube-proxy is set up for it (conntrack: maxPerCore 0, min 0); set it on the machine below if connections fail";
        Verdict::warn("net.netfilter.nf_conntrack_max cannot be set here", remedy)
    }
}

fn swap(input: &HostInput<'_>) -> Verdict {
    let areas: Vec<String> =
        input.facts.swap.iter().map(|swap| format!("{} ({})", swap.path, mebibytes(swap.bytes))).collect();
    if areas.is_empty() {
        Verdict::pass("none")
    } else {
        let remedy = "nothing: it will be switched off and kept off, see plan";
        let own = !input.details().machine.container;
        Verdict::warn(list(&areas), remedy).limit("none").fixed_by(own.then_some(Fix::SwapOff))
    }
}
