//! The folder for a customer's disk, as a vendor makes it and a field engineer meets it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use crate::support::vendor::{Vendor, build, program};

const AMD64: u16 = 62;
const ARM64: u16 = 183;
const LOADED: u32 = 1;
const INTERPRETER: u32 = 3;
const WHOLE: [&str; 6] = [
    "KEY-FINGERPRINT.txt",
    "SHA256SUMS",
    "START-HERE.txt",
    "installer-linux-amd64",
    "orders-4.2.0.bundle",
    "orders.pub",
];

/// A vendor with the bundle `release.bundle` and an installer.
fn vendor() -> Vendor {
    let vendor = Vendor::new();
    vendor.lock();
    vendor.build("cache", "release.bundle");
    fs::write(vendor.path("installer"), program(AMD64, &[LOADED])).unwrap();
    vendor
}

fn carry<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["carry", "release.bundle", "--key", "release.key.pub", "--out", "disk"], more].concat()
}

const INSTALLER: [&str; 2] = ["--installer", "linux/amd64=installer"];

/// Runs a command line as the field engineer does: in the folder.
fn shell(folder: &Path, line: &str) -> (bool, String) {
    let output = Command::new("sh").args(["-euc", line]).current_dir(folder).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn text(vendor: &Vendor, name: &str) -> String {
    let text = fs::read_to_string(vendor.path("disk").join(name)).unwrap();
    for line in text.lines() {
        assert!(line.chars().count() <= 76, "{name}: {line}");
        assert!(!line.contains(['{', '}']), "{name}: {line}");
    }
    text
}

#[test]
fn build_writes_all_that_a_customer_needs() {
    let vendor = Vendor::new();
    vendor.lock();
    fs::write(vendor.path("installer"), program(AMD64, &[LOADED])).unwrap();
    let said =
        vendor.succeed(&[&build("cache", "release.bundle")[..], &["--carry", "disk"], &INSTALLER].concat());
    assert!(said.contains("\ncarry     disk: 6 files, "), "{said}");
    assert_eq!(vendor.names("disk"), WHOLE);
    let disk = vendor.path("disk");
    // Not a second copy: the same file, or the same blocks.
    assert!(said.ends_with("the bundle not a second time on this disk\n"), "{said}");
    assert!(
        fs::read(disk.join("orders-4.2.0.bundle")).unwrap()
            == fs::read(vendor.path("release.bundle")).unwrap()
    );
    assert_eq!(disk.join("installer-linux-amd64").metadata().unwrap().permissions().mode() & 0o777, 0o755);
    let (whole, said) = shell(&disk, "sha256sum --strict -c SHA256SUMS");
    assert!(whole && said.lines().count() == 5 && said.lines().all(|line| line.ends_with(": OK")), "{said}");
    vendor.succeed(&["verify", "disk/orders-4.2.0.bundle", "--key", "disk/orders.pub"]);
    // A flipped bit shows.
    let mut content = fs::read(disk.join("orders.pub")).unwrap();
    content[3] ^= 1;
    fs::write(disk.join("orders.pub"), content).unwrap();
    let (whole, said) = shell(&disk, "sha256sum --strict -c SHA256SUMS");
    assert!(!whole && said.contains("orders.pub: FAILED"), "{said}");
}

#[test]
fn the_texts_say_what_is_there_and_what_to_do() {
    let vendor = vendor();
    vendor.succeed(&carry(&INSTALLER));
    let start = text(&vendor, "START-HERE.txt");
    assert!(start.starts_with("START HERE\n\nOrders 4.2.0 (serial 17)\n"), "{start}");
    for name in WHOLE {
        assert!(start.contains(&format!("\n  {name}\n      ")), "{name}: {start}");
    }
    for command in [
        "sha256sum -c SHA256SUMS\n",
        "cp installer-linux-amd64 ~/installer\n",
        "~/installer verify orders-4.2.0.bundle \\\n         --trust-key orders.pub\n",
        "~/installer install --bundle orders-4.2.0.bundle \\\n         --profile site.yaml --trust-key orders.pub\n",
        "When a check fails\n",
        "--trust-key orders.pub --damage-list ~/damage.json\n",
        "runs/",
    ] {
        assert!(start.contains(command), "{command}: {start}");
    }
    assert!(!start.contains("--rotation"), "{start}");

    // The sheet says what the vendor reads aloud, and what the engineer computes without any program of the disk.
    let sheet = text(&vendor, "KEY-FINGERPRINT.txt");
    let shown = vendor.succeed(&["key", "show", "release.key.pub"]);
    let groups: Vec<&str> = shown.lines().filter(|line| line.starts_with("  group ")).collect();
    assert!(
        groups.len() == 8 && groups.iter().all(|group| sheet.contains(&format!("\n{group}\n"))),
        "{sheet}"
    );
    let of = |name: &str, text: &str| {
        text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned())).unwrap()
    };
    assert_eq!(of("Fingerprint", &sheet), of("fingerprint", &shown));
    assert_eq!(of("Key id", &sheet), of("key id", &shown));
    for line in ["Product      Orders\n", "Version      4.2.0\n", "Serial       17\n"] {
        assert!(sheet.contains(line), "{sheet}");
    }
    let command = start.lines().find(|line| line.contains("base64 -d")).unwrap();
    let (_, computed) = shell(&vendor.path("disk"), command);
    assert_eq!(computed.trim().to_uppercase(), of("Fingerprint", &sheet).replace(' ', ""));
}

