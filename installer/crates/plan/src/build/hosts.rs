//! What every host gets before there is a cluster: claim, system settings, store, registry, runtime, images.

use super::{
    BinarySpec, Blob, DirectorySpec, File, FileSpec, Graph, Host, HostRole, Image, ImageSpec, Operation,
    PlanError, Ready, ServiceSpec, api, blobs, directory, file, kubeadm, load_balancer, runtime, system,
};

impl Graph<'_> {
    /// Claim, agent, kernel settings, name resolution, store index.
    pub(super) fn prepare(&mut self, host: &Host) -> Result<(), PlanError> {
        let site = self.input.site;
        let claim = Operation::ClaimHost { site: site.metadata.name.clone(), host: host.name.clone() };
        self.add(host, "claim", "mark the host as part of this site".into(), &[], claim);
        let agent = Operation::InstallAgent { digest: self.input.agent_digest.to_owned() };
        self.add(host, "agent", "put the agent at its lasting place".into(), &["claim"], agent);
        let mut files = vec![
            file("/etc/modules-load.d/sealift.conf", Self::rendered(host, system::modules())?),
            file(
                "/etc/sysctl.d/90-sealift.conf",
                Self::rendered(host, system::sysctls(&self.facts(host)?.settings(&system::SYSCTLS)))?,
            ),
            file(kubeadm::RESOLV_CONF, system::resolv_conf(site)),
            file(
                kubeadm::KUBELET_PATCH,
                Self::rendered(host, kubeadm::kubelet_patch(site, self.settings(host)?))?,
            ),
        ];
        if let Some(settings) = api::kernel_defaults(site) {
            files.push(file(api::KERNEL_DEFAULTS_FILE, settings));
        }
        let kernel = Operation::WriteFiles {
            files,
            load_modules: system::MODULES.map(str::to_owned).to_vec(),
            apply_sysctls: true,
        };
        self.add(host, "kernel", "kernel modules and settings".into(), &["claim"], kernel);
        self.add(host, "swap", "switch swap off for good".into(), &["claim"], Operation::SwapOff);
        let names =
            Operation::ManagedBlock { path: "/etc/hosts".into(), lines: system::hosts_lines(site, host) };
        self.add(host, "names", "names of the hosts and the endpoint".into(), &["claim"], names);
        let index = Operation::StoreIndex {
            index: self.input.index.to_owned(),
            signature: self.input.signature.to_owned(),
            public_key: self.input.public_key.to_owned(),
        };
        self.add(host, "index", "verify and keep the bundle's signed index".into(), &["claim"], index);
        self.certificates(host);
        self.trust(host)?;
        if host.role == HostRole::ControlPlane {
            self.api_server(host)?;
            self.databases(host);
            self.registry(host)?;
        }
        Ok(())
    }

    /// The site's CA is made on the first master; masters get the pair, workers the certificate.
    fn certificates(&mut self, host: &Host) {
        let first = self.first;
        if host.name == first.name {
            let ensure = Operation::EnsureSiteCa { site: self.input.site.metadata.name.clone() };
            self.add(host, "site-ca", "make the site's certificate authority".into(), &["claim"], ensure);
        }
        let master = host.role == HostRole::ControlPlane;
        let certificate_names =
            if master { vec![host.name.clone(), host.address.to_string()] } else { Vec::new() };
        let install =
            Operation::InstallSiteCa { from: first.name.clone(), with_key: master, certificate_names };
        let title =
            if master { "certificate of this master's registry" } else { "the site's CA certificate" };
        let ca = format!("{}.site-ca", first.name);
        self.add(host, "certificate", title.into(), &["claim", &ca], install);
    }

    fn registry(&mut self, host: &Host) -> Result<(), PlanError> {
        let site = self.input.site;
        let unit = file(
            "/etc/systemd/system/sealift-registry.service",
            Self::rendered(host, runtime::registry_unit(site, host))?,
        );
        let service = ServiceSpec {
            unit: "sealift-registry.service".into(),
            files: vec![unit],
            directories: Vec::new(),
            enabled: true,
            running: true,
            ready: Ready::Port { address: host.address, port: site.cluster.registry_port },
        };
        let needs = ["agent", "index", "certificate"];
        self.add(
            host,
            "registry",
            "serve the store as registry".into(),
            &needs,
            Operation::Service { service },
        );
        Ok(())
    }

    /// Blobs: over the seat's link to the first master, from masters to everybody else.
    pub(super) fn fill_store(&mut self, host: &Host) {
        let first = self.first;
        let groups = [
            ("binaries", "cluster binaries", self.groups.binaries.clone()),
            ("control-plane", "control-plane images", self.groups.control_plane.clone()),
            ("rest", "charts and other images", self.groups.rest.clone()),
        ];
        let mut previous = "index".to_owned();
        for (name, what, group) in groups {
            let size = blobs::megabytes(&group);
            let step = format!("store-{name}");
            if host.name == first.name {
                // One after another: together they would share the link and all be late.
                let operation = Operation::ReceiveBlobs { blobs: group };
                self.add(host, &step, format!("receive {what}, {size}"), &[&previous], operation);
                previous = step;
            } else if host.role == HostRole::ControlPlane || name == "binaries" {
                let wanted = self.wanted(host, group);
                let there = format!("{}.{step}", first.name);
                let serving = format!("{}.registry", first.name);
                let sources = self.sources(host);
                let title = format!("fetch {what} from masters, {}", blobs::megabytes(&wanted));
                let operation = Operation::FetchBlobs { blobs: wanted, sources };
                self.add(host, &step, title, &["index", "certificate", &there, &serving], operation);
            }
        }
    }

    /// Workers take only the binaries of their role; masters serve everything.
    fn wanted(&self, host: &Host, group: Vec<Blob>) -> Vec<Blob> {
        if host.role == HostRole::ControlPlane {
            return group;
        }
        let files = self.files(host);
        group.into_iter().filter(|blob| files.iter().any(|file| file.digest == blob.digest)).collect()
    }

    /// Registries to fetch from, never the host's own.
    fn sources(&self, host: &Host) -> Vec<String> {
        let own = format!("https://{}:", super::url_host(host.address));
        runtime::mirrors(self.input.site, host).into_iter().filter(|url| !url.starts_with(&own)).collect()
    }

    /// Binaries, containerd, kubelet's unit, preloaded images.
    pub(super) fn start_runtime(&mut self, host: &Host) -> Result<(), PlanError> {
        let binaries = self.files(host).into_iter().map(binary).collect();
        let install = Operation::InstallBinaries { binaries };
        self.add(host, "binaries", "install cluster binaries".into(), &["store-binaries"], install);
        let service = self.containerd(host)?;
        let needs = ["binaries", "kernel", "swap", "certificate"];
        self.add(host, "containerd", "container runtime".into(), &needs, Operation::Service { service });
        let service = kubelet(Self::rendered(host, system::kubelet_unit(self.input.site, host))?);
        let needs = ["binaries", "names", "kernel"];
        self.add(
            host,
            "kubelet",
            "kubelet's unit, started later".into(),
            &needs,
            Operation::Service { service },
        );
        self.images(host);
        if host.role == HostRole::Worker {
            self.balancer(host)?;
        }
        let roles = self.roles_of(host);
        let wanted = self.input.document.host_directories.iter();
        let directories: Vec<DirectorySpec> = wanted
            .filter(|one| one.roles.iter().any(|role| roles.contains(role)))
            .map(|one| DirectorySpec { path: one.path.clone(), mode: one.mode, uid: one.uid, gid: one.gid })
            .collect();
        if !directories.is_empty() {
            let operation = Operation::Directories { directories };
            self.add(host, "volumes", "folders of the product's data".into(), &["claim"], operation);
        }
        Ok(())
    }

    /// Images of the host's role, in two steps where some come with a later group of blobs.
    fn images(&mut self, host: &Host) {
        let needed: Vec<&Image> = {
            let roles = self.roles_of(host);
            let wanted = |image: &&Image| image.roles.iter().any(|role| roles.contains(role));
            self.input.document.images.iter().filter(wanted).collect()
        };
        let early = |image: &&Image| {
            image.blobs.iter().all(|digest| {
                self.groups
                    .control_plane
                    .iter()
                    .chain(&self.groups.binaries)
                    .any(|blob| &blob.digest == digest)
            })
        };
        let (now, later): (Vec<&Image>, Vec<&Image>) = needed.into_iter().partition(early);
        // A master asks its own registry first; a worker asks the masters, of which the first has everything.
        let store = |group: &str| match host.role {
            HostRole::ControlPlane => format!("{}.store-{group}", host.name),
            HostRole::Worker => format!("{}.store-{group}", self.first.name),
        };
        let serving = match host.role {
            HostRole::ControlPlane => format!("{}.registry", host.name),
            HostRole::Worker => format!("{}.registry", self.first.name),
        };
        for (name, group, images) in [("images", "control-plane", now), ("more-images", "rest", later)] {
            if images.is_empty() {
                continue;
            }
            let title = format!("pull, verify and pin {} images", images.len());
            let images =
                images.iter().map(|i| ImageSpec { name: i.name.clone(), digest: i.digest.clone() }).collect();
            let needs = ["containerd", &store(group), &serving];
            self.add(host, name, title, &needs, Operation::PullImages { images });
        }
    }

    fn balancer(&mut self, host: &Host) -> Result<(), PlanError> {
        let config = Self::rendered(host, load_balancer::config(self.input.site))?;
        let manifest = Self::rendered(host, load_balancer::manifest(self.input.document, &config))?;
        let files =
            vec![file(load_balancer::CONFIG_PATH, config), file(load_balancer::MANIFEST_PATH, manifest)];
        let operation = Operation::WriteFiles { files, load_modules: Vec::new(), apply_sysctls: false };
        self.add(host, "balancer", "node-local load balancer".into(), &["claim"], operation);
        Ok(())
    }

    fn containerd(&self, host: &Host) -> Result<ServiceSpec, PlanError> {
        let (site, document) = (self.input.site, self.input.document);
        let config = Self::rendered(host, runtime::containerd_config(document, self.settings(host)?))?;
        let unit = Self::rendered(host, runtime::containerd_unit())?;
        let mut files = vec![
            file("/etc/containerd/config.toml", config),
            file("/etc/systemd/system/containerd.service", unit),
        ];
        for (upstream, content) in Self::rendered(host, runtime::registry_hosts(site, document, host))? {
            files.push(file(&format!("/etc/containerd/certs.d/{upstream}/hosts.toml"), content));
        }
        Ok(ServiceSpec {
            unit: "containerd.service".into(),
            files,
            directories: vec![directory("/etc/cni/net.d", 0o755), directory("/opt/cni/bin", 0o755)],
            enabled: true,
            running: true,
            ready: Ready::Socket { path: "/run/containerd/containerd.sock".into() },
        })
    }

    fn files(&self, host: &Host) -> Vec<&File> {
        let roles = self.roles_of(host);
        // One file may be packed once for each platform, all for one path.
        let runs = |file: &&File| match (&file.platform, self.input.facts.get(&host.name)) {
            (Some(platform), Some(facts)) => facts.runs(platform),
            _ => true,
        };
        let wanted = |file: &&File| file.roles.iter().any(|role| roles.contains(role));
        self.input.document.files.iter().filter(wanted).filter(runs).collect()
    }
}

fn kubelet(unit: String) -> ServiceSpec {
    ServiceSpec {
        unit: "kubelet.service".into(),
        files: vec![file("/etc/systemd/system/kubelet.service", unit)],
        directories: Vec::new(),
        enabled: true,
        running: false,
        ready: Ready::Active,
    }
}

fn binary(file: &File) -> BinarySpec {
    BinarySpec {
        path: file.path.clone(),
        mode: file.mode,
        blob: Blob { digest: file.digest.clone(), size: file.size },
        plain_digest: file.plain_digest.clone(),
        plain_size: file.plain_size,
    }
}

/// A file that only root may read.
pub(super) fn private_file(path: &str, content: String) -> FileSpec {
    FileSpec { mode: 0o600, ..file(path, content) }
}
