//! Host keys: known, unknown, changed, hashed, several of them.

use std::fs;
use std::process::Command;

use sealift_remote::{AgentSession, HostKeys, RemoteError, Target, Timeouts};

use crate::fixture::{Key, Program, Sshd, connect};

fn refused(target: &Target) -> RemoteError {
    AgentSession::connect(target, &Program::new().agent, Timeouts::default())
        .expect_err("this key must not do")
}

fn trusting(sshd: &Sshd, host_keys: HostKeys) -> Target {
    Target { host_keys, ..sshd.target() }
}

#[test]
fn an_unknown_key_is_refused_with_its_fingerprint() {
    let sshd = Sshd::start();
    let error = refused(&trusting(&sshd, HostKeys::default()));
    let RemoteError::HostKeyUnknown { got, peer } = &error else { panic!("{error:?}") };
    assert_eq!(got.fingerprint, sshd.host_keys[0].fingerprint());
    assert_eq!(got.algorithm, "ssh-ed25519");
    assert_eq!(peer.name(), "m1");
    // Nothing was tried with it.
    assert!(!sshd.log().contains("Accepted"), "{}", sshd.log());
}

#[test]
fn a_changed_key_is_refused_with_both_fingerprints() {
    let sshd = Sshd::start();
    let other = Key::new(sshd.folder.path(), "ed25519", "");
    let known = format!("[127.0.0.1]:{} {}", sshd.port, other.public);
    for keys in [
        HostKeys::default().with_fingerprint(&other.fingerprint()),
        HostKeys::default().with_known_hosts(&known),
        HostKeys::default().with_known_hosts(&format!("m1 {}", other.public)),
    ] {
        let error = refused(&trusting(&sshd, keys));
        let RemoteError::HostKeyChanged { expected, got, .. } = &error else { panic!("{error:?}") };
        assert_eq!(expected, &[other.fingerprint()]);
        assert_eq!(got.fingerprint, sshd.host_keys[0].fingerprint());
        assert!(error.to_string().contains(&other.fingerprint()), "{error}");
    }
    assert!(!sshd.log().contains("Accepted"), "{}", sshd.log());
}

#[test]
fn known_hosts_match_plain_by_port_by_name_and_hashed() {
    let sshd = Sshd::start();
    let key = &sshd.host_keys[0].public;
    let plain = format!("# comment\nelsewhere {key}\n[127.0.0.1]:{} {key}\n", sshd.port);
    let by_name = format!("other,m1 {key}\n");
    let hashed = |text: &str| {
        let file = sshd.folder.path().join("known_hosts");
        fs::write(&file, text).expect("own folder");
        let hashed =
            Command::new("ssh-keygen").arg("-H").arg("-f").arg(&file).output().expect("ssh-keygen runs");
        assert!(hashed.status.success());
        let text = fs::read_to_string(&file).expect("own file");
        assert!(text.contains("|1|") && !text.contains("127.0.0.1"), "{text}");
        text
    };
    for text in [&plain, &by_name, &hashed(&plain), &hashed(&by_name)] {
        connect(&trusting(&sshd, HostKeys::default().with_known_hosts(text)), &Program::new());
    }
    let elsewhere = hashed(&format!("elsewhere {key}\n"));
    let error = refused(&trusting(&sshd, HostKeys::default().with_known_hosts(&elsewhere)));
    assert!(matches!(error, RemoteError::HostKeyUnknown { .. }), "{error:?}");
    let other = Key::new(sshd.folder.path(), "ed25519", "");
    let changed = hashed(&format!("[127.0.0.1]:{} {}\n", sshd.port, other.public));
    let error = refused(&trusting(&sshd, HostKeys::default().with_known_hosts(&changed)));
    assert!(matches!(error, RemoteError::HostKeyChanged { .. }), "{error:?}");
}

#[test]
fn a_host_with_several_keys_is_compared_by_the_trusted_one() {
    let sshd = Sshd::with("", &["ed25519", "ecdsa", "rsa"]);
    for key in &sshd.host_keys {
        let kind = key.public.split(' ').next().expect("a type");
        connect(&trusting(&sshd, HostKeys::default().with_fingerprint(&key.fingerprint())), &Program::new());
        let known = format!("m1 {}\n", key.public);
        connect(&trusting(&sshd, HostKeys::default().with_known_hosts(&known)), &Program::new());
        let revoked = HostKeys::default().with_known_hosts(&format!("{known}@revoked m1 {}\n", key.public));
        let error = refused(&trusting(&sshd, revoked));
        assert!(matches!(error, RemoteError::HostKeyRevoked { .. }), "{kind}: {error:?}");
    }
}
