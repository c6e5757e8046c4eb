//! Passwords that a person types at a terminal.

use std::io::{Read as _, Write as _};
use std::process::Child;

use crate::support::vendor::{Vendor, build};
use pty_process::blocking::{Command, Pty, open};
use rustix::termios::{LocalModes, tcgetattr};

const KEYGEN: [&str; 3] = ["keygen", "--out", "locked.key"];
const FIRST: &str = "Password for the new key: ";
const SECOND: &str = "Once more: ";
const OF_KEY: &str = "Password of locked.key: ";

/// The program at a terminal.
struct Terminal {
    pty: Pty,
    child: Child,
    /// Everything that it showed.
    shown: String,
}

impl Terminal {
    fn start(vendor: &Vendor, arguments: &[&str]) -> Self {
        let (pty, pts) = open().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_bundle-builder"))
            .args(arguments)
            .current_dir(vendor.folder.path())
            .env("DOCKER_CONFIG", vendor.path("docker"))
            .env("TERM", "dumb")
            .spawn(pts)
            .unwrap();
        Self { pty, child, shown: String::new() }
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.pty).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// Types `password` once the program asks for it with `prompt`, and no longer shows what is typed.
    fn answer(mut self, prompt: &str, password: &str) -> Self {
        let mut buffer = [0; 1024];
        while !self.shown.ends_with(prompt) {
            let read = self.pty.read(&mut buffer).unwrap();
            self.shown.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        while self.echoes() {
            assert!(self.child.try_wait().unwrap().is_none(), "{}", self.shown);
            std::thread::yield_now();
        }
        writeln!(self.pty, "{password}").unwrap();
        self
    }

    /// The exit code, and everything that was shown.
    fn end(mut self) -> (Option<i32>, String) {
        let mut buffer = [0; 1024];
        // A terminal that nobody is at any more ends with an error.
        while let Ok(read @ 1..) = self.pty.read(&mut buffer) {
            self.shown.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        let code = self.child.wait().unwrap().code();
        assert!(self.echoes(), "{}", self.shown);
        (code, self.shown)
    }
}

#[test]
fn a_password_is_asked_for_at_the_terminal_and_never_shown() {
    let vendor = Vendor::new();
    vendor.lock();
    let made =
        Terminal::start(&vendor, &KEYGEN).answer(FIRST, "correct horse").answer(SECOND, "correct horse");
    let (code, shown) = made.end();
    assert!(code == Some(0) && shown.contains("secret key  locked.key"), "{shown}");
    let mut arguments = build("cache", "orders.bundle");
    arguments[6] = "locked.key";
    let (code, refused) = Terminal::start(&vendor, &arguments).answer(OF_KEY, "incorrect horse").end();
    assert!(code == Some(2) && refused.contains("wrong password for locked.key"), "{refused}");
    assert!(!vendor.path("orders.bundle").exists());
    let (code, built) = Terminal::start(&vendor, &arguments).answer(OF_KEY, "correct horse").end();
    assert!(code == Some(0) && built.contains("built     orders.bundle: "), "{built}");
    vendor.succeed(&["verify", "orders.bundle", "--key", "locked.key.pub"]);
    for shown in [shown, refused, built] {
        assert!(!shown.contains("correct horse"), "{shown}");
    }
}

#[test]
fn a_new_password_is_typed_twice() {
    let vendor = Vendor::new();
    for (first, second, expected) in [
        ("correct horse", "correct house", "error: the two passwords differ"),
        ("", "", "error: the password is empty"),
    ] {
        let (code, shown) =
            Terminal::start(&vendor, &KEYGEN).answer(FIRST, first).answer(SECOND, second).end();
        assert!(code == Some(2) && shown.contains(expected), "{shown}");
        assert!(vendor.names(".").iter().all(|name| !name.contains("locked")));
    }
}
