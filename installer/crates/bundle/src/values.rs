//! Values of charts: where those of a site go among those of a component, by one rule for who checks it and who does it.

use serde_json::{Map, Value};

/// What stands in the way of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// Its own dotted path; empty where it is all of the values.
    pub path: String,
    /// What it is, as [`kind`] says.
    pub kind: &'static str,
}

/// Puts `value` at the dotted `path`: what is nothing becomes a map on the way.
///
/// # Errors
/// When something on the way is neither nothing nor a map.
pub fn put(values: &mut Value, path: &str, value: Value) -> Result<(), Obstacle> {
    let (mut place, mut walked) = (values, Vec::new());
    for key in path.split('.') {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        let found = kind(place);
        let Value::Object(map) = place else { return Err(Obstacle { path: walked.join("."), kind: found }) };
        place = map.entry(key).or_insert(Value::Null);
        walked.push(key);
    }
    *place = value;
    Ok(())
}

/// The kind of a value, as people call it.
#[must_use]
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_stands_in_the_way_is_named() {
        let mut values = json!({"a": {"b": 1}});
        let obstacle = put(&mut values, "a.b.c", json!(2)).unwrap_err();
        assert_eq!(obstacle, Obstacle { path: "a.b".to_owned(), kind: "a number" });
    }
}
