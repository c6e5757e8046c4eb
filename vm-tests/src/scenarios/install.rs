//! The main job, undisturbed: what stands at its end, and that doing it again changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use sealift_bundle::BundleDocument;
use sealift_bundle::document::Role as BundleRole;
use serde::Deserialize;

use super::reference::Reference;
use super::{Test, refusals};
use crate::demo::Proof;
use crate::lab::{self, FileState, HostSpec, Lab, Role, run};
use crate::stage::human_bytes;
use crate::test::{Context, joined};

/// In order.
pub const TESTS: &[Test] = &[
    Test::cluster("install::cluster_and_product_stand", cluster_and_product_stand),
    Test::cluster("install::every_image_is_the_bundles_and_pinned", every_image_is_the_bundles),
    Test::cluster("install::second_run_changes_nothing", second_run_changes_nothing),
    Test::cluster("install::helm_installs_a_chart_taken_out", helm_installs_a_chart),
    Test::cluster("install::no_packet_went_outside", no_packet_went_outside),
];

fn cluster_and_product_stand(context: &Context<'_>) -> Result<()> {
    let installed = context.installed()?;
    installed.ended.expect_text(&["\"topic\":\"done\"", "5 nodes Ready, 3 voters"])?;
    context.note(format!(
        "installed in {:.0} s, the seat sent {}",
        installed.ended.seconds,
        human_bytes(installed.sent)
    ));
    let nodes = context.cluster().nodes()?;
    let version = format!("v{}", context.payload.version);
    for node in &nodes {
        let master = node.roles.iter().any(|role| role == "control-plane");
        let expected = context.lab.spec().host(&node.name)?.role == Role::Master;
        if !node.ready || node.version != version || master != expected {
            bail!("not as it should be at {version}: {node:?}");
        }
    }
    let proof = Proof::collect(context.lab)?;
    if !proof.holds() {
        bail!("{}", proof.json(&[]));
    }
    Ok(())
}

/// What `cri-list` says of a node.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    images: Vec<ListedImage>,
    containers: Vec<ListedContainer>,
    /// Manifest digests by name and by image id, as the runtime's own store has them: `cri-list` sees them only for
    /// images that were asked for by digest.
    #[serde(default)]
    digests: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedImage {
    id: String,
    repo_tags: Vec<String>,
    pinned: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedContainer {
    name: String,
    image_ref: String,
    image_id: String,
}

fn listing(context: &Context<'_>, host: &str) -> Result<Listing> {
    let program = fs::read(context.payload.bin.join("cri-list")).context("the payload has no cri-list")?;
    let place = "/var/tmp/cri-list";
    let lab = context.lab;
    lab.write_file(host, place, &program)?;
    lab.run(host, &["chmod", "0755", place])?;
    let text = lab.run(host, &[place, "-timeout=60s"]);
    lab.run(host, &["rm", place])?;
    let mut listing: Listing = serde_json::from_str(&text?).context("cannot read what cri-list said")?;
    let store = lab.run(host, &["/usr/local/bin/ctr", "--namespace", "k8s.io", "images", "list"])?;
    listing.digests = store.lines().skip(1).filter_map(name_and_digest).collect();
    Ok(listing)
}

/// From `NAME TYPE DIGEST …`.
fn name_and_digest(line: &str) -> Option<(String, String)> {
    let mut words = line.split_whitespace();
    let (name, _, digest) = (words.next()?, words.next()?, words.next()?);
    Some((name.to_owned(), digest.to_owned()))
}

fn every_image_is_the_bundles(context: &Context<'_>) -> Result<()> {
    let bundle = refusals::open(context, &context.made.bundle)?;
    for host in context.lab.hosts() {
        let role = match host.role {
            Role::Master => BundleRole::ControlPlane,
            Role::Worker => BundleRole::Worker,
        };
        let listing = listing(context, &host.name)?;
        judge(bundle.document(), role, &listing).with_context(|| format!("on {}", host.name))?;
    }
    Ok(())
}

/// Every image of a node is one of the bundle, by digest, and pinned; every container runs one of them; none that the
/// node's role needs is missing.
fn judge(document: &BundleDocument, role: BundleRole, listing: &Listing) -> Result<()> {
    for image in &listing.images {
        let named = document.images.iter().find(|known| image.repo_tags.contains(&known.name));
        let Some(known) = named else { bail!("{image:?} is not in the bundle") };
        let digests = [&known.name, &image.id].map(|name| listing.digests.get(name));
        if digests != [Some(&known.digest); 2] || !image.pinned {
            bail!("{image:?} is {digests:?} and not {}, pinned", known.digest);
        }
    }
    for known in document.images.iter().filter(|image| image.roles.contains(&role)) {
        if !listing.images.iter().any(|image| image.repo_tags.contains(&known.name)) {
            bail!("{} is missing", known.name);
        }
    }
    if listing.containers.is_empty() {
        bail!("no container runs");
    }
    for container in &listing.containers {
        let runs = |image: &&ListedImage| [&container.image_id, &container.image_ref].contains(&&image.id);
        if !listing.images.iter().any(|image| runs(&image)) {
            bail!("{container:?} ({}) runs an image that is not listed", container.name);
        }
    }
    Ok(())
}

/// Trees in which a running cluster writes by itself, beside those that every system changes.
pub const ALIVE: &[&str] = &["/var/lib/sudo", "/var/lib/sealift/volumes", "/var/lib/cni"];

/// The files of all hosts, without what changes by itself.
pub fn all_files(lab: &Lab) -> Result<BTreeMap<&str, BTreeMap<String, FileState>>> {
    files_of(lab, lab.hosts())
}

/// The same of these hosts.
pub fn files_of<'a>(
    lab: &Lab,
    hosts: impl Iterator<Item = &'a HostSpec>,
) -> Result<BTreeMap<&'a str, BTreeMap<String, FileState>>> {
    std::thread::scope(|scope| {
        let looks: Vec<_> = hosts
            .map(|host| (host.name.as_str(), scope.spawn(|| lab.snapshot_files(&host.name, ALIVE))))
            .collect();
        looks.into_iter().map(|(host, look)| Ok((host, joined(look)?))).collect()
    })
}

