//! One entry of a bundle as a file of its own: an image as an OCI archive (`skopeo copy oci-archive:FILE`, `podman
//! load`, `ctr images import`), a chart as the archive that Helm installs, a file as it will be on hosts.
//!
//! Bytes are hashed while they are copied; the file gets its name when all of them are the right ones.

use std::fs::Permissions;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sealift_bundle::digest::{HashingReader, HashingWriter};
use sealift_bundle::document::{BundleDocument, Chart, File, Image};
use sealift_bundle::layout::{self, INDEX_FILE, LAYOUT_CONTENT, LAYOUT_FILE};
use sealift_bundle::oci::{Descriptor, Index, REF_NAME};
use sealift_bundle::output::Output;
use sealift_bundle::{Bundle, BundleError};

use super::list::{EntryKind, name_and_tag, platforms};
use crate::image::PodImage;
use crate::nearest::nearest_spelling;

/// Bytes copied at a time.
const BUFFER: usize = 1 << 20;

/// Why nothing was extracted.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// No entry has this name.
    #[error("the bundle has no image, chart or file named `{name}`")]
    Unknown {
        /// What was asked for.
        name: String,
        /// A name close to it.
        nearest: Option<String>,
    },
    /// Several entries have this name.
    #[error("`{name}` is the name of {}", found.join(" and of "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// What it could mean, ready to be given instead.
        found: Vec<String>,
    },
    /// An image is extracted whole, and more is in it.
    #[error("`{name}` is one platform of an image that is packed for {}, and extracted whole", platforms.join(" and "))]
    Platforms {
        /// What was asked for.
        name: String,
        /// Its name without a platform.
        whole: String,
        /// What it is packed for.
        platforms: Vec<String>,
    },
    /// Something is there already.
    #[error("{} exists already", path.display())]
    Exists {
        /// The target.
        path: PathBuf,
    },
    /// The bundle is damaged, or cannot be read.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A blob, or the file inside it, is not what the signature says.
    #[error("{what} is damaged: its content has digest {found}, not {expected}")]
    Content {
        /// Which.
        what: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The target cannot be written, or the bundle not be read on.
    #[error("cannot write {}", path.display())]
    Write {
        /// The target.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// An entry of a bundle.
#[derive(Debug, Clone, Copy)]
pub enum Found<'a> {
    /// A container image.
    Image(&'a Image),
    /// A Helm chart.
    Chart(&'a Chart),
    /// A file.
    File(&'a File),
}

impl Found<'_> {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> EntryKind {
        match self {
            Self::Image(_) => EntryKind::Image,
            Self::Chart(_) => EntryKind::Chart,
            Self::File(_) => EntryKind::File,
        }
    }

    /// Bytes that it takes outside, about.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Image(image) => image.size,
            Self::Chart(chart) => chart.size,
            Self::File(file) => file.plain_size,
        }
    }

    /// Whether `name` is one that people use for it.
    fn is_called(&self, name: &str) -> bool {
        match self {
            Self::Image(image) => {
                image.name == name || PodImage::parse(name).is_some_and(|full| full.name == image.name)
            }
            Self::Chart(chart) => chart.name == name,
            Self::File(file) => file.name == name || file.path == name,
        }
    }

    /// How it is asked for without doubt: kind and name.
    fn full_name(&self) -> String {
        match self {
            Self::Image(image) => format!("image:{}", image.name),
            Self::Chart(chart) => format!("chart:{}", chart.name),
            Self::File(File { path, platform: None, .. }) => format!("file:{path}"),
            Self::File(File { path, platform: Some(platform), .. }) => format!("file:{path}@{platform}"),
        }
    }

    /// The name that its file gets in a folder.
    #[must_use]
    pub fn file_name(&self) -> String {
        match self {
            Self::Image(image) => {
                let (name, tag) = name_and_tag(&image.name);
                format!("{}-{tag}.oci.tar", name.rsplit('/').next().unwrap_or(name))
            }
            Self::Chart(chart) => format!("{}-{}.tgz", chart.name, chart.version),
            Self::File(file) => file.name.clone(),
        }
    }
}

/// The entry named `name`: an image's name in full or as pod specs have it, a chart's name, a file's name or path on
/// hosts; with `image:`, `chart:` or `file:` before it only such an entry, with `@` and a platform behind it only the image or
/// file for that.
pub fn find<'a>(bundle: &'a Bundle, name: &str) -> Result<Found<'a>, ExtractError> {
    named(bundle.document(), name, &|image| platforms(bundle, &image.digest, &image.blobs))
}

