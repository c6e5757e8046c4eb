//! The cache's verbs, on a cache that builds have filled and people have edited.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use crate::support::fault_proxy::{FaultProxy, Moment};
use crate::support::noise;
use crate::support::upstream::{Guard, Upstream};
use crate::support::vendor::{REGISTRIES, Vendor, WEB, build};
use sealift_bundle::digest::digest_of;

/// A vendor that has built `orders.bundle`, and the proxy before its registry.
struct Scene {
    vendor: Vendor,
    proxy: FaultProxy,
    upstream: Upstream,
}

impl Scene {
    fn new() -> Self {
        let vendor = Vendor::new();
        let upstream = Upstream::start(&vendor.registry, false, Guard::Open);
        let proxy = FaultProxy::before(&upstream);
        proxy.mirrors(vendor.folder.path(), &REGISTRIES);
        vendor.lock();
        vendor.build("cache", "orders.bundle");
        Self { vendor, proxy, upstream }
    }

    fn blobs(&self) -> PathBuf {
        self.vendor.path("cache/blobs/sha256")
    }

    fn blob(&self, content: &[u8]) -> PathBuf {
        self.blobs().join(digest_of(content).strip_prefix("sha256:").unwrap())
    }

    /// Every blob was used so many days ago.
    fn age(&self, days: u64) {
        let then = SystemTime::now() - Duration::from_hours(24 * days);
        for entry in fs::read_dir(self.blobs()).unwrap() {
            File::options().append(true).open(entry.unwrap().path()).unwrap().set_modified(then).unwrap();
        }
    }

    /// Builds again; what it asked the registry for.
    fn asked_by_a_build(&self) -> Vec<String> {
        let before = self.proxy.passed().len();
        self.vendor.build("cache", "again.bundle");
        self.proxy.passed()[before..].iter().map(|passed| passed.path.clone()).collect()
    }

    fn assert_same(&self) {
        let read = |name: &str| fs::read(self.vendor.path(name)).unwrap();
        assert!(read("again.bundle") == read("orders.bundle"));
    }
}

/// The largest blob that images share.
fn base() -> Vec<u8> {
    noise(3, 200_000)
}

fn flip(path: &Path) {
    let mut content = fs::read(path).unwrap();
    content[50] ^= 1;
    fs::write(path, content).unwrap();
}

#[test]
fn a_sound_cache_is_told_so() {
    let scene = Scene::new();
    let said = scene.vendor.succeed(&["cache", "verify", "--cache", "cache"]);
    let blobs = scene.vendor.names("cache/blobs/sha256").len();
    assert!(said.starts_with(&format!("verified  {blobs} blobs, ")), "{said}");
    assert!(said.contains("all are what their names say"), "{said}");
}

#[test]
fn a_damaged_blob_is_named_removed_and_fetched_again() {
    let scene = Scene::new();
    let damaged = scene.blob(&base());
    flip(&damaged);
    fs::write(scene.blobs().join("notes.txt"), "by hand").unwrap();
    let said = scene.vendor.fail(5, &["cache", "verify", "--cache", "cache"]);
    assert!(said.contains("error: 2 entries in the cache are bad:"), "{said}");
    let name = damaged.file_name().unwrap().to_str().unwrap();
    assert!(
        said.contains(&format!("cache/blobs/sha256/{name}: has other content than its name says")),
        "{said}"
    );
    assert!(said.contains("notes.txt: has a name that is no digest"), "{said}");
    assert!(said.contains("next: remove them with `bundle-builder cache verify --fix`"), "{said}");
    assert!(damaged.exists());

    let said = scene.vendor.succeed(&["cache", "verify", "--cache", "cache", "--fix"]);
    assert!(
        said.contains(&format!("sha256/{name}: has other")) && said.contains("removed   2 bad of "),
        "{said}"
    );
    assert!(!damaged.exists());
    scene.vendor.succeed(&["cache", "verify", "--cache", "cache"]);

    let asked = scene.asked_by_a_build();
    assert!(asked.len() == 1 && asked[0].ends_with(name), "{asked:?}");
    scene.assert_same();
}

#[test]
fn a_build_that_meets_a_damaged_blob_names_it_and_the_next_one_mends_it() {
    let scene = Scene::new();
    flip(&scene.blob(&base()));
    let said = scene.vendor.fail(5, &build("cache", "again.bundle"));
    assert!(said.contains(&format!("blob {} in the cache was damaged", digest_of(&base()))), "{said}");
    assert!(said.contains("next: run the same command again") && !scene.vendor.path("again.bundle").exists());
    assert_eq!(scene.asked_by_a_build().len(), 1);
    scene.assert_same();
}

