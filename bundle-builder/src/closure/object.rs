//! Where objects of a cluster name images: the pod specs of every kind that has one, and the fields of hints.

use serde_json::Value;

use crate::recipe::ImageHint;

/// Lists of a pod spec whose items have an image, and what one is called.
const CONTAINERS: [(&str, &str); 3] = [
    ("initContainers", "init container"),
    ("containers", "container"),
    ("ephemeralContainers", "ephemeral container"),
];

/// What an image is for, as far as its place tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Runs the product.
    Service,
    /// Prepares a pod.
    Init,
    /// Runs in `helm test` only.
    Test,
}

/// An image's name at one place of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// Kind, namespace and name, e.g. `Deployment orders/web`.
    pub(super) object: String,
    /// Part of the pod spec, e.g. `init container wait`.
    pub(super) part: String,
    /// Path of the field, e.g. `spec.template.spec.containers[0].image`.
    pub(super) field: String,
    /// What stands there.
    pub(super) image: String,
    pub(super) purpose: Purpose,
    /// Index of the hint that led there.
    pub(super) hint: Option<usize>,
}

/// Every image that `object` names. `namespace` is where it goes unless it says so itself.
pub(super) fn images(object: &Value, namespace: &str, hints: &[ImageHint]) -> Vec<Named> {
    let mut found = Vec::new();
    each(object, &mut |kind, object| of_object(object, kind, namespace, hints, &mut found));
    found
}

/// Shows `seen` the kind and content of `object`, or of all that it is a list of.
pub(super) fn each(object: &Value, seen: &mut dyn FnMut(&str, &Value)) {
    walk(object, object["kind"].as_str(), seen);
}

fn walk(object: &Value, kind: Option<&str>, seen: &mut dyn FnMut(&str, &Value)) {
    let Some(kind) = kind else { return };
    let (Some(listed), Some(items)) = (kind.strip_suffix("List"), object["items"].as_array()) else {
        return seen(kind, object);
    };
    for item in items {
        // Only a plain `List` repeats the kind at each item.
        let kind = item["kind"].as_str().or((!listed.is_empty()).then_some(listed));
        walk(item, kind, seen);
    }
}

fn of_object(object: &Value, kind: &str, namespace: &str, hints: &[ImageHint], found: &mut Vec<Named>) {
    let metadata = &object["metadata"];
    let namespace = metadata["namespace"].as_str().unwrap_or(namespace);
    let name = metadata["name"].as_str().or(metadata["generateName"].as_str()).unwrap_or("?");
    let title = format!("{kind} {namespace}/{name}");
    if let Some(path) = pod_spec(kind) {
        let spec = path.split('.').fold(object, |value, key| &value[key]);
        of_pod(spec, path, &title, is_test(metadata), found);
    }
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    for (index, hint) in hints.iter().enumerate() {
        for field in hint.fields_of(api_version, kind) {
            let values = field.values(object).into_iter().filter_map(text);
            found.extend(values.map(|image| Named {
                object: title.clone(),
                part: format!("imageHints[{index}]"),
                field: field.to_string(),
                image,
                purpose: Purpose::Service,
                hint: Some(index),
            }));
        }
    }
}

/// Where an object of `kind` has its pod spec.
fn pod_spec(kind: &str) -> Option<&'static str> {
    match kind {
        "Pod" => Some("spec"),
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "ReplicationController" | "Job" => {
            Some("spec.template.spec")
        }
        "CronJob" => Some("spec.jobTemplate.spec.template.spec"),
        "PodTemplate" => Some("template.spec"),
        _ => None,
    }
}

/// Whether Helm runs it as a test.
fn is_test(metadata: &Value) -> bool {
    let hooks = metadata["annotations"]["helm.sh/hook"].as_str().unwrap_or_default();
    hooks.split(',').any(|hook| matches!(hook.trim(), "test" | "test-success" | "test-failure"))
}

fn of_pod(spec: &Value, path: &str, object: &str, test: bool, found: &mut Vec<Named>) {
    let list = |key: &str| spec[key].as_array().into_iter().flatten().enumerate();
    let name = |value: &Value| value["name"].as_str().unwrap_or("?").to_owned();
    let mut add = |part: String, field: String, image: &Value, purpose| {
        let purpose = if test { Purpose::Test } else { purpose };
        let named = |image| Named { object: object.to_owned(), part, field, image, purpose, hint: None };
        found.extend(text(image).map(named));
    };
    for (key, part) in CONTAINERS {
        let purpose = if key == "initContainers" { Purpose::Init } else { Purpose::Service };
        for (index, container) in list(key) {
            let field = format!("{path}.{key}[{index}].image");
            add(format!("{part} {}", name(container)), field, &container["image"], purpose);
        }
    }
    for (index, volume) in list("volumes") {
        let field = format!("{path}.volumes[{index}].image.reference");
        add(format!("volume {}", name(volume)), field, &volume["image"]["reference"], Purpose::Service);
    }
}

