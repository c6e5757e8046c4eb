//! Work that takes time, each sort in a thread of its own and in order. What it needs to know from people it asks for.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use sealift_wizard::{Effect, Message, Reached, Trouble};
use secrecy::SecretString;

use super::runner::Event;
use super::state::Work;

/// Asks somebody for a password by its label.
pub(crate) type Ask<'a> = &'a (dyn Fn(&str) -> io::Result<SecretString> + Sync);
/// Does an effect and says nothing; what came out.
pub(crate) type Perform = Arc<dyn Fn(Effect, Ask<'_>) -> Option<Message> + Send + Sync>;

/// How many hosts are tried at once.
pub(crate) const AT_ONCE: usize = 8;

/// What takes time, and what sort it is.
pub(super) fn sort(effect: &Effect) -> Option<Work> {
    Some(match effect {
        Effect::OpenBundle { .. } => Work::OpenBundle,
        Effect::Size { .. } => Work::Size,
        Effect::Reach { .. } => Work::Reach,
        Effect::Check { .. } => Work::Check,
        Effect::Plan { .. } => Work::Plan,
        Effect::Install { .. } => Work::Install,
        Effect::Watch { .. } => Work::Watch,
        Effect::StopRun { .. } | Effect::FindRuns => Work::Short,
        Effect::Report { .. } => Work::Report,
        Effect::Fix { .. } => Work::Fix,
        _ => return None,
    })
}

/// All threads, and what goes on in them.
pub(super) struct Workshop {
    perform: Perform,
    events: Sender<Event>,
    /// For bundles, for sizes, for looking at hosts, for looking at runs, for speaking to them, for trying hosts: none waits
    /// for another.
    benches: [Option<Sender<(u64, Effect)>>; 6],
    /// Held while somebody is asked: one question at a time, whoever has it.
    asking: Arc<Mutex<()>>,
    open: Vec<(u64, Work, Instant)>,
    serial: u64,
}

impl Workshop {
    pub(super) fn new(perform: Perform, events: Sender<Event>) -> Self {
        Self {
            perform,
            events,
            benches: [const { None }; 6],
            asking: Arc::default(),
            open: Vec::new(),
            serial: 0,
        }
    }

    /// Starts something; what came out comes as an event.
    pub(super) fn start(&mut self, work: Work, effect: Effect) {
        self.serial += 1;
        self.open.push((self.serial, work, Instant::now()));
        let bench = match work {
            Work::OpenBundle => 0,
            Work::Size => 1,
            Work::Check | Work::Plan | Work::Fix | Work::Install | Work::Report => 2,
            Work::Watch => 3,
            Work::Short => 4,
            Work::Reach => 5,
        };
        // A host that does not answer must not keep the others waiting.
        let threads = if work == Work::Reach { AT_ONCE } else { 1 };
        let worker = Worker {
            perform: Arc::clone(&self.perform),
            events: self.events.clone(),
            asking: Arc::clone(&self.asking),
        };
        let sender = self.benches[bench].get_or_insert_with(|| worker.start(threads));
        // A thread outlives all crashes of what it does, so it listens.
        let _ = sender.send((self.serial, effect));
    }

    pub(super) fn finished(&mut self, serial: u64) {
        self.open.retain(|(open, ..)| *open != serial);
    }

    /// What goes on and is worth a word, and for how many seconds; of each sort what was begun first.
    pub(super) fn open(&self) -> Vec<(Work, u64)> {
        let mut all: Vec<(Work, u64)> = Vec::new();
        let told = self.open.iter().filter(|(_, work, _)| !matches!(work, Work::Watch | Work::Short));
        for (_, work, since) in told {
            if !all.iter().any(|(known, _)| known == work) {
                all.push((*work, since.elapsed().as_secs()));
            }
        }
        all
    }
}

/// What the threads of a bench share.
#[derive(Clone)]
struct Worker {
    perform: Perform,
    events: Sender<Event>,
    asking: Arc<Mutex<()>>,
}

impl Worker {
    /// Starts so many threads; each takes what comes next.
    fn start(&self, threads: usize) -> Sender<(u64, Effect)> {
        let (sender, receiver) = channel();
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..threads {
            let (worker, receiver) = (self.clone(), Arc::clone(&receiver));
            std::thread::spawn(move || worker.work(&receiver));
        }
        sender
    }

    fn work(&self, receiver: &Mutex<Receiver<(u64, Effect)>>) {
        let next = || receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        while let Ok((serial, effect)) = next() {
            // Nobody listens any more: the wizard is over.
            if self.events.send(Event::Done(serial, self.do_one(effect))).is_err() {
                return;
            }
        }
    }

    fn do_one(&self, effect: Effect) -> Option<Message> {
        let ask = |label: &str| {
            let _one = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
            let (answer, given) = channel();
            let gone = || io::Error::other("nobody is there to answer");
            self.events.send(Event::Ask(label.to_owned(), answer)).map_err(|_| gone())?;
            given.recv().map_err(|_| gone())?.ok_or_else(|| io::Error::other("nobody gave it"))
        };
        let again = effect.clone();
        catch_unwind(AssertUnwindSafe(|| (self.perform)(effect, &ask))).unwrap_or_else(|_| crashed(again))
    }
}

/// The outcome of work that fell over.
fn crashed(effect: Effect) -> Option<Message> {
    let trouble = Trouble {
        message: "this work fell over; that should not happen".to_owned(),
        causes: Vec::new(),
        remedies: vec!["try it again; if it stays so, tell the vendor".to_owned()],
    };
    Some(match effect {
        Effect::OpenBundle { file } => Message::BundleOpened { file, outcome: Err(trouble) },
        Effect::Size { serial, .. } => Message::Sized { serial, outcome: Err(trouble) },
        Effect::Reach { serial, host, .. } => {
            Message::Reached { serial, host, outcome: Reached::Failed { key: None, trouble } }
        }
        Effect::Check { serial, .. } => Message::Checked { serial, outcome: Err(trouble) },
        Effect::Plan { serial, .. } => Message::Planned { serial, outcome: Err(trouble) },
        Effect::Install { serial, .. } => Message::InstallBegun { serial, outcome: Err(trouble) },
        Effect::Watch { run } => Message::Watched { run, outcome: Err(trouble) },
        Effect::StopRun { run } => Message::StopAsked { run, outcome: Err(trouble) },
        Effect::Report { serial, .. } => Message::Reported { serial, outcome: Err(trouble) },
        Effect::Fix { serial, .. } => Message::Fixed { serial, outcome: Err(trouble) },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use secrecy::ExposeSecret as _;

    use super::*;

    fn bundle(name: &str) -> Effect {
        Effect::OpenBundle { file: PathBuf::from(name) }
    }

    #[test]
    fn work_asks_and_what_falls_over_is_told() {
        let (events, told) = channel();
        let perform: Perform = Arc::new(|effect, ask| {
            let Effect::OpenBundle { file } = effect else { return None };
            let given = ask("which word").map(|word| word.expose_secret().to_owned());
            assert_ne!(given.unwrap_or_default(), "fall");
            Some(Message::BundleOpened { file, outcome: Err(Trouble::default()) })
        });
        let mut workshop = Workshop::new(perform, events);
        for (serial, word) in [(1, Some("stand")), (2, Some("fall")), (3, None)] {
            workshop.start(Work::OpenBundle, bundle("a"));
            assert_eq!(workshop.open(), [(Work::OpenBundle, 0)]);
            let Ok(Event::Ask(label, answer)) = told.recv() else { unreachable!("it asks first") };
            assert_eq!(label, "which word");
            answer.send(word.map(SecretString::from)).unwrap();
            let Ok(Event::Done(done, Some(Message::BundleOpened { outcome, .. }))) = told.recv() else {
                unreachable!("it answers")
            };
            assert_eq!(done, serial);
            assert_eq!(outcome.unwrap_err().message.is_empty(), word != Some("fall"));
            workshop.finished(done);
            assert_eq!(workshop.open(), []);
        }
    }

    #[test]
    fn hosts_are_tried_at_once_and_one_question_is_asked_at_a_time() {
        let (events, told) = channel();
        let all = Arc::new(std::sync::Barrier::new(AT_ONCE));
        let perform: Perform = Arc::new(move |effect, ask| {
            let Effect::Reach { serial, host, .. } = effect else { return None };
            // Nobody gets on before all are here.
            all.wait();
            let trouble =
                Trouble { message: ask(&host).unwrap().expose_secret().to_owned(), ..Trouble::default() };
            Some(Message::Reached { serial, host, outcome: Reached::Failed { key: None, trouble } })
        });
        let mut workshop = Workshop::new(perform, events);
        let site = Arc::new(sealift_profile::Draft::default().so_far().unwrap());
        for number in 0..AT_ONCE {
            let (host, site) = (format!("m{number}"), Arc::clone(&site));
            workshop.start(Work::Reach, Effect::Reach { serial: 1, host, site });
        }
        let open: Vec<Work> = workshop.open().into_iter().map(|(work, _)| work).collect();
        assert_eq!(open, [Work::Reach], "said once, however many");
        let (mut done, mut waiting) = (Vec::new(), std::collections::VecDeque::new());
        while done.len() < AT_ONCE {
            match waiting.pop_front().unwrap_or_else(|| told.recv().unwrap()) {
                Event::Ask(label, answer) => {
                    waiting.extend(told.try_iter());
                    let more = waiting.iter().any(|event| matches!(event, Event::Ask(..)));
                    assert!(!more, "another question waits until this one is answered");
                    answer.send(Some(SecretString::from(label))).unwrap();
                }
                Event::Done(serial, Some(Message::Reached { host, outcome, .. })) => {
                    let Reached::Failed { trouble, .. } = outcome else { unreachable!("{outcome:?}") };
                    assert_eq!(trouble.message, host, "each gets its own answer");
                    workshop.finished(serial);
                    done.push(host);
                }
                _ => unreachable!("nothing else happens"),
            }
        }
        assert_eq!(workshop.open(), []);
    }
}
