//! Reports of the demo site and of a site of twelve hosts with three failed checks: what they say, in which words, and
//! how they look in each form.
#![allow(clippy::unwrap_used)] // a test may fall over

mod world;

use std::path::Path;

use sealift_report::{Document, Language, document, html, text};
use world::World;

fn cases() -> Vec<(&'static str, World)> {
    let offline = World { looked: false, ..World::twelve() };
    vec![("demo", World::demo()), ("twelve", World::twelve()), ("twelve-offline", offline)]
}

/// Left for people to look at: `target/tmp/report-*.html`.
#[test]
fn every_case_is_set_in_every_form_and_language() {
    for (name, world) in cases() {
        let report = world.report();
        for language in Language::ALL {
            let set = document(&report, language);
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
            let stem = format!("report-{name}-{}", language.tag());
            std::fs::write(folder.join(format!("{stem}.html")), html(&set)).unwrap();
            std::fs::write(folder.join(format!("{stem}.txt")), text(&set)).unwrap();
            complete(&set);
        }
    }
}

/// No key without words, no place that nothing was put into.
fn complete(set: &Document) {
    for section in &set.sections {
        for text in section.texts().into_iter().chain([section.title.as_str()]) {
            let open = !section.annex && text.contains('[');
            assert!(!open, "`{text}` in {}", section.id);
        }
    }
}
