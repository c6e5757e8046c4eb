//! The JSON Schema of the profile, generated from the types, and how the other passes read it.
//!
//! Two keywords of our own stand in it: `x-secret` marks what must be a reference to a secret, `x-merge-by` names
//! the key by which a list's items are laid over each other.

use std::sync::LazyLock;

use serde_json::Value as Json;

use crate::site::Site;

/// Marks a reference to a secret.
pub(crate) const SECRET: &str = "x-secret";
/// Names the key by which list items are merged.
pub(crate) const MERGE_BY: &str = "x-merge-by";

static SCHEMA: LazyLock<Json> = LazyLock::new(|| {
    let mut schema = schemars::schema_for!(Site);
    schema.insert("title".to_owned(), Json::from("Sealift site profile"));
    let mut schema = schema.to_value();
    let sections: Vec<String> = sections_of(&schema).map(str::to_owned).collect();
    schema["properties"]["interactive"]["items"]["enum"] = Json::from(sections);
    schema
});

/// Keys at the top of a profile that are no sections: what the file is, and how the rest is read.
const NO_SECTIONS: [&str; 4] = ["apiVersion", "kind", "interactive", "unseal"];

fn sections_of(schema: &Json) -> impl Iterator<Item = &str> {
    let keys = schema["properties"].as_object().into_iter().flat_map(serde_json::Map::keys);
    keys.map(String::as_str).filter(|key| !NO_SECTIONS.contains(key))
}

/// Whether a key at the top of a profile is that of a section, which can be left open.
pub(crate) fn is_section(name: &str) -> bool {
    sections_of(&SCHEMA).any(|section| section == name)
}

/// The JSON Schema (draft 2020-12) of a site profile.
#[must_use]
pub fn schema() -> Json {
    SCHEMA.clone()
}

/// [`schema()`] as the text of `profiles/site.schema.json`.
#[must_use]
pub fn schema_text() -> String {
    format!("{:#}\n", *SCHEMA)
}

pub(crate) fn root() -> &'static Json {
    &SCHEMA
}

/// Follows references and drops "or null", until the schema says what the value itself must be.
pub(crate) fn resolve(mut schema: &'static Json) -> &'static Json {
    loop {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap_or_default();
            schema = &SCHEMA["$defs"][name];
        } else if let Some(some) = schema["anyOf"].as_array().and_then(|any| without_null(any)) {
            schema = some;
        } else {
            return schema;
        }
    }
}

fn without_null(any: &'static [Json]) -> Option<&'static Json> {
    any.iter().find(|schema| schema["type"] != "null")
}

/// The schema of a key of a map, if that key may be there.
pub(crate) fn property(schema: &'static Json, key: &str) -> Option<&'static Json> {
    schema["properties"].get(key).or_else(|| {
        let rest = &schema["additionalProperties"];
        rest.is_object().then_some(rest).or_else(|| is_open(schema).then_some(rest))
    })
}

/// Whether a map may have any keys with any values.
pub(crate) fn is_open(schema: &Json) -> bool {
    schema["properties"].is_null() && schema["additionalProperties"] != Json::Bool(false)
}

/// The type of a value, `null` not counted; empty where anything goes.
pub(crate) fn kind(schema: &Json) -> &str {
    match &schema["type"] {
        Json::String(kind) => kind,
        Json::Array(kinds) => {
            kinds.iter().filter_map(Json::as_str).find(|kind| *kind != "null").unwrap_or_default()
        }
        _ => "",
    }
}

/// The words that a value must be one of; empty where it is no such value.
pub(crate) fn choices(schema: &'static Json) -> Vec<&'static str> {
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().filter_map(Json::as_str).collect();
    }
    let of = schema["oneOf"].as_array().map(Vec::as_slice).unwrap_or_default();
    of.iter().filter_map(|one| one["const"].as_str()).collect()
}

/// The schema at a path such as `hosts[].name`, if there is one.
pub(crate) fn at(path: &str) -> Option<&'static Json> {
    path.split('.').try_fold(root(), |schema, key| {
        let (key, item) = key.strip_suffix("[]").map_or((key, false), |key| (key, true));
        let below = property(resolve(schema), key)?;
        Some(if item { &resolve(below)["items"] } else { below })
    })
}

/// The first sentence about a value: its own, or that of its type.
pub(crate) fn description(schema: &'static Json) -> &'static str {
    schema["description"].as_str().or_else(|| resolve(schema)["description"].as_str()).unwrap_or_default()
}

/// Every path of maps under which a key is known, e.g. `hosts[]` for `hostKey`; for "it belongs there" hints.
pub(crate) fn homes(key: &str) -> Vec<String> {
    let mut found = Vec::new();
    visit(&mut |path, schema| {
        if schema["properties"].as_object().is_some_and(|properties| properties.contains_key(key)) {
            found.push(path.to_owned());
        }
    });
    found.sort();
    found
}

/// The path of every value that is no map of known keys, e.g. `hosts[].name`; a secret and an open map are one value.
pub(crate) fn leaves() -> Vec<String> {
    let mut found = Vec::new();
    visit(&mut |path, schema| {
        if schema["properties"].is_null() && !schema["items"]["$ref"].is_string() && !path.ends_with("[]") {
            found.push(path.to_owned());
        }
    });
    found.sort();
    found
}

/// Calls `see` with every value's path and schema.
fn visit(see: &mut dyn FnMut(&str, &'static Json)) {
    let mut open = vec![(String::new(), root())];
    while let Some((path, schema)) = open.pop() {
        let schema = resolve(schema);
        see(&path, schema);
        // The one kind of map that is nested without end is none of ours; the depth of paths bounds the walk anyhow.
        if path.matches(['.', '[']).count() > 8 || schema[SECRET] == true {
            continue;
        }
        for (name, below) in schema["properties"].as_object().into_iter().flatten() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            open.push((path, below));
        }
        if schema["items"].is_object() {
            open.push((format!("{path}[]"), &schema["items"]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_of_a_key() {
        assert_eq!(homes("serviceCidr"), ["cluster"]);
        assert_eq!(homes("hostKey"), ["access.bastion", "hosts[]"]);
        assert!(homes("nonsense").is_empty());
    }

    #[test]
    fn every_map_of_ours_refuses_unknown_keys() {
        let closed =
            |schema: &Json| schema["properties"].is_null() || schema["additionalProperties"] == false;
        assert!(closed(root()));
        for (name, schema) in SCHEMA["$defs"].as_object().into_iter().flatten() {
            assert!(closed(schema), "{name}");
        }
    }
}