/// As [`find`]; `packed` tells what an image is packed for.
fn named<'a>(
    document: &'a BundleDocument,
    name: &str,
    packed: &dyn Fn(&Image) -> Vec<String>,
) -> Result<Found<'a>, ExtractError> {
    let (kind, wanted) = match name.split_once(':') {
        Some(("image", rest)) => (Some(EntryKind::Image), rest),
        Some(("chart", rest)) => (Some(EntryKind::Chart), rest),
        Some(("file", rest)) => (Some(EntryKind::File), rest),
        _ => (None, name),
    };
    // What has a colon is a digest.
    let at = wanted.rsplit_once('@').filter(|(_, platform)| !platform.contains(':'));
    let images = document.images.iter().map(Found::Image);
    let charts = document.charts.iter().map(Found::Chart);
    let files = document.files.iter().map(Found::File);
    let all: Vec<Found<'_>> = images.chain(charts).chain(files).collect();
    let is_for = |entry: &Found<'_>, platform: &str| match entry {
        Found::Image(image) => packed(image).iter().any(|one| one == platform),
        Found::Chart(_) => false,
        Found::File(File { platform: Some(only), .. }) => only == platform,
        Found::File(_) => document.platforms.iter().any(|one| one == platform),
    };
    let is_it = |entry: &&Found<'_>| {
        let with = |(bare, platform)| entry.is_called(bare) && is_for(entry, platform);
        entry.is_called(wanted) || at.is_some_and(with)
    };
    let right_kind = |entry: &&Found<'_>| kind.is_none_or(|kind| kind == entry.kind());
    let found: Vec<&Found<'_>> = all.iter().filter(right_kind).filter(is_it).collect();
    let name = name.to_owned();
    match *found {
        [Found::Image(image)] if at.is_some() && packed(image).len() > 1 => {
            Err(ExtractError::Platforms { name, whole: image.name.clone(), platforms: packed(image) })
        }
        [one] => Ok(*one),
        [] => {
            let bare = at.map_or(wanted, |(bare, _)| bare);
            Err(ExtractError::Unknown { name, nearest: nearest(&all, bare) })
        }
        _ => Err(ExtractError::Ambiguous {
            name,
            found: found.iter().map(|entry| entry.full_name()).collect(),
        }),
    }
}

/// The name closest to a wrong one. Images are compared by their last part, too: people leave the rest out.
fn nearest(all: &[Found<'_>], wrong: &str) -> Option<String> {
    let names = all.iter().flat_map(|entry| match entry {
        Found::Image(image) => {
            let last = image.name.rsplit('/').next().unwrap_or_default();
            let bare = last.split(':').next().unwrap_or_default();
            vec![(image.name.as_str(), image.name.as_str()), (last, &*image.name), (bare, &*image.name)]
        }
        Found::Chart(chart) => vec![(chart.name.as_str(), chart.name.as_str())],
        Found::File(file) => vec![(file.name.as_str(), file.name.as_str())],
    });
    nearest_spelling(wrong, names).map(ToOwned::to_owned)
}

/// Writes `entry` to `target`, and gives the bytes written.
pub fn extract(bundle: &Bundle, entry: Found<'_>, target: &Path, replace: bool) -> Result<u64, ExtractError> {
    let failed = |source| ExtractError::Write { path: target.to_owned(), source };
    // Said before the work; the end of it asks again.
    if !replace && target.symlink_metadata().is_ok() {
        return Err(ExtractError::Exists { path: target.to_owned() });
    }
    let mut output = Output::create(target).map_err(failed)?;
    match entry {
        Found::Image(image) => archive(bundle, image, &mut output, target)?,
        Found::Chart(chart) => {
            copy(bundle, &chart.digest, &format!("chart {}", chart.name), &mut output, target)?;
        }
        Found::File(entry) => decompress(bundle, entry, &mut output, target)?,
    }
    let size = output.file().metadata().map_err(failed)?.len();
    match if replace { output.finish() } else { output.finish_new() } {
        Ok(()) => Ok(size),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(ExtractError::Exists { path: target.to_owned() })
        }
        Err(error) => Err(failed(error)),
    }
}

/// Copies a blob, and compares it with its digest.
fn copy(
    bundle: &Bundle,
    digest: &str,
    what: &str,
    to: &mut dyn Write,
    target: &Path,
) -> Result<(), ExtractError> {
    let failed = |source| ExtractError::Write { path: target.to_owned(), source };
    let mut reader = HashingReader::new(bundle.blob_reader(digest, 0)?);
    let mut buffer = vec![0; BUFFER];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => to.write_all(&buffer[..count]).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let (found, _, _) = reader.finish();
    right(what, digest, found)
}

fn right(what: &str, expected: &str, found: String) -> Result<(), ExtractError> {
    if found == expected {
        return Ok(());
    }
    Err(ExtractError::Content { what: what.to_owned(), expected: expected.to_owned(), found })
}

