//! Random keys: nothing falls over, what keys go to is always on the screen, back is back, what is typed is there, and
//! every profile that was saved loads.

use std::cell::Cell;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use sealift_profile::{Circumstances, load_partly};
use sealift_wizard::testing::{cut_off, done, failed, going_on, stuck, summary};
use sealift_wizard::{Action, Language, Message, PageId, Standing, Words};

use super::{BEST, EMPTY, Somebody, VALID};
use crate::tui::app::Input;
use crate::tui::display::Display;
use crate::tui::frame::layout;
use crate::tui::keys::Key;
use crate::tui::layers::looked_at;
use crate::tui::rows::button_row;
use crate::tui::state::{Button, Layer, Spot, fields, is_typed, line_count};

/// How many keys are pressed in all.
const KEYS: u32 = 100_000;
/// Walks between two looks at how many it were.
const WALKS: u32 = 32;
/// Most moves of one walk. A move is a key, or a word of several letters.
const MOVES: usize = 120;
/// Most letters that a field takes while it is typed into.
const MOST_LETTERS: usize = 8192;

#[derive(Debug, Clone)]
enum Move {
    Key(Key),
    Write(&'static str),
    Paste(&'static str),
    /// The run that is waited for gives a sign, in one of some ways.
    See(usize),
    Size(u16, u16),
}

fn a_move() -> impl Strategy<Value = Move> {
    let walking = prop_oneof![
        Just(Key::Tab),
        Just(Key::BackTab),
        Just(Key::Up),
        Just(Key::Down),
        Just(Key::Left),
        Just(Key::Right),
        Just(Key::PageUp),
        Just(Key::PageDown),
        Just(Key::Home),
        Just(Key::End),
    ];
    let doing = prop_oneof![
        4 => Just(Key::Enter),
        2 => Just(Key::Back),
        2 => Just(Key::Next),
        3 => Just(Key::Skip),
        1 => Just(Key::Help),
        2 => Just(Key::Pages),
        1 => Just(Key::Save),
        2 => Just(Key::Run),
        1 => Just(Key::Trust),
        2 => Just(Key::Accept),
        1 => Just(Key::Import),
        1 => Just(Key::Paste),
        1 => Just(Key::Insert),
        1 => Just(Key::Delete),
        1 => Just(Key::Erase),
        1 => Just(Key::EraseLine),
        1 => Just(Key::EraseWord),
        1 => Just(Key::Redraw),
        1 => Just(Key::Interrupt),
        1 => Just(Key::Detach),
    ];
    let words = prop_oneof![
        Just("harbin"),
        Just("harbin-plant"),
        Just("3"),
        Just("10.20.0.12"),
        Just("yes"),
        Just("file ~/k"),
        Just("机器"),
        Just("e\u{301}\u{200d}"),
        Just(" "),
    ];
    let texts = prop_oneof![
        Just("m7, 10.20.0.17, steer\rw7, 10.20.0.27, work\r"),
        Just("name;address;role\nm8;10.20.0.18;boss"),
        Just("\u{1b}[2J"),
    ];
    prop_oneof![
        8 => walking.prop_map(Move::Key),
        6 => doing.prop_map(Move::Key),
        2 => words.prop_map(Move::Write),
        1 => texts.prop_map(Move::Paste),
        1 => (0usize..5).prop_map(Move::See),
        1 => prop_oneof![Just((80, 24)), Just((60, 15)), Just((120, 36)), Just((81, 40))]
            .prop_map(|(columns, rows)| Move::Size(columns, rows)),
    ]
}

/// A line of text that letters go to now: the text before its cursor, and behind it.
fn line(somebody: &Somebody) -> Option<(String, String)> {
    let picture = somebody.app.picture();
    if picture.screen.asks() || picture.state.asked.is_some() {
        return None;
    }
    let input = match &picture.state.layer {
        Some(Layer::Import(input) | Layer::List { input, .. }) => input,
        Some(Layer::Log(log)) => &log.text,
        Some(_) => return None,
        None => {
            looked_at(picture.screen, picture.state).filter(|field| is_typed(field))?;
            &picture.state.edit.as_ref()?.input
        }
    };
    let at = input.value().char_indices().nth(input.cursor()).map_or(input.value().len(), |(at, _)| at);
    let (before, behind) = input.value().split_at(at);
    Some((before.to_owned(), behind.to_owned()))
}

/// Somebody on their way, and what they remember of it.
struct Walk {
    somebody: Somebody,
    size: (u16, u16),
    /// The pages that were seen, up to the one before this.
    trail: Vec<PageId>,
    /// The profile that is known to load.
    loads: Option<String>,
    folder: tempfile::TempDir,
    keys: u32,
}

impl Walk {
    fn new(display: Display, file: &str) -> Self {
        let size = (80, 24);
        let somebody = Somebody::at(size, display, Language::English, file);
        let folder = tempfile::tempdir().unwrap();
        Self { somebody, size, trail: Vec::new(), loads: None, folder, keys: 0 }
    }

    fn page(&self) -> PageId {
        self.somebody.app.picture().screen.page
    }

    fn is_seen(&self) -> bool {
        self.size.0 >= 80 && self.size.1 >= 24
    }

    /// Whether something lies over the page.
    fn is_covered(&self) -> bool {
        let picture = self.somebody.app.picture();
        picture.state.layer.is_some() || picture.screen.asks() || picture.state.asked.is_some()
    }

    fn step(&mut self, a_move: &Move) {
        match a_move {
            Move::Key(key) => self.key(*key),
            Move::Write(text) => text.chars().for_each(|letter| self.key(Key::Letter(letter))),
            Move::Paste(text) => {
                let before = self.page();
                self.somebody.happen(Input::Pasted((*text).to_owned()));
                assert_eq!(self.page(), before, "a text that is pasted turns no page");
                self.holds();
            }
            Move::See(way) => {
                let (before, ways) = (self.page(), [going_on, stuck, failed, cut_off, done]);
                self.somebody.see(ways[*way]("harbin-plant", "r"));
                self.came_from(before, false);
                self.holds();
            }
            Move::Size(columns, rows) => {
                self.size = (*columns, *rows);
                self.somebody.happen(Input::Size(*columns, *rows));
                self.holds();
            }
        }
        // It can be drawn.
        assert_eq!(self.somebody.frame().area.width, self.size.0);
    }

    fn key(&mut self, key: Key) {
        // The last page is not left in this way: there is nothing behind it.
        let last = self.somebody.app.picture().screen.next.is_none();
        let ends = matches!(key, Key::Next | Key::Skip | Key::Enter) && last;
        if ends || self.somebody.app.has_ended() {
            return;
        }
        let (before, back, typing) = (self.page(), self.goes_back(key), line(&self.somebody));
        self.somebody.key(key);
        self.keys += 1;
        if let (Key::Letter(letter), Some(typing)) = (key, typing.filter(|_| self.is_seen())) {
            self.is_typed(letter, typing);
        }
        self.came_from(before, back);
        self.holds();
        self.saved_loads();
    }

    /// Whether a key asks for the page before: not where it ends something else first.
    fn goes_back(&self, key: Key) -> bool {
        let picture = self.somebody.app.picture();
        let deeper =
            picture.screen.actions.contains(&Action::CloseHost) || !picture.state.lines_below.is_empty();
        let changed = picture.state.edit.as_ref().is_some_and(crate::tui::state::Edit::is_changed);
        let asks = match key {
            Key::Back => true,
            Key::Enter | Key::Letter(' ') => picture.state.spot == Spot::Button(Button::Do(Action::Back)),
            _ => false,
        };
        asks && self.is_seen() && !self.is_covered() && !deeper && !changed
    }

    /// Back is the page last seen, and every other way is remembered.
    fn came_from(&mut self, before: PageId, back: bool) {
        let now = self.page();
        if back {
            let expected = self.trail.pop().unwrap_or(before);
            assert_eq!(now, expected, "back is the page last seen");
        } else if now != before {
            self.trail.push(before);
        }
    }

    /// The letter stands where the cursor was, unless the line was full.
    fn is_typed(&self, letter: char, (before, behind): (String, String)) {
        let full = before.chars().chain(behind.chars()).count() >= MOST_LETTERS;
        let expected = if full { (before, behind) } else { (format!("{before}{letter}"), behind) };
        assert_eq!(line(&self.somebody), Some(expected), "{letter:?} was lost");
    }

    /// What keys go to can be reached and is on the screen.
    fn holds(&self) {
        if self.is_covered() || !self.is_seen() {
            return;
        }
        let picture = self.somebody.app.picture();
        let state = picture.state;
        let text = || self.somebody.text();
        let layout = layout(picture, self.size);
        let (top, bottom) = (state.scroll, state.scroll + layout.height());
        match &state.spot {
            Spot::Reading => return assert!(layout.last_scroll() > 0, "{}", text()),
            Spot::Button(button) => {
                let words = Words::of(Language::English);
                let row = button_row(picture.screen, state, words, usize::from(self.size.0));
                let is_there = row.iter().any(|(_, _, shown)| shown == button);
                return assert!(is_there, "{button:?} in {}", text());
            }
            Spot::Log => return assert!(layout.log.is_some(), "{}", text()),
            Spot::Field(path) => {
                assert!(fields(picture.screen).any(|field| field.path == *path), "{path}");
            }
            Spot::Line(index) => assert!(*index < line_count(picture.screen), "{}", text()),
        }
        let range = layout.body.spots.iter().find(|(spot, _)| *spot == state.spot).map(|(_, range)| range);
        let seen = range.is_some_and(|range| range.start >= top && range.end <= bottom);
        assert!(seen, "{:?} is not on the screen:\n{}", state.spot, text());
    }

    fn saved_loads(&mut self) {
        let Some(text) = self.somebody.saved.as_ref().filter(|text| self.loads.as_ref() != Some(*text))
        else {
            return;
        };
        let path = self.folder.path().join("site.yaml");
        std::fs::write(&path, text).unwrap();
        let loaded = load_partly(&[path], &Circumstances::on(jiff::civil::date(2026, 11, 22)));
        assert!(loaded.is_ok(), "{:?}\n{text}", loaded.err());
        self.loads = Some(text.clone());
    }
}

/// Walks from an empty or a whole profile, with plain letters alone or all of them.
#[test]
fn a_hundred_thousand_random_keys_break_nothing() {
    let config = ProptestConfig { cases: WALKS, ..ProptestConfig::with_source_file(file!()) };
    let walks = (vec(a_move(), 1..MOVES), any::<bool>(), any::<bool>());
    let keys = Cell::new(0);
    while keys.get() < KEYS {
        // One that has come to its end runs no more.
        let walked = TestRunner::new(config.clone()).run(&walks, |(moves, valid, ascii)| {
            let file = if valid { VALID } else { EMPTY };
            let mut walk = Walk::new(Display { ascii, ..BEST }, file);
            let runs = [("r1", Standing::Failed), ("r2", Standing::GoesOn)];
            let runs = runs.map(|(run, standing)| summary(run, standing)).to_vec();
            walk.somebody.happen(Input::Outcome(Message::RunsFound(runs)));
            walk.holds();
            if valid {
                let before = walk.page();
                walk.somebody.go(PageId::Checks.number());
                walk.came_from(before, false);
                walk.key(Key::Run);
            }
            for one in &moves {
                walk.step(one);
            }
            walk.somebody.happen(Input::Interrupted);
            assert!(walk.somebody.app.has_ended());
            walk.saved_loads();
            keys.set(keys.get() + walk.keys);
            Ok(())
        });
        walked.unwrap();
    }
}
