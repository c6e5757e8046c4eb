//! The pages around a run: those that are there, the question before it, the run itself, what stands at its end.

use sealift_events::picture::{
    FailedStep, HostPicture, RunOutcome, RunPicture, RunSummary, Standing, StepPicture, bytes, clock,
};
use sealift_profile::Cluster;

use crate::effect::Trouble;
use crate::model::{Model, Task};
use crate::page::PageId;
use crate::runs::{groups, standing_key};
use crate::screen::{Action, Progress, Row};

impl Model {
    pub(super) fn start_rows(&self) -> Vec<Row> {
        let words = self.words();
        if self.runs.found.is_empty() {
            return Vec::new();
        }
        let line = |run: &RunSummary| {
            let steps = [("done", &*run.done.to_string()), ("steps", &*run.steps.to_string())];
            let state = words.text(&format!("run.{}", standing_key(run.standing)));
            vec![run.run.clone(), run.site.clone(), state, words.fill("run.steps", &steps)]
        };
        vec![Row::Table {
            names: ["name", "site", "state", "done"].map(|name| words.text(&format!("runs.{name}"))).to_vec(),
            lines: self.runs.found.iter().map(line).collect(),
        }]
    }

    pub(super) fn confirm_rows(&self) -> Vec<Row> {
        let words = self.words();
        let file = self.file.display().to_string();
        let open = self.problems().len() + self.left_open.len();
        let mut rows = self.beginning_rows();
        rows.push(Row::Text(words.fill("confirm.saved", &[("file", &file)])));
        if open > 0 {
            rows.push(Row::Text(words.fill("confirm.open", &[("count", &open.to_string())])));
        }
        rows.push(match &self.planned {
            Task::Done { value, outdated: false } => {
                let keep = self.plan_file().display().to_string();
                let summary = self.about_plan("plan.short", value);
                Row::Text(words.fill("confirm.plan", &[("plan", &summary), ("file", &keep)]))
            }
            Task::Done { .. } => self.text("confirm.oldPlan"),
            _ => self.text("confirm.noPlan"),
        });
        rows.push(self.heading("confirm.next"));
        rows.extend(self.commands().into_iter().map(Row::Text));
        rows.push(self.heading("confirm.now"));
        rows
    }

    /// Why an install could not be begun.
    fn beginning_rows(&self) -> Vec<Row> {
        match &self.runs.beginning {
            Task::Failed(trouble) => self.trouble_rows("run.notBegun", trouble),
            _ => Vec::new(),
        }
    }

    fn trouble_rows(&self, key: &str, trouble: &Trouble) -> Vec<Row> {
        let words = self.words();
        let next = trouble.remedies.iter().map(|remedy| words.fill("run.nextStep", &[("remedy", remedy)]));
        let mut rows = vec![Row::Warning(words.fill(key, &[("message", &trouble.message)]))];
        rows.extend(trouble.causes.iter().cloned().chain(next).map(Row::Text));
        rows
    }

    pub(super) fn install_rows(&self) -> Vec<Row> {
        let mut rows = self.beginning_rows();
        let Some(watched) = &self.runs.watched else {
            rows.push(self.text("run.none"));
            return rows;
        };
        if let Some(trouble) = &watched.trouble {
            rows.extend(self.trouble_rows("run.unseen", trouble));
        }
        match watched.picture.as_deref() {
            Some(picture) => rows.extend(self.picture_rows(picture)),
            None if watched.trouble.is_none() => {
                rows.push(Row::Text(self.words().fill("run.noSign", &[("run", &watched.run)])));
            }
            None => {}
        }
        rows
    }

    fn picture_rows(&self, picture: &RunPicture) -> Vec<Row> {
        let mut rows = vec![Row::Progress(self.cluster(picture))];
        rows.extend(picture.failures.iter().flat_map(|failed| self.cause(failed)));
        rows.extend(picture.hosts.iter().flat_map(|host| {
            let stuck = host.running.iter().filter(|step| step.is_stuck());
            stuck.map(|step| self.stuck(&host.name, step))
        }));
        for (role, hosts) in groups(&picture.hosts) {
            if let Some(role) = role {
                rows.push(self.group(role, &hosts));
            }
            rows.extend(hosts.into_iter().map(|host| Row::Progress(self.host_line(picture, host))));
        }
        for failed in picture.failures.iter().filter(|failed| !failed.failure.log.is_empty()) {
            let places = [("host", failed.host.as_str()), ("title", &failed.title)];
            rows.push(Row::Heading(self.words().fill("run.rawLog", &places)));
            rows.push(Row::Log(failed.failure.log.clone()));
        }
        rows
    }

