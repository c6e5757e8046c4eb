//! Secrets: fetched from where the profile says, and never in a message.
#![allow(clippy::unwrap_used)] // a test may fall over, and so may what tests share

use std::cell::Cell;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;

use sealift_profile::{Opener, ResolvedSecrets, SealError, Sealer, SecretError, SecretRef, Site, seal};
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

/// A site whose database password is sealed.
fn sealed_site(sealed: &str, unseal: Option<&SecretRef>) -> Site {
    let mut site: Site = serde_json::from_value(serde_json::json!({
        "apiVersion": "sealift/v1", "kind": "Site", "metadata": {"name": "a"},
        "access": {"user": "ops", "privateKey": {"env": "HOME"}, "knownHosts": "k"},
        "hosts": [{"name": "m1", "address": "10.0.0.1", "role": "control-plane"}],
        "product": {"secrets": {"db": {"sealed": sealed}}},
    }))
    .unwrap();
    site.unseal = unseal.cloned();
    site
}

fn said(error: &dyn std::error::Error) -> String {
    let source = error.source().map(ToString::to_string).unwrap_or_default();
    format!("{error} {error:?} {source}")
}

#[test]
fn a_sealed_secret_opens_with_its_identity_from_the_profile_or_a_file() {
    let folder = TempDir::new().unwrap();
    let (identity, recipient) = seal::generate();
    let text = format!("# made today\n{}\n", identity.expose_secret());
    let key = file(&folder, "identity.txt", text.as_bytes(), 0o640);
    let lock = Sealer::for_recipients(&[recipient]).unwrap();
    let sealed = lock.seal(&SecretString::from("canary-db")).unwrap();
    assert!(!sealed.contains("canary"));
    let SecretRef::File(path) = file(&folder, "db.age", sealed.as_bytes(), 0o644) else { unreachable!() };
    for sealed in [sealed.as_str(), &path] {
        let site = sealed_site(sealed, Some(&key));
        let secrets = ResolvedSecrets::resolve(&site, &nobody).unwrap();
        assert_eq!(secrets.get(&site.product.secrets["db"]).unwrap().expose_secret(), "canary-db");
        assert_eq!(secrets.exposures().len(), 1, "the identity, and not what is sealed");
        let shown = format!("{secrets:?} {site:?} {}", sealift_profile::to_yaml(&site).unwrap());
        assert!(!shown.contains("canary") && !shown.contains("AGE-SECRET-KEY"), "{shown}");
    }
    let opener = Opener::new(SecretString::from(text.clone())).unwrap();
    let again = opener.sealer().seal(&SecretString::from("other")).unwrap();
    assert_eq!(*opener.open(&again).unwrap(), "other");
    assert!(!format!("{opener:?} {:?}", opener.sealer()).contains("SECRET-KEY"));
}

#[test]
fn a_passphrase_is_asked_for_once_and_a_wrong_one_is_said() {
    let opener = Opener::new(SecretString::from("canary phrase")).unwrap();
    let sealed = opener.sealer().seal(&SecretString::from("canary-db\n")).unwrap();
    let mut site = sealed_site(&sealed, None);
    site.product.secrets.insert("again".to_owned(), SecretRef::Sealed(format!("\n{sealed}")));
    let asked = Cell::new(0);
    let ask = |_: &str| {
        asked.set(asked.get() + 1);
        Ok(SecretString::from("canary phrase"))
    };
    let secrets = ResolvedSecrets::resolve(&site, &ask).unwrap();
    assert_eq!(asked.get(), 1);
    assert_eq!(secrets.get(&site.product.secrets["db"]).unwrap().expose_secret(), "canary-db");

    let site = sealed_site(&sealed, None);
    let wrong =
        ResolvedSecrets::resolve(&site, &|_| Ok(SecretString::from("canary of another"))).unwrap_err();
    let text = said(&wrong[0]);
    assert!(text.contains("the passphrase is not the one"), "{text}");
    assert!(!text.contains("canary"), "{text}");
    let unasked = ResolvedSecrets::resolve(&site, &nobody).unwrap_err();
    assert!(
        matches!(unasked.as_slice(), [SecretError::Prompt { .. }]),
        "once, and not for each: {unasked:?}"
    );
}

#[test]
fn what_does_not_open_says_why_and_shows_nothing() {
    let (identity, recipient) = seal::generate();
    let sealed = Sealer::for_recipients(&[recipient]).unwrap().seal(&SecretString::from("canary")).unwrap();
    let own = Opener::new(identity.clone()).unwrap();
    let other = Opener::new(seal::generate().0).unwrap();
    let phrase = Opener::new(SecretString::from("canary phrase")).unwrap();
    assert!(matches!(other.open(&sealed), Err(SealError::WrongKey { .. })));
    assert!(matches!(phrase.open(&sealed), Err(SealError::OtherKind { .. })));
    assert!(matches!(own.open("canary"), Err(SealError::NotSealed)));
    let lines: Vec<&str> = sealed.lines().collect();
    let cut = [&lines[..lines.len() - 2], &lines[lines.len() - 1..]].concat().join("\n");
    assert!(own.open(&cut).is_err() && own.open(&lines[..3].join("\n")).is_err());
    let broken = format!("AGE-SECRET-KEY-1CANARY\n{}", identity.expose_secret());
    let error = Opener::new(SecretString::from(broken)).unwrap_err();
    assert!(matches!(error, SealError::Identity { line: 1 }));
    assert!(!said(&error).to_lowercase().contains("canary"));
    assert!(matches!(Sealer::for_recipients(&["age1x".to_owned()]), Err(SealError::Recipient { .. })));
}

/// A file from a stranger may ask for hours of work before anybody knows whether it opens.
#[test]
fn a_file_that_asks_for_too_much_work_is_refused_at_once() {
    let opener = Opener::new(SecretString::from("x")).unwrap();
    let mut recipient = age::scrypt::Recipient::new(SecretString::from("x"));
    recipient.set_work_factor(2);
    let cheap = age::encrypt(&recipient, b"canary").unwrap();
    // The cost stands in the head as text; nothing is computed before it is judged.
    let start = cheap.windows(3).position(|three| three == b" 2\n").unwrap();
    let dear = [&cheap[..start], b" 30\n", &cheap[start + 3..]].concat();
    let mut armour =
        age::armor::ArmoredWriter::wrap_output(Vec::new(), age::armor::Format::AsciiArmor).unwrap();
    io::Write::write_all(&mut armour, &dear).unwrap();
    let sealed = String::from_utf8(armour.finish().unwrap()).unwrap();
    assert!(matches!(opener.open(&sealed), Err(SealError::TooMuchWork { asked: 30 })));
}
