//! The shape of the graph: what waits for what, in sites of every size.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod world;

use std::collections::BTreeSet;

use sealift_bundle::document::{ProductSecret, Workload};
use sealift_bundle::testing::sample_document;
use sealift_plan::Plan;
use sealift_plan::operation::{Gate, Operation};
use world::{World, ancestors, assert_valid, step};

#[test]
fn the_demo_has_these_steps() {
    let plan = World::demo().plan().unwrap();
    assert_valid(&plan);
    let lines: Vec<String> = plan
        .steps
        .iter()
        .map(|step| format!("{}: {}\n    after {}", step.id, step.title, step.needs.join(", ")))
        .collect();
    insta::assert_snapshot!("demo_steps", lines.join("\n"));
}

#[test]
fn every_size_of_site_has_a_valid_graph() {
    let document = sample_document();
    for masters in 1..=5 {
        for workers in 0..=6 {
            let plan = World::sized(masters, workers, &document).plan().unwrap();
            assert_valid(&plan);
            assert_eq!(plan.hosts.len(), masters + workers);
            let end = ancestors(&plan, "m1.pods");
            for host in &plan.hosts {
                let joined = format!("{host}.{}", if host == "m1" { "voter" } else { "join" });
                assert!(
                    end.contains(joined.as_str()),
                    "the end of {masters}+{workers} does not wait for {joined}"
                );
            }
        }
    }
}

#[test]
fn the_order_of_hosts_in_the_profile_is_free() {
    let mut world = World::demo();
    world.site.hosts.reverse();
    let plan = world.plan().unwrap();
    assert_valid(&plan);
    assert_eq!(plan.hosts, ["w2", "w1", "m3", "m2", "m1"]);
    assert!(step(&plan, "m3.init-kubelet-start").needs.contains(&"m3.images".to_owned()));
}

#[test]
fn equal_inputs_give_equal_bytes() {
    let (world, again) = (World::demo(), World::demo());
    let (plan, same) = (world.plan().unwrap(), again.plan().unwrap());
    assert_eq!(plan.to_json().as_bytes(), same.to_json().as_bytes());
    assert_eq!(plan.digest(), same.digest());
    assert!(plan.to_json().len() > 10_000);
    let read: Plan = serde_json::from_str(&plan.to_json()).unwrap();
    assert_eq!(read, plan);

    let mut other = world;
    other.site.hosts[4].labels.insert("zone".into(), "b".into());
    assert_ne!(other.plan().unwrap().digest(), plan.digest());
}

#[test]
fn nothing_happens_on_a_host_before_it_is_claimed() {
    let plan = World::demo().plan().unwrap();
    for one in &plan.steps {
        let claim = format!("{}.claim", one.host);
        if matches!(one.operation, Operation::ClaimHost { .. }) {
            assert_eq!((&one.id, one.needs.len()), (&claim, 0));
        } else {
            assert!(
                ancestors(&plan, &one.id).contains(claim.as_str()),
                "{} may come before the claim",
                one.id
            );
        }
    }
}

#[test]
fn etcd_members_are_added_one_at_a_time_and_all_else_of_a_join_waits_for_no_other_joining_master() {
    let plan = World::sized(5, 2, &sample_document()).plan().unwrap();
    for n in 2..=5 {
        let needs = &step(&plan, &format!("m{n}.join-etcd")).needs;
        assert!(needs.contains(&format!("m{}.voter", n - 1)), "m{n}'s etcd joins after {needs:?}");
        let Operation::WaitFor { gate: Gate::EtcdVoters { members }, .. } =
            &step(&plan, &format!("m{n}.voter")).operation
        else {
            panic!("m{n}.voter asks something else");
        };
        let expected: Vec<String> = (1..=n).map(|n| format!("m{n}")).collect();
        assert_eq!(members, &expected);
        assert!(ancestors(&plan, &format!("m{n}.voter")).contains(format!("m{n}.join-etcd").as_str()));
        // kubelet asks its own API server for its certificate.
        for gate in ["voter", "api"] {
            assert!(ancestors(&plan, &format!("m{n}.join")).contains(format!("m{n}.{gate}").as_str()));
        }
        for (one, other) in [("join-prepare", "join-prepare"), ("join", "join")] {
            let before = ancestors(&plan, &format!("m{n}.{one}"));
            let other = format!("m{}.{other}", n - 1);
            assert!(!before.contains(other.as_str()), "m{n}.{one} waits for {other}");
        }
    }
}

