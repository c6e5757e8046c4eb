use std::fs;
use std::io::{PipeReader, PipeWriter, pipe};
use std::thread::JoinHandle;

use sealift_bundle::digest::digest_of;
use sealift_plan::operation::{Blob, DirectorySpec, Operation};

use super::*;
use crate::protocol::{Outcome, ProbeOptions, SecretFile, SecretFiles, read_frame, write_data};
use crate::store::Store;

/// A seat that talks to an agent on a thread over pipes.
struct Seat {
    to: PipeWriter,
    from: PipeReader,
    agent: JoinHandle<io::Result<()>>,
    heard: Vec<Progress>,
}

impl Seat {
    fn connect(paths: &Paths) -> Self {
        Self::of_patience(paths, SEAT_SILENCE)
    }

    fn of_patience(paths: &Paths, patience: Duration) -> Self {
        let ((input, to), (mut from, output)) = (pipe().unwrap(), pipe().unwrap());
        let paths = paths.clone();
        let agent = std::thread::spawn(move || serve_on(&paths, input, output, patience));
        let mut magic = vec![0u8; MAGIC.len()];
        from.read_exact(&mut magic).unwrap();
        assert_eq!(magic, MAGIC);
        Self { to, from, agent, heard: Vec::new() }
    }

    fn ask(&mut self, request: &Request) {
        write_json(&mut self.to, request).unwrap();
    }

    /// The next reply that is not progress.
    fn reply(&mut self) -> Reply {
        loop {
            let Frame::Json(body) = read_frame(&mut self.from).unwrap() else { panic!("data from an agent") };
            match serde_json::from_slice(&body).unwrap() {
                Reply::Progress(progress) => self.heard.push(progress),
                reply => return reply,
            }
        }
    }

    fn call(&mut self, request: &Request) -> Result<Response, Failure> {
        self.ask(request);
        match self.reply() {
            Reply::Done(response) => Ok(*response),
            Reply::Failed(failure) => Err(failure),
            other => panic!("{other:?}"),
        }
    }

    fn lock(&mut self, run: &str) {
        let request = Request::Lock { owner: "ann@seat".to_owned(), run: run.to_owned() };
        assert!(matches!(self.call(&request), Ok(Response::Ok)));
    }

    fn apply(&mut self, operation: Operation) -> Result<Outcome, Failure> {
        match self.call(&apply_request(operation))? {
            Response::Outcome(outcome) => Ok(outcome),
            other => panic!("{other:?}"),
        }
    }

    fn bye(mut self) {
        assert!(matches!(self.call(&Request::Bye), Ok(Response::Ok)));
        self.agent.join().unwrap().unwrap();
    }
}

fn apply_request(operation: Operation) -> Request {
    Request::Apply {
        run: "run-1".to_owned(),
        step: "m1/step".to_owned(),
        operation: Box::new(operation),
        secrets: SecretFiles(vec![SecretFile {
            name: "token".to_owned(),
            content: "canary-3f9a".to_owned(),
        }]),
    }
}

fn directory(root: &std::path::Path) -> Operation {
    use std::os::unix::fs::MetadataExt;
    let owner = fs::metadata(root).unwrap();
    let spec =
        DirectorySpec { path: "/srv/data".to_owned(), mode: 0o750, uid: owner.uid(), gid: owner.gid() };
    Operation::Directories { directories: vec![spec] }
}

#[test]
fn a_whole_session() {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    let mut seat = Seat::connect(&paths);
    let facts = seat.call(&Request::Probe(ProbeOptions::default())).unwrap();
    assert!(matches!(facts, Response::Facts(_)));
    let unlocked = seat.apply(directory(root.path())).unwrap_err();
    assert_eq!(unlocked.kind, FailureKind::Conflict);
    seat.lock("run-1");
    assert!(seat.apply(directory(root.path())).unwrap().changed);
    assert!(!seat.apply(directory(root.path())).unwrap().changed);
    // A second session of the run joins in, the lock outlives the first.
    let mut second = Seat::connect(&paths);
    second.lock("run-1");
    seat.bye();
    assert!(!second.apply(directory(root.path())).unwrap().changed);
    second.bye();
    let journal = fs::read_to_string(paths.journal()).unwrap();
    assert!(!journal.contains("canary"), "{journal}");
}

#[test]
fn blobs_are_asked_for_and_taken() {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    let content = vec![42u8; 3 << 20];
    let blob = Blob { digest: digest_of(&content), size: content.len() as u64 };
    let mut seat = Seat::connect(&paths);
    seat.lock("run-1");
    seat.ask(&apply_request(Operation::ReceiveBlobs { blobs: vec![blob.clone()] }));
    let Reply::NeedBlobs { needs } = seat.reply() else { panic!("blobs are missing") };
    assert_eq!(needs, [BlobNeed { blob: blob.clone(), offset: 0 }]);
    for chunk in content.chunks(1 << 20) {
        write_data(&mut seat.to, chunk).unwrap();
    }
    let Reply::Done(response) = seat.reply() else { panic!("all came") };
    let Response::Outcome(outcome) = *response else { panic!("{response:?}") };
    assert_eq!((outcome.changed, outcome.bytes), (true, 3 << 20));
    assert!(Store::at(paths.store()).holds(&blob).unwrap());
    seat.bye();
}