#[test]
fn a_blob_that_was_cut_short_is_fetched_again_by_itself() {
    let scene = Scene::new();
    File::options().write(true).open(scene.blob(&base())).unwrap().set_len(1000).unwrap();
    assert_eq!(scene.asked_by_a_build().len(), 1);
    scene.assert_same();
}

#[test]
fn pruning_by_age_keeps_what_a_lock_needs() {
    let scene = Scene::new();
    // The next release has another layer in the place of two.
    let (old, new) = (noise(61, 70_000), noise(62, 90_000));
    for layer in [&old, &new] {
        scene.vendor.registry.push_image(WEB, "amd64", &[layer]);
        scene.upstream.upload(&scene.vendor.registry);
        scene.vendor.lock();
        scene.vendor.build("cache", "orders.bundle");
    }
    scene.age(90);
    let partial = scene.vendor.path("cache/partial").join("0".repeat(64));
    fs::write(&partial, "half a blob of last year").unwrap();
    let then = SystemTime::now() - Duration::from_hours(24 * 90);
    File::options().append(true).open(&partial).unwrap().set_modified(then).unwrap();

    let prune = ["cache", "prune", "--cache", "cache", "--older-than", "30d", "--keep", "recipe.lock.yaml"];
    let said = scene.vendor.succeed(&prune);
    assert!(said.starts_with("pruned    ") && !said.starts_with("pruned    0 files"), "{said}");
    assert!(!scene.blob(&old).exists() && scene.blob(&new).exists() && !partial.exists());
    assert_eq!(scene.asked_by_a_build(), [""; 0]);
    scene.assert_same();
    let said = scene.vendor.succeed(&prune);
    assert!(said.starts_with("pruned    0 files, 0 B; "), "{said}");
}

#[test]
fn pruning_by_size_drops_the_longest_unused() {
    let scene = Scene::new();
    let before = scene.vendor.names("cache/blobs/sha256").len();
    scene.age(3);
    let then = SystemTime::now() - Duration::from_hours(24 * 9);
    File::options().append(true).open(scene.blob(&base())).unwrap().set_modified(then).unwrap();
    let said = scene.vendor.succeed(&["cache", "prune", "--cache", "cache", "--max-size", "150kB"]);
    assert!(said.starts_with("pruned    1 file, 200 kB; "), "{said}");
    assert_eq!(scene.vendor.names("cache/blobs/sha256").len(), before - 1);
    assert_eq!(scene.asked_by_a_build().len(), 1);
    scene.assert_same();

    scene.vendor.succeed(&["cache", "prune", "--cache", "cache", "--max-size", "0B"]);
    assert_eq!(scene.vendor.names("cache/blobs/sha256"), [""; 0]);
    assert!(scene.asked_by_a_build().len() > 10);
    scene.assert_same();
}

#[test]
fn wrong_use_drops_nothing() {
    let scene = Scene::new();
    let before = scene.vendor.names("cache/blobs/sha256");
    scene.vendor.write("no.lock.yaml", "kind: Something\n");
    let refused = |arguments: &[&str], words: &str| {
        let said = scene.vendor.fail(2, arguments);
        assert!(said.contains(words), "{said}");
    };
    refused(&["cache", "prune", "--cache", "cache"], "--older-than");
    refused(&["cache", "prune", "--cache", "cache", "--older-than", "5"], "12h, 30d, 4w");
    let keep =
        |lock: &'static str| ["cache", "prune", "--cache", "cache", "--max-size", "0B", "--keep", lock];
    refused(&keep("no.lock.yaml"), "no.lock.yaml");
    refused(&keep("absent.lock.yaml"), "there is no lock at absent.lock.yaml");
    refused(&["cache", "verify", "--cache", "elsewhere"], "there is no cache at elsewhere");
    assert_eq!(scene.vendor.names("cache/blobs/sha256"), before);
    assert!(!scene.vendor.path("elsewhere").exists());
}

#[test]
fn a_cache_in_use_is_waited_for() {
    let scene = Scene::new();
    scene.vendor.succeed(&["cache", "prune", "--cache", "cache", "--max-size", "0B"]);
    let reached = scene.proxy.hold_at(Moment::Bytes(scene.proxy.bytes() + 100_000));
    let mut builds = scene.vendor.command(&build("cache", "again.bundle"));
    let mut builds = builds.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    reached.recv_timeout(Duration::from_mins(2)).unwrap();
    let mut prune = scene.vendor.command(&["cache", "prune", "--cache", "cache", "--max-size", "0B"]);
    let mut prune = prune.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(prune.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "waiting   another bundle-builder uses cache\n");
    scene.proxy.release();
    assert!(builds.wait().unwrap().success() && prune.wait().unwrap().success());
    scene.assert_same();
    assert_eq!(scene.vendor.names("cache/blobs/sha256"), [""; 0]);
}