/// What stands in a field that should name an image; nothing where nothing does.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        // No image reference; the finding shows it.
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const POD: &str = r#"{"initContainers": [{"name": "i", "image": "i:1"}], "containers": [{"name": "c", "image": "c:1"}, {"name": "none"}],
        "ephemeralContainers": [{"name": "e", "image": "e:1"}],
        "volumes": [{"name": "v", "image": {"reference": "v:1"}}, {"name": "t", "emptyDir": {}}]}"#;

    fn pod() -> Value {
        serde_json::from_str(POD).unwrap()
    }

    fn found(object: &Value) -> Vec<(String, String)> {
        let found = images(object, "orders", &[]);
        found.into_iter().map(|named| (format!("{}, {}", named.object, named.part), named.field)).collect()
    }

    #[test]
    fn every_kind_with_a_pod_spec_is_read() {
        for (kind, path) in [
            ("Pod", "spec"),
            ("Deployment", "spec.template.spec"),
            ("StatefulSet", "spec.template.spec"),
            ("DaemonSet", "spec.template.spec"),
            ("ReplicaSet", "spec.template.spec"),
            ("ReplicationController", "spec.template.spec"),
            ("Job", "spec.template.spec"),
            ("CronJob", "spec.jobTemplate.spec.template.spec"),
            ("PodTemplate", "template.spec"),
        ] {
            let mut object = json!({});
            *path.split('.').fold(&mut object, |value, key| &mut value[key]) = pod();
            object["kind"] = kind.into();
            object["metadata"] = json!({"name": "x"});
            let expected = [
                ("init container i", "initContainers[0].image"),
                ("container c", "containers[0].image"),
                ("ephemeral container e", "ephemeralContainers[0].image"),
                ("volume v", "volumes[0].image.reference"),
            ]
            .map(|(part, field)| (format!("{kind} orders/x, {part}"), format!("{path}.{field}")));
            assert_eq!(found(&object), expected, "{kind}");
        }
    }

    #[test]
    fn lists_are_opened_and_other_kinds_are_not() {
        let pod = json!({"kind": "Pod", "metadata": {"name": "p", "namespace": "n"}, "spec": pod()});
        let list = json!({"kind": "List", "items": [pod, {"kind": "List", "items": [pod]}]});
        assert_eq!(found(&list).len(), 8);
        let typed = json!({"kind": "PodList", "items": [{"metadata": {"name": "p"}, "spec": self::pod()}]});
        assert_eq!(found(&typed)[0].0, "Pod orders/p, init container i");
        assert_eq!(found(&json!({"kind": "ConfigMap", "data": {"image": "x:1"}, "spec": self::pod()})), []);
        assert_eq!(found(&json!({"kind": "Pod", "spec": {"containers": "x"}})), []);
        assert_eq!(found(&json!(7)), []);
    }

    #[test]
    fn purposes_follow_the_place() {
        let mut pod = json!({"kind": "Pod", "metadata": {"name": "p"}, "spec": pod()});
        let purposes = |pod: &Value| images(pod, "n", &[]).iter().map(|one| one.purpose).collect::<Vec<_>>();
        assert_eq!(purposes(&pod), [Purpose::Init, Purpose::Service, Purpose::Service, Purpose::Service]);
        pod["metadata"]["annotations"] = json!({"helm.sh/hook": "post-install, test"});
        assert_eq!(purposes(&pod), [Purpose::Test; 4]);
    }

    #[test]
    fn hints_lead_into_other_kinds() {
        let hint: ImageHint = serde_json::from_value(
            json!({"kind": "Cluster", "fields": ["spec.image", "spec.tools[*].image"]}),
        )
        .unwrap();
        let cluster = json!({"kind": "Cluster", "apiVersion": "db.example/v1", "metadata": {"name": "pg"},
            "spec": {"image": "a:1", "tools": [{"image": "b:1"}, {"image": null}, {"image": {"tag": "x"}}]}});
        let found = images(&cluster, "orders", &[hint]);
        let names: Vec<&str> = found.iter().map(|named| named.image.as_str()).collect();
        assert_eq!(names, ["a:1", "b:1", r#"{"tag":"x"}"#]);
        let first = &found[0];
        assert_eq!((first.object.as_str(), first.field.as_str()), ("Cluster orders/pg", "spec.image"));
        assert_eq!((first.part.as_str(), first.hint), ("imageHints[0]", Some(0)));
    }
}
