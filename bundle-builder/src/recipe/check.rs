//! What a recipe must hold in itself, before anything that it names is looked at.

use std::collections::BTreeMap;

use sealift_bundle::document::API_VERSION;

use super::{KIND, Recipe};
use crate::nearest::{did_you_mean, nearest};

mod files;
mod images;
mod product;
mod secrets;
mod services;
mod values;

use images::PLATFORMS;

/// Every contradiction in `recipe`: its place, as a path from the top, and what is wrong.
pub(super) fn findings(recipe: &Recipe) -> Vec<(String, String)> {
    let mut findings = Findings(Vec::new());
    findings.header(recipe);
    findings.images(recipe);
    findings.cluster_images(recipe);
    findings.hints(recipe);
    findings.charts(recipe);
    findings.files(recipe);
    findings.directories(recipe);
    findings.components(recipe);
    findings.values_from(recipe);
    findings.secrets(recipe);
    findings.settings(recipe);
    findings.sizing(recipe);
    findings.services(recipe);
    findings.0
}

/// Collects places and sentences.
struct Findings(Vec<(String, String)>);

impl Findings {
    fn add(&mut self, place: impl AsRef<str>, what: impl AsRef<str>) {
        self.0.push((place.as_ref().to_owned(), what.as_ref().to_owned()));
    }

    fn unless(&mut self, holds: bool, place: impl AsRef<str>, what: impl AsRef<str>) {
        if !holds {
            self.add(place, what);
        }
    }

    fn header(&mut self, recipe: &Recipe) {
        self.unless(
            recipe.api_version == API_VERSION,
            "apiVersion",
            format!("`{}` is not known to this program, which reads `{API_VERSION}`", recipe.api_version),
        );
        self.unless(recipe.kind == KIND, "kind", format!("`{}` is no `{KIND}`", recipe.kind));
        self.unless(
            is_label(&recipe.product.name),
            "product.name",
            format!("`{}` must be lower-case letters, digits and `-`", recipe.product.name),
        );
        // Both stand in the signature's one-line comment.
        for (place, text) in
            [("product.title", &recipe.product.title), ("product.version", &recipe.product.version)]
        {
            self.unless(
                !text.trim().is_empty() && !text.contains(char::is_control),
                place,
                "must be one line of text",
            );
        }
        self.unless(
            recipe.kubernetes.version.starts_with('v') && recipe.kubernetes.version.matches('.').count() == 2,
            "kubernetes.version",
            format!("`{}` must look like `v1.36.3`", recipe.kubernetes.version),
        );
        self.unless(!recipe.platforms.is_empty(), "platforms", "at least one is needed, e.g. `linux/amd64`");
        for (index, platform) in recipe.platforms.iter().enumerate() {
            let parts: Vec<&str> = platform.split('/').collect();
            let place = format!("platforms[{index}]");
            if matches!(parts.len(), 2 | 3) && parts.iter().all(|part| !part.is_empty()) {
                self.platform(place, platform, &PLATFORMS);
            } else {
                self.add(place, format!("`{platform}` must look like `linux/amd64`"));
            }
        }
        self.unique(recipe.platforms.iter().enumerate().map(|(i, name)| (format!("platforms[{i}]"), name)));
        self.unless(
            (1..=19).contains(&recipe.compression.level),
            "compression.level",
            "must be between 1 and 19: higher levels need more memory than hosts should spend on unpacking",
        );
    }

    /// Names that stand at more than one place.
    fn unique<'a>(&mut self, names: impl Iterator<Item = (String, &'a String)>) {
        let mut first: BTreeMap<&str, String> = BTreeMap::new();
        for (place, name) in names {
            if let Some(first) = first.get(name.as_str()) {
                self.add(&place, format!("{name} stands already at {first}"));
            } else {
                first.insert(name, place);
            }
        }
    }
}

/// Each name of a list with its place.
fn indexed<'a>(
    list: &'static str,
    key: &'static str,
    names: impl Iterator<Item = &'a String>,
) -> impl Iterator<Item = (String, &'a String)> {
    names.enumerate().map(move |(index, name)| (format!("{list}[{index}].{key}"), name))
}

/// A hint at the nearest of `names`, ready to stand behind a sentence.
fn among<'a>(wrong: &str, names: impl Iterator<Item = &'a String>) -> String {
    did_you_mean(nearest(wrong, names.map(String::as_str)))
}

/// Whether `text` is a DNS label (RFC 1123).
fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests;
