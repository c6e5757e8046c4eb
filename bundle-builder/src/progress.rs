//! What the rooms tell while they work; a front end shows it.

/// Takes notes and byte counts, from several threads at once.
pub trait Progress: Sync {
    /// Something worth a line: a stage that starts or ends, a retry.
    fn note(&self, line: &str);

    /// `done` of `total` bytes of `what`; called often, may be dropped.
    fn advance(&self, what: &str, done: u64, total: u64);
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
    fn sizes_are_readable() {
        let sizes =
            [0, 999, 1000, 1_500_000, 9_994_000, 612_000_000, 999_600_000, 20_000_000_000, 3_000_000_000_000];
        assert_eq!(
            sizes.map(bytes),
            ["0 B", "999 B", "1.0 kB", "1.5 MB", "10.0 MB", "612 MB", "1.0 GB", "20 GB", "3.0 TB"]
        );
    }
}
