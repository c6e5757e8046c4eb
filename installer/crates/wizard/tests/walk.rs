//! Random walks: whatever people do, nothing is lost and every saved profile loads.
#![allow(clippy::unwrap_used)] // a test may fall over, and so may what tests share

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use sealift_bundle::testing::sample_document;
use sealift_profile::{Circumstances, ProfileFinding, load_partly};
use sealift_wizard::field::fields;
use sealift_wizard::testing::{
    cut_off, done, failed, findings, going_on, key_of, planned, reached, start, stuck, summary,
};
use sealift_wizard::{
    Effect, Handover, Language, Loaded, Mark, Mended, Message, Model, NewKey, PageId, Part, Reached,
    Standing, Trouble, Whose, size, update, view,
};
use serde_json::Value as Json;

/// A profile in which nothing is missing.
const WHOLE: &str = "apiVersion: sealift/v1\nkind: Site\nmetadata: {name: harbin}\n\
    access: {user: ops, privateKey: {file: /k}, knownHosts: /h}\n\
    hosts:\n  - {name: m1, address: 10.20.0.11, role: control-plane}\n\
    product: {settings: {domain: x.example}, secrets: {adminPassword: {env: A}}}\n";

/// A profile whose hosts can be tried, and whose keys nobody knows.
const READY: &str = "apiVersion: sealift/v1
kind: Site
metadata: {name: plant}
hosts:
  - {name: m1, address: 10.20.0.11, role: control-plane}
  - {name: w1, address: 10.20.0.21, role: worker}
access: {user: ops, privateKey: {file: ~/k}}
";

/// Names that hosts get.
const HOSTS: [&str; 4] = ["m1", "w1", "m2", "w5"];

/// What somebody may do; which field or host is meant depends on what is there then.
#[derive(Debug, Clone)]
enum Move {
    Answer(usize, String),
    Clear(usize),
    Focus(usize),
    FocusNext,
    FocusPrevious,
    Next,
    Skip,
    Back,
    Go(usize),
    AddHost,
    EditHost(usize),
    RemoveHost(usize),
    AddHosts(String),
    /// Opens a line, whichever is there.
    Open(usize),
    Fixes,
    MakeFixes,
    AcceptRisk,
    TakeRiskBack,
    Run,
    /// Outside, something that takes long has come to an end, in one of some ways.
    Happen(u8),
    WatchRun(usize),
    Stop(bool),
    /// Leaves a run to itself, but only looks at what would be.
    Detach,
    /// Confirms the keys that are shown.
    Trust,
    /// Confirms a key that perhaps nobody has shown.
    TrustOther(usize),
    /// An outcome that nobody waits for any more, or not yet.
    ReachedLate(u64, usize),
    Save,
    /// Says no when asked whether to leave.
    AlmostQuit,
    Speak(bool),
}

fn answer() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop_oneof![
            "harbin", "1", "3", "2000", "0.5", "yes", "no", "10.20.0.11", "10.20.0.12", "10.244.0.5", "m1", "w1",
            "control-plane", "work", "file ~/k", "env TOKEN", "ask", "10.96.0.0/12", "10.0.0.0/8", "22", "6443",
            "https://logs.example:9200/", "because", "2026-12-31", "2020-01-01", "text.pem", "en", "production",
            "install", "plan",
        ],
        1 => "[ -~é中文\u{200b}\t]{0,12}",
    ]
}

fn hosts() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("m1, 10.20.0.11, steer\nw1, 10.20.0.21, work\n".to_owned()),
        Just("m2, 10.20.0.12, steer\nm2, 10.20.0.12, steer\n".to_owned()),
        Just("name,address,role,port\nw5,10.20.0.25,worker,2022\n".to_owned()),
        "[ -~\n]{0,30}",
    ]
}