fn second_run_changes_nothing(context: &Context<'_>) -> Result<()> {
    let before = all_files(context.lab)?;
    let ended = context.install(&[])?;
    ended.expect_code(0)?.expect_text(&["nothing changed"])?;
    let done = ended.topic("done").context("the run has no closing words")?;
    if done["data"]["changed"] != 0 {
        let changes: Vec<String> =
            ended.events().filter(|event| event["changed"] == true).map(|event| event.to_string()).collect();
        bail!("the second run changed something:\n{}", changes.join("\n"));
    }
    context.note(format!("{:.1} s of its own time", done["data"]["seconds"].as_f64().unwrap_or_default()));
    let after = all_files(context.lab)?;
    let mut changes = Vec::new();
    for (host, files) in &before {
        changes
            .extend(lab::differences(files, &after[host]).into_iter().map(|line| format!("{host} {line}")));
    }
    if !changes.is_empty() {
        bail!("files changed:\n{}", changes.join("\n"));
    }
    Reference::keep(context, &before)
}

/// A chart copied out of the bundle is what Helm installs; its images wait in the site's registries.
fn helm_installs_a_chart(context: &Context<'_>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let archive = folder.path().join("metrics.tgz");
    let mut extract = Command::new(&context.programs.bundle_builder);
    extract.arg("extract").arg(&context.made.bundle).args(["chart:metrics", "--out"]).arg(&archive);
    run(extract.arg("--key").arg(&context.made.public_key))?;
    let (lab, place) = (context.lab, "/var/tmp/metrics.tgz");
    lab.write_file("m1", place, &fs::read(&archive)?)?;
    let helm = |words: &[&str]| {
        let kubeconfig = "KUBECONFIG=/etc/kubernetes/admin.conf";
        // What Helm keeps for itself must not stay on the host.
        let home = ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"]
            .map(|name| format!("{name}=/run/helm-by-hand"));
        let command = ["env", kubeconfig, &home[0], &home[1], &home[2], "/usr/local/bin/helm"];
        lab.run("m1", &[&command, words].concat())
    };
    let namespace = "--namespace=metrics-by-hand";
    let installed = helm(&[
        "install",
        "by-hand",
        place,
        namespace,
        "--create-namespace",
        "--set=enabled=true",
        "--wait",
        "--timeout=3m",
    ]);
    lab.run("m1", &["rm", place])?;
    installed?;
    let pods = context.cluster().get(&["pods", namespace])?;
    let running = pods["items"].as_array().context("no list of pods")?;
    // One on each of five nodes, and the one that probes.
    if running.len() != 6 || running.iter().any(|pod| pod["status"]["phase"] != "Running") {
        bail!("the pods of the chart are {pods:#}");
    }
    helm(&["uninstall", "by-hand", namespace, "--wait"])?;
    context.cluster().kubectl(&["delete", "namespace", "metrics-by-hand", "--wait"]).map(drop)
}

fn no_packet_went_outside(context: &Context<'_>) -> Result<()> {
    let traffic = context.lab.traffic()?;
    if traffic.outside > 0 {
        bail!("{} packets: {:?}", traffic.outside, traffic.offenders);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> BundleDocument {
        let image = |name: &str, digest: &str, roles: &[&str]| serde_json::json!({"name": name, "digest": digest, "mediaType": "m", "size": 1, "roles": roles, "blobs": []});
        let text = serde_json::json!({
            "apiVersion": "sealift/v1", "kind": "Bundle",
            "product": {"name": "p", "title": "P", "version": "1", "serial": 1},
            "kubernetes": {"version": "v1", "pauseImage": "a/pause:1", "etcdImage": "a/etcd:1", "loadBalancerImage": "a/lb:1"},
            "platforms": [], "files": [], "charts": [], "components": [], "blobs": [],
            "images": [
                image("a/pause:1", "sha256:11", &["control-plane", "worker"]),
                image("a/web:1", "sha256:22", &["worker"]),
            ],
        });
        serde_json::from_value(text).unwrap()
    }

    fn listing(digest: &str, pinned: bool, runs: &str) -> Listing {
        let text = serde_json::json!({
            "digests": {"a/pause:1": digest, "sha256:c1": digest},
            "images": [{"id": "sha256:c1", "repoTags": ["a/pause:1"], "pinned": pinned, "size": 1}],
            "containers": [{"name": "x", "imageRef": runs, "imageId": ""}],
        });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn another_digest_an_unpinned_and_an_unknown_image_are_seen() {
        let judge =
            |role, listing: &Listing| judge(&document(), role, listing).map_err(|error| error.to_string());
        let master = BundleRole::ControlPlane;
        assert_eq!(judge(master, &listing("sha256:11", true, "sha256:c1")), Ok(()));
        assert!(
            judge(master, &listing("sha256:99", true, "sha256:c1"))
                .unwrap_err()
                .contains("and not sha256:11")
        );
        assert!(judge(master, &listing("sha256:11", false, "sha256:c1")).unwrap_err().contains("pinned"));
        assert!(judge(master, &listing("sha256:11", true, "sha256:c9")).unwrap_err().contains("not listed"));
        assert_eq!(
            judge(BundleRole::Worker, &listing("sha256:11", true, "sha256:c1")),
            Err("a/web:1 is missing".into())
        );
    }
}
