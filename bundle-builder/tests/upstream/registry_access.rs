//! Certificates and logins, as the program's user meets them.

use std::sync::Arc;

use crate::support::fault_proxy::{FaultProxy, Trick};
use crate::support::upstream::{Guard, IDENTITY, PASSWORD, RENEWED, USER, Upstream, by_password};
use crate::support::vendor::{LOCK, REGISTRIES, Vendor, build};
use crate::support::wire::answering;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A vendor whose images are behind `guard`.
fn vendor(encrypted: bool, guard: Guard) -> (Vendor, Upstream) {
    let vendor = Vendor::new();
    let upstream = Upstream::start(&vendor.registry, encrypted, guard);
    upstream.mirrors(vendor.folder.path(), &REGISTRIES);
    (vendor, upstream)
}

/// What a refused `lock` says; it leaves no lock.
fn refused(vendor: &Vendor) -> String {
    let said = vendor.fail(2, &LOCK);
    assert!(!vendor.path("recipe.lock.yaml").exists());
    said
}

/// A credential helper that the program finds first in PATH.
fn with_helper(vendor: &Vendor, script: &str) -> std::process::Output {
    sealift_bundle::testing::program(&vendor.path("helpers/docker-credential-test"), script);
    let path = format!("{}:{}", vendor.path("helpers").display(), std::env::var("PATH").unwrap());
    vendor.command(&LOCK).env("PATH", path).output().unwrap()
}

#[test]
fn tls_needs_the_ca_that_signed() {
    let (vendor, upstream) = vendor(true, Guard::Open);
    let mirrors = std::fs::read_to_string(vendor.path("mirrors.yaml")).unwrap();
    vendor.lock();
    vendor.build("cache", "orders.bundle");
    assert!(vendor.path("orders.bundle").exists());

    // The same without the CA in the mirrors file.
    std::fs::remove_file(vendor.path("recipe.lock.yaml")).unwrap();
    let bare = mirrors.split("registries:").next().unwrap();
    vendor.write("mirrors.yaml", bare);
    let said = refused(&vendor);
    assert!(said.contains(": no trusted connection") && said.contains("next: give the CA"), "{said}");
    assert!(!said.contains("retry"), "{said}");
    let ca = upstream.certificates.as_ref().unwrap().ca();
    vendor.succeed(&[&LOCK[..], &["--ca", ca.to_str().unwrap()]].concat());

    std::fs::remove_file(vendor.path("recipe.lock.yaml")).unwrap();
    vendor.write(
        "mirrors.yaml",
        &format!("{bare}registries: {{\"{}\": {{insecure: true}}}}", upstream.address),
    );
    let output = vendor.run(&LOCK);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("its certificate is not checked").count(), 1, "{said}");
}

#[test]
fn a_machine_without_ca_certificates_needs_them_only_for_tls() {
    let bare = |vendor: &Vendor| {
        let mut command = vendor.command(&LOCK);
        command.env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", "/nonexistent").output().unwrap()
    };
    let (plain, _upstream) = vendor(false, Guard::Open);
    assert!(bare(&plain).status.success());
    let (own, _upstream) = vendor(true, Guard::Open);
    assert!(bare(&own).status.success());
    let mirrors = std::fs::read_to_string(own.path("mirrors.yaml")).unwrap();
    own.write("mirrors.yaml", mirrors.split("registries:").next().unwrap());
    let output = bare(&own);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("cannot start the HTTP client") && said.contains("next: the system's CA"),
        "{said}"
    );
}

#[test]
fn a_file_that_is_no_certificate_is_refused() {
    let (vendor, _upstream) = vendor(true, Guard::Open);
    vendor.write("ca.pem", "not a certificate");
    let said = vendor.fail(2, &[&LOCK[..], &["--ca", "ca.pem"]].concat());
    assert!(said.contains("cannot use the CA file ca.pem") && said.contains("next: name a file"), "{said}");
}

#[test]
fn plain_text_and_tls_are_not_mixed_up() {
    let (vendor, upstream) = vendor(false, Guard::Open);
    vendor.replace("mirrors.yaml", "http://", "https://");
    let said = refused(&vendor);
    assert!(said.contains(": no trusted connection") && said.contains("--plain-http"), "{said}");
    assert!(said.contains(&upstream.address), "{said}");
}

