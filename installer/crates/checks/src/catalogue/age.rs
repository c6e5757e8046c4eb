//! How old the facts are that came in files.

use super::{Check, HostInput, Severity, Verdict};
use crate::finding::Group;
use crate::text::span;

/// Age from which on there is a warning, milliseconds: a week. Within one, hosts are seldom set up anew.
const OLD: i64 = 7 * 24 * 3_600_000;
/// How far ahead the time of a file may be, milliseconds: clocks and zones are put right before an install.
const AHEAD: i64 = 3_600_000;

pub(super) const CHECKS: &[Check] = &[Check::on_host(
    (Group::System, Severity::Advice),
    "facts.age",
    "Age of the measurements",
    "a host may have changed since it was measured.",
    &[],
    age,
)];

fn age(input: &HostInput<'_>) -> Verdict {
    let limit = "7 days or less";
    match input.age {
        None | Some(0) => Verdict::pass("measured now"),
        Some(age) if age < -AHEAD => {
            let measured =
                format!("in a file from {} ahead of this machine's time", span(age.unsigned_abs()));
            Verdict::warn(measured, "find out which of the two clocks is wrong, set it, and measure again")
        }
        // How old it is stands behind every finding.
        Some(age) if age > OLD => Verdict::warn("in a file", "run `installer kit` on the host again"),
        Some(_) => Verdict::pass("in a file"),
    }
    .limit(limit)
}
