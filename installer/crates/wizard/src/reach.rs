//! Whether the hosts let the installer in: what trying each of them came to, and host keys that nobody has confirmed yet.
//!
//! Everything here is about the answers as they were when a host was tried. What a try was made with is kept beside its
//! outcome, so that an outcome is outdated exactly as long as the answers are others.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::effect::Trouble;
use crate::model::Model;
use crate::page::PageId;

/// A host key as a host showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownKey {
    /// Its type, such as `ssh-ed25519`.
    pub algorithm: String,
    /// `SHA256:…`, as `ssh-keygen -l` prints it.
    pub fingerprint: String,
}

impl ShownKey {
    /// The type in the word that `ssh-keygen` has for it, and in the name of the key's file.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self.algorithm.as_str() {
            "ssh-ed25519" => "ED25519",
            "ssh-rsa" => "RSA",
            ecdsa if ecdsa.starts_with("ecdsa-") => "ECDSA",
            other => other,
        }
    }
}

/// Whose key it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// The host of this name.
    Host(String),
    /// The machine that logins go through.
    Bastion,
}

/// A key that nobody vouches for yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Who showed it.
    pub whose: Whose,
    /// The key.
    pub key: ShownKey,
}

/// Who vouches for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownBy {
    /// It is pinned in the profile.
    Profile,
    /// It stands in the file of known hosts.
    KnownHosts,
}

/// What trying to log in on a host came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// It lets the user in.
    In {
        /// The key that it showed.
        key: ShownKey,
        /// Who vouches for it.
        known_by: KnownBy,
        /// Whether the user is root, and needs no sudo.
        root: bool,
        /// Processors, where the host told.
        cpus: Option<u32>,
        /// Memory, where the host told.
        memory_bytes: Option<u64>,
    },
    /// Nobody vouches for the key of the host, or of what leads to it. Nobody was logged in.
    NewKey(NewKey),
    /// Nobody gets in.
    Failed {
        /// The key that it showed, where it came so far.
        key: Option<ShownKey>,
        /// Why, and what to do.
        trouble: Trouble,
    },
}

impl Reached {
    /// The host's own key, where it showed one.
    pub(crate) fn key(&self) -> Option<&ShownKey> {
        match self {
            Self::In { key, .. } | Self::NewKey(NewKey { whose: Whose::Host(_), key }) => Some(key),
            Self::NewKey(_) => None,
            Self::Failed { key, .. } => key.as_ref(),
        }
    }
}

/// A host that was asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Try {
    pub(crate) serial: u64,
    /// The answers that it was asked with.
    pub(crate) with: Json,
    /// None while it is asked.
    pub(crate) outcome: Option<Reached>,
}

/// All hosts that were asked, by their names.
pub(crate) type Tries = BTreeMap<String, Try>;

/// How a host stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoginState {
    /// Never asked.
    Untried,
    /// Being asked.
    Asking,
    /// Asked, and an answer has changed since.
    Outdated,
    In,
    NewKey,
    Failed,
}

impl LoginState {
    /// Key of its word.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Untried => "reach.untried",
            Self::Asking => "reach.asking",
            Self::Outdated => "reach.outdated",
            Self::In => "reach.in",
            Self::NewKey => "reach.new",
            Self::Failed => "reach.failed",
        }
    }
}

/// What of a host's answers leads to it, beside its name.
const LEADS: [&str; 6] = ["address", "port", "user", "hostKey", "password", "sudoPassword"];

impl Model {
    /// Whether this page shows how the hosts stand, and tries them.
    pub(crate) fn is_about_reaching(&self) -> bool {
        matches!(self.page, PageId::Hosts | PageId::Access)
    }

    /// The name of a host, by its number from 0.
    pub(crate) fn host_name(&self, index: usize) -> Option<&str> {
        self.draft.get(&format!("hosts[{index}].name"))?.as_str()
    }

    /// The answers that lead to a host.
    pub(crate) fn way_to(&self, index: usize) -> Json {
        let own = LEADS.map(|key| self.draft.get(&format!("hosts[{index}].{key}")));
        json!([own, self.draft.get("access"), self.draft.get("unseal")])
    }

    /// What trying a host came to, unless an answer has changed since.
    pub(crate) fn reached(&self, index: usize) -> Option<&Reached> {
        let tried = self.tries.get(self.host_name(index)?)?;
        tried.outcome.as_ref().filter(|_| tried.with == self.way_to(index))
    }

    /// The key that a host showed last, however old that is.
    pub(crate) fn shown_key(&self, index: usize) -> Option<&ShownKey> {
        self.tries.get(self.host_name(index)?)?.outcome.as_ref()?.key()
    }

    /// How a host stands.
    pub(crate) fn login_state(&self, index: usize) -> LoginState {
        let Some(tried) = self.host_name(index).and_then(|name| self.tries.get(name)) else {
            return LoginState::Untried;
        };
        match &tried.outcome {
            _ if tried.with != self.way_to(index) => LoginState::Outdated,
            None => LoginState::Asking,
            Some(Reached::In { .. }) => LoginState::In,
            Some(Reached::NewKey(_)) => LoginState::NewKey,
            Some(Reached::Failed { .. }) => LoginState::Failed,
        }
    }

    /// How many hosts stand so.
    pub(crate) fn count(&self, standing: LoginState) -> usize {
        (0..self.draft.hosts()).filter(|index| self.login_state(*index) == standing).count()
    }

    /// The keys that wait to be confirmed: the bastion's first, then in the order of the hosts.
    pub(crate) fn new_keys(&self) -> Vec<NewKey> {
        let mut found: Vec<NewKey> = Vec::new();
        for index in 0..self.draft.hosts() {
            if let Some(Reached::NewKey(new)) = self.reached(index)
                && !found.iter().any(|one| one.whose == new.whose)
            {
                found.push(new.clone());
            }
        }
        found.sort_by_key(|new| new.whose != Whose::Bastion);
        found
    }

    /// Whether it was said how to log in, keys of hosts aside: those are what trying tells.
    pub(crate) fn is_access_known(&self) -> bool {
        !self.judged.all().any(|finding| {
            let section = finding.path.split(['.', '[']).next();
            matches!(section, Some("access" | "unseal")) && finding.rule != "host-key"
        })
    }

    /// Whether everything that leads to a host was answered and can be so.
    pub(crate) fn can_be_tried(&self, index: usize) -> bool {
        let host = format!("hosts[{index}]");
        let stands_in_the_way = |path: &str, rule: &str| match path.strip_prefix(&host) {
            Some("") => rule == "login",
            Some(rest) => {
                let key = rest.trim_start_matches('.').split('.').next();
                key.is_some_and(|key| key == "name" || LEADS.contains(&key))
            }
            None => false,
        };
        self.host_name(index).is_some()
            && !self.judged.all().any(|finding| stands_in_the_way(&finding.path, finding.rule))
    }
}
