//! Making a lab's folder: keys, identities, disks. What runs is started from it, and can be again.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::leftovers::Leftovers;
use super::spec::{Backend, HostSpec, LabSpec};
use super::{Lab, State, identity, nspawn, qemu, rootfs};
use crate::cache;

/// The state of a lab that can be gone on with: complete, the same description, the same base.
pub fn reusable(cache: &Path, folder: &Path, spec: &LabSpec) -> Result<Option<State>> {
    if !folder.join("lab.json").exists() {
        return Ok(None);
    }
    // One written by another version of this program is made anew.
    let Ok(state) = State::read(folder) else { return Ok(None) };
    let same_base = state.tree == cache.join("rootfs").join(rootfs::tree_key());
    let machine_there = state.machine_image.as_ref().is_none_or(|image| image.is_dir());
    let same_speed = match state.machine_image.as_deref().filter(|_| machine_there) {
        Some(image) => Some(qemu::acceleration(image)?) == state.acceleration,
        None => true,
    };
    Ok((state.spec == *spec && same_base && state.tree.is_dir() && machine_there && same_speed)
        .then_some(state))
}

/// Clears what there is under the name and makes the folder. The lab's description is written last: a folder
/// without one is a leftover.
pub fn create(cache: &Path, name: &str, folder: &Path, spec: &LabSpec) -> Result<State> {
    Leftovers::clear(name, folder)?;
    let tree = rootfs::tree(cache)?.path;
    let machine = spec.hosts.iter().find(|host| host.backend == Backend::Qemu);
    let machine_image = machine
        .map(|host| Ok::<_, anyhow::Error>(rootfs::machine_image(cache, root_mib(host))?.path))
        .transpose()?;
    let state = State {
        name: name.to_owned(),
        spec: spec.clone(),
        tree,
        acceleration: machine_image.as_deref().map(qemu::acceleration).transpose()?,
        machine_image,
    };
    let credentials = identity::create_credentials(folder)?;
    let supervisor = folder.join("supervisor");
    fs::copy("/proc/self/exe", &supervisor)
        .with_context(|| format!("cannot copy this program to {}", supervisor.display()))?;
    let mut identities = Vec::new();
    for host in &spec.hosts {
        identities.push(create_host(&state, folder, host, &credentials)?);
    }
    let known: Vec<_> = spec.hosts.iter().zip(&identities).collect();
    identity::write_ssh_folder(&folder.join("seat/.ssh"), "ops", &known)?;
    identity::write_ssh_folder(&folder.join("control"), "root", &known)?;
    remove_unused_bases(cache, &state)?;
    let text = serde_json::to_vec_pretty(&state).context("cannot describe the lab")?;
    let temporary = folder.join(".lab.json");
    identity::write_private(&temporary, &text)?;
    fs::rename(&temporary, folder.join("lab.json")).context("cannot put lab.json in place")?;
    Ok(state)
}

/// Removes root file systems of earlier versions of this program that no lab stands on.
fn remove_unused_bases(cache: &Path, new: &State) -> Result<()> {
    let labs =
        Lab::list(cache).into_iter().filter_map(|name| State::read(&cache.join("labs").join(name)).ok());
    let used: BTreeSet<_> = labs
        .chain([new.clone()])
        .flat_map(|state| [Some(state.tree), state.machine_image])
        .flatten()
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    cache::prune(&cache.join("rootfs"), &|key| {
        let current = key == rootfs::tree_key() || key == rootfs::machine_key(DEFAULT_ROOT_MIB);
        current || used.contains(key)
    })
}

fn create_host(
    state: &State,
    folder: &Path,
    host: &HostSpec,
    credentials: &identity::Credentials,
) -> Result<identity::Identity> {
    let host_folder = folder.join("hosts").join(&host.name);
    let base = match (host.backend, &state.machine_image) {
        (Backend::Qemu, Some(image)) => image.join("shadow"),
        _ => state.tree.join("etc/shadow"),
    };
    let shadow = fs::read_to_string(&base).with_context(|| format!("cannot read {}", base.display()))?;
    let identity = identity::create_host(&host_folder, host, credentials, &shadow)?;
    create_disks(state, &host_folder, host)?;
    Ok(identity)
}

/// New disks for a host that is off, in place of those it has: it starts as on its first day, with its old identity.
pub fn create_disks(state: &State, host_folder: &Path, host: &HostSpec) -> Result<()> {
    match (host.backend, &state.machine_image) {
        (Backend::Qemu, Some(image)) => qemu::create(host_folder, image),
        _ => nspawn::create(host_folder, host),
    }
}

const DEFAULT_ROOT_MIB: u64 = 20 * 1024;

/// A virtual machine's disk is its root.
fn root_mib(host: &HostSpec) -> u64 {
    host.disks.iter().find(|disk| disk.mount == "/").map_or(DEFAULT_ROOT_MIB, |disk| disk.mib)
}
