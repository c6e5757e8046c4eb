//! Where things come from. What stands flat in the file, for messages that name every key, is an enum here.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A place on the vendor's machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// Named root (`--root NAME=DIR`) that `path` starts from; the recipe's folder where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// Path below the root.
    pub path: PathBuf,
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.root {
            Some(root) => write!(formatter, "{root}:{}", self.path.display()),
            None => write!(formatter, "{}", self.path.display()),
        }
    }
}

/// An image that lies on the vendor's machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ImageSource {
    /// A folder that is an OCI image layout.
    OciLayout(StoredImage),
    /// A tar of an OCI image layout, e.g. made by `skopeo copy … oci-archive:`.
    OciArchive(StoredImage),
    /// A tar made by `docker save` or `podman save`.
    DockerArchive(StoredImage),
}

/// Which folder or archive, and which image in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoredImage {
    /// Named root (`--root NAME=DIR`) that `path` starts from; the recipe's folder where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// Folder or archive below the root.
    pub path: PathBuf,
    /// The image's name inside, where it is not the entry's own name or tag and there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

impl StoredImage {
    /// Where the folder or archive is.
    #[must_use]
    pub fn source(&self) -> Source {
        Source { root: self.root.clone(), path: self.path.clone() }
    }
}

impl ImageSource {
    /// Which folder or archive, whatever its kind.
    #[must_use]
    pub fn stored(&self) -> &StoredImage {
        match self {
            Self::OciLayout(stored) | Self::OciArchive(stored) | Self::DockerArchive(stored) => stored,
        }
    }
}

impl fmt::Display for ImageSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::OciLayout(_) => "OCI layout",
            Self::OciArchive(_) => "OCI archive",
            Self::DockerArchive(_) => "Docker archive",
        };
        write!(formatter, "{kind} {}", self.stored().source())
    }
}

/// Where a file comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RawFileSource", into = "RawFileSource")]
pub enum FileSource {
    /// A file on the vendor's machine.
    Local(Source),
    /// A file on a web server, pinned by its digest.
    Url(Url),
    /// A file inside an archive.
    Member(ArchiveMember),
}

/// A file on a web server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// `https://…`, or `http://…` since the digest decides.
    pub url: String,
    /// Digest of the content, 64 hex digits.
    pub sha256: String,
}

/// A file inside an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveMember {
    /// The archive: never itself a member.
    pub archive: Box<FileSource>,
    /// Its path inside.
    pub member: String,
}

impl fmt::Display for FileSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(source) => write!(formatter, "{source}"),
            Self::Url(url) => write!(formatter, "{}", url.url),
            Self::Member(inside) => write!(formatter, "{} in {}", inside.member, inside.archive),
        }
    }
}

/// Where a file comes from: `path` (from `root`), `url` with `sha256`, or `archive`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(
    rename = "FileSource",
    extend("oneOf" = [{"required": ["path"]}, {"required": ["url", "sha256"]}, {"required": ["archive"]}])
)]
struct RawFileSource {
    /// Named root (`--root NAME=DIR`) that `path` starts from; the recipe's folder where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    /// Path below the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<PathBuf>,
    /// `https://…`, or `http://…` since the digest decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Digest of what the URL gives: 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    sha256: Option<String>,
    /// An archive that holds the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    archive: Option<RawMember>,
}

/// A file inside an archive (tar, tar.gz, tar.zst or zip): `path` (from `root`) or `url` with `sha256`, and `member`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(
    rename = "ArchiveMember",
    extend("oneOf" = [{"required": ["path"]}, {"required": ["url", "sha256"]}])
)]
struct RawMember {
    /// Named root (`--root NAME=DIR`) that `path` starts from; the recipe's folder where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    /// Path of the archive below the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<PathBuf>,
    /// Where the archive is on the web.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Digest of the archive: 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    sha256: Option<String>,
    /// Path of the file inside the archive.
    member: String,
}

/// The one form of a source that its keys make.
fn whole(
    root: Option<String>,
    path: Option<PathBuf>,
    url: Option<String>,
    sha256: Option<String>,
) -> Result<FileSource, &'static str> {
    match (root, path, url, sha256) {
        (root, Some(path), None, None) => Ok(FileSource::Local(Source { root, path })),
        (None, None, Some(url), Some(sha256)) => Ok(FileSource::Url(Url { url, sha256 })),
        (None, None, Some(_), None) => {
            Err("`url` needs `sha256` beside it: what comes from the web is pinned here")
        }
        (Some(_), None, ..) => Err("`root` needs `path` beside it"),
        (_, Some(_), ..) => Err("`path` stands alone or with `root`: not with `url` or `sha256`"),
        (None, None, ..) => Err("say where it is: `path` (from `root`), or `url` with `sha256`"),
    }
}

