//! Each operation in the terms of the change list.

use std::collections::BTreeMap;

use sealift_profile::site::Cluster;
use sealift_render::{SITE_CA, api, events, load_balancer};

use super::{
    CommandChange, Content, FileChange, FolderChange, HostChanges, LinesChange, ModuleChange, NetworkChange,
    PortChange, SwapChange, SysctlChange, UnitChange, kubeadm, octal,
};
use crate::flows::{self, Part, Peer};
use crate::operation::{
    ApiServerSpec, DirectorySpec, EventsMemberSpec, FileSpec, GroupRole, InitPhase, JoinPhase, JoinSpec,
    Operation, Ready, ServiceSpec,
};
use crate::{Plan, Step};

/// Our own folder on hosts.
const STATE: &str = "/var/lib/sealift";
/// Length of a secret that is made in the cluster, bytes.
const GENERATED: u64 = 32;

/// What makes a node a master.
const MARK: &str = "label of this node as a master; its taint, where the site has workers";

/// The list while it grows.
pub(super) struct Describing<'a> {
    plan: &'a Plan,
    cluster: Cluster,
    hosts: BTreeMap<&'a str, HostChanges>,
    /// Ports that open on every node, whichever host made the release.
    everywhere: Vec<PortChange>,
}

impl<'a> Describing<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        let cluster = plan.inputs.profile.get("cluster").cloned().unwrap_or_default();
        let named =
            |host: &'a String| (host.as_str(), HostChanges { host: host.clone(), ..HostChanges::default() });
        Self {
            plan,
            cluster: serde_json::from_value(cluster).unwrap_or_default(),
            hosts: plan.hosts.iter().map(named).collect(),
            everywhere: Vec::new(),
        }
    }

    pub(super) fn finish(mut self) -> Vec<HostChanges> {
        let mut all: Vec<HostChanges> =
            self.plan.hosts.iter().filter_map(|host| self.hosts.remove(host.as_str())).collect();
        for host in &mut all {
            host.ports.extend(self.everywhere.iter().cloned());
            host.tidy();
        }
        all
    }

    pub(super) fn step(&mut self, step: &'a Step) {
        let (plan, cluster) = (self.plan, &self.cluster);
        let host = self
            .hosts
            .entry(step.host.as_str())
            .or_insert_with(|| HostChanges { host: step.host.clone(), ..HostChanges::default() });
        match &step.operation {
            Operation::ClaimHost { site: _, host: _ } => {
                let by = Content::Made { by: "the installer: names of site and host".to_owned() };
                host.file(&format!("{STATE}/host.json"), 0o644, by);
                host.folder(STATE, 0o755);
            }
            Operation::InstallAgent { digest } => {
                let program = Content::Binary { digest: digest.clone(), size: None };
                host.file(&format!("{STATE}/bin/installer"), 0o755, program);
            }
            Operation::WriteFiles { files, load_modules, apply_sysctls } => {
                let before = plan.inputs.hosts.get(&step.host).map(|facts| &facts.sysctls);
                host.written(files, load_modules, *apply_sysctls, before);
                if files.iter().any(|file| file.path == load_balancer::MANIFEST_PATH) {
                    host.listens(Part::Balancer, cluster);
                }
            }
            Operation::ManagedBlock { path, lines } => {
                host.lines.push(LinesChange { path: path.clone(), lines: lines.clone(), now: None });
            }
            Operation::Directories { directories } => host.folders(directories),
            Operation::SwapOff => host.swap = Some(swap(plan, &step.host)),
            Operation::StoreIndex { index, signature, public_key: _ } => {
                host.text(&format!("{STATE}/store/index.json"), 0o644, index);
                host.text(&format!("{STATE}/store/index.json.minisig"), 0o644, signature);
            }
            Operation::ReceiveBlobs { blobs } | Operation::FetchBlobs { blobs, sources: _ } => {
                host.blobs.extend(blobs.iter().cloned());
            }
            Operation::InstallBinaries { binaries } => {
                for one in binaries {
                    let (digest, size) = (one.plain_digest.clone(), Some(one.plain_size));
                    host.file(&one.path, one.mode, Content::Binary { digest, size });
                }
            }
            Operation::EnsureSiteCa { site: _ } => host.site_ca(true),
            Operation::InstallSiteCa { from: _, with_key, certificate_names } => {
                host.site_ca(*with_key);
                if !certificate_names.is_empty() {
                    host.registry_certificate(certificate_names);
                }
            }
            Operation::TrustAuthorities { files, program } => host.trust(files, program, &step.title),
            Operation::PrepareDatabase { pod: _, directory } => host.folders(std::slice::from_ref(directory)),
            Operation::EnsureEventsPki { names } | Operation::InstallEventsPki { from: _, names } => {
                host.events_pki(names);
            }
            Operation::JoinEvents { member } => host.events(member, cluster, &step.title),
            Operation::PrepareApiServer { api_server } => host.api_server(api_server),
            Operation::EnsureEncryptionKey { resources: _ } | Operation::InstallEncryptionKey { from: _ } => {
                host.file(api::ENCRYPTION, 0o600, Content::Secret { size: None });
            }
            Operation::GroupRoles { roles } => host.group_roles(roles),
            Operation::EnsureConfigMap { namespace, name, data } => host.config_map(namespace, name, data),
            Operation::Service { service } => host.service(service, cluster),
            Operation::PullImages { images } => {
                for image in images {
                    host.command(&format!("pull {}", image.name), &step.title);
                }
                host.images.extend(images.iter().cloned());
            }
            Operation::KubeadmInit { phase, node: _, config } => {
                host.written(std::slice::from_ref(config), &[], false, None);
                host.init(*phase, cluster, &step.title);
            }
            Operation::InstallKubernetesPki { from: _ } => host.files.extend(kubeadm::shared_pairs()),
            Operation::KubeadmJoin { from: _, join } => host.join(join, cluster, &step.title),
            // Only asks.
            Operation::WaitFor { gate: _, timeout_seconds: _ } => {}
            Operation::NodeLabels { node, labels } => host.labels(node, labels),
            Operation::EnsureSecret { namespace, name, keys, generated } => {
                let given = keys.keys().map(|key| format!("{key}: from the profile, not shown"));
                let made = generated.iter().map(|key| format!("{key}: random, {GENERATED} bytes, not shown"));
                let keys: Vec<String> = given.chain(made).collect();
                host.cluster.push(format!("secret {namespace}/{name} ({})", keys.join("; ")));
            }
            Operation::HelmRelease { release } => {
                host.command(&format!("helm upgrade --install {}", release.name), &step.title);
                host.cluster.push(format!(
                    "release {} in namespace {}: chart {} {}, {}",
                    release.name, release.namespace, release.chart, release.version, release.blob.digest
                ));
                for port in flows::node_ports(&release.values) {
                    self.everywhere.push(PortChange {
                        port: port.to_string(),
                        protocol: "tcp".to_owned(),
                        listener: format!("the product ({})", release.name),
                        from: Peer::Users.words().to_owned(),
                    });
                }
            }
            Operation::Acceptance { release, namespace, timeout_seconds: _ } => {
                host.cluster
                    .push(format!("acceptance tests of {release} in namespace {namespace}, pods that end"));
            }
        }
    }
}

