//! Runs one program and waits for it: own environment, secret input, a time limit, bounded output.
//!
//! For what ends soon. What may outlive a connection goes to [`crate::transient`]. Arguments and environment are
//! visible to every user of the host: secrets go through [`Command::input`].

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::context::Context;
use crate::protocol::{Failure, FailureKind};

/// Lines of output that a failure carries.
pub(crate) const LOG_LINES: usize = 20;
/// How long pipes may stay open after the program's end: something that it started may hold them.
const LINGER: Duration = Duration::from_secs(2);

/// How often a program that runs is looked at, below a second: whether anybody still wants it.
const LOOK: Duration = Duration::from_millis(500);

/// A program to run.
pub struct Command {
    program: String,
    args: Vec<String>,
    environment: Vec<(String, String)>,
    input: Option<Zeroizing<Vec<u8>>>,
    folder: Option<PathBuf>,
    timeout: Duration,
    output_limit: usize,
}

/// How a program ended.
#[derive(Debug)]
pub struct Finished {
    /// Exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// Signal that ended it.
    pub signal: Option<i32>,
    /// Standard output, whole.
    pub stdout: Vec<u8>,
    /// Standard error, the last 64 KiB.
    pub stderr: Vec<u8>,
}

impl Finished {
    /// Whether it ended with exit code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// Standard output as text, without white space around it.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }

    /// The last lines for a person: of standard error, or of standard output where that is empty.
    #[must_use]
    pub fn last_lines(&self) -> Vec<String> {
        let errors = last_lines(&self.stderr);
        if errors.is_empty() { last_lines(&self.stdout) } else { errors }
    }

    /// The failure that this end is.
    #[must_use]
    pub fn failure(&self, command_line: &str) -> Failure {
        let ended = match (self.code, self.signal) {
            (Some(code), _) => format!("ended with status {code}"),
            (None, Some(signal)) => format!("was killed by signal {signal}"),
            (None, None) => "ended without a status".to_owned(),
        };
        Failure::new(FailureKind::Command, format!("`{command_line}` {ended}")).log(self.last_lines())
    }
}

impl Command {
    /// A program by name (looked up in the host's folders) or absolute host path. Five minutes, 64 MiB of output.
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            environment: Vec::new(),
            input: None,
            folder: None,
            timeout: Duration::from_mins(5),
            output_limit: 64 << 20,
        }
    }

    /// Adds an argument. Never a secret.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments. Never secrets.
    #[must_use]
    pub fn args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds an environment variable. Never a secret. Beside these there are `PATH`, `HOME` and `LC_ALL` only.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Standard input, wiped afterwards; without it the program reads nothing.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(Zeroizing::new(bytes.into()));
        self
    }

    /// Working folder instead of `/`.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Time after which it and all it started are killed.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Bytes of standard output above which the command counts as failed.
    #[must_use]
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
    }

    /// What a person would type.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = quoted(&self.program);
        for arg in &self.args {
            line.push(' ');
            line.push_str(&quoted(arg));
        }
        line
    }
}

impl Context<'_> {
    /// Runs a program; anything but exit code 0 is a failure with the last lines of its output.
    pub fn run(&self, command: Command) -> Result<Finished, Failure> {
        let line = command.line();
        let finished = self.run_to_end(command)?;
        if finished.success() { Ok(finished) } else { Err(finished.failure(&line)) }
    }

    /// Runs a program whose exit code is an answer. Fails only where it cannot be run or takes too long.
    pub fn run_to_end(&self, command: Command) -> Result<Finished, Failure> {
        let line = command.line();
        let mut child = self.spawn(&command)?;
        let stdout = child.stdout.take().map(|pipe| drain(pipe, Keep::First(command.output_limit)));
        let stderr = child.stderr.take().map(|pipe| drain(pipe, Keep::Last(64 << 10)));
        if let (Some(mut pipe), Some(input)) = (child.stdin.take(), command.input) {
            // A program that ends without reading its input is judged by its exit code.
            std::thread::spawn(move || drop(pipe.write_all(&input)));
        }
        let status = self.wait(&mut child, command.timeout).map_err(|error| {
            Failure::new(FailureKind::Command, format!("cannot wait for `{line}`")).because(&error)
        })?;
        let (stdout, cut) = collect(stdout);
        let (stderr, _) = collect(stderr);
        let Some(status) = status else {
            self.still_wanted()?;
            let seconds = command.timeout.as_secs();
            return Err(Failure::new(
                FailureKind::Timeout,
                format!("`{line}` took longer than {seconds} s; killed"),
            )
            .log(last_lines(&stderr)));
        };
        if cut {
            let limit = command.output_limit;
            return Err(Failure::new(
                FailureKind::Command,
                format!("`{line}` wrote more than {limit} bytes"),
            ));
        }
        Ok(Finished { code: status.code(), signal: status.signal(), stdout, stderr })
    }

    /// Waits for the end; `None` where the time ran out, or the seat went, and the whole process group was killed:
    /// an agent without a seat lets go of the host.
    fn wait(&self, child: &mut Child, timeout: Duration) -> io::Result<Option<ExitStatus>> {
        use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
        let deadline = Instant::now() + timeout;
        let pid = Pid::from_child(child);
        // Kernels before 5.3 have no pidfd: there we look ten times a second.
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.still_wanted().is_err() {
                kill_process_group(pid, Signal::KILL)?;
                child.wait()?;
                return Ok(None);
            }
            match &pidfd {
                Some(pidfd) => drop(has_ended(pidfd, left.min(LOOK))?),
                None => std::thread::sleep(left.min(Duration::from_millis(100))),
            }
        }
    }

    fn spawn(&self, command: &Command) -> Result<Child, Failure> {
        let search_path = self.paths().search_path();
        let program = self.find_program(&command.program).ok_or_else(|| {
            Failure::new(FailureKind::Command, format!("the program {} is not on this host", command.program))
        })?;
        let mut process = std::process::Command::new(&program);
        process
            .args(&command.args)
            .env_clear()
            .env("PATH", search_path)
            .env("HOME", "/root")
            .env("LC_ALL", "C.UTF-8")
            .envs(command.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(command.folder.as_deref().unwrap_or(Path::new("/")))
            .stdin(if command.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        process.spawn().map_err(|error| {
            Failure::new(FailureKind::Command, format!("cannot start {}", program.display())).because(&error)
        })
    }

    /// Where a program is: an absolute host path as it is, a name in the host's folders.
    #[must_use]
    pub fn find_program(&self, program: &str) -> Option<PathBuf> {
        if program.starts_with('/') {
            return Some(self.paths().host(program)).filter(|path| path.is_file());
        }
        let search_path = self.paths().search_path();
        search_path.split(':').map(|folder| Path::new(folder).join(program)).find(|path| path.is_file())
    }
}

/// Waits until a process ends, at most for `limit`. Gives whether it has ended.
pub(crate) fn has_ended(process: &OwnedFd, limit: Duration) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&limit)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[derive(Clone, Copy)]
enum Keep {
    First(usize),
    Last(usize),
}