impl TryFrom<RawFileSource> for FileSource {
    type Error = &'static str;

    fn try_from(raw: RawFileSource) -> Result<Self, Self::Error> {
        match raw {
            RawFileSource { root: None, path: None, url: None, sha256: None, archive: Some(inside) } => {
                let archive = Box::new(whole(inside.root, inside.path, inside.url, inside.sha256)?);
                Ok(Self::Member(ArchiveMember { archive, member: inside.member }))
            }
            RawFileSource { archive: Some(_), .. } => {
                Err("`archive` stands alone: `root`, `path`, `url` and `sha256` of the archive go inside it")
            }
            RawFileSource { root, path, url, sha256, archive: None } => whole(root, path, url, sha256),
        }
    }
}

impl From<FileSource> for RawFileSource {
    fn from(source: FileSource) -> Self {
        let mut raw = Self { root: None, path: None, url: None, sha256: None, archive: None };
        match source {
            FileSource::Local(source) => (raw.root, raw.path) = (source.root, Some(source.path)),
            FileSource::Url(url) => (raw.url, raw.sha256) = (Some(url.url), Some(url.sha256)),
            FileSource::Member(inside) => {
                let of = Self::from(*inside.archive);
                let (root, path, url, sha256) = (of.root, of.path, of.url, of.sha256);
                raw.archive = Some(RawMember { root, path, url, sha256, member: inside.member });
            }
        }
        raw
    }
}

/// A chart to pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RawChart", into = "RawChart")]
pub struct ChartEntry {
    /// Where it comes from.
    pub source: ChartSource,
    /// Files with values that the closure gate renders it with, each once more, above the component's own values and what
    /// the sample of a site says.
    pub profiles: Vec<Source>,
}

/// Where a chart comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChartSource {
    /// A folder with a `Chart.yaml` (packed by the builder), or a chart archive (`.tgz`, packed as it is).
    Local(Source),
    /// A chart repository: a web server with an `index.yaml`.
    Repository {
        /// Its base URL.
        url: String,
        /// The chart's name in the index.
        name: String,
        /// The exact version.
        version: String,
    },
    /// A registry, in Helm's own media types.
    Oci {
        /// Registry and repository, the chart's name last, without `oci://` and tag.
        repository: String,
        /// The exact version.
        version: String,
    },
}

impl fmt::Display for ChartSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(source) => write!(formatter, "{source}"),
            Self::Repository { url, name, version } => write!(formatter, "{name} {version} of {url}"),
            Self::Oci { repository, version } => write!(formatter, "oci://{repository}:{version}"),
        }
    }
}

impl ChartSource {
    /// What the entry says that the chart is called; a local one says it in its `Chart.yaml`.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Local(_) => None,
            Self::Repository { name, .. } => Some(name),
            Self::Oci { repository, .. } => repository.rsplit('/').next(),
        }
    }
}

/// A Helm chart: `path` (from `root`) of a folder or archive, `repository` with `name` and `version`, or `oci` with
/// `version`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(
    rename = "ChartEntry",
    extend("oneOf" = [
        {"required": ["path"]}, {"required": ["repository", "name", "version"]}, {"required": ["oci", "version"]}
    ])
)]
struct RawChart {
    /// Named root (`--root NAME=DIR`) that `path` starts from; the recipe's folder where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    /// Folder with a `Chart.yaml`, or chart archive (`.tgz`), below the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<PathBuf>,
    /// Base URL of a chart repository: the folder of its `index.yaml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repository: Option<String>,
    /// The chart's name in the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The exact version in the repository or registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// A chart in a registry, e.g. `registry.example/charts/orders`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    oci: Option<String>,
    /// Files with values that the closure gate renders the chart with, each once more, above the component's values and
    /// what the sample of a site says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    profiles: Vec<Source>,
}

impl TryFrom<RawChart> for ChartEntry {
    type Error = &'static str;

