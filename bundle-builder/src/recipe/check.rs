//! What a recipe must hold in itself, before anything that it names is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component as PathPart, Path};

use sealift_bundle::document::{API_VERSION, SiteValue};

use super::{ChartSource, FileEntry, FileSource, ImageHint, KIND, Recipe};
use crate::image::ImageName;
use crate::manifest::serves;

/// What public images are made for, as their indexes write it (image-spec, platform).
const IMAGE_PLATFORMS: [&str; 8] = [
    "linux/386",
    "linux/amd64",
    "linux/arm/v6",
    "linux/arm/v7",
    "linux/arm64",
    "linux/ppc64le",
    "linux/riscv64",
    "linux/s390x",
];

/// Every contradiction in `recipe`: its place, as a path from the top, and what is wrong.
pub(super) fn findings(recipe: &Recipe) -> Vec<(String, String)> {
    let mut findings = Findings(Vec::new());
    findings.header(recipe);
    findings.images(recipe);
    findings.cluster_images(recipe);
    findings.hints(recipe);
    findings.charts(recipe);
    findings.files(recipe);
    findings.directories(recipe);
    findings.components(recipe);
    findings.secrets(recipe);
    findings.settings(recipe);
    findings.sizing(recipe);
    findings.0
}

/// Collects places and sentences.
struct Findings(Vec<(String, String)>);

impl Findings {
    fn add(&mut self, place: impl AsRef<str>, what: impl AsRef<str>) {
        self.0.push((place.as_ref().to_owned(), what.as_ref().to_owned()));
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
        for (index, platform) in recipe.platforms.iter().enumerate() {
            let parts: Vec<&str> = platform.split('/').collect();
            self.unless(
                matches!(parts.len(), 2 | 3) && parts.iter().all(|part| !part.is_empty()),
                format!("platforms[{index}]"),
                format!("`{platform}` must look like `linux/amd64`"),
            );
        }
        self.unique(recipe.platforms.iter().enumerate().map(|(i, name)| (format!("platforms[{i}]"), name)));
        self.unless(
            (1..=19).contains(&recipe.compression.level),
            "compression.level",
            "must be between 1 and 19: higher levels need more memory than hosts should spend on unpacking",
        );
    }

    fn images(&mut self, recipe: &Recipe) {
        for (index, image) in recipe.images.iter().enumerate() {
            let place = format!("images[{index}]");
            if let Err(error) = image.name.parse::<ImageName>() {
                self.add(format!("{place}.name"), error.to_string());
            }
            let known = IMAGE_PLATFORMS.map(str::to_owned);
            self.platforms(&place, &image.platforms, &recipe.platforms.iter().chain(&known));
        }
        self.unique(indexed("images", "name", recipe.images.iter().map(|image| &image.name)));
    }

    /// Platforms of one entry are among those that there can be.
    fn platforms<'n>(
        &mut self,
        place: &str,
        platforms: &[String],
        possible: &(impl Iterator<Item = &'n String> + Clone),
    ) {
        for (index, platform) in platforms.iter().enumerate() {
            let known = possible.clone().map(String::as_str).collect::<BTreeSet<_>>();
            self.unless(
                possible.clone().any(|one| serves(platform, one)),
                format!("{place}.platforms[{index}]"),
                format!(
                    "`{platform}` is not among {}{}",
                    known.into_iter().collect::<Vec<_>>().join(", "),
                    among(platform, possible.clone())
                ),
            );
        }
        self.unique(platforms.iter().enumerate().map(|(i, name)| (format!("{place}.platforms[{i}]"), name)));
    }

    /// Images that the cluster starts by itself, from no chart.
    fn cluster_images(&mut self, recipe: &Recipe) {
        let listed: BTreeSet<&str> = recipe.images.iter().map(|image| image.name.as_str()).collect();
        for (place, image) in recipe.cluster_images() {
            self.unless(
                listed.contains(image.as_str()),
                place,
                format!(
                    "needs the image {image}, which is not in the list; add `- name: {image}` under `images`"
                ),
            );
        }
    }

