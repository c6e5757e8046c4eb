//! Where a run stands, in a few lines: what a viewer gets who comes late.

use schemars::JsonSchema;
use sealift_events::picture::{FailedStep, HostPicture, PictureFold, RunPicture, Standing, StepPicture};
use sealift_events::{FailureReport, ProgressEvent, RunResult};
use serde::Serialize;

use crate::output::{Output, bytes};
use crate::runs::in_words;

/// A headline, a line for each host and one for each failure; for machines one line with all of it.
pub(super) fn say_state(picture: &RunPicture, fold: &PictureFold, output: Output) {
    output.line("state", &headline(picture), &data(picture, fold));
    for host in &picture.hosts {
        output.remark(&format!("{:<9} {}", host.name, about(host, picture.goes_on)));
    }
    for FailedStep { step, title, failure, .. } in &picture.failures {
        // The question after the last step is none.
        let what = if step.is_empty() { title } else { step };
        output.remark(&format!("failed    {what}: {}", failure.message));
    }
}

fn headline(picture: &RunPicture) -> String {
    let RunPicture { run, site, product, steps, done, .. } = picture;
    if product.is_empty() {
        return format!("{run}: no event yet");
    }
    let mut stands = in_words(Standing::of(picture)).to_owned();
    if picture.goes_on {
        stands = format!("{stands}, started {} ago", span(picture.elapsed_millis));
    }
    if picture.goes_on && picture.stopping {
        stands += ", asked to stop";
    }
    format!("{run}: {product} for {site}, {done} of {steps} steps done, {stands}")
}

fn about(host: &HostPicture, goes_on: bool) -> String {
    let mut parts = vec![format!("{} done", host.done)];
    if host.failed > 0 {
        parts.push(format!("{} failed", host.failed));
    }
    let at = host.running.iter().map(running).collect::<Vec<_>>().join(", ");
    match &host.last {
        _ if !at.is_empty() && goes_on => parts.push(format!("now {at}")),
        _ if !at.is_empty() => parts.push(format!("was at {at}")),
        Some(last) => parts.push(format!("last {last}")),
        None => parts.push("nothing yet".to_owned()),
    }
    if let Some(silent) = host.silent_millis {
        parts.push(format!("heard of {} ago", span(silent)));
    }
    parts.join("; ")
}

fn running(step: &StepPicture) -> String {
    let title = &step.title;
    match step.total {
        0 => title.clone(),
        // Small totals count things, not bytes.
        1..1_000_000 => format!("{title} ({} of {})", step.done, step.total),
        total => format!("{title} ({} of {})", bytes(step.done), bytes(total)),
    }
}

fn data<'a>(picture: &'a RunPicture, fold: &'a PictureFold) -> StateData<'a> {
    let failed = |failed: &'a FailedStep| FailedData { step: &failed.step, failure: &failed.failure };
    StateData {
        run: &picture.run,
        site: &picture.site,
        product: &picture.product,
        steps: picture.steps,
        done: picture.done,
        result: picture.result,
        goes_on: picture.goes_on,
        hosts: picture.hosts.iter().map(|host| host_data(host, fold)).collect(),
        failures: picture.failures.iter().map(failed).collect(),
    }
}

fn host_data<'a>(host: &'a HostPicture, fold: &'a PictureFold) -> HostData<'a> {
    let running = |one: &'a StepPicture| RunningData {
        step: &one.step,
        title: &one.title,
        progress: fold.progress(&host.name, &one.step),
    };
    HostData {
        host: &host.name,
        done: host.done,
        changed: host.changed,
        failed: host.failed,
        running: host.running.iter().map(running).collect(),
        last: host.last.as_deref(),
        silent_millis: host.silent_millis,
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
    /// All hosts, in the profile's order.
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
    /// Step identifier; empty for the question that a run asks after its last step.
    step: &'a str,
    /// Why.
    failure: &'a FailureReport,
}

/// A time in one unit, the finer one as long as it says more.
pub(super) fn span(millis: u64) -> String {
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
