//! Images on the vendor's machine: OCI layouts as folder or tar, and the tars of `docker save`. They are read where they
//! lie, never unpacked; whatever is taken from them is hashed on the way into the cache.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use oci_spec::image::ImageIndex;
use sealift_bundle::digest::{self, HashingReader, digest_of};
use sealift_bundle::layout;
use serde::Deserialize;

use crate::archive::{self, ArchiveError, Member};
use crate::cache::{Cache, CacheError, Content};
use crate::image::PodImage;
use crate::manifest::MOST_BYTES as MOST_JSON;
use crate::recipe::ImageSource;

mod docker;
mod referrers;

/// Annotations that name an image in a layout's index.
const NAMES: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

/// Why an image cannot be taken from a folder or archive.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// Cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not a tar, or one made to trick.
    #[error("{} cannot be used as an archive", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: ArchiveError,
    },
    /// Not what the recipe takes it for.
    #[error("{} is no {what}: {why}", path.display())]
    NotOne {
        /// The folder or archive.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// How that shows.
        why: String,
    },
    /// Other images, or several.
    #[error("{} holds no single image named {wanted}; it holds {}", path.display(), list(found))]
    NoImage {
        /// The folder or archive.
        path: PathBuf,
        /// What was looked for.
        wanted: String,
        /// Names of what there is, digests where there are none.
        found: Vec<String>,
    },
    /// A blob that a manifest names is not there.
    #[error("{} lacks blob {digest}", path.display())]
    NoBlob {
        /// The folder or archive.
        path: PathBuf,
        /// Which blob.
        digest: String,
    },
    /// A blob is not what its name says.
    #[error("{}: the content of blob {expected} has digest {got}", path.display())]
    WrongContent {
        /// The folder or archive.
        path: PathBuf,
        /// Its name.
        expected: String,
        /// Its digest.
        got: String,
    },
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// A folder or archive with images.
#[derive(Debug)]
pub struct Stored {
    path: PathBuf,
    blobs: Blobs,
    images: Vec<Named>,
}

/// An image at the top.
#[derive(Debug)]
struct Named {
    names: Vec<String>,
    digest: String,
}

impl Named {
    /// Whether one of its names is this tag, or ends with it.
    fn has_tag(&self, tag: &str) -> bool {
        let ends = |name: &str| name == tag || name.strip_suffix(tag).is_some_and(|rest| rest.ends_with(':'));
        self.names.iter().any(|name| ends(name))
    }

    fn shown(&self) -> Vec<String> {
        if self.names.is_empty() { vec![self.digest.clone()] } else { self.names.clone() }
    }
}

/// Where blobs are.
#[derive(Debug)]
enum Blobs {
    Folder,
    Tar { file: File, parts: BTreeMap<String, Part> },
}

/// A blob inside an archive.
#[derive(Debug, Clone)]
enum Part {
    Range {
        offset: u64,
        size: u64,
    },
    /// Written by this program: what the archive says in other words.
    Made(Vec<u8>),
}

impl Stored {
    /// Opens what `source` speaks of, at `path`.
    pub fn open(source: &ImageSource, path: &Path) -> Result<Self, StoredError> {
        match source {
            ImageSource::OciLayout(_) => Self::layout(path),
            ImageSource::OciArchive(_) => Self::oci_archive(path),
            ImageSource::DockerArchive(_) => docker::open(path),
        }
    }

    fn layout(path: &Path) -> Result<Self, StoredError> {
        let read = |path: PathBuf| small(&path);
        marker(path, "OCI layout", read(layout::layout_path(path)).ok().as_deref())?;
        let images = named(path, "OCI layout", &read(layout::index_path(path))?)?;
        Ok(Self { path: path.to_owned(), blobs: Blobs::Folder, images })
    }

    fn oci_archive(path: &Path) -> Result<Self, StoredError> {
        let tar = Tar::open(path)?;
        marker(path, "OCI archive", tar.read(layout::LAYOUT_FILE)?.as_deref())?;
        let index = tar.read(layout::INDEX_FILE)?.unwrap_or_default();
        let images = named(path, "OCI archive", &index)?;
        let prefix = format!("{}/", layout::BLOBS_FOLDER);
        let blob = |member: &Member| {
            let digest = format!("{}{}", digest::PREFIX, member.name.strip_prefix(&prefix)?);
            let part = Part::Range { offset: member.offset, size: member.size };
            (member.link.is_none() && digest::is_valid(&digest)).then_some((digest, part))
        };
        let parts = tar.members.iter().filter_map(blob).collect();
        Ok(Self { path: path.to_owned(), blobs: Blobs::Tar { file: tar.file, parts }, images })
    }

