//! A disk that is full while something is written: said with the file's name, and nothing half-written stays. Those that
//! write much into one file: see `halfway`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::vendor::{LOCK, Vendor, build, with_key};
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

#[test]
fn what_cannot_be_written_to_its_end_is_named_and_nothing_of_it_stays() {
    let vendor = Vendor::new();
    vendor.built();
    // Something new to lock.
    vendor.replace("recipe.yaml", "serial: 17", "serial: 18");
    let before = all(&vendor);
    let build = build("cache", "orders.bundle");
    for (limit, arguments, named) in [
        (1, LOCK.to_vec(), "recipe.lock.yaml"),
        (1, with_key(&["sbom", "orders.bundle", "--out", "orders.json"]), "orders.json"),
        (1, with_key(&["inventory", "orders.bundle", "--out", "orders.json"]), "orders.json"),
        (
            100,
            with_key(&["extract", "orders.bundle", "registry.k8s.io/pause:3.10.2", "--out", "pause.tar"]),
            "pause.tar",
        ),
    ] {
        let said = vendor.fail_on_a_full_disk(limit, &arguments);
        let first = said.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert!(first.contains("cannot") && first.contains(named), "{arguments:?}: {said}");
        assert!(said.contains("File too large") && said.contains("\n  next: "), "{arguments:?}: {said}");
        assert_eq!(all(&vendor), before, "{arguments:?}");
    }
    // The lock that is there, and a bundle in whose place another one comes.
    vendor.replace("recipe.yaml", "serial: 18", "serial: 17");
    let before = all(&vendor);
    let said = vendor.fail_on_a_full_disk(220, &build);
    assert!(said.contains("orders.bundle") && said.contains("File too large"), "{said}");
    assert_eq!(all(&vendor), before);
    vendor.succeed(&build);
}
