//! The wall clock, and whether something keeps it in time.

use std::time::{SystemTime, UNIX_EPOCH};

use sealift_checks::facts::Clock;

use super::Probe;
use crate::command::Command;

pub(super) fn probe(probe: &Probe<'_>) -> Clock {
    let synchronised = synchronised(probe);
    // Read last: asking the time services takes a moment.
    Clock { skew_millis: 0, unix_millis: now(), synchronised, round_trip_millis: 0 }
}

/// Milliseconds since the epoch.
#[must_use]
pub fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// The kernel's own flag can only be read by a system call that this program has no safe way to; the services that
/// set it say the same.
fn synchronised(probe: &Probe<'_>) -> bool {
    let answer = |program: &str, args: &[&str]| {
        probe.ctx.find_program(program)?;
        let finished = probe.ctx.run_to_end(Command::new(program).args(args.iter().copied())).ok()?;
        finished.success().then(|| finished.text())
    };
    probe.exists("/run/systemd/timesync/synchronized")
        || answer("chronyc", &["-n", "tracking"]).is_some_and(|text| chrony_synchronised(&text))
        || answer("ntpq", &["-c", "rv 0 leap"]).is_some_and(|text| ntp_synchronised(&text))
}

pub(super) fn chrony_synchronised(tracking: &str) -> bool {
    let leap = tracking.lines().find_map(|line| line.strip_prefix("Leap status")?.split_once(':'));
    leap.is_some_and(|(_, status)| status.trim() != "Not synchronised")
}

/// `leap=00`, or `leap_none` in words; 11 is the alarm.
pub(super) fn ntp_synchronised(variables: &str) -> bool {
    variables.contains("leap=") && !variables.contains("leap=11") && !variables.contains("leap_alarm")
}