fn swap(plan: &Plan, host: &str) -> SwapChange {
    let facts = plan.inputs.hosts.get(host);
    SwapChange {
        areas: facts.map(|facts| facts.swap.iter().cloned().collect()).unwrap_or_default(),
        lasting: "swap lines of /etc/fstab commented out, swap units of systemd and services that make swap (zram) masked".to_owned(),
    }
}

impl HostChanges {
    fn file(&mut self, path: &str, mode: u32, content: Content) {
        let (path, owner) = (path.to_owned(), "root:root".to_owned());
        let file =
            FileChange { path, mode: octal(mode), owner, content, removed_afterwards: false, now: None };
        self.files.push(file);
    }

    fn text(&mut self, path: &str, mode: u32, text: &str) {
        self.file(path, mode, Content::Text { text: text.to_owned() });
    }

    fn folder(&mut self, path: &str, mode: u32) {
        let (path, owner) = (path.to_owned(), "0:0".to_owned());
        self.folders.push(FolderChange { path, mode: octal(mode), owner });
    }

    fn folders(&mut self, directories: &[DirectorySpec]) {
        for DirectorySpec { path, mode, uid, gid } in directories {
            let owner = format!("{uid}:{gid}");
            self.folders.push(FolderChange { path: path.clone(), mode: octal(*mode), owner });
        }
    }

    fn command(&mut self, command: &str, purpose: &str) {
        self.commands.push(CommandChange { command: command.to_owned(), purpose: purpose.to_owned() });
    }

    fn listens(&mut self, part: Part, cluster: &Cluster) {
        self.ports.extend(flows::listening(part, cluster).into_iter().map(|one| PortChange {
            port: one.port.to_string(),
            protocol: one.protocol.name().to_owned(),
            listener: one.listener.to_owned(),
            from: one.from.words().to_owned(),
        }));
    }

