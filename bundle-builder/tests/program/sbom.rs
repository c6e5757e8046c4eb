//! The bill of materials, held against the official schema of `CycloneDX` 1.6 (see `assets/cyclonedx/README.md`).

use std::collections::BTreeSet;

use crate::cyclonedx::complaints;
use crate::support::vendor::Vendor;
use sealift_bundle::digest::digest_of;
use serde_json::Value;

/// A vendor with the bundle `orders.bundle`.
fn vendor() -> Vendor {
    let vendor = Vendor::new();
    vendor.lock();
    vendor.build("cache", "orders.bundle");
    vendor
}

const SBOM: [&str; 4] = ["sbom", "orders.bundle", "--key", "release.key.pub"];

#[test]
fn it_keeps_to_the_official_schema() {
    let vendor = vendor();
    let sbom: Value = serde_json::from_str(&vendor.succeed(&SBOM)).unwrap();
    assert_eq!(complaints(&sbom), Vec::<String>::new());
    // The schema is in force: it notices what is wrong.
    for (place, wrong) in [("serialNumber", "17"), ("specVersion", "1.6.1"), ("bomFormat", "SPDX")] {
        let mut broken = sbom.clone();
        broken[place] = Value::from(wrong);
        let noticed = complaints(&broken);
        assert!(place == "specVersion" || !noticed.is_empty(), "{place}: {noticed:?}");
    }
    let mut broken = sbom.clone();
    broken["components"][0]["hashes"][0]["content"] = Value::from("no hash");
    assert_eq!(complaints(&broken).len(), 1);
    let mut broken = sbom;
    broken["metadata"]["timestamp"] = Value::from("yesterday");
    assert_eq!(complaints(&broken).len(), 1);
}

#[test]
fn it_names_everything_with_digest_version_and_source() {
    let vendor = vendor();
    let sbom: Value = serde_json::from_str(&vendor.succeed(&SBOM)).unwrap();
    let components = sbom["components"].as_array().unwrap();
    assert_eq!(components.len(), 8 + 1 + 2);
    for component in components {
        for place in ["name", "version", "purl", "bom-ref"] {
            assert!(component[place].as_str().is_some_and(|text| !text.is_empty()), "{place} of {component}");
        }
        assert_eq!(component["hashes"][0]["content"].as_str().unwrap().len(), 64, "{component}");
    }
    let named = |name: &str| components.iter().find(|component| component["name"] == name).unwrap();
    let kubelet = digest_of(&std::fs::read(vendor.path("payload/bin/kubelet")).unwrap());
    assert_eq!(named("kubelet")["hashes"][0]["content"], kubelet["sha256:".len()..]);
    assert_eq!(named("kubelet")["purl"], format!("pkg:generic/kubelet@v1.36.3?checksum={kubelet}"));
    let web = named("registry.sealift.example/orders/web");
    assert!(
        web["purl"]
            .as_str()
            .unwrap()
            .ends_with("?repository_url=registry.sealift.example/orders/web&tag=4.2.0")
    );
    // References lead somewhere, and the chart to its image.
    let known: BTreeSet<&str> =
        components.iter().map(|part| part["bom-ref"].as_str().unwrap()).chain(["product:orders"]).collect();
    assert_eq!(known.len(), components.len() + 1);
    for dependency in sbom["dependencies"].as_array().unwrap() {
        assert!(known.contains(dependency["ref"].as_str().unwrap()), "{dependency}");
        for target in dependency["dependsOn"].as_array().unwrap() {
            assert!(known.contains(target.as_str().unwrap()), "{dependency}");
        }
    }
    let chart =
        sbom["dependencies"].as_array().unwrap().iter().find(|entry| entry["ref"] == "chart:orders").unwrap();
    assert_eq!(chart["dependsOn"], serde_json::json!(["image:registry.sealift.example/orders/web:4.2.0"]));
}

#[test]
fn the_same_bundle_gives_the_same_text() {
    let vendor = vendor();
    let said = vendor.succeed(&[&SBOM[..], &["--out", "one.cdx.json"]].concat());
    assert_eq!(said, "written   one.cdx.json\n");
    let one = std::fs::read_to_string(vendor.path("one.cdx.json")).unwrap();
    assert_eq!(one, vendor.succeed(&SBOM));
    vendor.build("other cache", "orders.bundle");
    assert_eq!(one, vendor.succeed(&SBOM));
    let said = vendor.fail(2, &[&SBOM[..], &["--out", "one.cdx.json"]].concat());
    assert!(said.contains("cannot write one.cdx.json"), "{said}");
    vendor.succeed(&[&SBOM[..], &["--out", "one.cdx.json", "--overwrite"]].concat());
    let other: Value = serde_json::from_str(&one).unwrap();
    vendor.replace("recipe.yaml", "serial: 17", "serial: 18");
    vendor.lock();
    vendor.build("cache", "orders.bundle");
    let next: Value = serde_json::from_str(&vendor.succeed(&SBOM)).unwrap();
    assert_ne!(next["serialNumber"], other["serialNumber"]);
}
