//! Answers that the product needs, and risks that somebody accepted: profile and bundle alone.

use std::collections::BTreeSet;

use sealift_bundle::document::BundleDocument;
use sealift_bundle::values::kind;
use sealift_profile::{AcceptedRisk, Environment, Site, nearest};

use super::{Check, Scope, Severity, Verdict, catalogue, check};
use crate::environment;
use crate::finding::Group;
use crate::run::CheckInput;
use crate::text::list;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "product.settings",
        title: "Answers to the product's questions",
        why: "the product cannot be set up with an answer missing, and an answer that nobody asked for is usually misspelt.",
        group: Group::Product,
        severity: Severity::Stop,
        beyond: None,
        deep: false,
        fixable: false,
        facts: &[],
        scope: Scope::Site(settings),
    },
    Check {
        id: "product.secrets",
        title: "The product's secrets",
        why: "the product cannot start without them.",
        group: Group::Product,
        severity: Severity::Stop,
        beyond: None,
        deep: false,
        fixable: false,
        facts: &[],
        scope: Scope::Site(secrets),
    },
    Check {
        id: "risks.known",
        title: "Accepted risks",
        why: "an acceptance that fits no check accepts nothing, and whoever signed it believes otherwise.",
        group: Group::Product,
        severity: Severity::Stop,
        beyond: None,
        deep: false,
        fixable: false,
        facts: &[],
        scope: Scope::Site(risks),
    },
    Check::of_site(
        Severity::Block,
        "product.setting-kinds",
        "Kinds of the answers",
        "a number where the product wants a text, or the other way round, ends in a service that does not start.",
        kinds,
    ),
    Check::of_site(
        Severity::Advice,
        "site.masters",
        "Number of masters",
        "with fewer than three masters, the loss of one stops every change to the cluster.",
        masters,
    ),
    Check::of_site(
        Severity::Advice,
        "site.workers",
        "Number of workers",
        "with a single worker, its loss stops the product.",
        workers,
    ),
    Check::of_site(
        Severity::Advice,
        "site.name-servers",
        "Number of name servers",
        "the resolver in every pod asks the first three and never the rest.",
        name_servers,
    ),
];

/// `a` (did you mean `b`?).
fn misspelt<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(name, known)
        .map_or_else(|| format!("`{name}`"), |near| format!("`{name}` (did you mean `{near}`?)"))
}

fn settings(input: &CheckInput<'_>, document: &BundleDocument) -> Verdict {
    let (asked, answers) = (&document.settings, &input.site.product.settings);
    let unknown: Vec<String> = answers
        .keys()
        .filter(|name| !asked.contains_key(*name))
        .map(|name| misspelt(name, asked.keys().map(String::as_str)))
        .collect();
    let open: Vec<String> = asked
        .iter()
        .filter(|(name, setting)| setting.default.is_none() && !answers.contains_key(*name))
        .map(|(name, setting)| format!("`{name}` ({})", setting.description))
        .collect();
    let title = &document.product.title;
    let mut measured = Vec::new();
    let mut remedy = Vec::new();
    if !open.is_empty() {
        measured.push(format!("no answer to {}", list(&open)));
        remedy.push("answer them under product.settings");
    }
    if !unknown.is_empty() {
        measured.push(format!("{title} does not ask for {}", list(&unknown)));
        remedy.push("correct the names under product.settings, or take them out");
    }
    if measured.is_empty() {
        Verdict::pass(format!("{} questions, {} answered by the site", asked.len(), answers.len()))
    } else {
        Verdict::fail(measured.join("; "), remedy.join("; "))
    }
}

fn secrets(input: &CheckInput<'_>, document: &BundleDocument) -> Verdict {
    let asked: BTreeSet<&str> =
        document.secrets.iter().flat_map(|secret| secret.from_site.values()).map(String::as_str).collect();
    let given = &input.site.product.secrets;
    let open: Vec<String> =
        asked.iter().filter(|name| !given.contains_key(**name)).map(|name| format!("`{name}`")).collect();
    let unknown: Vec<String> = given
        .keys()
        .filter(|name| !asked.contains(name.as_str()))
        .map(|name| misspelt(name, asked.iter().copied()))
        .collect();
    let title = &document.product.title;
    if !open.is_empty() {
        let also = if unknown.is_empty() {
            String::new()
        } else {
            format!("; {title} does not ask for {}", list(&unknown))
        };
        let remedy = "say under product.secrets where each of them is: {file: …}, {env: …}, {prompt: …} or {sealed: …}";
        Verdict::fail(format!("{} missing{also}", list(&open)), remedy)
    } else if !unknown.is_empty() {
        let remedy = "correct the names under product.secrets, or take them out";
        Verdict::fail(format!("{title} does not ask for {}", list(&unknown)), remedy)
    } else {
        Verdict::pass(format!("{} of {} named", asked.len(), asked.len()))
    }
}

