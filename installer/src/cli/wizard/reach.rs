//! Trying to log in on a host from inside the wizard: its key first, then the account.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use sealift_profile::{Bastion, Host, SecretRef, Site};
use sealift_remote::{HostKey, RemoteError, Target, Timeouts, look, visit};
use sealift_wizard::{Effect, KnownBy, Message, NewKey, Reached, ShownKey, Trouble, Whose};
use secrecy::SecretString;

use super::memory::Memory;
use super::seat::trouble;
use crate::failure::{Failure, Kind};
use crate::site::{known_hosts_so_far, target};
use crate::tui::{AT_ONCE, Ask};

#[cfg(test)]
mod tests;

/// What it takes to try hosts.
#[derive(Clone, Copy)]
pub(super) struct Door<'a> {
    pub(super) memory: &'a Memory,
    pub(super) ask: Ask<'a>,
    pub(super) timeouts: Timeouts,
}

impl Door<'_> {
    /// Tries several hosts, a bounded number at once.
    pub(super) fn try_together(self, effects: Vec<Effect>) -> Vec<Message> {
        let threads = effects.len().min(AT_ONCE);
        let open = Mutex::new(effects.into_iter());
        let next = || open.lock().unwrap_or_else(PoisonError::into_inner).next();
        let one = |effect: Effect| {
            let Effect::Reach { serial, host, site } = effect else { return None };
            let named = host.clone();
            let tried = catch_unwind(AssertUnwindSafe(|| self.try_host(serial, host, &site)));
            Some(tried.unwrap_or_else(|_| {
                let failure = Failure::new(Kind::Internal, format!("the test of {named} crashed"));
                Message::Reached { serial, host: named, outcome: failed(None, failure) }
            }))
        };
        let work = || std::iter::from_fn(next).filter_map(one).collect::<Vec<_>>();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
        })
    }

    /// Tries one host of a site.
    pub(super) fn try_host(self, round: u64, host: String, site: &Site) -> Message {
        let outcome = match site.host(&host) {
            Some(found) => self.reach(round, found, site),
            None => {
                failed(None, Failure::new(Kind::Internal, format!("there is no host {host} in the profile")))
            }
        };
        Message::Reached { serial: round, host, outcome }
    }

    fn reach(self, round: u64, host: &Host, site: &Site) -> Reached {
        let known_hosts = match known_hosts_so_far(site) {
            Ok(text) => text,
            Err(failure) => return failed(None, failure),
        };
        let mut attempt = Try { door: self, round, site, host, known_hosts, secrets: BTreeMap::new() };
        match attempt.prepare() {
            Ok(()) => attempt.log_in(),
            Err(outcome) => *outcome,
        }
    }
}

/// A try under way.
struct Try<'a> {
    door: Door<'a>,
    round: u64,
    site: &'a Site,
    host: &'a Host,
    known_hosts: String,
    /// What was fetched so far.
    secrets: BTreeMap<SecretRef, SecretString>,
}

