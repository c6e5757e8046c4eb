//! Every file of the fuzz targets' corpus through its target, without a fuzzer.
//!
//! With `SEALIFT_UPDATE=1` the seeds are made anew; what a fuzzer found stays beside them.

#[path = "../../fuzz/src/bundle.rs"]
mod bundle;
#[path = "../../fuzz/src/delta.rs"]
mod delta;
#[path = "../../fuzz/src/manifest.rs"]
mod manifest;
#[path = "../../fuzz/src/parcel.rs"]
mod parcel;
#[path = "../../fuzz/src/recipe.rs"]
mod recipe;

use std::path::{Path, PathBuf};

use sealift_bundle::digest::digest_of;
use sealift_bundle::testing::archive_of;
use serde_json::json;

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

/// Gives every file of a target's corpus to `run`; those of `seeds` must be among them as they are made now.
fn replay(target: &str, seeds: &[(&str, Vec<u8>)], run: impl Fn(&[u8])) {
    let folder = folder(target);
    for (name, content) in seeds {
        let path = folder.join(name);
        if std::env::var_os("SEALIFT_UPDATE").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, content).unwrap();
        }
        let committed = std::fs::read(&path).unwrap_or_default();
        assert!(committed == *content, "{} is stale: run this with SEALIFT_UPDATE=1", path.display());
    }
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        run(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= seeds.len());
}

/// A small document that agrees with itself: one image, one file, one chart, one component.
fn document() -> Vec<u8> {
    let blob = |size: usize| json!({"digest": digest_of(&vec![0; size]), "size": size});
    let digest = |size: usize| digest_of(&vec![0; size]);
    let document = json!({
        "apiVersion": "sealift/v1", "kind": "Bundle",
        "product": {"name": "orders", "title": "Orders", "version": "4.2.0", "serial": 17},
        "kubernetes": {"version": "v1.36.3", "pauseImage": "a/pause:3", "etcdImage": "a/etcd:3", "loadBalancerImage": "a/lb:2"},
        "platforms": ["linux/amd64"],
        "images": [{"name": "a/web:1", "digest": digest(1), "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "size": 3, "roles": ["worker"], "blobs": [digest(1), digest(2)]}],
        "files": [{"name": "kubelet", "version": "v1", "path": "/usr/local/bin/kubelet", "mode": 493,
            "roles": ["control-plane", "worker"], "manifest": digest(3), "digest": digest(4), "size": 4,
            "plainDigest": digest(5), "plainSize": 5}],
        "charts": [{"name": "orders", "version": "1.0.0", "manifest": digest(6), "digest": digest(7), "size": 7}],
        "components": [{"name": "orders", "chart": "orders", "namespace": "orders", "stage": "product",
            "values": {"image": "a/web:1"}, "valuesFrom": {"title": {"setting": "title"}, "cidr": "pod-cidr"},
            "gates": [{"kind": "Deployment", "name": "web"}], "timeoutSeconds": 60, "acceptance": true}],
        "hostDirectories": [{"path": "/var/lib/orders", "mode": 448, "uid": 9, "gid": 9, "roles": ["worker"]}],
        "secrets": [{"component": "orders", "name": "s", "fromSite": {"a": "b"}, "generated": ["c"]}],
        "settings": {"title": {"description": "d", "default": "x"}},
        "sizing": {},
        "blobs": [blob(1), blob(2), blob(3), blob(4), blob(6), blob(7)],
    });
    document.to_string().into_bytes()
}

fn seed(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind], content].concat()
}

#[test]
fn bundles() {
    let document = document();
    // Signed by the target itself, each time with a key of its own; so a seed needs no good signature.
    let unsigned = archive_of(&[
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json".to_owned(), br#"{"schemaVersion":2,"mediaType":"m","manifests":[]}"#.to_vec()),
        ("index.json.minisig".to_owned(), b"untrusted comment: x\n".to_vec()),
        ("blobs/sha256/../x".to_owned(), vec![1; 600]),
    ]);
    let whole = bundle::around_document(&document).unwrap();
    let keyless = archive_without_signature(&whole);
    let index =
        br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let seeds = [
        ("document", seed(b'D', &document)),
        ("index", seed(b'I', index)),
        ("tricky", seed(b'B', &unsigned)),
        ("whole", seed(b'B', &keyless)),
    ];
    replay("bundle", &seeds, bundle::bundle);
    assert_eq!(bundle::opens(&seeds[0].1), Some(Ok(())), "the target gets past the document");
    assert_eq!(bundle::opens(&seeds[3].1), Some(Ok(())), "the target gets past the signature");
    assert!(matches!(bundle::opens(&seeds[2].1), Some(Err(_))));
}

