//! An answer as it was typed to a value of the profile, and into it.

use sealift_profile::ProfileFinding;
use sealift_report::questionnaire;
use serde_json::{Value as Json, json};

use crate::field::{self, Field, Kind};
use crate::hosts;
use crate::model::{Mark, Model, Refused};
use crate::page::PageId;
use crate::risks::RISKS;

/// Longest answer, characters.
const MOST: usize = 4096;

impl Model {
    fn refuse(&self, field: &Field, key: &str, places: &[(&str, &str)]) -> Refused {
        let words = self.words();
        Refused {
            field: Some(field.path.clone()),
            message: words.fill(key, places),
            remedy: words.fill(&format!("{key}.next"), places),
        }
    }

    /// The value of an answer; what the profile's rules say about it is seen when it is put in.
    pub(crate) fn read_answer(&self, field: &Field, text: &str) -> Result<Json, Refused> {
        if text.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER) {
            return Err(self.refuse(field, "refused.control", &[]));
        }
        if text.chars().count() > MOST {
            return Err(self.refuse(field, "refused.long", &[]));
        }
        let kind = match field.kind {
            Kind::Text | Kind::TextOfFile => return Ok(json!(text)),
            Kind::Choice(choices) => return self.choice(field, choices, text),
            Kind::Number => questionnaire::Kind::Number,
            Kind::YesNo => questionnaire::Kind::YesNo,
            Kind::List => questionnaire::Kind::List,
            Kind::Secret => questionnaire::Kind::Secret,
        };
        questionnaire::value(&field.path, kind, text).map_err(|wrong| Refused {
            field: Some(field.path.clone()),
            message: self.words().say(&wrong.message),
            remedy: self.words().say(&wrong.remedy),
        })
    }

    /// One of the words, its number, or what people call it.
    fn choice(&self, field: &Field, choices: &[&str], text: &str) -> Result<Json, Refused> {
        let number = text.parse::<usize>().ok();
        let called = |choice: &str| self.words().text(&format!("choice.{choice}"));
        let found = choices.iter().enumerate().find(|(index, choice)| {
            number == Some(index + 1)
                || text.eq_ignore_ascii_case(choice)
                || text.to_lowercase() == called(choice).to_lowercase()
        });
        // What the form says for the two duties of a machine.
        let duty = || {
            let machine = questionnaire::machine(&format!("x, x, {text}")).ok()?;
            (choices == field::ROLES).then(|| machine["role"].clone())
        };
        match found {
            Some((_, choice)) => Ok(json!(choice)),
            None => duty().ok_or_else(|| {
                let text: String = text.chars().take(60).collect();
                self.refuse(field, "refused.choice", &[("answer", &text), ("choices", &choices.join(", "))])
            }),
        }
    }

    /// Puts a value into the profile, unless its rules say something against it.
    pub(crate) fn put(&mut self, field: &Field, value: Json) -> Result<(), Refused> {
        let mut draft = self.draft.clone();
        let mut back = Vec::new();
        if draft.get(&field.path).is_none() {
            for path in self.kept_with(&field.path) {
                if let Some(kept) = self.aside.get(&path) {
                    draft.set(&path, kept.clone());
                    back.push(path);
                }
            }
        }
        let before = hosts::index_of(&field.path).and_then(|index| hosts::name(&draft, index));
        draft.set(&field.path, value);
        if let Some(index) = hosts::index_of(&field.path) {
            hosts::name_prompts(&mut draft, index, before.as_deref());
        }
        let judged = draft.judge(&self.circumstances());
        if let Some(finding) = judged.wrong.iter().find(|finding| is_about(finding, field)) {
            return Err(Refused {
                field: Some(field.path.clone()),
                message: finding.message.clone(),
                remedy: finding.remedy.clone(),
            });
        }
        if draft != self.draft {
            self.typed.insert(field.path.clone());
            self.draft = draft;
            self.judged = judged;
            for path in back {
                self.aside.remove(&path);
            }
            self.changed(&field.path);
        }
        Ok(())
    }

    /// Takes an answer back. What hangs on it is kept aside.
    pub(crate) fn clear(&mut self, field: &Field) {
        if self.draft.get(&field.path).is_none() {
            return;
        }
        self.draft.take(&field.path);
        self.typed.remove(&field.path);
        for path in self.kept_with(&field.path) {
            if let Some(value) = self.draft.take(&path) {
                self.aside.insert(path, value);
            }
        }
        self.rejudge_after(&field.path);
    }

    /// Paths of what is kept aside as long as the field at `gate` has no answer.
    fn kept_with(&self, gate: &str) -> Vec<String> {
        let hangs = |field: &Field| field.gate.as_deref() == Some(gate);
        let fields = field::of_page(self, self.page);
        if !fields.iter().any(hangs) {
            return Vec::new();
        }
        match gate.rsplit_once('.') {
            // The map is there for other reasons, too.
            None | Some(("access", _)) => fields.into_iter().filter(hangs).map(|field| field.path).collect(),
            Some((group, _)) => vec![group.to_owned()],
        }
    }

    /// After the draft has changed.
    pub(crate) fn rejudge(&mut self) {
        self.rejudge_after("");
    }

    /// After the draft has changed at this path.
    pub(crate) fn rejudge_after(&mut self, path: &str) {
        self.judged = self.draft.judge(&self.circumstances());
        self.changed(path);
    }

    /// Pages behind this one that were done are to be looked at again; what was calculated is old.
    fn changed(&mut self, path: &str) {
        self.unsaved = true;
        self.found.clear();
        self.notice = None;
        // Who accepts a risk changes nothing on any host.
        if !path.starts_with(RISKS) {
            self.sizing.outdate();
            self.checked.outdate();
            self.planned.outdate();
        }
        for page in PageId::ALL.into_iter().filter(|page| *page > self.page && !page.is_of_run()) {
            if self.mark(page) == Mark::Done {
                self.marks.insert(page, Mark::Review);
            }
        }
    }
}

/// Whether a finding is about the value of this field.
fn is_about(finding: &ProfileFinding, field: &Field) -> bool {
    finding.path.strip_prefix(&field.path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
