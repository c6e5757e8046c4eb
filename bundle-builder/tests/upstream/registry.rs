//! Blobs and manifests from a registry, with every fault that it or the way to it can have, put on by a proxy.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::support::fault_proxy::{FaultProxy, Trick};
use crate::support::upstream::{Guard, Upstream};
use crate::support::{FakeRegistry, Notes, noise};
use bundle_builder::cache::{Cache, Content};
use bundle_builder::image::ImageName;
use bundle_builder::mirrors::Mirrors;
use bundle_builder::parallel;
use bundle_builder::registry::{Patience, Registries, RegistryError};
use sealift_bundle::digest::digest_of;

const REPOSITORY: &str = "ghcr.io/example/web";
const SIZE: u64 = 700_000;
const CUT: u64 = 300_000;

/// A registry with one image of one large blob, a proxy before it, a cache, and a client that is in a hurry.
struct Scene {
    proxy: FaultProxy,
    _upstream: Upstream,
    registries: Registries,
    folder: tempfile::TempDir,
    cache: Cache,
    content: Vec<u8>,
    blob: Content,
    manifest: String,
    notes: Notes,
    counted: AtomicI64,
}

impl Scene {
    fn new() -> Self {
        Self::with(false)
    }

    fn with(encrypted: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pushed = FakeRegistry::start();
        let content = noise(1, usize::try_from(SIZE).unwrap());
        let manifest = pushed.push_image(&Self::image().to_string(), "amd64", &[&content]);
        let blob = pushed.push_blob(REPOSITORY, &content);
        let upstream = Upstream::start(&pushed, encrypted, Guard::Open);
        let proxy = FaultProxy::before(&upstream);
        let mirrors = Mirrors::load(&proxy.mirrors(folder.path(), &["ghcr.io"])).unwrap();
        let patience =
            Patience { tries: 4, pause: Duration::from_millis(1), silence: Duration::from_millis(700) };
        Self {
            proxy,
            _upstream: upstream,
            registries: Registries::new(mirrors, patience).unwrap(),
            cache: Cache::open(&folder.path().join("cache"), || ()).unwrap(),
            folder,
            content,
            blob,
            manifest,
            notes: Notes::default(),
            counted: 0.into(),
        }
    }

    fn image() -> ImageName {
        format!("{REPOSITORY}:4.2.0").parse().unwrap()
    }

    fn script(&self, tricks: impl IntoIterator<Item = Trick>) {
        self.proxy.script(&self.blob.digest, tricks);
    }

    fn fetch(&self) -> Result<(), RegistryError> {
        let advanced = |delta| {
            self.counted.fetch_add(delta, Ordering::Relaxed);
        };
        self.registries.blob(&Self::image(), &self.blob, &self.cache, &self.notes, &advanced)
    }

    /// The first byte asked for, request by request.
    fn offsets(&self) -> Vec<u64> {
        self.proxy.passed_for("/blobs/").iter().map(|passed| passed.from).collect()
    }

    fn partial(&self) -> u64 {
        let path = self.cache.partial_path(&self.blob.digest).unwrap();
        std::fs::metadata(path).map_or(0, |file| file.len())
    }

    /// What was said, each line with registry and blob in it.
    fn retries(&self) -> Vec<String> {
        let notes = self.notes.all();
        let names = |note: &String| {
            note.starts_with("retry ")
                && note.contains(": ghcr.io (mirror http")
                && note.contains(&format!("blob {} of {REPOSITORY}:4.2.0: ", self.blob.digest))
        };
        assert!(notes.iter().all(names), "{notes:?}");
        notes
    }

    fn assert_whole(&self) {
        assert!(
            self.cache.read(&self.blob.digest, self.blob.size).unwrap().as_deref() == Some(&*self.content)
        );
        assert_eq!(self.counted.load(Ordering::Relaxed), SIZE.cast_signed());
        assert_eq!(std::fs::read_dir(self.folder.path().join("cache/partial")).unwrap().count(), 0);
    }
}

#[test]
fn without_faults_all_comes_at_once() {
    for encrypted in [false, true] {
        let scene = Scene::with(encrypted);
        scene.fetch().unwrap();
        scene.assert_whole();
        scene.fetch().unwrap();
        let passed = scene.proxy.passed_for("/blobs/");
        assert_eq!((passed.len(), passed[0].status, passed[0].sent), (1, 200, SIZE));
        assert_eq!(scene.notes.all(), [""; 0]);
    }
}

