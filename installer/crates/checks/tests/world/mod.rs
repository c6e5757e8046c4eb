//! A site where all is well: three masters, two workers, a small bundle, hosts as a probe would describe them.

#![allow(dead_code)] // each test file uses a part of it

use std::collections::BTreeMap;

use sealift_bundle::document::BundleDocument;
use sealift_bundle::services::ServiceKind;
use sealift_checks::facts::{
    Attempt, CgroupVersion, Claim, Clock, Cpu, Details, Facts, HardwareClock, HostsLine, Interface, Listener,
    Machine, Memory, Module, ModuleState, Os, PathDisk, Privileges, Route, ServiceAttempt, Setting,
    WriteTimes,
};
use sealift_checks::{COMMANDS, CheckInput, Finding, MODULES, mesh_ports, paths, run};
use sealift_profile::{Etcd, Events, HostRole, Site};
use serde_json::json;

pub const GB: u64 = 1_000_000_000;

#[derive(Clone)]
pub struct World {
    pub site: Site,
    pub document: BundleDocument,
    pub facts: BTreeMap<String, Facts>,
    /// Where facts came in files: how old those of each host are, milliseconds.
    pub ages: Option<BTreeMap<String, i64>>,
}

impl World {
    pub fn healthy() -> Self {
        let site = site();
        let facts = site.hosts.iter().enumerate();
        let facts =
            facts.map(|(i, host)| (host.name.clone(), host_facts(i, &host.name, &host.address.to_string())));
        let mut world = Self { facts: facts.collect(), document: document(), site, ages: None };
        for host in world.site.hosts.clone() {
            let others = world.site.hosts.iter().filter(|other| other.name != host.name);
            let attempts = others.flat_map(|other| {
                mesh_ports(&world.site, host.role, other.role).into_iter().map(move |need| Attempt {
                    host: other.name.clone(),
                    protocol: need.protocol,
                    port: need.port,
                    micros: Some(300),
                    problem: String::new(),
                })
            });
            world.facts.get_mut(&host.name).unwrap().attempts = Some(attempts.collect());
        }
        world
    }

    /// The tries of one host.
    pub fn attempts(&mut self, host: &str) -> &mut Vec<Attempt> {
        self.host(host).attempts.as_mut().unwrap()
    }

    pub fn host(&mut self, name: &str) -> &mut Facts {
        self.facts.get_mut(name).unwrap()
    }

    pub fn details(&mut self, name: &str) -> &mut Details {
        self.host(name).details.as_mut().unwrap()
    }

    /// What one host saw of a service.
    pub fn service(&mut self, host: &str, kind: ServiceKind) -> &mut ServiceAttempt {
        let attempts = self.host(host).services.as_mut().unwrap();
        attempts.iter_mut().find(|attempt| attempt.service == kind).unwrap()
    }

    /// Of one path on one host.
    pub fn disk(&mut self, name: &str, path: &str) -> &mut PathDisk {
        self.host(name).disks.iter_mut().find(|disk| disk.path == path).unwrap()
    }

    /// The profile wants the database there, on a file system of its own, and there it is.
    pub fn own_disk_at(&mut self, folder: &str) {
        let was = std::mem::replace(&mut self.site.etcd.folder, folder.to_owned());
        self.site.etcd.own_disk = true;
        self.every_host(|facts| {
            let disk = facts.disks.iter_mut().find(|disk| disk.path == was).unwrap();
            (disk.path, disk.mount_point) = (folder.to_owned(), folder.to_owned());
        });
    }

    /// Events have a database there, on a disk of its own.
    pub fn events_at(&mut self, folder: &str) {
        let events = Events { folder: folder.to_owned(), ..Events::default() };
        let snapshots = events.backup.folder.clone();
        self.site.etcd.events = Some(events);
        self.every_host(|facts| {
            // Beside the store, where the profile says nothing else.
            let mut disk = facts.disks.iter().find(|disk| disk.path == "/var/lib/sealift").unwrap().clone();
            disk.path.clone_from(&snapshots);
            facts.disks.push(disk);
            let mut disk = facts.disks.iter().find(|disk| disk.path == "/var/lib/etcd").unwrap().clone();
            (disk.path, disk.mount_point, disk.device) = (folder.into(), folder.into(), "/dev/sdc1".into());
            facts.disks.push(disk);
        });
    }

    pub fn every_host(&mut self, change: impl Fn(&mut Facts)) {
        self.facts.values_mut().for_each(change);
    }

