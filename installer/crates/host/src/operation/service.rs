//! A systemd service with its files: written, enabled, started, and up before the step counts as done. One that is not
//! wanted any more is switched off and stopped; its files stay.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use sealift_plan::operation::{Ready, ServiceSpec};

use crate::command::Command;
use crate::context::Context;
use crate::file;
use crate::journal::Change;
use crate::operation::directories;
use crate::protocol::{Failure, FailureKind, Outcome};

/// How long a service may take until it counts as up.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) fn apply(ctx: &Context<'_>, service: &ServiceSpec) -> Result<Outcome, Failure> {
    apply_within(ctx, service, PATIENCE)
}

fn apply_within(ctx: &Context<'_>, service: &ServiceSpec, patience: Duration) -> Result<Outcome, Failure> {
    let unit = Unit { ctx, service };
    let mut made = false;
    for directory in &service.directories {
        made |= directories::ensure(ctx, directory)?;
    }
    let written = unit.write_files()?;
    let before = unit.show()?;
    if written || before.needs_reload {
        ctx.run(Command::new("systemctl").arg("daemon-reload"))?;
    }
    let enabled = unit.enable(&before)?;
    let started = service.running && unit.start(written, &before)?;
    if service.running {
        unit.wait_until_up(patience)?;
    }
    let stopped = !service.running && !service.enabled && unit.stop(&before)?;
    unit.forget_pending()?;
    let did: Vec<&str> = [
        (made, "made its folders"),
        (written, "wrote its files"),
        (enabled, if service.enabled { "enabled it" } else { "disabled it" }),
        (started, if before.active() { "restarted it" } else { "started it" }),
        (stopped, "stopped it"),
    ]
    .into_iter()
    .filter_map(|(done, what)| done.then_some(what))
    .collect();
    let summary = match (did.is_empty(), service.running) {
        (false, _) => format!("{}: {}", service.unit, did.join(", ")),
        (true, true) => format!("{} runs as wanted", service.unit),
        (true, false) => format!("{} is as wanted", service.unit),
    };
    Ok(Outcome::new(!did.is_empty(), summary))
}

struct Unit<'a> {
    ctx: &'a Context<'a>,
    service: &'a ServiceSpec,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct State {
    active: String,
    sub: String,
    file: String,
    needs_reload: bool,
}

impl State {
    fn parse(text: &str) -> Self {
        let mut state = Self::default();
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            match name {
                "ActiveState" => value.clone_into(&mut state.active),
                "SubState" => value.clone_into(&mut state.sub),
                "UnitFileState" => value.clone_into(&mut state.file),
                "NeedDaemonReload" => state.needs_reload = value == "yes",
                _ => {}
            }
        }
        state
    }

    fn active(&self) -> bool {
        self.active == "active"
    }
}

