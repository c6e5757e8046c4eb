//! How often and how long to try.

use std::time::{Duration, Instant};

use super::RegistryError;

/// Longest pause that the program chooses by itself.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Longest pause that a registry may ask for; who asks for more is not waited for.
pub(super) const LONGEST_WAIT: Duration = Duration::from_mins(2);
/// How often it is looked at whether waiting is still worth its time.
pub(super) const LOOK: Duration = Duration::from_millis(100);
/// A bit that flipped on the way will not flip each time; who sends wrong content so often means it.
const TRIES_OF_WRONG_CONTENT: u32 = 3;

/// How often and how long to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Tries without any progress before giving up.
    pub tries: u32,
    /// Pause after the first failure; doubles each time, up to 15 s. A registry may ask for up to 2 min.
    pub pause: Duration,
    /// Silence after which a transfer counts as lost; registries that fetch from others first may think for a while.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { tries: 6, pause: Duration::from_millis(500), silence: Duration::from_mins(1) }
    }
}

impl Patience {
    /// How many tries a failure like `error` is worth.
    pub(super) fn limit(&self, error: &RegistryError) -> u32 {
        match error {
            RegistryError::WrongContent { .. } => self.tries.min(TRIES_OF_WRONG_CONTENT),
            _ => self.tries,
        }
    }

    /// Pause before the next try after `failures` (at least 1) in a row, of which the last asked for `wait`.
    pub(super) fn pause_after(&self, failures: u32, wait: Option<Duration>) -> Duration {
        let own = self.pause.saturating_mul(1 << (failures - 1).min(10)).min(LONGEST_PAUSE);
        own.max(wait.unwrap_or_default())
    }
}

/// Waits for `pause`, or until nobody wants what comes after it.
pub(super) fn sleep(pause: Duration, wanted: &dyn Fn() -> bool) {
    let end = Instant::now() + pause;
    while wanted() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(LOOK));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_registries_may_ask_for_more() {
        let patience = Patience::default();
        let pauses: Vec<u128> = (1..=8).map(|n| patience.pause_after(n, None).as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
        assert_eq!(patience.pause_after(1, Some(Duration::from_secs(40))).as_secs(), 40);
        assert_eq!(patience.pause_after(60, Some(Duration::ZERO)).as_secs(), 15);
    }
}
