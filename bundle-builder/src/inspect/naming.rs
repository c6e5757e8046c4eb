//! Which of a bundle's images a chart names. Helm is not run here: the chart's text and its values are searched for the
//! names of images that are inside, so a name that a template puts together from odd parts is not seen. The closure
//! gate of `build` does not work like this; it renders.

use std::collections::BTreeSet;

use sealift_bundle::Bundle;
use sealift_bundle::document::Component;
use serde_json::Value;

use crate::archive::ArchiveError;
use crate::chart;
use crate::image::PodImage;

/// Deepest nesting of values that is looked at.
const DEPTH_LIMIT: usize = 64;

/// A chart's files, as text.
#[derive(Debug, Default)]
pub(crate) struct ChartText {
    /// Path below the chart's folder, content.
    pub(crate) files: Vec<(String, String)>,
}

impl ChartText {
    /// Reads the chart with this digest. What cannot be read as a chart gives no text: `verify` is there to say why.
    pub(crate) fn read(bundle: &Bundle, digest: &str) -> Self {
        let Ok(archive) = bundle.read_blob(digest) else { return Self::default() };
        Self::unpack(&archive).unwrap_or_default()
    }

    fn unpack(archive: &[u8]) -> Result<Self, ArchiveError> {
        let mut files = Vec::new();
        chart::files(archive, |path, content| {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.push((path.to_owned(), text));
            }
            Ok(())
        })?;
        Ok(Self { files })
    }

    /// The file `name` of the chart's folder.
    pub(crate) fn file(&self, name: &str) -> Option<&str> {
        self.files.iter().find(|(path, _)| path == name).map(|(_, text)| text.as_str())
    }

    /// The chart's own default values.
    pub(crate) fn values(&self) -> Value {
        self.file("values.yaml").and_then(|text| serde_yaml::from_str(text).ok()).unwrap_or_default()
    }
}

/// Those of the images `inside` that a component names.
pub(crate) fn images(component: &Component, chart: &ChartText, inside: &BTreeSet<&str>) -> BTreeSet<String> {
    let mut found = Found { inside, names: BTreeSet::new(), version: app_version(chart) };
    for (_, text) in &chart.files {
        found.text(text);
    }
    found.text(&component.values.to_string());
    found.parts(&chart.values(), 0);
    found.parts(&component.values, 0);
    found.names
}

fn app_version(chart: &ChartText) -> Option<String> {
    let metadata: Value = serde_yaml::from_str(chart.file("Chart.yaml")?).ok()?;
    text_of(metadata.get("appVersion")?)
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Names seen so far.
struct Found<'a> {
    inside: &'a BTreeSet<&'a str>,
    names: BTreeSet<String>,
    version: Option<String>,
}

impl Found<'_> {
    /// Takes every word of a text that is the name of an image inside.
    fn text(&mut self, text: &str) {
        let part_of_a_name =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | ':' | '@' | '-');
        for word in text.split(|c| !part_of_a_name(c)) {
            let word = word.trim_matches([':', '.']);
            if word.contains(':') && word.len() <= 512 {
                self.name(word);
            }
        }
    }

    /// Takes names that values give in parts: `repository`, perhaps with `registry` and `tag`.
    fn parts(&mut self, values: &Value, depth: usize) {
        if depth > DEPTH_LIMIT {
            return;
        }
        match values {
            Value::Object(map) => {
                let part = |key: &str| map.get(key).and_then(text_of);
                for repository in [part("repository"), part("image")].into_iter().flatten() {
                    let tag =
                        part("tag").or_else(|| self.version.clone()).unwrap_or_else(|| "latest".to_owned());
                    let registry = part("registry").map(|name| format!("{name}/")).unwrap_or_default();
                    self.name(&format!("{registry}{repository}:{tag}"));
                }
                map.values().for_each(|value| self.parts(value, depth + 1));
            }
            Value::Array(list) => list.iter().for_each(|value| self.parts(value, depth + 1)),
            _ => {}
        }
    }

    fn name(&mut self, text: &str) {
        if let Some(image) = PodImage::parse(text).filter(|image| self.inside.contains(image.name.as_str())) {
            self.names.insert(image.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealift_bundle::document::Stage;

    fn component(values: Value) -> Component {
        Component {
            name: "orders".to_owned(),
            chart: "orders".to_owned(),
            namespace: "orders".to_owned(),
            stage: Stage::Product,
            values,
            values_from: [].into(),
            gates: Vec::new(),
            timeout_seconds: 60,
            acceptance: false,
        }
    }

    fn chart(files: &[(&str, &str)]) -> ChartText {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        ChartText { files: files.collect() }
    }

    fn found(files: &[(&str, &str)], values: Value) -> Vec<String> {
        let inside = BTreeSet::from([
            "docker.io/library/postgres:15",
            "ghcr.io/a/web:4.2.0",
            "registry.k8s.io/pause:3.10.2",
            "ghcr.io/a/unused:1",
        ]);
        images(&component(values), &chart(files), &inside).into_iter().collect()
    }

    #[test]
    fn names_are_found_in_templates_and_values() {
        let template = ("templates/db.yaml", "spec: {containers: [{image: \"postgres:15\"}]}\n");
        assert_eq!(found(&[template], Value::Null), ["docker.io/library/postgres:15"]);
        let values = serde_json::json!({"web": {"image": "ghcr.io/a/web:4.2.0"}});
        assert_eq!(found(&[], values), ["ghcr.io/a/web:4.2.0"]);
    }

    #[test]
    fn names_are_put_together_from_values() {
        let metadata = ("Chart.yaml", "name: orders\nversion: 1.0.0\nappVersion: 4.2.0\n");
        let values = ("values.yaml", "image: {registry: ghcr.io, repository: a/web}\n");
        assert_eq!(found(&[metadata, values], Value::Null), ["ghcr.io/a/web:4.2.0"]);
        let tagged = ("values.yaml", "db: {repository: postgres, tag: 15}\n");
        assert_eq!(found(&[tagged], Value::Null), ["docker.io/library/postgres:15"]);
    }

    #[test]
    fn parts_of_longer_names_are_not_taken() {
        for text in ["xregistry.k8s.io/pause:3.10.2", "registry.k8s.io/pause:3.10.20", "my-postgres:15"] {
            assert_eq!(found(&[("values.yaml", text)], Value::Null), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn what_is_no_archive_names_nothing() {
        assert!(ChartText::unpack(b"no archive").is_err());
    }
}
