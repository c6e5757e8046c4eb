//! The report as JSON, for other programs and for [`crate::compare`]; and back.

use serde_json::{Value, json};

use crate::message::Message;
use crate::report::{API_VERSION, KIND, Report};
use crate::words::{Language, Words};

/// Why a file is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is no JSON, or none of a report.
    #[error("the file cannot be understood as a report")]
    NotAReport(#[source] serde_json::Error),
    /// Another program made it.
    #[error(
        "the file is a `{kind}` of the format `{version}`; this installer reads `{KIND}` of `{API_VERSION}`"
    )]
    Other {
        /// Its `kind`.
        kind: String,
        /// Its `apiVersion`.
        version: String,
    },
}

/// All of it; beside each sentence its words in one language, for readers without the catalogue.
#[must_use]
pub fn to_json(report: &Report, language: Language) -> String {
    // Texts, numbers, lists and maps with text keys only: it can be written.
    let mut value = serde_json::to_value(report).unwrap_or_default();
    put_words(&mut value, Words::of(language));
    value["language"] = json!(language);
    let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.push('\n');
    text
}

fn put_words(value: &mut Value, words: Words) {
    if value.get("say").is_some_and(Value::is_string)
        && let Ok(message) = serde_json::from_value::<Message>(value.clone())
    {
        value["text"] = json!(words.say(&message));
        return;
    }
    match value {
        Value::Object(map) => map.values_mut().for_each(|value| put_words(value, words)),
        Value::Array(list) => list.iter_mut().for_each(|value| put_words(value, words)),
        _ => {}
    }
}

/// Reads what [`to_json`] wrote, in whatever language.
pub fn from_json(text: &str) -> Result<Report, ReadError> {
    let mut value: Value = serde_json::from_str(text).map_err(ReadError::NotAReport)?;
    let named = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or("nothing").to_owned();
    let (kind, version) = (named("kind"), named("apiVersion"));
    if kind != KIND || version != API_VERSION {
        return Err(ReadError::Other { kind, version });
    }
    if let Some(map) = value.as_object_mut() {
        map.remove("language");
    }
    serde_json::from_value(value).map_err(ReadError::NotAReport)
}
