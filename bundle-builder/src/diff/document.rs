//! What the signed document itself says differently, path by path: components, secrets, services, sizing, and whatever
//! else it comes to hold. Images, files and charts are compared by what they are made of, not here.

use std::collections::{BTreeMap, BTreeSet};

use sealift_bundle::document::BundleDocument;
use serde_json::{Map, Value};

use super::{Change, flatten, texts};

/// What is compared elsewhere, or follows from that.
const ELSEWHERE: [&str; 5] = ["images", "files", "charts", "settings", "blobs"];
/// The one list of entries whose order means something: that of installing.
const COMPONENTS: &str = "components";

/// The changes of every section of the document, by the section's name in it.
pub(super) fn sections(
    old: &BundleDocument,
    new: &BundleDocument,
) -> Result<BTreeMap<String, Vec<Change>>, serde_json::Error> {
    let (old, new) = (fields(old)?, fields(new)?);
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let compared = names.into_iter().filter(|name| !ELSEWHERE.contains(&name.as_str()));
    Ok(compared.map(|name| (name.clone(), section(name, old.get(name), new.get(name)))).collect())
}

fn fields(document: &BundleDocument) -> Result<Map<String, Value>, serde_json::Error> {
    serde_json::to_value(document).and_then(serde_json::from_value)
}

fn section(name: &str, old: Option<&Value>, new: Option<&Value>) -> Vec<Change> {
    let (before, after) = (entries(old), entries(new));
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut changes = Vec::new();
    for key in keys {
        let title = |path: &str| match (key.as_str(), path) {
            ("", "") => name.to_owned(),
            ("", path) => path.to_owned(),
            (key, "") => key.to_owned(),
            (key, path) => format!("{key}: {path}"),
        };
        if let (Some(old), Some(new)) = (before.get(key), after.get(key)) {
            let inside = texts(&leaves(old), &leaves(new));
            changes.extend(inside.into_iter().map(|change| Change { name: title(&change.name), ..change }));
        } else {
            // New or gone as a whole: one change, not one for each of its fields.
            let text = |side: &BTreeMap<String, Value>| side.get(key).map(Value::to_string);
            changes.push(Change { name: title(""), old: text(&before), new: text(&after), new_bytes: None });
        }
    }
    if name == COMPONENTS {
        changes.extend(order(old, new));
    }
    changes
}

/// The entries of a section by name; what is no list of entries with names is one entry without name.
fn entries(section: Option<&Value>) -> BTreeMap<String, Value> {
    let alone = |value| BTreeMap::from([(String::new(), value)]);
    match section {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(Value::Array(list)) => match named(list) {
            Some(entries) => entries.into_iter().collect(),
            None => alone(Value::Array(list.clone())),
        },
        Some(Value::Object(map)) => {
            let part = |(key, value): (&String, &Value)| {
                let entries = value.as_array().filter(|list| !list.is_empty()).and_then(|list| named(list));
                (key.clone(), entries.map_or_else(|| value.clone(), Value::Object))
            };
            alone(Value::Object(map.iter().map(part).collect()))
        }
        Some(other) => alone(other.clone()),
    }
}

/// A list whose entries all have names of their own, by name.
fn named(list: &[Value]) -> Option<Map<String, Value>> {
    let entries: Option<Map<String, Value>> =
        list.iter().map(|entry| Some((identity(entry)?, entry.clone()))).collect();
    entries.filter(|entries| entries.len() == list.len())
}

/// What an entry is known by: its name or path, behind that of the component that it belongs to.
fn identity(entry: &Value) -> Option<String> {
    let text = |field: &str| entry.get(field).and_then(Value::as_str);
    let own = text("name").or_else(|| text("path"))?;
    Some(text("component").map_or_else(|| own.to_owned(), |component| format!("{component}/{own}")))
}

