//! Machines for one load: the least, the advised, and those for the years to come.

use sealift_profile::{CountOverride, HostRole};
use serde::Serialize;

use crate::answers::{Answers, Load, load};
use crate::disks::{self, PathNeed};
use crate::fit::{self, Count, Resource, Room, Shortfall};
use crate::masters::{self, master_size};
use crate::overhead::{FORMULA, node_overhead};
use crate::parts::{ClassNeed, Demand, PartNeed};
use crate::shape::Shape;
use crate::words::{self, Figure, Unit, decimal};
use crate::{Input, SizingError};

/// Nodes that a cluster may have (kubernetes.io, "Considerations for large clusters").
const MOST_NODES: u64 = 5000;

/// For what a tier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum TierKind {
    /// Today's load, no reserve: below this it does not work.
    Minimum,
    /// Today's load with 15 % in reserve.
    Recommended,
    /// The load after the years to look ahead, with 15 % in reserve.
    WithGrowth,
}

impl TierKind {
    /// All, from the smallest to the largest.
    pub const ALL: [Self; 3] = [Self::Minimum, Self::Recommended, Self::WithGrowth];

    /// Percent of a machine's room that may be planned with.
    pub(crate) fn fill(self) -> u64 {
        if self == Self::Minimum { 100 } else { 85 }
    }

    pub(crate) fn years(self, answers: &Answers) -> u32 {
        if self == Self::WithGrowth { answers.years } else { 0 }
    }
}

/// Machines for one load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tier {
    /// For what it is.
    pub kind: TierKind,
    /// What there is to do.
    pub load: Load,
    /// What each part needs.
    pub parts: Vec<PartNeed>,
    /// Sums for each sort of work.
    pub classes: Vec<ClassNeed>,
    /// Processors of everything on workers.
    pub cpu: Figure,
    /// Memory of everything on workers.
    pub memory: Figure,
    /// Pods on workers.
    pub pods: Figure,
    /// Machines that run the product.
    pub workers: Machines,
    /// Machines that run the cluster.
    pub masters: Machines,
    /// Disks by path and role.
    pub disks: Vec<PathNeed>,
    /// What decides the number of workers.
    pub binding: Binding,
    /// What is left over.
    pub slack: Slack,
    /// What is missing when any one machine is lost (or, where none is spare, with all of them); empty where all holds.
    pub one_down: Vec<Shortfall>,
}

/// Equal machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Machines {
    /// How many, and why.
    pub count: Figure,
    /// Size of each.
    pub shape: Shape,
    /// Why they are of this size.
    pub because: String,
    /// Disk of each, all paths together, bytes, rounded up to 10 GB.
    pub disk_bytes: u64,
    /// What of each is free for the product; only for workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<Room>,
}

/// What decides the number of workers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// Of what there is least.
    pub resource: Resource,
    /// How many machines it alone takes, hundredths; without the spare one.
    pub machines_hundredths: u64,
    /// One sentence.
    pub text: String,
}

/// Percent that is free of what may be planned with, all machines running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Slack {
    /// Of the processors.
    pub cpu_percent: u64,
    /// Of the memory.
    pub memory_percent: u64,
    /// Of the pods.
    pub pods_percent: u64,
    /// Of the processors when the largest machine is lost.
    pub cpu_percent_one_down: u64,
    /// Of the memory when the largest machine is lost.
    pub memory_percent_one_down: u64,
}

/// The size of machine for all tiers: the one with which the last costs least (see [`Shape::weight`]).
pub(crate) fn choose(input: &Input<'_>, answers: &Answers) -> Result<Shape, SizingError> {
    let kind = TierKind::WithGrowth;
    let demand = Demand::new(input, answers, &load(answers, kind.years(answers)));
    let cost = |shape: &Shape| {
        let count = fit::count(*shape, &demand, kind.fill(), answers.spare)?;
        let weight = u128::from(shape.weight()) * u128::from(count.machines);
        Some((weight, count.machines, *shape))
    };
    let costs: Vec<(u128, u64, Shape)> = input.shapes.iter().filter_map(cost).collect();
    let possible = costs.iter().filter(|(_, machines, _)| *machines <= MOST_NODES);
    let best = possible.min_by_key(|(weight, machines, shape)| (*weight, *machines, shape.millicores));
    match (best, costs.iter().map(|(_, machines, _)| *machines).min()) {
        (Some((_, _, shape)), _) => Ok(*shape),
        (None, Some(machines)) => Err(SizingError::TooMany { machines: words::machines(machines) }),
        (None, None) => Err(nothing_fits(&demand)),
    }
}

