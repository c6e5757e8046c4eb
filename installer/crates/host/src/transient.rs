//! Long commands in transient systemd units: they outlive the connection that started them.
//!
//! [`run`] starts a unit, or attaches to the one that an earlier session left, waits for its end and takes it
//! away. The unit's name comes from the step and a hash of the command, so the same step finds its own unit
//! again. Output goes to `/var/log/sealift/NAME.log`; its last line is the progress message. Arguments and
//! environment can be seen by every user of the host: no secrets in them.
//!
//! The unit runs a script, `/run/sealift/units/NAME.sh`, so that its own words need no escaping. systemd's escape for
//! `$` does not outlast a daemon-reload before the unit's process starts: version 252 writes it to the transient unit's
//! file as `\$`, which it does not read back as the same.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use sealift_bundle::digest::digest_of;

use crate::command::{Command, has_ended, last_lines, quoted};
use crate::context::Context;
use crate::file;
use crate::protocol::{Failure, FailureKind};

/// Bytes of the log that [`Finished::log`] holds at most, from its end.
const LOG_LIMIT: u64 = 1 << 20;

/// Between two looks at a unit, at first; each pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A long command.
#[derive(Debug, Clone)]
pub struct TransientUnit {
    /// What it belongs to, usually [`Context::step_id`]; part of the unit's name.
    pub name: String,
    /// Program name (looked up in the host's folders) or absolute host path.
    pub command: String,
    /// Arguments, never secrets.
    pub args: Vec<String>,
    /// Environment beside `PATH`, `HOME` and `LC_ALL`, never secrets.
    pub environment: BTreeMap<String, String>,
    /// Files that the command sees instead of the host's own: from the path as the command knows it to the one of the
    /// file that it sees, both absolute host paths. Nobody else sees them.
    pub instead: BTreeMap<String, String>,
    /// Time after which the unit is stopped.
    pub timeout: Duration,
    /// What is being done, for people: `joining the cluster`.
    pub message: String,
}

/// A long command that ended with exit code 0.
#[derive(Debug)]
pub struct Finished {
    /// What it wrote, both streams, the last 1 MiB.
    pub log: String,
    /// Whether the unit had been started by an earlier session.
    pub attached: bool,
}

/// What systemd says about a unit.
#[derive(Debug, Default, PartialEq, Eq)]
struct Shown {
    loaded: bool,
    active: String,
    sub: String,
    result: String,
    code: String,
    status: i32,
    description: String,
    /// Process, 0 when there is none.
    pid: i32,
}

impl Shown {
    fn parse(text: &str) -> Self {
        let mut shown = Self::default();
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            match name {
                "LoadState" => shown.loaded = value == "loaded",
                "ActiveState" => value.clone_into(&mut shown.active),
                "SubState" => value.clone_into(&mut shown.sub),
                "Result" => value.clone_into(&mut shown.result),
                // systemd prints the kind of end as siginfo's number: 1 exited, 2 killed, 3 dumped.
                "ExecMainCode" => value.clone_into(&mut shown.code),
                "ExecMainStatus" => shown.status = value.parse().unwrap_or(-1),
                "MainPID" => shown.pid = value.parse().unwrap_or(0),
                "Description" => value.clone_into(&mut shown.description),
                _ => {}
            }
        }
        shown
    }

    fn running(&self) -> bool {
        self.loaded
            && match self.active.as_str() {
                "active" => self.sub != "exited",
                "activating" | "reloading" | "deactivating" => true,
                _ => false,
            }
    }

    /// Waits until the process ends, at most for `pause`; that long where it cannot be watched (kernels before 5.3).
    /// Gives whether it has ended.
    fn wait_for_end(&self, pause: Duration) -> bool {
        let watched = Pid::from_raw(self.pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        if let Some(Ok(ended)) = watched.map(|process| has_ended(&process, pause)) {
            return ended;
        }
        std::thread::sleep(pause);
        false
    }

    fn succeeded(&self) -> bool {
        self.loaded && self.active == "active" && self.sub == "exited" && self.status == 0
    }

    fn ended(&self) -> String {
        match (self.code.as_str(), self.result.as_str()) {
            (_, "timeout") => "was stopped because it took too long".to_owned(),
            ("2" | "3", _) => format!("was killed by signal {}", self.status),
            ("1", _) => format!("ended with status {}", self.status),
            (_, "" | "success") => "is gone: it was stopped from outside".to_owned(),
            (_, result) => format!("could not run ({result})"),
        }
    }
}

