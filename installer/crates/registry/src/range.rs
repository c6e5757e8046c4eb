//! Single byte ranges, as RFC 9110 has them.

/// What part of a representation to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it: no range was asked for, or one in a form that may be ignored (several, another unit).
    Whole,
    /// From the first to the last byte, both included.
    Range(u64, u64),
    /// Nothing of it lies in the range.
    Unsatisfiable,
}

/// Reads a `Range` header for a representation of `size` bytes.
pub(crate) fn parse(header: &str, size: u64) -> Part {
    let Some((first, last)) = header.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-'))
    else {
        return Part::Whole;
    };
    let number = |text: &str| {
        text.trim().parse::<u64>().ok().filter(|_| text.trim().bytes().all(|c| c.is_ascii_digit()))
    };
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first > last => Part::Whole,
        (Some(first), _) if first >= size && (last.trim().is_empty() || number(last).is_some()) => {
            Part::Unsatisfiable
        }
        (Some(first), Some(last)) => Part::Range(first, last.min(size - 1)),
        (Some(first), None) if last.trim().is_empty() => Part::Range(first, size - 1),
        (None, Some(count)) if first.trim().is_empty() => match count {
            0 => Part::Unsatisfiable,
            _ if size == 0 => Part::Unsatisfiable,
            _ => Part::Range(size.saturating_sub(count), size - 1),
        },
        _ => Part::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        use Part::{Range, Unsatisfiable, Whole};
        let cases = [
            ("bytes=0-", 10, Range(0, 9)),
            ("bytes=4-", 10, Range(4, 9)),
            ("bytes=4-6", 10, Range(4, 6)),
            ("bytes=4-600", 10, Range(4, 9)),
            ("bytes=-3", 10, Range(7, 9)),
            ("bytes=-30", 10, Range(0, 9)),
            ("bytes=10-", 10, Unsatisfiable),
            ("bytes=-0", 10, Unsatisfiable),
            ("bytes=0-", 0, Unsatisfiable),
            ("bytes=-5", 0, Unsatisfiable),
            ("bytes=6-4", 10, Whole),
            ("bytes=0-1,4-5", 10, Whole),
            ("lines=0-1", 10, Whole),
            ("bytes=a-b", 10, Whole),
            ("bytes=+1-2", 10, Whole),
            ("bytes=-", 10, Whole),
        ];
        for (header, size, part) in cases {
            assert_eq!(parse(header, size), part, "{header} of {size}");
        }
    }
}