    /// As after an install: claimed, ports held, networks of the cluster there.
    pub fn installed(mut self) -> Self {
        for host in &self.site.hosts {
            let facts = self.facts.get_mut(&host.name).unwrap();
            facts.claim = Some(Claim { site: self.site.metadata.name.clone(), host: host.name.clone() });
            facts.leftovers = vec![leftover("/etc/kubernetes", "Kubernetes configuration")];
            facts.listeners.extend([tcp(10250, "kubelet", "kubelet.service"), tcp(10249, "kube-proxy", "")]);
            facts.listeners.push(Listener { protocol: "udp".into(), ..tcp(8472, "", "") });
            match host.role {
                HostRole::ControlPlane => facts.listeners.extend([
                    tcp(6443, "kube-apiserver", ""),
                    tcp(2379, "etcd", ""),
                    tcp(10257, "kube-controller-manager", ""),
                    tcp(10259, "kube-scheduler", ""),
                    tcp(5443, "installer", "sealift-registry.service"),
                ]),
                HostRole::Worker => facts.listeners.push(tcp(6443, "haproxy", "")),
            }
            facts.interfaces.push(interface("cni0", "0a:00:00:00:00:01", &["10.244.0.1/24"]));
            facts.routes.push(route("10.244.1.0/24", "flannel.1"));
        }
        self
    }

    pub fn findings(&self) -> Vec<Finding> {
        run(&self.input())
    }

    pub fn input(&self) -> CheckInput<'_> {
        let input = CheckInput::new(&self.site, &self.document, &self.facts);
        match &self.ages {
            Some(ages) => input.aged(ages),
            None => input,
        }
    }

    /// Facts came in files, all of them a day old.
    pub fn in_files(&mut self) -> &mut BTreeMap<String, i64> {
        let ages = self.site.hosts.iter().map(|host| (host.name.clone(), 24 * 3_600_000));
        self.ages.insert(ages.collect())
    }

    /// So many people, each of them a hundredth of a request a second of 5 ms. With one of the two workers lost, 7.82
    /// processors are left: for 101,660 people at the most, for 86,411 with 15 % in reserve.
    pub fn work_for(&mut self, users: u32) {
        let basis = json!({"kind": "assumed", "source": "a test"});
        let part = json!({
            "name": "web", "title": "the order page", "component": "orders", "class": "general", "copies": 2,
            "cpuMillicores": 10, "memoryMebibytes": 32, "cpuMicrosecondsPerRequest": 5000,
            "mostMillicoresPerCopy": 1000, "basis": basis,
        });
        let model = json!({
            "busyPercent": 65, "kilobytesPerUserPerDay": 0, "dataBasis": basis, "parts": [part],
        });
        self.document.sizing = serde_json::from_value(model).unwrap();
        let needs = json!({
            "users": users, "concurrentPercent": 10, "thinkSeconds": 9.0, "responseSeconds": 1.0, "peakFactor": 1.0,
            "dataGigabytesPerDay": 0.0, "availability": "one-machine-may-fail",
        });
        self.site.needs = serde_json::from_value(needs).unwrap();
    }
}

fn site() -> Site {
    let key = "SHA256:Zx1pQm0vZx1pQm0vZx1pQm0vZx1pQm0vZx1pQm0vZx1";
    let host = |name: &str, address: &str, role: &str| json!({"name": name, "address": address, "role": role, "hostKey": key});
    serde_json::from_value(json!({
        "apiVersion": "sealift/v1",
        "kind": "Site",
        "metadata": {"name": "harbin-plant"},
        "access": {"user": "ops", "password": {"env": "OPS_PASSWORD"}},
        "hosts": [
            host("m1", "10.20.0.11", "control-plane"),
            host("m2", "10.20.0.12", "control-plane"),
            host("m3", "10.20.0.13", "control-plane"),
            host("w1", "10.20.0.21", "worker"),
            host("w2", "10.20.0.22", "worker"),
        ],
        "services": {
            "database": {
                "host": "10.20.0.9", "database": "orders", "user": "orders", "password": {"env": "DB"},
                "tls": {"mode": "verify-full", "ca": "-----BEGIN CERTIFICATE-----"}, "minimumVersion": 13,
            },
            "logs": {"url": "https://10.20.0.10:9200/", "ca": "-----BEGIN CERTIFICATE-----", "user": "orders", "password": {"env": "LOGS"}},
            "metrics": {"url": "https://10.20.0.11:9090/api/v1/write", "ca": "-----BEGIN CERTIFICATE-----"},
        },
        "product": {"settings": {"greeting": "hello"}, "secrets": {"adminPassword": {"env": "ADMIN"}}},
    }))
    .unwrap()
}