    /// The line of all hosts.
    fn cluster(&self, picture: &RunPicture) -> Progress {
        let words = self.words();
        let standing = Standing::of(picture);
        let key = if standing == Standing::GoesOn && picture.stopping {
            "run.stopping".to_owned()
        } else {
            format!("run.{}", standing_key(standing))
        };
        let state = words.text(&key);
        let places = [("elapsed", &*clock(picture.elapsed_millis)), ("state", &state)];
        Progress {
            name: words.text("run.cluster"),
            done: picture.done,
            total: picture.steps,
            text: words.fill("run.clusterText", &places),
            alarm: matches!(standing, Standing::Failed | Standing::CutOff),
            ..Progress::default()
        }
    }

    /// The cause and the next step of a failure.
    fn cause(&self, failed: &FailedStep) -> Vec<Row> {
        let words = self.words();
        let failure = &failed.failure;
        let places =
            [("host", failed.host.as_str()), ("title", &failed.title), ("message", &failure.message)];
        let key = if failed.host.is_empty() { "run.failure.noHost" } else { "run.failure" };
        let mut rows = vec![Row::Warning(words.fill(key, &places))];
        rows.extend(failure.causes.iter().cloned().map(Row::Text));
        let hint = failure.hint.clone().unwrap_or_else(|| words.text("run.failure.next"));
        rows.push(Row::Text(words.fill("run.nextStep", &[("remedy", &hint)])));
        rows
    }

    fn stuck(&self, host: &str, step: &StepPicture) -> Row {
        let limit = (step.limit_millis.unwrap_or_default() / 1000).to_string();
        let silent = (step.silent_millis / 1000).to_string();
        let places = [("host", host), ("title", &step.title), ("silent", &silent), ("limit", &limit)];
        Row::Warning(self.words().fill("run.stuck", &places))
    }

    /// What a group of hosts is, and how many of it are done or failed.
    fn group(&self, role: &str, hosts: &[&HostPicture]) -> Row {
        let done = hosts.iter().filter(|host| host.steps > 0 && host.done >= host.steps).count();
        let failed = hosts.iter().filter(|host| host.failed > 0).count();
        let role = self.role(role);
        let places = [
            ("role", role.as_str()),
            ("count", &hosts.len().to_string()),
            ("done", &done.to_string()),
            ("failed", &failed.to_string()),
        ];
        Row::Heading(self.words().fill("run.group", &places))
    }

    /// What a host does, in words where they are known.
    fn role(&self, role: &str) -> String {
        self.words().find(&format!("choice.{role}")).unwrap_or(role).to_owned()
    }

    fn host_line(&self, picture: &RunPicture, host: &HostPicture) -> Progress {
        let words = self.words();
        let seconds = |millis: u64| (millis / 1000).to_string();
        let age = host.silent_millis.map(|millis| words.fill("run.age", &[("seconds", &seconds(millis))]));
        Progress {
            name: host.name.clone(),
            role: self.role(&host.role),
            opens: true,
            done: host.done,
            total: host.steps,
            text: self.host_text(picture, host),
            age,
            alarm: host.failed > 0 || host.running.iter().any(StepPicture::is_stuck),
        }
    }

    fn host_text(&self, picture: &RunPicture, host: &HostPicture) -> String {
        let words = self.words();
        let failed = picture.failures.iter().find(|failed| failed.host == host.name);
        let steps: Vec<String> = host.running.iter().map(|step| self.step_text(step)).collect();
        let (key, title) = match (failed, &host.last) {
            (Some(failed), _) => ("run.host.failed", failed.title.clone()),
            _ if !steps.is_empty() && picture.goes_on => return steps.join("; "),
            _ if !steps.is_empty() => ("run.host.was", steps.join("; ")),
            _ if host.steps > 0 && host.done >= host.steps => ("run.host.done", String::new()),
            (None, Some(last)) => ("run.host.last", last.clone()),
            (None, None) => ("run.host.nothing", String::new()),
        };
        words.fill(key, &[("title", &title)])
    }

