//! Somebody at a screen: keys go in, frames come out. Files are in memory and no host is there.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sealift_bundle::document::BundleDocument;
use sealift_bundle::testing::sample_document;
use sealift_events::picture::RunPicture;
use sealift_profile::{Circumstances, ProfileFinding, load_partly};
use sealift_wizard::testing::{findings, planned, reached, start};
use sealift_wizard::{
    Effect, Handover, Language, Loaded, MadeChange, MadeResult, Mended, Message, Start, Trouble, size, width,
};

use super::app::{App, Deed, Input};
use super::display::Display;
use super::frame::draw;
use super::keys::{Key, key};

mod behaviour;
mod checks;
mod reach;
mod runs;
mod screens;
mod walk;
mod way;

static DOCUMENT: LazyLock<Arc<BundleDocument>> = LazyLock::new(|| Arc::new(sample_document()));

const BEST: Display = Display { ascii: false, colour: true };

/// A profile in which nothing but the name is answered.
const EMPTY: &str = "apiVersion: sealift/v1\nkind: Site\nmetadata: {name: plant}\n";

/// A profile that is whole.
const VALID: &str = "apiVersion: sealift/v1
kind: Site
metadata: {name: harbin-plant}
environment: production
needs: {users: 2000, concurrentPercent: 10, availability: one-machine-may-fail}
hosts:
  - {name: m1, address: 10.20.0.11, role: control-plane}
  - {name: w1, address: 10.20.0.21, role: worker, user: root}
  - {name: w2, address: 10.20.0.22, role: worker}
access: {user: ops, privateKey: {file: ~/.ssh/id_ed25519}, sudoPassword: {prompt: sudo}, knownHosts: ~/.ssh/known_hosts}
cluster: {nameservers: [10.20.0.53, 10.20.0.54]}
product:
  settings: {domain: orders.harbin.example}
  secrets: {adminPassword: {env: ADMIN_PASSWORD}}
";

pub(super) struct Somebody {
    pub(super) app: App,
    size: (u16, u16),
    /// The profile as it was saved last.
    pub(super) saved: Option<String>,
    /// Passwords that were given, if any were.
    pub(super) given: Vec<Option<String>>,
    /// Whether checks answer; else they go on for ever.
    pub(super) checks_answer: bool,
    /// Runs whose next sign is waited for.
    pub(super) watched: VecDeque<String>,
    /// Runs that were asked to stop.
    pub(super) stopped: Vec<String>,
    /// The same for hosts that are tried.
    pub(super) hosts_answer: bool,
    /// Serials of the tries, a host each.
    pub(super) tried: Vec<u64>,
    /// The hosts that the file names.
    hosts: Vec<String>,
}

