//! The program from recipe to verified bundle, against a registry in this process.

use std::collections::BTreeSet;

use crate::support::vendor::{LOCK, Vendor, WEB, build};
use crate::support::{Fault, INDEX};
use sealift_bundle::document::Role;

#[test]
fn a_recipe_becomes_a_bundle() {
    let vendor = Vendor::new();
    assert!(vendor.lock().starts_with("locked    recipe.lock.yaml: 8 images, 1 chart, 2 files"));
    let said = vendor.build("cache", "orders.bundle");
    assert!(said.starts_with("built     orders.bundle: ") && said.contains("signed by key "), "{said}");

    let bundle = vendor.open("orders.bundle");
    let document = bundle.document();
    assert_eq!((document.product.title.as_str(), document.product.serial), ("Orders", 17));
    assert!(bundle.trusted_comment().starts_with("product:orders\tversion:4.2.0\tserial:17\ttimestamp:"));
    let paths: Vec<&str> = document.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["/usr/local/bin/kubectl", "/usr/local/bin/kubelet"]);
    let kubectl = &document.files[0];
    assert_eq!((kubectl.mode, &*kubectl.roles), (0o750, &[Role::ControlPlane][..]));
    let plain = zstd::decode_all(&*bundle.read_blob(&kubectl.digest).unwrap()).unwrap();
    assert_eq!(plain, std::fs::read(vendor.path("payload/bin/kubectl")).unwrap());
    assert_eq!(kubectl.plain_size, plain.len() as u64);

    let said = vendor.succeed(&["verify", "orders.bundle", "--key", "release.key.pub"]);
    assert!(said.contains("Orders 4.2.0 (serial 17)") && said.contains("every blob matches"), "{said}");
    assert!(!vendor.names(".").iter().any(|name| name.contains("building")));
}

#[test]
fn two_builds_of_one_lock_are_equal() {
    let vendor = Vendor::new();
    vendor.lock();
    vendor.build("cache", "one.bundle");
    vendor.build("other cache", "two.bundle");
    let read = |name: &str| std::fs::read(vendor.path(name)).unwrap();
    assert!(read("one.bundle") == read("two.bundle"));
    assert_eq!(vendor.lock(), "unchanged recipe.lock.yaml\n");
    vendor.build("cache", "three.bundle");
    assert!(read("one.bundle") == read("three.bundle"));
}

#[test]
fn every_digest_is_fetched_once() {
    let vendor = Vendor::new();
    vendor.lock();
    vendor.build("cache", "one.bundle");
    vendor.build("cache", "two.bundle");
    let seen = vendor.registry.blob_requests();
    let digests: BTreeSet<&str> = seen.iter().filter_map(|seen| seen.path.rsplit('/').next()).collect();
    assert_eq!(seen.len(), digests.len(), "{seen:?}");
}

#[test]
fn an_index_stays_whole_and_only_listed_platforms_are_packed() {
    let vendor = Vendor::new();
    vendor.lock();
    vendor.build("cache", "orders.bundle");
    let bundle = vendor.open("orders.bundle");
    let image = bundle.document().images.iter().find(|image| image.name == WEB).unwrap().clone();
    assert_eq!(image.media_type, INDEX);
    let index: serde_json::Value = serde_json::from_slice(&bundle.read_blob(&image.digest).unwrap()).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2);
    // Index, manifest, config and layer of one platform.
    assert_eq!(image.blobs.len(), 4);

    vendor.replace("recipe.yaml", "images:\n", "platforms: [linux/arm64]\nimages:\n");
    let said = vendor.fail(2, &LOCK);
    assert!(said.contains("is not made for linux/arm64, only for linux/amd64"), "{said}");
}

#[test]
fn a_lock_that_does_not_fit_is_refused() {
    let vendor = Vendor::new();
    let said = vendor.fail(2, &build("cache", "x.bundle"));
    assert!(
        said.contains("there is no lock at recipe.lock.yaml") && said.contains("next: make it with"),
        "{said}"
    );
    vendor.lock();
    vendor.write("payload/bin/kubelet", "another kubelet");
    vendor.write("chart/values.yaml", "replicas: 2\n");
    let said = vendor.fail(2, &build("cache", "x.bundle"));
    assert!(said.contains("file kubelet (payload:bin/kubelet) has other content: sha256:"), "{said}");
    assert!(said.contains("chart orders (chart) has other content"), "{said}");
    vendor.replace("recipe.yaml", "serial: 17", "serial: 18");
    let said = vendor.fail(2, &build("cache", "x.bundle"));
    assert!(said.contains("changed since it was made: product\n"), "{said}");
    assert!(!vendor.path("x.bundle").exists());
    vendor.lock();
    vendor.build("cache", "x.bundle");
}

