//! Software that guards the host and may not let a cluster work: access control, scanners, packet filters.

use super::{Check, HostInput, Severity, Verdict};
use crate::finding::Group;
use crate::text::list;

pub(super) const CHECKS: &[Check] = &[
    Check::on_host(
        (Group::System, Severity::Advice),
        "protection.selinux",
        "SELinux",
        "programs that no package installed have no label, and SELinux may refuse what they do.",
        &["security"],
        selinux,
    ),
    Check::on_host(
        (Group::System, Severity::Advice),
        "protection.apparmor",
        "AppArmor",
        "without the loader, containers run unguarded although the kernel could guard them.",
        &["security"],
        apparmor,
    ),
    Check::on_host(
        (Group::System, Severity::Block),
        "protection.fapolicyd",
        "List of allowed programs",
        "fapolicyd refuses to start programs that no package installed, ours and the cluster's among them.",
        &["processes"],
        fapolicyd,
    ),
    Check::on_host(
        (Group::System, Severity::Advice),
        "protection.scanners",
        "Virus scanners",
        "a scanner that looks into every file slows the database and the unpacking of images down many times.",
        &["processes"],
        scanners,
    ),
    Check::on_host(
        (Group::Network, Severity::Advice),
        "firewall.firewalld",
        "firewalld",
        "when firewalld reloads, it takes away rules that are not its own, and closes ports that nobody opened in it.",
        &["processes"],
        firewalld,
    ),
    Check::on_host(
        (Group::Network, Severity::Advice),
        "firewall.ufw",
        "ufw",
        "ufw drops what it was not told to let in, the other hosts' packets too.",
        &["firewall"],
        ufw,
    ),
    Check::on_host(
        (Group::Network, Severity::Advice),
        "firewall.input",
        "Packets to this host",
        "a chain that drops what it does not know keeps the cluster's parts from reaching this host.",
        &["firewall"],
        |input| drops(input, "input", "admit the other hosts and the pod network"),
    ),
    Check::on_host(
        (Group::Network, Severity::Advice),
        "firewall.forward",
        "Packets through this host",
        "everything from and to pods goes through the host; a chain that drops it cuts all pods off.",
        &["firewall"],
        |input| drops(input, "forward", "admit packets from and to the pod network"),
    ),
];

fn selinux(input: &HostInput<'_>) -> Verdict {
    if input.details().security.selinux_enforcing {
        let remedy = "watch its log in the first days (ausearch -m avc); where it refuses something: setenforce 0, or ask the vendor for a policy";
        Verdict::warn("it refuses (enforcing)", remedy).limit("permissive, or off")
    } else {
        Verdict::pass("permissive, or off").limit("permissive, or off")
    }
}

fn apparmor(input: &HostInput<'_>) -> Verdict {
    let security = &input.details().security;
    match (security.apparmor, security.apparmor_parser) {
        (true, false) => {
            Verdict::warn("on in the kernel, no apparmor_parser", "install the package apparmor")
                .limit("on with its loader, or off")
        }
        (true, true) => Verdict::pass("on, with its loader"),
        (false, _) => Verdict::pass("off"),
    }
}

/// Which of these processes run, by the kernel's name for them.
fn running<'a>(input: &HostInput<'_>, names: &[&'a str]) -> Vec<&'a str> {
    names.iter().copied().filter(|name| input.details().processes.contains(*name)).collect()
}

fn fapolicyd(input: &HostInput<'_>) -> Verdict {
    if running(input, &["fapolicyd"]).is_empty() {
        Verdict::pass("it does not run").limit("not running")
    } else {
        let remedy = "ask the owner of the host to trust /usr/local/bin, /opt/cni/bin and /var/lib/containerd (fapolicyd-cli --file add), or to stop it";
        Verdict::fail("it runs", remedy).limit("not running")
    }
}

fn scanners(input: &HostInput<'_>) -> Verdict {
    const SCANNERS: [&str; 8] =
        ["clamd", "clamonacc", "ds_agent", "falcon-sensor", "mfetpd", "savscand", "wdavdaemon", "kesl"];
    let found = running(input, &SCANNERS);
    if found.is_empty() {
        Verdict::pass("none known runs").limit("none")
    } else {
        let mut folders = super::folders::data(input);
        folders.reverse();
        let remedy = format!("ask its owner to leave out {}", list(&folders));
        Verdict::warn(list(&found), remedy).limit("none")
    }
}

fn firewalld(input: &HostInput<'_>) -> Verdict {
    if running(input, &["firewalld"]).is_empty() {
        Verdict::pass("it does not run").limit("not running")
    } else {
        let remedy = "systemctl disable --now firewalld, or let its owner open the ports of the plan and put the pod network into the zone trusted";
        Verdict::warn("it runs", remedy).limit("not running")
    }
}

fn ufw(input: &HostInput<'_>) -> Verdict {
    if input.details().firewall.ufw {
        let remedy = "ufw disable, or let its owner open the ports of the plan and set DEFAULT_FORWARD_POLICY to ACCEPT";
        Verdict::warn("it is on", remedy).limit("off")
    } else {
        Verdict::pass("off, or not there").limit("off")
    }
}

fn drops(input: &HostInput<'_>, hook: &str, remedy: &str) -> Verdict {
    let chains = input.details().firewall.drops.iter().filter(|drops| drops.hook == hook);
    let found: Vec<&str> = chains.map(|drops| drops.chain.as_str()).collect();
    let limit = "no chain with the policy drop";
    if found.is_empty() {
        Verdict::pass("none").limit(limit)
    } else {
        let remedy = format!("{remedy} by a lasting rule in {}, or set its policy to accept", list(&found));
        Verdict::warn(list(&found), remedy).limit(limit)
    }
}