/// Writes the image as an OCI archive: a tar of an OCI layout with this one image, its blobs byte for byte.
fn archive(bundle: &Bundle, image: &Image, file: &mut Output, target: &Path) -> Result<(), ExtractError> {
    let failed = |source| ExtractError::Write { path: target.to_owned(), source };
    let sizes = |digest: &str| bundle.blobs().iter().find(|blob| blob.digest == digest).map(|blob| blob.size);
    let missing =
        |digest: &str| BundleError::NoSuchBlob { path: bundle.path().to_owned(), digest: digest.to_owned() };
    let entry = Descriptor {
        media_type: image.media_type.clone(),
        digest: image.digest.clone(),
        size: sizes(&image.digest).ok_or_else(|| missing(&image.digest))?,
        artifact_type: None,
        annotations: [(REF_NAME.to_owned(), image.name.clone())].into(),
    };
    let index = serde_json::to_vec(&Index::new(vec![entry])).map_err(|error| failed(error.into()))?;
    let mut to = BufWriter::with_capacity(BUFFER, file);
    member(&mut to, LAYOUT_FILE, LAYOUT_CONTENT.as_bytes()).map_err(failed)?;
    member(&mut to, INDEX_FILE, &index).map_err(failed)?;
    let mut blobs: Vec<&String> = image.blobs.iter().collect();
    blobs.sort();
    blobs.dedup();
    for digest in blobs {
        let size = sizes(digest).ok_or_else(|| missing(digest))?;
        let name = layout::blob_name(digest).map_err(|error| failed(io::Error::other(error)))?;
        to.write_all(header(&name, size).map_err(failed)?.as_bytes()).map_err(failed)?;
        copy(bundle, digest, &format!("blob {digest}"), &mut to, target)?;
        to.write_all(padding(size)).map_err(failed)?;
    }
    to.write_all(&[0; 1024]).and_then(|()| to.flush()).map_err(failed)
}

/// Writes a small member whole.
fn member(to: &mut dyn Write, name: &str, content: &[u8]) -> io::Result<()> {
    to.write_all(header(name, content.len() as u64)?.as_bytes())?;
    to.write_all(content)?;
    to.write_all(padding(content.len() as u64))
}

fn header(name: &str, size: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    Ok(header)
}

/// Zeros that fill a member's last block.
fn padding(size: u64) -> &'static [u8] {
    const ZEROS: [u8; 512] = [0; 512];
    let over = usize::try_from(size % 512).unwrap_or_default();
    if over == 0 { &[] } else { &ZEROS[over..] }
}

