//! A filled-in form to a profile.

use std::collections::BTreeMap;
use std::fmt;

use sealift_bundle::document::BundleDocument;
use sealift_profile::nearest;
use sealift_profile::site::{API_VERSION, KIND};
use serde_json::{Map, Value, json};

use super::{Kind, Question, Refused, answer, questions};
use crate::words::{Language, Words};

/// Largest form, lines: a mistaken file ends here.
const MOST_LINES: usize = 20_000;

/// Something wrong in a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormFinding {
    /// Line in the form, from 1.
    pub line: usize,
    /// Question, or what stood in its place.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub remedy: String,
}

impl fmt::Display for FormFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, {}: {}\n    next: {}", self.line, self.key, self.message, self.remedy)
    }
}

/// A profile made from a form. Its rules are still to be applied: the loader knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The profile, YAML.
    pub profile: String,
    /// Sections that are left open, since what they need was not answered.
    pub open: Vec<String>,
    /// Questions without an answer.
    pub unanswered: Vec<String>,
    /// Path in the profile to line in the form.
    lines: BTreeMap<String, usize>,
}

impl Imported {
    /// The line of the form that a value of the profile came from; that of the nearest value around it otherwise.
    #[must_use]
    pub fn line_of(&self, path: &str) -> Option<usize> {
        let mut path = path;
        loop {
            let inside = self.lines.range(path.to_owned()..).next();
            match (self.lines.get(path), inside) {
                (Some(line), _) => return Some(*line),
                // The first answer inside of it, where the value itself is made of several.
                (None, Some((key, line))) if !path.is_empty() && is_in(key, path) => return Some(*line),
                _ => {}
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }
}

fn is_in(key: &str, path: &str) -> bool {
    key.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', '[']))
}

/// An answer as it stands in the form: its lines with their numbers.
struct Written<'a> {
    key: &'a str,
    line: usize,
    lines: Vec<(usize, &'a str)>,
    /// Whether its line `Answer:` was found.
    open: bool,
}

/// Reads a form; everything that is wrong with it is told together.
pub fn import(text: &str, document: Option<&BundleDocument>) -> Result<Imported, Vec<FormFinding>> {
    let all = questions(document);
    let mut findings = Vec::new();
    let written = written(text, &mut findings);
    if written.is_empty() {
        findings.push(FormFinding {
            line: 1,
            key: "form".to_owned(),
            message: "there is no question in this file".to_owned(),
            remedy: "take the form that `installer questionnaire --out FILE` has written".to_owned(),
        });
    }
    let mut taken = Taken { root: Map::new(), lines: BTreeMap::new() };
    let mut answered: BTreeMap<&str, usize> = BTreeMap::new();
    for one in &written {
        let Some(question) = all.iter().find(|question| question.key == one.key) else {
            findings.push(unknown(one, &all));
            continue;
        };
        if let Some(first) = answered.insert(one.key, one.line) {
            let message = format!("this question stands there twice (first on line {first})");
            findings.push(finding(one.line, one.key, message, "keep one of the two"));
        }
        if !one.open {
            let message = "there is no line for its answer";
            findings.push(finding(one.line, one.key, message, "write `Answer:` below the question"));
        }
        take(question, one, &mut taken, &mut findings);
    }
    if !findings.is_empty() {
        findings.sort_by_key(|finding| finding.line);
        return Err(findings);
    }
    let unanswered =
        all.iter().filter(|question| !taken.has(&question.key)).map(|question| question.key.clone());
    let unanswered: Vec<String> = unanswered.collect();
    let open = open_sections(&taken.root, document);
    Ok(Imported { profile: profile(taken.root, &open), open, unanswered, lines: taken.lines })
}

fn finding(line: usize, key: &str, message: impl Into<String>, remedy: impl Into<String>) -> FormFinding {
    FormFinding { line, key: answer::shown(key), message: message.into(), remedy: remedy.into() }
}

fn refused(line: usize, key: &str, wrong: &Refused) -> FormFinding {
    let words = Words::of(Language::English);
    finding(line, key, words.say(&wrong.message), words.say(&wrong.remedy))
}

fn unknown(one: &Written<'_>, all: &[Question]) -> FormFinding {
    let known = all.iter().map(|question| question.key.as_str());
    let remedy = match nearest(one.key, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None if one.key.starts_with("product.") => {
            "name the product's bundle with `--bundle`, or take the question out".to_owned()
        }
        None => "take the question out, or take a form of this version".to_owned(),
    };
    finding(one.line, one.key, "nobody asks this question", remedy)
}

/// The questions of the form with what was written behind `Answer:`.
fn written<'a>(text: &'a str, findings: &mut Vec<FormFinding>) -> Vec<Written<'a>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut all: Vec<Written<'a>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let (number, line) = (index + 1, line.trim());
        if number > MOST_LINES {
            let message = format!("the file has more than {MOST_LINES} lines: this is no form");
            findings.push(finding(number, "form", message, "take the form, and nothing else"));
            break;
        }
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        if let Some(key) = asks(line) {
            all.push(Written { key, line: number, lines: Vec::new(), open: false });
            continue;
        }
        let Some(current) = all.last_mut() else { continue };
        let rest = answer_line(line).filter(|_| !current.open);
        match rest {
            Some(rest) => {
                current.open = true;
                current.lines.extend((!rest.is_empty()).then_some((number, rest)));
            }
            None if current.open => current.lines.push((number, line)),
            // A question that an editor has broken over two lines.
            None => {}
        }
    }
    all
}