/// `whole` with an empty signature: the same bytes whatever the key.
fn archive_without_signature(whole: &[u8]) -> Vec<u8> {
    let mut members = Vec::new();
    for entry in tar::Archive::new(whole).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        members.push((name.clone(), if name.ends_with(".minisig") { Vec::new() } else { content }));
    }
    archive_of(&members)
}

#[test]
fn recipes() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/orders/recipe.yaml");
    assert!(bundle_builder::recipe::load(&demo).is_ok());
    let small = b"apiVersion: sealift/v1
kind: Recipe
product: {name: orders, title: Orders, version: 4.2.0, serial: 17}
kubernetes: {version: v1.36.3, pauseImage: a.b/p:3, etcdImage: a.b/e:3, loadBalancerImage: a.b/l:2}
platforms: [linux/amd64, linux/arm64]
images:
  - name: a.b/p:3
  - {name: a.b/e:3, from: {ociLayout: {path: x}}, roles: [control-plane]}
  - {name: a.b/l:2, from: {dockerArchive: {root: r, path: x, reference: y}}, publicKey: {path: k}}
  - name: registry.k8s.io/kube-apiserver:v1.36.3
  - name: registry.k8s.io/kube-controller-manager:v1.36.3
  - name: registry.k8s.io/kube-scheduler:v1.36.3
  - name: registry.k8s.io/kube-proxy:v1.36.3
imageHints: [{kind: Cluster, fields: ['spec.x[*].y', 'a[\"b\"]']}, {component: orders, images: [a.b/p:3]}]
charts: [{path: c, profiles: [{path: p}]}, {oci: a.b/c/d, version: 1.2.3}, {repository: 'https://h/r', name: n, version: 1.2.3}]
files:
  - {name: f, version: v, path: /f, mode: \"0755\", source: {archive: {path: t, member: m}}}
  - {name: g, version: v, path: /g, sources: {linux/amd64: {path: a}, linux/arm64: {path: b}}}
components:
  - {name: orders, chart: c, namespace: n, stage: product, timeoutSeconds: 1, valuesFrom: {a.b: {setting: s}, c: pod-cidr}}
secrets: [{component: orders, name: s, generated: [k]}]
settings: {s: {description: d, default: [1, {x: y}]}}
";
    bundle_builder::recipe::parse(std::str::from_utf8(small).unwrap(), Path::new("seed")).unwrap();
    let rendered = b"---
kind: Deployment
metadata: {name: web, namespace: n}
spec: {template: {spec: {containers: [&c {name: a, image: 'postgres:15'}, {<<: *c, name: b}], volumes: [{name: v, image: {reference: x}}]}}}
---
kind: List
items: [{kind: CronJob, spec: {jobTemplate: {spec: {template: {spec: {initContainers: [{image: !t x@sha256:0}]}}}}}}]
---
{1: 2, ~: 3.5, [a]: b}
";
    let seeds = [("recipe.yaml", small.to_vec()), ("rendered.yaml", rendered.to_vec())];
    replay("recipe", &seeds, recipe::recipe);
}

#[test]
fn manifests() {
    let digest = digest_of(b"");
    let named = |media_type: &str| json!({"mediaType": media_type, "digest": digest, "size": 7});
    let mut platform = named("application/vnd.oci.image.manifest.v1+json");
    platform["platform"] = json!({"os": "linux", "architecture": "arm64", "variant": "v8"});
    platform["annotations"] = json!({"a": "b"});
    let seeds = [
        ("index", json!({"schemaVersion": 2, "manifests": [platform]}).to_string()),
        (
            "manifest",
            json!({"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                "config": named("application/vnd.docker.container.image.v1+json"),
                "layers": [named("application/vnd.docker.image.rootfs.diff.tar.gzip")],
                "subject": named("x/y"), "artifactType": "x/y"})
            .to_string(),
        ),
        ("config", json!({"os": "linux", "architecture": "arm64", "variant": "v8"}).to_string()),
        ("errors", json!({"errors": [{"code": "DENIED", "message": "no\u{1b}[2J"}]}).to_string()),
        (
            "challenge",
            "Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:a:pull\", Basic realm=x"
                .to_owned(),
        ),
        ("retry", "Sat, 21 Nov 2026 06:38:30 GMT".to_owned()),
    ];
    let seeds = seeds.map(|(name, text)| (name, text.into_bytes()));
    replay("manifest", &seeds, manifest::manifest);
}

