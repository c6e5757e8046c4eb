//! The sizing model: what the product needs for how much work, as its vendor knows it. The recipe and the bundle
//! document share these types; the sizing room calculates with them.
//!
//! Every figure is a whole number with its unit in the name, so that nothing is rounded twice.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What the product and its platform need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SizingModel {
    /// How busy processors may be at the busiest moment, percent, 30 to 90. Above about 70 people wait noticeably.
    #[serde(default = "busy_percent")]
    #[cfg_attr(feature = "schema", schemars(range(min = 30, max = 90)))]
    pub busy_percent: u32,
    /// Data that one person with an account adds in a day, kilobytes; taken where a site does not say how much it adds.
    pub kilobytes_per_user_per_day: u32,
    /// Where the figure for data comes from.
    pub data_basis: SizingBasis,
    /// Everything that runs and takes processors, memory or disk of its own.
    #[serde(default)]
    pub parts: Vec<SizingPart>,
}

fn busy_percent() -> u32 {
    65
}

fn one() -> u32 {
    1
}

/// One program of the product or the platform, with all its copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SizingPart {
    /// Unique name, e.g. `web`.
    pub name: String,
    /// Name for people who know no programs, e.g. `the order page`.
    pub title: String,
    /// Component (Helm release) that brings it.
    pub component: String,
    /// What sort of work it does; needs are summed for each.
    pub class: PartClass,
    /// Where it runs.
    #[serde(default)]
    pub placement: Placement,
    /// Copies that always run.
    #[serde(default = "one")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 100)))]
    pub copies: u32,
    /// What each copy asks for when nobody works, thousandths of a processor.
    pub cpu_millicores: u32,
    /// What each copy asks for when nobody works, MiB.
    pub memory_mebibytes: u32,
    /// Processor time that one request costs, microseconds, all copies together.
    #[serde(default)]
    pub cpu_microseconds_per_request: u32,
    /// Memory that one person at work costs, KiB, all copies together.
    #[serde(default)]
    pub memory_kibibytes_per_session: u32,
    /// What one copy can use at most, thousandths of a processor: beyond it there is another copy. Absent for what cannot
    /// be divided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_millicores_per_copy: Option<u32>,
    /// What it keeps on disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<PartDisk>,
    /// Where these figures come from.
    pub basis: SizingBasis,
}

/// Sort of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PartClass {
    /// Calculates and answers; keeps nothing.
    General,
    /// Keeps the product's data and answers for them.
    Database,
    /// Keeps much and is asked little: logs, measurements, files.
    Storage,
}

/// Where a part runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// Its copies are spread over the workers.
    #[default]
    Workers,
    /// One copy on each host.
    EveryHost,
}

/// What a part keeps on disk: `fixed + (data of the site × share + samples) × days × (1 + overhead) × copies`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PartDisk {
    /// Folder on the host, absolute.
    pub path: String,
    /// What is there on the first day, for each copy, megabytes.
    #[serde(default)]
    pub fixed_megabytes: u32,
    /// Share of the site's data per day that ends up here, percent, at most 1000.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(max = 1000)))]
    pub data_share_percent: u32,
    /// Measurements that end up here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<Samples>,
    /// Days that it keeps, where that is not the site's choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 3650)))]
    pub retention_days: Option<u32>,
    /// What indexes and the like add, percent, at most 1000.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(max = 1000)))]
    pub overhead_percent: u32,
    /// Copies of the data, each on a host of its own.
    #[serde(default = "one")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 9)))]
    pub copies: u32,
}

/// Measurements taken again and again, as Prometheus does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Samples {
    /// Things measured (time series).
    pub series: u32,
    /// Seconds between two measurements.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 3600)))]
    pub every_seconds: u32,
}

/// Where figures come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SizingBasis {
    /// Measured, or assumed until somebody measures.
    pub kind: BasisKind,
    /// How they were found, one sentence.
    pub source: String,
    /// On what it was measured, e.g. `8 cores Xeon Gold 6338, NVMe`; needed with `measured`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<String>,
    /// When it was measured, `YYYY-MM-DD`; needed with `measured`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date")))]
    pub date: Option<String>,
}

/// How much a figure is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum BasisKind {
    /// Measured on named hardware on a named day.
    Measured,
    /// Somebody's best guess.
    Assumed,
}