#[test]
fn a_name_and_a_password_let_in() {
    for encrypted in [false, true] {
        let (vendor, upstream) = vendor(encrypted, Guard::Basic);
        let said = refused(&vendor);
        assert!(
            said.contains("refuses access to ") && said.contains("it wants a login, and there is none"),
            "{said}"
        );
        assert!(said.contains("next: log in with `docker login HOST`"), "{said}");

        vendor.login(&upstream.address, &by_password("canary"));
        let said = refused(&vendor);
        assert!(said.contains("it does not take the name and password of ops"), "{said}");
        assert!(!said.contains("canary") && !said.contains(&STANDARD.encode("ops:canary")), "{said}");

        vendor.login(&upstream.address, &by_password(PASSWORD));
        vendor.lock();
        vendor.build("cache", "orders.bundle");
    }
}

#[test]
fn a_token_comes_from_the_registrys_token_server() {
    for encrypted in [false, true] {
        let (vendor, upstream) = vendor(encrypted, Guard::Token);
        let said = refused(&vendor);
        assert!(said.contains("refuses access without a login"), "{said}");
        vendor.login(&upstream.address, &by_password("canary"));
        let said = refused(&vendor);
        assert!(said.contains("refuses the login of ops") && !said.contains("canary"), "{said}");
        for entry in [by_password(PASSWORD), format!(r#"{{"identitytoken": "{IDENTITY}"}}"#)] {
            vendor.login(&upstream.address, &entry);
            let before = upstream.tokens.as_ref().unwrap().asked();
            vendor.lock();
            // One for each repository, however many requests it takes.
            assert_eq!(upstream.tokens.as_ref().unwrap().asked() - before, 8);
            std::fs::remove_file(vendor.path("recipe.lock.yaml")).unwrap();
        }
        vendor.lock();
        vendor.build("cache", "orders.bundle");
    }
}

#[test]
fn public_images_need_no_login() {
    let (vendor, upstream) = vendor(false, Guard::Anyone);
    vendor.lock();
    vendor.build("cache", "orders.bundle");
    assert!(upstream.tokens.unwrap().asked() >= 8);
}

#[test]
fn tokens_that_are_old_at_once_are_renewed() {
    let (vendor, upstream) = vendor(false, Guard::Token);
    vendor.login(&upstream.address, &by_password(PASSWORD));
    let tokens = upstream.tokens.as_ref().unwrap();
    // The registry takes them for a while; the program must not send what says that it is old. So each request needs its
    // own: tags and configs for the lock, layers for the build.
    tokens.live(0);
    vendor.lock();
    let for_lock = tokens.asked();
    assert!(for_lock >= 15, "{for_lock}");
    vendor.build("cache", "orders.bundle");
    assert!(tokens.asked() - for_lock >= 8, "{for_lock} {}", tokens.asked());
}

#[test]
fn a_token_that_is_refused_half_way_is_renewed() {
    let (vendor, upstream) = vendor(false, Guard::Token);
    let proxy = FaultProxy::before(&upstream);
    proxy.mirrors(vendor.folder.path(), &REGISTRIES);
    vendor.login(proxy.address(), &by_password(PASSWORD));
    vendor.lock();
    vendor.build("cache", "first.bundle");
    let largest = proxy.passed_for("/blobs/").into_iter().max_by_key(|passed| passed.sent).unwrap().path;
    // The answer breaks off; when the rest is asked for, the token counts no more.
    proxy.script(&largest, [Trick::CutAfter(100_000), Trick::DropLogin]);
    let before = proxy.passed_for(&largest).len();
    let output = vendor.run(&build("other cache", "orders.bundle"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("retry 1 of ") && !said.contains("401"), "{said}");
    let passed = &proxy.passed_for(&largest)[before..];
    let statuses: Vec<u16> = passed.iter().map(|passed| passed.status).collect();
    assert_eq!(statuses, [200, 401, 206]);
    assert!(passed[2].from > 0 && passed[2].from <= 100_000, "{passed:?}");
}

#[test]
fn a_token_server_that_fails_is_named() {
    let (vendor, upstream) = vendor(false, Guard::Token);
    vendor.login(&upstream.address, &by_password(PASSWORD));
    let tokens = upstream.tokens.as_ref().unwrap();
    tokens.fail(Some(404));
    let said = refused(&vendor);
    assert!(said.contains("token server http://127.0.0.1") && said.contains("404"), "{said}");
    assert!(!said.contains(" has no image"), "{said}");
    tokens.fail(None);
    vendor.lock();
}

#[test]
fn logins_come_from_helpers() {
    let (vendor, upstream) = vendor(false, Guard::Basic);
    let helper = format!(
        "#!/bin/sh\nread host\n[ \"$1 $host\" = 'get {}' ] || {{ echo 'credentials not found in native keychain'; exit 1; }}\n\
         echo '{{\"ServerURL\": \"x\", \"Username\": \"{USER}\", \"Secret\": \"{PASSWORD}\"}}'\n",
        upstream.address
    );
    let own = format!(r#"{{"credHelpers": {{"{}": "test"}}, "credsStore": "absent"}}"#, upstream.address);
    for settings in [own.as_str(), r#"{"credsStore": "test"}"#] {
        vendor.write("docker/config.json", settings);
        let output = with_helper(&vendor, &helper);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::remove_file(vendor.path("recipe.lock.yaml")).unwrap();
    }
    let output = with_helper(&vendor, "#!/bin/sh\necho canary; exit 1\n");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("docker-credential-test gives no login for ") && !said.contains("canary"),
        "{said}"
    );
}

#[test]
fn a_login_does_not_go_where_a_redirect_leads() {
    let (vendor, upstream) = vendor(false, Guard::Basic);
    let proxy = FaultProxy::before(&upstream);
    proxy.mirrors(vendor.folder.path(), &REGISTRIES);
    vendor.login(proxy.address(), &by_password(PASSWORD));
    // Asks for a login of its own, and names itself as the one to show it to.
    let (storage, seen) = answering(None, |head| {
        let realm = format!("http://{}/token", head.get("host").unwrap());
        format!("HTTP/1.1 401 No\r\nwww-authenticate: Bearer realm=\"{realm}\"\r\ncontent-length: 0\r\n\r\n")
    });
    proxy.script("/blobs/", vec![Trick::Redirect(format!("http://{storage}/x")); 100]);
    let said = refused(&vendor);
    let blamed = format!("http://{storage}, where it redirects to: 401 Unauthorized");
    assert!(said.contains(" refuses access to ") && said.contains(&blamed), "{said}");
    let seen = seen.lock().unwrap();
    assert!(!seen.is_empty());
    for head in &*seen {
        assert!(head.second() == "/x" && head.get("authorization").is_none(), "{head:?}");
    }
}

#[test]
fn a_login_that_its_helper_renewed_is_taken_up() {
    let (vendor, upstream) = vendor(false, Guard::Basic);
    let proxy = FaultProxy::before(&upstream);
    proxy.mirrors(vendor.folder.path(), &REGISTRIES);
    vendor.write("docker/config.json", r#"{"credsStore": "test"}"#);
    let helper = format!(
        "#!/bin/sh\nuser={USER}; [ -e expired ] && user={RENEWED}\n\
         echo '{{\"Username\": \"'$user'\", \"Secret\": \"{PASSWORD}\"}}'\n"
    );
    // With its old login the program gets the image; then that one counts no more.
    let expired = vendor.path("expired");
    let expire = Trick::Call(Arc::new(move || std::fs::write(&expired, "").unwrap()));
    proxy.script("/web/manifests/", [Trick::Pass, expire, Trick::DropLogin]);
    let output = with_helper(&vendor, &helper);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    // Without a login, with the old one, and with that again for what may stand beside the image: nothing does.
    let passed = proxy.passed_for("/web/manifests/");
    let statuses: Vec<u16> = passed.iter().map(|passed| passed.status).collect();
    assert!(statuses.starts_with(&[401, 200, 401, 404]), "{passed:?}");
}