impl Unit<'_> {
    /// A mark that the service must be restarted stands before the first file changes and goes when the service is
    /// up: a killed agent that had written the files only would else leave the old ones at work.
    fn write_files(&self) -> Result<bool, Failure> {
        let mut changed = self.pending().exists();
        for spec in &self.service.files {
            let place = self.ctx.paths().host(&spec.path);
            if !changed && file::read_if_exists(&place)?.as_deref() != Some(spec.content.as_bytes()) {
                self.mark_pending()?;
                changed = true;
            }
            changed |= self.ctx.write_file(&spec.path, spec.content.as_bytes(), spec.mode)?;
        }
        Ok(changed)
    }

    fn pending(&self) -> PathBuf {
        self.ctx.paths().state().join("pending").join(&self.service.unit)
    }

    fn mark_pending(&self) -> Result<(), Failure> {
        let path = self.pending();
        file::make_state_folder(&self.ctx.paths().state().join("pending"))?;
        file::write_atomic(&path, b"", 0o644).map(drop)
    }

    fn forget_pending(&self) -> Result<(), Failure> {
        file::remove_if_exists(&self.pending()).map(drop)
    }

    fn show(&self) -> Result<State, Failure> {
        const PROPERTIES: &str = "ActiveState,SubState,UnitFileState,NeedDaemonReload";
        let command = Command::new("systemctl").args(["show", &self.service.unit, "--property", PROPERTIES]);
        Ok(State::parse(&self.ctx.run(command)?.text()))
    }

    fn enable(&self, before: &State) -> Result<bool, Failure> {
        let unit = self.service.unit.clone();
        // Units of the other kinds start when something asks for them; there is nothing to enable.
        let stands = match before.file.as_str() {
            "enabled" => self.service.enabled,
            "static" | "alias" | "indirect" | "generated" => true,
            _ => !self.service.enabled,
        };
        if stands {
            return Ok(false);
        }
        let (verb, change) = if self.service.enabled {
            ("enable", Change::UnitEnabled { unit: unit.clone() })
        } else {
            ("disable", Change::UnitDisabled { unit: unit.clone() })
        };
        self.ctx.record(change)?;
        self.ctx.run(Command::new("systemctl").args([verb, &unit]))?;
        Ok(true)
    }

    /// Starts it, or restarts it where its files changed. Gives whether it did.
    fn start(&self, files_changed: bool, before: &State) -> Result<bool, Failure> {
        if before.active() && !files_changed {
            return Ok(false);
        }
        let unit = &self.service.unit;
        self.ctx.progress(format!("starting {unit}"), 0, 0);
        self.ctx.record(Change::UnitStarted { unit: unit.clone() })?;
        // A unit that failed too often refuses to start until that is forgotten; none of it may be there yet.
        self.ctx.run_to_end(Command::new("systemctl").args(["reset-failed", unit]))?;
        let restart = Command::new("systemctl").args(["restart", unit]).timeout(Duration::from_mins(3));
        match self.ctx.run(restart) {
            Ok(_) => Ok(true),
            Err(failure) => Err(self.with_journal(failure)),
        }
    }

    /// Stops it where it runs. Gives whether it did.
    fn stop(&self, before: &State) -> Result<bool, Failure> {
        if !before.active() {
            return Ok(false);
        }
        let unit = &self.service.unit;
        self.ctx.record(Change::UnitStopped { unit: unit.clone() })?;
        self.ctx.run(Command::new("systemctl").args(["stop", unit]))?;
        Ok(true)
    }

    fn wait_until_up(&self, patience: Duration) -> Result<(), Failure> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(20);
        loop {
            let state = self.show()?;
            if state.active() && self.ready() {
                return Ok(());
            }
            if state.active == "failed" {
                let message = format!("{} failed to start", self.service.unit);
                return Err(self.with_journal(Failure::new(FailureKind::Command, message)));
            }
            if started.elapsed() >= patience {
                let State { active, sub, .. } = state;
                let seconds = patience.as_secs();
                let message = format!(
                    "{} is not up after {seconds} s: it is {active} ({sub}), and {}",
                    self.service.unit,
                    self.waited_for()
                );
                return Err(self.with_journal(Failure::new(FailureKind::Timeout, message)));
            }
            self.ctx.still_wanted()?;
            self.ctx.progress(format!("waiting until {} is up", self.service.unit), 0, 0);
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    fn ready(&self) -> bool {
        match &self.service.ready {
            Ready::Active => true,
            Ready::Socket { path } => UnixStream::connect(self.ctx.paths().host(path)).is_ok(),
            Ready::Port { address, port } => {
                TcpStream::connect_timeout(&SocketAddr::new(*address, *port), Duration::from_secs(1)).is_ok()
            }
        }
    }

    fn waited_for(&self) -> String {
        match &self.service.ready {
            Ready::Active => "systemd does not call it active".to_owned(),
            Ready::Socket { path } => format!("its socket {path} takes no connection"),
            Ready::Port { address, port } => {
                format!("{} takes no connection", SocketAddr::new(*address, *port))
            }
        }
    }

    fn with_journal(&self, failure: Failure) -> Failure {
        let unit = &self.service.unit;
        let command =
            Command::new("journalctl").args(["--unit", unit, "--lines=20", "--no-pager", "--output=cat"]);
        let failure = failure.hint(format!("more on the host: `journalctl -u {unit}`"));
        match self.ctx.run(command) {
            Ok(finished) => failure.log(finished.text().lines().map(str::to_owned)),
            // The failure itself counts more than a log that cannot be read.
            Err(error) => failure.cause(error),
        }
    }
}

#[cfg(test)]
mod tests;
