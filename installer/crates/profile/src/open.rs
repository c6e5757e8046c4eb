//! Profiles that leave sections open (`interactive: [hosts]`), for the wizard to ask.
//!
//! What stands in an open section is held against the schema, so that a slip is seen early, but nothing may be missing
//! there yet, and the rules of meaning wait until it is closed. Unattended, an open section is a finding.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::error::{Places, ProfileFinding};
use crate::load::Loaded;
use crate::shape::MISSING;

/// A section that is left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSection {
    /// Its key at the top of the profile, e.g. `hosts`.
    pub name: String,
    /// What is not there yet.
    pub missing: Vec<ProfileFinding>,
    /// What says so to somebody who wants to run it unattended.
    refusal: ProfileFinding,
}

impl OpenSection {
    /// The finding that an unattended run gets.
    pub(crate) fn refusal(&self) -> ProfileFinding {
        self.refusal.clone()
    }
}

/// A profile in which nothing is wrong, though some of it may be open.
#[derive(Debug, Clone)]
pub struct Partly {
    /// Name of the site, unless it is left open.
    pub name: Option<String>,
    /// The sections that are left open, in the order of their names.
    pub open: Vec<OpenSection>,
    /// The site, unless something is missing in an open section.
    pub loaded: Option<Loaded>,
}

/// Takes what is missing in open sections out of `findings`.
pub(crate) fn sections(
    profile: &Json,
    places: &Places,
    findings: &mut Vec<ProfileFinding>,
) -> Vec<OpenSection> {
    let listed = profile["interactive"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names: BTreeSet<&str> = listed.iter().filter_map(Json::as_str).collect();
    let section = |name: &str| {
        let here = |finding: &mut ProfileFinding| finding.rule == MISSING && is_in(&finding.path, name);
        let missing = findings.extract_if(.., here).collect();
        let at = listed.iter().position(|one| one == name).unwrap_or_default();
        let path = format!("interactive[{at}]");
        let refusal = ProfileFinding {
            rule: "open-section",
            place: places.nearest(&path).cloned(),
            message: format!("the section `{name}` is left open, and nobody is asked here"),
            remedy: format!(
                "complete `{name}:` and take it out of `interactive:`, here or in a profile laid over this one"
            ),
            path,
        };
        OpenSection { name: name.to_owned(), missing, refusal }
    };
    names.into_iter().map(section).collect()
}

/// Whether a path is that of a section or of something in it.
pub(crate) fn is_in(path: &str, section: &str) -> bool {
    path.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Puts in place of each open section something that has no fault of its own, so that the closed ones can be judged.
pub(crate) fn stand_in(profile: &mut Json, open: &[OpenSection]) {
    let Some(sections) = profile.as_object_mut() else { return };
    for OpenSection { name, .. } in open {
        let value = match name.as_str() {
            "metadata" => json!({"name": "open"}),
            "access" => json!({"user": "open", "privateKey": {"prompt": "open"}, "knownHosts": "open"}),
            "hosts" => json!([]),
            // The others have defaults.
            _ => {
                sections.remove(name);
                continue;
            }
        };
        sections.insert(name.clone(), value);
    }
}
