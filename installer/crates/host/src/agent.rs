//! The agent's loop: reads requests, answers each, and says something at least every second while at it.
//!
//! The agent lives as long as its seat: when that goes or falls silent, the loop ends, and during a request
//! [`Context::still_wanted`] ends the operation. So the host is soon free for the next run.

use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use zeroize::Zeroize;

use crate::context::{BlobChannel, Context, Reporter};
use crate::inbox::Inbox;
use crate::lock::{self, RunLock};
use crate::paths::Paths;
use crate::protocol::{
    BlobNeed, Failure, FailureKind, Frame, MAGIC, Progress, Reply, Request, Response, write_json,
};
use crate::{apply, cluster, facts, fix, lend, mesh, public_files, services};

/// How often the ticker looks.
const TICK: Duration = Duration::from_millis(250);
/// Longest silence of the seat, which says something every five seconds: as long as the seat bears the agent's.
const SEAT_SILENCE: Duration = Duration::from_secs(20);
/// Longest silence during a request.
const SILENCE: Duration = Duration::from_secs(1);

/// Serves one seat on this machine until its input ends, it says `Bye`, or it has been silent for 20 seconds.
pub fn serve(input: impl Read + Send + 'static, output: impl Write + Send) -> io::Result<()> {
    serve_on(&Paths::system(), input, output, SEAT_SILENCE)
}

/// Serves one seat on the host below `paths`; `patience` is the longest silence of the seat.
pub fn serve_on(
    paths: &Paths,
    input: impl Read + Send + 'static,
    output: impl Write + Send,
    patience: Duration,
) -> io::Result<()> {
    let outbox = Outbox::new(output);
    outbox.open()?;
    let inbox = Inbox::open(input)?;
    let looks = u32::try_from(patience.as_millis() / TICK.as_millis()).unwrap_or(u32::MAX);
    std::thread::scope(|scope| {
        let (stop, stopped) = mpsc::channel();
        let (ticker, seat) = (&outbox, inbox.seat());
        scope.spawn(move || ticker.tick(&stopped, || seat.is_there(looks)));
        let result = Session { paths, outbox: &outbox, inbox: &inbox, lock: None }.requests();
        drop(stop);
        result
    })
}

struct Session<'a, W> {
    paths: &'a Paths,
    outbox: &'a Outbox<W>,
    inbox: &'a Inbox,
    lock: Option<RunLock>,
}

impl<W: Write + Send> Session<'_, W> {
    fn requests(mut self) -> io::Result<()> {
        loop {
            let mut body = match self.inbox.next(TICK, || self.outbox.lost()) {
                Ok(Frame::Json(body)) => body,
                // What the seat had under way when a request for blobs failed.
                Ok(Frame::Data(_)) => continue,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error),
            };
            let request = serde_json::from_slice::<Request>(&body);
            // It may have held secrets.
            body.zeroize();
            let reply = match request {
                Ok(Request::Bye) => return self.outbox.finish(&Reply::Done(Box::new(Response::Ok))),
                Ok(request) => self.answer(request),
                Err(error) => Reply::Failed(
                    Failure::other(
                        "the agent does not understand the request: seat and agent differ in version",
                    )
                    .because(&error),
                ),
            };
            self.outbox.finish(&reply)?;
        }
    }

    fn answer(&mut self, request: Request) -> Reply {
        self.outbox.begin();
        guarded(|| self.respond(request))
    }

    fn respond(&mut self, request: Request) -> Result<Response, Failure> {
        let plain = Context::new(self.paths, self.outbox, "", "");
        match request {
            Request::Probe(options) => Ok(Response::Facts(Box::new(facts::probe(&plain, &options)))),
            Request::Clock => Ok(Response::Clock { unix_millis: facts::now() }),
            Request::TimeWrites { path } => facts::time_writes(&plain, &path).map(Response::WriteTimes),
            Request::OpenPorts { ports, token, seconds } => {
                mesh::open(&ports, &token, seconds).map(|held| Response::PortsOpen { held })
            }
            Request::Reach { targets, token } => {
                mesh::reach(&plain, &targets, &token).map(|attempts| Response::Reached { attempts })
            }
            Request::TryServices { targets, passwords } => {
                Ok(Response::ServicesTried { attempts: services::try_all(&targets, &passwords) })
            }
            Request::Lock { owner, run } => {
                // Let go first: two locks of one process would stand in each other's way.
                self.lock = None;
                self.lock = Some(lock::take(&plain, &owner, &run)?);
                Ok(Response::Ok)
            }
            Request::Apply { run, step, operation, secrets } => {
                self.must_hold(&run)?;
                let channel = Channel { inbox: self.inbox, outbox: self.outbox };
                let ctx = Context::new(self.paths, self.outbox, &run, &step).with_blobs(&channel);
                apply::apply(&ctx, &operation, &secrets).map(Response::Outcome)
            }
            Request::Export { set, address } => {
                apply::export(&plain, set, &address).map(|files| Response::Secrets { files })
            }
            Request::ClusterState => cluster::state(&plain).map(Response::ClusterState),
            Request::ReadFiles { paths } => {
                let files = paths.into_iter().map(|path| public_files::read(self.paths, path)).collect();
                Ok(Response::Files { files })
            }
            Request::Lend => lend::lend().map(|port| Response::Lent { port }),
            Request::Fix { run, fixes } => {
                self.must_hold(&run)?;
                let paths = self.paths.recording_below(fix::FOLDER);
                let ctx = Context::new(&paths, self.outbox, &run, "fix");
                fix::apply(&ctx, &fixes).map(|results| Response::Fixed { results })
            }
            Request::Fixes => {
                let paths = self.paths.recording_below(fix::FOLDER);
                let ctx = Context::new(&paths, self.outbox, "", "");
                fix::recorded(&ctx).map(|changes| Response::Undone { changes })
            }
            Request::UndoFixes { run } => {
                self.must_hold(&run)?;
                let paths = self.paths.recording_below(fix::FOLDER);
                let ctx = Context::new(&paths, self.outbox, &run, "fix");
                fix::undo(&ctx).map(|changes| Response::Undone { changes })
            }
            Request::Bye => Ok(Response::Ok),
        }
    }

    /// Whatever changes the host needs its lock.
    fn must_hold(&self, run: &str) -> Result<(), Failure> {
        match &self.lock {
            Some(lock) if lock.run() == run => Ok(()),
            _ => Err(Failure::new(FailureKind::Conflict, "this session does not hold the host's lock")),
        }
    }
}

