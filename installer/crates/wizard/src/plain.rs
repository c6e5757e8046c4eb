//! The wizard as numbered questions, a line at a time: for screen readers, serial lines and pipes.
//!
//! Nothing is drawn over: each line is said once, from top to bottom. A page that nobody saw yet is asked question by
//! question; one that was seen shows its questions with their numbers. What was typed for a secret is never repeated.

mod command;
mod follow;
mod lines;
mod reach;
mod session;

use std::io;

pub use lines::Lines;
pub use session::{Ended, Reason};

use crate::effect::{Effect, Message};
use crate::model::Start;

/// Does what effects ask for.
pub trait World {
    /// Does it; what came out, if that is to be told.
    fn perform(&mut self, effect: Effect) -> Option<Message>;

    /// Does several that do not wait for each other; what came out, in any order. One after the other, unless the world
    /// can do more at once.
    fn perform_together(&mut self, effects: Vec<Effect>) -> Vec<Message> {
        effects.into_iter().filter_map(|effect| self.perform(effect)).collect()
    }
}

/// Leads through the whole wizard.
///
/// # Errors
/// What reading or writing lines gives.
pub fn run(start: Start, lines: &mut dyn Lines, world: &mut dyn World) -> io::Result<Ended> {
    session::Session::new(start, lines, world)?.run()
}

#[cfg(test)]
pub(crate) mod tests;
