//! What a recipe must hold in itself, before anything that it names is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component as PathPart, Path};

use sealift_bundle::document::{API_VERSION, SiteValue};

use super::{KIND, Recipe};
use crate::image::ImageName;

/// Every contradiction in `recipe`, each led by its place.
pub(super) fn findings(recipe: &Recipe) -> Vec<String> {
    let mut findings = Findings(Vec::new());
    findings.header(recipe);
    findings.images(recipe);
    findings.cluster_images(recipe);
    findings.files(recipe);
    findings.directories(recipe);
    findings.components(recipe);
    findings.secrets(recipe);
    findings.settings(recipe);
    findings.0
}

/// Collects sentences.
struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, place: impl AsRef<str>, what: impl AsRef<str>) {
        self.0.push(format!("{}: {}", place.as_ref(), what.as_ref()));
    }

    fn unless(&mut self, holds: bool, place: impl AsRef<str>, what: impl AsRef<str>) {
        if !holds {
            self.add(place, what);
        }
    }

    fn header(&mut self, recipe: &Recipe) {
        self.unless(
            recipe.api_version == API_VERSION,
            "apiVersion",
            format!("`{}` is not known to this program, which reads `{API_VERSION}`", recipe.api_version),
        );
        self.unless(recipe.kind == KIND, "kind", format!("`{}` is no `{KIND}`", recipe.kind));
        self.unless(
            is_label(&recipe.product.name),
            "product.name",
            format!("`{}` must be lower-case letters, digits and `-`", recipe.product.name),
        );
        // Both stand in the signature's one-line comment.
        for (place, text) in
            [("product.title", &recipe.product.title), ("product.version", &recipe.product.version)]
        {
            self.unless(
                !text.trim().is_empty() && !text.contains(char::is_control),
                place,
                "must be one line of text",
            );
        }
        self.unless(
            recipe.kubernetes.version.starts_with('v') && recipe.kubernetes.version.matches('.').count() == 2,
            "kubernetes.version",
            format!("`{}` must look like `v1.36.3`", recipe.kubernetes.version),
        );
        self.unless(!recipe.platforms.is_empty(), "platforms", "at least one is needed, e.g. `linux/amd64`");
        for platform in &recipe.platforms {
            let parts: Vec<&str> = platform.split('/').collect();
            self.unless(
                matches!(parts.len(), 2 | 3) && parts.iter().all(|part| !part.is_empty()),
                "platforms",
                format!("`{platform}` must look like `linux/amd64`"),
            );
        }
        self.unless(
            (1..=19).contains(&recipe.compression.level),
            "compression.level",
            "must be between 1 and 19: higher levels need more memory than hosts should spend on unpacking",
        );
    }

    fn images(&mut self, recipe: &Recipe) {
        for (index, image) in recipe.images.iter().enumerate() {
            let place = format!("images[{index}].name");
            match image.name.parse::<ImageName>() {
                Ok(_) => {}
                Err(error) => self.add(&place, error.to_string()),
            }
            self.unless(!image.roles.is_empty(), format!("images[{index}].roles"), "no host would get it");
        }
        self.unique("images", recipe.images.iter().map(|image| image.name.as_str()));
    }

    /// Images that the cluster starts by itself, from no chart.
    fn cluster_images(&mut self, recipe: &Recipe) {
        let listed: BTreeSet<&str> = recipe.images.iter().map(|image| image.name.as_str()).collect();
        let release = &recipe.kubernetes;
        let named = [
            ("kubernetes.pauseImage", release.pause_image.clone()),
            ("kubernetes.etcdImage", release.etcd_image.clone()),
            ("kubernetes.loadBalancerImage", release.load_balancer_image.clone()),
        ];
        let own = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"]
            .map(|name| ("kubernetes.version", format!("registry.k8s.io/{name}:{}", release.version)));
        for (place, image) in named.into_iter().chain(own) {
            self.unless(
                listed.contains(image.as_str()),
                place,
                format!(
                    "needs the image {image}, which is not in the list; add `- name: {image}` under `images`"
                ),
            );
        }
    }

    fn files(&mut self, recipe: &Recipe) {
        for (index, file) in recipe.files.iter().enumerate() {
            self.host_path(&format!("files[{index}].path"), &file.path);
            self.unless(!file.roles.is_empty(), format!("files[{index}].roles"), "no host would get it");
        }
        self.unique("files", recipe.files.iter().map(|file| file.name.as_str()));
        self.unique("files (path)", recipe.files.iter().map(|file| file.path.as_str()));
    }

    fn directories(&mut self, recipe: &Recipe) {
        for (index, directory) in recipe.host_directories.iter().enumerate() {
            self.host_path(&format!("hostDirectories[{index}].path"), &directory.path);
        }
        self.unique("hostDirectories", recipe.host_directories.iter().map(|entry| entry.path.as_str()));
    }

    fn host_path(&mut self, place: &str, text: &str) {
        let path = Path::new(text);
        let plain = path.is_absolute()
            && path.components().all(|part| matches!(part, PathPart::RootDir | PathPart::Normal(_)))
            && !text.ends_with('/');
        self.unless(
            plain,
            place,
            format!("`{text}` must be an absolute path without `..` and without `/` at its end"),
        );
    }

    fn components(&mut self, recipe: &Recipe) {
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
        self.unique("components", recipe.components.iter().map(|component| component.name.as_str()));
    }

    fn secrets(&mut self, recipe: &Recipe) {
        let components: Vec<&String> = recipe.components.iter().map(|component| &component.name).collect();
        for (index, secret) in recipe.secrets.iter().enumerate() {
            let place = format!("secrets[{index}] ({})", secret.name);
            self.unless(
                components.contains(&&secret.component),
                &place,
                format!(
                    "there is no component `{}`{}",
                    secret.component,
                    among(&secret.component, components.iter().copied())
                ),
            );
            self.unless(
                !secret.from_site.is_empty() || !secret.generated.is_empty(),
                &place,
                "it would be empty: give fromSite or generated",
            );
            for key in secret.generated.iter().filter(|key| secret.from_site.contains_key(*key)) {
                self.add(&place, format!("the key `{key}` is both taken from the site and generated"));
            }
        }
        self.unique(
            "secrets",
            recipe.secrets.iter().map(|secret| (secret.component.as_str(), secret.name.as_str())).map(Pair),
        );
    }

    fn settings(&mut self, recipe: &Recipe) {
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

    fn unique<T: Ord + std::fmt::Display + Copy>(&mut self, place: &str, names: impl Iterator<Item = T>) {
        let mut count: BTreeMap<T, usize> = BTreeMap::new();
        for name in names {
            *count.entry(name).or_default() += 1;
        }
        for (name, _) in count.into_iter().filter(|(_, count)| *count > 1) {
            self.add(place, format!("{name} stands there more than once"));
        }
    }
}

