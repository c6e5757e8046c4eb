//! The whole way from recipe and lock to a verified bundle.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sealift_bundle::unfinished::Unfinished;
use sealift_bundle::write::WriteError;
use sealift_bundle::{Bundle, BundleError, TrustedKeys};

use crate::cache::{Cache, CacheError, Content, Room, require_room};
use crate::compress::{self, CompressError};
use crate::gate::{self, GateError};
use crate::helm::Helm;
use crate::key::SigningKey;
use crate::lock::{Lock, LockError, Sources};
use crate::manifest::serves;
use crate::pack::{self, Contents, PackError};
use crate::parallel;
use crate::progress::{Progress, bytes, count};
use crate::pull::{self, PullError, PulledImage};
use crate::recipe::{FileContent, Recipe};
use crate::registry::Registries;
use crate::source::file::FoundFile;
use crate::source::{Reach, Roots};

/// What to build, from what, and where to.
pub struct Order<'a> {
    /// The recipe.
    pub recipe: &'a Recipe,
    /// Its lock.
    pub lock: &'a Lock,
    /// Where its paths lead.
    pub roots: &'a Roots,
    /// Signs the bundle.
    pub key: &'a SigningKey,
    /// A Helm that the caller insists on.
    pub helm: Option<&'a Path>,
    /// Transfers at a time.
    pub jobs: usize,
    /// Where the bundle goes; replaced only by a verified one.
    pub target: &'a Path,
}

