//! Helm charts: a folder becomes the same archive wherever and whenever it is packed; an archive stays as it is.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use sealift_bundle::digest::digest_of;
use serde::Deserialize;
use serde_json::Value;

use crate::archive::ArchiveError;

mod archive;

pub(crate) use archive::files;

/// Media type of a chart's config: its `Chart.yaml` as JSON.
pub const CONFIG_MEDIA_TYPE: &str = "application/vnd.cncf.helm.config.v1+json";
/// Media type of a chart's archive.
pub const ARCHIVE_MEDIA_TYPE: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// The file in which a chart says what it is.
const METADATA: &str = "Chart.yaml";
/// Charts are small; what is larger is something else.
pub(crate) const LIMIT: u64 = 64 << 20;

/// A chart, ready to pack.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Name in its `Chart.yaml`.
    pub name: String,
    /// Version in its `Chart.yaml`.
    pub version: String,
    /// Its `Chart.yaml`.
    pub metadata: Value,
    /// The `.tgz`.
    pub archive: Vec<u8>,
    /// Digest that pins its content: of the tar inside for a folder (so it does not depend on how gzip compresses), of
    /// the archive for an archive.
    pub content: String,
}

/// Why a chart cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// A file of it cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No `Chart.yaml`.
    #[error("{} is no chart: it has no Chart.yaml", path.display())]
    NoMetadata {
        /// The folder or archive.
        path: PathBuf,
    },
    /// `Chart.yaml` is no YAML.
    #[error("Chart.yaml of {} is not valid", path.display())]
    Metadata {
        /// The folder or archive.
        path: PathBuf,
        /// Why.
        source: serde_yaml::Error,
    },
    /// `Chart.yaml` does not say what Helm wants to know.
    #[error("Chart.yaml of {} {}", path.display(), lacks.join(", and "))]
    Incomplete {
        /// The folder or archive.
        path: PathBuf,
        /// All that is wrong with it.
        lacks: Vec<String>,
    },
    /// No archive, or one that Helm would read in another way.
    #[error("{} cannot be used as a chart archive", path.display())]
    Archive {
        /// The archive, or the folder that became one.
        path: PathBuf,
        /// Why.
        source: ArchiveError,
    },
    /// Something that is neither a file nor a folder.
    #[error("{} is neither a file nor a folder; charts hold nothing else", path.display())]
    Special {
        /// The culprit.
        path: PathBuf,
    },
    /// Far too large.
    #[error("{} is larger than {} MiB: that is no chart", path.display(), LIMIT >> 20)]
    TooLarge {
        /// The folder or archive.
        path: PathBuf,
    },
}

/// The fields that a bundle names, as they are written.
#[derive(Deserialize)]
struct Written {
    name: Option<Value>,
    version: Option<Value>,
}

/// The same, as Helm wants them.
struct Identity {
    name: String,
    version: String,
}

impl Chart {
    /// Reads the chart at `path`, a folder or an archive.
    pub fn read(path: &Path) -> Result<Self, ChartError> {
        let kind = fs::metadata(path).map_err(|source| ChartError::Read { path: path.to_owned(), source })?;
        if kind.is_dir() { Self::from_folder(path) } else { Self::from_archive(path, read(path)?) }
    }

    fn from_folder(path: &Path) -> Result<Self, ChartError> {
        let file = path.join(METADATA);
        if !file.is_file() {
            return Err(ChartError::NoMetadata { path: path.to_owned() });
        }
        let (identity, metadata) = metadata(path, &read(&file)?)?;
        let tar = tar_of(path, &identity.name)?;
        // Level and header are fixed: no name, no time, no machine.
        let mut encoder =
            GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::new(9));
        let archive = encoder
            .write_all(&tar)
            .and_then(|()| encoder.finish())
            .map_err(|source| ChartError::Read { path: path.to_owned(), source })?;
        // A file named `x\values.yaml` is one in a folder, and another one in an archive, for Helm.
        files(&archive, |_, _| Ok(())).map_err(|source| unusable(path, source))?;
        let content = digest_of(&tar);
        Ok(Self { name: identity.name, version: identity.version, metadata, archive, content })
    }

    /// Takes a chart archive as it is; `path` is for messages.
    pub fn from_archive(path: &Path, archive: Vec<u8>) -> Result<Self, ChartError> {
        let mut text = None;
        let take = |name: &str, content: &mut dyn Read| {
            if name == METADATA {
                content.read_to_end(text.insert(Vec::new()))?;
            }
            Ok(())
        };
        files(&archive, take).map_err(|source| unusable(path, source))?;
        let text = text.ok_or_else(|| ChartError::NoMetadata { path: path.to_owned() })?;
        let (identity, metadata) = metadata(path, &text)?;
        let content = digest_of(&archive);
        Ok(Self { name: identity.name, version: identity.version, metadata, archive, content })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ChartError> {
    let mut content = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(LIMIT + 1).read_to_end(&mut content))
        .map_err(|source| ChartError::Read { path: path.to_owned(), source })?;
    if content.len() as u64 > LIMIT {
        Err(ChartError::TooLarge { path: path.to_owned() })
    } else {
        Ok(content)
    }
}

