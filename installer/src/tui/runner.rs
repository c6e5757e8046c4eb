//! The loop: everything that happens comes through one channel, one after the other, and after it a frame is drawn.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crossterm::event::Event as TerminalEvent;
use rustix::process::{Signal, kill_current_process_group};
use sealift_wizard::plain::Ended;
use sealift_wizard::{Message, Start};
use secrecy::SecretString;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use super::app::{App, Deed, Input};
use super::display::Display;
use super::keys::{Key, key};
use super::terminal::{Terminal, give_back, give_back_on_panic, size};
use super::work::{Perform, Workshop, sort};

/// How often the seconds of what goes on are drawn.
const SECOND: Duration = Duration::from_secs(1);

/// Something that happens outside.
pub(super) enum Event {
    Terminal(TerminalEvent),
    /// The terminal cannot be read any more.
    Lost(io::Error),
    Signal(i32),
    /// Work was done; what came out.
    Done(u64, Option<Message>),
    /// Work needs a password.
    Ask(String, Sender<Option<SecretString>>),
}

/// Why it is over.
pub(crate) enum Over {
    /// Somebody came to its end or left.
    Ended(Ended),
    /// This signal ended it; what could be saved is.
    Signal(i32, Ended),
}

/// Leads through the whole wizard on the terminal of this process, which is given back before this returns.
pub(crate) fn run(start: Start, display: Display, perform: Perform) -> io::Result<Over> {
    give_back_on_panic();
    let (sender, events) = channel();
    listen_to_signals(sender.clone())?;
    let terminal = Terminal::take_over(size())?;
    listen_to_terminal(sender.clone());
    let (app, deeds) = App::new(start, display, size());
    let workshop = Workshop::new(perform.clone(), sender);
    let mut runner = Runner { app, terminal, perform, workshop, answer: None, ended_by: None };
    runner.perform(deeds)?;
    if let Err(error) = runner.run(&events) {
        // Where the terminal is gone, the answers are not.
        runner.take(Input::Interrupted)?;
        return Err(error);
    }
    let Runner { app, terminal, ended_by, .. } = runner;
    drop(terminal);
    let ended = app.into_end();
    Ok(match ended_by {
        Some(signal) => Over::Signal(signal, ended),
        None => Over::Ended(ended),
    })
}

fn listen_to_signals(events: Sender<Event>) -> io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGCONT])?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if events.send(Event::Signal(signal)).is_err() {
                return;
            }
        }
    });
    Ok(())
}

fn listen_to_terminal(events: Sender<Event>) {
    std::thread::spawn(move || {
        loop {
            let (event, lost) = match crossterm::event::read() {
                Ok(event) => (Event::Terminal(event), false),
                Err(error) => (Event::Lost(error), true),
            };
            if events.send(event).is_err() || lost {
                return;
            }
        }
    });
}

struct Runner {
    app: App,
    terminal: Terminal,
    perform: Perform,
    workshop: Workshop,
    /// Where the password goes that is asked for.
    answer: Option<Sender<Option<SecretString>>>,
    ended_by: Option<i32>,
}

impl Runner {
    fn run(&mut self, events: &Receiver<Event>) -> io::Result<()> {
        while !self.app.has_ended() {
            let working = Input::Working(self.workshop.open());
            self.take(working)?;
            self.terminal.draw(&self.app)?;
            let idle = self.workshop.open().is_empty();
            let first = if idle {
                events.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                events.recv_timeout(SECOND)
            };
            match first {
                Ok(event) => self.happen(event)?,
                Err(RecvTimeoutError::Timeout) => {}
                // The listeners live as long as the program.
                Err(RecvTimeoutError::Disconnected) => return Err(io::Error::other("nobody listens")),
            }
            // What came meanwhile needs no frame of its own.
            while !self.app.has_ended()
                && let Ok(event) = events.try_recv()
            {
                self.happen(event)?;
            }
        }
        Ok(())
    }

    fn happen(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::Terminal(TerminalEvent::Key(pressed)) => match key(pressed) {
                Some(key) => self.take(Input::Key(key)),
                None => Ok(()),
            },
            Event::Terminal(TerminalEvent::Paste(text)) => self.take(Input::Pasted(text)),
            Event::Terminal(TerminalEvent::Resize(..)) => {
                self.terminal.start_afresh(size())?;
                self.new_size()
            }
            Event::Terminal(_) => Ok(()),
            Event::Lost(error) => Err(error),
            Event::Signal(SIGINT) => self.take(Input::Key(Key::Interrupt)),
            Event::Signal(SIGCONT) => {
                self.terminal.take_again(size())?;
                self.new_size()
            }
            Event::Signal(signal) => {
                self.ended_by = Some(signal);
                self.take(Input::Interrupted)
            }
            Event::Done(serial, message) => {
                self.workshop.finished(serial);
                match message {
                    Some(message) => self.take(Input::Outcome(message)),
                    None => Ok(()),
                }
            }
            Event::Ask(label, answer) => {
                self.answer = Some(answer);
                self.take(Input::Ask(label))
            }
        }
    }

    fn new_size(&mut self) -> io::Result<()> {
        let (columns, rows) = size();
        self.take(Input::Size(columns, rows))
    }

    fn take(&mut self, input: Input) -> io::Result<()> {
        let deeds = self.app.take(input);
        self.perform(deeds)
    }

    /// Does what is to be done, and what follows from it. What takes time is only started.
    fn perform(&mut self, deeds: Vec<Deed>) -> io::Result<()> {
        let mut open = VecDeque::from(deeds);
        while let Some(deed) = open.pop_front() {
            match deed {
                Deed::Perform(effect) => {
                    if let Some(work) = sort(&effect) {
                        self.workshop.start(work, effect);
                        continue;
                    }
                    let nobody = |_: &str| Err(io::Error::other("nobody is asked here"));
                    if let Some(message) = (self.perform)(effect, &nobody) {
                        open.extend(self.app.take(Input::Outcome(message)));
                    }
                }
                Deed::Give(given) => {
                    let given = given.map(|given| SecretString::from(given.expose()));
                    // Whoever asked may be gone.
                    let _ = self.answer.take().map(|answer| answer.send(given));
                }
                Deed::Suspend => {
                    give_back();
                    // The whole job, as the key does outside of here. Where no shell can bring it back, it is not stopped.
                    kill_current_process_group(Signal::TSTP)?;
                    self.terminal.take_again(size())?;
                    open.extend(self.resized());
                }
                Deed::Redraw => {
                    // How tests see that a panic gives the terminal back; not in what is shipped.
                    debug_assert!(std::env::var_os("SEALIFT_PANIC").is_none(), "SEALIFT_PANIC is set");
                    self.terminal.start_afresh(size())?;
                    open.extend(self.resized());
                }
            }
        }
        Ok(())
    }

    fn resized(&mut self) -> Vec<Deed> {
        let (columns, rows) = size();
        self.app.take(Input::Size(columns, rows))
    }
}
