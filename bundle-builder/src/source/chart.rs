//! Charts: folders and archives on this machine, chart repositories, registries.

use std::collections::BTreeMap;
use std::path::PathBuf;

use oci_spec::image::ImageManifest;
use reqwest::Url;
use sealift_bundle::digest::{self, digest_of};
use serde::Deserialize;

use super::{Reach, SourceError};
use crate::cache::Content;
use crate::chart::{self, Chart};
use crate::image::ImageName;
use crate::lock::LockedChart;
use crate::nearest::nearest;
use crate::recipe::{ChartEntry, ChartSource};

/// Bytes that an `index.yaml` may have: the largest public ones have some 30 MB.
const LARGEST_INDEX: usize = 64 << 20;
/// Versions that a message lists.
const MOST_LISTED: usize = 8;

/// Why a repository or registry gives no such chart.
#[derive(Debug, thiserror::Error)]
pub enum RemoteChartError {
    /// The answer is no index.
    #[error("{url} is no index of a chart repository")]
    Index {
        /// The index's URL.
        url: String,
        /// Why.
        source: serde_yaml::Error,
    },
    /// No chart of that name.
    #[error("{url} has no chart {name}")]
    NoChart {
        /// The repository.
        url: String,
        /// What was looked for.
        name: String,
        /// The name that is most like it.
        nearest: Option<String>,
    },
    /// Not in that version.
    #[error("{url} has no chart {name} in version {version}; it has {}", found.join(", "))]
    NoVersion {
        /// The repository.
        url: String,
        /// The chart.
        name: String,
        /// What was looked for.
        version: String,
        /// Some of those that there are.
        found: Vec<String>,
    },
    /// The index leads nowhere that this program goes.
    #[error("{url} says that {chart} is at {target:?}, which cannot be used: {why}")]
    Target {
        /// The repository.
        url: String,
        /// Name and version.
        chart: String,
        /// The chart's URL in the index.
        target: String,
        /// Why not.
        why: &'static str,
    },
    /// Not what the index or the lock says.
    #[error("{place} gives other content than expected: expected {expected}, got {got}")]
    WrongContent {
        /// Where it came from.
        place: String,
        /// Digest that it must have.
        expected: String,
        /// Digest that it has.
        got: String,
    },
    /// A manifest of something else.
    #[error("{place} is no Helm chart: {why}")]
    NotAChart {
        /// Registry, repository and version.
        place: String,
        /// How that shows.
        why: String,
    },
    /// Another chart than asked for.
    #[error("{place} holds the chart {found}")]
    OtherChart {
        /// Where it came from.
        place: String,
        /// Its own name and version.
        found: String,
    },
}

/// Where exactly a chart came from; nothing of a local one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChartOrigin {
    /// URL that a chart repository gave for it.
    pub url: Option<String>,
    /// Digest of its manifest in a registry.
    pub manifest: Option<String>,
}

/// Gets the chart of `entry`. What `locked` pins of a repository or registry is what comes, whatever is there now.
pub fn find(
    entry: &ChartEntry,
    locked: Option<&LockedChart>,
    reach: &Reach<'_>,
) -> Result<(Chart, ChartOrigin), SourceError> {
    let place = entry.source.to_string();
    let (archive, version, origin) = match &entry.source {
        ChartSource::Local(source) => {
            return Ok((Chart::read(&reach.roots.resolve(source)?)?, ChartOrigin::default()));
        }
        ChartSource::Repository { url, name, version } => {
            let (archive, url) = from_repository(url, name, version, locked, reach)?;
            (archive, version, ChartOrigin { url: Some(url), manifest: None })
        }
        ChartSource::Oci { repository, version } => {
            // A tag holds no `+`; Helm writes it so.
            let image: ImageName = format!("{repository}:{}", version.replace('+', "_")).parse()?;
            let (archive, manifest) = from_registry(&image, &place, locked, reach)?;
            (archive, version, ChartOrigin { url: None, manifest: Some(manifest) })
        }
    };
    let chart = Chart::from_archive(&PathBuf::from(&place), archive)?;
    if entry.source.name() != Some(&chart.name) || *version != chart.version {
        let found = format!("{} {}", chart.name, chart.version);
        return Err(RemoteChartError::OtherChart { place, found }.into());
    }
    Ok((chart, origin))
}