    fn written(
        &mut self,
        files: &[FileSpec],
        load: &[String],
        apply_sysctls: bool,
        before: Option<&BTreeMap<String, String>>,
    ) {
        let mut at_boot: Vec<&str> = Vec::new();
        for FileSpec { path, mode, content } in files {
            self.text(path, *mode, content);
            if path.starts_with("/etc/modules-load.d/") {
                at_boot.extend(settings(content));
            }
            if apply_sysctls && path.starts_with("/etc/sysctl.d/") {
                for (name, value) in settings(content).filter_map(|line| line.split_once('=')) {
                    let name = name.trim().trim_start_matches('-');
                    self.sysctls.push(SysctlChange {
                        name: name.to_owned(),
                        value: value.trim().to_owned(),
                        before: before.and_then(|before| before.get(name)).cloned(),
                    });
                }
            }
        }
        let mut names: Vec<&str> = load.iter().map(String::as_str).chain(at_boot.iter().copied()).collect();
        names.sort_unstable();
        names.dedup();
        self.modules.extend(names.into_iter().map(|name| ModuleChange {
            name: name.to_owned(),
            now: load.iter().any(|one| one == name),
            at_boot: at_boot.contains(&name),
        }));
    }

    /// The CA's certificate is made on the first master and copied to all others.
    fn site_ca(&mut self, with_key: bool) {
        self.file(SITE_CA, 0o644, Content::Made { by: "the installer on the first master".to_owned() });
        if with_key {
            self.file(&SITE_CA.replace(".crt", ".key"), 0o600, Content::Secret { size: None });
        }
    }

    fn registry_certificate(&mut self, names: &[String]) {
        let by = format!("the installer, for {}", names.join(", "));
        self.file(&format!("{STATE}/pki/registry.crt"), 0o644, Content::Made { by });
        self.file(&format!("{STATE}/pki/registry.key"), 0o600, Content::Secret { size: None });
    }

    fn trust(&mut self, files: &[FileSpec], program: &str, purpose: &str) {
        self.written(files, &[], false, None);
        self.command(program, purpose);
    }

    fn group_roles(&mut self, roles: &[GroupRole]) {
        for GroupRole { name, group, role } in roles {
            self.cluster.push(format!("role {role} in the whole cluster for group {group} ({name})"));
        }
    }

    fn config_map(&mut self, namespace: &str, name: &str, data: &BTreeMap<String, String>) {
        let keys: Vec<&str> = data.keys().map(String::as_str).collect();
        self.cluster.push(format!("config map {namespace}/{name} ({})", keys.join(", ")));
    }

    fn labels(&mut self, node: &str, labels: &BTreeMap<String, String>) {
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        self.cluster.push(format!("labels of node {node}: {}", labels.join(", ")));
    }

    /// Arguments stand in kubeadm's documents, too, which are listed whole.
    fn api_server(&mut self, api_server: &ApiServerSpec) {
        let ApiServerSpec { directories, files, reloaded_files, arguments: _ } = api_server;
        self.folders(directories);
        self.written(files, &[], false, None);
        self.written(reloaded_files, &[], false, None);
    }

    fn service(&mut self, service: &ServiceSpec, cluster: &Cluster) {
        let ServiceSpec { unit, files, directories, enabled, running, ready } = service;
        self.written(files, &[], false, None);
        self.folders(directories);
        self.units.push(UnitChange { unit: unit.clone(), enabled: *enabled, started: *running });
        match ready {
            Ready::Active | Ready::Socket { path: _ } => {}
            Ready::Port { address: _, port } if *port == cluster.registry_port => {
                self.listens(Part::Registry, cluster);
            }
            Ready::Port { address, port } => self.ports.push(PortChange {
                port: port.to_string(),
                protocol: "tcp".to_owned(),
                listener: unit.clone(),
                from: format!("whoever reaches {address}"),
            }),
        }
    }

