//! Operating choices of nodes and controllers: what the profile chose is what the running cluster does.
//!
//! What was chosen is read from the plan that was signed; a profile that chooses nothing where a test looks is a failure of
//! that test, since it would show nothing.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::Test;
use crate::cluster::Cluster;
use crate::lab::HostSpec;
use crate::test::{Context, SIGNED_PLAN};
use crate::wait::until;

/// In order.
pub const TESTS: &[Test] = &[
    Test::cluster("operation::a_pod_above_its_process_limit_cannot_fork", process_limit),
    Test::cluster("operation::nodes_keep_what_the_formula_says", reservations),
    Test::cluster("operation::silent_nodes_are_handled_as_chosen", node_failure),
    Test::cluster("operation::nodes_say_where_they_stand", placement),
    Test::cluster("operation::a_bandwidth_annotation_limits_a_transfer", bandwidth),
    Test::cluster("operation::copies_follow_the_size_of_the_site", replicas),
    Test::cluster("operation::swap_is_off_for_good", swap),
];

/// Longest time that a pod of these tests may take: far above what it does, so that a busy machine passes.
const WITHIN: Duration = Duration::from_mins(4);
/// An image that workers have, with a shell, an HTTP server and a client.
const TOOLS: &str = "docker.io/library/busybox:1.35";

/// The profile as it was planned, defaults filled in.
fn profile(context: &Context<'_>) -> Result<Value> {
    context.installed()?;
    let text = fs::read_to_string(context.lab.seat_home().join(SIGNED_PLAN))?;
    let mut plan: Value = serde_json::from_str(&text)?;
    let profile = plan.pointer_mut("/plan/inputs/profile").map(Value::take);
    profile.context("the signed plan does not say what it was made from")
}

/// A pod of one container on a worker; `command` is a script for the image's shell.
fn pod(name: &str, worker: &str, annotations: &Value, script: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "annotations": annotations},
        "spec": {
            "restartPolicy": "Never",
            "nodeSelector": {"kubernetes.io/hostname": worker},
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "main", "image": TOOLS, "imagePullPolicy": "IfNotPresent",
                "command": ["busybox", "sh", "-c", script],
            }],
        },
    })
}

/// Starts a pod, waits until it is in one of these phases, gives it as it is then.
fn run_until(cluster: &Cluster<'_>, pod: &Value, phases: &[&str]) -> Result<Value> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    cluster.apply(&pod.to_string())?;
    until(&format!("pod {name} {}", phases.join(" or ")), WITHIN, || {
        let now = cluster.get(&["pod", name])?;
        let phase = now["status"]["phase"].as_str().unwrap_or_default();
        if phases.contains(&phase) {
            return Ok(Some(now));
        }
        bail!("{}", now["status"]);
    })
}

fn delete(cluster: &Cluster<'_>, pods: &[&str]) -> Result<()> {
    let words = [&["delete", "pod", "--ignore-not-found", "--now", "--request-timeout=0"], pods].concat();
    cluster.kubectl(&words).map(drop)
}

/// What the kubelet of a node goes by.
fn kubelet(cluster: &Cluster<'_>, node: &str) -> Result<Value> {
    let text = cluster.kubectl(&["get", "--raw", &format!("/api/v1/nodes/{node}/proxy/configz")])?;
    let mut config: Value = serde_json::from_str(&text).context("configz is no JSON")?;
    Ok(config["kubeletconfig"].take())
}

fn process_limit(context: &Context<'_>) -> Result<()> {
    const POD: &str = "forks";
    let cluster = context.cluster();
    let limit = profile(context)?["nodes"]["podPidsLimit"].as_u64().context("no limit was planned")?;
    for host in context.hosts() {
        let told = kubelet(&cluster, host)?["podPidsLimit"].as_u64();
        ensure!(told == Some(limit), "the kubelet of {host} has the limit {told:?}, planned was {limit}");
    }
    let script = format!(
        "i=0; while [ $i -lt {} ]; do sleep 600 & i=$((i+1)); echo $i; done; echo all; exit 0",
        limit + 100
    );
    let ended = run_until(&cluster, &pod(POD, "w1", &json!({}), &script), &["Failed", "Succeeded"])?;
    let said = cluster.kubectl(&["logs", POD])?;
    delete(&cluster, &[POD])?;
    let last = said.lines().rev().find_map(|line| line.parse::<u64>().ok()).unwrap_or_default();
    ensure!(
        ended["status"]["phase"] == "Failed" && said.contains("can't fork"),
        "a pod got {last} processes at a limit of {limit}: {}",
        said.lines().last().unwrap_or_default()
    );
    // Beside them are the shell and the pod's own process.
    ensure!(last < limit && last + 16 > limit, "it was stopped at {last} processes, the limit is {limit}");
    context.note(format!("a pod was stopped at {last} processes, its limit is {limit}"));
    Ok(())
}

