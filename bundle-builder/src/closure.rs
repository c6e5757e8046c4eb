//! The closure gate: every image that any object of any chart names is in the bundle, and every workload that a site waits
//! for is brought.
//!
//! Pure: what Helm rendered goes in, findings come out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::image::PodImage;
use crate::lock::LockedImage;
use crate::recipe::ImageHint;

mod object;
mod warning;
mod workload;
mod yaml;

pub use object::Purpose;
pub use warning::Warning;
pub use workload::{Workload, Workloads};

/// What a chart was rendered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rendering<'a> {
    /// The chart.
    pub chart: &'a str,
    /// Component (Helm release).
    pub component: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// File with further values.
    pub profile: Option<&'a str>,
}

/// What one rendering names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    named: Vec<object::Named>,
    /// What a site could wait for.
    pub workloads: Workloads,
}

impl Found {
    /// Reads what `helm template` prints for a component of `namespace`.
    pub fn read(rendered: &str, namespace: &str, hints: &[ImageHint]) -> Result<Self, serde_yaml::Error> {
        let documents = yaml::documents(rendered)?;
        let named = documents.iter().flat_map(|document| object::images(document, namespace, hints));
        Ok(Self { named: named.collect(), workloads: Workloads::read(&documents, namespace) })
    }
}

/// Where an image is named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The chart.
    pub chart: String,
    /// Component (Helm release).
    pub component: String,
    /// Kind, namespace and name of the object, e.g. `Deployment orders/web`.
    pub object: String,
    /// Part of the pod spec, e.g. `container web`, or the hint that led there.
    pub part: String,
    /// Path of the field, e.g. `spec.template.spec.containers[0].image`.
    pub field: String,
    /// What stands there.
    pub written: String,
    /// What the place tells about the image's purpose.
    pub purpose: Purpose,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "chart {}", self.chart)?;
        if self.component != self.chart {
            write!(formatter, ", component {}", self.component)?;
        }
        write!(formatter, ", {}, {} ({})", self.object, self.part, self.field)
    }
}

/// An image that objects name, and every place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Reference {
    /// Nothing where it is no reference.
    image: Option<PodImage>,
    /// Place to the profiles that make it; none among them: it is there without a profile, too.
    places: BTreeMap<Place, BTreeSet<Option<String>>>,
}

/// Images that charts name, each in its full spelling, with every place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    images: BTreeMap<String, Reference>,
    /// Indexes of hints that found something.
    hints: BTreeSet<usize>,
}

/// An image that is named but not packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingImage {
    /// In full; as it stands where it is no reference.
    pub name: String,
    /// What is wrong with it.
    pub lack: Lack,
    /// Who names it: a place, and the profiles that it takes (none: it is there in any case).
    pub places: Vec<(Place, Vec<String>)>,
}

/// What is wrong with a missing image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// Not in the recipe.
    Absent {
        /// The line to add under `images`.
        line: String,
        /// What the recipe has of the same repository.
        instead: Vec<String>,
    },
    /// In the recipe, but locked to other digests.
    OtherDigest {
        /// Name and digest of each.
        locked: Vec<(String, String)>,
    },
    /// What stands there is no image reference.
    NoReference,
}

impl fmt::Display for MissingImage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.name.is_empty() { "``" } else { &self.name })?;
        match &self.lack {
            Lack::Absent { instead, .. } if !instead.is_empty() => {
                write!(formatter, ": the recipe has {}", instead.join(", "))?;
            }
            Lack::Absent { .. } => {}
            Lack::OtherDigest { locked } => {
                let locked: Vec<_> =
                    locked.iter().map(|(name, digest)| format!("{name} as {digest}")).collect();
                write!(formatter, ": the lock has {}", locked.join(", "))?;
            }
            Lack::NoReference => formatter.write_str(": this is no image reference")?,
        }
        for (place, profiles) in &self.places {
            write!(formatter, "\n    {place}")?;
            if place.written != self.name {
                write!(formatter, " as `{}`", place.written)?;
            }
            if !profiles.is_empty() {
                write!(formatter, ", with {}", profiles.join(", "))?;
            }
        }
        Ok(())
    }
}

