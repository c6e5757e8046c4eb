//! A vendor's folder with a small product, and the program to run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bundle_builder::chart::Chart;
use sealift_bundle::document::{File, Image};
use sealift_bundle::{Bundle, TrustedKeys};

use super::upstream::{Guard, PASSWORD, Upstream, by_password};
use super::{FakeRegistry, noise};

pub const REGISTRIES: [&str; 3] = ["registry.k8s.io", "docker.io", "registry.sealift.example"];
/// Images that the cluster starts by itself.
pub const CLUSTER: [&str; 7] = [
    "registry.k8s.io/pause:3.10.2",
    "registry.k8s.io/etcd:3.6.8-0",
    "docker.io/library/haproxy:2.6",
    "registry.k8s.io/kube-apiserver:v1.36.3",
    "registry.k8s.io/kube-controller-manager:v1.36.3",
    "registry.k8s.io/kube-scheduler:v1.36.3",
    "registry.k8s.io/kube-proxy:v1.36.3",
];
pub const WEB: &str = "registry.sealift.example/orders/web:4.2.0";

/// Renders templates as they are: enough to see what the builder does with what Helm prints. The real Helm renders the
/// demo's charts.
const HELM: &str = r#"#!/bin/sh
if [ "$1" = version ]; then echo v4.3.1; exit 0; fi
tar -xzOf "$3" --wildcards '*/templates/*.yaml'
"#;

const WORKLOAD: &str = "---
kind: Deployment
metadata: {name: web}
spec: {template: {spec: {containers: [{name: web, image: 'registry.sealift.example/orders/web:4.2.0'}]}}}
";

/// A recipe with everything that it names, in a folder of its own.
pub struct Vendor {
    pub folder: tempfile::TempDir,
    pub registry: FakeRegistry,
    /// The registry that the program asks, where that is another one.
    upstream: Option<Upstream>,
}

impl Vendor {
    pub fn new() -> Self {
        let registry = FakeRegistry::start();
        // All images of a release share their base.
        let base = noise(3, 200_000);
        for (number, name) in CLUSTER.iter().enumerate() {
            registry.push_image(name, "amd64", &[&base, &noise(number as u64 + 10, 5_000)]);
        }
        registry.push_index(WEB, &["amd64", "arm64"]);
        let vendor = Self { folder: tempfile::tempdir().unwrap(), registry, upstream: None };
        vendor.registry.mirrors(vendor.folder.path(), &REGISTRIES);
        vendor.write("recipe.yaml", &recipe());
        vendor.write("chart/Chart.yaml", "apiVersion: v2\nname: orders\nversion: 4.2.0\n");
        vendor.write("chart/templates/web.yaml", WORKLOAD);
        vendor.write("payload/bin/kubelet", &"kubelet ".repeat(50_000));
        vendor.write("payload/bin/kubectl", &"kubectl ".repeat(40_000));
        vendor.helm(HELM);
        vendor.succeed(&["keygen", "--out", "release.key", "--no-password"]);
        vendor
    }

    /// As [`Vendor::new`], with a registry that has all that was pushed whenever the program starts: the real one where
    /// `SEALIFT_TEST_REGISTRY` names it. The vendor is logged in where that takes a password.
    pub fn upstream(encrypted: bool, guard: Guard) -> Self {
        let vendor = Self::new();
        let upstream = Upstream::start(&vendor.registry, encrypted, guard);
        upstream.mirrors(vendor.folder.path(), &REGISTRIES);
        if matches!(guard, Guard::Basic | Guard::Token) {
            vendor.login(&upstream.address, &by_password(PASSWORD));
        }
        Self { upstream: Some(upstream), ..vendor }
    }

