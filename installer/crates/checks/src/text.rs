//! Numbers for people: always with a unit, never more digits than matter.

/// Bytes in decimal units, as disks are sold: `612 MB`, `31.2 GB`.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes / 1000),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// Bytes in MiB, as memory is counted.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// A time span: `2.3 s`, `45 s`, `61 min`, `26 h`.
pub(crate) fn span(millis: u64) -> String {
    match millis {
        0..10_000 => format!("{:.1} s", millis as f64 / 1e3),
        10_000..120_000 => format!("{} s", millis / 1000),
        120_000..36_000_000 => format!("{} min", millis.saturating_add(30_000) / 60_000),
        _ => format!("{} h", millis.saturating_add(1_800_000) / 3_600_000),
    }
}

/// How long ago something was, milliseconds: `a moment ago`, `45 minutes ago`, `3 days ago`; what lies ahead is `not yet`.
pub(crate) fn ago(millis: i64) -> String {
    match millis / 60_000 {
        i64::MIN..=-2 => "not yet".to_owned(),
        -1..=1 => "a moment ago".to_owned(),
        minutes @ 2..120 => format!("{minutes} minutes ago"),
        minutes @ 120..2880 => format!("{} hours ago", minutes / 60),
        minutes => format!("{} days ago", minutes / 1440),
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn list<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [most @ .., last] => {
            let most: Vec<&str> = most.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", most.join(", "), last.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units() {
        assert_eq!([bytes(999), bytes(612_400_000), bytes(31_249_000_000)], ["0 kB", "612 MB", "31.2 GB"]);
        assert_eq!(mebibytes(1700 << 20), "1700 MiB");
        let spans = [2_340, 45_000, 3_660_000, 86_400_000].map(span);
        assert_eq!(spans, ["2.3 s", "45 s", "61 min", "24 h"]);
        let ages = [-600_000, 0, 45 * 60_000, 5 * 3_600_000, 3 * 86_400_000].map(ago);
        assert_eq!(ages, ["not yet", "a moment ago", "45 minutes ago", "5 hours ago", "3 days ago"]);
        assert_eq!([list::<&str>(&[]), list(&["a"]), list(&["a", "b", "c"])], ["", "a", "a, b and c"]);
    }
}
