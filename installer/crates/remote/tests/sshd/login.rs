//! Ways to log in, and ways to fail at it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use sealift_bundle::testing::ClosedPort;
use sealift_remote::{AgentSession, RemoteError, Target, Timeouts};
use secrecy::SecretString;

use crate::fixture::{Account, Key, Program, Sshd, ask, connect};

fn refused(target: &Target) -> RemoteError {
    AgentSession::connect(target, &Program::new().agent, Timeouts::default())
        .expect_err("this login must fail")
}

#[test]
fn keys_of_both_kinds_log_in() {
    let sshd = Sshd::start();
    for kind in ["ed25519", "rsa"] {
        let key = Key::new(sshd.folder.path(), kind, "");
        sshd.authorize(&key);
        let program = Program::new();
        let mut session =
            connect(&Target { private_key: Some(key.private.into()), ..sshd.target() }, &program);
        assert!(ask(&mut session, "uid").expect("an answer").starts_with("uid 0"), "{kind}");
    }
}

#[test]
fn a_key_with_a_passphrase_needs_the_right_one() {
    let sshd = Sshd::start();
    for kind in ["ed25519", "rsa"] {
        let key = Key::new(sshd.folder.path(), kind, "open sesame");
        sshd.authorize(&key);
        let with = |passphrase: Option<&str>| Target {
            private_key: Some(key.private.clone().into()),
            passphrase: passphrase.map(SecretString::from),
            ..sshd.target()
        };
        connect(&with(Some("open sesame")), &Program::new());
        assert!(matches!(refused(&with(None)), RemoteError::PassphraseNeeded { .. }), "{kind}");
        let wrong = refused(&with(Some("close sesame")));
        assert!(matches!(wrong, RemoteError::PassphraseWrong { .. }), "{kind}: {wrong:?}");
        assert!(!format!("{wrong:?} {wrong}").contains("close sesame"));
    }
}

#[test]
fn a_key_that_is_not_authorized_is_rejected() {
    let sshd = Sshd::start();
    let stranger = Key::new(sshd.folder.path(), "ed25519", "");
    let error = refused(&Target { private_key: Some(stranger.private.into()), ..sshd.target() });
    let RemoteError::KeyRejected { peer, user, offered } = &error else { panic!("{error:?}") };
    assert_eq!((peer.name(), peer.address(), user.as_str()), ("m1", "127.0.0.1", "root"));
    assert!(offered.contains(&"publickey".to_owned()), "{offered:?}");
    assert_eq!(
        error.to_string(),
        format!("m1 (127.0.0.1:{}) does not accept the key of user root", sshd.port)
    );
}

#[test]
fn text_that_is_no_key_is_named_unreadable() {
    let sshd = Sshd::start();
    let error = refused(&Target { private_key: Some("not a key at all".into()), ..sshd.target() });
    assert!(matches!(error, RemoteError::KeyUnreadable { .. }), "{error:?}");
}

#[test]
fn a_password_logs_in_directly_and_interactively_and_a_wrong_one_does_not() {
    let account = Account::new().allow_sudo("ALL=(ALL) ALL");
    for config in ["", "PasswordAuthentication no\nKbdInteractiveAuthentication yes\n"] {
        let sshd = Sshd::with(config, &["ed25519"]);
        let with = |password: SecretString| Target {
            private_key: None,
            password: Some(password),
            ..sshd.target_for(&account)
        };
        let mut session = connect(&with(account.secret()), &Program::at_home());
        assert!(ask(&mut session, "uid").expect("an answer").starts_with("uid 0"), "{config}");
        let error = refused(&with("not this one".into()));
        assert!(
            matches!(error, RemoteError::PasswordRejected { key_also: false, .. }),
            "{config}: {error:?}"
        );
        assert!(!format!("{error:?} {error}").contains("not this one"));
    }
}

#[test]
fn a_rejected_key_leaves_the_password_a_chance() {
    let account = Account::new().allow_sudo("ALL=(ALL) NOPASSWD: ALL");
    let sshd = Sshd::start();
    let stranger = Key::new(sshd.folder.path(), "ed25519", "");
    let mut target = sshd.target_for(&account);
    target.private_key = Some(stranger.private.into());
    target.password = Some(account.secret());
    connect(&target, &Program::at_home());
    target.password = Some("not this one".into());
    let error = refused(&target);
    assert!(matches!(error, RemoteError::PasswordRejected { key_also: true, .. }), "{error:?}");
}

