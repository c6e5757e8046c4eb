//! What a plan changes on each host, as a list that a security team can sign.
//!
//! Derived from the plan alone: every operation is described in one exhaustive match without a wildcard, so an operation
//! (or a field of one) that nobody has described does not compile. Missing parent folders of what is listed are made
//! with mode 0755 and owner root; they are not listed.
//!
//! In order of use: [`changes`], [`HostChanges`], then [`found::FoundFile`] and [`found::compare`] where the hosts were
//! asked what stands there now.

mod describe;
pub mod found;
mod kubeadm;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Plan;
use crate::operation::{Blob, ImageSpec};

/// Everything that a plan changes on one host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostChanges {
    /// Host name.
    pub host: String,
    /// Files, by path.
    pub files: Vec<FileChange>,
    /// Lines in files that belong to the host, by path.
    pub lines: Vec<LinesChange>,
    /// Folders, by path.
    pub folders: Vec<FolderChange>,
    /// systemd units.
    pub units: Vec<UnitChange>,
    /// Kernel settings, by name.
    pub sysctls: Vec<SysctlChange>,
    /// Kernel modules, by name.
    pub modules: Vec<ModuleChange>,
    /// Ports that will listen.
    pub ports: Vec<PortChange>,
    /// Networks that pods and services get.
    pub networks: Vec<NetworkChange>,
    /// Swap that is switched off; none where that is not touched.
    pub swap: Option<SwapChange>,
    /// Container images kept on the host, pinned against garbage collection.
    pub images: Vec<ImageSpec>,
    /// Blobs of the bundle kept below `/var/lib/sealift/store`, verified against the signature.
    pub blobs: Vec<Blob>,
    /// Users made. Always empty: no operation can make one.
    pub users: Vec<String>,
    /// Groups made. Always empty, as above.
    pub groups: Vec<String>,
    /// Packages of the operating system installed or removed. Always empty, as above.
    pub packages: Vec<String>,
    /// Commands that change things of their own.
    pub commands: Vec<CommandChange>,
    /// What is made in the cluster from this host.
    pub cluster: Vec<String>,
}

/// A file that is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileChange {
    /// Absolute path.
    pub path: String,
    /// Permission bits, octal.
    pub mode: String,
    /// Owner and group.
    pub owner: String,
    /// What it will hold.
    pub content: Content,
    /// Whether it is taken away again before the run ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed_afterwards: bool,
    /// What stands there now, where the host was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Now>,
}

/// What a file will hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind", deny_unknown_fields)]
pub enum Content {
    /// This text.
    Text {
        /// All of it.
        text: String,
    },
    /// A program or another file of the bundle.
    Binary {
        /// Digest of the file.
        digest: String,
        /// Size in bytes; none where only the digest is known beforehand.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
    },
    /// Not shown.
    Secret {
        /// Size in bytes; none where it is made on the host.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
    },
    /// Made on the host, so not known beforehand, and no secret.
    Made {
        /// By whom.
        by: String,
    },
}

/// What stands in a file's place now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "state", deny_unknown_fields)]
pub enum Now {
    /// Nothing.
    Missing,
    /// What is wanted.
    Same,
    /// Another text.
    Differs {
        /// Unified diff from it to the new content.
        diff: String,
    },
    /// Something that is not shown.
    NotShown {
        /// Why, or what it is.
        why: String,
    },
}

/// Lines of ours in a file that belongs to the host, between two marks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinesChange {
    /// Absolute path.
    pub path: String,
    /// The lines.
    pub lines: Vec<String>,
    /// What stands between the marks now, where the host was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Now>,
}

/// A folder that is made, or whose mode and owner are set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FolderChange {
    /// Absolute path.
    pub path: String,
    /// Permission bits, octal.
    pub mode: String,
    /// Numeric owner and group.
    pub owner: String,
}

/// A systemd unit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UnitChange {
    /// Name with suffix.
    pub unit: String,
    /// Whether it starts at boot.
    pub enabled: bool,
    /// Whether it runs when the run has ended.
    pub started: bool,
}

/// A kernel setting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SysctlChange {
    /// Dotted name.
    pub name: String,
    /// The value that it gets, now and at every boot.
    pub value: String,
    /// The value that it had when the plan was made; none where the kernel did not have it yet.
    pub before: Option<String>,
}

/// A kernel module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModuleChange {
    /// Name.
    pub name: String,
    /// Whether it is loaded now, where it is not yet.
    pub now: bool,
    /// Whether it is loaded at every boot.
    pub at_boot: bool,
}

/// A port that will listen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortChange {
    /// Port, or the first and last of a range: `30000-32767`.
    pub port: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// Who listens, in words.
    pub listener: String,
    /// Who has to reach it, in words.
    pub from: String,
}

/// A network inside the cluster that the host gets routes to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkChange {
    /// CIDR.
    pub cidr: String,
    /// Whose it is.
    pub what: String,
}

/// Swap that is switched off for good.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SwapChange {
    /// Areas that are in use now.
    pub areas: Vec<String>,
    /// What keeps it off.
    pub lasting: String,
}

/// A command that changes things of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommandChange {
    /// How the host's journal names it, without what follows a colon.
    pub command: String,
    /// What for.
    pub purpose: String,
}

/// What the plan changes, per host in the plan's order. Nothing here was asked of a host: [`found::compare`] adds that.
#[must_use]
pub fn changes(plan: &Plan) -> Vec<HostChanges> {
    let mut describing = describe::Describing::new(plan);
    for step in &plan.steps {
        describing.step(step);
    }
    describing.finish()
}

impl HostChanges {
    /// In one order, each thing once.
    fn tidy(&mut self) {
        fn sort<T: Ord>(list: &mut Vec<T>) {
            list.sort();
            list.dedup();
        }
        sort(&mut self.files);
        sort(&mut self.lines);
        sort(&mut self.folders);
        sort(&mut self.sysctls);
        sort(&mut self.modules);
        sort(&mut self.networks);
        self.ports.sort_by_cached_key(|one| (first_port(&one.port), one.clone()));
        self.ports.dedup();
        self.images.sort_by(|a, b| a.name.cmp(&b.name));
        let mut seen = BTreeSet::new();
        self.blobs.retain(|blob| seen.insert(blob.digest.clone()));
        let mut seen = BTreeSet::new();
        self.commands.retain(|one| seen.insert(one.clone()));
        self.units.sort_by(|a, b| a.unit.cmp(&b.unit));
        // kubelet's unit is put there by one step and started by another.
        self.units.dedup_by(|later, first| {
            let same = later.unit == first.unit;
            if same {
                first.enabled |= later.enabled;
                first.started |= later.started;
            }
            same
        });
    }
}

fn first_port(port: &str) -> u16 {
    port.split('-').next().and_then(|first| first.parse().ok()).unwrap_or_default()
}

/// Permission bits as `ls` and `chmod` have them.
pub(crate) fn octal(mode: u32) -> String {
    format!("{mode:04o}")
}