/// What is wrong with the accepted risks of a profile, one sentence each: checks that do not exist (with the nearest
/// that does), and checks that nobody may accept. (Hosts and dates are looked at when the profile is loaded.)
#[must_use]
pub fn risk_faults(site: &Site) -> Vec<String> {
    let fault = |risk: &AcceptedRisk| match check(&risk.check) {
        None => {
            let known = misspelt(&risk.check, catalogue().iter().map(|check| check.id));
            Some(format!("there is no check {known}"))
        }
        Some(check) if check.severity == Severity::Stop => {
            Some(format!("`{}` cannot be accepted: nothing works without it", check.id))
        }
        Some(check) if check.severity == Severity::Advice && !environment::blocks(check.id, site) => {
            Some(format!("`{}` need not be accepted: it only warns", check.id))
        }
        Some(_) => None,
    };
    site.accepted_risks.iter().filter_map(fault).collect()
}

fn risks(input: &CheckInput<'_>, _: &BundleDocument) -> Verdict {
    let wrong = risk_faults(input.site);
    if wrong.is_empty() {
        Verdict::pass(format!("{} accepted", input.site.accepted_risks.len()))
    } else {
        Verdict::fail(list(&wrong), "correct the ids under acceptedRisks, or take them out")
    }
}

/// The default's kind is the kind that the product's chart expects.
fn kinds(input: &CheckInput<'_>, document: &BundleDocument) -> Verdict {
    let answers = &input.site.product.settings;
    let wrong: Vec<String> = answers
        .iter()
        .filter_map(|(name, answer)| {
            let default = document.settings.get(name)?.default.as_ref()?;
            let (has, wants) = (kind(answer), kind(default));
            (has != wants && !default.is_null())
                .then(|| format!("`{name}` is {has}, the product wants {wants}"))
        })
        .collect();
    if wrong.is_empty() {
        Verdict::pass(format!("{} answers of the right kind", answers.len()))
    } else {
        Verdict::fail(list(&wrong), "correct them under product.settings; a text stands in quotes")
    }
}

fn masters(input: &CheckInput<'_>, _: &BundleDocument) -> Verdict {
    let count = input.site.masters().count();
    spare(input, "site.masters", count, 3, "name three masters").limit("3 or more")
}

fn workers(input: &CheckInput<'_>, _: &BundleDocument) -> Verdict {
    // Without workers, the masters do their work.
    let count = match input.site.workers().count() {
        0 => input.site.masters().count(),
        count => count,
    };
    let limit = "2 or more hosts that the product may run on";
    spare(input, "site.workers", count, 2, "name more workers").limit(limit)
}

/// Fewer machines than survive a loss: what that means depends on what the site is for.
fn spare(input: &CheckInput<'_>, check: &str, count: usize, enough: usize, remedy: &str) -> Verdict {
    if count >= enough {
        Verdict::pass(count.to_string())
    } else if input.site.environment == Some(Environment::Test) {
        Verdict::pass(format!("{count}, enough for a test site"))
    } else if environment::blocks(check, input.site) {
        let remedy = format!("{remedy}, or let somebody accept the risk under acceptedRisks");
        Verdict::fail(format!("{count} in production"), remedy).unless_accepted()
    } else {
        Verdict::warn(count.to_string(), format!("nothing for a trial; else {remedy}"))
    }
}

fn name_servers(input: &CheckInput<'_>, _: &BundleDocument) -> Verdict {
    let count = input.site.cluster.nameservers.len();
    if count <= 3 {
        Verdict::pass(count.to_string()).limit("3 or fewer")
    } else {
        let remedy = "keep the three under cluster.nameservers that know most";
        Verdict::warn(count.to_string(), remedy).limit("3 or fewer")
    }
}
