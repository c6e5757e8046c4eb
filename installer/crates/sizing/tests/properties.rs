//! What holds for every model and every site, whatever the numbers.
#![allow(clippy::unwrap_used)] // a test may fall over

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sealift_bundle::sizing::{
    BasisKind, PartClass, PartDisk, Placement, Samples, SizingBasis, SizingModel, SizingPart,
};
use sealift_profile::{
    Availability, Backup, Etcd, Events, Growth, HostRole, Needs, Reserved, SizingOverrides,
};
use sealift_sizing::{
    BundleBytes, GivenHost, HostBytes, Input, Resource, Sizing, Tier, TierKind, judge, node_overhead, sizing,
    system_paths, usual_shapes,
};

fn basis() -> SizingBasis {
    SizingBasis { kind: BasisKind::Assumed, source: "generated".into(), hardware: None, date: None }
}

prop_compose! {
    fn disk()(
        fixed_megabytes in 0u32..10_000,
        data_share_percent in 0u32..200,
        samples in option::of((1u32..100_000, 1u32..120)),
        retention_days in option::of(1u32..400),
        overhead_percent in 0u32..200,
        copies in 1u32..4,
    ) -> PartDisk {
        PartDisk {
            path: "/var/lib/data".into(), fixed_megabytes, data_share_percent,
            samples: samples.map(|(series, every_seconds)| Samples { series, every_seconds }),
            retention_days, overhead_percent, copies,
        }
    }
}

prop_compose! {
    fn part()(
        copies in 1u32..5,
        cpu_millicores in 0u32..1000,
        memory_mebibytes in 0u32..4096,
        cpu_microseconds_per_request in 0u32..50_000,
        memory_kibibytes_per_session in 0u32..2048,
        every_host in prop::bool::weighted(0.2),
        class in prop_oneof![Just(PartClass::General), Just(PartClass::Database), Just(PartClass::Storage)],
        disk in option::of(disk()),
    ) -> SizingPart {
        let part = SizingPart {
            name: "part".into(), title: "the part".into(), component: "orders".into(), class,
            placement: Placement::Workers, copies, cpu_millicores, memory_mebibytes, cpu_microseconds_per_request,
            memory_kibibytes_per_session, most_millicores_per_copy: Some(1000), disk, basis: basis(),
        };
        if every_host {
            SizingPart {
                placement: Placement::EveryHost, copies: 1, cpu_millicores: cpu_millicores / 10,
                memory_mebibytes: memory_mebibytes / 10, cpu_microseconds_per_request: 0,
                memory_kibibytes_per_session: 0, disk: None, ..part
            }
        } else {
            part
        }
    }
}

prop_compose! {
    fn model()(parts in vec(part(), 1..5), busy_percent in 30u32..90, data in 0u32..1000) -> SizingModel {
        SizingModel { busy_percent, kilobytes_per_user_per_day: data, data_basis: basis(), parts }
    }
}

prop_compose! {
    fn needs()(
        users in 1u32..20_000,
        concurrent in option::of(1u32..=100),
        think in option::of(1f64..60.0),
        peak in option::of(1f64..5.0),
        data in option::of(0f64..100.0),
        retention in option::of(1u32..400),
        growth in option::of((0u32..100, 0u32..100, 0u32..5)),
        spare in any::<bool>(),
    ) -> Needs {
        Needs {
            users: Some(users), concurrent_percent: concurrent, think_seconds: think, response_seconds: None,
            peak_factor: peak, data_gigabytes_per_day: data, retention_days: retention,
            growth: growth.map(|(users, data, years)| Growth {
                users_percent_per_year: Some(users), data_percent_per_year: Some(data), years: Some(years),
            }),
            availability: Some(if spare { Availability::OneMachineMayFail } else { Availability::NoSpare }),
        }
    }
}

fn bytes() -> BundleBytes {
    let of = |store, images| HostBytes { store, images, programs: 500_000_000 };
    BundleBytes {
        masters: of(1_300_000_000, 400_000_000),
        workers: of(160_000_000, 600_000_000),
        both: of(1_300_000_000, 900_000_000),
    }
}

#[test]
fn what_is_advised_is_never_less_than_what_an_install_takes() {
    for (steers, works) in [(true, false), (false, true), (true, true)] {
        let etcd =
            Etcd { folder: "/srv/etcd".to_owned(), events: Some(Events::default()), ..Etcd::default() };
        let paths = system_paths(&bytes().doing(steers, works), steers.then_some(&etcd));
        let own: Vec<&str> =
            paths.iter().filter(|path| path.own_device).map(|path| path.path.as_str()).collect();
        assert_eq!(own, if steers { vec!["/srv/etcd", "/var/lib/etcd-events"] } else { Vec::new() });
        for path in paths {
            assert!(path.advised >= path.least && path.advised > 0, "{}", path.path);
        }
    }
}

