//! Words of a field: question, example, what for, whom to ask.

use serde_json::Value as Json;

use crate::field::{Field, Kind};
use crate::model::Model;

impl Model {
    /// The question.
    #[must_use]
    pub fn label(&self, field: &Field) -> String {
        let words = self.words();
        let key = field.words_key();
        match &field.asked {
            Some(name) if field.kind == Kind::Secret => words.fill("ask.product.secrets", &[("name", name)]),
            Some(asked) => asked.split_whitespace().collect::<Vec<_>>().join(" "),
            None => match words.find(&format!("ask.{key}")) {
                Some(text) => text.to_owned(),
                None => words.of_form(&format!("form.{key}")),
            },
        }
    }

    /// The question of the field with this path, on whatever page; the path where there is none.
    pub(crate) fn label_of(&self, path: &str) -> String {
        let found = crate::field::asking(self, path).and_then(|(page, path)| {
            crate::field::of_page(self, page).into_iter().find(|field| field.path == path)
        });
        found.map_or_else(|| path.to_owned(), |field| self.label(&field))
    }

    /// How to write an answer.
    pub(crate) fn example(&self, field: &Field) -> String {
        let words = self.words();
        let key = field.words_key();
        match field.kind {
            Kind::Secret => words.of_form("form.hint.secret"),
            Kind::YesNo => words.of_form("form.hint.yesNo"),
            Kind::Choice(_) => words.text("hint.choice"),
            Kind::TextOfFile => words.text("hint.textOfFile"),
            _ if field.asked.is_some() => String::new(),
            _ => match words.find(&format!("ask.{key}.example")) {
                Some(text) => text.to_owned(),
                None => words.of_form(&format!("form.{key}.example")),
            },
        }
    }

    /// What it is, why it is asked, whom to ask.
    pub(crate) fn help(&self, field: &Field) -> Vec<String> {
        let words = self.words();
        let key = field.words_key();
        let mut help = vec![words.text(&format!("help.{key}"))];
        help.extend([self.example(field)].into_iter().filter(|example| !example.is_empty()));
        help.push(words.fill("help.whom", &[("who", &words.text(field.who.key()))]));
        help.push(words.fill("help.path", &[("path", &field.path)]));
        help
    }

    /// A value in words. Of secrets only where they are; long texts by their size.
    pub(crate) fn in_words(&self, field: &Field, value: &Json) -> String {
        let words = self.words();
        match (field.kind, value) {
            (Kind::Choice(_), Json::String(word)) => words.text(&format!("choice.{word}")),
            (Kind::YesNo, Json::Bool(true)) => words.text("word.yes"),
            (Kind::YesNo, Json::Bool(false)) => words.text("word.no"),
            (Kind::YesNo, Json::String(word)) => {
                words.text(if word == "no-spare" { "word.no" } else { "word.yes" })
            }
            (Kind::Secret, Json::Object(map)) => {
                let way = map.iter().next();
                way.map_or_else(String::new, |(way, place)| {
                    let place = place.as_str().unwrap_or_default();
                    let place = if place.contains('\n') { "" } else { place };
                    words.fill(&format!("secret.{way}"), &[("place", place)])
                })
            }
            (Kind::TextOfFile, Json::String(text)) => {
                words.fill("value.lines", &[("count", &text.lines().count().to_string())])
            }
            (_, Json::Array(items)) => {
                items.iter().map(|item| self.in_words(field, item)).collect::<Vec<_>>().join(", ")
            }
            (_, Json::String(text)) => text.clone(),
            (_, other) => other.to_string(),
        }
    }
}

/// A value as somebody would type it; none where a whole text stands in its place.
pub(crate) fn as_typed(field: &Field, value: &Json) -> Option<String> {
    Some(match (field.kind, value) {
        (Kind::TextOfFile, _) => return None,
        (Kind::YesNo, Json::Bool(yes)) => if *yes { "yes" } else { "no" }.to_owned(),
        (Kind::YesNo, Json::String(word)) => if word == "no-spare" { "no" } else { "yes" }.to_owned(),
        (Kind::Secret, Json::Object(map)) => match map.iter().next()? {
            (way, _) if way == "prompt" => "ask".to_owned(),
            (way, Json::String(place)) if !place.contains('\n') => format!("{way} {place}"),
            _ => return None,
        },
        (_, Json::Array(items)) => {
            let typed: Option<Vec<_>> = items.iter().map(|item| as_typed(field, item)).collect();
            typed?.join(", ")
        }
        (_, Json::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    })
}