impl References {
    /// Adds what was found in a rendering.
    pub fn add(&mut self, rendering: Rendering<'_>, found: Found) {
        for named in found.named {
            let image = PodImage::parse(&named.image);
            let full = image.as_ref().map_or_else(|| named.image.clone(), ToString::to_string);
            let place = Place {
                chart: rendering.chart.to_owned(),
                component: rendering.component.to_owned(),
                object: named.object,
                part: named.part,
                field: named.field,
                written: named.image,
                purpose: named.purpose,
            };
            self.hints.extend(named.hint);
            let reference = self.images.entry(full).or_default();
            reference.image = image;
            let profile = rendering.profile.map(ToOwned::to_owned);
            reference.places.entry(place).or_default().insert(profile);
        }
    }

    /// How many images there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether nothing is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// Images that are not among the `locked`.
    #[must_use]
    pub fn missing(&self, locked: &[LockedImage]) -> Vec<MissingImage> {
        let lacking = self.images.iter().filter_map(|(full, reference)| {
            let lack = match &reference.image {
                None => Lack::NoReference,
                Some(image) if locked.iter().any(|one| serves(one, image)) => return None,
                Some(image) => lack(image, locked),
            };
            Some(MissingImage { name: full.clone(), lack, places: reference.shown_places() })
        });
        lacking.collect()
    }
}

impl Reference {
    fn shown_places(&self) -> Vec<(Place, Vec<String>)> {
        let shown = |profiles: &BTreeSet<Option<String>>| {
            // There without a profile: then it is no matter of profiles.
            let all: Option<Vec<String>> = profiles.iter().cloned().collect();
            all.unwrap_or_default()
        };
        self.places.iter().map(|(place, profiles)| (place.clone(), shown(profiles))).collect()
    }
}

/// Whether the runtime gets `image` where `locked` is packed.
fn serves(locked: &LockedImage, image: &PodImage) -> bool {
    match &image.digest {
        None => locked.name == image.name,
        // A digest decides, that of the whole image or of one platform's; it is asked for under the repository's name.
        Some(digest) => {
            repository(&locked.name) == image.repository()
                && (locked.digest == *digest || locked.platforms.values().any(|one| one == digest))
        }
    }
}

/// A recipe's name without its tag.
fn repository(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(repository, _)| repository)
}

fn lack(image: &PodImage, locked: &[LockedImage]) -> Lack {
    let mut same: Vec<&LockedImage> =
        locked.iter().filter(|one| repository(&one.name) == image.repository()).collect();
    let Some(digest) = &image.digest else {
        let instead = same.iter().map(|one| one.name.clone()).collect();
        return Lack::Absent { line: format!("- name: {}", image.name), instead };
    };
    if image.tag().is_some() {
        same.retain(|one| one.name == image.name);
    }
    if same.is_empty() {
        let tag = if image.tag().is_some() { "" } else { ":TAG" };
        let line = format!("- name: {}{tag}  # the tag that has {digest}", image.name);
        return Lack::Absent { line, instead: Vec::new() };
    }
    let locked = same.into_iter().map(|one| (one.name.clone(), one.digest.clone())).collect();
    Lack::OtherDigest { locked }
}

#[cfg(test)]
mod testing {
    use super::*;

    pub(super) const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    pub(super) const OTHER: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    /// What `rendered` names, without and with profiles.
    pub(super) fn references(renderings: &[(Option<&str>, &str)], hints: &[ImageHint]) -> References {
        let mut references = References::default();
        for (profile, rendered) in renderings {
            let rendering =
                Rendering { chart: "orders", component: "orders", namespace: "shop", profile: *profile };
            references.add(rendering, Found::read(rendered, "shop", hints).unwrap());
        }
        references
    }

    /// A pod with one container of this image.
    pub(super) fn pod(image: &str) -> String {
        format!("{{kind: Pod, metadata: {{name: p}}, spec: {{containers: [{{name: c, image: '{image}'}}]}}}}")
    }