fn unusable(path: &Path, source: ArchiveError) -> ChartError {
    ChartError::Archive { path: path.to_owned(), source }
}

fn metadata(path: &Path, text: &[u8]) -> Result<(Identity, Value), ChartError> {
    let invalid = |source| ChartError::Metadata { path: path.to_owned(), source };
    let incomplete = |lacks| ChartError::Incomplete { path: path.to_owned(), lacks };
    let value: Value = serde_yaml::from_slice(text).map_err(invalid)?;
    if !value.is_object() {
        return Err(incomplete(vec!["holds no keys with values".to_owned()]));
    }
    // Refuses what stands there twice.
    let written: Written = serde_yaml::from_slice(text).map_err(invalid)?;
    match (name(written.name), said("version", written.version)) {
        (Ok(name), Ok(version)) => Ok((Identity { name, version }, value)),
        (name, version) => Err(incomplete(name.err().into_iter().chain(version.err()).collect())),
    }
}

/// The chart's name, which becomes the name of a folder.
fn name(value: Option<Value>) -> Result<String, String> {
    let name = said("name", value)?;
    let plain = !name.contains(['/', '\\']) && !matches!(name.as_str(), "." | "..");
    if plain { Ok(name) } else { Err(format!("says `name: {name}`, which is no name of a folder")) }
}

/// A text that must be there.
fn said(key: &str, value: Option<Value>) -> Result<String, String> {
    match value {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        None | Some(Value::Null | Value::String(_)) => Err(format!("does not say its `{key}`")),
        // YAML reads 1.0 as a number, which is not the same as 1.00.
        Some(Value::Number(number)) => Err(format!("says `{key}: {number}`, a number: put it in quotes")),
        Some(_) => Err(format!("says a `{key}` that is no text")),
    }
}

/// The folder as a tar: `Chart.yaml` first, as Helm writes it, then all files by name; same owner, mode and time for all.
fn tar_of(folder: &Path, name: &str) -> Result<Vec<u8>, ChartError> {
    let mut files = Vec::new();
    collect(folder, Path::new(""), &mut files)?;
    files.sort_by_key(|file| (file != Path::new(METADATA), file.clone()));
    let mut tar = tar::Builder::new(Vec::new());
    for file in files {
        let content = read(&folder.join(&file))?;
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        tar.append_data(&mut header, Path::new(name).join(&file), &*content)
            .map_err(|source| ChartError::Read { path: folder.join(&file), source })?;
        if tar.get_ref().len() as u64 > LIMIT {
            return Err(ChartError::TooLarge { path: folder.to_owned() });
        }
    }
    tar.into_inner().map_err(|source| ChartError::Read { path: folder.to_owned(), source })
}

