//! Files from web servers on their way into a bundle: beside images, charts and what lies on this machine.

use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};

use crate::sources::{gzip, hex, tar};
use crate::support::vendor::{Vendor, build, unpacked};
use crate::support::{Fault, noise};
use sealift_bundle::digest::digest_of;

const KUBELET: &str = "{root: payload, path: bin/kubelet}";
const KUBECTL: &str = "{root: payload, path: bin/kubectl}";

/// A vendor whose kubelet comes from a web server; its lock is made.
fn vendor() -> Vendor {
    let vendor = Vendor::new();
    let kubelet = noise(1, 300_000);
    let url = vendor.registry.push_file("kubelet", &kubelet);
    vendor.replace("recipe.yaml", KUBELET, &format!("{{url: '{url}', sha256: {}}}", hex(&kubelet)));
    vendor.lock();
    vendor
}

/// Adds a file to the recipe, behind the others.
fn add_file(vendor: &Vendor, name: &str, source: &str) {
    let entry =
        format!("  - {{name: {name}, version: v1.0.0, path: /usr/local/bin/{name}, source: {source}}}\n");
    vendor.replace("recipe.yaml", "components:\n", &format!("{entry}components:\n"));
}

/// A member of an archive on the web server.
fn member(vendor: &Vendor, archive: &[u8], name: &str) -> String {
    let url = vendor.registry.push_file("tools.tar.gz", archive);
    format!("{{archive: {{url: '{url}', sha256: {}, member: {name}}}}}", hex(archive))
}

/// How often the web server was asked for a file of this name.
fn asked_for(vendor: &Vendor, name: &str) -> usize {
    vendor.registry.file_requests().iter().filter(|seen| seen.path.ends_with(name)).count()
}

#[test]
fn files_come_while_images_do_and_all_is_told_in_one_order() {
    let vendor = vendor();
    let kubectl = noise(2, 200_000);
    let url = vendor.registry.push_file("kubectl", &kubectl);
    vendor.replace("recipe.yaml", KUBECTL, &format!("{{url: '{url}', sha256: {}}}", hex(&kubectl)));
    vendor.lock();
    let asked = vendor.registry.file_requests().len();
    vendor.build("cache", "undisturbed.bundle");
    // A layer that only this image has. Neither is given unless both are asked for.
    let blob = format!("/v2/registry.k8s.io/pause/blobs/{}", digest_of(&noise(10, 5_000)));
    let both = Arc::new(Barrier::new(2));
    for path in ["/files/kubelet", &blob] {
        let both = Arc::clone(&both);
        vendor.registry.before(path, move || {
            both.wait();
        });
    }
    let output = vendor.run(&build("fresh cache", "orders.bundle"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert_eq!(vendor.registry.file_requests().len(), asked + 2, "{said}");
    let words: Vec<&str> = said.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(words, ["download", "download", "gate", "pull", "compress", "pack", "verify"], "{said}");
    // The largest is told first, though the other was here before it.
    assert!(said.lines().next().unwrap().ends_with("/files/kubelet"), "{said}");
    let read = |name: &str| std::fs::read(vendor.path(name)).unwrap();
    assert!(read("orders.bundle") == read("undisturbed.bundle"));
}

#[test]
fn what_is_here_is_compressed_while_the_rest_comes() {
    let vendor = vendor();
    let frames = vendor.path("fresh cache/frames");
    vendor.registry.before("/files/kubelet", move || {
        while !frames.exists() {
            std::thread::yield_now();
        }
    });
    vendor.build("fresh cache", "orders.bundle");
    assert_eq!(asked_for(&vendor, "kubelet"), 2, "once by the lock, and once by the build");
}

#[test]
fn an_archive_comes_once_for_all_its_members() {
    let vendor = vendor();
    let (kubectl, tool) = (noise(2, 200_000), noise(4, 100_000));
    let archive = gzip(&tar(&[("bin/kubectl", &kubectl), ("bin/tool", &tool)]));
    vendor.replace("recipe.yaml", KUBECTL, &member(&vendor, &archive, "bin/kubectl"));
    add_file(&vendor, "crictl", &member(&vendor, &archive, "bin/tool"));
    add_file(&vendor, "ctr", &member(&vendor, &archive, "./bin/tool"));
    vendor.lock();
    let before = asked_for(&vendor, "tools.tar.gz");
    vendor.build("fresh cache", "orders.bundle");
    assert_eq!(asked_for(&vendor, "tools.tar.gz"), before + 1);
    let bundle = vendor.open("orders.bundle");
    let packed = |name: &str| {
        let file = bundle.document().files.iter().find(|file| file.name == name).unwrap();
        unpacked(&bundle, file)
    };
    assert!(packed("kubectl") == kubectl && packed("crictl") == tool && packed("ctr") == tool);
    assert!(packed("kubelet") == noise(1, 300_000));
}

#[test]
fn charts_are_rendered_as_soon_as_helm_has_come() {
    let vendor = vendor();
    let ran = vendor.path("ran");
    let script = vendor.read("helm").replacen('\n', &format!("\necho ran >>{}\n", ran.display()), 1);
    std::fs::remove_file(vendor.path("helm")).unwrap();
    let archive = gzip(&tar(&[("bin/helm", script.as_bytes())]));
    add_file(&vendor, "helm", &member(&vendor, &archive, "bin/helm"));
    vendor.lock();
    vendor.registry.before("/files/kubelet", move || {
        while !ran.exists() {
            std::thread::yield_now();
        }
    });
    let before = asked_for(&vendor, "kubelet");
    let arguments = build("fresh cache", "orders.bundle");
    let mut arguments: Vec<&str> =
        arguments.into_iter().filter(|one| !matches!(*one, "--helm" | "./helm")).collect();
    // The larger file would keep Helm waiting.
    arguments.extend(["--jobs", "1"]);
    // Where there is no other Helm.
    let output = vendor.command(&arguments).env("PATH", "/usr/bin:/bin").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("gate      1 component rendered once"), "{said}");
    assert_eq!(asked_for(&vendor, "kubelet"), before + 1, "{said}");
}

#[test]
fn a_helm_that_is_not_the_locked_one_never_runs() {
    let vendor = vendor();
    let script = vendor.read("helm");
    let begins_with = |line: &str| script.replacen('\n', &format!("\n{line}\n"), 1);
    std::fs::remove_file(vendor.path("helm")).unwrap();
    vendor.write("own-helm", &begins_with("true  ran"));
    add_file(&vendor, "helm", "{path: own-helm}");
    vendor.lock();
    // Of the size that it had.
    vendor.write("own-helm", &begins_with("touch ran"));
    let arguments = build("fresh cache", "orders.bundle");
    let without: Vec<&str> =
        arguments.into_iter().filter(|one| !matches!(*one, "--helm" | "./helm")).collect();
    let output = vendor.command(&without).env("PATH", "/usr/bin:/bin").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("error: the lock does not fit what is on disk:\n  file helm (own-helm)"), "{said}");
    assert!(!vendor.path("ran").exists());
}

