//! Builds that are ended half-way: by a kill, by a person, by a full disk, by a registry.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use crate::support::fault_proxy::{FaultProxy, Moment, Trick};
use crate::support::noise;
use crate::support::upstream::{Guard, Upstream};
use crate::support::vendor::{LOCK, REGISTRIES, Vendor, WEB, build};
use rustix::process::{Pid, Signal, kill_process};
use sealift_bundle::digest::digest_of;

/// Bounds what waits for a moment that never comes, because the program ended before it.
const LIMIT: Duration = Duration::from_mins(2);

/// A vendor whose lock is made, with some large layers behind a proxy, and the bundle of an undisturbed build.
struct Scene {
    vendor: Vendor,
    proxy: FaultProxy,
    _upstream: Upstream,
    bundle: Vec<u8>,
    /// Bytes and requests of the undisturbed build.
    bytes: u64,
    requests: usize,
}

impl Scene {
    fn new() -> Self {
        let vendor = Vendor::new();
        let layers = layers();
        vendor.registry.push_image(WEB, "amd64", &layers.each_ref().map(|layer| &layer[..]));
        let upstream = Upstream::start(&vendor.registry, false, Guard::Open);
        let proxy = FaultProxy::before(&upstream);
        proxy.mirrors(vendor.folder.path(), &REGISTRIES);
        vendor.lock();
        let (bytes, requests) = (proxy.bytes(), proxy.passed().len());
        vendor.build("undisturbed cache", "undisturbed.bundle");
        let bundle = std::fs::read(vendor.path("undisturbed.bundle")).unwrap();
        let (bytes, requests) = (proxy.bytes() - bytes, proxy.passed().len() - requests);
        Self { vendor, proxy, _upstream: upstream, bundle, bytes, requests }
    }

    fn start(&self, out: &str) -> Child {
        self.vendor
            .command(&build("fresh cache", out))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Requests so far for each blob that is whole in the cache now, and each manifest.
    fn whole(&self) -> BTreeMap<String, usize> {
        let folder = self.vendor.path("fresh cache/blobs/sha256");
        let blobs = std::fs::read_dir(folder).map_or_else(|_| Vec::new(), Iterator::collect);
        let names = blobs.into_iter().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.map(|name| (name.clone(), self.proxy.passed_for(&name).len())).collect()
    }

    /// Whatever was whole at one of `moments` was not asked for afterwards.
    fn assert_nothing_twice(&self, moments: &[BTreeMap<String, usize>]) {
        for (name, requests) in moments.iter().flatten() {
            assert_eq!(self.proxy.passed_for(name).len(), *requests, "{name}");
        }
    }

    fn assert_same(&self, out: &str) {
        assert!(std::fs::read(self.vendor.path(out)).unwrap() == self.bundle);
    }

    fn assert_nothing_half_written(&self, out: &str) {
        assert!(!self.vendor.path(out).exists());
        let names = self.vendor.names(".");
        assert!(!names.iter().any(|name| name.contains(".building")), "{names:?}");
    }
}

/// Layers of the product's image, the largest first.
fn layers() -> [Vec<u8>; 3] {
    [noise(31, 900_000), noise(32, 400_000), noise(33, 150_000)]
}

fn ended(child: Child) -> (Output, String) {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, said)
}

/// Numbers that look random and are the same each time.
fn seeded(count: usize, below: u64) -> Vec<u64> {
    let mut numbers: Vec<u64> = noise(0x5ea1, count * 8)
        .chunks(8)
        .map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()) % below)
        .collect();
    numbers.sort_unstable();
    numbers
}