#[test]
fn every_processor_gets_its_installer() {
    let vendor = vendor();
    fs::write(vendor.path("arm"), program(ARM64, &[LOADED])).unwrap();
    vendor.succeed(&carry(&[&INSTALLER[..], &["--installer", "linux/arm64=arm"]].concat()));
    assert!(fs::read(vendor.path("disk/installer-linux-arm64")).unwrap() == program(ARM64, &[LOADED]));
    let start = text(&vendor, "START-HERE.txt");
    for (name, machine) in [("amd64", "x86_64"), ("arm64", "aarch64")] {
        let line = format!(
            "  installer-linux-{name}\n      the installer, for machines where `uname -m` says {machine}\n"
        );
        assert!(start.contains(&line), "{start}");
    }
    assert!(start.contains("`uname -m` tells which installer that machine needs.\n"), "{start}");
}

#[test]
fn the_same_folder_again_is_the_same() {
    let vendor = vendor();
    vendor.succeed(&carry(&INSTALLER));
    let sums = fs::read_to_string(vendor.path("disk/SHA256SUMS")).unwrap();
    vendor.succeed(&carry(&INSTALLER));
    assert_eq!(fs::read_to_string(vendor.path("disk/SHA256SUMS")).unwrap(), sums);
    vendor.succeed(&carry(&[&INSTALLER[..], &["--split", "50KB"]].concat()));
    assert!(!vendor.names("disk").contains(&"orders-4.2.0.bundle".to_owned()));
    assert!(!vendor.names(".").iter().any(|name| name.starts_with(".disk")), "{:?}", vendor.names("."));
}

#[test]
fn small_disks_get_parts() {
    let vendor = vendor();
    let said = vendor.succeed(&carry(&[&INSTALLER[..], &["--split", "50KB"]].concat()));
    assert!(!said.contains("second time"), "{said}");
    let names = vendor.names("disk");
    let parts: Vec<&String> = names.iter().filter(|name| name.starts_with("orders-4.2.0.bundle.")).collect();
    assert!(parts.len() > 3 && parts[0].ends_with(".001"), "{names:?}");
    let (whole, said) = shell(&vendor.path("disk"), "sha256sum --strict -c SHA256SUMS");
    assert!(whole && parts.iter().all(|part| said.contains(&format!("{part}: OK\n"))), "{said}");
    let start = text(&vendor, "START-HERE.txt");
    assert!(start.contains(&format!("  orders-4.2.0.bundle.001 to {:03}\n", parts.len())), "{start}");
    assert!(start.contains("--bundle orders-4.2.0.bundle.001 \\\n"), "{start}");
    vendor.succeed(&["verify", "disk/orders-4.2.0.bundle.001", "--key", "release.key.pub"]);
    // What fits is not cut; what is cut already is not taken.
    vendor.succeed(&carry(&[&INSTALLER[..], &["--split", "fat32"]].concat()));
    assert_eq!(vendor.names("disk"), WHOLE);
    vendor.succeed(&["split", "release.bundle", "--size", "50KB"]);
    fs::remove_file(vendor.path("release.bundle")).unwrap();
    let said = vendor.fail(2, &carry(&INSTALLER));
    assert!(said.contains("release.bundle is in parts") && said.contains("bundle-builder join"), "{said}");
}

