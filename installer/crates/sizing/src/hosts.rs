//! Whether machines that are there already suffice, and for how many people.

use std::collections::BTreeMap;

use sealift_profile::{HostRole, Needs};
use serde::Serialize;

use crate::answers::{Answers, load};
use crate::disks;
use crate::fit::{self, Resource, Room, Shortfall, spread};
use crate::masters::master_size;
use crate::parts::Demand;
use crate::shape::{GivenHost, Shape};
use crate::tier::TierKind;
use crate::words::{self, disk};
use crate::{Input, SizingError};

/// The most people that are asked about.
const MOST_USERS: u32 = 10_000_000;

/// What given machines can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Whether they suffice for today's load with 15 % in reserve.
    pub suffices: bool,
    /// For how many people with an account they suffice so; 0 where for nobody.
    pub most_users: u32,
    /// What each tier lacks, from the smallest tier to the largest.
    pub tiers: Vec<TierVerdict>,
    /// What each machine does.
    pub hosts: Vec<AssignedHost>,
    /// Machines whose disk is unknown: it was not judged.
    pub disks_unknown: Vec<String>,
}

/// What the machines lack for one tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TierVerdict {
    /// The tier.
    pub kind: TierKind,
    /// What is missing; empty where they suffice.
    pub shortfalls: Vec<Shortfall>,
}

/// A machine and what it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssignedHost {
    /// The machine.
    #[serde(flatten)]
    pub host: GivenHost,
    /// Whether it runs the cluster.
    pub steers: bool,
    /// Whether it runs the product. A machine may do both: then some of it stays reserved for the first duty.
    pub works: bool,
}

/// Judges machines. Those without a role get one: the smallest that will do steer, the others work; where there are too
/// few for that, each does both.
pub fn judge(input: &Input<'_>, hosts: &[GivenHost]) -> Result<Verdict, SizingError> {
    if hosts.is_empty() {
        return Err(SizingError::NoHosts);
    }
    let answers = Answers::new(input.needs, input.model);
    let hosts = assign(input, &answers, hosts);
    let lacks = |needs: &Needs, kind: TierKind| {
        let answers = Answers::new(needs, input.model);
        shortfalls(input, &answers, kind, &hosts)
    };
    let tiers: Vec<TierVerdict> = TierKind::ALL
        .into_iter()
        .map(|kind| TierVerdict { kind, shortfalls: lacks(input.needs, kind) })
        .collect();
    let fits = |users: u32| {
        let needs = Needs { users: Some(users), ..input.needs.clone() };
        lacks(&needs, TierKind::Recommended).is_empty()
    };
    Ok(Verdict {
        suffices: tiers.iter().any(|tier| tier.kind == TierKind::Recommended && tier.shortfalls.is_empty()),
        most_users: most(fits),
        disks_unknown: hosts
            .iter()
            .filter(|host| host.host.disk_bytes.is_none())
            .map(|host| host.host.name.clone())
            .collect(),
        tiers,
        hosts,
    })
}

/// The largest number that fits; more people never need less, so halving finds it.
fn most(fits: impl Fn(u32) -> bool) -> u32 {
    if fits(MOST_USERS) {
        return MOST_USERS;
    }
    let (mut least, mut beyond) = (0, MOST_USERS);
    while beyond - least > 1 {
        let middle = least + (beyond - least) / 2;
        if fits(middle) {
            least = middle;
        } else {
            beyond = middle;
        }
    }
    least
}

fn assign(input: &Input<'_>, answers: &Answers, hosts: &[GivenHost]) -> Vec<AssignedHost> {
    let named = hosts.iter().enumerate().map(|(index, host)| {
        let name = if host.name.is_empty() { format!("machine {}", index + 1) } else { host.name.clone() };
        GivenHost { name, ..host.clone() }
    });
    let mut all: Vec<AssignedHost> = named
        .map(|host| {
            let steers = host.role == Some(HostRole::ControlPlane);
            AssignedHost { works: !steers, steers, host }
        })
        .collect();
    if hosts.iter().all(|host| host.role.is_none()) {
        by_size(input, answers, &mut all);
    }
    // A site without workers lets its masters work.
    if !all.iter().any(|host| host.works) {
        for host in &mut all {
            host.works = true;
        }
    }
    all
}

