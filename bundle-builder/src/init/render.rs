//! What a chart becomes with its default values: the only part of this that speaks to Helm and the closure gate.

use std::collections::BTreeMap;

use sealift_bundle::document::{Component, Stage};
use serde_json::{Value, json};

use super::{KUBERNETES, Named, Rendered, because};
use crate::chart::Chart;
use crate::closure::{Found, References, Rendering};
use crate::helm::{Helm, HelmError, Request};

/// Renders `chart` as the release `name`.
pub(super) fn render(name: &str, chart: &Chart, helm: &Helm) -> Result<Rendered, HelmError> {
    let component = Component {
        name: name.to_owned(),
        chart: chart.name.clone(),
        namespace: name.to_owned(),
        stage: Stage::Product,
        values: Value::Null,
        values_from: BTreeMap::new(),
        gates: Vec::new(),
        timeout_seconds: 600,
        acceptance: false,
    };
    let site = json!({});
    let request =
        Request { component: &component, chart, profile: None, site: &site, kubernetes: KUBERNETES };
    let text = match helm.render(&request) {
        Ok(text) => text,
        Err(error @ (HelmError::Run { .. } | HelmError::Write { .. })) => return Err(error),
        Err(error) => {
            return Ok(Rendered::Not(format!("it does not render with its default values\n{error}")));
        }
    };
    Ok(named(name, &text).map_or_else(
        |error| Rendered::Not(format!("Helm rendered something that is no YAML: {error}{}", because(&error))),
        Rendered::Well,
    ))
}

/// Every image that `rendered` names, and who does: all are missing where none is packed.
pub(super) fn named(component: &str, rendered: &str) -> Result<Vec<Named>, serde_yaml::Error> {
    let found = Found::read(rendered, component, &[])?;
    let mut references = References::default();
    let rendering = Rendering { chart: component, component, namespace: component, profile: None };
    references.add(rendering, found);
    let places = references.missing(&[]).into_iter().flat_map(|image| image.places);
    Ok(places
        .map(|(place, _)| Named {
            image: place.written,
            kind: place.object.split(' ').next().unwrap_or_default().to_owned(),
            name: place.object.rsplit('/').next().unwrap_or_default().to_owned(),
        })
        .collect())
}