impl SizingModel {
    /// Every contradiction: its place as a path from the model, e.g. `parts[0].disk.path`, and what is wrong.
    /// `components` are the names of the bundle's components.
    #[must_use]
    pub fn findings(&self, components: &[&str]) -> Vec<(String, String)> {
        let mut found = Vec::new();
        within(&mut found, "busyPercent", self.busy_percent, 30, 90);
        basis(&mut found, "dataBasis", &self.data_basis);
        if self.parts.is_empty() {
            found
                .push(("parts".into(), "names nothing that runs: add its parts, or drop the section".into()));
        }
        for (index, part) in self.parts.iter().enumerate() {
            let at = format!("parts[{index}]");
            if let Some(first) = self.parts[..index].iter().position(|other| other.name == part.name) {
                found.push((
                    format!("{at}.name"),
                    format!("`{}` stands already at parts[{first}]", part.name),
                ));
            }
            part.findings(&at, components, &mut found);
        }
        found
    }
}

impl SizingPart {
    fn findings(&self, at: &str, components: &[&str], found: &mut Vec<(String, String)>) {
        for (key, text) in [("name", &self.name), ("title", &self.title)] {
            if text.trim().is_empty() || text.contains(char::is_control) {
                found.push((format!("{at}.{key}"), "must be one line of text".into()));
            }
        }
        if !components.contains(&self.component.as_str()) {
            let known = components.join(", ");
            found.push((
                format!("{at}.component"),
                format!("there is no component `{}`; there are {known}", self.component),
            ));
        }
        within(found, &format!("{at}.copies"), self.copies, 1, 100);
        if self.most_millicores_per_copy.is_some_and(|most| most == 0 || most < self.cpu_millicores) {
            found.push((
                format!("{at}.mostMillicoresPerCopy"),
                "must not be less than cpuMillicores, nor 0".into(),
            ));
        }
        let depends = self.cpu_microseconds_per_request > 0 || self.memory_kibibytes_per_session > 0;
        if self.placement == Placement::EveryHost && (depends || self.copies != 1 || self.disk.is_some()) {
            let what = "what runs once on each host has one copy there, no disk, and needs that do not grow with the work";
            found.push((format!("{at}.placement"), what.into()));
        }
        if let Some(disk) = &self.disk {
            disk.findings(&format!("{at}.disk"), found);
        }
        basis(found, &format!("{at}.basis"), &self.basis);
    }
}

impl PartDisk {
    fn findings(&self, at: &str, found: &mut Vec<(String, String)>) {
        let straight = self
            .path
            .strip_prefix('/')
            .is_some_and(|path| path.split('/').all(|part| !matches!(part, "" | "." | "..")));
        if !straight {
            found.push((
                format!("{at}.path"),
                format!("`{}` must be an absolute path without `..` and without `/` at its end", self.path),
            ));
        }
        within(found, &format!("{at}.dataSharePercent"), self.data_share_percent, 0, 1000);
        within(found, &format!("{at}.overheadPercent"), self.overhead_percent, 0, 1000);
        within(found, &format!("{at}.copies"), self.copies, 1, 9);
        if let Some(days) = self.retention_days {
            within(found, &format!("{at}.retentionDays"), days, 1, 3650);
        }
        if let Some(samples) = self.samples {
            within(found, &format!("{at}.samples.everySeconds"), samples.every_seconds, 1, 3600);
        }
        if self.fixed_megabytes == 0 && self.data_share_percent == 0 && self.samples.is_none() {
            let what = "keeps nothing: give fixedMegabytes, dataSharePercent or samples";
            found.push((at.to_owned(), what.into()));
        }
    }
}

fn within(found: &mut Vec<(String, String)>, at: &str, number: u32, least: u32, most: u32) {
    if !(least..=most).contains(&number) {
        found.push((at.to_owned(), format!("{number} must be between {least} and {most}")));
    }
}

fn basis(found: &mut Vec<(String, String)>, at: &str, basis: &SizingBasis) {
    if basis.source.trim().is_empty() {
        found.push((format!("{at}.source"), "must say how the figures were found".into()));
    }
    if basis.kind != BasisKind::Measured {
        return;
    }
    if basis.hardware.as_deref().is_none_or(|text| text.trim().is_empty()) {
        found.push((at.to_owned(), "what was measured needs `hardware`: on what".into()));
    }
    if !basis.date.as_deref().is_some_and(is_date) {
        found.push((at.to_owned(), "what was measured needs `date`: when, as 2026-12-31".into()));
    }
}

/// `YYYY-MM-DD`, months and days in their widest range.
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |text: &str, digits: usize| text.parse::<u32>().ok().filter(|_| text.len() == digits);
    match parts.as_slice() {
        [year, month, day] => {
            number(year, 4).is_some()
                && number(month, 2).is_some_and(|month| (1..=12).contains(&month))
                && number(day, 2).is_some_and(|day| (1..=31).contains(&day))
        }
        _ => false,
    }
}