/// Adds every file below `root`/`inside`, as paths below `root`.
fn collect(root: &Path, inside: &Path, files: &mut Vec<PathBuf>) -> Result<(), ChartError> {
    let folder = root.join(inside);
    let failed = |source| ChartError::Read { path: folder.clone(), source };
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = inside.join(entry.file_name());
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            collect(root, &path, files)?;
        } else if kind.is_file() {
            files.push(path);
        } else {
            // A link would pack what is elsewhere, or differ from machine to machine.
            return Err(ChartError::Special { path: root.join(path) });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    /// A chart folder, its files written in the order given.
    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    const CHART: (&str, &str) = ("Chart.yaml", "apiVersion: v2\nname: orders\nversion: 4.2.0\n");
    const VALUES: (&str, &str) = ("values.yaml", "replicas: 1\n");
    const TEMPLATE: (&str, &str) = ("templates/web.yaml", "kind: Deployment\n");

    #[test]
    fn the_same_files_give_the_same_archive() {
        let one = Chart::read(folder(&[CHART, VALUES, TEMPLATE]).path()).unwrap();
        let other = folder(&[TEMPLATE, VALUES, CHART]);
        fs::set_permissions(other.path().join("values.yaml"), fs::Permissions::from_mode(0o600)).unwrap();
        let other = Chart::read(other.path()).unwrap();
        assert_eq!(one, other);
        assert_eq!((one.name.as_str(), one.version.as_str()), ("orders", "4.2.0"));
        assert_eq!(one.metadata["apiVersion"], "v2");

        let changed =
            Chart::read(folder(&[CHART, ("values.yaml", "replicas: 2\n"), TEMPLATE]).path()).unwrap();
        assert_ne!(changed.content, one.content);
        assert_ne!(changed.archive, one.archive);
    }

    #[test]
    fn an_archive_stays_as_it_is() {
        let packed = Chart::read(folder(&[CHART, TEMPLATE]).path()).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &packed.archive).unwrap();
        let read = Chart::read(file.path()).unwrap();
        assert_eq!(read.archive, packed.archive);
        assert_eq!((read.name, read.version, read.metadata), (packed.name, packed.version, packed.metadata));

        let mut names = Vec::new();
        for entry in tar::Archive::new(flate2::read::GzDecoder::new(&*packed.archive)).entries().unwrap() {
            names.push(entry.unwrap().path().unwrap().display().to_string());
        }
        assert_eq!(names, ["orders/Chart.yaml", "orders/templates/web.yaml"]);
    }

    #[test]
    fn what_is_no_chart_is_refused() {
        assert!(matches!(Chart::read(folder(&[VALUES]).path()), Err(ChartError::NoMetadata { .. })));
        assert!(matches!(Chart::read(Path::new("/nonexistent")), Err(ChartError::Read { .. })));
        let linked = folder(&[CHART]);
        std::os::unix::fs::symlink("/etc/hostname", linked.path().join("hostname")).unwrap();
        assert!(matches!(Chart::read(linked.path()), Err(ChartError::Special { .. })));
        // Helm would take it for the chart's values.
        let error = Chart::read(folder(&[CHART, ("x\\values.yaml", "a: b\n")]).path()).unwrap_err();
        assert!(matches!(&error, ChartError::Archive { source: ArchiveError::Refused(_), .. }), "{error:?}");
    }

    #[test]
    fn an_archive_that_is_no_chart_is_refused() {
        let path = Path::new("orders.tgz");
        let archive = |members: &[(&str, &str)]| {
            let mut builder = tar::Builder::new(GzBuilder::new().write(Vec::new(), Compression::fast()));
            for (name, content) in members {
                let mut header = tar::Header::new_gnu();
                header.set_size(content.len() as u64);
                builder.append_data(&mut header, name, content.as_bytes()).unwrap();
            }
            builder.into_inner().unwrap().finish().unwrap()
        };
        let read = |members: &[(&str, &str)]| Chart::from_archive(path, archive(members));
        let chart = ("orders/Chart.yaml", CHART.1);
        assert_eq!(read(&[chart, ("orders/charts/a/Chart.yaml", "")]).unwrap().version, "4.2.0");
        for members in [&[][..], &[("orders/values.yaml", "")], &[("orders/charts/a/Chart.yaml", CHART.1)]] {
            assert!(matches!(read(members), Err(ChartError::NoMetadata { .. })), "{members:?}");
        }
        let newer = CHART.1.replace("4.2.0", "9.9.9");
        for (member, expected) in [
            ("orders/Chart.yaml", "two members are named orders/Chart.yaml"),
            (
                "other/Chart.yaml",
                "the member \"other/Chart.yaml\" stands outside of the chart's folder \"orders\"",
            ),
            (
                "Chart.yaml",
                "the member \"Chart.yaml\" stands in no folder: a chart is one folder with all in it",
            ),
        ] {
            let error = read(&[chart, (member, &newer)]).unwrap_err();
            let ChartError::Archive { source, .. } = &error else { panic!("{error:?}") };
            assert_eq!(source.to_string(), expected);
            assert_eq!(error.to_string(), "orders.tgz cannot be used as a chart archive");
        }
        let whole = archive(&[chart]);
        for broken in [b"no archive", &whole[..whole.len() - 4], &[&whole[..], b"and more"].concat()] {
            let error = Chart::from_archive(path, broken.to_vec()).unwrap_err();
            assert!(matches!(&error, ChartError::Archive { source: ArchiveError::Read(_), .. }), "{error:?}");
        }
    }

    #[test]
    fn a_bad_chart_yaml_is_told_in_the_words_of_whoever_writes_it() {
        for (text, expected) in [
            ("version: 1.0.0\n", "does not say its `name`"),
            ("name: orders\nversion:\n", "does not say its `version`"),
            ("apiVersion: v2\n", "does not say its `name`, and does not say its `version`"),
            ("name: orders\nversion: 1.0\n", "says `version: 1.0`, a number: put it in quotes"),
            ("name: [orders]\nversion: 1.0.0\n", "says a `name` that is no text"),
            ("name: ../orders\nversion: 1.0.0\n", "says `name: ../orders`, which is no name of a folder"),
            ("", "holds no keys with values"),
            ("orders\n", "holds no keys with values"),
            ("- name: orders\n", "holds no keys with values"),
        ] {
            let folder = folder(&[("Chart.yaml", text)]);
            let error = Chart::read(folder.path()).unwrap_err().to_string();
            assert_eq!(error, format!("Chart.yaml of {} {expected}", folder.path().display()), "{text}");
        }
        for text in ["name: [\n", "name: a\nname: b\nversion: 1.0.0\n"] {
            let error = Chart::read(folder(&[("Chart.yaml", text)]).path()).unwrap_err();
            let ChartError::Metadata { source, .. } = error else { panic!("{error:?}") };
            assert!(source.location().is_some() && !source.to_string().contains("struct"), "{source}");
        }
    }
}
