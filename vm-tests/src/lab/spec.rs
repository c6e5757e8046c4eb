//! What a lab consists of: hosts, their addresses and sizes, and what runs them.

use std::net::Ipv4Addr;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

/// The dead end that every host's default route points to.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// The machine that the installer runs on.
pub const SEAT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// The lab's own way to its hosts, so that its questions never show up in the seat's byte counts.
pub const CONTROL: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 3);

/// Names that the lab's own namespaces have.
pub(super) const RESERVED: [&str; 3] = ["lab", "seat", "ctl"];

/// A whole lab. Two labs may use the same addresses: each has a bridge of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabSpec {
    /// All hosts, in the order in which they are shown.
    pub hosts: Vec<HostSpec>,
    /// Networks of the cluster itself (CIDR). A packet to one of them that reaches the gateway is lost inside
    /// the site, not on its way out: it is counted apart, as [`Traffic::astray`](super::Traffic).
    pub own_networks: Vec<String>,
}

/// One host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSpec {
    /// Host name: at most ten lower-case letters and digits.
    pub name: String,
    /// Address in 10.77.0.0/24.
    pub address: Ipv4Addr,
    /// What the host is meant for.
    pub role: Role,
    /// What runs it.
    pub backend: Backend,
    /// Processors of a virtual machine; containers see the processors of the machine.
    pub cpus: u32,
    /// Memory in MiB: the size of a virtual machine, or the limit of a container (none: the machine's).
    pub memory_mib: Option<u32>,
    /// File systems of their own. A virtual machine has one root disk only: it uses the entry for `/`.
    pub disks: Vec<DiskSpec>,
    /// A host to come: it is there, but off until somebody starts it.
    pub spare: bool,
}

/// A file system of its own: sparse, so it takes what is written, but `df` shows the size given here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpec {
    /// Absolute path on the host.
    pub mount: String,
    /// Size in MiB.
    pub mib: u64,
}

/// What a host is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Control plane.
    Master,
    /// Worker.
    Worker,
}

/// What runs a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// A container with a whole system in it, on this machine's kernel.
    Nspawn,
    /// A virtual machine with a kernel of its own.
    Qemu,
}

impl LabSpec {
    /// Masters m1… (.11…) and workers w1… (.21…); the last `vm_workers` of the workers are virtual machines.
    ///
    /// At most nine of each.
    pub fn new(masters: u8, workers: u8, vm_workers: u8) -> Self {
        let host = |role, prefix: &str, index: u8, base: u8, backend| HostSpec {
            name: format!("{prefix}{index}"),
            address: Ipv4Addr::new(10, 77, 0, base + index),
            role,
            backend,
            cpus: 2,
            memory_mib: (backend == Backend::Qemu).then_some(2048),
            disks: default_disks(backend),
            spare: false,
        };
        let masters = (1..=masters).map(|index| host(Role::Master, "m", index, 10, Backend::Nspawn));
        let workers = (1..=workers).map(|index| {
            let backend = if index + vm_workers > workers { Backend::Qemu } else { Backend::Nspawn };
            host(Role::Worker, "w", index, 20, backend)
        });
        // The cluster's own networks, as in `profiles/demo.yaml`: a pod that asks for a Service before kube-proxy has
        // its rules loses the packet at the gateway, but it was never on its way out.
        let own_networks = ["10.244.0.0/16", "10.96.0.0/12"].map(str::to_owned).to_vec();
        Self { hosts: masters.chain(workers).collect(), own_networks }
    }

    /// Three masters and two workers.
    pub fn standard(vm_workers: u8) -> Self {
        Self::new(3, 2, vm_workers)
    }

    /// Three masters and two workers in containers, and a virtual machine that may become the third worker.
    pub fn with_spare_machine() -> Self {
        let mut hosts = Self::new(3, 3, 1).hosts;
        hosts.iter_mut().filter(|host| host.backend == Backend::Qemu).for_each(|host| host.spare = true);
        Self { hosts, ..Self::standard(0) }
    }

    /// As [`LabSpec::standard`] in containers, with a disk for the database of events on each master.
    pub fn with_disks_for_events() -> Self {
        let mut lab = Self::standard(0);
        for host in lab.hosts.iter_mut().filter(|host| host.role == Role::Master) {
            host.disks.push(DiskSpec { mount: "/var/lib/etcd-events".to_owned(), mib: 2 * 1024 });
        }
        lab
    }