/// Kills a build when `there` says so of the folder that the bundle is made in; then nothing has the bundle's name.
fn kill_while_packing(scene: &Scene, round: &str, there: &dyn Fn(&Path) -> bool) {
    let building = scene.vendor.path(".orders.bundle.building");
    if building.exists() {
        std::fs::remove_dir_all(&building).unwrap();
    }
    // Of an earlier build that came to its end before it was killed.
    if scene.vendor.path("orders.bundle").exists() {
        std::fs::remove_file(scene.vendor.path("orders.bundle")).unwrap();
    }
    // The bundle gets its name when its charts are rendered: not before it is killed.
    let waits = scene.vendor.path(round);
    scene.vendor.write(round, "");
    scene
        .vendor
        .helm(&format!("#!/bin/sh\nwhile [ -e '{}' ]; do sleep 0.02; done\nexit 1\n", waits.display()));
    let mut child = scene.start("orders.bundle");
    while !there(&building) {
        assert!(child.try_wait().unwrap().is_none(), "{round}: {}", ended(child).1);
        std::thread::yield_now();
    }
    child.kill().unwrap();
    std::fs::remove_file(waits).unwrap();
    let (output, said) = ended(child);
    assert_eq!(output.status.signal(), Some(9), "{round}: {said}");
    assert!(building.exists() && !scene.vendor.path("orders.bundle").exists(), "{round}");
}

#[test]
fn a_build_killed_at_twenty_moments_and_while_packing_gives_the_same_bundle() {
    let scene = Scene::new();
    let (bytes, requests) = (scene.proxy.bytes(), scene.proxy.passed().len());
    assert!(scene.bytes > 1_600_000 && scene.requests > 20, "{} {}", scene.bytes, scene.requests);
    // Half of the moments by bytes, some by requests; neither can be over before its moment, because all of that has to
    // come at least once.
    let mut moments: Vec<Moment> =
        seeded(11, scene.bytes).into_iter().map(|at| Moment::Bytes(bytes + at)).collect();
    let early = seeded(6, scene.requests as u64);
    moments.extend(early.into_iter().map(|at| Moment::Requests(requests + usize::try_from(at).unwrap())));
    // In the order of what has passed, as far as the two can be compared: a moment that is over comes at once.
    moments.sort_by_key(|moment| match moment {
        Moment::Bytes(at) => (at - bytes) * 1000 / scene.bytes,
        Moment::Requests(at) => (at - requests) as u64 * 1000 / scene.requests as u64,
    });
    let mut whole = Vec::new();
    for moment in moments {
        let reached = scene.proxy.hold_at(moment);
        let mut child = scene.start("orders.bundle");
        reached.recv_timeout(LIMIT).unwrap();
        child.kill().unwrap();
        let (output, said) = ended(child);
        assert_eq!(output.status.signal(), Some(9), "{moment:?}: {said}");
        assert!(!scene.vendor.path("orders.bundle").exists());
        whole.push(scene.whole());
        scene.proxy.release();
    }
    // What comes after the network, by what the program says: killed there, or done already.
    for stage in ["pull ", "compress ", "pack "] {
        let mut child = scene.start("orders.bundle");
        let (mut said, mut stderr) = (String::new(), child.stderr.take().unwrap());
        let mut byte = [0];
        while !said.contains(stage) && stderr.read(&mut byte).unwrap() > 0 {
            said.push(char::from(byte[0]));
        }
        assert!(said.contains(stage), "{said}");
        child.kill().unwrap();
        child.wait().unwrap();
        whole.push(scene.whole());
    }
    assert_eq!(whole.len(), 20);
    let (first, last) = (&whole[0], &whole[19]);
    assert!(first.len() < last.len(), "{} {}", first.len(), last.len());

    let helm = scene.vendor.read("helm");
    let begun: &dyn Fn(&Path) -> bool = &|folder| folder.exists();
    let written: &dyn Fn(&Path) -> bool =
        &|folder| std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    let whole_but_unnamed: &dyn Fn(&Path) -> bool = &|folder| folder.join("orders.bundle").exists();
    for (round, there) in [("begun", begun), ("written", written), ("unnamed", whole_but_unnamed)] {
        kill_while_packing(&scene, round, there);
        whole.push(scene.whole());
    }
    scene.vendor.helm(&helm);

    scene.vendor.build("fresh cache", "orders.bundle");
    scene.assert_same("orders.bundle");
    scene.assert_nothing_twice(&whole);
    assert!(!scene.vendor.names(".").iter().any(|name| name.contains(".building")));
    assert_eq!(scene.vendor.names("fresh cache/partial"), [""; 0]);
}

