//! The catalogues: sentences to words in one language.
//!
//! A language is one file of `words/`: keys with texts in which `{place}` marks what is put in. A text with a `|` has
//! two forms: for one, and for any other number. What comes from the site or the vendor is put in as it is.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::civil::Date;
use sealift_sizing::words::{decimal, disk, grouped, memory};
use serde::{Deserialize, Serialize};

use crate::figure::{Quantity, Range, Unit};
use crate::message::{Arg, Message};

/// A language that reports are written in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Language {
    /// English.
    #[default]
    #[serde(rename = "en")]
    English,
    /// Simplified Chinese.
    #[serde(rename = "zh")]
    Chinese,
}

impl Language {
    /// All.
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// For `lang` in HTML (BCP 47).
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-Hans",
        }
    }
}

type Texts = BTreeMap<String, String>;

static CATALOGUE: LazyLock<Catalogue> =
    LazyLock::new(|| Catalogue::read(include_str!("../words/en.yaml"), include_str!("../words/zh.yaml")));
static CHECKS_CHINESE: LazyLock<Texts> = LazyLock::new(|| read(include_str!("../words/checks.zh.yaml")));

// The files are committed; that they can be read is tested, so nothing is lost by the default.
fn read(text: &str) -> Texts {
    serde_yaml::from_str(text).unwrap_or_default()
}

/// The texts of a room in each language.
#[derive(Debug)]
pub struct Catalogue {
    english: Texts,
    chinese: Texts,
}

impl Catalogue {
    /// From a file for each language; of one that cannot be read, no text is known.
    #[must_use]
    pub fn read(english: &str, chinese: &str) -> Self {
        Self { english: read(english), chinese: read(chinese) }
    }

    /// The words of one language.
    #[must_use]
    pub fn words(&'static self, language: Language) -> Words {
        let texts = match language {
            Language::English => &self.english,
            Language::Chinese => &self.chinese,
        };
        Words { language, texts }
    }
}

/// The words of one language.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    language: Language,
    texts: &'static Texts,
}

impl Words {
    /// Of reports, in this language.
    #[must_use]
    pub fn of(language: Language) -> Self {
        CATALOGUE.words(language)
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

    /// A text without places; the key itself where the catalogue has none, which tests look for.
    #[must_use]
    pub fn text(self, key: &str) -> String {
        self.find(key).map_or_else(|| format!("[{key}]"), str::to_owned)
    }

    /// A sentence in words.
    #[must_use]
    pub fn say(self, message: &Message) -> String {
        let Some(template) = self.find(&message.say) else { return format!("[{}]", message.say) };
        Self::fill(template, &|place| message.with.get(place).map(|arg| self.arg(arg)))
    }

    /// A text with something in each of its places, `{name}`; the name in brackets where `value` has nothing, which tests
    /// look for. What is put in is not looked at again: braces in it are just braces.
    pub fn fill(template: &str, value: &dyn Fn(&str) -> Option<String>) -> String {
        let mut text = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let Some((place, behind)) = after.split_once('}') else {
                rest = after;
                break;
            };
            text.push_str(&value(place).unwrap_or_else(|| format!("[{place}]")));
            rest = behind;
        }
        text.push_str(rest);
        text
    }

    fn arg(self, arg: &Arg) -> String {
        match arg {
            Arg::Word(word) => word.clone(),
            Arg::Quantity(quantity) => self.quantity(*quantity),
            Arg::Date(date) => self.date(*date),
            Arg::Message(message) => self.say(message),
            Arg::List(list) => {
                let parts: Vec<String> = list.iter().map(|arg| self.arg(arg)).collect();
                parts.join(&self.text("list.between"))
            }
        }
    }

    /// A number with its unit: `4 cores`, `16 GB`, `1 machine`.
    #[must_use]
    pub fn quantity(self, quantity: Quantity) -> String {
        let number = number(quantity);
        match unit_key(quantity.unit) {
            // Units of bytes are in the number already, and the same everywhere.
            None => number,
            Some(key) => {
                let texts = self.text(key);
                let (one, many) = texts.split_once('|').unwrap_or((texts.as_str(), texts.as_str()));
                let form = if number == "1" { one } else { many };
                Self::fill(form, &|_| Some(number.clone()))
            }
        }
    }

