//! A worker that is a machine of its own: it comes to a cluster that stands, with a kernel of its own, cgroup v2, swap
//! that must go, and it reboots.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::Test;
use super::hosts::{Before, DEMO, install, says};
use super::install::{ALIVE, files_of};
use super::masters::{node_is_ready_since_boot, pods_are_well};
use crate::demo;
use crate::lab::{self, HostSpec, Lab};
use crate::test::{Context, Ended};
use crate::wait::until;

/// In order.
pub const TESTS: &[Test] = &[
    Test::cluster("machine::clock_one_hour_off_is_refused", clock_one_hour_off),
    Test::cluster("machine::joins_the_cluster_that_stands", joins_the_cluster),
    Test::cluster("machine::own_kernel_and_cgroup_v2", own_kernel_and_cgroup_v2),
    Test::cluster("machine::swap_is_off_that_was_on", swap_is_off_that_was_on),
    Test::cluster("machine::pod_runs_and_comes_back_after_a_reboot", pod_comes_back_after_a_reboot),
];

/// Longest time for anything on a machine that may be emulated.
const WITHIN: Duration = Duration::from_mins(10);
const POD: &str = "on-the-machine";

/// The lab's spare host, switched on; it takes its time to boot.
pub fn switched_on(lab: &Lab) -> Result<&HostSpec> {
    let host = lab.spec().hosts.iter().find(|host| host.spare).context("this lab has no spare machine")?;
    lab.start_host(&host.name)?;
    Ok(host)
}

/// The lab's spare host, when it answers.
fn machine(lab: &Lab) -> Result<&HostSpec> {
    let host = switched_on(lab)?;
    lab.wait_ssh(&host.name)?;
    Ok(host)
}

/// Installs the demo's site with the machine as one more worker.
fn install_with(context: &Context<'_>, machine: &HostSpec) -> Result<Ended> {
    let (name, address) = (&machine.name, machine.address);
    let overlay = context.overlay(
        "one-more-worker",
        &format!("hosts:\n  - name: {name}\n    address: {address}\n    role: worker\n"),
    )?;
    install(context, DEMO, &[&overlay])
}

/// The machine's name, after it has joined.
fn joined<'a>(context: &Context<'a>) -> Result<&'a str> {
    let host = machine(context.lab)?;
    if !context.cluster().nodes()?.iter().any(|node| node.name == host.name) {
        install_with(context, host)?.expect_code(0)?;
    }
    Ok(&host.name)
}

fn kernel(lab: &Lab, host: &str) -> Result<String> {
    Ok(lab.run(host, &["uname", "--kernel-release"])?.trim().to_owned())
}

fn clock_one_hour_off(context: &Context<'_>) -> Result<()> {
    let lab = context.lab;
    let machine = machine(lab)?;
    let host = machine.name.as_str();
    let master = lab.snapshot_files("m1", ALIVE)?;
    let before = Before::look(lab, &[host])?;
    lab.run(host, &["date", "--set", "+1 hour"])?;
    let ended = install_with(context, machine);
    lab.run(host, &["date", "--set", "-1 hour"])?;
    let name = format!("clock.skew on {host}");
    let remedy = format!("set the clock of {host}");
    says(&ended?, &[&name, "60 min ahead of", "limit", &remedy])?;
    before.unchanged()?;
    let changed = lab::differences(&master, &lab.snapshot_files("m1", ALIVE)?);
    ensure!(changed.is_empty(), "files of m1 are not as before: {changed:?}");
    Ok(())
}

/// What an install that brings one more host changes on those that stand: its name is known there, and that is
/// recorded, with a copy of the file before.
const LEARNED: &[&str] = &["/etc/hosts", "/var/lib/sealift/journal.jsonl", "/var/lib/sealift/undo/"];

/// A worker that is added to the profile later joins; the hosts that stand learn its name and nothing else.
fn joins_the_cluster(context: &Context<'_>) -> Result<()> {
    let lab = context.lab;
    let machine = machine(lab)?;
    let standing = || lab.hosts().filter(|host| !host.spare);
    let before = files_of(lab, standing())?;
    let ended = install_with(context, machine)?;
    ended.expect_code(0)?.expect_text(&["6 nodes Ready, 3 voters"])?;
    context.note(format!("{} joined in {:.0} s", machine.name, ended.seconds));
    let mut changed = Vec::new();
    for (host, after) in files_of(lab, standing())? {
        let differences = lab::differences(&before[host], &after);
        // `+`, `-` or `~`, a space, a path.
        let learned = |line: &&String| LEARNED.iter().any(|start| line[2..].starts_with(start));
        ensure!(
            differences.iter().any(|line| line.ends_with(" /etc/hosts")),
            "{host} does not know the new name"
        );
        changed.extend(differences.iter().filter(|line| !learned(line)).map(|line| format!("{host} {line}")));
    }
    ensure!(changed.is_empty(), "hosts that stood before are not as they were:\n{}", changed.join("\n"));
    pods_are_well(&context.cluster())
}