/// What a reader finds wrong with a saved profile that the wizard cannot know: only files of certificates are such.
fn found_in(text: &str) -> Vec<ProfileFinding> {
    if !text.contains("customerCa") {
        return Vec::new();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.yaml");
    std::fs::write(&path, text).unwrap();
    let loaded = load_partly(&[path], &Circumstances::on(jiff::civil::date(2026, 11, 22)));
    loaded.err().map(|error| error.findings().to_vec()).unwrap_or_default()
}

impl Somebody {
    /// At a screen of this size, before a file with this text.
    pub(super) fn at(size: (u16, u16), display: Display, language: Language, file: &str) -> Self {
        let start = Start { language, ..start() };
        let (app, deeds) = App::new(start, display, size);
        let names = file.split("{name: ").skip(1).filter_map(|rest| rest.split_once(", address"));
        let hosts = names.map(|(name, _)| name.to_owned()).filter(|name| !name.contains('}')).collect();
        let mut somebody = Self {
            app,
            size,
            saved: None,
            given: Vec::new(),
            checks_answer: true,
            watched: VecDeque::new(),
            stopped: Vec::new(),
            hosts_answer: true,
            tried: Vec::new(),
            hosts,
        };
        somebody.perform(deeds, file);
        somebody
    }

    pub(super) fn before(file: &str) -> Self {
        Self::at((80, 24), BEST, Language::English, file)
    }

    fn perform(&mut self, deeds: Vec<Deed>, file: &str) {
        let hosts = self.hosts.clone();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        for deed in deeds {
            let effect = match deed {
                Deed::Perform(effect) => effect,
                Deed::Give(given) => {
                    self.given.push(given.map(|given| given.expose().to_owned()));
                    continue;
                }
                Deed::Suspend | Deed::Redraw => continue,
            };
            let nothing = || Trouble {
                message: "it is not there".to_owned(),
                causes: vec!["No such file".to_owned()],
                remedies: vec!["name another".to_owned()],
            };
            let message = match effect {
                Effect::Save { text, .. } => {
                    let found = found_in(&text);
                    self.saved = Some(text);
                    Message::Saved(Ok(found))
                }
                Effect::Load { .. } if file.is_empty() => Message::Loaded(Loaded::New),
                Effect::Load { .. } => Message::Loaded(Loaded::There(file.to_owned())),
                Effect::OpenBundle { file } => {
                    let good = file.as_os_str() == "orders.bundle";
                    let outcome = if good { Ok(Arc::clone(&DOCUMENT)) } else { Err(nothing()) };
                    Message::BundleOpened { file, outcome }
                }
                Effect::ReadText { field, .. } => Message::TextRead { field, text: Err(nothing()) },
                Effect::ReadHosts { .. } => Message::HostsRead(Err(nothing())),
                Effect::Size { serial, document, site } => {
                    let outcome = size(&document, &site).map(Box::new).map_err(|_| nothing());
                    Message::Sized { serial, outcome }
                }
                Effect::Reach { serial, .. } if !self.hosts_answer => {
                    self.tried.push(serial);
                    continue;
                }
                Effect::Reach { serial, host, site } => {
                    let outcome = reached(&host, &site);
                    Message::Reached { serial, host, outcome }
                }
                Effect::Check { .. } if !self.checks_answer => continue,
                Effect::Check { serial, .. } => Message::Checked { serial, outcome: Ok(findings(&hosts)) },
                Effect::Plan { serial, .. } => Message::Planned { serial, outcome: Ok(planned(&hosts)) },
                Effect::Fix { serial, wishes, .. } => {
                    let made = |wish: &sealift_checks::Wish| MadeChange {
                        host: wish.host.clone(),
                        change: wish.fix.to_string(),
                        result: MadeResult::Done,
                    };
                    let made = wishes.iter().map(made).collect();
                    let mut findings = findings(&hosts);
                    for finding in &mut findings {
                        finding.fixes.clear();
                    }
                    Message::Fixed { serial, outcome: Ok(Mended { made, findings: Ok(findings) }) }
                }
                Effect::Install { serial, .. } => {
                    Message::InstallBegun { serial, outcome: Ok("2026-11-22-120000".to_owned()) }
                }
                Effect::Watch { run } => {
                    self.watched.push_back(run);
                    continue;
                }
                Effect::StopRun { run } => {
                    self.stopped.push(run.clone());
                    Message::StopAsked { run, outcome: Ok(()) }
                }
                Effect::Report { serial, run, .. } => {
                    let addresses = vec!["http://10.20.0.21:30080".to_owned()];
                    let file = PathBuf::from(format!("runs/{run}/report.html"));
                    Message::Reported { serial, outcome: Ok(Handover { file, addresses }) }
                }
                Effect::FindRuns | Effect::End => continue,
            };
            self.happen(Input::Outcome(message));
        }
    }

    pub(super) fn happen(&mut self, input: Input) {
        if let Input::Size(columns, rows) = input {
            self.size = (columns, rows);
        }
        let deeds = self.app.take(input);
        self.perform(deeds, "");
    }

    /// The run that is waited for longest gives a sign.
    pub(super) fn see(&mut self, picture: RunPicture) {
        let Some(run) = self.watched.pop_front() else { return };
        let picture = RunPicture { run: run.clone(), ..picture };
        self.happen(Input::Outcome(Message::Watched { run, outcome: Ok(Box::new(picture)) }));
    }

    pub(super) fn key(&mut self, key: Key) {
        self.happen(Input::Key(key));
    }

    pub(super) fn press(&mut self, code: KeyCode) {
        if let Some(key) = key(KeyEvent::new(code, KeyModifiers::NONE)) {
            self.key(key);
        }
    }

    pub(super) fn write(&mut self, text: &str) {
        for letter in text.chars() {
            self.key(Key::Letter(letter));
        }
    }

    /// Goes to a page by its number from 1.
    pub(super) fn go(&mut self, number: usize) {
        self.key(Key::Pages);
        self.key(Key::Home);
        for _ in 1..number {
            self.key(Key::Down);
        }
        self.key(Key::Enter);
    }

    /// The screen.
    pub(super) fn frame(&self) -> Buffer {
        let (columns, rows) = self.size;
        let mut buffer = Buffer::empty(Rect::new(0, 0, columns, rows));
        let _ = draw(self.app.picture(), &mut buffer);
        buffer
    }

    /// The screen as lines.
    pub(super) fn text(&self) -> String {
        let frame = self.frame();
        let mut text = String::new();
        for y in 0..frame.area.height {
            let (mut line, mut x) = (String::new(), 0);
            while x < frame.area.width {
                let symbol = frame[(x, y)].symbol();
                line.push_str(symbol);
                // A wide letter covers the next cell.
                x += u16::try_from(width::columns(symbol).max(1)).unwrap();
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// The screen as one line, with single blanks.
    pub(super) fn flat(&self) -> String {
        self.text().split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
