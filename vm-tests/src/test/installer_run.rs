//! One run of the installer: its events as they come, its end, its words.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// A running installer. It is killed when this is dropped.
pub struct InstallerRun {
    child: Child,
    lines: Receiver<String>,
    errors: Option<JoinHandle<String>>,
    output: String,
    started: Instant,
}

/// An installer that has ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub errors: String,
    /// Wall time, seconds.
    pub seconds: f64,
}

impl InstallerRun {
    /// Starts it.
    pub fn start(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start the installer")?;
        let output = child.stdout.take().context("the installer has no output")?;
        let errors = child.stderr.take().context("the installer has no error output")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let errors = std::thread::spawn(move || {
            let mut text = Vec::new();
            // What came before a broken pipe is kept.
            let _ = BufReader::new(errors).read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Ok(Self { child, lines, errors: Some(errors), output: String::new(), started: Instant::now() })
    }

    /// The installer's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that is a JSON event; none when there are no more. Silence for longer than `within` is an error.
    pub fn next_event(&mut self, within: Duration) -> Result<Option<Value>> {
        loop {
            match self.lines.recv_timeout(within) {
                Ok(line) => {
                    self.output.push_str(&line);
                    self.output.push('\n');
                    if let Ok(event @ Value::Object(_)) = serde_json::from_str(&line) {
                        return Ok(Some(event));
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {
                    bail!(
                        "the installer said nothing for {} s; its last words:\n{}",
                        within.as_secs(),
                        tail(&self.output)
                    )
                }
            }
        }
    }

    /// Reads on until an event fits. `what` names it for the message when the run ends without it.
    pub fn wait_for(&mut self, what: &str, within: Duration, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.next_event(left).with_context(|| format!("waiting for {what}"))? {
                Some(event) if fits(&event) => return Ok(event),
                Some(_) if Instant::now() < deadline => {}
                Some(_) => bail!("{what} did not come within {} s", within.as_secs()),
                None => bail!("the run ended before {what}; its last words:\n{}", tail(&self.output)),
            }
        }
    }

    /// Kills it (SIGKILL) and gives what it said until then.
    pub fn kill(mut self) -> Result<Ended> {
        self.child.kill().context("cannot kill the installer")?;
        while self.next_event(Duration::from_secs(10))?.is_some() {}
        self.ended()
    }

    /// Waits for its end. One that takes longer than `within` is killed and is an error.
    pub fn finish(mut self, within: Duration) -> Result<Ended> {
        let deadline = Instant::now() + within;
        while self.next_event(deadline.saturating_duration_since(Instant::now()))?.is_some() {
            if Instant::now() > deadline {
                bail!(
                    "the installer still runs after {} s; its last words:\n{}",
                    within.as_secs(),
                    tail(&self.output)
                );
            }
        }
        self.ended()
    }

    fn ended(&mut self) -> Result<Ended> {
        let status: ExitStatus = self.child.wait().context("cannot wait for the installer")?;
        let errors = self.errors.take().map(|thread| thread.join().unwrap_or_default()).unwrap_or_default();
        let output = std::mem::take(&mut self.output);
        Ok(Ended { code: status.code(), output, errors, seconds: self.started.elapsed().as_secs_f64() })
    }
}

impl Drop for InstallerRun {
    fn drop(&mut self) {
        // One that has ended takes no signal.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Output and errors together.
    pub fn text(&self) -> String {
        format!("{}{}", self.output, self.errors)
    }

    /// All JSON events of the output.
    pub fn events(&self) -> impl Iterator<Item = Value> + '_ {
        self.output.lines().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object)
    }

    /// The event of this topic, the last one where there are several.
    pub fn topic(&self, topic: &str) -> Option<Value> {
        self.events().filter(|event| event["topic"] == topic).last()
    }

    /// Asserts the exit code.
    pub fn expect_code(&self, code: i32) -> Result<&Self> {
        if self.code != Some(code) {
            bail!("the installer ended with {:?} and not with {code}:\n{}", self.code, tail(&self.text()));
        }
        Ok(self)
    }

    /// Asserts that each of these parts stands in what it said.
    pub fn expect_text(&self, parts: &[&str]) -> Result<&Self> {
        let text = self.text();
        for part in parts {
            if !text.contains(part) {
                bail!("the installer did not say {part:?}; it said:\n{}", tail(&text));
            }
        }
        Ok(self)
    }
}

/// The last lines: what a failure shows of a long output.
pub fn tail(text: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_mins(1);

    fn shell(script: &str) -> InstallerRun {
        InstallerRun::start(Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn events_output_and_code_are_kept() {
        let mut run = shell(
            r#"echo plain; echo '{"topic":"plan"}'; echo '{"topic":"done","n":1}'; echo why >&2; exit 4"#,
        );
        let event = run.wait_for("the plan", SECOND, |event| event["topic"] == "plan").unwrap();
        assert_eq!(event["topic"], "plan");
        let ended = run.finish(SECOND).unwrap();
        assert_eq!(ended.topic("done").unwrap()["n"], 1);
        assert_eq!(ended.events().count(), 2);
        ended.expect_code(4).unwrap().expect_text(&["plain", "why"]).unwrap();
        assert!(ended.expect_code(0).is_err());
        assert!(ended.expect_text(&["absent"]).is_err());
    }

    #[test]
    fn a_killed_run_keeps_its_words() {
        let mut run = shell(r#"echo '{"topic":"plan"}'; exec sleep 600"#);
        run.wait_for("the plan", SECOND, |_| true).unwrap();
        let ended = run.kill().unwrap();
        assert_eq!(ended.code, None);
        assert!(ended.output.contains("plan"));
    }

    #[test]
    fn an_end_before_the_awaited_event_is_an_error() {
        let error = shell("echo last words").wait_for("the plan", SECOND, |_| true).unwrap_err();
        assert!(format!("{error:#}").contains("before the plan"), "{error:#}");
        assert!(format!("{error:#}").contains("last words"), "{error:#}");
    }
}
