//! A program on a terminal of its own: keys go in, and its screen is read back with the moment at which it changed.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command as Plain};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use pty_process::Size;
use pty_process::blocking::{Command, Pts, Pty, open};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long a program that shows nothing new is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program and its terminal. The program is killed when this is dropped.
pub struct Terminal {
    pty: Pty,
    // The program's end: while it is open here, too, what the program wrote last can still be read.
    _pts: Pts,
    child: Child,
    parser: vt100::Parser,
}

impl Terminal {
    /// Starts a program with its home in a folder, at a terminal of so many columns and rows.
    pub fn start(
        program: &Path,
        arguments: &[&str],
        home: &Path,
        (columns, rows): (u16, u16),
    ) -> Result<Self> {
        let (pty, pts) = open().context("cannot open a terminal")?;
        pty.resize(Size::new(rows, columns)).context("cannot set the terminal's size")?;
        let mut command = Command::new(program).args(arguments).current_dir(home);
        for (name, value) in [("TERM", "xterm-256color"), ("LANG", "C.UTF-8")] {
            command = command.env(name, value);
        }
        command = command.env("HOME", home);
        for other in ["LC_ALL", "LC_CTYPE", "NO_COLOR"] {
            command = command.env_remove(other);
        }
        let child = command.spawn_borrowed(&pts);
        let child = child.with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { pty, _pts: pts, child, parser: vt100::Parser::new(rows, columns, 0) })
    }

    /// The program's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The screen as it is known.
    pub fn shown(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    /// Types something.
    pub fn write(&mut self, text: &str) -> Result<()> {
        self.pty.write_all(text.as_bytes()).context("cannot write to the terminal")
    }

    /// Reads until the screen is as it should be; the moment at which it was.
    pub fn wait_until(&mut self, what: &str, fits: impl Fn(&vt100::Screen) -> bool) -> Result<Instant> {
        let deadline = Instant::now() + PATIENCE;
        while !fits(self.parser.screen()) {
            if !self.read_until(deadline)? {
                bail!("{what} never came:\n{}", self.parser.screen().contents());
            }
        }
        Ok(Instant::now())
    }

    /// Reads what comes for so long, whatever it is.
    pub fn watch(&mut self, time: Duration) -> Result<()> {
        let deadline = Instant::now() + time;
        while self.read_until(deadline)? {}
        ensure!(
            self.child.try_wait().context("cannot ask for the program")?.is_none(),
            "the program has ended:\n{}",
            self.parser.screen().contents()
        );
        Ok(())
    }

    /// Reads once; whether there was something before the deadline.
    fn read_until(&mut self, deadline: Instant) -> Result<bool> {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).context("too long a time to wait")?;
        let mut ready = [PollFd::new(&self.pty, PollFlags::IN)];
        if poll(&mut ready, Some(&left)).context("cannot wait for the terminal")? == 0 {
            return Ok(false);
        }
        let mut buffer = [0; 1 << 13];
        let read = self.pty.read(&mut buffer).context("cannot read the terminal")?;
        self.parser.process(&buffer[..read]);
        Ok(true)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // One that has ended takes no signal.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Seconds until a program has started, said its version and ended: what every start costs at the least.
pub fn bare_start(program: &Path) -> Result<f64> {
    let begun = Instant::now();
    let output = Plain::new(program).arg("--version").output();
    let output = output.with_context(|| format!("cannot start {}", program.display()))?;
    ensure!(output.status.success(), "{} --version ended with {}", program.display(), output.status);
    Ok(begun.elapsed().as_secs_f64())
}

/// What stands behind each mark of what is looked at, up to the next pane.
pub fn marked(screen: &vt100::Screen) -> Vec<String> {
    let columns = screen.size().1;
    let behind = |row: String| -> Vec<String> {
        row.split('▸')
            .skip(1)
            .map(|text| text.split('│').next().unwrap_or_default().trim().to_owned())
            .collect()
    };
    screen.rows(0, columns).flat_map(behind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_pane_by_pane() {
        let mut parser = vt100::Parser::new(4, 60, 0);
        parser.process(" ▸ Hosts    │ ▸ 1  m1  10.20.0.11 │ What\r\n   Access   │   2  m2   │".as_bytes());
        assert_eq!(marked(parser.screen()), ["Hosts", "1  m1  10.20.0.11"]);
    }

    #[test]
    fn what_a_program_shows_is_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let mut cat = Terminal::start(Path::new("/bin/cat"), &[], home.path(), (132, 50)).unwrap();
        let before = Instant::now();
        cat.write("abc").unwrap();
        let seen = cat.wait_until("the echo", |screen| screen.contents().contains("abc")).unwrap();
        assert!(seen >= before && cat.shown().size() == (50, 132) && cat.pid() > 0);
        cat.watch(Duration::ZERO).unwrap();
        assert!(bare_start(Path::new("/bin/false")).is_err());
    }
}
