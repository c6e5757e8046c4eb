//! Tests as lines, and their count.

use std::io::Write;
use std::time::Instant;

use anyhow::Result;

use super::Options;

/// How many tests passed and failed so far.
pub struct Tally {
    options: Options,
    passed: usize,
    failed: usize,
}

impl Tally {
    /// Nothing tried yet.
    pub fn new(options: Options) -> Self {
        Self { options, passed: 0, failed: 0 }
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
        println!("test {name} ... FAILED: {reason}");
    }

    fn shown(&mut self, name: &str, work: impl FnOnce() -> Result<(usize, usize)>) {
        let start = Instant::now();
        print!("test {name} ... ");
        // A line that cannot be shown yet is shown with its end.
        let _ = std::io::stdout().flush();
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
                println!("{verdict} ({count}{seconds:.1} s)");
            }
            Err(error) => {
                self.failed += 1;
                println!("FAILED ({seconds:.1} s)");
                for line in format!("{error:#}").lines() {
                    println!("    {line}");
                }
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
}
