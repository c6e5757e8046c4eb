//! What differs between two reports of a site.

use std::collections::BTreeSet;

use crate::message::Message;
use crate::report::{Report, Risk};
use crate::words::Words;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What differs, in words.
    pub what: String,
    /// What it was; nothing where it was not there.
    pub was: Option<String>,
    /// What it is; nothing where it is gone.
    pub is: Option<String>,
}

/// Every difference that a person who signed the old report should see, in the order of the pages.
#[must_use]
pub fn compare(old: &Report, new: &Report, words: Words) -> Vec<Difference> {
    let mut found = Found(Vec::new());
    let readiness = |report: &Report| {
        words.text(&format!("readiness.{}", crate::build::readiness_word(report.decision.readiness)))
    };
    found.value(words.text("label.readiness"), readiness(old), readiness(new));
    let version = |report: &Report| format!("{} {}", report.heading.product, report.heading.version);
    found.value(words.text("compare.product"), version(old), version(new));
    found.lists(&machines(old, words), &machines(new, words));
    found.lists(&answers(old, words), &answers(new, words));
    let total = |report: &Report| words.range(&report.timeline.total);
    found.value(words.text("label.dates"), total(old), total(new));
    found.lists(&risks(old, words), &risks(new, words));
    found.0
}

type Named = Vec<(String, String)>;

fn machines(report: &Report, words: Words) -> Named {
    let line = |line: &crate::report::MachineLine| {
        let amounts = [&line.count, &line.cores, &line.memory, &line.disk];
        let text = amounts.map(|figure| words.quantity(figure.amount)).join(", ");
        (words.say(&line.purpose), text)
    };
    report.decision.machines.iter().map(line).collect()
}

fn answers(report: &Report, words: Words) -> Named {
    let line = |told: &crate::report::Told| {
        let source = words.text(if told.assumed { "told.assumed" } else { "told.told" });
        (told.key.clone(), format!("{} ({source})", words.say(&told.told)))
    };
    report.answers.iter().map(line).collect()
}

fn risks(report: &Report, words: Words) -> Named {
    let line = |risk: &Risk| {
        let hosts = risk.hosts.join(", ");
        let message = Message::new("compare.risk").part("what", risk.what.clone());
        (words.say(&message), hosts)
    };
    report.risks.iter().map(line).collect()
}

struct Found(Vec<Difference>);

impl Found {
    fn value(&mut self, what: String, was: String, is: String) {
        if was != is {
            self.0.push(Difference { what, was: Some(was), is: Some(is) });
        }
    }

    /// By name: changed, gone, new.
    fn lists(&mut self, old: &Named, new: &Named) {
        let names: BTreeSet<&String> = old.iter().map(|(name, _)| name).collect();
        for (name, was) in old {
            match new.iter().find(|(other, _)| other == name) {
                Some((_, is)) => self.value(name.clone(), was.clone(), is.clone()),
                None => self.0.push(Difference { what: name.clone(), was: Some(was.clone()), is: None }),
            }
        }
        let added = new.iter().filter(|(name, _)| !names.contains(name));
        self.0.extend(added.map(|(name, is)| Difference {
            what: name.clone(),
            was: None,
            is: Some(is.clone()),
        }));
    }
}
