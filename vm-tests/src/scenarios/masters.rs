//! Any one master may die at any time: writes go on through a worker's own load balancer, the product answers, images
//! can be pulled; and the master comes back without a human.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::{Test, machine, refusals};
use crate::cluster::Cluster;
use crate::demo;
use crate::lab::{Lab, Role};
use crate::test::Context;
use crate::wait::{until, until_true};

/// In order.
pub const TESTS: &[Test] = &[
    Test::cluster("masters::first_dies_and_comes_back", |context| dies_and_comes_back(context, "m1")),
    Test::cluster("masters::second_dies_and_comes_back", |context| dies_and_comes_back(context, "m2")),
    Test::cluster("masters::third_dies_and_comes_back", |context| {
        // Most of this test is waiting: the machine of the next ones boots meanwhile.
        machine::switched_on(context.lab)?;
        dies_and_comes_back(context, "m3")
    }),
];

/// The worker through which everything is tried.
const WORKER: &str = "w1";
/// Where the administrator's certificate lies on the worker while a test needs it.
const ACCESS: &str = "/run/masters-test";
/// Longest time that something may take with one master dead: far above what it does, so that a busy machine passes.
const WITHIN: Duration = Duration::from_mins(4);
/// An image that no worker has: masters alone run it.
const FOREIGN_IMAGE: &str = "registry.k8s.io/coredns/coredns";

fn dies_and_comes_back(context: &Context<'_>, dead: &str) -> Result<()> {
    let lab = context.lab;
    let mut others = lab.masters().map(|host| host.name.as_str()).filter(|name| *name != dead);
    let (Some(other), true) = (others.next(), others.next().is_some()) else {
        bail!("three masters are needed to lose one")
    };
    let cluster = Cluster::through(lab, other);
    let access = Access::bring(lab, other)?;
    let image = ForeignImage::new(context)?;

    lab.kill_host(dead)?;
    let result = (|| {
        let killed = Instant::now();
        access.write(dead).context("a write through the worker's endpoint")?;
        let written = killed.elapsed().as_secs_f64();
        // A connection to the dead master that was under way ends; the balancer's next check takes it out.
        until("the way through the load balancer", WITHIN, || access.went_through_the_balancer().map(Some))?;
        let object = cluster.get(&["configmap", &format!("written-without-{dead}")])?;
        ensure!(object["data"]["dead"] == dead, "{other} reads another object: {object}");
        until("the product's page", WITHIN, || page_on_all_workers(lab).map(Some))?;
        image.pulled_by_a_new_pod(&cluster, dead)?;
        context.note(format!("with {dead} dead, a write was through after {written:.1} s"));
        Ok(())
    })();
    let started = Instant::now();
    lab.start_host(dead)?;
    lab.wait_ssh(dead)?;
    result?;
    is_back(lab, &cluster, dead)?;
    context.note(format!("{dead} was well again after {:.0} s", started.elapsed().as_secs_f64()));
    access.remove(&cluster, dead)?;
    image.remove(&cluster)?;
    ensure!(lab.packets_outside()? == 0, "packets went outside: {:?}", lab.traffic()?.offenders);
    Ok(())
}

fn page_on_all_workers(lab: &Lab) -> Result<()> {
    // The spare machine may be on, and is no worker yet.
    let mut workers = lab.hosts().filter(|host| host.role == Role::Worker && !host.spare);
    workers.try_for_each(|host| demo::page_of(lab, &host.address.to_string()).map(drop))
}

/// Ready in this life, a healthy voter, its own API server answering, every pod well.
fn is_back(lab: &Lab, cluster: &Cluster<'_>, name: &str) -> Result<()> {
    node_is_ready_since_boot(lab, cluster, name, WITHIN)?;
    let masters = lab.masters().count();
    let own = Cluster::through(lab, name);
    until_true(&format!("{masters} healthy voters, asked of {name}"), WITHIN, || {
        Ok(own.etcd_voters()? == masters)
    })?;
    pods_are_well(cluster)
}

