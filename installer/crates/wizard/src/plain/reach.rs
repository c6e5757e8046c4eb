//! Trying the hosts over lines: all at once, and then what came out; new keys with a question.

use std::collections::VecDeque;
use std::io;

use super::session::{Session, says_yes};
use crate::effect::{Effect, Message};
use crate::update::update;
use crate::view::{key_rows, view};

impl Session<'_> {
    /// Takes the hosts that are to be tried out of what is to be done, and tries them together.
    pub(super) fn reach(&mut self, open: &mut VecDeque<Effect>) -> io::Result<()> {
        self.say(&self.words().text("plain.working"))?;
        let (together, rest): (Vec<Effect>, Vec<Effect>) =
            open.drain(..).partition(|effect| matches!(effect, Effect::Reach { .. }));
        open.extend(rest);
        for message in self.world.perform_together(together) {
            let (model, more) = update(self.model.clone(), message);
            self.model = model;
            open.extend(more);
        }
        Ok(())
    }

    /// Says the new keys and asks whether they are right. What is confirmed is what was said, and only a word does it: a
    /// pipe that runs out of answers confirms nothing.
    pub(super) fn trust(&mut self) -> io::Result<()> {
        let words = self.words();
        let keys = view(&self.model).new_keys;
        if keys.is_empty() {
            return self.act(Message::TrustKeys(keys));
        }
        self.rows(&key_rows(words, &keys))?;
        self.say(&words.text("plain.trust"))?;
        let Some(line) = self.ask(&words.text("plain.prompt.leave"))? else { return Ok(()) };
        if !says_yes(&line) {
            return Ok(());
        }
        self.act(Message::TrustKeys(keys))?;
        self.body(&view(&self.model))
    }
}
