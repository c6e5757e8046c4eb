//! How the hosts stand, in words: cells of the table, why some do not answer, and the keys that wait to be confirmed.

use crate::effect::Trouble;
use crate::model::{Mark, Model};
use crate::page::PageId;
use crate::reach::{KnownBy, LoginState, NewKey, Reached, ShownKey, Whose};
use crate::screen::{Action, Row};
use crate::width;
use crate::words::Words;

/// What stands in a cell that has nothing to say.
const NOTHING: &str = "-";
/// Columns of a fingerprint in a table: `SHA256:` and its first letters. Whole ones stand where they are compared.
const FINGERPRINT: usize = 12;
const GIBIBYTE: u64 = 1 << 30;

/// Keys that wait to be confirmed, and how to compare them. The same on the page and in the question.
#[must_use]
pub fn key_rows(words: Words, keys: &[NewKey]) -> Vec<Row> {
    let mut rows = vec![Row::Text(words.text("keys.how"))];
    let mut kinds: Vec<&str> = keys.iter().map(|new| new.key.kind()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    rows.extend(kinds.into_iter().map(|kind| {
        let file = kind.to_lowercase();
        Row::Text(format!("  ssh-keygen -lf /etc/ssh/ssh_host_{file}_key.pub"))
    }));
    let line = |new: &NewKey| {
        vec![called(words, &new.whose), new.key.fingerprint.clone(), new.key.kind().to_owned()]
    };
    rows.push(Row::Table {
        names: ["keys.whose", "keys.fingerprint", "keys.kind"].map(|key| words.text(key)).to_vec(),
        lines: keys.iter().map(line).collect(),
    });
    rows.extend(alike(words, keys));
    rows
}

fn called(words: Words, whose: &Whose) -> String {
    match whose {
        Whose::Host(name) => name.clone(),
        Whose::Bastion => words.text("keys.bastion"),
    }
}

/// Machines of their own have keys of their own.
fn alike(words: Words, keys: &[NewKey]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, new) in keys.iter().enumerate() {
        let same = |other: &&NewKey| other.key.fingerprint == new.key.fingerprint;
        if keys[..index].iter().any(|other| same(&other)) {
            continue;
        }
        let all: Vec<String> = keys.iter().filter(same).map(|one| called(words, &one.whose)).collect();
        if all.len() > 1 {
            rows.push(Row::Text(words.fill("keys.same", &[("names", &all.join(", "))])));
        }
    }
    rows
}

/// A table without the columns at its end, behind the first `least`, in which no line has anything to say.
pub(super) fn without_empty(mut names: Vec<String>, mut lines: Vec<Vec<String>>, least: usize) -> Row {
    let says = |line: &Vec<String>| line.last().is_some_and(|cell| cell != NOTHING);
    while names.len() > least && !lines.iter().any(says) {
        names.pop();
        for line in &mut lines {
            line.pop();
        }
    }
    Row::Table { names, lines }
}

impl Model {
    /// The keys that can be confirmed on this page.
    pub(super) fn keys_to_confirm(&self) -> Vec<NewKey> {
        if self.is_about_reaching() { self.new_keys() } else { Vec::new() }
    }

    /// Whether some host should be looked after.
    pub(super) fn reach_warns(&self) -> bool {
        self.is_about_reaching() && self.count(LoginState::NewKey) + self.count(LoginState::Failed) > 0
    }