    /// Writes Docker's settings with this entry for the registry.
    pub fn login(&self, address: &str, entry: &str) {
        self.write("docker/config.json", &format!(r#"{{"auths": {{"{address}": {entry}}}}}"#));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts this script in Helm's place.
    pub fn helm(&self, script: &str) {
        sealift_bundle::testing::program(&self.path("helm"), script);
    }

    pub fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn write_bytes(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn replace(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{from} is not in {name}");
        self.write(name, &text.replace(from, to));
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The program in this folder, with logins in `docker/config.json` where that is there.
    pub fn command(&self, arguments: &[&str]) -> Command {
        if let Some(upstream) = &self.upstream {
            upstream.upload(&self.registry);
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_bundle-builder"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("DOCKER_CONFIG", self.path("docker"))
            .stdin(std::process::Stdio::null());
        command
    }

    /// What the program says on standard output.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What the program says on standard error when it ends with `code`.
    pub fn fail(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        text
    }

    pub fn lock(&self) -> String {
        self.succeed(&LOCK)
    }

    pub fn build(&self, cache: &str, out: &str) -> String {
        self.succeed(&build(cache, out))
    }

    /// Locks and builds `orders.bundle`.
    pub fn built(&self) -> Bundle {
        self.lock();
        self.build("cache", "orders.bundle");
        self.open("orders.bundle")
    }

    /// The bundle `name`, with the vendor's key.
    pub fn open(&self, name: &str) -> Bundle {
        let keys = TrustedKeys::from_files(&[self.path("release.key.pub")]).unwrap();
        Bundle::open(&self.path(name), &keys).unwrap()
    }

    pub fn same(&self, one: &str, other: &str) -> bool {
        std::fs::read(self.path(one)).unwrap() == std::fs::read(self.path(other)).unwrap()
    }

    /// The pin of `name` in the lock: from its name to the next entry.
    pub fn pin(&self, name: &str) -> String {
        let lock = self.read("recipe.lock.yaml");
        let at = lock.find(&format!("- name: {name}\n")).unwrap_or_else(|| panic!("{name} is not in {lock}"));
        let entry = &lock[at + 2..];
        entry[..entry.find("\n- name:").unwrap_or(entry.len())].to_owned()
    }

    /// The vendor's chart as an archive, in version `version` from now on.
    pub fn chart(&self, version: &str) -> Vec<u8> {
        self.write("chart/Chart.yaml", &format!("apiVersion: v2\nname: orders\nversion: {version}\n"));
        Chart::read(&self.path("chart")).unwrap().archive
    }

    /// Names in the folder `path`, sorted.
    pub fn names(&self, path: &str) -> Vec<String> {
        list(&self.path(path))
    }
}

pub const LOCK: [&str; 7] =
    ["lock", "--root", "payload=payload", "--mirrors", "mirrors.yaml", "--cache", "cache"];

/// Arguments of a build.
pub fn build<'a>(cache: &'a str, out: &'a str) -> [&'a str; 13] {
    [
        "build",
        "--root",
        "payload=payload",
        "--mirrors",
        "mirrors.yaml",
        "--key",
        "release.key",
        "--helm",
        "./helm",
        "--cache",
        cache,
        "--out",
        out,
    ]
}

/// Arguments of a verb that needs the vendor's public key.
pub fn with_key<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &["--key", "release.key.pub"]].concat()
}

/// The product's image in the bundle.
pub fn web(bundle: &Bundle) -> Image {
    bundle.document().images.iter().find(|image| image.name == WEB).unwrap().clone()
}

/// Content of a file in the bundle.
pub fn unpacked(bundle: &Bundle, file: &File) -> Vec<u8> {
    zstd::decode_all(&*bundle.read_blob(&file.digest).unwrap()).unwrap()
}

fn list(path: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn recipe() -> String {
    let images = CLUSTER.map(|name| format!("  - name: {name}\n")).concat();
    format!(
        r#"apiVersion: sealift/v1
kind: Recipe
product: {{name: orders, title: Orders, version: 4.2.0, serial: 17}}
kubernetes:
  version: v1.36.3
  pauseImage: {}
  etcdImage: {}
  loadBalancerImage: {}
images:
{images}  - name: {WEB}
charts:
  - path: chart
files:
  - {{name: kubelet, version: v1.36.3, path: /usr/local/bin/kubelet, source: {{root: payload, path: bin/kubelet}}}}
  - {{name: kubectl, version: v1.36.3, path: /usr/local/bin/kubectl, mode: "0750", roles: [control-plane],
      source: {{root: payload, path: bin/kubectl}}}}
components:
  - {{name: orders, chart: orders, namespace: orders, stage: product, timeoutSeconds: 60}}
"#,
        CLUSTER[0], CLUSTER[1], CLUSTER[2]
    )
}

/// The smallest thing that passes for a program of 64-bit Linux: a header for this machine, and segments of these kinds.
pub fn program(machine: u16, kinds: &[u32]) -> Vec<u8> {
    let mut content = vec![0; 64 + 56 * kinds.len()];
    content[..6].copy_from_slice(b"\x7fELF\x02\x01");
    content[16] = 2;
    content[18..20].copy_from_slice(&machine.to_le_bytes());
    content[32] = 64;
    content[54] = 56;
    content[56] = u8::try_from(kinds.len()).unwrap();
    for (index, kind) in kinds.iter().enumerate() {
        content[64 + 56 * index..][..4].copy_from_slice(&kind.to_le_bytes());
    }
    content
}
