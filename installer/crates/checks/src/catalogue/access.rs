//! What the agent may do on the host.

use super::{Check, HostInput, SEAT, Severity, Verdict};
use crate::finding::Group;
use crate::text::{list, span};

/// Capabilities that the kubelet, the runtime and our own steps need: number (`capabilities(7)`) and name.
const NEEDED: [(u32, &str); 7] = [
    (0, "CAP_CHOWN"),
    (1, "CAP_DAC_OVERRIDE"),
    (6, "CAP_SETGID"),
    (7, "CAP_SETUID"),
    (12, "CAP_NET_ADMIN"),
    (18, "CAP_SYS_CHROOT"),
    (21, "CAP_SYS_ADMIN"),
];
/// Round trip from which on there is a warning, milliseconds.
const SLOW: u64 = 200;

pub(super) const CHECKS: &[Check] = &[
    Check::on_host(
        (Group::Access, Severity::Stop),
        "access.root",
        "Root",
        "services, kernel settings and container mounts are root's alone.",
        &["privileges", SEAT],
        root,
    ),
    Check::on_host(
        (Group::Access, Severity::Stop),
        "access.capabilities",
        "What root may do",
        "in a container, root may lack what mounting file systems and setting up networks takes.",
        &["privileges"],
        capabilities,
    ),
    Check::on_host(
        (Group::Access, Severity::Advice),
        "access.user-namespace",
        "Whose root",
        "root of a user namespace is an ordinary user outside of it: mounts and kernel settings may be refused later.",
        &["privileges"],
        user_namespace,
    ),
    Check::on_host(
        (Group::Access, Severity::Advice),
        "access.round-trip",
        "Answer time",
        "the installer asks each host hundreds of small questions; over a slow line they add up to minutes.",
        &["clock", SEAT],
        round_trip,
    ),
];

fn root(input: &HostInput<'_>) -> Verdict {
    match input.details().privileges.user {
        0 => Verdict::pass("the agent runs as root"),
        user => Verdict::fail(
            format!("sudo gave user {user}"),
            "let sudo on this host give root (user 0) to the login of the profile",
        )
        .limit("user 0"),
    }
}

fn capabilities(input: &HostInput<'_>) -> Verdict {
    let privileges = &input.details().privileges;
    let missing: Vec<&str> =
        NEEDED.iter().filter(|(number, _)| !privileges.has(*number)).map(|(_, name)| *name).collect();
    let limit = format!("at least {}", list(&NEEDED.map(|(_, name)| name)));
    if missing.is_empty() {
        Verdict::pass("all that is needed").limit(limit)
    } else {
        let remedy = "grant them to the container that this host is, or use a machine of its own";
        Verdict::fail(format!("root lacks {}", list(&missing)), remedy).limit(limit)
    }
}

fn user_namespace(input: &HostInput<'_>) -> Verdict {
    if input.details().privileges.whole_machine {
        Verdict::pass("root of the machine")
    } else {
        let remedy = "run the container that this host is without user namespaces (privileged), or use a machine of its own";
        Verdict::warn("root of a user namespace only", remedy).limit("root of the machine")
    }
}

fn round_trip(input: &HostInput<'_>) -> Verdict {
    let millis = input.facts.clock.round_trip_millis;
    let measured = if millis < 1000 { format!("{millis} ms") } else { span(millis) };
    let limit = format!("less than {SLOW} ms");
    if millis < SLOW {
        Verdict::pass(measured).limit(limit)
    } else {
        let remedy = "run the installer from a seat that is nearer to the hosts, or expect it to take longer";
        Verdict::warn(measured, remedy).limit(limit)
    }
}
