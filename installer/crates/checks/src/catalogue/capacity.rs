//! Whether all machines together do for the work that the profile names: the sizing room's verdict on what was measured.

use std::collections::BTreeMap;

use sealift_bundle::document::BundleDocument;
use sealift_profile::HostRole;
use sealift_sizing::words::{grouped, machines};
use sealift_sizing::{GivenHost, Input, Shape, Shortfall, TierKind, judge, memory_as_sold};

use super::{Check, Severity, Verdict};
use crate::facts::{Facts, PathDisk};
use crate::finding::State;
use crate::run::CheckInput;
use crate::text::list;

pub(super) const CHECKS: &[Check] = &[Check::of_site(
    Severity::Block,
    "site.capacity",
    "Machines for the work",
    "with too little of something, people wait, and the first busy day stops the product.",
    capacity,
)];

/// A measured machine as the sizing room sees it. Memory is that under which such a machine is sold; of disk all file
/// systems count that the cluster's paths are on, none where they could not be read.
#[must_use]
pub fn given_host(name: &str, role: Option<HostRole>, facts: &Facts) -> GivenHost {
    let shape =
        Shape { millicores: u64::from(facts.cpus) * 1000, memory_bytes: memory_as_sold(facts.memory_bytes) };
    let in_memory = |disk: &&PathDisk| ["tmpfs", "ramfs"].contains(&disk.file_system.as_str());
    let mut sizes: BTreeMap<&str, u64> = BTreeMap::new();
    for disk in facts.disks.iter().filter(|disk| !in_memory(disk)) {
        // What is no device (overlay) is told by its place.
        let key = if disk.device.starts_with('/') { &disk.device } else { &disk.mount_point };
        sizes.insert(key, disk.total_bytes);
    }
    let disk = sizes.into_values().fold(0u64, u64::saturating_add);
    let disk_bytes = (disk > 0 && facts.why_unreadable("disks").is_none()).then_some(disk);
    GivenHost { name: name.to_owned(), role, shape, disk_bytes }
}

fn capacity(input: &CheckInput<'_>, document: &BundleDocument) -> Verdict {
    if input.site.needs.is_none() {
        return Verdict::pass("not asked for: the profile does not say how much work there is (needs)");
    }
    let needs = &input.site.planned_needs();
    let overrides = input.site.sizing.clone().unwrap_or_default();
    let Ok(sizing) = Input::new(document, needs, overrides, Vec::new()) else {
        return Verdict::pass("not known: the bundle does not say what the product costs");
    };
    let (reserved, etcd) = (input.site.nodes.reserved, input.site.etcd.clone());
    let sizing = Input { reserved, etcd, ..sizing };
    let hosts = match measured(input) {
        Ok(hosts) => hosts,
        Err(verdict) => return verdict,
    };
    let verdict = match judge(&sizing, &hosts) {
        Ok(verdict) => verdict,
        Err(error) => return Verdict::error(error.to_string()),
    };
    let lacks = |kind: TierKind| {
        let tier = verdict.tiers.iter().find(|tier| tier.kind == kind);
        let shortfalls: &[Shortfall] = tier.map_or(&[], |tier| &tier.shortfalls);
        shortfalls.iter().map(|lack| lack.text.trim_end_matches('.').to_owned()).collect::<Vec<_>>()
    };
    let count = machines(hosts.len() as u64);
    let most = format!("{count}, enough for {} people", grouped(u64::from(verdict.most_users)));
    let remedy =
        "add machines or larger ones, or plan for fewer people: `installer size` says how many of what size";
    match (lacks(TierKind::Minimum), lacks(TierKind::Recommended)) {
        (least, _) if !least.is_empty() => Verdict::fail(format!("{count}: {}", list(&least)), remedy),
        (_, good) if !good.is_empty() => {
            Verdict::warn(format!("{count}, with no reserve for a busy day: {}", list(&good)), remedy)
        }
        _ => Verdict::pass(most),
    }
    .limit("what the profile's needs ask for (good: with 15 % in reserve)")
}

/// All machines of the site, or why not all of them can be counted.
fn measured(input: &CheckInput<'_>) -> Result<Vec<GivenHost>, Verdict> {
    let mut hosts = Vec::new();
    let mut missing = Vec::new();
    for host in &input.site.hosts {
        let Some(facts) = input.facts.get(&host.name) else {
            missing.push(host.name.as_str());
            continue;
        };
        if let Some(reason) = ["cpus", "memoryBytes"].iter().find_map(|fact| facts.why_unreadable(fact)) {
            return Err(Verdict::error(format!("{} could not be measured: {reason}", host.name)));
        }
        hosts.push(given_host(&host.name, Some(host.role), facts));
    }
    match (missing.is_empty(), input.ages.is_some()) {
        (true, _) => Ok(hosts),
        (false, true) => Err(Verdict::not_run(format!("waits for the facts of {}", list(&missing)))),
        (false, false) => Err(Verdict {
            state: State::Blocked,
            remedy: format!("make {} reachable, then check again", list(&missing)),
            ..Verdict::pass(format!("{} not measured", list(&missing)))
        }),
    }
}
