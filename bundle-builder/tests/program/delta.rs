//! Deltas, inventories and re-carry files, as a vendor and a site use them.

use std::fs;

use crate::support::noise;
use crate::support::vendor::{Vendor, with_key};
use sealift_bundle::delta::{Against, room_to_cut};
use sealift_bundle::parcel::Parcel;
use sealift_bundle::{Bundle, TrustedKeys};
use serde_json::Value;

const WEB_REPOSITORY: &str = "registry.sealift.example/orders/web";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|nibble| char::from(b'a' + nibble)).collect()
}

/// A binary that does not compress well, and one in which a few places changed.
fn binaries() -> [String; 2] {
    let old = hex(&noise(41, 60_000));
    let mut new = old.clone();
    for at in (0..old.len()).step_by(5_000) {
        new.replace_range(at..=at, "x");
    }
    new.insert_str(70_000, "some new code");
    [old, new]
}

/// A vendor with the releases `old.bundle` and `new.bundle`: of the application's image one of two layers changed, of
/// the binaries kubelet in some places.
fn vendor() -> Vendor {
    let vendor = Vendor::new();
    let [old, new] = binaries();
    let base = noise(50, 40_000);
    // As what gzip makes begins.
    let web = |tag: &str, layer: u64| {
        let (name, layer) = (format!("{WEB_REPOSITORY}:{tag}"), [&[0x1f, 0x8b][..], &noise(layer, 20_000)]);
        vendor.registry.push_image(&name, "amd64", &[&base, &layer.concat()]);
    };
    web("4.2.0", 51);
    web("4.3.0", 52);
    vendor.write("payload/bin/kubelet", &old);
    vendor.lock();
    vendor.build("cache", "old.bundle");
    vendor.replace("recipe.yaml", "version: 4.2.0, serial: 17", "version: 4.3.0, serial: 18");
    vendor.replace("recipe.yaml", "web:4.2.0", "web:4.3.0");
    vendor.replace("chart/templates/web.yaml", "web:4.2.0", "web:4.3.0");
    vendor.write("payload/bin/kubelet", &new);
    vendor.lock();
    vendor.build("cache", "new.bundle");
    vendor
}

fn delta(vendor: &Vendor) -> Value {
    let cut = ["delta", "old.bundle", "new.bundle", "--out", "orders.delta", "--output", "json"];
    serde_json::from_str(&vendor.succeed(&with_key(&cut))).unwrap()
}

const APPLY: [&str; 5] = ["apply", "old.bundle", "orders.delta", "--out", "made.bundle"];

fn same(vendor: &Vendor, one: &str, other: &str) -> bool {
    fs::read(vendor.path(one)).unwrap() == fs::read(vendor.path(other)).unwrap()
}

fn nothing_half_written(vendor: &Vendor) {
    let names = vendor.names(".");
    assert!(!names.iter().any(|name| name.contains("partial") || name == "made.bundle"), "{names:?}");
}

fn open(vendor: &Vendor, name: &str) -> Bundle {
    let keys = TrustedKeys::from_files(&[vendor.path("release.key.pub")]).unwrap();
    Bundle::open(&vendor.path(name), &keys).unwrap()
}

#[test]
fn a_delta_holds_what_is_new_and_makes_the_new_bundle() {
    let vendor = vendor();
    let report = delta(&vendor);
    assert_eq!((&report["old"]["serial"], &report["new"]["serial"]), (&17.into(), &18.into()));
    assert_eq!(report["bytes"], fs::metadata(vendor.path("orders.delta")).unwrap().len());
    // The binary in which some places changed comes as a patch, far below its size.
    assert_eq!(report["patched"]["blobs"], 1);
    let [patch, files] = ["patchBytes", "fileBytes"].map(|name| report[name].as_u64().unwrap());
    assert!(patch * 10 < files && patch == report["fileBytesCarried"], "{report}");

    // All but the patch was certain before anything was compared, and so was the room that it takes.
    let (old, new) = (open(&vendor, "old.bundle"), open(&vendor, "new.bundle"));
    let certain = room_to_cut(Against::Bundle(&old), &new);
    let [bytes, whole] = [&report["bytes"], &report["whole"]["bytes"]].map(|bytes| bytes.as_u64().unwrap());
    assert!(whole < certain && certain + patch < bytes, "{certain}: {report}");

    // Of the changed image only its new layer, of everything else nothing.
    let parcel = Parcel::open(&vendor.path("orders.delta")).unwrap();
    let web = |bundle: &Bundle| {
        let images = bundle.document().images.clone();
        images.into_iter().find(|image| image.name.starts_with(WEB_REPOSITORY)).unwrap().blobs
    };
    let sizes = |digest: &String| new.blobs().iter().find(|blob| blob.digest == *digest).unwrap().size;
    let layers: Vec<String> = web(&new).into_iter().filter(|digest| sizes(digest) >= 20_000).collect();
    assert_eq!(layers.len(), 2);
    let carried: Vec<&String> = layers.iter().filter(|digest| parcel.size_of(digest).is_some()).collect();
    assert_eq!(carried.len(), 1);
    assert!(!web(&old).contains(carried[0]));
    for blob in old.blobs().iter().filter(|blob| blob.size > 2) {
        assert_eq!(parcel.size_of(&blob.digest), None, "{}", blob.digest);
    }
    assert!(parcel.size() < 60_000, "{}", parcel.size());

    let said = vendor.succeed(&with_key(&APPLY));
    assert!(said.contains("Orders 4.3.0 (serial 18)") && said.contains("every blob matches"), "{said}");
    assert!(same(&vendor, "made.bundle", "new.bundle"));
    vendor.succeed(&with_key(&["verify", "made.bundle"]));
    let said = vendor.fail(2, &with_key(&APPLY));
    assert!(said.contains("made.bundle exists already\n  next: choose another `--out`"), "{said}");
}

