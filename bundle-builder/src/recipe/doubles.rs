//! Keys that stand twice in one map, and what is a second document: the reader behind keeps the last of two keys, or says
//! it without a place. It knows nothing of what the keys mean.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser};

/// How deep values may nest: deeper than the reader behind goes, which refuses such a text.
const DEEPEST: usize = 200;

/// Every key of `text` that its map has already, and a second document: one sentence each, led by line and column. Ends
/// where `text` is no YAML.
pub(super) fn findings(text: &str) -> Vec<String> {
    let mut walk = Walk::default();
    for event in Parser::new_from_str(text) {
        let Ok((event, span)) = event else { break };
        if walk.open.len() > DEEPEST || walk.documents > 1 {
            break;
        }
        walk.take(&event, span.start);
    }
    walk.findings
}

/// A list or map that is not closed yet.
enum Open {
    List { next: usize },
    Map { keys: BTreeMap<String, usize>, last: String, value_comes: bool },
}

#[derive(Default)]
struct Walk {
    documents: usize,
    open: Vec<Open>,
    findings: Vec<String>,
}

impl Walk {
    fn take(&mut self, event: &Event<'_>, marker: Marker) {
        match event {
            Event::Scalar(text, ..) => self.node(Some(text), marker),
            Event::Alias(_) => self.node(None, marker),
            Event::SequenceStart(..) => {
                self.node(None, marker);
                self.open.push(Open::List { next: 0 });
            }
            Event::MappingStart(..) => {
                self.node(None, marker);
                self.open.push(Open::Map { keys: BTreeMap::new(), last: String::new(), value_comes: false });
            }
            Event::SequenceEnd | Event::MappingEnd => drop(self.open.pop()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.add(marker, "a second YAML document begins here, and only one is read");
                }
            }
            _ => {}
        }
    }

    /// A key or value begins: `text` where it is a plain one.
    fn node(&mut self, text: Option<&str>, marker: Marker) {
        let first = match self.open.last_mut() {
            None => None,
            Some(Open::List { next }) => {
                *next += 1;
                None
            }
            Some(Open::Map { value_comes, .. }) if *value_comes => {
                *value_comes = false;
                None
            }
            Some(Open::Map { keys, last, value_comes }) => {
                *value_comes = true;
                text.unwrap_or("?").clone_into(last);
                text.and_then(|text| keys.insert(text.to_owned(), marker.line()))
            }
        };
        if let Some(line) = first {
            let what = format!("{}: duplicate key, it stands in line {line} already", self.path());
            self.add(marker, &what);
        }
    }

    /// Path of what was seen last, e.g. `components[0].values.web`.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match open {
                Open::List { next } => path = format!("{path}[{}]", next.saturating_sub(1)),
                Open::Map { last, .. } if path.is_empty() => path.clone_from(last),
                Open::Map { last, .. } => path = format!("{path}.{last}"),
            }
        }
        path
    }

    fn add(&mut self, marker: Marker, what: &str) {
        self.findings.push(format!("{}:{}: {what}", marker.line(), marker.col() + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::findings;

    #[test]
    fn a_key_that_stands_twice_is_found_in_every_map() {
        for (text, expected) in [
            ("a: 1\nb: 2\na: 3\n", "3:1: a: duplicate key, it stands in line 1 already"),
            (
                "list:\n  - {x: 1}\n  - {x: {y: 1, 'y': 2}}\n",
                "3:16: list[1].x.y: duplicate key, it stands in line 3 already",
            ),
            ("? [a, {b: 1}]\n: c\nd: 1\nd: 2\n", "4:1: d: duplicate key, it stands in line 3 already"),
            ("a: &x {b: 1}\nc: *x\na: 2\n", "3:1: a: duplicate key, it stands in line 1 already"),
            ("a: 1\n---\na: 1\n", "2:1: a second YAML document begins here, and only one is read"),
        ] {
            assert_eq!(findings(text), [expected], "{text}");
        }
        for text in
            ["", "---\na: {b: 1}\nb: {b: 1}\n", "a: a\nb: b\nc: [a, a, {a: a}]\n", "--- # one\na: 1\n...\n"]
        {
            assert_eq!(findings(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn depth_and_what_is_no_yaml_end_the_walk() {
        assert_eq!(findings(&format!("a: 1\na: {}", "[".repeat(100_000))).len(), 1);
        assert_eq!(findings("a: 1\na: [\n").len(), 1);
    }
}
