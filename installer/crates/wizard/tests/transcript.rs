//! The whole way in plain lines: what is said and typed, in one file to be read in review, with a wrong answer to every
//! kind of question on the way.
#![allow(clippy::unwrap_used)] // a test may fall over

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealift_bundle::testing::sample_document;
use sealift_events::picture::RunPicture;
use sealift_wizard::field::Kind;
use sealift_wizard::plain::{Lines, Reason, World, run};
use sealift_wizard::testing::{done, going_on, planned, reached, start};
use sealift_wizard::{Effect, Handover, Loaded, Message, PageId, Trouble, size};

/// A certificate, as an answer's file has it.
const AUTHORITY: &str = include_str!("../../profile/tests/authority.pem");

/// Files in memory, no hosts, and a run that is seen as often as there are pictures.
struct FakeWorld {
    files: BTreeMap<PathBuf, String>,
    pictures: VecDeque<RunPicture>,
}

impl FakeWorld {
    fn read(&self, file: &str) -> Result<String, Trouble> {
        let missing = || Trouble {
            message: format!("{file} cannot be read"),
            causes: vec!["No such file or directory".to_owned()],
            remedies: vec!["name a text file that you may read".to_owned()],
        };
        self.files.get(Path::new(file)).cloned().ok_or_else(missing)
    }
}

impl World for FakeWorld {
    fn perform(&mut self, effect: Effect) -> Option<Message> {
        Some(match effect {
            Effect::Save { file, text } => {
                self.files.insert(file, text);
                Message::Saved(Ok(Vec::new()))
            }
            Effect::Load { file } => {
                let there = self.files.get(&file);
                Message::Loaded(there.map_or(Loaded::New, |text| Loaded::There(text.clone())))
            }
            Effect::OpenBundle { file } => {
                Message::BundleOpened { file, outcome: Ok(Arc::new(sample_document())) }
            }
            Effect::ReadText { field, file } => Message::TextRead { field, text: self.read(&file) },
            Effect::ReadHosts { file } => Message::HostsRead(self.read(&file)),
            Effect::Size { serial, document, site } => {
                let outcome = size(&document, &site).map(Box::new);
                Message::Sized { serial, outcome: outcome.map_err(|_| Trouble::default()) }
            }
            Effect::Check { serial, .. } => Message::Checked { serial, outcome: Ok(Vec::new()) },
            Effect::Plan { serial, .. } => {
                let hosts = ["m1", "m2", "m3", "w1", "w2"];
                Message::Planned { serial, outcome: Ok(planned(&hosts)) }
            }
            Effect::Reach { serial, host, site } => {
                let outcome = reached(&host, &site);
                Message::Reached { serial, host, outcome }
            }
            Effect::FindRuns => Message::RunsFound(Vec::new()),
            Effect::Install { serial, .. } => {
                Message::InstallBegun { serial, outcome: Ok("2026-11-22-120000".to_owned()) }
            }
            Effect::Watch { run } => {
                let picture = self.pictures.pop_front().ok_or_else(Trouble::default);
                let picture = picture.map(|picture| Box::new(RunPicture { run: run.clone(), ..picture }));
                Message::Watched { run, outcome: picture }
            }
            Effect::Report { serial, run, .. } => {
                let file = PathBuf::from(format!("runs/{run}/handover.html"));
                Message::Reported { serial, outcome: Ok(Handover { file, addresses: Vec::new() }) }
            }
            Effect::Fix { .. } | Effect::StopRun { .. } => unreachable!("nobody asks for that"),
            Effect::End => return None,
        })
    }
}

/// Somebody who answers a line for each prompt; what is typed stands behind its prompt, as on a terminal.
struct Transcript {
    typed: VecDeque<String>,
    text: String,
}

impl Lines for Transcript {
    fn say(&mut self, line: &str) -> io::Result<()> {
        self.text += &[line.trim_end(), "\n"].concat();
        Ok(())
    }

