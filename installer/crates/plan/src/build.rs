//! Builds the graph: which operation on which host after which.
//!
//! The shape: each host is prepared on its own; the first master's store is filled over the seat's link in the order
//! in which things are needed (binaries, control-plane images, the rest), and everything else follows as soon as
//! *its* bytes are there. Nobody waits for another host's images.

use std::collections::BTreeMap;

use sealift_bundle::document::{Component, File, Image, Role, Stage};
use sealift_checks::facts::{CgroupVersion, Facts};
use sealift_checks::services_of;
use sealift_profile::site::{Host, HostRole};
use sealift_render::{
    HostSettings, RenderError, api, hosts_of, kubeadm, load_balancer, runtime, system, url_host, values,
};

use crate::inputs::Inputs;
use crate::operation::{
    BinarySpec, Blob, DirectorySpec, FileSpec, Gate, ImageSpec, InitPhase, JoinPhase, JoinSpec, Operation,
    Ready, ReleaseSpec, ServiceSpec,
};
use crate::{API_VERSION, Plan, PlanError, PlanInput, Step};

mod api_server;
mod blobs;
mod cluster;
mod etcd;
mod hosts;
mod product;

/// Makes the plan.
pub fn plan(input: &PlanInput<'_>) -> Result<Plan, PlanError> {
    let first = hosts_of(input.site, HostRole::ControlPlane).next().ok_or(PlanError::NoControlPlane)?;
    // What the site runs itself is not installed.
    let document = &input.document.for_services(&services_of(input.site));
    let groups = blobs::Groups::new(document)?;
    let mut graph = Graph { input: PlanInput { document, ..*input }, first, groups, steps: Vec::new() };
    graph.check_answers()?;
    // Masters first, wherever the profile has them: what others take from the first one must stand before.
    let hosts: Vec<&Host> = graph.masters().into_iter().chain(graph.workers()).collect();
    for host in &hosts {
        graph.prepare(host)?;
    }
    for host in hosts {
        graph.fill_store(host);
        graph.start_runtime(host)?;
    }
    graph.start_first_master()?;
    graph.join_masters()?;
    graph.join_workers()?;
    graph.gather();
    graph.give_roles();
    graph.install_product()?;
    Ok(Plan {
        api_version: API_VERSION.to_owned(),
        site: input.site.metadata.name.clone(),
        product: format!("{} {}", input.document.product.title, input.document.product.version),
        kubernetes: input.document.kubernetes.version.clone(),
        inputs: Inputs::of(input),
        hosts: input.site.hosts.iter().map(|host| host.name.clone()).collect(),
        steps: graph.steps,
    })
}

/// The graph while it grows.
struct Graph<'a> {
    input: PlanInput<'a>,
    first: &'a Host,
    groups: blobs::Groups,
    steps: Vec<Step>,
}

impl<'a> Graph<'a> {
    /// Adds a step. Needs are names of earlier steps on the same host, or `HOST.NAME`; those that this plan does not
    /// have (a store on a worker without images, say) must not be named.
    fn add(&mut self, host: &Host, name: &str, title: String, needs: &[&str], operation: Operation) {
        let id = format!("{}.{name}", host.name);
        // A dot alone does not tell another host's step: Kubernetes allows dots in the names of Secrets and releases.
        let needs = needs
            .iter()
            .map(|need| {
                let own = format!("{}.{need}", host.name);
                let elsewhere = need.contains('.') && !self.steps.iter().any(|step| step.id == own);
                if elsewhere { (*need).to_owned() } else { own }
            })
            .collect();
        self.steps.push(Step { id, host: host.name.clone(), title, needs, operation });
    }

    fn masters(&self) -> Vec<&'a Host> {
        hosts_of(self.input.site, HostRole::ControlPlane).collect()
    }

    fn workers(&self) -> Vec<&'a Host> {
        hosts_of(self.input.site, HostRole::Worker).collect()
    }

    fn facts(&self, host: &Host) -> Result<&'a Facts, PlanError> {
        self.input.facts.get(&host.name).ok_or_else(|| PlanError::NoFacts(host.name.clone()))
    }

    /// What the host has to carry: masters of a site without workers run the product, too.
    fn roles_of(&self, host: &Host) -> Vec<Role> {
        match host.role {
            HostRole::Worker => vec![Role::Worker],
            HostRole::ControlPlane if self.workers().is_empty() => vec![Role::ControlPlane, Role::Worker],
            HostRole::ControlPlane => vec![Role::ControlPlane],
        }
    }

    /// What was probed and changes the configuration of this host.
    fn settings(&self, host: &Host) -> Result<HostSettings, PlanError> {
        let facts = self.facts(host)?;
        Ok(HostSettings {
            legacy_cgroup: facts.cgroup == CgroupVersion::V1,
            restricted_oom_score: !facts.cap_sys_resource,
            cpus: facts.cpus,
            memory_bytes: facts.memory_bytes,
        })
    }

    /// Processors of all hosts.
    fn cores(&self) -> Result<u64, PlanError> {
        self.input.site.hosts.iter().map(|host| Ok(u64::from(self.facts(host)?.cpus))).sum()
    }

    /// Whether any host may not write the size of its connection tracking table: kube-proxy's configuration is one
    /// for the whole cluster.
    fn small_conntrack(&self) -> bool {
        self.input.facts.values().any(|facts| !facts.conntrack_writable)
    }

    fn rendered<T>(host: &Host, result: Result<T, RenderError>) -> Result<T, PlanError> {
        result.map_err(|source| PlanError::Render { host: host.name.clone(), source })
    }
}

fn file(path: &str, content: String) -> FileSpec {
    FileSpec { path: path.to_owned(), mode: 0o644, content }
}

fn directory(path: &str, mode: u32) -> DirectorySpec {
    DirectorySpec { path: path.to_owned(), mode, uid: 0, gid: 0 }
}
