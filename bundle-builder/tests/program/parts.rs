//! Bundles in parts, and their repair, as a vendor's or a site's engineer does it.

use std::fs;
use std::process::Command;

use crate::support::noise;
use crate::support::vendor::{Vendor, WEB, with_key};

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

fn part(number: usize) -> String {
    format!("disk/orders.bundle.{number:03}")
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
fn parts_of_four_gibibytes_are_refused_for_fat32() {
    let vendor = vendor();
    let said = vendor.fail(2, &["split", "orders.bundle", "--size", "4GiB", "--out", "fat"]);
    assert!(said.contains("FAT32 holds files up to one byte less than 4 GiB: say fat32"), "{said}");
    assert!(!vendor.path("fat").exists());
    fs::create_dir(vendor.path("fat")).unwrap();
    let said = vendor.succeed(&["split", "orders.bundle", "--size", "fat32", "--out", "fat"]);
    assert!(said.contains("one part of 4.3 GB: fat/orders.bundle.001"), "{said}");
    assert_eq!(vendor.names("fat"), ["orders.bundle.001"]);
}

#[test]
fn damage_is_named_with_its_part_and_mended_from_another_copy() {
    let vendor = vendor();
    vendor.flip(&part(2), 20_000);
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
    vendor.flip(&part(3), 1_000);
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
        vendor.flip(path, 150_000);
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

#[test]
fn a_damaged_copy_is_listed_and_mended_by_a_small_file() {
    let vendor = vendor();
    vendor.flip(&part(2), 20_000);
    fs::remove_file(vendor.path(&part(4))).unwrap();
    let verify = with_key(&["verify", "disk/orders.bundle.001", "--damage-list", "damage.json"]);
    let said = vendor.fail(5, &verify);
    assert!(said.contains("is missing"), "{said}");
    assert!(said.contains("next: send damage.json to the vendor, who makes a small file"), "{said}");
    let list: serde_json::Value =
        serde_json::from_slice(&fs::read(vendor.path("damage.json")).unwrap()).unwrap();
    assert_eq!((&list["kind"], &list["product"]["version"]), (&"DamageList".into(), &"4.2.0".into()));
    let blobs = list["blobs"].as_array().unwrap();
    assert!(blobs.iter().all(|blob| blob["part"].as_str().unwrap().starts_with("orders.bundle.00")));
    assert!(blobs.iter().any(|blob| blob["size"] == 200_000), "{list}");

    // The vendor's side.
    let recarry =
        with_key(&["recarry", "orders.bundle", "--damage-list", "damage.json", "--out", "mend.recarry"]);
    vendor.succeed(&recarry);
    let said = vendor.fail(2, &recarry);
    assert!(said.contains("mend.recarry exists already"), "{said}");

    // The site's side again.
    let repair = with_key(&["repair", &part(1), "--from", "mend.recarry"]).join(" ");
    let repair: Vec<&str> = repair.split(' ').collect();
    let said = vendor.succeed(&repair);
    assert!(said.contains("taken from mend.recarry") && said.contains("not read again"), "{said}");
    let said = vendor.succeed(&repair);
    assert!(said.contains("nothing to mend"), "{said}");
    fs::remove_file(vendor.path("damage.json")).unwrap();
    vendor.succeed(&verify);
    assert!(!vendor.path("damage.json").exists());
}

/// Bytes that the program has read from whatever there is, by the system's count.
fn bytes_read(vendor: &Vendor, arguments: &[&str]) -> u64 {
    let program = vendor.command(arguments);
    // A shell's count has what its children read in it.
    let output = Command::new("sh")
        .args(["-ec", "\"$@\" >&2; cat /proc/$$/io", "sh"])
        .arg(program.get_program())
        .args(program.get_args())
        .current_dir(vendor.folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let counts = String::from_utf8(output.stdout).unwrap();
    counts.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

#[test]
fn a_repair_from_a_list_reads_what_it_mends_and_no_other_content() {
    const LARGE: u64 = 20_000_000;
    let vendor = Vendor::new();
    vendor.registry.push_image(WEB, "amd64", &[&noise(71, usize::try_from(LARGE).unwrap())]);
    vendor.built();
    fs::copy(vendor.path("orders.bundle"), vendor.path("copy.bundle")).unwrap();
    // One of the small layers.
    let (content, layer) = (fs::read(vendor.path("copy.bundle")).unwrap(), noise(11, 5_000));
    let start = content.windows(layer.len()).position(|window| window == layer).unwrap();
    vendor.flip("copy.bundle", start + 100);
    vendor.fail(5, &with_key(&["verify", "copy.bundle", "--damage-list", "damage.json"]));
    vendor.succeed(&with_key(&[
        "recarry",
        "orders.bundle",
        "--damage-list",
        "damage.json",
        "--out",
        "mend.recarry",
    ]));
    let read = bytes_read(&vendor, &with_key(&["repair", "copy.bundle", "--from", "mend.recarry"]));
    assert!(read < LARGE / 10, "{read} bytes");
    assert!(vendor.same("copy.bundle", "orders.bundle"));
    // Whoever must read all does so, as this is counted.
    let all = bytes_read(&vendor, &with_key(&["verify", "copy.bundle"]));
    assert!(all > LARGE, "{all} bytes");
}

#[test]
fn damage_is_told_where_its_list_cannot_be_written() {
    let vendor = vendor();
    vendor.flip(&part(2), 20_000);
    let plain = vendor.fail(5, &with_key(&["verify", &part(1)]));
    let (damage, _) = plain.split_once("\n  next: ").unwrap();
    assert!(damage.contains("damaged in 1 place"), "{damage}");
    let said = vendor.fail(5, &with_key(&["verify", &part(1), "--damage-list", "nowhere/damage.json"]));
    let rest = said.strip_prefix(damage).unwrap_or_else(|| panic!("{said}"));
    let expected =
        "\n  the list of what is needed: nowhere/damage.json: cannot be written: No such file or directory";
    assert!(rest.starts_with(expected), "{said}");
    assert!(rest.contains("\n  next: name another place with `--damage-list`"), "{said}");
}

#[test]
fn what_is_no_copy_of_the_bundle_is_not_mended_into_one() {
    let vendor = vendor();
    vendor.succeed(&with_key(&["recarry", "orders.bundle", "--out", "front.recarry"]));
    for (path, refusal, next) in [
        (
            "recipe.yaml",
            "is no damaged copy of orders 4.2.0 (serial 17): nothing of",
            "name the damaged copy",
        ),
        ("front.recarry", "is a re-carry file, which mends a bundle", "`bundle-builder repair BUNDLE --from"),
    ] {
        let before = fs::read(vendor.path(path)).unwrap();
        let said = vendor.fail(2, &with_key(&["repair", path, "--from", "orders.bundle"]));
        assert!(said.contains(&format!("{path}: {refusal}")), "{said}");
        assert!(said.contains("\n  next: ") && said.contains(next), "{said}");
        assert!(fs::read(vendor.path(path)).unwrap() == before, "{path}");
    }
}

#[test]
fn a_list_of_another_bundle_is_refused() {
    let vendor = vendor();
    vendor.flip(&part(2), 20_000);
    vendor.fail(5, &with_key(&["verify", &part(1), "--damage-list", "damage.json"]));
    vendor.replace("recipe.yaml", "version: 4.2.0, serial: 17", "version: 4.3.0, serial: 18");
    vendor.lock();
    vendor.build("cache", "next.bundle");
    let recarry =
        with_key(&["recarry", "next.bundle", "--damage-list", "damage.json", "--out", "mend.recarry"]);
    let said = vendor.fail(2, &recarry);
    assert!(said.contains("orders 4.2.0 (serial 17), not orders 4.3.0 (serial 18)"), "{said}");
    assert!(said.contains("next: give the very bundle that the site has a copy of"), "{said}");
    vendor.write("damage.json", "{");
    let said = vendor.fail(2, &recarry);
    assert!(said.contains("damage.json: not a damage list"), "{said}");
    assert!(!vendor.path("mend.recarry").exists());
}

#[test]
fn a_contents_list_that_is_damaged_itself_is_mended_first() {
    let vendor = vendor();
    // In the bundle document, behind index and signature.
    vendor.flip("orders.bundle", 12_000);
    let verify = with_key(&["verify", "orders.bundle", "--damage-list", "damage.json"]);
    let said = vendor.fail(5, &verify);
    assert!(said.contains("no list could be made") && said.contains("recarry"), "{said}");
    assert!(!vendor.path("damage.json").exists());
    vendor.succeed(&with_key(&["recarry", &part(1), "--out", "front.recarry"]));
    let said = vendor.succeed(&with_key(&["repair", "orders.bundle", "--from", "front.recarry"]));
    assert!(said.contains("taken from front.recarry"), "{said}");
    vendor.succeed(&verify);
    // With a key that is not trusted, no list would help.
    vendor.succeed(&["keygen", "--out", "stranger.key", "--no-password"]);
    let stranger = ["verify", "orders.bundle", "--damage-list", "damage.json", "--key", "stranger.key.pub"];
    let said = vendor.fail(5, &stranger);
    assert!(said.contains("next: compare the key id") && !said.contains("no list"), "{said}");
}

#[test]
fn parts_are_not_joined_unless_all_are_there() {
    let vendor = vendor();
    let count = vendor.names("disk").len();
    let join = |from: &str, code| vendor.fail(code, &["join", from, "--out", "joined.bundle"]);
    let put_back = |number: usize, content: &[u8]| fs::write(vendor.path(&part(number)), content).unwrap();
    for number in [1, 2, count] {
        let content = fs::read(vendor.path(&part(number))).unwrap();
        fs::remove_file(vendor.path(&part(number))).unwrap();
        let said = join("disk/orders.bundle", 5);
        assert!(said.contains(&format!("{}: this part of the bundle is missing", part(number))), "{said}");
        assert!(said.contains("next: put the part beside the others"), "{said}");
        put_back(number, &content[..content.len() - 1]);
        let said = join(&part(1), 5);
        assert!(said.contains(&format!("{}: this part of the bundle is cut short", part(number))), "{said}");
        put_back(number, &content);
    }
    let first = fs::read(vendor.path(&part(1))).unwrap();
    fs::remove_file(vendor.path(&part(1))).unwrap();
    let said = join(&part(2), 5);
    assert!(said.contains(&format!("{}: this part of the bundle is missing", part(1))), "{said}");
    put_back(1, &first);
    assert!(join("recipe.yaml", 5).contains("recipe.yaml: not a Sealift bundle"));
    let said = join("orders.bundle", 2);
    assert!(said.contains("is a bundle in one file") && said.contains("next: use it as it is"), "{said}");
    assert!(!vendor.path("joined.bundle").exists());
}

#[test]
fn names_of_parts_are_neither_written_nor_cut_again() {
    let vendor = vendor();
    let before = vendor.names("disk");
    for number in [before.len() + 1, before.len() + 2] {
        let said = vendor.fail(2, &["join", &part(1), "--out", &part(number)]);
        assert!(said.contains("would be taken for a part of disk/orders.bundle\n"), "{said}");
        assert!(said.contains("next: choose another `--out`"), "{said}");
    }
    for name in [&part(1), &part(2), "disk/orders.bundle"] {
        let said = vendor.fail(2, &["split", name, "--size", "10KB"]);
        assert!(said.contains(&format!("{name}: is in parts already\n  next: name the bundle in one file")));
        assert!(said.contains("bundle-builder join FIRST"), "{said}");
    }
    assert_eq!(vendor.names("disk"), before);
    vendor.succeed(&with_key(&["verify", &part(1)]));
    // Where no parts lie, a number at the end is a name as any other.
    vendor.succeed(&["join", &part(1), "--out", "orders-4.2.100"]);
    assert!(vendor.same("orders-4.2.100", "orders.bundle"));
}
