//! `installer profile …` and `installer secrets …` as people run them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// Runs the program in a folder, with nobody at the terminal.
fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_installer"))
        .args(arguments)
        .current_dir(folder)
        .env("CANARY_SECRET", "canary-secret")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// What it printed, both streams; it must end with this code.
fn said(folder: &Path, arguments: &[&str], code: i32) -> String {
    let output = run(folder, arguments);
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    text
}

fn good() -> String {
    "apiVersion: sealift/v1\nkind: Site\nmetadata: {name: plant}\naccess: {user: ops, privateKey: {file: /k}, knownHosts: /h}\n\
     hosts:\n  - {name: m1, address: 10.20.0.11, role: control-plane}\n"
        .to_owned()
}

#[test]
fn a_document_that_cannot_be_written_is_a_failure() {
    let (reader, unread) = std::io::pipe().unwrap();
    drop(reader);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    for (stdout, code) in [(Stdio::from(full), 2), (unread.into(), 0)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_installer"));
        let output = command.args(["profile", "schema"]).stdout(stdout).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert_eq!(said.contains("cannot write all of it to standard output"), code == 2, "{said}");
    }
}

#[test]
fn a_profile_is_started_filled_in_validated_and_shown() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    said(at, &["profile", "init", "--out", "site.yaml"], 0);
    let text = fs::read_to_string(at.join("site.yaml")).unwrap();
    let refused = said(at, &["profile", "init", "--out", "site.yaml", "--full"], 2);
    assert!(refused.contains("site.yaml cannot be written") && refused.contains("next:"), "{refused}");
    assert_eq!(fs::read_to_string(at.join("site.yaml")).unwrap(), text, "what is there is left alone");
    assert_eq!(fs::read_dir(at).unwrap().count(), 1, "and nothing half-written beside it");

    let blanks = said(at, &["profile", "validate", "--profile", "site.yaml"], 2);
    assert!(
        blanks.contains("7 findings") && blanks.contains("site.yaml:12:7: `metadata.name` is empty"),
        "{blanks}"
    );

    let full = said(at, &["profile", "init", "--full"], 0);
    fs::write(at.join("full.yaml"), full).unwrap();
    let valid = said(at, &["profile", "validate", "--profile", "full.yaml"], 0);
    assert!(valid.contains("harbin-plant: nothing is wrong; 3 control plane, 2 workers"), "{valid}");
    fs::write(at.join("over.yaml"), "apiVersion: sealift/v1\nkind: Site\naccess: {port: 2022}\n").unwrap();
    let shown = said(at, &["profile", "render", "--profile", "full.yaml", "--profile", "over.yaml"], 0);
    let port = shown.lines().find(|line| line.starts_with("  port: 2022")).unwrap();
    assert!(port.ends_with("# over.yaml:3:16"), "{port}");
    fs::write(at.join("shown.yaml"), &shown).unwrap();
    let plain = |text: String| -> Vec<String> {
        text.lines().map(|line| line.split("  # ").next().unwrap_or_default().trim_end().to_owned()).collect()
    };
    let again = said(at, &["profile", "render", "--profile", "shown.yaml"], 0);
    assert_eq!(plain(again), plain(shown));
    let json = said(at, &["profile", "render", "--output", "json", "--profile", "full.yaml"], 0);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["data"]["site"]["access"]["port"], 22);
    assert!(json["data"]["origins"]["access.port"].as_str().unwrap().starts_with("full.yaml:"));
    let schema: serde_json::Value = serde_json::from_str(&said(at, &["profile", "schema"], 0)).unwrap();
    assert_eq!(schema["title"], "Sealift site profile");
}

#[test]
fn findings_are_told_to_people_and_to_machines() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let risks = "acceptedRisks:\n  - {check: disk.spice, person: Li, reason: lab, until: 2999-01-01}\n";
    fs::write(at.join("p.yaml"), good().replace("10.20.0.11", "10.20.0.300") + risks).unwrap();
    let text = said(at, &["profile", "validate", "--profile", "p.yaml"], 2);
    assert!(text.contains("p.yaml:6:25: `hosts[0].address` is `10.20.0.300`"), "{text}");
    fs::write(at.join("p.yaml"), good() + risks).unwrap();
    let text = said(at, &["profile", "validate", "--output", "json", "--profile", "p.yaml"], 2);
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(first["data"]["rule"], "risk-check");
    assert_eq!(first["data"]["remedy"], "did you mean `disk.space`?");
    assert_eq!((&first["data"]["line"], &first["data"]["file"]), (&8.into(), &"p.yaml".into()));
}

