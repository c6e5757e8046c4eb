//! Numbers that cannot forget what they count, nor why they are what they are.

use serde::{Deserialize, Serialize};

use crate::message::Message;

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Unit {
    /// Machines.
    Machines,
    /// Thousandths of a processor core.
    Millicores,
    /// Bytes of memory (a gigabyte of 1024³).
    MemoryBytes,
    /// Bytes on disks and links (a gigabyte of 1000³).
    DiskBytes,
    /// People.
    People,
    /// Thousandths of a request per second.
    Millirequests,
    /// Percent.
    Percent,
    /// Days on which people work: neither Saturday nor Sunday.
    WorkingDays,
    /// Minutes.
    Minutes,
    /// Years.
    Years,
    /// Things that must be mended, risks, findings.
    Things,
    /// Answers of the site.
    Answers,
    /// Checks, each on one machine.
    Checks,
    /// Steps of a plan.
    Steps,
    /// Packed programs of a bundle.
    Programs,
    /// Earlier runs.
    Runs,
}

/// A number and what it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quantity {
    /// How many, in `unit`.
    pub value: u64,
    /// Of what.
    pub unit: Unit,
}

impl Quantity {
    /// So many of these.
    #[must_use]
    pub fn new(value: u64, unit: Unit) -> Self {
        Self { value, unit }
    }
}

/// A number with its reason. There is no other way for a number into a table of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Figure {
    /// How many of what.
    pub amount: Quantity,
    /// Why so many, one sentence.
    pub reason: Message,
}

impl Figure {
    /// So many of these, for this reason.
    #[must_use]
    pub fn new(value: u64, unit: Unit, reason: Message) -> Self {
        Self { amount: Quantity::new(value, unit), reason }
    }
}

/// An estimate: never one number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Range {
    /// If all goes well.
    pub optimistic: u64,
    /// As it usually goes.
    pub likely: u64,
    /// If much goes wrong.
    pub pessimistic: u64,
    /// What the three count.
    pub unit: Unit,
    /// What it was made from, one sentence.
    pub reason: Message,
}

/// Share of the likely time when all goes well, and when much goes wrong, percent. A judgement, said so in the report.
pub(crate) const OPTIMISTIC: u64 = 70;
/// See [`OPTIMISTIC`].
pub(crate) const PESSIMISTIC: u64 = 200;

impl Range {
    /// Around what is likely: 0.7 times of it to twice of it, rounded up, at least one where anything is to be done.
    #[must_use]
    pub fn around(likely: u64, unit: Unit, reason: Message) -> Self {
        let share = |percent: u64| likely.saturating_mul(percent).div_ceil(100);
        Self { optimistic: share(OPTIMISTIC), likely, pessimistic: share(PESSIMISTIC), unit, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_lies_around_what_is_likely() {
        let range = Range::around(10, Unit::WorkingDays, Message::new("x"));
        assert_eq!((range.optimistic, range.likely, range.pessimistic), (7, 10, 20));
        let range = Range::around(1, Unit::Minutes, Message::new("x"));
        assert_eq!((range.optimistic, range.likely, range.pessimistic), (1, 1, 2));
        assert_eq!(Range::around(0, Unit::Minutes, Message::new("x")).pessimistic, 0);
    }
}