/// The index of a chart repository, as far as it matters here.
#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    entries: BTreeMap<String, Vec<Release>>,
}

/// A version of a chart.
#[derive(Deserialize)]
struct Release {
    #[serde(default)]
    version: String,
    #[serde(default)]
    urls: Vec<String>,
    digest: Option<String>,
}

/// The archive, and its URL.
fn from_repository(
    repository: &str,
    name: &str,
    version: &str,
    locked: Option<&LockedChart>,
    reach: &Reach<'_>,
) -> Result<(Vec<u8>, String), SourceError> {
    if let Some((locked, url)) = locked.and_then(|locked| Some((locked, locked.url.as_ref()?))) {
        if let Some(archive) = reach.cache.read(&locked.content, chart::LIMIT)? {
            return Ok((archive, url.clone()));
        }
        return Ok((download(url, Some(&locked.content), reach)?, url.clone()));
    }
    let index_url = format!("{}/index.yaml", repository.trim_end_matches('/'));
    let text =
        reach.registries.document(&index_url, LARGEST_INDEX, reach.progress).map_err(SourceError::Web)?;
    let mut index: Index = serde_yaml::from_slice(&text)
        .map_err(|source| RemoteChartError::Index { url: index_url.clone(), source })?;
    let Some(releases) = index.entries.remove(name) else {
        let nearest = nearest(name, index.entries.keys().map(String::as_str)).map(ToOwned::to_owned);
        let (url, name) = (repository.to_owned(), name.to_owned());
        return Err(RemoteChartError::NoChart { url, name, nearest }.into());
    };
    let Some(release) = releases.iter().find(|release| release.version == version) else {
        let found = releases.into_iter().take(MOST_LISTED).map(|release| release.version).collect();
        let (url, name, version) = (repository.to_owned(), name.to_owned(), version.to_owned());
        return Err(RemoteChartError::NoVersion { url, name, version, found }.into());
    };
    let url = target(repository, &index_url, release).map_err(|(target, why)| {
        let (url, chart) = (repository.to_owned(), format!("{name} {version}"));
        RemoteChartError::Target { url, chart, target, why }
    })?;
    let expected = release.digest.as_deref().map(|text| {
        let hex = text.strip_prefix(digest::PREFIX).unwrap_or(text);
        format!("{}{hex}", digest::PREFIX)
    });
    Ok((download(&url, expected.as_deref(), reach)?, url))
}