impl Try<'_> {
    /// With the secrets that were fetched so far.
    fn target(&self) -> Target {
        let secret = |reference: &SecretRef| self.secrets.get(reference).cloned();
        target(self.site, self.host, &self.known_hosts, &secret)
    }

    /// Fetches what the way and the host want. Before a person is asked for a secret, the key of whom it is for is looked
    /// at: nobody types a password for a machine that is not the one.
    fn prepare(&mut self) -> Result<(), Box<Reached>> {
        let (site, host) = (self.site, self.host);
        if let Some(bastion) = &site.access.bastion {
            self.fetch(&secrets_of_bastion(site, bastion), &|target| target.bastion.map(|bastion| *bastion))?;
        }
        self.fetch(&secrets_of_host(site, host), &Some)
    }

    fn fetch(
        &mut self,
        references: &[&SecretRef],
        whom: &dyn Fn(Target) -> Option<Target>,
    ) -> Result<(), Box<Reached>> {
        let Door { memory, ask, timeouts } = self.door;
        let unseal = self.site.unseal.as_ref();
        if memory.would_ask(self.round, references, unseal)
            && let Some(target) = whom(self.target())
        {
            look(&target, timeouts).map_err(|error| Box::new(self.refusal(None, error)))?;
        }
        for reference in references {
            let secret = memory
                .fetch(self.round, reference, unseal, ask)
                .map_err(|failure| Box::new(failed(None, failure)))?;
            self.secrets.insert((*reference).clone(), secret);
        }
        Ok(())
    }

    fn log_in(&self) -> Reached {
        let visited = visit(&self.target(), self.door.timeouts);
        let account = match visited.account {
            Ok(account) => account,
            Err(error) => return self.refusal(visited.host_key, error),
        };
        let Some(key) = visited.host_key else {
            let message = format!("{} let somebody in and showed no key", self.host.name);
            return failed(None, Failure::new(Kind::Internal, message));
        };
        let pinned = self.host.host_key.as_deref() == Some(key.fingerprint.as_str());
        Reached::In {
            key: shown(key),
            known_by: if pinned { KnownBy::Profile } else { KnownBy::KnownHosts },
            root: account.uid == 0,
            cpus: account.cpus,
            memory_bytes: account.memory_bytes,
        }
    }

    /// Why nobody gets in. What was typed and refused is asked for again the next time.
    fn refusal(&self, key: Option<HostKey>, error: RemoteError) -> Reached {
        let of_bastion = self.is_about_bastion(&error);
        let key = match &error {
            _ if of_bastion => None,
            RemoteError::HostKeyChanged { got, .. } | RemoteError::HostKeyRevoked { got, .. } => {
                Some(got.clone())
            }
            _ => key,
        };
        match error {
            RemoteError::HostKeyUnknown { got, .. } => {
                let whose = if of_bastion { Whose::Bastion } else { Whose::Host(self.host.name.clone()) };
                Reached::NewKey(NewKey { whose, key: shown(got) })
            }
            error => {
                let wrong = matches!(
                    error,
                    RemoteError::PasswordRejected { .. }
                        | RemoteError::PassphraseWrong { .. }
                        | RemoteError::KeyRejected { .. }
                );
                if wrong {
                    self.refuse_typed(of_bastion);
                }
                failed(key, again(error))
            }
        }
    }

    fn is_about_bastion(&self, error: &RemoteError) -> bool {
        let target = self.target();
        let bastion = target.bastion.as_ref().map(|bastion| bastion.peer());
        bastion.is_some_and(|bastion| bastion == *error.peer() && bastion != target.peer())
    }

    fn refuse_typed(&self, of_bastion: bool) {
        let references = match &self.site.access.bastion {
            Some(bastion) if of_bastion => secrets_of_bastion(self.site, bastion),
            _ => secrets_of_host(self.site, self.host),
        };
        self.door.memory.refuse(&references);
    }
}

fn secrets_of_host<'a>(site: &'a Site, host: &'a Host) -> Vec<&'a SecretRef> {
    let way = site.access_for(host);
    // The one for sudo is tried by the checks: this does not become root.
    [way.private_key, way.private_key_passphrase, way.password].into_iter().flatten().collect()
}

fn secrets_of_bastion<'a>(site: &'a Site, bastion: &'a Bastion) -> Vec<&'a SecretRef> {
    let key = bastion.private_key.as_ref().or(site.access.private_key.as_ref());
    [key, site.access.private_key_passphrase.as_ref(), bastion.password.as_ref()]
        .into_iter()
        .flatten()
        .collect()
}

fn shown(key: HostKey) -> ShownKey {
    ShownKey { algorithm: key.algorithm, fingerprint: key.fingerprint }
}

/// The program's own words for it, and what is another thing to do here: no run goes on, and no key is written over.
fn again(error: RemoteError) -> Failure {
    let (lost, changed) =
        (matches!(error, RemoteError::Lost { .. }), matches!(error, RemoteError::HostKeyChanged { .. }));
    let failure = Failure::from(error);
    if lost {
        return Failure { hints: Vec::new(), ..failure }
            .hint("test it again; if it stays so, look at the log of the host's SSH server");
    }
    if changed {
        return failure.hint(
            "if the new key is right, take the old one back by hand: in the host's answers or in the file of known \
             hosts; then test it again",
        );
    }
    failure
}

fn failed(key: Option<HostKey>, failure: Failure) -> Reached {
    let trouble: Trouble = trouble(failure);
    Reached::Failed { key: key.map(shown), trouble }
}
