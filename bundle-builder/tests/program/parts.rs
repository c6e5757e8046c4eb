//! Bundles in parts, and their repair, as a vendor's or a site's engineer does it.

use std::fs;
use std::process::{Command, Stdio};

use crate::support::noise;
use crate::support::vendor::{Vendor, WEB, program, with_key};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

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
fn what_does_not_fit_on_the_disk_is_told_before_it_is_written() {
    let vendor = vendor();
    // Larger than the disk has room for, without taking room itself.
    let free = rustix::fs::statvfs(vendor.folder.path()).unwrap();
    let grow = |name: &str| {
        let file = fs::File::options().write(true).open(vendor.path(name)).unwrap();
        file.set_len(free.f_bavail * free.f_frsize + (1 << 30)).unwrap();
    };
    let names = vendor.names(".");
    grow(&part(vendor.names("disk").len()));
    let said = vendor.fail(2, &["join", &part(1), "--out", "joined.bundle"]);
    assert!(said.contains("not enough room in .: ") && said.contains("next: make room"), "{said}");
    grow("orders.bundle");
    let said = vendor.fail(2, &["split", "orders.bundle", "--size", "64GiB", "--out", "."]);
    assert!(said.contains("not enough room in .: ") && said.contains("next: make room"), "{said}");
    assert_eq!(vendor.names("."), names);
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

#[test]
fn a_damaged_copy_is_listed_and_mended_by_a_small_file() {
    let vendor = vendor();
    flip(&vendor, &part(2), 20_000);
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
    flip(&vendor, "copy.bundle", start + 100);
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
fn a_list_of_another_bundle_is_refused() {
    let vendor = vendor();
    flip(&vendor, &part(2), 20_000);
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
    flip(&vendor, "orders.bundle", 12_000);
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

/// Runs a verb until `began`, ends it there with `signal`, and gives what it said; nothing where it was done too soon.
fn stopped(vendor: &Vendor, verb: &[&str], signal: Signal, began: &dyn Fn() -> bool) -> Option<String> {
    let mut child = vendor.command(verb).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let process = Pid::from_child(&child);
    while !began() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    // It stands still while it is looked at.
    if child.try_wait().unwrap().is_none() {
        kill_process(process, Signal::STOP).unwrap();
        let either = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(process), either).unwrap();
    }
    let caught = child.try_wait().unwrap().is_none() && began();
    if caught {
        kill_process(process, signal).unwrap();
    }
    if child.try_wait().unwrap().is_none() {
        kill_process(process, Signal::CONT).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // The signal may come a moment too late.
    let in_time = caught && output.status.code() != Some(0);
    assert_eq!(output.status.code(), Some(if in_time { 4 } else { 0 }), "{verb:?}: {said}");
    in_time.then_some(said)
}

/// A vendor with a small bundle and a larger one, and what is made of them.
fn vendor_with_two() -> Vendor {
    let vendor = Vendor::new();
    vendor.lock();
    vendor.build("cache", "old.bundle");
    vendor.write_bytes("payload/bin/kubelet", &noise(51, 8_000_000));
    vendor.lock();
    vendor.build("cache", "new.bundle");
    fs::create_dir(vendor.path("parts")).unwrap();
    vendor.succeed(&["split", "new.bundle", "--size", "2MB", "--out", "parts"]);
    vendor.succeed(&with_key(&["delta", "old.bundle", "new.bundle", "--out", "new.delta"]));
    fs::copy(vendor.path("new.bundle"), vendor.path("damaged.bundle")).unwrap();
    let size = usize::try_from(vendor.path("new.bundle").metadata().unwrap().len()).unwrap();
    flip(&vendor, "damaged.bundle", size / 2);
    vendor.fail(5, &with_key(&["verify", "damaged.bundle", "--damage-list", "damage.json"]));
    vendor.write_bytes("installer", &program(62, &[1]));
    vendor
}

#[test]
fn a_verb_that_is_ended_leaves_nothing_half_written() {
    let vendor = vendor_with_two();
    let partial = || vendor.names("out").iter().any(|name| name.ends_with(".partial"));
    let carrying = || vendor.path("out/.disk.carrying").exists();
    let carry = [
        "carry",
        "new.bundle",
        "--installer",
        "linux/amd64=installer",
        "--split",
        "2MB",
        "--out",
        "out/disk",
    ];
    let recarry = ["recarry", "new.bundle", "--damage-list", "damage.json", "--out", "out/mend.recarry"];
    let verbs: [(Vec<&str>, &dyn Fn() -> bool); 7] = [
        (with_key(&["delta", "old.bundle", "new.bundle", "--out", "out/new.delta"]), &partial),
        (with_key(&["apply", "old.bundle", "new.delta", "--out", "out/applied.bundle"]), &partial),
        (vec!["split", "new.bundle", "--size", "2MB", "--out", "out"], &partial),
        (vec!["join", "parts/new.bundle.001", "--out", "out/joined.bundle"], &partial),
        (with_key(&recarry), &partial),
        (with_key(&["extract", "new.bundle", "kubelet", "--out", "out/kubelet", "--overwrite"]), &partial),
        (with_key(&carry), &carrying),
    ];
    for (verb, began) in verbs {
        for (signal, name) in [(Signal::INT, "by Ctrl-C"), (Signal::TERM, "by SIGTERM")] {
            let said = (0..50).find_map(|_| {
                let _ = fs::remove_dir_all(vendor.path("out"));
                vendor.write("out/kubelet", "the old one");
                stopped(&vendor, &verb, signal, began)
            });
            let said = said.unwrap_or_else(|| panic!("{verb:?} was never caught in the middle"));
            let last = said.lines().last().unwrap();
            assert_eq!(
                last,
                format!("stopped   {name}; nothing was written, and nothing replaced"),
                "{verb:?}"
            );
            assert_eq!(vendor.names("out"), ["kubelet"], "{verb:?}");
            assert_eq!(vendor.read("out/kubelet"), "the old one");
        }
    }
}

#[test]
fn a_repair_that_is_ended_goes_on() {
    let vendor = vendor_with_two();
    let repair = with_key(&["repair", "out/new.bundle.001", "--from", "new.bundle"]);
    let missing = vendor.path("out/new.bundle.003");
    for signal in [Signal::INT, Signal::TERM] {
        let said = (0..50).find_map(|_| {
            let _ = fs::remove_dir_all(vendor.path("out"));
            fs::create_dir(vendor.path("out")).unwrap();
            for name in vendor.names("parts").iter().filter(|name| !name.ends_with(".003")) {
                fs::copy(vendor.path("parts").join(name), vendor.path("out").join(name)).unwrap();
            }
            stopped(&vendor, &repair, signal, &|| missing.exists())
        });
        let said = said.expect("it was never caught in the middle");
        assert!(said.contains("; what was mended stays: the same command goes on\n"), "{said}");
        vendor.succeed(&repair);
        assert_eq!(vendor.names("out"), vendor.names("parts"));
        let read = |folder: &str, name: &str| fs::read(vendor.path(folder).join(name)).unwrap();
        assert!(vendor.names("parts").iter().all(|name| read("out", name) == read("parts", name)));
    }
}
