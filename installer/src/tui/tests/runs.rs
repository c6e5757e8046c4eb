//! The pages of a run: how they look in each way that it can stand, and what keys do on them.

use ratatui::style::Color;
use sealift_events::RunResult;
use sealift_events::picture::{FailedStep, HostPicture, LogLine, RunPicture};
use sealift_wizard::plain::Reason;
use sealift_wizard::testing::{cut_off, done, failed, going_on, stuck, summary};
use sealift_wizard::{Language, Message, PageId, Standing};

use super::{BEST, Somebody, VALID};
use crate::tui::app::Input;
use crate::tui::display::Display;
use crate::tui::keys::Key;
use crate::tui::state::Spot;

const SITE: &str = "harbin-plant";

/// Somebody who watches a run of the first page that gave no sign yet.
fn watching(size: (u16, u16), display: Display, language: Language) -> Somebody {
    let mut somebody = Somebody::at(size, display, language, VALID);
    let runs = vec![summary("2026-11-22-120000", Standing::GoesOn)];
    somebody.happen(Input::Outcome(Message::RunsFound(runs)));
    for _ in 0..20 {
        somebody.key(Key::Up);
    }
    assert_eq!(somebody.app.picture().state.spot, Spot::Line(0), "{}", somebody.text());
    somebody.key(Key::Enter);
    assert_eq!(page(&somebody), PageId::Install);
    somebody
}

fn seen(picture: RunPicture) -> Somebody {
    let mut somebody = watching((80, 24), BEST, Language::English);
    somebody.see(picture);
    somebody
}

fn spot(somebody: &Somebody) -> Spot {
    somebody.app.picture().state.spot.clone()
}

fn page(somebody: &Somebody) -> PageId {
    somebody.app.picture().screen.page
}

/// Two dozen hosts, one of which has failed a step that is tried no more, and one that is stuck.
fn many() -> RunPicture {
    let mut picture = stuck(SITE, "");
    let worker = picture.hosts[2].clone();
    let more = (3..=23).map(|n| HostPicture { name: format!("w{n}"), done: n % 20, ..worker.clone() });
    picture.hosts.extend(more);
    picture.hosts[20].failed = 1;
    let cause = failed(SITE, "").failures[0].clone();
    picture.failures = vec![FailedStep { host: picture.hosts[20].name.clone(), ..cause }];
    picture
}

fn bare() -> Display {
    Display { ascii: true, colour: false }
}

fn in_states(size: (u16, u16)) -> Vec<(&'static str, Somebody)> {
    let at = |display, language, picture: Option<RunPicture>| {
        let mut somebody = watching(size, display, language);
        if let Some(picture) = picture {
            somebody.see(picture);
        }
        somebody
    };
    let english = |picture| at(BEST, Language::English, Some(picture));
    let stopping = RunPicture { stopping: true, ..going_on(SITE, "") };
    let stopped = RunPicture { result: Some(RunResult::Cancelled), ..cut_off(SITE, "") };
    vec![
        ("no sign yet", at(BEST, Language::English, None)),
        ("going on", english(going_on(SITE, ""))),
        ("stuck", english(stuck(SITE, ""))),
        ("stopping", english(stopping)),
        ("stopped", english(stopped)),
        ("failed", english(failed(SITE, ""))),
        ("cut off", english(cut_off(SITE, ""))),
        ("24 hosts", english(many())),
        ("Chinese", at(BEST, Language::Chinese, Some(stuck(SITE, "")))),
        ("ASCII without colour", at(bare(), Language::English, Some(stuck(SITE, "")))),
    ]
}

