//! The log of a run as it is read: whose lines, which of them, and how a line looks.

use sealift_events::picture::{LogLine, clock};

use crate::model::Model;

/// Which lines of a run's log are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// Those of this host; none for all.
    pub host: Option<String>,
    /// Those with this text in them, in large letters or small; empty for all.
    pub text: String,
    /// Only those about something that went wrong.
    pub troubles: bool,
}

/// Lines of a run's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogLines {
    /// Those that were wanted, the oldest first.
    pub lines: Vec<String>,
    /// How many there are of the host, or of all.
    pub of: usize,
}

impl LogFilter {
    fn takes(&self, line: &LogLine, shown: &str) -> bool {
        let wanted = self.text.trim().to_lowercase();
        (line.trouble || !self.troubles) && shown.to_lowercase().contains(&wanted)
    }
}

impl Model {
    /// The log of the run that is watched, as far as it is wanted.
    #[must_use]
    pub fn log(&self, filter: &LogFilter) -> LogLines {
        let all = self.picture().map_or(&[][..], |picture| &picture.log);
        let mut found = LogLines::default();
        for line in all.iter().filter(|line| filter.host.is_none() || line.host == filter.host) {
            found.of += 1;
            let shown = shown(line, filter.host.is_none());
            if filter.takes(line, &shown) {
                found.lines.push(shown);
            }
        }
        found
    }
}

/// With its host where lines of others stand beside it.
fn shown(line: &LogLine, with_host: bool) -> String {
    let at = clock(line.at_millis);
    if with_host {
        format!("{at} {}  {}", line.host.as_deref().unwrap_or("-"), line.text)
    } else {
        format!("{at} {}", line.text)
    }
}
