//! All texts, in each language from a table of its own.
//!
//! Questions that stand in the form, too, have their words in the report room's tables; what only the wizard says is
//! in `words/` here. What the profile's rules and the checks say is English in both languages.

use std::collections::BTreeMap;
use std::sync::LazyLock;

pub use sealift_report::Language;
use sealift_report::Message as Sentence;

type Texts = BTreeMap<String, String>;

// The files are committed; that they can be read is tested, so nothing is lost by the default.
static ENGLISH: LazyLock<Texts> = LazyLock::new(|| read(include_str!("../words/en.yaml")));
static CHINESE: LazyLock<Texts> = LazyLock::new(|| read(include_str!("../words/zh.yaml")));

fn read(text: &str) -> Texts {
    serde_yaml::from_str(text).unwrap_or_default()
}

/// The words of one language.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    language: Language,
    texts: &'static Texts,
}

impl Words {
    /// Of this language.
    #[must_use]
    pub fn of(language: Language) -> Self {
        let texts = match language {
            Language::English => &*ENGLISH,
            Language::Chinese => &*CHINESE,
        };
        Self { language, texts }
    }

    /// Which language it is.
    #[must_use]
    pub fn language(self) -> Language {
        self.language
    }

    /// Every key with its text.
    pub fn texts(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.texts.iter().map(|(key, text)| (key.as_str(), text.as_str()))
    }

    /// The text of a key, if there is one.
    #[must_use]
    pub fn find(self, key: &str) -> Option<&'static str> {
        self.texts.get(key).map(String::as_str)
    }

    /// The text of a key; the key itself in brackets where the table has none, which tests look for.
    #[must_use]
    pub fn text(self, key: &str) -> String {
        self.find(key).map_or_else(|| format!("[{key}]"), str::to_owned)
    }

    /// A text with something in each of its places, `{name}`. What is put in is not looked at again.
    #[must_use]
    pub fn fill(self, key: &str, places: &[(&str, &str)]) -> String {
        let template = self.text(key);
        let (mut text, mut rest) = (String::new(), template.as_str());
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let Some((place, behind)) = after.split_once('}') else {
                rest = after;
                break;
            };
            let found = places.iter().find(|(name, _)| *name == place);
            text.push_str(found.map_or(place, |(_, value)| value));
            rest = behind;
        }
        text.push_str(rest);
        text
    }

    /// A question of the form, or how to answer it.
    pub(crate) fn of_form(self, key: &str) -> String {
        sealift_report::Words::of(self.language).text(key)
    }

    /// A sentence of the form.
    pub(crate) fn say(self, sentence: &Sentence) -> String {
        sealift_report::Words::of(self.language).say(sentence)
    }
}
