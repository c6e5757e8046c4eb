//! What a new bundle brings, and what it no longer has, compared with an old one.

mod document;

use std::collections::{BTreeMap, BTreeSet};

use sealift_bundle::Bundle;
use sealift_bundle::digest;
use sealift_bundle::document::{BundleDocument, Product, Setting};
use serde::Serialize;
use serde_json::Value;

use crate::inspect::ChartText;
use crate::inspect::list::name_and_tag;

/// Deepest nesting of values that is compared; what is below counts as one value.
const DEPTH_LIMIT: usize = 32;
/// Digits of a digest that people compare.
const SHORT: usize = 9;

/// Two bundles compared. Sizes are bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    /// The old release.
    pub old: Product,
    /// The new one.
    pub new: Product,
    /// Old and new version of Kubernetes.
    pub kubernetes: [String; 2],
    /// Container images, by name without tag.
    pub images: Group,
    /// Signatures, SBOMs and attestations of images, by the image's name without tag and what they are.
    pub referrers: Group,
    /// Helm charts, by name.
    pub charts: Group,
    /// Cluster binaries and other files, by path on hosts.
    pub files: Group,
    /// Questions to the site, by name.
    pub settings: Vec<Change>,
    /// Default values of charts, by chart and dotted path.
    pub values: Vec<Change>,
    /// What the charts' value schemas allow, by chart and dotted path.
    pub schema: Vec<Change>,
    /// Everything else that the signed document says, by its section there: changes by name and dotted path, as JSON.
    pub document: BTreeMap<String, Vec<Change>>,
    /// How many changes these are together.
    pub total: usize,
    /// Blobs.
    pub bytes: Bytes,
}

/// Entries of one kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// New, gone and changed ones, by name.
    pub changes: Vec<Change>,
    /// How many are the same.
    pub same: usize,
}

/// A change.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Of what.
    pub name: String,
    /// What was there; absent for new ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// What is there now; absent for those that are gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
    /// Bytes of the new one that the old bundle has not; absent where bytes do not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_bytes: Option<u64>,
}

/// Bytes of blobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bytes {
    /// Only in the new bundle.
    pub new: u64,
    /// Only in the old bundle.
    pub gone: u64,
    /// In both.
    pub same: u64,
}

/// An image, chart or file, for comparison.
struct Side {
    /// Its version, for people.
    version: String,
    /// What decides whether it is the same.
    digest: String,
    /// Its blobs.
    blobs: Vec<String>,
}

/// Compares two bundles.
///
/// # Errors
/// When a document cannot be written as JSON.
pub fn diff(old: &Bundle, new: &Bundle) -> Result<Diff, serde_json::Error> {
    let (before, after) = (old.document(), new.document());
    let sizes = |bundle: &Bundle| -> BTreeMap<String, u64> {
        bundle.blobs().iter().map(|blob| (blob.digest.clone(), blob.size)).collect()
    };
    let (had, has) = (sizes(old), sizes(new));
    let fresh: BTreeMap<&str, u64> = has
        .iter()
        .filter(|(digest, _)| !had.contains_key(*digest))
        .map(|(digest, size)| (digest.as_str(), *size))
        .collect();
    let sum = |all: &BTreeMap<String, u64>, other: &BTreeMap<String, u64>, both: bool| {
        all.iter().filter(|(digest, _)| other.contains_key(*digest) == both).map(|(_, size)| size).sum()
    };
    let (values, schema) = charts_inside(old, new);
    let mut diff = Diff {
        old: before.product.clone(),
        new: after.product.clone(),
        kubernetes: [before.kubernetes.version.clone(), after.kubernetes.version.clone()],
        images: group(&images(before), &images(after), &fresh),
        referrers: group(&referrers(before), &referrers(after), &fresh),
        charts: group(&charts(before), &charts(after), &fresh),
        files: group(&files(before), &files(after), &fresh),
        settings: texts(&settings(&before.settings), &settings(&after.settings)),
        values,
        schema,
        document: document::sections(before, after)?,
        total: 0,
        bytes: Bytes {
            new: sum(&has, &had, false),
            gone: sum(&had, &has, false),
            same: sum(&has, &had, true),
        },
    };
    diff.total = diff.count();
    Ok(diff)
}

impl Diff {
    fn count(&self) -> usize {
        let groups = [&self.images, &self.referrers, &self.charts, &self.files].map(|group| &group.changes);
        let lists = groups.into_iter().chain([&self.settings, &self.values, &self.schema]);
        lists.chain(self.document.values()).map(Vec::len).sum()
    }
}

/// Images by name without tag; those of which there are several with their tags.
fn images(document: &BundleDocument) -> BTreeMap<String, Vec<Side>> {
    let mut images: BTreeMap<String, Vec<Side>> = BTreeMap::new();
    for image in &document.images {
        let (name, tag) = name_and_tag(&image.name);
        let side = Side {
            version: tag.to_owned(),
            digest: format!("{} {:?}", image.digest, image.roles),
            blobs: image.blobs.clone(),
        };
        images.entry(name.to_owned()).or_default().push(side);
    }
    images
}

