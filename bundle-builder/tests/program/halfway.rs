//! Verbs that write much: told that the disk is too small before they write, and stopped half-way by a person or by a
//! full disk.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;

use crate::support::noise;
use crate::support::vendor::{Vendor, program, with_key};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use sealift_bundle::recarry::{DamageList, DamagedBlob};
use sealift_bundle::testing::{hollow_bundle, too_many_blobs};
use sealift_bundle::{Bundle, TrustedKeys};

const NOTHING: &str = "nothing was written, and nothing replaced";

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
    // The signal may come a moment too late: at the end, or when the result has its name.
    let ended = caught && output.status.code() != Some(0);
    assert_eq!(output.status.code(), Some(if ended { 4 } else { 0 }), "{verb:?}: {said}");
    (ended && !said.ends_with("; it was done: what it wrote is whole, and stays\n")).then_some(said)
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
    vendor.flip("damaged.bundle", size / 2);
    vendor.fail(5, &with_key(&["verify", "damaged.bundle", "--damage-list", "damage.json"]));
    vendor.write_bytes("installer", &program(62, &[1]));
    vendor
}

/// The verbs that write into `out`, all of them more than 1 MB into one file.
fn writing() -> [Vec<&'static str>; 7] {
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
    [
        with_key(&["delta", "old.bundle", "new.bundle", "--out", "out/new.delta"]),
        with_key(&["apply", "old.bundle", "new.delta", "--out", "out/applied.bundle"]),
        vec!["split", "new.bundle", "--size", "2MB", "--out", "out"],
        vec!["join", "parts/new.bundle.001", "--out", "out/joined.bundle"],
        with_key(&recarry),
        with_key(&["extract", "new.bundle", "kubelet", "--out", "out/kubelet", "--overwrite"]),
        with_key(&carry),
    ]
}

#[test]
fn a_verb_that_is_ended_leaves_nothing_half_written() {
    let vendor = vendor_with_two();
    let partial = || vendor.names("out").iter().any(|name| name.ends_with(".partial"));
    let carrying = || vendor.path("out/.disk.carrying").exists();
    for verb in writing() {
        let began: &dyn Fn() -> bool = if verb[0] == "carry" { &carrying } else { &partial };
        for (signal, name) in [(Signal::INT, "by Ctrl-C"), (Signal::TERM, "by SIGTERM")] {
            let said = (0..50).find_map(|_| {
                let _ = fs::remove_dir_all(vendor.path("out"));
                vendor.write("out/kubelet", "the old one");
                stopped(&vendor, &verb, signal, began)
            });
            let said = said.unwrap_or_else(|| panic!("{verb:?} was never caught in the middle"));
            let last = said.lines().last().unwrap();
            assert_eq!(last, format!("stopped   {name}; {NOTHING}"), "{verb:?}");
            assert_eq!(vendor.names("out"), ["kubelet"], "{verb:?}");
            assert_eq!(vendor.read("out/kubelet"), "the old one");
        }
    }
}