#[test]
fn what_differs_from_the_lock_is_told_before_what_the_gate_finds() {
    let vendor = Vendor::new();
    vendor.lock();
    // Of the size that they had: only their content tells.
    vendor.write("payload/bin/kubelet", &"KUBELET ".repeat(50_000));
    vendor.write("payload/bin/kubectl", &"KUBECTL ".repeat(40_000));
    vendor.helm("#!/bin/sh\n[ \"$1\" = version ]\n");
    let said = vendor.fail(2, &build("fresh cache", "x.bundle"));
    for name in ["kubelet", "kubectl"] {
        assert!(
            said.contains(&format!("file {name} (payload:bin/{name}) has other content: sha256:")),
            "{said}"
        );
    }
    assert!(!said.contains("render"), "{said}");
    vendor.lock();
    let said = vendor.fail(2, &build("fresh cache", "x.bundle"));
    assert!(said.contains("1 chart does not render"), "{said}");
    assert!(!vendor.path("x.bundle").exists());
}

#[test]
fn what_a_moved_tag_has_left_and_the_registry_dropped_must_be_renewed_by_name() {
    let vendor = Vendor::new();
    vendor.lock();
    let lock = vendor.read("recipe.lock.yaml");
    let at = lock.find(&format!("name: {WEB}")).unwrap();
    let digest = &lock[at..].split("sha256:").nth(1).unwrap()[..64];
    vendor.registry.push_image(WEB, "amd64", &[b"moved"]);
    let repository = WEB.rsplit_once(':').unwrap().0;
    vendor.registry.fail_manifest(repository, &format!("sha256:{digest}"), &[Fault::Status(404)]);
    let said = vendor.fail(2, &build("other cache", "x.bundle"));
    assert!(said.contains(&format!("has no manifest sha256:{digest} of {WEB}\n")), "{said}");
    assert!(said.contains("next: if the tag was moved since the lock"), "{said}");
    assert!(!vendor.path("x.bundle").exists());
    vendor.succeed(&[&LOCK[..], &["--update", WEB]].concat());
    vendor.build("other cache", "x.bundle");
}

#[test]
fn an_image_that_a_chart_names_must_be_packed() {
    let vendor = Vendor::new();
    vendor.write(
        "chart/templates/database.yaml",
        "---\nkind: StatefulSet\nmetadata: {name: db}\nspec: {template: {spec: {initContainers: [{name: init, image: 'postgres:15'}]}}}\n",
    );
    vendor.lock();
    let said = vendor.fail(2, &build("cache", "x.bundle"));
    assert!(said.contains("1 image missing from the recipe:\n  docker.io/library/postgres:15\n"), "{said}");
    assert!(said.contains("chart orders, StatefulSet orders/db, init container init (spec."), "{said}");
    assert!(said.contains("images:\n  - name: docker.io/library/postgres:15\n"), "{said}");
}

#[test]
fn a_chart_that_does_not_render_is_refused_with_helms_words() {
    let vendor = Vendor::new();
    vendor.lock();
    vendor.helm("#!/bin/sh\n[ \"$1\" = version ] || { echo 'Error: nil pointer' >&2; exit 1; }\n");
    let said = vendor.fail(2, &build("cache", "x.bundle"));
    assert!(
        said.contains(
            "1 chart does not render:\n  chart orders for component orders, a small sample site:\n    Error: nil pointer"
        ),
        "{said}"
    );
}

#[test]
fn a_registry_that_lies_ends_with_code_5() {
    let vendor = Vendor::new();
    vendor.lock();
    let lock = std::fs::read_to_string(vendor.path("recipe.lock.yaml")).unwrap();
    let at = lock.find("pause:3.10.2").unwrap();
    let digest = lock[at..].split("digest: ").nth(1).unwrap().lines().next().unwrap();
    vendor.registry.fail_manifest("registry.k8s.io/pause", digest, &[Fault::Corrupt; 20]);
    let said = vendor.fail(5, &build("other cache", "x.bundle"));
    assert!(said.contains("registry.k8s.io (mirror http://127.0.0.1:") && said.contains(digest), "{said}");
    assert!(!vendor.path("x.bundle").exists());
}