#[test]
fn a_registry_that_does_everything_wrong_once_gives_the_same_bundle() {
    let scene = Scene::new();
    let all: BTreeSet<String> = scene.proxy.passed().into_iter().map(|passed| passed.path).collect();
    let tricks = [
        Trick::CutAfter(50),
        Trick::Corrupt(40),
        Trick::Answer(503, "x-nothing: 1"),
        Trick::Answer(429, "Retry-After: 1"),
        Trick::ContentLength(-20),
        Trick::ContentLength(20),
        Trick::Longer(3),
        Trick::CutAfter(0),
    ];
    for (number, path) in all.iter().enumerate() {
        let first = tricks[number % tricks.len()].clone();
        // When it goes on inside the blob, that goes wrong, too.
        let second =
            [Trick::IgnoreRange, Trick::ContentRange("bytes 7-8/9"), Trick::Pass][number % 3].clone();
        scene.proxy.script(path, [first, second]);
    }
    scene.vendor.build("fresh cache", "orders.bundle");
    scene.assert_same("orders.bundle");
    assert_eq!(scene.vendor.names("fresh cache/partial"), [""; 0]);
}

#[test]
fn the_largest_blob_comes_first_and_each_once() {
    let scene = Scene::new();
    let before = scene.proxy.passed_for("/blobs/").len();
    scene.vendor.succeed(&[&build("fresh cache", "orders.bundle")[..], &["--jobs", "1"]].concat());
    let passed = &scene.proxy.passed_for("/blobs/")[before..];
    assert!(
        passed.len() > 10 && passed.is_sorted_by_key(|passed| std::cmp::Reverse(passed.sent)),
        "{passed:?}"
    );
    let digests: BTreeSet<&str> =
        passed.iter().map(|passed| passed.path.split("/blobs/").nth(1).unwrap()).collect();
    assert_eq!(digests.len(), passed.len());
    scene.assert_same("orders.bundle");
}

#[test]
fn several_blobs_come_at_once() {
    let scene = Scene::new();
    let (comes, came) = channel();
    let met = Arc::new(Barrier::new(3));
    for layer in &layers()[..2] {
        let (comes, met) = (comes.clone(), Arc::clone(&met));
        let meets = Trick::Call(Arc::new(move || {
            comes.send(()).unwrap();
            met.wait();
        }));
        scene.proxy.script(&digest_of(layer), [meets]);
    }
    let child = scene.start("orders.bundle");
    // Neither is answered before both are asked for.
    for _ in 0..2 {
        came.recv_timeout(LIMIT).expect("they come one after the other");
    }
    met.wait();
    let (output, said) = ended(child);
    assert!(output.status.success(), "{said}");
    scene.assert_same("orders.bundle");
}

#[test]
fn ctrl_c_and_sigterm_end_a_pull_as_resumable() {
    for (signal, name) in [(Signal::INT, "by Ctrl-C"), (Signal::TERM, "by SIGTERM")] {
        let scene = Scene::new();
        let reached = scene.proxy.hold_at(Moment::Bytes(scene.proxy.bytes() + scene.bytes / 2));
        let child = scene.start("orders.bundle");
        reached.recv_timeout(LIMIT).unwrap();
        kill_process(Pid::from_child(&child), signal).unwrap();
        let (output, said) = ended(child);
        assert_eq!(output.status.code(), Some(4), "{said}");
        let last = said.lines().last().unwrap();
        assert!(last.starts_with(&format!("stopped   {name}; what was fetched is kept")), "{said}");
        assert!(output.stdout.is_empty());
        scene.assert_nothing_half_written("orders.bundle");
        let whole = scene.whole();
        assert!(!whole.is_empty());
        scene.proxy.release();

        scene.vendor.build("fresh cache", "orders.bundle");
        scene.assert_same("orders.bundle");
        scene.assert_nothing_twice(&[whole]);
    }
}

