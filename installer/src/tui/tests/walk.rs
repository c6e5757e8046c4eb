//! Random keys: nothing falls over, what keys go to is always on the screen, and back is back.

use proptest::collection::vec;
use proptest::prelude::*;
use sealift_wizard::testing::{cut_off, done, failed, going_on, stuck, summary};
use sealift_wizard::{Language, Message, PageId, Standing, Words};

use super::{BEST, EMPTY, Somebody, VALID};
use crate::tui::app::Input;
use crate::tui::display::Display;
use crate::tui::frame::layout;
use crate::tui::keys::Key;
use crate::tui::rows::button_row;
use crate::tui::state::{Spot, fields, line_count};

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
        4 => (0usize..5).prop_map(Move::See),
        1 => prop_oneof![Just((80, 24)), Just((60, 15)), Just((120, 36)), Just((81, 40))]
            .prop_map(|(columns, rows)| Move::Size(columns, rows)),
    ]
}

/// What keys go to can be reached and is on the screen.
fn holds(somebody: &Somebody) {
    let picture = somebody.app.picture();
    let state = picture.state;
    let text = somebody.text();
    let area = somebody.frame().area;
    let over = state.layer.is_some() || picture.screen.asks() || state.asked.is_some();
    if over || area.width < 80 || area.height < 24 {
        return;
    }
    let layout = layout(picture, (area.width, area.height));
    let (top, bottom) = (state.scroll, state.scroll + layout.height());
    match &state.spot {
        Spot::Reading => assert!(layout.last_scroll() > 0, "{text}"),
        Spot::Button(button) => {
            let words = Words::of(Language::English);
            let row = button_row(picture.screen, state, words, usize::from(area.width));
            assert!(row.iter().any(|(_, _, shown)| shown == button), "{button:?} in {text}");
        }
        spot => {
            match spot {
                Spot::Field(path) => {
                    assert!(fields(picture.screen).any(|field| field.path == *path), "{path}");
                }
                Spot::Line(index) => assert!(*index < line_count(picture.screen), "{text}"),
                _ => {}
            }
            let range = layout.body.spots.iter().find(|(one, _)| one == spot).map(|(_, range)| range.clone());
            let range = range.unwrap();
            assert!(range.start >= top && range.end <= bottom, "{spot:?} is not on the screen:\n{text}");
        }
    }
}

fn step(somebody: &mut Somebody, a_move: &Move) {
    let before = somebody.app.picture().screen.page;
    let last = somebody.app.picture().screen.next.is_none();
    let in_host = somebody.app.picture().screen.actions.contains(&sealift_wizard::Action::CloseHost);
    match a_move {
        // These would end it.
        Move::Key(Key::Next | Key::Skip | Key::Enter) if last => return,
        Move::Key(key) => somebody.key(*key),
        Move::Write(text) => somebody.write(text),
        Move::Paste(text) => somebody.happen(Input::Pasted((*text).to_owned())),
        Move::See(way) => {
            let ways = [going_on, stuck, failed, cut_off, done];
            somebody.see(ways[*way]("harbin-plant", "r"));
        }
        Move::Size(columns, rows) => somebody.happen(Input::Size(*columns, *rows)),
    }
    holds(somebody);
    let after = somebody.app.picture().screen.page;
    let turned = matches!(a_move, Move::Key(Key::Next | Key::Skip)) && !in_host;
    if turned && after != before {
        somebody.key(Key::Back);
        assert_eq!(somebody.app.picture().screen.page, before, "back is the page last seen");
        holds(somebody);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn random_keys_break_nothing(
        moves in vec(a_move(), 1..80),
        valid in any::<bool>(),
        ascii in any::<bool>(),
    ) {
        let display = Display { ascii, ..BEST };
        let file = if valid { VALID } else { EMPTY };
        let mut somebody = Somebody::at((80, 24), display, Language::English, file);
        let runs = [("r1", Standing::Failed), ("r2", Standing::GoesOn)];
        let runs = runs.map(|(run, standing)| summary(run, standing)).to_vec();
        somebody.happen(Input::Outcome(Message::RunsFound(runs)));
        holds(&somebody);
        if valid {
            somebody.go(PageId::Checks.number());
            somebody.key(Key::Run);
            holds(&somebody);
        }
        for one in &moves {
            step(&mut somebody, one);
            if somebody.app.has_ended() {
                break;
            }
        }
        somebody.happen(Input::Interrupted);
        prop_assert!(somebody.app.has_ended());
        if let Some(text) = &somebody.saved {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("site.yaml");
            std::fs::write(&path, text).unwrap();
            let loaded = sealift_profile::load_partly(&[path], &sealift_profile::Circumstances::on(jiff::civil::date(2026, 11, 22)));
            prop_assert!(loaded.is_ok(), "{:?}\n{}", loaded.err(), text);
        }
    }
}
