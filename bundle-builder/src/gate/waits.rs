//! What components wait for: a workload that nothing brings would keep a site waiting until its time is over.

use sealift_bundle::document::{Component, Workload as Gate};

use super::Results;
use crate::closure::{Warning, Workload, Workloads};
use crate::nearest::{did_you_mean, nearest};
use crate::recipe::Recipe;

/// Gates on workloads that no rendering has.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// Those that nothing can open, each with its place in the recipe.
    pub(super) vain: Vec<String>,
    /// Those that only an operator can open.
    pub(super) open: Vec<Warning>,
}

/// Looks at the gates of every component all of whose renderings are there.
pub(super) fn waits(recipe: &Recipe, rendered: &Results<'_>) -> Waits {
    let mut waits = Waits::default();
    for (index, component) in recipe.components.iter().enumerate() {
        let Some(workloads) = workloads(component, rendered) else { continue };
        for (at, gate) in component.gates.iter().enumerate() {
            let Some(hint) = lack(component, gate, &workloads) else { continue };
            let Component { chart, name, namespace, .. } = component;
            let what =
                format!("chart {chart} brings no {} {} to the namespace {namespace}", gate.kind, gate.name);
            let place = format!("components[{index}].gates[{at}] ({name})");
            let placed = |what: String| recipe.placed(vec![(place, what)]).to_string();
            if workloads.operated {
                let what = format!("{what}: only an operator could make it{hint}");
                waits.open.push(Warning::Gate { finding: placed(what) });
            } else {
                waits.vain.push(placed(format!("{what}: a site would wait for it in vain{hint}")));
            }
        }
    }
    waits
}

/// What all renderings of a component bring together; nothing where one failed.
fn workloads(component: &Component, rendered: &Results<'_>) -> Option<Workloads> {
    let mut workloads = Workloads::default();
    for (_, result) in rendered.iter().filter(|(one, _)| one.component.name == component.name) {
        workloads.add(&result.as_ref().ok()?.found.workloads);
    }
    Some(workloads)
}

/// What may be meant where no workload is the gate's, ready to stand behind a sentence.
fn lack(component: &Component, gate: &Gate, workloads: &Workloads) -> Option<String> {
    let namespace = &component.namespace;
    let Gate { kind, name } = gate;
    let is_here = |one: &&Workload| one.namespace == *namespace;
    if workloads.installed.iter().filter(is_here).any(|one| one.kind == *kind && one.name == *name) {
        return None;
    }
    let same_name = |one: &&Workload| one.name == *name;
    let same_kind = |one: &&Workload| one.kind == *kind;
    Some(if let Some(other) = workloads.installed.iter().filter(is_here).find(same_name) {
        format!("; it has a {} of that name", other.kind)
    } else if let Some(other) = workloads.installed.iter().filter(same_kind).find(same_name) {
        format!("; it has one in the namespace {}", other.namespace)
    } else {
        let near = workloads.installed.iter().filter(is_here).filter(same_kind);
        did_you_mean(nearest(name, near.map(|one| one.name.as_str())))
    })
}