    fn hints(&mut self, recipe: &Recipe) {
        let listed: BTreeSet<&str> = recipe.images.iter().map(|image| image.name.as_str()).collect();
        for (index, hint) in recipe.image_hints.iter().enumerate() {
            let ImageHint::Images { component, images } = hint else { continue };
            let names = || recipe.components.iter().map(|component| &component.name);
            self.unless(
                names().any(|name| name == component),
                format!("imageHints[{index}].component"),
                format!("there is no component `{component}`{}", among(component, names())),
            );
            for (at, image) in images.iter().enumerate() {
                self.unless(
                    listed.contains(image.as_str()),
                    format!("imageHints[{index}].images[{at}]"),
                    format!("{image} is not in the list; add `- name: {image}` under `images`"),
                );
            }
        }
    }

    fn charts(&mut self, recipe: &Recipe) {
        for (index, chart) in recipe.charts.iter().enumerate() {
            let place = format!("charts[{index}]");
            match &chart.source {
                ChartSource::Local(_) => {}
                ChartSource::Repository { url, name, version } => {
                    self.web_address(&format!("{place}.repository"), url);
                    self.unless(
                        !name.is_empty() && !name.contains(['/', ' ']),
                        format!("{place}.name"),
                        format!("`{name}` is no name of a chart"),
                    );
                    self.exact_version(&place, version);
                }
                ChartSource::Oci { repository, version } => {
                    if let Err(error) = format!("{repository}:0").parse::<ImageName>() {
                        let what = format!("`{repository}` is no registry and repository: {error}");
                        self.add(format!("{place}.oci"), what);
                    }
                    self.exact_version(&place, version);
                }
            }
        }
        let sources: Vec<String> = recipe.charts.iter().map(|chart| chart.source.to_string()).collect();
        self.unique(sources.iter().enumerate().map(|(index, text)| (format!("charts[{index}]"), text)));
    }

    fn exact_version(&mut self, place: &str, version: &str) {
        let exact = version.matches('.').count() >= 2
            && version.bytes().all(|c| c.is_ascii_alphanumeric() || b".-+".contains(&c));
        self.unless(
            exact,
            format!("{place}.version"),
            format!("`{version}` is no exact version like `1.2.3`: ranges would give another chart tomorrow"),
        );
    }

    fn web_address(&mut self, place: &str, url: &str) {
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let host = host.map_or("", |rest| rest.split('/').next().unwrap_or_default());
        self.unless(
            !host.is_empty() && !url.contains(char::is_whitespace),
            place,
            format!("`{url}` must look like https://host/path"),
        );
        // Lock and messages name URLs.
        self.unless(!host.contains('@'), place, "must hold no user and password");
    }

    fn files(&mut self, recipe: &Recipe) {
        for (index, file) in recipe.files.iter().enumerate() {
            let place = format!("files[{index}]");
            self.unless(
                !file.name.is_empty() && !file.name.contains(['/', '\\']) && !file.name.starts_with('.'),
                format!("{place}.name"),
                format!("`{}` must be a plain name", file.name),
            );
            self.host_path(&format!("{place}.path"), &file.path);
            self.unless(!file.roles.is_empty(), format!("{place}.roles"), "no host would get it");
            self.platforms(&place, &file.platforms, &recipe.platforms.iter());
            self.file_sources(&place, file, recipe);
        }
        self.unique(indexed("files", "name", recipe.files.iter().map(|file| &file.name)));
        let directories = recipe.host_directories.iter().map(|directory| &directory.path);
        let paths = indexed("files", "path", recipe.files.iter().map(|file| &file.path));
        self.unique(paths.chain(indexed("hostDirectories", "path", directories)));
        self.files_as_folders(recipe);
    }

    /// What is a file on the host cannot hold others.
    fn files_as_folders(&mut self, recipe: &Recipe) {
        let files: BTreeSet<&Path> = recipe.files.iter().map(|file| Path::new(&file.path)).collect();
        let targets = indexed("files", "path", recipe.files.iter().map(|file| &file.path)).chain(indexed(
            "hostDirectories",
            "path",
            recipe.host_directories.iter().map(|directory| &directory.path),
        ));
        for (place, target) in targets {
            if let Some(file) = Path::new(target).ancestors().skip(1).find(|above| files.contains(above)) {
                self.add(place, format!("{target} would stand below {}, which is a file", file.display()));
            }
        }
    }