fn a_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        12 => (0usize..20, answer()).prop_map(|(at, text)| Move::Answer(at, text)),
        2 => (0usize..20).prop_map(Move::Clear),
        1 => (0usize..20).prop_map(Move::Focus),
        1 => Just(Move::FocusNext),
        1 => Just(Move::FocusPrevious),
        3 => Just(Move::Next),
        4 => Just(Move::Skip),
        3 => Just(Move::Back),
        3 => (0usize..PageId::ALL.len()).prop_map(Move::Go),
        3 => Just(Move::AddHost),
        1 => (0usize..4).prop_map(Move::EditHost),
        1 => (0usize..4).prop_map(Move::RemoveHost),
        2 => hosts().prop_map(Move::AddHosts),
        6 => (0usize..20).prop_map(Move::Open),
        1 => Just(Move::Fixes),
        1 => Just(Move::MakeFixes),
        3 => Just(Move::AcceptRisk),
        1 => Just(Move::TakeRiskBack),
        3 => Just(Move::Run),
        6 => any::<u8>().prop_map(Move::Happen),
        2 => (0usize..3).prop_map(Move::WatchRun),
        1 => any::<bool>().prop_map(Move::Stop),
        1 => Just(Move::Detach),
        1 => Just(Move::Trust),
        1 => (0usize..4).prop_map(Move::TrustOther),
        1 => (0u64..9, 0usize..4).prop_map(|(serial, host)| Move::ReachedLate(serial, host)),
        1 => Just(Move::Save),
        1 => Just(Move::AlmostQuit),
        1 => any::<bool>().prop_map(Move::Speak),
    ]
}

/// A wizard with a world behind it and a memory of every answer.
struct Walk {
    model: Model,
    answers: BTreeMap<String, Json>,
    folder: tempfile::TempDir,
    saves: usize,
    hosts: usize,
    risks: usize,
    /// What takes long outside, the oldest first.
    outside: VecDeque<Effect>,
    /// Runs that were begun.
    begun: usize,
    /// What the file holds at first.
    file: Option<&'static str>,
}

