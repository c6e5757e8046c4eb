//! A profile while somebody writes it: whatever is there already, judged by the same rules as a whole one.
//!
//! A [`Draft`] is what a wizard edits. It may lack anything, so it is no [`Site`]; what is there is held against the schema
//! and the rules of meaning as a file's content is, so that a wizard has no rule of its own. [`Draft::to_text`] writes
//! what is there and names the sections that are not done under `interactive:`, so that the file always loads.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use crate::circumstances::Circumstances;
use crate::error::{Invalid, Place, Places, ProfileError, ProfileFinding, parent};
use crate::load::{self, judge_text};
use crate::names::is_yaml_word;
use crate::node::{Entry, Node, Value};
use crate::schema;
use crate::shape::{self, MISSING};
use crate::site::{API_VERSION, KIND, Site};
use crate::{open, rules, yaml};

/// Values of a profile, as far as they are there.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    values: Json,
    left_open: BTreeSet<String>,
}

/// What is to be said about a draft. Findings have no place: nobody has written a file yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judged {
    /// What is not there yet and has to be.
    pub missing: Vec<ProfileFinding>,
    /// What is there and cannot be so.
    pub wrong: Vec<ProfileFinding>,
}

impl Judged {
    /// All findings, what is wrong first.
    pub fn all(&self) -> impl Iterator<Item = &ProfileFinding> {
        self.wrong.iter().chain(&self.missing)
    }
}

/// A step on the way to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step<'a> {
    Key(&'a str),
    Item(usize),
}

/// Maps whose keys are names that others give: what stands behind them is one key, points and all.
const FREE_KEYS: [&str; 2] = ["product.settings.", "product.secrets."];

fn steps(path: &str) -> Vec<Step<'_>> {
    if let Some(start) = FREE_KEYS.into_iter().find(|start| path.starts_with(start)) {
        let around = start.trim_end_matches('.').split('.').map(Step::Key);
        return around.chain([Step::Key(&path[start.len()..])]).collect();
    }
    let mut found = Vec::new();
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let (key, items) = part.split_once('[').map_or((part, ""), |(key, items)| (key, items));
        found.push(Step::Key(key));
        let numbers = items.split(['[', ']']).filter_map(|number| number.parse().ok());
        found.extend(numbers.map(Step::Item));
    }
    found
}

impl Default for Draft {
    fn default() -> Self {
        Self { values: json!({"apiVersion": API_VERSION, "kind": KIND}), left_open: BTreeSet::new() }
    }
}

impl Draft {
    /// The profile in a text; `file` is its name in findings.
    ///
    /// # Errors
    /// What is no profile, has unknown keys or values of a wrong type. What is missing, or breaks a rule of meaning, is
    /// for [`Draft::judge`]: it may be mended here.
    pub fn read(text: &str, file: &str) -> Result<Self, ProfileError> {
        let (tree, mut findings) = load::tree_of(text, &Arc::from(file))?;
        let shaped = shape::shape(&tree);
        findings.extend(shaped.findings.into_iter().filter(|finding| finding.rule != MISSING));
        if !findings.is_empty() {
            findings.sort_by(|a, b| a.place.cmp(&b.place));
            return Err(ProfileError::Invalid(Invalid { findings }));
        }
        let mut values = shaped.json;
        let open = values.as_object_mut().and_then(|map| map.remove("interactive")).unwrap_or_default();
        let names = open.as_array().into_iter().flatten().filter_map(Json::as_str);
        let left_open = names.map(str::to_owned).collect();
        Ok(Self { values, left_open })
    }

    /// Sections that the file had left open.
    #[must_use]
    pub fn left_open(&self) -> &BTreeSet<String> {
        &self.left_open
    }

