//! Other programs read a bundle as it is: tar, skopeo and Debian's minisign.

use std::fs;
use std::path::Path;
use std::process::Command;

use sealift_bundle::layout;
use sealift_bundle::testing::{sample_bundle, sample_document};

/// Runs a program that must be installed, and gives its output; anything but success fails the test.
fn run(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).output().unwrap_or_else(|error| {
        panic!("this test needs the program {program} (Debian package of that name): {error}")
    });
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

#[test]
fn tar_lists_and_extracts_it() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = sample_bundle(folder.path());
    let name = path.to_str().unwrap();
    let listed = run(folder.path(), "tar", &["-tf", name]);
    assert_eq!(listed.lines().count(), 6 + sample_document().blobs.len());
    run(folder.path(), "tar", &["-xf", name]);
    for blob in sample_document().blobs {
        let extracted = fs::read(layout::blob_path(folder.path(), &blob.digest).unwrap()).unwrap();
        assert_eq!(extracted.len() as u64, blob.size);
    }
}

#[test]
fn minisign_verifies_the_extracted_index() {
    let folder = tempfile::tempdir().unwrap();
    let (path, public_key) = sample_bundle(folder.path());
    let key = public_key.lines().nth(1).unwrap();
    run(folder.path(), "tar", &["-xf", path.to_str().unwrap(), "index.json", "index.json.minisig"]);
    let said = run(folder.path(), "minisign", &["-Vm", "index.json", "-P", key]);
    assert!(said.contains("product:orders\tversion:4.2.0\tserial:17"), "{said}");
}

#[test]
fn skopeo_lists_and_copies_every_image_out_of_the_bundle_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = sample_bundle(folder.path());
    for (number, image) in sample_document().images.iter().enumerate() {
        let reference = format!("oci-archive:{}:{}", path.display(), image.name);
        let inspected = run(folder.path(), "skopeo", &["inspect", "--raw", &reference]);
        assert_eq!(sealift_bundle::digest::digest_of(inspected.as_bytes()), image.digest);
        let described = run(folder.path(), "skopeo", &["inspect", &reference]);
        assert!(described.contains("\"Architecture\": \"amd64\""), "{described}");
        let target = format!("dir:{}", folder.path().join(number.to_string()).display());
        run(folder.path(), "skopeo", &["--insecure-policy", "copy", "--all", &reference, &target]);
        for digest in &image.blobs {
            let copied = folder.path().join(number.to_string());
            let name = &digest["sha256:".len()..];
            let manifest = copied.join("manifest.json");
            let inner = copied.join(format!("{name}.manifest.json"));
            let is_manifest = sealift_bundle::digest::digest_of(&fs::read(&manifest).unwrap()) == *digest;
            assert!(
                is_manifest || inner.exists() || copied.join(name).exists(),
                "{digest} of {}",
                image.name
            );
        }
    }
}
