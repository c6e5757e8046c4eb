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

    /// Presses Ctrl-C once the program asks with `prompt`, and no longer shows what is typed.
    fn interrupt(self, prompt: &str) -> Self {
        self.typed(prompt, "\x03")
    }

    /// Types `password` once the program asks for it with `prompt`, and no longer shows what is typed.
    fn answer(self, prompt: &str, password: &str) -> Self {
        self.typed(prompt, &format!("{password}\n"))
    }

    fn typed(mut self, prompt: &str, keys: &str) -> Self {
        let mut buffer = [0; 1024];
        while !self.shown.ends_with(prompt) {
            let read = self.pty.read(&mut buffer).unwrap();
            self.shown.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        while self.echoes() {
            assert!(self.child.try_wait().unwrap().is_none(), "{}", self.shown);
            std::thread::yield_now();
        }
        self.pty.write_all(keys.as_bytes()).unwrap();
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

#[test]
fn ctrl_c_at_the_question_leaves_the_terminal_as_it_was() {
    let vendor = Vendor::new();
    vendor.lock();
    let first = Terminal::start(&vendor, &KEYGEN).interrupt(FIRST).end();
    let second = Terminal::start(&vendor, &KEYGEN).answer(FIRST, "correct horse").interrupt(SECOND).end();
    vendor.write("password", "correct horse");
    vendor.succeed(&[&KEYGEN[..], &["--password-file", "password"]].concat());
    let mut arguments = build("cache", "orders.bundle");
    arguments[6] = "locked.key";
    let build = Terminal::start(&vendor, &arguments).interrupt(OF_KEY).end();
    // That it shows again what is typed is seen at every end.
    for (code, shown) in [first, second, build] {
        assert_eq!(code, Some(4), "{shown}");
        let expected = "\r\nstopped   by Ctrl-C; nothing was written, and nothing replaced\r\n";
        assert!(shown.ends_with(expected), "{shown:?}");
    }
    assert!(!vendor.path("orders.bundle").exists());
}

#[test]
fn a_password_is_read_from_no_endless_file() {
    let vendor = Vendor::new();
    // Holes only: all of it would take more memory than there is.
    std::fs::File::create(vendor.path("long")).unwrap().set_len(1 << 36).unwrap();
    let said = vendor.fail(2, &[&KEYGEN[..], &["--password-file", "long"]].concat());
    assert!(
        said.contains("cannot read long\n  because: it is longer than 16384 bytes\n  next: give a file"),
        "{said}"
    );
    let said = vendor.fail(2, &["key", "show", "long"]);
    assert!(said.contains("it is longer than 16384 bytes"), "{said}");
    vendor.lock();
    let mut arguments = build("cache", "orders.bundle");
    arguments[6] = "long";
    let said = vendor.fail(2, &arguments);
    assert!(said.contains("long is no minisign secret key"), "{said}");
}
