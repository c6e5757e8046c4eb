//! Pulls from a real registry over TLS, as containerd and the fan-out do.

// Helpers of tests panic as tests do.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use sealift_bundle::digest::digest_of;
use sealift_bundle::layout;
use sealift_registry::{Registry, RegistryError, ServeConfig};
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

struct Site {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
    agent: Agent,
}

impl Site {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap();
        let root = Certificate::from_pem(ca.pem().as_bytes()).unwrap();
        let agent = Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[root])).build())
            .proxy(None)
            .http_status_as_error(false)
            .build()
            .new_agent();
        let site = Self { folder: tempfile::tempdir().unwrap(), issuer: Issuer::new(params, key), agent };
        fs::create_dir_all(layout::blobs_folder(&site.store())).unwrap();
        site.issue();
        site
    }

    fn store(&self) -> std::path::PathBuf {
        self.folder.path().join("store")
    }

    fn config(&self) -> ServeConfig {
        ServeConfig {
            store: self.store(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            certificate: self.folder.path().join("registry.crt"),
            key: self.folder.path().join("registry.key"),
        }
    }

    /// Writes a new certificate for 127.0.0.1.
    fn issue(&self) -> Vec<u8> {
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.config().key, key.serialize_pem()).unwrap();
        fs::write(self.config().certificate, certificate.pem()).unwrap();
        certificate.der().to_vec()
    }

    fn put_blob(&self, content: &[u8]) -> String {
        let digest = digest_of(content);
        fs::write(layout::blob_path(&self.store(), &digest).unwrap(), content).unwrap();
        digest
    }

    /// Replaces the index as the store does: by a rename.
    fn put_index(&self, names: &[(&str, &str)]) {
        let manifests: Vec<_> = names
            .iter()
            .map(|(name, digest)| {
                serde_json::json!({
                    "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 1,
                    "annotations": { "org.opencontainers.image.ref.name": name },
                })
            })
            .collect();
        let index = serde_json::json!({ "schemaVersion": 2, "manifests": manifests });
        let new = self.store().join("index.new");
        fs::write(&new, index.to_string()).unwrap();
        fs::rename(new, layout::index_path(&self.store())).unwrap();
    }

    fn get(&self, registry: &Registry, path: &str) -> Response<Body> {
        self.agent.get(format!("https://{}{path}", registry.address())).call().unwrap()
    }

    fn get_range(&self, registry: &Registry, path: &str, range: &str) -> Response<Body> {
        self.agent.get(format!("https://{}{path}", registry.address())).header("Range", range).call().unwrap()
    }
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

fn bytes(response: Response<Body>) -> Vec<u8> {
    let mut bytes = Vec::new();
    response.into_body().into_reader().read_to_end(&mut bytes).unwrap();
    bytes
}

const MANIFEST: &[u8] = br#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{},"layers":[]}"#;

#[test]
fn images_are_found_by_every_way_of_naming_them() {
    let site = Site::new();
    let digest = site.put_blob(MANIFEST);
    site.put_index(&[("registry.k8s.io/pause:3.10.2", &digest), ("docker.io/library/haproxy:2.6", &digest)]);
    let registry = Registry::start(&site.config()).unwrap();
    assert_eq!(site.get(&registry, "/v2/").status(), 200);
    for path in [
        "/v2/pause/manifests/3.10.2?ns=registry.k8s.io",
        "/v2/registry.k8s.io/pause/manifests/3.10.2",
        "/v2/library/haproxy/manifests/2.6?ns=docker.io",
        &format!("/v2/anything/manifests/{digest}"),
    ] {
        let response = site.get(&registry, path);
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(header(&response, "docker-content-digest"), digest);
        assert_eq!(header(&response, "content-type"), "application/vnd.docker.distribution.manifest.v2+json");
        assert_eq!(bytes(response), MANIFEST);
    }
    for path in ["/v2/pause/tags/list?ns=registry.k8s.io", "/v2/registry.k8s.io/pause/tags/list"] {
        let tags: serde_json::Value = serde_json::from_slice(&bytes(site.get(&registry, path))).unwrap();
        assert_eq!(tags["tags"], serde_json::json!(["3.10.2"]));
    }
    assert_eq!(site.get(&registry, "/v2/none/tags/list").status(), 404);
    let head = site
        .agent
        .head(format!("https://{}/v2/pause/manifests/3.10.2?ns=registry.k8s.io", registry.address()))
        .call()
        .unwrap();
    assert_eq!(
        (head.status().as_u16(), header(&head, "content-length")),
        (200, MANIFEST.len().to_string().as_str())
    );
    assert_eq!(header(&head, "docker-content-digest"), digest);
    for path in ["/v2/pause/manifests/3.10.2?ns=docker.io", "/v2/pause/manifests/3.9?ns=registry.k8s.io"] {
        let response = site.get(&registry, path);
        assert_eq!(response.status(), 404, "{path}");
        assert!(String::from_utf8(bytes(response)).unwrap().contains("MANIFEST_UNKNOWN"));
    }
}

