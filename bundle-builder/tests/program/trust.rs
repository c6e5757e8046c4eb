//! Keys that follow each other, releases that are too old, and secrets that stay secret.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::support::vendor::{Vendor, build};

/// A vendor with `orders.bundle`, signed by `second.key`, which follows `release.key` by `second.rotation`.
fn rotated() -> Vendor {
    let vendor = Vendor::new();
    vendor.lock();
    vendor.succeed(&["keygen", "--out", "second.key", "--no-password"]);
    rotate(&vendor, "release.key", "second.key");
    signed_with(&vendor, "second.key", "orders.bundle");
    vendor
}

fn rotate(vendor: &Vendor, old: &str, new: &str) -> String {
    vendor.succeed(&["key", "rotate", "--old", old, "--new", new])
}

fn signed_with(vendor: &Vendor, key: &str, out: &str) {
    let mut arguments = build("cache", out);
    arguments[6] = key;
    vendor.succeed(&arguments);
}

const OLD_KEY: [&str; 4] = ["verify", "orders.bundle", "--key", "release.key.pub"];

fn with<'a>(extra: &[&'a str]) -> Vec<&'a str> {
    [&OLD_KEY, extra].concat()
}

#[test]
fn a_new_key_is_trusted_through_the_statement_of_the_old_one() {
    let vendor = rotated();
    let said = vendor.fail(5, &OLD_KEY);
    assert!(said.contains("which is not trusted here"), "{said}");
    let said = vendor.succeed(&with(&["--rotation", "second.rotation"]));
    assert!(said.contains("every blob matches"), "{said}");
    // And every other verb that opens bundles.
    vendor.succeed(&["ls", "orders.bundle", "--key", "release.key.pub", "--rotation", "second.rotation"]);
}

#[test]
fn statements_make_a_chain() {
    let vendor = rotated();
    vendor.succeed(&["keygen", "--out", "third.key", "--no-password"]);
    rotate(&vendor, "second.key", "third.key");
    signed_with(&vendor, "third.key", "orders.bundle");
    let said = vendor.fail(5, &with(&["--rotation", "third.rotation"]));
    assert!(
        said.contains("third.rotation: made by key") && said.contains("next: give the statements"),
        "{said}"
    );
    vendor.succeed(&with(&["--rotation", "third.rotation", "--rotation", "second.rotation"]));
}

#[test]
fn a_statement_that_was_changed_or_made_by_a_stranger_is_refused() {
    let vendor = rotated();
    vendor.succeed(&["keygen", "--out", "stranger.key", "--no-password"]);
    let line = |name: &str| {
        let text = std::fs::read_to_string(vendor.path(name)).unwrap();
        text.lines().nth(1).unwrap().to_owned()
    };
    vendor.replace("second.rotation", &line("second.key.pub"), &line("stranger.key.pub"));
    let said = vendor.fail(5, &with(&["--rotation", "second.rotation"]));
    assert!(said.contains("next: ask the vendor for the statement again"), "{said}");
    vendor.write("second.rotation", "no statement\n");
    let said = vendor.fail(5, &with(&["--rotation", "second.rotation"]));
    assert!(said.contains("second.rotation: not a statement of key rotation"), "{said}");
    let said = vendor.fail(2, &with(&["--rotation", "none.rotation"]));
    assert!(said.contains("none.rotation: the statement of rotation cannot be read"), "{said}");
}

#[test]
fn minisign_reads_a_statement() {
    let vendor = rotated();
    let script = "head -3 second.rotation >statement && tail -4 second.rotation >statement.minisig \
                  && minisign -Vm statement -p release.key.pub";
    let output = Command::new("sh").args(["-c", script]).current_dir(vendor.folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("Trusted comment: rotation\told:"), "{output:?}");
}

#[test]
fn a_statement_is_never_replaced_and_never_names_the_same_key() {
    let vendor = rotated();
    let before = std::fs::read(vendor.path("second.rotation")).unwrap();
    vendor.succeed(&["keygen", "--out", "third.key", "--no-password"]);
    let to = ["key", "rotate", "--old", "release.key", "--new", "third.key", "--out", "second.rotation"];
    let said = vendor.fail(2, &to);
    assert!(
        said.contains("cannot write second.rotation") && said.contains("nothing is replaced unasked"),
        "{said}"
    );
    assert!(std::fs::read(vendor.path("second.rotation")).unwrap() == before);
    let said =
        vendor.fail(2, &["key", "rotate", "--old", "release.key", "--new", "release.key", "--out", "x"]);
    assert!(said.contains("the new key is the old one") && !vendor.path("x").exists(), "{said}");
}

#[test]
fn several_keys_are_trusted_at_once() {
    let vendor = rotated();
    vendor.succeed(&["keygen", "--out", "stranger.key", "--no-password"]);
    let verify = |one, other| ["verify", "orders.bundle", "--key", one, "--key", other];
    let said = vendor.fail(5, &verify("release.key.pub", "stranger.key.pub"));
    assert!(said.contains("not trusted here"), "{said}");
    vendor.succeed(&verify("stranger.key.pub", "second.key.pub"));
    vendor.succeed(&verify("second.key.pub", "release.key.pub"));
}

