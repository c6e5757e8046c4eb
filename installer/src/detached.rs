//! An install in a process of its own, which outlives the one that starts it: started, asked for, then left alone.
//!
//! Both ends are here. The install leaves the session of whoever starts it, so that nothing that happens to a terminal
//! reaches it; its standard streams speak the JSON lines of [`crate::jsonl`], with one more: a line with topic `ask`
//! is a question, and the next line of standard input is the answer. Once the run has its folder and its journal, a
//! line with topic `run` names it. From then on nobody need read; viewers have the journal.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::trust::Trust;
use crate::tui::Ask;

/// Topic of a question.
const ASK: &str = "ask";
/// Topic of the line that names the run.
const RUN: &str = "run";
/// Longest answer, bytes.
const LONGEST: usize = 64 << 10;

/// What is to be installed, and where its record goes.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// The bundle.
    pub(crate) bundle: PathBuf,
    /// The site profile.
    pub(crate) profile: PathBuf,
    /// The plan that was agreed to, where there is one.
    pub(crate) plan: Option<PathBuf>,
    /// Folder with the records of runs.
    pub(crate) runs: PathBuf,
    /// Whose bundles are opened.
    pub(crate) trust: Trust,
}

impl Order {
    /// As words of a command line.
    fn words(&self) -> Vec<OsString> {
        let given = |flag: &str, path: &Path| {
            let mut word = OsString::from(flag);
            word.push("=");
            word.push(path);
            word
        };
        let mut words: Vec<OsString> =
            ["install", "--detached", "--yes", "--output=json"].map(OsString::from).to_vec();
        words.push(given("--bundle", &self.bundle));
        words.push(given("--profile", &self.profile));
        words.push(given("--runs", &self.runs));
        words.extend(self.plan.as_deref().map(|plan| given("--plan", plan)));
        words.extend(self.trust.words().into_iter().map(OsString::from));
        words
    }
}

/// The data of the line with topic `run`: where the record of the run is that has begun.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunData {
    /// Name of the run's folder.
    run: String,
    /// The folder itself.
    folder: String,
}

/// Leaves the session of the process that started this one.
pub(crate) fn leave_session(output: Output) -> Result<(), Failure> {
    if output != Output::Json {
        let failure = Failure::new(Kind::Usage, "`--detached` speaks with programs alone");
        return Err(failure.hint("give `--output json` as well; people leave `--detached` out"));
    }
    rustix::process::setsid().map(drop).map_err(|error| {
        let failure = Failure::new(Kind::Internal, "this process cannot have a session of its own");
        Failure { causes: vec![error.to_string()], ..failure }
            .hint("start it as a member of its starter's process group, and not as the leader of its own")
    })
}

/// Asks whoever started this process.
pub(crate) fn ask(label: &str) -> io::Result<SecretString> {
    Output::Json.line(ASK, label, &json!({}));
    // Not through the library's buffer, in which answers would stay.
    answer(&mut File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// Says that the run has begun.
pub(crate) fn say_begun(run: &str, folder: &Path) {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let data = RunData { run: run.to_owned(), folder: folder.display().to_string() };
    Output::Json.line(RUN, &format!("{run} has begun"), &data);
}

/// One line, and not a byte of the next.
fn answer(input: &mut impl Read) -> io::Result<SecretString> {
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut byte = Zeroizing::new([0]);
    loop {
        match input.read(&mut *byte) {
            Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "nobody gave it")),
            Ok(_) if byte[0] == b'\n' => break,
            // Never grown, so that no copy is left behind.
            Ok(_) if line.len() == LONGEST => return Err(io::Error::other("the answer is too long")),
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    std::str::from_utf8(&line).map(SecretString::from).map_err(|_| io::Error::other("the answer is no text"))
}

/// Starts the install and answers its questions. Gives the run's name once the run has begun, or why it could not
/// begin. Takes as long as verifying, looking at the hosts and checking take.
pub(crate) fn start(order: &Order, ask: Ask<'_>) -> Result<String, Failure> {
    let program = std::env::current_exe().map_err(|error| cannot_start(&error))?;
    let mut command = Command::new(program);
    command.args(order.words());
    follow(&mut command, ask).map(|(run, _)| run)
}

/// Starts it and follows what it says until the run has begun; the run's name, and the thread that sees it end.
fn follow(command: &mut Command, ask: Ask<'_>) -> Result<(String, Option<JoinHandle<()>>), Failure> {
    // What it has to say is on standard output; a screen may be drawn where the errors of this process go.
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = piped.spawn().map_err(|error| cannot_start(&error))?;
    let mut answers = child.stdin.take();
    let Some(said) = child.stdout.take() else {
        return Err(cannot_start(&io::Error::other("its standard output was not piped")));
    };
    let mut said = BufReader::new(said);
    let mut failure = None;
    while let Some(line) = next_line(&mut said) {
        match line.topic.as_str() {
            ASK => answers = answers.and_then(|answers| give(answers, ask(&line.text))),
            RUN => {
                if let Ok(RunData { run, .. }) = serde_json::from_value(line.data) {
                    return Ok((run, leave_alone(child, said)));
                }
            }
            "error" => failure = serde_json::from_value::<Failure>(line.data).ok(),
            _ => {}
        }
    }
    // It says no more, so it ends.
    let status = child.wait();
    Err(failure.unwrap_or_else(|| {
        let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        let failure = Failure::new(Kind::Internal, "the install ended before it had begun, without a word");
        Failure { causes: vec![how], ..failure }
            .hint("run the same install in a terminal: `installer install` says more there")
    }))
}

/// What of a line is of use here.
#[derive(Deserialize)]
struct Said {
    topic: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    data: Value,
}

/// The next line about a topic; others are not for here.
fn next_line(said: &mut impl BufRead) -> Option<Said> {
    let mut line = Vec::new();
    loop {
        line.clear();
        // A pipe that cannot be read any more has ended.
        if said.read_until(b'\n', &mut line).unwrap_or(0) == 0 {
            return None;
        }
        if let Ok(said) = serde_json::from_slice(&line) {
            return Some(said);
        }
    }
}

/// Gives an answer; without one, the install learns that nobody answers any more.
fn give(mut answers: ChildStdin, answer: io::Result<SecretString>) -> Option<ChildStdin> {
    let answer = answer.ok()?;
    let text = answer.expose_secret();
    // An answer of two lines would be the answer to two questions.
    if text.contains('\n') {
        return None;
    }
    answers.write_all(text.as_bytes()).and_then(|()| answers.write_all(b"\n")).ok()?;
    Some(answers)
}

/// Lets the install go on alone. While this process lives, a thread takes what it says, so that the pipe never fills,
/// and sees it end; after that its words go nowhere, which it bears, and the system sees it end.
fn leave_alone(mut child: Child, mut said: BufReader<ChildStdout>) -> Option<JoinHandle<()>> {
    let drain = move || {
        let _ = io::copy(&mut said, &mut io::sink());
        let _ = child.wait();
    };
    // Without the thread the pipe is closed at once, and the ended install stays in the table of processes until this
    // one ends: no harm.
    std::thread::Builder::new().name("drain".to_owned()).spawn(drain).ok()
}

fn cannot_start(error: &io::Error) -> Failure {
    let failure = Failure::new(Kind::Internal, "this program cannot start itself for the install");
    Failure { causes: vec![error.to_string()], ..failure }
        .hint("close this program and run `installer install` in a terminal")
}

#[cfg(test)]
mod tests;
