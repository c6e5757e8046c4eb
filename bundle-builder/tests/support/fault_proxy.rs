//! A proxy between the program and a registry that cuts, delays, corrupts and rate-limits, and counts what passes.

use std::collections::VecDeque;
use std::io::{self, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::upstream::{Upstream, write_mirrors};
use super::wire::{Certificates, Head, Stream, listen};

/// How much is passed on at once: as exact as bytes are counted.
const PIECE: usize = 4096;

/// What to do with a request or its answer.
#[derive(Clone)]
pub enum Trick {
    /// Nothing.
    Pass,
    /// Ends the connection after this many bytes of the body.
    CutAfter(u64),
    /// Falls silent after this many bytes of the body, until the client goes.
    StallAfter(u64),
    /// Flips a bit of this byte of the body.
    Corrupt(u64),
    /// Asks nobody and answers with this status and header (`name: value`).
    Answer(u16, &'static str),
    /// Leaves out the range: everything comes.
    IgnoreRange,
    /// Announces this `Content-Range`.
    ContentRange(&'static str),
    /// Announces so many bytes more (or fewer) than there are.
    ContentLength(i64),
    /// Announces and sends so many bytes more than there are.
    Longer(usize),
    /// Adds this header to the answer.
    Header(&'static str, String),
    /// Leaves out the login: the registry refuses as it does with one that is too old.
    DropLogin,
    /// Redirects to this path at the proxy itself, or to this URL, once.
    Redirect(String),
    /// Waits before it answers.
    Delay(Duration),
    /// Does this before it asks.
    Call(Arc<dyn Fn() + Send + Sync>),
}

/// When to hold everything that passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// After so many bytes of bodies, all counted from the proxy's start.
    Bytes(u64),
    /// When so many requests have come, this one not answered.
    Requests(usize),
}

/// A request that came, and what went back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    pub path: String,
    /// First byte asked for; 0 where all was.
    pub from: u64,
    /// Status of the answer; 0 before there is one.
    pub status: u16,
    /// Bytes of the body that went back.
    pub sent: u64,
}

#[derive(Default)]
struct State {
    /// Part of a path, and what happens to the next requests for it.
    script: Vec<(String, VecDeque<Trick>)>,
    passed: Vec<Passed>,
    bytes: u64,
    hold: Option<(Moment, Sender<()>)>,
    held: bool,
}

struct Shared {
    state: Mutex<State>,
    released: Condvar,
    upstream: String,
    certificates: Option<Arc<Certificates>>,
}

/// The proxy; it speaks to both sides as the registry does, with or without TLS.
pub struct FaultProxy {
    address: String,
    shared: Arc<Shared>,
}

impl FaultProxy {
    pub fn before(upstream: &Upstream) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            released: Condvar::new(),
            upstream: upstream.address.clone(),
            certificates: upstream.certificates.clone(),
        });
        let own = Arc::clone(&shared);
        let address = listen(upstream.certificates.as_deref(), move |reader| own.serve(reader));
        Self { address, shared }
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Writes a mirrors file that leads all of `registries` here.
    pub fn mirrors(&self, folder: &Path, registries: &[&str]) -> PathBuf {
        write_mirrors(folder, &self.address, self.shared.certificates.as_deref(), registries)
    }

    /// The next requests for a path that contains `part` get these tricks, in this order.
    pub fn script(&self, part: &str, tricks: impl IntoIterator<Item = Trick>) {
        self.lock().script.push((part.to_owned(), tricks.into_iter().collect()));
    }

    /// Forgets tricks that did not happen.
    pub fn behave(&self) {
        self.lock().script.clear();
    }

    /// Everything that came so far.
    pub fn passed(&self) -> Vec<Passed> {
        self.lock().passed.clone()
    }

    /// Requests so far for paths that contain `part`.
    pub fn passed_for(&self, part: &str) -> Vec<Passed> {
        self.passed().into_iter().filter(|passed| passed.path.contains(part)).collect()
    }

    /// Bytes of bodies so far.
    pub fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Holds everything from `moment` on; tells when it is there.
    pub fn hold_at(&self, moment: Moment) -> Receiver<()> {
        let (sender, receiver) = channel();
        self.lock().hold = Some((moment, sender));
        receiver
    }

    /// Lets pass what is held, and forgets a hold whose moment did not come.
    pub fn release(&self) {
        let mut state = self.lock();
        (state.hold, state.held) = (None, false);
        self.shared.released.notify_all();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }
}

impl Shared {
    fn serve(&self, mut client: BufReader<Stream>) {
        while let Some(head) = Head::read(&mut client) {
            // Whatever goes wrong with a connection is what the program has to live with.
            if !self.answer(&mut client, head).unwrap_or(false) {
                break;
            }
        }
        client.get_ref().cut();
    }

