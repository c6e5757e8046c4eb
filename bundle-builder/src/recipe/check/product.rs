//! What is installed, and what it asks the site.

use std::collections::BTreeSet;

use sealift_bundle::document::SiteValue;

use super::{Findings, among, indexed, is_label};
use crate::recipe::Recipe;

impl Findings {
    pub(super) fn components(&mut self, recipe: &Recipe) {
        for (index, component) in recipe.components.iter().enumerate() {
            let place = format!("components[{index}] ({})", component.name);
            self.unless(is_label(&component.name), &place, "the name must be a DNS label");
            self.unless(is_label(&component.namespace), &place, "the namespace must be a DNS label");
            self.unless(component.timeout_seconds > 0, &place, "timeoutSeconds must be more than 0");
            self.unless(
                component.values.is_null() || component.values.is_object(),
                &place,
                "values must be a map",
            );
            for gate in &component.gates {
                self.unless(
                    matches!(gate.kind.as_str(), "Deployment" | "StatefulSet" | "DaemonSet"),
                    &place,
                    format!("the gate on {} cannot wait for a {}: only for a Deployment, StatefulSet or DaemonSet", gate.name, gate.kind),
                );
            }
            for (path, value) in &component.values_from {
                self.unless(
                    path.split('.').all(|part| !part.is_empty()),
                    &place,
                    format!("valuesFrom: `{path}` is no dotted path"),
                );
                if let SiteValue::Setting(name) = value {
                    self.unless(
                        recipe.settings.contains_key(name),
                        &place,
                        format!(
                            "valuesFrom `{path}`: there is no setting `{name}`{}",
                            among(name, recipe.settings.keys())
                        ),
                    );
                }
            }
        }
        self.unique(indexed("components", "name", recipe.components.iter().map(|one| &one.name)));
    }

    pub(super) fn settings(&mut self, recipe: &Recipe) {
        let used: BTreeSet<&str> = recipe
            .components
            .iter()
            .flat_map(|component| component.values_from.values())
            .filter_map(|value| match value {
                SiteValue::Setting(name) => Some(name.as_str()),
                _ => None,
            })
            .collect();
        for name in recipe.settings.keys().filter(|name| !used.contains(name.as_str())) {
            self.add(
                format!("settings.{name}"),
                format!("no component uses it: take it in a valuesFrom (`some.path: {{setting: {name}}}`), or drop it"),
            );
        }
    }

    pub(super) fn sizing(&mut self, recipe: &Recipe) {
        let Some(model) = &recipe.sizing else { return };
        let components: Vec<&str> = recipe.components.iter().map(|one| one.name.as_str()).collect();
        for (place, what) in model.findings(&components) {
            self.add(format!("sizing.{place}"), what);
        }
    }
}
