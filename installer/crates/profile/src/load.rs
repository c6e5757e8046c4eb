//! Files to a site.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Date;

use crate::error::{Invalid, Places, ProfileError, ProfileFinding, parent};
use crate::node::{Node, Value, parse};
use crate::site::{API_VERSION, KIND, Site};
use crate::{merge, rules, schema, shape};

/// Largest profile file, bytes (1 MiB).
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// A site and where each of its values was written.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The site.
    pub site: Site,
    /// Path in the profile to place.
    pub places: Places,
}

/// Reads the profile files, later ones laid over earlier ones, as of today (UTC).
///
/// Maps merge, lists replace, hosts merge by name. Every finding of all files is reported together.
pub fn load(paths: &[PathBuf]) -> Result<Site, ProfileError> {
    load_at(paths, jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date())
}

/// [`load`] as of a given day, which decides whether an accepted risk has run out.
pub fn load_at(paths: &[PathBuf], today: Date) -> Result<Site, ProfileError> {
    load_with_places(paths, today).map(|loaded| loaded.site)
}

/// [`load_at`] that also says where each value came from.
pub fn load_with_places(paths: &[PathBuf], today: Date) -> Result<Loaded, ProfileError> {
    if paths.is_empty() {
        return Err(ProfileError::NoFile);
    }
    let mut trees = Vec::new();
    let mut findings = Vec::new();
    let mut broken = false;
    for path in paths {
        let text = read(path)?;
        let file: Arc<str> = path.to_string_lossy().into();
        let (tree, found) = parse(&text, &file);
        broken |= tree.is_none() && !found.is_empty();
        findings.extend(found);
        findings.extend(tree.as_ref().map_or_else(|| empty(&file), header).into_iter().filter(|_| !broken));
        trees.extend(tree);
    }
    // A file that is no YAML, or not for this installer, makes anything said about the rest guesswork.
    if broken || findings.iter().any(|finding| finding.rule == "header") {
        return Err(invalid(findings));
    }
    let merged = trees.into_iter().reduce(|base, over| merge::overlay(base, over, Some(schema::root())));
    let Some(merged) = merged else { return Err(ProfileError::NoFile) };
    judge(&merged, findings, today)
}

/// Shape, then meaning, of the merged tree.
fn judge(tree: &Node, mut findings: Vec<ProfileFinding>, today: Date) -> Result<Loaded, ProfileError> {
    let shaped = shape::shape(tree);
    let clean = shaped.findings.is_empty();
    let site: Result<Site, _> = serde_path_to_error::deserialize(shaped.json);
    match site {
        Ok(site) => {
            // What a rule says about a map that has a misspelt key is mostly that key's fault.
            let suspects: Vec<&str> = shaped.findings.iter().map(|finding| parent(&finding.path)).collect();
            let meant = rules::check(&site, &shaped.places, today);
            findings.extend(meant.into_iter().filter(|finding| {
                !suspects.iter().any(|suspect| !suspect.is_empty() && finding.path.starts_with(suspect))
            }));
            findings.extend(shaped.findings);
            if findings.is_empty() {
                return Ok(Loaded { site, places: shaped.places });
            }
        }
        // The schema lets nothing through that the types refuse, but for what it cannot say; then the types' word holds.
        Err(error) if clean => {
            let path = error.path().to_string();
            findings.push(ProfileFinding {
                rule: "type",
                place: shaped.places.nearest(&path).cloned(),
                message: format!("`{path}`: {}", error.inner()),
                remedy: String::new(),
                path,
            });
        }
        Err(_) => findings.extend(shaped.findings),
    }
    Err(invalid(findings))
}

fn invalid(mut findings: Vec<ProfileFinding>) -> ProfileError {
    findings.sort_by(|a, b| a.place.cmp(&b.place));
    findings.dedup();
    ProfileError::Invalid(Invalid { findings })
}

fn read(path: &Path) -> Result<String, ProfileError> {
    let failed = |source: io::Error| ProfileError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(ProfileError::TooLarge { path: path.to_owned(), limit: MAX_FILE_BYTES });
    }
    String::from_utf8(bytes).map_err(|error| ProfileError::NotText {
        path: path.to_owned(),
        offset: error.utf8_error().valid_up_to(),
    })
}

fn empty(file: &Arc<str>) -> Vec<ProfileFinding> {
    let place = crate::Place { file: Arc::clone(file), line: 1, column: 1 };
    vec![finding_in_header(
        place,
        "the file is empty".to_owned(),
        format!("begin with `apiVersion: {API_VERSION}`"),
    )]
}

fn finding_in_header(place: crate::Place, message: String, remedy: String) -> ProfileFinding {
    ProfileFinding { rule: "header", path: String::new(), place: Some(place), message, remedy }
}

/// `apiVersion` and `kind`, which every file must have: an overlay of something else is a mistake.
fn header(tree: &Node) -> Vec<ProfileFinding> {
    if !matches!(tree.value, Value::Map(_)) {
        let message = "a profile is a map of keys with values".to_owned();
        return vec![finding_in_header(
            tree.place.clone(),
            message,
            format!("begin with `apiVersion: {API_VERSION}`"),
        )];
    }
    let mut findings = Vec::new();
    for (key, want) in [("apiVersion", API_VERSION), ("kind", KIND)] {
        let Some(node) = tree.get(key) else {
            let message = format!("this file has no `{key}`");
            findings.push(finding_in_header(tree.place.clone(), message, format!("add `{key}: {want}`")));
            continue;
        };
        let text = node.text().unwrap_or_default();
        if text == want {
            continue;
        }
        let remedy = match version(text).filter(|_| key == "apiVersion") {
            Some(number) if number > 1 => {
                "the profile was written for a newer installer: use that one, or write the profile for this one".to_owned()
            }
            _ => format!("write `{key}: {want}`"),
        };
        let message = format!("`{key}` is `{text}`; this installer reads `{want}`");
        findings.push(finding_in_header(node.place.clone(), message, remedy));
    }
    findings
}

fn version(text: &str) -> Option<u32> {
    text.strip_prefix("sealift/v")?.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}

/// A site as a profile file, defaults written out. [`load`] of it gives the same site.
pub fn to_yaml(site: &Site) -> Result<String, serde_yaml::Error> {
    // By way of JSON: YAML's own enums would be tags (`!file`), which a profile does not have.
    let plain = serde_json::to_value(site).map_err(<serde_yaml::Error as serde::ser::Error>::custom)?;
    serde_yaml::to_string(&plain)
}

impl Site {
    /// What the rules of meaning say about a site that did not come from a file.
    #[must_use]
    pub fn findings(&self, today: Date) -> Vec<ProfileFinding> {
        rules::check(self, &Places::default(), today)
    }
}
