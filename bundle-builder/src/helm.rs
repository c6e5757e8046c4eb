//! The real Helm, run to see what a chart becomes.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sealift_bundle::document::{Component, Setting, SiteValue};
use serde_json::{Value, json};

use crate::chart::Chart;

/// A Helm program and a folder for it to work in.
#[derive(Debug)]
pub struct Helm {
    program: PathBuf,
    folder: tempfile::TempDir,
}

/// Why a chart was not rendered.
#[derive(Debug, thiserror::Error)]
pub enum HelmError {
    /// No Helm.
    #[error("cannot run Helm as `{}`", program.display())]
    Run {
        /// What was run.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file for Helm cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Helm says no.
    #[error("chart {chart} does not render for component {component}, {site}:\n{}", indented(output))]
    Render {
        /// The chart.
        chart: String,
        /// The component.
        component: String,
        /// With the values of which site.
        site: String,
        /// What Helm printed.
        output: String,
    },
}

fn indented(text: &str) -> String {
    text.trim().lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// A site that charts are rendered for, so that parts which only one kind of site gets are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleSite {
    /// One machine, nothing optional.
    Small,
    /// Three masters, many workers, everything optional.
    Large,
}

impl SampleSite {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Small, Self::Large];

    fn name(self) -> &'static str {
        match self {
            Self::Small => "a small sample site",
            Self::Large => "a large sample site",
        }
    }

    /// Something that such a site might say.
    fn value(self, wanted: &SiteValue, settings: &BTreeMap<String, Setting>) -> Value {
        let small = self == Self::Small;
        match wanted {
            SiteValue::PodCidr => json!("10.244.0.0/16"),
            SiteValue::ServiceCidr => json!("10.96.0.0/12"),
            SiteValue::ClusterDns => json!("10.96.0.10"),
            SiteValue::EndpointHost => json!("api.cluster.internal"),
            SiteValue::EndpointPort => json!(6443),
            SiteValue::ControlPlaneCount | SiteValue::ServiceReplicas => json!(if small { 1 } else { 3 }),
            SiteValue::WorkerCount => json!(if small { 0 } else { 5 }),
            SiteValue::WorkerNames if small => json!(["m1"]),
            SiteValue::WorkerNames => json!(["w1", "w2", "w3", "w4", "w5"]),
            SiteValue::Nameservers => json!(if small { vec![] } else { vec!["192.0.2.53"] }),
            SiteValue::Setting(name) => settings
                .get(name)
                .and_then(|setting| setting.default.clone())
                .unwrap_or_else(|| json!("sample")),
        }
    }
}

/// The values that `component` gets on a sample site.
#[must_use]
pub fn sample_values(component: &Component, settings: &BTreeMap<String, Setting>, site: SampleSite) -> Value {
    let mut values = if component.values.is_object() { component.values.clone() } else { json!({}) };
    for (path, wanted) in &component.values_from {
        put(&mut values, path, site.value(wanted, settings));
    }
    values
}

/// Puts `value` at the dotted `path`; what stands in the way and is no map gives way.
fn put(values: &mut Value, path: &str, value: Value) {
    let mut place = values;
    for key in path.split('.') {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[key];
    }
    *place = value;
}

impl Helm {
    /// Uses the Helm at `program` (a path, or a name in PATH).
    pub fn new(program: PathBuf) -> Result<Self, HelmError> {
        let folder =
            tempfile::tempdir().map_err(|source| HelmError::Write { path: std::env::temp_dir(), source })?;
        let helm = Self { program, folder };
        helm.run(&["version", "--short"])?;
        Ok(helm)
    }

    /// The Helm `asked` for; else the one that the site will get, where this machine can run it; else the one in PATH.
    pub fn find(asked: Option<&Path>, packed: Option<&Path>) -> Result<Self, HelmError> {
        if let Some(asked) = asked {
            return Self::new(asked.to_owned());
        }
        match packed.map(|packed| Self::new(packed.to_owned())) {
            Some(Ok(helm)) => Ok(helm),
            _ => Self::new("helm".into()),
        }
    }

    /// Everything that `component` installs on `site`: manifests, hooks, tests and CRDs.
    pub fn render(
        &self,
        component: &Component,
        chart: &Chart,
        kubernetes: &str,
        settings: &BTreeMap<String, Setting>,
        site: SampleSite,
    ) -> Result<String, HelmError> {
        let archive = self.write(&format!("{}-{}.tgz", chart.name, chart.version), &chart.archive)?;
        // JSON is YAML; Helm reads it as values.
        let values = sample_values(component, settings, site).to_string();
        let values = self.write(&format!("{}.values.json", component.name), values.as_bytes())?;
        let output = self.run(&[
            "template",
            &component.name,
            &archive.display().to_string(),
            "--namespace",
            &component.namespace,
            "--values",
            &values.display().to_string(),
            "--kube-version",
            kubernetes,
            "--include-crds",
        ])?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(HelmError::Render {
            chart: chart.name.clone(),
            component: component.name.clone(),
            site: site.name().to_owned(),
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, HelmError> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).map_err(|source| HelmError::Write { path: path.clone(), source })?;
        Ok(path)
    }

    /// Runs Helm away from the caller's own Helm settings, plugins and clusters.
    fn run(&self, arguments: &[&str]) -> Result<std::process::Output, HelmError> {
        let own = |name: &str| self.folder.path().join(name);
        Command::new(&self.program)
            .args(arguments)
            .env("HELM_CACHE_HOME", own("cache"))
            .env("HELM_CONFIG_HOME", own("config"))
            .env("HELM_DATA_HOME", own("data"))
            .env_remove("HELM_PLUGINS")
            .env_remove("HELM_NAMESPACE")
            .env("KUBECONFIG", own("no-cluster"))
            .stdin(Stdio::null())
            .output()
            .map_err(|source| HelmError::Run { program: self.program.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{self, testing::RECIPE};

    #[test]
    fn site_values_go_where_the_recipe_says() {
        let recipe = recipe::parse(RECIPE, Path::new("recipe.yaml")).unwrap();
        let values = |site| sample_values(&recipe.components[1], &recipe.settings, site);
        assert_eq!(
            values(SampleSite::Small),
            json!({"web": {"image": "registry.sealift.example/orders/web:4.2.0", "replicas": 1, "title": "Orders"}})
        );
        assert_eq!(values(SampleSite::Large)["web"]["replicas"], 3);
        let flannel = sample_values(&recipe.components[0], &recipe.settings, SampleSite::Small);
        assert_eq!(flannel, json!({"podCidr": "10.244.0.0/16"}));
    }

    #[test]
    fn what_is_no_map_gives_way() {
        let mut values = json!({"web": 1});
        put(&mut values, "web.title", json!("x"));
        assert_eq!(values, json!({"web": {"title": "x"}}));
    }

    #[test]
    fn a_missing_helm_is_named() {
        let error = Helm::new("/nonexistent/helm".into()).unwrap_err();
        assert_eq!(error.to_string(), "cannot run Helm as `/nonexistent/helm`");
    }

    #[test]
    fn the_asked_one_comes_first_and_has_no_stand_in() {
        let packed = Path::new("/bin/true");
        assert!(Helm::find(Some(Path::new("/nonexistent/helm")), Some(packed)).is_err());
        assert_eq!(Helm::find(None, Some(packed)).unwrap().program, packed);
    }
}
