//! Images and charts.

use std::collections::BTreeSet;

use super::{Findings, among, indexed};
use crate::image::ImageName;
use crate::manifest::serves;
use crate::nearest::{did_you_mean, nearest, nearest_image};
use crate::recipe::{ChartSource, ImageHint, Recipe};

/// What hosts can be and public images are made for, as images' indexes write it (image-spec, platform).
pub(super) const PLATFORMS: [&str; 8] = [
    "linux/386",
    "linux/amd64",
    "linux/arm/v6",
    "linux/arm/v7",
    "linux/arm64",
    "linux/ppc64le",
    "linux/riscv64",
    "linux/s390x",
];

impl Findings {
    pub(super) fn images(&mut self, recipe: &Recipe) {
        for (index, image) in recipe.images.iter().enumerate() {
            let place = format!("images[{index}]");
            if let Err(error) = image.name.parse::<ImageName>() {
                self.add(format!("{place}.name"), error.to_string());
            }
            self.platforms(&place, &image.platforms, &PLATFORMS);
        }
        self.unique(indexed("images", "name", recipe.images.iter().map(|image| &image.name)));
    }

    /// Platforms of one entry are among those that there can be.
    pub(super) fn platforms(&mut self, place: &str, platforms: &[String], possible: &[&str]) {
        for (index, platform) in platforms.iter().enumerate() {
            self.platform(format!("{place}.platforms[{index}]"), platform, possible);
        }
        self.unique(platforms.iter().enumerate().map(|(i, name)| (format!("{place}.platforms[{i}]"), name)));
    }

    /// One platform is among those that there can be.
    pub(super) fn platform(&mut self, place: String, platform: &str, possible: &[&str]) {
        self.unless(
            possible.iter().any(|one| serves(platform, one)),
            place,
            format!(
                "`{platform}` is not among {}{}",
                possible.join(", "),
                did_you_mean(nearest(platform, possible.iter().copied()))
            ),
        );
    }

    /// Images that the cluster starts by itself, from no chart.
    pub(super) fn cluster_images(&mut self, recipe: &Recipe) {
        let listed: BTreeSet<&str> = recipe.images.iter().map(|image| image.name.as_str()).collect();
        for (place, image) in recipe.cluster_images() {
            self.unless(
                listed.contains(image.as_str()),
                place,
                format!("needs the image {image}, which {}", not_listed(&image, &listed)),
            );
        }
    }

    pub(super) fn hints(&mut self, recipe: &Recipe) {
        let listed: BTreeSet<&str> = recipe.images.iter().map(|image| image.name.as_str()).collect();
        for (index, hint) in recipe.image_hints.iter().enumerate() {
            let ImageHint::Images { component, images } = hint else { continue };
            let names = || recipe.components.iter().map(|component| &component.name);
            self.unless(
                names().any(|name| name == component),
                format!("imageHints[{index}].component"),
                format!("there is no component `{component}`{}", among(component, names())),
            );
            for (at, image) in images.iter().enumerate() {
                self.unless(
                    listed.contains(image.as_str()),
                    format!("imageHints[{index}].images[{at}]"),
                    format!("{image} {}", not_listed(image, &listed)),
                );
            }
        }
    }

    pub(super) fn charts(&mut self, recipe: &Recipe) {
        for (index, chart) in recipe.charts.iter().enumerate() {
            let place = format!("charts[{index}]");
            match &chart.source {
                ChartSource::Local(_) => {}
                ChartSource::Repository { url, name, version } => {
                    self.web_address(&format!("{place}.repository"), url);
                    self.unless(
                        !name.is_empty() && !name.contains(['/', ' ']),
                        format!("{place}.name"),
                        format!("`{name}` is no name of a chart"),
                    );
                    self.exact_version(&place, version);
                }
                ChartSource::Oci { repository, version } => {
                    if let Err(error) = format!("{repository}:0").parse::<ImageName>() {
                        let what = format!("`{repository}` is no registry and repository: {error}");
                        self.add(format!("{place}.oci"), what);
                    }
                    self.exact_version(&place, version);
                }
            }
        }
        let sources: Vec<String> = recipe.charts.iter().map(|chart| chart.source.to_string()).collect();
        self.unique(sources.iter().enumerate().map(|(index, text)| (format!("charts[{index}]"), text)));
    }

    fn exact_version(&mut self, place: &str, version: &str) {
        let exact = version.matches('.').count() >= 2
            && version.bytes().all(|c| c.is_ascii_alphanumeric() || b".-+".contains(&c));
        self.unless(
            exact,
            format!("{place}.version"),
            format!("`{version}` is no exact version like `1.2.3`: ranges would give another chart tomorrow"),
        );
    }

    pub(super) fn web_address(&mut self, place: &str, url: &str) {
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let host = host.map_or("", |rest| rest.split('/').next().unwrap_or_default());
        self.unless(
            !host.is_empty() && !url.contains(char::is_whitespace),
            place,
            format!("`{url}` must look like https://host/path"),
        );
        // Lock and messages name URLs.
        self.unless(!host.contains('@'), place, "must hold no user and password");
    }
}

/// What to do about an image that is not listed: another tag of it is often what was meant.
fn not_listed(image: &str, listed: &BTreeSet<&str>) -> String {
    let nearest = did_you_mean(nearest_image(image, listed.iter().copied()));
    format!("is not in the list; add `- name: {image}` under `images`{nearest}")
}
