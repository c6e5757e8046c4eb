//! Stages of work that run side by side and are told as if one came after the other.
//!
//! What a stage notes waits until all stages before it have ended, so that plain lines stand in the same order in every run;
//! bytes are shown of the first stage that moves some. When one stage fails, what the others do is not wanted any more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::progress::Progress;

/// Stages side by side, in the order in which they are told.
pub struct Stages<'a> {
    progress: &'a dyn Progress,
    states: Mutex<Vec<State>>,
    failed: AtomicBool,
}

/// How far a stage is.
#[derive(Default)]
struct State {
    ended: bool,
    /// Whether it has shown bytes.
    moving: bool,
    /// What it noted while others were not done.
    notes: Vec<String>,
}

/// One of them, as those who work see it.
struct Stage<'a> {
    stages: &'a Stages<'a>,
    index: usize,
}

impl<'a> Stages<'a> {
    /// `count` stages, told to `progress`.
    pub fn new(count: usize, progress: &'a dyn Progress) -> Self {
        let states = (0..count).map(|_| State::default()).collect();
        Self { progress, states: Mutex::new(states), failed: AtomicBool::new(false) }
    }

    /// Does the `work` of the stage `index`, counted from 0. A stage that fails keeps those after it silent: without the one
    /// they would not have begun.
    pub fn run<R, E>(&self, index: usize, work: impl FnOnce(&dyn Progress) -> Result<R, E>) -> Result<R, E> {
        let result = work(&Stage { stages: self, index });
        if result.is_err() {
            self.failed.store(true, Ordering::Relaxed);
            return result;
        }
        let mut states = self.states();
        states[index].ended = true;
        for state in &mut *states {
            state.notes.drain(..).for_each(|line| self.progress.note(&line));
            if !state.ended {
                break;
            }
        }
        result
    }

    fn states(&self) -> MutexGuard<'_, Vec<State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Stage<'_> {
    fn note(&self, line: &str) {
        let mut states = self.stages.states();
        if states[..self.index].iter().all(|before| before.ended) {
            // Under the lock: lines of one stage keep their order, too.
            self.stages.progress.note(line);
        } else {
            states[self.index].notes.push(line.to_owned());
        }
    }

    fn advance(&self, what: &str, done: u64, total: u64) {
        let mut states = self.stages.states();
        states[self.index].moving = true;
        if states[..self.index].iter().all(|before| before.ended || !before.moving) {
            self.stages.progress.advance(what, done, total);
        }
    }

    fn wanted(&self) -> bool {
        !self.stages.failed.load(Ordering::Relaxed) && self.stages.progress.wanted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);

    impl Progress for Lines {
        fn note(&self, line: &str) {
            self.0.lock().unwrap().push(line.to_owned());
        }
        fn advance(&self, what: &str, done: u64, total: u64) {
            self.0.lock().unwrap().push(format!("{what} {done} of {total}"));
        }
    }

    #[test]
    fn stages_are_told_in_their_order() {
        let lines = Lines::default();
        let stages = Stages::new(3, &lines);
        let result: Result<(), ()> = stages.run(2, |third| {
            third.note("third");
            third.advance("third", 1, 2);
            stages.run(0, |first| {
                first.note("first");
                first.advance("first", 3, 4);
                third.advance("third", 2, 2);
                Ok(())
            })?;
            stages.run(1, |second| {
                second.note("second");
                Ok(())
            })?;
            third.note("third again");
            Ok(())
        });
        assert_eq!(result, Ok(()));
        let expected = ["third 1 of 2", "first", "first 3 of 4", "second", "third", "third again"];
        assert_eq!(*lines.0.lock().unwrap(), expected);
    }

    #[test]
    fn after_a_failure_nothing_is_wanted_and_what_came_later_is_not_told() {
        let lines = Lines::default();
        let stages = Stages::new(2, &lines);
        let result: Result<(), &str> = stages.run(1, |second| {
            second.note("second");
            assert!(second.wanted());
            assert_eq!(stages.run(0, |_| Err::<(), _>("first")), Err("first"));
            assert!(!second.wanted());
            Ok(())
        });
        assert_eq!(result, Ok(()));
        assert_eq!(*lines.0.lock().unwrap(), [""; 0]);
    }
}