    /// The host of that name.
    pub fn host(&self, name: &str) -> Result<&HostSpec> {
        let Some(host) = self.hosts.iter().find(|host| host.name == name) else {
            let names: Vec<_> = self.hosts.iter().map(|host| host.name.as_str()).collect();
            bail!("no host {name} in this lab; it has {}", names.join(", "));
        };
        Ok(host)
    }

    /// Refuses names and addresses that the network could not carry.
    pub fn check(&self) -> Result<()> {
        for (index, host) in self.hosts.iter().enumerate() {
            let name = &host.name;
            let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
            if name.is_empty() || name.len() > 10 || !plain || RESERVED.contains(&name.as_str()) {
                bail!(
                    "host name {name:?}: at most ten lower-case letters and digits, not one of {RESERVED:?}"
                );
            }
            let [a, b, c, last] = host.address.octets();
            if [a, b, c] != [10, 77, 0] || !(4..255).contains(&last) {
                bail!("host {name}: address {} is not one of 10.77.0.4 to 10.77.0.254", host.address);
            }
            if self.hosts[..index].iter().any(|other| other.name == *name || other.address == host.address) {
                bail!("host {name}: its name or address {} is used twice", host.address);
            }
        }
        Ok(())
    }
}

/// Sizes that keep kubelet's disk thresholds away, on file systems that tell the truth.
fn default_disks(backend: Backend) -> Vec<DiskSpec> {
    let disk = |mount: &str, mib| DiskSpec { mount: mount.to_owned(), mib };
    match backend {
        Backend::Nspawn => vec![
            disk("/var/lib/containerd", 12 * 1024),
            disk("/var/lib/kubelet", 4 * 1024),
            disk("/var/lib/etcd", 4 * 1024),
            disk("/var/lib/sealift", 8 * 1024),
        ],
        Backend::Qemu => vec![disk("/", 20 * 1024)],
    }
}

/// A lab's name becomes part of folder, namespace and control group names.
pub(super) fn check_lab_name(name: &str) -> Result<()> {
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if name.is_empty() || name.len() > 24 || !plain || name.starts_with('-') || name.ends_with('-') {
        bail!("lab name {name:?}: at most 24 lower-case letters, digits and inner hyphens");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_lab_has_the_known_addresses() {
        let spec = LabSpec::standard(1);
        let hosts: Vec<_> = spec
            .hosts
            .iter()
            .map(|host| (host.name.as_str(), host.address.octets()[3], host.backend))
            .collect();
        assert_eq!(
            hosts,
            [
                ("m1", 11, Backend::Nspawn),
                ("m2", 12, Backend::Nspawn),
                ("m3", 13, Backend::Nspawn),
                ("w1", 21, Backend::Nspawn),
                ("w2", 22, Backend::Qemu),
            ]
        );
        spec.check().unwrap();
    }

    #[test]
    fn the_spare_machine_is_the_third_worker() {
        let hosts = LabSpec::with_spare_machine().hosts;
        let spare: Vec<_> = hosts.iter().filter(|host| host.spare).collect();
        assert_eq!((hosts.len(), spare.len()), (6, 1));
        assert_eq!((spare[0].name.as_str(), spare[0].backend), ("w3", Backend::Qemu));
        LabSpec::with_spare_machine().check().unwrap();
    }

    #[test]
    fn names_and_addresses_that_cannot_work_are_refused() {
        let refused = |change: fn(&mut HostSpec)| {
            let mut spec = LabSpec::standard(0);
            change(&mut spec.hosts[1]);
            spec.check().unwrap_err().to_string()
        };
        assert!(refused(|host| host.name = "seat".into()).contains("seat"));
        assert!(refused(|host| host.name = "a-b".into()).contains("a-b"));
        assert!(refused(|host| host.address = SEAT).contains("10.77.0.2"));
        assert!(refused(|host| host.name = "m1".into()).contains("twice"));
        assert!(check_lab_name("h-lab1").is_ok());
        assert!(check_lab_name("../x").is_err());
        assert!(check_lab_name("").is_err());
    }
}