/// A component and a Secret of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Pair<'a>((&'a str, &'a str));

impl std::fmt::Display for Pair<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} of {}", self.0.1, self.0.0)
    }
}

/// A hint at the nearest of `names`, ready to stand behind a sentence.
fn among<'a>(wrong: &str, names: impl Iterator<Item = &'a String>) -> String {
    names
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .min()
        .filter(|(distance, name)| *distance <= name.len().max(3) / 2)
        .map_or_else(String::new, |(_, name)| format!("; did you mean `{name}`?"))
}

/// Whether `text` is a DNS label (RFC 1123).
fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use crate::recipe::{RecipeError, parse, testing::RECIPE};
    use std::path::Path;

    /// The findings about `RECIPE` with `from` replaced by `to`.
    fn findings(from: &str, to: &str) -> Vec<String> {
        let text = RECIPE.replacen(from, to, 1);
        assert_ne!(text, RECIPE, "`{from}` is not in the recipe");
        match parse(&text, Path::new("recipe.yaml")) {
            Err(RecipeError::Findings { findings, .. }) => findings,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_contradiction_has_its_own_sentence() {
        for (from, to, expected) in [
            ("sealift/v1", "sealift/v9", "apiVersion: `sealift/v9` is not known"),
            ("kind: Recipe", "kind: Site", "kind: `Site` is no `Recipe`"),
            ("name: orders\n  title", "name: Orders\n  title", "product.name: `Orders` must be lower-case"),
            ("linux/amd64", "linux", "platforms: `linux` must look like"),
            ("- name: registry.k8s.io/pause:3.10.2", "- name: pause:3.10.2", "images[0].name: "),
            (
                "pauseImage: registry.k8s.io/pause:3.10.2",
                "pauseImage: registry.k8s.io/pause:4",
                "kubernetes.pauseImage: needs",
            ),
            (
                "kube-proxy:v1.36.3",
                "kube-proxy:v1.36.4",
                "needs the image registry.k8s.io/kube-proxy:v1.36.3",
            ),
            (
                "path: /usr/local/bin/kubelet",
                "path: usr/local/bin/kubelet",
                "files[0].path: `usr/local/bin/kubelet` must",
            ),
            (
                "path: /usr/local/bin/kubelet",
                "path: /usr/../kubelet",
                "files[0].path: `/usr/../kubelet` must",
            ),
            ("{setting: title}", "{setting: titel}", "there is no setting `titel`; did you mean `title`?"),
            (
                "component: orders",
                "component: order",
                "there is no component `order`; did you mean `orders`?",
            ),
            (
                "  title:\n    description",
                "  colour:\n    description",
                "settings.colour: no component uses it",
            ),
            ("kind: DaemonSet", "kind: Pod", "cannot wait for a Pod"),
            ("level: 3", "level: 22", "compression.level: must be between"),
        ] {
            let found = findings(from, to);
            assert!(found.iter().any(|finding| finding.contains(expected)), "{to}: {found:?}");
        }
    }

    #[test]
    fn two_files_at_one_path_are_refused() {
        let second =
            "  - name: other\n    version: v1\n    path: /usr/local/bin/kubelet\n    source: {path: other}\n";
        let found = findings("components:\n", &format!("{second}components:\n"));
        assert_eq!(found, ["files (path): /usr/local/bin/kubelet stands there more than once"]);
    }

    #[test]
    fn all_findings_come_together() {
        let text = RECIPE.replace("kind: Recipe", "kind: Site").replace("linux/amd64", "linux");
        let Err(RecipeError::Findings { findings, .. }) = parse(&text, Path::new("recipe.yaml")) else {
            panic!("accepted")
        };
        assert_eq!(findings.len(), 2);
    }
}
