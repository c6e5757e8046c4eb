//! Signatures, SBOMs and attestations beside an image: found in every way in use, and bounded.

use std::time::Duration;

use crate::support::fault_proxy::{FaultProxy, Trick};
use crate::support::upstream::{Guard, Upstream};
use crate::support::{FakeRegistry, INDEX, MANIFEST, Notes};
use bundle_builder::cache::{Cache, Content};
use bundle_builder::image::ImageName;
use bundle_builder::mirrors::Mirrors;
use bundle_builder::recipe::ImageEntry;
use bundle_builder::referrer::{Referrer, ReferrerError};
use bundle_builder::registry::{Patience, Registries, RegistryError};
use bundle_builder::source::image::ImageOrigin;
use bundle_builder::source::{Reach, Roots, SourceError};
use sealift_bundle::digest::digest_of;

const REPOSITORY: &str = "ghcr.io/example/web";
const SBOM: &str = "application/vnd.cyclonedx+json";

/// An image with what stands beside it.
struct Scene {
    folder: tempfile::TempDir,
    pushed: FakeRegistry,
    /// Digest of the image's manifest.
    subject: String,
}

/// A registry that runs.
struct Running {
    proxy: FaultProxy,
    upstream: Upstream,
    registries: Registries,
    cache: Cache,
    notes: Notes,
}

fn image() -> ImageName {
    format!("{REPOSITORY}:4.2.0").parse().unwrap()
}

fn descriptor(media_type: &str, content: &[u8]) -> String {
    let digest = digest_of(content);
    format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{}}}"#, content.len())
}

/// A list of descriptors.
fn index(entries: &[String]) -> String {
    format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}]}}"#, entries.join(","))
}

impl Scene {
    fn new() -> Self {
        let pushed = FakeRegistry::start();
        let manifest = pushed.push_image(&image().to_string(), "amd64", &[b"layer"]);
        let subject = digest_of(manifest.as_bytes());
        Self { folder: tempfile::tempdir().unwrap(), pushed, subject }
    }

    /// A manifest with one blob that says `text`, about the image; its descriptor in a list.
    fn push(&self, tag: &str, artifact_type: &str, text: &str) -> (Referrer, String) {
        self.pushed.push_blob(REPOSITORY, b"{}");
        self.pushed.push_blob(REPOSITORY, text.as_bytes());
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","artifactType":"{artifact_type}","config":{},"layers":[{}]}}"#,
            descriptor("application/vnd.oci.empty.v1+json", b"{}"),
            descriptor(artifact_type, text.as_bytes())
        );
        let digest = self.pushed.push_manifest(REPOSITORY, tag, MANIFEST, manifest.as_bytes());
        let plain = descriptor(MANIFEST, manifest.as_bytes());
        let entry = format!(r#"{},"artifactType":"{artifact_type}"}}"#, plain.trim_end_matches('}'));
        let referrer = Referrer {
            digest,
            size: manifest.len() as u64,
            media_type: MANIFEST.to_owned(),
            artifact_type: Some(artifact_type.to_owned()),
            tag: None,
        };
        (referrer, entry)
    }

    fn tag(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.subject.replace(':', "-"))
    }

    fn start(&self) -> Running {
        let upstream = Upstream::start(&self.pushed, false, Guard::Open);
        let proxy = FaultProxy::before(&upstream);
        let mirrors = Mirrors::load(&proxy.mirrors(self.folder.path(), &["ghcr.io"])).unwrap();
        let patience =
            Patience { tries: 3, pause: Duration::from_millis(1), silence: Duration::from_secs(5) };
        Running {
            proxy,
            upstream,
            registries: Registries::new(mirrors, patience).unwrap(),
            cache: Cache::open(&self.folder.path().join("cache"), || ()).unwrap(),
            notes: Notes::default(),
        }
    }
}

impl Running {
    fn found(&self, subject: &str) -> Result<Vec<Referrer>, RegistryError> {
        self.registries.referrers(&image(), subject, &self.notes)
    }

