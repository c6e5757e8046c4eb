//! Blobs and manifests from a registry that fails in every way a registry can.

// Helpers of tests fail by panicking, as tests do.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bundle_builder::cache::{Cache, Content};
use bundle_builder::image::ImageName;
use bundle_builder::mirrors::Mirrors;
use bundle_builder::registry::{Patience, Registries, RegistryError};
use sealift_bundle::digest::digest_of;
use support::{FakeRegistry, Fault, Notes, noise};

const REPOSITORY: &str = "ghcr.io/example/web";
const SIZE: usize = 700_000;

/// A registry with one blob, a cache, and a client that is in a hurry.
struct Scene {
    registry: FakeRegistry,
    registries: Registries,
    folder: tempfile::TempDir,
    cache: Cache,
    content: Vec<u8>,
    blob: Content,
    notes: Notes,
    counted: AtomicI64,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let registry = FakeRegistry::start();
        let content = noise(1, SIZE);
        let blob = registry.push_blob(REPOSITORY, &content);
        let mirrors = Mirrors::load(&registry.mirrors(folder.path(), &["ghcr.io"])).unwrap();
        let patience =
            Patience { tries: 4, pause: Duration::from_millis(1), silence: Duration::from_secs(5) };
        let registries = Registries::new(mirrors, patience).unwrap();
        let cache = Cache::open(&folder.path().join("cache"), || ()).unwrap();
        Self {
            registry,
            registries,
            folder,
            cache,
            content,
            blob,
            notes: Notes::default(),
            counted: 0.into(),
        }
    }

    fn image() -> ImageName {
        format!("{REPOSITORY}:4.2.0").parse().unwrap()
    }

    fn fail(&self, faults: &[Fault]) {
        self.registry.fail_blob(REPOSITORY, &self.blob.digest, faults);
    }

    fn fetch(&self) -> Result<(), RegistryError> {
        let advanced = |delta| {
            self.counted.fetch_add(delta, Ordering::Relaxed);
        };
        self.registries.blob(&Self::image(), &self.blob, &self.cache, &self.notes, &advanced)
    }

    /// The first byte asked for, request by request.
    fn offsets(&self) -> Vec<usize> {
        self.registry.blob_requests().into_iter().map(|seen| seen.from).collect()
    }

    fn assert_whole(&self) {
        assert_eq!(self.cache.read(&self.blob.digest).unwrap().as_deref(), Some(&*self.content));
        assert_eq!(self.counted.load(Ordering::Relaxed), i64::try_from(SIZE).unwrap());
        assert!(!self.cache.partial_path(&self.blob.digest).unwrap().exists());
    }
}

#[test]
fn a_blob_is_fetched_once() {
    let scene = Scene::new();
    scene.fetch().unwrap();
    scene.assert_whole();
    scene.fetch().unwrap();
    assert_eq!(scene.offsets(), [0]);
    assert_eq!(scene.notes.all(), [""; 0]);
}

#[test]
fn a_cut_transfer_goes_on_where_it_stopped() {
    let scene = Scene::new();
    scene.fail(&[Fault::Truncate(300_000), Fault::Truncate(300_000)]);
    scene.fetch().unwrap();
    scene.assert_whole();
    let offsets = scene.offsets();
    assert_eq!(offsets.len(), 3);
    assert!(offsets[1] > 0 && offsets[1] <= 300_000 && offsets[2] > offsets[1], "{offsets:?}");
    let notes = scene.notes.all();
    assert_eq!(notes.len(), 2);
    assert!(
        notes[0].contains("ghcr.io (mirror http://127.0.0.1:") && notes[0].contains(&scene.blob.digest),
        "{notes:?}"
    );
}

