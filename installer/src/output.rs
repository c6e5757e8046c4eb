//! Where words go: data and progress to standard output, failures to standard error; JSON lines on request.

use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use schemars::JsonSchema;
use sealift_events::bar::amount;
pub(crate) use sealift_events::picture::bytes;
use sealift_events::{Record, Sink};
use serde::Serialize;
use serde_json::Value;

use crate::failure::{Failure, Kind};
use crate::jsonl::JsonLines;
use crate::lines::Lines;

/// Between two lines about the same work.
const EVERY: Duration = Duration::from_secs(4);

/// Set when what reads standard output has gone.
static UNREAD: AtomicBool = AtomicBool::new(false);

/// How a verb speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Lines for people.
    Plain,
    /// One JSON object per line for machines.
    Json,
    /// Nothing at all: somebody else draws on the screen.
    #[value(skip)]
    Quiet,
}

impl Output {
    /// One line: a topic and what there is to say.
    pub(crate) fn line(self, topic: &str, text: &str, data: &impl Serialize) {
        match self {
            Self::Plain => say(&format!("{topic:<9} {text}")),
            Self::Json => {
                let data = serde_json::to_value(data).unwrap_or_default();
                Self::json_line(&TopicLine { version: sealift_events::VERSION, topic, text, data });
            }
            Self::Quiet => {}
        }
    }

    /// A line that only people need.
    pub(crate) fn remark(self, text: &str) {
        if self == Self::Plain {
            say(text);
        }
    }

    /// Says every few seconds how far work with many bytes is, from any thread.
    pub(crate) fn moving(self, what: &str) -> impl Fn(u64, u64) + Sync {
        let last = Mutex::new(Instant::now());
        move |done, total| {
            let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if done < total && last.elapsed() >= EVERY {
                *last = Instant::now();
                self.remark(&format!("{what:<9} {}", amount(done, total, None, None)));
            }
        }
    }

    /// A reader of a run's events that goes on after `seen`.
    pub(crate) fn sink(self, seen: &[Record]) -> Box<dyn Sink> {
        match self {
            Self::Plain | Self::Quiet => Box::new(Lines::after(seen)),
            Self::Json => Box::new(JsonLines),
        }
    }

    pub(crate) fn json_line(value: &impl Serialize) {
        match serde_json::to_string(value) {
            Ok(line) => say(&line),
            Err(error) => say(&format!("{{\"version\":1,\"topic\":\"error\",\"text\":\"{error}\"}}")),
        }
    }

    pub(crate) fn failure(self, failure: &Failure) {
        match self {
            // A terminal that has gone takes no words, and that is no reason to end otherwise.
            Self::Plain | Self::Quiet => {
                let _ = io::stderr().lock().write_all(plain(failure).as_bytes());
            }
            Self::Json => {
                Self::json_line(&ErrorLine {
                    version: sealift_events::VERSION,
                    topic: ErrorWord::Error,
                    text: &failure.message,
                    data: failure,
                    exit_code: failure.exit_code(),
                });
            }
        }
    }
}

/// What a verb says besides a run's events.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("allOf" = [
    {
        "if": {"properties": {"topic": {"const": "state"}}},
        "then": {"properties": {"data": {"$ref": "#/$defs/StateData"}}},
    },
    {
        "if": {"properties": {"topic": {"const": "run"}}},
        "then": {"properties": {"data": {"$ref": "#/$defs/RunData"}}},
    },
]))]
pub(crate) struct TopicLine<'a> {
    /// Version of the event format.
    #[schemars(extend("const" = sealift_events::VERSION))]
    pub(crate) version: u32,
    /// What it is about, such as `plan`, `state` or `done`; `ask` where one line with an answer is waited for.
    #[schemars(extend("not" = {"const": "error"}))]
    pub(crate) topic: &'a str,
    /// One line for people.
    pub(crate) text: &'a str,
    /// The same for machines; its form goes with the topic.
    pub(crate) data: Value,
}

/// Why the program ends without success; always its last line.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorLine<'a> {
    /// Version of the event format.
    #[schemars(extend("const" = sealift_events::VERSION))]
    version: u32,
    /// Tells the line from those about other topics.
    topic: ErrorWord,
    /// What failed, naming the object.
    text: &'a str,
    /// All that is known about it.
    data: &'a Failure,
    /// The exit code: 1 internal, 2 usage or profile, 3 checks failed, 4 run failed and resumable, 5 verification
    /// failed.
    exit_code: u8,
}

/// The topic of a line about an error.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum ErrorWord {
    /// The only one.
    Error,
}

/// Writes one line. A reader that has gone (`| head`) ends no work: the journal has it all. Who only shows, asks
/// [`nobody_reads`] whether to go on.
pub(crate) fn say(line: &str) {
    let mut out = io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        UNREAD.store(true, Ordering::Relaxed);
    }
}

/// Whether what read standard output has gone.
pub(crate) fn nobody_reads() -> bool {
    UNREAD.load(Ordering::Relaxed)
}

/// Writes a document as it is. One that is not all there is a failure, unless whoever reads it has gone: they have what they
/// wanted.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let mut failure = Failure::new(Kind::Usage, "cannot write all of it to standard output");
            failure.causes.push(error.to_string());
            Err(failure.hint("make room where it goes, or send it somewhere else"))
        }
        _ => Ok(()),
    }
}

fn plain(failure: &Failure) -> String {
    let mut text = format!("error: {}\n", failure.message);
    for cause in &failure.causes {
        for (index, line) in cause.lines().enumerate() {
            text.push_str(if index == 0 { "  " } else { "    " });
            text.push_str(line);
            text.push('\n');
        }
    }
    for line in &failure.log {
        text.push_str("  | ");
        text.push_str(line);
        text.push('\n');
    }
    for (index, hint) in failure.hints.iter().enumerate() {
        text.push_str(if index == 0 { "  next: " } else { "        " });
        text.push_str(hint);
        text.push('\n');
    }
    text
}

/// `1 node`, `5 nodes`.
pub(crate) fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_cause_first_then_what_to_do() {
        let mut failure = Failure::new(Kind::Checks, "w1 (10.0.0.21) cannot be reached").hint("switch it on");
        failure.causes.push("No route to host".into());
        let expected = "error: w1 (10.0.0.21) cannot be reached\n  No route to host\n  next: switch it on\n";
        assert_eq!(plain(&failure), expected);
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!([counted(0, "node"), counted(1, "node")], ["0 nodes", "1 node"]);
        assert_eq!(bytes(612_400_000), "612 MB");
        assert_eq!(bytes(1_310_000_000), "1.3 GB");
    }
}
