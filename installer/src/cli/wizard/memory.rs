//! Secrets while a wizard goes on: fetched where they are, asked for once, kept in memory alone.
//!
//! What somebody typed is kept until the wizard ends, or until a host has refused it. Files and variables are read anew
//! for every round of tries, once for all hosts, because somebody may just have mended them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sealift_profile::{SecretError, SecretRef};
use secrecy::SecretString;

use crate::failure::Failure;
use crate::tui::Ask;

/// What the profile asks for where it says nothing about sealed secrets.
const UNSEALS: &str = "passphrase of the sealed secrets";

/// All of it. Shown by nothing: no `Debug`, and the secrets themselves show nothing either.
#[derive(Default)]
pub(super) struct Memory(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// The round that `fetched` is of.
    round: u64,
    /// What came out of each place in this round.
    fetched: BTreeMap<SecretRef, Result<SecretString, Failure>>,
    /// What somebody typed, by its label.
    typed: BTreeMap<String, SecretString>,
    /// Labels whose answers were refused: they hold for the rest of the round, so that nobody is asked again for each
    /// host, and for no other.
    refused: BTreeSet<String>,
}

impl Kept {
    fn begin(&mut self, round: u64) {
        if round > self.round {
            self.round = round;
            self.fetched.clear();
            for label in std::mem::take(&mut self.refused) {
                self.typed.remove(&label);
            }
        }
    }
}

impl Memory {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody would have to be asked for one of these.
    pub(super) fn would_ask(
        &self,
        round: u64,
        references: &[&SecretRef],
        unseal: Option<&SecretRef>,
    ) -> bool {
        let mut kept = self.kept();
        kept.begin(round);
        let asks = |reference: &SecretRef| match reference {
            SecretRef::Prompt(label) => !kept.typed.contains_key(label),
            _ => false,
        };
        references.iter().any(|reference| {
            !kept.fetched.contains_key(*reference)
                && match reference {
                    SecretRef::Sealed(_) => unseal.map_or(!kept.typed.contains_key(UNSEALS), asks),
                    other => asks(other),
                }
        })
    }

    /// The secret behind a reference, in a round of tries; where somebody is asked, the other hosts wait for the answer.
    pub(super) fn fetch(
        &self,
        round: u64,
        reference: &SecretRef,
        unseal: Option<&SecretRef>,
        ask: Ask<'_>,
    ) -> Result<SecretString, Failure> {
        let mut kept = self.kept();
        kept.begin(round);
        if let Some(fetched) = kept.fetched.get(reference) {
            return fetched.clone();
        }
        let asked = RefCell::new(BTreeMap::new());
        let known = &kept.typed;
        let result = reference.resolve_with(unseal, &|label| {
            let given = match known.get(label) {
                Some(given) => given.clone(),
                None => ask(label)?,
            };
            asked.borrow_mut().insert(label.to_owned(), given.clone());
            Ok(given)
        });
        for (label, given) in asked.into_inner() {
            // What does not open what it should open was mistyped.
            if matches!(result, Err(SecretError::Sealed { .. } | SecretError::Opener { .. })) {
                kept.refused.insert(label.clone());
            }
            kept.typed.insert(label, given);
        }
        let result = result.map_err(Failure::from);
        kept.fetched.insert(reference.clone(), result.clone());
        result
    }

    /// A host has refused what stands behind these.
    pub(super) fn refuse(&self, references: &[&SecretRef]) {
        let mut kept = self.kept();
        for reference in references {
            if let SecretRef::Prompt(label) = reference {
                kept.refused.insert(label.clone());
            }
        }
    }

    /// For other work: what was typed already and not refused, else somebody is asked.
    pub(super) fn recall(&self, label: &str, ask: Ask<'_>) -> io::Result<SecretString> {
        let known = {
            let kept = self.kept();
            kept.typed.get(label).filter(|_| !kept.refused.contains(label)).cloned()
        };
        known.map_or_else(|| ask(label), Ok)
    }

    /// Other work has failed, perhaps for a wrong answer: everything is asked for anew.
    pub(super) fn forget(&self) {
        let mut kept = self.kept();
        kept.typed.clear();
        kept.refused.clear();
        kept.fetched.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn somebody_is_asked_once_until_a_host_refuses() {
        let memory = Memory::default();
        let asked = AtomicUsize::new(0);
        let ask = |label: &str| {
            let count = asked.fetch_add(1, Ordering::SeqCst);
            Ok(SecretString::from(format!("{label} {count}")))
        };
        let password = SecretRef::Prompt("access.password".to_owned());
        let get = |round| {
            memory
                .fetch(round, &password, None, &ask)
                .map(|secret| secret.expose_secret().to_owned())
                .unwrap()
        };
        assert!(memory.would_ask(1, &[&password], None));
        assert_eq!([get(1), get(1), get(2)], ["access.password 0"; 3]);
        assert!(!memory.would_ask(2, &[&password], None));
        assert_eq!(memory.recall("access.password", &ask).unwrap().expose_secret(), "access.password 0");
        memory.refuse(&[&password]);
        assert_eq!(get(2), "access.password 0", "the other hosts of the round try it, too");
        assert_eq!(memory.recall("access.password", &ask).unwrap().expose_secret(), "access.password 1");
        assert_eq!(get(3), "access.password 2");
        memory.forget();
        assert_eq!(get(3), "access.password 3");
    }

    #[test]
    fn who_gives_nothing_is_not_asked_for_each_host() {
        let memory = Memory::default();
        let asked = AtomicUsize::new(0);
        let ask = |_: &str| {
            asked.fetch_add(1, Ordering::SeqCst);
            Err(io::Error::other("nobody gave it"))
        };
        let password = SecretRef::Prompt("access.password".to_owned());
        for _ in 0..3 {
            let failure = memory.fetch(1, &password, None, &ask).unwrap_err();
            assert!(failure.message.contains("nobody answered"), "{failure:?}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        memory.fetch(2, &password, None, &ask).unwrap_err();
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn files_are_read_anew_in_each_round() {
        let memory = Memory::default();
        let nobody = |_: &str| Err(io::Error::other("nobody is asked here"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let file = SecretRef::File(path.display().to_string());
        let get =
            |round| memory.fetch(round, &file, None, &nobody).map(|secret| secret.expose_secret().to_owned());
        assert!(!memory.would_ask(1, &[&file], None));
        assert!(get(1).is_err());
        std::fs::write(&path, "first").unwrap();
        assert!(get(1).is_err(), "one round, one answer for all hosts");
        assert_eq!(get(2).unwrap(), "first");
    }
}
