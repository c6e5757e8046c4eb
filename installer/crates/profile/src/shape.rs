//! Holding the tree against the schema: unknown keys, missing keys, wrong types, literal secrets.
//!
//! Makes the JSON value that the types are read from, and the map from paths to places, on the way.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Map, Number, Value as Json};

use crate::error::{Place, Places, ProfileFinding};
use crate::names::nearest;
use crate::node::{Entry, Node, Value};
use crate::schema::{SECRET, choices, description, homes, is_open, kind, property, resolve, root};

/// The rule of findings about what is not there, or only as a key with nothing behind it.
pub(crate) const MISSING: &str = "missing-key";

/// What other installers ask for, and what to do here in its place.
const NOT_NEEDED: [(&str, &str); 2] = [("vip", NO_VIP), ("virtualIp", NO_VIP)];
const NO_VIP: &str = "take it out: hosts find the API servers by the name `cluster.endpoint`, each on its own; for clients \
    elsewhere let your DNS lead that name to the masters, or to a load balancer of yours";

/// What the shape pass gives.
pub(crate) struct Shaped {
    /// What could be read; parts with findings are left out.
    pub json: Json,
    pub places: Places,
    pub findings: Vec<ProfileFinding>,
}

pub(crate) fn shape(tree: &Node) -> Shaped {
    let mut walk = Walk { places: BTreeMap::new(), findings: Vec::new() };
    let json = walk.value(tree, root(), "").unwrap_or(Json::Null);
    Shaped { json, places: Places(walk.places), findings: walk.findings }
}

struct Walk {
    places: BTreeMap<String, Place>,
    findings: Vec<ProfileFinding>,
}

pub(crate) fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn name(path: &str) -> String {
    if path.is_empty() { "the profile".to_owned() } else { format!("`{path}`") }
}

impl Walk {
    fn find(&mut self, rule: &'static str, path: &str, place: &Place, message: String, remedy: String) {
        let place = Some(place.clone());
        self.findings.push(ProfileFinding { rule, path: path.to_owned(), place, message, remedy });
    }

    /// The value as JSON; `None` where it has a finding of its own.
    fn value(&mut self, node: &Node, schema: &'static Json, path: &str) -> Option<Json> {
        self.places.insert(path.to_owned(), node.place.clone());
        let schema = resolve(schema);
        if schema[SECRET] == true {
            return self.secret(node, schema, path);
        }
        let words = choices(schema);
        if !words.is_empty() {
            return self.choice(node, &words, path);
        }
        match (kind(schema), &node.value) {
            ("object", Value::Map(entries)) => Some(self.map(node, entries, schema, path)),
            ("array", Value::List(items)) => Some(self.list(items, schema, path)),
            ("string" | "integer" | "number" | "boolean", Value::Scalar { text, .. }) if !node.is_null() => {
                self.scalar(node, text, schema, path)
            }
            ("", _) => Some(self.free(node, path)),
            _ => {
                self.wrong_type(node, schema, path);
                None
            }
        }
    }

    fn map(&mut self, node: &Node, entries: &[Entry], schema: &'static Json, path: &str) -> Json {
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        let mut map = Map::new();
        for Entry { key, key_place, value } in entries {
            let path_below = below(path, key);
            match property(schema, key) {
                None => self.unknown_key(schema, key, key_place, path),
                // `bastion:` with nothing behind it: as if it were not there.
                Some(_) if value.is_null() && !is_open(schema) && !required.contains(&key.as_str()) => {}
                Some(of) => {
                    if let Some(json) = self.value(value, of, &path_below) {
                        map.insert(key.clone(), json);
                    }
                }
            }
        }
        for key in required {
            if entries.iter().all(|entry| entry.key != key) {
                let of = property(schema, key).unwrap_or(&Json::Null);
                let meaning = description(of).lines().next().unwrap_or_default();
                let remedy = format!("add `{key}:` ({})", meaning.trim_end_matches('.'));
                let message = format!("{} has no `{key}`", name(path));
                self.find(MISSING, &below(path, key), &node.place, message, remedy);
            }
        }
        Json::Object(map)
    }