#[test]
fn images_come_while_charts_are_rendered_and_all_is_told_in_one_order() {
    let scene = Scene::new();
    let blob = largest_blob(&scene.proxy);
    let blob = blob.strip_prefix("sha256:").unwrap();
    let path = scene.vendor.path("fresh cache/blobs/sha256").join(blob);
    let waiting = format!("#!/bin/sh\nwhile [ ! -e '{}' ]; do sleep 0.02; done\n", path.display());
    scene.vendor.helm(&scene.vendor.read("helm").replacen("#!/bin/sh\n", &waiting, 1));
    let (output, said) = ended(scene.start("orders.bundle"));
    assert!(output.status.success(), "{said}");
    let place = |stage: &str| said.find(stage).unwrap_or_else(|| panic!("no {stage} in {said}"));
    let places = ["gate ", "pull ", "compress ", "pack ", "verify "].map(place);
    assert!(places.is_sorted(), "{said}");
    scene.assert_same("orders.bundle");
}

#[test]
fn a_chart_that_does_not_render_ends_a_pull_half_way_as_resumable() {
    let scene = Scene::new();
    let helm = scene.vendor.read("helm");
    // It fails when it is told to: the registry has fallen silent by then.
    let told = scene.vendor.path("told");
    let waiting =
        format!("#!/bin/sh\nwhile [ ! -e '{}' ]; do sleep 0.02; done\necho no >&2\nexit 1\n", told.display());
    scene.vendor.helm(&waiting);
    let reached = scene.proxy.hold_at(Moment::Bytes(scene.proxy.bytes() + scene.bytes / 2));
    let child = scene.start("orders.bundle");
    reached.recv_timeout(LIMIT).unwrap();
    scene.vendor.write("told", "");
    let (output, said) = ended(child);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("1 chart does not render"), "{said}");
    scene.assert_nothing_half_written("orders.bundle");
    let whole = scene.whole();
    assert!(!whole.is_empty());
    scene.proxy.release();

    scene.vendor.helm(&helm);
    scene.vendor.build("fresh cache", "orders.bundle");
    scene.assert_same("orders.bundle");
    scene.assert_nothing_twice(&[whole]);
}

#[test]
fn a_signal_while_locking_leaves_the_old_lock() {
    let scene = Scene::new();
    let before = std::fs::read(scene.vendor.path("recipe.lock.yaml")).unwrap();
    // There is something new to lock.
    scene.vendor.replace("recipe.yaml", "serial: 17", "serial: 18");
    let reached = scene.proxy.hold_at(Moment::Requests(scene.proxy.passed().len() + 4));
    let mut command = scene.vendor.command(&LOCK);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    reached.recv_timeout(LIMIT).unwrap();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let (output, said) = ended(child);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(std::fs::read(scene.vendor.path("recipe.lock.yaml")).unwrap() == before);
    scene.proxy.release();
}