    /// The value at a path such as `hosts[1].address`.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Json> {
        steps(path).into_iter().try_fold(&self.values, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Item(index) => value.get(index),
        })
    }

    /// Puts a value at a path; maps around it are made, and so is the next item of a list.
    pub fn set(&mut self, path: &str, value: Json) {
        let mut place = &mut self.values;
        for step in steps(path) {
            place = match step {
                Step::Key(key) => {
                    if !place.is_object() {
                        *place = json!({});
                    }
                    &mut place[key]
                }
                Step::Item(index) => {
                    if !place.is_array() {
                        *place = json!([]);
                    }
                    let Some(items) = place.as_array_mut() else { return };
                    let index = index.min(items.len());
                    if index == items.len() {
                        items.push(json!({}));
                    }
                    &mut items[index]
                }
            };
        }
        *place = value;
    }

    /// Takes a value out, and the maps around it that are empty then.
    pub fn take(&mut self, path: &str) -> Option<Json> {
        let way = steps(path);
        let (last, around) = way.split_last()?;
        let holder = around.iter().try_fold(&mut self.values, |value, step| match step {
            Step::Key(key) => value.get_mut(*key),
            Step::Item(index) => value.get_mut(*index),
        })?;
        let (taken, emptied) = match (last, holder) {
            (Step::Key(key), Json::Object(map)) => (map.remove(*key), map.is_empty()),
            (Step::Item(index), Json::Array(items)) if *index < items.len() => {
                (Some(items.remove(*index)), items.is_empty())
            }
            _ => (None, false),
        };
        // A host without any answer is still a host.
        if emptied && matches!(around.last(), Some(Step::Key(_))) {
            self.take(parent(path));
        }
        taken
    }

    /// How many hosts there are.
    #[must_use]
    pub fn hosts(&self) -> usize {
        self.values["hosts"].as_array().map_or(0, Vec::len)
    }

    /// The site as far as it is there: without the parts in which something is missing, and with something in place of
    /// what every site has. For those who calculate from other parts.
    #[must_use]
    pub fn so_far(&self) -> Option<Site> {
        let (whole, _) = self.whole();
        serde_json::from_value(whole.json).ok()
    }

    fn whole(&self) -> (Whole, Judged) {
        let place = Place { file: Arc::from(""), line: 1, column: 1 };
        let shaped = shape::shape(&node(&self.values, &place));
        let (missing, wrong): (Vec<_>, Vec<_>) =
            shaped.findings.into_iter().partition(|finding| finding.rule == MISSING);
        let mut whole = Whole { json: shaped.json, stand_ins: Vec::new(), kept: BTreeMap::new() };
        missing.iter().chain(&wrong).for_each(|finding| whole.leave_out(&finding.path));
        whole.close_up();
        (whole, Judged { missing, wrong })
    }

    /// Everything that is missing or wrong. A part in which something is missing is left out where the rules look at the
    /// whole site. Stays
    /// pure where `circumstances` have it so (`files`).
    #[must_use]
    pub fn judge(&self, circumstances: &Circumstances<'_>) -> Judged {
        let (whole, Judged { missing, mut wrong }) = self.whole();
        match serde_path_to_error::deserialize::<_, Site>(&whole.json) {
            Ok(site) => {
                let found = rules::check(&site, &Places::default(), circumstances);
                wrong.extend(found.into_iter().filter_map(|finding| whole.of_draft(finding)));
            }
            // What only the types know, e.g. the range of a number that the schema gives no bound for.
            Err(error) if wrong.is_empty() => {
                let path = whole.path_of_draft(&error.path().to_string());
                let message = format!("`{path}`: {}", error.inner());
                wrong.push(ProfileFinding {
                    rule: "type",
                    path,
                    place: None,
                    message,
                    remedy: String::new(),
                });
            }
            Err(_) => {}
        }
        let bare = |finding: ProfileFinding| ProfileFinding { place: None, ..finding };
        Judged {
            missing: missing.into_iter().map(bare).collect(),
            wrong: wrong.into_iter().map(bare).collect(),
        }
    }

    /// The draft as a profile file that loads, and the sections that it leaves open: those in which something is missing
    /// or wrong, and `more`.
    ///
    /// # Errors
    /// Where something is wrong that no open section excuses, such as values of a wrong type.
    pub fn to_text(
        &self,
        more: &BTreeSet<String>,
        circumstances: &Circumstances<'_>,
    ) -> Result<(String, BTreeSet<String>), ProfileError> {
        let section = |path: &str| path.split(['.', '[']).next().unwrap_or_default().to_owned();
        let judged = self.judge(circumstances);
        let mut open: BTreeSet<String> = judged.all().map(|finding| section(&finding.path)).collect();
        open.extend(more.iter().cloned());
        open.retain(|name| schema::is_section(name));
        // What stands in for an open section may disagree with another one, which is open then, too.
        loop {
            let text = self.written(&open);
            match judge_text(&text, &Arc::from("the profile"), circumstances) {
                Ok(()) => return Ok((text, open)),
                Err(error) => {
                    let before = open.len();
                    let more = error.findings().iter().map(|finding| section(&finding.path));
                    open.extend(more.filter(|name| schema::is_section(name)));
                    if open.len() == before {
                        return Err(error);
                    }
                }
            }
        }
    }

    fn written(&self, open: &BTreeSet<String>) -> String {
        let mut values = self.values.clone();
        if !open.is_empty() {
            values["interactive"] = json!(open);
        }
        yaml::from_json(&values)
    }
}