    fn try_from(raw: RawChart) -> Result<Self, Self::Error> {
        let source = match (raw.path, raw.repository, raw.oci) {
            (Some(path), None, None) => match (raw.name, raw.version) {
                (None, None) => ChartSource::Local(Source { root: raw.root, path }),
                _ => {
                    return Err(
                        "`name` and `version` of a chart with `path` stand in its Chart.yaml, not here",
                    );
                }
            },
            (None, Some(url), None) => match (raw.name, raw.version) {
                (Some(name), Some(version)) if raw.root.is_none() => {
                    ChartSource::Repository { url, name, version }
                }
                (Some(_), Some(_)) => return Err("`root` belongs to `path`, not to `repository`"),
                _ => return Err("`repository` needs `name` and `version` beside it"),
            },
            (None, None, Some(oci)) => match (raw.name, raw.version) {
                (None, Some(version)) if raw.root.is_none() => {
                    let repository = oci.strip_prefix("oci://").unwrap_or(&oci).to_owned();
                    ChartSource::Oci { repository, version }
                }
                (None, Some(_)) => return Err("`root` belongs to `path`, not to `oci`"),
                (Some(_), _) => {
                    return Err("`name` belongs to `repository`: the name of `oci` is its last part");
                }
                (None, None) => return Err("`oci` needs `version` beside it"),
            },
            (None, None, None) => {
                return Err(
                    "say where the chart is: `path`, `repository` with `name` and `version`, or `oci` with `version`",
                );
            }
            _ => return Err("`path`, `repository` and `oci` exclude each other"),
        };
        Ok(Self { source, profiles: raw.profiles })
    }
}

impl From<ChartEntry> for RawChart {
    fn from(entry: ChartEntry) -> Self {
        let mut raw = Self {
            root: None,
            path: None,
            repository: None,
            name: None,
            version: None,
            oci: None,
            profiles: entry.profiles,
        };
        match entry.source {
            ChartSource::Local(source) => (raw.root, raw.path) = (source.root, Some(source.path)),
            ChartSource::Repository { url, name, version } => {
                (raw.repository, raw.name, raw.version) = (Some(url), Some(name), Some(version));
            }
            ChartSource::Oci { repository, version } => {
                (raw.oci, raw.version) = (Some(repository), Some(version));
            }
        }
        raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<FileSource, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }

    fn chart(text: &str) -> Result<ChartEntry, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }

    const SHA: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn files_have_three_forms() {
        for (text, shown) in [
            ("{path: a}".to_owned(), "a".to_owned()),
            ("{root: r, path: a/b}".to_owned(), "r:a/b".to_owned()),
            (format!("{{url: 'https://h/a', sha256: {SHA}}}"), "https://h/a".to_owned()),
            ("{archive: {root: r, path: a.tgz, member: bin/x}}".to_owned(), "bin/x in r:a.tgz".to_owned()),
        ] {
            let source = file(&text).unwrap();
            assert_eq!(source.to_string(), shown);
            let again = serde_yaml::to_string(&source).unwrap();
            assert_eq!(file(&again).unwrap(), source, "{again}");
        }
    }

    #[test]
    fn mixed_forms_say_what_is_missing() {
        for (text, expected) in [
            ("{}", "say where it is"),
            ("{root: r}", "`root` needs `path`"),
            ("{url: 'https://h/a'}", "`url` needs `sha256`"),
            ("{path: a, url: 'https://h/a'}", "`path` stands alone"),
            ("{path: a, archive: {path: b, member: c}}", "`archive` stands alone"),
            ("{archive: {path: b}}", "missing field `member`"),
            ("{archive: {member: b}}", "say where it is"),
            ("{archve: {member: b}}", "unknown field `archve`, expected one of"),
        ] {
            let error = file(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn charts_have_three_forms() {
        for (text, shown) in [
            ("{path: chart}", "chart"),
            ("{root: r, path: a.tgz, profiles: [{path: large.yaml}]}", "r:a.tgz"),
            ("{repository: 'https://h/c', name: dns, version: 1.2.3}", "dns 1.2.3 of https://h/c"),
            ("{oci: 'oci://h/c/dns', version: 1.2.3}", "oci://h/c/dns:1.2.3"),
        ] {
            let entry = chart(text).unwrap();
            assert_eq!(entry.source.to_string(), shown);
            assert_eq!(chart(&serde_yaml::to_string(&entry).unwrap()).unwrap(), entry);
        }
        for (text, expected) in [
            ("{}", "say where the chart is"),
            ("{path: a, oci: b}", "exclude each other"),
            ("{path: a, version: 1.0.0}", "stand in its Chart.yaml"),
            ("{repository: 'https://h', name: dns}", "needs `name` and `version`"),
            ("{oci: h/c/dns}", "`oci` needs `version`"),
            ("{oci: h/c/dns, version: 1.0.0, root: r}", "`root` belongs to `path`"),
        ] {
            let error = chart(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