    /// Whether the connection can go on.
    fn answer(&self, client: &mut BufReader<Stream>, mut head: Head) -> io::Result<bool> {
        let (number, trick) = self.take_down(&head);
        match &trick {
            Trick::Answer(status, header) => {
                self.seen(number, *status);
                let answer = format!("HTTP/1.1 {status} Fault\r\n{header}\r\ncontent-length: 0\r\n\r\n");
                return client.get_mut().write_all(answer.as_bytes()).map(|()| true);
            }
            Trick::Redirect(to) => {
                self.seen(number, 307);
                let answer = format!("HTTP/1.1 307 Elsewhere\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
                return client.get_mut().write_all(answer.as_bytes()).map(|()| true);
            }
            Trick::IgnoreRange => head.remove("range"),
            Trick::DropLogin => head.remove("authorization"),
            Trick::Delay(time) => std::thread::sleep(*time),
            Trick::Call(call) => call(),
            _ => {}
        }
        // As an older client, so that the answer comes in one piece and ends with the connection.
        head.first = head.first.replace("HTTP/1.1", "HTTP/1.0");
        head.remove("connection");
        let mut upstream = BufReader::new(Stream::connect(&self.upstream, self.certificates.as_deref())?);
        head.write(upstream.get_mut())?;
        let Some(mut answer) = Head::read(&mut upstream) else { return Ok(false) };
        answer.first = answer.first.replace("HTTP/1.0", "HTTP/1.1");
        self.seen(number, answer.second().parse().unwrap_or(0));
        answer.remove("connection");
        let length = answer.length().expect("the registry announces a length");
        match &trick {
            Trick::ContentRange(range) => answer.set("content-range", range),
            Trick::ContentLength(more) => {
                answer.set("content-length", &length.saturating_add_signed(*more).to_string());
            }
            Trick::Header(name, value) => answer.set(name, value),
            Trick::Longer(more) => answer.set("content-length", &(length + *more as u64).to_string()),
            _ => {}
        }
        answer.write(client.get_mut())?;
        self.pass(client, &mut upstream, number, &trick, length)?;
        Ok(!matches!(trick, Trick::CutAfter(_) | Trick::StallAfter(_) | Trick::ContentLength(_)))
    }

    /// Passes the body on.
    fn pass(
        &self,
        client: &mut BufReader<Stream>,
        upstream: &mut BufReader<Stream>,
        number: usize,
        trick: &Trick,
        length: u64,
    ) -> io::Result<()> {
        let end = match trick {
            Trick::CutAfter(end) | Trick::StallAfter(end) => length.min(*end),
            _ => length,
        };
        let (mut buffer, mut sent) = ([0; PIECE], 0);
        while sent < end {
            let most = usize::try_from(end - sent).unwrap_or(PIECE).min(PIECE);
            let count = upstream.read(&mut buffer[..most])?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Trick::Corrupt(at) = trick
                && (sent..sent + count as u64).contains(at)
            {
                buffer[usize::try_from(at - sent).unwrap()] ^= 1;
            }
            self.wait_while_held();
            client.get_mut().write_all(&buffer[..count])?;
            sent += count as u64;
            self.count(number, count as u64);
        }
        if let Trick::Longer(more) = trick {
            client.get_mut().write_all(&vec![0; *more])?;
        }
        client.get_mut().flush()?;
        if matches!(trick, Trick::StallAfter(_)) {
            // Ends when the client has had enough.
            let _ = client.read(&mut buffer);
        }
        Ok(())
    }

    /// Notes a request; its number, and what happens to it.
    fn take_down(&self, head: &Head) -> (usize, Trick) {
        let mut state = self.state.lock().unwrap();
        let path = head.second().to_owned();
        let mut rules = state.script.iter_mut().filter(|(part, _)| path.contains(part));
        let trick = rules.find_map(|(_, tricks)| tricks.pop_front()).unwrap_or(Trick::Pass);
        state.passed.push(Passed { path, from: head.from().unwrap_or(0), status: 0, sent: 0 });
        let number = state.passed.len();
        state.reach(|moment| matches!(moment, Moment::Requests(wanted) if number >= wanted));
        drop(state);
        self.wait_while_held();
        (number - 1, trick)
    }

    fn seen(&self, number: usize, status: u16) {
        self.state.lock().unwrap().passed[number].status = status;
    }

    fn count(&self, number: usize, bytes: u64) {
        let mut state = self.state.lock().unwrap();
        state.passed[number].sent += bytes;
        state.bytes += bytes;
        let total = state.bytes;
        state.reach(|moment| matches!(moment, Moment::Bytes(wanted) if total >= wanted));
    }

    fn wait_while_held(&self) {
        let state = self.state.lock().unwrap();
        drop(self.released.wait_while(state, |state| state.held).unwrap());
    }
}

impl State {
    fn reach(&mut self, there: impl Fn(Moment) -> bool) {
        if self.hold.as_ref().is_some_and(|(moment, _)| there(*moment))
            && let Some((_, sender)) = self.hold.take()
        {
            self.held = true;
            // Who does not listen any more will release it all the same.
            let _ = sender.send(());
        }
    }
}
