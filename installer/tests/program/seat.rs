//! A folder with a small real bundle and the vendor's key, and the program run on it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use sealift_bundle::testing::sample_bundle;
use tempfile::TempDir;

pub struct Seat {
    folder: TempDir,
    bundle: PathBuf,
}

/// What the program said.
pub struct Ended {
    pub code: Option<i32>,
    pub output: String,
    pub errors: String,
}

impl Ended {
    pub fn of(ended: Output) -> Self {
        Self {
            code: ended.status.code(),
            output: String::from_utf8(ended.stdout).unwrap(),
            errors: String::from_utf8(ended.stderr).unwrap(),
        }
    }

    /// Of a command that gets this as all its input.
    pub fn of_given(command: &mut Command, input: &str) -> Self {
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        // One that has ended reads no more.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Self::of(child.wait_with_output().unwrap())
    }
}

/// Runs the program to its end.
pub fn program(arguments: &[&str]) -> Ended {
    Ended::of(command(arguments).output().unwrap())
}

/// The program, to be run.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_installer"));
    command.args(arguments);
    command
}

impl Seat {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let (bundle, key) = sample_bundle(folder.path());
        std::fs::write(folder.path().join("vendor.pub"), key).unwrap();
        Self { folder, bundle }
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub fn bundle(&self) -> &str {
        self.bundle.to_str().unwrap()
    }

    /// Writes a file; its path.
    pub fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        self.path(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// Runs a verb with the bundle and the key.
    pub fn run(&self, verb: &str, arguments: &[&str]) -> Ended {
        let key = self.path("vendor.pub");
        program(&[&[verb, "--bundle", self.bundle(), "--trust-key", &key], arguments].concat())
    }
}