/// Waits until the node says Ready with the boot that its host is in now; the last life's word counts for nothing.
pub fn node_is_ready_since_boot(
    lab: &Lab,
    cluster: &Cluster<'_>,
    name: &str,
    within: Duration,
) -> Result<()> {
    let boot = lab.run(name, &["cat", "/proc/sys/kernel/random/boot_id"])?;
    until_true(&format!("node {name} Ready"), within, || {
        let node = cluster.get(&["node", name])?;
        let same = node.pointer("/status/nodeInfo/bootID").and_then(Value::as_str) == Some(boot.trim());
        Ok(same && cluster.nodes()?.iter().any(|node| node.name == name && node.ready))
    })
}

/// Waits until no pod is unwell.
pub fn pods_are_well(cluster: &Cluster<'_>) -> Result<()> {
    until_true("all pods well", WITHIN, || {
        let unwell = cluster.pods_not_ready()?;
        ensure!(unwell.is_empty(), "unwell: {}", unwell.join(", "));
        Ok(true)
    })
}

/// The administrator's certificate on a worker, for requests to the endpoint's name from there.
struct Access<'a> {
    lab: &'a Lab,
    /// `https://NAME:PORT` as the administrator's kubeconfig has it.
    server: String,
}

impl<'a> Access<'a> {
    fn bring(lab: &'a Lab, master: &str) -> Result<Self> {
        let config = String::from_utf8(lab.read_file(master, "/etc/kubernetes/admin.conf")?)?;
        let config: Value =
            serde_yaml::from_str(&config).context("cannot read the administrator's kubeconfig")?;
        let text = |pointer: &str| {
            config.pointer(pointer).and_then(Value::as_str).with_context(|| format!("no {pointer} in it"))
        };
        lab.run(WORKER, &["install", "-d", "-m", "0700", ACCESS])?;
        for (file, pointer) in [
            ("ca", "/clusters/0/cluster/certificate-authority-data"),
            ("certificate", "/users/0/user/client-certificate-data"),
            ("key", "/users/0/user/client-key-data"),
        ] {
            let place = format!("{ACCESS}/{file}");
            let words = ["sh", "-c", "base64 --decode >\"$1\"", "sh", &place];
            let output = lab.exec_with_input(WORKER, &words, text(pointer)?.as_bytes())?;
            ensure!(output.status.success(), "cannot bring {file} to {WORKER}");
        }
        Ok(Self { lab, server: text("/clusters/0/cluster/server")?.to_owned() })
    }

    fn curl(&self, more: &[&str], input: &str) -> Result<String> {
        let (ca, certificate, key) =
            (format!("{ACCESS}/ca"), format!("{ACCESS}/certificate"), format!("{ACCESS}/key"));
        let mut words = vec!["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "10"];
        words.extend(["--cacert", &ca, "--cert", &certificate, "--key", &key]);
        words.extend(more);
        let output = self.lab.exec_with_input(WORKER, &words, input.as_bytes())?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            bail!("curl at {WORKER}: {} {said}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(said)
    }

    /// Creates an object, as often as it takes until the API says that it is created.
    fn write(&self, name: &str) -> Result<()> {
        let url = format!("{}/api/v1/namespaces/default/configmaps", self.server);
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": format!("written-without-{name}")}, "data": {"dead": name},
        });
        let words = ["--header", "Content-Type: application/json", "--data-binary", "@-", &url];
        until("the API takes a new object", WITHIN, || match self.curl(&words, &object.to_string()) {
            // The answer to the write before was lost with the master that gave it.
            Err(error) if format!("{error:#}").contains("AlreadyExists") => Ok(Some(())),
            answer => answer.map(|_| Some(())),
        })
    }

    /// The worker's way to the endpoint ends on the worker itself, at its load balancer.
    fn went_through_the_balancer(&self) -> Result<()> {
        let port = self.server.rsplit(':').next().unwrap_or_default();
        let url = format!("{}/readyz", self.server);
        let peer = self.curl(&["--output", "/dev/null", "--write-out", "%{remote_ip}", &url], "")?;
        ensure!(peer == "127.0.0.1", "{WORKER} reaches {} at {peer}", self.server);
        let listener = self.lab.run(WORKER, &["ss", "-Htlnp", &format!("sport = :{port}")])?;
        ensure!(listener.contains("\"haproxy\""), "on {WORKER}, port {port} belongs to {listener:?}");
        Ok(())
    }