#[test]
fn a_cache_edited_by_hand_is_noticed_and_mended() {
    let vendor = Vendor::new();
    vendor.lock();
    vendor.build("cache", "one.bundle");
    let bundle = vendor.open("one.bundle");
    let blob = bundle.document().files[0].digest.clone();
    let path = vendor.path("cache/blobs/sha256").join(blob.strip_prefix("sha256:").unwrap());
    let mut content = std::fs::read(&path).unwrap();
    content[40] ^= 1;
    std::fs::write(&path, content).unwrap();
    let said = vendor.fail(5, &build("cache", "two.bundle"));
    assert!(said.contains(&format!("blob {blob} in the cache was damaged")), "{said}");
    assert!(!vendor.path("two.bundle").exists());
    vendor.build("cache", "two.bundle");
    assert!(
        std::fs::read(vendor.path("one.bundle")).unwrap()
            == std::fs::read(vendor.path("two.bundle")).unwrap()
    );
}

#[test]
fn a_failed_build_leaves_the_old_bundle_alone() {
    let vendor = Vendor::new();
    vendor.lock();
    vendor.build("cache", "orders.bundle");
    let last = std::fs::read(vendor.path("orders.bundle")).unwrap();
    vendor.write(".orders.bundle.building/.bundle-x.partial", "left by a killed build");
    vendor.helm("#!/bin/sh\nexit 1\n");
    vendor.fail(2, &build("cache", "orders.bundle"));
    assert!(std::fs::read(vendor.path("orders.bundle")).unwrap() == last);
    vendor.helm("#!/bin/sh\nexit 0\n");
    vendor.replace("recipe.yaml", "serial: 17", "serial: 18");
    vendor.lock();
    vendor.build("cache", "orders.bundle");
    assert_eq!(vendor.open("orders.bundle").document().product.serial, 18);
    assert!(!vendor.path(".orders.bundle.building").exists());
}

#[test]
fn a_build_replaces_nothing_but_an_older_bundle() {
    let vendor = Vendor::new();
    vendor.lock();
    vendor.write("password", "correct horse\n");
    vendor.write("release.bundle", "the notes of the release");
    std::os::unix::fs::symlink("recipe.yaml", vendor.path("other.yaml")).unwrap();
    let helm = std::fs::read(vendor.path("helm")).unwrap();
    let read = "what this command reads";
    for (out, expected) in [
        ("release.key", read),
        ("release.key.pub", read),
        ("./release.key", "what this command reads as release.key"),
        ("recipe.yaml", read),
        ("recipe.lock.yaml", read),
        ("mirrors.yaml", read),
        ("helm", read),
        ("password", read),
        ("other.yaml", "other.yaml is a symbolic link, and never replaced\n  next: name a regular file"),
        ("chart/Chart.yaml", "chart/Chart.yaml exists already and is not a bundle: it is not replaced"),
        ("release.bundle", "\n  next: choose another name, or remove what is there"),
        ("chart", "chart is a folder\n  next: name the bundle's file"),
    ] {
        let before = std::fs::read(vendor.path(out)).ok();
        let arguments = [&build("cache", out)[..], &["--password-file", "password"]].concat();
        let said = vendor.fail(2, &arguments);
        assert!(said.contains(expected), "{out}: {said}");
        assert!(std::fs::read(vendor.path(out)).ok() == before, "{out}");
    }
    assert!(std::fs::read(vendor.path("helm")).unwrap() == helm);
    assert!(vendor.path("other.yaml").is_symlink());
}

#[test]
fn a_chart_that_fails_late_keeps_the_bundle_from_its_name() {
    let vendor = Vendor::new();
    vendor.lock();
    let begun = vendor.path(".orders.bundle.building");
    // Says no only when the bundle is being written.
    vendor.helm(&format!("#!/bin/sh\nuntil [ -e '{}' ]; do :; done\nexit 1\n", begun.display()));
    let said = vendor.fail(2, &build("cache", "orders.bundle"));
    assert!(said.contains("does not render"), "{said}");
    assert!(!vendor.path("orders.bundle").exists() && !begun.exists());
}