    fn init(&mut self, phase: InitPhase, cluster: &Cluster, purpose: &str) {
        let command = match phase {
            InitPhase::Certs => {
                self.files.extend(kubeadm::certificates());
                "certs all"
            }
            InitPhase::Kubeconfig => {
                let names = ["admin", "super-admin", "controller-manager", "scheduler", "kubelet"];
                self.files.extend(kubeadm::kubeconfigs(&names));
                "kubeconfig all"
            }
            InitPhase::Etcd => {
                self.etcd(cluster);
                "etcd local"
            }
            InitPhase::ControlPlane => {
                self.files.extend(kubeadm::control_plane());
                self.listens(Part::ControlPlane, cluster);
                "control-plane all"
            }
            InitPhase::KubeletStart => {
                self.files.extend(kubeadm::kubelet());
                self.node(cluster);
                "kubelet-start"
            }
            InitPhase::UploadConfig => {
                self.cluster.push("configuration of kubeadm and kubelet, kept in kube-system".to_owned());
                "upload-config all"
            }
            InitPhase::MarkControlPlane => {
                self.cluster.push(MARK.to_owned());
                "mark-control-plane"
            }
            InitPhase::BootstrapToken => {
                self.cluster.push("rules for joining nodes".to_owned());
                "bootstrap-token"
            }
            InitPhase::KubeletFinalize => "kubelet-finalize all",
            InitPhase::KubeProxy => {
                self.cluster.push("kube-proxy in kube-system, on every node".to_owned());
                "addon kube-proxy"
            }
        };
        self.command(&format!("kubeadm init phase {command}"), purpose);
    }

    fn join(&mut self, join: &JoinSpec, cluster: &Cluster, purpose: &str) {
        let JoinSpec { node: _, via: _, endpoint: _, phase, config, ignore_preflight: _ } = join;
        let volatile = |path: &str, mode: u32, content: Content| FileChange {
            path: path.to_owned(),
            mode: octal(mode),
            owner: "root:root".to_owned(),
            content,
            removed_afterwards: true,
            now: None,
        };
        let text = Content::Text { text: config.content.clone() };
        self.files.push(volatile(&config.path, config.mode, text));
        self.files.push(volatile("/run/sealift/discovery.conf", 0o600, Content::Secret { size: None }));
        match phase {
            JoinPhase::Worker => {
                self.files.push(kubeadm::authority());
                self.files.extend(kubeadm::kubeconfigs(&["kubelet"]));
                self.files.extend(kubeadm::kubelet());
                self.node(cluster);
            }
            JoinPhase::Prepare => {
                self.files.extend(kubeadm::own_certificates());
                let names = ["admin", "controller-manager", "scheduler", "kubelet"];
                self.files.extend(kubeadm::kubeconfigs(&names));
                self.files.extend(kubeadm::kubelet());
                self.node(cluster);
            }
            JoinPhase::Etcd => {
                self.etcd(cluster);
                self.files.extend(kubeadm::control_plane());
                self.listens(Part::ControlPlane, cluster);
            }
            JoinPhase::ControlPlane => self.cluster.push(MARK.to_owned()),
        }
        self.command("kubeadm join", purpose);
    }

    fn events_pki(&mut self, names: &[String]) {
        let authority = "the installer on the first master".to_owned();
        self.file(&format!("{}/ca.crt", events::PKI), 0o644, Content::Made { by: authority });
        for name in ["server", "peer"] {
            let by = format!("the installer, for {}", names.join(", "));
            self.file(&format!("{}/{name}.crt", events::PKI), 0o644, Content::Made { by });
        }
        for name in ["ca", "server", "peer"] {
            self.file(&format!("{}/{name}.key", events::PKI), 0o600, Content::Secret { size: None });
        }
        let copies = format!("{}/clients-ca.crt", events::PKI);
        for path in [copies.as_str(), events::SERVERS_CA] {
            let by = "the installer: copies of the databases' authorities".to_owned();
            self.file(path, 0o644, Content::Made { by });
        }
    }

    fn events(&mut self, member: &EventsMemberSpec, cluster: &Cluster, purpose: &str) {
        let EventsMemberSpec { name: _, peer_url: _, ask, manifest } = member;
        self.written(std::slice::from_ref(manifest), &[], false, None);
        if !ask.is_empty() {
            self.command("etcdctl member add", purpose);
            self.command("etcdctl member promote", purpose);
        }
        self.listens(Part::Events, cluster);
    }

    fn etcd(&mut self, cluster: &Cluster) {
        self.files.extend(kubeadm::etcd());
        self.listens(Part::Etcd, cluster);
    }

    /// The host becomes a node: kubelet runs, pods and services have their networks.
    fn node(&mut self, cluster: &Cluster) {
        let unit = "kubelet.service".to_owned();
        self.units.push(UnitChange { unit, enabled: true, started: true });
        self.listens(Part::Node, cluster);
        for (cidr, what) in [
            (cluster.pod_cidr, "pods, between the hosts inside of VXLAN"),
            (cluster.service_cidr, "services, inside of each host"),
        ] {
            self.networks.push(NetworkChange { cidr: cidr.to_string(), what: what.to_owned() });
        }
    }
}

/// Lines that say something.
fn settings(content: &str) -> impl Iterator<Item = &str> {
    content.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
}
