//! Services of a site, tried for real: a PostgreSQL of the test's own, and small HTTP servers over TLS and without.
//! Needs the Debian package postgresql-15.
#![allow(clippy::unwrap_used)] // a test may fall over, and so may what tests share

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sealift_bundle::services::ServiceKind;
use sealift_bundle::testing::ClosedPort;
use sealift_checks::facts::{ServiceAttempt, ServiceStage};
use sealift_host::protocol::{SecretFile, SecretFiles};
use sealift_host::services::{Encryption, Language, ServiceTarget, try_all};
use tempfile::TempDir;

const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
/// PostgreSQL refuses to run as root.
const NOBODY: u32 = 65534;

/// An authority, and a certificate of it for one name or address.
struct Certificates {
    ca: String,
    certificate: String,
    key: String,
}

impl Certificates {
    fn for_name(name: &str) -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = authority.self_signed(&ca_key).unwrap().pem();
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let own = own.signed_by(&key, &Issuer::new(authority, ca_key)).unwrap();
        Self { ca, certificate: own.pem(), key: key.serialize_pem() }
    }
}

/// A PostgreSQL server that ends with the test.
struct Postgresql {
    server: Child,
    folder: TempDir,
    port: ClosedPort,
}

fn as_nobody(program: &str, arguments: &[&str]) -> Command {
    let path = Path::new(PROGRAMS).join(program);
    assert!(path.exists(), "{} is missing: install the Debian package postgresql-15", path.display());
    let mut command = Command::new(path);
    command.args(arguments).current_dir("/").env("LC_ALL", "C.UTF-8").stdout(Stdio::null());
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn for_nobody(path: &Path) {
    if rustix::process::geteuid().is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

impl Postgresql {
    /// User and password are `orders` and `secret`.
    fn start(certificates: &Certificates) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for_nobody(folder.path());
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| {
            fs::write(at(name), text).unwrap();
            for_nobody(&at(name));
            fs::set_permissions(at(name), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        };
        write("password", "secret\n");
        write("server.pem", &certificates.certificate);
        write("server.key", &certificates.key);
        let (data, password) = (at("data"), at("password"));
        let made = as_nobody(
            "initdb",
            &["--auth=scram-sha-256", "--username=orders", "--no-sync", "--encoding=UTF8"],
        )
        .args(["--locale=C", "--no-instructions", "-D"])
        .arg(&data)
        .arg(format!("--pwfile={}", password.display()))
        .status()
        .unwrap();
        assert!(made.success(), "initdb failed");
        let port = ClosedPort::hold();
        let path = |name: &str| at(name).display().to_string();
        let settings = format!(
            "port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\nssl = on\n\
             ssl_cert_file = '{}'\nssl_key_file = '{}'\n",
            port.number(),
            path("server.pem"),
            path("server.key")
        );
        fs::write(data.join("postgresql.auto.conf"), settings).unwrap();
        let server = as_nobody("postgres", &["-D"]).arg(&data).stderr(Stdio::null()).spawn().unwrap();
        Self { server, folder, port }
    }

    /// Changes the settings of the running server.
    fn set(&self, line: &str) {
        let path: PathBuf = self.folder.path().join("data/postgresql.auto.conf");
        let text = fs::read_to_string(&path).unwrap() + line + "\n";
        fs::write(path, text).unwrap();
        let id = rustix::process::Pid::from_child(&self.server);
        rustix::process::kill_process(id, rustix::process::Signal::HUP).unwrap();
    }

    fn target(&self, encryption: Encryption) -> ServiceTarget {
        ServiceTarget {
            service: ServiceKind::Database,
            host: "127.0.0.1".to_owned(),
            port: self.port.number(),
            encryption,
            user: Some("orders".to_owned()),
            language: Language::Postgresql { database: "postgres".to_owned() },
        }
    }
}

impl Drop for Postgresql {
    fn drop(&mut self) {
        // Immediate shutdown; a server that has gone already needs none.
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.server),
            rustix::process::Signal::QUIT,
        );
        let _ = self.server.wait();
    }
}

fn tried(target: &ServiceTarget, password: &str) -> ServiceAttempt {
    let name = target.service.name().to_owned();
    let passwords = SecretFiles(vec![SecretFile { name, content: password.to_owned() }]);
    try_all(std::slice::from_ref(target), &passwords).remove(0)
}

