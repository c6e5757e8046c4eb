//! Who does what, how long that takes, and on which day it is done.
//!
//! Times of people are judgements, said so in the report; times of machines are calculated ([`super::estimate`]).
//! Machines, firewall and names are prepared beside each other; what must be mended, the installation and the
//! acceptance follow one after the other.

use jiff::civil::{Date, Weekday};

use super::estimate;
use crate::figure::{Range, Unit};
use crate::input::Input;
use crate::message::Message;
use crate::report::{Owner, Phase, Stage, Timeline};

/// Working days for an order of machines, and machines that one more day is counted for.
const ORDER_DAYS: u64 = 3;
const ORDERED_A_DAY: u64 = 4;
/// Machines that get their operating system in one day.
const SET_UP_A_DAY: u64 = 8;
/// Working days until a firewall request is granted.
const FIREWALL_DAYS: u64 = 3;
/// Working days for a name and a certificate.
const NAMES_DAYS: u64 = 2;
/// Things that are mended in one day, by several teams.
const MENDED_A_DAY: u64 = 2;
/// Minutes of a working day.
const DAY_MINUTES: u64 = 480;
/// No plan looks further ahead, working days.
const MOST_DAYS: u64 = 2000;

/// The tasks of a site with so many things to mend first.
pub(crate) fn timeline(input: &Input<'_>, must: u64) -> Timeline {
    let start = input.made.at.date();
    let after_all = super::stage(input) == Stage::Handover;
    let looked = input.findings.is_some();
    let reached = looked && crate::input::reached(input);
    let machines = machines(input);
    let days = |likely: u64, name: &str| {
        let reason = Message::new(format!("phase.{name}.why")).number("machines", machines, Unit::Machines);
        Range::around(likely, Unit::WorkingDays, reason.number("things", must, Unit::Things))
    };
    let order = days(ORDER_DAYS + machines.div_ceil(ORDERED_A_DAY), "machines");
    let system = days(machines.div_ceil(SET_UP_A_DAY), "system");
    let network = days(FIREWALL_DAYS, "network");
    let names = days(NAMES_DAYS, "names");
    let mend = days(must.div_ceil(MENDED_A_DAY), "mend");
    let acceptance = days(1, "acceptance");
    let carry = estimate::carry(input);
    let install = estimate::install(input);
    let open = |done: bool, pick: fn(&Range) -> u64, range: &Range| if done { 0 } else { pick(range) };
    let site_days = |pick: fn(&Range) -> u64| {
        let machines = open(looked, pick, &order) + open(looked, pick, &system);
        let beside = [machines, open(reached, pick, &network), open(looked, pick, &names)];
        let mending = if must > 0 { pick(&mend) } else { 0 };
        if after_all { 0 } else { beside.into_iter().max().unwrap_or(0) + mending }
    };
    let ours = |pick: fn(&Range) -> u64| {
        let minutes = pick(&carry) + pick(&install);
        if after_all { 0 } else { minutes.div_ceil(DAY_MINUTES) + pick(&acceptance) }
    };
    let range = |of: &dyn Fn(fn(&Range) -> u64) -> u64, reason: &str| Range {
        optimistic: of(|range| range.optimistic),
        likely: of(|range| range.likely),
        pessimistic: of(|range| range.pessimistic),
        unit: Unit::WorkingDays,
        reason: Message::new(reason),
    };
    let site = range(&site_days, "timeline.site.why");
    let total = range(&|pick| site_days(pick) + ours(pick), "timeline.total.why");
    let ready = site.likely;
    let mend_due = ready;
    let at = |days: u64| after(start, days);
    let before_mending = ready - if must > 0 && !after_all { mend.likely } else { 0 };
    let phase = |id: &str, owner, time: Range, due: u64, done: bool| Phase {
        id: id.to_owned(),
        owner,
        time,
        due: at(due),
        done: done || after_all,
    };
    let order_due = order.likely.min(before_mending);
    let mut phases = vec![
        phase("machines", Owner::Machines, order, order_due, looked),
        phase("system", Owner::Machines, system, before_mending, looked),
        phase("network", Owner::Network, network, FIREWALL_DAYS, reached),
        phase("names", Owner::Network, names, NAMES_DAYS, looked),
    ];
    if must > 0 {
        phases.push(phase("mend", Owner::Lead, mend, mend_due, false));
    }
    phases.push(phase("carry", Owner::Vendor, carry, ready + 1, false));
    phases.push(phase("install", Owner::Vendor, install, ready + 1, false));
    // An install that is done is not yet signed for.
    let signing = phase("acceptance", Owner::Lead, acceptance, ready + 2, false);
    phases.push(Phase { done: false, ..signing });
    Timeline { phases, earliest: at(total.optimistic), latest: at(total.pessimistic), total, site }
}

/// Machines that must be there.
fn machines(input: &Input<'_>) -> u64 {
    let advised = input.sized().and_then(|sizing| sizing.tier(sealift_sizing::TierKind::Recommended));
    let named = input.site.hosts.len() as u64;
    advised.map_or(named, |tier| tier.masters.count.amount.saturating_add(tier.workers.count.amount))
}

/// The day after so many working days.
pub(crate) fn after(start: Date, working_days: u64) -> Date {
    let mut day = start;
    let mut left = working_days.min(MOST_DAYS);
    while left > 0 {
        let Ok(next) = day.tomorrow() else { break };
        day = next;
        if !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) {
            left -= 1;
        }
    }
    day
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn nobody_works_on_saturday_and_sunday() {
        // 20 November 2026 is a Friday.
        assert_eq!(after(date(2026, 11, 20), 1), date(2026, 11, 23));
        assert_eq!(after(date(2026, 11, 20), 6), date(2026, 11, 30));
        assert_eq!(after(date(2026, 11, 22), 0), date(2026, 11, 22));
        assert!(after(date(2026, 11, 22), u64::MAX) > date(2033, 1, 1), "absurd input ends");
    }
}
