//! A first recipe, from a folder of charts: rendered by the real Helm with their default values, images filled in.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::atomic;
use crate::chart::Chart;
use crate::helm::{Helm, HelmError};
use crate::recipe::{self, RecipeError};

mod find;
mod render;
mod text;

/// The Kubernetes that the recipe starts with.
const KUBERNETES: &str = "v1.36.3";
/// Longest name of a Helm release.
const NAME_LENGTH: usize = 53;
/// Words in names of charts without which no cluster works: pod networks and its DNS.
const PLATFORM: [&str; 4] = ["flannel", "calico", "cilium", "coredns"];

/// A recipe that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// Charts in it.
    pub charts: usize,
    /// Images in it, the cluster's own included.
    pub images: usize,
    /// Charts that are only comments in it: where they are, and why.
    pub left_out: Vec<(PathBuf, String)>,
}

/// Why there is no recipe. Nothing is written then.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The folder has none.
    #[error("there is no chart in {}", folder.display())]
    NoCharts {
        /// The folder.
        folder: PathBuf,
    },
    /// It is a file, and no archive of a chart as Helm packs them.
    #[error("{} is neither a folder nor a chart's archive", path.display())]
    NoArchive {
        /// The file.
        path: PathBuf,
    },
    /// Far more than a product has.
    #[error("there is too much in {}: that is no folder of charts", folder.display())]
    TooMany {
        /// The folder.
        folder: PathBuf,
    },
    /// Something cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The recipe is there already.
    #[error("{} is there already", path.display())]
    Exists {
        /// The recipe.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The recipe.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No Helm.
    #[error(transparent)]
    Helm(#[from] HelmError),
    /// What was made of the charts is no recipe: a fault of this program.
    #[error("the recipe made from these charts is not valid")]
    Own(#[source] RecipeError),
}

/// A chart, on its way into the recipe.
struct Draft {
    /// As the recipe names it.
    path: PathBuf,
    chart: String,
    component: String,
    /// Of what is in the chart; the chart's own where it does not say.
    version: String,
    /// Whether the cluster itself needs it.
    platform: bool,
    rendered: Rendered,
}

/// What came of rendering.
enum Rendered {
    /// What it names.
    Well(Vec<Named>),
    /// Why it did not.
    Not(String),
}

/// An image, and an object that names it.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    /// As it stands there.
    image: String,
    /// Kind of the object.
    kind: String,
    /// Name of the object.
    name: String,
}

/// Writes a recipe for the charts in `folder`, or for the single one that it is, to `target`. `helm` is asked for once there are charts to render.
pub fn init(
    folder: &Path,
    helm: impl FnOnce() -> Result<Helm, HelmError>,
    target: &Path,
) -> Result<Begun, InitError> {
    if target.symlink_metadata().is_ok() {
        return Err(InitError::Exists { path: target.to_owned() });
    }
    // Without links and `..`: only then a path from one to the other is right.
    let canonical =
        |path: &Path| path.canonicalize().map_err(|source| InitError::Read { path: path.to_owned(), source });
    let home = target.parent().filter(|home| !home.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let home = canonical(home)?;
    let none = || InitError::NoCharts { folder: folder.to_owned() };
    let charts = find::charts(folder)?;
    if charts.is_empty() {
        return Err(none());
    }
    let helm = helm()?;
    let mut drafts = Vec::new();
    for path in charts {
        let name = find::relative(&canonical(&path)?, &home);
        drafts.extend(draft(&path, name, &helm)?);
    }
    if drafts.is_empty() {
        return Err(none());
    }
    leave_out_doubles(&mut drafts);
    drafts.sort_by_key(|draft| (rank(draft), draft.component.clone()));
    let text = text::recipe(&drafts);
    let recipe = recipe::parse(&text, target).map_err(InitError::Own)?;
    atomic::create(target, text.as_bytes()).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => InitError::Exists { path: target.to_owned() },
        _ => InitError::Write { path: target.to_owned(), source },
    })?;
    let left_out = drafts.into_iter().filter_map(|draft| match draft.rendered {
        Rendered::Not(why) => Some((draft.path, why)),
        Rendered::Well(_) => None,
    });
    Ok(Begun { charts: recipe.charts.len(), images: recipe.images.len(), left_out: left_out.collect() })
}

/// Reads and renders the chart at `path`; nothing where it cannot be installed by itself.
fn draft(path: &Path, name: PathBuf, helm: &Helm) -> Result<Option<Draft>, InitError> {
    let chart = match Chart::read(path) {
        Ok(chart) if chart.metadata["type"] == "library" => return Ok(None),
        Ok(chart) => chart,
        Err(error) => {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let why = format!("{error}{}", because(&error));
            let (version, platform) = (String::new(), false);
            return Ok(Some(Draft {
                path: name,
                component: label(&stem),
                chart: stem,
                version,
                platform,
                rendered: Rendered::Not(why),
            }));
        }
    };
    let component = label(&chart.name);
    let rendered = render::render(&component, &chart, helm)?;
    let version = match &chart.metadata["appVersion"] {
        serde_json::Value::String(version) => version.clone(),
        // Where it was forgotten to quote it.
        serde_json::Value::Number(version) => version.to_string(),
        _ => chart.version.clone(),
    };
    let platform = PLATFORM.iter().any(|word| chart.name.contains(word));
    Ok(Some(Draft { path: name, chart: chart.name, component, version, platform, rendered }))
}

/// The causes behind `error`, a line each.
fn because(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.map(|cause| format!("\nbecause: {cause}")).collect::<Vec<_>>().concat()
}

/// A recipe holds a chart's name once: of two, the first stays.
fn leave_out_doubles(drafts: &mut [Draft]) {
    let (mut charts, mut components) = (BTreeSet::new(), BTreeSet::new());
    for draft in drafts.iter_mut().filter(|draft| matches!(draft.rendered, Rendered::Well(_))) {
        let first = charts.insert(draft.chart.clone()) & components.insert(draft.component.clone());
        if !first {
            draft.rendered = Rendered::Not(format!("there is another chart named {}", draft.component));
        }
    }
}

/// Where a chart stands in the order: the cluster's own parts, then what starts nothing (definitions, storage classes),
/// then what runs on every node, what keeps data, and what uses it. What did not render comes last.
fn rank(draft: &Draft) -> u8 {
    let Rendered::Well(named) = &draft.rendered else { return 5 };
    if draft.platform {
        return 0;
    }
    let of_kind = |kind: &str| named.iter().any(|one| one.kind == kind);
    match () {
        () if of_kind("Deployment") => 4,
        () if of_kind("StatefulSet") => 3,
        () if of_kind("DaemonSet") => 2,
        () if named.is_empty() => 1,
        () => 4,
    }
}

/// `text` as a name that Helm and Kubernetes take (RFC 1123).
fn label(text: &str) -> String {
    let lower = text.to_lowercase();
    let plain = lower.chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' });
    let name: String = plain.take(NAME_LENGTH).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "chart".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_get_names_that_kubernetes_takes() {
        for (text, expected) in
            [("orders", "orders"), ("My_Chart.v2", "my-chart-v2"), ("-ü-", "chart"), ("", "chart")]
        {
            assert_eq!(label(text), expected);
        }
        assert_eq!(label(&"a".repeat(99)).len(), NAME_LENGTH);
    }
}
