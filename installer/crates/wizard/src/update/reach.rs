//! Trying the hosts, and taking the keys that they show.

use std::sync::Arc;

use serde_json::json;

use crate::effect::Effect;
use crate::model::{Model, Refused};
use crate::reach::{LoginState, NewKey, Reached, Try, Whose};

impl Model {
    /// Tries the host that is looked at, or all.
    pub(super) fn reach(&mut self) -> Vec<Effect> {
        if self.draft.hosts() == 0 {
            return self.no(None, "refused.reach.none", &[]);
        }
        if !self.is_access_known() {
            return self.no(None, "refused.reach.access", &[]);
        }
        let wanted = match self.host {
            Some(index) => vec![index],
            None => (0..self.draft.hosts()).collect(),
        };
        let askable: Vec<usize> = wanted.into_iter().filter(|index| self.can_be_tried(*index)).collect();
        if askable.is_empty() {
            return self.no(None, "refused.reach.open", &[]);
        }
        self.try_hosts(askable)
    }

    /// Tries those that were never tried, or not with these answers. Nothing is refused: nobody asked for it.
    pub(super) fn reach_untried(&mut self) -> Vec<Effect> {
        if !self.is_access_known() {
            return Vec::new();
        }
        let wants = |index: &usize| {
            matches!(self.login_state(*index), LoginState::Untried | LoginState::Outdated)
                && self.can_be_tried(*index)
        };
        let wanted = (0..self.draft.hosts()).filter(wants).collect();
        self.try_hosts(wanted)
    }

    /// An effect for each host, so that each answers when it does. Those that are being asked with these answers go on.
    fn try_hosts(&mut self, mut wanted: Vec<usize>) -> Vec<Effect> {
        wanted.retain(|index| self.login_state(*index) != LoginState::Asking);
        let Some(site) = self.draft.so_far().filter(|_| !wanted.is_empty()).map(Arc::new) else {
            return Vec::new();
        };
        self.serial += 1;
        let serial = self.serial;
        let mut effects = Vec::new();
        for index in wanted {
            let Some(host) = self.host_name(index).map(str::to_owned) else { continue };
            if site.host(&host).is_some() {
                let with = self.way_to(index);
                self.tries.insert(host.clone(), Try { serial, with, outcome: None });
                effects.push(Effect::Reach { serial, host, site: Arc::clone(&site) });
            }
        }
        effects
    }

    /// An outcome counts for the try that it belongs to. Whether the answers are still those, the view finds out.
    pub(super) fn take_reached(&mut self, serial: u64, host: &str, outcome: Reached) {
        if let Some(tried) = self.tries.get_mut(host).filter(|tried| tried.serial == serial) {
            tried.outcome.get_or_insert(outcome);
        }
    }

    /// Writes keys into the profile that somebody has compared, and goes on with the hosts that showed them.
    ///
    /// All or none, and only keys that are shown right now and that nothing is pinned for: whoever confirms a list
    /// confirms what stood on it.
    pub(super) fn trust_keys(&mut self, confirmed: &[NewKey]) -> Vec<Effect> {
        if !self.is_about_reaching() {
            return self.no(None, "refused.notHosts", &[]);
        }
        if confirmed.is_empty() {
            return self.no(None, "refused.trust.none", &[]);
        }
        let shown = self.new_keys();
        if !confirmed.iter().all(|key| shown.contains(key) && self.is_unpinned(&key.whose)) {
            return self.no(None, "refused.trust.changed", &[]);
        }
        let again: Vec<usize> = (0..self.draft.hosts())
            .filter(
                |index| matches!(self.reached(*index), Some(Reached::NewKey(key)) if confirmed.contains(key)),
            )
            .collect();
        let mut draft = self.draft.clone();
        let mut paths = Vec::new();
        for NewKey { whose, key } in confirmed {
            if let Some(path) = self.path_of_key(whose) {
                draft.set(&path, json!(key.fingerprint));
                paths.push(path);
            }
        }
        // What no rule allows is not written, wherever it comes from.
        let judged = draft.judge(&self.circumstances());
        if let Some(finding) = judged.wrong.iter().find(|finding| paths.contains(&finding.path)) {
            let (message, remedy) = (finding.message.clone(), finding.remedy.clone());
            self.refused = Some(Refused { field: Some(finding.path.clone()), message, remedy });
            return Vec::new();
        }
        self.draft = draft;
        self.typed.extend(paths);
        self.rejudge();
        self.notice = Some(self.words().fill("notice.keys", &[("count", &confirmed.len().to_string())]));
        let mut effects = self.save(false);
        effects.extend(self.try_hosts(again));
        effects
    }

    fn path_of_key(&self, whose: &Whose) -> Option<String> {
        match whose {
            Whose::Bastion => Some("access.bastion.hostKey".to_owned()),
            Whose::Host(name) => {
                let index =
                    (0..self.draft.hosts()).find(|index| self.host_name(*index) == Some(name.as_str()))?;
                Some(format!("hosts[{index}].hostKey"))
            }
        }
    }

    fn is_unpinned(&self, whose: &Whose) -> bool {
        self.path_of_key(whose).is_some_and(|path| self.draft.get(&path).is_none())
    }
}