/// What came of some work; a panic becomes a failure.
fn guarded(work: impl FnOnce() -> Result<Response, Failure>) -> Reply {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(response)) => Reply::Done(Box::new(response)),
        Ok(Err(failure)) => Reply::Failed(failure),
        Err(panic) => {
            let failure = Failure::other("the agent broke down; this is a defect of the installer");
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            Reply::Failed(said.into_iter().fold(failure, Failure::cause))
        }
    }
}

/// Blobs from the seat, over the session's own input.
struct Channel<'a, W> {
    inbox: &'a Inbox,
    outbox: &'a Outbox<W>,
}

impl<W: Write + Send> BlobChannel for Channel<'_, W> {
    fn need(&self, needs: &[BlobNeed]) -> io::Result<()> {
        self.outbox.send(&Reply::NeedBlobs { needs: needs.to_vec() })
    }

    fn data(&self) -> io::Result<Vec<u8>> {
        match self.inbox.next(TICK, || self.outbox.lost())? {
            Frame::Data(bytes) => Ok(bytes),
            Frame::Json(_) => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "a request came while blobs were expected"))
            }
        }
    }
}

/// The way out, shared by the loop, the operations and the ticker.
struct Outbox<W> {
    state: Mutex<OutboxState<W>>,
    lost: AtomicBool,
}

struct OutboxState<W> {
    output: W,
    /// Present during a request: what was last reported.
    current: Option<Progress>,
    unsent: bool,
    sent_at: Instant,
}

impl<W: Write + Send> Outbox<W> {
    fn new(output: W) -> Self {
        let state = OutboxState { output, current: None, unsent: false, sent_at: Instant::now() };
        Self { state: Mutex::new(state), lost: AtomicBool::new(false) }
    }

    fn state(&self) -> MutexGuard<'_, OutboxState<W>> {
        // A frame is written whole or the connection is lost, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> io::Result<()> {
        let mut state = self.state();
        state.output.write_all(MAGIC)?;
        state.output.flush()
    }

    fn begin(&self) {
        let mut state = self.state();
        state.current = Some(Progress::default());
        state.unsent = false;
        state.sent_at = Instant::now();
    }

    /// Ends a request: nothing is reported after its last reply.
    fn finish(&self, reply: &Reply) -> io::Result<()> {
        let mut state = self.state();
        state.current = None;
        self.write(&mut state, reply)
    }

    fn send(&self, reply: &Reply) -> io::Result<()> {
        self.write(&mut self.state(), reply)
    }

    fn write(&self, state: &mut OutboxState<W>, reply: &Reply) -> io::Result<()> {
        let result = write_json(&mut state.output, reply);
        state.sent_at = Instant::now();
        if result.is_err() {
            self.lost.store(true, Ordering::Relaxed);
        }
        result
    }

    fn write_progress(&self, state: &mut OutboxState<W>) {
        if let Some(progress) = state.current.clone() {
            state.unsent = false;
            // A lost connection shows in `lost`.
            let _ = self.write(state, &Reply::Progress(progress));
        }
    }

    /// Sends what is new four times a second, and the last progress again when there was silence. Looks each time
    /// whether the seat is there.
    fn tick(&self, stopped: &Receiver<()>, seat_is_there: impl Fn() -> bool) {
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(TICK) {
            if !seat_is_there() {
                self.lost.store(true, Ordering::Relaxed);
            }
            let mut state = self.state();
            if state.unsent || state.sent_at.elapsed() >= SILENCE {
                self.write_progress(&mut state);
            }
        }
    }
}

impl<W: Write + Send> Reporter for Outbox<W> {
    fn progress(&self, progress: Progress) {
        let mut state = self.state();
        let Some(current) = &state.current else { return };
        let news = current.message != progress.message;
        state.unsent |= *current != progress;
        state.current = Some(progress);
        if news && state.sent_at.elapsed() >= TICK {
            self.write_progress(&mut state);
        }
    }

    fn lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
