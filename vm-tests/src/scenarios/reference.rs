//! The files of all hosts after an undisturbed install, kept for comparison with installs that were disturbed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::install::all_files;
use crate::cache::Key;
use crate::lab::{FileState, Lab, LabSpec};
use crate::test::Context;

/// Lab for an undisturbed install where no other test has made one.
const LAB: &str = "test-reference";

/// Content that is random, dated or the host's own identity: such files must be there, and differ from lab to lab.
const OWN_CONTENT: &[&str] = &[
    // Keys, certificates and what holds them.
    "/etc/kubernetes/pki/",
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/super-admin.conf",
    "/etc/kubernetes/controller-manager.conf",
    "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/scheduler.conf",
    "/var/lib/sealift/pki/",
    // It lists the members in the order of their random numbers.
    "/etc/kubernetes/manifests/etcd.yaml",
    // It says when things were done, and in how many runs.
    "/var/lib/sealift/journal.jsonl",
    // Times and numbers of files, and of the boot, by which a later run knows what it need not read again.
    "/var/lib/sealift/stamps/",
    "/var/lib/sealift/store/partial/boot-id",
    // Who the host is.
    "/etc/machine-id",
    "/etc/shadow",
    "/etc/ssh/ssh_host_",
    "/root/.ssh/",
    "/home/",
];

/// Copies of what was replaced, for the way back. An interrupted install has replaced its own files, too, and each
/// copy's name is the digest of its content.
const HISTORY: &str = "/var/lib/sealift/undo/";

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// Kind, permission bits, owner.
    attributes: String,
    /// Digest or target; none where the content is the lab's own.
    content: Option<String>,
}

impl Entry {
    fn new(path: &str, state: &FileState) -> Self {
        let own = OWN_CONTENT.iter().any(|start| path.starts_with(start));
        Self {
            attributes: format!("{} {:o} {}:{}", state.kind, state.mode, state.owner.0, state.owner.1),
            content: (!own).then(|| state.content.clone()),
        }
    }
}

/// All hosts' files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    hosts: BTreeMap<String, Files>,
}

/// A host's files by path.
type Files = BTreeMap<String, Entry>;

impl Reference {
    /// What stands on the hosts of a lab.
    pub fn look(context: &Context<'_>) -> Result<Self> {
        Ok(Self::of(&all_files(context.lab)?))
    }

    fn of(files: &BTreeMap<&str, BTreeMap<String, FileState>>) -> Self {
        let hosts = files.iter().map(|(host, files)| {
            let files = files.iter().filter(|(path, _)| !path.starts_with(HISTORY));
            let files = files.map(|(path, state)| (path.clone(), Entry::new(path, state))).collect();
            ((*host).to_owned(), files)
        });
        Self { hosts: hosts.collect() }
    }

    /// Keeps what an undisturbed install has left, for other labs' tests.
    pub fn keep(context: &Context<'_>, files: &BTreeMap<&str, BTreeMap<String, FileState>>) -> Result<()> {
        Self::of(files).write(context)
    }

