//! Files and charts behind a login, on web servers with and without TLS.

use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::support::Notes;
use crate::support::upstream::{Guard, PASSWORD, USER, Upstream};
use crate::support::vendor::{LOCK, Vendor, build};
use crate::support::wire::{Certificates, Head, answering};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bundle_builder::chart::Chart;
use bundle_builder::mirrors::Mirrors;
use bundle_builder::registry::credentials::Credentials;
use bundle_builder::registry::{Cause, Patience, Registries, RegistryError};
use sealift_bundle::digest::digest_of;

const KUBELET: &str = "{root: payload, path: bin/kubelet}";
const CONTENT: &[u8] = b"a kubelet behind a login";
const CLOSED: &str = "HTTP/1.1 401 No\r\nwww-authenticate: Basic realm=x\r\ncontent-length: 0\r\n\r\n";

/// An answer with the kubelet.
fn found() -> String {
    let content = String::from_utf8_lossy(CONTENT);
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{content}", content.len())
}

/// The logins that were sent with these requests.
fn logins(seen: &Mutex<Vec<Head>>) -> Vec<Option<String>> {
    let login = |head: &Head| head.get("authorization").map(ToOwned::to_owned);
    seen.lock().unwrap().iter().map(login).collect()
}

/// A vendor whose kubelet is at `url`.
fn vendor(url: &str) -> Vendor {
    let vendor = Vendor::new();
    take(&vendor, url);
    vendor
}

/// Lets the kubelet come from `url`.
fn take(vendor: &Vendor, url: &str) {
    let hex = digest_of(CONTENT).split_off("sha256:".len());
    vendor.replace("recipe.yaml", KUBELET, &format!("{{url: '{url}', sha256: {hex}}}"));
}