#[test]
fn a_session_goes_on_after_damaged_blobs() {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    let mut seat = Seat::connect(&paths);
    seat.lock("run-1");
    let blobs = ["one", "two"].map(|text| Blob { digest: digest_of(text.as_bytes()), size: 3 });
    seat.ask(&apply_request(Operation::ReceiveBlobs { blobs: blobs.to_vec() }));
    assert!(matches!(seat.reply(), Reply::NeedBlobs { .. }));
    write_data(&mut seat.to, b"0ne").unwrap();
    write_data(&mut seat.to, b"two").unwrap();
    let Reply::Failed(failure) = seat.reply() else { panic!("a blob was damaged") };
    assert_eq!(failure.kind, FailureKind::Verification);
    assert!(failure.message.contains(&blobs[0].digest), "{failure}");
    // What was still on its way is passed over.
    assert!(seat.apply(directory(root.path())).unwrap().changed);
    seat.bye();
}

#[test]
fn requests_of_another_version_and_lost_seats_do_no_harm() {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    let mut seat = Seat::connect(&paths);
    seat.to.write_all(b"J\0\0\0\x13{\"request\":\"dance\"}").unwrap();
    let Reply::Failed(failure) = seat.reply() else { panic!("no agent dances") };
    assert!(failure.message.contains("version"), "{failure}");
    let Seat { to, from, agent, .. } = seat;
    drop((to, from));
    assert!(agent.join().unwrap().is_ok());
}

#[test]
fn a_long_request_is_never_silent_and_ends_when_the_seat_is_gone() {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    let mut holder = Seat::connect(&paths);
    holder.lock("run-1");
    // The other run waits for the lock: a request that takes as long as we like.
    let mut waiting = Seat::connect(&paths);
    waiting.ask(&Request::Lock { owner: "bob@seat".to_owned(), run: "run-2".to_owned() });
    for _ in 0..3 {
        let Frame::Json(body) = read_frame(&mut waiting.from).unwrap() else { panic!("data from an agent") };
        let Reply::Progress(progress) = serde_json::from_slice(&body).unwrap() else {
            panic!("still locked")
        };
        assert!(progress.message.contains("ann@seat"), "{progress:?}");
    }
    let Seat { to, from, agent, .. } = waiting;
    drop((to, from));
    assert!(agent.join().unwrap().is_err(), "it noticed that nobody listens");
    holder.bye();
}

#[test]
fn a_silent_seat_is_let_go_and_one_that_is_heard_is_kept() {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    let mut silent = Seat::of_patience(&paths, Duration::from_secs(2));
    silent.lock("run-1");
    // Its pipes stay open: as of a seat whose cable was pulled.
    let Seat { to, from, agent, .. } = silent;
    agent.join().unwrap().unwrap();
    let mut heard = Seat::of_patience(&paths, Duration::from_secs(2));
    heard.lock("run-2");
    for _ in 0..12 {
        std::thread::sleep(Duration::from_millis(250));
        heard.to.write_all(crate::protocol::ALIVE).unwrap();
    }
    heard.lock("run-2");
    heard.bye();
    drop((to, from));
}

#[test]
fn the_unexpected_becomes_a_failure_of_its_request() {
    let Reply::Failed(failure) = guarded(|| panic!("out of the blue")) else { panic!("that was no answer") };
    assert_eq!(failure.causes, ["out of the blue"]);
}

#[test]
fn one_host_says_its_time_and_opens_a_port_that_another_reaches() {
    use crate::protocol::{MeshPort, MeshTarget};
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    let (mut here, mut there) = (Seat::connect(&paths), Seat::connect(&paths));
    let Ok(Response::Clock { unix_millis }) = here.call(&Request::Clock) else { panic!("no time") };
    assert!(unix_millis > 1_700_000_000_000);
    let closed = sealift_bundle::testing::ClosedPort::hold();
    let address = closed.address();
    let ports = vec![MeshPort { protocol: sealift_checks::Protocol::Tcp, port: address.port() }];
    let token = "sealift-mesh-of-this-test".to_owned();
    let open = Request::OpenPorts { ports: ports.clone(), token: token.clone(), seconds: 60 };
    let Ok(Response::PortsOpen { held }) = there.call(&open) else { panic!("not open") };
    assert!(held.is_empty());
    let target = MeshTarget { host: "m2".to_owned(), address: address.ip(), packet: 1500, ports };
    let Ok(Response::Reached { attempts }) = here.call(&Request::Reach { targets: vec![target], token })
    else {
        panic!("not tried")
    };
    assert!(attempts.len() == 1 && attempts[0].micros.is_some(), "{attempts:?}");
    here.bye();
    there.bye();
}
