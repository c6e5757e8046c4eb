//! The page of hosts while hosts are tried: every state as text to be read in review, and what keys do there.

use crossterm::event::KeyCode;
use sealift_wizard::testing::key_of;
use sealift_wizard::{Language, Message, PageId, Reached, Trouble};

use super::{BEST, Somebody, VALID};
use crate::tui::app::Input;
use crate::tui::display::Display;
use crate::tui::keys::Key;
use crate::tui::state::Work;

/// The profile of the other tests, and nobody vouches for a host.
fn strangers() -> String {
    VALID.replace(", knownHosts: ~/.ssh/known_hosts", "")
}

/// On the page of hosts.
fn on_hosts(display: Display, language: Language, file: &str) -> Somebody {
    let mut somebody = Somebody::at((80, 24), display, language, file);
    somebody.go(4);
    assert_eq!(somebody.app.picture().screen.page, PageId::Hosts);
    somebody
}

fn tested(file: &str) -> Somebody {
    let mut somebody = on_hosts(BEST, Language::English, file);
    somebody.press(KeyCode::F(5));
    somebody
}

/// 24 hosts, of which one shows another key than the pinned one.
fn many() -> String {
    let hosts = (2..=24)
        .map(|number| format!("  - {{name: w{number}, address: 10.20.0.{}, role: worker}}\n", 100 + number));
    let pinned = format!(
        "  - {{name: m1, address: 10.20.0.11, role: control-plane, hostKey: \"{}\"}}\n",
        key_of("old").fingerprint
    );
    let access = "access: {user: ops, privateKey: {file: ~/k}, knownHosts: ~/.ssh/known_hosts}\n";
    let first = "apiVersion: sealift/v1\nkind: Site\nmetadata: {name: plant}\nhosts:\n";
    [first, &pinned, &hosts.collect::<String>(), access].concat()
}

#[test]
fn the_hosts_in_every_state() {
    let mut text = String::new();
    let mut show = |name: &str, somebody: &Somebody| {
        assert_eq!(somebody.text().lines().count(), 24);
        text += &[name, "\n\n", &somebody.text(), "\n"].concat();
    };
    let mut asking = on_hosts(BEST, Language::English, VALID);
    asking.hosts_answer = false;
    asking.press(KeyCode::F(5));
    show("asking", &asking);
    asking.happen(Input::Working(vec![(Work::Reach, 3)]));
    show("asking, with the work that goes on", &asking);
    show("ok and FAIL with its cause", &tested(VALID));

    let mut new = tested(&strangers());
    show("new keys", &new);
    new.key(Key::Trust);
    show("new keys, the question", &new);
    new.key(Key::Enter);
    show("new keys, confirmed", &new);
    new.key(Key::Enter);
    show("new keys, confirmed, one host", &new);

    let mut changed = tested(&many());
    show("changed key, 24 hosts", &changed);
    changed.key(Key::End);
    show("changed key, 24 hosts, their end", &changed);

    let mut chinese = on_hosts(BEST, Language::Chinese, &strangers());
    chinese.press(KeyCode::F(5));
    show("Chinese, new keys", &chinese);
    chinese.key(Key::Trust);
    show("Chinese, the question", &chinese);
    chinese.key(Key::Enter);
    show("Chinese, confirmed", &chinese);

    let mut bare = on_hosts(Display { ascii: true, colour: false }, Language::English, &strangers());
    bare.press(KeyCode::F(5));
    bare.key(Key::Trust);
    assert!(bare.text().is_ascii(), "{}", bare.text());
    show("ASCII without colour, the question", &bare);
    bare.key(Key::Enter);
    assert!(bare.text().is_ascii(), "{}", bare.text());
    show("ASCII without colour, confirmed", &bare);

    let mut access = tested(&strangers());
    access.go(5);
    show("the page of access, new keys", &access);
    insta::assert_snapshot!("80x24-04-hosts-tried", text);
}

#[test]
fn keys_are_confirmed_with_one_question_that_enter_answers() {
    let mut somebody = tested(&strangers());
    somebody.key(Key::Trust);
    let flat = somebody.flat();
    for host in ["m1", "w1", "w2"] {
        assert!(flat.contains(&key_of(host).fingerprint), "{}", somebody.text());
    }
    assert!(flat.contains("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"), "{}", somebody.text());
    // Esc confirms nothing, and no other key does.
    somebody.key(Key::Back);
    somebody.key(Key::Trust);
    for key in [Key::Letter('y'), Key::Down, Key::Run, Key::Next, Key::Trust] {
        somebody.key(key);
    }
    assert!(somebody.saved.is_none(), "{:?}", somebody.saved);
    somebody.key(Key::Enter);
    let saved = somebody.saved.clone().unwrap();
    assert_eq!(saved.matches("hostKey: ").count(), 3, "{saved}");
    assert!(
        somebody.flat().contains("host keys confirmed and pinned in the profile: 3"),
        "{}",
        somebody.text()
    );
    // There is nothing more to confirm: the key does nothing.
    somebody.key(Key::Trust);
    assert!(!somebody.flat().contains("Are these the keys"), "{}", somebody.text());
}

#[test]
fn a_key_that_changes_while_the_question_stands_is_not_confirmed() {
    let mut somebody = tested(&strangers());
    somebody.hosts_answer = false;
    somebody.press(KeyCode::F(5));
    // Late answers of a try that nobody made count for nothing; those of the last one do.
    let answer = |serial| {
        let trouble = Trouble { message: "m1 is gone".to_owned(), ..Trouble::default() };
        let outcome = Reached::Failed { key: None, trouble };
        Input::Outcome(Message::Reached { serial, host: "m1".to_owned(), outcome })
    };
    somebody.happen(answer(99));
    assert!(!somebody.flat().contains("m1 is gone"), "{}", somebody.text());
    let mut somebody = tested(&strangers());
    somebody.key(Key::Trust);
    somebody.hosts_answer = false;
    // While the question stands, the hosts are asked again and m1 goes away.
    let serial = |somebody: &mut Somebody| {
        let before = somebody.tried.len();
        somebody.happen(Input::Outcome(Message::Run));
        somebody.tried[before]
    };
    let last = serial(&mut somebody);
    somebody.happen(answer(last));
    somebody.key(Key::Enter);
    assert!(somebody.flat().contains("none was taken"), "{}", somebody.text());
    assert!(somebody.saved.is_none(), "{:?}", somebody.saved);
}

#[test]
fn a_host_that_does_not_answer_lets_somebody_go_on() {
    let mut somebody = tested(VALID);
    assert!(somebody.flat().contains("do not answer as they should: 1 of 3"), "{}", somebody.text());
    somebody.key(Key::Next);
    assert!(somebody.flat().contains("5/13 Access"), "{}", somebody.text());
}