/// Runs a command in a transient unit to its end. Attaches where the unit is there already; the result of a unit
/// that had ended in an earlier *run* counts for nothing, it is run again.
pub fn run(ctx: &Context<'_>, unit: &TransientUnit) -> Result<Finished, Failure> {
    let session = Session::new(ctx, unit)?;
    let before = session.show()?;
    let attached = before.running() || (before.loaded && before.description == session.description);
    if !attached {
        session.start(before.loaded)?;
    }
    let end = session.wait()?;
    let log = tail(&session.log, LOG_LIMIT);
    session.clear(!end.succeeded())?;
    if end.succeeded() {
        return Ok(Finished { log, attached });
    }
    let line = session.command_line();
    Err(Failure::new(FailureKind::Command, format!("`{line}` {}", end.ended()))
        .log(last_lines(log.as_bytes()))
        .hint(format!("its whole output is in {} on the host", session.log_path)))
}

/// Whether a unit that an earlier session started still runs.
pub fn is_running(ctx: &Context<'_>, unit: &TransientUnit) -> Result<bool, Failure> {
    Ok(Session::new(ctx, unit)?.show()?.running())
}

struct Session<'a> {
    ctx: &'a Context<'a>,
    unit: &'a TransientUnit,
    /// Full unit name.
    name: String,
    /// Names run and step, to tell this run's unit from an earlier one's.
    description: String,
    program: PathBuf,
    log: PathBuf,
    log_path: String,
    /// What the unit's shell reads.
    script: PathBuf,
}

impl<'a> Session<'a> {
    fn new(ctx: &'a Context<'a>, unit: &'a TransientUnit) -> Result<Self, Failure> {
        let program = ctx.find_program(&unit.command).ok_or_else(|| {
            Failure::new(FailureKind::Command, format!("the program {} is not on this host", unit.command))
        })?;
        let stem = unit_stem(unit);
        Ok(Self {
            ctx,
            unit,
            description: format!("Sealift {} {}", ctx.run_id(), stem),
            log: ctx.paths().log().join(format!("{stem}.log")),
            log_path: format!("/var/log/sealift/{stem}.log"),
            script: ctx.paths().run().join("units").join(format!("{stem}.sh")),
            name: format!("{stem}.service"),
            program,
        })
    }

    fn command_line(&self) -> String {
        Command::new(&self.unit.command).args(self.unit.args.iter().cloned()).line()
    }

    fn show(&self) -> Result<Shown, Failure> {
        const PROPERTIES: &str =
            "LoadState,ActiveState,SubState,Result,ExecMainCode,ExecMainStatus,MainPID,Description";
        let command = Command::new("systemctl").args(["show", &self.name, "--property", PROPERTIES]);
        Ok(Shown::parse(&self.ctx.run(command)?.text()))
    }

    fn start(&self, stale: bool) -> Result<(), Failure> {
        if stale {
            self.clear(true)?;
        }
        file::make_state_folder(&self.ctx.paths().log())?;
        // What programs print is for root: kubeadm prints tokens.
        file::set_mode(&self.ctx.paths().log(), 0o700)?;
        if self.log.exists() {
            let old = self.log.with_extension("log.old");
            std::fs::rename(&self.log, &old).map_err(|error| Failure::io("rename", &self.log, &error))?;
        }
        if let Some(folder) = self.script.parent() {
            file::make_state_folder(folder)?;
        }
        file::write_atomic(&self.script, self.script_text().as_bytes(), 0o700)?;
        self.ctx.progress(self.unit.message.clone(), 0, 0);
        self.ctx.run(self.start_command()).map(drop)
    }