#[test]
fn the_report_for_people_tells_what_was_saved() {
    let vendor = vendor();
    let cut = ["delta", "old.bundle", "new.bundle", "--out", "orders.delta"];
    let said = vendor.succeed(&with_key(&cut));
    for line in said.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    for expected in ["old       Orders 4.2.0 (serial 17)", "patched   1 blob, ", "delta     orders.delta, "] {
        assert!(said.contains(expected), "{expected} is not in\n{said}");
    }
    assert!(said.lines().last().unwrap().ends_with("% saved"), "{said}");
    let said = vendor.fail(2, &with_key(&cut));
    assert!(said.contains("orders.delta exists already"), "{said}");
    let said = vendor.fail(2, &with_key(&["delta", "old.bundle", "old.bundle", "--out", "other"]));
    assert!(said.contains("the same bundle\n  next: give two releases"), "{said}");
    let said = vendor.fail(2, &with_key(&["delta", "new.bundle", "--out", "other"]));
    assert!(said.contains("--base-inventory FILE"), "{said}");
}

#[test]
fn a_site_in_parts_takes_a_delta() {
    let vendor = vendor();
    delta(&vendor);
    fs::create_dir(vendor.path("disk")).unwrap();
    vendor.succeed(&["split", "old.bundle", "--size", "50KB", "--out", "disk"]);
    let apply = ["apply", "disk/old.bundle.001", "orders.delta", "--out", "made.bundle"];
    vendor.succeed(&with_key(&apply));
    assert!(same(&vendor, "made.bundle", "new.bundle"));
}

