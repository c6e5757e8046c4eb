//! Files to a site.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Date;

use crate::circumstances::Circumstances;
use crate::error::{Invalid, Places, ProfileError, ProfileFinding, parent};
use crate::node::{Node, Value, parse};
use crate::open::{self, OpenSection, Partly};
use crate::shape::{self, Shaped};
use crate::site::{API_VERSION, KIND, Site};
use crate::{merge, rules, schema};

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
/// Maps merge, lists replace, hosts merge by name. Every finding of all files is reported together; a section that is
/// left open is one of them.
pub fn load(paths: &[PathBuf]) -> Result<Site, ProfileError> {
    load_with_places(paths, &Circumstances::now()).map(|loaded| loaded.site)
}

/// [`load`] as of a given day, which decides whether an accepted risk has run out.
pub fn load_at(paths: &[PathBuf], today: Date) -> Result<Site, ProfileError> {
    load_with_places(paths, &Circumstances::on(today)).map(|loaded| loaded.site)
}

/// [`load`] under given circumstances; also says where each value came from.
pub fn load_with_places(
    paths: &[PathBuf],
    circumstances: &Circumstances<'_>,
) -> Result<Loaded, ProfileError> {
    let Judged { mut findings, open, loaded, .. } = judge(&read_all(paths)?, circumstances);
    findings.extend(open.iter().map(OpenSection::refusal));
    match loaded {
        Some(loaded) if findings.is_empty() => Ok(loaded),
        _ => Err(invalid(findings)),
    }
}

/// [`load_with_places`] for those who can do with sections that are left open.
pub fn load_partly(paths: &[PathBuf], circumstances: &Circumstances<'_>) -> Result<Partly, ProfileError> {
    let Judged { findings, name, open, loaded } = judge(&read_all(paths)?, circumstances);
    if findings.is_empty() { Ok(Partly { name, open, loaded }) } else { Err(invalid(findings)) }
}

/// Whether a text is a profile in which nothing is wrong, though sections of it may be open.
pub(crate) fn judge_text(
    text: &str,
    file: &Arc<str>,
    circumstances: &Circumstances<'_>,
) -> Result<(), ProfileError> {
    let (node, findings) = tree_of(text, file)?;
    let Judged { findings, .. } = judge(&Tree { node, findings }, circumstances);
    if findings.is_empty() { Ok(()) } else { Err(invalid(findings)) }
}

/// The tree of one text that is a profile of this version, and what else was found on the way.
pub(crate) fn tree_of(text: &str, file: &Arc<str>) -> Result<(Node, Vec<ProfileFinding>), ProfileError> {
    let (trees, findings) = headers([(text, Arc::clone(file))])?;
    match trees.into_iter().next() {
        Some(tree) => Ok((tree, findings)),
        None => Err(invalid(findings)),
    }
}

/// The version of profile files that this installer can read, all other files being refused. Reads no further than
/// what a file says that it is: the rest may have faults.
pub fn version(paths: &[PathBuf]) -> Result<&'static str, ProfileError> {
    read_headers(paths).map(|_| API_VERSION)
}

/// All files as one tree.
fn read_all(paths: &[PathBuf]) -> Result<Tree, ProfileError> {
    let (trees, findings) = read_headers(paths)?;
    let merged = trees.into_iter().reduce(|base, over| merge::overlay(base, over, Some(schema::root())));
    merged.map(|node| Tree { node, findings }).ok_or(ProfileError::NoFile)
}

/// The files' trees, all of them profiles of this version, and what else was found on the way.
fn read_headers(paths: &[PathBuf]) -> Result<(Vec<Node>, Vec<ProfileFinding>), ProfileError> {
    if paths.is_empty() {
        return Err(ProfileError::NoFile);
    }
    let texts: Result<Vec<(String, Arc<str>)>, ProfileError> =
        paths.iter().map(|path| Ok((read(path)?, path.to_string_lossy().into()))).collect();
    headers(texts?.iter().map(|(text, file)| (text.as_str(), Arc::clone(file))))
}

fn headers<'a>(
    texts: impl IntoIterator<Item = (&'a str, Arc<str>)>,
) -> Result<(Vec<Node>, Vec<ProfileFinding>), ProfileError> {
    let mut trees = Vec::new();
    let mut findings = Vec::new();
    let mut broken = false;
    for (text, file) in texts {
        let (tree, found) = parse(text, &file);
        broken |= tree.is_none() && !found.is_empty();
        findings.extend(found);
        findings.extend(tree.as_ref().map_or_else(|| empty(&file), header).into_iter().filter(|_| !broken));
        trees.extend(tree);
    }
    // A file that is no YAML, or not for this installer, makes anything said about the rest guesswork.
    if broken || findings.iter().any(|finding| finding.rule == "header") {
        return Err(invalid(findings));
    }
    Ok((trees, findings))
}

struct Tree {
    node: Node,
    findings: Vec<ProfileFinding>,
}

struct Judged {
    findings: Vec<ProfileFinding>,
    name: Option<String>,
    open: Vec<OpenSection>,
    loaded: Option<Loaded>,
}

/// Shape, then meaning, of the merged tree.
fn judge(tree: &Tree, circumstances: &Circumstances<'_>) -> Judged {
    let Shaped { json, places, findings: mut shaped } = shape::shape(&tree.node);
    let open = open::sections(&json, &places, &mut shaped);
    let is_open = |path: &str| open.iter().any(|section| open::is_in(path, &section.name));
    let mut closed = json.clone();
    open::stand_in(&mut closed, &open);
    let mut findings = tree.findings.clone();
    match serde_path_to_error::deserialize::<_, Site>(closed) {
        Ok(site) => {
            // What a rule says about a map that has a misspelt key is mostly that key's fault.
            let suspects: Vec<&str> = shaped.iter().map(|finding| parent(&finding.path)).collect();
            let meant = rules::check(&site, &places, circumstances);
            findings.extend(meant.into_iter().filter(|finding| {
                !is_open(&finding.path)
                    && !suspects
                        .iter()
                        .any(|suspect| !suspect.is_empty() && open::is_in(&finding.path, suspect))
            }));
        }
        // The schema lets nothing through that the types refuse, but for what it cannot say; then the types' word holds.
        Err(error) if shaped.is_empty() => {
            let path = error.path().to_string();
            findings.push(ProfileFinding {
                rule: "type",
                place: places.nearest(&path).cloned(),
                message: format!("`{path}`: {}", error.inner()),
                remedy: String::new(),
                path,
            });
        }
        Err(_) => {}
    }
    findings.extend(shaped);
    let name = json["metadata"]["name"].as_str().map(str::to_owned);
    let complete = findings.is_empty() && open.iter().all(|section| section.missing.is_empty());
    let site = if complete { serde_json::from_value(json).ok() } else { None };
    Judged { findings, name, open, loaded: site.map(|site| Loaded { site, places }) }
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
        let remedy = match number(text).filter(|_| key == "apiVersion") {
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

fn number(text: &str) -> Option<u32> {
    text.strip_prefix("sealift/v")?.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}

impl Site {
    /// What the rules of meaning say about a site that did not come from a file.
    #[must_use]
    pub fn findings(&self, today: Date) -> Vec<ProfileFinding> {
        rules::check(self, &Places::default(), &Circumstances::on(today))
    }
}