fn nothing_fits(demand: &Demand) -> SizingError {
    let need = Shape { millicores: demand.largest_cpu, memory_bytes: demand.largest_memory };
    SizingError::NothingFits { part: demand.largest.clone(), need: need.to_string() }
}

/// One tier on machines of this size.
pub(crate) fn tier(
    kind: TierKind,
    input: &Input<'_>,
    answers: &Answers,
    shape: Shape,
) -> Result<Tier, SizingError> {
    let load = load(answers, kind.years(answers));
    let demand = Demand::new(input, answers, &load);
    let count =
        fit::count(shape, &demand, kind.fill(), answers.spare).ok_or_else(|| nothing_fits(&demand))?;
    let assumed = demand.parts.iter().any(|part| part.cpu.assumed || part.memory.assumed);
    let workers = overridden(input.overrides.workers.as_ref());
    let machines = workers.as_ref().map_or(count.machines, |(count, _)| *count);
    let mut paths = disks::of_system(HostRole::Worker, &input.bytes, &input.etcd);
    paths.extend(disks::of_stores(&demand, answers.spare));
    let worker_disk = disks::rounded(disks::total(paths.iter()));
    let (master_count, master_shape) = masters_of(kind, input, answers, machines);
    let master_paths = disks::of_system(HostRole::ControlPlane, &input.bytes, &input.etcd);
    let master_disk = disks::rounded(disks::total(master_paths.iter()));
    paths.extend(master_paths);
    let rooms = vec![count.room; usize::try_from(machines).unwrap_or(0)];
    Ok(Tier {
        kind,
        load,
        classes: demand.classes(),
        cpu: sum(&demand, demand.cpu, Unit::Millicores, words::cores, assumed),
        memory: sum(&demand, demand.memory, Unit::Bytes, words::memory, assumed),
        pods: sum(&demand, demand.pods, Unit::Pods, |pods| format!("{} pods", words::grouped(pods)), assumed),
        workers: Machines {
            count: Figure {
                amount: machines,
                unit: Unit::Machines,
                because: workers.map_or_else(|| worker_reason(&count, answers.spare), |(_, because)| because),
                inputs: vec!["parts".to_owned(), "needs.availability".to_owned()],
                assumed: assumed || answers.assumed(&["availability"]),
            },
            shape,
            because: shape_reason(shape, &count.room, &demand, kind, input),
            disk_bytes: worker_disk,
            room: Some(count.room),
        },
        masters: Machines {
            disk_bytes: master_disk,
            ..machines_of_masters(input, answers, machines, master_count, master_shape)
        },
        disks: paths,
        binding: binding(&count, answers.spare),
        slack: slack(&rooms, &demand),
        one_down: fit::shortfalls(&rooms, &demand, answers.spare),
        parts: demand.parts,
    })
}

fn sum(demand: &Demand, amount: u64, unit: Unit, say: fn(u64) -> String, assumed: bool) -> Figure {
    let parts = demand.parts.iter().filter(|part| !part.every_host);
    let titles: Vec<&str> = parts.map(|part| part.title.as_str()).collect();
    Figure {
        amount,
        unit,
        because: format!("{} together for {}.", say(amount), titles.join(", ")),
        inputs: vec!["parts".to_owned()],
        assumed,
    }
}

/// A count that the site decides, and the sentence that says so.
fn overridden(given: Option<&CountOverride>) -> Option<(u64, String)> {
    given.map(|given| {
        let count = u64::from(given.count);
        (
            count,
            format!(
                "{}, decided by the site: {}.",
                words::machines(count),
                given.reason.trim_end_matches('.')
            ),
        )
    })
}

fn masters_of(kind: TierKind, input: &Input<'_>, answers: &Answers, workers: u64) -> (u64, Shape) {
    let count = input
        .overrides
        .masters
        .as_ref()
        .map_or(if answers.spare { 3 } else { 1 }, |given| u64::from(given.count));
    let least = master_size(workers, count, kind != TierKind::Minimum);
    let fits =
        |shape: &&Shape| shape.millicores >= least.millicores && shape.memory_bytes >= least.memory_bytes;
    // What there is to buy; else exactly what is needed.
    let shape = input.shapes.iter().filter(fits).min_by_key(|shape| shape.weight()).copied();
    let shape = if kind == TierKind::Minimum { None } else { shape };
    (count, shape.unwrap_or(least))
}

