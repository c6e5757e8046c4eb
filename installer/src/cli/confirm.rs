//! Asks a person before anything is changed.

use std::io::{self, IsTerminal, Write};

use crate::failure::{Failure, Kind};

/// What is asked about.
pub(super) struct Question {
    /// One line with a question mark.
    pub(super) ask: &'static str,
    /// What nobody is here to do, e.g. `accept the plan`.
    pub(super) nobody: &'static str,
    /// What was said no to, e.g. `the plan was not accepted`.
    pub(super) no: &'static str,
    /// What to do without a terminal.
    pub(super) hint: &'static str,
}

impl Question {
    /// Goes on after a yes at the terminal, or where `yes` was said beforehand.
    pub(super) fn answered(&self, yes: bool) -> Result<(), Failure> {
        if yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            let message = format!("nobody is here to {}; nothing was changed", self.nobody);
            return Err(Failure::new(Kind::Usage, message).hint(self.hint));
        }
        // Where the question cannot be shown, nobody says yes to it.
        let _ = write!(io::stderr(), "{} [y/N] ", self.ask);
        let mut answer = String::new();
        // No answer is a no.
        let _ = io::stdin().read_line(&mut answer);
        if answer.trim().eq_ignore_ascii_case("y") || answer.trim().eq_ignore_ascii_case("yes") {
            return Ok(());
        }
        Err(Failure::new(Kind::Usage, format!("{}; nothing was changed", self.no)))
    }
}