/// Things beside images, by the image's name without tag and what they are; a digest's first digits are their version.
fn referrers(document: &BundleDocument) -> BTreeMap<String, Vec<Side>> {
    let mut found: BTreeMap<String, Vec<Side>> = BTreeMap::new();
    for image in &document.images {
        let (name, _) = name_and_tag(&image.name);
        for referrer in &image.referrers {
            let hex = digest::hex(&referrer.digest).unwrap_or_default();
            let side = Side {
                version: hex.chars().take(SHORT).collect(),
                digest: referrer.digest.clone(),
                blobs: referrer.blobs.clone(),
            };
            let sides = found.entry(format!("{name} {}", referrer.kind().name())).or_default();
            if !sides.iter().any(|known| known.digest == side.digest) {
                sides.push(side);
            }
        }
    }
    found
}

fn charts(document: &BundleDocument) -> BTreeMap<String, Vec<Side>> {
    let side = |chart: &sealift_bundle::document::Chart| Side {
        version: chart.version.clone(),
        digest: chart.digest.clone(),
        blobs: vec![chart.manifest.clone(), chart.digest.clone()],
    };
    document.charts.iter().map(|chart| (chart.name.clone(), vec![side(chart)])).collect()
}

fn files(document: &BundleDocument) -> BTreeMap<String, Vec<Side>> {
    let mut files: BTreeMap<String, Vec<Side>> = BTreeMap::new();
    for file in &document.files {
        // Files of several platforms share a path.
        let platform = file.platform.as_ref().map(|platform| format!(" {platform}"));
        files.entry(file.path.clone()).or_default().push(Side {
            version: format!("{}{}", file.version, platform.unwrap_or_default()),
            digest: format!("{} {:o} {:?}", file.plain_digest, file.mode, file.roles),
            blobs: vec![file.manifest.clone(), file.digest.clone()],
        });
    }
    files
}

fn settings(settings: &BTreeMap<String, Setting>) -> BTreeMap<String, String> {
    let text = |setting: &Setting| match &setting.default {
        Some(default) => format!("default {default}: {}", setting.description),
        None => format!("must be answered: {}", setting.description),
    };
    settings.iter().map(|(name, setting)| (name.clone(), text(setting))).collect()
}

/// Compares entries name by name. Of a name with several versions on either side, each version is an entry of its own.
fn group(
    old: &BTreeMap<String, Vec<Side>>,
    new: &BTreeMap<String, Vec<Side>>,
    fresh: &BTreeMap<&str, u64>,
) -> Group {
    let mut group = Group::default();
    let bytes = |side: &Side| {
        let blobs: BTreeSet<&str> = side.blobs.iter().map(String::as_str).collect();
        blobs.into_iter().filter_map(|digest| fresh.get(digest)).sum::<u64>()
    };
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let (before, after) = (old.get(name).map_or(&[][..], |v| v), new.get(name).map_or(&[][..], |v| v));
        let mut pairs: Vec<(Option<&Side>, Option<&Side>)> = Vec::new();
        if let ([one], [other]) = (before, after) {
            pairs.push((Some(one), Some(other)));
        } else {
            let partner =
                |side: &Side, among: &'_ [Side]| among.iter().position(|other| other.version == side.version);
            pairs.extend(
                before.iter().map(|side| (Some(side), partner(side, after).map(|place| &after[place]))),
            );
            let alone = after.iter().filter(|side| partner(side, before).is_none());
            pairs.extend(alone.map(|side| (None, Some(side))));
        }
        for (before, after) in pairs {
            if let (Some(before), Some(after)) = (before, after)
                && before.digest == after.digest
                && before.version == after.version
            {
                group.same += 1;
                continue;
            }
            group.changes.push(Change {
                name: name.clone(),
                old: before.map(|side| side.version.clone()),
                new: after.map(|side| side.version.clone()),
                new_bytes: after.map(bytes),
            });
        }
    }
    group
}

/// Compares texts name by name.
fn texts(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<Change> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let change = |name: &String| Change {
        name: name.clone(),
        old: old.get(name).cloned(),
        new: new.get(name).cloned(),
        new_bytes: None,
    };
    names.into_iter().map(change).filter(|change| change.old != change.new).collect()
}