    fn file_sources(&mut self, place: &str, file: &FileEntry, recipe: &Recipe) {
        match (&file.source, file.sources.is_empty()) {
            (Some(source), true) => self.file_source(&format!("{place}.source"), source),
            (None, true) => self.add(place, "say where it is: `source`, or `sources` with one per platform"),
            (Some(_), false) => self.add(place, "`source` and `sources` exclude each other"),
            (None, false) => {
                let wanted = if file.platforms.is_empty() { &recipe.platforms } else { &file.platforms };
                for platform in wanted.iter().filter(|platform| !file.sources.contains_key(*platform)) {
                    self.add(
                        format!("{place}.sources"),
                        format!(
                            "there is none for {platform}: add it, or say in `platforms` what the file is for"
                        ),
                    );
                }
                for (platform, source) in &file.sources {
                    let at = format!("{place}.sources.{platform}");
                    self.unless(
                        wanted.contains(platform),
                        &at,
                        format!("`{platform}` is no platform of this file{}", among(platform, wanted.iter())),
                    );
                    self.file_source(&at, source);
                }
            }
        }
    }

    fn file_source(&mut self, place: &str, source: &FileSource) {
        match source {
            FileSource::Local(_) => {}
            FileSource::Url(url) => {
                self.web_address(&format!("{place}.url"), &url.url);
                self.unless(
                    url.sha256.len() == 64
                        && url.sha256.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c)),
                    format!("{place}.sha256"),
                    format!("`{}` must be 64 hex digits in lower case", url.sha256),
                );
            }
            FileSource::Member(inside) => {
                let plain = Path::new(&inside.member)
                    .components()
                    .all(|part| matches!(part, PathPart::Normal(_) | PathPart::CurDir));
                self.unless(
                    plain && !inside.member.is_empty(),
                    format!("{place}.archive.member"),
                    format!("`{}` must be a path without `..` and without `/` at its start", inside.member),
                );
                self.file_source(&format!("{place}.archive"), &inside.archive);
            }
        }
    }

    fn directories(&mut self, recipe: &Recipe) {
        for (index, directory) in recipe.host_directories.iter().enumerate() {
            self.host_path(&format!("hostDirectories[{index}].path"), &directory.path);
        }
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
        self.unique(indexed("components", "name", recipe.components.iter().map(|one| &one.name)));
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
        let pairs: Vec<String> =
            recipe.secrets.iter().map(|secret| format!("{} of {}", secret.name, secret.component)).collect();
        self.unique(indexed("secrets", "name", pairs.iter()));
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

    fn sizing(&mut self, recipe: &Recipe) {
        let Some(model) = &recipe.sizing else { return };
        let components: Vec<&str> = recipe.components.iter().map(|one| one.name.as_str()).collect();
        for (place, what) in model.findings(&components) {
            self.add(format!("sizing.{place}"), what);
        }
    }

    /// Names that stand at more than one place.
    fn unique<'a>(&mut self, names: impl Iterator<Item = (String, &'a String)>) {
        let mut first: BTreeMap<&str, String> = BTreeMap::new();
        for (place, name) in names {
            if let Some(first) = first.get(name.as_str()) {
                self.add(&place, format!("{name} stands already at {first}"));
            } else {
                first.insert(name, place);
            }
        }
    }
}

