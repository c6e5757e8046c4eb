//! What must hold before anything is fetched: every component has its chart, every chart renders, and every image that
//! comes out is in the recipe.

use std::collections::{BTreeMap, BTreeSet};

use crate::chart::Chart;
use crate::closure::{MissingImage, NotYaml, References};
use crate::helm::{Helm, HelmError, SampleSite};
use crate::lock::Lock;
use crate::progress::{Progress, count};
use crate::recipe::Recipe;

/// Why a bundle would not work on a site.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// Charts and components do not fit.
    #[error("{}", .0.join("\n"))]
    Charts(Vec<String>),
    /// Helm failed.
    #[error(transparent)]
    Helm(#[from] HelmError),
    /// Helm printed nonsense.
    #[error(transparent)]
    NotYaml(#[from] NotYaml),
    /// Images are missing.
    #[error("{} missing from the recipe:\n  {}", count(.0.len(), "image"), list(.0))]
    Missing(Vec<MissingImage>),
}

fn list(missing: &[MissingImage]) -> String {
    missing.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}

/// Checks that components and charts fit.
pub fn charts(recipe: &Recipe, charts: &[Chart]) -> Result<(), GateError> {
    let mut findings = Vec::new();
    let mut names = BTreeSet::new();
    for (entry, chart) in recipe.charts.iter().zip(charts) {
        if !names.insert(chart.name.as_str()) {
            findings.push(format!("charts: {} is the second chart named {}", entry.source, chart.name));
        }
    }
    for (index, component) in recipe.components.iter().enumerate() {
        if !names.contains(component.chart.as_str()) {
            let known = names.iter().copied().collect::<Vec<_>>().join(", ");
            findings.push(format!(
                "components[{index}] ({}): there is no chart `{}`; charts: {known}",
                component.name, component.chart
            ));
        }
    }
    for chart in charts {
        if !recipe.components.iter().any(|component| component.chart == chart.name) {
            findings.push(format!("charts: no component uses {}; add a component, or drop it", chart.name));
        }
    }
    if findings.is_empty() { Ok(()) } else { Err(GateError::Charts(findings)) }
}

/// Renders every component for every sample site, and checks that every image named is locked.
pub fn closure(
    recipe: &Recipe,
    charts: &[Chart],
    lock: &Lock,
    helm: &Helm,
    progress: &dyn Progress,
) -> Result<(), GateError> {
    let mut references = References::default();
    for component in &recipe.components {
        let Some(chart) = charts.iter().find(|chart| chart.name == component.chart) else { continue };
        for site in SampleSite::ALL {
            let rendered =
                helm.render(component, chart, &recipe.kubernetes.version, &recipe.settings, site)?;
            references.add(&component.name, &rendered)?;
        }
    }
    let packed: BTreeMap<String, String> =
        lock.images.iter().map(|image| (image.name.clone(), image.digest.clone())).collect();
    let missing = references.missing(&packed);
    if !missing.is_empty() {
        return Err(GateError::Missing(missing));
    }
    progress.note(&format!(
        "gate      {} rendered, {} named, none missing",
        count(recipe.components.len(), "component"),
        count(references.0.len(), "image")
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{self, testing::RECIPE};
    use std::path::Path;

    fn chart(name: &str) -> Chart {
        Chart {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            metadata: serde_json::Value::Null,
            archive: Vec::new(),
            content: String::new(),
        }
    }

    #[test]
    fn components_and_charts_must_fit() {
        let recipe = recipe::parse(RECIPE, Path::new("recipe.yaml")).unwrap();
        charts(&recipe, &[chart("flannel"), chart("orders")]).unwrap();
        let error = charts(&recipe, &[chart("flannel"), chart("flannel")]).unwrap_err().to_string();
        assert!(error.contains("charts/orders is the second chart named flannel"), "{error}");
        assert!(
            error.contains("components[1] (orders): there is no chart `orders`; charts: flannel"),
            "{error}"
        );
        let unused = charts(&recipe, &[chart("flannel"), chart("orders"), chart("dns")]).unwrap_err();
        assert!(unused.to_string().contains("no component uses dns"));
    }
}