/// Every value by dotted path, as JSON. To the document a field that says nothing is the same as none.
fn leaves(entry: &Value) -> BTreeMap<String, String> {
    let mut entry = entry.clone();
    if let Value::Object(fields) = &mut entry {
        fields.retain(|_, value| !value.is_null() && value.as_object().is_none_or(|map| !map.is_empty()));
    }
    let mut found = BTreeMap::new();
    flatten(&entry, String::new(), 0, &mut found);
    found.retain(|path, _| !path.is_empty() || !matches!(entry, Value::Object(_)));
    found
}

/// Whether those entries that both lists have stand in another order.
fn order(old: Option<&Value>, new: Option<&Value>) -> Option<Change> {
    let names = |list: Option<&Value>| -> Vec<String> {
        list.and_then(Value::as_array).into_iter().flatten().filter_map(identity).collect()
    };
    let (old, new) = (names(old), names(new));
    let common = |list: &[String], other: &[String]| {
        list.iter().filter(|name| other.contains(name)).cloned().collect::<Vec<_>>().join(", ")
    };
    let (before, after) = (common(&old, &new), common(&new, &old));
    (before != after).then(|| Change {
        name: "order of installing".to_owned(),
        old: Some(before),
        new: Some(after),
        new_bytes: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lines(changes: &[Change]) -> Vec<(&str, Option<&str>, Option<&str>)> {
        changes.iter().map(|change| (&*change.name, change.old.as_deref(), change.new.as_deref())).collect()
    }

    #[test]
    fn entries_are_compared_by_name_and_path() {
        let old = json!([
            {"name": "dns", "timeoutSeconds": 60, "values": {"replicas": 1}},
            {"name": "gone", "timeoutSeconds": 1},
            {"name": "web", "timeoutSeconds": 60},
        ]);
        let new = json!([
            {"name": "web", "timeoutSeconds": 60},
            {"name": "dns", "timeoutSeconds": 90, "values": {"replicas": 2}},
        ]);
        assert_eq!(
            lines(&section("components", Some(&old), Some(&new))),
            [
                ("dns: timeoutSeconds", Some("60"), Some("90")),
                ("dns: values.replicas", Some("1"), Some("2")),
                ("gone", Some(r#"{"name":"gone","timeoutSeconds":1}"#), None),
                ("order of installing", Some("dns, web"), Some("web, dns")),
            ]
        );
        assert!(section("components", Some(&new), Some(&new)).is_empty());
        let silent = |values: Value| json!([{"name": "dns", "values": values}]);
        let same = section("components", Some(&silent(Value::Null)), Some(&silent(json!({}))));
        assert!(same.is_empty(), "{same:?}");
        // Inside of values, null takes a chart's default away.
        let told = section("components", Some(&silent(json!({}))), Some(&silent(json!({"web": null}))));
        assert_eq!(lines(&told), [("dns: values.web", None, Some("null"))]);
    }

    #[test]
    fn sections_of_every_form_are_compared() {
        let of = |old: Value, new: Value| {
            let changes = section("what", Some(&old), Some(&new));
            lines(&changes)
                .into_iter()
                .map(|(name, old, new)| format!("{name} {} {}", old.unwrap_or("none"), new.unwrap_or("none")))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(json!("a"), json!("b")), [r#"what "a" "b""#]);
        assert_eq!(of(json!(["a"]), json!(["a", "b"])), [r#"what ["a"] ["a","b"]"#]);
        assert_eq!(of(Value::Null, json!({"busy": 1})), [r#"what none {"busy":1}"#]);
        let secret = |key: &str| json!([{"component": "web", "name": "database", "generated": [key]}]);
        assert_eq!(of(secret("a"), secret("b")), [r#"web/database: generated ["a"] ["b"]"#]);
        let sizing =
            |copies| json!({"parts": [{"name": "web", "copies": 1}, {"name": "db", "copies": copies}]});
        assert_eq!(of(sizing(1), sizing(2)), ["parts.db.copies 1 2"]);
        // Two of one name cannot be told apart by it.
        let twice = |mode| json!([{"path": "/a", "mode": 1}, {"path": "/a", "mode": mode}]);
        assert_eq!(of(twice(1), twice(2)).len(), 1);
    }
}