#[test]
fn open_sections_are_listed_and_stop_an_install() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    fs::write(at.join("p.yaml"), good().replace("role: control-plane", "role:") + "interactive: [hosts]\n")
        .unwrap();
    let text = said(at, &["profile", "validate", "--profile", "p.yaml"], 0);
    assert!(
        text.contains("hosts is left open, 1 missing") && text.contains("`hosts[0].role` is empty"),
        "{text}"
    );
    for verb in ["check", "plan", "install"] {
        let text = said(at, &[verb, "--bundle", "none.bundle", "--profile", "p.yaml"], 2);
        assert!(text.contains("p.yaml:7:15: the section `hosts` is left open"), "{verb}: {text}");
    }
    let text = said(at, &["profile", "render", "--profile", "p.yaml"], 2);
    assert!(text.contains("left open (hosts)"), "{text}");
}

#[test]
fn what_is_current_is_not_migrated_and_what_is_newer_is_refused() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    fs::write(at.join("p.yaml"), good()).unwrap();
    let text = said(at, &["profile", "migrate", "--profile", "p.yaml"], 0);
    assert!(text.contains("p.yaml: sealift/v1 is the newest version there is; nothing to migrate"), "{text}");
    fs::write(at.join("p.yaml"), good().replace("sealift/v1", "sealift/v2")).unwrap();
    let text = said(at, &["profile", "migrate", "--profile", "p.yaml"], 2);
    assert!(
        text.contains("p.yaml:1:13") && text.contains("next: the profile was written for a newer"),
        "{text}"
    );
    assert_eq!(fs::read_to_string(at.join("p.yaml")).unwrap(), good().replace("sealift/v1", "sealift/v2"));
}

#[test]
fn a_secret_is_sealed_and_opened_and_shown_nowhere() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let made = said(at, &["secrets", "keygen", "--out", "id.txt"], 0);
    let recipient = made.split_whitespace().find(|word| word.starts_with("age1")).unwrap();
    assert!(!made.contains("AGE-SECRET-KEY"), "{made}");
    let bits = |name: &str| fs::metadata(at.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(bits("id.txt"), 0o600);

    let secret = "env:CANARY_SECRET";
    let inline = said(at, &["secrets", "seal", "--secret", secret, "--recipient", recipient], 0);
    let done =
        said(at, &["secrets", "seal", "--secret", secret, "--with", "file:id.txt", "--out", "s.age"], 0);
    assert!(done.contains("{sealed: s.age}"), "{done}");
    said(at, &["secrets", "unseal", "--sealed", "s.age", "--with", "file:id.txt", "--out", "plain"], 0);
    assert_eq!(
        (fs::read_to_string(at.join("plain")).unwrap().as_str(), bits("plain")),
        ("canary-secret", 0o600)
    );
    let out = said(at, &["secrets", "unseal", "--sealed", "s.age", "--with", "file:id.txt", "--out", "-"], 0);
    assert_eq!(out, "canary-secret");

    // In the profile, both ways: validated, shown, and never in plain.
    let block = inline.replace('\n', "\n        ");
    let secrets = format!(
        "unseal: {{file: id.txt}}\nproduct:\n  secrets:\n    a: {{sealed: s.age}}\n    b:\n      sealed: |\n        {block}\n"
    );
    fs::write(at.join("p.yaml"), good() + &secrets).unwrap();
    let shown = said(at, &["profile", "validate", "--profile", "p.yaml"], 0)
        + &said(at, &["profile", "render", "--profile", "p.yaml"], 0)
        + &inline
        + &done;
    assert!(!shown.contains("canary") && shown.contains("BEGIN AGE"), "{shown}");

    // Nobody at the terminal; a secret in the place of its reference; a wrong key.
    let text = said(at, &["secrets", "unseal", "--sealed", "s.age", "--out", "x"], 2);
    assert!(text.contains("nobody answered"), "{text}");
    let text = said(at, &["secrets", "seal", "--secret", "canary-typed", "--with", "file:id.txt"], 2);
    assert!(!text.contains("canary") && text.contains("change it"), "{text}");
    let text = said(at, &["secrets", "unseal", "--sealed", "s.age", "--with", secret, "--out", "x"], 2);
    assert!(text.contains("it was sealed for an identity") && !text.contains("canary"), "{text}");
    assert!(!at.join("x").exists());
}
