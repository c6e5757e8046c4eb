//! Every kind of source, from recipe to verified bundle.

use std::io::Write as _;

use crate::support::vendor::{LOCK, Vendor, WEB, build, unpacked, web};
use crate::support::{Fault, MANIFEST, noise};
use sealift_bundle::digest::digest_of;
use serde_json::{Value, json};

const KUBELET: &str = "{root: payload, path: bin/kubelet}";
const KUBECTL: &str = "{root: payload, path: bin/kubectl}";

pub(crate) fn hex(content: &[u8]) -> String {
    digest_of(content).split_off("sha256:".len())
}

pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn files_come_from_web_servers_and_archives() {
    let vendor = Vendor::new();
    let (kubelet, kubectl) = (noise(1, 300_000), noise(2, 200_000));
    let url = vendor.registry.push_file("kubelet", &kubelet);
    let archive = gzip(&tar(&[("kubernetes/LICENSE", b"text"), ("kubernetes/bin/kubectl", &kubectl)]));
    let archive_url = vendor.registry.push_file("client.tar.gz", &archive);
    vendor.replace("recipe.yaml", KUBELET, &format!("{{url: '{url}', sha256: {}}}", hex(&kubelet)));
    let member = format!(
        "{{archive: {{url: '{archive_url}', sha256: {}, member: kubernetes/bin/kubectl}}}}",
        hex(&archive)
    );
    vendor.replace("recipe.yaml", KUBECTL, &member);
    let bundle = vendor.built();
    let [ctl, let_] = &bundle.document().files[..] else { panic!("not two files") };
    assert!(unpacked(&bundle, ctl) == kubectl && unpacked(&bundle, let_) == kubelet);
    assert_eq!(vendor.registry.file_requests().len(), 2, "each is fetched once");
    let pinned = vendor.pin("kubectl");
    assert!(pinned.contains(&format!("from: kubernetes/bin/kubectl in {archive_url}")), "{pinned}");
    assert!(pinned.contains(&format!("archive: {}", digest_of(&archive))), "{pinned}");
    assert!(pinned.contains(&format!("digest: {}", digest_of(&kubectl))), "{pinned}");
    assert!(vendor.pin("kubelet").contains(&format!("from: {url}")));

    // Another machine: all is fetched again, and the bundle is the same.
    vendor.build("other cache", "again.bundle");
    assert!(vendor.same("orders.bundle", "again.bundle"));
    // A damaged blob in the cache is noticed and fetched anew.
    let blob = vendor.path("cache/blobs/sha256").join(hex(&kubelet));
    std::fs::write(&blob, b"damaged").unwrap();
    std::fs::remove_file(vendor.path("cache/frames")).unwrap();
    vendor.build("cache", "again.bundle");
    assert!(vendor.same("orders.bundle", "again.bundle"));
}

#[test]
fn a_web_server_that_fails_is_tried_again_or_named() {
    let vendor = Vendor::new();
    let kubelet = noise(1, 300_000);
    let url = vendor.registry.push_file("kubelet", &kubelet);
    vendor.replace("recipe.yaml", KUBELET, &format!("{{url: '{url}', sha256: {}}}", hex(&kubelet)));
    vendor.registry.fail_file("kubelet", &[Fault::Truncate(100_000), Fault::Status(503)]);
    vendor.lock();
    let seen: Vec<usize> = vendor.registry.file_requests().iter().map(|seen| seen.from).collect();
    assert!(seen.len() == 3 && seen[0] == 0 && seen[1] > 0 && seen[1] == seen[2], "{seen:?}");
    assert!(vendor.path("cache/blobs/sha256").join(hex(&kubelet)).exists());

    let other = noise(5, 1000);
    vendor.registry.push_file("kubelet", &other);
    let said = vendor.fail(5, &build("other cache", "x.bundle"));
    let expected =
        format!("sends wrong content for {url}: expected {}, got {}", digest_of(&kubelet), digest_of(&other));
    assert!(said.contains(&expected) && said.contains("next: compare the recipe's `sha256`"), "{said}");
    assert!(!vendor.path("x.bundle").exists());
    assert!(!vendor.path("other cache/blobs/sha256").join(hex(&kubelet)).exists());

    vendor.replace("recipe.yaml", "/files/kubelet", "/files/none");
    let said = vendor.fail(2, &[&LOCK[..6], &["third cache"]].concat());
    assert!(said.contains("/files/none") && said.contains("next: check the URL in the recipe"), "{said}");
}

