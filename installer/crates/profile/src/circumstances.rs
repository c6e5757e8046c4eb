//! What a profile is judged by that does not stand in it.

use jiff::civil::Date;

/// The day, and what other rooms know.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// The day that decides whether an accepted risk has run out.
    pub today: Date,
    /// Ids of all checks there are, which an accepted risk must name one of; `None` where nobody asks.
    pub checks: Option<&'a [&'a str]>,
    /// Whether files of certificates that the profile names are read and judged. Nothing else outside of the profile is
    /// looked at.
    pub files: bool,
}

impl Circumstances<'_> {
    /// A given day; names of checks are not judged, files of certificates are.
    #[must_use]
    pub fn on(today: Date) -> Self {
        Self { today, checks: None, files: true }
    }

    /// Today (UTC); names of checks are not judged.
    #[must_use]
    pub fn now() -> Self {
        Self::on(jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date())
    }
}