fn log_in(vendor: &Vendor, host: &str, password: &str) {
    let auth = STANDARD.encode(format!("{USER}:{password}"));
    vendor.write("docker/config.json", &format!(r#"{{"auths": {{"{host}": {{"auth": "{auth}"}}}}}}"#));
}

fn lock(vendor: &Vendor, more: &[&str]) -> (Option<i32>, String) {
    lock_as(vendor.command(&[&LOCK[..], more].concat()).env("NETRC", vendor.path("netrc")))
}

fn lock_as(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let encoded = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    assert!(!said.contains(PASSWORD) && !said.contains(&encoded), "{said}");
    (output.status.code(), said)
}

#[test]
fn a_file_and_a_chart_behind_a_login_come_with_that_of_their_host() {
    let vendor = vendor("https://nowhere.example/kubelet");
    vendor.registry.push_file("kubelet", CONTENT);
    let archive = Chart::read(&vendor.path("chart")).unwrap().archive;
    vendor.registry.push_file("charts/orders-4.2.0.tgz", &archive);
    let index =
        "apiVersion: v1\nentries: {orders: [{name: orders, version: 4.2.0, urls: [orders-4.2.0.tgz]}]}\n";
    vendor.registry.push_file("charts/index.yaml", index.as_bytes());
    let guarded = Upstream::start(&vendor.registry, true, Guard::Basic);
    let (host, ca) = (&guarded.address, guarded.certificates.as_ref().unwrap().ca());
    let trust = ["--ca", ca.to_str().unwrap()];
    vendor.replace(
        "recipe.yaml",
        "https://nowhere.example/kubelet",
        &format!("https://{host}/files/kubelet"),
    );
    let chart = format!("  - {{repository: 'https://{host}/files/charts', name: orders, version: 4.2.0}}\n");
    vendor.replace("recipe.yaml", "  - path: chart\n", &chart);

    let (code, said) = lock(&vendor, &trust);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("it wants a login, and there is none") && said.contains("next: give a login"),
        "{said}"
    );
    log_in(&vendor, host, "wrong");
    let (code, said) = lock(&vendor, &trust);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(&format!("it does not take the name and password of {USER}")), "{said}");
    assert!(!vendor.path("recipe.lock.yaml").exists());

    // The login of another port is that of another server.
    log_in(&vendor, "127.0.0.1:1", PASSWORD);
    assert_eq!(lock(&vendor, &trust).0, Some(2));
    log_in(&vendor, host, PASSWORD);
    let (code, said) = lock(&vendor, &trust);
    assert_eq!(code, Some(0), "{said}");
    assert!(!vendor.read("recipe.lock.yaml").contains(PASSWORD));
    let arguments = build("cache", "orders.bundle");
    vendor.succeed(&[&arguments[..], &trust].concat());

    // Without Docker's: as curl finds it, by host alone.
    std::fs::remove_dir_all(vendor.path("docker")).unwrap();
    std::fs::remove_dir_all(vendor.path("cache")).unwrap();
    std::fs::remove_file(vendor.path("recipe.lock.yaml")).unwrap();
    vendor.write("netrc", &format!("machine 127.0.0.1 login {USER} password {PASSWORD}\n"));
    let (code, said) = lock(&vendor, &trust);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn logins_are_found_in_the_home_folder() {
    let vendor = vendor("https://nowhere.example/kubelet");
    vendor.registry.push_file("kubelet", CONTENT);
    let guarded = Upstream::start(&vendor.registry, true, Guard::Basic);
    let (host, ca) = (&guarded.address, guarded.certificates.as_ref().unwrap().ca());
    vendor.replace(
        "recipe.yaml",
        "https://nowhere.example/kubelet",
        &format!("https://{host}/files/kubelet"),
    );
    let at_home = || {
        let mut command = vendor.command(&[&LOCK[..], &["--ca", ca.to_str().unwrap()]].concat());
        command.env("HOME", vendor.path("home")).env_remove("DOCKER_CONFIG").env_remove("NETRC");
        command
    };
    log_in(&vendor, host, PASSWORD);
    let (code, said) = lock_as(&mut at_home());
    assert!(code == Some(2) && said.contains("it wants a login, and there is none"), "{said}");
    std::fs::create_dir(vendor.path("home")).unwrap();
    let docker = vendor.path("home/.docker");
    std::fs::rename(vendor.path("docker"), &docker).unwrap();
    // An empty variable is none.
    let (code, said) = lock_as(at_home().env("DOCKER_CONFIG", ""));
    assert_eq!(code, Some(0), "{said}");

    std::fs::remove_dir_all(docker).unwrap();
    std::fs::remove_dir_all(vendor.path("cache")).unwrap();
    std::fs::remove_file(vendor.path("recipe.lock.yaml")).unwrap();
    vendor.write("home/.netrc", &format!("machine 127.0.0.1 login {USER} password {PASSWORD}\n"));
    let (code, said) = lock_as(&mut at_home());
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_login_does_not_follow_a_redirect() {
    let certificates = Certificates::new();
    let trust = certificates.ca();
    let trust = ["--ca", trust.to_str().unwrap()];
    for (answer, code) in [(found(), Some(0)), (CLOSED.to_owned(), Some(2))] {
        let (storage, sent_on) = answering(Some(&certificates), move |_| answer.clone());
        let place = format!("https://{storage}");
        let on = format!("HTTP/1.1 302 There\r\nlocation: {place}/x\r\ncontent-length: 0\r\n\r\n");
        // Lets nobody in without a login, and sends everybody else on.
        let (front, seen) = answering(Some(&certificates), move |head| {
            if head.get("authorization").is_some() { on.clone() } else { CLOSED.to_owned() }
        });
        let vendor = vendor(&format!("https://{front}/kubelet"));
        // Everybody on this machine would be known by it.
        vendor.write("netrc", &format!("machine 127.0.0.1 login {USER} password {PASSWORD}\n"));
        let (got, said) = lock(&vendor, &trust);
        assert_eq!(got, code, "{said}");
        let blamed = format!("{place}, where it redirects to: 401");
        assert_eq!(said.contains(&blamed), code != Some(0), "{said}");
        assert!(logins(&seen).iter().any(Option::is_some));
        let sent_on = logins(&sent_on);
        assert!(!sent_on.is_empty() && sent_on.iter().all(Option::is_none), "{sent_on:?}");
    }
}

#[test]
fn no_login_goes_over_plain_http_unless_that_is_allowed() {
    let vendor = Vendor::new();
    vendor.registry.push_file("kubelet", CONTENT);
    let guarded = Upstream::start(&vendor.registry, false, Guard::Basic);
    let port = guarded.address.rsplit_once(':').unwrap().1.to_owned();
    // This machine, by a name that does not say so.
    let host = format!("0.0.0.0:{port}");
    take(&vendor, &format!("http://{host}/files/kubelet"));
    log_in(&vendor, &host, PASSWORD);
    let (code, said) = lock(&vendor, &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(&format!("unless `--plain-http {host}` allows it")), "{said}");
    let (code, said) = lock(&vendor, &["--plain-http", &host]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_login_that_is_refused_later_is_looked_up_once_more() {
    let vendor = Vendor::new();
    let basic = |password: &str| format!("Basic {}", STANDARD.encode(format!("{USER}:{password}")));
    let taken: Arc<Mutex<String>> = Arc::new(Mutex::new(basic("first")));
    let wanted = Arc::clone(&taken);
    let (host, seen) = answering(None, move |head| {
        let known = head.get("authorization") == Some(&**wanted.lock().unwrap());
        if known { found() } else { CLOSED.to_owned() }
    });
    let credentials = Credentials::from_file(vendor.path("docker/config.json"));
    let registries =
        Registries::with_credentials(Mirrors::default(), Patience::default(), credentials).unwrap();
    let url = format!("http://{host}/kubelet");
    let fetch = || registries.document(&url, 1 << 20, &Notes::default());
    let sent = || std::mem::take(&mut *seen.lock().unwrap()).len();

    log_in(&vendor, &host, "first");
    assert_eq!(fetch().unwrap(), CONTENT);
    // Without one, and with it.
    assert_eq!(sent(), 2);
    assert_eq!(fetch().unwrap(), CONTENT);
    assert_eq!(sent(), 1);

    *taken.lock().unwrap() = basic("second");
    log_in(&vendor, &host, "second");
    assert_eq!(fetch().unwrap(), CONTENT);
    assert_eq!(logins(&seen), [Some(basic("first")), Some(basic("second"))]);
    assert_eq!((sent(), fetch().unwrap(), sent()), (2, CONTENT.to_vec(), 1));

    // There is no other one: it is not sent again.
    *taken.lock().unwrap() = basic("third");
    let why = |answer: Result<Vec<u8>, RegistryError>| -> Cause {
        let Err(RegistryError::Denied { source, .. }) = answer else { panic!("{answer:?}") };
        source
    };
    let refused = format!("it does not take the name and password of {USER}: 401 Unauthorized");
    assert_eq!(why(fetch()).to_string(), refused);
    assert_eq!(logins(&seen), [Some(basic("second"))]);
    assert_eq!((sent(), why(fetch()).to_string(), sent()), (1, refused, 2));
}
