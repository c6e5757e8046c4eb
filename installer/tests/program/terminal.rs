//! A terminal with the program at it: keys go in, and what it shows is read back as a screen. Every wait is for
//! something on the screen; the time is only how long a broken program is waited for.

use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::{Command, Pts, Pty, open};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, kill_process};

/// How long something is waited for.
const PATIENCE: Duration = Duration::from_mins(2);

pub const ENTER: &str = "\r";
pub const ESC: &str = "\x1b";
pub const DOWN: &str = "\x1b[B";
pub const F3: &str = "\x1bOR";
pub const F5: &str = "\x1b[15~";
pub const F10: &str = "\x1b[21~";
pub const CTRL_C: &str = "\x03";
pub const CTRL_L: &str = "\x0c";
pub const CTRL_Z: &str = "\x1a";

pub struct Terminal {
    pty: Pty,
    pts: Pts,
    child: Child,
    parser: vt100::Parser,
    /// Everything that the program wrote.
    pub written: Vec<u8>,
    /// Settings before it began.
    pub before: String,
}

impl Terminal {
    /// Starts a program in a folder at a terminal of 80x24, with these variables beside the usual ones.
    pub fn start(program: &str, arguments: &[&str], folder: &str, variables: &[(&str, &str)]) -> Self {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(24, 80)).unwrap();
        let before = settings(&pts);
        let mut command = Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .env("TERM", "xterm-256color")
            .env("LANG", "C.UTF-8");
        for other in ["LC_ALL", "LC_CTYPE", "NO_COLOR"] {
            command = command.env_remove(other);
        }
        for (name, value) in variables {
            command = command.env(name, value);
        }
        let child = command.spawn_borrowed(&pts).unwrap();
        let parser = vt100::Parser::new(24, 80, 0);
        Self { pty, pts, child, parser, written: Vec::new(), before }
    }

    pub fn shown(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    /// Waits until the screen is as it should be.
    pub fn wait_until(&mut self, what: &str, is_so: impl Fn(&vt100::Screen) -> bool) {
        let mut buffer = [0; 4096];
        let began = Instant::now();
        while !is_so(self.parser.screen()) {
            // A screen that is drawn again and again is no sign of what is waited for.
            let left = PATIENCE.saturating_sub(began.elapsed());
            let mut ready = [PollFd::new(&self.pty, PollFlags::IN)];
            let count = poll(&mut ready, Some(&left.try_into().unwrap())).unwrap();
            assert!(count > 0, "{what} never came:\n{}", self.shown().contents());
            let read = self.pty.read(&mut buffer).unwrap();
            self.parser.process(&buffer[..read]);
            self.written.extend_from_slice(&buffer[..read]);
        }
    }

    /// Waits for a text that stands in one line.
    pub fn wait_for(&mut self, text: &str) {
        self.wait_until(text, |screen| screen.contents().contains(text));
    }

    pub fn write(&mut self, text: &str) {
        self.pty.write_all(text.as_bytes()).unwrap();
    }

    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.parser.screen_mut().set_size(rows, columns);
        self.pty.resize(Size::new(rows, columns)).unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn is_drawn_on(&self) -> bool {
        self.parser.screen().alternate_screen()
    }

    /// Settings as they are now.
    pub fn settings(&self) -> String {
        settings(&self.pts)
    }

    /// How the program ended; the terminal must be as it was before.
    pub fn ended(mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        assert_eq!(self.settings(), self.before);
        assert!(!self.is_drawn_on());
        assert!(!self.parser.screen().bracketed_paste() && !self.parser.screen().hide_cursor());
        status
    }

    /// Takes the terminal away; how the program ended.
    pub fn hang_up(self) -> ExitStatus {
        let Self { pty, pts, mut child, .. } = self;
        drop((pty, pts));
        child.wait().unwrap()
    }
}

/// What `stty -a` says.
fn settings(pts: &Pts) -> String {
    let terminal = pts.as_fd().try_clone_to_owned().unwrap();
    let said = std::process::Command::new("stty").arg("-a").stdin(Stdio::from(terminal)).output().unwrap();
    assert!(said.status.success());
    String::from_utf8(said.stdout).unwrap()
}