#[test]
fn a_statement_travels_with_the_key_that_it_is_about() {
    let vendor = vendor();
    vendor.succeed(&["keygen", "--out", "next.key", "--no-password"]);
    vendor.succeed(&["key", "rotate", "--old", "release.key", "--new", "next.key"]);
    let mut build = build("cache", "release.bundle");
    build[6] = "next.key";
    vendor.succeed(&build);
    vendor.succeed(&carry(&[&INSTALLER[..], &["--rotation", "next.rotation"]].concat()));
    let statement = vendor.names("disk").into_iter().find(|name| name.ends_with(".rotation")).unwrap();
    let start = text(&vendor, "START-HERE.txt");
    assert!(start.contains(&format!("     --rotation {statement}\n")), "{start}");
    vendor.succeed(&[
        "verify",
        "disk/orders-4.2.0.bundle",
        "--key",
        "release.key.pub",
        "--rotation",
        &format!("disk/{statement}"),
    ]);
    vendor.succeed(&["verify", "disk/orders-4.2.0.bundle", "--key", "disk/orders.pub"]);
}

#[test]
fn what_a_customer_could_not_use_is_refused_and_leaves_nothing() {
    let vendor = vendor();
    fs::write(vendor.path("arm"), program(ARM64, &[LOADED])).unwrap();
    fs::write(vendor.path("dynamic"), program(AMD64, &[LOADED, INTERPRETER])).unwrap();
    fs::write(vendor.path("script"), "#!/bin/sh\n").unwrap();
    for (installer, expected) in [
        (
            None,
            "for linux/amd64, but no installer is\n  next: give the one that was made for it: `--installer linux/amd64=PATH`",
        ),
        (Some("linux/arm64=arm"), "for linux/amd64, but no installer is"),
        (Some("linux/amd64=arm"), "arm is no installer for linux/amd64: it is made for linux/arm64"),
        (Some("linux/amd64=dynamic"), "dynamic is no installer for linux/amd64: it is not static"),
        (Some("linux/amd64=script"), "script is no installer for linux/amd64: it is not a program"),
        (Some("linux/amd64=missing"), "cannot read missing"),
        (Some("linux/amd46=installer"), "next: did you mean `linux/amd64`?"),
        (Some("installer"), "must look like PLATFORM=FILE"),
    ] {
        let more: Vec<&str> = installer.iter().flat_map(|it| ["--installer", it]).collect();
        let said = vendor.fail(2, &carry(&more));
        assert!(said.contains(expected), "{installer:?}: {said}");
        // Before the work, when a build is to carry.
        if installer != Some("installer") {
            let mut build = build("cache", "second.bundle").to_vec();
            build.extend(["--carry", "disk"]);
            let said = vendor.fail(2, &[build, more].concat());
            assert!(said.contains(expected) && !vendor.path("second.bundle").exists(), "{said}");
        }
    }
    let said = vendor.fail(2, &[&build("cache", "second.bundle")[..], &INSTALLER].concat());
    assert!(said.contains("next: name it: `--carry DIR`"), "{said}");

    fs::create_dir(vendor.path("disk")).unwrap();
    fs::write(vendor.path("disk/thesis.tex"), "years of work").unwrap();
    let said = vendor.fail(2, &carry(&INSTALLER));
    assert!(said.contains("disk holds thesis.tex, which no carry folder does"), "{said}");
    assert_eq!(vendor.names("disk"), ["thesis.tex"]);
    assert!(!vendor.names(".").iter().any(|name| name.starts_with(".disk")), "{:?}", vendor.names("."));
}

#[test]
fn a_damaged_bundle_is_not_carried() {
    let vendor = vendor();
    let mut content = fs::read(vendor.path("release.bundle")).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(vendor.path("release.bundle"), content).unwrap();
    let said = vendor.fail(5, &carry(&INSTALLER));
    assert!(said.contains("release.bundle"), "{said}");
    assert!(!vendor.path("disk").exists());
}

#[test]
fn a_full_disk_is_noticed_before_anything_is_written() {
    let vendor = vendor();
    vendor.succeed(&carry(&INSTALLER));
    let earlier = fs::read(vendor.path("disk/SHA256SUMS")).unwrap();
    // Larger than the disk has room for, without taking room itself.
    let free = rustix::fs::statvfs(vendor.folder.path()).unwrap();
    let file = fs::File::options().write(true).open(vendor.path("installer")).unwrap();
    file.set_len(free.f_bavail * free.f_frsize + (1 << 30)).unwrap();
    assert!(vendor.path("installer").metadata().unwrap().blocks() < 1000);
    let said = vendor.fail(2, &carry(&INSTALLER));
    assert!(said.contains("not enough room in disk: ") && said.contains("take a larger one"), "{said}");
    assert_eq!(fs::read(vendor.path("disk/SHA256SUMS")).unwrap(), earlier);
    assert!(!vendor.names(".").iter().any(|name| name.starts_with(".disk")), "{:?}", vendor.names("."));
}