#[test]
fn a_cut_answer_goes_on_inside_the_blob() {
    for encrypted in [false, true] {
        let scene = Scene::with(encrypted);
        scene.script([Trick::CutAfter(CUT), Trick::CutAfter(100_000)]);
        scene.fetch().unwrap();
        scene.assert_whole();
        let (offsets, passed) = (scene.offsets(), scene.proxy.passed_for("/blobs/"));
        assert!(offsets.len() == 3 && offsets[1] > 0 && offsets[1] <= CUT, "{offsets:?}");
        assert!(offsets[2] >= offsets[1] && offsets[2] <= offsets[1] + 100_000, "{offsets:?}");
        assert_eq!(passed.iter().map(|passed| passed.status).collect::<Vec<_>>(), [200, 206, 206]);
        assert_eq!(scene.retries().len(), 2);
    }
}

#[test]
fn silence_in_the_middle_ends_a_try() {
    let scene = Scene::new();
    scene.script([Trick::StallAfter(CUT), Trick::StallAfter(0)]);
    scene.fetch().unwrap();
    scene.assert_whole();
    assert_eq!(scene.offsets(), [0, CUT, CUT]);
    assert_eq!(scene.retries().len(), 2);
}

#[test]
fn an_answer_that_takes_its_time_is_waited_for() {
    let scene = Scene::new();
    scene.script([Trick::Delay(Duration::from_millis(200))]);
    scene.fetch().unwrap();
    scene.assert_whole();
    assert_eq!(scene.retries(), [""; 0]);
}

#[test]
fn a_registry_that_asks_for_a_pause_gets_it() {
    let scene = Scene::new();
    scene.script([Trick::Answer(429, "Retry-After: 1"), Trick::Answer(503, "x-nothing: 1")]);
    scene.fetch().unwrap();
    scene.assert_whole();
    let retries = scene.retries();
    assert!(retries[0].starts_with("retry 1 of 3 in 1.0 s: "), "{retries:?}");
    assert!(retries[0].ends_with(": 429 Too Many Requests"), "{retries:?}");
    assert!(
        retries[1].starts_with("retry 2 of 3 in 0.0 s: ") && retries[1].contains(": 503 "),
        "{retries:?}"
    );
}

#[test]
fn a_registry_that_asks_for_too_long_a_pause_is_not_waited_for() {
    let scene = Scene::new();
    scene.script([Trick::CutAfter(CUT), Trick::Answer(429, "Retry-After: 600")]);
    let error = scene.fetch().unwrap_err();
    let RegistryError::Failed { what, source, .. } = &error else { panic!("{error:?}") };
    assert!(what.contains(&scene.blob.digest), "{what}");
    assert_eq!(source.to_string(), "429 Too Many Requests; it asks to wait 600 s");
    assert_eq!(scene.offsets().len(), 2);
}

#[test]
fn a_registry_that_stops_half_way_is_named_and_the_next_run_goes_on() {
    let scene = Scene::new();
    scene.script([Trick::CutAfter(CUT)].into_iter().chain(vec![Trick::Answer(503, "x-nothing: 1"); 10]));
    let error = scene.fetch().unwrap_err();
    let RegistryError::Failed { registry, what, tries, .. } = &error else { panic!("{error:?}") };
    assert!(registry.starts_with("ghcr.io (mirror http://127.0.0.1:"), "{registry}");
    assert_eq!((what, tries), (&format!("blob {} of {REPOSITORY}:4.2.0", scene.blob.digest), &4));
    let left = scene.partial();
    assert!(left > 0 && left <= CUT && !scene.cache.has(&scene.blob.digest, SIZE).unwrap(), "{left}");

    scene.proxy.behave();
    let before = scene.offsets().len();
    scene.counted.store(0, Ordering::Relaxed);
    scene.fetch().unwrap();
    scene.assert_whole();
    assert_eq!(scene.offsets()[before..], [left]);
}

#[test]
fn a_registry_that_sends_nothing_leaves_nothing() {
    let scene = Scene::new();
    scene.script(vec![Trick::CutAfter(0); 10]);
    assert!(matches!(scene.fetch(), Err(RegistryError::Failed { tries: 4, .. })));
    assert_eq!(std::fs::read_dir(scene.folder.path().join("cache/partial")).unwrap().count(), 0);
}