#[test]
fn snapshots_of_events_have_room_for_those_kept_and_the_next_one() {
    let room = |keep: u32| {
        let backup = Backup { keep, folder: "/mnt/copies".to_owned(), ..Backup::default() };
        let events = Some(Events { backup, ..Events::default() });
        let etcd = Etcd { events, ..Etcd::default() };
        let paths = system_paths(&bytes().doing(true, false), Some(&etcd));
        paths.into_iter().find(|path| path.path == "/mnt/copies").map(|path| (path.least, path.advised))
    };
    assert_eq!(room(3), Some((1_000_000_000, 8 << 30)));
    assert_eq!(room(24), Some((1_000_000_000, 50 << 30)));
    assert_eq!(room(0), None, "none is taken");
}

fn input<'a>(model: &'a SizingModel, needs: &'a Needs) -> Input<'a> {
    let (overrides, reserved, etcd) = (SizingOverrides::default(), Reserved::default(), Etcd::default());
    Input { needs, model, bytes: bytes(), overrides, shapes: usual_shapes(), reserved, etcd }
}

/// Every amount that more work may only make larger, by name.
fn amounts(sizing: &Sizing) -> Vec<(String, u64)> {
    let of = |tier: &Tier| {
        let kind = format!("{:?}", tier.kind);
        let mut list = vec![
            (format!("{kind} cpu"), tier.cpu.amount),
            (format!("{kind} memory"), tier.memory.amount),
            (format!("{kind} pods"), tier.pods.amount),
            (format!("{kind} worker disk"), tier.workers.disk_bytes),
        ];
        list.extend(
            tier.disks.iter().enumerate().map(|(i, need)| (format!("{kind} disk {i}"), need.size.amount)),
        );
        list
    };
    sizing.tiers.iter().flat_map(of).collect()
}

/// What all workers of the tier with growth cost: the size of machine is chosen by it.
fn weight(sizing: &Sizing) -> u64 {
    let later = sizing.tier(TierKind::WithGrowth).unwrap();
    later.workers.count.amount * later.workers.shape.weight()
}

fn none_less(less: &Sizing, more: &Sizing) -> Result<(), TestCaseError> {
    for ((name, before), (_, after)) in amounts(less).into_iter().zip(amounts(more)) {
        prop_assert!(after >= before, "{name}: {before} became {after}");
    }
    prop_assert!(weight(more) >= weight(less));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn more_people_data_or_days_never_need_less(
        model in model(), needs in needs(), more in 1u32..20_000, data in 0f64..50.0, days in 1u32..400,
    ) {
        let Ok(less) = sizing(&input(&model, &needs)) else { return Ok(()) };
        let users = Needs { users: needs.users.map(|users| users + more), ..needs.clone() };
        let held = Needs { retention_days: Some(needs.retention_days.unwrap_or(365) + days), ..needs.clone() };
        let told = needs.data_gigabytes_per_day.map(|told| told + data);
        let filled = Needs { data_gigabytes_per_day: told, ..needs.clone() };
        for needs in [users, held, filled] {
            // Where the larger fits into no machine any more, it needs more.
            if let Ok(more) = sizing(&input(&model, &needs)) {
                none_less(&less, &more)?;
            }
        }
        // On one size of machine, the number itself.
        for shape in usual_shapes() {
            let users = Needs { users: needs.users.map(|users| users + more), ..needs.clone() };
            let on = |needs: &Needs| sizing(&Input { shapes: vec![shape], ..input(&model, needs) });
            if let (Ok(less), Ok(more)) = (on(&needs), on(&users)) {
                for (less, more) in less.tiers.iter().zip(&more.tiers) {
                    prop_assert!(more.workers.count.amount >= less.workers.count.amount);
                    prop_assert!(more.masters.shape.millicores >= less.masters.shape.millicores);
                }
            }
        }
    }

    #[test]
    fn requests_fit_and_the_largest_machine_can_be_lost(model in model(), needs in needs()) {
        let Ok(result) = sizing(&input(&model, &needs)) else { return Ok(()) };
        let spare = u64::from(needs.availability == Some(Availability::OneMachineMayFail));
        for tier in &result.tiers {
            let shape = tier.workers.shape;
            // Counted anew from the sizes: capacity less the node's own less what runs on every host.
            let own = node_overhead(shape.millicores, shape.memory_bytes);
            let here = |of: fn(&sealift_sizing::PartNeed) -> u64| -> u64 {
                tier.parts.iter().filter(|part| part.every_host).map(of).sum()
            };
            let elsewhere = |of: fn(&sealift_sizing::PartNeed) -> u64| -> u64 {
                tier.parts.iter().filter(|part| !part.every_host).map(of).sum()
            };
            let cpu = shape.millicores - own.cpu_millicores - here(|part| part.cpu.amount);
            let memory = shape.memory_bytes - own.memory_bytes - own.eviction_bytes - here(|part| part.memory.amount);
            let left = tier.workers.count.amount - spare;
            prop_assert!(elsewhere(|part| part.cpu.amount) <= cpu * left);
            prop_assert!(elsewhere(|part| part.memory.amount) <= memory * left);
            prop_assert!(elsewhere(|part| part.copies) <= 110 * left);
            prop_assert!(tier.one_down.is_empty());
            prop_assert_eq!(tier.masters.count.amount, 1 + 2 * spare);
            // Data in several copies has room for all of them on the machines that are left, 85 % full.
            for (need, part) in tier.disks.iter().filter(|need| need.path == "/var/lib/data")
                .zip(model.parts.iter().filter_map(|part| part.disk.as_ref()))
            {
                let machines = need.machines.unwrap_or(1);
                prop_assert!(machines >= u64::from(part.copies));
                prop_assert!(tier.workers.count.amount >= machines);
                let carriers = if need.machines.is_some() { machines - spare } else { 1 };
                let days = u128::from(part.retention_days.map_or(tier.load.retention_days, u64::from));
                let raw = u128::from(tier.load.bytes_per_day) * u128::from(part.data_share_percent) / 100 * days
                    * u128::from(part.copies);
                prop_assert!(u128::from(need.size.amount) * 85 / 100 * u128::from(carriers) + 9 >= raw);
            }
        }
    }

    #[test]
    fn each_tier_is_at_least_the_one_before(model in model(), needs in needs()) {
        let Ok(result) = sizing(&input(&model, &needs)) else { return Ok(()) };
        for pair in result.tiers.windows(2) {
            prop_assert!(pair[0].kind < pair[1].kind);
            prop_assert!(pair[1].cpu.amount >= pair[0].cpu.amount);
            prop_assert!(pair[1].memory.amount >= pair[0].memory.amount);
            prop_assert!(pair[1].workers.count.amount >= pair[0].workers.count.amount);
            prop_assert!(pair[1].workers.disk_bytes >= pair[0].workers.disk_bytes);
            prop_assert!(pair[1].masters.shape.millicores >= pair[0].masters.shape.millicores);
            prop_assert!(pair[1].masters.shape.memory_bytes >= pair[0].masters.shape.memory_bytes);
        }
    }

}