#[test]
fn damage_and_strangers_keys_end_with_code_5() {
    let vendor = Vendor::new();
    vendor.lock();
    vendor.build("cache", "orders.bundle");
    vendor.succeed(&["keygen", "--out", "stranger.key", "--no-password"]);
    let said = vendor.fail(5, &["verify", "orders.bundle", "--key", "stranger.key.pub"]);
    assert!(said.contains("is not trusted here") && said.contains("next: compare the key id"), "{said}");
    let mut content = std::fs::read(vendor.path("orders.bundle")).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    std::fs::write(vendor.path("orders.bundle"), content).unwrap();
    let said = vendor.fail(5, &["verify", "orders.bundle", "--key", "release.key.pub"]);
    assert!(said.contains("damaged in 1 place: content of blobs/sha256/"), "{said}");
}

#[test]
fn passwords_come_from_the_environment_or_a_file() {
    let vendor = Vendor::new();
    vendor.lock();
    vendor.write("password", "correct horse\n");
    vendor.write("wrong", "incorrect horse\n");
    vendor.succeed(&["keygen", "--out", "locked.key", "--password-file", "password"]);
    let with = |extra: &[&'static str]| {
        let mut arguments: Vec<&str> = build("cache", "x.bundle").to_vec();
        arguments[6] = "locked.key";
        arguments.extend(extra);
        arguments
    };
    let said = vendor.fail(2, &with(&[]));
    assert!(said.contains("locked.key needs its password") && said.contains("--password-env"), "{said}");
    let said = vendor.fail(2, &with(&["--password-file", "wrong"]));
    assert!(said.contains("wrong password for locked.key"), "{said}");
    let said = vendor.fail(2, &with(&["--password-env", "SEALIFT_TEST_UNSET"]));
    assert!(said.contains("SEALIFT_TEST_UNSET is not set"), "{said}");
    vendor.succeed(&with(&["--password-file", "password"]));
    let said = vendor.fail(2, &["keygen", "--out", "new.key"]);
    assert!(said.contains("no terminal") && !vendor.path("new.key").exists(), "{said}");
}

#[test]
fn usage_and_recipe_errors_end_with_code_2() {
    let vendor = Vendor::new();
    vendor.fail(2, &["pack"]);
    let said = vendor.fail(2, &["lock", "--mirrors", "mirrors.yaml", "--cache", "cache"]);
    assert!(
        said.contains(
            "the root `payload` of payload:bin/kubelet is not given\n  next: give it: `--root payload=FOLDER`"
        ),
        "{said}"
    );
    vendor.replace("recipe.yaml", "charts:", "chart:");
    let said = vendor.fail(2, &LOCK);
    assert!(
        said.starts_with("error: recipe.yaml:") && said.contains("next: did you mean `charts`?"),
        "{said}"
    );
    let said = vendor.fail(2, &["lock", "--recipe", "none.yaml"]);
    assert!(said.contains("cannot read none.yaml"), "{said}");
    vendor.replace("recipe.yaml", "chart:\n", "charts:\n");
    vendor.write_bytes("latin.yaml", b"# Auftr\xe4ge\n");
    for (code, arguments, expected) in [
        (2, &["keygen", "--out", "nowhere/x.key", "--no-password"][..], "next: make the folder first"),
        (2, &["build", "--key", "nowhere", "--out", "x.bundle"], "next: say where the key is"),
        (2, &["cache", "prune", "--cache", "cache", "--max-size", "5"], "must be a number with B, kB, MB"),
        (2, &["verify", "none", "--key", "release.key.pub"], "there is no such file\n  next: say where"),
        (
            2,
            &["lock", "--cache", "cache", "--mirrors", "none"],
            "cannot read none\n  because: No such file or directory (os error 2)\n  next: say where it is, e.g. `--mirrors mirrors.yaml`",
        ),
        (2, &["lock", "--recipe", "none"], "next: say where it is, e.g. `--recipe recipe.yaml`"),
        (2, &["lock", "--recipe", "chart"], "next: name a file that you may read"),
        (2, &["lock", "--recipe", "latin.yaml"], "next: save it as UTF-8 text"),
        (2, &["lock", "--cache", "cache", "--mirrors", "latin.yaml"], "next: save it as UTF-8 text"),
        (5, &["verify", "recipe.yaml", "--key", "release.key.pub"], "next: give the file that"),
    ] {
        let said = vendor.fail(code, arguments);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}