    pub(super) fn locked(name: &str, digest: &str) -> LockedImage {
        LockedImage {
            name: name.to_owned(),
            digest: digest.to_owned(),
            media_type: String::new(),
            size: 0,
            platforms: BTreeMap::new(),
            from: String::new(),
            converted: false,
            signature: None,
            referrers: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{DIGEST, OTHER, locked, pod, references};
    use super::*;

    const RENDERED: &str = r"---
# Source: orders/templates/web.yaml
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      initContainers: [{name: wait, image: 'ghcr.io/a/wait:1'}]
      containers: [{name: web, image: 'postgres:15'}, {name: noimage}]
---
kind: CronJob
metadata: {name: nightly}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: dump, image: 'docker.io/library/postgres:15'}]}}}}}
---
kind: Pod
metadata: {name: test}
spec: {containers: [{name: t, image: busybox}]}
---
";

    #[test]
    fn short_and_full_names_are_the_same_image() {
        let found = references(&[(None, RENDERED)], &[]);
        assert_eq!(found.len(), 3);
        let missing = found.missing(&[locked("docker.io/library/postgres:15", DIGEST)]);
        let names: Vec<_> = missing.iter().map(|image| image.name.as_str()).collect();
        assert_eq!(names, ["docker.io/library/busybox:latest", "ghcr.io/a/wait:1"]);
    }

    #[test]
    fn a_missing_image_stands_once_with_all_places_and_the_line_to_add() {
        let missing = references(&[(None, RENDERED)], &[]).missing(&[]);
        let postgres = missing.iter().find(|image| image.name.contains("postgres")).unwrap();
        assert_eq!(
            postgres.to_string(),
            "docker.io/library/postgres:15
    chart orders, CronJob shop/nightly, container dump (spec.jobTemplate.spec.template.spec.containers[0].image)
    chart orders, Deployment shop/web, container web (spec.template.spec.containers[0].image) as `postgres:15`"
        );
        assert_eq!(
            postgres.lack,
            Lack::Absent { line: "- name: docker.io/library/postgres:15".to_owned(), instead: vec![] }
        );
    }

    #[test]
    fn another_tag_in_the_recipe_is_told() {
        let missing = references(&[(None, &pod("postgres:15"))], &[])
            .missing(&[locked("docker.io/library/postgres:14", DIGEST)]);
        let said = missing[0].to_string();
        assert!(
            said.starts_with("docker.io/library/postgres:15: the recipe has docker.io/library/postgres:14\n")
        );
    }

    #[test]
    fn profiles_are_named_only_where_they_matter() {
        let (web, more) = (pod("a/web:1"), format!("{}\n---\n{}", pod("a/web:1"), pod("a/more:1")));
        let missing = references(&[(None, &web), (Some("large.yaml"), &more)], &[]).missing(&[]);
        assert!(missing[0].to_string().ends_with(", with large.yaml"), "{}", missing[0]);
        assert!(!missing[1].to_string().contains("large.yaml"), "{}", missing[1]);
    }

    #[test]
    fn digests_decide() {
        let missing =
            |image: &str, packed: &[LockedImage]| references(&[(None, &pod(image))], &[]).missing(packed);
        let pinned = format!("ghcr.io/a/b@{DIGEST}");
        assert_eq!(missing(&pinned, &[locked("ghcr.io/a/b:1", DIGEST)]), []);
        let tagged = format!("ghcr.io/a/b:2@{DIGEST}");
        assert_eq!(missing(&tagged, &[locked("ghcr.io/a/b:1", DIGEST)]), []);
        let mut index = locked("ghcr.io/a/b:1", OTHER);
        index.platforms.insert("linux/amd64".to_owned(), DIGEST.to_owned());
        assert_eq!(missing(&pinned, &[index]), []);

        let absent = missing(&pinned, &[locked("ghcr.io/a/c:1", DIGEST)]);
        let Lack::Absent { line, .. } = &absent[0].lack else { panic!("{absent:?}") };
        assert_eq!(*line, format!("- name: ghcr.io/a/b:TAG  # the tag that has {DIGEST}"));
        let absent = missing(&tagged, &[locked("ghcr.io/a/b:1", OTHER)]);
        let Lack::Absent { line, .. } = &absent[0].lack else { panic!("{absent:?}") };
        assert_eq!(*line, format!("- name: ghcr.io/a/b:2  # the tag that has {DIGEST}"));
        let moved = missing(&pinned, &[locked("ghcr.io/a/b:1", OTHER)]);
        assert!(
            moved[0].to_string().starts_with(&format!("{pinned}: the lock has ghcr.io/a/b:1 as {OTHER}\n")),
            "{}",
            moved[0]
        );
    }

    #[test]
    fn what_is_no_reference_is_said() {
        let missing = references(&[(None, &pod("Not An Image")), (None, &pod(""))], &[]).missing(&[]);
        assert!(missing[0].to_string().starts_with("``: this is no image reference\n"), "{}", missing[0]);
        assert!(missing[1].to_string().starts_with("Not An Image: this is no image reference\n"));
    }
}
