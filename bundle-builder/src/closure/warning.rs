//! What works, but not for ever, or for nothing.

use std::collections::BTreeSet;
use std::fmt;

use super::{Place, Purpose, References, serves};
use crate::image::PodImage;
use crate::lock::LockedImage;
use crate::recipe::{ImageHint, Recipe};

/// Something that a vendor should look at; no reason to stop.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Warning {
    /// Tag `latest`, or none.
    Floating {
        /// In full.
        image: String,
        /// Who names it; nothing where only the recipe does.
        place: Option<Place>,
        /// How many other places do.
        others: usize,
    },
    /// An image of an init container or a test whose tag is neither a full version nor a commit.
    Unpinned {
        /// In full.
        image: String,
        /// Who names it.
        place: Place,
        /// How many other init containers or tests do.
        others: usize,
    },
    /// Packed, and nothing names it.
    Unused {
        /// As in the recipe.
        image: String,
    },
    /// A profile with which a chart becomes what it becomes without.
    IdleProfile {
        /// The chart.
        chart: String,
        /// The profile.
        profile: String,
    },
    /// A hint about fields that no object has.
    IdleHint {
        /// Its index.
        hint: usize,
        /// The kind of object that it is about.
        kind: String,
    },
    /// A gate on a workload that no chart brings, though an operator may.
    Gate {
        /// Its place in the recipe, and what is said of it.
        finding: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = |others: usize| if others == 0 { String::new() } else { format!(", and {others} more") };
        match self {
            Self::Floating { image, place, others } => {
                write!(formatter, "{image} has no fixed tag: the next lock may pin something else")?;
                match place {
                    Some(place) => write!(formatter, "; {place}{}", more(*others)),
                    None => Ok(()),
                }
            }
            Self::Unpinned { image, place, others } => {
                let what = if place.purpose == Purpose::Test { "test" } else { "init" };
                write!(
                    formatter,
                    "{image} of {what} is not pinned: give it a full version or a digest; {place}{}",
                    more(*others)
                )
            }
            Self::Unused { image } => write!(
                formatter,
                "{image} is packed and nothing names it: drop it from `images`, or say in `imageHints` who starts it"
            ),
            Self::IdleProfile { chart, profile } => {
                write!(formatter, "{profile} changes nothing in what chart {chart} becomes")
            }
            Self::IdleHint { hint, kind } => {
                write!(formatter, "imageHints[{hint}]: no {kind} of any chart names an image there")
            }
            Self::Gate { finding } => formatter.write_str(finding),
        }
    }
}

impl References {
    /// What is worth a look, each thing once; profiles apart.
    #[must_use]
    pub fn warnings(&self, recipe: &Recipe, locked: &[LockedImage]) -> BTreeSet<Warning> {
        let mut warnings = self.loose();
        let floating = locked.iter().map(|one| one.name.as_str()).filter(|name| name.ends_with(":latest"));
        for image in floating.filter(|name| !self.images.contains_key(*name)) {
            warnings.insert(Warning::Floating { image: image.to_owned(), place: None, others: 0 });
        }
        let started = started(recipe);
        let named = |one: &LockedImage| {
            self.images
                .values()
                .any(|reference| reference.image.as_ref().is_some_and(|image| serves(one, image)))
        };
        let unused = locked.iter().filter(|one| !started.contains(&one.name) && !named(one));
        warnings.extend(unused.map(|one| Warning::Unused { image: one.name.clone() }));
        for (index, hint) in recipe.image_hints.iter().enumerate() {
            match hint {
                ImageHint::Fields { kind, .. } if !self.hints.contains(&index) => {
                    warnings.insert(Warning::IdleHint { hint: index, kind: kind.clone() });
                }
                _ => {}
            }
        }
        warnings
    }

    /// Images by names that will mean something else one day.
    fn loose(&self) -> BTreeSet<Warning> {
        let mut warnings = BTreeSet::new();
        for reference in self.images.values() {
            let Some(PodImage { name: image, digest: None }) = reference.image.clone() else { continue };
            let tag = image.rsplit(':').next().unwrap_or_default();
            if tag == "latest" {
                let (place, others) = (reference.places.keys().next().cloned(), reference.places.len() - 1);
                warnings.insert(Warning::Floating { image, place, others });
            } else if !is_exact(tag) {
                let mut places = reference.places.keys().filter(|place| place.purpose != Purpose::Service);
                let Some(place) = places.next().cloned() else { continue };
                warnings.insert(Warning::Unpinned { image, place, others: places.count() });
            }
        }
        warnings
    }
}

/// Images that something else than a chart starts.
fn started(recipe: &Recipe) -> BTreeSet<String> {
    let hinted = recipe.image_hints.iter().filter_map(|hint| match hint {
        ImageHint::Images { images, .. } => Some(images.iter().cloned()),
        ImageHint::Fields { .. } => None,
    });
    let cluster = recipe.cluster_images().into_iter().map(|(_, image)| image);
    hinted.flatten().chain(cluster).collect()
}

