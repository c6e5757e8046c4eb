use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use sealift_bundle::digest::digest_of;
use sealift_bundle::testing::ClosedPort;
use sealift_registry::{Registry, ServeConfig};

use super::*;
use crate::context::testing::Recorder;
use crate::operation::site_ca;

/// Hosts below one folder, with one site CA.
struct Site {
    root: tempfile::TempDir,
    recorder: Recorder,
}

impl Site {
    fn new() -> Self {
        let site = Self { root: tempfile::tempdir().unwrap(), recorder: Recorder::default() };
        let paths = site.paths("m1");
        site_ca::ensure(&site.context(&paths), "shop").unwrap();
        site
    }

    fn paths(&self, host: &str) -> Paths {
        Paths::below(self.root.path().join(host))
    }

    fn context<'a>(&'a self, paths: &'a Paths) -> Context<'a> {
        Context::new(paths, &self.recorder, "r", "s")
    }

    /// Gives a host the CA and its certificate.
    fn trust(&self, host: &str) {
        let (m1, paths) = (self.paths("m1"), self.paths(host));
        let secrets = site_ca::export(&self.context(&m1)).unwrap();
        site_ca::install(&self.context(&paths), &secrets, true, &["127.0.0.1".to_owned()]).unwrap();
    }

    fn put(&self, host: &str, content: &[u8]) -> Blob {
        let paths = self.paths(host);
        let ctx = self.context(&paths);
        let blob = Blob { digest: digest_of(content), size: content.len() as u64 };
        if let Some(mut incoming) = Store::open(&ctx).unwrap().begin(&ctx, &blob).unwrap() {
            incoming.write(content).unwrap();
            incoming.finish().unwrap();
        }
        blob
    }

