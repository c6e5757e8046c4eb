//! Charts and images of a recipe from a registry: what is locked, what moves, what is not there.

use crate::support::MANIFEST;
use crate::support::upstream::Guard;
use crate::support::vendor::{LOCK, Vendor, WEB, build, unpacked, web};
use bundle_builder::inspect::summary::Summary;
use sealift_bundle::document::{File, Role};
use serde_json::{Value, json};

const KUBELET: &str = "{root: payload, path: bin/kubelet}";

#[test]
fn charts_come_from_registries() {
    for (encrypted, guard) in [(false, Guard::Open), (true, Guard::Basic), (true, Guard::Token)] {
        a_chart_comes(&Vendor::upstream(encrypted, guard));
    }
}

fn a_chart_comes(vendor: &Vendor) {
    let archive = vendor.chart("4.2.0");
    let repository = "registry.sealift.example/charts/orders";
    let push = |config_type: &str, archive: &[u8]| {
        let config = vendor.registry.push_blob(repository, b"{}");
        let layer = vendor.registry.push_blob(repository, archive);
        let manifest = json!({
            "schemaVersion": 2,
            "config": {"mediaType": config_type, "digest": config.digest, "size": config.size},
            "layers": [{
                "mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
                "digest": layer.digest, "size": layer.size,
            }],
        });
        vendor.registry.push_manifest(repository, "4.2.0", MANIFEST, manifest.to_string().as_bytes())
    };
    let digest = push("application/vnd.cncf.helm.config.v1+json", &archive);
    vendor.replace(
        "recipe.yaml",
        "  - path: chart\n",
        &format!("  - {{oci: 'oci://{repository}', version: 4.2.0}}\n"),
    );
    let bundle = vendor.built();
    assert!(bundle.read_blob(&bundle.document().charts[0].digest).unwrap() == archive);
    assert!(vendor.pin("orders").contains(&format!("manifest: {digest}")), "{}", vendor.pin("orders"));
    // A moved tag does not change a locked build.
    push("application/vnd.cncf.helm.config.v1+json", &vendor.chart("4.2.1"));
    vendor.build("other cache", "again.bundle");
    assert!(vendor.same("orders.bundle", "again.bundle"));
    let said = vendor.fail(2, &LOCK);
    assert!(said.contains(&format!("oci://{repository}:4.2.0 holds the chart orders 4.2.1")), "{said}");
    push("application/vnd.oci.image.config.v1+json", &archive);
    let said = vendor.fail(2, &LOCK);
    assert!(
        said.contains("is no Helm chart: its config is application/vnd.oci.image.config.v1+json"),
        "{said}"
    );
}

#[test]
fn only_what_is_named_is_renewed() {
    let vendor = Vendor::upstream(false, Guard::Open);
    let update = |name: &'static str| [&LOCK[..], &["--update", name]].concat();
    let said = vendor.fail(2, &update("kubelet"));
    assert!(said.contains("there is no lock at"), "{said}");
    vendor.lock();
    let before =
        ["kubelet", "kubectl", WEB, "orders", "registry.k8s.io/pause:3.10.2"].map(|name| vendor.pin(name));
    let said = vendor.fail(2, &update("kubelt"));
    assert!(said.contains("named kubelt\n") && said.contains("next: did you mean `kubelet`?"), "{said}");

    // Everything moves, and one entry is renewed.
    vendor.write("payload/bin/kubelet", "new kubelet");
    vendor.write("payload/bin/kubectl", "new kubectl");
    vendor.write("chart/values.yaml", "replicas: 2\n");
    vendor.registry.push_image("registry.k8s.io/pause:3.10.2", "amd64", &[b"moved"]);
    vendor.registry.push_image(WEB, "amd64", &[b"moved"]);
    vendor.succeed(&update("kubelet"));
    let after =
        ["kubelet", "kubectl", WEB, "orders", "registry.k8s.io/pause:3.10.2"].map(|name| vendor.pin(name));
    assert_ne!(before[0], after[0]);
    assert_eq!(before[1..], after[1..]);
    let said = vendor.fail(2, &build("cache", "x.bundle"));
    assert!(said.contains("file kubectl (payload:bin/kubectl) has other content"), "{said}");
    assert!(!said.contains("file kubelet"), "{said}");
    vendor.succeed(&update("orders"));
    vendor.succeed(&update("kubectl"));
    vendor.succeed(&update(WEB));
    assert_eq!(vendor.pin("registry.k8s.io/pause:3.10.2"), before[4]);
    vendor.build("cache", "x.bundle");
    assert_eq!(vendor.succeed(&update(WEB)), "unchanged recipe.lock.yaml\n");
}