#[test]
fn blobs_come_whole_and_in_ranges() {
    let site = Site::new();
    let content: Vec<u8> = (0..3_000_000u32).flat_map(u32::to_le_bytes).collect();
    let digest = site.put_blob(&content);
    let registry = Registry::start(&site.config()).unwrap();
    let path = format!("/v2/sealift/blobs/{digest}");
    let whole = site.get(&registry, &path);
    assert_eq!(header(&whole, "etag"), format!("\"{digest}\""));
    assert_eq!(header(&whole, "accept-ranges"), "bytes");
    assert!(bytes(whole) == content);
    let rest = site.get_range(&registry, &path, "bytes=11000001-");
    assert_eq!(rest.status(), 206);
    assert_eq!(header(&rest, "content-range"), "bytes 11000001-11999999/12000000");
    assert!(bytes(rest) == content[11_000_001..]);
    let beyond = site.get_range(&registry, &path, "bytes=12000000-");
    assert_eq!((beyond.status().as_u16(), header(&beyond, "content-range")), (416, "bytes */12000000"));
    let head = site.agent.head(format!("https://{}{path}", registry.address())).call().unwrap();
    assert_eq!(header(&head, "content-length"), "12000000");
}

#[test]
fn a_store_that_fills_is_seen_while_it_is_served() {
    let site = Site::new();
    let registry = Registry::start(&site.config()).unwrap();
    let digest = digest_of(MANIFEST);
    let (tag, blob) = ("/v2/web/manifests/1?ns=shop.example", format!("/v2/x/blobs/{digest}"));
    assert_eq!(site.get(&registry, tag).status(), 404);
    site.put_index(&[("shop.example/web:1", &digest)]);
    fs::create_dir_all(site.store().join("partial")).unwrap();
    fs::write(site.store().join("partial").join(&digest[7..]), &MANIFEST[..9]).unwrap();
    assert_eq!(site.get(&registry, tag).status(), 404);
    assert_eq!(site.get(&registry, &blob).status(), 404);
    site.put_blob(MANIFEST);
    assert_eq!(site.get(&registry, tag).status(), 200);
    assert_eq!(bytes(site.get(&registry, &blob)), MANIFEST);
    let other = site.put_blob(br#"{"schemaVersion":2,"config":{},"layers":[]}"#);
    site.put_index(&[("shop.example/web:1", &other)]);
    assert_eq!(header(&site.get(&registry, tag), "docker-content-digest"), other);
}

#[test]
fn nothing_but_the_store_is_served_and_nothing_is_taken() {
    let site = Site::new();
    fs::write(site.folder.path().join("secret"), "secret").unwrap();
    site.put_blob(b"not a manifest");
    let damaged = digest_of(br#"{"schemaVersion":2,"config":{}}"#);
    fs::write(layout::blob_path(&site.store(), &damaged).unwrap(), br#"{"schemaVersion":2,"config":[]}"#)
        .unwrap();
    let registry = Registry::start(&site.config()).unwrap();
    let plain = digest_of(b"not a manifest");
    for path in [
        "/v2/x/blobs/..%2F..%2F..%2Fsecret",
        "/v2/x/blobs/sha256:..%2F..%2F..%2F..%2Fsecret",
        "/v2/%2e%2e/%2e%2e/blobs/secret",
        "/secret",
        "/v2/_catalog",
        &format!("/v2/x/manifests/{plain}"),
        &format!("/v2/x/manifests/{damaged}"),
    ] {
        let response = site.get(&registry, path);
        assert!([400, 404].contains(&response.status().as_u16()), "{path}: {}", response.status());
        assert!(String::from_utf8(bytes(response)).unwrap().contains("\"errors\""), "{path}");
    }
    let address = registry.address();
    let upload = site.agent.post(format!("https://{address}/v2/x/blobs/uploads/")).send_empty().unwrap();
    assert_eq!((upload.status().as_u16(), header(&upload, "allow")), (405, "GET, HEAD"));
    let delete = site.agent.delete(format!("https://{address}/v2/x/blobs/{plain}")).call().unwrap();
    assert_eq!(delete.status(), 405);
    // Only the site's CA makes it trustworthy.
    let stranger = Agent::config_builder().proxy(None).build().new_agent();
    assert!(stranger.get(format!("https://{address}/v2/")).call().is_err());
}

#[test]
fn what_stands_in_the_way_is_named() {
    let site = Site::new();
    let registry = Registry::start(&site.config()).unwrap();
    let taken = Registry::start(&ServeConfig { listen: registry.address(), ..site.config() }).unwrap_err();
    assert!(
        matches!(taken, RegistryError::Listen { address, .. } if address == registry.address()),
        "{taken:?}"
    );
    let missing = ServeConfig { key: Path::new("/nonexistent/registry.key").to_owned(), ..site.config() };
    assert!(matches!(Registry::start(&missing).unwrap_err(), RegistryError::Read { .. }));
    let other = KeyPair::generate().unwrap();
    fs::write(site.config().key, other.serialize_pem()).unwrap();
    assert!(matches!(Registry::start(&site.config()).unwrap_err(), RegistryError::Certificate { .. }));
}

#[test]
fn a_renewed_certificate_is_taken_up_without_a_restart() {
    use std::net::TcpStream;
    use std::sync::Arc;
    let site = Site::new();
    let registry = Registry::start(&site.config()).unwrap();
    let renewed = site.issue();
    let served = || {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(site_ca(&site)).unwrap();
        let config =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
        let mut connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = TcpStream::connect(registry.address()).unwrap();
        while connection.is_handshaking() {
            connection.complete_io(&mut stream).unwrap();
        }
        connection.peer_certificates().unwrap()[0].to_vec()
    };
    while served() != renewed {
        std::thread::yield_now();
    }
    assert_eq!(served(), renewed);
}

fn site_ca(site: &Site) -> rustls::pki_types::CertificateDer<'static> {
    let RootCerts::Specific(roots) = site.agent.config().tls_config().root_certs().clone() else {
        panic!("the test's agent trusts one CA")
    };
    rustls::pki_types::CertificateDer::from(roots[0].der().to_vec())
}
