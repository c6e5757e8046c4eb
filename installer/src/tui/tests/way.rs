//! The whole way by keys alone, from an empty folder to the last page before any host is changed: a file for each
//! screen, to be read in review one after the other. The guide shows some of them.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use sealift_profile::{Circumstances, load_partly};
use sealift_wizard::PageId;

use super::Somebody;
use crate::tui::app::Input;
use crate::tui::keys::key;
use crate::tui::state::{Layer, Spot};

/// More keys than it takes to get around any page.
const ENOUGH: usize = 100;

/// Somebody who has nothing but a keyboard.
struct Walker(Somebody);

impl Walker {
    fn press(&mut self, code: KeyCode) {
        self.0.press(code);
    }

    fn control(&mut self, letter: char) {
        let pressed = KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
        self.0.happen(Input::Key(key(pressed).unwrap()));
    }

    fn write(&mut self, text: &str) {
        for letter in text.chars() {
            self.press(KeyCode::Char(letter));
        }
    }

    fn is_at(&self, spot: &Spot) -> bool {
        self.0.app.picture().state.spot == *spot
    }

    /// To a question of this page.
    fn to(&mut self, path: &str) {
        let spot = Spot::Field(path.to_owned());
        for _ in 0..ENOUGH {
            if self.is_at(&spot) {
                return;
            }
            self.press(KeyCode::Tab);
        }
        unreachable!("{path} cannot be reached:\n{}", self.0.text());
    }

    fn answer(&mut self, path: &str, text: &str) {
        self.to(path);
        self.write(text);
        self.press(KeyCode::Enter);
        assert_eq!(self.0.app.picture().screen.refused, None, "{path}: {text}");
    }

    /// The first of the answers that there are to choose from.
    fn choose(&mut self, path: &str) {
        self.to(path);
        self.press(KeyCode::Right);
    }

    /// Keeps the screen as it is, in a file of its own.
    fn show(&self, name: &str) {
        insta::assert_snapshot!(format!("way-{name}"), self.0.text());
    }

    /// Keeps the page as it is when it is done, from its top, and goes to the next one.
    fn done(&mut self, page: PageId) {
        let at = |walker: &Self| walker.0.app.picture().screen.page;
        assert_eq!(at(self), page, "{}", self.0.text());
        while self.0.app.picture().state.scroll > 0 {
            self.press(KeyCode::PageUp);
        }
        self.show(page.name());
        self.press(KeyCode::F(8));
        assert_eq!(Some(at(self)), page.next(), "{}", self.0.text());
    }
}

#[test]
fn the_whole_way_by_keys_alone() {
    let mut walker = Walker(Somebody::before(""));
    walker.answer("metadata.name", "harbin-plant");
    walker.choose("environment");
    walker.done(PageId::Start);

    walker.answer("needs.users", "2000");
    walker.answer("needs.concurrentPercent", "10");
    walker.choose("needs.availability");
    walker.to("needs.users");
    walker.press(KeyCode::F(1));
    walker.show("help");
    walker.press(KeyCode::Esc);
    walker.done(PageId::Needs);

    walker.done(PageId::Sizing);
    hosts(&mut walker);
    access(&mut walker);
    walker.answer("cluster.nameservers", "10.20.0.53");
    walker.done(PageId::Network);
    walker.done(PageId::Storage);
    walker.answer("product.settings.domain", "orders.harbin.example");
    walker.answer("product.secrets.adminPassword", "env ADMIN_PASSWORD");
    walker.done(PageId::Product);

    // Both look at the hosts, and change nothing there.
    walker.press(KeyCode::F(5));
    walker.done(PageId::Checks);
    walker.press(KeyCode::F(5));
    walker.done(PageId::Review);
    let last = walker.0.app.picture().screen.page;
    walker.show(last.name());
    loads(walker.0.saved.as_deref().unwrap());
}

/// A list from another window, and a look at one of the hosts in it.
fn hosts(walker: &mut Walker) {
    walker.press(KeyCode::F(6));
    let steering = ["m1, 10.20.0.11, steer", "m2, 10.20.0.12, steer", "m3, 10.20.0.13, steer"];
    let working = ["w1, 10.20.0.21, work", "w2, 10.20.0.22, work"];
    for line in steering.into_iter().chain(working) {
        walker.write(line);
        if line.starts_with("w2") {
            walker.show("hosts-list");
        }
        walker.press(KeyCode::Enter);
    }
    assert!(matches!(walker.0.app.picture().state.layer, Some(Layer::List { .. })));
    // An empty line ends it.
    walker.press(KeyCode::Enter);
    while !walker.is_at(&Spot::Line(1)) {
        walker.press(KeyCode::Tab);
    }
    walker.press(KeyCode::Enter);
    walker.show("hosts-one");
    walker.press(KeyCode::Esc);
    walker.done(PageId::Hosts);
}

/// With a password in the place of the file that it is in.
fn access(walker: &mut Walker) {
    walker.answer("access.user", "ops");
    walker.to("access.privateKey");
    walker.write("canary-secret");
    walker.press(KeyCode::Enter);
    assert!(walker.0.app.picture().screen.refused.is_some());
    assert!(!walker.0.text().contains("canary"), "{}", walker.0.text());
    walker.show("access-wrong");
    walker.control('u');
    walker.answer("access.privateKey", "file ~/.ssh/id_ed25519");
    walker.answer("access.sudoPassword", "ask");
    walker.answer("access.knownHosts", "~/.ssh/known_hosts");
    walker.to("access.user");
    walker.done(PageId::Access);
}

/// The profile is whole.
fn loads(text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.yaml");
    std::fs::write(&path, text).unwrap();
    let partly = load_partly(&[path], &Circumstances::on(jiff::civil::date(2026, 11, 22))).unwrap();
    assert!(partly.open.is_empty(), "{:?} in {text}", partly.open);
}
