//! Secrets: fetched from where the profile says, and never in a message.
#![allow(clippy::unwrap_used)] // a test may fall over, and so may what tests share

use std::cell::Cell;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;

use sealift_profile::{ResolvedSecrets, SecretError, SecretRef, Site};
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;

fn nobody(_: &str) -> io::Result<SecretString> {
    Err(io::Error::other("no terminal"))
}

fn file(folder: &TempDir, name: &str, content: &[u8], mode: u32) -> SecretRef {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    SecretRef::File(path.to_str().unwrap().to_owned())
}

#[test]
fn one_trailing_newline_is_dropped() {
    let folder = TempDir::new().unwrap();
    for (content, want) in [("pw\n", "pw"), ("pw\r\n", "pw"), ("pw\n\n", "pw\n"), (" pw ", " pw ")] {
        let secret = file(&folder, "s", content.as_bytes(), 0o600).resolve(&nobody).unwrap();
        assert_eq!(secret.expose_secret(), want);
    }
}

#[test]
fn errors_name_the_reference_and_never_the_value() {
    let folder = TempDir::new().unwrap();
    let missing = SecretRef::File("/nonexistent/canary-file".to_owned()).resolve(&nobody).unwrap_err();
    assert!(missing.to_string().contains("/nonexistent/canary-file"));
    let binary = file(&folder, "b", b"hunter2\xff", 0o600).resolve(&nobody).unwrap_err();
    assert!(matches!(binary, SecretError::NotText { .. }));
    assert!(!format!("{binary} {binary:?}").contains("hunter2"));
    assert!(matches!(file(&folder, "e", b"\n", 0o600).resolve(&nobody), Err(SecretError::Empty { .. })));
    let large = file(&folder, "l", &vec![b'x'; (1 << 20) + 1], 0o600).resolve(&nobody);
    assert!(matches!(large, Err(SecretError::TooLarge { .. })));
    let unset = SecretRef::Env("SEALIFT_TEST_IS_NOT_SET".to_owned()).resolve(&nobody).unwrap_err();
    assert!(unset.to_string().contains("SEALIFT_TEST_IS_NOT_SET"));
    let prompt = SecretRef::Prompt("password of ops".to_owned()).resolve(&nobody).unwrap_err();
    assert!(prompt.to_string().contains("password of ops"));
}

#[test]
fn files_that_others_can_read_are_named() {
    let folder = TempDir::new().unwrap();
    assert_eq!(file(&folder, "own", b"x", 0o600).exposure(), None);
    let open = file(&folder, "open", b"x", 0o644).exposure().unwrap();
    assert_eq!(open.mode, 0o644);
    assert!(open.to_string().contains("chmod 600"), "{open}");
    assert_eq!(SecretRef::Env("HOME".to_owned()).exposure(), None);
}

#[test]
fn each_reference_of_a_site_is_fetched_once() {
    let folder = TempDir::new().unwrap();
    let SecretRef::File(key) = file(&folder, "key", b"canary-key", 0o640) else { unreachable!() };
    let mut site: Site = serde_json::from_value(serde_json::json!({
        "apiVersion": "sealift/v1", "kind": "Site", "metadata": {"name": "a"},
        "access": {"user": "ops", "privateKey": {"file": key}, "password": {"prompt": "password"}},
        "hosts": [{"name": "m1", "address": "10.0.0.1", "role": "control-plane", "password": {"prompt": "password"}}],
        "product": {"secrets": {"db": {"prompt": "database"}}},
    }))
    .unwrap();
    let asked = Cell::new(0);
    let ask = |label: &str| {
        asked.set(asked.get() + 1);
        Ok(SecretString::from(format!("canary-{label}")))
    };
    let secrets = ResolvedSecrets::resolve(&site, &ask).unwrap();
    assert_eq!(asked.get(), 2);
    let of = |reference: &SecretRef| secrets.get(reference).unwrap().expose_secret().to_owned();
    assert_eq!(of(site.access.private_key.as_ref().unwrap()), "canary-key");
    assert_eq!(of(&site.product.secrets["db"]), "canary-database");
    assert_eq!(secrets.exposures().len(), 1);
    assert!(!format!("{secrets:?}").contains("canary"));

    site.access.private_key = Some(SecretRef::File("/nonexistent/a".to_owned()));
    site.product.secrets.insert("x".to_owned(), SecretRef::File("/nonexistent/b".to_owned()));
    assert_eq!(ResolvedSecrets::resolve(&site, &ask).unwrap_err().len(), 2, "all errors together");
}