/// A bundle that was built and verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Bytes.
    pub size: u64,
    /// Blobs inside, the document's own three included.
    pub blobs: usize,
    /// Id of the key that signed.
    pub key_id: String,
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The lock does not fit.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// It would not work on a site.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// Images cannot be had.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// A file cannot be compressed.
    #[error(transparent)]
    Compress(#[from] CompressError),
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Packing failed.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A blob in the cache was not what its name says; it is gone now.
    #[error("blob {digest} in the cache was damaged, and has been removed")]
    DamagedCache {
        /// Which blob.
        digest: String,
    },
    /// What was written is not what was meant.
    #[error("the bundle that was written does not verify")]
    Verify {
        /// Why.
        source: BundleError,
    },
    /// The finished bundle cannot get its name.
    #[error("cannot write {}", path.display())]
    Write {
        /// The bundle.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Builds the bundle of `order`.
pub fn build(
    order: &Order<'_>,
    registries: &Registries,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Built, BuildError> {
    let (recipe, lock) = (order.recipe, order.lock);
    lock.fits(recipe)?;
    let reach = Reach { roots: order.roots, registries, cache, progress };
    let sources = Sources::locked(recipe, lock, &reach)?;
    sources.fit(recipe, lock)?;
    gate::charts(recipe, &sources.charts)?;
    if !recipe.components.is_empty() {
        let profiles = gate::profiles(recipe, order.roots).map_err(GateError::from)?;
        let helm = Helm::find(order.helm, packed_helm(recipe, &sources)).map_err(GateError::from)?;
        gate::closure(recipe, &sources.charts, &profiles, lock, &helm, progress)?;
    }
    let images = pull::pull(recipe, lock, &reach, order.jobs)?;
    let files = compress_all(recipe, &sources, cache, progress)?;
    let contents = Contents { recipe, lock, images: &images, charts: &sources.charts, files: &files };
    finish(order, &contents, cache, progress)
}

/// The Helm that the site will get, which this machine can often run, too.
fn packed_helm<'a>(recipe: &Recipe, sources: &'a Sources) -> Option<&'a Path> {
    let here = format!("linux/{}", if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" });
    let runs = |content: &FileContent<'_>| content.platform.is_none_or(|platform| serves(platform, &here));
    let index =
        recipe.file_contents().iter().position(|content| content.entry.name == "helm" && runs(content))?;
    sources.files.get(index).map(|found| found.path.as_path())
}

/// Compresses the files, several at once, the largest first.
fn compress_all(
    recipe: &Recipe,
    sources: &Sources,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Vec<(Content, Content)>, BuildError> {
    let total: u64 = sources.files.iter().map(|found| found.content.size).sum();
    progress.note(&format!("compress  {}, {}", count(sources.files.len(), "file"), bytes(total)));
    let mut queue: Vec<(usize, &FoundFile)> = sources.files.iter().enumerate().collect();
    queue.sort_by_key(|(_, found)| std::cmp::Reverse(found.content.size));
    let done = std::sync::atomic::AtomicU64::new(0);
    let mut frames = parallel::map(parallel::cores(), queue, |(index, FoundFile { path, content, .. })| {
        let frame = compress::frame(cache, path, content, recipe.compression.level)?;
        let before = done.fetch_add(content.size, std::sync::atomic::Ordering::Relaxed);
        progress.advance("compress", before + content.size, total);
        Ok::<_, BuildError>((index, (content.clone(), frame)))
    })?;
    frames.sort_by_key(|(index, _)| *index);
    Ok(frames.into_iter().map(|(_, pair)| pair).collect())
}

/// Packs under another name, verifies as a site would, and only then gives the bundle its name.
fn finish(
    order: &Order<'_>,
    contents: &Contents<'_>,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Built, BuildError> {
    let written = |source| BuildError::Write { path: order.target.to_owned(), source };
    room_for(contents, order.target)?;
    let workplace = Workplace::beside(order.target).map_err(written)?;
    let packed = match pack::pack(contents, cache, order.key, &workplace.bundle, progress) {
        Ok(packed) => packed,
        Err(PackError::Write(WriteError::Content { digest, .. } | WriteError::Size { digest, .. })) => {
            cache.forget(&digest)?;
            return Err(BuildError::DamagedCache { digest });
        }
        Err(error) => return Err(error.into()),
    };
    progress.note(&format!("pack      {}, {}", count(packed.blobs.len(), "blob"), bytes(packed.size)));
    let report =
        verify(&workplace.bundle, order.key, progress).map_err(|source| BuildError::Verify { source })?;
    std::fs::rename(&workplace.bundle, order.target).map_err(written)?;
    Ok(Built { size: packed.size, blobs: report.blobs, key_id: order.key.id() })
}

/// Whether there is room for the bundle beside `target`; its own small blobs are in what a file costs.
fn room_for(contents: &Contents<'_>, target: &Path) -> Result<(), CacheError> {
    let images = contents.images.iter().flat_map(PulledImage::all);
    let frames = contents.files.iter().map(|(_, frame)| frame);
    let sizes: BTreeMap<&str, u64> =
        images.chain(frames).map(|content| (content.digest.as_str(), content.size)).collect();
    let mut room = Room::default();
    let charts = contents.charts.iter().map(|chart| chart.archive.len() as u64);
    for size in sizes.into_values().chain(charts) {
        room.add(size);
    }
    require_room(target.parent().unwrap_or(Path::new("")), room.needed())
}

fn verify(
    path: &Path,
    key: &SigningKey,
    progress: &dyn Progress,
) -> Result<sealift_bundle::VerifyReport, BundleError> {
    let keys = TrustedKeys::from_public_key_text(key.public_key())
        .map_err(|error| BundleError::Inconsistent { path: path.to_owned(), what: error.to_string() })?;
    let bundle = Bundle::open(path, &keys)?;
    let report = bundle.verify(parallel::cores(), &|done, total| progress.advance("verify", done, total))?;
    progress.note(&format!("verify    {}, every blob matches the signature", bytes(report.bytes)));
    Ok(report)
}

/// A folder for the bundle until it has proved itself; gone when dropped, and what a killed build left in it, too.
struct Workplace {
    folder: PathBuf,
    bundle: PathBuf,
    _unfinished: Unfinished,
}

impl Workplace {
    /// In the target's own folder: the bundle moves to its place by a rename.
    fn beside(target: &Path) -> std::io::Result<Self> {
        let name = target.file_name().unwrap_or_default();
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".building");
        let folder = target.with_file_name(hidden);
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::create_dir(&folder)?,
        }
        Ok(Self { bundle: folder.join(name), _unfinished: Unfinished::new(&folder), folder })
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next build.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