/// Where it ended and why; empty where nothing went wrong.
fn trouble(attempt: &ServiceAttempt) -> String {
    attempt.trouble.as_ref().map(|one| format!("{:?}: {}", one.stage, one.problem)).unwrap_or_default()
}

/// Tries until it comes out as wanted; panics with what came last after a minute.
fn until(target: &ServiceTarget, wanted: impl Fn(&ServiceAttempt) -> bool) -> ServiceAttempt {
    let begun = Instant::now();
    loop {
        let attempt = tried(target, "secret");
        if wanted(&attempt) {
            return attempt;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "waited in vain, last: {attempt:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_database_is_tried_stage_by_stage() {
    let certificates = Certificates::for_name("127.0.0.1");
    let mut server = Postgresql::start(&certificates);
    let verified = server.target(Encryption::Verified { ca: certificates.ca.clone() });
    let good = until(&verified, |attempt| attempt.trouble.is_none());
    assert_eq!(good.address, format!("127.0.0.1:{}", server.port.number()));
    assert_eq!(good.tls.as_deref(), Some("TLSv1.3"));
    assert!(good.version.as_ref().is_some_and(|version| version.starts_with("15.")), "{good:?}");
    assert!(good.micros.is_some());

    let unchecked = tried(&server.target(Encryption::Unchecked), "secret");
    assert_eq!((trouble(&unchecked).as_str(), unchecked.tls.as_deref()), ("", Some("TLSv1.3")));
    let plain = tried(&server.target(Encryption::None), "secret");
    assert_eq!((trouble(&plain).as_str(), plain.tls.as_deref()), ("", None));

    let wrong = tried(&verified, "guess");
    assert_eq!(trouble(&wrong), "Login: password authentication failed for user \"orders\" (28P01)");
    assert!(wrong.tls.is_some() && wrong.version.is_none());
    assert!(!format!("{wrong:?}").contains("guess"));
    let mut elsewhere = verified.clone();
    elsewhere.language = Language::Postgresql { database: "nothing".to_owned() };
    assert_eq!(trouble(&tried(&elsewhere, "secret")), "Login: database \"nothing\" does not exist (3D000)");

    let foreign = server.target(Encryption::Verified { ca: Certificates::for_name("127.0.0.1").ca });
    let words = "Tls: its certificate is signed by another authority than the one under `ca`";
    assert_eq!(trouble(&tried(&foreign, "secret")), words);
    let mut renamed = verified.clone();
    renamed.host = "localhost".to_owned();
    assert_eq!(trouble(&tried(&renamed, "secret")), "Tls: its certificate is for another name or address");
    let unreadable = server.target(Encryption::Verified { ca: "nonsense".to_owned() });
    assert!(trouble(&tried(&unreadable, "secret")).starts_with("Tls: the certificate of the authority"));

    server.set("password_encryption = md5");
    server.set("ssl = off");
    let off = until(&verified, |attempt| attempt.trouble.is_some());
    assert_eq!(trouble(&off), "Tls: the server offers no encryption");

    server.server.kill().unwrap();
    server.server.wait().unwrap();
    let gone = until(&verified, |attempt| attempt.micros.is_none());
    assert_eq!(trouble(&gone), "Reach: refused: nothing listens there, or a firewall says no");
}

#[test]
fn what_is_no_database_is_told_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        while let Ok((mut visitor, _)) = listener.accept() {
            let _ = visitor.write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
        }
    });
    let mut target = ServiceTarget {
        service: ServiceKind::Database,
        host: "127.0.0.1".to_owned(),
        port,
        encryption: Encryption::None,
        user: Some("orders".to_owned()),
        language: Language::Postgresql { database: "orders".to_owned() },
    };
    let attempt = tried(&target, "secret");
    assert_eq!(attempt.trouble.as_ref().map(|one| one.stage), Some(ServiceStage::Login), "{attempt:?}");
    target.host = "no-such-host.invalid".to_owned();
    assert_eq!(trouble(&tried(&target, "secret")), "Reach: this host finds no address for that name");
}

