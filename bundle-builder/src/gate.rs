//! What must hold before anything is packed: every component has its chart, every chart renders with every profile, every
//! image that comes out is in the recipe, and so is nothing to wait for that does not come out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sealift_bundle::digest::digest_of;
use sealift_bundle::document::Component;

use crate::cache::CacheError;
use crate::chart::Chart;
use crate::closure::{Found, Lack, MissingImage, References, Rendering, Warning};
use crate::helm::{HelmError, Request, SampleSite, site_values};
use crate::lock::Lock;
use crate::nearest::{did_you_mean, nearest};
use crate::parallel;
use crate::progress::{Progress, count};
use crate::recipe::Recipe;
use crate::source::SourceError;

mod profile;
mod renderer;
mod waits;

pub use profile::{Profile, profiles};
pub use renderer::Renderer;

/// Why a bundle would not work on a site.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// Charts and components, or what these wait for, do not fit.
    #[error("{}", .0.join("\n"))]
    Charts(Vec<String>),
    /// A profile cannot be read.
    #[error(transparent)]
    Profile(#[from] SourceError),
    /// Helm cannot be used.
    #[error(transparent)]
    Helm(#[from] HelmError),
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Charts do not render, or images are missing.
    #[error("{0}")]
    Gaps(Gaps),
}

/// Everything that would go wrong on a site, of all charts together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Charts that do not render.
    pub unrendered: Vec<Unrendered>,
    /// Images that charts name and that are not packed.
    pub missing: Vec<MissingImage>,
    /// Gates of components on what no chart brings, in words.
    pub gates: Vec<String>,
}

/// A chart that does not render.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unrendered {
    /// The chart.
    pub chart: String,
    /// The component.
    pub component: String,
    /// For which sites and with which profiles, in words.
    pub tries: Vec<String>,
    /// What Helm says.
    pub words: String,
}

impl fmt::Display for Unrendered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chart, component, tries, words } = self;
        write!(formatter, "chart {chart} for component {component}, {}:", tries.join("; "))?;
        words.lines().try_for_each(|line| write!(formatter, "\n    {line}"))
    }
}

impl fmt::Display for Gaps {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.unrendered.is_empty() {
            let verb = if self.unrendered.len() == 1 { "does" } else { "do" };
            parts.push(format!("{} {verb} not render", count(self.unrendered.len(), "chart")));
        }
        if !self.missing.is_empty() {
            parts.push(format!("{} missing from the recipe", count(self.missing.len(), "image")));
        }
        if !self.gates.is_empty() {
            let verb = if self.gates.len() == 1 { "waits" } else { "wait" };
            parts.push(format!("{} {verb} for nothing", count(self.gates.len(), "gate")));
        }
        write!(formatter, "{}:", parts.join(", "))?;
        self.unrendered.iter().try_for_each(|one| write!(formatter, "\n  {one}"))?;
        self.missing.iter().try_for_each(|one| write!(formatter, "\n  {one}"))?;
        self.gates.iter().try_for_each(|one| write!(formatter, "\n  {one}"))?;
        let lines: Vec<&str> = self
            .missing
            .iter()
            .filter_map(|one| match &one.lack {
                Lack::Absent { line, .. } => Some(line.as_str()),
                _ => None,
            })
            .collect();
        if lines.is_empty() {
            return Ok(());
        }
        write!(formatter, "\n\nto add to the recipe:\n\nimages:")?;
        lines.iter().try_for_each(|line| write!(formatter, "\n  {line}"))?;
        writeln!(formatter)
    }
}

