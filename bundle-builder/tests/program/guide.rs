//! The guide: every block of commands in it works, in its order, from a folder of charts to a disk.

use crate::helm;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::vendor::{CLUSTER, REGISTRIES, WEB, program};
use crate::support::{FakeRegistry, noise};
use bundle_builder::cli;
use bundle_builder::image::ImageName;
use bundle_builder::mirrors::Mirrors;

const GUIDE: &str = include_str!("../../README.md");
const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: orders-web}
spec: {template: {spec: {containers: [{name: web, image: {{ .Values.image | quote }}}]}}}
";
/// Programs that the recipe lists.
const PROGRAMS: [&str; 14] = [
    "kubelet",
    "kubeadm",
    "kubectl",
    "helm",
    "etcdctl",
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "runc",
    "bridge",
    "host-local",
    "loopback",
    "portmap",
    "bandwidth",
];

/// The commands of the guide, block by block.
fn blocks() -> Vec<&'static str> {
    let blocks = blocks_of("sh");
    assert!(blocks.len() > 10, "{}", blocks.len());
    blocks
}

fn blocks_of(language: &str) -> Vec<&'static str> {
    let start = format!("```{language}\n");
    GUIDE.split(&start).skip(1).map(|rest| rest.split("```\n").next().unwrap()).collect()
}

fn put(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// What the guide asks for at its beginning.
fn prepare(folder: &Path, registry: &FakeRegistry) {
    for (number, name) in CLUSTER.iter().enumerate() {
        registry.push_image(name, "amd64", &[&noise(number as u64 + 1, 20_000)]);
    }
    registry.push_image(WEB, "amd64", &[&noise(99, 200_000)]);
    registry.mirrors(folder, &REGISTRIES);
    put(
        folder,
        "charts/orders/Chart.yaml",
        "apiVersion: v2\nname: orders\nversion: 1.0.0\nappVersion: 4.2.0\n",
    );
    put(folder, "charts/orders/values.yaml", format!("image: {WEB}\n"));
    put(folder, "charts/orders/templates/web.yaml", DEPLOYMENT);
    for name in PROGRAMS {
        put(folder, &format!("payload/bin/{name}"), format!("{name} ").repeat(1000));
    }
    put(folder, "installer", program(62, &[1]));
}

#[test]
fn every_command_of_the_guide_works() {
    let folder = tempfile::tempdir().unwrap();
    let registry = FakeRegistry::start();
    prepare(folder.path(), &registry);
    let helm = helm::build();
    let programs = [Path::new(env!("CARGO_BIN_EXE_bundle-builder")), &helm]
        .map(|path| path.parent().unwrap().to_owned());
    let system = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(programs.into_iter().chain(std::env::split_paths(&system))).unwrap();
    let mut said = String::new();
    for block in blocks() {
        let output = Command::new("sh")
            .args(["-euc", block])
            .current_dir(folder.path())
            .env("PATH", &path)
            .env("HOME", folder.path().join("home"))
            .env_remove("XDG_CACHE_HOME")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{block}\n{text}");
        said += &text;
    }
    // What the guide promises, not only that nothing failed.
    for expected in [
        "written   recipe.yaml: 1 chart, 8 images\n",
        "locked    recipe.lock.yaml: 8 images, 1 chart, 14 files\n",
        "carry     disk/orders-4.2.0: 6 files, ",
        "orders-4.2.0.bundle: OK\n",
        "Orders 4.3.0 (serial 2)",
        "exit code 5\n",
        "mended    ",
        // The page's first line.
        "bundle-builder(1)",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(folder.path().join("web/manifest.json").exists(), "no image was copied: {said}");
    let disk: BTreeSet<String> = fs::read_dir(folder.path().join("disk/orders-4.4.0"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        disk.contains("orders-4.4.0.bundle") && disk.iter().any(|name| name.ends_with(".rotation")),
        "{disk:?}"
    );
}

#[test]
fn the_mirrors_of_the_guide_are_understood() {
    let [text] = blocks_of("yaml")[..] else { panic!("another block is looked at by nobody") };
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "mirrors.yaml", text);
    let mirrors = Mirrors::load(&folder.path().join("mirrors.yaml")).unwrap();
    let image: ImageName = CLUSTER[0].parse().unwrap();
    let endpoint = mirrors.endpoint(&image);
    assert_eq!(
        (endpoint.host.as_str(), endpoint.plain, endpoint.unchecked),
        ("mirror.example", false, false)
    );
    assert_eq!(endpoint.authorities, [folder.path().join("company-ca.pem")].into());
}

#[test]
fn the_guide_shows_every_verb() {
    let commands = blocks().concat();
    for verb in cli::command().get_subcommands() {
        let name = verb.get_name();
        assert!(commands.contains(&format!("bundle-builder {name} ")), "{name} is not in the guide");
    }
}