fn machines_of_masters(
    input: &Input<'_>,
    answers: &Answers,
    workers: u64,
    count: u64,
    shape: Shape,
) -> Machines {
    let because = overridden(input.overrides.masters.as_ref()).map_or_else(
        || {
            if answers.spare {
                "3 machines steer: two of them still agree when one is lost.".to_owned()
            } else {
                "1 machine steers: nothing is spare, as you asked.".to_owned()
            }
        },
        |(_, because)| because,
    );
    let count_figure = Figure {
        amount: count,
        unit: Unit::Machines,
        because,
        inputs: vec!["needs.availability".to_owned()],
        assumed: answers.assumed(&["availability"]),
    };
    let because = masters::reason(workers, count);
    Machines { count: count_figure, shape, because, disk_bytes: 0, room: None }
}

fn worker_reason(count: &Count, spare: bool) -> String {
    let spare_text = if spare { ", and one more so that any one may fail" } else { "" };
    match count.binding {
        Resource::Copies => {
            format!("{}: fewer could not hold every copy{spare_text}.", words::machines(count.machines))
        }
        resource => format!(
            "{}: {} take {} of them{spare_text}.",
            words::machines(count.machines),
            name(resource),
            decimal(count.hundredths.saturating_mul(10)),
        ),
    }
}

fn shape_reason(shape: Shape, room: &Room, demand: &Demand, kind: TierKind, input: &Input<'_>) -> String {
    let own = node_overhead(shape.millicores, shape.memory_bytes).with(input.reserved);
    let formula = if input.reserved.is_calculated() { FORMULA } else { "decided by the site" };
    let why = match &input.overrides.machine {
        Some(machine) => format!("decided by the site: {}", machine.reason.trim_end_matches('.')),
        None => "of the sizes to choose from, all machines together cost least with this one".to_owned(),
    };
    format!(
        "{shape}, {why}. {} and {} of it are for the product: the system keeps {} and {} ({}), each machine's own parts \
         take {} and {}, and {} % of the rest are planned with.",
        words::cores(room.cpu_millicores / 10 * 10),
        words::memory(room.memory_bytes),
        words::cores(own.cpu_millicores),
        words::memory(own.memory_bytes + own.eviction_bytes),
        formula,
        words::cores(demand.host_cpu),
        words::memory(demand.host_memory),
        kind.fill(),
    )
}

fn name(resource: Resource) -> &'static str {
    match resource {
        Resource::Cpu => "processors",
        Resource::Memory => "memory",
        Resource::Pods => "the number of programs",
        Resource::Disk => "disk",
        Resource::Copies => "copies",
    }
}

fn binding(count: &Count, spare: bool) -> Binding {
    let text = match count.binding {
        Resource::Copies => {
            let why = if spare { "that one machine may fail" } else { "the copies of the data" };
            format!("The number of machines follows from {why}, not from the work.")
        }
        resource => format!(
            "{} decide{}: {} of {} are full.",
            crate::parts::capital(name(resource)),
            if matches!(resource, Resource::Cpu) { "" } else { "s" },
            decimal(count.hundredths.saturating_mul(10)),
            words::machines(count.hundredths.div_ceil(100).max(1)),
        ),
    };
    Binding { resource: count.binding, machines_hundredths: count.hundredths, text }
}

fn slack(rooms: &[Room], demand: &Demand) -> Slack {
    let free = |of: fn(&Room) -> u64, need: u64, spare: bool| {
        let have = fit::left(rooms, of, spare);
        let free = u128::from(have.saturating_sub(need)) * 100;
        words::narrow(free.checked_div(u128::from(have)).unwrap_or(0))
    };
    Slack {
        cpu_percent: free(|room| room.cpu_millicores, demand.cpu, false),
        memory_percent: free(|room| room.memory_bytes, demand.memory, false),
        pods_percent: free(|room| room.pods, demand.pods, false),
        cpu_percent_one_down: free(|room| room.cpu_millicores, demand.cpu, true),
        memory_percent_one_down: free(|room| room.memory_bytes, demand.memory, true),
    }
}
