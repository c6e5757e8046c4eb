//! `installer install --detached` as the program that starts it gets it: questions over the streams, a session of its
//! own, failures before the run.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;

use crate::schema::complaints;
use crate::seat::{Ended, Seat};
use crate::terminal::Terminal;

impl Seat {
    /// A profile with two secrets to ask for, and one host behind a bastion at this port of this machine.
    fn asking(&self, port: u16) -> String {
        let text = format!(
            "apiVersion: sealift/v1\nkind: Site\nmetadata: {{name: plant}}\n\
             access: {{user: ops, password: {{prompt: password of ops}}, sudoPassword: {{prompt: sudo password}}, \
             knownHosts: /dev/null, bastion: {{address: 127.0.0.1, port: {port}, user: ops, \
             password: {{prompt: password of ops}}}}}}\n\
             hosts:\n  - {{name: m1, address: 10.20.0.11, role: control-plane}}\n"
        );
        self.write("site.yaml", &text)
    }

    fn detached(&self, profile: &str, more: &[&str]) -> Vec<String> {
        let key = self.path("vendor.pub");
        let runs = self.path("runs");
        let words =
            ["install", "--detached", "--bundle", self.bundle(), "--trust-key", &key, "--profile", profile];
        [&words[..], &["--runs", &runs], more].concat().into_iter().map(str::to_owned).collect()
    }
}

/// Runs it with this as all its input.
fn given(arguments: &[String], input: &str) -> Ended {
    Ended::of_given(Command::new(env!("CARGO_BIN_EXE_installer")).args(arguments), input)
}

/// What was said, line by line; each must be of the schema.
fn lines(text: &str) -> Vec<Value> {
    let line = |line: &str| {
        assert_eq!(complaints(line), [""; 0], "{line}");
        serde_json::from_str(line).unwrap()
    };
    text.lines().map(line).collect()
}

fn of<'a>(lines: &'a [Value], topic: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["topic"] == topic).collect()
}

/// A port at which nobody speaks SSH: whoever comes is sent away.
fn no_ssh() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    port
}

#[test]
fn questions_are_answered_over_the_streams_and_the_failure_is_the_last_line() {
    let seat = Seat::new();
    let arguments = seat.detached(&seat.asking(no_ssh()), &["--yes", "--output", "json"]);
    let ended = given(&arguments, "canary-one\ncanary-two\n");
    assert_eq!((ended.code, ended.errors.as_str()), (Some(3), ""), "{}", ended.output);
    assert!(!ended.output.contains("canary"), "{}", ended.output);
    let lines = lines(&ended.output);
    let asked: Vec<_> = of(&lines, "ask").into_iter().map(|line| &line["text"]).collect();
    assert_eq!(asked, ["password of ops", "sudo password"]);
    let last = lines.last().unwrap();
    assert_eq!((&last["topic"], &last["exitCode"]), (&"error".into(), &3.into()));
    assert!(last["text"].as_str().unwrap().contains("bastion (127.0.0.1"), "{last}");
    assert!(of(&lines, "run").is_empty() && !fs::exists(seat.path("runs")).unwrap(), "nothing has begun");
}

#[test]
fn where_the_input_ends_nobody_answers() {
    let seat = Seat::new();
    let arguments = seat.detached(&seat.asking(no_ssh()), &["--yes", "--output", "json"]);
    // The bastion takes the password of the host.
    for (input, missing) in [("", 3), ("canary-one\n", 1), ("canary-one\ncanary-tw", 1)] {
        let ended = given(&arguments, input);
        assert_eq!((ended.code, ended.errors.as_str()), (Some(2), ""), "{}", ended.output);
        let last = lines(&ended.output).pop().unwrap();
        assert_eq!(last["text"], format!("{missing} of the profile's secrets cannot be had"));
        assert!(last["data"]["causes"][0].as_str().unwrap().contains("nobody answered \""), "{last}");
        assert!(!ended.output.contains("canary"), "{}", ended.output);
    }
}

#[test]
fn it_speaks_with_programs_alone() {
    let seat = Seat::new();
    let ended = given(&seat.detached("none.yaml", &["--yes"]), "");
    assert_eq!((ended.code, ended.output.as_str()), (Some(2), ""));
    assert!(ended.errors.contains("`--detached` speaks with programs alone"), "{}", ended.errors);
    assert!(ended.errors.contains("next: give `--output json`"), "{}", ended.errors);
}

#[test]
fn the_end_of_the_starters_terminal_does_not_reach_it() {
    let seat = Seat::new();
    let pipes = [seat.path("answers"), seat.path("said")];
    for pipe in &pipes {
        mknodat(CWD, pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    }
    let arguments = seat.detached(&seat.asking(no_ssh()), &["--yes", "--output", "json"]);
    // A member of the shell's process group, at the shell's terminal; the shell must not become the program.
    let line = format!("\"$0\" \"$@\" <{} >{}; :", pipes[0], pipes[1]);
    let program = env!("CARGO_BIN_EXE_installer");
    let words: Vec<&str> =
        ["-c", &line, program].into_iter().chain(arguments.iter().map(String::as_str)).collect();
    let terminal = Terminal::start("sh", &words, &seat.path(""), &[]);
    let mut answers = File::options().write(true).open(&pipes[0]).unwrap();
    let mut said = BufReader::new(File::open(&pipes[1]).unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.contains("\"password of ops\""), "{line}");
    // The kernel hangs up on everybody in the foreground: the shell dies of it.
    assert!(!terminal.hang_up().success());
    answers.write_all(b"one\ntwo\n").unwrap();
    let rest: Vec<String> = said.lines().map(Result::unwrap).collect();
    let last: Value = serde_json::from_str(rest.last().unwrap()).unwrap();
    assert_eq!((&last["topic"], &last["exitCode"]), (&"error".into(), &3.into()), "{rest:?}");
}
