//! What the seat says, read on a thread of its own: so it is known during a request, too, whether the seat is there.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use crate::protocol::{Frame, read_frame};

/// Frames that may wait for being taken. What the agent does not take, the seat's connection holds back.
const WAITING: usize = 1;

/// Frames from the seat, in order.
pub(crate) struct Inbox {
    frames: Receiver<io::Result<Frame>>,
    seat: Arc<Seat>,
}

/// Whether the seat is there.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    /// Bytes came since the last look.
    heard: AtomicBool,
    /// A frame waits for the agent: the seat is not the one that is silent.
    waits: AtomicBool,
    /// Its input has ended.
    gone: AtomicBool,
    /// Looks in a row without a sign of life.
    silent: AtomicU32,
}

impl Inbox {
    /// Reads until the input ends. The thread goes with the process: nothing ends a read of standard input.
    pub(crate) fn open(input: impl Read + Send + 'static) -> io::Result<Self> {
        let seat = Arc::new(Seat::default());
        let (sender, frames) = sync_channel(WAITING);
        let own = Arc::clone(&seat);
        let mut input = Listening { input, seat: Arc::clone(&seat) };
        std::thread::Builder::new().name("inbox".to_owned()).spawn(move || {
            loop {
                let frame = read_frame(&mut input);
                let ended = frame.is_err();
                own.waits.store(true, Ordering::Relaxed);
                let taken = sender.send(frame);
                own.waits.store(false, Ordering::Relaxed);
                if ended || taken.is_err() {
                    own.gone.store(true, Ordering::Relaxed);
                    return;
                }
            }
        })?;
        Ok(Self { frames, seat })
    }

    pub(crate) fn seat(&self) -> Arc<Seat> {
        Arc::clone(&self.seat)
    }

    /// The next frame; `UnexpectedEof` when the seat has gone, which `lost` is asked for every `pause`.
    pub(crate) fn next(&self, pause: Duration, lost: impl Fn() -> bool) -> io::Result<Frame> {
        loop {
            match self.frames.recv_timeout(pause) {
                Ok(frame) => return frame,
                Err(RecvTimeoutError::Timeout) if !lost() => {}
                Err(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }
}

impl Seat {
    /// Whether it is there, asked at even times: gone is also who was silent for `limit` looks. Looks are counted
    /// instead of seconds, so that a host that slept does not take its own sleep for the seat's silence.
    pub(crate) fn is_there(&self, limit: u32) -> bool {
        let alive = self.heard.swap(false, Ordering::Relaxed) || self.waits.load(Ordering::Relaxed);
        let silent = if alive { 0 } else { self.silent.load(Ordering::Relaxed).saturating_add(1) };
        self.silent.store(silent, Ordering::Relaxed);
        silent < limit && !self.gone.load(Ordering::Relaxed)
    }
}

/// Notes that bytes came.
struct Listening<R> {
    input: R,
    seat: Arc<Seat>,
}

impl<R: Read> Read for Listening<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.seat.heard.store(true, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Write, pipe};

    use super::*;
    use crate::protocol::{ALIVE, write_data};

    #[test]
    fn only_silence_counts_and_a_frame_that_waits_is_none() {
        let (input, mut seat_end) = pipe().unwrap();
        let inbox = Inbox::open(input).unwrap();
        let seat = inbox.seat();
        assert!(seat.is_there(2));
        assert!(!seat.is_there(2));
        seat_end.write_all(ALIVE).unwrap();
        while !seat.is_there(2) {
            std::thread::yield_now();
        }
        // One frame in the channel, one in the reader's hands: nobody takes them, the seat cannot say more.
        for _ in 0..2 {
            write_data(&mut seat_end, b"x").unwrap();
        }
        while !seat.waits.load(Ordering::Relaxed) || seat.silent.load(Ordering::Relaxed) > 0 {
            seat.is_there(1);
            std::thread::yield_now();
        }
        assert!((0..10).all(|_| seat.is_there(1)));
        for _ in 0..2 {
            assert_eq!(inbox.next(Duration::from_secs(1), || false).unwrap(), Frame::Data(b"x".to_vec()));
        }
        assert!(inbox.next(Duration::from_millis(1), || true).is_err());
    }

    #[test]
    fn the_end_of_the_input_is_known_at_once() {
        let (input, seat_end) = pipe().unwrap();
        let inbox = Inbox::open(input).unwrap();
        drop(seat_end);
        let error = inbox.next(Duration::from_secs(1), || false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        while inbox.seat().is_there(u32::MAX) {
            std::thread::yield_now();
        }
    }
}
