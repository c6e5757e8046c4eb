//! Bundles in parts, and their repair, as a vendor's or a site's engineer does it.

// Helpers of tests fail by panicking, as tests do.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use support::vendor::Vendor;

const KEY: [&str; 2] = ["--key", "release.key.pub"];
const SIZE: &str = "50KB";

/// A vendor with the bundle `orders.bundle`, and its parts in `disk`.
fn vendor() -> Vendor {
    let vendor = Vendor::new();
    vendor.lock();
    vendor.build("cache", "orders.bundle");
    fs::create_dir(vendor.path("disk")).unwrap();
    vendor.succeed(&["split", "orders.bundle", "--size", SIZE, "--out", "disk"]);
    vendor
}

fn with_key<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &KEY].concat()
}

fn part(number: usize) -> String {
    format!("disk/orders.bundle.{number:03}")
}

fn flip(vendor: &Vendor, path: &str, at: usize) {
    let mut content = fs::read(vendor.path(path)).unwrap();
    content[at] ^= 1;
    fs::write(vendor.path(path), content).unwrap();
}

#[test]
fn parts_are_read_where_they_lie_and_join_to_the_same_bundle() {
    let vendor = vendor();
    let parts = vendor.names("disk");
    assert!(parts.len() > 3, "{parts:?}");
    let sizes: Vec<u64> =
        parts.iter().map(|name| vendor.path("disk").join(name).metadata().unwrap().len()).collect();
    let (last, full) = sizes.split_last().unwrap();
    assert!(full.iter().all(|size| *size == 50_000) && *last <= 50_000, "{sizes:?}");
    let whole = vendor.succeed(&with_key(&["ls", "orders.bundle"]));
    for path in [&part(1), "disk/orders.bundle"] {
        assert_eq!(vendor.succeed(&with_key(&["ls", path])), whole);
        assert!(vendor.succeed(&with_key(&["verify", path])).contains("every blob matches the signature"));
    }
    vendor.succeed(&["join", &part(1), "--out", "joined.bundle"]);
    assert!(
        fs::read(vendor.path("joined.bundle")).unwrap() == fs::read(vendor.path("orders.bundle")).unwrap()
    );
}

#[test]
fn damage_is_named_with_its_part_and_mended_from_another_copy() {
    let vendor = vendor();
    flip(&vendor, &part(2), 20_000);
    fs::remove_file(vendor.path(&part(4))).unwrap();
    let missing = vendor.fail(5, &with_key(&["verify", &part(1)]));
    assert!(missing.contains(&part(4)) && missing.contains("is missing"), "{missing}");

    let said = vendor.succeed(&with_key(&["repair", &part(1), "--from", "orders.bundle"]));
    assert!(said.contains(&part(2)) && said.contains(&part(4)), "{said}");
    assert!(said.contains("taken from orders.bundle"), "{said}");
    vendor.succeed(&with_key(&["verify", &part(1)]));
    let again = vendor.succeed(&with_key(&["repair", &part(1), "--from", "orders.bundle"]));
    assert!(again.contains("nothing to mend"), "{again}");
    vendor.succeed(&["join", &part(1), "--out", "joined.bundle"]);
    assert!(
        fs::read(vendor.path("joined.bundle")).unwrap() == fs::read(vendor.path("orders.bundle")).unwrap()
    );
}

#[test]
fn one_flipped_bit_is_refused_with_the_blob_its_image_its_part_and_offset() {
    let vendor = vendor();
    flip(&vendor, &part(3), 1_000);
    let said = vendor.fail(5, &with_key(&["verify", &part(1)]));
    // The layer that all images share starts in the second part and goes on beyond the third.
    assert!(said.contains("(image ") && said.contains("of disk/orders.bundle.002, 200000 bytes"), "{said}");
    assert!(said.contains("bundle-builder repair"), "{said}");
}

#[test]
fn a_copy_that_is_damaged_at_the_same_place_does_not_do() {
    let vendor = vendor();
    fs::copy(vendor.path("orders.bundle"), vendor.path("other.bundle")).unwrap();
    for path in ["orders.bundle", "other.bundle"] {
        flip(&vendor, path, 150_000);
    }
    let before = fs::read(vendor.path("other.bundle")).unwrap();
    let said = vendor.fail(5, &with_key(&["repair", "orders.bundle", "--from", "other.bundle"]));
    assert!(said.contains("no good copy") && said.contains("one more copy"), "{said}");
    assert!(fs::read(vendor.path("other.bundle")).unwrap() == before);
    // The parts are a third copy.
    vendor.succeed(&with_key(&["repair", "orders.bundle", "--from", &part(1)]));
    vendor.succeed(&with_key(&["verify", "orders.bundle"]));
}

#[test]
fn wrong_uses_change_nothing() {
    let vendor = vendor();
    let before = vendor.names("disk");
    let split = |size| ["split", "orders.bundle", "--size", size, "--out", "disk"];
    let said = vendor.fail(2, &split(SIZE));
    assert!(said.contains("exists already") && said.contains("--out"), "{said}");
    let said = vendor.fail(2, &["split", "orders.bundle", "--size", "1KB", "--out", "."]);
    assert!(said.contains("1000 bytes") && said.contains("--size"), "{said}");
    assert!(vendor.fail(2, &split("large")).contains("--size"));
    let said = vendor.fail(5, &["split", "recipe.yaml", "--size", "1MB"]);
    assert!(said.contains("not a Sealift bundle"), "{said}");
    let said = vendor.fail(2, &["join", &part(1), "--out", "orders.bundle"]);
    assert!(said.contains("exists already"), "{said}");
    assert_eq!(vendor.names("disk"), before);
    assert_eq!(vendor.names(".").iter().filter(|name| name.contains("partial")).count(), 0);
}