    fn remove(self, cluster: &Cluster<'_>, name: &str) -> Result<()> {
        cluster.kubectl(&["delete", "configmap", &format!("written-without-{name}")])?;
        self.lab.run(WORKER, &["rm", "--recursive", ACCESS]).map(drop)
    }
}

/// An image of the bundle that the worker does not have, and a pod that needs it.
struct ForeignImage<'a> {
    lab: &'a Lab,
    name: String,
    digest: String,
    /// What the worker's runtime has before.
    before: Vec<String>,
}

const POD: &str = "needs-a-new-image";

impl<'a> ForeignImage<'a> {
    fn new(context: &Context<'a>) -> Result<Self> {
        let bundle = refusals::open(context, &context.made.bundle)?;
        let image = bundle.document().images.iter().find(|image| image.name.starts_with(FOREIGN_IMAGE));
        let image = image.with_context(|| format!("the bundle has no {FOREIGN_IMAGE}"))?;
        let mut new = Self {
            lab: context.lab,
            name: image.name.clone(),
            digest: image.digest.clone(),
            before: Vec::new(),
        };
        new.before = new.references()?;
        let there = new.before.iter().any(|reference| reference.starts_with(FOREIGN_IMAGE));
        ensure!(!there, "{} is on {WORKER} already", new.name);
        Ok(new)
    }

    fn ctr(&self, words: &[&str]) -> Result<String> {
        let all = [&["/usr/local/bin/ctr", "--namespace", "k8s.io", "images"], words].concat();
        self.lab.run(WORKER, &all)
    }

    /// Names of images and of their configs.
    fn references(&self) -> Result<Vec<String>> {
        Ok(self.ctr(&["ls", "-q"])?.lines().map(str::to_owned).collect())
    }

    /// Through the scheduler, so that its new leader is tried, too.
    fn pulled_by_a_new_pod(&self, cluster: &Cluster<'_>, dead: &str) -> Result<()> {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": POD, "namespace": "default"},
            "spec": {
                "restartPolicy": "Never",
                "nodeSelector": {"kubernetes.io/hostname": WORKER},
                "automountServiceAccountToken": false,
                "containers": [{
                    "name": "version", "image": self.name, "imagePullPolicy": "Always",
                    "command": ["/coredns", "-version"],
                }],
            },
        });
        // The very API server that is asked may be electing its etcd's leader.
        until("a new pod is taken", WITHIN, || cluster.apply(&pod.to_string()).map(Some))?;
        let what = format!("a pod on {WORKER} with an image that must be pulled while {dead} is dead");
        let done = until(&what, WITHIN, || {
            let pod = cluster.get(&["pod", POD])?;
            let waits = pod.pointer("/status/containerStatuses/0/state/waiting/message");
            match pod["status"]["phase"].as_str() {
                Some("Succeeded") => Ok(Some(pod)),
                _ => bail!("{} {}", pod["status"]["phase"], waits.unwrap_or(&Value::Null)),
            }
        })?;
        let ran = done.pointer("/status/containerStatuses/0/imageID").and_then(Value::as_str);
        let ran = ran.unwrap_or_default();
        ensure!(ran.ends_with(&self.digest), "the pod ran {ran}, not {}", self.digest);
        Ok(())
    }

    /// Takes pod and image away, with all references that came with it: the next one pulls every byte again.
    fn remove(&self, cluster: &Cluster<'_>) -> Result<()> {
        cluster.kubectl(&["delete", "pod", POD, "--wait=true", "--timeout=60s", "--request-timeout=0"])?;
        let came: Vec<String> =
            self.references()?.into_iter().filter(|reference| !self.before.contains(reference)).collect();
        let words: Vec<&str> = ["rm", "--sync"].into_iter().chain(came.iter().map(String::as_str)).collect();
        self.ctr(&words).map(drop)
    }
}
