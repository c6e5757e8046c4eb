//! The demo site, and a site of twelve hosts of which three checks fail, with everything that a report is made from.

#![allow(dead_code)] // each test uses a part of it

use std::collections::BTreeMap;
use std::path::Path;

use jiff::civil::{DateTime, date};
use sealift_bundle::document::BundleDocument;
use sealift_bundle::testing::sample_document;
use sealift_checks::facts::Facts;
use sealift_checks::{CheckInput, Finding};
use sealift_events::{FailureReport, Record, RunResult, StepEvent};
use sealift_plan::{Plan, PlanInput, plan};
use sealift_profile::Site;
use sealift_report::{BundleFacts, Input, Made, Report, report};
use sealift_sizing::{GivenHost, Shape, Sizing, SizingError, Verdict, judge, sizing};
use serde_json::json;

/// Hosts as a probe would describe them, healthy in the eyes of every check.
#[path = "../../../checks/tests/world/mod.rs"]
mod healthy;

pub struct World {
    pub site: Site,
    pub document: BundleDocument,
    pub facts: BTreeMap<String, Facts>,
    /// Whether the hosts were looked at.
    pub looked: bool,
    pub run: Option<Vec<Record>>,
    pub earlier: Vec<Vec<Record>>,
}

impl World {
    /// The demo's profile, on healthy hosts.
    pub fn demo() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../profiles/demo.yaml");
        let mut site = sealift_profile::load(&[path]).unwrap();
        site.product.settings = [("domain".to_owned(), json!("orders.demo.internal"))].into();
        Self::of(site)
    }

    /// Twelve hosts for 2,000 people: a slow disk on m1, a clock that is wrong on w5, twins w2 and w3, swap on w4.
    pub fn twelve() -> Self {
        let host = |name: String, n: usize, role: &str| {
            json!({"name": name, "address": format!("10.20.0.{n}"), "role": role,
                "labels": {"topology.kubernetes.io/zone": format!("rack-{}", n % 3)}})
        };
        let masters = (1..=3).map(|n| host(format!("m{n}"), 10 + n, "control-plane"));
        let workers = (1..=9).map(|n| host(format!("w{n}"), 20 + n, "worker"));
        let site = serde_json::from_value(json!({
            "apiVersion": "sealift/v1", "kind": "Site", "metadata": {"name": "harbin-plant"},
            "access": {"user": "ops", "password": {"prompt": "password of ops"}, "knownHosts": "~/.ssh/known_hosts"},
            "hosts": masters.chain(workers).collect::<Vec<_>>(),
            "needs": {"users": 2000, "dataGigabytesPerDay": 5.0},
            "product": {"settings": {"domain": "orders.harbin"}, "secrets": {"adminPassword": {"env": "ADMIN"}}},
        }))
        .unwrap();
        let mut world = Self::of(site);
        // What a year of its data takes.
        for n in 1..=9 {
            for disk in &mut world.host(&format!("w{n}")).disks {
                disk.total_bytes = 4_000_000_000_000;
                disk.available_bytes = 3_800_000_000_000;
            }
        }
        let writes = world.host("m1").etcd_writes.as_mut().unwrap();
        (writes.p99_micros, writes.runs) = (68_000, vec![66_000, 68_000, 69_000]);
        world.host("w5").clock.skew_millis = 8000;
        let twin = world.host("w2").machine_id.clone();
        world.host("w3").machine_id = twin;
        world
    }

    pub fn of(site: Site) -> Self {
        let like = healthy::World::healthy().facts["w1"].clone();
        let facts = site.hosts.iter().enumerate().map(|(index, host)| {
            let mut facts = Facts {
                hostname: host.name.clone(),
                machine_id: format!("{index:032x}"),
                boot_id: format!("b{index}"),
                product_uuid: format!("4c4c4544-0000-0000-0000-{index:012x}"),
                attempts: None,
                ..like.clone()
            };
            let address = host.address.to_string();
            let net = address.rsplit_once('.').unwrap().0;
            let link = facts.interfaces.iter_mut().find(|one| one.name == "eth0").unwrap();
            link.mac = format!("52:54:00:00:01:{index:02x}");
            link.addresses = vec![format!("{address}/24").parse().unwrap()];
            facts.routes =
                vec![healthy::route("0.0.0.0/0", "eth0"), healthy::route(&format!("{net}.0/24"), "eth0")];
            (host.name.clone(), facts)
        });
        let mut document = sample_document();
        // A real bundle's bytes.
        for blob in &mut document.blobs {
            blob.size *= 40_000;
        }
        Self { facts: facts.collect(), site, document, looked: true, run: None, earlier: Vec::new() }
    }

    pub fn host(&mut self, name: &str) -> &mut Facts {
        self.facts.get_mut(name).unwrap()
    }

    pub fn findings(&self) -> Vec<Finding> {
        sealift_checks::run(&CheckInput::new(&self.site, &self.document, &self.facts))
    }

    fn sizing(&self) -> Result<Sizing, SizingError> {
        let needs = self.site.needs.clone().unwrap_or_default();
        let overrides = self.site.sizing.clone().unwrap_or_default();
        sizing(&sealift_sizing::Input::new(&self.document, &needs, overrides, Vec::new())?)
    }

    fn verdict(&self) -> Option<Verdict> {
        let needs = self.site.needs.clone().unwrap_or_default();
        let hosts: Vec<GivenHost> = self
            .site
            .hosts
            .iter()
            .map(|host| GivenHost {
                name: host.name.clone(),
                role: Some(host.role),
                shape: Shape {
                    millicores: u64::from(self.facts[&host.name].cpus) * 1000,
                    memory_bytes: self.facts[&host.name].memory_bytes,
                },
                disk_bytes: None,
            })
            .collect();
        let overrides = self.site.sizing.clone().unwrap_or_default();
        judge(&sealift_sizing::Input::new(&self.document, &needs, overrides, Vec::new()).ok()?, &hosts).ok()
    }

    fn plan(&self) -> Option<Plan> {
        plan(&PlanInput {
            site: &self.site,
            document: &self.document,
            index: r#"{"schemaVersion":2}"#,
            signature: "untrusted comment: signature",
            public_key: "RWQ",
            agent_digest: "sha256:a9e7",
            facts: &self.facts,
        })
        .ok()
    }

    pub fn report(&self) -> Report {
        let (sizing, findings, verdict, plan) = (self.sizing(), self.findings(), self.verdict(), self.plan());
        let nothing = BTreeMap::new();
        report(&Input {
            site: &self.site,
            document: &self.document,
            bundle: BundleFacts {
                bytes: self.document.blobs.iter().map(|blob| blob.size).sum(),
                key: "9F3A77C1".into(),
                index: format!("sha256:{}", "4b".repeat(32)),
            },
            sizing: sizing.as_ref(),
            verdict: verdict.as_ref().filter(|_| self.looked),
            findings: self.looked.then_some(findings.as_slice()),
            facts: if self.looked { &self.facts } else { &nothing },
            plan: plan.as_ref().filter(|_| self.looked),
            run: self.run.as_deref(),
            earlier: &self.earlier,
            made: made(),
        })
    }
}