/// Where a release is: its first URL, from the index's own where it is relative.
fn target(repository: &str, index: &str, release: &Release) -> Result<String, (String, &'static str)> {
    let target = release.urls.first().ok_or((String::new(), "there is no URL"))?;
    let wrong = |why| (target.clone(), why);
    let url = Url::parse(index).and_then(|base| base.join(target)).map_err(|_| wrong("it is no URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it is neither http nor https; name a chart in a registry with `oci`"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        // The lock names it.
        return Err(wrong("it holds a login"));
    }
    if repository.starts_with("https:") && url.scheme() == "http" && release.digest.is_none() {
        return Err(wrong("it leads from https to http, and the index gives no digest"));
    }
    Ok(url.into())
}

/// A chart archive from a web server, into the cache.
fn download(url: &str, expected: Option<&str>, reach: &Reach<'_>) -> Result<Vec<u8>, SourceError> {
    let limit = usize::try_from(chart::LIMIT).unwrap_or(usize::MAX);
    let archive = reach.registries.document(url, limit, reach.progress).map_err(SourceError::Web)?;
    let got = digest_of(&archive);
    if let Some(expected) = expected.filter(|expected| *expected != got) {
        let (place, expected) = (url.to_owned(), expected.to_owned());
        return Err(RemoteChartError::WrongContent { place, expected, got }.into());
    }
    reach.cache.put(&archive)?;
    Ok(archive)
}

/// The archive, and the digest of its manifest.
fn from_registry(
    image: &ImageName,
    place: &str,
    locked: Option<&LockedChart>,
    reach: &Reach<'_>,
) -> Result<(Vec<u8>, String), SourceError> {
    let Reach { registries, cache, progress, .. } = *reach;
    let pinned = locked.and_then(|locked| Some((locked, locked.manifest.as_ref()?)));
    if let Some((locked, manifest)) = pinned
        && let Some(archive) = cache.read(&locked.content, chart::LIMIT)?
    {
        return Ok((archive, manifest.clone()));
    }
    let (manifest, digest) = match pinned {
        Some((_, digest)) => (registries.manifest_by_digest(image, digest, progress)?, digest.clone()),
        None => registries.manifest_by_tag(image, progress)?,
    };
    let wrong = |why: String| RemoteChartError::NotAChart { place: place.to_owned(), why };
    let layer = chart_layer(&manifest).map_err(wrong)?;
    registries.blob(image, &layer, cache, progress, &|_| ())?;
    let archive =
        cache.read(&layer.digest, chart::LIMIT)?.ok_or_else(|| wrong("its archive is lost".to_owned()))?;
    Ok((archive, digest))
}

/// The archive that a chart's manifest names.
fn chart_layer(manifest: &[u8]) -> Result<Content, String> {
    let manifest = ImageManifest::from_reader(manifest).map_err(|error| error.to_string())?;
    let config = manifest.config().media_type().to_string();
    if config != chart::CONFIG_MEDIA_TYPE {
        return Err(format!("its config is {config}"));
    }
    let layers = manifest.layers().iter();
    let layer = layers
        .clone()
        .find(|layer| layer.media_type().to_string() == chart::ARCHIVE_MEDIA_TYPE)
        .ok_or_else(|| format!("none of its {} layers is {}", layers.len(), chart::ARCHIVE_MEDIA_TYPE))?;
    let content = Content { digest: layer.digest().to_string(), size: layer.size() };
    if !digest::is_valid(&content.digest) {
        return Err(format!("{:?} is no sha256 digest", content.digest));
    }
    if content.size > chart::LIMIT {
        return Err(format!("its archive has {} bytes", content.size));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(url: &str, digest: bool) -> Release {
        let digest = digest.then(|| "00".repeat(32));
        Release { version: "1.0.0".to_owned(), urls: vec![url.to_owned()], digest }
    }

    #[test]
    fn urls_of_charts_start_from_the_index() {
        let of = |repository: &str, url: &str, digest| {
            let index = format!("{repository}/index.yaml");
            target(repository, &index, &release(url, digest)).map_err(|(_, why)| why)
        };
        assert_eq!(of("https://h/stable", "dns-1.tgz", false).unwrap(), "https://h/stable/dns-1.tgz");
        assert_eq!(of("https://h/stable", "/dns-1.tgz", false).unwrap(), "https://h/dns-1.tgz");
        assert_eq!(of("https://h/stable", "https://cdn/dns.tgz", false).unwrap(), "https://cdn/dns.tgz");
        assert_eq!(of("https://h", "http://cdn/dns.tgz", true).unwrap(), "http://cdn/dns.tgz");
        assert!(of("https://h", "http://cdn/dns.tgz", false).unwrap_err().contains("no digest"));
        assert!(of("https://h", "oci://h/dns", true).unwrap_err().contains("with `oci`"));
        assert!(of("https://h", "https://me:word@h/dns", true).unwrap_err().contains("a login"));
    }

    #[test]
    fn only_helm_manifests_name_a_chart() {
        let manifest = |config: &str, layer: &str, size: u64| {
            let digest = digest_of(b"x");
            format!(
                r#"{{"schemaVersion":2,"config":{{"mediaType":"{config}","digest":"{digest}","size":2}},
                "layers":[{{"mediaType":"text/plain","digest":"{digest}","size":1}},
                {{"mediaType":"{layer}","digest":"{digest}","size":{size}}}]}}"#
            )
        };
        let layer = |text: String| chart_layer(text.as_bytes());
        let (config, archive) = (chart::CONFIG_MEDIA_TYPE, chart::ARCHIVE_MEDIA_TYPE);
        assert_eq!(layer(manifest(config, archive, 9)).unwrap().size, 9);
        assert!(
            layer(manifest("image/config", archive, 9)).unwrap_err().contains("its config is image/config")
        );
        assert!(layer(manifest(config, "other/layer", 9)).unwrap_err().contains("none of its 2 layers"));
        assert!(layer(manifest(config, archive, 1 << 40)).unwrap_err().contains("its archive has"));
        assert!(layer("{}".to_owned()).is_err());
    }
}
