//! Somebody at the wizard with nothing but a keyboard and a screen of 80x24: finds questions by what stands on the
//! screen, as people do.

use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::terminal::{Terminal, is_whole, marked, title};

/// Columns and rows: the smallest screen that the wizard draws on.
const SIZE: (u16, u16) = (80, 24);
/// More keys than it takes to get around any page.
const ENOUGH: usize = 100;
/// How long the wizard may take to show what a key has done.
const SOON: Duration = Duration::from_secs(30);
/// How long the hosts may take to be looked at.
const LOOK: Duration = Duration::from_mins(3);

const ENTER: &str = "\r";
const TAB: &str = "\t";
const RIGHT: &str = "\x1b[C";
const CONTROL_K: &str = "\x0b";
const F5: &str = "\x1b[15~";
const F6: &str = "\x1b[17~";
const F8: &str = "\x1b[19~";

/// The wizard and who sits at it.
pub struct Person {
    terminal: Terminal,
}

impl Person {
    /// Starts the wizard and looks at its first page.
    pub fn sits_down(wizard: &Command) -> Result<Self> {
        let mut person = Self { terminal: Terminal::start(wizard, SIZE)? };
        person.sees_page("Start")?;
        Ok(person)
    }

    /// Waits for a page.
    pub fn sees_page(&mut self, page: &str) -> Result<()> {
        self.sees_page_within(SOON, page)
    }

    /// As [`Person::sees_page`], for one that comes by itself later.
    pub fn sees_page_within(&mut self, within: Duration, page: &str) -> Result<()> {
        self.sees_within(within, &format!("the page {page}"), |screen| {
            is_whole(screen) && title(screen).ends_with(page)
        })
    }

    /// Goes to the next page, which is the one of this name.
    pub fn goes_on_to(&mut self, page: &str) -> Result<()> {
        self.terminal.write(F8)?;
        self.sees_page(page)
    }

    /// Waits for something to read.
    pub fn reads(&mut self, text: &str) -> Result<()> {
        self.reads_within(SOON, text)
    }

    fn reads_within(&mut self, within: Duration, text: &str) -> Result<()> {
        self.sees_within(within, &format!("\"{text}\""), |screen| words(screen).contains(text))
    }

    /// Waits for something on the screen, and until the screen stands still.
    fn sees_within(
        &mut self,
        within: Duration,
        what: &str,
        fits: impl Fn(&vt100::Screen) -> bool,
    ) -> Result<()> {
        self.terminal.wait_within(within, what, fits)?;
        self.terminal.settle()
    }

    fn sees(&mut self, what: &str, fits: impl Fn(&vt100::Screen) -> bool) -> Result<()> {
        self.sees_within(SOON, what, fits)
    }

    /// Goes to a question.
    fn looks_at(&mut self, question: &str) -> Result<()> {
        for _ in 0..ENOUGH {
            if is_marked(self.terminal.shown(), question) {
                return Ok(());
            }
            let before = self.terminal.shown().contents_formatted();
            self.terminal.write(TAB)?;
            self.sees("another place", |screen| screen.contents_formatted() != before)?;
        }
        bail!("no question begins with \"{question}\":\n{}", self.terminal.shown().contents())
    }

    /// Answers a question.
    pub fn answers(&mut self, question: &str, text: &str) -> Result<()> {
        self.looks_at(question)?;
        self.terminal.write(text)?;
        self.sees("what was typed", |screen| words(screen).contains(text))?;
        self.terminal.write(ENTER)?;
        // An answer that was taken leads on to the next question.
        self.sees(&format!("what follows \"{question}\""), |screen| !is_marked(screen, question))
    }

    /// Chooses an answer among those that are given.
    pub fn chooses(&mut self, question: &str, answer: &str) -> Result<()> {
        self.looks_at(question)?;
        for _ in 0..ENOUGH {
            if words(self.terminal.shown()).contains(&format!("(●) {answer}")) {
                return Ok(());
            }
            let before = self.terminal.shown().contents_formatted();
            self.terminal.write(RIGHT)?;
            self.sees("another answer", |screen| screen.contents_formatted() != before)?;
        }
        bail!("{question} has no answer {answer}:\n{}", self.terminal.shown().contents())
    }

    /// Types a list of hosts.
    pub fn lists(&mut self, hosts: &[String]) -> Result<()> {
        self.terminal.write(F6)?;
        self.reads("Many hosts at once")?;
        for (count, host) in (1..).zip(hosts) {
            self.terminal.write(host)?;
            self.terminal.write(ENTER)?;
            self.reads(&format!("Lines so far: {count}"))?;
        }
        self.terminal.write(ENTER)?;
        self.sees_page("Hosts")
    }

    /// Has the wizard do what its page is for, and waits until this can be read.
    pub fn has_it_done(&mut self, until: &str) -> Result<()> {
        self.terminal.write(F5)?;
        self.reads_within(LOOK, until)
    }

    /// Has the hosts tried, and takes the keys that they show: those that are there, and then those that came later.
    pub fn confirms_keys(&mut self, hosts: usize) -> Result<()> {
        let (offer, done) =
            ("Ctrl-K confirm keys", format!("each of the {hosts} hosts lets the installer in"));
        self.terminal.write(F5)?;
        for _ in 0..hosts {
            self.sees_within(LOOK, "keys or a login", |screen| {
                words(screen).contains(offer) || words(screen).contains(&done)
            })?;
            if words(self.terminal.shown()).contains(&done) {
                return Ok(());
            }
            self.terminal.write(CONTROL_K)?;
            self.reads("Are these the keys that the consoles print?")?;
            self.terminal.write(ENTER)?;
            self.reads("host keys confirmed and pinned in the profile")?;
        }
        self.reads_within(LOOK, &done)
    }

    /// Opens a run from the list on the first page.
    pub fn watches(&mut self, run: &str) -> Result<()> {
        self.looks_at(run)?;
        self.terminal.write(ENTER)?;
        self.sees_page("Install")
    }

    /// Ends the wizard's process without a word to it.
    pub fn kills_it(self) -> Result<()> {
        self.terminal.kill()
    }

    /// Closes the window.
    pub fn closes_the_window(self) -> Result<ExitStatus> {
        self.terminal.close()
    }

    /// Goes on from the last page, which ends the wizard.
    pub fn finishes(mut self) -> Result<()> {
        self.terminal.write(F8)?;
        let status = self.terminal.finish(SOON)?;
        ensure!(status.success(), "the wizard ended with {status}");
        Ok(())
    }
}

/// All that is on the screen, as one reads it: lines that were broken are one.
fn words(screen: &vt100::Screen) -> String {
    screen.contents().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether what is looked at begins so.
fn is_marked(screen: &vt100::Screen, question: &str) -> bool {
    marked(screen).iter().any(|text| text.starts_with(question))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_does_not_depend_on_where_lines_break() {
        let mut parser = vt100::Parser::new(SIZE.1, SIZE.0, 0);
        parser.process("\x1b[1;1H Orders  1/13  Start\x1b[4;1H ▸ What is the\r\n   site called?".as_bytes());
        let screen = parser.screen();
        assert!(words(screen).contains("is the site called?") && title(screen).ends_with("Start"));
        assert!(is_marked(screen, "What is") && !is_marked(screen, "site"));
    }
}
