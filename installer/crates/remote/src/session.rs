//! The conversation with one agent.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rustix::net::{Shutdown, shutdown};
use sealift_host::protocol::{
    ALIVE, BlobNeed, Failure, Frame, Progress, Reply, Request, Response, write_data, write_json,
};
use zeroize::{Zeroize, Zeroizing};

use crate::command;
use crate::connection::Connection;
use crate::error::{CallError, FolderRefusal, LostCause, RemoteError};
use crate::frames::take_frame;
use crate::launch::{Privilege, Started, launch};
use crate::lenders::{Bringing, Lender, Turn};
use crate::target::{AgentProgram, Peer, Target, Timeouts};
use crate::upload::{self, Place, Way};
use crate::wire::{Outgoing, Wire};

/// Bytes of a blob in one frame.
const CHUNK: u64 = 256 << 10;
const DOING: &str = "while it was working";

/// Where the seat reads the blobs that an agent asks for.
pub trait BlobSource {
    /// The blob from byte `offset` on.
    fn open(&mut self, digest: &str, offset: u64) -> io::Result<Box<dyn Read + '_>>;
}

/// A running agent on one host, as root. Ends when dropped; dropping never waits for the host.
pub struct AgentSession {
    line: Arc<Mutex<Line>>,
    peer: Peer,
    /// Path of the program on the host, where it was brought for this run only.
    temporary: Option<String>,
    closer: Closer,
    tender: Option<(Sender<()>, JoinHandle<()>)>,
}

/// Breaks a session off from another thread; the call that is under way there returns as lost.
#[derive(Clone, Debug)]
pub struct Closer(Arc<Vec<OwnedFd>>);

impl Closer {
    /// Breaks it off. Doing so twice does no harm.
    pub fn close(&self) {
        for socket in self.0.iter() {
            // Already closed is as good.
            let _ = shutdown(socket, Shutdown::Both);
        }
    }
}

/// Connection and channel, used by one thread at a time.
struct Line {
    wire: Wire,
    connection: Connection,
    /// When the agent last had something to hear.
    spoke_at: Instant,
    lost: Option<LostCause>,
}

impl std::fmt::Debug for AgentSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentSession")
            .field("peer", &self.peer)
            .field("temporary", &self.temporary)
            .finish_non_exhaustive()
    }
}

impl AgentSession {
    /// Logs in, brings the program over where the host lacks it, starts it as root and waits for its opening.
    pub fn connect(target: &Target, agent: &AgentProgram, timeouts: Timeouts) -> Result<Self, RemoteError> {
        let connection = Connection::open(target, timeouts)?;
        let survey = upload::survey(&connection, agent)?;
        let (peer, user) = (target.peer(), target.user.clone());
        let privilege =
            match (survey.uid, survey.has_sudo, target.sudo_password.as_ref().or(target.password.as_ref())) {
                (0, _, _) => Privilege::Root,
                (_, false, _) => {
                    let said_text = "there is no sudo on the host".to_owned();
                    return Err(RemoteError::NoSudo { peer, user, said_text });
                }
                (_, true, None) => Privilege::Sudo,
                (_, true, Some(password)) => Privilege::SudoPassword(password),
            };
        let mut refusals = survey.refusals;
        let mut failed_start = None;
        let mut turn = None;
        for place in survey.places {
            if !place.present {
                let turn = match &turn {
                    Some(turn) => turn,
                    None => turn.insert(wait_for_turn(&connection, agent)?),
                };
                if let Some(refusal) = bring(&connection, agent, &place, turn, survey.has_gzip)? {
                    refusals.push(refusal);
                    continue;
                }
            }
            let started = launch(&connection, &place.path, &privilege);
            if !matches!(started, Ok(Started::Agent(_))) && place.temporary {
                // A refused host stays as it was. Where the connection itself is gone, nothing more can be done.
                let _ = upload::remove(&connection, &place.path);
            }
            match started? {
                Started::Agent(wire) => {
                    let mut session = Self::new(connection, wire, place.temporary.then_some(place.path))?;
                    if let Some(Turn::Bring(bringing)) = turn {
                        session.lend(target, bringing);
                    }
                    return Ok(session);
                }
                // Perhaps another session has just removed it, or root may not run it there.
                Started::NotRunning(said_text) => {
                    failed_start =
                        Some(RemoteError::AgentStart { peer: peer.clone(), path: place.path, said_text });
                }
            }
        }
        Err(failed_start.unwrap_or(RemoteError::NoExecFolder { peer, refusals }))
    }

