//! Waiting for something that others bring about.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// Looks until there is something. A look that fails counts as one that saw nothing: while machines come and go, a
/// question may fail. After `within` it is given up, with the last reason.
pub fn until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        let reason = match look() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => String::new(),
            Err(error) => format!(": {error:#}"),
        };
        if Instant::now() > deadline {
            bail!("{what}: not within {} s{reason}", within.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
}

/// As [`until`], for a condition.
pub fn until_true(what: &str, within: Duration, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    until(what, within, || Ok(holds()?.then_some(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_fails_is_tried_again() {
        let mut looks = 0;
        let seen = until("the third look", Duration::from_mins(1), || {
            looks += 1;
            match looks {
                1 => bail!("not there"),
                2 => Ok(None),
                _ => Ok(Some(looks)),
            }
        });
        assert_eq!(seen.unwrap(), 3);
    }

    #[test]
    fn the_last_reason_is_told() {
        let error = until_true("the moon", Duration::ZERO, || bail!("clouds")).unwrap_err();
        assert_eq!(error.to_string(), "the moon: not within 0 s: clouds");
    }
}
