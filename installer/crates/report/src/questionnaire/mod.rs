//! The questions that a site must answer, as a form for people who know no YAML; a filled-in form becomes a profile.
//!
//! In order of use: [`questions`], then [`form`] (plain text to fill in and send back) or [`sheet`] (to print and fill in
//! by hand), and [`import`] for what comes back. What nobody answers is assumed by the sizing, or left open in the profile.

mod answer;
mod import;

use sealift_bundle::document::BundleDocument;

use crate::document::{Block, Document, Section};
use crate::message::Message;
use crate::words::Words;

pub use answer::{Refused, host as machine, value};
pub use import::{FormFinding, Imported, import};

/// What an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One line of text.
    Text,
    /// A number, with or without a point.
    Number,
    /// Yes or no.
    YesNo,
    /// Several words, parted by commas.
    List,
    /// Where a secret is; never the secret.
    Secret,
    /// A machine on each line.
    Hosts,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Key in the profile, e.g. `needs.users`; stands in the form, so that an answer finds its place in any language.
    pub key: String,
    /// Which part of the form it stands in: `site`, `needs`, `machines`, `access`, `network`, `product`.
    pub part: &'static str,
    /// What may be answered.
    pub kind: Kind,
    /// Words of the vendor's own question; those of other questions come from the catalogue.
    pub asked: Option<String>,
}

const fn question(key: &'static str, part: &'static str, kind: Kind) -> (&'static str, &'static str, Kind) {
    (key, part, kind)
}

const QUESTIONS: [(&str, &str, Kind); 27] = [
    question("metadata.name", "site", Kind::Text),
    question("needs.users", "needs", Kind::Number),
    question("needs.concurrentPercent", "needs", Kind::Number),
    question("needs.thinkSeconds", "needs", Kind::Number),
    question("needs.responseSeconds", "needs", Kind::Number),
    question("needs.peakFactor", "needs", Kind::Number),
    question("needs.dataGigabytesPerDay", "needs", Kind::Number),
    question("needs.retentionDays", "needs", Kind::Number),
    question("needs.growth.usersPercentPerYear", "needs", Kind::Number),
    question("needs.growth.dataPercentPerYear", "needs", Kind::Number),
    question("needs.growth.years", "needs", Kind::Number),
    question("needs.availability", "needs", Kind::YesNo),
    question("hosts", "machines", Kind::Hosts),
    question("access.user", "access", Kind::Text),
    question("access.port", "access", Kind::Number),
    question("access.privateKey", "access", Kind::Secret),
    question("access.password", "access", Kind::Secret),
    question("access.sudoPassword", "access", Kind::Secret),
    question("access.knownHosts", "access", Kind::Text),
    question("access.bastion.address", "access", Kind::Text),
    question("access.bastion.user", "access", Kind::Text),
    question("access.bastion.hostKey", "access", Kind::Text),
    question("cluster.endpoint", "network", Kind::Text),
    question("cluster.endpointPort", "network", Kind::Number),
    question("cluster.podCidr", "network", Kind::Text),
    question("cluster.serviceCidr", "network", Kind::Text),
    question("cluster.nameservers", "network", Kind::List),
];

/// All questions; those of the product where its bundle is at hand.
#[must_use]
pub fn questions(document: Option<&BundleDocument>) -> Vec<Question> {
    let own = QUESTIONS.iter().map(|(key, part, kind)| Question {
        key: (*key).to_owned(),
        part,
        kind: *kind,
        asked: None,
    });
    let mut all: Vec<Question> = own.collect();
    let Some(document) = document else { return all };
    let of_product =
        |key: String, kind: Kind, asked: String| Question { key, part: "product", kind, asked: Some(asked) };
    all.extend(document.settings.iter().map(|(name, setting)| {
        let kind = match &setting.default {
            Some(serde_json::Value::Bool(_)) => Kind::YesNo,
            Some(serde_json::Value::Number(_)) => Kind::Number,
            _ => Kind::Text,
        };
        of_product(format!("product.settings.{name}"), kind, setting.description.clone())
    }));
    let mut names: Vec<&String> =
        document.secrets.iter().flat_map(|secret| secret.from_site.values()).collect();
    names.sort();
    names.dedup();
    all.extend(
        names
            .into_iter()
            .map(|name| of_product(format!("product.secrets.{name}"), Kind::Secret, name.clone())),
    );
    all
}

