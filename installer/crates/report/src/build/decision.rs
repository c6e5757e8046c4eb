//! The first page: what, for whom, how it stands, what to provide, what is needed by when.

use sealift_bundle::document::BundleDocument;
use sealift_checks::Requirements;
use sealift_profile::{HostRole, Site};
use sealift_sizing::{Machines, Resource, Tier, TierKind};

use super::timeline::after;
use crate::figure::{Figure, Unit};
use crate::input::Input;
use crate::message::{Arg, Message};
use crate::report::{Ask, Decision, MachineLine, Owner, Readiness, Stage, Timeline};

/// Working days until the machines must be named: an order takes its time.
const LIST_DAYS: u64 = 5;

pub(crate) fn decision(input: &Input<'_>, readiness: Readiness, must: u64, timeline: &Timeline) -> Decision {
    let advised = input.sized().and_then(|sizing| sizing.tier(TierKind::Recommended));
    Decision {
        sentence: sentence(input, advised),
        readiness,
        meaning: Message::new(format!("readiness.{}.why", word(readiness)))
            .number("things", must, Unit::Things)
            .day("made", input.made.at.date()),
        machines: match advised {
            Some(tier) => of_tier(tier, input),
            // The least of each role would say too little.
            None if input.beyond_reach() => Vec::new(),
            None => by_role(input),
        },
        spare: Message::new(format!("spare.{}", spare(input, advised)))
            .word("product", &input.document.product.title),
        there: there(input, advised),
        asks: asks(input, must, timeline),
    }
}

/// Part of the keys of a readiness.
pub(crate) fn word(readiness: Readiness) -> &'static str {
    match readiness {
        Readiness::Ready => "ready",
        Readiness::WithConditions => "withConditions",
        Readiness::NotReady => "notReady",
        Readiness::Unknown => "unknown",
        Readiness::Installing => "installing",
        Readiness::Stopped => "stopped",
        Readiness::Installed => "installed",
    }
}

fn sentence(input: &Input<'_>, advised: Option<&Tier>) -> Message {
    if input.beyond_reach() {
        return Message::new("sentence.beyond").word("product", &input.document.product.title);
    }
    let named = input.site.hosts.len() as u64;
    let handover = super::stage(input) == Stage::Handover;
    let count = match advised {
        Some(tier) if !handover => tier.masters.count.amount.saturating_add(tier.workers.count.amount),
        _ => named,
    };
    let users = advised.map(|tier| tier.load.milliusers.div_ceil(1000));
    let tense = if handover { "after" } else { "before" };
    let whom = if users.is_some() { "" } else { ".anybody" };
    Message::new(format!("sentence.{tense}{whom}"))
        .number("machines", count, Unit::Machines)
        .word("product", &input.document.product.title)
        .number("people", users.unwrap_or(0), Unit::People)
}

fn of_tier(tier: &Tier, input: &Input<'_>) -> Vec<MachineLine> {
    let overrides = input.site.sizing.clone().unwrap_or_default();
    let decided = |reason: &str| Message::new("why.decided").word("reason", reason.trim_end_matches('.'));
    let masters = overrides.masters.as_ref().map_or_else(
        || {
            Message::new(if tier.masters.count.amount > 1 {
                "why.masters.spare"
            } else {
                "why.masters.single"
            })
        },
        |given| decided(&given.reason),
    );
    let workers = overrides
        .workers
        .as_ref()
        .map_or_else(|| workers_reason(tier, input), |given| decided(&given.reason));
    let size =
        overrides.machine.as_ref().map_or_else(|| Message::new("why.size"), |given| decided(&given.reason));
    vec![
        line("steer", &tier.masters, masters, &Message::new("why.size.masters")),
        line("work", &tier.workers, workers, &size),
    ]
}

fn workers_reason(tier: &Tier, input: &Input<'_>) -> Message {
    let spare = tier.workers.count.amount > 1 && wants_spare(input);
    let what = match tier.binding.resource {
        Resource::Cpu => "cpu",
        Resource::Memory => "memory",
        Resource::Pods => "programs",
        Resource::Disk => "disk",
        Resource::Copies => {
            return Message::new(if spare { "why.workers.copies" } else { "why.workers.alone" });
        }
    };
    let say = if spare { "why.workers.spare" } else { "why.workers" };
    Message::new(say).part("what", Message::new(format!("resource.name.{what}")))
}

fn wants_spare(input: &Input<'_>) -> bool {
    let wanted = input.site.needs.as_ref().and_then(|needs| needs.availability);
    wanted != Some(sealift_profile::Availability::NoSpare)
}

fn line(purpose: &str, machines: &Machines, count: Message, size: &Message) -> MachineLine {
    MachineLine {
        purpose: Message::new(format!("purpose.{purpose}")),
        count: Figure::new(machines.count.amount, Unit::Machines, count),
        cores: Figure::new(machines.shape.millicores, Unit::Millicores, size.clone()),
        memory: Figure::new(machines.shape.memory_bytes, Unit::MemoryBytes, size.clone()),
        disk: Figure::new(machines.disk_bytes, Unit::DiskBytes, Message::new("why.disk")),
    }
}

