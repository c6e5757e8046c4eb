//! The closure gate: every image that any object of any chart names is in the bundle.
//!
//! Pure: what Helm rendered goes in, findings come out.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize as _;
use serde_yaml::Value;

use crate::image::PodImage;

/// Where an image is named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Component (Helm release).
    pub component: String,
    /// Kind and name of the object, e.g. `Deployment/web`.
    pub object: String,
    /// Part of the pod spec, e.g. `container web`.
    pub part: String,
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "component {}, {}, {}", self.component, self.object, self.part)
    }
}

/// Images that charts name, each with every place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References(pub BTreeMap<String, BTreeSet<Place>>);

/// An image that is named but not packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingImage {
    /// As the object names it.
    pub found: String,
    /// In full; what to add to the recipe.
    pub name: Option<String>,
    /// Who names it.
    pub places: Vec<Place>,
}

impl std::fmt::Display for MissingImage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.found)?;
        for place in &self.places {
            write!(formatter, "\n    named by {place}")?;
        }
        match &self.name {
            Some(name) => write!(formatter, "\n    add to images: - name: {name}"),
            None => write!(formatter, "\n    it is no image reference: correct the chart or its values"),
        }
    }
}

/// Helm printed something that is no list of objects.
#[derive(Debug, thiserror::Error)]
#[error("Helm rendered something for component {component} that is no YAML")]
pub struct NotYaml {
    /// The component.
    pub component: String,
    /// Why; its lines are those of Helm's output.
    pub source: serde_yaml::Error,
}

impl References {
    /// Adds what the rendered objects of a component name. `rendered` is what `helm template` prints.
    pub fn add(&mut self, component: &str, rendered: &str) -> Result<(), NotYaml> {
        for document in serde_yaml::Deserializer::from_str(rendered) {
            let value = Value::deserialize(document)
                .map_err(|source| NotYaml { component: component.to_owned(), source })?;
            self.object(component, &value);
        }
        Ok(())
    }

    fn object(&mut self, component: &str, object: &Value) {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("?").to_owned();
        let kind = text(object.get("kind"));
        if kind == "List" {
            for item in object.get("items").and_then(Value::as_sequence).into_iter().flatten() {
                self.object(component, item);
            }
            return;
        }
        let Some(spec) = pod_spec(&kind, object) else { return };
        let name = text(object.get("metadata").and_then(|metadata| metadata.get("name")));
        for (part, image) in images(spec) {
            let place = Place { component: component.to_owned(), object: format!("{kind}/{name}"), part };
            self.0.entry(image).or_default().insert(place);
        }
    }

    /// Images that are not packed. `packed` is name to digest.
    #[must_use]
    pub fn missing(&self, packed: &BTreeMap<String, String>) -> Vec<MissingImage> {
        let absent = self.0.iter().filter(|(found, _)| !is_packed(found, packed));
        absent
            .map(|(found, places)| MissingImage {
                found: found.clone(),
                name: PodImage::parse(found).map(|image| suggestion(&image)),
                places: places.iter().cloned().collect(),
            })
            .collect()
    }
}

fn suggestion(image: &PodImage) -> String {
    match &image.digest {
        Some(digest) if !image.name.rsplit('/').next().is_some_and(|last| last.contains(':')) => {
            format!("{}:TAG, where TAG has the digest {digest}", image.name)
        }
        _ => image.name.clone(),
    }
}

fn is_packed(found: &str, packed: &BTreeMap<String, String>) -> bool {
    let Some(image) = PodImage::parse(found) else { return false };
    match &image.digest {
        None => packed.contains_key(&image.name),
        // A digest decides; the runtime asks for it under the repository's name.
        Some(digest) => {
            let repository = repository(&image.name);
            packed.iter().any(|(name, have)| have == digest && self::repository(name) == repository)
        }
    }
}

/// A name without its tag.
fn repository(name: &str) -> &str {
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    name[last..].find(':').map_or(name, |colon| &name[..last + colon])
}

