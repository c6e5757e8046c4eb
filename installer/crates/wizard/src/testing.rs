//! A beginning for tests.

use std::path::PathBuf;

use jiff::civil::date;

use crate::{Language, Start};

/// In English, with one check that can be accepted, a bundle, and files that need not be there.
#[must_use]
pub fn start() -> Start {
    Start {
        language: Language::English,
        today: date(2026, 11, 22),
        checks: vec!["disk.space"],
        file: PathBuf::from("site.yaml"),
        bundle: Some(PathBuf::from("orders.bundle")),
        trust: Vec::new(),
    }
}