#[test]
fn several_platforms_have_their_own_files_and_images() {
    let vendor = Vendor::upstream(false, Guard::Open);
    vendor.registry.push_index(WEB, &["amd64", "arm64", "s390x"]);
    let recipe = vendor.read("recipe.yaml");
    let (images, rest) = recipe.split_once("images:\n").unwrap();
    let rest = rest
        .lines()
        .map(|line| match line.strip_prefix("  - name: ") {
            Some(name) if name != WEB => format!("  - {{name: {name}, platforms: [linux/amd64]}}\n"),
            _ => format!("{line}\n"),
        })
        .collect::<String>();
    let recipe = format!("{images}platforms: [linux/amd64, linux/arm64]\nimages:\n{rest}");
    vendor.write("recipe.yaml", &recipe);
    vendor.write("payload/arm64/kubelet", "kubelet for arm64");
    let two = "{linux/amd64: {root: payload, path: bin/kubelet}, linux/arm64: {root: payload, path: arm64/kubelet}}";
    vendor.replace("recipe.yaml", &format!("source: {KUBELET}"), &format!("sources: {two}"));
    let bundle = vendor.built();
    // The index with all three, and manifest, config and layer of those that are packed.
    let image = web(&bundle);
    let index: Value = serde_json::from_slice(&bundle.read_blob(&image.digest).unwrap()).unwrap();
    let packed = |entry: &Value| image.blobs.iter().any(|blob| entry["digest"] == **blob);
    let there: Vec<bool> = index["manifests"].as_array().unwrap().iter().map(packed).collect();
    assert_eq!((there, image.blobs.len()), (vec![true, true, false], 7));
    let kubelets: Vec<&File> = bundle.document().files.iter().filter(|file| file.name == "kubelet").collect();
    let platforms: Vec<Option<&str>> = kubelets.iter().map(|file| file.platform.as_deref()).collect();
    assert_eq!(platforms, [Some("linux/amd64"), Some("linux/arm64")]);
    assert_eq!(unpacked(&bundle, kubelets[1]), b"kubelet for arm64");
    let kubectl = bundle.document().files.iter().find(|file| file.name == "kubectl").unwrap();
    assert_eq!(kubectl.platform, None);
    // A worker has one of the two, and needs room for the larger one.
    let summary = Summary::of(&bundle);
    let worker = summary.roles.iter().find(|part| part.role == Role::Worker).unwrap();
    let amd64 = kubelets[0].plain_size;
    assert_eq!((worker.files, worker.plain_file_size), (1, amd64));
    let binaries = worker.disk.iter().find(|disk| disk.path == "/usr/local/bin").unwrap();
    assert_eq!(binaries.size, amd64);
    vendor.write("payload/arm64/kubelet", "another");
    let said = vendor.fail(2, &build("cache", "x.bundle"));
    assert!(
        said.contains("file kubelet for linux/arm64 (payload:arm64/kubelet) has other content"),
        "{said}"
    );
}

#[test]
fn a_moved_tag_does_not_change_a_locked_build() {
    let vendor = Vendor::upstream(false, Guard::Open);
    vendor.lock();
    vendor.build("cache", "one.bundle");
    vendor.registry.push_image(WEB, "amd64", &[b"moved"]);
    vendor.build("other cache", "two.bundle");
    assert!(vendor.same("one.bundle", "two.bundle"));
    assert!(vendor.lock().starts_with("locked"));
}

#[test]
fn an_image_that_is_not_there_leaves_no_lock() {
    for (encrypted, guard) in [(false, Guard::Open), (true, Guard::Basic), (true, Guard::Token)] {
        let vendor = Vendor::upstream(encrypted, guard);
        let absent = WEB.replace("4.2.0", "4.2.9");
        vendor.replace("recipe.yaml", &format!("- name: {WEB}\n"), &format!("- name: {absent}\n"));
        let said = vendor.fail(2, &LOCK);
        assert!(said.contains("error: registry.sealift.example (mirror http"), "{said}");
        assert!(said.contains(&format!(" has no image {absent}\n")), "{said}");
        assert!(said.ends_with("next: check the name and tag in the recipe, and `--mirrors`\n"), "{said}");
        // It was not tried again, and what is there is not taken for it.
        assert!(!said.contains("retry ") && !vendor.path("recipe.lock.yaml").exists(), "{said}");
        let names = vendor.names(".");
        assert!(!names.iter().any(|name| name.ends_with(".partial")), "{names:?}");
    }
}

#[test]
fn an_image_that_is_gone_leaves_the_old_lock() {
    let vendor = Vendor::upstream(false, Guard::Open);
    vendor.lock();
    let before = vendor.read("recipe.lock.yaml");
    vendor.replace(
        "recipe.yaml",
        &format!("- name: {WEB}\n"),
        "- name: registry.sealift.example/orders/wep:4.2.0\n",
    );
    let said = vendor.fail(2, &LOCK);
    assert!(said.contains(" has no image registry.sealift.example/orders/wep:4.2.0\n"), "{said}");
    assert_eq!(vendor.read("recipe.lock.yaml"), before);
}
