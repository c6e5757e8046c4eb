//! Stages: what a long command does, one line each, with time, bytes and whether the result was there already.

use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

/// One stage that is done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageRecord {
    /// Short name, such as `payload`.
    pub name: String,
    /// Wall time.
    pub seconds: f64,
    /// Bytes of the result, where it has a size.
    pub bytes: u64,
    /// Whether the result was there already, made from the same content.
    pub skipped: bool,
}

/// What a stage hands back beside its value.
#[derive(Debug, Clone, Copy, Default)]
pub struct Done {
    /// Bytes of the result, where it has a size.
    pub bytes: u64,
    /// Whether the result was there already.
    pub skipped: bool,
}

/// How stages are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Show {
    /// One line per stage.
    Lines,
    /// One JSON object per stage and line.
    Json,
}

/// The stages of one command.
pub struct Stages {
    show: Show,
    records: Vec<StageRecord>,
}

impl Stages {
    /// Nothing done yet.
    pub fn new(show: Show) -> Self {
        Self { show, records: Vec::new() }
    }

    /// Runs a stage, shows its line and keeps its record. The line also comes when it fails.
    pub fn run<T>(&mut self, name: &str, work: impl FnOnce() -> Result<(T, Done)>) -> Result<T> {
        let start = Instant::now();
        if self.show == Show::Lines {
            println!("{name:<12} …");
        }
        let result = work();
        let seconds = start.elapsed().as_secs_f64();
        match result {
            Ok((value, done)) => {
                let record =
                    StageRecord { name: name.to_owned(), seconds, bytes: done.bytes, skipped: done.skipped };
                self.print(&record);
                self.records.push(record);
                Ok(value)
            }
            Err(error) => {
                if self.show == Show::Lines {
                    println!("{name:<12} {seconds:>8.1} s   failed");
                }
                Err(error.context(format!("stage {name} failed")))
            }
        }
    }

    /// All stages done so far, in order.
    pub fn records(&self) -> &[StageRecord] {
        &self.records
    }

    fn print(&self, record: &StageRecord) {
        match self.show {
            Show::Lines => println!("{}", line(record)),
            Show::Json => println!("{}", serde_json::json!({ "stage": record })),
        }
    }
}

fn line(record: &StageRecord) -> String {
    let size = if record.bytes == 0 { String::new() } else { human_bytes(record.bytes) };
    let result = if record.skipped { "unchanged, skipped" } else { "done" };
    format!("{:<12} {:>8.1} s  {size:>10}  {result}", record.name, record.seconds)
}

/// Bytes as people read them: decimal units, three digits.
pub fn human_bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_kept_in_order_and_a_failure_says_which() {
        let mut stages = Stages::new(Show::Json);
        let value = stages.run("first", || Ok((7, Done { bytes: 10, skipped: true }))).unwrap();
        assert_eq!(value, 7);
        let error = stages.run::<()>("second", || anyhow::bail!("reason")).unwrap_err();
        assert_eq!(format!("{error:#}"), "stage second failed: reason");
        let names: Vec<_> =
            stages.records().iter().map(|record| (record.name.as_str(), record.skipped)).collect();
        assert_eq!(names, [("first", true)]);
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(human_bytes(999), "999 B");
        assert_eq!(human_bytes(1500), "1.5 kB");
        assert_eq!(human_bytes(2_345_000_000), "2.3 GB");
    }

    #[test]
    fn a_line_has_name_time_size_and_result() {
        let record = StageRecord { name: "bundle".into(), seconds: 1.25, bytes: 5_000_000, skipped: false };
        assert_eq!(line(&record), "bundle            1.2 s      5.0 MB  done");
    }
}
