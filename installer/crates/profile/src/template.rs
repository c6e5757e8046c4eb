//! Profiles to start from, with a remark at each setting.
//!
//! Reasons and examples are written by hand, beside the settings, in `template/*.yaml`. What a setting is and which
//! default it has comes from the schema: a line `# @hosts[].name` there becomes the description of that value. What the
//! full one does not mention is added at its end, so that it never lacks a setting.

use serde_json::Value as Json;

use crate::schema::{at, choices, description, leaves, resolve};

/// How much a template holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// What every site must say; blanks to fill in.
    Minimal,
    /// Every setting, with an example.
    Full,
}

/// Widest line, characters.
const WIDTH: usize = 118;

/// A commented profile. The full one loads as it is; the minimal one when its blanks are filled in.
#[must_use]
pub fn template(extent: Extent) -> String {
    let source = match extent {
        Extent::Minimal => include_str!("template/minimal.yaml"),
        Extent::Full => include_str!("template/full.yaml"),
    };
    let mut lines = Vec::new();
    for line in source.lines() {
        match mark(line) {
            Some((indent, path)) => lines.extend(remark(indent, &said(path))),
            None => lines.push(line.to_owned()),
        }
    }
    if extent == Extent::Full {
        let marks: Vec<&str> = source.lines().filter_map(mark).map(|(_, path)| path).collect();
        for path in leaves().iter().filter(|path| !marks.contains(&path.as_str())) {
            lines.extend(remark("", &format!("{path}: {}", said(path))));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

/// `    # @hosts[].name` is the indentation and the path.
fn mark(line: &str) -> Option<(&str, &str)> {
    let (indent, path) = line.split_once("# @")?;
    Some((indent, path.trim()))
}

/// What a value is, what it may be, and its default.
fn said(path: &str) -> String {
    let Some(schema) = at(path) else { return path.to_owned() };
    let mut text = description(schema).replace('\n', " ");
    let words = choices(resolve(schema));
    if !words.is_empty() {
        text = format!("{text} One of: {}.", words.join(", "));
    }
    match default(path, schema) {
        Some(default) if !default.is_object() && !default.is_null() => {
            let plain = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            format!("{text} Default: {plain}")
        }
        _ => text,
    }
}

/// The default of a value: its own, or its share in that of the map around it.
fn default(path: &str, schema: &'static Json) -> Option<&'static Json> {
    schema.get("default").or_else(|| {
        let (around, key) = path.rsplit_once('.')?;
        at(around)?.get("default")?.get(key)
    })
}

/// A remark in lines of bearable length.
fn remark(indent: &str, said: &str) -> Vec<String> {
    let mut lines = vec![format!("{indent}#")];
    for word in said.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("{indent}# {word}")),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_names_a_setting() {
        for source in [include_str!("template/minimal.yaml"), include_str!("template/full.yaml")] {
            for (_, path) in source.lines().filter_map(mark) {
                assert!(at(path).is_some(), "there is no {path}");
            }
        }
    }

    #[test]
    fn the_full_one_knows_every_setting() {
        let text = template(Extent::Full);
        for path in leaves() {
            let key = path.rsplit('.').next().unwrap_or_default().trim_end_matches("[]");
            assert!(text.contains(&format!("{key}:")), "{path}");
            assert!(
                text.contains(description(at(&path).unwrap()).split_whitespace().next().unwrap()),
                "{path}"
            );
        }
    }
}
