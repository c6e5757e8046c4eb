//! All texts, in each language from a table of its own.
//!
//! Questions that stand in the form, too, have their words in the report room's tables; what only the wizard says is
//! in `words/` here. What the profile's rules and the checks say is English in both languages.

use std::sync::LazyLock;

pub use sealift_report::Language;
use sealift_report::{Catalogue, Message as Sentence, Words as Report};

static CATALOGUE: LazyLock<Catalogue> =
    LazyLock::new(|| Catalogue::read(include_str!("../words/en.yaml"), include_str!("../words/zh.yaml")));

/// The words of one language.
#[derive(Debug, Clone, Copy)]
pub struct Words(Report);

impl Words {
    /// Of this language.
    #[must_use]
    pub fn of(language: Language) -> Self {
        Self(CATALOGUE.words(language))
    }

    /// Which language it is.
    #[must_use]
    pub fn language(self) -> Language {
        self.0.language()
    }

    /// Every key with its text.
    pub fn texts(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.0.texts()
    }

    /// The text of a key, if there is one.
    #[must_use]
    pub fn find(self, key: &str) -> Option<&'static str> {
        self.0.find(key)
    }

    /// The text of a key; the key itself in brackets where the table has none, which tests look for.
    #[must_use]
    pub fn text(self, key: &str) -> String {
        self.0.text(key)
    }

    /// A text with something in each of its places, `{name}`. What is put in is not looked at again.
    #[must_use]
    pub fn fill(self, key: &str, places: &[(&str, &str)]) -> String {
        let value = |place: &str| {
            let found = places.iter().find(|(name, _)| *name == place);
            Some(found.map_or(place, |(_, value)| value).to_owned())
        };
        Report::fill(&self.text(key), &value)
    }

    /// A question of the form, or how to answer it.
    pub(crate) fn of_form(self, key: &str) -> String {
        Report::of(self.language()).text(key)
    }

    /// A sentence of the form.
    pub(crate) fn say(self, sentence: &Sentence) -> String {
        Report::of(self.language()).say(sentence)
    }
}
