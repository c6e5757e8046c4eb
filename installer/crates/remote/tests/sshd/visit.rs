//! Looking and visiting: the key before any login, and what an account tells.

use std::net::TcpListener;
use std::time::Duration;

use sealift_remote::{HostKeys, RemoteError, Target, Timeouts, look, visit};

use crate::fixture::{Account, Key, Sshd};

#[test]
fn a_look_compares_the_key_and_logs_nobody_in() {
    let sshd = Sshd::start();
    let got = look(&sshd.target(), Timeouts::default()).expect("its key is trusted");
    assert_eq!(got.fingerprint, sshd.host_keys[0].fingerprint());
    let stranger = Target { host_keys: HostKeys::default(), ..sshd.target() };
    let unknown = look(&stranger, Timeouts::default()).expect_err("nobody vouches for it");
    let RemoteError::HostKeyUnknown { got, .. } = &unknown else { panic!("{unknown:?}") };
    assert_eq!(got.fingerprint, sshd.host_keys[0].fingerprint());
    let visited = visit(&stranger, Timeouts::default());
    assert!(visited.host_key.is_none(), "{visited:?}");
    assert!(matches!(visited.account, Err(RemoteError::HostKeyUnknown { .. })), "{visited:?}");
    let other = Key::new(sshd.folder.path(), "ed25519", "").fingerprint();
    let changed = Target { host_keys: HostKeys::default().with_fingerprint(&other), ..sshd.target() };
    let error = look(&changed, Timeouts::default()).expect_err("another key is pinned");
    assert!(matches!(error, RemoteError::HostKeyChanged { .. }), "{error:?}");
    let log = sshd.log();
    assert!(!log.contains("Accepted") && !log.contains("Failed"), "{log}");
}

#[test]
fn a_visit_tells_key_account_and_machine() {
    let sshd = Sshd::start();
    let visited = visit(&sshd.target(), Timeouts::default());
    let account = visited.account.expect("a login");
    let cpus = std::thread::available_parallelism().expect("a number").get();
    assert_eq!(account.uid, 0);
    assert!(account.cpus.is_some_and(|count| count as usize >= cpus), "{account:?}");
    assert!(account.memory_bytes.is_some_and(|bytes| bytes > 64 << 20), "{account:?}");
    assert_eq!(visited.host_key.expect("shown").fingerprint, sshd.host_keys[0].fingerprint());
    assert!(sshd.log().contains("Accepted publickey for root"), "{}", sshd.log());
}

#[test]
fn a_visit_tells_why_nobody_gets_in_and_which_key_was_shown() {
    let sshd = Sshd::start();
    let wrong = Target { private_key: None, password: Some("not this one".into()), ..sshd.target() };
    let visited = visit(&wrong, Timeouts::default());
    assert!(visited.host_key.is_some(), "{visited:?}");
    assert!(matches!(visited.account, Err(RemoteError::PasswordRejected { .. })), "{visited:?}");
    assert!(!format!("{visited:?}").contains("not this one"));
    let account = Account::new();
    let bare = Sshd::without_sudo();
    let visited = visit(&bare.target_for(&account), Timeouts::default());
    assert!(matches!(visited.account, Err(RemoteError::NoSudo { .. })), "{visited:?}");
    let shell = Account::with_shell("/usr/sbin/nologin");
    let visited = visit(&sshd.target_for(&shell), Timeouts::default());
    assert!(matches!(visited.account, Err(RemoteError::NoShell { .. })), "{visited:?}");
}

#[test]
fn a_server_that_says_nothing_is_told_in_time() {
    let sshd = Sshd::start();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let target = Target { port: listener.local_addr().expect("bound").port(), ..sshd.target() };
    let timeouts = Timeouts { login: Duration::from_secs(1), ..Timeouts::default() };
    let visited = visit(&target, timeouts);
    let silent =
        matches!(visited.account, Err(RemoteError::TimedOut { doing: "during the SSH handshake", .. }));
    assert!(silent && visited.host_key.is_none(), "{visited:?}");
}