    /// The shell opens the log: systemd before 240 cannot append to a file. `exec` leaves no shell behind.
    fn script_text(&self) -> String {
        let words =
            [self.program.to_string_lossy().into_owned()].into_iter().chain(self.unit.args.iter().cloned());
        let words: Vec<String> = words.map(|word| quoted(&word)).collect();
        format!("exec >>{} 2>&1 {}\n", quoted(&self.log.to_string_lossy()), words.join(" "))
    }

    fn start_command(&self) -> Command {
        let mut command = Command::new("systemd-run")
            .arg(format!("--unit={}", self.name))
            .arg(format!("--description={}", self.description))
            .args([
                "--quiet",
                "--no-ask-password",
                "--remain-after-exit",
                "--property=KillMode=control-group",
            ])
            // Should nobody come back, it still ends.
            .arg(format!("--property=RuntimeMaxSec={}", self.unit.timeout.as_secs() + 60))
            .arg(format!("--setenv=PATH={}", self.ctx.paths().search_path()))
            .args(["--setenv=HOME=/root", "--setenv=LC_ALL=C.UTF-8"]);
        for (name, value) in &self.unit.environment {
            command = command.arg(format!("--setenv={name}={value}"));
        }
        for (path, own) in &self.unit.instead {
            let own = self.ctx.paths().host(own);
            command = command.arg(format!("--property=BindReadOnlyPaths={}:{path}", own.display()));
        }
        command.args(["--", "/bin/sh"]).arg(self.script.to_string_lossy())
    }

    /// Waits until the unit has ended, showing the last line of its log.
    fn wait(&self) -> Result<Shown, Failure> {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let shown = self.show()?;
            if !shown.running() {
                return Ok(shown);
            }
            self.ctx.still_wanted()?;
            if started.elapsed() > self.unit.timeout {
                return Err(self.give_up());
            }
            let last = last_lines(tail(&self.log, 4096).as_bytes()).pop();
            let message = match last {
                Some(line) => format!("{}: {line}", self.unit.message),
                None => self.unit.message.clone(),
            };
            self.ctx.progress(message, 0, 0);
            // systemd takes a moment to notice an end.
            pause = if shown.wait_for_end(pause) { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        }
    }

    fn give_up(&self) -> Failure {
        let seconds = self.unit.timeout.as_secs();
        let line = self.command_line();
        let failure =
            Failure::new(FailureKind::Timeout, format!("`{line}` took longer than {seconds} s; stopped"))
                .log(last_lines(tail(&self.log, 16 << 10).as_bytes()))
                .hint(format!("its whole output is in {} on the host", self.log_path));
        match self.clear(true) {
            Ok(()) => failure,
            Err(error) => failure.cause(error),
        }
    }

    /// Stops the unit with all it started and makes systemd forget it; its script goes, too.
    fn clear(&self, failed: bool) -> Result<(), Failure> {
        let stop = Command::new("systemctl").args(["stop", &self.name]).timeout(Duration::from_mins(3));
        // A unit that just went by itself is as good.
        self.ctx.run_to_end(stop)?;
        if failed {
            self.ctx.run_to_end(Command::new("systemctl").args(["reset-failed", &self.name]))?;
        }
        file::remove_if_exists(&self.script).map(drop)
    }
}

/// `sealift-`, the name in characters that units may have, and eight digits that stand for the exact command.
fn unit_stem(unit: &TransientUnit) -> String {
    let mut identity = unit.command.clone();
    for arg in &unit.args {
        identity.push('\0');
        identity.push_str(arg);
    }
    for (name, value) in &unit.environment {
        identity.extend(["\0\0", name, "=", value]);
    }
    for (path, own) in &unit.instead {
        identity.extend(["\0\0\0", path, "=", own]);
    }
    let digest = digest_of(identity.as_bytes());
    let hash: String = digest.trim_start_matches("sha256:").chars().take(8).collect();
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    let name: String = unit.name.chars().map(allowed).take(150).collect();
    format!("sealift-{name}-{hash}")
}

/// The end of a log, at most `limit` bytes.
fn tail(path: &Path, limit: u64) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(limit)))?;
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    // A log that is not there yet is an empty one.
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests;
