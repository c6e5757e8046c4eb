//! What keys do, one thing at a time.

use crossterm::event::KeyCode;
use sealift_wizard::{Language, PageId};

use super::{EMPTY, Somebody, VALID};
use crate::tui::app::Input;
use crate::tui::display::Display;
use crate::tui::keys::Key;
use crate::tui::state::{Spot, Work};

#[test]
fn a_new_site_begins_at_its_name_and_next_says_what_is_missing() {
    let mut somebody = Somebody::before("");
    assert!(somebody.flat().contains("▸ What is the site called?"), "{}", somebody.text());
    somebody.key(Key::Next);
    assert!(somebody.flat().contains("missing or wrong"), "{}", somebody.text());
    somebody.write("quiet q");
    somebody.key(Key::Enter);
    assert!(somebody.flat().contains("is no name for a site"), "a letter is no command: {}", somebody.text());
    somebody.key(Key::Back);
    somebody.write("harbin");
    somebody.key(Key::Next);
    assert!(somebody.flat().contains("2/13 Needs"), "{}", somebody.text());
    assert!(somebody.saved.as_ref().unwrap().contains("name: harbin"));
    // Back keeps the answer, and the same key leads to it again.
    somebody.key(Key::Back);
    assert!(somebody.flat().contains("1/13 Start") && somebody.flat().contains("harbin"));
}

#[test]
fn what_may_be_a_secret_is_shown_as_dots() {
    let mut somebody = Somebody::before(EMPTY);
    somebody.go(5);
    while !somebody.flat().contains("▸ Where is the private key") {
        somebody.key(Key::Tab);
    }
    somebody.write("canary");
    assert!(somebody.flat().contains("●●●●●●") && !somebody.flat().contains("canary"), "{}", somebody.text());
    somebody.key(Key::Enter);
    assert!(!somebody.flat().contains("canary") && somebody.flat().contains("Next:"), "{}", somebody.text());
    somebody.key(Key::EraseLine);
    somebody.write("file ~/.ssh/key");
    assert!(somebody.flat().contains("file ~/.ssh/key"), "{}", somebody.text());
}

#[test]
fn choices_are_walked_and_taken_back() {
    let mut somebody = Somebody::before("");
    somebody.key(Key::Tab);
    assert!(somebody.flat().contains("▸ What is the site for?"), "{}", somebody.text());
    somebody.key(Key::Right);
    assert!(somebody.flat().contains("(●) production"), "{}", somebody.text());
    somebody.key(Key::Left);
    assert!(somebody.flat().contains("(●) test"), "{}", somebody.text());
    somebody.key(Key::Delete);
    assert!(!somebody.flat().contains("(●)"), "{}", somebody.text());
}

#[test]
fn where_chinese_cannot_be_shown_english_is_spoken_and_it_is_said() {
    let ascii = Display { ascii: true, colour: true };
    let mut somebody = Somebody::at((80, 24), ascii, Language::Chinese, "");
    assert!(somebody.flat().contains("the wizard speaks English"), "{}", somebody.text());
    while !somebody.flat().contains("> Which language do you want?") {
        somebody.key(Key::Up);
    }
    assert!(!somebody.flat().contains("speaks English"));
    somebody.key(Key::Right);
    assert!(somebody.flat().contains("the wizard speaks English"), "{}", somebody.text());
    assert!(somebody.flat().contains("Which language do you want?"));
}

#[test]
fn hosts_come_by_paste_by_key_and_go_by_a_question() {
    let mut somebody = Somebody::before(EMPTY);
    somebody.go(4);
    let lines = (10..60).map(|n| format!("w{n}, 10.20.0.{n}, work\r")).collect::<Vec<_>>().concat();
    somebody.happen(Input::Pasted(lines));
    assert!(somebody.flat().contains("50 hosts were added"), "{}", somebody.text());
    assert_eq!(somebody.saved.as_ref().unwrap().matches("10.20.0.").count(), 50);
    somebody.key(Key::Insert);
    assert!(somebody.flat().contains("Host 51"), "{}", somebody.text());
    somebody.write("m1");
    somebody.key(Key::Enter);
    somebody.write("10.20.0.5");
    somebody.key(Key::Back);
    assert!(somebody.flat().contains("Host 51"), "Esc drops what is typed first: {}", somebody.text());
    somebody.key(Key::Back);
    assert!(somebody.flat().contains("▸ 51 m1"), "{}", somebody.text());
    somebody.key(Key::Delete);
    assert!(somebody.flat().contains("Take the host m1 out of the list?"), "{}", somebody.text());
    somebody.key(Key::Back);
    assert!(somebody.flat().contains("51 m1"));
    somebody.key(Key::Delete);
    somebody.key(Key::Enter);
    assert!(somebody.flat().contains("▸ 50 w59") && !somebody.flat().contains("m1"), "{}", somebody.text());
    // A list that is refused stays to be mended.
    somebody.key(Key::Paste);
    somebody.write("m1, 10.20.0.300, steer");
    somebody.key(Key::Enter);
    somebody.key(Key::Enter);
    assert!(
        somebody.flat().contains("Lines so far: 1") && somebody.flat().contains("line 1"),
        "{}",
        somebody.text()
    );
    somebody.key(Key::Back);
    somebody.key(Key::Import);
    somebody.write("none.csv");
    somebody.key(Key::Enter);
    assert!(
        somebody.flat().contains("it is not there; No such file. Next: name another"),
        "{}",
        somebody.text()
    );
}

