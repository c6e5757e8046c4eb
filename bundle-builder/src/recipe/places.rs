//! Where in a YAML text every value stands, so that findings about valid YAML have line and column, too.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser};

/// Values that are looked at; what comes behind has no place.
const MOST_VALUES: usize = 100_000;
/// How deep values may nest to have a place.
const DEEPEST: usize = 64;

/// Path of a value, e.g. `images[0].name`, to line and column, both from 1.
pub(super) struct Places(BTreeMap<String, (usize, usize)>);

impl Places {
    /// Reads the places of `text`; nothing is known of what is no YAML.
    pub(super) fn of(text: &str) -> Self {
        let mut walk = Walk { places: BTreeMap::new(), open: Vec::new() };
        for event in Parser::new_from_str(text) {
            let Ok((event, span)) = event else { break };
            if walk.places.len() >= MOST_VALUES || walk.open.len() > DEEPEST {
                break;
            }
            walk.take(&event, span.start);
        }
        Self(walk.places)
    }

    /// Line and column of the value at `path`, else of the nearest one around it. What stands behind ` (` in `path` is for
    /// people.
    pub(super) fn find(&self, path: &str) -> Option<(usize, usize)> {
        let mut path = path.split(" (").next().unwrap_or(path);
        while !path.is_empty() {
            if let Some(place) = self.0.get(path) {
                return Some(*place);
            }
            path = &path[..path.rfind(['.', '[']).unwrap_or(0)];
        }
        None
    }
}

/// A list or map that is not closed yet.
enum Open {
    List { path: String, next: usize },
    Map { path: String, key: Option<(String, (usize, usize))> },
}

struct Walk {
    places: BTreeMap<String, (usize, usize)>,
    open: Vec<Open>,
}

impl Walk {
    fn take(&mut self, event: &Event<'_>, marker: Marker) {
        match event {
            Event::Scalar(text, ..) => {
                if let Some(Open::Map { key: key @ None, .. }) = self.open.last_mut() {
                    *key = Some((text.to_string(), place(marker)));
                } else {
                    self.value(marker);
                }
            }
            Event::Alias(_) => drop(self.value(marker)),
            Event::SequenceStart(..) => {
                let path = self.value(marker);
                self.open.push(Open::List { path, next: 0 });
            }
            Event::MappingStart(..) => {
                let path = self.value(marker);
                self.open.push(Open::Map { path, key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => drop(self.open.pop()),
            _ => {}
        }
    }

    /// Notes where the next value stands; its path. A map's value stands where its key does.
    fn value(&mut self, marker: Marker) -> String {
        let (path, at) = match self.open.last_mut() {
            None => (String::new(), place(marker)),
            Some(Open::List { path, next }) => {
                *next += 1;
                (format!("{path}[{}]", *next - 1), place(marker))
            }
            Some(Open::Map { path, key }) => match key.take() {
                Some((key, at)) if path.is_empty() => (key, at),
                Some((key, at)) => (format!("{path}.{key}"), at),
                // A key that is itself a list or map.
                None => (format!("{path}.?"), place(marker)),
            },
        };
        self.places.entry(path.clone()).or_insert(at);
        path
    }
}

fn place(marker: Marker) -> (usize, usize) {
    (marker.line(), marker.col() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# comment\nproduct: {name: x}\nimages:\n  - name: a\n    roles: [worker]\n  - {name: b, 'c d': 1}\n";

    #[test]
    fn every_value_has_its_place() {
        let places = Places::of(TEXT);
        for (path, place) in [
            ("product", (2, 1)),
            ("product.name", (2, 11)),
            ("images[0].name", (4, 5)),
            ("images[0].roles[0]", (5, 13)),
            ("images[1].name", (6, 6)),
            ("images[1].roles", (6, 5)),
            ("images (path)", (3, 1)),
            ("images[1].c d (b)", (6, 15)),
        ] {
            assert_eq!(places.find(path), Some(place), "{path}");
        }
        assert_eq!(places.find("components[0]"), None);
        assert_eq!(Places::of("a: [").find("b"), None);
    }

    #[test]
    fn deep_nesting_ends_the_walk() {
        let text = format!("a: 1\nb: {}", "[".repeat(100_000));
        assert_eq!(Places::of(&text).find("a"), Some((1, 1)));
    }
}
