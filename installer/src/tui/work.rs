//! Work that takes time, each sort in a thread of its own and in order. What it needs to know from people it asks for.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use sealift_wizard::{Effect, Message, Trouble};
use secrecy::SecretString;

use super::runner::Event;
use super::state::Work;

/// Asks somebody for a password by its label.
pub(crate) type Ask<'a> = &'a dyn Fn(&str) -> io::Result<SecretString>;
/// Does an effect and says nothing; what came out.
pub(crate) type Perform = Arc<dyn Fn(Effect, Ask<'_>) -> Option<Message> + Send + Sync>;

/// What takes time, and what sort it is.
pub(super) fn sort(effect: &Effect) -> Option<Work> {
    Some(match effect {
        Effect::OpenBundle { .. } => Work::OpenBundle,
        Effect::Size { .. } => Work::Size,
        Effect::Check { .. } => Work::Check,
        Effect::Plan { .. } => Work::Plan,
        Effect::Fix { .. } => Work::Fix,
        _ => return None,
    })
}

/// All threads, and what goes on in them.
pub(super) struct Workshop {
    perform: Perform,
    events: Sender<Event>,
    /// For bundles, for sizes, for hosts: none waits for another.
    benches: [Option<Sender<(u64, Effect)>>; 3],
    open: Vec<(u64, Work, Instant)>,
    serial: u64,
}

impl Workshop {
    pub(super) fn new(perform: Perform, events: Sender<Event>) -> Self {
        Self { perform, events, benches: [None, None, None], open: Vec::new(), serial: 0 }
    }

    /// Starts something; what came out comes as an event.
    pub(super) fn start(&mut self, work: Work, effect: Effect) {
        self.serial += 1;
        self.open.push((self.serial, work, Instant::now()));
        let bench = match work {
            Work::OpenBundle => 0,
            Work::Size => 1,
            Work::Check | Work::Plan | Work::Fix => 2,
        };
        let sender = self.benches[bench].get_or_insert_with(|| {
            let (sender, receiver) = channel();
            let (perform, events) = (Arc::clone(&self.perform), self.events.clone());
            std::thread::spawn(move || {
                for (serial, effect) in receiver {
                    // Nobody listens any more: the wizard is over.
                    if events.send(Event::Done(serial, do_one(&perform, &events, effect))).is_err() {
                        return;
                    }
                }
            });
            sender
        });
        // A thread outlives all crashes of what it does, so it listens.
        let _ = sender.send((self.serial, effect));
    }

    pub(super) fn finished(&mut self, serial: u64) {
        self.open.retain(|(open, ..)| *open != serial);
    }

    /// What goes on, and for how many seconds.
    pub(super) fn open(&self) -> Vec<(Work, u64)> {
        self.open.iter().map(|(_, work, since)| (*work, since.elapsed().as_secs())).collect()
    }
}

fn do_one(perform: &Perform, events: &Sender<Event>, effect: Effect) -> Option<Message> {
    let ask = |label: &str| {
        let (answer, given) = channel();
        let gone = || io::Error::other("nobody is there to answer");
        events.send(Event::Ask(label.to_owned(), answer)).map_err(|_| gone())?;
        given.recv().map_err(|_| gone())?.ok_or_else(|| io::Error::other("nobody gave it"))
    };
    let again = effect.clone();
    catch_unwind(AssertUnwindSafe(|| perform(effect, &ask))).unwrap_or_else(|_| crashed(again))
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
        Effect::Check { serial, .. } => Message::Checked { serial, outcome: Err(trouble) },
        Effect::Plan { serial, .. } => Message::Planned { serial, outcome: Err(trouble) },
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
}
