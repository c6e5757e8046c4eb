//! Becoming root.

use std::path::Path;

use sealift_remote::{AgentSession, RemoteError, Target, Timeouts};
use secrecy::SecretString;

use crate::fixture::{Account, Program, Sshd, ask, connect, names};

fn refused(target: &Target) -> RemoteError {
    let error = AgentSession::connect(target, &Program::at_home().agent, Timeouts::default())
        .expect_err("this must not become root");
    let left = names(&Path::new("/home").join(&target.user));
    assert!(!left.iter().any(|name| name.starts_with(".sealift")), "left on the host: {left:?}");
    error
}

fn with_password(target: Target, password: impl Into<SecretString>) -> Target {
    Target { sudo_password: Some(password.into()), ..target }
}

#[test]
fn sudo_without_a_password_needs_none_and_leaks_none() {
    let sshd = Sshd::start();
    let account = Account::new().allow_sudo("ALL=(ALL) NOPASSWD: ALL");
    let program = Program::at_home();
    for target in [sshd.target_for(&account), with_password(sshd.target_for(&account), "not even asked for")]
    {
        let mut session = connect(&target, &program);
        // A password line in the agent's input would break the very first frame.
        assert!(ask(&mut session, "uid").expect("an answer").starts_with("uid 0"));
    }
}

#[test]
fn sudo_with_a_password_gets_it_on_its_input_only() {
    let sshd = Sshd::start();
    let account = Account::new().allow_sudo("ALL=(ALL) ALL");
    let mut session =
        connect(&with_password(sshd.target_for(&account), account.secret()), &Program::at_home());
    assert!(ask(&mut session, "uid").expect("an answer").starts_with("uid 0"));
    // The account's name is in sudo's or sshd's arguments, so the search does find things; the password is in none.
    assert_ne!(ask(&mut session, &format!("seen {}", account.name)).expect("an answer"), "0");
    let canary = account.password.rsplit(' ').next().expect("a unique end");
    assert_eq!(ask(&mut session, &format!("seen {canary}")).expect("an answer"), "0");
}

#[test]
fn a_login_that_sudo_remembers_changes_nothing() {
    let sshd = Sshd::start();
    // One timestamp for all of the user's sessions: the second start finds it, and would swallow no password.
    let account = Account::new();
    let rule = format!("ALL=(ALL) ALL\nDefaults:{} timestamp_type=global", account.name);
    let account = account.allow_sudo(&rule);
    let target = with_password(sshd.target_for(&account), account.secret());
    for _ in 0..2 {
        let mut session = connect(&target, &Program::at_home());
        assert!(ask(&mut session, "uid").expect("an answer").starts_with("uid 0"));
    }
}

#[test]
fn the_login_password_serves_where_no_other_is_given() {
    let sshd = Sshd::start();
    let account = Account::new().allow_sudo("ALL=(ALL) ALL");
    let target = Target { password: Some(account.secret()), ..sshd.target_for(&account) };
    connect(&target, &Program::at_home());
}

#[test]
fn a_wrong_password_for_sudo_is_told_and_does_not_hang() {
    let sshd = Sshd::start();
    for rule in ["ALL=(ALL) ALL", "ALL=(ALL) ALL\nDefaults passwd_tries=1"] {
        let account = Account::new().allow_sudo(rule);
        let error = refused(&with_password(sshd.target_for(&account), "not this one"));
        let RemoteError::SudoPasswordWrong { user, peer } = &error else { panic!("{rule}: {error:?}") };
        assert_eq!((user, peer.name()), (&account.name, "m1"));
        assert!(!format!("{error:?} {error}").contains("not this one"));
    }
}

#[test]
fn a_password_that_sudo_wants_and_nobody_gave_is_asked_for() {
    let sshd = Sshd::start();
    let account = Account::new().allow_sudo("ALL=(ALL) ALL");
    let error = refused(&sshd.target_for(&account));
    assert!(matches!(error, RemoteError::SudoPasswordNeeded { .. }), "{error:?}");
}

#[test]
fn a_user_who_may_not_use_sudo_is_told_so() {
    let sshd = Sshd::start();
    let plain = Account::new();
    let error = refused(&with_password(sshd.target_for(&plain), plain.secret()));
    let RemoteError::NoSudo { said_text, .. } = &error else { panic!("{error:?}") };
    assert!(said_text.contains("not in the sudoers file"), "{said_text}");
    let little = Account::new().allow_sudo("ALL=(ALL) NOPASSWD: /bin/true");
    let error = refused(&with_password(sshd.target_for(&little), little.secret()));
    assert!(matches!(error, RemoteError::NoSudo { .. }), "{error:?}");
}

#[test]
fn a_host_without_sudo_is_told_apart() {
    let sshd = Sshd::without_sudo();
    let account = Account::new();
    let error = refused(&with_password(sshd.target_for(&account), account.secret()));
    let RemoteError::NoSudo { said_text, .. } = &error else { panic!("{error:?}") };
    assert_eq!(said_text, "there is no sudo on the host");
}