    fn parts(&self, referrer: &Referrer) -> Result<Vec<Content>, SourceError> {
        let entry: ImageEntry =
            serde_json::from_value(serde_json::json!({"name": image().to_string()})).unwrap();
        let (roots, registries) = (Roots::default(), &self.registries);
        let reach = Reach { roots: &roots, registries, cache: &self.cache, progress: &self.notes };
        ImageOrigin::of(&entry)?.referrer_parts(referrer, &reach)
    }
}

fn sorted(mut referrers: Vec<Referrer>) -> Vec<Referrer> {
    referrers.sort_by(|a, b| a.digest.cmp(&b.digest));
    referrers
}

#[test]
fn an_image_with_nothing_beside_it_is_no_failure() {
    let scene = Scene::new();
    let running = scene.start();
    assert_eq!(running.found(&scene.subject).unwrap(), []);
    assert_eq!(running.notes.all(), [""; 0]);
}

#[test]
fn all_that_stands_beside_an_image_is_found_and_fetched() {
    let scene = Scene::new();
    let (sbom, listed) = scene.push("sbom", SBOM, r#"{"bomFormat":"CycloneDX"}"#);
    let list = index(&[listed]);
    // For registries with the API, and for those without.
    scene.pushed.push_referrers(REPOSITORY, &scene.subject, list.as_bytes());
    scene.pushed.push_manifest(REPOSITORY, &scene.tag(""), INDEX, list.as_bytes());
    let cosign = "application/vnd.dev.cosign.artifact.sig.v1+json";
    let (signature, _) = scene.push(&scene.tag(".sig"), cosign, "signed");
    let signature = Referrer { tag: Some(scene.tag(".sig")), ..signature };
    let running = scene.start();
    let found = running.found(&scene.subject).unwrap();
    assert_eq!(found, sorted(vec![sbom.clone(), signature]));
    let by_tag =
        running.proxy.passed_for(&scene.tag("")).iter().any(|passed| passed.path.ends_with(&scene.tag("")));
    assert_ne!(by_tag, running.upstream.lists_referrers());

    let parts = running.parts(&sbom).unwrap();
    assert_eq!(parts.len(), 3);
    for part in &parts[1..] {
        running.registries.blob(&image(), part, &running.cache, &running.notes, &|_| ()).unwrap();
    }
    assert!(running.cache.read(&parts[0].digest, parts[0].size).unwrap().is_some());
    assert_eq!(
        running.cache.read(&parts[2].digest, parts[2].size).unwrap().unwrap(),
        br#"{"bomFormat":"CycloneDX"}"#
    );
    // As a lock keeps it.
    let kept = serde_json::to_string(&sbom).unwrap();
    assert!(!kept.contains("tag") && serde_json::from_str::<Referrer>(&kept).unwrap() == sbom, "{kept}");
}

#[test]
fn a_tag_is_kept_also_where_the_registry_lists_what_it_leads_to() {
    let scene = Scene::new();
    let cosign = "application/vnd.dev.cosign.artifact.sig.v1+json";
    let (signature, listed) = scene.push(&scene.tag(".sig"), cosign, "signed");
    scene.pushed.push_referrers(REPOSITORY, &scene.subject, index(&[listed]).as_bytes());
    let found = scene.start().found(&scene.subject).unwrap();
    assert_eq!(found, [Referrer { tag: Some(scene.tag(".sig")), ..signature }]);
}

#[test]
fn a_registry_that_refuses_the_api_is_asked_by_tag() {
    for status in [400, 403, 404, 405, 501] {
        let scene = Scene::new();
        let (sbom, listed) = scene.push("sbom", SBOM, "x");
        scene.pushed.push_manifest(REPOSITORY, &scene.tag(""), INDEX, index(&[listed]).as_bytes());
        let running = scene.start();
        running.proxy.script("/referrers/", [Trick::Answer(status, "x-nothing: 1")]);
        assert_eq!(running.found(&scene.subject).unwrap(), [sbom], "{status}");
    }
}

/// The answer is a page with another one after it.
fn goes_on(count: usize) -> Vec<Trick> {
    vec![Trick::Header("link", "</v2/elsewhere?n=1&last=x>; rel=\"next\"".to_owned()); count]
}

/// A registry with one referrer in its list, and none by tag.
fn listing() -> (Scene, Running, Referrer) {
    let scene = Scene::new();
    let (sbom, listed) = scene.push("sbom", SBOM, "x");
    scene.pushed.push_referrers(REPOSITORY, &scene.subject, index(&[listed]).as_bytes());
    let running = scene.start();
    (scene, running, sbom)
}

#[test]
fn a_list_whose_rest_cannot_be_had_is_no_list() {
    for status in [400, 403, 404, 405, 501] {
        let (scene, running, _) = listing();
        if !running.upstream.lists_referrers() {
            return;
        }
        running.proxy.script("last=x", vec![Trick::Answer(status, "x-nothing: 1"); 3]);
        running.proxy.script("/referrers/", goes_on(1));
        let error = running.found(&scene.subject).unwrap_err();
        let (RegistryError::Denied { what, source, .. } | RegistryError::Failed { what, source, .. }) =
            &error
        else {
            panic!("{status}: {error:?}")
        };
        assert!(what.starts_with("page 2 of the list of referrers of sha256:"), "{what}");
        assert!(source.to_string().starts_with(&status.to_string()), "{source}");
    }
}

#[test]
fn a_list_without_end_is_refused() {
    let (scene, running, sbom) = listing();
    if !running.upstream.lists_referrers() {
        return;
    }
    running.proxy.script("/referrers/", goes_on(15));
    assert_eq!(running.found(&scene.subject).unwrap(), [sbom]);
    running.proxy.script("/referrers/", goes_on(100));
    let error = running.found(&scene.subject).unwrap_err();
    let RegistryError::Failed { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.to_string(), "it has more than 16 pages");
    assert_eq!(running.proxy.passed_for("/referrers/").len(), 32);
}

#[test]
fn a_registry_that_fails_meanwhile_is_asked_again() {
    let scene = Scene::new();
    let (sbom, listed) = scene.push("sbom", SBOM, "x");
    let list = index(&[listed]);
    scene.pushed.push_referrers(REPOSITORY, &scene.subject, list.as_bytes());
    scene.pushed.push_manifest(REPOSITORY, &scene.tag(""), INDEX, list.as_bytes());
    let running = scene.start();
    running.proxy.script("/referrers/", [Trick::Answer(503, "x-nothing: 1")]);
    running.proxy.script(".sig", [Trick::Answer(429, "Retry-After: 0")]);
    assert_eq!(running.found(&scene.subject).unwrap(), [sbom]);
    let notes = running.notes.all();
    assert!(
        notes.len() == 2 && notes[0].contains(&format!("list of referrers of {}", scene.subject)),
        "{notes:?}"
    );
    // To overlook a signature because a registry was busy would be worse than to stop.
    running.proxy.script(".sig", vec![Trick::Answer(503, "x-nothing: 1"); 9]);
    assert!(matches!(running.found(&scene.subject), Err(RegistryError::Failed { .. })));
}

#[test]
fn lists_and_referrers_out_of_bounds_are_refused() {
    let scene = Scene::new();
    let (sbom, listed) = scene.push("sbom", SBOM, "x");
    let other = listed.replace(&sbom.digest, &format!("sha512:{}", "0".repeat(128)));
    let lists = [
        (index(&vec![listed.clone(); 300]), "it names 300 referrers"),
        ("no list".to_owned(), "it is no index"),
        // Not packable, and no reason to stop.
        (index(&[listed, other]), ""),
    ];
    for (list, why) in lists {
        // What distribution does not take as a manifest cannot be there.
        scene.pushed.push_referrers(REPOSITORY, &scene.subject, list.as_bytes());
        let running = scene.start();
        if !running.upstream.lists_referrers() {
            assert_eq!(running.found(&scene.subject).unwrap(), []);
            continue;
        }
        match running.found(&scene.subject) {
            Ok(found) => assert!(why.is_empty() && found == [sbom.clone()], "{found:?}"),
            Err(RegistryError::Failed { source, .. }) => {
                assert!(!why.is_empty() && source.to_string().starts_with(why), "{source}");
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    let running = scene.start();
    let error = running.parts(&Referrer { size: sbom.size + 1, ..sbom.clone() }).unwrap_err();
    let SourceError::Referrer { source: ReferrerError::Size { digest, .. }, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*digest, sbom.digest);
    assert!(running.found("sha256:../../x").is_err());
}