    /// The digest of the image that one of `names` (the more exact first) stands for; of the only image where there is but
    /// one and none was asked for by `reference`.
    pub fn find(&self, name: &str, reference: Option<&str>) -> Result<&str, StoredError> {
        let wanted = reference.unwrap_or(name);
        let full = |text: &str| PodImage::parse(text).map(|image| image.name);
        let tag = name.rsplit_once(':').map_or(name, |(_, tag)| tag);
        let named = |one: &&Named| one.names.iter().any(|found| found == wanted);
        // What is no reference of an image has no other spelling.
        let spelt = full(wanted);
        let same = |one: &&Named| spelt.is_some() && one.names.iter().any(|found| full(found) == spelt);
        let tagged = |one: &&Named| reference.is_none() && one.names.iter().any(|found| found == tag);
        let matches: [&dyn Fn(&&Named) -> bool; 3] = [&named, &same, &tagged];
        for fits in matches {
            let mut fitting = self.images.iter().filter(fits);
            if let (Some(one), None) = (fitting.next(), fitting.next()) {
                return Ok(&one.digest);
            }
        }
        match self.images.as_slice() {
            [only] if reference.is_none() => Ok(&only.digest),
            images => Err(StoredError::NoImage {
                path: self.path.clone(),
                wanted: wanted.to_owned(),
                found: images.iter().flat_map(Named::shown).collect(),
            }),
        }
    }

    /// What has this tag, or a name that ends with it, where there is one.
    #[must_use]
    pub fn tagged(&self, tag: &str) -> Option<&str> {
        let image = self.images.iter().find(|image| image.has_tag(tag))?;
        Some(&image.digest)
    }

    /// A manifest or index, checked.
    pub fn manifest(&self, digest: &str) -> Result<Vec<u8>, StoredError> {
        let (reader, size) = self.reader(digest)?;
        if size > MOST_JSON {
            let why = format!("manifest {digest} has {size} bytes");
            return Err(StoredError::NotOne { path: self.path.clone(), what: "image", why });
        }
        let mut content = Vec::new();
        reader.take(MOST_JSON).read_to_end(&mut content).map_err(|source| self.unreadable(source))?;
        let got = digest_of(&content);
        if got == digest { Ok(content) } else { Err(self.wrong(digest, got)) }
    }

    /// Copies the blob `wanted` into the cache, hashing on the way. `advanced` hears how many bytes came.
    pub fn blob(&self, wanted: &Content, cache: &Cache, advanced: &dyn Fn(i64)) -> Result<(), StoredError> {
        if cache.has(&wanted.digest, wanted.size)? {
            advanced(wanted.size.cast_signed());
            return Ok(());
        }
        let (reader, size) = self.reader(&wanted.digest)?;
        if size != wanted.size {
            return Err(
                self.wrong(&wanted.digest, format!("another size: {size} bytes, not {}", wanted.size))
            );
        }
        let mut target = cache.temporary()?;
        let mut reader = HashingReader::new(reader);
        archive::copy(&mut reader, &mut target, |source| self.unreadable(source), advanced)?;
        let (got, _, _) = reader.finish();
        if got != wanted.digest {
            return Err(self.wrong(&wanted.digest, got));
        }
        Ok(cache.adopt(target, &wanted.digest)?)
    }

    /// A blob's content and size.
    fn reader(&self, digest: &str) -> Result<(Box<dyn Read + '_>, u64), StoredError> {
        let absent = || StoredError::NoBlob { path: self.path.clone(), digest: digest.to_owned() };
        match &self.blobs {
            Blobs::Folder => {
                let path = layout::blob_path(&self.path, digest).map_err(CacheError::from)?;
                let file = match File::open(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(absent()),
                    opened => opened.map_err(|source| StoredError::Read { path: path.clone(), source })?,
                };
                let metadata = file.metadata().map_err(|source| StoredError::Read { path, source })?;
                Ok((Box::new(file.take(metadata.len())), metadata.len()))
            }
            Blobs::Tar { file, parts } => match parts.get(digest).ok_or_else(absent)? {
                Part::Range { offset, size } => {
                    Ok((Box::new(Range { file, position: *offset, left: *size }), *size))
                }
                Part::Made(content) => Ok((Box::new(content.as_slice()), content.len() as u64)),
            },
        }
    }

    fn unreadable(&self, source: io::Error) -> StoredError {
        StoredError::Read { path: self.path.clone(), source }
    }

