//! The pages of checks and review where hosts were looked at, as text to be read in review.

use std::fmt::Write as _;

use crossterm::event::KeyCode;
use sealift_wizard::Language;

use super::screens::look_at;
use super::{BEST, Somebody, VALID};
use crate::tui::display::Display;
use crate::tui::keys::Key;

/// A whole profile with so many hosts.
fn with_hosts(count: usize) -> String {
    let (before, rest) = VALID.split_once("hosts:\n").unwrap();
    let (_, after) = rest.split_once("access:").unwrap();
    let mut hosts = String::new();
    for number in 1..=count {
        let (name, role) = if number <= 3 {
            (format!("m{number}"), "control-plane")
        } else {
            (format!("w{}", number - 3), "worker")
        };
        writeln!(hosts, "  - {{name: {name}, address: 10.20.0.{number}, role: {role}}}").unwrap();
    }
    format!("{before}hosts:\n{hosts}access:{after}")
}

/// Somebody on a page on which the hosts were looked at.
fn looked(page: usize, hosts: usize, display: Display, language: Language) -> Somebody {
    let mut somebody = Somebody::at((80, 24), display, language, &with_hosts(hosts));
    somebody.go(page);
    somebody.key(Key::Run);
    somebody
}

fn english(page: usize, hosts: usize) -> Somebody {
    looked(page, hosts, BEST, Language::English)
}

impl Somebody {
    fn keys(mut self, keys: &[Key]) -> Self {
        for key in keys {
            self.key(*key);
        }
        self
    }

    /// To the findings of the disks.
    fn at_disks(self) -> Self {
        self.keys(&[Key::Down, Key::Down, Key::Down, Key::Down, Key::Down, Key::Enter])
    }

    /// Answers the form of a risk up to the reason.
    fn begun_form(self) -> Self {
        let mut somebody = self.at_disks().keys(&[Key::Enter, Key::Accept]);
        somebody.write("Li Wei");
        somebody.key(Key::Enter);
        somebody.write("a larger disk comes");
        somebody.key(Key::Enter);
        somebody
    }

    fn accepted(self) -> Self {
        let mut somebody = self.begun_form();
        somebody.write("2026-12-31");
        somebody.keys(&[Key::Next])
    }

    /// To the plan of the last host.
    fn at_last_host(mut self, mark: &str) -> Self {
        while !self.flat().contains(mark) {
            self.key(Key::Tab);
        }
        self.keys(&[Key::Enter])
    }
}

fn snapshot(name: &str, states: Vec<(&str, Somebody)>) {
    let mut text = String::new();
    for (state, somebody) in states {
        let screen = somebody.text();
        assert_eq!(screen.lines().count(), 24);
        assert_eq!(screen.is_ascii(), state == "ASCII without colour", "{screen}");
        text += &[state, "\n\n", &screen, "\n"].concat();
    }
    insta::assert_snapshot!(name, text);
}

const BARE: Display = Display { ascii: true, colour: false };

#[test]
fn what_checks_found() {
    let mut old = english(9, 5);
    old.go(2);
    look_at(&mut old, 0);
    old.key(Key::EraseLine);
    old.write("4000");
    old.key(Key::Enter);
    old.go(9);
    let states = vec![
        ("5 hosts", english(9, 5)),
        ("24 hosts", english(9, 24)),
        ("40 hosts", english(9, 40)),
        ("an answer has changed since", old),
        ("the findings of a group", english(9, 5).at_disks()),
        ("a finding", english(9, 5).at_disks().keys(&[Key::Enter])),
        ("Next is refused", english(9, 5).keys(&[Key::Next])),
        ("Chinese", looked(9, 24, BEST, Language::Chinese)),
        ("a finding in Chinese", looked(9, 5, BEST, Language::Chinese).at_disks().keys(&[Key::Enter])),
        ("ASCII without colour", looked(9, 24, BARE, Language::English)),
    ];
    snapshot("80x24-checks-found", states);
}

#[test]
fn who_accepts_what() {
    let mut wrong = english(9, 5).begun_form();
    wrong.write("2020-01-01");
    wrong.key(Key::Enter);
    let states = vec![
        ("the form", english(9, 5).at_disks().keys(&[Key::Enter, Key::Accept])),
        ("a day that is over", wrong),
        ("not whole", english(9, 5).begun_form().keys(&[Key::Next])),
        ("accepted", english(9, 5).accepted()),
        ("the page then", english(9, 5).accepted().keys(&[Key::Back, Key::Back])),
        ("Chinese", looked(9, 5, BEST, Language::Chinese).at_disks().keys(&[Key::Enter, Key::Accept])),
    ];
    snapshot("80x24-checks-accepted", states);
}

#[test]
fn what_is_mended() {
    let states = vec![
        ("the question", english(9, 5).keys(&[Key::Paste])),
        ("what became of it", english(9, 5).keys(&[Key::Paste, Key::Enter])),
        ("the question in Chinese", looked(9, 5, BEST, Language::Chinese).keys(&[Key::Paste])),
    ];
    snapshot("80x24-checks-mended", states);
}

#[test]
fn what_an_install_would_change() {
    let states = vec![
        ("the plan", english(10, 5).keys(&[Key::End])),
        ("a host", english(10, 5).at_last_host("▸ w2 ")),
        ("a host in Chinese", looked(10, 5, BEST, Language::Chinese).at_last_host("▸ w2 ")),
        ("ASCII without colour", looked(10, 5, BARE, Language::English).at_last_host("> w2 ")),
    ];
    snapshot("80x24-review-plan", states);
}

#[test]
fn one_comes_back_to_the_line_that_was_opened() {
    let mut somebody = english(9, 5).at_disks();
    assert!(somebody.flat().contains("▸ FAIL disk.space m1"), "{}", somebody.text());
    somebody.key(Key::Down);
    somebody.key(Key::Enter);
    somebody.press(KeyCode::Esc);
    assert!(somebody.flat().contains("▸ ok disk.mounts"), "{}", somebody.text());
    somebody.press(KeyCode::Esc);
    assert!(somebody.flat().contains("▸ Disks"), "{}", somebody.text());
    // F6 and F7 do nothing where they have nothing to do.
    let before = somebody.text();
    somebody.press(KeyCode::F(7));
    assert_eq!(somebody.text(), before);
    let mut plan = english(10, 5).at_last_host("▸ w2 ");
    plan.press(KeyCode::Esc);
    assert!(plan.flat().contains("▸ w2 "), "{}", plan.text());
}