#[test]
fn archives_are_walked_by_name() {
    let vendor = Vendor::new();
    vendor.write_bytes(
        "payload/client.tar",
        &tar(&[("client/kubectl", b"kubectl"), ("client/readme", b"text")]),
    );
    let member = |name: &str| format!("{{archive: {{root: payload, path: client.tar, member: {name}}}}}");
    vendor.replace("recipe.yaml", KUBECTL, &member("kubectl"));
    let said = vendor.fail(2, &LOCK);
    assert!(
        said.contains("client.tar holds no file kubectl\n")
            && said.contains("next: did you mean `client/kubectl`?"),
        "{said}"
    );
    vendor.replace("recipe.yaml", &member("kubectl"), &member("client/kubectl"));
    vendor.lock();
    // Another archive with the same member is nothing that a build minds; another member is.
    let same = tar(&[("client/kubectl", b"kubectl"), ("client/readme", b"new text")]);
    vendor.write_bytes("payload/client.tar", &same);
    vendor.build("cache", "x.bundle");
    vendor.write_bytes("payload/client.tar", &tar(&[("client/kubectl", b"other")]));
    let said = vendor.fail(2, &build("cache", "y.bundle"));
    assert!(said.contains("file kubectl (client/kubectl in payload:client.tar) has other content"), "{said}");
    assert!(!vendor.path("y.bundle").exists());
    vendor
        .write_bytes("payload/client.tar", &tar(&[("client/kubectl", b"one"), ("./client/kubectl", b"two")]));
    let said = vendor.fail(2, &LOCK);
    assert!(said.contains("two members are named client/kubectl"), "{said}");
}

/// An image's config, layer and manifest for an architecture.
fn image(architecture: &str) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let layer = tar(&[("etc/made-for", architecture.as_bytes())]);
    let config = json!({
        "os": "linux", "architecture": architecture,
        "rootfs": {"type": "layers", "diff_ids": [digest_of(&layer)]},
    })
    .to_string()
    .into_bytes();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
    });
    (config, layer, manifest.to_string().into_bytes())
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest_of(content), "size": content.len()})
}

