//! A disk that is full while something is written: said with the file's name, and nothing half-written stays.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::support::vendor::{LOCK, Vendor, build, program, with_key};
use sealift_bundle::digest::digest_of;

/// Every file below the vendor's folder, with its content's digest; the cache may keep what came.
fn all(vendor: &Vendor) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for name in vendor.names(&folder) {
            let name = Path::new(&folder).join(name).to_str().unwrap().to_owned();
            match vendor.path(&name) {
                path if path.is_dir() && name == "cache" => {}
                path if path.is_dir() => folders.push(name),
                path => drop(found.insert(name, digest_of(&std::fs::read(path).unwrap()))),
            }
        }
    }
    found
}

/// What the program says where no file may be longer than `limit` kilobytes: as on a full disk, writing fails half-way.
fn limited(vendor: &Vendor, limit: u32, arguments: &[&str]) -> (Option<i32>, String) {
    let program = vendor.command(arguments);
    let mut command = Command::new("bash");
    command.args(["-c", &format!("ulimit -f {limit}; trap '' XFSZ; exec \"$@\""), "bash"]);
    command.arg(program.get_program()).args(program.get_args()).current_dir(vendor.folder.path());
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn what_cannot_be_written_to_its_end_is_named_and_nothing_of_it_stays() {
    let vendor = Vendor::new();
    vendor.write_bytes("installer", &program(62, &[1]));
    vendor.built();
    vendor.succeed(&["split", "orders.bundle", "--size", "100KB", "--out", "."]);
    // Something new to lock.
    vendor.replace("recipe.yaml", "serial: 17", "serial: 18");
    let before = all(&vendor);
    let carry = [
        "carry",
        "orders.bundle",
        "--installer",
        "linux/amd64=installer",
        "--split",
        "90KB",
        "--out",
        "disk",
    ];
    let build = build("cache", "orders.bundle");
    for (limit, arguments, named) in [
        (1, LOCK.to_vec(), "recipe.lock.yaml"),
        (
            50,
            vec!["split", "orders.bundle", "--size", "90KB", "--out", "payload"],
            "payload/orders.bundle.001",
        ),
        (150, vec!["join", "orders.bundle.001", "--out", "joined.bundle"], "joined.bundle"),
        (50, with_key(&carry), ".disk.carrying/orders.bundle.001"),
        (1, with_key(&["sbom", "orders.bundle", "--out", "orders.json"]), "orders.json"),
        (1, with_key(&["inventory", "orders.bundle", "--out", "orders.json"]), "orders.json"),
        (100, with_key(&["extract", "orders.bundle", "kubelet", "--out", "mine"]), "mine"),
        (
            100,
            with_key(&["extract", "orders.bundle", "registry.k8s.io/pause:3.10.2", "--out", "pause.tar"]),
            "pause.tar",
        ),
    ] {
        let (code, said) = limited(&vendor, limit, &arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        let first = said.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert!(first.contains("cannot") && first.contains(named), "{arguments:?}: {said}");
        assert!(said.contains("File too large") && said.contains("\n  next: "), "{arguments:?}: {said}");
        assert_eq!(all(&vendor), before, "{arguments:?}");
    }
    // The lock that is there, and a bundle in whose place another one comes.
    vendor.replace("recipe.yaml", "serial: 18", "serial: 17");
    let before = all(&vendor);
    let (code, said) = limited(&vendor, 220, &build);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("orders.bundle") && said.contains("File too large"), "{said}");
    assert_eq!(all(&vendor), before);
    vendor.succeed(&build);
}
