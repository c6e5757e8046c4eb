//! What the machine, or the container that the host is, must offer; and the release that runs on it.

use super::{Check, HostInput, Severity, Verdict};
use crate::finding::Group;
use crate::text::list;

/// Control group controllers that the kubelet asks for.
const CONTROLLERS: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];
/// Releases that have all that is needed: id and first version (`os-release`).
const KNOWN: [(&str, u32); 12] = [
    ("almalinux", 9),
    ("anolis", 23),
    ("centos", 9),
    ("debian", 12),
    ("fedora", 40),
    ("ol", 9),
    ("openeuler", 22),
    ("opensuse-leap", 15),
    ("rhel", 9),
    ("rocky", 9),
    ("sles", 15),
    ("ubuntu", 22),
];

pub(super) const CHECKS: &[Check] = &[
    Check::on_host(
        (Group::System, Severity::Advice),
        "os.known",
        "Known release",
        "on a release that nobody has tried, expect surprises that this list of checks does not know.",
        &["os"],
        known,
    ),
    Check::on_host(
        (Group::System, Severity::Stop),
        "cgroup.controllers",
        "Control group controllers",
        "the kubelet does not start where it cannot limit what pods take.",
        &["controllers"],
        controllers,
    ),
    Check::on_host(
        (Group::System, Severity::Stop),
        "machine.proc",
        "/proc",
        "kernel settings are written there, and the kubelet reads all processes.",
        &["machine"],
        proc,
    ),
    Check::on_host(
        (Group::System, Severity::Stop),
        "machine.kernel-log",
        "Kernel log",
        "the kubelet reads /dev/kmsg to learn of programs that were killed, and does not start without it.",
        &["machine"],
        kernel_log,
    ),
    Check::on_host(
        (Group::System, Severity::Advice),
        "machine.shared-mounts",
        "Mounts are passed on",
        "volumes that one pod mounts for others stay invisible to them.",
        &["machine"],
        shared_mounts,
    ),
];

fn known(input: &HostInput<'_>) -> Verdict {
    let os = &input.facts.os;
    let release = format!("{} {}", os.id, os.version);
    let major = os.version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    let known = KNOWN.iter().any(|(id, first)| *id == os.id && major.is_some_and(|major| major >= *first));
    let names: Vec<String> = KNOWN.iter().map(|(id, first)| format!("{id} {first}")).collect();
    let limit = format!("{}, or newer ones of these", list(&names));
    if known {
        Verdict::pass(release).limit(limit)
    } else {
        let remedy = "try it on a spare host first, or use a release of the list";
        Verdict::warn(if os.id.is_empty() { "a release without a name".to_owned() } else { release }, remedy)
            .limit(limit)
    }
}

fn controllers(input: &HostInput<'_>) -> Verdict {
    let offered = &input.details().controllers;
    let missing: Vec<&str> = CONTROLLERS.into_iter().filter(|name| !offered.contains(*name)).collect();
    let limit = list(&CONTROLLERS);
    if missing.is_empty() {
        Verdict::pass("all there").limit(limit)
    } else {
        let remedy = "switch them on for the kernel (take cgroup_disable= out of its command line; on small boards add cgroup_enable=memory), restart the host";
        Verdict::fail(format!("{} missing", list(&missing)), remedy).limit(limit)
    }
}

fn proc(input: &HostInput<'_>) -> Verdict {
    let options = &input.details().machine.proc_options;
    let has = |wanted: &str| options.iter().any(|option| option == wanted);
    let hidden = options.iter().any(|option| option.starts_with("hidepid=") && option != "hidepid=0");
    let limit = "mounted for reading and writing, processes not hidden";
    if options.is_empty() {
        Verdict::error("/proc is in no list of mounts")
    } else if has("ro") {
        Verdict::fail(
            "mounted for reading only",
            "mount -o remount,rw /proc; in a container, let it have a /proc to write to",
        )
        .limit(limit)
    } else if hidden {
        Verdict::warn(
            "mounted with hidepid",
            "take hidepid out of /etc/fstab: monitoring pods see no processes",
        )
        .limit(limit)
    } else {
        Verdict::pass("mounted for reading and writing").limit(limit)
    }
}

fn kernel_log(input: &HostInput<'_>) -> Verdict {
    if input.details().machine.kernel_log {
        Verdict::pass("/dev/kmsg is there").limit("/dev/kmsg")
    } else {
        let remedy = "give the container that this host is the device /dev/kmsg (LXC: lxc.mount.entry = /dev/kmsg dev/kmsg none bind,create=file)";
        Verdict::fail("/dev/kmsg is missing", remedy).limit("/dev/kmsg")
    }
}

fn shared_mounts(input: &HostInput<'_>) -> Verdict {
    if input.details().machine.shared_mounts {
        Verdict::pass("/ is shared").limit("shared")
    } else {
        Verdict::warn(
            "/ is private",
            "mount --make-rshared / at every boot (systemd does so by itself on a machine)",
        )
        .limit("shared")
    }
}
