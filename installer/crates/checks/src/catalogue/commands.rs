//! Programs that must be on the host, one check for each package that brings them.

use super::{Check, HostInput, Severity, Verdict};
use crate::finding::Group;
use crate::text::list;

pub(super) const CHECKS: &[Check] = &[
    Check::on_host(
        (Group::System, Severity::Stop),
        "commands.iproute",
        "Program ip",
        "addresses and routes are read with it, by us and by kubeadm.",
        &["commands"],
        |input| commands(input, &["ip"], "iproute2 (Debian, SUSE) or iproute (RHEL)"),
    ),
    Check::on_host(
        (Group::System, Severity::Stop),
        "commands.mount",
        "Programs mount, umount and nsenter",
        "the kubelet mounts every volume with them.",
        &["commands"],
        |input| commands(input, &["mount", "umount", "nsenter"], "util-linux and mount"),
    ),
    Check::on_host(
        (Group::System, Severity::Stop),
        "commands.modprobe",
        "Program modprobe",
        "kernel modules are loaded with it, now and at every start.",
        &["commands"],
        |input| commands(input, &["modprobe"], "kmod"),
    ),
    Check::on_host(
        (Group::System, Severity::Stop),
        "commands.systemd-run",
        "Program systemd-run",
        "long steps run under it, so that a lost connection loses nothing.",
        &["commands"],
        |input| commands(input, &["systemd-run"], "systemd"),
    ),
    Check::on_host(
        (Group::System, Severity::Advice),
        "commands.ethtool",
        "Program ethtool",
        "people need it to look into network cards, and kubeadm asks for it.",
        &["commands"],
        |input| advised(input, "ethtool", "ethtool"),
    ),
    Check::on_host(
        (Group::System, Severity::Advice),
        "commands.tc",
        "Program tc",
        "limits on a pod's bandwidth are looked into with it, and kubeadm asks for it.",
        &["commands"],
        |input| advised(input, "tc", "iproute2 (Debian, SUSE) or iproute-tc (RHEL)"),
    ),
    Check::on_host(
        (Group::System, Severity::Stop),
        "commands.trust-store",
        "Programs of the trust store",
        "the site's own authority, which the profile names, is put among those that the host trusts.",
        &["commands"],
        trust_store,
    ),
];

/// Distributions have one or the other.
fn trust_store(input: &HostInput<'_>) -> Verdict {
    let found =
        ["update-ca-certificates", "update-ca-trust"].map(|name| commands(input, &[name], "ca-certificates"));
    let fits = |verdict: &Verdict| verdict.state == crate::State::Pass;
    let limit = "update-ca-certificates or update-ca-trust";
    if input.site.customer_ca.is_none() {
        return Verdict::pass("not needed: the profile names no authority").limit(limit);
    }
    let [one, other] = found;
    let verdict = if fits(&one) { one } else { other };
    if verdict.state == crate::State::Fail {
        let remedy = "install ca-certificates from the distribution's media";
        return Verdict::fail("neither is there", remedy).limit(limit);
    }
    verdict.limit(limit)
}

fn commands(input: &HostInput<'_>, names: &[&str], package: &str) -> Verdict {
    let known = &input.details().commands;
    let unseen: Vec<&str> = names.iter().copied().filter(|name| !known.contains_key(*name)).collect();
    let missing: Vec<&str> = names.iter().copied().filter(|name| known.get(*name) == Some(&false)).collect();
    let limit = format!("{} in root's search path", list(names));
    if !unseen.is_empty() {
        Verdict::error(format!("nobody looked for {}", list(&unseen)))
    } else if missing.is_empty() {
        Verdict::pass("there").limit(limit)
    } else {
        let remedy = format!("install {package} from the distribution's media");
        Verdict::fail(format!("{} missing", list(&missing)), remedy).limit(limit)
    }
}

fn advised(input: &HostInput<'_>, name: &str, package: &str) -> Verdict {
    let verdict = commands(input, &[name], package);
    if verdict.state == crate::State::Fail {
        return Verdict { state: crate::State::Warn, ..verdict };
    }
    verdict
}
