//! Sentences as data: which one, and what to put into it. The words come from a catalogue, one for each language.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::figure::{Quantity, Unit};

/// A sentence of the catalogue with what stands in its places. Files have its words beside it, which are not read again
/// ([`crate::to_json`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Key in the catalogues, e.g. `ask.firewall`.
    pub say: String,
    /// Name of a place to what stands there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub with: BTreeMap<String, Arg>,
}

/// What stands in a place of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Arg {
    /// Words of the site or the vendor, as they are. Not to be trusted.
    Word(String),
    /// A number with its unit.
    Quantity(Quantity),
    /// A day.
    Date(Date),
    /// Another sentence or part of one.
    Message(Message),
    /// Several, one after the other.
    List(Vec<Arg>),
}

impl Message {
    /// A sentence without places.
    #[must_use]
    pub fn new(say: impl Into<String>) -> Self {
        Self { say: say.into(), with: BTreeMap::new() }
    }

    /// With something in a place.
    #[must_use]
    pub fn with(mut self, place: &str, arg: Arg) -> Self {
        self.with.insert(place.to_owned(), arg);
        self
    }

    /// With words of the site or the vendor.
    #[must_use]
    pub fn word(self, place: &str, word: impl Into<String>) -> Self {
        self.with(place, Arg::Word(word.into()))
    }

    /// With a number.
    #[must_use]
    pub fn number(self, place: &str, value: u64, unit: Unit) -> Self {
        self.with(place, Arg::Quantity(Quantity::new(value, unit)))
    }

    /// With a day.
    #[must_use]
    pub fn day(self, place: &str, day: Date) -> Self {
        self.with(place, Arg::Date(day))
    }

    /// With another sentence or part of one.
    #[must_use]
    pub fn part(self, place: &str, part: Self) -> Self {
        self.with(place, Arg::Message(part))
    }

    /// With several words.
    #[must_use]
    pub fn words<'a>(self, place: &str, words: impl IntoIterator<Item = &'a str>) -> Self {
        self.with(place, Arg::List(words.into_iter().map(|word| Arg::Word(word.to_owned())).collect()))
    }
}
