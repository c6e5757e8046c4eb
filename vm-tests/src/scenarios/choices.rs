//! A cluster of a site that has made every choice about its nodes and its API that a profile has: what the others of
//! these tests look at. The choice of services has a cluster of its own: [`services`](super::services).

use anyhow::Result;

use super::kills::further_run_changes_nothing;
use super::{Test, api, etcd};
use crate::demo::Proof;
use crate::test::Context;

/// Comes first.
pub const TESTS: &[Test] = &[
    Test::cluster("choices::cluster_and_product_stand", cluster_and_product_stand),
    Test::cluster("choices::a_further_run_changes_nothing", further_run_changes_nothing),
];

/// What a site of this kind says of its nodes.
const NODES: &str = "nodes:
  podPidsLimit: 512
  failure: tolerant
  evictionBrake: {unhealthyZoneThreshold: 0.75}
replicas: {services: 3}
hosts:
  - {name: m1, placement: {region: north, zone: a, unit: rack-1}}
  - {name: m2, placement: {region: north, zone: b, unit: rack-2}}
  - {name: m3, placement: {region: north, zone: c, unit: rack-3}}
  - {name: w1, placement: {region: north, zone: a, unit: rack-1}}
  - {name: w2, placement: {region: north, zone: b, unit: rack-2}}
";

/// The shipped profile with most choices, and those that it leaves open.
pub fn profiles(context: &Context<'_>) -> Result<Vec<String>> {
    Ok(vec![
        "profiles/hardened.yaml".to_owned(),
        context.overlay("nodes", NODES)?,
        context.overlay("api", api::PROFILE)?,
        context.overlay("etcd", etcd::PROFILE)?,
    ])
}

/// Five nodes, three voters, every pod, the product's page and its acceptance tests.
pub fn cluster_and_product_stand(context: &Context<'_>) -> Result<()> {
    let installed = context.installed()?;
    installed.ended.expect_text(&["5 nodes Ready, 3 voters"])?;
    context.note(format!("installed in {:.0} s", installed.ended.seconds));
    let proof = Proof::collect(context.lab)?;
    anyhow::ensure!(proof.holds(), "{}", proof.json(&[]));
    Ok(())
}
