//! The JSON Schema of a recipe, generated from its types, for editors.

use super::Recipe;

/// The JSON Schema (draft 2020-12) of a recipe, as the text of `recipe.schema.json`.
#[must_use]
pub fn schema_text() -> String {
    let mut schema = schemars::schema_for!(Recipe);
    schema.insert("title".to_owned(), "Sealift recipe".into());
    format!("{:#}\n", schema.to_value())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{parse, testing::FULL};
    use serde_json::Value;
    use std::path::Path;

    #[test]
    fn the_schema_file_is_current() {
        let path = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("recipe.schema.json");
        if std::env::var_os("SEALIFT_UPDATE").is_some() {
            std::fs::write(&path, schema_text()).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == schema_text(), "stale: run this test with SEALIFT_UPDATE=1 and commit the file");
    }

    /// Every key of `value` that `schema` does not know.
    fn unknown(root: &Value, schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
        let schema = match schema["$ref"].as_str() {
            Some(name) => &root["$defs"][name.rsplit('/').next().unwrap()],
            None => schema,
        };
        for list in ["anyOf", "oneOf", "allOf"] {
            // Alternatives of an option or an enum: the one that has the key.
            let alternatives = schema[list].as_array().into_iter().flatten();
            let mut first = None;
            for alternative in alternatives.filter(|one| one["required"].is_null() || one["type"] == "object")
            {
                let mut inside = Vec::new();
                unknown(root, alternative, value, path, &mut inside);
                if inside.is_empty() {
                    return;
                }
                first.get_or_insert(inside);
            }
            found.extend(first.into_iter().flatten());
        }
        match value {
            Value::Object(entries) if !schema["properties"].is_null() => {
                for (key, value) in entries {
                    let path = format!("{path}.{key}");
                    match schema["properties"].get(key) {
                        Some(schema) => unknown(root, schema, value, &path, found),
                        None => found.push(path),
                    }
                }
            }
            Value::Object(entries) if schema["additionalProperties"].is_object() => {
                for (key, value) in entries {
                    unknown(root, &schema["additionalProperties"], value, &format!("{path}.{key}"), found);
                }
            }
            Value::Array(items) => {
                for item in items {
                    unknown(root, &schema["items"], item, &format!("{path}[]"), found);
                }
            }
            Value::Object(_) if !(schema["type"].is_null() || *schema == Value::Bool(true)) => {
                found.push(path.to_owned());
            }
            _ => {}
        }
    }

    #[test]
    fn the_schema_knows_every_key_that_is_read() {
        let schema: Value = serde_json::from_str(&schema_text()).unwrap();
        let recipe = parse(FULL, Path::new("recipe.yaml")).unwrap();
        let mut found = Vec::new();
        unknown(&schema, &schema, &serde_json::to_value(&recipe).unwrap(), "", &mut found);
        assert_eq!(found, [""; 0]);
        let mut wrong = serde_json::to_value(&recipe).unwrap();
        wrong["files"][0]["source"]["colour"] = "red".into();
        unknown(&schema, &schema, &wrong, "", &mut found);
        assert_eq!(found, [".files[].source.colour"]);
    }
}
