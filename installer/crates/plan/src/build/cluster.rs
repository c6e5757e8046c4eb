//! From prepared hosts to a cluster: the first master by phases, the other masters' etcd one at a time, workers in parallel.

use super::hosts::private_file;
use super::{
    BTreeMap, FileSpec, Gate, Graph, Host, HostRole, InitPhase, JoinPhase, JoinSpec, Operation, PlanError,
    Stage, kubeadm,
};

/// kubeadm's documents on a host.
const INIT_CONFIG: &str = "/etc/sealift/kubeadm-init.yaml";
const JOIN_CONFIG: &str = "/run/sealift/kubeadm-join.yaml";
/// Longest wait for an API server or an etcd member, seconds: twice kubeadm's own default of four minutes.
pub(super) const CONTROL_PLANE_SECONDS: u32 = 480;
/// Longest wait for nodes and platform workloads, seconds.
const NODES_SECONDS: u32 = 600;

/// What needs kubeadm alone: done while images still come.
const FILES: [Phase; 4] = [
    (InitPhase::Certs, "init-certs", "certificates"),
    (InitPhase::Kubeconfig, "init-kubeconfig", "kubeconfig files"),
    (InitPhase::Etcd, "init-etcd", "etcd's manifest"),
    (InitPhase::ControlPlane, "init-control-plane", "control-plane manifests"),
];
/// What makes the API server open to joining hosts.
const OPENING: [Phase; 2] = [
    (InitPhase::UploadConfig, "init-upload-config", "keep the configuration in the cluster"),
    (InitPhase::BootstrapToken, "init-bootstrap", "rules for joining nodes"),
];
/// What nobody waits for but the end.
const REST: [Phase; 3] = [
    (InitPhase::MarkControlPlane, "init-mark", "label and taint the master"),
    (InitPhase::KubeletFinalize, "init-finalize", "kubelet's rotating certificate"),
    (InitPhase::KubeProxy, "init-kube-proxy", "kube-proxy"),
];
/// Phase, name and title of its step.
type Phase = (InitPhase, &'static str, &'static str);

