//! The table of machines and their load: now, as advised, in years to come, and with one machine lost.

use sealift_sizing::{Tier, TierKind};

use crate::figure::{Quantity, Unit};
use crate::input::Input;
use crate::message::Message;
use crate::report::{ResourceRow, Resources};

/// The least, the advised, and those for the years to come.
struct Tiers<'a> {
    least: &'a Tier,
    advised: &'a Tier,
    later: &'a Tier,
}

/// The table; nothing where the vendor gave no model.
pub(crate) fn resources(input: &Input<'_>) -> Option<Resources> {
    let sizing = input.sized()?;
    let tiers = Tiers {
        least: sizing.tier(TierKind::Minimum)?,
        advised: sizing.tier(TierKind::Recommended)?,
        later: sizing.tier(TierKind::WithGrowth)?,
    };
    let years = sizing.answers.iter().find(|answer| answer.key == "needs.growth.years");
    let years = years.and_then(|answer| answer.value.parse().ok()).unwrap_or(0);
    let fits = tiers.advised.one_down.is_empty();
    let spare = tiers.advised.masters.count.amount > 1;
    let one_down = match (fits, spare) {
        (true, true) => "resources.fits",
        (true, false) => "resources.noSpare",
        (false, _) => "resources.short",
    };
    Some(Resources { years, rows: rows(&tiers), one_down: Message::new(one_down) })
}

/// A line with the same in all four columns but for what is lost.
fn row(
    name: &str,
    unit: Unit,
    tiers: &Tiers<'_>,
    of: impl Fn(&Tier) -> u64,
    lost: Option<u64>,
) -> ResourceRow {
    let quantity = |tier| Some(Quantity::new(of(tier), unit));
    ResourceRow {
        what: Message::new(format!("resource.{name}")),
        cells: [
            quantity(tiers.least),
            quantity(tiers.advised),
            quantity(tiers.later),
            lost.map(|value| Quantity::new(value, unit)),
        ],
        reason: Message::new(format!("resource.{name}.why")),
    }
}

fn rows(tiers: &Tiers<'_>) -> Vec<ResourceRow> {
    let advised = tiers.advised;
    let same = |of: fn(&Tier) -> u64| Some(of(advised));
    let one_less = |count: u64| Some(count.saturating_sub(1));
    let people: fn(&Tier) -> u64 = |tier| tier.load.millisessions.div_ceil(1000);
    let requests: fn(&Tier) -> u64 = |tier| tier.load.millirequests_per_second;
    let cpu: fn(&Tier) -> u64 = |tier| tier.cpu.amount;
    let memory: fn(&Tier) -> u64 = |tier| tier.memory.amount;
    let of_system = |count: u64| if count > 1 { one_less(count) } else { None };
    vec![
        row("people", Unit::People, tiers, people, same(people)),
        row("requests", Unit::Millirequests, tiers, requests, same(requests)),
        row("cpu", Unit::Millicores, tiers, cpu, same(cpu)),
        row("memory", Unit::MemoryBytes, tiers, memory, same(memory)),
        row(
            "workers",
            Unit::Machines,
            tiers,
            |tier| tier.workers.count.amount,
            one_less(advised.workers.count.amount),
        ),
        row("worker-cores", Unit::Millicores, tiers, |tier| tier.workers.shape.millicores, None),
        row("worker-memory", Unit::MemoryBytes, tiers, |tier| tier.workers.shape.memory_bytes, None),
        row("worker-disk", Unit::DiskBytes, tiers, |tier| tier.workers.disk_bytes, None),
        row(
            "masters",
            Unit::Machines,
            tiers,
            |tier| tier.masters.count.amount,
            of_system(advised.masters.count.amount),
        ),
        row("master-cores", Unit::Millicores, tiers, |tier| tier.masters.shape.millicores, None),
        row("master-memory", Unit::MemoryBytes, tiers, |tier| tier.masters.shape.memory_bytes, None),
        row("master-disk", Unit::DiskBytes, tiers, |tier| tier.masters.disk_bytes, None),
        row(
            "free-cpu",
            Unit::Percent,
            tiers,
            |tier| tier.slack.cpu_percent,
            Some(advised.slack.cpu_percent_one_down),
        ),
        row(
            "free-memory",
            Unit::Percent,
            tiers,
            |tier| tier.slack.memory_percent,
            Some(advised.slack.memory_percent_one_down),
        ),
    ]
}