fn all(states: Vec<(&'static str, Somebody)>) -> String {
    let mut text = String::new();
    for (state, somebody) in states {
        let screen = somebody.text();
        if state == "ASCII without colour" {
            assert!(screen.is_ascii(), "{screen}");
            let colours = somebody.frame().content.into_iter().flat_map(|cell| [cell.fg, cell.bg]);
            assert!(colours.into_iter().all(|colour| colour == Color::Reset));
        }
        text += &[state, "\n\n", &screen, "\n"].concat();
    }
    text
}

#[test]
fn a_run_in_every_way_that_it_can_stand() {
    insta::assert_snapshot!("80x24-12-install", all(in_states((80, 24))));
    insta::assert_snapshot!("120x36-12-install", all(in_states((120, 36))));
}

/// Somebody who has begun a run, which has ended well.
fn at_result(size: (u16, u16), display: Display, language: Language) -> Somebody {
    let mut somebody = Somebody::at(size, display, language, VALID);
    somebody.go(PageId::Review.number());
    somebody.key(Key::Run);
    somebody.key(Key::Next);
    somebody.write(SITE);
    somebody.key(Key::Next);
    somebody.see(done(SITE, ""));
    assert_eq!(page(&somebody), PageId::Result, "{}", somebody.text());
    somebody
}

#[test]
fn what_stands_at_the_end() {
    let states = |size| {
        all(vec![
            ("done", at_result(size, BEST, Language::English)),
            ("Chinese", at_result(size, BEST, Language::Chinese)),
            ("ASCII without colour", at_result(size, bare(), Language::English)),
        ])
    };
    insta::assert_snapshot!("80x24-13-result", states((80, 24)));
    insta::assert_snapshot!("120x36-13-result", states((120, 36)));
}

#[test]
fn what_lies_over_a_run() {
    let mut text = String::new();
    for (name, keys) in [
        ("log", &[Key::Down, Key::Enter][..]),
        ("log of all", &[Key::Accept]),
        ("log of all, filtered", &[Key::Accept, Key::Letter('a'), Key::Letter('p'), Key::Letter('i')]),
        ("what went wrong", &[Key::Accept, Key::Tab]),
        ("log below the page", &[Key::Down, Key::Down, Key::Down, Key::Home]),
        ("stop", &[Key::Interrupt]),
        ("leave", &[Key::Leave]),
    ] {
        let mut somebody = seen(going_on(SITE, ""));
        for key in keys {
            somebody.key(*key);
        }
        text += &[name, "\n\n", &somebody.text(), "\n"].concat();
    }
    for (name, size, display, language) in [
        ("log of all in Chinese", (80, 24), BEST, Language::Chinese),
        ("log of all in ASCII", (80, 24), bare(), Language::English),
        ("log of all on a wide screen", (120, 36), BEST, Language::English),
    ] {
        let mut somebody = watching(size, display, language);
        somebody.see(failed(SITE, ""));
        somebody.key(Key::Accept);
        somebody.write("w1");
        text += &[name, "\n\n", &somebody.text(), "\n"].concat();
    }
    insta::assert_snapshot!("over-run", text);
}

#[test]
fn runs_on_the_first_page() {
    let mut somebody = Somebody::before(VALID);
    let runs = [Standing::GoesOn, Standing::Failed, Standing::Stopped, Standing::CutOff, Standing::Done];
    let runs = (1..).zip(runs).map(|(n, standing)| summary(&format!("2026-11-22-12000{n}"), standing));
    somebody.happen(Input::Outcome(Message::RunsFound(runs.collect())));
    insta::assert_snapshot!("80x24-01-start-runs", somebody.text());
}

#[test]
fn control_c_asks_whether_to_stop_and_leaving_says_that_it_goes_on() {
    let mut somebody = seen(going_on(SITE, ""));
    somebody.key(Key::Interrupt);
    assert!(somebody.flat().contains("Stop the run?"), "{}", somebody.text());
    // The run goes on being watched behind the question.
    somebody.see(going_on(SITE, ""));
    assert!(somebody.flat().contains("Stop the run?"));
    somebody.key(Key::Interrupt);
    assert!(!somebody.flat().contains("Stop the run?") && somebody.stopped.is_empty());
    somebody.key(Key::Interrupt);
    somebody.key(Key::Enter);
    assert_eq!(somebody.stopped, ["2026-11-22-120000"]);
    assert!(somebody.flat().contains("was told to stop"), "{}", somebody.text());
    somebody.key(Key::Leave);
    assert!(somebody.flat().contains("The run goes on without the wizard"), "{}", somebody.text());
    somebody.key(Key::Back);
    assert!(!somebody.app.has_ended());
    // Where nothing goes on, it leaves as everywhere.
    somebody.see(RunPicture { result: Some(RunResult::Cancelled), ..cut_off(SITE, "") });
    somebody.key(Key::Interrupt);
    assert!(somebody.flat().contains("Leave the wizard?"), "{}", somebody.text());
}

#[test]
fn a_run_that_gave_no_sign_yet_is_stopped_safely_too() {
    let mut somebody = watching((80, 24), BEST, Language::English);
    somebody.key(Key::Interrupt);
    assert!(somebody.flat().contains("Stop the run?"), "{}", somebody.text());
    somebody.see(going_on(SITE, ""));
    assert!(somebody.flat().contains("Stop the run?"), "the question stays");
    somebody.key(Key::Enter);
    assert_eq!(somebody.stopped, ["2026-11-22-120000"]);
}

#[test]
fn a_run_is_left_running() {
    let mut somebody = seen(going_on(SITE, ""));
    somebody.key(Key::Detach);
    assert!(somebody.app.has_ended() && somebody.stopped.is_empty());
    let ended = somebody.app.into_end();
    assert_eq!(ended.model.run_that_goes_on(), Some("2026-11-22-120000"));
    let mut elsewhere = Somebody::before(VALID);
    elsewhere.key(Key::Detach);
    assert!(!elsewhere.app.has_ended(), "the key does nothing where no run goes on");
}

#[test]
fn a_log_follows_until_somebody_scrolls() {
    let mut picture = going_on(SITE, "");
    let line = picture.log[2].clone();
    picture.log = vec![line; 60];
    for (number, line) in picture.log.iter_mut().enumerate() {
        line.text = format!("line {number} of w1");
    }
    let mut somebody = seen(picture.clone());
    somebody.key(Key::Down);
    somebody.key(Key::Enter);
    assert!(somebody.flat().contains("line 59 of w1"), "{}", somebody.text());
    let mut add = |somebody: &mut Somebody, text: &str| {
        let mut line = picture.log[0].clone();
        line.text = text.to_owned();
        picture.log.push(line);
        somebody.see(picture.clone());
    };
    add(&mut somebody, "the sixtieth");
    assert!(somebody.flat().contains("the sixtieth"));
    somebody.key(Key::PageUp);
    let held = somebody.text();
    add(&mut somebody, "one more");
    assert!(!somebody.flat().contains("one more"), "{}", somebody.text());
    assert_eq!(held.lines().nth(8), somebody.text().lines().nth(8), "what is read stays where it is");
    somebody.key(Key::End);
    assert!(somebody.flat().contains("one more"), "{}", somebody.text());
    somebody.key(Key::Home);
    assert!(somebody.flat().contains("line 0 of w1"), "{}", somebody.text());
    somebody.key(Key::Back);
    assert_eq!(page(&somebody), PageId::Install);
}

#[test]
fn the_log_below_the_page_follows_until_somebody_scrolls_it() {
    for size in [(80, 24), (120, 36)] {
        let mut picture = many();
        let line = picture.log[2].clone();
        picture.log = (0..60).map(|n| LogLine { text: format!("line {n} of it"), ..line.clone() }).collect();
        let mut somebody = watching(size, BEST, Language::English);
        somebody.see(picture.clone());
        let mut add = |somebody: &mut Somebody, text: &str| {
            picture.log.push(LogLine { text: text.to_owned(), ..line.clone() });
            somebody.see(picture.clone());
        };
        assert!(somebody.flat().contains("line 59 of it"), "{}", somebody.text());
        // Whatever is looked at, and however far the page is scrolled.
        somebody.key(Key::PageDown);
        add(&mut somebody, "the sixtieth");
        assert!(somebody.flat().contains("the sixtieth"), "{}", somebody.text());
        while spot(&somebody) != Spot::Log {
            somebody.key(Key::Tab);
        }
        let hosts = somebody.app.picture().state.scroll;
        somebody.key(Key::Up);
        somebody.key(Key::PageUp);
        assert!(!somebody.flat().contains("the sixtieth"), "{}", somebody.text());
        add(&mut somebody, "one more");
        assert!(!somebody.flat().contains("one more") && somebody.flat().contains("lines below"));
        somebody.key(Key::Home);
        assert!(somebody.flat().contains("line 0 of it"), "{}", somebody.text());
        assert_eq!(somebody.app.picture().state.scroll, hosts, "the page stays where it is");
        somebody.key(Key::End);
        assert!(somebody.flat().contains("one more"), "{}", somebody.text());
        somebody.key(Key::Down);
        assert!(matches!(spot(&somebody), Spot::Button(_)), "behind its last line are the buttons");
        somebody.key(Key::BackTab);
        assert_eq!(spot(&somebody), Spot::Log);
        somebody.key(Key::Enter);
        assert!(somebody.flat().contains("The log of the whole run"), "{}", somebody.text());
        somebody.key(Key::Home);
        assert!(somebody.flat().contains("06:41 w1 line 0 of it"), "{}", somebody.text());
        somebody.key(Key::Back);
        somebody.key(Key::Accept);
        assert!(somebody.flat().contains("The log of the whole run"), "the key does the same");
    }
}

#[test]
fn a_log_is_filtered_while_it_is_read() {
    let mut somebody = seen(failed(SITE, ""));
    somebody.key(Key::Accept);
    assert!(somebody.flat().contains("4 of 4 lines"), "{}", somebody.text());
    somebody.write("KERNEL");
    let kernel = somebody.flat();
    assert!(kernel.contains("1 of 4 lines") && !kernel.contains("the API is up"), "{kernel}");
    somebody.key(Key::Tab);
    assert!(somebody.flat().contains("No line is like that"), "{}", somebody.text());
    somebody.key(Key::Back);
    let troubles = somebody.flat();
    assert!(troubles.contains("What went wrong, with") && troubles.contains("1 of 4 lines"), "{troubles}");
    assert!(troubles.contains("failed: the kubelet on w1"), "{troubles}");
    somebody.key(Key::Tab);
    assert!(somebody.flat().contains("4 of 4 lines"), "{}", somebody.text());
    // What comes meanwhile is filtered, too.
    somebody.happen(Input::Pasted("api".to_owned()));
    assert!(somebody.flat().contains("1 of 4 lines"), "{}", somebody.text());
    somebody.key(Key::Back);
    somebody.key(Key::Back);
    assert_eq!(page(&somebody), PageId::Install);
    assert!(!somebody.flat().contains("of 4 lines"), "{}", somebody.text());
}

#[test]
fn the_host_stays_what_is_looked_at_where_lines_change_places() {
    let mut picture = many();
    let mut somebody = seen(picture.clone());
    let looked_at = |somebody: &Somebody| somebody.app.looked_at_host();
    somebody.key(Key::Down);
    let host = looked_at(&somebody).unwrap();
    for one in &mut picture.hosts {
        one.failed = u32::from(one.name != host && one.role == "worker");
    }
    somebody.see(picture);
    assert_eq!(looked_at(&somebody), Some(host));
}

#[test]
fn the_name_is_typed_and_the_run_begins_fails_and_begins_again() {
    let mut somebody = Somebody::before(VALID);
    somebody.go(PageId::Confirm.number());
    somebody.key(Key::Next);
    assert!(somebody.flat().contains("name is not typed"), "{}", somebody.text());
    somebody.write(SITE);
    somebody.key(Key::Next);
    assert!(somebody.flat().contains("there is no plan of the answers"), "{}", somebody.text());
    somebody.go(PageId::Review.number());
    somebody.key(Key::Run);
    somebody.go(PageId::Confirm.number());
    somebody.key(Key::Next);
    assert_eq!(page(&somebody), PageId::Install, "{}", somebody.text());
    somebody.see(failed(SITE, ""));
    let first = somebody.text();
    assert!(first.contains("w1 failed: Joins the cluster") && first.contains("[ Again ]"), "{first}");
    somebody.key(Key::Run);
    somebody.see(going_on(SITE, ""));
    assert!(somebody.flat().contains("goes on"), "{}", somebody.text());
    somebody.see(done(SITE, ""));
    assert!(somebody.flat().contains("3 of 3 nodes are ready"), "{}", somebody.text());
    somebody.key(Key::Next);
    assert!(somebody.app.has_ended());
    assert_eq!(somebody.app.into_end().reason, Reason::Finished);
}