    fn unknown_key(&mut self, schema: &'static Json, key: &str, place: &Place, path: &str) {
        let known: Vec<&str> =
            schema["properties"].as_object().into_iter().flat_map(Map::keys).map(String::as_str).collect();
        let elsewhere = homes(key);
        let remedy = if let Some((_, instead)) = NOT_NEEDED.iter().find(|(other, _)| *other == key) {
            (*instead).to_owned()
        } else if let Some(near) = nearest(key, known.iter().copied()) {
            format!("did you mean `{near}`?")
        } else if !elsewhere.is_empty() {
            let home = |path: &String| match path.strip_suffix("[]") {
                _ if path.is_empty() => "at the top of the profile".to_owned(),
                Some(list) => format!("in an item of `{list}`"),
                None => format!("under `{path}`"),
            };
            let homes = elsewhere.iter().map(home).collect::<Vec<_>>().join(" or ");
            format!("`{key}` belongs {homes}: look at the indentation")
        } else {
            format!("known here: {}", known.join(", "))
        };
        let at =
            if path.is_empty() { "at the top of the profile".to_owned() } else { format!("in `{path}`") };
        self.find("unknown-key", &below(path, key), place, format!("`{key}` is not known {at}"), remedy);
    }

    fn list(&mut self, items: &[Node], schema: &'static Json, path: &str) -> Json {
        let of = &schema["items"];
        let values = items.iter().enumerate();
        // A faulty item keeps its seat, so that the places of the others stay theirs.
        Json::Array(
            values
                .map(|(i, item)| self.value(item, of, &format!("{path}[{i}]")).unwrap_or_default())
                .collect(),
        )
    }