/// A document without a model holds an empty map, or nothing: so older ones are read, and older readers read new ones.
pub(crate) mod optional {
    use super::{Deserialize, Deserializer, Serialize, Serializer, SizingModel};

    #[allow(clippy::ref_option)] // serde's signature
    pub fn serialize<S: Serializer>(model: &Option<SizingModel>, serializer: S) -> Result<S::Ok, S::Error> {
        match model {
            Some(model) => model.serialize(serializer),
            None => serde_json::Map::new().serialize(serializer),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SizingModel>, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        if value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty) {
            return Ok(None);
        }
        serde_json::from_value(value).map(Some).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::BundleDocument;
    use serde_json::{Value, json};

    fn model() -> Value {
        json!({
            "kilobytesPerUserPerDay": 10,
            "dataBasis": {"kind": "assumed", "source": "a guess"},
            "parts": [
                {"name": "web", "title": "the page", "component": "orders", "class": "general",
                 "cpuMillicores": 10, "memoryMebibytes": 32, "mostMillicoresPerCopy": 1000,
                 "basis": {"kind": "measured", "source": "a run", "hardware": "8 cores", "date": "2026-11-20"}},
                {"name": "db", "title": "the database", "component": "orders", "class": "database",
                 "cpuMillicores": 50, "memoryMebibytes": 128,
                 "disk": {"path": "/var/lib/db", "fixedMegabytes": 100, "samples": {"series": 1, "everySeconds": 15}},
                 "basis": {"kind": "assumed", "source": "a guess"}},
            ],
        })
    }

    fn findings(pointer: &str, to: Value) -> Vec<(String, String)> {
        let mut value = model();
        *value.pointer_mut(pointer).unwrap() = to;
        serde_json::from_value::<SizingModel>(value).unwrap().findings(&["orders"])
    }

    #[test]
    fn each_contradiction_is_found_at_its_place() {
        assert_eq!(serde_json::from_value::<SizingModel>(model()).unwrap().findings(&["orders"]), []);
        let assumed = json!({"kind": "assumed", "source": " "});
        let measured = json!({"kind": "measured", "source": "a run", "date": "2026-13-20"});
        for (pointer, to, place) in [
            ("/parts", json!([]), "parts"),
            ("/dataBasis", assumed, "dataBasis.source"),
            ("/parts/0/basis", measured.clone(), "parts[0].basis"),
            ("/parts/1/name", json!("web"), "parts[1].name"),
            ("/parts/0/title", json!(""), "parts[0].title"),
            ("/parts/0/component", json!("order"), "parts[0].component"),
            ("/parts/0/mostMillicoresPerCopy", json!(5), "parts[0].mostMillicoresPerCopy"),
            ("/parts/1/disk/path", json!("var/lib"), "parts[1].disk.path"),
            ("/parts/1/disk", json!({"path": "/var/lib/db"}), "parts[1].disk"),
            ("/parts/1/disk/samples/everySeconds", json!(0), "parts[1].disk.samples.everySeconds"),
        ] {
            let found = findings(pointer, to);
            assert!(found.iter().any(|(at, _)| at == place), "{pointer}: {found:?}");
        }
        assert_eq!(findings("/parts/0/basis", measured).len(), 2, "hardware and date are both missed");
    }

    #[test]
    fn what_runs_on_every_host_does_not_grow() {
        let mut value = model();
        value["parts"][1]["placement"] = json!("every-host");
        let found = serde_json::from_value::<SizingModel>(value).unwrap().findings(&["orders"]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, "parts[1].placement");
    }

    #[test]
    fn documents_with_and_without_a_model_are_read_and_written() {
        let mut document = serde_json::to_value(crate::testing::sample_document()).unwrap();
        for nothing in [json!({}), Value::Null] {
            document["sizing"] = nothing;
            let read: BundleDocument = serde_json::from_value(document.clone()).unwrap();
            assert_eq!(read.sizing, None);
            assert_eq!(serde_json::to_value(&read).unwrap()["sizing"], json!({}));
        }
        document.as_object_mut().unwrap().remove("sizing");
        assert_eq!(serde_json::from_value::<BundleDocument>(document.clone()).unwrap().sizing, None);
        document["sizing"] = model();
        let read: BundleDocument = serde_json::from_value(document.clone()).unwrap();
        assert_eq!(read.sizing.as_ref().unwrap().parts.len(), 2);
        let again: BundleDocument = serde_json::from_value(serde_json::to_value(&read).unwrap()).unwrap();
        assert_eq!(again, read);
        document["sizing"]["colour"] = json!("red");
        assert!(
            serde_json::from_value::<BundleDocument>(document).unwrap_err().to_string().contains("colour")
        );
    }
}
