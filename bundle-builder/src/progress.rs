//! What the rooms tell while they work; a front end shows it.

use std::collections::VecDeque;
use std::time::Duration;

/// Takes notes and byte counts, from several threads at once.
pub trait Progress: Sync {
    /// Something worth a line: a stage that starts or ends, a retry.
    fn note(&self, line: &str);

    /// `done` of `total` bytes of `what`; called often, may be dropped.
    fn advance(&self, what: &str, done: u64, total: u64);

    /// Whether the work is still worth doing; asked between its pieces. What is not wanted any more ends soon, in whatever
    /// way: something else has failed, and that is told.
    fn wanted(&self) -> bool {
        true
    }
}

/// How fast something goes, from the bytes of the last seconds: what is slow now counts, not what was fast an hour ago.
#[derive(Debug, Clone, Default)]
pub struct Rate {
    /// Time and bytes done, oldest first; at least [`STEP`] apart.
    samples: VecDeque<(Duration, u64)>,
}

/// How far back a rate looks.
const WINDOW: Duration = Duration::from_secs(15);
/// Time between two samples of a rate.
const STEP: Duration = Duration::from_millis(250);

impl Rate {
    /// `done` bytes at `now`, a time since any fixed beginning.
    pub fn add(&mut self, now: Duration, done: u64) {
        // Bytes that were lost again: a rate over them would be none.
        if self.samples.back().is_some_and(|(_, before)| done < *before) {
            self.samples.clear();
        }
        if self.samples.back().is_none_or(|(then, _)| now.saturating_sub(*then) >= STEP) {
            self.samples.push_back((now, done));
        }
        while self.samples.len() > 2 && now.saturating_sub(self.samples[0].0) > WINDOW {
            self.samples.pop_front();
        }
    }

    /// Bytes per second, with `done` at `now`; nothing before there is something to tell.
    #[must_use]
    pub fn per_second(&self, now: Duration, done: u64) -> Option<f64> {
        let (then, before) = self.samples.front()?;
        let seconds = now.saturating_sub(*then).as_secs_f64();
        (seconds >= STEP.as_secs_f64()).then(|| done.saturating_sub(*before) as f64 / seconds)
    }
}

/// Bytes for people: three digits and a decimal unit, as disks are sold.
#[must_use]
pub fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 999.5 {
            return if unit == "B" {
                format!("{count} B")
            } else {
                format!("{} {unit}", three_digits(value))
            };
        }
        value /= 1000.0;
    }
    format!("{} TB", three_digits(value))
}

fn three_digits(value: f64) -> String {
    if value < 9.995 { format!("{value:.1}") } else { format!("{value:.0}") }
}

/// A count with the word it counts, e.g. `1 image`, `2 images`.
#[must_use]
pub fn count(number: usize, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let mut rate = Rate::default();
        let at = Duration::from_secs;
        assert_eq!(rate.per_second(at(0), 0), None);
        for second in 0..60 {
            // Fast for half a minute, then slow.
            rate.add(at(second), second.min(30) * 1000 + second);
        }
        let slow = rate.per_second(at(60), 30_060).unwrap();
        assert!((0.9..1.1).contains(&slow), "{slow}");
        rate.add(at(61), 100);
        assert_eq!(rate.per_second(at(61), 100), None);
        assert_eq!(rate.per_second(at(63), 300), Some(100.0));
    }

    #[test]
    fn sizes_are_readable() {
        let sizes =
            [0, 999, 1000, 1_500_000, 9_994_000, 612_000_000, 999_600_000, 20_000_000_000, 3_000_000_000_000];
        assert_eq!(
            sizes.map(bytes),
            ["0 B", "999 B", "1.0 kB", "1.5 MB", "10.0 MB", "612 MB", "1.0 GB", "20 GB", "3.0 TB"]
        );
    }
}
