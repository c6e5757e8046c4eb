//! The cluster as somebody sees it who does not trust the installer's words: asked of a master by its own tools.

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;

use crate::lab::Lab;

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Name.
    pub name: String,
    /// `control-plane`, `worker`.
    pub roles: Vec<String>,
    /// kubelet's version.
    pub version: String,
    /// Ready condition.
    pub ready: bool,
}

/// A database of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// Its own.
    Cluster,
    /// That of events, where they have one.
    Events,
}

impl Database {
    /// Where a master's own member listens.
    fn own(self) -> &'static str {
        match self {
            Self::Cluster => "https://127.0.0.1:2379",
            Self::Events => "https://127.0.0.1:2382",
        }
    }

    /// The authority of its members.
    fn authority(self) -> &'static str {
        match self {
            Self::Cluster => "/etc/kubernetes/pki/etcd/ca.crt",
            Self::Events => "/etc/kubernetes/pki/etcd-events/ca.crt",
        }
    }
}

/// A cluster, asked through one of its masters.
#[derive(Clone, Copy)]
pub struct Cluster<'a> {
    lab: &'a Lab,
    /// The host that answers.
    pub master: &'a str,
}

impl<'a> Cluster<'a> {
    /// Asks this master.
    pub fn through(lab: &'a Lab, master: &'a str) -> Self {
        Self { lab, master }
    }

    /// `kubectl`, its output as text.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let mut words = vec![
            "env",
            "KUBECACHEDIR=/run/sealift/kube-cache",
            "/usr/local/bin/kubectl",
            "--kubeconfig=/etc/kubernetes/admin.conf",
            "--request-timeout=15s",
        ];
        words.extend(arguments);
        self.lab.run(self.master, &words)
    }

    /// `kubectl get … -o json`.
    pub fn get(&self, arguments: &[&str]) -> Result<Value> {
        let mut words = vec!["get", "-o", "json"];
        words.extend(arguments);
        serde_json::from_str(&self.kubectl(&words)?).context("cannot read kubectl's output")
    }

    /// Creates or replaces objects from YAML or JSON text.
    pub fn apply(&self, text: &str) -> Result<()> {
        let words = [
            "env",
            "KUBECACHEDIR=/run/sealift/kube-cache",
            "/usr/local/bin/kubectl",
            "--kubeconfig=/etc/kubernetes/admin.conf",
            "apply",
            "-f",
            "-",
        ];
        let output = self.lab.exec_with_input(self.master, &words, text.as_bytes())?;
        if !output.status.success() {
            bail!("kubectl apply: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// All nodes, by name.
    pub fn nodes(&self) -> Result<Vec<Node>> {
        let list = self.get(&["nodes"])?;
        let mut nodes: Vec<Node> = items(&list).map(node).collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(nodes)
    }

    /// Healthy, started etcd voters.
    pub fn etcd_voters(&self) -> Result<usize> {
        self.voters(Database::Cluster)
    }

    /// Healthy, started voters of a database.
    pub fn voters(&self, database: Database) -> Result<usize> {
        let list = self.etcdctl(database, &["member", "list", "-w", "json"], None)?;
        let members: Value = serde_json::from_str(&list)?;
        let members = members["members"].as_array().context("etcd lists no members")?;
        let voters = members.iter().filter(|member| member["isLearner"].as_bool() != Some(true));
        let mut healthy = 0;
        for voter in voters {
            let url = voter["clientURLs"][0].as_str().unwrap_or_default();
            if !url.is_empty() && self.etcdctl(database, &["endpoint", "health"], Some(url)).is_ok() {
                healthy += 1;
            }
        }
        Ok(healthy)
    }

    fn etcdctl(&self, database: Database, arguments: &[&str], endpoint: Option<&str>) -> Result<String> {
        let words = etcdctl_words(database, endpoint.unwrap_or(database.own()));
        let words: Vec<&str> = words.iter().map(String::as_str).chain(arguments.iter().copied()).collect();
        self.lab.run(self.master, &words)
    }

    /// The keys below a prefix.
    pub fn keys(&self, database: Database, prefix: &str) -> Result<Vec<String>> {
        let text = self.etcdctl(database, &["get", "--prefix", "--keys-only", prefix], None)?;
        Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }

    /// What etcd holds under a key, byte for byte.
    pub fn etcd_value(&self, key: &str) -> Result<Vec<u8>> {
        let words = etcdctl_words(Database::Cluster, Database::Cluster.own());
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        words.extend(["get", "--print-value-only", key]);
        let output = self.lab.exec(self.master, &words)?;
        if !output.status.success() || output.stdout.is_empty() {
            bail!("etcd has no {key}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(output.stdout)
    }

    /// Pods that are neither Ready nor Succeeded, `namespace/name`.
    pub fn pods_not_ready(&self) -> Result<Vec<String>> {
        let list = self.get(&["pods", "--all-namespaces"])?;
        let unwell = items(&list).filter(|pod| !pod_is_well(pod));
        Ok(unwell
            .map(|pod| format!("{}/{}", text(pod, "/metadata/namespace"), text(pod, "/metadata/name")))
            .collect())
    }

    /// Results of the product's acceptance tests: passed and failed.
    pub fn acceptance(&self) -> Result<(usize, usize)> {
        let list = self.get(&["pods", "-n", "orders"])?;
        let hook = |pod: &&Value| text(pod, "/metadata/annotations/helm.sh~1hook").contains("test");
        let (mut passed, mut failed) = (0, 0);
        for pod in items(&list).filter(hook) {
            let logs = self.kubectl(&["logs", "-n", "orders", &text(pod, "/metadata/name")])?;
            passed += logs.lines().filter(|line| line.starts_with("ok ")).count();
            failed += logs.lines().filter(|line| line.starts_with("not ok ")).count();
        }
        Ok((passed, failed))
    }
}

fn etcdctl_words(database: Database, endpoint: &str) -> Vec<String> {
    vec![
        "/usr/local/bin/etcdctl".to_owned(),
        format!("--endpoints={endpoint}"),
        format!("--cacert={}", database.authority()),
        "--cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt".to_owned(),
        "--key=/etc/kubernetes/pki/etcd/healthcheck-client.key".to_owned(),
        "--command-timeout=5s".to_owned(),
    ]
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn has_condition(object: &Value, kind: &str) -> bool {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|one| one["type"] == kind && one["status"] == "True")
}

fn pod_is_well(pod: &Value) -> bool {
    text(pod, "/status/phase") == "Succeeded"
        || (pod.pointer("/metadata/deletionTimestamp").is_none() && has_condition(pod, "Ready"))
}

fn node(object: &Value) -> Node {
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
    let roles = labels.into_iter().flat_map(|labels| labels.keys());
    Node {
        name: text(object, "/metadata/name"),
        roles: roles
            .filter_map(|key| key.strip_prefix("node-role.kubernetes.io/"))
            .map(str::to_owned)
            .collect(),
        version: text(object, "/status/nodeInfo/kubeletVersion"),
        ready: has_condition(object, "Ready"),
    }
}