/// Reads a pipe to its end on a thread of its own, so that the program never blocks on a full pipe.
fn drain(mut pipe: impl Read + Send + 'static, keep: Keep) -> Receiver<(Vec<u8>, bool)> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let mut cut = false;
        let mut buffer = [0u8; 16 << 10];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            kept.extend_from_slice(&buffer[..count]);
            match keep {
                Keep::First(limit) if kept.len() > limit => {
                    kept.truncate(limit);
                    cut = true;
                }
                Keep::Last(limit) if kept.len() > 2 * limit => {
                    kept.drain(..kept.len() - limit);
                }
                _ => {}
            }
        }
        // The receiver has gone where something else held the pipe open for too long.
        let _ = sender.send((kept, cut));
    });
    receiver
}

fn collect(receiver: Option<Receiver<(Vec<u8>, bool)>>) -> (Vec<u8>, bool) {
    receiver.and_then(|receiver| receiver.recv_timeout(LINGER).ok()).unwrap_or_default()
}

/// The last lines that are not empty.
pub(crate) fn last_lines(output: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].iter().map(ToString::to_string).collect()
}

/// One word of a POSIX shell, in quotes where it needs them.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::testing::Recorder;
    use crate::paths::Paths;

    fn run(command: Command) -> Result<Finished, Failure> {
        let (paths, recorder) = (Paths::system(), Recorder::default());
        Context::new(&paths, &recorder, "r", "s").run(command)
    }

    fn shell(script: &str) -> Command {
        Command::new("/bin/sh").args(["-c", script])
    }

    #[test]
    fn input_environment_and_output() {
        let finished =
            run(shell("cat; echo \" $A $HOME $(pwd)\"; echo why >&2").env("A", "b").input("in")).unwrap();
        assert_eq!(finished.text(), "in b /root /");
        assert_eq!(finished.stderr, b"why\n");
        // Nothing of the agent's own environment is handed on.
        assert_eq!(run(shell("echo ${CARGO_MANIFEST_DIR-none}")).unwrap().text(), "none");
    }

    #[test]
    fn failures_name_command_end_and_last_words() {
        let failure = run(shell("echo first >&2; echo last >&2; exit 3")).unwrap_err();
        assert_eq!(
            failure.message,
            "`/bin/sh -c 'echo first >&2; echo last >&2; exit 3'` ended with status 3"
        );
        assert_eq!(
            (failure.kind, failure.log.as_slice()),
            (FailureKind::Command, &["first".to_owned(), "last".to_owned()][..])
        );
        assert!(run(shell("kill -9 $$")).unwrap_err().message.ends_with("was killed by signal 9"));
        assert_eq!(
            run(Command::new("no-such-program")).unwrap_err().message,
            "the program no-such-program is not on this host"
        );
        let much = run(shell("yes").output_limit(1000).timeout(Duration::from_millis(300))).unwrap_err();
        assert_eq!(much.kind, FailureKind::Timeout);
        let cut = run(shell("yes | head -c 2000").output_limit(1000)).unwrap_err();
        assert!(cut.message.ends_with("wrote more than 1000 bytes"), "{cut}");
    }

    #[test]
    fn all_that_a_program_started_ends_with_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! >{}; wait", pid.display());
        let failure = run(shell(&script).timeout(Duration::from_millis(500))).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Timeout);
        let child: i32 = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        // Nobody but init waits for it, so until then its state is that of a dead process.
        let state = || std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        while !state().is_empty() && !state().contains(") Z ") {
            std::thread::yield_now();
        }
        assert!(state().is_empty() || state().contains(") Z "));
    }

    #[test]
    fn a_daemon_that_keeps_the_output_open_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = format!("setsid sleep 1000 & echo $! >{}", pid.display());
        assert!(run(shell(&script)).unwrap().success());
        let child: i32 = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        let child = rustix::process::Pid::from_raw(child).unwrap();
        rustix::process::kill_process(child, rustix::process::Signal::KILL).unwrap();
    }
}
