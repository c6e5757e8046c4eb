//! The table of hosts.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::effect::{Effect, Message};
use crate::hosts;
use crate::model::{Model, Refused};
use crate::page::PageId;

impl Model {
    pub(super) fn change_hosts(&mut self, message: Message) -> Vec<Effect> {
        if self.page != PageId::Hosts {
            return self.no(None, "refused.notHosts", &[]);
        }
        let count = self.draft.hosts();
        match message {
            Message::AddHost => {
                self.draft.set(&format!("hosts[{count}]"), json!({}));
                self.rejudge();
                self.open_host(count)
            }
            Message::EditHost(index) if index < count => self.open_host(index),
            Message::RemoveHost(index) if index < count => self.remove_host(index),
            Message::EditHost(_) | Message::RemoveHost(_) => {
                self.no(None, "refused.noHost", &[("count", &count.to_string())])
            }
            Message::AddHosts(text) => self.add_hosts(&text),
            Message::ImportHosts { file } => vec![Effect::ReadHosts { file }],
            _ => self.close_host(),
        }
    }

    fn open_host(&mut self, index: usize) -> Vec<Effect> {
        self.host = Some(index);
        self.focus = None;
        Vec::new()
    }

    /// Back to the table.
    pub(super) fn close_host(&mut self) -> Vec<Effect> {
        self.put_host_away();
        self.save(false)
    }

    /// A host without any answer is none.
    pub(super) fn put_host_away(&mut self) {
        if let Some(index) = self.host.take() {
            self.focus = None;
            if self.draft.get(&format!("hosts[{index}]")).is_some_and(|host| *host == json!({})) {
                self.remove_host(index);
            }
        }
    }

    fn remove_host(&mut self, index: usize) -> Vec<Effect> {
        // A number in a prompt would be that of another host from now on.
        for index in 0..self.draft.hosts() {
            hosts::name_prompts(&mut self.draft, index, None);
        }
        self.draft.take(&format!("hosts[{index}]"));
        if self.draft.hosts() == 0 {
            self.draft.take("hosts");
        }
        self.typed = std::mem::take(&mut self.typed)
            .into_iter()
            .filter_map(|path| moved("hosts", &path, index))
            .collect();
        let aside: BTreeMap<String, Json> = std::mem::take(&mut self.aside);
        self.aside = aside
            .into_iter()
            .filter_map(|(path, value)| Some((moved("hosts", &path, index)?, value)))
            .collect();
        self.host = match self.host {
            Some(open) if open == index => None,
            Some(open) if open > index => Some(open - 1),
            same => same,
        };
        self.rejudge();
        Vec::new()
    }

    /// All of them, or none with what is wrong in each line.
    pub(super) fn add_hosts(&mut self, text: &str) -> Vec<Effect> {
        let read = match hosts::read(text, self.words()) {
            Ok(read) => read,
            Err(wrong) => {
                let lines = wrong.iter().map(|one| (one.line, one.message.as_str(), one.remedy.as_str()));
                self.refuse_lines(&lines.collect::<Vec<_>>());
                return Vec::new();
            }
        };
        let before = self.draft.hosts();
        let mut draft = self.draft.clone();
        for (_, host) in &read {
            draft.set(&format!("hosts[{}]", draft.hosts()), host.clone());
        }
        let judged = draft.judge(&self.circumstances());
        let wrong = judged.wrong.iter().filter_map(|finding| {
            let rest = finding.path.strip_prefix("hosts[")?;
            let (index, rest) = rest.split_once(']')?;
            // What is about the host as a whole is for the page of access.
            let line = read.get(index.parse::<usize>().ok()?.checked_sub(before)?)?.0;
            (!rest.is_empty()).then_some((line, finding.message.as_str(), finding.remedy.as_str()))
        });
        let wrong: Vec<_> = wrong.collect();
        if !wrong.is_empty() {
            self.refuse_lines(&wrong);
            return Vec::new();
        }
        self.draft = draft;
        for (index, (_, host)) in read.iter().enumerate() {
            let keys = host.as_object().into_iter().flatten().map(|(key, _)| key);
            self.typed.extend(keys.map(|key| format!("hosts[{}].{key}", before + index)));
        }
        self.rejudge();
        self.notice = Some(self.words().fill("notice.hosts", &[("count", &read.len().to_string())]));
        self.save(false)
    }

    fn refuse_lines(&mut self, wrong: &[(usize, &str, &str)]) {
        let words = self.words();
        let line = |(line, message, remedy): &(usize, &str, &str)| {
            words.fill(
                "refused.line",
                &[("line", &line.to_string()), ("message", message), ("remedy", remedy)],
            )
        };
        let message = wrong.iter().map(line).collect::<Vec<_>>().join("\n");
        let remedy = words.text("refused.lines.next");
        self.refused = Some(Refused { field: None, message, remedy });
    }
}

/// The path of a value after the item of this number was taken out of a list; none where it was of that item.
pub(super) fn moved(list: &str, path: &str, removed: usize) -> Option<String> {
    let of_list = path.strip_prefix(list).and_then(|rest| rest.strip_prefix('['));
    let Some((index, rest)) = of_list.and_then(|rest| rest.split_once(']')) else {
        return Some(path.to_owned());
    };
    match index.parse::<usize>().ok()? {
        index if index == removed => None,
        index if index > removed => Some(format!("{list}[{}]{rest}", index - 1)),
        _ => Some(path.to_owned()),
    }
}
