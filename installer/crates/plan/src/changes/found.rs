//! What stands on a host in the place of planned files, and the difference.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use similar::TextDiff;

use super::{Content, FileChange, HostChanges, LinesChange, Now, octal};
use crate::operation::{BLOCK_BEGIN, BLOCK_END};

/// Longest text that a host hands out for a comparison, bytes.
pub const MAX_TEXT: u64 = 64 << 10;

/// What stands in one place on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundFile {
    /// Absolute path.
    pub path: String,
    /// What is there.
    #[serde(flatten)]
    pub found: Found,
}

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "found")]
pub enum Found {
    /// Nothing.
    Missing,
    /// A text file of at most [`MAX_TEXT`] bytes that everybody on the host may read: no secret.
    Text {
        /// All of it.
        text: String,
        /// Permission bits.
        mode: u32,
    },
    /// Something else, not handed out.
    NotShown {
        /// What it is, for people.
        why: String,
    },
}

/// The places on a host whose content can be compared: texts that stay, and files with lines of ours.
#[must_use]
pub fn comparable(host: &HostChanges) -> Vec<String> {
    let texts = host.files.iter().filter(|file| text_of(file).is_some()).map(|file| file.path.clone());
    texts.chain(host.lines.iter().map(|lines| lines.path.clone())).collect()
}

/// Says of each change what stands there now. `found` is by host name; what was not asked stays without a word.
pub fn compare(changes: &mut [HostChanges], found: &BTreeMap<String, Vec<FoundFile>>) {
    for host in changes {
        let Some(found) = found.get(&host.host) else { continue };
        let found: BTreeMap<&str, &Found> = found.iter().map(|one| (one.path.as_str(), &one.found)).collect();
        for file in &mut host.files {
            let now = found.get(file.path.as_str());
            file.now = now.and_then(|now| Some(compare_file(text_of(file)?, &file.mode, now)));
        }
        for lines in &mut host.lines {
            lines.now = found.get(lines.path.as_str()).map(|now| compare_lines(lines, now));
        }
    }
}

fn text_of(file: &FileChange) -> Option<&str> {
    match &file.content {
        Content::Text { text } if !file.removed_afterwards => Some(text),
        _ => None,
    }
}

fn compare_file(text: &str, mode: &str, now: &Found) -> Now {
    match now {
        Found::Missing => Now::Missing,
        Found::NotShown { why } => Now::NotShown { why: why.clone() },
        Found::Text { text: old, mode: old_mode } => {
            let old_mode = octal(*old_mode);
            if old == text && old_mode == mode {
                return Now::Same;
            }
            let mut diff = unified(old, text);
            if old_mode != mode {
                diff = format!("mode {old_mode} becomes {mode}\n{diff}");
            }
            Now::Differs { diff }
        }
    }
}

fn compare_lines(lines: &LinesChange, now: &Found) -> Now {
    let old = match now {
        Found::Missing => return Now::Missing,
        Found::NotShown { why } => return Now::NotShown { why: why.clone() },
        Found::Text { text, mode: _ } => block(text),
    };
    let new = joined(lines.lines.iter().map(String::as_str));
    if old == new { Now::Same } else { Now::Differs { diff: unified(&old, &new) } }
}

/// The lines between our marks.
fn block(text: &str) -> String {
    let inside = text.lines().skip_while(|line| line.trim() != BLOCK_BEGIN).skip(1);
    joined(inside.take_while(|line| line.trim() != BLOCK_END))
}

fn joined<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.fold(String::new(), |text, line| text + line + "\n")
}

fn unified(old: &str, new: &str) -> String {
    TextDiff::from_lines(old, new).unified_diff().context_radius(3).header("now", "planned").to_string()
}