    fn wrong(&self, expected: &str, got: String) -> StoredError {
        StoredError::WrongContent { path: self.path.clone(), expected: expected.to_owned(), got }
    }
}

/// A piece of a file, read by its own position: several threads read one archive.
struct Range<'a> {
    file: &'a File,
    position: u64,
    left: u64,
}

impl Read for Range<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..length], self.position)?;
        if count == 0 && length > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// A tar and what stands where in it.
struct Tar {
    path: PathBuf,
    file: File,
    /// By name.
    members: Vec<Member>,
}

impl Tar {
    fn open(path: &Path) -> Result<Self, StoredError> {
        let failed = |source| StoredError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let mut magic = [0; 4];
        let compressed = file.read_at(&mut magic, 0).map_err(failed)? == 4
            && (magic.starts_with(&[0x1f, 0x8b]) || magic == [0x28, 0xb5, 0x2f, 0xfd]);
        if compressed {
            let why = "it is compressed: unpack it first, e.g. with `gunzip` or `zstd -d`".to_owned();
            return Err(StoredError::NotOne { path: path.to_owned(), what: "plain tar", why });
        }
        let mut members =
            archive::list(&file).map_err(|source| StoredError::Archive { path: path.to_owned(), source })?;
        let length = file.metadata().map_err(failed)?.len();
        if let Some(cut) = members.iter().find(|one| one.offset.saturating_add(one.size) > length) {
            let why = format!("cut short: {} ends behind the archive's end", cut.name);
            return Err(StoredError::NotOne { path: path.to_owned(), what: "whole tar", why });
        }
        members.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Self { path: path.to_owned(), file, members })
    }

    /// A file of it, a link inside it followed once.
    fn member(&self, name: &str) -> Option<&Member> {
        let name = name.strip_prefix("./").unwrap_or(name);
        let member = self.named(name)?;
        match &member.link {
            None => Some(member),
            Some(_) => self.named(&archive::target(member)?).filter(|target| target.link.is_none()),
        }
    }

    fn named(&self, name: &str) -> Option<&Member> {
        let place = self.members.binary_search_by(|member| member.name.as_str().cmp(name)).ok()?;
        self.members.get(place)
    }

    /// A small file of it.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoredError> {
        let Some(member) = self.member(name).filter(|member| member.size <= MOST_JSON) else {
            return Ok(None);
        };
        let mut content = Vec::new();
        self.range(member)
            .read_to_end(&mut content)
            .map_err(|source| StoredError::Read { path: self.path.clone(), source })?;
        Ok(Some(content))
    }

    fn range(&self, member: &Member) -> Range<'_> {
        Range { file: &self.file, position: member.offset, left: member.size }
    }
}

fn small(path: &Path) -> Result<Vec<u8>, StoredError> {
    let mut content = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MOST_JSON).read_to_end(&mut content))
        .map_err(|source| StoredError::Read { path: path.to_owned(), source })?;
    Ok(content)
}

/// Whether the `oci-layout` file is there and of the version known.
fn marker(path: &Path, what: &'static str, content: Option<&[u8]>) -> Result<(), StoredError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Marker {
        image_layout_version: String,
    }
    let why = match content.map(serde_json::from_slice::<Marker>) {
        Some(Ok(marker)) if marker.image_layout_version == "1.0.0" => return Ok(()),
        Some(Ok(marker)) => format!("it is of version {}, not 1.0.0", marker.image_layout_version),
        Some(Err(error)) => format!("its oci-layout file is not valid: {error}"),
        None => "it has no oci-layout file".to_owned(),
    };
    Err(StoredError::NotOne { path: path.to_owned(), what, why })
}

/// The images that an `index.json` offers.
fn named(path: &Path, what: &'static str, index: &[u8]) -> Result<Vec<Named>, StoredError> {
    let wrong = |why: String| StoredError::NotOne { path: path.to_owned(), what, why };
    let index = ImageIndex::from_reader(index).map_err(|error| wrong(format!("index.json: {error}")))?;
    let images = index.manifests().iter().map(|entry| {
        let digest = entry.digest().to_string();
        if !digest::is_valid(&digest) {
            return Err(wrong(format!("index.json names {digest:?}, which is no sha256 digest")));
        }
        let annotations = entry.annotations().as_ref();
        let name = |key: &&str| annotations.and_then(|all| all.get(*key)).cloned();
        Ok(Named { names: NAMES.iter().filter_map(name).collect(), digest })
    });
    images.collect()
}

#[cfg(test)]
mod tests;