/// Where an object of `kind` has its pod spec.
fn pod_spec<'a>(kind: &str, object: &'a Value) -> Option<&'a Value> {
    let path: &[&str] = match kind {
        "Pod" => &["spec"],
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "ReplicationController" | "Job" => {
            &["spec", "template", "spec"]
        }
        "CronJob" => &["spec", "jobTemplate", "spec", "template", "spec"],
        "PodTemplate" => &["template", "spec"],
        _ => return None,
    };
    path.iter().try_fold(object, |value, key| value.get(key))
}

/// Every image of a pod spec, with the part that names it.
fn images(spec: &Value) -> Vec<(String, String)> {
    let list = |key: &str| spec.get(key).and_then(Value::as_sequence).into_iter().flatten();
    let name = |value: &Value| value.get("name").and_then(Value::as_str).unwrap_or("?").to_owned();
    let mut found = Vec::new();
    for (key, part) in [
        ("initContainers", "init container"),
        ("containers", "container"),
        ("ephemeralContainers", "ephemeral container"),
    ] {
        for container in list(key) {
            if let Some(image) = container.get("image").and_then(Value::as_str) {
                found.push((format!("{part} {}", name(container)), image.to_owned()));
            }
        }
    }
    for volume in list("volumes") {
        let reference = volume.get("image").and_then(|image| image.get("reference")).and_then(Value::as_str);
        if let Some(image) = reference {
            found.push((format!("volume {}", name(volume)), image.to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn references(rendered: &str) -> References {
        let mut references = References::default();
        references.add("orders", rendered).unwrap();
        references
    }

    const RENDERED: &str = r"---
# Source: orders/templates/web.yaml
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      initContainers: [{name: wait, image: 'ghcr.io/a/wait:1'}]
      containers: [{name: web, image: 'postgres:15'}, {name: noimage}]
      volumes: [{name: model, image: {reference: 'ghcr.io/a/model:2'}}, {name: tmp, emptyDir: {}}]
---
kind: CronJob
metadata: {name: nightly}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: dump, image: 'docker.io/library/postgres:15'}]}}}}}
---
kind: List
items:
  - {kind: Pod, metadata: {name: test}, spec: {containers: [{name: t, image: busybox}]}}
---
kind: ConfigMap
metadata: {name: settings}
data: {image: 'not.an/image:1'}
---
";

    #[test]
    fn images_are_collected_from_typed_places_only() {
        let found = references(RENDERED).0;
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "busybox",
                "docker.io/library/postgres:15",
                "ghcr.io/a/model:2",
                "ghcr.io/a/wait:1",
                "postgres:15"
            ]
        );
        let place = found["ghcr.io/a/wait:1"].first().unwrap().to_string();
        assert_eq!(place, "component orders, Deployment/web, init container wait");
    }

    #[test]
    fn short_and_full_names_are_the_same_image() {
        let packed = [("docker.io/library/postgres:15".to_owned(), DIGEST.to_owned())].into();
        let missing: Vec<_> =
            references(RENDERED).missing(&packed).into_iter().map(|image| image.found).collect();
        assert_eq!(missing, ["busybox", "ghcr.io/a/model:2", "ghcr.io/a/wait:1"]);
    }

    #[test]
    fn a_missing_image_says_what_to_add() {
        let missing = references(RENDERED).missing(&BTreeMap::new());
        assert_eq!(
            missing[0].to_string(),
            "busybox\n    named by component orders, Pod/test, container t\n    add to images: - name: docker.io/library/busybox:latest"
        );
    }

    #[test]
    fn digests_decide() {
        let rendered =
            format!("kind: Pod\nspec: {{containers: [{{name: a, image: 'ghcr.io/a/b@{DIGEST}'}}]}}");
        let packed = |name: &str, digest: &str| [(name.to_owned(), digest.to_owned())].into();
        let found = references(&rendered);
        assert_eq!(found.missing(&packed("ghcr.io/a/b:1", DIGEST)), []);
        assert_eq!(found.missing(&packed("ghcr.io/a/c:1", DIGEST)).len(), 1);
        let other = found.missing(&packed("ghcr.io/a/b:1", "sha256:0"));
        assert!(other[0].to_string().contains("ghcr.io/a/b:TAG, where TAG has the digest"), "{}", other[0]);
    }

    #[test]
    fn broken_output_names_the_component() {
        let error = References::default().add("orders", "a: [").unwrap_err().to_string();
        assert!(error.contains("component orders"), "{error}");
    }
}
