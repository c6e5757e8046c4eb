//! What the site told, and which number follows from it.

use std::collections::BTreeMap;

use sealift_sizing::{Answer, Load, Sizing, Tier, TierKind};

use crate::figure::{Figure, Unit};
use crate::input::Input;
use crate::message::Message;
use crate::report::Told;

/// Every answer, assumed ones first, as the sizing has them.
pub(crate) fn answers(input: &Input<'_>) -> Vec<Told> {
    let Some(sizing) = input.sized() else { return Vec::new() };
    let (Some(today), Some(later)) = (sizing.tier(TierKind::Recommended), sizing.tier(TierKind::WithGrowth))
    else {
        return Vec::new();
    };
    let values: BTreeMap<&str, &str> =
        sizing.answers.iter().map(|answer| (answer.key.as_str(), answer.value.as_str())).collect();
    let told = |answer: &Answer| {
        let said = if answer.key == "needs.availability" {
            Message::new(format!("told.needs.availability.{}", answer.value))
        } else {
            Message::new(format!("told.{}", answer.key)).word("value", &answer.value)
        };
        let reason =
            values.iter().fold(Message::new(format!("means.{}", answer.key)), |reason, (key, value)| {
                let place = key.rsplit('.').next().unwrap_or(key);
                reason.word(place, *value)
            });
        let (amount, unit) = number(&answer.key, today, later);
        Told {
            key: answer.key.clone(),
            assumed: answer.assumed,
            told: said,
            means: Figure::new(amount, unit, reason),
        }
    };
    sizing.answers.iter().map(told).collect()
}

/// The number that an answer leads to first.
fn number(key: &str, today: &Tier, later: &Tier) -> (u64, Unit) {
    let Load { milliusers, millisessions, .. } = today.load;
    let load = &today.load;
    let machines = |tier: &Tier| tier.masters.count.amount.saturating_add(tier.workers.count.amount);
    match key {
        "needs.users" | "needs.concurrentPercent" => (millisessions.div_ceil(1000), Unit::People),
        "needs.thinkSeconds" | "needs.responseSeconds" => {
            (load.mean_millirequests_per_second, Unit::Millirequests)
        }
        "needs.peakFactor" => (load.millirequests_per_second, Unit::Millirequests),
        "needs.dataGigabytesPerDay" | "needs.retentionDays" => {
            (load.bytes_per_day.saturating_mul(load.retention_days), Unit::DiskBytes)
        }
        "needs.growth.usersPercentPerYear" => (later.load.milliusers.div_ceil(1000), Unit::People),
        "needs.growth.dataPercentPerYear" => (later.load.bytes_per_day, Unit::DiskBytes),
        "needs.growth.years" => (machines(later), Unit::Machines),
        "needs.availability" => (machines(today), Unit::Machines),
        _ => (milliusers.div_ceil(1000), Unit::People),
    }
}

/// What the site decided against the calculation, with its reasons.
pub(crate) fn decided(input: &Input<'_>) -> Vec<Message> {
    let Some(overrides) = &input.site.sizing else { return Vec::new() };
    let calculated = |key: &str| {
        let found = input.sized().map(|sizing: &Sizing| &sizing.overridden);
        found.into_iter().flatten().any(|one| one.key == key)
    };
    let mut decided = Vec::new();
    for (key, given) in [("workers", &overrides.workers), ("masters", &overrides.masters)] {
        if let Some(given) = given.as_ref().filter(|_| calculated(&format!("sizing.{key}"))) {
            let message = Message::new(format!("decided.{key}"))
                .number("machines", u64::from(given.count), Unit::Machines)
                .word("reason", given.reason.trim_end_matches('.'));
            decided.push(message);
        }
    }
    if let Some(given) = overrides.machine.as_ref().filter(|_| calculated("sizing.machine")) {
        let message = Message::new("decided.machine")
            .number("cores", u64::from(given.cpus) * 1000, Unit::Millicores)
            .number("memory", u64::from(given.memory_gigabytes) << 30, Unit::MemoryBytes)
            .word("reason", given.reason.trim_end_matches('.'));
        decided.push(message);
    }
    decided
}