/// What a node of this size keeps: thousandths of a processor and MiB of memory.
///
/// Written down here a second time from what is published: AKS' table for processors (60, 40, 20, 20, then 10 each), GKE's
/// ladder for memory (25 % of the first 4 GiB, 20 % of 4, 10 % of 8, 6 % up to 128, 2 % above), of whole GiB, rounded up.
fn formula(cores: u64, kibibytes: u64) -> (u64, u64) {
    const GIB: u64 = 1 << 20;
    let cpu =
        (0..cores).map(|core| [60, 40, 20, 20].get(usize::try_from(core).unwrap_or(9)).unwrap_or(&10)).sum();
    let kibibytes = kibibytes.next_multiple_of(GIB);
    let steps = [(0, 25), (4 * GIB, 20), (8 * GIB, 10), (16 * GIB, 6), (128 * GIB, 2)];
    let mut kept = 0;
    for (number, (from, percent)) in steps.iter().enumerate() {
        let to = steps.get(number + 1).map_or(u64::MAX, |(next, _)| *next);
        kept += kibibytes.min(to).saturating_sub(*from) * percent;
    }
    (cpu, kept.div_ceil(100 * 1024))
}

fn reservations(context: &Context<'_>) -> Result<()> {
    let own = profile(context)?["nodes"]["reserved"].take();
    let cluster = context.cluster();
    for host in context.hosts() {
        let node = cluster.get(&["node", host])?;
        let amount = |what: &str| {
            let text = |name: &str| node.pointer(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (has, gives) =
                (text(&format!("/status/capacity/{what}")), text(&format!("/status/allocatable/{what}")));
            (quantity(&has), quantity(&gives))
        };
        let ((Some(cores), Some(cpu)), (Some(memory), Some(left))) = (amount("cpu"), amount("memory")) else {
            bail!("{host} tells {}", node["status"]["allocatable"]);
        };
        let by_formula = formula(cores / 1000, memory / 1024);
        let kept_cpu = own["cpuMillicores"].as_u64().unwrap_or(by_formula.0);
        let kept_memory = own["memoryMebibytes"].as_u64().unwrap_or(by_formula.1);
        let eviction = own["evictionMebibytes"].as_u64().unwrap_or(100);
        ensure!(
            cores - cpu == kept_cpu && memory - left == (kept_memory + eviction) << 20,
            "{host} keeps {} thousandths of a processor and {} MiB; expected {kept_cpu} and {kept_memory} + {eviction}",
            cores - cpu,
            (memory - left) >> 20
        );
        if host == "w1" {
            context.note(format!("w1 keeps {kept_cpu} m and {kept_memory} + {eviction} MiB for itself"));
        }
    }
    Ok(())
}

/// `2` and `1900m` as thousandths, `8026948Ki` as bytes.
fn quantity(text: &str) -> Option<u64> {
    if let Some(milli) = text.strip_suffix('m') {
        milli.parse().ok()
    } else if let Some(kibi) = text.strip_suffix("Ki") {
        kibi.parse::<u64>().ok().map(|kibi| kibi << 10)
    } else if let Some(mebi) = text.strip_suffix("Mi") {
        mebi.parse::<u64>().ok().map(|mebi| mebi << 20)
    } else {
        text.parse::<u64>().ok().map(|whole| whole * 1000)
    }
}

/// Arguments that a component of a master runs with, as far as they stand in `wanted`.
fn arguments(
    cluster: &Cluster<'_>,
    component: &str,
    master: &str,
    wanted: &[&str],
) -> Result<BTreeMap<String, String>> {
    let pod = cluster.get(&["pod", "-n", "kube-system", &format!("{component}-{master}")])?;
    let command = pod.pointer("/spec/containers/0/command").and_then(Value::as_array);
    let words = command.with_context(|| format!("{component} of {master} has no command"))?.iter();
    let pairs = words.filter_map(|word| word.as_str()?.strip_prefix("--")?.split_once('='));
    Ok(pairs
        .filter(|(name, _)| wanted.contains(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

fn node_failure(context: &Context<'_>) -> Result<()> {
    let nodes = profile(context)?["nodes"].take();
    // By kubespray's page on reliability; see the installer's own words about the presets.
    let (update, period, grace, seconds) = match nodes["failure"].as_str() {
        Some("fast") => ("4s", "2s", "20s", 30),
        Some("tolerant") => ("20s", "5s", "2m0s", 300),
        other => bail!("the profile of this lab chooses {other:?}: nothing to see"),
    };
    let mut expected = BTreeMap::from([
        ("node-monitor-period".to_owned(), period.to_owned()),
        ("node-monitor-grace-period".to_owned(), grace.to_owned()),
    ]);
    let brake = &nodes["evictionBrake"];
    ensure!(brake.is_object(), "the profile of this lab chooses no eviction brake: nothing to see");
    for (flag, key) in [
        ("unhealthy-zone-threshold", "unhealthyZoneThreshold"),
        ("large-cluster-size-threshold", "largeClusterSizeThreshold"),
        ("node-eviction-rate", "nodeEvictionRate"),
        ("secondary-node-eviction-rate", "secondaryNodeEvictionRate"),
    ] {
        expected.insert(flag.to_owned(), brake[key].to_string());
    }
    let names: Vec<&str> = expected.keys().map(String::as_str).collect();
    let cluster = context.cluster();
    for HostSpec { name: master, .. } in context.lab.masters() {
        let found = arguments(&cluster, "kube-controller-manager", master, &names)?;
        ensure!(
            found == expected,
            "the controller manager of {master} has {found:?}, planned was {expected:?}"
        );
    }
    for host in context.hosts() {
        let told = kubelet(&cluster, host)?["nodeStatusUpdateFrequency"].take();
        ensure!(told == update, "the kubelet of {host} reports every {told}, planned was {update}");
    }
    // What the API server does to a pod that says nothing itself.
    let name = "tolerates";
    let made = run_until(&cluster, &pod(name, "w1", &json!({}), "exit 0"), &["Succeeded"])?;
    delete(&cluster, &[name])?;
    let waits: Vec<u64> = made["spec"]["tolerations"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["tolerationSeconds"].as_u64())
        .collect();
    ensure!(
        waits == [seconds, seconds],
        "a new pod stays on a failed node for {waits:?} s, planned was {seconds}"
    );
    Ok(())
}

fn placement(context: &Context<'_>) -> Result<()> {
    let profile = profile(context)?;
    let cluster = context.cluster();
    let mut seen = 0;
    for host in profile["hosts"].as_array().into_iter().flatten() {
        let name = host["name"].as_str().unwrap_or_default();
        let labels = cluster.get(&["node", name])?["metadata"]["labels"].take();
        for (key, label) in [
            ("region", "topology.kubernetes.io/region"),
            ("zone", "topology.kubernetes.io/zone"),
            ("unit", "sealift.dev/unit"),
        ] {
            let planned = &host["placement"][key];
            ensure!(
                labels[label] == *planned,
                "{name} says {label} is {}, planned was {planned}",
                labels[label]
            );
            seen += usize::from(planned.is_string());
        }
    }
    ensure!(seen > 0, "the profile of this lab says of no host where it stands: nothing to see");
    Ok(())
}

/// Bytes of one transfer.
const BLOCK_MIB: u64 = 4;
/// The limit under test, bits a second.
const LIMIT: u64 = 10_000_000;
/// What counts as limited, bits a second.
const AT_MOST: u64 = LIMIT * 5 / 4;
/// Most transfers. The runtime lets up to 512 MiB pass before it limits (it hands the plugin the largest burst there is).
const TRANSFERS: u64 = 200;

fn bandwidth(context: &Context<'_>) -> Result<()> {
    ensure!(
        profile(context)?["nodes"]["podBandwidth"] == true,
        "this lab does not limit bandwidth: nothing to see"
    );
    let cluster = context.cluster();
    let pods = ["bandwidth-server", "bandwidth-limited", "bandwidth-free"];
    let serve = format!(
        "mkdir /www; dd if=/dev/zero of=/www/block bs=1M count={BLOCK_MIB}; exec busybox httpd -f -p 8080 -h /www"
    );
    let server = run_until(&cluster, &pod(pods[0], "w2", &json!({}), &serve), &["Running"])?;
    let address = server["status"]["podIP"].as_str().context("the server has no address")?;
    let limited = json!({"kubernetes.io/ingress-bandwidth": "10M", "kubernetes.io/egress-bandwidth": "10M"});
    let result = (|| -> Result<(Vec<u64>, Vec<u64>)> {
        let slow = transfers(&cluster, &pod(pods[1], "w1", &limited, &fetch(address)))?;
        let fast = transfers(&cluster, &pod(pods[2], "w1", &json!({}), &fetch(address)))?;
        Ok((slow, fast))
    })();
    delete(&cluster, &pods)?;
    let (slow, fast) = result?;
    let rate = |hundredths: u64| BLOCK_MIB * (8 << 20) * 100 / hundredths.max(1);
    // The limit's last transfers, when the burst is used up; a busy machine makes them slower, never faster.
    let ends: Vec<u64> = slow.iter().rev().take(3).map(|time| rate(*time)).collect();
    let best = fast.iter().map(|time| rate(*time)).max().unwrap_or_default();
    ensure!(
        ends.len() == 3 && ends.iter().all(|rate| *rate < AT_MOST),
        "limited to {LIMIT} bit/s, the last transfers had {ends:?} after {} in all",
        slow.len()
    );
    ensure!(best > 4 * LIMIT, "without a limit the best transfer had {best} bit/s: nothing to compare with");
    let megabits = |rate: u64| rate as f64 / 1e6;
    context.note(format!(
        "10 Mbit/s limit: {:.1} Mbit/s; without: {:.0} Mbit/s",
        megabits(ends[0]),
        megabits(best)
    ));
    Ok(())
}

/// Fetches the block again and again, says how long each took in hundredths of a second, and ends when three in a row
/// were limited from their beginning: the first that is slow may have had the rest of the burst.
fn fetch(address: &str) -> String {
    let limited = BLOCK_MIB * (8 << 20) * 100 / AT_MOST;
    format!(
        "n=0; slow=0
        until busybox wget -q -O /dev/null http://{address}:8080/block; do sleep 1; done
        while [ $n -lt {TRANSFERS} ] && [ $slow -lt 3 ]; do
          read from rest </proc/uptime
          busybox wget -q -O /dev/null http://{address}:8080/block || exit 3
          read to rest </proc/uptime
          took=$((${{to%.*}}${{to#*.}} - ${{from%.*}}${{from#*.}}))
          echo took $took
          if [ $took -gt {limited} ]; then slow=$((slow+1)); else slow=0; fi
          n=$((n+1))
        done"
    )
}

fn transfers(cluster: &Cluster<'_>, pod: &Value) -> Result<Vec<u64>> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let ended = run_until(cluster, pod, &["Succeeded", "Failed"])?;
    let said = cluster.kubectl(&["logs", name])?;
    ensure!(ended["status"]["phase"] == "Succeeded", "{name} failed: {said}");
    Ok(said.lines().filter_map(|line| line.strip_prefix("took ")?.parse().ok()).collect())
}

fn replicas(context: &Context<'_>) -> Result<()> {
    let own = profile(context)?["replicas"].take();
    let (masters, hosts) = (context.lab.masters().count() as u64, context.hosts().len() as u64);
    let cluster = context.cluster();
    let running = |words: &[&str]| -> Result<u64> {
        let list = cluster.get(words)?;
        let pods = list["items"].as_array().into_iter().flatten();
        Ok(pods.filter(|pod| pod["status"]["phase"] == "Running").count() as u64)
    };
    let dns = running(&["pods", "-n", "kube-system", "-l", "k8s-app=kube-dns"])?;
    let expected = own["dns"].as_u64().unwrap_or_else(|| hosts.div_ceil(16).max(2)).clamp(masters, hosts);
    ensure!(dns == expected, "{dns} DNS servers run, expected {expected}");
    let web = cluster.get(&["deployment", "-n", "orders", "orders-web"])?["spec"]["replicas"].as_u64();
    let workers = if hosts == masters { masters } else { hosts - masters };
    let by_rule = match workers {
        0 | 1 => 1,
        2..=4 => 2,
        _ => 3,
    };
    let expected = own["services"].as_u64().unwrap_or(by_rule);
    ensure!(web == Some(expected), "the order page has {web:?} copies, expected {expected}");
    Ok(())
}

fn swap(context: &Context<'_>) -> Result<()> {
    let cluster = context.cluster();
    for host in context.hosts() {
        let areas = context.lab.run(host, &["cat", "/proc/swaps"])?;
        ensure!(areas.lines().count() <= 1, "{host} has swap: {areas}");
        let fstab = context.lab.run(host, &["sh", "-c", "grep -Ev '^[[:space:]]*#' /etc/fstab || true"])?;
        let left = fstab.lines().find(|line| line.split_whitespace().nth(2) == Some("swap"));
        ensure!(left.is_none(), "{host} gets swap at its next boot: {left:?}");
        let told = kubelet(&cluster, host)?["failSwapOn"].take();
        ensure!(told == true, "the kubelet of {host} has failSwapOn {told}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_is_the_published_one() {
        assert_eq!(formula(2, 4 << 20), (100, 1024));
        assert_eq!(formula(8, (32 << 20) - 700_000), (180, 3646));
        assert_eq!(formula(16, 64 << 20), (260, 5612));
    }

    #[test]
    fn quantities_as_the_api_writes_them() {
        let read = ["2", "1900m", "8Ki", "3Mi", "x"].map(quantity);
        assert_eq!(read, [Some(2000), Some(1900), Some(8192), Some(3 << 20), None]);
    }
}
