//! Services that a site may run itself: what is left out then is there, and the site's is used.

use std::collections::BTreeSet;

use sealift_bundle::document::SiteValue;
use sealift_bundle::services::ServiceKind;

use super::{Findings, among};
use crate::recipe::Recipe;

impl Findings {
    pub(super) fn services(&mut self, recipe: &Recipe) {
        self.left_out(recipe);
        self.passwords(recipe);
        let used: BTreeSet<ServiceKind> = values(recipe).map(|(_, kind)| kind).collect();
        for kind in recipe.services.keys().filter(|kind| !used.contains(kind)) {
            let name = kind.name();
            self.add(
                format!("services.{name}"),
                format!("no component gets to know the site's: take it in a valuesFrom (`some.path: {{service: {name}-…}}`)"),
            );
        }
        for (place, kind) in values(recipe).filter(|(_, kind)| !recipe.services.contains_key(kind)) {
            self.add(place, undeclared(kind));
        }
    }

    /// Every name that is left out is one that is there otherwise.
    fn left_out(&mut self, recipe: &Recipe) {
        let components: Vec<&String> = recipe.components.iter().map(|one| &one.name).collect();
        let folders: Vec<&String> = recipe.host_directories.iter().map(|one| &one.path).collect();
        let images: Vec<&String> = recipe.images.iter().map(|one| &one.name).collect();
        let parts: Vec<&String> =
            recipe.sizing.iter().flat_map(|model| &model.parts).map(|one| &one.name).collect();
        for (kind, replaced) in &recipe.services {
            let lists = [
                ("components", "component", &replaced.components, &components),
                ("hostDirectories", "folder", &replaced.host_directories, &folders),
                ("images", "image", &replaced.images, &images),
                ("sizingParts", "part of the sizing model", &replaced.sizing_parts, &parts),
            ];
            for (key, what, names, known) in lists {
                for name in names.iter().filter(|name| !known.contains(name)) {
                    let near = among(name, known.iter().copied());
                    self.add(
                        format!("services.{}.{key}", kind.name()),
                        format!("there is no {what} `{name}`{near}"),
                    );
                }
            }
            for gate in &replaced.gates {
                let there = recipe.components.iter().any(|one| one.gates.contains(gate));
                self.unless(
                    there,
                    format!("services.{}.gates", kind.name()),
                    format!("no component has a gate on {} {}", gate.kind, gate.name),
                );
            }
        }
    }

    fn passwords(&mut self, recipe: &Recipe) {
        for (index, secret) in recipe.secrets.iter().enumerate() {
            let place = format!("secrets[{index}] ({})", secret.name);
            for (key, kind) in &secret.from_services {
                self.unless(recipe.services.contains_key(kind), &place, undeclared(*kind));
                self.unless(
                    !secret.from_site.contains_key(key),
                    &place,
                    format!("the key `{key}` is both taken from the site and from its service"),
                );
            }
            for name in secret.from_site.values().filter(|name| name.starts_with("services.")) {
                self.add(
                    &place,
                    format!("`{name}` is no name for a secret: services. stands for fromServices"),
                );
            }
        }
    }
}

/// Where something about a service is taken, and of which.
fn values(recipe: &Recipe) -> impl Iterator<Item = (String, ServiceKind)> {
    recipe.components.iter().enumerate().flat_map(|(index, component)| {
        component.values_from.iter().filter_map(move |(path, value)| match value {
            SiteValue::Service(value) => {
                Some((format!("components[{index}] ({}): valuesFrom `{path}`", component.name), value.kind()))
            }
            _ => None,
        })
    })
}

fn undeclared(kind: ServiceKind) -> String {
    let name = kind.name();
    format!("the product does not say that a site may run `{name}` itself: add `{name}:` under `services:`")
}