#[test]
fn all_that_differs_from_the_lock_is_told_together_wherever_it_comes_from() {
    let vendor = vendor();
    let (kubectl, tool) = (vendor.read("payload/bin/kubectl"), noise(4, 100_000));
    let archive = gzip(&tar(&[("bin/tool", &tool)]));
    add_file(&vendor, "crictl", &member(&vendor, &archive, "bin/tool"));
    vendor.lock();
    let others = |said: &str| -> Vec<String> {
        let lines = said.lines().filter_map(|line| line.trim_start().strip_prefix("file "));
        lines.map(|line| line.split_once(" (").unwrap().0.to_owned()).collect()
    };
    // Of the size that it had, and a lock that somebody edited: neither shows before it is read.
    vendor.write("payload/bin/kubectl", &kubectl.to_uppercase());
    vendor.replace("recipe.lock.yaml", &digest_of(&tool), &digest_of(b"another tool"));
    let said = vendor.fail(2, &build("one cache", "x.bundle"));
    assert_eq!(others(&said), ["kubectl", "crictl"], "{said}");
    // This shows at once, and need not be fetched for that.
    vendor.replace("recipe.lock.yaml", &digest_of(&noise(1, 300_000)), &digest_of(b"another kubelet"));
    let before = asked_for(&vendor, "kubelet");
    let said = vendor.fail(2, &build("other cache", "x.bundle"));
    assert_eq!(others(&said), ["kubelet", "kubectl", "crictl"], "{said}");
    assert!(!said.contains("gate ") && !said.contains("pull "), "{said}");
    assert_eq!(asked_for(&vendor, "kubelet"), before);
}

#[test]
fn what_a_person_must_correct_is_told_without_waiting_for_a_web_server() {
    let vendor = vendor();
    let kubectl = vendor.read("payload/bin/kubectl");
    let helm = vendor.read("helm");
    let refused = |expected: &str| {
        let before = asked_for(&vendor, "kubelet");
        let (end, told) = channel::<()>();
        let told = Mutex::new(told);
        vendor.registry.before("/files/kubelet", move || {
            let _ = told.lock().unwrap().recv();
        });
        let said = vendor.fail(2, &build("fresh cache", "x.bundle"));
        assert!(said.contains(expected) && !said.contains("retry"), "{said}");
        assert!(asked_for(&vendor, "kubelet") <= before + 1);
        drop(end);
    };
    vendor.write("payload/bin/kubectl", &kubectl.to_uppercase());
    refused("file kubectl (payload:bin/kubectl) has other content");
    vendor.write("payload/bin/kubectl", &kubectl);
    vendor.helm("#!/bin/sh\n[ \"$1\" = version ]\n");
    refused("1 chart does not render");
    vendor.helm(&helm);
    vendor.build("fresh cache", "orders.bundle");
}

#[test]
fn a_file_that_does_not_come_is_told_after_what_a_person_must_correct() {
    let vendor = vendor();
    let kubectl = vendor.read("payload/bin/kubectl");
    let gone = || vendor.registry.fail_file("kubelet", &[Fault::Status(404)]);
    vendor.helm("#!/bin/sh\n[ \"$1\" = version ]\n");
    gone();
    let said = vendor.fail(2, &build("fresh cache", "x.bundle"));
    assert!(said.contains("error: 1 chart does not render"), "{said}");
    vendor.write("payload/bin/kubectl", &kubectl.to_uppercase());
    gone();
    let said = vendor.fail(2, &build("fresh cache", "x.bundle"));
    assert!(said.contains("file kubectl (payload:bin/kubectl) has other content"), "{said}");
}