#[test]
fn the_first_master_waits_for_no_other_host() {
    let plan = World::demo().plan().unwrap();
    for id in ["m1.voter", "m1.release-flannel", "m1.release-coredns", "m1.more-images"] {
        let Some(one) = plan.steps.iter().find(|step| step.id == id) else { continue };
        let foreign: Vec<_> =
            ancestors(&plan, &one.id).into_iter().filter(|id| !id.starts_with("m1.")).collect();
        assert!(foreign.is_empty(), "{id} waits for {foreign:?}");
    }
    assert!(ancestors(&plan, "m1.voter").contains("m1.init-kubelet-start"));
}

#[test]
fn the_first_master_starts_before_the_products_images_have_arrived() {
    let plan = World::demo().plan().unwrap();
    assert!(!ancestors(&plan, "m1.voter").contains("m1.store-rest"));
    assert!(ancestors(&plan, "m1.voter").contains("m1.store-control-plane"));
    assert!(ancestors(&plan, "m1.release-orders").contains("m1.store-rest"));
}

#[test]
fn workers_join_without_waiting_for_the_other_masters_or_each_other() {
    let plan = World::demo().plan().unwrap();
    for worker in ["w1", "w2"] {
        let before = ancestors(&plan, &format!("{worker}.join"));
        assert!(before.contains("m1.init-bootstrap"));
        let own = format!("{worker}.");
        let foreign: Vec<_> =
            before.iter().filter(|id| !id.starts_with("m1.") && !id.starts_with(&own)).collect();
        assert!(foreign.is_empty(), "{worker} waits for {foreign:?}");
    }
}

#[test]
fn the_product_waits_for_its_images_and_folders_on_every_worker() {
    let plan = World::demo().plan().unwrap();
    let before = ancestors(&plan, "m1.release-orders");
    for need in
        ["w1.more-images", "w2.more-images", "w1.volumes", "w2.volumes", "m1.secret-orders-orders-database"]
    {
        assert!(before.contains(need), "the product does not wait for {need}");
    }
    let acceptance = ancestors(&plan, "m1.acceptance-orders");
    assert!(acceptance.contains("m1.ready-orders-deployment-orders-web"));
    assert!(ancestors(&plan, "m1.pods").contains("m1.acceptance-orders"));
}

#[test]
fn a_single_master_without_workers_carries_everything() {
    let plan = World::sized(1, 0, &sample_document()).plan().unwrap();
    assert_valid(&plan);
    let hosts: BTreeSet<&str> = plan.steps.iter().map(|step| step.host.as_str()).collect();
    assert_eq!(hosts, BTreeSet::from(["m1"]));
    let joins = plan.steps.iter().filter(|step| matches!(step.operation, Operation::KubeadmJoin { .. }));
    assert_eq!(joins.count(), 0);
    let fetches = plan.steps.iter().filter(|step| matches!(step.operation, Operation::FetchBlobs { .. }));
    assert_eq!(fetches.count(), 0, "there is nobody to fetch from");
}

#[test]
fn names_with_dots_and_names_twice_keep_the_graph_whole() {
    let mut world = World::demo();
    let document = &mut world.document;
    // Kubernetes allows dots in names of Secrets and releases, and equal names in other namespaces and kinds.
    let secret = |component: &str| ProductSecret {
        component: component.into(),
        name: "orders.database".into(),
        from_site: [].into(),
        from_services: [].into(),
        generated: vec!["password".into()],
    };
    document.secrets.extend([secret("orders"), secret("local-volumes")]);
    let orders = document.components.iter_mut().find(|component| component.name == "orders").unwrap();
    orders.gates.push(Workload { kind: "StatefulSet".into(), name: "orders-web".into() });
    orders.gates.push(Workload { kind: "StatefulSet".into(), name: "orders.web".into() });
    orders.name = "orders.v4".into();
    for secret in &mut document.secrets {
        if secret.component == "orders" {
            secret.component = "orders.v4".into();
        }
    }
    assert_valid(&world.plan().unwrap());
}