/// A value as the tree that a file would give.
fn node(value: &Json, place: &Place) -> Node {
    let scalar = |text: String, plain: bool| Value::Scalar { text, plain };
    let value = match value {
        Json::Null => scalar("null".to_owned(), true),
        Json::Bool(truth) => scalar(truth.to_string(), true),
        Json::Number(number) => scalar(number.to_string(), true),
        // Quoted only where a reader could take it for something else, so that findings show it as it was typed.
        Json::String(text) => {
            let odd = text.is_empty() || text == "~" || is_yaml_word(&text.to_lowercase());
            scalar(text.clone(), !odd)
        }
        Json::Array(items) => Value::List(items.iter().map(|item| node(item, place)).collect()),
        Json::Object(map) => {
            let entry = |(key, value): (&String, &Json)| Entry {
                key: key.clone(),
                key_place: place.clone(),
                value: node(value, place),
            };
            Value::Map(map.iter().map(entry).collect())
        }
    };
    Node { place: place.clone(), value }
}

/// A draft made whole, so that the rules can look at all of it: with something in place of what is missing, and without the
/// parts for which nothing can stand in.
struct Whole {
    json: Json,
    /// Paths, in the draft, of what stands in.
    stand_ins: Vec<String>,
    /// Path of a list to what each of its items had as number in the draft.
    kept: BTreeMap<String, Vec<usize>>,
}

impl Whole {
    /// Makes the profile whole without the value at a path.
    fn leave_out(&mut self, path: &str) {
        if !is_required(path) {
            return;
        }
        let holder = parent(path);
        if !self.is_there(holder) {
            return;
        }
        let Some(value) = self.stand_in(path) else {
            self.remove(holder);
            return self.leave_out(holder);
        };
        let mut draft = Draft { values: std::mem::take(&mut self.json), left_open: BTreeSet::new() };
        draft.set(path, value);
        self.json = draft.values;
        self.stand_ins.push(path.to_owned());
    }