    /// A range: `7 to 20 working days`; one number where both ends are the same.
    #[must_use]
    pub fn range(self, range: &Range) -> String {
        let end = Quantity::new(range.pessimistic, range.unit);
        if range.optimistic == range.pessimistic {
            return self.quantity(end);
        }
        let from = number(Quantity::new(range.optimistic, range.unit));
        let to = self.quantity(end);
        let range = self.text("range");
        Self::fill(&range, &|place| Some(if place == "from" { from.clone() } else { to.clone() }))
    }

    /// A day as people write it.
    #[must_use]
    pub fn date(self, date: Date) -> String {
        let month = self.text(&format!("month.{}", date.month()));
        let template = self.text("date");
        Self::fill(&template, &|place| {
            Some(match place {
                "day" => date.day().to_string(),
                "month" => month.clone(),
                _ => date.year().to_string(),
            })
        })
    }

    /// Title of a check; English where a check has none in this language yet.
    #[must_use]
    pub fn check_title(self, id: &str, english: &str) -> String {
        let known = match self.language {
            Language::English => None,
            Language::Chinese => CHECKS_CHINESE.get(id),
        };
        known.map_or(english, String::as_str).to_owned()
    }

    /// Ids of the checks whose titles are translated.
    pub fn translated_checks() -> impl Iterator<Item = &'static str> {
        CHECKS_CHINESE.keys().map(String::as_str)
    }
}

fn number(quantity: Quantity) -> String {
    let Quantity { value, unit } = quantity;
    match unit {
        Unit::Millicores => decimal(value),
        Unit::Millirequests => decimal(value.next_multiple_of(100)),
        Unit::MemoryBytes => memory(value),
        Unit::DiskBytes => disk(value),
        _ => grouped(value),
    }
}

fn unit_key(unit: Unit) -> Option<&'static str> {
    Some(match unit {
        Unit::MemoryBytes | Unit::DiskBytes => return None,
        Unit::Machines => "unit.machines",
        Unit::Millicores => "unit.cores",
        Unit::People => "unit.people",
        Unit::Millirequests => "unit.requests",
        Unit::Percent => "unit.percent",
        Unit::WorkingDays => "unit.workingDays",
        Unit::Minutes => "unit.minutes",
        Unit::Years => "unit.years",
        Unit::Things => "unit.things",
        Unit::Answers => "unit.answers",
        Unit::Checks => "unit.checks",
        Unit::Steps => "unit.steps",
        Unit::Programs => "unit.programs",
        Unit::Runs => "unit.runs",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_not_read_again() {
        let words = Words::of(Language::English);
        assert_eq!(Words::fill("a {x} b {y} c", &|place| Some(format!("{{{place}}}"))), "a {x} b {y} c");
        assert_eq!(Words::fill("open {x", &|_| Some("!".to_owned())), "open x");
        assert_eq!(words.say(&Message::new("no.such")), "[no.such]");
    }

    #[test]
    fn numbers_have_units_in_both_languages() {
        let say = |language, value, unit| Words::of(language).quantity(Quantity::new(value, unit));
        assert_eq!(say(Language::English, 1, Unit::Machines), "1 machine");
        assert_eq!(say(Language::English, 1200, Unit::Machines), "1,200 machines");
        assert_eq!(say(Language::Chinese, 3, Unit::Machines), "3 台机器");
        assert_eq!(say(Language::English, 16 << 30, Unit::MemoryBytes), "16 GB");
        assert_eq!(say(Language::Chinese, 4000, Unit::Millicores), "4 核");
        let range = Range::around(10, Unit::WorkingDays, Message::new("x"));
        assert_eq!(Words::of(Language::English).range(&range), "7 to 20 working days");
        assert_eq!(Words::of(Language::Chinese).range(&range), "7 至 20 个工作日");
        let day = jiff::civil::date(2026, 11, 28);
        assert_eq!(Words::of(Language::English).date(day), "28 Nov 2026");
        assert_eq!(Words::of(Language::Chinese).date(day), "2026 年 11 月 28 日");
    }
}