fn document() -> BundleDocument {
    let digest = |n: u8| format!("sha256:{}", format!("{n:02x}").repeat(32));
    let image = |name: &str, roles: &[&str], blobs: &[u8]| {
        let blobs: Vec<_> = blobs.iter().map(|n| digest(*n)).collect();
        json!({"name": name, "digest": blobs[0], "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1, "roles": roles, "blobs": blobs})
    };
    let file = |name: &str, roles: &[&str], n: u8, size: u64, plain: u64| json!({"name": name, "version": "v1.36.3", "path": format!("/usr/local/bin/{name}"), "mode": 493, "roles": roles, "manifest": digest(200), "digest": digest(n), "size": size, "plainDigest": digest(n + 100), "plainSize": plain});
    let (both, masters, workers) = (["control-plane", "worker"], ["control-plane"], ["worker"]);
    let blob = |n: u8, size: u64| json!({"digest": digest(n), "size": size});
    serde_json::from_value(json!({
        "apiVersion": "sealift/v1",
        "kind": "Bundle",
        "product": {"name": "orders", "title": "Orders", "version": "4.2.0", "serial": 17},
        "kubernetes": {"version": "v1.36.3", "pauseImage": "p", "etcdImage": "e", "loadBalancerImage": "h"},
        "platforms": ["linux/amd64"],
        "images": [
            image("registry.k8s.io/kube-apiserver:v1.36.3", &masters, &[1, 2]),
            image("registry.k8s.io/kube-proxy:v1.36.3", &both, &[3, 2]),
            image("docker.io/library/postgres:15", &workers, &[4, 2]),
        ],
        "files": [
            file("kubelet", &both, 10, 20_000_000, 60_000_000),
            file("kubectl", &masters, 11, 18_000_000, 55_000_000),
        ],
        "charts": [],
        "components": [],
        "secrets": [{"component": "orders", "name": "admin", "fromSite": {"password": "adminPassword"}}],
        "settings": {
            "greeting": {"description": "the first line of the page", "default": "welcome"},
            "siteTitle": {"description": "the name of the site", "default": "Orders"},
        },
        "services": {"database": {}, "logs": {}, "metrics": {}},
        "blobs": [
            blob(1, 30_000_000), blob(2, 50_000_000), blob(3, 40_000_000), blob(4, 150_000_000),
            blob(10, 20_000_000), blob(11, 18_000_000),
        ],
    }))
    .unwrap()
}

fn host_facts(i: usize, name: &str, address: &str) -> Facts {
    let disk = |path: &str| {
        let (mount_point, device) = match path {
            "/var/lib/etcd" => ("/var/lib/etcd", "/dev/sdb1"),
            _ => ("/", "/dev/sda2"),
        };
        PathDisk {
            path: path.to_owned(),
            mount_point: mount_point.to_owned(),
            device: device.to_owned(),
            file_system: "ext4".to_owned(),
            total_bytes: 100 * GB,
            available_bytes: 80 * GB,
            total_files: 6_000_000,
            available_files: 5_000_000,
            options: ["rw", "relatime"].map(str::to_owned).to_vec(),
            entry_kinds: Some(true),
            link: None,
            closed: Vec::new(),
            open: Vec::new(),
            rotational: Some(false),
            errors: Some(0),
            at_boot: true,
        }
    };
    Facts {
        hostname: name.to_owned(),
        machine_id: format!("{i:032x}"),
        product_uuid: format!("4c4c4544-0000-0000-0000-{i:012x}"),
        boot_id: format!("b{i}"),
        os: Os { id: "debian".into(), version: "12".into(), name: "Debian GNU/Linux 12 (bookworm)".into() },
        kernel: "6.1.0-28-amd64".into(),
        architecture: "x86_64".into(),
        cpus: 8,
        memory_bytes: 32 << 30,
        swap: Vec::new(),
        cgroup: CgroupVersion::V2,
        cap_sys_resource: true,
        conntrack_writable: true,
        disks: paths(&Etcd::default()).into_iter().map(disk).collect(),
        listeners: vec![tcp(22, "sshd", "ssh.service")],
        clock: Clock {
            skew_millis: 40,
            unix_millis: 1_795_000_000_000,
            synchronised: true,
            round_trip_millis: 12,
        },
        interfaces: vec![
            interface("lo", "", &["127.0.0.1/8"]),
            interface("eth0", &format!("52:54:00:00:00:{i:02x}"), &[&format!("{address}/24")]),
        ],
        routes: vec![route("0.0.0.0/0", "eth0"), route("10.20.0.0/24", "eth0")],
        nameservers: Vec::new(),
        modules: MODULES.iter().map(|name| module(name, ModuleState::Loaded)).collect(),
        leftovers: Vec::new(),
        claim: None,
        systemd: 252,
        unreadable: Vec::new(),
        details: Some(host_details()),
        etcd_writes: Some(WriteTimes {
            path: "/var/lib/etcd".into(),
            p99_micros: 2_400,
            runs: vec![2_300, 2_400, 2_900],
            writes: 30_090,
        }),
        attempts: None,
        services: Some(ServiceKind::ALL.map(service).to_vec()),
    }
}

fn host_details() -> Details {
    let settings = [
        ("net.ipv4.ip_forward", "0"),
        ("fs.inotify.max_user_instances", "128"),
        ("fs.inotify.max_user_watches", "524288"),
        ("kernel.pid_max", "4194304"),
        ("kernel.threads-max", "254000"),
        ("fs.file-max", "9223372036854775807"),
        ("kernel.random.entropy_avail", "256"),
        ("kernel.tainted", "0"),
        ("net.ipv4.ip_local_port_range", "32768 60999"),
        ("net.ipv4.ip_local_reserved_ports", ""),
        ("net.ipv4.conf.all.arp_ignore", "0"),
        ("net.ipv4.conf.all.arp_filter", "0"),
        ("net.ipv4.conf.all.rp_filter", "0"),
        ("net.ipv6.conf.all.disable_ipv6", "0"),
        ("net.netfilter.nf_conntrack_count", "40"),
        ("net.netfilter.nf_conntrack_max", "262144"),
    ];
    let flags = "fpu sse sse2 pni ssse3 cx16 sse4_1 sse4_2 popcnt lahf_lm";
    Details {
        privileges: Privileges { user: 0, capabilities: 0x1ff_ffff_ffff, whole_machine: true },
        settings: settings.map(|(name, value)| (name.to_owned(), setting(value))).into(),
        commands: COMMANDS.map(|name| (name.to_owned(), true)).into(),
        processes: ["systemd", "sshd", "chronyd"].map(str::to_owned).into(),
        cpu: Cpu {
            model: "Intel(R) Xeon(R) Gold 6226R".into(),
            flags: flags.split(' ').map(str::to_owned).collect(),
        },
        controllers: ["cpuset", "cpu", "io", "memory", "hugetlb", "pids"].map(str::to_owned).into(),
        memory: Memory { available_bytes: 30 << 30, huge_pages_bytes: 0 },
        machine: Machine {
            container: false,
            kernel_log: true,
            shared_mounts: true,
            proc_options: ["rw", "nosuid", "nodev", "noexec"].map(str::to_owned).to_vec(),
            restart_pending: false,
            temporary_mode: 0o1777,
        },
        hosts_file: vec![hosts_line("127.0.0.1", "localhost"), hosts_line("::1", "localhost")],
        zone: "UTC".into(),
        hardware_clock: HardwareClock { local: false, offset_seconds: Some(1) },
        ..Details::default()
    }
}

/// All is well with it.
pub fn service(kind: ServiceKind) -> ServiceAttempt {
    let (address, version) = match kind {
        ServiceKind::Database => ("10.20.0.9:5432", "15.14 (Debian 15.14-0+deb12u1)"),
        ServiceKind::Logs => ("10.20.0.10:9200", "8.19.2"),
        ServiceKind::Metrics => ("10.20.0.11:9090", "3.5.0"),
    };
    ServiceAttempt {
        service: kind,
        address: address.to_owned(),
        micros: Some(420),
        tls: Some("TLSv1.3".to_owned()),
        version: Some(version.to_owned()),
        trouble: None,
    }
}

pub fn setting(value: &str) -> Setting {
    Setting { value: value.to_owned(), writable: true }
}

pub fn hosts_line(address: &str, names: &str) -> HostsLine {
    let names = names.split(' ').map(str::to_owned).collect();
    HostsLine { address: address.parse().unwrap(), names }
}

pub fn module(name: &str, state: ModuleState) -> Module {
    Module { name: name.to_owned(), state }
}

pub fn tcp(port: u16, process: &str, unit: &str) -> Listener {
    Listener {
        protocol: "tcp".into(),
        address: "0.0.0.0".parse().unwrap(),
        port,
        process: process.to_owned(),
        unit: unit.to_owned(),
    }
}

pub fn interface(name: &str, mac: &str, addresses: &[&str]) -> Interface {
    let addresses = addresses.iter().map(|net| net.parse().unwrap()).collect();
    Interface {
        name: name.to_owned(),
        mac: mac.to_owned(),
        mtu: 1500,
        up: true,
        addresses,
        speed: Some(10_000),
        half_duplex: false,
        packets: 1_000_000,
        errors: 0,
        reverse_path_filter: 2,
    }
}

pub fn route(destination: &str, interface: &str) -> Route {
    let gateway = (destination == "0.0.0.0/0").then(|| "10.20.0.1".parse().unwrap());
    Route { destination: destination.parse().unwrap(), gateway, interface: interface.to_owned() }
}

pub fn leftover(path: &str, what: &str) -> sealift_checks::facts::Leftover {
    sealift_checks::facts::Leftover { path: path.to_owned(), what: what.to_owned() }
}