/// Without a model: the machines of the profile, and the least that each must have.
fn by_role(input: &Input<'_>) -> Vec<MachineLine> {
    let needs = Requirements::new(input.site, Some(input.document));
    let roles = [(HostRole::ControlPlane, "steer"), (HostRole::Worker, "work")];
    let line = |(role, purpose): (HostRole, &str)| {
        let count = input.site.hosts.iter().filter(|host| host.role == role).count() as u64;
        let need = needs.of(role);
        let disk = need.disks.iter().fold(0u64, |sum, one| sum.saturating_add(one.bytes));
        let least = || Message::new("why.least");
        (count > 0).then(|| MachineLine {
            purpose: Message::new(format!("purpose.{purpose}")),
            count: Figure::new(count, Unit::Machines, Message::new("why.named")),
            cores: Figure::new(u64::from(need.cpus) * 1000, Unit::Millicores, least()),
            memory: Figure::new(need.memory_bytes, Unit::MemoryBytes, least()),
            disk: Figure::new(disk, Unit::DiskBytes, Message::new("why.disk")),
        })
    };
    roles.into_iter().filter_map(line).collect()
}

fn spare(input: &Input<'_>, advised: Option<&Tier>) -> &'static str {
    if input.beyond_reach() {
        return "unknown";
    }
    let holds = advised.map_or_else(
        || many(input.site, HostRole::ControlPlane) && many(input.site, HostRole::Worker),
        |tier| tier.masters.count.amount > 1 && tier.workers.count.amount > 1 && tier.one_down.is_empty(),
    );
    if holds { "yes" } else { "no" }
}

fn many(site: &Site, role: HostRole) -> bool {
    site.hosts.iter().filter(|host| host.role == role).count() > 1
}

/// How many machines are named, and whether those that were seen suffice.
fn there(input: &Input<'_>, advised: Option<&Tier>) -> Message {
    let named = input.site.hosts.len() as u64;
    let message = |say: &str| Message::new(say).number("named", named, Unit::Machines);
    match (input.verdict, advised) {
        _ if named == 0 => message("there.none"),
        (None, None) if input.beyond_reach() => message("there.beyond"),
        (Some(verdict), _) if verdict.suffices => {
            message("there.suffice").number("people", u64::from(verdict.most_users), Unit::People)
        }
        (Some(verdict), _) => {
            let lacking: Vec<Resource> = verdict
                .tiers
                .iter()
                .filter(|tier| tier.kind == TierKind::Recommended)
                .flat_map(|tier| tier.shortfalls.iter().map(|lack| lack.resource))
                .collect();
            let titles = [
                (Resource::Cpu, "cpu"),
                (Resource::Memory, "memory"),
                (Resource::Pods, "programs"),
                (Resource::Disk, "disk"),
                (Resource::Copies, "machines"),
            ];
            let parts = titles
                .into_iter()
                .filter(|(resource, _)| lacking.contains(resource))
                .map(|(_, name)| Arg::Message(Message::new(format!("resource.name.{name}"))));
            message("there.short").with("what", Arg::List(parts.collect()))
        }
        (None, Some(tier)) => {
            let wanted = tier.masters.count.amount.saturating_add(tier.workers.count.amount);
            message("there.named").number("wanted", wanted, Unit::Machines)
        }
        (None, None) => message("there.unseen"),
    }
}

/// What is needed from the site, the earliest first.
fn asks(input: &Input<'_>, must: u64, timeline: &Timeline) -> Vec<Ask> {
    if super::stage(input) == Stage::Handover {
        let due = after(input.made.at.date(), LIST_DAYS);
        let ask = |name: &str, owner| Ask { what: Message::new(format!("ask.{name}")), due, owner };
        return vec![ask("sign", Owner::Management), ask("operate", Owner::Lead)];
    }
    let start = input.made.at.date();
    let due = |id: &str| {
        let phase = timeline.phases.iter().find(|phase| phase.id == id && !phase.done);
        phase.map(|phase| phase.due)
    };
    let list = after(start, LIST_DAYS);
    let mut asks = Vec::new();
    let mut ask = |name: &str, due: Option<jiff::civil::Date>, owner| {
        asks.extend(due.map(|due| Ask {
            what: Message::new(format!("ask.{name}")).number("things", must, Unit::Things),
            due,
            owner,
        }));
    };
    let unsure = input.sized().is_some_and(|sizing| sizing.answers.iter().any(|answer| answer.assumed));
    ask("assumed", unsure.then_some(list), Owner::Lead);
    ask("questions", open_questions(input.site, input.document).then_some(list), Owner::Lead);
    ask("machines", due("system"), Owner::Machines);
    ask("firewall", due("network"), Owner::Network);
    ask("names", due("names"), Owner::Network);
    ask("mend", due("mend"), Owner::Lead);
    ask("tester", due("acceptance"), Owner::Lead);
    asks.sort_by_key(|ask| ask.due);
    asks
}

/// Whether the product asks something that the site has not answered and that has no default.
fn open_questions(site: &Site, document: &BundleDocument) -> bool {
    let settings = document
        .settings
        .iter()
        .any(|(name, setting)| setting.default.is_none() && !site.product.settings.contains_key(name));
    let wanted = document.secrets.iter().flat_map(|secret| secret.from_site.values());
    settings || wanted.into_iter().any(|name| !site.product.secrets.contains_key(name))
}
