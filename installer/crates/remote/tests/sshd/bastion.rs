//! Through a bastion.

use std::time::Duration;

use rustix::process::Signal;
use sealift_bundle::testing::ClosedPort;
use sealift_remote::{AgentSession, CallError, HostKeys, LostCause, RemoteError, Target, Timeouts};

use crate::fixture::{Blobs, Program, Sshd, ask, ask_with, connect, pattern_digest, wait_for};

fn behind(bastion: &Sshd, host: &Sshd) -> Target {
    let bastion = Target { name: "gate".to_owned(), ..bastion.target() };
    Target { bastion: Some(Box::new(bastion)), ..host.target() }
}

fn refused(target: &Target) -> RemoteError {
    AgentSession::connect(target, &Program::new().agent, Timeouts::default())
        .expect_err("this way must be closed")
}

#[test]
fn a_session_and_many_bytes_go_through_a_bastion() {
    // Both servers change their keys again and again on the way.
    let (bastion, host) =
        (Sshd::with("RekeyLimit 3M\n", &["ed25519"]), Sshd::with("RekeyLimit 2M\n", &["ed25519"]));
    let program = Program::new();
    let mut session = connect(&behind(&bastion, &host), &program);
    let size = 24 << 20;
    let digest = ask_with(&mut session, &format!("need a {size} 0"), &mut |_| {}, &mut Blobs::default());
    assert_eq!(digest.expect("all arrived"), pattern_digest(0, size));
    let mut heard = 0;
    ask_with(&mut session, "progress 20000", &mut |_| heard += 1, &mut Blobs::default()).expect("an answer");
    assert_eq!(heard, 20_000);
    assert!(bastion.has_sessions() && host.has_sessions());
    session.cleanup().expect("a clean end");
    assert!(program.on_host().is_empty());
    wait_for("both servers to be left alone", || {
        (!bastion.has_sessions() && !host.has_sessions()).then_some(())
    });
}

#[test]
fn two_bastions_in_a_row_work() {
    let (outer, inner, host) = (Sshd::start(), Sshd::start(), Sshd::start());
    let inner = Target { name: "inner".to_owned(), ..behind(&outer, &inner) };
    let target = Target { bastion: Some(Box::new(inner)), ..host.target() };
    let mut session = connect(&target, &Program::new());
    assert!(ask(&mut session, "uid").expect("an answer").starts_with("uid 0"));
}

#[test]
fn the_keys_of_bastion_and_host_are_both_compared() {
    let (bastion, host) = (Sshd::start(), Sshd::start());
    let mut target = behind(&bastion, &host);
    target.host_keys = HostKeys::default().with_fingerprint(&bastion.host_keys[0].fingerprint());
    let error = refused(&target);
    assert!(matches!(&error, RemoteError::HostKeyChanged { peer, .. } if peer.name() == "m1"), "{error:?}");
    let mut target = behind(&bastion, &host);
    target.bastion.as_mut().expect("there").host_keys = HostKeys::default();
    let error = refused(&target);
    assert!(matches!(&error, RemoteError::HostKeyUnknown { peer, .. } if peer.name() == "gate"), "{error:?}");
}

#[test]
fn a_host_that_the_bastion_cannot_reach_is_named_with_the_bastion() {
    let (bastion, host) = (Sshd::start(), Sshd::start());
    let nobody = ClosedPort::hold();
    let error = refused(&Target { port: nobody.number(), ..behind(&bastion, &host) });
    let RemoteError::BehindBastion { peer, bastion: gate, .. } = &error else { panic!("{error:?}") };
    assert_eq!((peer.name(), gate.name()), ("m1", "gate"));
    let closed = Sshd::with("AllowTcpForwarding no\n", &["ed25519"]);
    let error = refused(&behind(&closed, &host));
    assert!(matches!(error, RemoteError::BehindBastion { .. }), "{error:?}");
}

#[test]
fn a_lost_bastion_is_noticed_and_named() {
    let (bastion, host) = (Sshd::start(), Sshd::start());
    let mut session = connect(&behind(&bastion, &host), &Program::new());
    assert!(ask(&mut session, "uid").is_ok());
    bastion.signal_sessions(Signal::KILL);
    let error = ask(&mut session, "hang").expect_err("the way is gone");
    let CallError::Lost(RemoteError::Lost { peer, cause: LostCause::Connection(text), .. }) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(peer.name(), "m1");
    assert!(text.contains("gate (127.0.0.1"), "{text}");
}

#[test]
fn a_bastion_that_falls_silent_is_noticed_and_does_not_hold_the_drop() {
    let (bastion, host) = (Sshd::start(), Sshd::start());
    let timeouts = Timeouts { silence: Duration::from_secs(2), ..Timeouts::default() };
    let target = behind(&bastion, &host);
    let mut session = AgentSession::connect(&target, &Program::new().agent, timeouts).expect("a session");
    bastion.signal_sessions(Signal::STOP);
    let error = ask(&mut session, "uid").expect_err("nobody answers");
    assert!(
        matches!(error, CallError::Lost(RemoteError::Lost { cause: LostCause::Silence(_), .. })),
        "{error:?}"
    );
    let (done, dropped) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        drop(session);
        done.send(())
    });
    dropped.recv_timeout(Duration::from_mins(1)).expect("dropping does not wait for the bastion");
}