#[test]
fn a_disk_that_fills_up_leaves_nothing_half_written() {
    let vendor = vendor_with_two();
    vendor.write("out/kubelet", "the old one");
    for verb in writing() {
        let said = vendor.fail_on_a_full_disk(1000, &verb);
        assert!(said.contains("\n  because: File too large"), "{verb:?}: {said}");
        assert!(said.contains("\n  next: the disk takes no files of this size"), "{verb:?}: {said}");
        assert_eq!(vendor.names("out"), ["kubelet"], "{verb:?}");
        assert_eq!(vendor.read("out/kubelet"), "the old one");
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

#[test]
fn a_repair_on_a_disk_that_fills_up_goes_on() {
    let vendor = vendor_with_two();
    let good = fs::read(vendor.path("new.bundle")).unwrap();
    vendor.write_bytes("short.bundle", &good[..3_000_000]);
    let repair = with_key(&["repair", "short.bundle", "--from", "new.bundle"]);
    let said = vendor.fail_on_a_full_disk(5000, &repair);
    assert!(said.contains("short.bundle: cannot be written\n  because: File too large"), "{said}");
    // No longer than what is in it.
    assert!(fs::read(vendor.path("short.bundle")).unwrap() == good[..5000 << 10]);
    vendor.succeed(&repair);
    assert!(fs::read(vendor.path("short.bundle")).unwrap() == good);
}

/// Fails as there is too little room in `folder`, and writes nothing.
fn assert_no_room(vendor: &Vendor, verb: &[&str], folder: &str) {
    let names = || [".", "disk"].map(|name| vendor.names(name));
    let before = names();
    let said = vendor.fail(2, verb);
    assert!(said.starts_with(&format!("error: not enough room in {folder}: ")), "{verb:?}: {said}");
    assert!(said.contains("B needed, ") && said.contains("B free\n  next: make room"), "{verb:?}: {said}");
    assert_eq!(names(), before, "{verb:?}");
}

/// A list that takes every blob of the bundle at `path` for damaged.
fn all_of(path: &Path, key: &str) -> DamageList {
    let bundle = Bundle::open(path, &TrustedKeys::from_public_key_text(key).unwrap()).unwrap();
    let blob = |digest: &String, size| DamagedBlob {
        digest: digest.clone(),
        size,
        offset: 0,
        what: String::new(),
        part: None,
        part_offset: None,
    };
    let blobs = bundle.blobs().iter().map(|found| blob(&found.digest, found.size)).collect();
    DamageList { blobs, ..DamageList::new(&bundle, &[]) }
}

#[test]
fn a_disk_that_is_too_small_is_told_before_the_work() {
    const BLOB: u64 = 4_000_000_000;
    let vendor = Vendor::new();
    for name in ["disk", "old", "new"] {
        fs::create_dir(vendor.path(name)).unwrap();
    }
    // The newer one has too many blobs that the older one has not.
    let count = too_many_blobs(vendor.folder.path(), BLOB);
    let (_, old_key) = hollow_bundle(&vendor.path("old"), 1, BLOB);
    let (new, new_key) = hollow_bundle(&vendor.path("new"), count + 1, BLOB);
    vendor.write("old.pub", &old_key);
    vendor.write("new.pub", &new_key);
    all_of(&new, &new_key).write(&vendor.path("damage.json")).unwrap();
    let with_keys = |verb: &[&'static str]| [verb, &["--key", "old.pub", "--key", "new.pub"]].concat();
    vendor.succeed(&with_keys(&["inventory", "old/hollow.bundle", "--out", "old.json"]));
    // Its contents list alone is left.
    let mut front = fs::File::open(&new).unwrap().take(1 << 20);
    std::io::copy(&mut front, &mut fs::File::create(vendor.path("disk/damaged.bundle")).unwrap()).unwrap();

    let (old, new) = ("old/hollow.bundle", "new/hollow.bundle");
    for verb in [
        vec!["delta", old, new, "--out", "disk/new.delta"],
        vec!["delta", "--base-inventory", "old.json", new, "--out", "disk/new.delta"],
        vec!["recarry", new, "--damage-list", "damage.json", "--out", "disk/mend.recarry"],
        vec!["repair", "disk/damaged.bundle", "--from", new],
    ] {
        assert_no_room(&vendor, &with_keys(&verb), "disk");
    }
    assert_eq!(vendor.path("disk/damaged.bundle").metadata().unwrap().len(), 1 << 20);
    assert_no_room(&vendor, &["split", new, "--size", "64GiB", "--out", "disk"], "disk");
    fs::rename(vendor.path(new), vendor.path("new/hollow.bundle.001")).unwrap();
    assert_no_room(&vendor, &["join", "new/hollow.bundle.001", "--out", "joined.bundle"], ".");
}
