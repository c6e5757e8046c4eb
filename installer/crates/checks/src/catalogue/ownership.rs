//! Whose the host is: ours, another site's, or another cluster's.

use super::{Check, HostInput, Scope, Severity, Verdict};
use crate::facts::Leftover;
use crate::finding::{Group, State};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "host.claimed",
        title: "Owner",
        why: "a host belongs to one site; a second install would take it away from the first.",
        group: Group::Identity,
        severity: Severity::Stop,
        beyond: None,
        deep: false,
        fixable: false,
        facts: &["claim"],
        scope: Scope::Host(claimed),
    },
    Check {
        id: "leftovers",
        title: "Leftovers of another cluster",
        why: "certificates and data of another cluster make this one start wrong, or not at all; they may also be wanted.",
        group: Group::Identity,
        severity: Severity::Stop,
        beyond: None,
        deep: false,
        fixable: false,
        facts: &["claim", "leftovers"],
        scope: Scope::Host(leftovers),
    },
];

fn claimed(input: &HostInput<'_>) -> Verdict {
    let (site, name) = (&input.site.metadata.name, &input.host.name);
    match &input.facts.claim {
        None => Verdict::pass("nobody's yet").limit(format!("nobody's, or {name} of {site}")),
        Some(claim) if claim.site != *site => {
            let remedy = format!(
                "use another host, or reset this one from the seat of {}: that removes its cluster",
                claim.site
            );
            Verdict::fail(format!("it is {} of the site {}", claim.host, claim.site), remedy)
                .limit(format!("nobody's, or {name} of {site}"))
        }
        Some(claim) if claim.host != *name => {
            let remedy = format!(
                "correct the addresses in the profile: the host at {} is {}",
                input.host.address, claim.host
            );
            Verdict::fail(format!("it is {} of this site", claim.host), remedy)
                .limit(format!("{name} of {site}"))
        }
        Some(claim) => Verdict::pass(format!("{} of {}, from an earlier run", claim.host, claim.site)),
    }
}

fn leftovers(input: &HostInput<'_>) -> Verdict {
    let found: Vec<String> = input
        .facts
        .leftovers
        .iter()
        .map(|leftover| format!("{} ({})", leftover.path, leftover.what))
        .collect();
    let count = found.len();
    match &input.facts.claim {
        Some(claim) if claim.site == input.site.metadata.name => {
            Verdict::pass(format!("{count} traces, of an earlier run for this site"))
        }
        Some(_) if count > 0 => Verdict {
            state: State::Blocked,
            remedy: "see host.claimed".to_owned(),
            ..Verdict::pass(found.join(", "))
        },
        _ if count > 0 => {
            let remedy =
                format!("ask whose cluster this was; if it may go: {}", clear(&input.facts.leftovers));
            Verdict::fail(found.join(", "), remedy).limit("none")
        }
        _ => Verdict::pass("none"),
    }
}

/// How traces are cleared: services are stopped, what runs is stopped by its owner, the rest is removed.
fn clear(leftovers: &[Leftover]) -> String {
    let paths = |keep: fn(&str) -> bool| -> Vec<&str> {
        leftovers.iter().map(|leftover| leftover.path.as_str()).filter(|path| keep(path)).collect()
    };
    let services = paths(|path| path.ends_with(".service"));
    let running = paths(|path| path.starts_with("/run/"));
    let files = paths(|path| !path.ends_with(".service") && !path.starts_with("/run/"));
    let mut steps = Vec::new();
    if files.iter().any(|path| path.starts_with("/etc/kubernetes") || path.starts_with("/var/lib/kubelet")) {
        steps.push("`kubeadm reset` where there is one".to_owned());
    }
    if !services.is_empty() {
        steps.push(format!(
            "systemctl disable --now {}, and remove the package or the unit",
            services.join(" ")
        ));
    }
    if !running.is_empty() {
        steps.push(format!("stop what made {}", running.join(" ")));
    }
    if !files.is_empty() {
        steps.push(format!("then remove {}", files.join(" ")));
    }
    steps.join("; ")
}