#[test]
fn an_inventory_stands_in_for_the_old_bundle() {
    let vendor = vendor();
    vendor.succeed(&with_key(&["inventory", "old.bundle", "--out", "old.json"]));
    let inventory: Value = serde_json::from_slice(&fs::read(vendor.path("old.json")).unwrap()).unwrap();
    let blobs = inventory["blobs"].as_array().unwrap();
    assert!(blobs.iter().any(|blob| blob["of"] == "file kubelet v1.36.3"), "{inventory}");
    let cut = ["delta", "--base-inventory", "old.json", "new.bundle", "--out", "orders.delta"];
    let said = vendor.succeed(&with_key(&cut));
    assert!(!said.contains("patched"), "{said}");
    let parcel = Parcel::open(&vendor.path("orders.delta")).unwrap();
    for blob in blobs.iter().filter(|blob| blob["size"].as_u64() > Some(2)) {
        assert_eq!(parcel.size_of(blob["digest"].as_str().unwrap()), None);
    }
    vendor.succeed(&with_key(&APPLY));
    assert!(same(&vendor, "made.bundle", "new.bundle"));
    let cut = ["delta", "--base-inventory", "recipe.yaml", "new.bundle", "--out", "other"];
    let said = vendor.fail(2, &with_key(&cut));
    assert!(said.contains("not an inventory") && said.contains("bundle-builder inventory"), "{said}");
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_written() {
    let vendor = vendor();
    delta(&vendor);
    let apply = |old, delta| ["apply", old, delta, "--out", "made.bundle"];
    let said = vendor.fail(2, &with_key(&apply("new.bundle", "orders.delta")));
    assert!(said.contains("orders 4.2.0 (serial 17), not from this orders 4.3.0 (serial 18)"), "{said}");
    assert!(said.contains("next: give the bundle that it starts from"), "{said}");
    let said = vendor.fail(5, &with_key(&apply("old.bundle", "new.bundle")));
    assert!(said.contains("new.bundle: not a delta or re-carry file"), "{said}");
    vendor.succeed(&with_key(&["recarry", "new.bundle", "--out", "front.recarry"]));
    let said = vendor.fail(2, &with_key(&apply("old.bundle", "front.recarry")));
    assert!(said.contains("is a re-carry file, not a delta") && said.contains("repair BUNDLE"), "{said}");
    let said = vendor.fail(2, &with_key(&["repair", "new.bundle", "--from", "orders.delta"]));
    assert!(said.contains("is a delta") && said.contains("bundle-builder apply"), "{said}");
    vendor.succeed(&["keygen", "--out", "stranger.key", "--no-password"]);
    let stranger = [&APPLY[..], &["--key", "stranger.key.pub"]].concat();
    let said = vendor.fail(5, &stranger);
    assert!(said.contains("orders.delta: signed by key") && said.contains("not trusted here"), "{said}");
    let said = vendor.fail(5, &with_key(&[&APPLY[..], &["--minimum-serial", "19"]].concat()));
    assert!(said.contains("has serial 18, which is older than 19"), "{said}");
    nothing_half_written(&vendor);
}

#[test]
fn a_damaged_delta_is_refused() {
    let vendor = vendor();
    delta(&vendor);
    let good = fs::read(vendor.path("orders.delta")).unwrap();
    let mut bad = good.clone();
    // Inside the last member: content that is carried.
    let at = bad.len() - 1024 - 600;
    bad[at] ^= 1;
    fs::write(vendor.path("orders.delta"), &bad).unwrap();
    let said = vendor.fail(5, &with_key(&APPLY));
    assert!(said.contains("orders.delta: blob sha256:") && said.contains("is damaged"), "{said}");
    assert!(said.contains("next: copy that file again"), "{said}");
    fs::write(vendor.path("orders.delta"), &good[..good.len() - 1]).unwrap();
    let said = vendor.fail(5, &with_key(&APPLY));
    assert!(said.contains("orders.delta: cut short"), "{said}");
    fs::write(vendor.path("orders.delta"), &good).unwrap();
    nothing_half_written(&vendor);
    vendor.succeed(&with_key(&APPLY));
}

#[test]
fn a_delta_or_recarry_file_is_not_taken_for_an_unsigned_bundle() {
    let vendor = vendor();
    delta(&vendor);
    vendor.succeed(&with_key(&["recarry", "new.bundle", "--out", "front.recarry"]));
    for arguments in [
        &["verify", "orders.delta"][..],
        &["verify", "orders.delta", "--damage-list", "damage.json"],
        &["inspect", "orders.delta"],
        &["delta", "old.bundle", "orders.delta", "--out", "other"],
    ] {
        let said = vendor.fail(2, &with_key(arguments));
        assert!(said.contains("orders.delta: is a delta, not a bundle\n  next: "), "{said}");
        assert!(said.contains("bundle-builder apply OLD DELTA"), "{said}");
    }
    let said = vendor.fail(2, &with_key(&["verify", "front.recarry"]));
    assert!(said.contains("front.recarry: is a re-carry file, not a bundle\n  next: "), "{said}");
    assert!(said.contains("bundle-builder repair COPY --from FILE"), "{said}");
    assert!(!vendor.path("damage.json").exists());
    let good = fs::read(vendor.path("orders.delta")).unwrap();
    fs::write(vendor.path("short.delta"), &good[..good.len() - 1]).unwrap();
    let said = vendor.fail(5, &with_key(&["verify", "short.delta"]));
    assert!(said.contains("short.delta: cut short"), "{said}");
}

#[test]
fn a_delta_in_parts_is_joined_when_all_are_there() {
    let vendor = vendor();
    delta(&vendor);
    fs::create_dir(vendor.path("disk")).unwrap();
    vendor.succeed(&["split", "orders.delta", "--size", "15KB", "--out", "disk"]);
    let parts = vendor.names("disk");
    assert!(parts.len() > 2, "{parts:?}");
    vendor.succeed(&["join", "disk/orders.delta.001", "--out", "joined.delta"]);
    assert!(same(&vendor, "joined.delta", "orders.delta"));
    let last = format!("disk/{}", parts.last().unwrap());
    fs::remove_file(vendor.path(&last)).unwrap();
    let said = vendor.fail(5, &["join", "disk/orders.delta.001", "--out", "again.delta"]);
    assert!(said.contains(&format!("{last}: this part of the bundle is missing")), "{said}");
    assert!(!vendor.path("again.delta").exists());
}

#[test]
fn a_delta_back_to_an_older_release_comes_with_a_hint() {
    let vendor = vendor();
    vendor.succeed(&with_key(&["inventory", "new.bundle", "--out", "new.json"]));
    for cut in [
        &["delta", "new.bundle", "old.bundle", "--out", "back.delta"][..],
        &["delta", "--base-inventory", "new.json", "old.bundle", "--out", "other.delta"],
    ] {
        let output = vendor.run(&with_key(cut));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(said.starts_with("note: OLD has serial 18, NEW only 17: "), "{said}");
    }
    vendor.succeed(&with_key(&["apply", "new.bundle", "back.delta", "--out", "made.bundle"]));
    assert!(same(&vendor, "made.bundle", "old.bundle"));
}
