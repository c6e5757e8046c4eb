//! Standard output and standard error that take no more: the program says so, or goes on, and never falls over.

use std::fs::File;
use std::os::unix::fs::FileTypeExt as _;
use std::process::{Output, Stdio};

use crate::support::vendor::{LOCK, Vendor, with_key};

const TEXTS: [&[&str]; 3] = [&["schema"], &["completions", "bash"], &["man"]];

/// Where nothing can be written to, as on a disk that is full.
fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// A pipe whose reader has gone.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn run(vendor: &Vendor, arguments: &[&str], stdout: Stdio) -> Output {
    vendor.command(arguments).stdout(stdout).output().unwrap()
}

/// A vendor with the bundle `orders.bundle`.
fn vendor() -> Vendor {
    let vendor = Vendor::new();
    vendor.built();
    vendor
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let vendor = vendor();
    let mut all: Vec<Vec<&str>> = TEXTS.iter().map(|verb| verb.to_vec()).collect();
    for verb in ["ls", "inspect", "verify"] {
        all.push(with_key(&[verb, "orders.bundle"]));
    }
    all.push(with_key(&["inspect", "orders.bundle", "--output", "json"]));
    for arguments in all {
        let output = run(&vendor, &arguments, full());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        let expected = "error: cannot write all of the result to standard output\n  because: No space left";
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert!(said.contains("\n  next: make room where it goes"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_reader_that_is_gone_changes_nothing() {
    let vendor = vendor();
    let mut all: Vec<Vec<&str>> = TEXTS.iter().map(|verb| verb.to_vec()).collect();
    all.push(with_key(&["ls", "orders.bundle"]));
    for arguments in all {
        let output = run(&vendor, &arguments, unread());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{arguments:?}: {said}");
    }
    // What the work has found counts, whoever reads of it.
    let size = usize::try_from(vendor.path("orders.bundle").metadata().unwrap().len()).unwrap();
    vendor.flip("orders.bundle", size / 2);
    for stdout in [unread(), full()] {
        let output = run(&vendor, &with_key(&["verify", "orders.bundle"]), stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{said}");
        assert!(said.contains("damaged in 1 place"), "{said}");
    }
}

#[test]
fn no_result_replaces_what_is_read_or_is_no_file() {
    let vendor = vendor();
    let bundle = std::fs::read(vendor.path("orders.bundle")).unwrap();
    let key = vendor.read("release.key.pub");
    let made = std::process::Command::new("mkfifo").arg(vendor.path("pipe")).status().unwrap();
    assert!(made.success());
    std::os::unix::fs::symlink("/proc/self/fd/1", vendor.path("stdout")).unwrap();
    std::fs::hard_link(vendor.path("orders.bundle"), vendor.path("same.bundle")).unwrap();
    vendor.write("mine.json", "{}");
    let verbs: [&[&str]; 4] = [
        &["verify", "orders.bundle", "--damage-list"],
        &["inventory", "orders.bundle", "--out"],
        &["sbom", "orders.bundle", "--overwrite", "--out"],
        &["extract", "orders.bundle", "chart:orders", "--overwrite", "--out"],
    ];
    for verb in verbs {
        for (out, expected) in [
            ("orders.bundle", "orders.bundle is what this command reads, and never replaced"),
            ("same.bundle", "same.bundle is what this command reads as orders.bundle, and never"),
            ("release.key.pub", "release.key.pub is what this command reads, and never replaced"),
            ("pipe", "pipe is a pipe, and never replaced\n  next: name a regular file"),
            ("stdout", "stdout is a symbolic link, and never replaced"),
        ] {
            let said = vendor.fail(2, &with_key(&[verb, &[out]].concat()));
            assert!(said.contains(expected), "{verb:?} {out}: {said}");
        }
    }
    for verb in &verbs[..2] {
        let said = vendor.fail(2, &with_key(&[*verb, &["mine.json"]].concat()));
        assert!(said.contains("mine.json exists already and is not a"), "{said}");
        assert!(said.contains("\n  next: choose another name, or remove what is there"), "{said}");
    }
    assert!(std::fs::read(vendor.path("orders.bundle")).unwrap() == bundle);
    assert_eq!((vendor.read("release.key.pub"), vendor.read("mine.json")), (key, "{}".to_owned()));
    assert!(vendor.path("pipe").symlink_metadata().unwrap().file_type().is_fifo());
    assert!(vendor.path("stdout").is_symlink());
    // What is like it is replaced, as ever.
    for _ in 0..2 {
        vendor.succeed(&with_key(&["inventory", "orders.bundle", "--out", "list.json"]));
        vendor.succeed(&with_key(&["sbom", "orders.bundle", "--overwrite", "--out", "mine.json"]));
    }
    vendor.flip("orders.bundle", bundle.len() / 2);
    for _ in 0..2 {
        let said = vendor.fail(5, &with_key(&["verify", "orders.bundle", "--damage-list", "damage.json"]));
        assert!(said.contains("next: send damage.json"), "{said}");
    }
    vendor.fail(2, &with_key(&["verify", "orders.bundle", "--damage-list", "list.json"]));
}

#[test]
fn progress_that_cannot_be_told_stops_nothing() {
    let vendor = Vendor::new();
    for stderr in [full(), unread()] {
        let _ = std::fs::remove_file(vendor.path("recipe.lock.yaml"));
        let output = vendor.command(&LOCK).stderr(stderr).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(vendor.path("recipe.lock.yaml").exists());
    }
    for stderr in [full(), unread()] {
        let output = vendor.command(&["lock", "--recipe", "none.yaml"]).stderr(stderr).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}
