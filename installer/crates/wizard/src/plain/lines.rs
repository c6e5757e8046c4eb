//! Where lines come from and go to.

use std::io;

/// Somebody who reads lines and answers with lines.
pub trait Lines {
    /// Says a line.
    fn say(&mut self, line: &str) -> io::Result<()>;

    /// Says a prompt and waits for a line, given without its line break; none at the end of the input.
    fn ask(&mut self, prompt: &str) -> io::Result<Option<String>>;
}

/// Lines for tests: answers that are written beforehand, and everything that was said.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct FakeLines {
    answers: std::collections::VecDeque<String>,
    /// Lines and prompts, in their order.
    pub(crate) said: Vec<String>,
}

#[cfg(test)]
impl FakeLines {
    pub(crate) fn new(answers: &str) -> Self {
        Self { answers: answers.lines().map(str::to_owned).collect(), said: Vec::new() }
    }

    pub(crate) fn text(&self) -> String {
        self.said.join("\n")
    }
}

#[cfg(test)]
impl Lines for FakeLines {
    fn say(&mut self, line: &str) -> io::Result<()> {
        self.said.push(line.to_owned());
        Ok(())
    }

    fn ask(&mut self, prompt: &str) -> io::Result<Option<String>> {
        self.said.push(prompt.to_owned());
        Ok(self.answers.pop_front())
    }
}