proptest! {
    // Each case judges some machines many times.
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_advised_machines_suffice_and_the_answer_is_sharp(model in model(), needs in needs()) {
        let request = input(&model, &needs);
        let Ok(result) = sizing(&request) else { return Ok(()) };
        let advised = result.tier(TierKind::Recommended).unwrap();
        let hosts: Vec<GivenHost> = [(HostRole::ControlPlane, &advised.masters), (HostRole::Worker, &advised.workers)]
            .into_iter()
            .flat_map(|(role, machines)| (0..machines.count.amount).map(move |number| GivenHost {
                name: format!("{role:?}{number}"), role: Some(role), shape: machines.shape,
                disk_bytes: Some(machines.disk_bytes),
            }))
            .collect();
        let verdict = judge(&request, &hosts).unwrap();
        prop_assert!(verdict.suffices, "{:?}", verdict.tiers[1].shortfalls);
        prop_assert!(verdict.most_users >= needs.users.unwrap());
        let suffice = |users: u32| {
            let needs = Needs { users: Some(users), ..needs.clone() };
            judge(&input(&model, &needs), &hosts).unwrap().suffices
        };
        prop_assert!(suffice(verdict.most_users));
        prop_assert!(verdict.most_users == 10_000_000 || !suffice(verdict.most_users + 1));
        // One machine that works fewer: it shows, unless there are more for the copies than the work asks for.
        let fewer = judge(&request, &hosts[..hosts.len() - 1]).unwrap();
        prop_assert!(!fewer.suffices || advised.binding.resource == Resource::Copies || needs.availability == Some(Availability::NoSpare));
    }
}

#[test]
fn absurd_numbers_give_no_small_results() {
    let part = SizingPart {
        name: "part".into(),
        title: "the part".into(),
        component: "orders".into(),
        class: PartClass::General,
        placement: Placement::Workers,
        copies: u32::MAX,
        cpu_millicores: u32::MAX,
        memory_mebibytes: u32::MAX,
        cpu_microseconds_per_request: u32::MAX,
        memory_kibibytes_per_session: u32::MAX,
        most_millicores_per_copy: Some(1),
        disk: None,
        basis: basis(),
    };
    let model = SizingModel {
        busy_percent: 0,
        kilobytes_per_user_per_day: u32::MAX,
        data_basis: basis(),
        parts: vec![part],
    };
    let growth = Growth {
        users_percent_per_year: Some(u32::MAX),
        data_percent_per_year: Some(u32::MAX),
        years: Some(10),
    };
    let needs = Needs {
        users: Some(u32::MAX),
        think_seconds: Some(0.0),
        response_seconds: Some(f64::NAN),
        peak_factor: Some(f64::INFINITY),
        growth: Some(growth),
        ..Needs::default()
    };
    assert!(sizing(&input(&model, &needs)).is_err());
    let host: GivenHost = "8c/32GiB".parse().unwrap();
    let verdict = judge(&input(&model, &needs), &[host]).unwrap();
    assert_eq!((verdict.suffices, verdict.most_users), (false, 0));
}