    fn ask(&mut self, prompt: &str) -> io::Result<Option<String>> {
        let answer = self.typed.pop_front();
        self.text += [prompt, answer.as_deref().unwrap_or("(nobody answers)")].concat().trim_end();
        self.text += "\n";
        Ok(answer)
    }
}

/// An answer that a question of this kind refuses.
fn wrong(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "Harbin Plant",
        Kind::Number => "many",
        Kind::YesNo => "maybe",
        Kind::List => "10.20.0.53, 10.20.0.540",
        Kind::Secret => "canary-secret",
        Kind::Choice(_) => "fr",
        Kind::TextOfFile => "missing.pem",
    }
}

/// What is said to the wrong answers, in their order, and to a wrong list of hosts.
const REFUSALS: [&str; 8] = [
    "`fr` is none of the choices",
    "`Harbin Plant` is no name for a site",
    "`many` is no number",
    "`maybe` is neither yes nor no",
    "line 1: `w1` and `m1` have the same address",
    "the answer does not say where the secret is",
    "`cluster.nameservers[1]` is `10.20.0.540`",
    "missing.pem cannot be read",
];

/// A line for each prompt, page by page.
fn answers() -> Vec<&'static str> {
    [
        // Start: language, file, bundle, name, environment; then the page.
        &[wrong(Kind::Choice(&[])), "", "", "", wrong(Kind::Text), "harbin-plant", "production", ""][..],
        // Needs: most of them nobody knows.
        &[wrong(Kind::Number), "2,000", "10", "?", "", "", "", "", "", "", "", "", wrong(Kind::YesNo)],
        &["yes", ""],
        // Sizing: as it was calculated.
        &["", "", "", ""],
        // Hosts: one by questions, the others as a list that is wrong at first.
        &["add", "m1", "10.20.0.11", "steer", "", "", "paste", "w1, 10.20.0.11, work", "", "paste"],
        &[
            "m2, 10.20.0.12, steer",
            "m3, 10.20.0.13, steer",
            "w1, 10.20.0.21, work",
            "w2, 10.20.0.22, work",
            "",
            "",
        ],
        // Access.
        &["ops", "", wrong(Kind::Secret), "file ~/.ssh/id_ed25519", "", "", "ask", "~/.ssh/known_hosts"],
        &["", "", ""],
        // Network.
        &["", "", "", "", wrong(Kind::List), "10.20.0.53", ""],
        // Storage: with a place for logs.
        &["", "", "", "https://logs.harbin.example:9200/", wrong(Kind::TextOfFile), "ca.pem", "", "", "", ""],
        // Product.
        &["", "orders.harbin.example", "env ADMIN_PASSWORD", ""],
        // Checks, review; then the site's name, which begins the install; then its result.
        &["run", "", "run", "", "harbin-plant", "", ""],
    ]
    .concat()
}

#[test]
fn the_whole_way_with_a_wrong_answer_to_every_kind_of_question() {
    let files = BTreeMap::from([(PathBuf::from("ca.pem"), AUTHORITY.to_owned())]);
    let pictures = VecDeque::from([going_on("harbin-plant", ""), done("harbin-plant", "")]);
    let mut world = FakeWorld { files, pictures };
    let typed = answers().into_iter().map(str::to_owned).collect();
    let mut lines = Transcript { typed, text: String::new() };
    let ended = run(start(), &mut lines, &mut world).unwrap();
    let text = lines.text;
    assert_eq!((ended.reason, ended.model.page()), (Reason::Finished, PageId::Result), "{text}");
    assert!(lines.typed.is_empty(), "not asked for: {:?}", lines.typed);
    assert_eq!(ended.model.problems(), []);
    for refusal in REFUSALS {
        assert_eq!(text.matches(&format!("error: {refusal}")).count(), 1, "{refusal} in {text}");
    }
    assert_eq!(
        text.matches("error: ").count(),
        text.matches("  next: ").count(),
        "each says what to do: {text}"
    );
    // The transcript shows what is typed; nothing else may.
    assert_eq!(text.matches("canary").count(), 1, "{text}");
    assert!(!format!("{ended:?}{:?}", world.files).contains("canary"));
    insta::assert_snapshot!("plain", text);
}