    /// Whether what holds a value was not left out itself.
    fn is_there(&self, path: &str) -> bool {
        let found = steps(path).into_iter().try_fold(&self.json, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Item(index) => value.get(index),
        });
        found.is_some_and(|value| !value.is_null())
    }

    /// Something that no rule says anything against; none where there is no such thing. Never a number: somebody might
    /// calculate with it.
    fn stand_in(&self, path: &str) -> Option<Json> {
        match path {
            "metadata" => return Some(json!({"name": "open"})),
            "access" => {
                return Some(json!({
                    "user": "open", "privateKey": {"prompt": "open"}, "knownHosts": "open",
                }));
            }
            "hosts" => return Some(json!([])),
            _ => {}
        }
        let schema = schema::resolve(schema::at(&without_numbers(path))?);
        if schema[schema::SECRET] == true {
            return Some(json!({"prompt": "open"}));
        }
        if let Some(word) = schema::choices(schema).last() {
            return Some(json!(word));
        }
        match (schema::kind(schema), schema["format"].as_str()) {
            ("string", None) if path.ends_with(".reason") => Some(json!("…")),
            ("string", None) => Some(json!("open")),
            ("string", Some("ip")) => Some(json!(self.address())),
            _ => None,
        }
    }

    /// An address that no host can have, of the family that the hosts have.
    fn address(&self) -> IpAddr {
        let hosts = self.json["hosts"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut given = hosts.iter().filter_map(|host| host["address"].as_str()?.parse::<IpAddr>().ok());
        let back = u32::try_from(self.stand_ins.len()).unwrap_or_default() + 1;
        if given.next().is_some_and(|address| address.is_ipv6()) {
            IpAddr::V6((u128::MAX - u128::from(back)).into())
        } else {
            IpAddr::V4((u32::MAX - back).into())
        }
    }

    /// Items keep their numbers until [`Whole::close_up`].
    fn remove(&mut self, path: &str) {
        let mut way = steps(path);
        let Some(last) = way.pop() else { return };
        let holder = way.into_iter().try_fold(&mut self.json, |value, step| match step {
            Step::Key(key) => value.get_mut(key),
            Step::Item(index) => value.get_mut(index),
        });
        match (last, holder) {
            (Step::Key(key), Some(Json::Object(map))) => drop(map.remove(key)),
            (Step::Item(index), Some(Json::Array(items))) => {
                if let Some(item) = items.get_mut(index) {
                    *item = Json::Null;
                }
            }
            _ => {}
        }
    }

    fn close_up(&mut self) {
        for list in ["hosts", "acceptedRisks"] {
            if let Some(items) = self.json.get_mut(list).and_then(Json::as_array_mut) {
                let kept = (0..items.len()).filter(|index| !items[*index].is_null()).collect::<Vec<_>>();
                items.retain(|item| !item.is_null());
                self.kept.insert(list.to_owned(), kept);
            }
        }
    }

    /// The path that a value has in the draft.
    fn path_of_draft(&self, path: &str) -> String {
        for (list, kept) in &self.kept {
            let Some((index, rest)) = path
                .strip_prefix(list.as_str())
                .and_then(|rest| rest.strip_prefix('['))
                .and_then(|rest| rest.split_once(']'))
            else {
                continue;
            };
            if let Some(index) = index.parse().ok().and_then(|index: usize| kept.get(index)) {
                return format!("{list}[{index}]{rest}");
            }
        }
        path.to_owned()
    }

    /// A finding as one about the draft; none where it only comes from what stands in or was left out.
    fn of_draft(&self, finding: ProfileFinding) -> Option<ProfileFinding> {
        let path = self.path_of_draft(&finding.path);
        let made_up = |stand_in: &String| {
            open::is_in(&path, stand_in) || (path.starts_with("hosts[") && parent(stand_in) == path)
        };
        if self.stand_ins.iter().any(made_up) {
            return None;
        }
        let is_whole = |kept: &Vec<usize>| kept.last().is_none_or(|last| last + 1 == kept.len());
        let incomplete = !self.kept.get("hosts").is_none_or(is_whole)
            || self.stand_ins.iter().any(|stand_in| open::is_in(stand_in, "hosts"));
        let about_all = matches!(finding.rule, "masters-odd" | "hosts-empty" | "cidr-family")
            || (finding.rule == "risk" && path.rsplit('.').next() == Some("host"));
        (!(incomplete && about_all)).then_some(ProfileFinding { path, ..finding })
    }
}

/// Whether what holds a value cannot do without it.
fn is_required(path: &str) -> bool {
    let holder = parent(path);
    let key = &path[holder.len()..];
    let Some(key) = key.strip_prefix('.').or_else(|| holder.is_empty().then_some(key)) else {
        // An item of a list.
        return false;
    };
    let schema = if holder.is_empty() { Some(schema::root()) } else { schema::at(&without_numbers(holder)) };
    let required = schema.and_then(|schema| schema::resolve(schema)["required"].as_array());
    required.is_some_and(|required| required.iter().any(|one| one == key))
}

/// `hosts[1].name` → `hosts[].name`.
fn without_numbers(path: &str) -> String {
    let mut parts = path.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let rest = part.split_once(']').map_or("", |(_, rest)| rest);
        format!("{text}[]{rest}")
    })
}

/// A map with its keys in the order in which people expect them.
pub(crate) fn in_order(map: &Map<String, Json>) -> impl Iterator<Item = (&String, &Json)> {
    /// Those that stand first; the others follow by name.
    const FIRST: [&str; 28] = [
        "apiVersion",
        "kind",
        "name",
        "metadata",
        "interactive",
        "environment",
        "address",
        "role",
        "hostKey",
        "count",
        "cpus",
        "cluster",
        "endpoint",
        "endpointPort",
        "api",
        "customerCa",
        "url",
        "host",
        "port",
        "user",
        "database",
        "access",
        "unseal",
        "hosts",
        "needs",
        "users",
        "sizing",
        "nodes",
    ];
    let rank = |key: &str| FIRST.iter().position(|first| *first == key).unwrap_or(FIRST.len());
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by(|a, b| (rank(a.0), a.0).cmp(&(rank(b.0), b.0)));
    entries.into_iter()
}