#[test]
fn a_host_that_wants_key_and_password_gets_both() {
    let account = Account::new().allow_sudo("ALL=(ALL) NOPASSWD: ALL");
    let sshd = Sshd::with("AuthenticationMethods publickey,password\n", &["ed25519"]);
    let target = Target { password: Some(account.secret()), ..sshd.target_for(&account) };
    let mut session = connect(&target, &Program::at_home());
    assert!(ask(&mut session, "uid").expect("an answer").starts_with("uid 0"));
}

#[test]
fn a_host_without_a_fitting_way_says_what_it_offers() {
    let sshd = Sshd::with("PasswordAuthentication no\n", &["ed25519"]);
    let error = refused(&Target { private_key: None, password: Some("any".into()), ..sshd.target() });
    let RemoteError::NoLoginMethod { offered, .. } = &error else { panic!("{error:?}") };
    assert_eq!(offered, &["publickey"]);
    let nothing = refused(&Target { private_key: None, ..sshd.target() });
    assert!(matches!(nothing, RemoteError::NoLoginMethod { .. }), "{nothing:?}");
}

#[test]
fn an_account_without_a_shell_is_named() {
    let account = Account::with_shell("/usr/sbin/nologin");
    let sshd = Sshd::start();
    let error = refused(&sshd.target_for(&account));
    let RemoteError::NoShell { said_text, user, .. } = &error else { panic!("{error:?}") };
    assert_eq!(user, &account.name);
    assert!(said_text.contains("not available"), "{said_text}");
}

#[test]
fn a_noisy_login_shell_does_not_disturb() {
    let account = Account::with_shell("/bin/bash").allow_sudo("ALL=(ALL) NOPASSWD: ALL");
    std::fs::write(
        format!("/home/{}/.bashrc", account.name),
        "echo Welcome; printf 'no newline'; echo oops >&2\n",
    )
    .expect("its home");
    let sshd = Sshd::with("Banner /etc/hostname\n", &["ed25519"]);
    let mut session = connect(&sshd.target_for(&account), &Program::at_home());
    assert!(ask(&mut session, "uid").expect("an answer").starts_with("uid 0"));
}

#[test]
fn a_port_where_nothing_listens_refuses() {
    let sshd = Sshd::start();
    let closed = ClosedPort::hold();
    let port = closed.number();
    let error = refused(&Target { port, ..sshd.target() });
    assert!(matches!(error, RemoteError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("m1 (127.0.0.1:{port})")), "{error}");
}

#[test]
fn a_name_without_an_address_is_named() {
    let sshd = Sshd::start();
    let error = refused(&Target { address: "no such name".to_owned(), ..sshd.target() });
    assert!(matches!(error, RemoteError::Resolve { .. }), "{error:?}");
}

#[test]
fn a_server_that_speaks_no_ssh_or_nothing_is_told_apart() {
    let sshd = Sshd::start();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let target = Target { port: listener.local_addr().expect("bound").port(), ..sshd.target() };
    let timeouts = Timeouts { login: Duration::from_secs(1), ..Timeouts::default() };
    // The kernel accepts; nobody answers.
    let silent = AgentSession::connect(&target, &Program::new().agent, timeouts).expect_err("nobody there");
    assert!(matches!(silent, RemoteError::TimedOut { doing: "during the SSH handshake", .. }), "{silent:?}");
    let server = std::thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            let mut stream = stream.expect("a connection");
            // The first one is that of the attempt before, and gone.
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            let _ = stream.read(&mut [0; 64]);
        }
    });
    let http = AgentSession::connect(&target, &Program::new().agent, timeouts).expect_err("no SSH there");
    assert!(matches!(http, RemoteError::Handshake { .. }), "{http:?}");
    server.join().expect("the server ends");
}

#[test]
fn no_secret_shows_in_debug_output() {
    let target = Target {
        private_key: Some("CANARY-key".into()),
        passphrase: Some("CANARY-passphrase".into()),
        password: Some("CANARY-password".into()),
        sudo_password: Some("CANARY-sudo".into()),
        ..Sshd::start().target()
    };
    let target = Target { bastion: Some(Box::new(target.clone())), ..target };
    assert!(!format!("{target:?}").contains("CANARY"));
}