    fn write(&self, context: &Context<'_>) -> Result<()> {
        let path = Self::path(context)?;
        let folder = path.parent().context("a path without a folder")?;
        // Those of older programs and bundles are of no use.
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder)?;
        let temporary = path.with_extension("part");
        fs::write(&temporary, serde_json::to_vec(self)?)?;
        Ok(fs::rename(&temporary, &path)?)
    }

    /// That of this installer and this bundle: kept by an earlier test, or made on a lab of its own.
    pub fn of_undisturbed(context: &Context<'_>) -> Result<Self> {
        let path = Self::path(context)?;
        if let Ok(text) = fs::read(&path) {
            return serde_json::from_slice(&text).with_context(|| format!("cannot read {}", path.display()));
        }
        context.note(format!("no undisturbed install to compare with yet: one was made in lab {LAB}"));
        Lab::down(context.cache, LAB)?;
        let lab = Lab::up(context.cache, LAB, &LabSpec::standard(0))?;
        let made = (|| {
            let beside = Context::new(context.cache, &lab, context.programs, context.payload, context.made)?;
            beside.installed()?;
            let made = Self::look(&beside)?;
            made.write(context)?;
            Ok(made)
        })();
        Lab::down(context.cache, LAB)?;
        made
    }

    fn path(context: &Context<'_>) -> Result<PathBuf> {
        let lab: serde_json::Value =
            serde_json::from_slice(&fs::read(context.lab.folder().join("lab.json"))?)?;
        let key = Key::new("reference 3")
            .file(&context.programs.installer)?
            .text(&context.made.bundle.display().to_string())
            .text(lab["tree"].as_str().context("the lab's description names no tree")?);
        Ok(context.cache.join("reference").join(format!("{}.json", key.finish())))
    }

    /// What differs, one line each: `-` is missing in the other, `+` is there only, `~` is not the same.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let names: BTreeSet<&String> = self.hosts.keys().chain(other.hosts.keys()).collect();
        let none = Files::new();
        let lines = names.into_iter().flat_map(|name| {
            let (expected, found) = (self.hosts.get(name), other.hosts.get(name));
            let lines = compare(expected.unwrap_or(&none), found.unwrap_or(&none));
            lines.into_iter().map(move |line| format!("{name} {line}"))
        });
        lines.collect()
    }
}

fn compare(expected: &Files, found: &Files) -> Vec<String> {
    let missing = expected.keys().filter(|path| !found.contains_key(*path));
    let missing = missing.map(|path| format!("- {path}"));
    let rest = found.iter().filter_map(|(path, new)| match expected.get(path) {
        None => Some(format!("+ {path}")),
        Some(old) if old.attributes != new.attributes => {
            Some(format!("~ {path}: {} instead of {}", new.attributes, old.attributes))
        }
        Some(old) if old.content != new.content => Some(format!("~ {path}")),
        Some(_) => None,
    });
    missing.chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(files: &[(&str, u32, &str)]) -> Reference {
        let files = files.iter().map(|(path, mode, content)| {
            let state =
                FileState { kind: 'f', mode: *mode, owner: (0, 0), size: 1, content: (*content).to_owned() };
            ((*path).to_owned(), Entry::new(path, &state))
        });
        Reference { hosts: BTreeMap::from([("w1".to_owned(), files.collect())]) }
    }

    #[test]
    fn keys_may_differ_in_content_but_not_in_mode() {
        let one = reference(&[("/etc/kubernetes/pki/ca.key", 0o600, "1"), ("/etc/x", 0o644, "1")]);
        let other = reference(&[("/etc/kubernetes/pki/ca.key", 0o600, "2"), ("/etc/x", 0o644, "1")]);
        assert_eq!(one.differences(&other), Vec::<String>::new());
        let open = reference(&[("/etc/kubernetes/pki/ca.key", 0o644, "2"), ("/etc/y", 0o644, "1")]);
        let lines = one.differences(&open);
        assert_eq!(
            lines,
            ["w1 - /etc/x", "w1 ~ /etc/kubernetes/pki/ca.key: f 644 0:0 instead of f 600 0:0", "w1 + /etc/y"]
        );
        let changed = reference(&[("/etc/kubernetes/pki/ca.key", 0o600, "1"), ("/etc/x", 0o644, "2")]);
        assert_eq!(one.differences(&changed), ["w1 ~ /etc/x"]);
    }

    #[test]
    fn a_host_that_only_one_of_them_has_differs() {
        let one = reference(&[("/etc/x", 0o644, "1")]);
        let none = Reference { hosts: BTreeMap::new() };
        assert_eq!(one.differences(&none), ["w1 - /etc/x"]);
        assert_eq!(none.differences(&one), ["w1 + /etc/x"]);
    }
}