    /// Lets the host hand the program on. Where it cannot, the next host gets it from the seat.
    fn lend(&mut self, target: &Target, bringing: Bringing<'_>) {
        if let Ok(Response::Lent { port }) = self.call(&Request::Lend, &mut |_| {}, &mut NoBlobs) {
            bringing.lends(Lender { address: target.address.clone(), port });
        }
    }

    fn new(connection: Connection, wire: Wire, temporary: Option<String>) -> Result<Self, RemoteError> {
        let peer = connection.peer.clone();
        let unusable = |source: io::Error| RemoteError::Unreachable { peer: peer.clone(), source };
        let closer = Closer(Arc::new(connection.sockets().map_err(unusable)?));
        let pause = connection.timeouts.keepalive;
        let line = Arc::new(Mutex::new(Line { wire, connection, spoke_at: Instant::now(), lost: None }));
        let shared = Arc::clone(&line);
        let (stop, stopped) = channel::<()>();
        // Hosts close sessions whose client does not answer their own keepalives, also while the plan works elsewhere.
        let tender = thread::Builder::new().name(format!("tender-{}", peer.name())).spawn(move || {
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                if let Ok(mut line) = shared.try_lock() {
                    line.tend();
                }
            }
        });
        let tender = Some((stop, tender.map_err(unusable)?));
        Ok(Self { line, peer, temporary, closer, tender })
    }

    /// Asks the agent and waits for its response. `events` hears of progress; `blobs` gives what the agent lacks.
    ///
    /// After [`CallError::Failed`] the session goes on; after the others every further call is lost as well.
    pub fn call(
        &mut self,
        request: &Request,
        events: &mut dyn FnMut(Progress),
        blobs: &mut dyn BlobSource,
    ) -> Result<Response, CallError> {
        let mut line = self.line();
        let result = line.call(request, events, blobs);
        match result {
            Ok(response) => Ok(response),
            Err(Stop::Failed(failure)) => Err(CallError::Failed(failure)),
            Err(Stop::Lost(cause)) => {
                line.lost = Some(cause.clone());
                Err(CallError::Lost(line.lost(cause)))
            }
            Err(Stop::Blob { digest, source }) => {
                // The agent waits for bytes that will not come.
                line.lost =
                    Some(LostCause::Connection(format!("closed by the seat, which could not read {digest}")));
                line.connection.shut_down();
                Err(CallError::Blob { digest, source })
            }
        }
    }

    /// The host, for messages.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// A handle to break the session off from another thread.
    #[must_use]
    pub fn closer(&self) -> Closer {
        self.closer.clone()
    }

    /// Path of the program on the host, where it was brought there for this run only.
    #[must_use]
    pub fn temporary_program(&self) -> Option<&str> {
        self.temporary.as_deref()
    }

    /// Lets the agent end and waits for it: then the host is free for others. Just dropping the session is fine, too.
    pub fn finish(mut self) -> Result<(), RemoteError> {
        self.say_goodbye()
    }

    /// Lets the agent end, then removes the program that was brought over for this run.
    pub fn cleanup(mut self) -> Result<(), RemoteError> {
        self.say_goodbye()?;
        match self.temporary.take() {
            Some(path) => upload::remove(&self.line().connection, &path),
            None => Ok(()),
        }
    }

    fn say_goodbye(&mut self) -> Result<(), RemoteError> {
        let asked = self.call(&Request::Bye, &mut |_| {}, &mut NoBlobs);
        let mut line = self.line();
        match asked {
            Ok(_) | Err(CallError::Failed(_)) => line.await_end().map_err(|cause| line.lost(cause)),
            Err(CallError::Lost(error)) => Err(error),
            Err(CallError::Blob { .. }) => {
                Err(line.lost(LostCause::Protocol("it asked for blobs at the end".to_owned())))
            }
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AgentSession {
    fn drop(&mut self) {
        // First the sockets, so that nothing below can wait for the host.
        self.closer.close();
        if let Some((stop, thread)) = self.tender.take() {
            drop(stop);
            // It only sleeps; a panic there has nothing to add.
            let _ = thread.join();
        }
    }
}

/// Why a call stops without a response.
enum Stop {
    Failed(Failure),
    Lost(LostCause),
    Blob { digest: String, source: io::Error },
}

impl From<LostCause> for Stop {
    fn from(cause: LostCause) -> Self {
        Self::Lost(cause)
    }
}

impl Line {
    /// Looks after an idle session.
    fn tend(&mut self) {
        if self.lost.is_some() {
            return;
        }
        self.show_life();
        if let Err(cause) =
            self.wire.turn(&self.connection, false).and_then(|()| self.connection.keep_alive())
        {
            self.lost = Some(cause);
        }
    }

    /// Lets the agent know that the seat is there, where nothing else has for a while.
    fn show_life(&mut self) {
        if !self.wire.sending() && self.spoke_at.elapsed() >= self.connection.timeouts.keepalive {
            self.say(Outgoing::Plain(ALIVE.to_vec()));
        }
    }

    fn say(&mut self, bytes: Outgoing) {
        self.wire.send(bytes);
        self.spoke_at = Instant::now();
    }

    fn call(
        &mut self,
        request: &Request,
        events: &mut dyn FnMut(Progress),
        blobs: &mut dyn BlobSource,
    ) -> Result<Response, Stop> {
        if let Some(cause) = &self.lost {
            return Err(cause.clone().into());
        }
        // A panic in a callback leaves half a conversation behind; only an undisturbed call takes this back.
        self.lost = Some(LostCause::Protocol("an earlier call was broken off".to_owned()));
        let mut frame = Zeroizing::new(Vec::new());
        write_json(&mut *frame, request).map_err(|error| LostCause::Protocol(error.to_string()))?;
        self.wire.unheard = std::time::Duration::ZERO;
        // A sign of life may still be under way.
        self.flush()?;
        self.say(Outgoing::Secret(frame));
        let mut asked = None;
        let result = loop {
            let reply = match asked.take() {
                Some(needs) => self.send_blobs(needs, events, blobs)?,
                None => self.next_reply()?,
            };
            match reply {
                Some(Reply::Progress(progress)) => events(progress),
                Some(Reply::NeedBlobs { needs }) => asked = Some(needs),
                Some(Reply::Done(response)) => break Ok(*response),
                Some(Reply::Failed(failure)) => break Err(Stop::Failed(failure)),
                None => {}
            }
        };
        // A frame that was begun must be whole, or the agent takes the next request for its rest. The answer stands.
        self.lost = match self.flush() {
            Err(Stop::Lost(cause)) => Some(cause),
            _ => None,
        };
        result
    }

    /// Sends the missing bytes; gives the reply that came instead of waiting for all of them, if one did.
    fn send_blobs(
        &mut self,
        needs: Vec<BlobNeed>,
        events: &mut dyn FnMut(Progress),
        blobs: &mut dyn BlobSource,
    ) -> Result<Option<Reply>, Stop> {
        for BlobNeed { blob, offset } in needs {
            let unread = |source| Stop::Blob { digest: blob.digest.clone(), source };
            let mut left = blob.size.saturating_sub(offset);
            let mut reader = blobs.open(&blob.digest, offset).map_err(unread)?;
            while left > 0 {
                let mut chunk = Vec::new();
                reader.by_ref().take(left.min(CHUNK)).read_to_end(&mut chunk).map_err(unread)?;
                if chunk.is_empty() {
                    return Err(unread(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        format!("{left} bytes too short"),
                    )));
                }
                left -= chunk.len() as u64;
                let mut frame = Vec::with_capacity(chunk.len() + 8);
                write_data(&mut frame, &chunk).map_err(unread)?;
                // The request itself may still be under way.
                self.flush()?;
                self.say(Outgoing::Plain(frame));
                while self.wire.sending() {
                    match self.next_reply()? {
                        Some(Reply::Progress(progress)) => events(progress),
                        Some(reply @ Reply::Failed(_)) => return Ok(Some(reply)),
                        Some(_) => return Err(LostCause::Protocol("a reply amid blobs".to_owned()).into()),
                        None => {}
                    }
                }
            }
        }
        Ok(None)
    }

    fn flush(&mut self) -> Result<(), Stop> {
        while self.wire.sending() {
            self.turn()?;
        }
        Ok(())
    }

    /// One turn, then the next reply, where a whole one is there.
    fn next_reply(&mut self) -> Result<Option<Reply>, Stop> {
        if let Some(reply) = self.take_reply()? {
            return Ok(Some(reply));
        }
        self.turn()?;
        self.take_reply()
    }

    fn take_reply(&mut self) -> Result<Option<Reply>, Stop> {
        let protocol = |error: &dyn std::fmt::Display| Stop::Lost(LostCause::Protocol(error.to_string()));
        match take_frame(&mut self.wire.stdout).map_err(|error| protocol(&error))? {
            None => Ok(None),
            Some(Frame::Data(_)) => Err(protocol(&"blob data from the agent")),
            Some(Frame::Json(mut body)) => {
                let reply = serde_json::from_slice(&body);
                body.zeroize();
                reply.map(Some).map_err(|error| protocol(&error))
            }
        }
    }

    fn turn(&mut self) -> Result<(), Stop> {
        if self.wire.ended {
            return Err(self.wire.end(&self.connection).into());
        }
        self.show_life();
        self.wire.turn(&self.connection, true)?;
        if self.wire.unheard >= self.connection.timeouts.silence {
            return Err(LostCause::Silence(self.wire.unheard).into());
        }
        Ok(())
    }

    /// Waits for the agent to end, and closes its channel.
    fn await_end(&mut self) -> Result<(), LostCause> {
        while !self.wire.ended {
            self.wire.turn(&self.connection, true)?;
            if self.wire.unheard >= self.connection.timeouts.silence {
                return Err(LostCause::Silence(self.wire.unheard));
            }
        }
        let end = self.wire.end(&self.connection);
        self.lost = Some(end);
        Ok(())
    }

    fn lost(&self, cause: LostCause) -> RemoteError {
        let (peer, log) = (self.connection.peer.clone(), self.wire.stderr.text());
        RemoteError::Lost { peer, doing: DOING, cause, log }
    }
}

/// Waits until the program can be had; says something to the host now and then.
fn wait_for_turn<'a>(connection: &Connection, agent: &'a AgentProgram) -> Result<Turn<'a>, RemoteError> {
    loop {
        if let Some(turn) = agent.lenders.turn(connection.timeouts.keepalive) {
            return Ok(turn);
        }
        command::run(connection, ":", "while another host gets the agent")?;
    }
}

/// From the neighbour where there is one; else, and where that one does not give it, from the seat.
fn bring(
    connection: &Connection,
    agent: &AgentProgram,
    place: &Place,
    turn: &Turn<'_>,
    compressed: bool,
) -> Result<Option<FolderRefusal>, RemoteError> {
    if let Turn::Take(lender) = turn {
        match upload::provide(connection, agent, place, &Way::Neighbour(lender))? {
            None => return Ok(None),
            Some(refusal) => {
                tracing::debug!(host = connection.peer.name(), %refusal, "the neighbour does not give the agent");
            }
        }
    }
    upload::provide(connection, agent, place, &Way::Seat { compressed })
}

struct NoBlobs;

impl BlobSource for NoBlobs {
    fn open(&mut self, _digest: &str, _offset: u64) -> io::Result<Box<dyn Read + '_>> {
        Err(io::Error::from(io::ErrorKind::NotFound))
    }
}