    fn choice(&mut self, node: &Node, words: &[&'static str], path: &str) -> Option<Json> {
        match node.text() {
            Some(text) if words.contains(&text) => Some(Json::from(text)),
            text => {
                let near = text.and_then(|text| nearest(text, words.iter().copied()));
                let remedy = match near {
                    Some(near) => format!("did you mean `{near}`? (one of {})", words.join(", ")),
                    None => format!("write one of {}", words.join(", ")),
                };
                let found = describe(node);
                let rule = if node.is_null() { MISSING } else { "choice" };
                self.find(rule, path, &node.place, format!("{} is {found}", name(path)), remedy);
                None
            }
        }
    }

    fn scalar(&mut self, node: &Node, text: &str, schema: &'static Json, path: &str) -> Option<Json> {
        let plain = matches!(node.value, Value::Scalar { plain: true, .. });
        let json = match kind(schema) {
            "string" => {
                let fits = match schema["format"].as_str().unwrap_or_default() {
                    "ip" => text.parse::<IpAddr>().is_ok(),
                    "cidr" => text.parse::<IpNet>().is_ok(),
                    _ => true,
                };
                fits.then(|| Json::from(text))
            }
            "integer" => {
                text.parse::<i64>().ok().filter(|number| plain && within(*number, schema)).map(Json::from)
            }
            "number" => {
                text.parse::<f64>().ok().filter(|_| plain).and_then(Number::from_f64).map(Json::Number)
            }
            _ => truth(text).filter(|_| plain).map(Json::Bool),
        };
        if json.is_none() {
            self.wrong_type(node, schema, path);
        }
        json
    }

    fn wrong_type(&mut self, node: &Node, schema: &'static Json, path: &str) {
        let remedy = format!("write {}", expected(schema));
        let rule = if node.is_null() { MISSING } else { "type" };
        self.find(rule, path, &node.place, format!("{} is {}", name(path), describe(node)), remedy);
    }

    /// Exactly one of `file`, `env`, `prompt`, `sealed`. The secret itself never gets into a message.
    fn secret(&mut self, node: &Node, schema: &'static Json, path: &str) -> Option<Json> {
        let ways: Vec<&str> = schema["oneOf"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| one["properties"].as_object()?.keys().next().map(String::as_str))
            .collect();
        let key = path.rsplit('.').next().unwrap_or(path);
        let forms =
            format!("`{key}: {{file: ~/secret.txt}}`, `{key}: {{env: NAME}}` or `{key}: {{prompt: label}}`");
        let Value::Map(entries) = &node.value else {
            let (message, remedy) = if matches!(&node.value, Value::Scalar { .. }) && !node.is_null() {
                (
                    format!("{} holds the secret itself", name(path)),
                    format!(
                        "say where it is instead: {forms}; then take it out of this file and change it where it was seen"
                    ),
                )
            } else {
                (format!("{} names no place for the secret", name(path)), format!("say where it is: {forms}"))
            };
            let rule = if node.is_null() { MISSING } else { "literal-secret" };
            self.find(rule, path, &node.place, message, remedy);
            return None;
        };
        for entry in entries.iter().filter(|entry| !ways.contains(&entry.key.as_str())) {
            let remedy = match nearest(&entry.key, ways.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("say where it is: {forms}"),
            };
            let message = format!("`{}` is no place for a secret", entry.key);
            self.find("unknown-key", &below(path, &entry.key), &entry.key_place, message, remedy);
        }
        let known: Vec<&Entry> = entries.iter().filter(|entry| ways.contains(&entry.key.as_str())).collect();
        match known.as_slice() {
            [entry] if entries.len() == 1 => {
                let path_below = below(path, &entry.key);
                self.places.insert(path_below.clone(), entry.value.place.clone());
                let text =
                    entry.value.text().filter(|text| !text.trim().is_empty() && !entry.value.is_null());
                if text.is_none() {
                    let message = format!("`{path_below}` is empty or no text");
                    self.find("type", &path_below, &entry.value.place, message, format!("write {forms}"));
                }
                text.map(|text| Json::Object(Map::from_iter([(entry.key.clone(), Json::from(text))])))
            }
            // The other keys beside it, or in place of it, have findings of their own.
            [] | [_] if !entries.is_empty() => None,
            _ => {
                let message = format!("{} must name exactly one place for the secret", name(path));
                self.find("secret-place", path, &node.place, message, format!("keep one: {forms}"));
                None
            }
        }
    }

    /// A value whose meaning the product gives: by YAML's own rules for unquoted words.
    fn free(&mut self, node: &Node, path: &str) -> Json {
        self.places.insert(path.to_owned(), node.place.clone());
        match &node.value {
            Value::Scalar { text, plain } => free_scalar(text, *plain && !node.is_null(), node.is_null()),
            Value::List(items) => {
                let items = items.iter().enumerate();
                Json::Array(items.map(|(i, item)| self.free(item, &format!("{path}[{i}]"))).collect())
            }
            Value::Map(entries) => {
                let entries = entries.iter();
                Json::Object(
                    entries.map(|e| (e.key.clone(), self.free(&e.value, &below(path, &e.key)))).collect(),
                )
            }
        }
    }
}

/// YAML 1.2 core schema; a number that would not be written back as it was read stays text (`1.30`, `007`).
fn free_scalar(text: &str, plain: bool, null: bool) -> Json {
    if null {
        return Json::Null;
    }
    if !plain {
        return Json::from(text);
    }
    let whole = text.parse::<i64>().ok().filter(|number| number.to_string() == text).map(Json::from);
    let fraction = || {
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite())?;
        Number::from_f64(number).filter(|number| number.to_string() == text).map(Json::Number)
    };
    whole.or_else(fraction).or_else(|| truth(text).map(Json::Bool)).unwrap_or_else(|| Json::from(text))
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

fn within(number: i64, schema: &Json) -> bool {
    schema["minimum"].as_i64().is_none_or(|least| number >= least)
        && schema["maximum"].as_i64().is_none_or(|most| number <= most)
}

/// What stands there, in words. Long text is cut: it may be a pasted key.
fn describe(node: &Node) -> String {
    match &node.value {
        _ if node.is_null() => "empty".to_owned(),
        Value::Scalar { text, .. } if text.chars().count() > 40 || text.contains('\n') => {
            "a long text".to_owned()
        }
        Value::Scalar { text, plain: true } => format!("`{text}`"),
        Value::Scalar { text, .. } => format!("the text \"{text}\""),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a map (keys with values)".to_owned(),
    }
}

/// What must stand there, in words.
fn expected(schema: &Json) -> String {
    match (kind(schema), schema["format"].as_str().unwrap_or_default()) {
        ("object", _) => "a map: keys with values, indented below it".to_owned(),
        ("array", _) => "a list: one line with `- ` for each item".to_owned(),
        ("integer", _) => match (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
            (Some(least), Some(most)) => format!("a whole number from {least} to {most}, without quotes"),
            (Some(least), None) => format!("a whole number, {least} or more, without quotes"),
            _ => "a whole number without quotes".to_owned(),
        },
        ("number", _) => "a number without quotes".to_owned(),
        ("boolean", _) => "true or false, without quotes".to_owned(),
        (_, "ip") => "an address such as 10.20.0.11".to_owned(),
        (_, "cidr") => "a network with its prefix, such as 10.244.0.0/16".to_owned(),
        (_, "date") => "a date such as 2026-12-31".to_owned(),
        _ => "a text".to_owned(),
    }
}
