//! Laying one profile over another: maps merge, lists replace, hosts merge by name, the later file wins.

use serde_json::Value as Json;

use crate::node::{Entry, Node, Value};
use crate::schema::{MERGE_BY, SECRET, property, resolve};

/// Lays `over` on `base`. A schema is given where one is known; a reference to a secret is replaced whole, because
/// half of one and half of another (`file` and `env`) would be none.
pub(crate) fn overlay(base: Node, over: Node, schema: Option<&'static Json>) -> Node {
    let schema = schema.map(resolve);
    if schema.is_some_and(|schema| schema[SECRET] == true) {
        return over;
    }
    let Node { place: base_place, value: base_value } = base;
    let Node { place, value } = over;
    match (base_value, value) {
        // An empty overlay file, or `cluster:` with nothing under it, takes nothing away from a map.
        (Value::Map(entries), Value::Map(more)) => {
            Node { place: base_place, value: Value::Map(merge_maps(entries, more, schema)) }
        }
        (Value::List(items), Value::List(more)) => {
            match schema.and_then(|schema| schema[MERGE_BY].as_str()) {
                Some(key) => {
                    let of = schema.map(|schema| &schema["items"]);
                    Node { place: base_place, value: Value::List(merge_items(items, more, key, of)) }
                }
                None => Node { place, value: Value::List(more) },
            }
        }
        (_, value) => Node { place, value },
    }
}

fn merge_maps(mut base: Vec<Entry>, over: Vec<Entry>, schema: Option<&'static Json>) -> Vec<Entry> {
    for entry in over {
        let below = schema.and_then(|schema| property(schema, &entry.key));
        match base.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => {
                let old = std::mem::replace(&mut known.value, entry.value.clone());
                known.value = overlay(old, entry.value, below);
                known.key_place = entry.key_place;
            }
            None => base.push(entry),
        }
    }
    base
}

/// Items of the same name merge; new ones follow in their order. A name that stands twice in one file stays twice,
/// so that the rule about it can speak.
fn merge_items(mut base: Vec<Node>, over: Vec<Node>, key: &str, schema: Option<&'static Json>) -> Vec<Node> {
    let known = base.len();
    let mut taken = vec![false; known];
    for item in over {
        let name = item.get(key).and_then(Node::text).map(str::to_owned);
        let same = name.and_then(|name| {
            (0..known).find(|&i| !taken[i] && base[i].get(key).and_then(Node::text) == Some(name.as_str()))
        });
        if let Some(i) = same {
            taken[i] = true;
            let old = base[i].clone();
            base[i] = overlay(old, item, schema);
        } else {
            base.push(item);
        }
    }
    base
}
