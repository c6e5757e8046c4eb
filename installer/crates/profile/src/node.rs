//! YAML text as a tree whose every node knows its place.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError};

use crate::error::{Place, ProfileFinding};

/// Values that a profile may have, aliases counted as what they stand for.
const MAX_NODES: usize = 100_000;
/// How deep values may nest.
const MAX_DEPTH: usize = 64;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub place: Place,
    pub value: Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Text as written; `plain` where it stood without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub key: String,
    pub key_place: Place,
    pub value: Node,
}

impl Node {
    /// Nothing was written: `key:`, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Number of values and depth, this one included.
    fn extent(&self) -> (usize, usize) {
        let children: Vec<&Self> = match &self.value {
            Value::Scalar { .. } => Vec::new(),
            Value::List(items) => items.iter().collect(),
            Value::Map(entries) => entries.iter().map(|entry| &entry.value).collect(),
        };
        children
            .into_iter()
            .map(Self::extent)
            .fold((1, 1), |(count, depth), (more, below)| (count + more, depth.max(below + 1)))
    }
}

/// Reads one document. The tree is there even where findings are, unless the text is no YAML at all.
pub(crate) fn parse(text: &str, file: &Arc<str>) -> (Option<Node>, Vec<ProfileFinding>) {
    let mut builder = Builder {
        file: Arc::clone(file),
        open: Vec::new(),
        root: None,
        anchors: HashMap::new(),
        nodes: 0,
        findings: Vec::new(),
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    builder.findings.extend(invisible(text, file));
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let finding = builder.syntax(text, &error);
                builder.findings.push(finding);
                return (None, builder.findings);
            }
        };
        if matches!(event, Event::DocumentStart(_)) {
            documents += 1;
        }
        if documents > 1 {
            builder.find(
                "yaml",
                span.start,
                "a second document starts here: a profile is one document",
                "remove the `---` line, or keep the second document in a file of its own and name it with another --profile",
            );
            return (None, builder.findings);
        }
        if builder.take(event, span.start).is_none() {
            return (None, builder.findings);
        }
    }
    (builder.root, builder.findings)
}

/// Characters that nobody sees and that readers of YAML take for different things: some end a line, some do not.
fn invisible(text: &str, file: &Arc<str>) -> Vec<ProfileFinding> {
    let hidden = |c: char| matches!(c, '\u{85}' | '\u{200b}' | '\u{2028}' | '\u{2029}' | '\u{feff}');
    let mut findings = Vec::new();
    for (i, line) in text.split('\n').enumerate() {
        for (j, c) in line.chars().enumerate().filter(|(_, c)| hidden(*c)) {
            let place = Place { file: Arc::clone(file), line: i + 1, column: j + 1 };
            let message = format!("an invisible character (U+{:04X}) stands here", u32::from(c));
            findings.push(finding(
                "invisible",
                place,
                message,
                "delete it; it usually comes with pasted text",
            ));
        }
    }
    findings
}

