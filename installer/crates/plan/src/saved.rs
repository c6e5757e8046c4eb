//! A plan in a file: written, signed by people, given to `install --plan`.
//!
//! The file carries the plan, its change list and a digest over both, so that a damaged or edited file is noticed before
//! anything is asked of a host. The digest is no signature: what runs is made anew from profile, bundle and hosts, and
//! must come to the same steps.

use sealift_bundle::digest::digest_of;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::changes::{HostChanges, changes};
use crate::inputs::{Difference, Inputs};
use crate::{API_VERSION, Plan};

/// Format of plans before they carried what they were made from.
const OLD_VERSION: &str = "sealift/v1";
/// Most differing steps that are named one by one.
const NAMED: usize = 10;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Saved {
    api_version: String,
    kind: String,
    digest: String,
    plan: Plan,
    changes: Vec<HostChanges>,
}

const KIND: &str = "Plan";

/// Why a plan file is refused.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// It is no JSON, or none of a plan.
    #[error("the plan file cannot be understood")]
    NotAPlan(#[source] serde_json::Error),
    /// It was made before plans could be compared.
    #[error("the plan file is of the format {OLD_VERSION}: it does not say what it was made from")]
    Older,
    /// A later installer made it.
    #[error("the plan file is of the format {0}, which this installer does not know")]
    Newer(String),
    /// Its content is not what was written.
    #[error("the plan file was damaged or edited after it was written")]
    Damaged,
}

/// The plan as a file, byte-equal for equal plans.
#[must_use]
pub fn to_json(plan: &Plan) -> String {
    let mut saved = Saved {
        api_version: API_VERSION.to_owned(),
        kind: KIND.to_owned(),
        digest: String::new(),
        plan: plan.clone(),
        changes: changes(plan),
    };
    saved.digest = digest(&saved);
    // Strings, numbers and maps with string keys only: serialising cannot fail.
    let mut text = serde_json::to_string_pretty(&saved).unwrap_or_default();
    text.push('\n');
    text
}

fn digest(saved: &Saved) -> String {
    digest_of(serde_json::to_string(&(&saved.plan, &saved.changes)).unwrap_or_default().as_bytes())
}

/// Reads a plan file and checks that it is as it was written.
pub fn from_json(text: &str) -> Result<Plan, SavedError> {
    let value: Value = serde_json::from_str(text).map_err(SavedError::NotAPlan)?;
    match value.get("apiVersion").and_then(Value::as_str) {
        // A file of the old format is the plan itself.
        Some(OLD_VERSION) if value.get("steps").is_some() => return Err(SavedError::Older),
        Some(version)
            if version != API_VERSION && version != OLD_VERSION && version.starts_with("sealift/") =>
        {
            return Err(SavedError::Newer(version.to_owned()));
        }
        _ => {}
    }
    let saved: Saved = serde_json::from_str(text).map_err(SavedError::NotAPlan)?;
    // Fields that nobody reads would be lost in reading, and stand there unsigned.
    let whole = serde_json::to_value(&saved).is_ok_and(|again| again == value);
    let named = saved.api_version == API_VERSION && saved.kind == KIND;
    if whole && named && saved.digest == digest(&saved) && saved.changes == changes(&saved.plan) {
        Ok(saved.plan)
    } else {
        Err(SavedError::Damaged)
    }
}

/// In what a plan made now differs from the one that was signed; empty where running it does what was signed.
#[must_use]
pub fn differences(signed: &Plan, now: &Plan) -> Vec<Difference> {
    let mut found = known_before_hosts(&signed.inputs, &now.inputs);
    found.extend(signed.inputs.hosts_differ(&now.inputs));
    if found.is_empty() {
        // Nothing is named above that leads to other steps, and still they must be the same.
        found = steps_differ(signed, now);
    }
    found
}

/// The part of [`differences`] that is known before a host is asked.
#[must_use]
pub fn known_before_hosts(signed: &Inputs, now: &Inputs) -> Vec<Difference> {
    signed.answers_differ(now)
}

fn steps_differ(signed: &Plan, now: &Plan) -> Vec<Difference> {
    if signed.steps == now.steps {
        return Vec::new();
    }
    let mut found = content_differs(&changes(signed), &changes(now));
    let unnamed = found.is_empty();
    let line = |what: String, was: Option<&str>, is: Option<&str>| {
        found.push(Difference { what, was: was.map(str::to_owned), is: is.map(str::to_owned) });
    };
    if unnamed {
        steps_by_name(signed, now, line);
    }
    if found.is_empty() {
        found.push(Difference { what: "the order of the steps".to_owned(), was: None, is: None });
    }
    if found.len() > NAMED {
        let more = found.len() - NAMED;
        found.truncate(NAMED);
        found.push(Difference { what: format!("what follows ({more} more things)"), was: None, is: None });
    }
    found
}

fn steps_by_name(signed: &Plan, now: &Plan, mut line: impl FnMut(String, Option<&str>, Option<&str>)) {
    for step in &signed.steps {
        if !now.steps.iter().any(|one| one.id == step.id) {
            line(format!("step {}", step.id), Some(&step.title), None);
        }
    }
    for step in &now.steps {
        match signed.steps.iter().find(|one| one.id == step.id) {
            Some(before) if before == step => {}
            Some(_) => line(format!("step {} ({})", step.id, step.title), None, None),
            None => line(format!("step {}", step.id), None, Some(&step.title)),
        }
    }
}

/// Kernel settings and files by name, the usual reasons for other steps.
fn content_differs(signed: &[HostChanges], now: &[HostChanges]) -> Vec<Difference> {
    let mut found = Vec::new();
    for (before, after) in signed.iter().zip(now) {
        for (was, is) in before.sysctls.iter().zip(&after.sysctls) {
            if was.name == is.name && was.value != is.value {
                let what = format!("{}: {}", before.host, was.name);
                found.push(Difference { what, was: Some(was.value.clone()), is: Some(is.value.clone()) });
            }
        }
        for file in &after.files {
            let same = before.files.iter().find(|one| one.path == file.path);
            if same.is_some_and(|same| same.content != file.content) {
                let what = format!("{}: the planned content of {}", before.host, file.path);
                found.push(Difference { what, was: None, is: None });
            }
        }
    }
    found
}