fn own_kernel_and_cgroup_v2(context: &Context<'_>) -> Result<()> {
    let lab = context.lab;
    let host = joined(context)?;
    let (own, masters) = (kernel(lab, host)?, kernel(lab, "m1")?);
    ensure!(own != masters, "{host} and m1 run the same kernel {own}");
    let node = context.cluster().get(&["node", host])?;
    let reported = node.pointer("/status/nodeInfo/kernelVersion").and_then(Value::as_str);
    ensure!(reported == Some(own.as_str()), "the cluster takes the kernel of {host} for {reported:?}");
    let groups = lab.run(host, &["stat", "--file-system", "--format=%T", "/sys/fs/cgroup"])?;
    ensure!(groups.trim() == "cgroup2fs", "{host} has {}", groups.trim());
    for (file, line) in [
        ("/var/lib/kubelet/config.yaml", "cgroupDriver: systemd"),
        ("/etc/containerd/config.toml", "SystemdCgroup = true"),
    ] {
        let text = String::from_utf8(lab.read_file(host, file)?)?;
        ensure!(text.lines().any(|one| one.trim() == line), "{file} on {host} does not say {line}");
    }
    // Pods really live in slices of systemd.
    lab.run(host, &["systemctl", "is-active", "--quiet", "kubepods.slice"])?;
    Ok(())
}

fn no_swap(lab: &Lab, host: &str) -> Result<()> {
    let swaps = lab.run(host, &["tail", "--lines=+2", "/proc/swaps"])?;
    ensure!(swaps.trim().is_empty(), "{host} swaps to {swaps}");
    Ok(())
}

/// The installer's record on the host says that swap was on: only who switched it off knows.
fn swap_is_off_that_was_on(context: &Context<'_>) -> Result<()> {
    let lab = context.lab;
    let host = joined(context)?;
    no_swap(lab, host)?;
    let journal = String::from_utf8(lab.read_file(host, "/var/lib/sealift/journal.jsonl")?)?;
    let entries = journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let off: Vec<Value> = entries.filter(|entry| entry["change"] == "swapOff").collect();
    ensure!(
        off.iter().any(|entry| entry["path"] == "/swapfile"),
        "the journal of {host} records no swap that was switched off: {off:?}"
    );
    let fstab = String::from_utf8(lab.read_file(host, "/etc/fstab")?)?;
    let active = fstab.lines().find(|line| !line.starts_with('#') && line.contains("swap"));
    ensure!(active.is_none() && fstab.contains("/swapfile"), "fstab of {host}: {fstab}");
    Ok(())
}

/// The probe's container, when it is ready: how often it was started anew.
fn ready_restarts(context: &Context<'_>) -> Result<Option<u64>> {
    let pod = context.cluster().get(&["pod", POD])?;
    let status = pod.pointer("/status/containerStatuses/0").context("its container has no status yet")?;
    let ready = status["ready"] == true && pod["status"]["phase"] == "Running";
    ensure!(ready, "{}", status["state"]);
    Ok(status["restartCount"].as_u64())
}

fn pod_comes_back_after_a_reboot(context: &Context<'_>) -> Result<()> {
    let (lab, cluster) = (context.lab, context.cluster());
    let host = joined(context)?;
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": POD, "namespace": "default"},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": host},
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": false,
            // The image with a shell that every worker has. It ends when it is told to, as a program on its way to a
            // reboot should: systemd waits 90 s for one that does not.
            "containers": [{
                "name": "probe", "image": "docker.io/library/postgres:15", "imagePullPolicy": "IfNotPresent",
                "command": ["sh", "-c", "trap 'exit 0' TERM; uname --kernel-release; sleep infinity & wait"],
            }],
        },
    });
    cluster.apply(&pod.to_string())?;
    let before = until(&format!("a pod ready on {host}"), WITHIN, || ready_restarts(context))?;
    let said = cluster.kubectl(&["logs", POD])?;
    ensure!(said.trim() == kernel(lab, host)?, "the pod runs on the kernel {said}");

    let boot_id = || lab.run(host, &["cat", "/proc/sys/kernel/random/boot_id"]);
    let first = boot_id()?;
    lab.reboot_host(host)?;
    ensure!(boot_id()? != first, "{host} has not booted");
    node_is_ready_since_boot(lab, &cluster, host, WITHIN)?;
    no_swap(lab, host)?;
    let what = format!("the pod started again on {host}");
    until(&what, WITHIN, || Ok(ready_restarts(context)?.filter(|count| *count > before)))?;
    let address = lab.spec().host(host)?.address.to_string();
    until(&format!("the product's page at {host}"), WITHIN, || demo::page_of(lab, &address).map(Some))?;
    cluster.kubectl(&["delete", "pod", POD, "--wait=true", "--timeout=120s", "--request-timeout=0"])?;
    pods_are_well(&cluster)
}
