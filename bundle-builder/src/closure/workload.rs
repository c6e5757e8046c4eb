//! Workloads that a site can wait for: those that a rendering installs, and whether it brings what makes others.

use std::collections::BTreeSet;

use serde_json::Value;

use super::object::each;

/// Groups of Kubernetes' own objects whose names look like those of others.
const OWN_GROUPS: [&str; 16] = [
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

/// A `Deployment`, `StatefulSet` or `DaemonSet`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Workload {
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The workloads of one rendering, or of several together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workloads {
    /// Those that are there when the release is.
    pub installed: BTreeSet<Workload>,
    /// Whether there are objects, or kinds of objects, that are not Kubernetes' own: an operator may make workloads of them.
    pub operated: bool,
}

impl Workloads {
    /// Those among `documents`, which go to `namespace` unless they say so themselves.
    pub(super) fn read(documents: &[Value], namespace: &str) -> Self {
        let mut workloads = Self::default();
        for document in documents {
            each(document, &mut |kind, object| workloads.see(kind, object, namespace));
        }
        workloads
    }

    /// Adds those of another rendering.
    pub fn add(&mut self, other: &Self) {
        self.installed.extend(other.installed.iter().cloned());
        self.operated |= other.operated;
    }

    fn see(&mut self, kind: &str, object: &Value, namespace: &str) {
        self.operated |= kind == "CustomResourceDefinition" || is_foreign(object);
        let metadata = &object["metadata"];
        let known = matches!(kind, "Deployment" | "StatefulSet" | "DaemonSet");
        if let (true, Some(name), true) = (known, metadata["name"].as_str(), is_installed(metadata)) {
            let namespace = metadata["namespace"].as_str().unwrap_or(namespace).to_owned();
            self.installed.insert(Workload { kind: kind.to_owned(), namespace, name: name.to_owned() });
        }
    }
}

/// Whether it is of a kind that Kubernetes does not bring.
fn is_foreign(object: &Value) -> bool {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let group = version.split_once('/').map_or("", |(group, _)| group);
    // `apps` and its like have no dot, and nobody else may have such a name.
    group.contains('.') && !OWN_GROUPS.contains(&group)
}

/// Whether it comes with the installation: a hook of anything else does not.
fn is_installed(metadata: &Value) -> bool {
    let hooks = metadata["annotations"]["helm.sh/hook"].as_str();
    hooks.is_none_or(|hooks| {
        hooks.split(',').any(|hook| matches!(hook.trim(), "pre-install" | "post-install"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(documents: &[Value]) -> (Vec<String>, bool) {
        let workloads = Workloads::read(documents, "orders");
        let words = |one: &Workload| format!("{} {}/{}", one.kind, one.namespace, one.name);
        (workloads.installed.iter().map(words).collect(), workloads.operated)
    }

    #[test]
    fn what_an_installation_brings_can_be_waited_for() {
        let object = |kind: &str, name: &str, hook: Option<&str>| {
            json!({"kind": kind, "apiVersion": "apps/v1",
                "metadata": {"name": name, "annotations": {"helm.sh/hook": hook}}})
        };
        let list = json!({"kind": "List", "items": [
            object("DaemonSet", "agent", None),
            {"kind": "Deployment", "metadata": {"name": "away", "namespace": "other"}},
        ]});
        let typed = json!({"kind": "StatefulSetList", "items": [{"metadata": {"name": "db"}}]});
        let documents = [
            list,
            typed,
            object("Deployment", "web", None),
            object("Deployment", "first", Some("pre-install, pre-upgrade")),
            object("Deployment", "try", Some("test")),
            object("Deployment", "last", Some("post-delete")),
            object("Job", "migrate", None),
            json!({"kind": "Deployment", "metadata": {"generateName": "x-"}}),
        ];
        let expected = [
            "DaemonSet orders/agent",
            "Deployment other/away",
            "Deployment orders/first",
            "Deployment orders/web",
            "StatefulSet orders/db",
        ];
        let (mut found, operated) = read(&documents);
        found.sort_by_key(|text| expected.iter().position(|one| one == text));
        assert_eq!(found, expected);
        assert!(!operated);
    }

    #[test]
    fn other_kinds_of_objects_may_become_workloads() {
        let of = |version: &str, kind: &str| read(&[json!({"apiVersion": version, "kind": kind})]).1;
        assert!(of("db.example/v1", "Cluster") && of("gateway.networking.k8s.io/v1", "Gateway"));
        assert!(of("apiextensions.k8s.io/v1", "CustomResourceDefinition"));
        for own in ["v1", "apps/v1", "batch/v1", "networking.k8s.io/v1", "storage.k8s.io/v1"] {
            assert!(!of(own, "Any"), "{own}");
        }
    }
}
