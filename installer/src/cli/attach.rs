//! `installer attach`: watches a run that goes on in another process. Only reads, so that any number may watch.
//!
//! First the state so far (with `--output json` one line with topic `state`), then every event as it comes. Ends as the
//! run ends, with its exit code; ending the viewer ends nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use sealift_events::journal::Reader;
use sealift_events::progress::ProgressReader;
use sealift_events::state::RunState;
use sealift_events::{Event, ProgressEvent, RunResult};

use super::run_view::{View, say_state};
use crate::failure::{Failure, Kind};
use crate::output::{Output, nobody_reads};
use crate::runs::{Run, Which, unreadable};

/// Between two looks at the run's files. Looking and not being told: a look is one read at the file's end and one try
/// of a lock, some ten microseconds; it works on every file system; and no notice of the kernel's tells that a lock was
/// given back, which is how a dead run shows.
const LOOK: Duration = Duration::from_millis(200);

/// What `attach` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let run = arguments.which.find()?;
    let journal = run.journal()?;
    let progress = run.progress();
    Viewer { run, journal, progress, state: RunState::default() }.watch(output)
}

struct Viewer {
    run: Run,
    journal: Reader,
    progress: ProgressReader,
    state: RunState,
}

impl Viewer {
    fn watch(mut self, output: Output) -> Result<(), Failure> {
        let mut written = self.journal.is_written().map_err(unreadable)?;
        let seen = self.journal.more().map_err(unreadable)?;
        self.state = RunState::fold(&seen);
        let progress = self.progress_now();
        say_state(
            &View {
                run: &self.run.name,
                state: &self.state,
                progress: &progress,
                written,
                now: Timestamp::now(),
            },
            output,
        );
        let sink = output.sink(&seen);
        loop {
            if let Some(result) = self.state.result {
                return self.ended(result);
            }
            if !written {
                return Err(self.cut());
            }
            if nobody_reads() {
                return Ok(());
            }
            std::thread::sleep(LOOK);
            // In this order: what the run has written before its death is read after its death was seen.
            written = self.journal.is_written().map_err(unreadable)?;
            for record in self.journal.more().map_err(unreadable)? {
                self.state.apply(&record);
                sink.take(&Event::Step(record));
            }
            for progress in self.progress.more() {
                if self.is_running(&progress) {
                    sink.take(&Event::Progress(progress));
                }
            }
        }
    }

    /// What running steps said last.
    fn progress_now(&mut self) -> BTreeMap<String, ProgressEvent> {
        let said = self.progress.more();
        let running = said.into_iter().filter(|progress| self.is_running(progress));
        running.map(|progress| (progress.step.clone(), progress)).collect()
    }

    fn is_running(&self, progress: &ProgressEvent) -> bool {
        self.state.hosts.get(&progress.host).is_some_and(|host| host.running.contains_key(&progress.step))
    }

    /// As the run's own process ends.
    fn ended(&self, result: RunResult) -> Result<(), Failure> {
        match result {
            RunResult::Done => Ok(()),
            RunResult::Cancelled => Err(Failure::stopped()),
            RunResult::Failed => {
                // In the order in which the run's process names them.
                let failures: BTreeMap<_, _> =
                    self.state.failures.iter().map(|(step, report)| (step.as_str(), report)).collect();
                Err(Failure::of_steps(failures))
            }
        }
    }

    fn cut(&self) -> Failure {
        let message = format!(
            "the run {} was cut off: its process is gone, {} of {} steps were done",
            self.run.name,
            self.state.done(),
            self.state.steps
        );
        Failure::new(Kind::Run, message)
            .hint("run the same install command again: it goes on where the run was cut off")
    }
}
