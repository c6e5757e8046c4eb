//! Checks put together by what they are about, in words for people who know no checks.
//!
//! For each topic the catalogues have `topic.NAME.what`, `.effect` and `.action`.

use crate::report::Owner;

/// What several checks are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Topic {
    /// Name, part of the keys in the catalogues.
    pub name: &'static str,
    /// Who mends it.
    pub owner: Owner,
}

/// Beginnings of check ids, the more special ones first.
const TOPICS: [(&str, &str, Owner); 39] = [
    ("access.", "access", Owner::Machines),
    ("identity.", "clones", Owner::Machines),
    ("os.alike", "alike", Owner::Machines),
    ("kernel.alike", "alike", Owner::Machines),
    ("os.architecture-alike", "alike", Owner::Machines),
    ("host.claimed", "leftovers", Owner::Lead),
    ("leftovers", "leftovers", Owner::Machines),
    ("names.", "names", Owner::Network),
    ("dns.", "names", Owner::Network),
    ("facts.", "unseen", Owner::Machines),
    ("cpu.", "size", Owner::Machines),
    ("memory.", "size", Owner::Machines),
    ("swap.", "swap", Owner::Machines),
    ("os.", "system", Owner::Machines),
    ("kernel.", "system", Owner::Machines),
    ("cgroup.", "system", Owner::Machines),
    ("machine.", "system", Owner::Machines),
    ("sysctl.", "system", Owner::Machines),
    ("limits.", "system", Owner::Machines),
    ("privileges.", "system", Owner::Machines),
    ("commands.", "programs", Owner::Machines),
    ("protection.", "protection", Owner::Security),
    ("firewall.", "firewall", Owner::Network),
    ("ports.", "ports", Owner::Machines),
    ("network.mesh", "firewall", Owner::Network),
    ("network.", "network", Owner::Network),
    ("clock.", "clock", Owner::Machines),
    ("time.", "clock", Owner::Machines),
    ("disk.etcd-own", "disk-setup", Owner::Storage),
    ("disk.etcd", "disk-speed", Owner::Storage),
    ("disk.space", "disk-space", Owner::Storage),
    ("disk.headroom", "disk-space", Owner::Storage),
    ("disk.", "disk-setup", Owner::Storage),
    ("service.", "services", Owner::Network),
    ("product.services", "services", Owner::Lead),
    ("certificates.", "certificates", Owner::Security),
    ("site.capacity", "too-small", Owner::Machines),
    ("site.zones", "zones", Owner::Lead),
    ("site.", "shape", Owner::Lead),
];

/// What a check is about; one that nobody has put anywhere is about the answers.
pub(crate) fn topic(check: &str) -> Topic {
    TOPICS.iter().find(|(start, ..)| check.starts_with(start)).map_or(
        Topic { name: "answers", owner: Owner::Lead },
        |(_, name, owner)| Topic { name, owner: *owner },
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::words::{Language, Words};

    #[test]
    fn every_topic_has_its_three_sentences() {
        let names: BTreeSet<&str> =
            sealift_checks::catalogue().iter().map(|check| topic(check.id).name).chain(["unseen"]).collect();
        for language in Language::ALL {
            let words = Words::of(language);
            for name in &names {
                for part in ["what", "effect", "action"] {
                    let text = words.text(&format!("topic.{name}.{part}"));
                    assert!(!text.starts_with('['), "{text} is missing in {language:?}");
                }
            }
        }
    }

    #[test]
    fn no_start_hides_another() {
        for (index, (start, name, _)) in TOPICS.iter().enumerate() {
            let hides = TOPICS[..index].iter().find(|(earlier, ..)| start.starts_with(earlier));
            assert_eq!(hides, None, "{start} ({name}) is never reached");
            let named = sealift_checks::catalogue().iter().any(|check| check.id.starts_with(start));
            assert!(named, "no check begins with {start}");
        }
    }
}