    /// What can be done first here.
    pub(super) fn first_reach_actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        if !self.keys_to_confirm().is_empty() {
            actions.push(Action::TrustKeys);
        }
        if self.page == PageId::Access && self.draft.hosts() > 0 {
            actions.push(Action::Run);
        }
        actions
    }

    /// What can be done beside the table, whose own actions come first.
    pub(super) fn last_reach_actions(&self) -> Vec<Action> {
        if self.page == PageId::Hosts && self.draft.hosts() > 0 { vec![Action::Run] } else { Vec::new() }
    }

    /// What is to be said of a page, and how the hosts stand. A host that does not answer is told, and keeps Next from
    /// nothing: a profile may be written at a desk that reaches no host of the site.
    pub(super) fn with_reach(&self, said: String, problems: usize) -> String {
        let words = self.words();
        let all = self.draft.hosts();
        let count = |standing| self.count(standing);
        let fill = |key: &str, count: usize| {
            words.fill(key, &[("count", &count.to_string()), ("all", &all.to_string())])
        };
        let reach = if !self.is_about_reaching() || all == 0 {
            return said;
        } else if count(LoginState::Asking) > 0 {
            fill("message.reach.asking", count(LoginState::Asking))
        } else if count(LoginState::NewKey) > 0 {
            fill("message.reach.new", self.new_keys().len())
        } else if count(LoginState::Failed) > 0 {
            fill("message.reach.failed", count(LoginState::Failed))
        } else if count(LoginState::Outdated) > 0 {
            fill("message.reach.outdated", count(LoginState::Outdated))
        } else if count(LoginState::In) == all {
            fill("message.reach.in", all)
        } else {
            return said;
        };
        if problems == 0 && self.mark(self.page) != Mark::Review {
            return reach;
        }
        words.fill("message.reach.both", &[("said", &said), ("reach", &reach)])
    }

    /// Cells of a host in the table: whether it lets somebody in, its key, what was seen of it.
    pub(super) fn reach_cells(&self, index: usize, open: usize) -> [String; 3] {
        let words = self.words();
        let stands = match (self.login_state(index), open) {
            (_, open) if open > 0 => words.fill("hosts.open", &[("count", &open.to_string())]),
            (standing, _) => words.text(standing.key()),
        };
        let pinned = self.draft.get(&format!("hosts[{index}].hostKey")).and_then(|key| key.as_str());
        let shown = self.shown_key(index).map(|key| key.fingerprint.as_str());
        let key = shown.or(pinned).map_or_else(|| NOTHING.to_owned(), |key| width::cut(key, FINGERPRINT));
        let seen = self.reached(index).and_then(|reached| seen(words, reached));
        [stands, key, seen.unwrap_or_else(|| NOTHING.to_owned())]
    }

    /// Below the table: keys to confirm, and why hosts do not answer.
    pub(super) fn reach_rows(&self) -> Vec<Row> {
        let words = self.words();
        let mut rows = Vec::new();
        let keys = self.new_keys();
        if !keys.is_empty() {
            rows.push(Row::Heading(words.text("keys.title")));
            rows.extend(key_rows(words, &keys));
        }
        let failures = self.failures();
        if !failures.is_empty() {
            rows.push(Row::Heading(words.text("reach.failures")));
            rows.extend(failures.iter().map(|(trouble, hosts)| failure(words, trouble, hosts)));
        }
        rows
    }

    /// What is in the way, each with the hosts that it stands before.
    fn failures(&self) -> Vec<(&Trouble, Vec<&str>)> {
        let mut found: Vec<(&Trouble, Vec<&str>)> = Vec::new();
        for index in 0..self.draft.hosts() {
            let (Some(Reached::Failed { trouble, .. }), Some(name)) =
                (self.reached(index), self.host_name(index))
            else {
                continue;
            };
            match found.iter_mut().find(|(known, _)| *known == trouble) {
                Some((_, hosts)) => hosts.push(name),
                None => found.push((trouble, vec![name])),
            }
        }
        found
    }

    /// How one host stands, where it was tried.
    pub(super) fn reach_of_one(&self, index: usize) -> Vec<Row> {
        let words = self.words();
        match self.reached(index) {
            None if self.login_state(index) == LoginState::Untried => Vec::new(),
            None => vec![Row::Text(words.text(&format!("{}.one", self.login_state(index).key())))],
            Some(Reached::NewKey(new)) => key_rows(words, std::slice::from_ref(new)),
            Some(Reached::Failed { trouble, .. }) => {
                vec![failure(words, trouble, self.host_name(index).as_slice())]
            }
            Some(Reached::In { key: ShownKey { fingerprint, .. }, known_by, root, .. }) => {
                let known = match known_by {
                    KnownBy::Profile => "reach.known.profile",
                    KnownBy::KnownHosts => "reach.known.knownHosts",
                };
                let places = [
                    ("key", fingerprint.as_str()),
                    ("known", &words.text(known)),
                    ("root", &words.text(if *root { "reach.root" } else { "reach.sudo" })),
                ];
                vec![Row::Text(words.fill("reach.in.one", &places))]
            }
        }
    }

    /// On the page of access: how many of the hosts let somebody in.
    pub(super) fn reach_summary(&self) -> Vec<Row> {
        let words = self.words();
        let all = self.draft.hosts();
        if self.count(LoginState::Untried) == all {
            return Vec::new();
        }
        let count = |standing| self.count(standing).to_string();
        let places = [
            ("all", all.to_string()),
            ("in", count(LoginState::In)),
            ("new", count(LoginState::NewKey)),
            ("failed", count(LoginState::Failed)),
        ];
        let places = places.each_ref().map(|(name, value)| (*name, value.as_str()));
        vec![Row::Heading(words.text("reach.title")), Row::Text(words.fill("reach.summary", &places))]
    }
}

/// What is in the way and what to do; the hosts are named where the sentence itself names no host.
fn failure(words: Words, trouble: &Trouble, hosts: &[&str]) -> Row {
    let said = trouble.causes.iter().fold(trouble.message.clone(), |text, cause| text + ": " + cause);
    let named = matches!(hosts, [one] if trouble.message.contains(one));
    let said = if named {
        said
    } else {
        words.fill("reach.failure.hosts", &[("hosts", &hosts.join(", ")), ("message", &said)])
    };
    if trouble.remedies.is_empty() {
        return Row::Text(said);
    }
    let remedy = trouble.remedies.join("; ");
    Row::Text(words.fill("reach.failure", &[("message", &said), ("remedy", &remedy)]))
}

/// Processors and memory, where the host told.
fn seen(words: Words, reached: &Reached) -> Option<String> {
    let Reached::In { cpus: Some(cpus), memory_bytes: Some(bytes), .. } = reached else { return None };
    // What the kernel keeps for itself is not in the number: a machine of 32 GiB tells a little less.
    let memory = bytes.div_ceil(GIBIBYTE);
    let places = [("cpus", cpus.to_string()), ("memory", memory.to_string())];
    let places = places.each_ref().map(|(name, value)| (*name, value.as_str()));
    Some(words.fill("reach.seen", &places))
}