#[test]
fn ranges_that_do_not_work_cost_time_but_no_content() {
    let other = "bytes 17-299/300";
    for trick in [Trick::IgnoreRange, Trick::ContentRange(other)] {
        let scene = Scene::new();
        scene.script([Trick::CutAfter(CUT), trick]);
        scene.fetch().unwrap();
        scene.assert_whole();
    }
    // What fails each time and each time begins anew does not go on for ever.
    let scene = Scene::new();
    let cut = [Trick::CutAfter(CUT), Trick::ContentRange(other)];
    scene.script(cut.into_iter().cycle().take(40));
    assert!(matches!(scene.fetch(), Err(RegistryError::Failed { .. })));
    assert!(scene.offsets().len() < 12, "{:?}", scene.offsets());
}

#[test]
fn a_wrong_length_is_no_end_of_the_blob() {
    let scene = Scene::new();
    scene.script([Trick::ContentLength(-400_000), Trick::ContentLength(1000)]);
    scene.fetch().unwrap();
    scene.assert_whole();
    assert_eq!(scene.offsets(), [0, CUT]);
}

#[test]
fn wrong_bytes_are_noticed_and_fetched_again() {
    let scene = Scene::new();
    scene.script([Trick::Corrupt(SIZE - 1), Trick::Corrupt(0)]);
    scene.fetch().unwrap();
    scene.assert_whole();
    assert_eq!(scene.offsets(), [0, 0, 0]);
    assert_eq!(scene.retries().len(), 2);
}

#[test]
fn bytes_that_are_wrong_each_time_are_refused() {
    let scene = Scene::new();
    scene.script(vec![Trick::Corrupt(350_000); 10]);
    let error = scene.fetch().unwrap_err();
    let RegistryError::WrongContent { registry, expected, got, .. } = &error else { panic!("{error:?}") };
    assert!(registry.starts_with("ghcr.io") && *expected == scene.blob.digest && got != expected, "{error}");
    assert!(!scene.cache.has(&scene.blob.digest, SIZE).unwrap());
    assert_eq!((scene.offsets(), scene.partial()), (vec![0, 0, 0], 0));
}

#[test]
fn a_damaged_rest_of_an_earlier_run_is_not_the_registrys_fault() {
    let scene = Scene::new();
    let path = scene.cache.partial_path(&scene.blob.digest).unwrap();
    std::fs::write(path, noise(2, usize::try_from(CUT).unwrap())).unwrap();
    scene.fetch().unwrap();
    scene.assert_whole();
    assert_eq!(scene.offsets(), [CUT, 0]);
    let retries = scene.retries();
    assert!(retries.len() == 1 && retries[0].contains("an earlier run"), "{retries:?}");
}

#[test]
fn a_finished_but_unnamed_download_needs_no_request() {
    let scene = Scene::new();
    std::fs::write(scene.cache.partial_path(&scene.blob.digest).unwrap(), &scene.content).unwrap();
    scene.fetch().unwrap();
    scene.assert_whole();
    assert_eq!(scene.offsets(), [0; 0]);
}

#[test]
fn more_bytes_than_there_are_do_no_harm() {
    // What an earlier run left.
    let scene = Scene::new();
    let path = scene.cache.partial_path(&scene.blob.digest).unwrap();
    std::fs::write(path, noise(2, usize::try_from(SIZE).unwrap() + 1)).unwrap();
    scene.fetch().unwrap();
    scene.assert_whole();
    assert_eq!(scene.offsets(), [0]);

    // What the registry sends.
    let scene = Scene::new();
    scene.script(vec![Trick::Longer(1); 10]);
    let error = scene.fetch().unwrap_err();
    assert!(matches!(&error, RegistryError::WrongContent { got, .. } if got == "more"), "{error:?}");
    assert_eq!((scene.offsets().len(), scene.partial()), (3, 0));
}

#[test]
fn what_is_not_there_or_not_allowed_is_not_tried_again() {
    let scene = Scene::new();
    let absent: ImageName = format!("{REPOSITORY}:4.2.1").parse().unwrap();
    let error = scene.registries.manifest_by_tag(&absent, &scene.notes).unwrap_err();
    assert!(error.to_string().contains("has no image ghcr.io/example/web:4.2.1"), "{error}");
    let absent = Content { digest: digest_of(b"absent"), size: 6 };
    let error =
        scene.registries.blob(&Scene::image(), &absent, &scene.cache, &scene.notes, &|_| ()).unwrap_err();
    assert!(matches!(error, RegistryError::NotFound { .. }), "{error:?}");
    scene.script([Trick::Answer(403, "x-nothing: 1")]);
    assert!(matches!(scene.fetch(), Err(RegistryError::Denied { .. })));
    assert_eq!(scene.notes.all(), [""; 0]);
    assert_eq!(scene.offsets(), [0, 0]);
}

