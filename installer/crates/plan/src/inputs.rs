//! What a plan was made from, and in what two such things differ.
//!
//! A plan that somebody signed holds for the bundle, the answers and the hosts that it was made with. This keeps of
//! them what decides, without secrets, so that a difference can be named. What changes by itself (free space, clock,
//! load, settings that we set ourselves) is not kept, or not compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sealift_bundle::digest::digest_of;
use sealift_checks::facts::{CgroupVersion, Facts};
use sealift_profile::Site;
use sealift_render::api;
use sealift_render::system::SYSCTLS;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::PlanInput;

/// What stands where the profile refers to a secret. Where it comes from concerns the seat alone.
const SECRET: &str = "(secret)";
/// Memory that differs by less than one part in this many is the same: kernels keep more or less for themselves.
const MEMORY_TOLERANCE: u64 = 32;
/// Longest value that a difference shows, characters.
const SHOWN: usize = 60;

/// What a plan was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inputs {
    /// The bundle.
    pub bundle: BundleId,
    /// Digest of the installer program.
    pub installer: String,
    /// The profile as one JSON value, defaults filled in, every reference to a secret as `(secret)`.
    pub profile: Value,
    /// What decides about each host, by name.
    pub hosts: BTreeMap<String, DecidingFacts>,
}

/// Which bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundleId {
    /// Machine name of the product.
    pub product: String,
    /// Product version.
    pub version: String,
    /// Serial of the release.
    pub serial: u64,
    /// Digest of the index, from which every byte of the bundle follows.
    pub digest: String,
}

/// What of a host's facts decides what is done to it, or whether it is the same host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecidingFacts {
    /// `/etc/machine-id`: another one is another installation.
    pub machine_id: String,
    /// `ID` and `VERSION_ID` of the operating system.
    pub os: String,
    /// `uname -m`.
    pub architecture: String,
    /// Logical processors.
    pub cpus: u32,
    /// Memory, bytes.
    pub memory_bytes: u64,
    /// Which cgroup hierarchy is mounted: decides kubelet's and containerd's cgroup driver.
    pub cgroup: CgroupVersion,
    /// Whether root may lower OOM scores: decides a setting of containerd.
    pub cap_sys_resource: bool,
    /// Whether the connection tracking table's size can be written: decides a setting of kube-proxy.
    pub conntrack_writable: bool,
    /// Swap areas in use, which get switched off.
    pub swap: BTreeSet<String>,
    /// Kernel settings that get set, as they stood: shown, and not compared, since a run changes them.
    pub sysctls: BTreeMap<String, String>,
}

impl DecidingFacts {
    fn of(facts: &Facts, site: &Site) -> Self {
        let hardened = site.api.hardened.then_some(api::KERNEL_DEFAULTS);
        let settings = hardened.iter().flatten().map(|(name, _)| *name).chain(SYSCTLS).collect::<Vec<_>>();
        Self {
            machine_id: facts.machine_id.clone(),
            os: format!("{} {}", facts.os.id, facts.os.version).trim().to_owned(),
            architecture: facts.architecture.clone(),
            cpus: facts.cpus,
            memory_bytes: facts.memory_bytes,
            cgroup: facts.cgroup,
            cap_sys_resource: facts.cap_sys_resource,
            conntrack_writable: facts.conntrack_writable,
            swap: facts.swap.iter().map(|area| area.path.clone()).collect(),
            sysctls: facts.settings(&settings),
        }
    }
}

/// One thing that is not as it was when the plan was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What differs: `cluster.podCidr`, `w2: memory`.
    pub what: String,
    /// When the plan was made; none where there was nothing.
    pub was: Option<String>,
    /// Now; none where there is nothing any more.
    pub is: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.was, &self.is) {
            (Some(was), Some(is)) => write!(f, "{} was {was}, is {is}", self.what),
            (Some(was), None) => write!(f, "{} was {was}, is gone", self.what),
            (None, Some(is)) => write!(f, "{} is new: {is}", self.what),
            (None, None) => write!(f, "{} differs", self.what),
        }
    }
}

impl Difference {
    fn changed(what: impl Into<String>, was: impl Into<String>, is: impl Into<String>) -> Self {
        Self { what: what.into(), was: Some(was.into()), is: Some(is.into()) }
    }
}

impl Inputs {
    /// Keeps what decides. Hosts that were not probed (yet) are left out.
    #[must_use]
    pub fn of(input: &PlanInput<'_>) -> Self {
        let product = &input.document.product;
        Self {
            bundle: BundleId {
                product: product.name.clone(),
                version: product.version.clone(),
                serial: product.serial,
                digest: digest_of(input.index.as_bytes()),
            },
            installer: input.agent_digest.to_owned(),
            profile: profile_without_secrets(input),
            hosts: input
                .facts
                .iter()
                .map(|(name, facts)| (name.clone(), DecidingFacts::of(facts, input.site)))
                .collect(),
        }
    }

    /// In what bundle, program and profile differ; `self` is what the plan was made with. Nothing here asks a host.
    #[must_use]
    pub fn answers_differ(&self, now: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        if self.bundle != now.bundle {
            let name = |id: &BundleId| {
                format!("{} {} (serial {}, {})", id.product, id.version, id.serial, short(&id.digest))
            };
            found.push(Difference::changed("the bundle", name(&self.bundle), name(&now.bundle)));
        }
        if self.installer != now.installer {
            let (was, is) = (short(&self.installer), short(&now.installer));
            found.push(Difference::changed("the installer program", was, is));
        }
        compare_values("", &self.profile, &now.profile, &mut found);
        found
    }