pub fn made() -> Made {
    Made { at: at(), by: "Li Wei (ops)".into(), tool: "Sealift installer 0.1.0".into() }
}

fn at() -> DateTime {
    date(2026, 11, 23).at(14, 5, 0, 0)
}

/// The records of a run of so many milliseconds on hosts of these names.
pub fn run(hosts: &[&str], millis: u64, end: Option<RunResult>) -> Vec<Record> {
    let steps = ["registry", "images"];
    let mut events = vec![StepEvent::RunStarted {
        run: "2026-11-24-0900".into(),
        verb: "install".into(),
        site: "harbin-plant".into(),
        product: "Orders 4.2.0".into(),
        plan: "sha256:1".into(),
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        steps: 20,
    }];
    for host in hosts {
        for step in steps.iter().filter(|step| **step != "registry" || host.starts_with('m')) {
            events.push(finished(host, step));
        }
    }
    match end {
        Some(RunResult::Failed) => events.push(StepEvent::StepFailed {
            step: "m1.acceptance-orders".into(),
            host: "m1".into(),
            failure: FailureReport { message: "2 of 9 tests failed".into(), ..FailureReport::default() },
        }),
        Some(_) => events.push(finished("m1", "acceptance-orders")),
        None => {}
    }
    events.extend(end.map(|result| StepEvent::RunFinished { result, changed: 20, unchanged: 0, millis }));
    let record = |(index, event)| Record {
        version: sealift_events::VERSION,
        sequence: index as u64 + 1,
        at: "2026-11-24T09:00:00Z".parse().unwrap(),
        elapsed_millis: 0,
        event,
    };
    events.into_iter().enumerate().map(record).collect()
}

fn finished(host: &str, step: &str) -> StepEvent {
    StepEvent::StepFinished {
        step: format!("{host}.{step}"),
        host: host.to_owned(),
        changed: true,
        summary: "9 of 9 passed".into(),
        bytes: 1_000_000,
        millis: 5,
    }
}
