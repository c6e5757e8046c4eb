//! The screen of every page in every state, as text to be read in review: a file for each page.

use ratatui::style::Color;
use sealift_wizard::{Language, PageId};

use super::{BEST, EMPTY, Somebody, VALID};
use crate::tui::display::Display;
use crate::tui::keys::Key;

/// A wrong answer for a page with questions, and how many questions come before it.
fn wrong(page: PageId) -> Option<(usize, &'static str)> {
    match page {
        PageId::Start => Some((3, "Harbin Plant")),
        PageId::Needs => Some((0, "many")),
        PageId::Sizing => Some((0, "-1")),
        PageId::Access => Some((2, "canary-secret")),
        PageId::Network => Some((2, "10.20.0.0/16")),
        PageId::Storage => Some((0, "10250")),
        PageId::Confirm => Some((0, "plants")),
        PageId::Hosts
        | PageId::Product
        | PageId::Checks
        | PageId::Review
        | PageId::Install
        | PageId::Result => None,
    }
}

/// Looks at a field by its number on the page, from 0.
pub(super) fn look_at(somebody: &mut Somebody, number: usize) {
    let path = somebody.app.picture().screen.fields().filter(|field| field.enabled).nth(number);
    let path = path.unwrap().path.clone();
    for _ in 0..60 {
        if somebody.focus() == Some(path.as_str()) {
            return;
        }
        somebody.key(Key::Tab);
    }
    unreachable!("{path} cannot be reached");
}

impl Somebody {
    /// The field that is looked at.
    fn focus(&self) -> Option<&str> {
        match &self.app.picture().state.spot {
            crate::tui::state::Spot::Field(path) => Some(path),
            _ => None,
        }
    }
}

fn on(page: PageId, display: Display, language: Language, file: &str) -> Somebody {
    let mut somebody = Somebody::at((80, 24), display, language, file);
    somebody.go(page.number());
    assert_eq!(somebody.app.picture().screen.page, page);
    somebody
}

fn states(page: PageId) -> Vec<(&'static str, Somebody)> {
    let english = |file| on(page, BEST, Language::English, file);
    let mut states = vec![("empty", english(EMPTY)), ("valid", english(VALID))];
    if let Some((number, answer)) = wrong(page) {
        let mut invalid = english(VALID);
        look_at(&mut invalid, number);
        invalid.key(Key::EraseLine);
        invalid.write(answer);
        invalid.key(Key::Enter);
        assert!(invalid.app.picture().screen.refused.is_some(), "{page:?}: {}", invalid.text());
        states.push(("invalid", invalid));
        let mut long = english(VALID);
        look_at(&mut long, number);
        long.key(Key::EraseLine);
        long.write(&"a long answer that does not fit into its line ".repeat(5));
        states.push(("long text", long));
    }
    if page == PageId::Hosts {
        let mut invalid = english(VALID);
        invalid.happen(crate::tui::app::Input::Pasted(
            "w9, 10.20.0.21, work\rw8, 10.20.0.300, boss\r".to_owned(),
        ));
        states.push(("invalid", invalid));
        let mut host = english(VALID);
        host.key(Key::Down);
        host.key(Key::Enter);
        states.push(("one host", host));
    }
    if page == PageId::Confirm {
        let mut named = english(VALID);
        named.go(PageId::Review.number());
        named.key(Key::Run);
        named.key(Key::Next);
        look_at(&mut named, 0);
        named.write("harbin-plant");
        named.key(Key::Enter);
        states.push(("with plan and name", named));
    }
    states.push(("Chinese", on(page, BEST, Language::Chinese, VALID)));
    let bare = Display { ascii: true, colour: false };
    states.push(("ASCII without colour", on(page, bare, Language::English, VALID)));
    states
}

#[test]
fn every_page_in_every_state() {
    for page in PageId::ALL.into_iter().filter(|page| !page.is_of_run()) {
        let mut text = String::new();
        for (state, somebody) in states(page) {
            let screen = somebody.text();
            if state == "ASCII without colour" {
                assert!(screen.is_ascii(), "{screen}");
                let colours = somebody.frame().content.into_iter().flat_map(|cell| [cell.fg, cell.bg]);
                assert!(colours.into_iter().all(|colour| colour == Color::Reset));
            }
            assert_eq!(screen.lines().count(), 24);
            text += &[state, "\n\n", &screen, "\n"].concat();
        }
        insta::assert_snapshot!(format!("80x24-{:02}-{}", page.number(), page.name()), text);
    }
}

#[test]
fn wide_screens_have_the_steps_left_and_the_help_right() {
    let mut text = String::new();
    for (page, language) in [
        (PageId::Start, Language::English),
        (PageId::Hosts, Language::English),
        (PageId::Access, Language::Chinese),
    ] {
        let mut somebody = Somebody::at((120, 36), BEST, language, VALID);
        somebody.go(page.number());
        text += &[page.name(), "\n\n", &somebody.text(), "\n"].concat();
    }
    insta::assert_snapshot!("120x36", text);
}

#[test]
fn what_lies_over_a_page() {
    let mut text = String::new();
    let mut show = |name: &str, keys: &[Key]| {
        let mut somebody = on(PageId::Hosts, BEST, Language::English, VALID);
        for key in keys {
            somebody.key(*key);
        }
        text += &[name, "\n\n", &somebody.text(), "\n"].concat();
    };
    show("help", &[Key::Enter, Key::Help]);
    show("pages", &[Key::Pages]);
    show("remove", &[Key::Delete]);
    show("import", &[Key::Import, Key::Letter('~')]);
    show("list", &[Key::Paste, Key::Letter('m'), Key::Enter, Key::Letter('w')]);
    show("leave", &[Key::Leave]);
    insta::assert_snapshot!("over", text);
}

#[test]
fn a_small_screen_says_what_it_needs_and_recovers() {
    let mut somebody = Somebody::before(VALID);
    let before = somebody.text();
    somebody.happen(crate::tui::app::Input::Size(60, 15));
    let small = somebody.flat();
    assert!(small.contains("80x24 is needed, this is 60x15"), "{small}");
    // Nobody sees what keys do: they do nothing.
    somebody.write("x");
    somebody.key(Key::Next);
    somebody.happen(crate::tui::app::Input::Size(80, 24));
    assert_eq!(somebody.text(), before);
    for (columns, rows) in [(1, 1), (79, 24), (80, 23), (3, 50), (200, 60)] {
        somebody.happen(crate::tui::app::Input::Size(columns, rows));
        assert_eq!(somebody.text().lines().count(), usize::from(rows));
    }
    somebody.happen(crate::tui::app::Input::Size(60, 15));
    somebody.key(Key::Leave);
    assert!(somebody.app.has_ended());
}