#[test]
fn leaving_asks_and_enter_confirms() {
    let mut somebody = Somebody::before(VALID);
    somebody.press(KeyCode::F(10));
    assert!(somebody.flat().contains("Leave the wizard? The answers are kept in site.yaml."));
    somebody.key(Key::Back);
    assert!(!somebody.app.has_ended() && somebody.flat().contains("1/13"));
    somebody.key(Key::Leave);
    somebody.key(Key::Enter);
    assert!(somebody.app.has_ended());
}

#[test]
fn what_goes_on_is_said_and_a_password_is_given_or_not() {
    let mut somebody = Somebody::before(VALID);
    somebody.go(9);
    somebody.checks_answer = false;
    somebody.press(KeyCode::F(5));
    somebody.happen(Input::Working(vec![(Work::Check, 12)]));
    assert!(somebody.flat().contains("the hosts are being looked at: 12 s"), "{}", somebody.text());
    for (typed, given) in [(true, Some("hunter2".to_owned())), (false, None)] {
        somebody.happen(Input::Ask("access.password".to_owned()));
        somebody.write("hunter2x");
        somebody.key(Key::Erase);
        let flat = somebody.flat();
        assert!(
            flat.contains("access.password") && flat.contains("●●●●●●● ") && !flat.contains("hunter"),
            "{flat}"
        );
        somebody.key(if typed { Key::Enter } else { Key::Back });
        assert_eq!(somebody.given.pop().unwrap(), given);
    }
    // Meanwhile the wizard goes on.
    somebody.go(2);
    assert_eq!(somebody.app.picture().screen.page, PageId::Needs);
}

#[test]
fn long_pages_are_read_to_their_end() {
    let mut somebody = Somebody::before(VALID);
    somebody.go(10);
    somebody.press(KeyCode::F(5));
    while !somebody.flat().contains("▸ w2 ") {
        somebody.key(Key::Tab);
    }
    somebody.key(Key::Enter);
    let mut seen = somebody.flat();
    for _ in 0..12 {
        somebody.key(Key::PageDown);
        seen += &somebody.flat();
    }
    for file in 1..=30 {
        assert!(seen.contains(&format!("/etc/w2/{file}.conf")), "{file}: {seen}");
    }
    somebody.key(Key::Home);
    assert!(!somebody.flat().contains("lines above"), "{}", somebody.text());
}

#[test]
fn a_name_that_cannot_be_read_is_not_typed_again() {
    let mut somebody = Somebody::before(VALID);
    let typed = |somebody: &Somebody| {
        somebody.app.picture().state.edit.as_ref().map(|edit| edit.input.value().to_owned())
    };
    // The bundle that is open holds; what was typed stands there with the reason.
    let look_at = |somebody: &mut Somebody, path: &str| {
        let field = Spot::Field(path.to_owned());
        for _ in 0..60 {
            if somebody.app.picture().state.spot == field {
                return;
            }
            somebody.key(Key::Tab);
        }
        unreachable!("{path} is not on {}", somebody.text());
    };
    look_at(&mut somebody, "start.bundle");
    somebody.key(Key::EraseLine);
    somebody.write("other.bundle");
    somebody.key(Key::Enter);
    assert_eq!(typed(&somebody).as_deref(), Some("other.bundle"), "{}", somebody.text());
    assert!(somebody.flat().contains("it is not there"), "{}", somebody.text());
    somebody.key(Key::Back);
    assert_eq!(typed(&somebody).as_deref(), Some("orders.bundle"), "dropped as anything that is typed");
    somebody.go(PageId::Storage.number());
    look_at(&mut somebody, "services.logs.url");
    somebody.write("https://logs.example/");
    look_at(&mut somebody, "services.logs.ca");
    somebody.write("/ca.pem");
    somebody.key(Key::Enter);
    assert_eq!(typed(&somebody).as_deref(), Some("/ca.pem"), "{}", somebody.text());
    assert!(somebody.flat().contains("it is not there"), "{}", somebody.text());
    somebody.key(Key::Back);
    somebody.go(PageId::Hosts.number());
    somebody.key(Key::Import);
    somebody.write("hosts.csv");
    somebody.key(Key::Enter);
    let text = somebody.flat();
    assert!(text.contains("hosts.csv") && text.contains("it is not there"), "{text}");
}