#[test]
fn a_killed_build_goes_on_where_it_stopped() {
    let scene = Scene::new();
    std::fs::write(scene.cache.partial_path(&scene.blob.digest).unwrap(), &scene.content[..500_000]).unwrap();
    scene.fetch().unwrap();
    scene.assert_whole();
    assert_eq!(scene.offsets(), [500_000]);
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
fn a_damaged_rest_of_an_earlier_run_is_thrown_away() {
    let scene = Scene::new();
    std::fs::write(scene.cache.partial_path(&scene.blob.digest).unwrap(), noise(2, 500_000)).unwrap();
    scene.fetch().unwrap();
    scene.assert_whole();
    assert_eq!(scene.offsets(), [500_000, 0]);

    let scene = Scene::new();
    std::fs::write(scene.cache.partial_path(&scene.blob.digest).unwrap(), noise(2, SIZE + 1)).unwrap();
    scene.fetch().unwrap();
    scene.assert_whole();
    assert_eq!(scene.offsets(), [0]);
}

#[test]
fn a_server_error_is_tried_again() {
    let scene = Scene::new();
    scene.fail(&[Fault::Status(500), Fault::Status(503), Fault::Status(429)]);
    scene.fetch().unwrap();
    scene.assert_whole();
    assert_eq!(scene.notes.all().len(), 3);
}

#[test]
fn a_registry_that_keeps_failing_is_named_with_the_blob() {
    let scene = Scene::new();
    scene.fail(&[Fault::Status(500); 10]);
    let error = scene.fetch().unwrap_err();
    let RegistryError::Failed { registry, what, tries: 4, .. } = &error else { panic!("{error:?}") };
    assert!(registry.starts_with("ghcr.io (mirror http://127.0.0.1:"), "{registry}");
    assert_eq!(what, &format!("blob {} of {REPOSITORY}:4.2.0", scene.blob.digest));
}

#[test]
fn a_registry_without_ranges_still_works() {
    let scene = Scene::new();
    scene.fail(&[Fault::Truncate(300_000), Fault::IgnoreRange]);
    scene.fetch().unwrap();
    scene.assert_whole();
}

#[test]
fn flipped_bits_on_the_way_are_noticed() {
    let scene = Scene::new();
    scene.fail(&[Fault::Corrupt]);
    scene.fetch().unwrap();
    scene.assert_whole();

    let scene = Scene::new();
    scene.fail(&[Fault::Corrupt; 10]);
    let error = scene.fetch().unwrap_err();
    assert!(
        matches!(&error, RegistryError::WrongContent { expected, .. } if *expected == scene.blob.digest),
        "{error:?}"
    );
    assert!(!scene.cache.has(&scene.blob.digest, scene.blob.size).unwrap());
}

#[test]
fn more_bytes_than_promised_are_refused() {
    let scene = Scene::new();
    scene.fail(&[Fault::Longer(1); 10]);
    let error = scene.fetch().unwrap_err();
    assert!(matches!(error, RegistryError::WrongContent { .. }), "{error:?}");
}

#[test]
fn what_is_not_there_is_not_tried_again() {
    let scene = Scene::new();
    let error = scene.registries.manifest_by_tag(&Scene::image(), &scene.notes).unwrap_err();
    assert!(error.to_string().contains("has no image ghcr.io/example/web:4.2.0"), "{error}");
    let absent = Content { digest: digest_of(b"absent"), size: 6 };
    let error =
        scene.registries.blob(&Scene::image(), &absent, &scene.cache, &scene.notes, &|_| ()).unwrap_err();
    assert!(matches!(error, RegistryError::NotFound { .. }), "{error:?}");
    scene.fail(&[Fault::Status(403)]);
    assert!(matches!(scene.fetch(), Err(RegistryError::Denied { .. })));
    assert_eq!(scene.notes.all(), [""; 0]);
}

#[test]
fn manifests_come_by_tag_and_by_digest() {
    let scene = Scene::new();
    let pushed = scene.registry.push_image(&Scene::image().to_string(), "amd64", &[b"layer"]);
    let wanted = digest_of(pushed.as_bytes());
    scene.registry.fail_manifest(REPOSITORY, "4.2.0", &[Fault::Status(502)]);
    let (content, digest) = scene.registries.manifest_by_tag(&Scene::image(), &scene.notes).unwrap();
    assert_eq!((content, &digest), (pushed.clone().into_bytes(), &wanted));
    scene.registry.fail_manifest(REPOSITORY, &wanted, &[Fault::Corrupt]);
    let content = scene.registries.manifest_by_digest(&Scene::image(), &wanted, &scene.notes).unwrap();
    assert_eq!(content, pushed.into_bytes());
    scene.registry.fail_manifest(REPOSITORY, &wanted, &[Fault::Corrupt; 10]);
    let error = scene.registries.manifest_by_digest(&Scene::image(), &wanted, &scene.notes).unwrap_err();
    assert!(error.to_string().contains(&wanted), "{error}");
}

#[test]
fn an_unreachable_registry_is_named() {
    let scene = Scene::new();
    let path = scene.folder.path().join("mirrors.yaml");
    // Bound and dropped: nobody listens there any more.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    std::fs::write(&path, format!("mirrors: {{ghcr.io: \"http://127.0.0.1:{port}\"}}")).unwrap();
    let patience = Patience { tries: 2, pause: Duration::from_millis(1), silence: Duration::from_secs(5) };
    let registries = Registries::new(Mirrors::load(&path).unwrap(), patience).unwrap();
    let error = registries.manifest_by_tag(&Scene::image(), &scene.notes).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&format!("ghcr.io (mirror http://127.0.0.1:{port}): image {REPOSITORY}:4.2.0")),
        "{error}"
    );
}