    /// What a step does, with bytes, rate and time left where bytes move; numbers first, since titles are long.
    fn step_text(&self, step: &StepPicture) -> String {
        let words = self.words();
        let title = if step.message.is_empty() { &step.title } else { &step.message };
        if step.total == 0 {
            return title.clone();
        }
        let number = |count: u64| if step.total >= 1_000_000 { bytes(count) } else { count.to_string() };
        let places = [("done", &*number(step.done)), ("total", &number(step.total))];
        let rate = step.bytes_per_second.map(|rate| words.fill("run.rate", &[("rate", &bytes(rate))]));
        let left = step.left_millis.map(|left| words.fill("run.left", &[("time", &clock(left))]));
        let mut parts = vec![words.fill("run.amount", &places)];
        parts.extend(rate.into_iter().chain(left));
        parts.push(title.clone());
        parts.join(&words.text("run.comma"))
    }

    pub(super) fn result_rows(&self) -> Vec<Row> {
        let words = self.words();
        let (Some(watched), Some(picture)) = (&self.runs.watched, self.picture()) else {
            return vec![self.text("run.none")];
        };
        let mut rows = match &picture.outcome {
            Some(outcome) => self.outcome_rows(outcome),
            None => vec![self.text("result.unknown")],
        };
        rows.extend(self.address_rows());
        rows.push(self.heading("result.records"));
        let folder = self.records(&watched.run).display().to_string();
        rows.push(Row::Text(words.fill("result.folder", &[("folder", &folder)])));
        match &self.runs.handover {
            Task::Done { value, .. } => {
                let file = value.file.display().to_string();
                rows.push(Row::Text(words.fill("result.report", &[("file", &file)])));
            }
            Task::Waiting(_) => rows.push(self.text("result.reporting")),
            Task::Failed(trouble) => rows.extend(self.trouble_rows("result.noReport", trouble)),
            Task::Idle => {}
        }
        rows.push(self.heading("result.next"));
        rows.extend(self.commands_after(&folder).into_iter().map(Row::Text));
        rows
    }

    fn outcome_rows(&self, outcome: &RunOutcome) -> Vec<Row> {
        let words = self.words();
        let places = [
            ("ready", &*outcome.ready.to_string()),
            ("nodes", &*outcome.nodes.to_string()),
            ("voters", &*outcome.voters.to_string()),
            ("pods", &*outcome.pods.to_string()),
        ];
        let mut rows = vec![Row::Text(words.fill("result.cluster", &places))];
        if outcome.tests.is_empty() {
            rows.push(self.text("result.noTests"));
            return rows;
        }
        let told = outcome.tests.iter().any(|test| !test.detail.is_empty());
        let line = |test: &sealift_events::picture::TestOutcome| {
            let passed = words.text(if test.passed { "result.passed" } else { "result.failed" });
            let seen = told.then(|| test.detail.clone());
            [test.title.clone(), passed].into_iter().chain(seen).collect()
        };
        let names = &["test", "came", "seen"][..if told { 3 } else { 2 }];
        rows.push(Row::Table {
            names: names.iter().map(|name| words.text(&format!("result.{name}"))).collect(),
            lines: outcome.tests.iter().map(line).collect(),
        });
        rows
    }

    /// Where cluster and product are found, as far as the open profile is that of the run.
    fn address_rows(&self) -> Vec<Row> {
        if !self.is_of_this_site() {
            return Vec::new();
        }
        let words = self.words();
        let defaults = Cluster::default();
        let said = |key: &str| self.draft.get(&format!("cluster.{key}"));
        let name = said("endpoint").and_then(|name| name.as_str()).unwrap_or(&defaults.endpoint).to_owned();
        let port = said("endpointPort").map_or(defaults.endpoint_port.to_string(), ToString::to_string);
        let api = [("address", &*format!("https://{name}:{port}"))];
        let mut rows = vec![self.heading("result.addresses"), Row::Text(words.fill("result.api", &api))];
        let product = self.runs.handover.value().into_iter().flat_map(|handover| &handover.addresses);
        rows.extend(product.map(|address| Row::Text(words.fill("result.product", &[("address", address)]))));
        rows
    }

    /// The commands that come next, as a shell takes them.
    fn commands(&self) -> Vec<String> {
        let plan = match &self.planned {
            Task::Done { outdated: false, .. } => {
                format!(" --plan {}", quoted(&self.plan_file().display().to_string()))
            }
            _ => String::new(),
        };
        let rest = self.common_arguments();
        [("check", ""), ("plan", ""), ("install", plan.as_str())]
            .map(|(verb, plan)| format!("installer {verb}{rest}{plan}"))
            .to_vec()
    }

