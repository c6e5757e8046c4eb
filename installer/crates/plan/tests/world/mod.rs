//! Sites of every shape, hosts as a probe would describe them, and questions to a plan's graph.

#![allow(dead_code)] // each test file uses a part of it

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sealift_bundle::document::BundleDocument;
use sealift_bundle::testing::sample_document;
use sealift_checks::facts::Facts;
use sealift_plan::{Plan, PlanError, PlanInput, Step, plan};
use sealift_profile::Site;
use serde_json::{Value, json};

#[derive(Clone)]
pub struct World {
    pub site: Site,
    pub document: BundleDocument,
    pub facts: BTreeMap<String, Facts>,
}

impl World {
    /// The demo's profile with answers to what the sample bundle asks.
    pub fn demo() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../profiles/demo.yaml");
        let mut site = sealift_profile::load(&[path]).unwrap();
        site.product.settings = [("domain".to_owned(), json!("orders.demo.internal"))].into();
        Self::of(site, sample_document())
    }

    /// Hosts m1, m2, … and w1, w2, … in this order.
    pub fn sized(masters: usize, workers: usize, document: &BundleDocument) -> Self {
        let host = |name: String, address: String, role: &str| json!({"name": name, "address": address, "role": role});
        let masters =
            (1..=masters).map(|n| host(format!("m{n}"), format!("10.77.0.{}", 10 + n), "control-plane"));
        let workers = (1..=workers).map(|n| host(format!("w{n}"), format!("10.77.0.{}", 20 + n), "worker"));
        Self::of(site(&masters.chain(workers).collect::<Vec<_>>()), document.clone())
    }

    /// Hosts as in the lab: containers under the legacy hierarchy; the last one is a virtual machine.
    pub fn of(site: Site, document: BundleDocument) -> Self {
        let last = site.hosts.len() - 1;
        let facts = site.hosts.iter().enumerate();
        let facts = facts.map(|(i, host)| (host.name.clone(), facts_of(i, &host.name, i == last))).collect();
        Self { site, document, facts }
    }

    pub fn plan(&self) -> Result<Plan, PlanError> {
        plan(&PlanInput {
            site: &self.site,
            document: &self.document,
            index: r#"{"schemaVersion":2}"#,
            signature: "untrusted comment: signature",
            public_key: "RWQ",
            agent_digest: "sha256:a9e7",
            facts: &self.facts,
        })
    }
}

fn site(hosts: &[Value]) -> Site {
    serde_json::from_value(json!({
        "apiVersion": "sealift/v1",
        "kind": "Site",
        "metadata": {"name": "plant"},
        "access": {"user": "ops", "password": {"env": "OPS_PASSWORD"}},
        "hosts": hosts,
        "product": {"settings": {"domain": "orders.plant"}, "secrets": {"adminPassword": {"env": "ADMIN"}}},
    }))
    .unwrap()
}

fn facts_of(i: usize, name: &str, virtual_machine: bool) -> Facts {
    serde_json::from_value(json!({
        "hostname": name,
        "machineId": format!("{i:032x}"),
        "productUuid": if virtual_machine { format!("4c4c4544-0000-0000-0000-{i:012x}") } else { String::new() },
        "bootId": format!("b{i}"),
        "os": {"id": "debian", "version": "12", "name": "Debian GNU/Linux 12 (bookworm)"},
        "kernel": "6.1.0-28-amd64",
        "architecture": "x86_64",
        "cpus": 4,
        "memoryBytes": 8_000_000_000_u64,
        "swap": [],
        "cgroup": if virtual_machine { "v2" } else { "v1" },
        "capSysResource": virtual_machine,
        "conntrackWritable": virtual_machine,
        "disks": [],
        "listeners": [],
        "clock": {"skewMillis": 0, "unixMillis": 1_750_000_000_000_i64, "synchronised": true},
        "interfaces": [],
        "routes": [],
        "nameservers": [],
        "modules": [],
        "leftovers": [],
        "claim": null,
        "systemd": 252,
        "unreadable": [],
    }))
    .unwrap()
}

/// The step of this identifier.
pub fn step<'a>(plan: &'a Plan, id: &str) -> &'a Step {
    plan.steps.iter().find(|step| step.id == id).unwrap_or_else(|| panic!("no step {id}"))
}

/// Every step that must have ended before this one may start.
pub fn ancestors<'a>(plan: &'a Plan, id: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = step(plan, id).needs.iter().map(String::as_str).collect();
    while let Some(next) = open.pop() {
        let next = step(plan, next);
        if found.insert(next.id.as_str()) {
            open.extend(next.needs.iter().map(String::as_str));
        }
    }
    found
}

/// What a plan of any size must fulfil; panics with the step that does not.
pub fn assert_valid(plan: &Plan) {
    let mut earlier = BTreeSet::new();
    for step in &plan.steps {
        for need in &step.needs {
            assert!(
                earlier.contains(need.as_str()),
                "{} needs {need}, which does not stand before it",
                step.id
            );
        }
        assert!(
            step.id.starts_with(&format!("{}.", step.host)),
            "{} is not named after {}",
            step.id,
            step.host
        );
        assert!(plan.hosts.contains(&step.host), "{} is on a host outside of the plan", step.id);
        assert!(!step.title.is_empty(), "{} has no title", step.id);
        assert!(earlier.insert(step.id.as_str()), "{} stands there twice", step.id);
    }
}
