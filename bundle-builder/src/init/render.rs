//! What a chart becomes with its default values: the only part of this that speaks to Helm and the closure gate.

use std::collections::BTreeMap;

use sealift_bundle::document::{Component, Stage};

use super::{KUBERNETES, Named, Rendered, because};
use crate::chart::Chart;
use crate::closure::References;
use crate::helm::{Helm, HelmError, SampleSite};

/// Renders `chart` as the release `name`.
pub(super) fn render(name: &str, chart: &Chart, helm: &Helm) -> Result<Rendered, HelmError> {
    let component = Component {
        name: name.to_owned(),
        chart: chart.name.clone(),
        namespace: name.to_owned(),
        stage: Stage::Product,
        values: serde_json::Value::Null,
        values_from: BTreeMap::new(),
        gates: Vec::new(),
        timeout_seconds: 600,
        acceptance: false,
    };
    let text = match helm.render(&component, chart, KUBERNETES, &BTreeMap::new(), SampleSite::Small) {
        Ok(text) => text,
        Err(HelmError::Render { output, .. }) => {
            return Ok(Rendered::Not(format!(
                "it does not render with its default values\n{}",
                output.trim()
            )));
        }
        Err(error) => return Err(error),
    };
    Ok(named(name, &text)
        .map_or_else(|error| Rendered::Not(format!("{error}{}", because(&error))), Rendered::Well))
}

/// Every image that `rendered` names, and who does: all are missing where none is packed.
pub(super) fn named(component: &str, rendered: &str) -> Result<Vec<Named>, crate::closure::NotYaml> {
    let mut references = References::default();
    references.add(component, rendered)?;
    let missing = references.missing(&BTreeMap::new());
    let all = missing.into_iter().flat_map(|image| {
        let found = image.found;
        image.places.into_iter().map(move |place| Named {
            image: found.clone(),
            kind: place.object.split(['/', ' ']).next().unwrap_or_default().to_owned(),
            name: place.object.rsplit('/').next().unwrap_or_default().to_owned(),
        })
    });
    Ok(all.collect())
}