/// Checks that components and charts fit.
pub fn charts(recipe: &Recipe, charts: &[Chart]) -> Result<(), GateError> {
    let mut findings = Vec::new();
    let mut names = BTreeSet::new();
    for (index, (entry, chart)) in recipe.charts.iter().zip(charts).enumerate() {
        if !names.insert(chart.name.as_str()) {
            let what = format!("{} is the second chart named {}", entry.source, chart.name);
            findings.push((format!("charts[{index}]"), what));
        }
    }
    for (index, component) in recipe.components.iter().enumerate() {
        if !names.contains(component.chart.as_str()) {
            let known = names.iter().copied().collect::<Vec<_>>().join(", ");
            let nearest = did_you_mean(nearest(&component.chart, names.iter().copied()));
            let what = format!("there is no chart `{}`; charts: {known}{nearest}", component.chart);
            findings.push((format!("components[{index}].chart ({})", component.name), what));
        }
    }
    for (index, chart) in charts.iter().enumerate() {
        if !recipe.components.iter().any(|component| component.chart == chart.name) {
            let what = format!("no component uses {}; add a component, or drop it", chart.name);
            findings.push((format!("charts[{index}]"), what));
        }
    }
    if findings.is_empty() {
        return Ok(());
    }
    Err(GateError::Charts(vec![recipe.placed(findings).to_string()]))
}

/// Renders every component for every sample site with every profile of its chart, and checks that every image named is
/// locked and every workload to wait for is there. `profiles` are those of each chart, in the order of `charts`.
pub fn closure(
    recipe: &Recipe,
    charts: &[Chart],
    profiles: &[Vec<Profile>],
    lock: &Lock,
    helm: Renderer<'_>,
    progress: &dyn Progress,
) -> Result<(), GateError> {
    let tries = tries(recipe, charts, profiles);
    let number = tries.len();
    let rendered = parallel::map(parallel::cores(), tries, |one| one.render(&helm, recipe))?;
    helm.remember()?;
    let unrendered = unrendered(&rendered);
    let idle = idle_profiles(&rendered);
    let waits::Waits { vain: gates, open } = waits::waits(recipe, &rendered);
    let mut references = References::default();
    for (one, result) in rendered {
        let Ok(Rendered { found, .. }) = result else { continue };
        references.add(one.rendering(), found);
    }
    let missing = references.missing(&lock.images);
    // Where a chart did not render, it is not known what else it names.
    if unrendered.is_empty() {
        let mut warnings = references.warnings(recipe, &lock.images);
        warnings.extend(idle.into_iter().chain(open));
        for warning in &warnings {
            progress.note(&format!("warning   {warning}"));
        }
    }
    if !unrendered.is_empty() || !missing.is_empty() {
        return Err(GateError::Gaps(Gaps { unrendered, missing, gates }));
    }
    if !gates.is_empty() {
        return Err(GateError::Charts(gates));
    }
    progress.note(&format!(
        "gate      {} rendered {}, {} named, none missing",
        count(recipe.components.len(), "component"),
        if number == 1 { "once".to_owned() } else { format!("{number} times") },
        count(references.len(), "image")
    ));
    Ok(())
}

/// One rendering of one component.
struct Try<'a> {
    component: &'a Component,
    chart: &'a Chart,
    profile: Option<&'a Profile>,
    site: SampleSite,
}

/// What came of it.
struct Rendered {
    digest: String,
    found: Found,
}

/// Everything to render; where sites make no difference, for one of them.
fn tries<'a>(recipe: &'a Recipe, charts: &'a [Chart], profiles: &'a [Vec<Profile>]) -> Vec<Try<'a>> {
    let mut tries = Vec::new();
    for component in &recipe.components {
        let Some(index) = charts.iter().position(|chart| chart.name == component.chart) else { continue };
        let values = |site| site_values(component, &recipe.settings, site);
        let mut sites = SampleSite::ALL.to_vec();
        sites.dedup_by_key(|site| values(*site));
        let own = profiles.get(index).into_iter().flatten();
        for profile in std::iter::once(None).chain(own.map(Some)) {
            let chart = &charts[index];
            tries.extend(sites.iter().map(|&site| Try { component, chart, profile, site }));
        }
    }
    tries
}