#[test]
fn a_signal_while_packing_leaves_no_half_a_bundle() {
    let scene = Scene::new();
    std::fs::write(scene.vendor.path("orders.bundle"), &scene.bundle).unwrap();
    // Large enough that packing and proving it takes a moment.
    let program = noise(41, 24_000_000);
    std::fs::write(scene.vendor.path("payload/bin/kubelet"), program).unwrap();
    scene.vendor.lock();
    // It gets less of the machine than who watches it.
    let command = scene.vendor.command(&build("fresh cache", "orders.bundle"));
    let mut child = Command::new("chrt")
        .args(["--idle", "0"])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(scene.vendor.folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let building = scene.vendor.path(".orders.bundle.building");
    while !building.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it is done already");
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let (output, said) = ended(child);
    assert_eq!(output.status.code(), Some(4), "{said}");
    scene.assert_same("orders.bundle");
    assert!(!building.exists());
    scene.vendor.build("fresh cache", "orders.bundle");
}

#[test]
fn each_refusal_has_its_words_and_leaves_nothing_half_written() {
    let scene = Scene::new();
    let largest = largest_blob(&scene.proxy);
    let refuse = |code, part: &str, tricks: Vec<Trick>| {
        scene.proxy.script(part, tricks);
        let said = scene.vendor.fail(code, &build("fresh cache", "orders.bundle"));
        scene.proxy.behave();
        scene.assert_nothing_half_written("orders.bundle");
        said
    };

    let half = vec![Trick::CutAfter(500_000), Trick::Answer(503, "Retry-After: 3600")];
    let said = refuse(2, &largest, half);
    assert!(said.contains(&format!("blob {largest} of {WEB} could not be fetched")), "{said}");
    assert!(said.contains("registry.sealift.example (mirror http://127.0.0.1:"), "{said}");
    assert!(said.contains("it asks to wait 3600 s") && said.contains("next: check the network"), "{said}");
    let left = std::fs::metadata(partial(&scene.vendor, &largest)).unwrap().len();
    assert!(left > 0 && left <= 500_000, "{left}");

    let said = refuse(5, &largest, vec![Trick::Corrupt(100); 10]);
    assert!(said.contains(&format!("sends wrong content for blob {largest}")), "{said}");
    assert!(said.contains("next: the registry or something before it changes content"), "{said}");
    assert!(!partial(&scene.vendor, &largest).exists());

    let said = refuse(2, &largest, vec![Trick::Answer(404, "x-nothing: 1")]);
    assert!(
        said.contains(&format!("has no blob {largest}"))
            && said.contains("`bundle-builder lock --update NAME`"),
        "{said}"
    );

    let said = refuse(2, &largest, vec![Trick::Answer(403, "x-nothing: 1")]);
    assert!(said.contains("refuses access to blob ") && said.contains("next: log in with"), "{said}");

    scene.vendor.build("fresh cache", "orders.bundle");
    scene.assert_same("orders.bundle");
}

#[test]
fn a_registry_that_keeps_breaking_off_is_given_up() {
    let scene = Scene::new();
    let largest = largest_blob(&scene.proxy);
    scene.proxy.script(&largest, vec![Trick::CutAfter(0); 30]);
    let said = scene.vendor.fail(2, &build("fresh cache", "orders.bundle"));
    assert!(said.contains("could not be fetched, 6 tries"), "{said}");
    assert!(said.contains("retry 5 of 5 in ") && said.contains("next: check the network"), "{said}");
    scene.assert_nothing_half_written("orders.bundle");
}

/// The digest of the largest blob that passed.
fn largest_blob(proxy: &FaultProxy) -> String {
    let passed = proxy.passed_for("/blobs/");
    let largest = passed.iter().max_by_key(|passed| passed.sent).unwrap();
    largest.path.split("/blobs/").nth(1).unwrap().to_owned()
}

fn partial(vendor: &Vendor, digest: &str) -> PathBuf {
    vendor.path("fresh cache/partial").join(digest.strip_prefix("sha256:").unwrap())
}

/// A small disk that a process of its own keeps: `small` below the vendor's folder.
struct SmallDisk {
    holder: Child,
    folder: PathBuf,
}

impl SmallDisk {
    fn new(folder: &Path, size: &str) -> Self {
        std::fs::create_dir(folder.join("small")).unwrap();
        let script = format!("mount -t tmpfs -o size={size} none small && echo ready && read end");
        let mut holder = Command::new("unshare")
            .args(["--mount", "sh", "-c", &script])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 5];
        holder.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        assert_eq!(&ready, b"ready");
        Self { holder, folder: folder.to_owned() }
    }

    /// A path below the disk, seen from outside.
    fn path(&self, name: &str) -> PathBuf {
        let root = format!("/proc/{}/root{}/small", self.holder.id(), self.folder.display());
        Path::new(&root).join(name)
    }

    /// `command`, where the disk is.
    fn run(&self, command: &Command) -> Output {
        let mut inside = Command::new("nsenter");
        inside
            .arg(format!("--mount=/proc/{}/ns/mnt", self.holder.id()))
            // From within: a folder that was opened outside does not have the disk in it.
            .args(["sh", "-c", "cd \"$0\" && exec \"$@\""])
            .arg(&self.folder)
            .arg(command.get_program())
            .args(command.get_args())
            .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .stdin(Stdio::null());
        inside.output().unwrap()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[test]
fn a_disk_that_is_too_small_is_told_before_the_work() {
    let scene = Scene::new();
    // Below what images need by more, and above 1 MB by more, than what of the files is compressed at that moment.
    let disk = SmallDisk::new(scene.vendor.folder.path(), "1300k");
    let before = scene.proxy.passed_for("/blobs/").len();
    let output = disk.run(&scene.vendor.command(&build("small/cache", "orders.bundle")));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("not enough room in small/cache: 1.8 MB needed, "), "{said}");
    assert!(said.contains(" MB free") && said.contains("next: make room, or choose another disk"), "{said}");
    assert_eq!(scene.proxy.passed_for("/blobs/").len(), before);
    scene.assert_nothing_half_written("orders.bundle");

    // The cache has room, and the bundle has none.
    let output = disk.run(&scene.vendor.command(&build("fresh cache", "small/orders.bundle")));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("not enough room in small: ") && said.contains("next: make room"), "{said}");
    assert_eq!(std::fs::read_dir(disk.path(".")).unwrap().count(), 1, "the cache alone");
}

