//! What other installations left that no file of theirs shows: interfaces, and settings over our units.

use super::network::of_the_cluster;
use super::{Check, HostInput, Severity, Verdict};
use crate::finding::Group;
use crate::text::list;

pub(super) const CHECKS: &[Check] = &[
    Check::on_host(
        (Group::Identity, Severity::Block),
        "leftovers.interfaces",
        "Interfaces of another pod network",
        "a bridge that is left keeps its old network, and pods that are put on it reach nobody.",
        &["interfaces", "claim"],
        interfaces,
    ),
    Check::on_host(
        (Group::Identity, Severity::Block),
        "leftovers.drop-ins",
        "Settings over our services",
        "a drop-in of another installation changes how our service starts, without a word.",
        &["dropIns"],
        drop_ins,
    ),
];

/// Interfaces that other pod networks make.
const FOREIGN: [&str; 8] =
    ["cilium", "cali", "vxlan.calico", "weave", "kube-ipvs", "ovn-k8s", "antrea-gw", "kube-bridge"];

fn interfaces(input: &HostInput<'_>) -> Verdict {
    let ours = input.ours();
    let left = |name: &str| {
        FOREIGN.iter().any(|prefix| name.starts_with(prefix))
            || !ours && of_the_cluster(name) && !name.starts_with("veth")
    };
    let names = input.facts.interfaces.iter().map(|interface| interface.name.as_str());
    let found: Vec<&str> = names.filter(|name| left(name)).collect();
    if found.is_empty() {
        Verdict::pass("none").limit("none")
    } else {
        let commands: Vec<String> =
            found.iter().take(8).map(|name| format!("ip link delete {name}")).collect();
        let remedy =
            format!("see that their cluster is gone, then: {}; or restart the host", commands.join("; "));
        Verdict::fail(list(&found), remedy).limit("none")
    }
}

fn drop_ins(input: &HostInput<'_>) -> Verdict {
    let found = &input.details().drop_ins;
    if found.is_empty() {
        Verdict::pass("none").limit("none")
    } else {
        let remedy = "remove them, or the package that they come from, then: systemctl daemon-reload";
        Verdict::fail(list(found), remedy).limit("none")
    }
}
