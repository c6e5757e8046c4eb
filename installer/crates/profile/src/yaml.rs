//! A site as YAML that people like to read: keys in the order of the types, a remark behind each value where wanted.
//!
//! Written by hand because no YAML crate at hand writes remarks, and because what is written must mean the same to every
//! reader: whatever some YAML 1.1 tool would take for a truth value, a number or a date stands in quotes.

use std::fmt::Write as _;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_yaml::Value;

use crate::draft::in_order;
use crate::error::Place;
use crate::load::Loaded;
use crate::names::is_yaml_word;
use crate::shape::below;
use crate::site::Site;

/// Column at which remarks start, unless the line is longer.
const REMARKS: usize = 48;

/// A site as a profile file, defaults written out. [`load`](crate::load()) of it gives the same site.
pub fn to_yaml(site: &Site) -> Result<String, serde_yaml::Error> {
    write(site, &|_| None)
}

impl Loaded {
    /// The site as a profile file, defaults written out, with the origin of each value behind it: file, line and column,
    /// or `default`. [`load`](crate::load()) of it gives the same site.
    pub fn to_yaml(&self) -> Result<String, serde_yaml::Error> {
        write(&self.site, &|path| Some(self.origin(path)))
    }

    /// Where the value at a path such as `hosts[1].address` comes from.
    #[must_use]
    pub fn origin(&self, path: &str) -> String {
        self.places.exact(path).map_or_else(|| "default".to_owned(), Place::to_string)
    }
}

fn write(site: &Site, remark: &dyn Fn(&str) -> Option<String>) -> Result<String, serde_yaml::Error> {
    // Enums as maps of one key: YAML's own way would be tags (`!file`), which a profile does not have.
    let value = serde_yaml::with::singleton_map_recursive::serialize(site, serde_yaml::value::Serializer)?;
    let mut writer = Writer { text: String::new(), remark };
    writer.value("", 0, &value, "");
    Ok(writer.text)
}

/// Values of a profile as its file, keys in an order that people expect.
pub(crate) fn from_json(values: &serde_json::Value) -> String {
    let mut writer = Writer { text: String::new(), remark: &|_| None };
    writer.value("", 0, &ordered(values), "");
    writer.text
}

fn ordered(value: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match value {
        Json::Object(map) => {
            Value::Mapping(in_order(map).map(|(key, value)| (key.as_str().into(), ordered(value))).collect())
        }
        Json::Array(items) => Value::Sequence(items.iter().map(ordered).collect()),
        // Scalars are the same in both.
        scalar => serde_yaml::to_value(scalar).unwrap_or_default(),
    }
}

struct Writer<'a> {
    text: String,
    remark: &'a dyn Fn(&str) -> Option<String>,
}

impl Writer<'_> {
    /// Writes a value behind `head`, which is its key or the dash of its item; what it holds is indented by `indent`.
    fn value(&mut self, head: &str, indent: usize, value: &Value, path: &str) {
        match value {
            Value::Mapping(map) if !map.is_empty() => {
                let is_item = head.ends_with('-');
                if !head.is_empty() && !is_item {
                    self.line(head);
                }
                for (i, (key, value)) in map.iter().enumerate() {
                    let key = key.as_str().unwrap_or_default();
                    let name = scalar(key);
                    let head = if is_item && i == 0 {
                        format!("{head} {name}:")
                    } else {
                        format!("{:indent$}{name}:", "")
                    };
                    self.value(&head, indent + 2, value, &below(path, key));
                }
            }
            Value::Sequence(items) if !items.is_empty() => {
                self.line(head);
                for (i, item) in items.iter().enumerate() {
                    self.value(&format!("{:indent$}-", ""), indent + 2, item, &format!("{path}[{i}]"));
                }
            }
            Value::String(text) if is_block(text) => self.block(head, indent, text, path),
            _ => {
                let line = format!("{head} {}", flat(value));
                self.remarked(&line, path);
            }
        }
    }

    /// Text of several lines, such as a sealed secret, as it is.
    fn block(&mut self, head: &str, indent: usize, text: &str, path: &str) {
        let mark = if text.ends_with('\n') { "|" } else { "|-" };
        self.remarked(&format!("{head} {mark}"), path);
        for line in text.lines() {
            self.line(&format!("{:indent$}{line}", ""));
        }
    }

    fn remarked(&mut self, line: &str, path: &str) {
        match (self.remark)(path) {
            Some(remark) => self.line(&format!("{line:<REMARKS$}  # {}", remark.escape_debug())),
            None => self.line(line),
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// A value on one line.
fn flat(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        // Written as the reader writes numbers, by which it tells numbers from text.
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(fraction)) => serde_json::Value::from(fraction).to_string(),
            (None, None) => number.to_string(),
        },
        Value::String(text) => scalar(text),
        Value::Sequence(_) => "[]".to_owned(),
        Value::Mapping(_) => "{}".to_owned(),
        Value::Tagged(tagged) => flat(&tagged.value),
    }
}

fn scalar(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// Whether a text means itself without quotes, to every reader.
fn is_plain(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "./_@+-: ".contains(c);
    let is_network =
        || text.contains('.') && (text.parse::<IpAddr>().is_ok() || text.parse::<IpNet>().is_ok());
    let starts_well = first.is_ascii_alphabetic() || text.starts_with("~/") || first == '/' || is_network();
    starts_well
        && text.trim_start_matches('~').chars().all(allowed)
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && !is_yaml_word(&text.to_lowercase())
}

/// YAML's double quotes: JSON's, with all that nobody sees written as a code.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || (c.is_whitespace() && c != ' ') || is_hidden(c) => {
                // Writing into a String cannot fail.
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn is_hidden(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// Whether a text can stand in lines of its own and be read back as it was.
fn is_block(text: &str) -> bool {
    let printable = |line: &str| line.bytes().all(|b| (0x20..0x7f).contains(&b));
    let starts = |line: &str| !line.is_empty() && !line.starts_with(' ');
    text.contains('\n') && !text.ends_with("\n\n") && text.lines().all(|line| printable(line) && starts(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_misread_stands_in_quotes() {
        for plain in
            ["m1", "~/.ssh/id", "10.244.0.0/16", "10.20.0.11", "control-plane", "SHA256:a+b/c", "the plant"]
        {
            assert_eq!(scalar(plain), plain);
        }
        for odd in ["", "No", "on", "1.30", "007", "2026-12-31", "~", "a: b", "a:", "- a", "#x", "12:30"] {
            assert_eq!(scalar(odd), format!("\"{odd}\""));
        }
        assert_eq!(scalar("a\u{a0}\"b\"\u{1b}"), "\"a\\U000000A0\\\"b\\\"\\U0000001B\"");
    }
}