/// Whether a tag names one build, as vendors tag: a version of at least three numbers, a commit, or a date.
fn is_exact(tag: &str) -> bool {
    let numbers = tag
        .split(['.', '-', '_', '+', 'v'])
        .filter(|part| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit()));
    let hashed = |part: &str| {
        part.len() >= 7
            && part.bytes().all(|digit| digit.is_ascii_hexdigit())
            && part.bytes().any(|digit| digit.is_ascii_digit())
    };
    numbers.count() >= 3 || tag.split(['.', '-', '_', '+']).any(hashed)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{DIGEST, locked, pod, references};
    use super::*;
    use crate::recipe::{self, testing::RECIPE};
    use std::path::Path;

    fn recipe(hints: &str) -> Recipe {
        recipe::parse(&format!("{RECIPE}{hints}"), Path::new("recipe.yaml")).unwrap()
    }

    fn said(references: &References, recipe: &Recipe, packed: &[&str]) -> Vec<String> {
        let packed: Vec<_> = packed.iter().map(|name| locked(name, DIGEST)).collect();
        references.warnings(recipe, &packed).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_nothing_names_is_unused() {
        let references = references(&[(None, &pod("a/web:1.0.0"))], &[]);
        let packed = [
            "docker.io/a/web:1.0.0",
            "ghcr.io/a/left:1.0.0",
            "registry.k8s.io/pause:3.10.2",
            "registry.k8s.io/etcd:3.6.8-0",
            "docker.io/library/haproxy:2.6",
            "registry.k8s.io/kube-apiserver:v1.36.3",
            "registry.k8s.io/kube-proxy:v1.36.3",
        ];
        let found = said(&references, &recipe(""), &packed);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("ghcr.io/a/left:1.0.0 is packed and nothing names it"), "{found:?}");
        let hint = "imageHints: [{component: orders, images: ['registry.k8s.io/pause:3.10.2']}]\n";
        assert_eq!(said(&references, &recipe(hint), &packed[2..]), [""; 0]);
    }

    #[test]
    fn a_digest_uses_every_tag_that_has_it() {
        let references = references(&[(None, &pod(&format!("ghcr.io/a/b@{DIGEST}")))], &[]);
        assert_eq!(said(&references, &recipe(""), &["ghcr.io/a/b:1", "ghcr.io/a/b:2"]), [""; 0]);
    }

    #[test]
    fn floating_tags_are_told_once() {
        let two = format!("{}\n---\n{}", pod("busybox"), pod("busybox").replace("name: p", "name: q"));
        let references = references(&[(None, &two)], &[]);
        let packed = ["docker.io/library/busybox:latest"];
        assert_eq!(
            said(&references, &recipe(""), &packed),
            ["docker.io/library/busybox:latest has no fixed tag: the next lock may pin something else; \
              chart orders, Pod shop/p, container c (spec.containers[0].image), and 1 more"]
        );
        let hint = "imageHints: [{component: orders, images: ['registry.k8s.io/pause:3.10.2']}]\n";
        let found = said(&References::default(), &recipe(hint), &packed);
        assert!(found[0].starts_with("docker.io/library/busybox:latest has no fixed tag"), "{found:?}");
    }

    #[test]
    fn init_and_test_images_need_a_full_version() {
        let init = pod("busybox:1.36").replace("containers", "initContainers");
        let test = pod("curl:8").replace("name: p", "name: t, annotations: {helm.sh/hook: test}");
        let rendered = format!("{init}\n---\n{test}\n---\n{}", pod("redis:7"));
        let references = references(&[(None, &rendered)], &[]);
        let found = said(&references, &recipe(""), &[]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("docker.io/library/busybox:1.36 of init is not pinned"), "{found:?}");
        assert!(found[1].starts_with("docker.io/library/curl:8 of test is not pinned"), "{found:?}");
        for exact in
            ["1.36.1", "v1.2.3-alpine", "3.6.8-0", "2026.11.21", "20261121", "sha-1f2e3d4c", "1f2e3d4"]
        {
            assert!(is_exact(exact), "{exact}");
        }
        for loose in ["1", "1.36", "v1", "stable", "edge", "main", "1.36-alpine", "8-defaced"] {
            assert!(!is_exact(loose), "{loose}");
        }
    }

    #[test]
    fn a_hint_that_finds_nothing_is_told() {
        let recipe = recipe(
            "imageHints: [{kind: Cluster, fields: [spec.imgae]}, {kind: Pool, fields: [spec.image]}]\n",
        );
        let rendered = "{kind: Pool, metadata: {name: p}, spec: {image: 'a/b:1'}}";
        let references = references(&[(None, rendered)], &recipe.image_hints);
        let found = said(&references, &recipe, &["docker.io/a/b:1"]);
        assert_eq!(found, ["imageHints[0]: no Cluster of any chart names an image there"]);
    }
}