/// `12. How many? [needs.users]` asks `needs.users`.
fn asks(line: &str) -> Option<&str> {
    let (number, rest) = line.split_once('.')?;
    let numbered = !number.is_empty() && number.len() < 4 && number.bytes().all(|b| b.is_ascii_digit());
    let (_, key) = rest.strip_suffix(']')?.rsplit_once('[')?;
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (numbered && !key.is_empty() && key.chars().all(name)).then_some(key)
}

fn answer_line(line: &str) -> Option<&str> {
    let rest = ["Answer", "answer", "ANSWER", "回答"].into_iter().find_map(|word| line.strip_prefix(word))?;
    let rest = rest.trim_start();
    rest.strip_prefix([':', '：']).map(str::trim)
}

/// The profile as it grows, and from where.
struct Taken {
    root: Map<String, Value>,
    lines: BTreeMap<String, usize>,
}

impl Taken {
    fn has(&self, key: &str) -> bool {
        self.lines.contains_key(key)
    }

    /// `needs.growth.years`; what the product calls its settings may have points in it, so these stand whole.
    fn put(&mut self, key: &str, line: usize, value: Value) {
        let whole =
            ["product.settings.", "product.secrets."].into_iter().find(|start| key.starts_with(start));
        let (around, last) = match whole {
            Some(start) => (start.trim_end_matches('.'), &key[start.len()..]),
            None => key.rsplit_once('.').unwrap_or(("", key)),
        };
        let mut map = &mut self.root;
        for part in around.split('.').filter(|part| !part.is_empty()) {
            let inner = map.entry(part).or_insert_with(|| json!({}));
            let Value::Object(inner) = inner else { return };
            map = inner;
        }
        map.insert(last.to_owned(), value);
        self.lines.insert(key.to_owned(), line);
    }
}

fn take(question: &Question, one: &Written<'_>, taken: &mut Taken, findings: &mut Vec<FormFinding>) {
    if question.kind == Kind::Hosts {
        let mut hosts = Vec::new();
        for (line, text) in &one.lines {
            match answer::host(text) {
                Ok(host) => {
                    taken.lines.insert(format!("hosts[{}]", hosts.len()), *line);
                    hosts.push(host);
                }
                Err(wrong) => findings.push(refused(*line, one.key, &wrong)),
            }
        }
        if let Some((line, _)) = one.lines.first() {
            taken.put("hosts", *line, Value::Array(hosts));
        }
        return;
    }
    match one.lines.as_slice() {
        [] => {}
        [(line, text)] => match answer::value(&question.key, question.kind, text) {
            Ok(value) => taken.put(&question.key, *line, value),
            Err(wrong) => findings.push(refused(*line, one.key, &wrong)),
        },
        [_, (line, _), ..] => {
            let message = "the answer goes on in a second line";
            findings.push(finding(*line, one.key, message, "write it in one line behind `Answer:`"));
        }
    }
}

/// Sections that cannot do without what was not answered.
fn open_sections(root: &Map<String, Value>, document: Option<&BundleDocument>) -> Vec<String> {
    let has = |section: &str, key: &str| root.get(section).is_some_and(|value| value.get(key).is_some());
    let mut open = Vec::new();
    if !has("metadata", "name") {
        open.push("metadata".to_owned());
    }
    let hosts = root.get("hosts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let keys = !hosts.is_empty() && hosts.iter().all(|host| host.get("hostKey").is_some());
    let login = has("access", "privateKey") || has("access", "password");
    let bastion = root.get("access").and_then(|access| access.get("bastion"));
    let bastion = bastion.is_none_or(|one| one.get("address").is_some() && one.get("user").is_some());
    if !has("access", "user") || !login || !bastion || !(keys || has("access", "knownHosts")) {
        open.push("access".to_owned());
    }
    if hosts.is_empty() {
        open.push("hosts".to_owned());
    }
    let product = |section: &str, name: &str| {
        root.get("product").and_then(|product| product.get(section)?.get(name)).is_some()
    };
    let lacks = document.is_some_and(|document| {
        let settings = document.settings.iter().filter(|(_, setting)| setting.default.is_none());
        let mut names = document.secrets.iter().flat_map(|secret| secret.from_site.values());
        settings.into_iter().any(|(name, _)| !product("settings", name))
            || names.any(|name| !product("secrets", name))
    });
    if lacks {
        open.push("product".to_owned());
    }
    open
}

fn profile(mut answers: Map<String, Value>, open: &[String]) -> String {
    let mut root = Map::new();
    root.insert("apiVersion".to_owned(), json!(API_VERSION));
    root.insert("kind".to_owned(), json!(KIND));
    if !open.is_empty() {
        root.insert("interactive".to_owned(), json!(open));
    }
    for key in ["metadata", "cluster", "access", "hosts", "needs", "product"] {
        if let Some(value) = answers.remove(key) {
            root.insert(key.to_owned(), value);
        }
    }
    let text = serde_yaml::to_string(&Value::Object(root)).unwrap_or_default();
    format!("# Made from a filled-in questionnaire.\n{text}")
}
