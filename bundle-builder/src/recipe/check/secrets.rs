//! Secrets that are made before a release: names as Kubernetes takes them, and each key from one place.

use super::{Findings, among, indexed};
use crate::recipe::Recipe;

/// Longest name of an object, and longest key of a Secret, bytes.
const LONGEST: usize = 253;

impl Findings {
    pub(super) fn secrets(&mut self, recipe: &Recipe) {
        let components: Vec<&String> = recipe.components.iter().map(|component| &component.name).collect();
        for (index, secret) in recipe.secrets.iter().enumerate() {
            let place = format!("secrets[{index}] ({})", secret.name);
            self.unless(
                components.contains(&&secret.component),
                &place,
                format!(
                    "there is no component `{}`{}",
                    secret.component,
                    among(&secret.component, components.iter().copied())
                ),
            );
            self.unless(
                is_subdomain(&secret.name),
                format!("secrets[{index}].name"),
                format!(
                    "`{}` is no name that Kubernetes takes: lower-case letters, digits, `-` and `.`, a letter or digit at the ends of each part, {LONGEST} characters at most",
                    secret.name
                ),
            );
            self.unless(
                !secret.from_site.is_empty()
                    || !secret.generated.is_empty()
                    || !secret.from_services.is_empty(),
                &place,
                "it would be empty: give fromSite, fromServices or generated",
            );
            let generated = |at: usize| format!("secrets[{index}].generated[{at}]");
            let from_site =
                secret.from_site.keys().map(|key| (format!("secrets[{index}].fromSite.{key}"), key));
            let from_services =
                secret.from_services.keys().map(|key| (format!("secrets[{index}].fromServices.{key}"), key));
            let made = secret.generated.iter().enumerate().map(|(at, key)| (generated(at), key));
            for (place, key) in from_site.chain(from_services).chain(made.clone()) {
                self.unless(
                    is_key(key),
                    place,
                    format!(
                        "`{key}` is no key that a Secret takes: letters, digits, `-`, `_` and `.`, no `..` at its start, {LONGEST} characters at most"
                    ),
                );
            }
            self.unique(made.clone());
            for (place, key) in made.filter(|(_, key)| secret.from_site.contains_key(*key)) {
                self.add(place, format!("the key `{key}` is both taken from the site and generated"));
            }
        }
        let pairs: Vec<String> =
            recipe.secrets.iter().map(|secret| format!("{} of {}", secret.name, secret.component)).collect();
        self.unique(indexed("secrets", "name", pairs.iter()));
    }
}

/// Whether `text` is a DNS subdomain (RFC 1123), as Kubernetes reads it.
fn is_subdomain(text: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= LONGEST
        && text.split('.').map(str::as_bytes).all(|part| {
            part.iter().all(|c| plain(*c) || *c == b'-')
                && part.first().is_some_and(|c| plain(*c))
                && part.last().is_some_and(|c| plain(*c))
        })
}

/// Whether `text` can be a key of a Secret.
fn is_key(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len())
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._".contains(&c))
        && text != "."
        && !text.starts_with("..")
}