#[test]
fn an_unreachable_registry_is_named() {
    let scene = Scene::new();
    let closed = sealift_bundle::testing::ClosedPort::hold();
    let port = closed.number();
    let path = scene.folder.path().join("nowhere.yaml");
    std::fs::write(&path, format!("mirrors: {{ghcr.io: \"http://127.0.0.1:{port}\"}}")).unwrap();
    let patience = Patience { tries: 2, pause: Duration::from_millis(1), silence: Duration::from_secs(5) };
    let registries = Registries::new(Mirrors::load(&path).unwrap(), patience).unwrap();
    let error = registries.manifest_by_tag(&Scene::image(), &scene.notes).unwrap_err().to_string();
    let name = format!("ghcr.io (mirror http://127.0.0.1:{port}): image {REPOSITORY}:4.2.0");
    assert!(error.contains(&name) && error.ends_with("2 tries"), "{error}");
}

#[test]
fn storage_elsewhere_is_asked_for_the_same_range() {
    let scene = Scene::new();
    let path = format!("/v2/{REPOSITORY}/blobs/{}", scene.blob.digest);
    scene.script([
        Trick::Redirect(format!("{path}?storage=1")),
        Trick::CutAfter(CUT),
        Trick::Redirect(format!("{path}?storage=2")),
    ]);
    scene.fetch().unwrap();
    scene.assert_whole();
    let storage = scene.proxy.passed_for("?storage=2");
    assert!(storage.len() == 1 && storage[0].from > 0 && storage[0].status == 206, "{storage:?}");

    let scene = Scene::new();
    scene.script(vec![Trick::Redirect(format!("{path}?round=1")); 50]);
    let error = scene.fetch().unwrap_err();
    assert!(matches!(error, RegistryError::Failed { tries: 1, .. }), "{error:?}");
}

#[test]
fn manifests_come_through_the_same_faults() {
    let scene = Scene::new();
    scene.proxy.script(
        "/manifests/",
        [Trick::CutAfter(10), Trick::Corrupt(30), Trick::Answer(503, "Retry-After: 0"), Trick::StallAfter(5)],
    );
    let patient = Patience { tries: 6, pause: Duration::from_millis(1), silence: Duration::from_millis(700) };
    let mirrors = Mirrors::load(&scene.folder.path().join("mirrors.yaml")).unwrap();
    let registries = Registries::new(mirrors, patient).unwrap();
    let (content, digest) = registries.manifest_by_tag(&Scene::image(), &scene.notes).unwrap();
    assert_eq!(String::from_utf8(content).unwrap(), scene.manifest);

    scene.proxy.script("/manifests/", vec![Trick::Corrupt(30); 10]);
    let error = registries.manifest_by_digest(&Scene::image(), &digest, &scene.notes).unwrap_err();
    assert!(
        matches!(&error, RegistryError::WrongContent { expected, .. } if *expected == digest),
        "{error:?}"
    );
}

#[test]
fn a_transfer_ends_soon_when_another_failed_for_good() {
    let scene = Scene::new();
    scene.script(vec![Trick::StallAfter(CUT); 9]);
    let absent = Content { digest: digest_of(b"absent"), size: 6 };
    let result = parallel::map(2, vec![true, false], |stalls| {
        if stalls {
            return scene.fetch();
        }
        while scene.counted.load(Ordering::Relaxed).unsigned_abs() < CUT {
            std::thread::yield_now();
        }
        scene.registries.blob(&Scene::image(), &absent, &scene.cache, &scene.notes, &|_| ())
    });
    assert!(matches!(result, Err(RegistryError::NotFound { .. })), "{result:?}");
    // It was not tried as often as it would have been alone, and what came of it stays.
    assert!(scene.proxy.passed_for(&scene.blob.digest).len() < 4);
    assert!(scene.partial() >= CUT);
    scene.proxy.behave();
    scene.fetch().unwrap();
    assert!(
        scene.cache.read(&scene.blob.digest, scene.blob.size).unwrap().as_deref() == Some(&*scene.content)
    );
}

#[test]
fn two_who_want_one_blob_share_one_transfer() {
    let scene = Scene::new();
    scene.script([Trick::CutAfter(CUT)]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| scene.fetch().unwrap());
        }
    });
    let whole: u64 =
        scene.proxy.passed_for("/blobs/").iter().filter(|passed| passed.from == 0).count() as u64;
    assert_eq!((scene.offsets().len(), whole), (2, 1));
    assert!(scene.cache.read(&scene.blob.digest, scene.blob.size).unwrap().is_some());
}
