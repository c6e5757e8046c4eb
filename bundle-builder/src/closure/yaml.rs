//! What Helm prints, read as forgivingly as Helm and the cluster read it: keys may be numbers, may stand twice (the last
//! one counts), and may be merged (`<<`).

use std::fmt;

use serde::de::{Deserialize, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess as _, Visitor};
use serde_json::{Map, Value};

/// Every document of `text`. The parser bounds depth and repetition.
pub(super) fn documents(text: &str) -> Result<Vec<Value>, serde_yaml::Error> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Forgiving::deserialize(document).map(|read| read.0))
        .collect()
}

struct Forgiving(Value);

impl<'de> Deserialize<'de> for Forgiving {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    /// An empty document.
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(value.to_string().into())
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(value.to_string().into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Forgiving(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let (mut own, mut merged) = (Map::new(), Vec::new());
        while let Some((Forgiving(key), Forgiving(value))) = entries.next_entry()? {
            match key {
                Value::String(key) if key == "<<" => merged.push(value),
                Value::String(key) => drop(own.insert(key, value)),
                // As text, one in another would be twice as long for each level; Kubernetes knows no such keys.
                Value::Object(_) | Value::Array(_) => {
                    return Err(serde::de::Error::custom("a key is itself a list or a map"));
                }
                other => drop(own.insert(other.to_string(), value)),
            }
        }
        for value in merged {
            merge(&mut own, value);
        }
        Ok(own.into())
    }

    /// A value with a tag of its own, `!name value`: the tag says nothing here.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Value, A::Error> {
        let (_, value) = tagged.variant::<String>()?;
        value.newtype_variant::<Forgiving>().map(|read| read.0)
    }
}

/// Adds what a `<<` brings: a map, or a list of maps of which the first counts; what stands there already stays.
fn merge(own: &mut Map<String, Value>, brought: Value) {
    match brought {
        Value::Object(entries) => {
            for (key, value) in entries {
                own.entry(key).or_insert(value);
            }
        }
        Value::Array(items) => items.into_iter().for_each(|item| merge(own, item)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_reads_what_helm_and_the_cluster_read() {
        let text = "
---
# only a comment
---
data: {8080: 'a:1', true: x}
data: {8081: b}
---
base: &base {name: web, image: 'a:1'}
one: {<<: *base, image: 'b:1'}
two: {<<: [{name: first}, *base]}
tagged: !own {image: 'c:1'}
big: 1e400
";
        let found = documents(text).unwrap();
        assert_eq!(found[0], Value::Null);
        assert_eq!(found[1], json!({"data": {"8081": "b"}}));
        assert_eq!(found[2]["one"], json!({"name": "web", "image": "b:1"}));
        assert_eq!(found[2]["two"], json!({"name": "first", "image": "a:1"}));
        assert_eq!(found[2]["tagged"], json!({"image": "c:1"}));
        assert_eq!(documents("").unwrap(), [Value::Null]);
        assert!(documents("a: [").is_err());
    }

    #[test]
    fn depth_and_repetition_are_bounded() {
        assert!(documents(&"[".repeat(100_000)).is_err());
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{}, ", level - 1).repeat(10);
            bomb = format!("{bomb}a{level}: &a{level} [{before}]\n");
        }
        assert!(documents(&bomb).is_err());
        // Each level would quote the one in it once more.
        let keys = format!("{}a{}", "{".repeat(60), ": 1}".repeat(60));
        let refused = documents(&keys).unwrap_err().to_string();
        assert!(refused.contains("a key is itself a list or a map"), "{refused}");
    }
}