/// Files of an OCI layout that holds one image under `name`.
fn layout(name: &str, architecture: &str) -> Vec<(String, Vec<u8>)> {
    let (config, layer, manifest) = image(architecture);
    let mut entry = descriptor(MANIFEST, &manifest);
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": name});
    let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string();
    let mut files: Vec<(String, Vec<u8>)> = [config, layer, manifest]
        .into_iter()
        .map(|content| (format!("blobs/sha256/{}", hex(&content)), content))
        .collect();
    files.push(("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
    files.push(("index.json".to_owned(), index.into_bytes()));
    files
}

fn as_tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    tar(&files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect::<Vec<_>>())
}

/// Lets the recipe take the product's image from there.
fn take_web_from(vendor: &Vendor, from: &str) {
    vendor.replace("recipe.yaml", &format!("- name: {WEB}\n"), &format!("- name: {WEB}\n    from: {from}\n"));
}

#[test]
fn images_come_from_layouts_and_archives() {
    let (_, layer, manifest) = image("amd64");
    let files = layout("4.2.0", "amd64");
    for from in ["{ociLayout: {root: payload, path: web}}", "{ociArchive: {root: payload, path: web.tar}}"] {
        let vendor = Vendor::new();
        for (name, content) in &files {
            vendor.write_bytes(&format!("payload/web/{name}"), content);
        }
        vendor.write_bytes("payload/web.tar", &as_tar(&files));
        take_web_from(&vendor, from);
        let bundle = vendor.built();
        let image = web(&bundle);
        assert_eq!((image.digest, image.blobs.len()), (digest_of(&manifest), 3));
        assert!(bundle.read_blob(&digest_of(&layer)).unwrap() == layer);
        let asked = vendor.registry.blob_requests();
        assert!(!asked.iter().any(|seen| seen.path.contains("orders/web")), "{asked:?}");
        assert!(vendor.pin(WEB).contains("from: OCI "), "{}", vendor.pin(WEB));
        assert!(!vendor.pin(WEB).contains("converted"));
    }
}

#[test]
fn docker_archives_become_oci_images() {
    let vendor = Vendor::new();
    let (config, layer, _) = image("amd64");
    let list = json!([{"Config": "config.json", "RepoTags": [WEB], "Layers": ["1/layer.tar"]}]).to_string();
    let saved = tar(&[("config.json", &config), ("1/layer.tar", &layer), ("manifest.json", list.as_bytes())]);
    vendor.write_bytes("payload/web.tar", &saved);
    take_web_from(&vendor, "{dockerArchive: {root: payload, path: web.tar}}");
    let bundle = vendor.built();
    assert!(vendor.pin(WEB).contains("converted: true"), "{}", vendor.pin(WEB));
    let manifest: Value = serde_json::from_slice(&bundle.read_blob(&web(&bundle).digest).unwrap()).unwrap();
    assert_eq!(manifest["mediaType"], MANIFEST);
    assert_eq!(manifest["layers"][0]["mediaType"], "application/vnd.oci.image.layer.v1.tar");
    assert!(bundle.read_blob(&digest_of(&config)).unwrap() == config);
    assert!(bundle.read_blob(&digest_of(&layer)).unwrap() == layer);
    vendor.build("other cache", "again.bundle");
    assert!(vendor.same("orders.bundle", "again.bundle"));

    // Replaced since the lock: never packed in silence.
    let other = br#"{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":[]}}"#;
    let list = json!([{"Config": "config.json", "RepoTags": [WEB], "Layers": []}]).to_string();
    vendor
        .write_bytes("payload/web.tar", &tar(&[("config.json", other), ("manifest.json", list.as_bytes())]));
    let said = vendor.fail(2, &build("third cache", "x.bundle"));
    assert!(said.contains("web.tar lacks blob sha256:") && said.contains("lock --update"), "{said}");
}

#[test]
fn images_that_are_not_there_are_named_with_those_that_are() {
    let vendor = Vendor::new();
    let files = layout("docker.io/library/other:1", "arm64");
    vendor.write_bytes("payload/web.tar", &as_tar(&files));
    take_web_from(&vendor, "{ociArchive: {root: payload, path: web.tar, reference: web}}");
    let said = vendor.fail(2, &LOCK);
    assert!(said.contains("holds no single image named web; it holds docker.io/library/other:1"), "{said}");
    vendor.replace("recipe.yaml", "reference: web", "reference: 'docker.io/library/other:1'");
    let said = vendor.fail(2, &LOCK);
    assert!(
        said.contains(&format!("image {WEB} is not made for linux/amd64, only for linux/arm64")),
        "{said}"
    );
    assert!(said.contains("next: say with `platforms` in the image's entry"), "{said}");
}

#[test]
fn charts_come_from_repositories() {
    let vendor = Vendor::new();
    let archive = vendor.chart("4.2.0");
    let url = vendor.registry.push_file("charts/archives/orders-4.2.0.tgz", &archive);
    let index = |digest: &str| {
        let text = format!(
            "apiVersion: v1\nentries:\n  orders:\n  - {{name: orders, version: 4.3.0, urls: [none.tgz]}}\n  \
             - {{name: orders, version: 4.2.0, digest: {digest}, urls: [archives/orders-4.2.0.tgz]}}\n"
        );
        vendor.registry.push_file("charts/index.yaml", text.as_bytes())
    };
    let base = index(&hex(&archive)).replace("/index.yaml", "");
    let entry = |name: &str, version: &str| {
        format!("  - {{repository: '{base}', name: {name}, version: {version}}}\n")
    };
    vendor.replace("recipe.yaml", "  - path: chart\n", &entry("orders", "4.2.0"));
    let bundle = vendor.built();
    let packed = &bundle.document().charts[0];
    assert_eq!((packed.name.as_str(), packed.version.as_str()), ("orders", "4.2.0"));
    assert!(bundle.read_blob(&packed.digest).unwrap() == archive, "it stays as it is");
    let manifest: Value = serde_json::from_slice(&bundle.read_blob(&packed.manifest).unwrap()).unwrap();
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.cncf.helm.config.v1+json");
    assert_eq!(manifest["layers"][0]["mediaType"], "application/vnd.cncf.helm.chart.content.v1.tar+gzip");
    let pinned = vendor.pin("orders");
    assert!(pinned.contains(&format!("url: {url}")) && pinned.contains(&digest_of(&archive)), "{pinned}");

    // A repository that lost its index does not matter to a locked build; one that changed the archive does.
    vendor.registry.push_file("charts/index.yaml", b"gone");
    vendor.build("other cache", "again.bundle");
    assert!(vendor.same("orders.bundle", "again.bundle"));
    let other = vendor.chart("4.2.1");
    vendor.registry.push_file("charts/archives/orders-4.2.0.tgz", &other);
    let said = vendor.fail(5, &build("third cache", "x.bundle"));
    assert!(said.contains(&format!("{url} gives other content than expected: expected ")), "{said}");
    index(&hex(&archive));
    let said = vendor.fail(5, &LOCK);
    assert!(said.contains(&format!("expected {}, got {}", digest_of(&archive), digest_of(&other))), "{said}");
    index(&hex(&other));
    let said = vendor.fail(2, &LOCK);
    assert!(said.contains("holds the chart orders 4.2.1"), "{said}");

    vendor.replace("recipe.yaml", &entry("orders", "4.2.0"), &entry("orders", "4.2.9"));
    let said = vendor.fail(2, &LOCK);
    assert!(said.contains("has no chart orders in version 4.2.9; it has 4.3.0, 4.2.0"), "{said}");
    vendor.replace("recipe.yaml", &entry("orders", "4.2.9"), &entry("order", "4.2.0"));
    let said = vendor.fail(2, &LOCK);
    assert!(said.contains("has no chart order\n") && said.contains("did you mean `orders`?"), "{said}");
}

#[test]
fn an_entry_that_changed_must_be_renewed_by_name() {
    let vendor = Vendor::new();
    vendor.lock();
    vendor.replace("recipe.yaml", KUBECTL, KUBELET);
    vendor.replace("recipe.yaml", "serial: 17", "serial: 18");
    let said = vendor.fail(2, &build("cache", "x.bundle"));
    assert!(said.contains("changed since it was made: file kubectl, product\n"), "{said}");
    let said = vendor.fail(2, &[&LOCK[..], &["--update", "kubelet"]].concat());
    assert!(said.contains("changed since it was made: file kubectl\n"), "{said}");
    vendor.succeed(&[&LOCK[..], &["--update", "kubectl"]].concat());
    vendor.build("cache", "x.bundle");
    // Pins follow the platforms, all of them.
    vendor.replace("recipe.yaml", "images:\n", "platforms: [linux/arm64]\nimages:\n");
    let said = vendor.fail(2, &[&LOCK[..], &["--update", "kubelet"]].concat());
    assert!(said.contains("changed since it was made: platforms\n"), "{said}");
    vendor.replace("recipe.yaml", "platforms: [linux/arm64]\n", "");
    // New and gone entries, and another order, are told apart.
    vendor.replace("recipe.yaml", "name: kubectl", "name: client");
    let said = vendor.fail(2, &build("cache", "y.bundle"));
    assert!(said.contains("changed since it was made: file client (new), file kubectl (gone)"), "{said}");
    vendor.replace("recipe.yaml", "name: client", "name: kubectl");
    let (first, second) =
        ("  - name: registry.k8s.io/pause:3.10.2\n", "  - name: registry.k8s.io/etcd:3.6.8-0\n");
    vendor.replace("recipe.yaml", &format!("{first}{second}"), &format!("{second}{first}"));
    let said = vendor.fail(2, &build("cache", "y.bundle"));
    assert!(said.contains("changed since it was made: the order of images, charts or files"), "{said}");
}

#[test]
fn the_helm_of_a_recipe_runs_wherever_it_comes_from() {
    let vendor = Vendor::new();
    let ran = vendor.path("ran");
    let script = vendor.read("helm").replacen('\n', &format!("\necho ran >>{}\n", ran.display()), 1);
    std::fs::remove_file(vendor.path("helm")).unwrap();
    let archive = gzip(&tar(&[("linux-amd64/helm", script.as_bytes())]));
    vendor.write_bytes("helm.tar.gz", &archive);
    vendor.write("plain-helm", &script);
    let url = vendor.registry.push_file("helm", script.as_bytes());
    let mut source = "{path: plain-helm}".to_owned();
    let entry = "  - {name: helm, version: v4.3.1, path: /usr/local/bin/helm, source: {path: plain-helm}}\n";
    vendor.replace("recipe.yaml", "components:\n", &format!("{entry}components:\n"));
    for next in [
        source.clone(),
        "{archive: {path: helm.tar.gz, member: linux-amd64/helm}}".to_owned(),
        format!("{{url: '{url}', sha256: {}}}", hex(script.as_bytes())),
    ] {
        vendor.replace("recipe.yaml", &source, &next);
        source = next;
        vendor.lock();
        let arguments = build("cache", "orders.bundle");
        let without: Vec<&str> =
            arguments.into_iter().filter(|one| !matches!(*one, "--helm" | "./helm")).collect();
        // Where there is no other Helm.
        let output = vendor.command(&without).env("PATH", "/usr/bin:/bin").output().unwrap();
        assert!(output.status.success(), "{source}: {}", String::from_utf8_lossy(&output.stderr));
        std::fs::remove_file(&ran).unwrap_or_else(|error| panic!("{source}: another Helm ran: {error}"));
    }
}

#[test]
fn a_packed_helm_that_cannot_be_started_where_it_lies_renders_again_and_again() {
    let vendor = Vendor::new();
    // A native one: what it rendered is remembered.
    vendor.write_bytes("plain-helm", &std::fs::read(crate::helm::build()).unwrap());
    let entry = "  - {name: helm, version: v4.3.1, path: /usr/local/bin/helm, source: {path: plain-helm}}\n";
    vendor.replace("recipe.yaml", "components:\n", &format!("{entry}components:\n"));
    let arguments: Vec<&str> = build("cache", "orders.bundle")
        .into_iter()
        .filter(|one| !matches!(*one, "--helm" | "./helm"))
        .collect();
    vendor.write("large.yaml", "replicas: 3\n");
    for charts in ["  - path: chart\n", "  - {path: chart, profiles: [{path: large.yaml}]}\n"] {
        vendor.replace("recipe.yaml", "  - path: chart\n", charts);
        vendor.lock();
        let output = vendor.command(&arguments).env("PATH", "/usr/bin:/bin").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
