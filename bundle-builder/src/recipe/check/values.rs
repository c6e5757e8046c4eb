//! Values that the site adds to those of a component: each must fit beside the others as the installer puts them in.

use std::collections::BTreeMap;

use sealift_bundle::document::{Component, Setting, SiteValue};
use sealift_bundle::values::{Obstacle, put};
use serde_json::{Map, Value};

use super::Findings;
use crate::recipe::Recipe;

impl Findings {
    /// Paths that lead through something that is no map: the installer refuses these, on the site.
    pub(super) fn values_from(&mut self, recipe: &Recipe) {
        for (index, component) in recipe.components.iter().enumerate() {
            let mut values = match &component.values {
                Value::Object(_) => component.values.clone(),
                _ => Value::Object(Map::new()),
            };
            // In the order of the paths, as the installer goes.
            for (path, wanted) in &component.values_from {
                if let Err(obstacle) = put(&mut values, path, sample(wanted, &recipe.settings)) {
                    self.add(
                        format!("components[{index}].valuesFrom.{path} ({})", component.name),
                        format!(
                            "{}, and nothing can be put below that: make it a map, or choose another path",
                            words(&obstacle, component)
                        ),
                    );
                }
            }
        }
    }
}

/// What stands in the way, in words.
fn words(obstacle: &Obstacle, component: &Component) -> String {
    let Obstacle { path, kind } = obstacle;
    if component.values_from.contains_key(path) {
        format!("valuesFrom puts a value at `{path}` already")
    } else {
        format!("`{path}` is {kind} in the component's values")
    }
}

/// What the site may say there: a map only where a setting is one by its default.
fn sample(wanted: &SiteValue, settings: &BTreeMap<String, Setting>) -> Value {
    let default = match wanted {
        SiteValue::Setting(name) => settings.get(name).and_then(|setting| setting.default.clone()),
        _ => None,
    };
    default.unwrap_or_else(|| Value::String("sample".to_owned()))
}