fn indentation(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

/// A list or map whose end has not come yet.
enum Open {
    List { items: Vec<Node>, place: Place, anchor: usize },
    Map { entries: Vec<Entry>, key: Option<Key>, place: Place, anchor: usize },
}

/// A key whose value has not come yet; `refused` ones have a finding already, and their value is dropped.
struct Key {
    name: String,
    place: Place,
    refused: bool,
}

struct Anchored {
    node: Node,
    count: usize,
    depth: usize,
}

struct Builder {
    file: Arc<str>,
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    findings: Vec<ProfileFinding>,
}

impl Builder {
    fn place(&self, mark: Marker) -> Place {
        Place { file: Arc::clone(&self.file), line: mark.line(), column: mark.col() + 1 }
    }

    fn find(&mut self, rule: &'static str, mark: Marker, message: &str, remedy: &str) {
        let place = self.place(mark);
        self.findings.push(finding(rule, place, message.to_owned(), remedy));
    }

    fn syntax(&self, text: &str, error: &ScanError) -> ProfileFinding {
        let mark = *error.marker();
        // YAML notices a bad indentation on its line or on the next.
        let near: Vec<&str> = text.lines().skip(mark.line().saturating_sub(2)).take(2).collect();
        let (rule, message, remedy) = if near.last().is_some_and(|line| indentation(line).contains('\t')) {
            ("tab", "a tab character indents this line".to_owned(), "indent with spaces, two for each level")
        } else if near.iter().any(|line| indentation(line).contains('\u{a0}')) {
            let message = "a non-breaking space (U+00A0) indents this line or the one before".to_owned();
            ("invisible", message, "indent with plain spaces; the other kind usually comes with pasted text")
        } else {
            let remedy = "look at the indentation, the colons and the quotes here and on the line before";
            ("yaml", format!("this is not YAML: {}", error.info()), remedy)
        };
        finding(rule, self.place(mark), message, remedy)
    }

    /// `None` where reading on would be of no use.
    fn take(&mut self, event: Event<'_>, mark: Marker) -> Option<()> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), mark);
                let plain = style == ScalarStyle::Plain;
                let node =
                    Node { place: self.place(mark), value: Value::Scalar { text: text.into_owned(), plain } };
                self.count(1, 1, mark)?;
                self.finish(node, anchor);
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), mark);
                self.count(1, 1, mark)?;
                self.open.push(Open::List { items: Vec::new(), place: self.place(mark), anchor });
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), mark);
                self.count(1, 1, mark)?;
                self.open.push(Open::Map { entries: Vec::new(), key: None, place: self.place(mark), anchor });
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List { items, place, anchor }) => {
                    self.finish(Node { place, value: Value::List(items) }, anchor);
                }
                Some(Open::Map { entries, place, anchor, .. }) => {
                    self.finish(Node { place, value: Value::Map(entries) }, anchor);
                }
                None => {}
            },
            Event::Alias(anchor) => {
                let Some(anchored) = self.anchors.get(&anchor) else {
                    self.find("alias", mark, "this alias stands inside what it names", "write the value out");
                    return None;
                };
                // Counted before it is copied: a bomb must not go off while it is measured.
                let (count, depth) = (anchored.count, anchored.depth);
                self.count(count, depth, mark)?;
                let mut node = self.anchors.get(&anchor)?.node.clone();
                node.place = self.place(mark);
                self.finish(node, 0);
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
        }
        Some(())
    }

    fn refuse_tag(&mut self, tagged: bool, mark: Marker) {
        if tagged {
            self.find("tag", mark, "a YAML tag (`!…`) has no meaning in a profile", "remove the tag");
        }
    }

    fn count(&mut self, nodes: usize, depth: usize, mark: Marker) -> Option<()> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            let message = format!("more than {MAX_NODES} values, aliases counted as what they stand for");
            self.find("too-many-values", mark, &message, "write the values out; no site needs so many");
            return None;
        }
        if self.open.len() + depth > MAX_DEPTH {
            let message = format!("values nest deeper than {MAX_DEPTH} levels");
            self.find("too-deep", mark, &message, "write a flatter profile");
            return None;
        }
        Some(())
    }

    /// Puts a whole value where it belongs.
    fn finish(&mut self, node: Node, anchor: usize) {
        if anchor > 0 {
            let (count, depth) = node.extent();
            self.anchors.insert(anchor, Anchored { node: node.clone(), count, depth });
        }
        let refused = match self.open.last_mut() {
            None => {
                self.root = Some(node);
                None
            }
            Some(Open::List { items, .. }) => {
                items.push(node);
                None
            }
            Some(Open::Map { entries, key, .. }) => {
                if let Some(key) = key.take() {
                    add(entries, key, node)
                } else {
                    let (taken, refused) = as_key(node);
                    *key = Some(taken);
                    refused
                }
            }
        };
        self.findings.extend(refused);
    }
}

/// Puts a value behind its key, unless that key stands there already.
fn add(entries: &mut Vec<Entry>, key: Key, value: Node) -> Option<ProfileFinding> {
    let Key { name, place, refused } = key;
    if refused {
        return None;
    }
    if let Some(first) = entries.iter().find(|entry| entry.key == name) {
        let message = format!("`{name}` is written twice (first on line {})", first.key_place.line);
        return Some(finding("duplicate-key", place, message, "keep one of the two"));
    }
    entries.push(Entry { key: name, key_place: place, value });
    None
}

/// Takes a value as the key of the next one.
fn as_key(node: Node) -> (Key, Option<ProfileFinding>) {
    let place = node.place;
    let (name, why) = match node.value {
        Value::Scalar { text, plain: true } if text == "<<" => (text, Some("merge keys (`<<`) are not read")),
        Value::Scalar { text, .. } => (text, None),
        _ => (String::new(), Some("a list or a map cannot be a key")),
    };
    let remedy = "write the values out, or lay two profiles over each other";
    let refused = why.map(|why| finding("key", place.clone(), why.to_owned(), remedy));
    (Key { name, place, refused: why.is_some() }, refused)
}

fn finding(rule: &'static str, place: Place, message: String, remedy: &str) -> ProfileFinding {
    ProfileFinding { rule, path: String::new(), place: Some(place), message, remedy: remedy.to_owned() }
}