/// Writes the file inside a frame. Both the frame and the file are compared with their digests.
fn decompress(bundle: &Bundle, entry: &File, to: &mut Output, target: &Path) -> Result<(), ExtractError> {
    let failed = |source| ExtractError::Write { path: target.to_owned(), source };
    let what = format!("file {}", entry.name);
    let mut frame = HashingReader::new(bundle.blob_reader(&entry.digest, 0)?);
    let mut writer = HashingWriter::new(BufWriter::with_capacity(BUFFER, &mut *to));
    {
        let decoder = zstd::Decoder::new(&mut frame).map_err(failed)?;
        // A frame that holds more than the document says is wrong from that byte on; one more shows it.
        let mut decoder = decoder.take(entry.plain_size.saturating_add(1));
        if let Err(error) = io::copy(&mut decoder, &mut writer) {
            // Not a frame, or the disk: only the second is worth another try.
            return Err(if error.raw_os_error().is_some() {
                failed(error)
            } else {
                let found = "that of no zstd frame".to_owned();
                ExtractError::Content { what, expected: entry.plain_digest.clone(), found }
            });
        }
    }
    io::copy(&mut frame, &mut io::sink()).map_err(failed)?;
    right(&format!("blob {}", entry.digest), &entry.digest, frame.finish().0)?;
    writer.flush().map_err(failed)?;
    right(&what, &entry.plain_digest, writer.finish().0)?;
    to.file().set_permissions(Permissions::from_mode(entry.mode & 0o777)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealift_bundle::TrustedKeys;
    use sealift_bundle::testing::{sample_bundle, sample_document};

    #[test]
    fn entries_are_found_by_the_names_that_people_use() {
        let document = sample_document();
        let name = |wanted: &str| named(&document, wanted, &|_| Vec::new()).map(|found| found.full_name());
        assert_eq!(name("postgres:15").unwrap(), "image:docker.io/library/postgres:15");
        assert_eq!(name("orders").unwrap(), "chart:orders");
        assert_eq!(name("kubelet").unwrap(), "file:/usr/local/bin/kubelet");
        assert_eq!(name("/opt/cni/bin/loopback").unwrap(), "file:/opt/cni/bin/loopback");
        assert_eq!(name("file:flannel").unwrap(), "file:/opt/cni/bin/flannel");
        let Err(ExtractError::Ambiguous { found, .. }) = name("flannel") else { panic!("found") };
        assert_eq!(found, ["chart:flannel", "file:/opt/cni/bin/flannel"]);
        for (wrong, right) in [("kubelt", "kubelet"), ("postgres", "docker.io/library/postgres:15")] {
            let Err(ExtractError::Unknown { nearest, .. }) = name(wrong) else { panic!("found") };
            assert_eq!(nearest.as_deref(), Some(right));
        }
        assert!(matches!(name("nothing-like-it"), Err(ExtractError::Unknown { nearest: None, .. })));
    }

    #[test]
    fn files_of_several_platforms_are_told_apart() {
        let mut document = sample_document();
        let at = document.files.iter().position(|file| file.name == "kubelet").unwrap();
        let mut other = document.files[at].clone();
        document.files[at].platform = Some("linux/amd64".to_owned());
        other.platform = Some("linux/arm64".to_owned());
        document.files.push(other);
        let amd64 = "linux/amd64".to_owned();
        let packed = |image: &Image| match image.name.as_str() {
            "docker.io/library/postgres:15" => vec![amd64.clone(), "linux/arm64".to_owned()],
            _ => vec![amd64.clone()],
        };
        let name = |wanted: &str| named(&document, wanted, &packed).map(|found| found.full_name());
        let Err(ExtractError::Ambiguous { found, .. }) = name("kubelet") else { panic!("found") };
        let both = ["amd64", "arm64"].map(|machine| format!("file:/usr/local/bin/kubelet@linux/{machine}"));
        assert_eq!(found, both);
        assert_eq!(name(&both[1]).unwrap(), both[1]);
        assert_eq!(name("kubelet@linux/amd64").unwrap(), both[0]);
        assert!(matches!(name("kubelet@linux/riscv64"), Err(ExtractError::Unknown { .. })));
        // A file without a platform of its own is for those of the bundle, as `ls` shows it.
        assert_eq!(document.platforms, [&*amd64]);
        for wanted in ["loopback@linux/amd64", "file:/opt/cni/bin/loopback@linux/amd64"] {
            assert_eq!(name(wanted).unwrap(), "file:/opt/cni/bin/loopback");
        }
        let Err(ExtractError::Unknown { nearest, .. }) = name("loopback@linux/arm64") else {
            panic!("found")
        };
        assert_eq!(nearest.as_deref(), Some("loopback"));
        // An image that holds nothing else is the one for its platform.
        let pause = "registry.k8s.io/pause:3.10.2";
        assert_eq!(name(&format!("{pause}@linux/amd64")).unwrap(), format!("image:{pause}"));
        assert!(matches!(name(&format!("{pause}@linux/arm64")), Err(ExtractError::Unknown { .. })));
        let Err(ExtractError::Platforms { platforms, .. }) = name("postgres:15@linux/arm64") else {
            panic!("found")
        };
        assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
        assert!(matches!(name("chart:orders@linux/amd64"), Err(ExtractError::Unknown { .. })));
        // An at sign may also be part of a name.
        document.files[at].name = "sealift@.service".to_owned();
        let found = named(&document, "sealift@.service", &packed).map(|found| found.full_name());
        assert_eq!(found.unwrap(), "file:/usr/local/bin/kubelet@linux/amd64");
    }

    #[test]
    fn nothing_is_replaced_unasked_and_damage_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = sample_bundle(folder.path());
        let keys = TrustedKeys::from_public_key_text(&key).unwrap();
        let bundle = Bundle::open(&path, &keys).unwrap();
        let document = bundle.document().clone();
        let kubelet = find(&bundle, "kubelet").unwrap();
        let target = folder.path().join("kubelet");
        std::fs::write(&target, "mine").unwrap();
        assert!(matches!(extract(&bundle, kubelet, &target, false), Err(ExtractError::Exists { .. })));
        assert_eq!(std::fs::read(&target).unwrap(), b"mine");
        extract(&bundle, kubelet, &target, true).unwrap();
        assert!(std::fs::read_to_string(&target).unwrap().contains("echo kubelet v1.36.3"));
        assert_eq!(target.metadata().unwrap().permissions().mode() & 0o777, 0o755);

        let mut content = std::fs::read(&path).unwrap();
        for file in &document.files {
            let blob = bundle.read_blob(&file.digest).unwrap();
            let at = content.windows(blob.len()).position(|window| window == blob).unwrap();
            content[at + blob.len() - 1] ^= 1;
        }
        std::fs::write(&path, content).unwrap();
        let bundle = Bundle::open(&path, &keys).unwrap();
        let other = folder.path().join("other");
        assert!(extract(&bundle, kubelet, &other, false).is_err());
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }
}