    fn serve(&self, host: &str) -> Registry {
        self.serve_at(host, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    fn serve_at(&self, host: &str, listen: SocketAddr) -> Registry {
        self.trust(host);
        let paths = self.paths(host);
        Registry::start(&ServeConfig {
            store: paths.store(),
            listen,
            certificate: paths.pki().join("registry.crt"),
            key: paths.pki().join("registry.key"),
        })
        .unwrap()
    }

    fn fetch(
        &self,
        host: &str,
        blobs: &[Blob],
        sources: &[String],
        patience: u64,
    ) -> Result<Outcome, Failure> {
        self.trust(host);
        let paths = self.paths(host);
        fetch(&self.context(&paths), blobs, sources, Duration::from_secs(patience))
    }
}

fn url(registry: &Registry) -> String {
    format!("https://{}", registry.address())
}

fn contents(count: u32) -> Vec<Vec<u8>> {
    (0..count).map(|n| (0..50_000 + n).flat_map(|m| (n + m).to_le_bytes()).collect()).collect()
}

fn stored(path: &Path, blob: &Blob) -> Vec<u8> {
    fs::read(Store::at(path).blob(&blob.digest).unwrap()).unwrap()
}

#[test]
fn blobs_come_from_whichever_master_has_them() {
    let site = Site::new();
    let contents = contents(9);
    // The first master has all, the second a part, the third is not up.
    let blobs: Vec<Blob> = contents.iter().map(|content| site.put("m1", content)).collect();
    contents.iter().step_by(2).for_each(|content| drop(site.put("m2", content)));
    let (m1, m2) = (site.serve("m1"), site.serve("m2"));
    let closed = ClosedPort::hold();
    let down = closed.address();
    let sources = [format!("https://{down}"), url(&m2), url(&m1)];
    let outcome = site.fetch("w1", &blobs, &sources, 10).unwrap();
    let bytes: u64 = blobs.iter().map(|blob| blob.size).sum();
    assert_eq!((outcome.changed, outcome.bytes), (true, bytes));
    for (blob, content) in blobs.iter().zip(&contents) {
        assert!(stored(&site.paths("w1").store(), blob) == *content);
    }
    let paths = site.paths("w1");
    assert!(!apply(&site.context(&paths), &blobs, &[]).unwrap().changed);
}

#[test]
fn a_partial_is_gone_on_with_and_a_wrong_one_is_thrown_away() {
    let site = Site::new();
    let contents = contents(2);
    let blobs: Vec<Blob> = contents.iter().map(|content| site.put("m1", content)).collect();
    let paths = site.paths("w1");
    let ctx = site.context(&paths);
    let store = Store::open(&ctx).unwrap();
    store.begin(&ctx, &blobs[0]).unwrap().unwrap().write(&contents[0][..150_000]).unwrap();
    store.begin(&ctx, &blobs[1]).unwrap().unwrap().write(&vec![0xff; 150_000]).unwrap();
    let m1 = site.serve("m1");
    let outcome = site.fetch("w1", &blobs, &[url(&m1)], 10).unwrap();
    assert_eq!(outcome.bytes, (blobs[0].size - 150_000) + (blobs[1].size - 150_000) + blobs[1].size);
    for (blob, content) in blobs.iter().zip(&contents) {
        assert!(stored(&paths.store(), blob) == *content);
    }
}

#[test]
fn a_master_with_a_damaged_blob_is_passed_over() {
    let site = Site::new();
    let content = &contents(1)[0];
    let blob = site.put("m1", content);
    site.put("m2", content);
    let mut damaged = content.clone();
    damaged[77_777] ^= 1;
    fs::write(Store::at(site.paths("m2").store()).blob(&blob.digest).unwrap(), &damaged).unwrap();
    let (m1, m2) = (site.serve("m1"), site.serve("m2"));
    site.fetch("w1", std::slice::from_ref(&blob), &[url(&m2), url(&m1)], 10).unwrap();
    assert!(stored(&site.paths("w1").store(), &blob) == *content);
    let failure = site.fetch("w2", std::slice::from_ref(&blob), &[url(&m2)], 10).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Verification);
    assert!(failure.message.contains(&blob.digest), "{failure}");
}

#[test]
fn a_master_that_starts_late_is_waited_for() {
    let site = Site::new();
    let blob = site.put("m1", b"late but whole");
    // A port that is ours until the registry takes it.
    let closed = ClosedPort::hold();
    let address = closed.address();
    site.trust("w1");
    let outcome = std::thread::scope(|scope| {
        let fetching = scope
            .spawn(|| site.fetch("w1", std::slice::from_ref(&blob), &[format!("https://{address}")], 60));
        let waits =
            |progress: &crate::protocol::Progress| progress.message.starts_with("waiting for a master");
        while !site.recorder.0.lock().unwrap().iter().any(waits) {
            std::thread::yield_now();
        }
        let registry = site.serve_at("m1", address);
        let outcome = fetching.join().unwrap();
        drop(registry);
        outcome
    });
    assert_eq!(outcome.unwrap().bytes, blob.size);
}

#[test]
fn masters_that_give_nothing_are_each_named_with_their_reason() {
    let site = Site::new();
    site.put("m1", b"something else");
    let m1 = site.serve("m1");
    let closed = ClosedPort::hold();
    let down = closed.address();
    let wanted = [Blob { digest: digest_of(b"nobody has it"), size: 13 }];
    let sources = [url(&m1), format!("https://{down}")];
    let failure = site.fetch("w1", &wanted, &sources, 0).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Network);
    assert!(failure.message.contains(&wanted[0].digest), "{failure}");
    let cause = |source: &str| failure.causes.iter().find(|cause| cause.starts_with(source)).unwrap();
    assert!(cause(&sources[0]).ends_with("does not have it yet"), "{failure:?}");
    assert!(cause(&sources[1]).to_lowercase().contains("refused"), "{failure:?}");
    // A registry whose certificate another CA signed is none of ours.
    let stranger = Site::new();
    let foreign = stranger.serve("m1");
    let failure = site.fetch("w1", &wanted, &[url(&foreign)], 0).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Network);
    assert!(failure.causes[0].contains("certificate"), "{failure:?}");
}