#[test]
fn parcels() {
    // Two pieces with their lengths in front, and a third.
    let three = |kind: u8, pieces: [&[u8]; 3]| {
        let length = |piece: &[u8]| u16::try_from(piece.len()).unwrap().to_le_bytes();
        [&[kind], &length(pieces[0])[..], &length(pieces[1]), pieces[0], pieces[1], pieces[2]].concat()
    };
    let numbers = |numbers: [u64; 3]| numbers.map(u64::to_le_bytes).concat();
    let mut outcome = vec![b'n'; 4096];
    outcome[..8].fill(1);
    let steps = numbers([4, 8, 4088]);
    let content = json!({"apiVersion": "sealift/v1", "kind": "delta"}).to_string();
    // Made by the rules of the program, and kept without their compression, which changes with its library.
    let [old, new] = delta::FILES;
    let (patch, [first, second]) = sealift_bundle::delta::patch::make(old, new).unwrap();
    let (steps_frame, rest) = patch.split_at(usize::try_from(first).unwrap());
    let (differences, fresh) = rest.split_at(usize::try_from(second).unwrap());
    let plain = [steps_frame, differences, fresh].map(|frame| zstd::decode_all(frame).unwrap());
    let frames = &three(b' ', [&plain[0], &plain[1], &plain[2]])[1..];
    // The file from the file; the same at a level that nobody may ask for; another blob from the file; no patch.
    let delta = |patches: &[u8]| three(b'D', [patches, b"", frames]);
    let deltas = [delta(&[0, 0, 3]), delta(&[0, 0, 22]), delta(&[1, 0, 0]), delta(b"")];
    let seeds = [
        ("delta", deltas[0].clone()),
        ("delta-other", deltas[2].clone()),
        ("made", three(b'M', [b"the same and one", b"the same and two", b""])),
        ("steps", three(b'S', [&steps, &outcome[..8], &outcome[8..]])),
        ("frames", three(b'Z', [&[0x28, 0xb5, 0x2f, 0xfd, 0, 0, 1, 0, 0], b"x", b"y"])),
        ("whole", seed(b'P', &parcel_of(content.as_bytes()))),
    ];
    replay("parcel", &seeds, parcel::parcel);
    let applied = deltas.map(|seed| parcel::applies(&seed[1..]));
    assert_eq!(applied[0], Ok(()), "the target gets past the signature, and the patch fits");
    assert_eq!(applied[3], Ok(()), "a delta without patches carries all");
    for refused in &applied[1..3] {
        assert!(refused.as_ref().is_err_and(|why| why.starts_with("fuzz.delta: ")), "{refused:?}");
    }
}

/// A parcel with this document and nothing else.
fn parcel_of(document: &[u8]) -> Vec<u8> {
    use sealift_bundle::layout::blob_name;
    use sealift_bundle::oci::{Descriptor, Index, Manifest};
    let artifact_type = sealift_bundle::parcel::PARCEL_ARTIFACT_TYPE;
    let manifest = Manifest::artifact(artifact_type, vec![Descriptor::of("application/json", document)]);
    let text = serde_json::to_vec(&manifest).unwrap();
    let mut entry = Descriptor::of(&manifest.media_type, &text);
    entry.artifact_type = Some(artifact_type.to_owned());
    let index = serde_json::to_vec(&Index::new(vec![entry.clone()])).unwrap();
    archive_of(&[
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json".to_owned(), index),
        (blob_name(&entry.digest).unwrap(), text),
        (blob_name(&manifest.config.digest).unwrap(), b"{}".to_vec()),
        (blob_name(&digest_of(document)).unwrap(), document.to_vec()),
    ])
}