/// Changes of the charts' default values, and of their schemas. A chart that is new or gone shows among the charts.
fn charts_inside(old: &Bundle, new: &Bundle) -> (Vec<Change>, Vec<Change>) {
    let (mut values, mut schema) = (Vec::new(), Vec::new());
    for chart in &new.document().charts {
        let before = old.document().charts.iter().find(|other| other.name == chart.name);
        let Some(before) = before.filter(|before| before.digest != chart.digest) else { continue };
        let (before, after) = (ChartText::read(old, &before.digest), ChartText::read(new, &chart.digest));
        let named = |change: Change| Change { name: format!("{}: {}", chart.name, change.name), ..change };
        let defaults = |text: &ChartText| {
            let mut found = BTreeMap::new();
            flatten(&text.values(), String::new(), 0, &mut found);
            found
        };
        let allowed = |text: &ChartText| {
            let mut found = BTreeMap::new();
            let schema = text.file("values.schema.json").and_then(|text| serde_json::from_str(text).ok());
            properties(&schema.unwrap_or_default(), "", 0, &mut found);
            found
        };
        values.extend(texts(&defaults(&before), &defaults(&after)).into_iter().map(named));
        schema.extend(texts(&allowed(&before), &allowed(&after)).into_iter().map(named));
    }
    (values, schema)
}

/// Every value that is no map, by dotted path, as JSON.
fn flatten(value: &Value, path: String, depth: usize, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) if depth < DEPTH_LIMIT && !map.is_empty() => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(value, path, depth + 1, found);
            }
        }
        Value::Null if path.is_empty() => {}
        _ => {
            found.insert(path, value.to_string());
        }
    }
}

/// Every property of a JSON schema, by dotted path: what it says but for words to people, and whether it is required.
fn properties(schema: &Value, path: &str, depth: usize, found: &mut BTreeMap<String, String>) {
    let required: BTreeSet<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if depth >= DEPTH_LIMIT {
        return;
    }
    for (key, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let mut rules = property.as_object().cloned().unwrap_or_default();
        for words in ["properties", "required", "title", "description", "examples", "$comment"] {
            rules.remove(words);
        }
        let must = if required.contains(key.as_str()) { "required " } else { "" };
        let mut rules = Value::Object(rules);
        rules.sort_all_objects();
        found.insert(path.clone(), format!("{must}{rules}"));
        properties(property, &path, depth + 1, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn side(version: &str, digest: &str) -> Side {
        Side { version: version.to_owned(), digest: digest.to_owned(), blobs: vec![digest.to_owned()] }
    }

    fn sides(list: Vec<(&str, Vec<Side>)>) -> BTreeMap<String, Vec<Side>> {
        list.into_iter().map(|(name, sides)| (name.to_owned(), sides)).collect()
    }

    #[test]
    fn a_new_version_is_a_change_and_not_one_gone_and_one_new() {
        let old = sides(vec![
            ("web", vec![side("1", "a")]),
            ("dns", vec![side("1", "b")]),
            ("gone", vec![side("1", "c")]),
        ]);
        let new = sides(vec![
            ("web", vec![side("2", "d")]),
            ("dns", vec![side("1", "b")]),
            ("new", vec![side("1", "e")]),
        ]);
        let found = group(&old, &new, &BTreeMap::from([("d", 10), ("e", 20)]));
        assert_eq!(found.same, 1);
        let lines: Vec<_> = found
            .changes
            .iter()
            .map(|change| (&*change.name, change.old.as_deref(), change.new.as_deref(), change.new_bytes))
            .collect();
        assert_eq!(
            lines,
            [
                ("gone", Some("1"), None, None),
                ("new", None, Some("1"), Some(20)),
                ("web", Some("1"), Some("2"), Some(10))
            ]
        );
    }

    #[test]
    fn several_tags_of_one_name_are_entries_of_their_own() {
        let old = sides(vec![("web", vec![side("1", "a"), side("2", "b")])]);
        let new = sides(vec![("web", vec![side("2", "b"), side("3", "c")])]);
        let found = group(&old, &new, &BTreeMap::new());
        assert_eq!(found.same, 1);
        assert_eq!(found.changes.len(), 2);
        assert_eq!(
            (found.changes[0].old.as_deref(), found.changes[1].new.as_deref()),
            (Some("1"), Some("3"))
        );
    }

    #[test]
    fn a_moved_tag_is_a_change() {
        let (old, new) =
            (sides(vec![("web", vec![side("1", "a")])]), sides(vec![("web", vec![side("1", "b")])]));
        assert_eq!(group(&old, &new, &BTreeMap::new()).changes.len(), 1);
    }

    #[test]
    fn values_and_schemas_are_compared_by_path() {
        let mut found = BTreeMap::new();
        flatten(&json!({"web": {"replicas": 2, "tags": [1]}, "empty": {}}), String::new(), 0, &mut found);
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [("empty", "{}"), ("web.replicas", "2"), ("web.tags", "[1]")]
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
        let schema = json!({"required": ["web"], "properties": {"web": {"type": "object", "title": "x",
            "properties": {"replicas": {"type": "integer", "minimum": 1}}}}});
        let mut found = BTreeMap::new();
        properties(&schema, "", 0, &mut found);
        assert_eq!(found["web"], r#"required {"type":"object"}"#);
        assert_eq!(found["web.replicas"], r#"{"minimum":1,"type":"integer"}"#);
    }
}
