//! Where a run stands, in a few lines: what a viewer gets who comes late.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use sealift_events::state::{HostState, RunState};
use sealift_events::{FailureReport, ProgressEvent, RunResult};
use serde::Serialize;

use crate::output::{Output, bytes};

/// Everything that is known about a run.
pub(super) struct View<'a> {
    /// Name of its folder.
    pub(super) run: &'a str,
    pub(super) state: &'a RunState,
    /// What running steps said last, by step.
    pub(super) progress: &'a BTreeMap<String, ProgressEvent>,
    /// Whether its process lives.
    pub(super) written: bool,
    pub(super) now: Timestamp,
}

/// A headline, a line for each host and one for each failure; for machines one line with all of it.
pub(super) fn say_state(view: &View<'_>, output: Output) {
    output.line("state", &view.headline(), &view.data());
    for (name, host) in &view.state.hosts {
        output.remark(&format!("{name:<9} {}", view.host(name, host)));
    }
    for (step, failure) in &view.state.failures {
        output.remark(&format!("failed    {step}: {}", failure.message));
    }
}

impl View<'_> {
    fn headline(&self) -> String {
        let state = self.state;
        if state.run.is_empty() {
            return format!("{}: no event yet", self.run);
        }
        let stands = match state.result {
            Some(RunResult::Done) => "ended well".to_owned(),
            Some(RunResult::Failed) => "ended with a failure".to_owned(),
            Some(RunResult::Cancelled) => "stopped as asked".to_owned(),
            None if self.written => format!("goes on, started {} ago", span(self.elapsed())),
            None => "cut off".to_owned(),
        };
        let (product, site, done, steps) = (&state.product, &state.site, state.done(), state.steps);
        format!("{}: {product} for {site}, {done} of {steps} steps done, {stands}", self.run)
    }

    fn host(&self, name: &str, host: &HostState) -> String {
        let mut parts = vec![format!("{} done", host.done)];
        if host.failed > 0 {
            parts.push(format!("{} failed", host.failed));
        }
        let at = self.running(host).join(", ");
        match &host.last {
            _ if !at.is_empty() && self.goes_on() => parts.push(format!("now {at}")),
            _ if !at.is_empty() => parts.push(format!("was at {at}")),
            Some(last) => parts.push(format!("last {last}")),
            None => parts.push("nothing yet".to_owned()),
        }
        if let Some(silent) = self.silent(name, host) {
            parts.push(format!("heard of {} ago", span(silent)));
        }
        parts.join("; ")
    }

    fn running(&self, host: &HostState) -> Vec<String> {
        let say = |(step, title): (&String, &String)| match self.progress.get(step) {
            // Small totals count things, not bytes.
            Some(said) if said.total >= 1_000_000 => {
                format!("{title} ({} of {})", bytes(said.done), bytes(said.total))
            }
            Some(said) if said.total > 0 => format!("{title} ({} of {})", said.done, said.total),
            _ => title.clone(),
        };
        host.running.iter().map(say).collect()
    }

    fn goes_on(&self) -> bool {
        self.written && self.state.result.is_none()
    }

    fn elapsed(&self) -> u64 {
        self.state.elapsed_millis(self.now)
    }

    /// Milliseconds since a host gave its last sign, while the run goes on.
    fn silent(&self, name: &str, host: &HostState) -> Option<u64> {
        let said = self.progress.values().filter(|said| said.host == name).map(|said| said.elapsed_millis);
        let heard = said.chain([host.heard_millis]).max().unwrap_or_default();
        // A host that nothing was asked of has no age.
        let asked = host.last.is_some() || !host.running.is_empty();
        (self.goes_on() && asked).then(|| self.elapsed().saturating_sub(heard))
    }

    fn data(&self) -> StateData<'_> {
        let state = self.state;
        StateData {
            run: self.run,
            site: &state.site,
            product: &state.product,
            steps: state.steps,
            done: state.done(),
            result: state.result,
            goes_on: self.goes_on(),
            hosts: state.hosts.iter().map(|(name, host)| self.host_data(name, host)).collect(),
            failures: state.failures.iter().map(|(step, failure)| FailedData { step, failure }).collect(),
        }
    }

    fn host_data<'b>(&'b self, name: &'b str, host: &'b HostState) -> HostData<'b> {
        let running = host.running.iter();
        HostData {
            host: name,
            done: host.done,
            changed: host.changed,
            failed: host.failed,
            running: running
                .map(|(step, title)| RunningData { step, title, progress: self.progress.get(step) })
                .collect(),
            last: host.last.as_deref(),
            silent_millis: self.silent(name, host),
        }
    }
}

/// Where a run stands: the data of the line with topic `state`, from which on its events follow.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StateData<'a> {
    /// Name of the run's folder.
    run: &'a str,
    /// Site name; empty before the first event.
    site: &'a str,
    /// Product and version; empty before the first event.
    product: &'a str,
    /// Steps in all.
    steps: u32,
    /// Steps done on all hosts.
    done: u32,
    /// How it ended; null while it goes on, and where it was cut off.
    result: Option<RunResult>,
    /// Whether its process lives and has not said how it ended.
    goes_on: bool,
    /// All hosts, in the order of their names.
    hosts: Vec<HostData<'a>>,
    /// What failed for good.
    failures: Vec<FailedData<'a>>,
}

/// Where a host stands.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct HostData<'a> {
    /// Host name.
    host: &'a str,
    /// Steps done.
    done: u32,
    /// Of these, steps that changed something.
    changed: u32,
    /// Steps that failed for good.
    failed: u32,
    /// Steps that have begun and not ended.
    running: Vec<RunningData<'a>>,
    /// Title of the step that ended last.
    last: Option<&'a str>,
    /// Milliseconds since the host was last heard of; null where nothing was asked of it, or the run does not go on.
    silent_millis: Option<u64>,
}

/// A step that has begun and not ended.
#[derive(Serialize, JsonSchema)]
struct RunningData<'a> {
    /// Step identifier.
    step: &'a str,
    /// What it does, for people.
    title: &'a str,
    /// What it said last, where it has said anything.
    progress: Option<&'a ProgressEvent>,
}

/// A step that failed for good.
#[derive(Serialize, JsonSchema)]
struct FailedData<'a> {
    /// Step identifier.
    step: &'a str,
    /// Why.
    failure: &'a FailureReport,
}

/// A time in one unit, the finer one as long as it says more.
fn span(millis: u64) -> String {
    match millis / 1000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_one_unit() {
        let told = [0, 119_999, 120_000, 7_199_999, 7_200_000].map(span);
        assert_eq!(told, ["0 s", "119 s", "2 min", "119 min", "2 h"]);
    }
}