impl Question {
    /// The question in words; the vendor's own are in one language only.
    #[must_use]
    pub fn asked(&self, words: Words) -> String {
        self.asked.clone().unwrap_or_else(|| words.text(&format!("form.{}", self.key)))
    }

    /// How to write an answer, with an example.
    #[must_use]
    pub fn hint(&self, words: Words) -> Option<String> {
        let key = match self.kind {
            Kind::Secret => "form.hint.secret".to_owned(),
            Kind::YesNo => "form.hint.yesNo".to_owned(),
            Kind::Hosts => "form.hint.hosts".to_owned(),
            _ if self.asked.is_some() => return None,
            _ => format!("form.{}.example", self.key),
        };
        Some(words.text(&key))
    }
}

fn title(document: Option<&BundleDocument>, words: Words) -> String {
    match document {
        Some(document) => words.say(
            &Message::new("form.title.product")
                .word("product", &document.product.title)
                .word("version", &document.product.version),
        ),
        None => words.text("form.title"),
    }
}

/// The parts in their order, each with its questions.
fn parts(all: &[Question]) -> Vec<(&'static str, Vec<&Question>)> {
    ["site", "needs", "machines", "access", "network", "product"]
        .into_iter()
        .map(|part| (part, all.iter().filter(|question| question.part == part).collect::<Vec<_>>()))
        .filter(|(_, questions)| !questions.is_empty())
        .collect()
}

/// One line of somebody else's words: nothing in it may look like a line of the form.
fn line(text: &str) -> String {
    let plain = crate::document::tame(text);
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The form as text: a question, its key in brackets, and a line for the answer.
#[must_use]
pub fn form(document: Option<&BundleDocument>, words: Words) -> String {
    let mut lines = vec![format!("# {}", line(&title(document, words)))];
    for intro in ["form.intro.1", "form.intro.2", "form.intro.3"] {
        lines.push(format!("# {}", words.text(intro)));
    }
    let all = questions(document);
    let mut number = 0;
    for (part, questions) in parts(&all) {
        lines.push(String::new());
        lines.push(format!("# === {} ===", words.text(&format!("form.part.{part}"))));
        for question in questions {
            number += 1;
            lines.push(String::new());
            lines.push(format!("{number}. {} [{}]", line(&question.asked(words)), question.key));
            for hint in question.hint(words).iter().flat_map(|hint| hint.split('\n')) {
                lines.push(format!("#  {hint}"));
            }
            lines.push(format!("{}: ", words.text("form.answer")));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

/// The form to print and to fill in by hand.
#[must_use]
pub fn sheet(document: Option<&BundleDocument>, words: Words) -> Document {
    let title = title(document, words);
    let all = questions(document);
    let mut number = 0;
    let section = |(part, questions): (&'static str, Vec<&Question>)| {
        let mut blocks = Vec::new();
        for question in questions {
            number += 1;
            blocks.push(Block::Heading(format!("{number}. {} [{}]", question.asked(words), question.key)));
            if let Some(hint) = question.hint(words) {
                blocks.push(Block::Say(hint));
            }
            blocks.push(Block::Blank(if question.kind == Kind::Hosts { 10 } else { 1 }));
        }
        let title = words.text(&format!("form.part.{part}"));
        Section { id: part, title, annex: false, new_page: part == "machines", blocks }
    };
    let mut sections: Vec<Section> = parts(&all).into_iter().map(section).collect();
    let signed = vec![words.text("form.sign")];
    if let Some(last) = sections.last_mut() {
        last.blocks.push(Block::Sign(signed));
    }
    Document {
        language: words.language(),
        running: title.clone(),
        title,
        lines: ["form.intro.2", "form.intro.3"].map(|key| words.text(key)).to_vec(),
        sections,
    }
}
