//! Every profile that is shipped gives a plan.
#![allow(clippy::unwrap_used)] // a test may fall over, and so may what tests share

mod world;

use std::path::Path;

use sealift_bundle::services::{Replaced, ServiceKind};
use sealift_bundle::testing::sample_document;
use serde_json::json;
use world::{World, assert_valid};

#[test]
fn every_shipped_profile_is_planned_for_all_its_hosts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../profiles");
    for (name, masters, workers) in [
        ("demo", 3, 2),
        ("small", 1, 2),
        ("standard", 3, 3),
        ("large", 5, 12),
        ("pre-release", 3, 2),
        ("hardened", 3, 2),
        ("test", 1, 1),
        ("external-services", 3, 2),
    ] {
        let mut site = sealift_profile::load(&[folder.join(format!("{name}.yaml"))]).unwrap();
        assert_eq!((site.masters().count(), site.workers().count()), (masters, workers), "{name}");
        // What the sample bundle asks for; the answers of the profiles are for the product Orders.
        site.product.settings = [("domain".to_owned(), json!("orders.internal"))].into();
        let mut document = sample_document();
        document.services = [(ServiceKind::Database, Replaced::default())].into();
        let world = World::of(site, document);
        let plan = world.plan().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_valid(&plan);
        let planned = |host: &str| plan.steps.iter().any(|step| step.host == host);
        assert!(world.site.hosts.iter().all(|host| planned(&host.name)), "{name}: a host has nothing to do");
        assert_eq!(plan.to_json(), world.plan().unwrap().to_json(), "{name}");
    }
}