/// Answers `GET PATH` with status and body; everything but `/open` wants `orders:secret`. A fake of a service.
fn answer(request: &str) -> String {
    let path = request.split(' ').nth(1).unwrap_or_default();
    // "orders:secret" in base64.
    let known = request.to_ascii_lowercase().contains("authorization: basic b3jkzxjzonnly3jlda==");
    let (status, body) = match path {
        _ if !known && path != "/open" => ("401 Unauthorized", ""),
        "/" => ("200 OK", r#"{"version": {"number": "8.19.2"}}"#),
        "/api/v1/write" => ("405 Method Not Allowed", "POST only"),
        "/api/v1/status/buildinfo" => ("200 OK", r#"{"status": "success", "data": {"version": "3.5.0"}}"#),
        "/open" => ("204 No Content", ""),
        "/moved" => ("302 Found", ""),
        "/ill" => ("503 Service Unavailable", ""),
        _ => ("404 Not Found", ""),
    };
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn converse(mut wire: impl std::io::Read + std::io::Write) {
    let mut request = Vec::new();
    let mut buffer = [0u8; 4096];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match wire.read(&mut buffer) {
            Ok(count) if count > 0 => request.extend_from_slice(&buffer[..count]),
            _ => return,
        }
    }
    let _ = wire.write_all(answer(&String::from_utf8_lossy(&request)).as_bytes());
    let _ = wire.flush();
}

/// Its port.
fn serve(certificates: Option<&Certificates>) -> u16 {
    use rustls::pki_types::pem::PemObject as _;
    let config = certificates.map(|certificates| {
        let chain = vec![CertificateDer::from_pem_slice(certificates.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(certificates.key.as_bytes()).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        Arc::new(builder.with_single_cert(chain, key).unwrap())
    });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        while let Ok((visitor, _)) = listener.accept() {
            let config = config.clone();
            thread::spawn(move || match config {
                Some(config) => {
                    converse(StreamOwned::new(ServerConnection::new(config).unwrap(), visitor));
                }
                None => converse(visitor),
            });
        }
    });
    port
}

#[test]
fn services_over_http_are_tried_stage_by_stage() {
    let certificates = Certificates::for_name("127.0.0.1");
    let (plain, encrypted) = (serve(None), serve(Some(&certificates)));
    let target = |service, path: &str, safe: bool| ServiceTarget {
        service,
        host: "127.0.0.1".to_owned(),
        port: if safe { encrypted } else { plain },
        encryption: if safe {
            Encryption::Verified { ca: certificates.ca.clone() }
        } else {
            Encryption::None
        },
        user: Some("orders".to_owned()),
        language: Language::Http {
            url: if safe {
                format!("https://127.0.0.1:{encrypted}{path}")
            } else {
                format!("http://127.0.0.1:{plain}{path}")
            },
        },
    };
    let logs = tried(&target(ServiceKind::Logs, "/", true), "secret");
    assert_eq!(trouble(&logs), "");
    assert_eq!((logs.tls.as_deref(), logs.version.as_deref()), (Some("TLSv1.3"), Some("8.19.2")));
    let metrics = tried(&target(ServiceKind::Metrics, "/api/v1/write", false), "secret");
    assert_eq!((trouble(&metrics).as_str(), metrics.tls.as_deref()), ("", None));
    assert_eq!(metrics.version.as_deref(), Some("3.5.0"));

    let wrong = tried(&target(ServiceKind::Logs, "/", true), "guess");
    assert_eq!(trouble(&wrong), "Login: refuses the login (status 401)");
    let mut nobody = target(ServiceKind::Logs, "/", false);
    nobody.user = None;
    assert_eq!(trouble(&tried(&nobody, "")), "Login: wants a login (status 401)");
    let silent = tried(&target(ServiceKind::Logs, "/open", false), "secret");
    assert_eq!((trouble(&silent).as_str(), silent.version.as_deref()), ("", Some("8.19.2")));
    assert_eq!(trouble(&tried(&target(ServiceKind::Logs, "/moved", false), "secret")), "");
    for (path, status) in [("/ill", 503), ("/nowhere", 404)] {
        let attempt = tried(&target(ServiceKind::Metrics, path, false), "secret");
        assert_eq!(trouble(&attempt), format!("Answer: answers with status {status} at {path}"));
    }
    let mut foreign = target(ServiceKind::Logs, "/", true);
    foreign.encryption = Encryption::Verified { ca: Certificates::for_name("127.0.0.1").ca };
    assert!(trouble(&tried(&foreign, "secret")).starts_with("Tls: its certificate is signed by another"));
    let mut mistaken = target(ServiceKind::Logs, "/", true);
    mistaken.port = plain;
    assert!(trouble(&tried(&mistaken, "secret")).starts_with("Tls: "), "no TLS there");
}