impl Walk {
    /// Before a file with this text; before none where it is empty.
    fn new(file: &'static str) -> Self {
        let (model, effects) = Model::new(start());
        let folder = tempfile::tempdir().unwrap();
        let (answers, outside) = (BTreeMap::new(), VecDeque::new());
        let file = Some(file).filter(|file| !file.is_empty());
        let mut walk = Self { model, answers, folder, saves: 0, hosts: 0, risks: 0, outside, begun: 0, file };
        walk.perform(effects);
        walk
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            let nothing = || Trouble { message: "not here".to_owned(), ..Trouble::default() };
            let message = match effect {
                Effect::Save { text, .. } => Message::Saved(Ok(self.found_in(&text))),
                Effect::Load { .. } => {
                    let text = self.file.take().map(str::to_owned);
                    Message::Loaded(text.map_or(Loaded::New, Loaded::There))
                }
                Effect::OpenBundle { file } => {
                    let good = file.as_os_str() == "orders.bundle";
                    let outcome = if good { Ok(Arc::new(sample_document())) } else { Err(nothing()) };
                    Message::BundleOpened { file, outcome }
                }
                Effect::ReadText { field, file } => {
                    let text = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n".to_owned();
                    let text = if file == "text.pem" { Ok(text) } else { Err(nothing()) };
                    Message::TextRead { field, text }
                }
                Effect::ReadHosts { .. } => Message::HostsRead(Err(nothing())),
                Effect::Size { serial, document, site } => {
                    let outcome = size(&document, &site).map(Box::new).map_err(|_| nothing());
                    Message::Sized { serial, outcome }
                }
                Effect::Reach { serial, host, site } => {
                    let outcome = reached(&host, &site);
                    Message::Reached { serial, host, outcome }
                }
                Effect::Check { serial, .. } => {
                    Message::Checked { serial, outcome: Ok(findings(&["m1", "w1"])) }
                }
                Effect::Fix { serial, .. } => {
                    let outcome = Ok(Mended { made: Vec::new(), findings: Ok(findings(&["m1"])) });
                    Message::Fixed { serial, outcome }
                }
                Effect::FindRuns => {
                    let runs = [("r1", Standing::Failed), ("r0", Standing::Done)];
                    Message::RunsFound(runs.map(|(run, standing)| summary(run, standing)).to_vec())
                }
                slow @ (Effect::Plan { .. }
                | Effect::Install { .. }
                | Effect::Watch { .. }
                | Effect::StopRun { .. }
                | Effect::Report { .. }) => {
                    self.outside.push_back(slow);
                    continue;
                }
                Effect::End => continue,
            };
            self.send(message);
        }
    }

    /// What takes longest outside comes to an end, in one of some ways.
    fn happen(&mut self, way: u8) {
        let nothing = || Trouble { message: "not here".to_owned(), ..Trouble::default() };
        let Some(effect) = self.outside.pop_front() else { return };
        let works = !way.is_multiple_of(4);
        let message = match effect {
            Effect::Plan { serial, .. } if works => {
                Message::Planned { serial, outcome: Ok(planned(&["m1", "w1"])) }
            }
            Effect::Plan { serial, .. } => Message::Planned { serial, outcome: Err(nothing()) },
            Effect::Install { serial, .. } if works => {
                self.begun += 1;
                Message::InstallBegun { serial, outcome: Ok(format!("new{}", self.begun)) }
            }
            Effect::Install { serial, .. } => Message::InstallBegun { serial, outcome: Err(nothing()) },
            Effect::Watch { run } => {
                let pictures = [going_on, stuck, failed, cut_off, done];
                let site = if way.is_multiple_of(2) { "harbin" } else { "elsewhere" };
                let picture = pictures.get(usize::from(way % 6)).map(|picture| picture(site, &run));
                Message::Watched { run, outcome: picture.map(Box::new).ok_or_else(nothing) }
            }
            Effect::StopRun { run } => Message::StopAsked { run, outcome: Ok(()) },
            Effect::Report { serial, run, .. } => {
                let handover = Handover { file: run.into(), addresses: Vec::new() };
                Message::Reported { serial, outcome: Ok(handover) }
            }
            quick => unreachable!("{quick:?} takes no time"),
        };
        self.send(message);
    }

    /// A saved profile loads, but for files that it names; what is open in the wizard is named in it.
    fn found_in(&mut self, text: &str) -> Vec<ProfileFinding> {
        let path = self.folder.path().join("site.yaml");
        std::fs::write(&path, text).unwrap();
        self.saves += 1;
        let circumstances = Circumstances::on(start().today);
        match load_partly(std::slice::from_ref(&path), &circumstances) {
            Ok(partly) => {
                let open = self.model.problems();
                let open = open.iter().filter(|problem| problem.field.as_deref() != Some("start.bundle"));
                assert_eq!(partly.open.is_empty(), open.count() == 0, "{text}");
                Vec::new()
            }
            Err(error) => {
                let files = error.findings().iter().all(|finding| finding.path == "customerCa.file");
                assert!(files && !error.findings().is_empty(), "{error}\n{text}");
                error.findings().to_vec()
            }
        }
    }

    fn send(&mut self, message: Message) {
        let (model, effects) = update(self.model.clone(), message);
        self.model = model;
        // Where a host is gone, the others have other numbers.
        let hosts = self.model.draft().hosts();
        if hosts < self.hosts {
            self.answers.retain(|path, _| !path.starts_with("hosts["));
        }
        self.hosts = hosts;
        let risks = self.model.draft().get("acceptedRisks").and_then(Json::as_array).map_or(0, Vec::len);
        if risks < self.risks {
            self.answers.retain(|path, _| !path.starts_with("acceptedRisks["));
        }
        self.risks = risks;
        self.holds();
        self.perform(effects);
    }

    fn path(&self, at: usize) -> Option<String> {
        let fields = fields(&self.model);
        (!fields.is_empty()).then(|| fields[at % fields.len()].path.clone())
    }

    fn answer(&mut self, at: usize, text: String) {
        let Some(path) = self.path(at) else { return };
        let before = self.answers.remove(&path);
        self.send(Message::Answer { field: path.clone(), text });
        let now = self.model.draft().get(&path).cloned();
        if self.model.refused().is_some() && before.is_some() {
            assert_eq!(self.model.answer(&path), before, "a refused answer changes nothing");
            self.answers.extend(before.map(|before| (path, before)));
        } else {
            self.answers.extend(now.map(|now| (path, now)));
        }
    }

    fn step(&mut self, a_move: Move) {
        let before = self.model.page();
        let in_host = self.model.host().is_some() || self.model.part().is_some();
        let turns = matches!(a_move, Move::Next | Move::Skip | Move::Go(_));
        match a_move {
            Move::Answer(at, text) => self.answer(at, text),
            Move::Clear(at) => {
                let Some(path) = self.path(at) else { return };
                self.answers.remove(&path);
                self.send(Message::Clear { field: path });
            }
            Move::Focus(at) => {
                let Some(field) = self.path(at) else { return };
                self.send(Message::Focus { field });
            }
            Move::FocusNext => self.send(Message::FocusNext),
            Move::FocusPrevious => self.send(Message::FocusPrevious),
            // These would end it.
            Move::Next if before == PageId::Result || self.model.page_after().is_none() => {}
            Move::Skip if self.model.page_after().is_none() => {}
            Move::Next => self.send(Message::Next),
            Move::Skip => self.send(Message::Skip),
            Move::Back => {
                let expected = if in_host { Some(before) } else { self.model.page_before() };
                self.send(Message::Back);
                assert_eq!(self.model.page(), expected.unwrap_or(before));
            }
            Move::Go(at) => self.send(Message::Go(PageId::ALL[at])),
            Move::AddHost => self.send(Message::AddHost),
            Move::EditHost(index) => self.send(Message::EditHost(index)),
            Move::RemoveHost(index) => self.send(Message::RemoveHost(index)),
            Move::AddHosts(text) => self.send(Message::AddHosts(text)),
            Move::Open(at) => {
                let opens: Vec<Message> =
                    view(&self.model).entries().map(|entry| entry.opens.clone()).collect();
                if !opens.is_empty() {
                    self.send(opens[at % opens.len()].clone());
                    assert_eq!(self.model.refused(), None, "what is shown can be opened");
                }
            }
            Move::Fixes => self.send(Message::Open(Part::Fixes)),
            Move::MakeFixes => self.send(Message::MakeFixes),
            Move::AcceptRisk => self.send(Message::AcceptRisk),
            Move::TakeRiskBack => self.send(Message::TakeRiskBack),
            Move::Run => self.send(Message::Run),
            Move::Happen(way) => self.happen(way),
            Move::WatchRun(index) => self.send(Message::WatchRun(index)),
            Move::Stop(yes) => {
                self.send(Message::Stop);
                let goes_on = self.model.run_that_goes_on().is_some();
                assert_eq!(self.model.is_stopping(), goes_on, "only what goes on can be stopped");
                self.send(Message::ReallyStop(yes));
                assert!(!self.model.is_stopping());
            }
            Move::Detach => {
                let (left, _) = update(self.model.clone(), Message::Detach);
                assert_eq!(left.has_ended(), self.model.run_that_goes_on().is_some());
            }
            Move::Trust => {
                let keys = view(&self.model).new_keys;
                let any = !keys.is_empty();
                self.send(Message::TrustKeys(keys));
                assert_eq!(self.model.refused().is_none(), any, "what is shown can be confirmed");
            }
            Move::TrustOther(host) => {
                let host = HOSTS[host];
                let key = NewKey { whose: Whose::Host(host.to_owned()), key: key_of(host) };
                let shown = view(&self.model).new_keys.contains(&key);
                self.send(Message::TrustKeys(vec![key]));
                assert_eq!(self.model.refused().is_none(), shown, "nothing else can");
            }
            Move::ReachedLate(serial, host) => {
                let trouble = Trouble { message: "late".to_owned(), ..Trouble::default() };
                let outcome = Reached::Failed { key: None, trouble };
                let before = self.model.clone();
                self.send(Message::Reached { serial, host: HOSTS[host].to_owned(), outcome });
                assert!(self.model == before, "every host has answered by now: nothing comes of it");
            }
            Move::Save => self.send(Message::Save),
            Move::AlmostQuit => {
                self.send(Message::Quit);
                assert!(self.model.is_leaving());
                self.send(Message::ReallyQuit(false));
            }
            Move::Speak(chinese) => {
                self.send(Message::Speak(if chinese { Language::Chinese } else { Language::English }));
            }
        }
        if turns && self.model.page() != before {
            let (back, _) = update(self.model.clone(), Message::Back);
            assert_eq!(back.page(), before, "back returns to the page last seen");
        }
    }

    fn holds(&self) {
        let fields = fields(&self.model);
        let can: Vec<&str> =
            fields.iter().filter(|field| self.model.is_enabled(field)).map(|field| &*field.path).collect();
        match self.model.focus() {
            Some(focus) => assert!(can.contains(&focus), "{focus} is not among {can:?}"),
            None => assert!(can.is_empty(), "one of {can:?} should be looked at"),
        }
        for (path, value) in &self.answers {
            assert_eq!(self.model.answer(path).as_ref(), Some(value), "{path} was lost");
        }
        let screen = view(&self.model);
        assert_eq!(screen.page, self.model.page());
        let run_is_open = screen.page == PageId::Install && self.model.standing() != Some(Standing::Done);
        let clear = screen.page != PageId::Checks || self.model.in_the_way().is_empty();
        assert_eq!(screen.next_open, self.model.problems_of(screen.page).is_empty() && clear && !run_is_open);
        assert!(self.model.parts().iter().all(|part| part.page() == screen.page), "{:?}", self.model.parts());
        let watched = self.outside.iter().filter(|effect| matches!(effect, Effect::Watch { .. }));
        let runs: Vec<_> = watched.collect();
        assert!(runs.iter().all(|one| runs.iter().filter(|other| *other == one).count() == 1), "{runs:?}");
        if screen.page.is_of_run() {
            assert!(self.model.mark(screen.page) > Mark::Unseen, "{:?} without a run", screen.page);
        }
        assert_eq!(screen.fields().filter(|field| field.focused).count(), usize::from(!can.is_empty()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_on_any_way(moves in vec(a_move(), 1..60), kind in 0usize..4) {
        let mut walk = Walk::new(["", WHOLE, READY, WHOLE][kind]);
        if kind == 3 {
            walk.step(Move::Go(PageId::Checks.number() - 1));
            walk.step(Move::Run);
        }
        for one in moves {
            walk.step(one);
        }
        walk.send(Message::InputEnded);
        prop_assert!(walk.model.has_ended());
        prop_assert!(!walk.model.is_unsaved());
        // After its end it does nothing.
        let (after, effects) = update(walk.model.clone(), Message::AddHost);
        prop_assert_eq!(after, walk.model);
        prop_assert!(effects.is_empty());
    }
}

#[test]
fn a_walk_that_answers_saves() {
    let mut walk = Walk::new("");
    for one in [
        Move::Answer(3, "harbin".to_owned()),
        Move::Next,
        Move::Answer(0, "2000".to_owned()),
        Move::Next,
        Move::Answer(0, "3".to_owned()),
        Move::Back,
        Move::Back,
    ] {
        walk.step(one);
    }
    assert_eq!((walk.model.page(), walk.answers.len(), walk.saves), (PageId::Start, 3, 3));
}

#[test]
fn a_walk_that_installs_comes_to_the_result() {
    let mut walk = Walk::new(WHOLE);
    let moves = [
        Move::Go(9),
        Move::Run,
        Move::Happen(1),
        Move::Next,
        Move::Answer(0, "harbin".to_owned()),
        Move::Next,
    ];
    for one in moves {
        walk.step(one);
    }
    assert_eq!((walk.model.page(), walk.outside.len()), (PageId::Confirm, 1));
    // Begun, goes on, fails; begun again, ends well.
    let moves =
        [Move::Happen(1), Move::Happen(0), Move::Happen(2), Move::Run, Move::Happen(1), Move::Happen(4)];
    for one in moves {
        walk.step(one);
    }
    assert_eq!((walk.model.page(), walk.begun), (PageId::Result, 2));
}

#[test]
fn a_walk_that_confirms_keys_keeps_them() {
    let mut walk = Walk::new(READY);
    for one in [Move::Go(3), Move::Run, Move::TrustOther(3), Move::Trust, Move::Run, Move::Go(4), Move::Trust]
    {
        walk.step(one);
    }
    let pinned = walk.model.draft().get("hosts[0].hostKey").unwrap();
    assert_eq!(pinned, key_of("m1").fingerprint.as_str());
    assert!(format!("{:?}", view(&walk.model).rows).contains("Of 2 hosts 1 let the installer in"));
}
