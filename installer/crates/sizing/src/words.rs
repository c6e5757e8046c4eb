//! Numbers in words: units as machines are sold, rounded up, never more digits than matter.

use serde::Serialize;

/// A number with the sentence that explains it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// The number, in `unit`.
    pub amount: u64,
    /// What it counts.
    pub unit: Unit,
    /// How it came about: one sentence with the numbers in it.
    pub because: String,
    /// What it was calculated from: keys of the profile (`needs.users`) and of the sizing model (`parts.web`).
    pub inputs: Vec<String>,
    /// Whether one of the inputs is assumed and not told or measured.
    pub assumed: bool,
}

/// What a [`Figure`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Unit {
    /// Thousandths of a processor.
    Millicores,
    /// Bytes.
    Bytes,
    /// Machines.
    Machines,
    /// Thousandths of a person at work (growth makes fractions).
    Millisessions,
    /// Thousandths of a request per second.
    MillirequestsPerSecond,
    /// Pods: the cluster's smallest unit of something that runs.
    Pods,
}

/// Thousandths as people write them: `24.48`, `0.5`, `4`; at most two decimals, rounded up.
#[must_use]
pub fn decimal(thousandths: u64) -> String {
    let hundredths = thousandths.div_ceil(10);
    let text = format!("{}.{:02}", grouped(hundredths / 100), hundredths % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Thousandths of a processor: `4 cores`, `0.18 cores`, `1 core`.
#[must_use]
pub fn cores(millicores: u64) -> String {
    let number = decimal(millicores);
    if number == "1" { "1 core".to_owned() } else { format!("{number} cores") }
}

/// Memory as machines are sold (a gigabyte of 1024³ bytes): `32 GB`, `3.56 GB`, `50 MB`.
#[must_use]
pub fn memory(bytes: u64) -> String {
    let mebibytes = bytes.div_ceil(1 << 20);
    if mebibytes < 1024 {
        format!("{mebibytes} MB")
    } else {
        let thousandths = u128::from(bytes) * 1000;
        format!("{} GB", decimal(narrow(thousandths.div_ceil(1 << 30))))
    }
}

/// Disk as disks are sold (a gigabyte of 1000³ bytes): `990 GB`, `1.2 GB`, `500 MB`, rounded up.
#[must_use]
pub fn disk(bytes: u64) -> String {
    match bytes {
        0..1_000_000_000 => format!("{} MB", bytes.div_ceil(1_000_000)),
        1_000_000_000..100_000_000_000 => {
            let tenths = bytes.div_ceil(100_000_000);
            format!("{} GB", decimal(tenths * 100))
        }
        _ => format!("{} GB", grouped(bytes.div_ceil(1_000_000_000))),
    }
}

/// A whole number with its thousands set apart: `12,500`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 machine`, `5 machines`.
#[must_use]
pub fn machines(count: u64) -> String {
    if count == 1 { "1 machine".to_owned() } else { format!("{} machines", grouped(count)) }
}

/// The number where it fits, else the largest: absurd input gives absurdly large, never small or wrapped, results.
pub(crate) fn narrow(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!([24_480, 500, 4000, 6222, 1].map(decimal), ["24.48", "0.5", "4", "6.23", "0.01"]);
        assert_eq!([cores(1000), cores(180)], ["1 core", "0.18 cores"]);
        assert_eq!(
            [memory(32 << 30), memory(50 << 20), memory((3 << 30) + (1 << 29))],
            ["32 GB", "50 MB", "3.5 GB"]
        );
        assert_eq!([disk(990_000_000_000), disk(1_210_000_000), disk(1)], ["990 GB", "1.3 GB", "1 MB"]);
        assert_eq!([999, 1000, 1_234_567].map(grouped), ["999", "1,000", "1,234,567"]);
        assert_eq!(narrow(u128::MAX), u64::MAX);
    }
}