#[test]
fn a_disk_that_fills_up_half_way_is_survived() {
    let scene = Scene::new();
    let disk = Arc::new(SmallDisk::new(scene.vendor.folder.path(), "8m"));
    let (largest, filled) = (largest_blob(&scene.proxy), Arc::clone(&disk));
    // Someone else takes what is free, when it was looked at already.
    let fill = Trick::Call(Arc::new(move || {
        let error = std::fs::write(filled.path("filler"), vec![0; 8 << 20]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }));
    scene.proxy.script(&largest, [fill]);
    let command = scene.vendor.command(&build("small/cache", "orders.bundle"));
    let output = disk.run(&command);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("cannot write small/cache/partial/") && said.contains("No space left"), "{said}");
    assert!(said.contains("next: make room") && said.contains("what was fetched is kept"), "{said}");
    scene.assert_nothing_half_written("orders.bundle");

    std::fs::remove_file(disk.path("filler")).unwrap();
    let output = disk.run(&command);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    scene.assert_same("orders.bundle");
}

#[test]
fn a_blob_of_300_mb_needs_little_memory() {
    const SIZE: u64 = 300_000_000;
    const MOST: u64 = 200 << 20;
    let vendor = Vendor::new();
    // Differs everywhere, and is quickly made.
    let piece = noise(51, 1_000_000);
    let mut layer = Vec::with_capacity(usize::try_from(SIZE).unwrap());
    for number in 0..SIZE / 1_000_000 {
        layer.extend_from_slice(&number.to_le_bytes());
        layer.extend_from_slice(&piece[8..]);
    }
    vendor.registry.push_image(WEB, "amd64", &[&layer]);
    drop(layer);
    let upstream = Upstream::start(&vendor.registry, false, Guard::Open);
    let proxy = FaultProxy::before(&upstream);
    proxy.mirrors(vendor.folder.path(), &REGISTRIES);
    vendor.lock();
    // Almost all has come, and goes on after a break.
    let reached = proxy.hold_at(Moment::Bytes(proxy.bytes() + SIZE - 2_000_000));
    let mut child = vendor
        .command(&build("cache", "orders.bundle"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    reached.recv_timeout(LIMIT).unwrap();
    let pulled = peak(&child).unwrap();
    assert!(pulled < MOST, "{pulled} bytes while pulling");
    proxy.release();
    let mut most = pulled;
    while child.try_wait().unwrap().is_none() {
        most = peak(&child).unwrap_or(most);
        std::thread::yield_now();
    }
    assert!(child.wait().unwrap().success());
    assert!(most < MOST, "{most} bytes at most");
    assert!(std::fs::metadata(vendor.path("orders.bundle")).unwrap().len() > SIZE);
}

/// The most memory that a process had so far, bytes; nothing when it has ended.
fn peak(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? << 10)
}
