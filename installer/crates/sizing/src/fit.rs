//! Whether machines have room for a demand, also after the loss of any one of them.

use serde::Serialize;

use crate::masters::RESERVE;
use crate::overhead::node_overhead;
use crate::parts::{Demand, Store};
use crate::shape::Shape;
use crate::words::{self, cores, memory};

/// Pods that a node may run (kubelet's default, and Kubernetes' own limit for large clusters).
pub const PODS_PER_NODE: u64 = 110;

/// What is left of a machine for the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Room {
    /// Thousandths of a processor.
    pub cpu_millicores: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Pods.
    pub pods: u64,
}

impl Room {
    /// Capacity less the node's own overhead, less what runs on every host, less the reserve of a master that works;
    /// of that so many percent.
    pub(crate) fn new(shape: Shape, demand: &Demand, fill: u64, steers: bool) -> Self {
        let own = node_overhead(shape.millicores, shape.memory_bytes).with(demand.reserved);
        let reserve = if steers { RESERVE } else { Shape { millicores: 0, memory_bytes: 0 } };
        let cpu = [own.cpu_millicores, demand.host_cpu, reserve.millicores];
        let memory = [own.memory_bytes, own.eviction_bytes, demand.host_memory, reserve.memory_bytes];
        let planned = |left: u64| words::narrow(u128::from(left) * u128::from(fill) / 100);
        Self {
            cpu_millicores: planned(cpu.into_iter().fold(shape.millicores, u64::saturating_sub)),
            memory_bytes: planned(memory.into_iter().fold(shape.memory_bytes, u64::saturating_sub)),
            pods: PODS_PER_NODE.saturating_sub(demand.host_pods),
        }
    }

    /// Whether the largest single copy of the demand fits in here.
    pub(crate) fn holds_largest(&self, demand: &Demand) -> bool {
        self.cpu_millicores >= demand.largest_cpu
            && self.memory_bytes >= demand.largest_memory
            && self.cpu_millicores > 0
            && self.memory_bytes > 0
            && self.pods > 0
    }
}

/// On how many workers a store is spread; nothing for one that is a single copy, which may be on any.
///
/// With a spare there is one more than there are copies, and three at least, so that a lost copy can be made again.
pub(crate) fn spread(store: &Store, spare: bool) -> Option<u64> {
    match store.copies {
        0 | 1 => None,
        copies if spare => Some((copies + 1).max(3)),
        copies => Some(copies),
    }
}

/// The fewest workers that copies and a spare machine ask for, whatever the load.
pub(crate) fn fewest(demand: &Demand, spare: bool) -> u64 {
    let stores = demand.stores.iter().filter_map(|store| spread(store, spare)).max();
    stores.unwrap_or(1).max(if spare { 2 } else { 1 })
}

/// What decides the number of machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Resource {
    /// Processors.
    Cpu,
    /// Memory.
    Memory,
    /// Pods.
    Pods,
    /// Disk.
    Disk,
    /// The least number that may fail or that copies need.
    Copies,
}

/// How many machines of one size a demand needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    pub room: Room,
    /// Machines, the spare one included.
    pub machines: u64,
    /// What decided, and how many machines it alone would take, hundredths.
    pub binding: Resource,
    pub hundredths: u64,
}

/// None where the largest copy does not fit into a machine of this size.
pub(crate) fn count(shape: Shape, demand: &Demand, fill: u64, spare: bool) -> Option<Count> {
    let room = Room::new(shape, demand, fill, false);
    if !room.holds_largest(demand) {
        return None;
    }
    let needed = |need: u64, each: u64| words::narrow((u128::from(need) * 100).div_ceil(u128::from(each)));
    let wanted = [
        (Resource::Cpu, needed(demand.cpu, room.cpu_millicores)),
        (Resource::Memory, needed(demand.memory, room.memory_bytes)),
        (Resource::Pods, needed(demand.pods, room.pods)),
    ];
    // The first of equals decides.
    let (binding, hundredths) =
        wanted.into_iter().rev().max_by_key(|(_, hundredths)| *hundredths).unwrap_or((Resource::Cpu, 0));
    let machines = hundredths.div_ceil(100).max(1).saturating_add(u64::from(spare));
    let fewest = fewest(demand, spare);
    if fewest > machines {
        let hundredths = (fewest - u64::from(spare)) * 100;
        return Some(Count { room, machines: fewest, binding: Resource::Copies, hundredths });
    }
    Some(Count { room, machines, binding, hundredths })
}

/// Something that machines have too little of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shortfall {
    /// Of what.
    pub resource: Resource,
    /// One sentence with what there is and what is needed.
    pub text: String,
}

/// What workers with this room lack, after the loss of the largest where there must be a spare.
pub(crate) fn shortfalls(rooms: &[Room], demand: &Demand, spare: bool) -> Vec<Shortfall> {
    let mut found = Vec::new();
    let count = rooms.len() as u64;
    let fewest = fewest(demand, spare);
    if count < fewest {
        let why = if spare { ", so that one may fail" } else { "" };
        let text =
            format!("{} must work{why}; there is {}.", words::machines(fewest), words::machines(count));
        let text = if count == 1 { text } else { text.replace("there is", "there are") };
        found.push(Shortfall { resource: Resource::Copies, text });
    }
    let when = if spare { " when the largest machine is lost" } else { "" };
    let mut short = |resource, have: u64, need: u64, say: fn(u64) -> String, what: &str| {
        if have < need {
            let text = format!("{what}: {} are needed, {} are left{when}.", say(need), say(have));
            found.push(Shortfall { resource, text });
        }
    };
    let left = |of: fn(&Room) -> u64| left(rooms, of, spare);
    short(Resource::Cpu, left(|room| room.cpu_millicores), demand.cpu, cores, "Processors");
    short(Resource::Memory, left(|room| room.memory_bytes), demand.memory, memory, "Memory");
    short(Resource::Pods, left(|room| room.pods), demand.pods, words::grouped, "Programs at the same time");
    let fitting = rooms.iter().filter(|room| room.holds_largest(demand)).count() as u64;
    let wanted = if spare { 2 } else { 1 };
    if fitting < wanted {
        let text = format!(
            "One copy of {} needs {} and {}: {} must have that free, {} can.",
            demand.largest,
            cores(demand.largest_cpu),
            memory(demand.largest_memory),
            words::machines(wanted),
            fitting
        );
        found.push(Shortfall { resource: Resource::Cpu, text });
    }
    found
}

/// What all these machines have together, without the largest where one may fail.
pub(crate) fn left(rooms: &[Room], of: fn(&Room) -> u64, spare: bool) -> u64 {
    let all = rooms.iter().fold(0u64, |sum, room| sum.saturating_add(of(room)));
    let largest = if spare { rooms.iter().map(of).max().unwrap_or(0) } else { 0 };
    all.saturating_sub(largest)
}