    /// A command with bundle, profile and whom to trust, as a shell takes it.
    pub(super) fn command(&self, verb: &str) -> String {
        format!("installer {verb}{}", self.common_arguments())
    }

    /// The commands that come after a run.
    fn commands_after(&self, folder: &str) -> Vec<String> {
        let run = self.runs.watched.as_ref().map_or("", |watched| watched.run.as_str());
        let mut commands = vec![format!("installer replay {}", quoted(run))];
        if self.is_of_this_site() {
            let (rest, folder) = (self.common_arguments(), quoted(folder));
            commands.insert(0, format!("installer report{rest} --run {folder} --html handover.html"));
        }
        commands
    }

    /// Bundle, profile and trust as a shell takes them.
    fn common_arguments(&self) -> String {
        let profile = quoted(&self.file.display().to_string());
        let bundle = self.bundle.as_ref().map_or_else(
            || self.words().text("confirm.bundle"),
            |bundle| quoted(&bundle.display().to_string()),
        );
        let trust = self.trust.iter().fold(String::new(), |text, word| text + " " + &quoted(word));
        format!(" --bundle {bundle} --profile {profile}{trust}")
    }

    pub(super) fn run_actions(&self) -> Vec<Action> {
        match (self.page, self.standing()) {
            (PageId::Start, _) if !self.runs.found.is_empty() => vec![Action::WatchRun],
            // One that gave no sign yet goes on, too.
            (PageId::Install, _) if self.run_that_goes_on().is_some() => vec![Action::Detach, Action::Stop],
            (PageId::Install, Some(Standing::Done)) => Vec::new(),
            (PageId::Install, _) => vec![Action::Run],
            _ => Vec::new(),
        }
    }

    /// Whether Next is not closed by a run that has not ended well.
    pub(super) fn run_lets_go_on(&self) -> bool {
        self.page != PageId::Install || self.standing() == Some(Standing::Done)
    }

    /// Whether something about the run on this page should be looked at.
    pub(super) fn run_wants_somebody(&self) -> bool {
        if self.page != PageId::Install {
            return false;
        }
        let stuck = |host: &HostPicture| host.running.iter().any(StepPicture::is_stuck);
        match self.picture() {
            Some(picture) if picture.goes_on => picture.hosts.iter().any(stuck),
            Some(picture) => Standing::of(picture) != Standing::Done,
            None => self.run_that_goes_on().is_none(),
        }
    }

    /// The sentence about the run, on the pages that are about one.
    pub(super) fn run_message(&self) -> Option<String> {
        let words = self.words();
        let watched = self.runs.watched.as_ref();
        let run = watched.map_or("", |watched| watched.run.as_str());
        let stopping = self.picture().is_some_and(|picture| picture.stopping);
        let key = match (self.page, self.standing()) {
            (PageId::Confirm | PageId::Install, _) if self.runs.is_beginning() => "message.beginning",
            (PageId::Confirm, _) if self.runs.site_again.is_some() => "message.confirmed",
            (PageId::Confirm, _) => "message.confirm",
            (PageId::Install, Some(Standing::GoesOn)) if stopping => "message.stopping",
            (PageId::Install, Some(Standing::GoesOn)) if self.run_wants_somebody() => "message.stuck",
            (PageId::Install, Some(Standing::Unreadable)) => "message.unseen",
            (PageId::Install, None) if self.run_that_goes_on().is_none() => "message.unseen",
            (PageId::Install, None | Some(Standing::GoesOn)) => "message.goesOn",
            (PageId::Install, Some(Standing::Done)) => "message.done",
            (PageId::Install, Some(Standing::Failed)) => "message.failed",
            (PageId::Install, Some(Standing::Stopped)) => "message.stopped",
            (PageId::Install, Some(Standing::CutOff)) => "message.cutOff",
            (PageId::Result, _) => "message.result",
            _ => return None,
        };
        Some(words.fill(key, &[("run", run)]))
    }

    /// What is said of a run to somebody who leaves.
    pub(super) fn leave_run(&self) -> Option<String> {
        let words = self.words();
        if self.runs.is_beginning() {
            return Some(words.text("leave.beginning"));
        }
        self.run_that_goes_on().map(|run| words.fill("leave.run", &[("run", run)]))
    }
}

/// A word as a shell takes it.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=~".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}
