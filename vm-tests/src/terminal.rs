//! A program on a terminal of its own: keys go in, and its screen is read back with the moment at which it changed.

use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command as Plain, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use pty_process::Size;
use pty_process::blocking::{Command, Pts, Pty, open};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long something is waited for, as a rule.
const PATIENCE: Duration = Duration::from_secs(30);
/// A screen on which nothing comes for so long is whole.
const STILL: Duration = Duration::from_millis(50);
/// Time between two looks at whether a program has ended.
const PAUSE: Duration = Duration::from_millis(50);

/// The program and its terminal. The program is killed when this is dropped.
pub struct Terminal {
    pty: Pty,
    // The program's end: while it is open here, too, what the program wrote last can still be read.
    pts: Pts,
    program: Program,
    parser: vt100::Parser,
}

/// A process that ends with who started it.
pub struct Program(pub Child);

impl Drop for Program {
    fn drop(&mut self) {
        // One that has ended takes no signal.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program with a home in a folder, for [`Terminal::start`].
pub fn at_home(program: &Path, arguments: &[&str], home: &Path) -> Plain {
    let mut command = Plain::new(program);
    command.args(arguments).current_dir(home).env("HOME", home).env("LANG", "C.UTF-8");
    command
}

impl Terminal {
    /// Starts a program at a terminal of so many columns and rows. Of the environment it has what the command itself
    /// says, and where programs are.
    pub fn start(command: &Plain, (columns, rows): (u16, u16)) -> Result<Self> {
        let (pty, pts) = open().context("cannot open a terminal")?;
        pty.resize(Size::new(rows, columns)).context("cannot set the terminal's size")?;
        let name = command.get_program();
        let mut own = Command::new(name).args(command.get_args()).env_clear();
        if let Some(folder) = command.get_current_dir() {
            own = own.current_dir(folder);
        }
        if let Some(path) = std::env::var_os("PATH") {
            own = own.env("PATH", path);
        }
        let named = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        own = own.envs(named).env("TERM", "xterm-256color");
        let child = own.spawn_borrowed(&pts);
        let child = child.with_context(|| format!("cannot start {}", name.to_string_lossy()))?;
        let parser = vt100::Parser::new(rows, columns, 0);
        Ok(Self { pty, pts, program: Program(child), parser })
    }

    /// The program's process.
    pub fn pid(&self) -> u32 {
        self.program.0.id()
    }

    /// Closes the window: the terminal is gone for the program, as when its cable is pulled. How the program ended.
    pub fn close(self) -> Result<ExitStatus> {
        let Self { pty, pts, mut program, .. } = self;
        drop((pty, pts));
        program.0.wait().context("cannot wait for the program")
    }

    /// Kills the program (SIGKILL); one that had ended before is an error.
    pub fn kill(mut self) -> Result<()> {
        self.program.0.kill().context("cannot kill the program")?;
        let status = self.program.0.wait().context("cannot wait for the program")?;
        ensure!(status.signal().is_some(), "the program had ended with {status} before it was killed");
        Ok(())
    }

    /// Waits for the program's own end.
    pub fn finish(mut self, within: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.program.0.try_wait().context("cannot ask for the program")? {
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "the program has not ended:\n{}", self.shown().contents());
            // Nobody could write to a terminal that is not read.
            self.read_until((Instant::now() + PAUSE).min(deadline))?;
        }
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
        self.wait_within(PATIENCE, what, fits)
    }

    /// As [`Terminal::wait_until`], for what may take longer.
    pub fn wait_within(
        &mut self,
        within: Duration,
        what: &str,
        fits: impl Fn(&vt100::Screen) -> bool,
    ) -> Result<Instant> {
        let deadline = Instant::now() + within;
        while !fits(self.parser.screen()) {
            if !self.read_until(deadline)? {
                bail!("{what} never came:\n{}", self.parser.screen().contents());
            }
        }
        Ok(Instant::now())
    }

    /// Reads until the screen stands still: a frame may come in pieces, and half of one says nothing.
    pub fn settle(&mut self) -> Result<()> {
        while self.read_until(Instant::now() + STILL)? {}
        Ok(())
    }

    /// Reads what comes for so long, whatever it is.
    pub fn watch(&mut self, time: Duration) -> Result<()> {
        let deadline = Instant::now() + time;
        while self.read_until(deadline)? {}
        ensure!(
            self.program.0.try_wait().context("cannot ask for the program")?.is_none(),
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

/// Seconds until a program has started, said its version and ended: what every start costs at the least.
pub fn bare_start(program: &Path) -> Result<f64> {
    let begun = Instant::now();
    let output = Plain::new(program).arg("--version").output();
    let output = output.with_context(|| format!("cannot start {}", program.display()))?;
    ensure!(output.status.success(), "{} --version ended with {}", program.display(), output.status);
    Ok(begun.elapsed().as_secs_f64())
}

/// The first row of a screen.
pub fn title(screen: &vt100::Screen) -> String {
    screen.rows(0, screen.size().1).next().unwrap_or_default().trim().to_owned()
}

/// Whether there is a frame from its title to its buttons.
pub fn is_whole(screen: &vt100::Screen) -> bool {
    let last = screen.rows(0, screen.size().1).last().unwrap_or_default();
    screen.alternate_screen() && !title(screen).is_empty() && last.contains("[ ")
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
    fn a_window_that_is_closed_ends_its_program_and_so_does_a_kill() {
        let home = tempfile::tempdir().unwrap();
        let start = || Terminal::start(&at_home(Path::new("/bin/cat"), &[], home.path()), (80, 24)).unwrap();
        assert_eq!(start().close().unwrap().signal(), Some(1), "as a hangup ends it");
        start().kill().unwrap();
    }

    #[test]
    fn what_a_program_shows_is_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let mut cat = Terminal::start(&at_home(Path::new("/bin/cat"), &[], home.path()), (132, 50)).unwrap();
        let before = Instant::now();
        cat.write("abc").unwrap();
        let seen = cat.wait_until("the echo", |screen| screen.contents().contains("abc")).unwrap();
        assert!(seen >= before && cat.shown().size() == (50, 132) && cat.pid() > 0);
        cat.watch(Duration::ZERO).unwrap();
        // The end of the input counts at the start of a line.
        cat.write("\r\x04").unwrap();
        assert!(cat.finish(Duration::from_secs(30)).unwrap().success());
        assert!(bare_start(Path::new("/bin/false")).is_err());
    }
}
