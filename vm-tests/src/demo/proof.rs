//! What stands at the end, asked of the cluster itself and of the lab's counters, not of the installer.

use anyhow::{Context, Result};
use serde_json::json;

use crate::cluster::{Cluster, Node};
use crate::lab::{self, Lab, Role, Traffic};
use crate::stage::{Show, StageRecord};

/// Port of the product's page on every node.
pub const PAGE_PORT: u16 = 30080;

/// The closing facts.
pub struct Proof {
    nodes: Vec<Node>,
    expected_nodes: usize,
    etcd_voters: usize,
    expected_voters: usize,
    pods_not_ready: Vec<String>,
    traffic: Traffic,
    page: String,
    passed: usize,
    failed: usize,
}

impl Proof {
    /// Asks for everything.
    pub fn collect(lab: &Lab) -> Result<Self> {
        let cluster = Cluster::through(lab, "m1");
        let (passed, failed) = cluster.acceptance()?;
        Ok(Self {
            nodes: cluster.nodes()?,
            expected_nodes: lab.hosts().count(),
            etcd_voters: cluster.etcd_voters()?,
            expected_voters: lab.masters().count(),
            pods_not_ready: cluster.pods_not_ready()?,
            page: fetch_page(lab)?,
            traffic: lab.traffic()?,
            passed,
            failed,
        })
    }

    /// Whether the main job is done.
    pub fn holds(&self) -> bool {
        self.nodes.len() == self.expected_nodes
            && self.nodes.iter().all(|node| node.ready)
            && self.etcd_voters == self.expected_voters
            && self.pods_not_ready.is_empty()
            && self.traffic.outside == 0
            && self.passed > 0
            && self.failed == 0
    }

    /// Lines for people, or the one object for machines.
    pub fn show(&self, show: Show, stages: &[StageRecord], lab: &Lab) {
        match show {
            Show::Json => println!("{}", self.json(stages)),
            Show::Lines => self.lines(stages, lab),
        }
    }

    /// The one object for machines.
    pub fn json(&self, stages: &[StageRecord]) -> serde_json::Value {
        json!({
            "nodes": self.nodes,
            "etcdVoters": self.etcd_voters,
            "podsNotReady": self.pods_not_ready.len(),
            "packetsOutside": self.traffic.outside,
            "acceptance": {"passed": self.passed, "failed": self.failed},
            "stages": stages,
        })
    }

    fn lines(&self, stages: &[StageRecord], lab: &Lab) {
        println!();
        for node in &self.nodes {
            let ready = if node.ready { "Ready" } else { "NOT READY" };
            println!("node      {:<4} {:<14} {:<9} {ready}", node.name, node.roles.join(","), node.version);
        }
        println!("etcd      {} of {} voters healthy", self.etcd_voters, self.expected_voters);
        match self.pods_not_ready.as_slice() {
            [] => println!("pods      all Ready"),
            unwell => println!("pods      not Ready: {}", unwell.join(", ")),
        }
        println!("page      {}", self.page);
        println!("tests     {} passed, {} failed (acceptance)", self.passed, self.failed);
        println!("packets   {} towards anywhere outside the lab", self.traffic.outside);
        for offender in &self.traffic.offenders {
            println!(
                "          {} {} -> {} {}",
                offender.packets, offender.from, offender.to, offender.protocol
            );
        }
        let seconds: f64 = stages.iter().map(|stage| stage.seconds).sum();
        println!("time      {seconds:.0} s in all");
        let name = lab.name();
        println!("\nThe cluster stays up. Look around, and take it down when you have seen enough:");
        println!(
            "    cargo xtask lab ssh --name {name} m1 kubectl --kubeconfig /etc/kubernetes/admin.conf get pods -A"
        );
        println!("    cargo xtask lab seat --name {name} curl -s http://10.77.0.21:{PAGE_PORT}/");
        println!("    cargo xtask demo --down");
    }
}

/// The product's page, fetched from the seat; gives its title.
pub fn fetch_page(lab: &Lab) -> Result<String> {
    let worker = lab.hosts().find(|host| host.role == Role::Worker);
    let host = worker.or(lab.hosts().next()).context("the lab has no host")?;
    page_of(lab, &host.address.to_string())
}

/// The product's page as one host gives it; gives its title.
pub fn page_of(lab: &Lab, address: &str) -> Result<String> {
    let url = format!("http://{address}:{PAGE_PORT}/");
    let page = lab::run(&mut lab.seat_command(&[
        "curl",
        "--silent",
        "--show-error",
        "--fail",
        "--max-time",
        "15",
        &url,
    ]))
    .with_context(|| format!("the product's page {url}"))?;
    let title = page.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
    let title = title.map(|(title, _)| title.trim().to_owned()).filter(|title| !title.is_empty());
    title.with_context(|| format!("the page {url} has no title"))
}