#[test]
fn an_older_serial_is_refused() {
    let vendor = rotated();
    let known = |serial| with(&["--rotation", "second.rotation", "--minimum-serial", serial]);
    vendor.succeed(&known("17"));
    let said = vendor.fail(5, &known("18"));
    assert!(said.contains("orders.bundle: Orders 4.2.0 has serial 17, which is older than 18"), "{said}");
    assert!(said.contains("next: use the newest bundle; if going back is meant"), "{said}");
    vendor.fail(2, &known("latest"));
}

#[test]
fn the_signed_comment_is_shown_and_its_time_is_that_of_the_lock() {
    let vendor = rotated();
    let said = vendor.succeed(&with(&["--rotation", "second.rotation"]));
    let lock = std::fs::read_to_string(vendor.path("recipe.lock.yaml")).unwrap();
    let created = lock.lines().find_map(|line| line.strip_prefix("created: ")).unwrap();
    let created: jiff::Timestamp = created.trim_matches(['"', '\'']).parse().unwrap();
    let comment = format!("product:orders version:4.2.0 serial:17 timestamp:{}", created.as_second());
    assert!(said.contains(&format!("signed    {comment}\n")), "{said}");
    let said = vendor.succeed(&["inspect", "orders.bundle", "--key", "second.key.pub"]);
    assert!(said.contains(&comment), "{said}");
}

#[test]
fn both_halves_of_a_key_appear_or_none() {
    let vendor = Vendor::new();
    let left = |word: &str| vendor.names(".").into_iter().filter(|name| name.contains(word)).count();
    let said = vendor.fail_on_a_full_disk(0, &["keygen", "--out", "new.key", "--no-password"]);
    assert!(said.contains("cannot write new.key\n"), "{said}");
    assert_eq!(left("new.key") + left("partial"), 0);
    vendor.succeed(&["keygen", "--out", "new.key", "--no-password"]);
    assert_eq!(left("new.key"), 2);
    // As long as a name can be: there is no room for `.pub` behind it.
    let long = "k".repeat(255);
    let said = vendor.fail(2, &["keygen", "--out", &long, "--no-password"]);
    assert!(said.contains(&format!("cannot write {long}.pub\n")), "{said}");
    assert_eq!(left("kkk") + left("partial"), 0);
}

#[test]
fn keys_are_private_and_never_printed() {
    let vendor = rotated();
    // As an editor of Windows ends lines, which is none of the password.
    vendor.write("password", "correct horse\r\n");
    vendor.write("same", "correct horse\n");
    let made = vendor.succeed(&["keygen", "--out", "locked.key", "--password-file", "password"]);
    let turned = vendor.succeed(&[
        "key",
        "rotate",
        "--old",
        "locked.key",
        "--new",
        "second.key",
        "--out",
        "x",
        "--password-file",
        "same",
    ]);
    let shown = vendor.succeed(&["key", "show", "locked.key.pub"]);
    let secret = std::fs::read_to_string(vendor.path("locked.key")).unwrap();
    let secret = secret.lines().nth(1).unwrap();
    let statement = std::fs::read_to_string(vendor.path("x")).unwrap();
    for said in [&made, &turned, &shown, &statement] {
        assert!(!said.contains("correct horse") && !said.contains(secret), "{said}");
    }
    assert_eq!(vendor.path("locked.key").metadata().unwrap().permissions().mode() & 0o777, 0o600);

    std::fs::set_permissions(vendor.path("release.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let said =
        vendor.fail(2, &["key", "rotate", "--old", "release.key", "--new", "second.key", "--out", "y"]);
    assert!(
        said.contains("release.key can be read by others (mode 0644)\n  next: `chmod 600 release.key`"),
        "{said}"
    );
    vendor.fail(2, &build("cache", "x.bundle"));
    // What is no secret key needs no other permissions.
    for (old, expected) in [
        (
            "second.key.pub",
            "is the public half of a key, which cannot sign\n  next: name the secret half, e.g. second.key",
        ),
        ("recipe.yaml", "recipe.yaml is no minisign secret key"),
        ("chart", "cannot read chart\n  because: Is a directory"),
    ] {
        let said = vendor.fail(2, &["key", "rotate", "--old", old, "--new", "second.key", "--out", "y"]);
        assert!(said.contains(expected) && !said.contains("chmod"), "{said}");
    }
    assert!(!vendor.path("y").exists() && !vendor.path("x.bundle").exists());
    // A secret key is no public key, and is not shown as one.
    let said = vendor.fail(2, &["key", "show", "locked.key"]);
    assert!(said.contains("not a minisign public key") && !said.contains(secret), "{said}");
}