fn by_size(input: &Input<'_>, answers: &Answers, all: &mut [AssignedHost]) {
    let given = input.overrides.masters.as_ref();
    let masters = given.map_or(if answers.spare { 3 } else { 1 }, |given| given.count as usize);
    let spare = if answers.spare { 2 } else { 1 };
    if all.len() < masters + spare {
        let masters = if all.len() >= masters { masters } else { 1 };
        for (index, host) in all.iter_mut().enumerate() {
            host.works = true;
            host.steers = index < masters;
        }
        return;
    }
    let least = master_size((all.len() - masters) as u64, masters as u64, false);
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by_key(|index| {
        let shape = all[*index].host.shape;
        let too_small = shape.millicores < least.millicores || shape.memory_bytes < least.memory_bytes;
        (too_small, shape.weight())
    });
    for index in order.into_iter().take(masters) {
        all[index].steers = true;
        all[index].works = false;
    }
}

fn shortfalls(
    input: &Input<'_>,
    answers: &Answers,
    kind: TierKind,
    hosts: &[AssignedHost],
) -> Vec<Shortfall> {
    let demand = Demand::new(input, answers, &load(answers, kind.years(answers)));
    let working = || hosts.iter().filter(|host| host.works);
    let rooms: Vec<Room> =
        working().map(|host| Room::new(host.host.shape, &demand, kind.fill(), host.steers)).collect();
    let mut found = fit::shortfalls(&rooms, &demand, answers.spare);
    found.extend(of_masters(answers, hosts, working().count() as u64));
    found.extend(of_disks(input, answers, &demand, hosts));
    found
}

fn of_masters(answers: &Answers, hosts: &[AssignedHost], workers: u64) -> Vec<Shortfall> {
    let masters: Vec<&AssignedHost> = hosts.iter().filter(|host| host.steers).collect();
    let count = masters.len() as u64;
    let wanted = if answers.spare { 3 } else { 1 };
    let mut found = Vec::new();
    if count < wanted {
        let why = if answers.spare { ", so that two still agree when one is lost" } else { "" };
        let text = format!("{} must steer{why}; {count} do.", words::machines(wanted));
        found.push(Shortfall { resource: Resource::Copies, text });
    } else if count.is_multiple_of(2) {
        let text = format!("{} steer: an even number is no safer than one less.", words::machines(count));
        found.push(Shortfall { resource: Resource::Copies, text });
    }
    let least = master_size(workers, count, false);
    for master in masters.into_iter().filter(|master| !master.works) {
        let Shape { millicores, memory_bytes } = master.host.shape;
        let resource = if millicores < least.millicores { Resource::Cpu } else { Resource::Memory };
        if millicores < least.millicores || memory_bytes < least.memory_bytes {
            let text = format!("{} has {}; to steer it needs {least}.", master.host.name, master.host.shape);
            found.push(Shortfall { resource, text });
        }
    }
    found
}

fn of_disks(input: &Input<'_>, answers: &Answers, demand: &Demand, hosts: &[AssignedHost]) -> Vec<Shortfall> {
    let single: u64 = demand
        .stores
        .iter()
        .filter(|store| spread(store, answers.spare).is_none())
        .fold(0, |sum, store| sum.saturating_add(disks::on_each(store, answers.spare)));
    let mut working: Vec<&AssignedHost> = hosts.iter().filter(|host| host.works).collect();
    // The largest disks carry what is spread over few machines.
    working.sort_by_key(|host| std::cmp::Reverse(host.host.disk_bytes));
    let mut needs: BTreeMap<&str, u64> = BTreeMap::new();
    for (rank, host) in working.into_iter().enumerate() {
        let carried = demand
            .stores
            .iter()
            .filter(|store| spread(store, answers.spare).is_some_and(|count| (rank as u64) < count))
            .fold(single, |sum, store| sum.saturating_add(disks::on_each(store, answers.spare)));
        needs.insert(&host.host.name, carried);
    }
    let system = [(true, false), (false, true), (true, true)]
        .map(|(steers, works)| ((steers, works), system(input, steers, works)));
    let of_system = |host: &AssignedHost| {
        system.iter().find(|(does, _)| *does == (host.steers, host.works)).map_or(0, |(_, bytes)| *bytes)
    };
    let mut found = Vec::new();
    for host in hosts {
        let stores = needs.get(host.host.name.as_str()).copied().unwrap_or(0);
        let need = of_system(host).saturating_add(stores);
        if let Some(have) = host.host.disk_bytes.filter(|have| *have < need) {
            let text = format!("{} has {} of disk; it needs {}.", host.host.name, disk(have), disk(need));
            found.push(Shortfall { resource: Resource::Disk, text });
        }
    }
    found
}

/// Bytes of the system's own paths on a machine.
fn system(input: &Input<'_>, steers: bool, works: bool) -> u64 {
    let paths = disks::system_paths(&input.bytes.doing(steers, works), steers.then_some(&input.etcd));
    paths.iter().fold(0, |sum, path| sum.saturating_add(path.advised))
}
