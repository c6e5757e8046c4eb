//! The databases on a running cluster: the cluster's own on a file system of its own, events in one of theirs.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::Test;
use crate::cluster::{Cluster, Database};
use crate::lab::HostSpec;
use crate::test::Context;
use crate::wait::until_true;

/// On a cluster that was installed with [`PROFILE`] over the demo's, in a lab with a disk for events.
pub const TESTS: &[Test] = &[
    Test::cluster("etcd::databases_have_disks_of_their_own", disks),
    Test::cluster("etcd::events_have_three_voters_of_their_own", voters),
    Test::cluster("etcd::events_stand_in_their_own_database_only", events),
];

/// The last of a lab: it ends with a master that has just been switched on again.
pub const LAST: &[Test] = &[Test::cluster("etcd::events_are_written_with_a_master_dead", one_master_dead)];

/// What a profile says for these tests, to be laid over that of the demo.
pub const PROFILE: &str = "etcd:
  ownDisk: true
  events:
    backup: {keep: 2}
";

/// Longest wait for something that takes seconds on an idle machine.
const WITHIN: Duration = Duration::from_mins(2);
/// Where the data stand, by default, with the pod that keeps them there.
const FOLDERS: [(&str, &str); 2] = [("etcd", "/var/lib/etcd"), ("etcd-events", "/var/lib/etcd-events")];
/// Of the keys of events.
pub(super) const PREFIX: &str = "/registry/events/";

fn disks(context: &Context<'_>) -> Result<()> {
    let lab = context.lab;
    for HostSpec { name: master, .. } in context.lab.masters() {
        let unit = lab.run(master, &["systemctl", "show", "kubelet", "--property=RequiresMountsFor"])?;
        let asserted = lab.run(master, &["systemctl", "cat", "kubelet"])?;
        for (pod, folder) in FOLDERS {
            // The device number of a mount point differs from that of the folder around it.
            lab.run(master, &["mountpoint", "--quiet", folder])
                .with_context(|| format!("{folder} of {master} is no file system of its own"))?;
            let data = format!("{folder}/member/snap/db");
            let opened = lab.run(master, &["stat", "--format=%m %U", &data])?;
            ensure!(opened.trim() == format!("{folder} root"), "{data} of {master} is on {opened}");
            let mode = lab.run(master, &["stat", "--format=%a", folder])?;
            ensure!(mode.trim() == "700", "{folder} of {master} has the mode {mode}");
            let manifest = lab.read_file(master, &format!("/etc/kubernetes/manifests/{pod}.yaml"))?;
            let manifest = String::from_utf8(manifest)?;
            ensure!(manifest.contains(&format!("--data-dir={folder}\n")), "{pod} of {master}: {manifest}");
            let mut listed = unit.trim().trim_start_matches("RequiresMountsFor=").split_whitespace();
            ensure!(listed.any(|one| one == folder), "kubelet of {master} waits for {unit}");
            let line = format!("AssertPathIsMountPoint={folder}\n");
            ensure!(asserted.contains(&line), "kubelet of {master} starts without {folder}");
        }
    }
    let worker = lab.run("w1", &["systemctl", "cat", "kubelet"])?;
    ensure!(!worker.contains("MountPoint"), "a worker's kubelet waits for a database: {worker}");
    Ok(())
}

fn voters(context: &Context<'_>) -> Result<()> {
    for HostSpec { name: master, .. } in context.lab.masters() {
        let cluster = Cluster::through(context.lab, master);
        let (own, events) = (cluster.etcd_voters()?, cluster.voters(Database::Events)?);
        ensure!((own, events) == (3, 3), "{master} sees {own} voters, and {events} of events");
    }
    Ok(())
}

/// Has an event written, and waits until this master's member for events has it.
pub(super) fn written(context: &Context<'_>, master: &str, name: &str) -> Result<()> {
    let cluster = Cluster::through(context.lab, master);
    let event = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": name, "namespace": "default"},
        "involvedObject": {"apiVersion": "v1", "kind": "Namespace", "name": "default"},
        "reason": "Tested", "message": "a test of the databases", "type": "Normal",
    });
    let key = format!("{PREFIX}default/{name}");
    until_true(&format!("{key} in the database of events"), WITHIN, || {
        cluster.apply(&event.to_string())?;
        Ok(cluster.keys(Database::Events, PREFIX)?.contains(&key))
    })
}

fn events(context: &Context<'_>) -> Result<()> {
    for HostSpec { name: master, .. } in context.lab.masters() {
        written(context, master, &format!("etcd-tests-{master}"))?;
    }
    let cluster = context.cluster();
    // What kubelets and controllers said during the install stands there, too.
    let kept = cluster.keys(Database::Events, PREFIX)?.len();
    ensure!(kept > 3, "only {kept} events are kept");
    let others = cluster.keys(Database::Events, "/registry/")?;
    let others: Vec<&String> = others.iter().filter(|key| !key.starts_with(PREFIX)).collect();
    ensure!(others.is_empty(), "not only events: {others:?}");
    let strays = cluster.keys(Database::Cluster, PREFIX)?;
    ensure!(strays.is_empty(), "events in the cluster's own database: {strays:?}");
    ensure!(!cluster.keys(Database::Cluster, "/registry/minions/")?.is_empty(), "it was not looked at");
    context.note(format!("{kept} events in their own database"));
    Ok(())
}

fn one_master_dead(context: &Context<'_>) -> Result<()> {
    let lab = context.lab;
    lab.kill_host("m3")?;
    let result = written(context, "m1", "etcd-tests-without-m3");
    lab.start_host("m3")?;
    result
}
