//! A run of 24 hosts as viewers see it: its folder with journal and progress, written here at a steady rate.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use sealift_events::journal::Journal;
use sealift_events::progress::ProgressFile;
use sealift_events::{ProgressEvent, StepEvent};

/// How many hosts the site has.
pub const HOSTS: u32 = 24;
/// Of so many events of a step, the first says that it starts and the last that it is done; the others say how far it is.
const OF_A_STEP: u64 = 10;
/// Steps of the plan: more than there is time for.
const STEPS: u32 = 100_000;

/// Name of a host by its number, from 1.
pub fn host(number: u32) -> String {
    format!("host-{number:02}")
}

/// A run that goes on until this is dropped.
pub struct SiteRun {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl SiteRun {
    /// Begins a run below `runs`, with so many events a second; with none it is silent.
    pub fn begin(runs: &Path, name: &str, a_second: u32) -> Result<Self> {
        let folder = runs.join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let journal = journal(&folder)?;
        journal.record(StepEvent::RunStarted {
            run: name.to_owned(),
            verb: "install".to_owned(),
            site: "bench".to_owned(),
            product: "Orders 4.2.0".to_owned(),
            plan: "sha256:0".to_owned(),
            hosts: (1..=HOSTS).map(host).collect(),
            steps: STEPS,
        })?;
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&written));
        let thread = std::thread::spawn(move || write(&journal, a_second, &stopped, &count));
        Ok(Self { stop, written, thread: Some(thread) })
    }

    /// Events so far.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Ends it; what went wrong with it, if anything.
    pub fn end(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("the run has ended already")?;
        thread.join().map_err(|_| anyhow!("the thread that writes the run broke"))?
    }
}

impl Drop for SiteRun {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn journal(folder: &Path) -> Result<Journal> {
    let path = |name: &str| -> PathBuf { folder.join(name) };
    let progress = ProgressFile::create(&path("progress.jsonl")).context("cannot write progress")?;
    Ok(Journal::create(&path("events.jsonl"), vec![Box::new(progress)])?)
}

/// An event at each of its moments; where the disk is slower than that, it catches up.
fn write(journal: &Journal, a_second: u32, stop: &AtomicBool, written: &AtomicU64) -> Result<()> {
    let pause = if a_second == 0 { Duration::from_millis(50) } else { Duration::from_secs(1) / a_second };
    let mut next = Instant::now();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        if a_second > 0 {
            one(journal, number)?;
            number += 1;
            written.store(number, Ordering::Relaxed);
        }
        next += pause;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

/// The event of this number: each host in turn, so that all of them are at work.
fn one(journal: &Journal, number: u64) -> Result<()> {
    let (turn, of_step) = (number / u64::from(HOSTS), number / u64::from(HOSTS) % OF_A_STEP);
    let host = host(u32::try_from(number % u64::from(HOSTS)).unwrap_or_default() + 1);
    let step = format!("{host}.step-{}", turn / OF_A_STEP);
    if of_step == 0 {
        let title = "fetch the images".to_owned();
        journal.record(StepEvent::StepStarted { step, host, title, attempt: 1 })?;
    } else if of_step == OF_A_STEP - 1 {
        let summary = "12 images, 412 MB".to_owned();
        let (bytes, millis) = (412_000_000, 2160);
        journal.record(StepEvent::StepFinished { step, host, changed: true, summary, bytes, millis })?;
    } else {
        let (done, total) = (of_step * 41_000_000, 412_000_000);
        let message = "registry.k8s.io/etcd:3.6.8-0".to_owned();
        journal.progress(ProgressEvent { step, host, message, done, total, elapsed_millis: 0 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sealift_events::journal::read;

    use super::*;

    #[test]
    fn all_hosts_are_at_work_and_steps_end() {
        let folder = tempfile::tempdir().unwrap();
        let written = journal(folder.path()).unwrap();
        let count = u64::from(HOSTS) * OF_A_STEP;
        for number in 0..count {
            one(&written, number).unwrap();
        }
        let records = read(&folder.path().join("events.jsonl")).unwrap();
        let (mut started, mut finished) = (Vec::new(), Vec::new());
        for record in records {
            match record.event {
                StepEvent::StepStarted { step, .. } => started.push(step),
                StepEvent::StepFinished { step, .. } => finished.push(step),
                other => unreachable!("{other:?}"),
            }
        }
        assert_eq!(started, finished);
        assert_eq!(started.len(), HOSTS as usize);
        let progress = std::fs::read_to_string(folder.path().join("progress.jsonl")).unwrap();
        assert_eq!(progress.lines().count() as u64, count - 2 * u64::from(HOSTS));
    }

    #[test]
    fn a_silent_run_is_one_that_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let run = SiteRun::begin(folder.path(), "2026-11-22-080000", 0).unwrap();
        let path = folder.path().join("2026-11-22-080000/events.jsonl");
        let mut reader = sealift_events::journal::Reader::open(&path).unwrap();
        assert!(reader.is_written().unwrap());
        assert_eq!((reader.more().unwrap().len(), run.written()), (1, 0));
        run.end().unwrap();
        assert!(!reader.is_written().unwrap());
    }
}
