//! Results for people and for programs.

use std::path::Path;

use clap::ValueEnum;
use serde::Serialize;

use super::standard::say;
use crate::failure::{Failure, Kind};

/// How a result is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Lines for people, 80 columns
    Text,
    /// One JSON value
    Json,
}

/// Prints `value` as JSON.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    say!("{}", text_of(value)?);
    Ok(())
}

/// `value` as JSON.
pub(super) fn text_of(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(|error| Failure {
        kind: Kind::Internal,
        message: format!("the result cannot be written as JSON\n  because: {error}"),
        next: None,
    })
}

/// The failure to write a result of the name that the caller chose.
pub(super) fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    let next = match error.kind() {
        std::io::ErrorKind::AlreadyExists => "choose another name; nothing is replaced unasked",
        std::io::ErrorKind::StorageFull => "make room, or choose another place",
        _ => "choose another place",
    };
    Failure::usage(format!("cannot write {}\n  because: {error}", path.display()), next)
}

/// `text` in at most `width` characters: the middle of a longer one gives way, its end often tells more.
pub(super) fn fit(text: &str, width: usize) -> String {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= width {
        return text.to_owned();
    }
    let front = (width - 1) / 2;
    let back = width - 1 - front;
    let join = |part: &[char]| part.iter().collect::<String>();
    format!("{}…{}", join(&characters[..front]), join(&characters[characters.len() - back..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_lose_their_middle() {
        assert_eq!(fit("short", 5), "short");
        assert_eq!(fit("registry.example/a/b:1", 11), "regis…a/b:1");
        assert_eq!(fit("äöüäöü", 4), "ä…öü");
    }
}
