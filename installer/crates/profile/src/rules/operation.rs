//! Operating choices that can be: labels of places, the brake's numbers, numbers of copies.

use super::Report;
use crate::names::is_label_value;
use crate::operation::EvictionBrake;
use crate::site::Site;

pub(super) fn check(site: &Site, report: &mut Report<'_>) {
    placement(site, report);
    if let Some(brake) = &site.nodes.eviction_brake {
        eviction_brake(brake, report);
    }
    let masters = site.masters().count();
    if let Some(dns) = site.replicas.dns.filter(|dns| (*dns as usize) < masters) {
        let message = format!("`replicas.dns` is {dns}, and each of the {masters} masters runs a DNS server");
        report.find("replicas", "replicas.dns", message, format!("write {masters} or more, or leave it out"));
    }
}

fn placement(site: &Site, report: &mut Report<'_>) {
    for (i, host) in site.hosts.iter().enumerate() {
        for (key, label, value) in host.placement.parts() {
            let path = format!("hosts[{i}].placement.{key}");
            if value.is_empty() || !is_label_value(value) {
                let message = format!("`{value}` is no name for a {key}: it becomes a label of the node");
                let remedy =
                    "use letters, digits, `-`, `_` and `.`, at most 63, a letter or digit at both ends";
                report.find("placement", &path, message, remedy);
            }
            if host.labels.contains_key(label) {
                let at = report.also_at(&format!("hosts[{i}].labels.{label}"));
                let message = format!("`{}` has its {key} twice: also as the label `{label}`{at}", host.name);
                report.find("placement", &path, message, "keep `placement`, take the label out");
            }
        }
    }
}

/// The schema knows ranges of whole numbers only.
fn eviction_brake(brake: &EvictionBrake, report: &mut Report<'_>) {
    let numbers = [
        ("unhealthyZoneThreshold", brake.unhealthy_zone_threshold, 0.01, 1.0),
        ("nodeEvictionRate", brake.node_eviction_rate, 0.001, 10.0),
        ("secondaryNodeEvictionRate", brake.secondary_node_eviction_rate, 0.0, 10.0),
    ];
    for (key, number, least, most) in numbers {
        if !(least..=most).contains(&number) {
            let path = format!("nodes.evictionBrake.{key}");
            let message = format!("`{key}` is {number}");
            report.find("eviction-brake", path, message, format!("write a number from {least} to {most}"));
        }
    }
    if brake.secondary_node_eviction_rate > brake.node_eviction_rate {
        let (cut_off, well) = (brake.secondary_node_eviction_rate, brake.node_eviction_rate);
        let message =
            format!("the rate of a cut-off zone, {cut_off}, is above that of one that is well, {well}");
        let path = "nodes.evictionBrake.secondaryNodeEvictionRate";
        report.find("eviction-brake", path, message, "write a number below nodeEvictionRate");
    }
}
