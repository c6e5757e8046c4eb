//! Tests as lines, and their count.

use std::fmt::Display;
use std::io::Write as _;
use std::time::Instant;

use anyhow::Result;

use super::Options;

/// How many tests passed and failed so far.
pub struct Tally {
    options: Options,
    passed: usize,
    failed: usize,
    /// What was said so far, where it is not shown at once.
    kept: Option<String>,
}

impl Tally {
    /// Nothing tried yet.
    pub fn new(options: Options) -> Self {
        Self { options, passed: 0, failed: 0, kept: None }
    }

    /// One for tests that run beside those of this one: says nothing until it is [added](Tally::add).
    pub fn beside(&self) -> Self {
        Self { options: self.options.clone(), passed: 0, failed: 0, kept: Some(String::new()) }
    }

    /// Shows what another one kept, and counts its tests with its own.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.say(other.kept.unwrap_or_default());
    }

    /// A figure or a remark below the last test's line.
    pub fn note(&mut self, note: &str) {
        self.say(format_args!("    {note}\n"));
    }

    fn say(&mut self, words: impl Display) {
        if let Some(kept) = &mut self.kept {
            kept.push_str(&words.to_string());
        } else {
            print!("{words}");
            // A line that cannot be shown yet is shown with its end.
            let _ = std::io::stdout().flush();
        }
    }

    /// Runs a test if it is wanted, and shows its line.
    pub fn run(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        self.run_many(name, || work().map(|()| (1, 0)));
    }

    /// As [`Tally::run`], for something that counts tests of its own: passed and failed.
    pub fn run_many(&mut self, name: &str, work: impl FnOnce() -> Result<(usize, usize)>) {
        if !self.options.wants(name) {
            return;
        }
        self.shown(name, work);
    }

    /// Runs what others stand on, wanted or not, and gives its value.
    pub fn require<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Option<T> {
        let mut value = None;
        self.shown(name, || {
            value = Some(work()?);
            Ok((1, 0))
        });
        value
    }

    /// Counts a test that could not be tried.
    pub fn fail(&mut self, name: &str, reason: &str) {
        self.failed += 1;
        self.say(format_args!("test {name} ... FAILED: {reason}\n"));
    }

    fn shown(&mut self, name: &str, work: impl FnOnce() -> Result<(usize, usize)>) {
        let start = Instant::now();
        self.say(format_args!("test {name} ... "));
        let result = work();
        let seconds = start.elapsed().as_secs_f64();
        match result {
            Ok((passed, failed)) => {
                self.passed += passed;
                self.failed += failed;
                let count = if (passed, failed) == (1, 0) {
                    String::new()
                } else {
                    format!("{passed} passed, {failed} failed, ")
                };
                let verdict = if failed == 0 { "ok" } else { "FAILED" };
                self.say(format_args!("{verdict} ({count}{seconds:.1} s)\n"));
            }
            Err(error) => {
                self.failed += 1;
                self.say(format_args!("FAILED ({seconds:.1} s)\n"));
                format!("{error:#}").lines().for_each(|line| self.note(line));
            }
        }
    }

    /// How many failed.
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// The last line of the whole.
    pub fn closing_line(&self) -> String {
        format!("{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_nothing_unwanted_runs() {
        let mut tally = Tally::new(Options { only: vec!["a".into()], ..Options::default() });
        tally.run("a::works", || Ok(()));
        tally.run("a::fails", || anyhow::bail!("reason"));
        tally.run("b::unwanted", || anyhow::bail!("must not run"));
        tally.run_many("a::many", || Ok((40, 2)));
        assert_eq!(tally.require("b::needed", || Ok(7)), Some(7));
        assert_eq!(tally.require::<()>("b::broken", || anyhow::bail!("reason")), None);
        tally.fail("a::never", "no lab");
        assert_eq!(tally.closing_line(), "42 passed, 5 failed");
    }

    #[test]
    fn what_ran_beside_is_counted_and_said_when_it_is_added() {
        let mut tally = Tally::new(Options { only: vec!["a".into()], ..Options::default() });
        let (mut first, mut second) = (tally.beside(), tally.beside());
        second.run("a::fails", || anyhow::bail!("first\nsecond"));
        second.note("noted");
        second.run("b::unwanted", || anyhow::bail!("must not run"));
        first.run("a::works", || Ok(()));
        let said = second.kept.clone().unwrap_or_default();
        assert!(
            said.starts_with("test a::fails ... FAILED (")
                && said.ends_with(" s)\n    first\n    second\n    noted\n")
        );
        tally.add(first);
        tally.add(second);
        assert_eq!(tally.closing_line(), "1 passed, 1 failed");
        assert_eq!(tally.kept, None);
    }
}
