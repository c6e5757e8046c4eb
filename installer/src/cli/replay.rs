//! `installer replay`: plays the journal of a run through the same front ends as the run itself.
//!
//! With `--output json` a line with topic `replay` follows where the journal has no end.

use std::time::{Duration, Instant};

use sealift_events::{Event, Record, StepEvent};
use serde_json::json;

use crate::failure::Failure;
use crate::output::{Output, nobody_reads};
use crate::runs::{Which, unreadable};

/// What `replay` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// How fast: `1` as it went, `10` ten times as fast, `max` all at once.
    #[arg(long, value_name = "N", default_value = "max", value_parser = speed)]
    speed: Speed,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Speed {
    Times(f64),
    Max,
}

fn speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    match text.parse() {
        Ok(times) if (0.01..=10_000.0).contains(&times) => Ok(Speed::Times(times)),
        _ => Err("give `max` or a number from 0.01 to 10000".to_owned()),
    }
}

impl Speed {
    /// When something is shown that happened this long after the start.
    fn after(self, millis: u64) -> Duration {
        match self {
            Self::Times(times) => {
                Duration::try_from_secs_f64(millis as f64 / 1e3 / times).unwrap_or_default()
            }
            Self::Max => Duration::ZERO,
        }
    }
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let run = arguments.which.find()?;
    let mut journal = run.journal()?;
    let written = journal.is_written().map_err(unreadable)?;
    let records = journal.more().map_err(unreadable)?;
    let ended = records.iter().any(|record| matches!(record.event, StepEvent::RunFinished { .. }));
    if !play(records, arguments.speed, output) {
        return Ok(());
    }
    let cut_line = journal.cut_line().filter(|_| !written);
    let name = &run.name;
    if let Some(line) = cut_line {
        let text = format!("line {line}, the last of the journal, was cut off by a crash and is left out");
        output.line("replay", &text, &json!({"run": name, "cutLine": line}));
    }
    if !ended {
        let text = if written {
            format!("{name} is still going on: follow it with `installer attach {name}`")
        } else {
            format!(
                "{name} has no end: its process is gone; the same install command goes on where it stopped"
            )
        };
        output.line("replay", &text, &json!({"run": name, "goesOn": written}));
    }
    Ok(())
}

/// Shows all records, unless nobody reads them any more.
fn play(records: Vec<Record>, speed: Speed, output: Output) -> bool {
    let sink = output.sink(&[]);
    let started = Instant::now();
    for record in records {
        let wait = speed.after(record.elapsed_millis).saturating_sub(started.elapsed());
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
        sink.take(&Event::Step(record));
        if nobody_reads() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_a_sensible_number_or_all_at_once() {
        assert_eq!(speed("10").map(|speed| speed.after(5000)), Ok(Duration::from_millis(500)));
        assert_eq!(speed("0.5").map(|speed| speed.after(5000)), Ok(Duration::from_secs(10)));
        assert_eq!(speed("max").map(|speed| speed.after(5000)), Ok(Duration::ZERO));
        for wrong in ["0", "-1", "NaN", "inf", "1e9", "fast", ""] {
            assert!(speed(wrong).is_err(), "{wrong}");
        }
    }
}
