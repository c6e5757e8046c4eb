//! The registry with small images, and what the payload tells others.

use std::{io::Read, net::TcpStream};

use super::{registry::Pushed, *};

#[test]
fn mirrors_name_every_upstream_registry_once() {
    assert_eq!(
        mirrors_yaml("127.0.0.1:5000").unwrap(),
        "mirrors:\n  docker.io: http://127.0.0.1:5000/docker.io\n  ghcr.io: http://127.0.0.1:5000/ghcr.io\n  \
         quay.io: http://127.0.0.1:5000/quay.io\n  \
         registry.k8s.io: http://127.0.0.1:5000/registry.k8s.io\n  \
         registry.sealift.example: http://127.0.0.1:5000/registry.sealift.example\n"
    );
}

#[test]
fn lines_say_name_size_time_and_whether_it_was_there() {
    let step = StageRecord { name: "helm".to_owned(), bytes: 61_500_000, seconds: 100.04, skipped: false };
    assert_eq!(
        line(&step).split_whitespace().collect::<Vec<_>>(),
        ["helm", "61.5", "MB", "100.0", "s", "made"]
    );
    assert!(line(&StageRecord { skipped: true, ..step }).ends_with("unchanged"));
}

/// The real registry from the real pin; in the shared cache, where the payload finds it too.
fn registry_program() -> PathBuf {
    let folder = cache::root().join("payload");
    let go_version = command::version_of("go", &["version"]).unwrap();
    let tools = tool::all(&Sources::of_this_checkout(), KUBERNETES, catalog::PRODUCT_VERSION).unwrap();
    let distribution = tools.iter().find(|tool| tool.name == "distribution").unwrap();
    distribution.build(Results::new(&folder, &|_| ()), &go_version).unwrap().folder.join("registry")
}

/// The pause image, which builds in a second.
fn small_image(folder: &Path) -> Vec<Image> {
    let results = Results::new(folder, &|_| ());
    let sources = Sources::of_this_checkout();
    let programs = tool::programs(&[build_pause(results, &sources).unwrap()]).unwrap();
    vec![image::pause(results, &sources, &programs).unwrap()]
}

#[test]
fn the_registry_serves_what_was_pushed_sends_nothing_twice_and_ends_with_its_guard() {
    let folder = tempfile::tempdir().unwrap();
    let program = registry_program();
    let images = small_image(folder.path());
    let storage = folder.path().join("registry");
    let bytes = images[0].blobs.iter().map(|blob| blob.size).sum();

    let first = Registry::start(&program, &storage, 0, &images).unwrap();
    assert_eq!(first.pushed, Pushed { images: 1, skipped: 0, bytes });
    let mut answer =
        ureq::get(format!("http://{}/v2/registry.k8s.io/pause/manifests/3.10.2", first.address()))
            .header("Accept", sealift_bundle::oci::MANIFEST_MEDIA_TYPE)
            .call()
            .unwrap();
    let mut manifest = Vec::new();
    answer.body_mut().as_reader().read_to_end(&mut manifest).unwrap();
    assert_eq!(sealift_bundle::digest::digest_of(&manifest), images[0].digest);

    let address = first.address();
    drop(first);
    assert!(TcpStream::connect(&address).is_err(), "{address} still answers");

    let second = Registry::start(&program, &storage, 0, &images).unwrap();
    assert_eq!(second.pushed, Pushed { images: 0, skipped: 1, bytes: 0 });
}

#[test]
fn a_taken_port_is_an_error_with_the_registrys_own_words() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    // Answers nothing, so that only the registry's end can be noticed.
    let error = Registry::start(&registry_program(), &folder.path().join("registry"), port, &[]).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains(&format!("127.0.0.1:{port}")) && text.contains("address already in use"), "{text}");
}