/// Each name of a list with its place.
fn indexed<'a>(
    list: &'static str,
    key: &'static str,
    names: impl Iterator<Item = &'a String>,
) -> impl Iterator<Item = (String, &'a String)> {
    names.enumerate().map(move |(index, name)| (format!("{list}[{index}].{key}"), name))
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
    use crate::recipe::testing::{FULL, RECIPE};
    use crate::recipe::{FileContent, RecipeError, parse};
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
            ("linux/amd64", "linux", "platforms[0]: `linux` must look like"),
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
            (
                "      component: orders\n      class",
                "      component: order\n      class",
                "sizing.parts[0].component: there is no component `order`",
            ),
            ("      copies: 2", "      copies: 0", "sizing.parts[0].copies: 0 must be between 1 and 100"),
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
        assert_eq!(found.len(), 1);
        assert!(
            found[0].ends_with(": files[1].path: /usr/local/bin/kubelet stands already at files[0].path"),
            "{found:?}"
        );
    }

    /// The findings about `FULL` with `from` replaced by `to`.
    fn findings_of_full(from: &str, to: &str) -> Vec<String> {
        let text = FULL.replacen(from, to, 1);
        assert_ne!(text, FULL, "`{from}` is not in the recipe");
        match parse(&text, Path::new("recipe.yaml")) {
            Err(RecipeError::Findings { findings, .. }) => findings,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_source_is_looked_at() {
        parse(FULL, Path::new("recipe.yaml")).unwrap();
        for (from, to, expected) in [
            (
                "    platforms: [linux/amd64]\n",
                "    platforms: [linux/amd46]\n",
                "did you mean `linux/amd64`?",
            ),
            (
                "platforms: [linux/amd64, linux/arm64]",
                "platforms: [linux/amd64, linux/amd64]",
                "stands already at platforms[0]",
            ),
            (
                "https://charts.example/stable",
                "charts.example",
                "charts[1].repository: `charts.example` must look",
            ),
            ("https://charts.example", "https://me:word@charts.example", "must hold no user"),
            ("version: 1.2.3", "version: ^1.2.3", "is no exact version"),
            (
                "oci: registry.example/charts/flannel",
                "oci: flannel",
                "charts[2].oci: `flannel` is no registry",
            ),
            ("linux/arm64:\n", "linux/arm46:\n", "files[0].sources: there is none for linux/arm64"),
            ("linux/arm64:\n", "linux/arm46:\n", "is no platform of this file; did you mean `linux/arm64`?"),
            ("sha256: e3", "sha256: XX", "files[0].sources.linux/arm64.sha256: `XX"),
            ("url: https://dl", "url: ftp://dl", "files[0].sources.linux/arm64.url: `ftp://dl"),
            ("member: bin/helm", "member: ../helm", "files[1].source.archive.member: `../helm` must"),
            (
                "    source:\n      archive:\n        path: helm.tar.gz\n        member: bin/helm\n",
                "",
                "say where it is",
            ),
            (
                "    platforms: [linux/amd64]\n    source:",
                "    sources: {linux/amd64: {path: a}}\n    source:",
                "exclude each other",
            ),
            ("component: orders, images", "component: order, images", "did you mean `orders`?"),
            (
                "images: [registry.sealift.example/orders/web:4.2.0]",
                "images: ['ghcr.io/a/b:1']",
                "add `- name: ghcr.io/a/b:1` under",
            ),
            (
                "path: /var/lib/orders",
                "path: /usr/local/bin/helm",
                "hostDirectories[0].path: /usr/local/bin/helm stands already at files[1].path",
            ),
            (
                "path: /var/lib/orders",
                "path: /usr/local/bin/helm/x",
                "below /usr/local/bin/helm, which is a file",
            ),
            (
                "{oci: registry.example/charts/flannel, version: 0.28.4}",
                "{path: charts/orders}",
                "charts/orders stands already at charts[0]",
            ),
            ("name: helm\n", "name: kubelet\n", "files[1].name: kubelet stands already at files[0].name"),
        ] {
            let found = findings_of_full(from, to);
            assert!(found.iter().any(|finding| finding.contains(expected)), "{to}: {found:?}");
        }
    }

    #[test]
    fn contents_of_files_follow_the_platforms() {
        let recipe = parse(FULL, Path::new("recipe.yaml")).unwrap();
        let titles: Vec<String> = recipe.file_contents().iter().map(FileContent::title).collect();
        assert_eq!(
            titles,
            ["kubelet for linux/amd64", "kubelet for linux/arm64", "helm for linux/amd64", "notes"]
        );
        let recipe = parse(RECIPE, Path::new("recipe.yaml")).unwrap();
        assert_eq!(recipe.file_contents()[0].title(), "kubelet");
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