    /// In what the hosts differ; `self` is what the plan was made with.
    #[must_use]
    pub fn hosts_differ(&self, now: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        for (name, was) in &self.hosts {
            // A host that is in one profile only was named among the answers.
            if let Some(is) = now.hosts.get(name) {
                compare_hosts(name, was, is, &mut found);
            }
        }
        found
    }
}

fn profile_without_secrets(input: &PlanInput<'_>) -> Value {
    // A profile is plain data with string keys.
    let mut profile = serde_json::to_value(input.site).unwrap_or_default();
    let secrets: Vec<Value> =
        input.site.secret_references().filter_map(|one| serde_json::to_value(one).ok()).collect();
    // The product's answers are the site's own words; no reference stands among them.
    let settings = profile.pointer_mut("/product/settings").map(Value::take);
    hide(&mut profile, &secrets);
    if let (Some(kept), Some(place)) = (settings, profile.pointer_mut("/product/settings")) {
        *place = kept;
    }
    profile
}

fn hide(value: &mut Value, secrets: &[Value]) {
    if secrets.contains(value) {
        *value = Value::from(SECRET);
        return;
    }
    match value {
        Value::Object(map) => map.values_mut().for_each(|value| hide(value, secrets)),
        Value::Array(list) => list.iter_mut().for_each(|value| hide(value, secrets)),
        _ => {}
    }
}

/// Maps by key, lists of named things by name, all else as a whole.
fn compare_values(path: &str, was: &Value, is: &Value, found: &mut Vec<Difference>) {
    if was == is {
        return;
    }
    let (Some(was_parts), Some(is_parts)) = (parts(was), parts(is)) else {
        return found.push(Difference::changed(path, shown(was), shown(is)));
    };
    let before = found.len();
    let keys: BTreeSet<&str> = was_parts.keys().chain(is_parts.keys()).copied().collect();
    for key in keys {
        let inner = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        match (was_parts.get(key), is_parts.get(key)) {
            (Some(was), Some(is)) => compare_values(&inner, was, is, found),
            (was, is) => found.push(Difference {
                what: inner,
                was: was.map(|value| shown(value)),
                is: is.map(|value| shown(value)),
            }),
        }
    }
    if found.len() == before {
        // The order of named things: hosts are numbered by it.
        let order = |value: &Value| names(value).map(|names| names.join(", ")).unwrap_or_default();
        found.push(Difference::changed(format!("the order of {path}"), order(was), order(is)));
    }
}

/// What a value is made of, by name; none for plain values and lists of plain values.
fn parts(value: &Value) -> Option<BTreeMap<&str, &Value>> {
    match value {
        Value::Object(map) => Some(map.iter().map(|(key, value)| (key.as_str(), value)).collect()),
        Value::Array(list) => {
            let parts: BTreeMap<&str, &Value> = names(value)?.into_iter().zip(list).collect();
            (parts.len() == list.len()).then_some(parts)
        }
        _ => None,
    }
}

fn names(value: &Value) -> Option<Vec<&str>> {
    value.as_array()?.iter().map(|one| one.get("name")?.as_str()).collect()
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() <= SHOWN {
        return text;
    }
    text.chars().take(SHOWN).chain("…".chars()).collect()
}

/// A digest for people.
fn short(digest: &str) -> String {
    digest.chars().take("sha256:".len() + 12).collect()
}

fn compare_hosts(name: &str, was: &DecidingFacts, is: &DecidingFacts, found: &mut Vec<Difference>) {
    // Destructured, so that a new fact is not forgotten here.
    let DecidingFacts {
        machine_id,
        os,
        architecture,
        cpus,
        memory_bytes,
        cgroup,
        cap_sys_resource,
        conntrack_writable,
        swap,
        sysctls: _,
    } = was;
    let mut compare = |what: &str, was: String, is: String| {
        if was != is {
            found.push(Difference::changed(format!("{name}: {what}"), was, is));
        }
    };
    compare("machine-id", machine_id.clone(), is.machine_id.clone());
    compare("operating system", os.clone(), is.os.clone());
    compare("architecture", architecture.clone(), is.architecture.clone());
    compare("processors", cpus.to_string(), is.cpus.to_string());
    // What a node keeps for itself follows from this.
    let counted = sealift_render::nodes::counted_memory;
    let other_size = counted(*memory_bytes) != counted(is.memory_bytes);
    if other_size || memory_bytes.abs_diff(is.memory_bytes) > memory_bytes / MEMORY_TOLERANCE {
        compare("memory", gibibytes(*memory_bytes), gibibytes(is.memory_bytes));
    }
    let hierarchy = |version: CgroupVersion| match version {
        CgroupVersion::V1 => "v1".to_owned(),
        CgroupVersion::V2 => "v2".to_owned(),
    };
    compare("cgroup hierarchy", hierarchy(*cgroup), hierarchy(is.cgroup));
    let word = |yes: bool| if yes { "there" } else { "missing" }.to_owned();
    compare("CAP_SYS_RESOURCE", word(*cap_sys_resource), word(is.cap_sys_resource));
    let word = |yes: bool| if yes { "writable" } else { "not writable" }.to_owned();
    compare("the connection tracking table's size", word(*conntrack_writable), word(is.conntrack_writable));
    // Fewer is what a run that stopped half-way leaves; more would switch off what nobody has signed.
    if !is.swap.is_subset(swap) {
        let list = |areas: &BTreeSet<String>| match areas.len() {
            0 => "none".to_owned(),
            _ => areas.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
        };
        compare("swap areas", list(swap), list(&is.swap));
    }
}

/// To two digits behind the point: memory that differs is shown to differ.
fn gibibytes(bytes: u64) -> String {
    let text = format!("{:.2}", bytes as f64 / f64::from(1 << 30));
    format!("{} GiB", text.trim_end_matches('0').trim_end_matches('.'))
}
