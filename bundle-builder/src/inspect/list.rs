//! One entry per image, thing beside an image, chart and file, in this order, each group by name.

use std::collections::BTreeMap;

use sealift_bundle::Bundle;
use sealift_bundle::document::{Image, Referrer, ReferrerKind};
use serde::Serialize;

use crate::manifest::{Manifest, Names, config_platform};

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// A container image.
    Image,
    /// A signature, SBOM or attestation of an image.
    Referrer,
    /// A Helm chart.
    Chart,
    /// A cluster binary or another file.
    File,
}

impl EntryKind {
    /// `image`, `referrer`, `chart` or `file`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Referrer => "referrer",
            Self::Chart => "chart",
            Self::File => "file",
        }
    }
}

/// An image, referrer, chart or file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// An image's full name without its tag, also for what stands beside it; a chart's or file's name.
    pub name: String,
    /// An image's tag; a chart's or file's version; the tag of a referrer that has one, else `SBOM`, `signature` and so on.
    pub version: String,
    /// Platforms inside, e.g. `linux/amd64`; `any` for charts and referrers.
    pub platforms: Vec<String>,
    /// Digest of an image's or referrer's manifest or index, of a chart's archive, of a file's content before it was compressed.
    pub digest: String,
    /// Bytes in the bundle; what entries share counts in each.
    pub size: u64,
    /// Of a referrer: what it is, and of which image.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub of: Option<ReferrerOf>,
}

/// What a referrer is, and of which image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReferrerOf {
    /// The image's name.
    pub image: String,
    /// What it is.
    pub referrer: ReferrerKind,
    /// In its own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

/// Every entry of `bundle`.
#[must_use]
pub fn entries(bundle: &Bundle) -> Vec<Entry> {
    let document = bundle.document();
    let images = document.images.iter().map(|image| {
        let (name, version) = name_and_tag(&image.name);
        Entry {
            kind: EntryKind::Image,
            name: name.to_owned(),
            version: version.to_owned(),
            platforms: platforms(bundle, &image.digest, &image.blobs),
            digest: image.digest.clone(),
            size: image.size,
            of: None,
        }
    });
    let sizes: BTreeMap<&str, u64> =
        bundle.blobs().iter().map(|blob| (blob.digest.as_str(), blob.size)).collect();
    let beside = document.images.iter().flat_map(|image| {
        let sizes = &sizes;
        image.referrers.iter().flat_map(move |referrer| referrer_entries(image, referrer, sizes))
    });
    let charts = document.charts.iter().map(|chart| Entry {
        kind: EntryKind::Chart,
        name: chart.name.clone(),
        version: chart.version.clone(),
        platforms: vec!["any".to_owned()],
        digest: chart.digest.clone(),
        size: chart.size,
        of: None,
    });
    let files = document.files.iter().map(|file| Entry {
        kind: EntryKind::File,
        name: file.name.clone(),
        version: file.version.clone(),
        platforms: file.platform.clone().map_or_else(|| document.platforms.clone(), |only| vec![only]),
        digest: file.plain_digest.clone(),
        size: file.size,
        of: None,
    });
    let mut entries: Vec<Entry> = images.chain(beside).chain(charts).chain(files).collect();
    let key = |entry: &Entry| {
        let place = (entry.kind, entry.name.clone(), entry.version.clone());
        (place, entry.platforms.clone(), entry.digest.clone())
    };
    entries.sort_by_cached_key(key);
    // Two tags of one image share what stands beside it.
    entries.dedup_by(|a, b| a.kind == EntryKind::Referrer && key(a) == key(b));
    entries
}

/// One entry for each tag of a referrer; one where it has none.
fn referrer_entries(image: &Image, referrer: &Referrer, sizes: &BTreeMap<&str, u64>) -> Vec<Entry> {
    let (name, _) = name_and_tag(&image.name);
    let kind = referrer.kind();
    let versions =
        if referrer.tags.is_empty() { vec![kind.name().to_owned()] } else { referrer.tags.clone() };
    let entry = |version| Entry {
        kind: EntryKind::Referrer,
        name: name.to_owned(),
        version,
        platforms: vec!["any".to_owned()],
        digest: referrer.digest.clone(),
        size: referrer.blobs.iter().filter_map(|blob| sizes.get(blob.as_str())).sum(),
        of: Some(ReferrerOf {
            image: image.name.clone(),
            referrer: kind,
            artifact_type: referrer.artifact_type.clone(),
        }),
    };
    versions.into_iter().map(entry).collect()
}

/// An image's name without its tag, and the tag.
#[must_use]
pub fn name_and_tag(name: &str) -> (&str, &str) {
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[last..].find(':') {
        Some(colon) => (&name[..last + colon], &name[last + colon + 1..]),
        None => (name, ""),
    }
}

/// Platforms of an image that are inside: of an index those whose manifests are.
pub(super) fn platforms(bundle: &Bundle, digest: &str, inside: &[String]) -> Vec<String> {
    let read = |digest: &str| bundle.read_blob(digest).ok();
    let names =
        read(digest).and_then(|content| Manifest::parse(&content).ok()).map(|manifest| manifest.names);
    match names {
        Some(Names::Platforms(platforms)) => {
            let packed = platforms.into_iter().filter(|(_, content)| inside.contains(&content.digest));
            packed.map(|(platform, _)| platform).collect()
        }
        Some(Names::Blobs { config, .. }) => {
            read(&config.digest).and_then(|config| config_platform(&config)).into_iter().collect()
        }
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealift_bundle::TrustedKeys;
    use sealift_bundle::testing::sample_bundle;

    #[test]
    fn every_image_chart_and_file_has_its_entry() {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = sample_bundle(folder.path());
        let bundle = Bundle::open(&path, &TrustedKeys::from_public_key_text(&key).unwrap()).unwrap();
        let entries = entries(&bundle);
        let document = bundle.document();
        assert_eq!(entries.len(), document.images.len() + document.charts.len() + document.files.len());
        assert!(entries.iter().all(|entry| !entry.platforms.is_empty()), "{entries:?}");
        let pause = entries.iter().find(|entry| entry.name == "registry.k8s.io/pause").unwrap();
        assert_eq!((pause.version.as_str(), &*pause.platforms), ("3.10.2", &["linux/amd64".to_owned()][..]));
    }

    #[test]
    fn a_port_is_no_tag() {
        assert_eq!(name_and_tag("127.0.0.1:5000/a/b:1"), ("127.0.0.1:5000/a/b", "1"));
        assert_eq!(name_and_tag("127.0.0.1:5000/a/b"), ("127.0.0.1:5000/a/b", ""));
    }
}