impl Graph<'_> {
    /// `kubeadm init` by phases, then the platform components, which need no second host to be installed.
    pub(super) fn start_first_master(&mut self) -> Result<(), PlanError> {
        let first = self.first;
        let rendered =
            kubeadm::init_config(self.input.site, self.input.document, first, self.small_conntrack());
        let config = private_file(INIT_CONFIG, Self::rendered(first, rendered)?);
        let phases = |graph: &mut Self, phases: &[Phase], needs: &[&str]| {
            let mut needs: Vec<&str> = needs.to_vec();
            for &(phase, name, title) in phases {
                let operation =
                    Operation::KubeadmInit { phase, node: first.name.clone(), config: config.clone() };
                graph.add(first, name, format!("kubeadm init: {title}"), &needs, operation);
                needs = vec![name];
            }
        };
        let before = self.before_static_pods();
        phases(self, &FILES, &[&["kubelet"], &before[..]].concat());
        let start = (InitPhase::KubeletStart, "init-kubelet-start", "start kubelet");
        let events = self.events_member(first, ("init-certs", &["init-control-plane"]))?;
        let needs: Vec<&str> = ["init-control-plane", "images"].into_iter().chain(events).collect();
        phases(self, &[start], &needs);
        if events.is_some() {
            self.events_voters(first, "init-kubelet-start")?;
        }
        // Everything after this speaks to the API server.
        let gate = Gate::ApiReady { address: first.address };
        let title = "API server answers".to_owned();
        self.add(first, "api", title, &["init-kubelet-start"], wait(gate, CONTROL_PLANE_SECONDS));
        let gate = Gate::EtcdVoters { members: vec![first.name.clone()] };
        let title = "etcd member is a healthy voter".to_owned();
        self.add(first, "voter", title, &["api"], wait(gate, CONTROL_PLANE_SECONDS));
        phases(self, &OPENING, &["api"]);
        phases(self, &REST, &["init-bootstrap"]);
        // Charts come with the last group of blobs.
        self.releases(Stage::Platform, &["init-bootstrap", "store-rest"])?;
        Ok(())
    }

    /// One etcd member at a time: the next is added when etcd shows a healthy voter for the last. What comes before and
    /// after that runs on all masters at once.
    pub(super) fn join_masters(&mut self) -> Result<(), PlanError> {
        let first = self.first;
        // From here on the cluster answers who joins.
        let open = format!("{}.init-bootstrap", first.name);
        let mut members = vec![first.name.clone()];
        for host in self.masters().into_iter().skip(1) {
            let certificates = format!("{}.init-certs", first.name);
            let pki = Operation::InstallKubernetesPki { from: first.name.clone() };
            self.add(host, "pki", "copy the cluster's CA pairs".into(), &["claim", &certificates], pki);
            let previous = format!("{}.voter", members[members.len() - 1]);
            let join = self.join(host, JoinPhase::Prepare)?;
            let needs = ["images", "kubelet", "pki", &open];
            self.add(host, "join-prepare", "kubeadm join: certificates, kubelet".into(), &needs, join);
            let events = self.events_member(host, ("pki", &["join-prepare"]))?;
            if let Some(member) = events {
                self.events_voters(host, member)?;
            }
            let join = self.join(host, JoinPhase::Etcd)?;
            let mut needs = [&["join-prepare", previous.as_str()], &self.before_static_pods()[..]].concat();
            needs.extend(events.map(|_| "events-voter"));
            self.add(host, "join-etcd", "kubeadm join: static pods, etcd member".into(), &needs, join);
            members.push(host.name.clone());
            let gate = Gate::EtcdVoters { members: members.clone() };
            let title = format!("{} healthy etcd voters", members.len());
            self.add(host, "voter", title, &["join-etcd"], wait(gate, CONTROL_PLANE_SECONDS));
            let gate = Gate::ApiReady { address: host.address };
            self.add(host, "api", "API server answers".into(), &["voter"], wait(gate, CONTROL_PLANE_SECONDS));
            let join = self.join(host, JoinPhase::ControlPlane)?;
            self.add(host, "join", "kubeadm join: node, label, taint".into(), &["api"], join);
        }
        Ok(())
    }

    /// In parallel, as soon as the first master answers.
    pub(super) fn join_workers(&mut self) -> Result<(), PlanError> {
        let open = format!("{}.init-bootstrap", self.first.name);
        for host in self.workers() {
            let join = self.join(host, JoinPhase::Worker)?;
            let needs = ["images", "kubelet", "balancer", &open];
            self.add(host, "join", "kubeadm join as worker".into(), &needs, join);
        }
        Ok(())
    }

    /// All nodes Ready, platform workloads up, labels set.
    pub(super) fn gather(&mut self) {
        let first = self.first;
        let mut needs: Vec<String> = Vec::new();
        for host in &self.input.site.hosts {
            let mut last =
                if host.name == first.name { vec!["voter", "init-kube-proxy"] } else { vec!["join"] };
            if host.role == HostRole::ControlPlane && self.input.site.etcd.events.is_some() {
                last.push("events-voter");
            }
            needs.extend(last.iter().map(|last| format!("{}.{last}", host.name)));
        }
        let platform = self.components(Stage::Platform);
        needs.extend(platform.iter().map(|component| format!("{}.release-{}", first.name, component.name)));
        let nodes = self.input.site.hosts.iter().map(|host| host.name.clone()).collect();
        let gate = Gate::NodesReady { nodes };
        self.add(first, "nodes", "all nodes Ready".into(), &strs(&needs), wait(gate, NODES_SECONDS));
        for host in &self.input.site.hosts {
            let mut labels: BTreeMap<String, String> = host.node_labels();
            if host.role == HostRole::Worker {
                labels.insert("node-role.kubernetes.io/worker".into(), String::new());
            }
            if labels.is_empty() {
                continue;
            }
            let name = format!("labels-{}", host.name);
            let operation = Operation::NodeLabels { node: host.name.clone(), labels };
            self.add(first, &name, format!("labels of {}", host.name), &["nodes"], operation);
        }
        for component in platform {
            for workload in &component.gates {
                self.gate_workload(component, workload, &["nodes"]);
            }
        }
    }

    fn join(&self, host: &Host, phase: JoinPhase) -> Result<Operation, PlanError> {
        let content = Self::rendered(host, kubeadm::join_config(self.input.site, host))?;
        let config = FileSpec { path: JOIN_CONFIG.into(), mode: 0o600, content };
        let cluster = &self.input.site.cluster;
        let join = JoinSpec {
            node: host.name.clone(),
            via: self.first.address,
            endpoint: format!("{}:{}", cluster.endpoint, cluster.endpoint_port),
            phase,
            config,
            ignore_preflight: kubeadm::ignored_preflight(self.input.site, host, self.settings(host)?),
        };
        Ok(Operation::KubeadmJoin { from: self.first.name.clone(), join })
    }
}

pub(super) fn wait(gate: Gate, timeout_seconds: u32) -> Operation {
    Operation::WaitFor { gate, timeout_seconds }
}

pub(super) fn strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}