impl<'a> Try<'a> {
    /// Renders it. What is wrong with the chart is a result; only a Helm that cannot be used stops the rest.
    fn render(
        self,
        renderer: &Renderer<'_>,
        recipe: &Recipe,
    ) -> Result<(Self, Result<Rendered, String>), GateError> {
        let request = Request {
            component: self.component,
            chart: self.chart,
            profile: self.profile.map(|profile| profile.content.as_slice()),
            site: &site_values(self.component, &recipe.settings, self.site),
            kubernetes: &recipe.kubernetes.version,
        };
        let result = match renderer.render(&request) {
            Ok(text) => match Found::read(&text, &self.component.namespace, &recipe.image_hints) {
                Ok(found) => Ok(Rendered { digest: digest_of(text.as_bytes()), found }),
                Err(error) => Err(format!("what Helm made is no YAML: {error}")),
            },
            Err(GateError::Helm(
                error @ (HelmError::Refused { .. } | HelmError::TooSlow { .. } | HelmError::TooMuch { .. }),
            )) => Err(error.to_string()),
            Err(error) => return Err(error),
        };
        Ok((self, result))
    }

    fn rendering(&self) -> Rendering<'a> {
        Rendering {
            chart: &self.chart.name,
            component: &self.component.name,
            namespace: &self.component.namespace,
            profile: self.profile.map(|profile| profile.place.as_str()),
        }
    }

    fn words(&self) -> String {
        match self.profile {
            Some(profile) => format!("{} with {}", self.site.name(), profile.place),
            None => self.site.name().to_owned(),
        }
    }
}

type Results<'a> = [(Try<'a>, Result<Rendered, String>)];

/// Charts that failed; one that fails in the same words again and again is one finding.
fn unrendered(rendered: &Results<'_>) -> Vec<Unrendered> {
    let mut findings: BTreeMap<(&str, &str, &str), Vec<String>> = BTreeMap::new();
    for (one, result) in rendered {
        if let Err(words) = result {
            let key = (one.chart.name.as_str(), one.component.name.as_str(), words.as_str());
            findings.entry(key).or_default().push(one.words());
        }
    }
    let finding = |((chart, component, words), tries): ((&str, &str, &str), Vec<String>)| Unrendered {
        chart: chart.to_owned(),
        component: component.to_owned(),
        tries,
        words: words.to_owned(),
    };
    findings.into_iter().map(finding).collect()
}

/// Profiles with which no component of their chart becomes anything else on any site.
fn idle_profiles(rendered: &Results<'_>) -> BTreeSet<Warning> {
    let digest = |result: &Result<Rendered, String>| result.as_ref().ok().map(|one| one.digest.clone());
    let mut plain = BTreeMap::new();
    let mut changes: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    for (one, result) in rendered {
        let place = (one.component.name.as_str(), one.site.name());
        match one.profile {
            // Comes before those with profiles.
            None => drop(plain.insert(place, digest(result))),
            Some(profile) => {
                let differs = changes.entry((&one.chart.name, &profile.place)).or_default();
                *differs |= plain.get(&place) != Some(&digest(result));
            }
        }
    }
    let idle = changes.into_iter().filter(|(_, differs)| !differs);
    idle.map(|((chart, profile), _)| Warning::IdleProfile {
        chart: chart.to_owned(),
        profile: profile.to_owned(),
    })
    .collect()
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
        let line = |text: &str| RECIPE.lines().position(|line| line.contains(text)).unwrap() + 1;
        let expected = [
            format!(
                "recipe.yaml:{}:5: charts[1]: charts/orders is the second chart named flannel",
                line("path: charts/orders")
            ),
            format!(
                "  recipe.yaml:{}:5: components[1].chart (orders): there is no chart `orders`; charts: flannel",
                line("chart: orders")
            ),
        ];
        assert_eq!(error.lines().collect::<Vec<_>>(), expected);
        let unused = charts(&recipe, &[chart("flannel"), chart("orders"), chart("dns")]).unwrap_err();
        assert!(unused.to_string().contains("no component uses dns"));
        let text = RECIPE.replace("chart: orders", "chart: oders");
        let misspelt = recipe::parse(&text, Path::new("recipe.yaml")).unwrap();
        let error = charts(&misspelt, &[chart("flannel"), chart("orders")]).unwrap_err().to_string();
        let expected = "there is no chart `oders`; charts: flannel, orders; did you mean `orders`?";
        assert!(error.contains(expected), "{error}");
    }
}
