//! Where a run stands, in a few lines: what a viewer gets who comes late.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sealift_events::state::{HostState, RunState};
use sealift_events::{ProgressEvent, RunResult};
use serde_json::{Value, json};

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

    fn data(&self) -> Value {
        let state = self.state;
        let hosts: Vec<Value> = state.hosts.iter().map(|(name, host)| self.host_data(name, host)).collect();
        let failures: Vec<Value> =
            state.failures.iter().map(|(step, failure)| json!({"step": step, "failure": failure})).collect();
        json!({
            "run": self.run, "site": state.site, "product": state.product, "steps": state.steps,
            "done": state.done(), "result": state.result, "goesOn": self.goes_on(), "hosts": hosts,
            "failures": failures,
        })
    }

    fn host_data(&self, name: &str, host: &HostState) -> Value {
        let running: Vec<Value> = host
            .running
            .iter()
            .map(|(step, title)| json!({"step": step, "title": title, "progress": self.progress.get(step)}))
            .collect();
        json!({
            "host": name, "done": host.done, "changed": host.changed, "failed": host.failed, "running": running,
            "last": host.last, "silentMillis": self.silent(name, host),
        })
    }
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
