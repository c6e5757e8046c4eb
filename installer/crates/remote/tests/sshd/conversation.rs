//! Calls: both directions, floods, failures, lost connections.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use sealift_host::protocol::Response;
use sealift_remote::{AgentSession, CallError, LostCause, RemoteError, Timeouts};

use crate::fixture::{Blobs, Program, Sshd, ask, ask_with, connect, order, pattern_digest, wait_for};

fn lost(error: CallError) -> (LostCause, String) {
    match error {
        CallError::Lost(RemoteError::Lost { cause, log, .. }) => (cause, log),
        other => panic!("not lost: {other:?}"),
    }
}

#[test]
fn blobs_go_over_exactly_and_from_their_offsets() {
    // The server changes its keys again and again on the way.
    let sshd = Sshd::with("RekeyLimit 5M\n", &["ed25519"]);
    let mut session = connect(&sshd.target(), &Program::new());
    let size = (64 << 20) + 12_345;
    let mut blobs = Blobs::default();
    let mut last = 0;
    let digest =
        ask_with(&mut session, &format!("need a {size} 0"), &mut |progress| last = progress.done, &mut blobs);
    assert_eq!(digest.expect("all arrived"), pattern_digest(0, size));
    assert_eq!((last, blobs.read), (size, size));
    let mut blobs = Blobs::default();
    let digest =
        ask_with(&mut session, "need a 700000 123456", &mut |_| {}, &mut blobs).expect("all arrived");
    assert_eq!(digest, pattern_digest(123_456, 700_000));
    assert_eq!(blobs.opened, [("a".to_owned(), 123_456)]);
    let mut blobs = Blobs::default();
    ask_with(&mut session, "need-two a 300000 b 1", &mut |_| {}, &mut blobs).expect("all arrived");
    assert_eq!(blobs.opened, [("a".to_owned(), 0), ("b".to_owned(), 0)]);
}

#[test]
fn neither_side_blocks_the_other() {
    let sshd = Sshd::start();
    let mut session = connect(&sshd.target(), &Program::new());
    let mut heard = 0;
    let digest = ask_with(&mut session, "need-later a 9000000", &mut |_| heard += 1, &mut Blobs::default());
    assert_eq!(digest.expect("all arrived"), pattern_digest(0, 9_000_000));
    assert!(heard > 20_000, "{heard}");
}

#[test]
fn a_failure_amid_blobs_ends_the_sending_and_the_session_goes_on() {
    let sshd = Sshd::start();
    let mut session = connect(&sshd.target(), &Program::new());
    let mut blobs = Blobs::default();
    let error = ask_with(&mut session, "need-fail a 400000000 1000000", &mut |_| {}, &mut blobs);
    let Err(CallError::Failed(failure)) = error else { panic!("{error:?}") };
    assert_eq!(failure.message, "the disk is full, as ordered");
    assert!(blobs.read < 100_000_000, "{} bytes were sent in vain", blobs.read);
    assert!(ask(&mut session, "uid").expect("the session goes on").starts_with("uid 0"));
    let Err(CallError::Failed(_)) = ask(&mut session, "fail") else { panic!("it was to fail") };
    assert!(ask(&mut session, "uid").is_ok());
}

#[test]
fn a_blob_that_the_seat_cannot_give_is_its_own_error() {
    let sshd = Sshd::start();
    let mut session = connect(&sshd.target(), &Program::new());
    let mut blobs = Blobs { cut_at: Some(500_000), ..Blobs::default() };
    let error = ask_with(&mut session, "need a 900000 0", &mut |_| {}, &mut blobs).expect_err("too short");
    let CallError::Blob { digest, source } = &error else { panic!("{error:?}") };
    assert_eq!((digest.as_str(), source.kind()), ("a", std::io::ErrorKind::UnexpectedEof));
    // The agent still waits for the rest: nothing more can be said to it.
    lost(ask(&mut session, "uid").expect_err("the session is over"));
    wait_for("the agent to be let go", || (!sshd.has_sessions()).then_some(()));
}

#[test]
fn a_flood_on_stderr_does_not_block() {
    let sshd = Sshd::start();
    let mut session = connect(&sshd.target(), &Program::new());
    assert_eq!(ask(&mut session, "stderr 20000000").expect("an answer"), "flooded");
    let (cause, log) = lost(ask(&mut session, "exit 3").expect_err("it ends"));
    assert_eq!(cause, LostCause::Ended { status: Some(3), signal: None });
    assert!(log.ends_with("the last words") && log.len() <= 8 << 10, "{} bytes", log.len());
}

