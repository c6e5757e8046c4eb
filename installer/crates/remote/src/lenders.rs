//! Who brings the program and who takes it from a neighbour: its bytes cross the seat's link once, not once per host.
//!
//! The first host that lacks the program gets it from the seat. Whoever comes meanwhile waits, then takes it from that
//! host. Where that does not work, or between the hosts nothing gets through, the seat brings it after all.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The state that all hosts of a run share.
#[derive(Debug, Default)]
pub struct Lenders {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
enum State {
    /// No host is known to have it.
    #[default]
    Nobody,
    /// One host is getting it from the seat.
    Bringing,
    /// One host hands it on.
    Ready(Lender),
}

/// A host that hands the program on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lender {
    /// As the seat names the host.
    pub(crate) address: String,
    pub(crate) port: u16,
}

/// What a host that lacks the program is to do.
#[derive(Debug)]
pub(crate) enum Turn<'a> {
    /// Get it from the seat.
    Bring(Bringing<'a>),
    /// Take it from there.
    Take(Lender),
}

/// The one host that gets the program from the seat; the next one has its turn when this is dropped.
#[derive(Debug)]
pub(crate) struct Bringing<'a>(&'a Lenders);

impl Lenders {
    /// A turn, or none where another host is still at it after `patience`.
    pub(crate) fn turn(&self, patience: Duration) -> Option<Turn<'_>> {
        let bringing = |state: &mut State| matches!(state, State::Bringing);
        let waited = self.changed.wait_timeout_while(self.state(), patience, bringing);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Bringing => None,
            State::Ready(lender) => Some(Turn::Take(lender.clone())),
            State::Nobody => {
                *state = State::Bringing;
                Some(Turn::Bring(Bringing(self)))
            }
        }
    }

    fn set(&self, new: State) {
        *self.state() = new;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bringing<'_> {
    /// From now on the host hands it on.
    pub(crate) fn lends(self, lender: Lender) {
        self.0.set(State::Ready(lender));
    }
}

impl Drop for Bringing<'_> {
    fn drop(&mut self) {
        if matches!(*self.0.state(), State::Bringing) {
            self.0.set(State::Nobody);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_brings_and_the_others_take() {
        let lenders = Lenders::default();
        let Some(Turn::Bring(first)) = lenders.turn(Duration::ZERO) else { panic!("nobody has it") };
        assert!(lenders.turn(Duration::ZERO).is_none());
        // The first one's host refuses: the next one's turn.
        drop(first);
        let Some(Turn::Bring(second)) = lenders.turn(Duration::ZERO) else { panic!("nobody has it still") };
        let lender = Lender { address: "10.0.0.1".to_owned(), port: 4_000 };
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| lenders.turn(Duration::from_mins(1)));
            second.lends(lender.clone());
            let Some(Turn::Take(from)) = waiting.join().unwrap() else { panic!("somebody lends") };
            assert_eq!(from, lender);
        });
        assert!(matches!(lenders.turn(Duration::ZERO), Some(Turn::Take(_))));
    }
}