#[test]
fn an_end_by_signal_is_no_success() {
    let sshd = Sshd::start();
    let mut session = connect(&sshd.target(), &Program::new());
    let (cause, _) = lost(ask(&mut session, "signal").expect_err("it ends"));
    assert_eq!(cause, LostCause::Ended { status: None, signal: Some("TERM".to_owned()) });
    // And stays so.
    assert_eq!(lost(ask(&mut session, "uid").expect_err("it has ended")).0, cause);
}

#[test]
fn a_reply_that_is_none_is_told() {
    let sshd = Sshd::start();
    let mut session = connect(&sshd.target(), &Program::new());
    let (cause, _) = lost(ask(&mut session, "garbage").expect_err("nonsense"));
    assert!(matches!(cause, LostCause::Protocol(_)), "{cause:?}");
}

#[test]
fn an_end_amid_a_reply_is_told() {
    let sshd = Sshd::start();
    let mut session = connect(&sshd.target(), &Program::new());
    let (cause, _) = lost(ask(&mut session, "half").expect_err("no reply"));
    assert_eq!(cause, LostCause::Ended { status: Some(0), signal: None });
}

#[test]
fn a_large_reply_arrives_whole() {
    let sshd = Sshd::start();
    let mut session = connect(&sshd.target(), &Program::new());
    let response = session.call(&order("secret"), &mut |_| {}, &mut Blobs::default()).expect("an answer");
    let Response::Secrets { files } = &response else { panic!("not secrets") };
    assert_eq!(files.0[0].content.len(), 100_000);
    assert!(!format!("{response:?}").contains("xxxx"));
}

#[test]
fn a_connection_that_breaks_is_noticed() {
    let sshd = Sshd::start();
    let mut session = connect(&sshd.target(), &Program::new());
    let cause = thread::scope(|scope| {
        let call = scope.spawn(|| lost(ask(&mut session, "hang").expect_err("the host is gone")).0);
        sshd.signal_sessions(Signal::KILL);
        call.join().expect("no panic")
    });
    assert!(matches!(cause, LostCause::Connection(_)), "{cause:?}");
}

#[test]
fn a_host_that_falls_silent_is_noticed_and_does_not_hold_the_drop() {
    let sshd = Sshd::start();
    let timeouts = Timeouts { silence: Duration::from_secs(2), ..Timeouts::default() };
    let mut session =
        AgentSession::connect(&sshd.target(), &Program::new().agent, timeouts).expect("a session");
    sshd.signal_sessions(Signal::STOP);
    let (cause, _) = lost(ask(&mut session, "uid").expect_err("nobody answers"));
    assert!(matches!(cause, LostCause::Silence(_)), "{cause:?}");
    let (done, dropped) = channel();
    thread::spawn(move || {
        drop(session);
        done.send(())
    });
    dropped.recv_timeout(Duration::from_mins(1)).expect("dropping does not wait for the host");
}

#[test]
fn a_host_that_falls_silent_amid_blobs_is_noticed() {
    let sshd = Sshd::start();
    let timeouts = Timeouts { silence: Duration::from_secs(2), ..Timeouts::default() };
    let mut session =
        AgentSession::connect(&sshd.target(), &Program::new().agent, timeouts).expect("a session");
    let mut stopped = false;
    let mut stop = |_| {
        if !stopped {
            sshd.signal_sessions(Signal::STOP);
            stopped = true;
        }
    };
    let error =
        ask_with(&mut session, "need a 900000000 0", &mut stop, &mut Blobs::default()).expect_err("silence");
    assert!(matches!(lost(error).0, LostCause::Silence(_)));
}

#[test]
fn a_running_agent_ends_when_its_session_is_dropped_or_closed() {
    let sshd = Sshd::start();
    let session = connect(&sshd.target(), &Program::new());
    drop(session);
    wait_for("the agent to be let go", || (!sshd.has_sessions()).then_some(()));
    let mut session = connect(&sshd.target(), &Program::new());
    let closer = session.closer();
    let cause = thread::scope(|scope| {
        let call = scope.spawn(|| lost(ask(&mut session, "hang").expect_err("closed")).0);
        closer.close();
        call.join().expect("no panic")
    });
    assert!(matches!(cause, LostCause::Connection(_)), "{cause:?}");
}

#[test]
fn an_idle_session_answers_a_host_that_asks_whether_it_lives() {
    // The server hangs up on a client that leaves two questions, one second apart, unanswered.
    let sshd = Sshd::with("ClientAliveInterval 1\nClientAliveCountMax 2\n", &["ed25519"]);
    let timeouts = Timeouts { keepalive: Duration::from_millis(300), ..Timeouts::default() };
    let mut session =
        AgentSession::connect(&sshd.target(), &Program::new().agent, timeouts).expect("a session");
    // The time itself is what is tested: nothing else can be awaited.
    thread::sleep(Duration::from_secs(6));
    assert!(ask(&mut session, "uid").expect("still there").starts_with("uid 0"));
}
