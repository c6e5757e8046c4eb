//! The whole way from recipe and lock to a verified bundle.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sealift_bundle::BundleError;
use sealift_bundle::unfinished::Unfinished;
use sealift_bundle::write::WriteError;

use crate::cache::{Cache, CacheError, Content, Room, require_room_beside};
use crate::compress::{self, CompressError, Framed, Frames};
use crate::gate::{self, GateError, Renderer};
use crate::key::SigningKey;
use crate::lock::{Lock, LockError, Sources, other_file};
use crate::manifest::serves;
use crate::pack::{self, Contents, PackError};
use crate::parallel;
use crate::progress::{Progress, bytes, count};
use crate::pull::{self, PullError, PulledImage};
use crate::recipe::{FileContent, Recipe};
use crate::registry::{Registries, RegistryError};
use crate::source::file::FoundFile;
use crate::source::{Reach, Roots, SourceError};
use crate::stages::Stages;

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

impl Order<'_> {
    fn unwritten(&self, source: std::io::Error) -> BuildError {
        BuildError::Write { path: self.target.to_owned(), source }
    }
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
    /// Nobody wants it any more: something else failed, and is told.
    #[error("stopped, since something else failed")]
    Stopped,
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

/// Which stage is which, in the order in which they are told.
const GATE: usize = 0;
const PULL: usize = 1;
const COMPRESS: usize = 2;
const PACK: usize = 3;

/// Files compressed at once, at most, whatever the number of cores: each takes 25 MB of memory, and these are faster than
/// disks.
const MOST_FRAMES: usize = 6;

/// Builds the bundle of `order`.
///
/// Charts are rendered while images come, files are read and compressed, and the bundle is written, which gets its name only
/// when all of that went well; what has come when something fails is taken up by the next run. What a person must correct is
/// the same in every run: first whatever differs from the lock, then what the gate finds.
pub fn build(
    order: &Order<'_>,
    registries: &Registries,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Built, BuildError> {
    let (recipe, lock) = (order.recipe, order.lock);
    lock.fits(recipe)?;
    let reach = Reach { roots: order.roots, registries, cache, progress };
    let mut sources = Sources::locked(recipe, lock, &reach)?;
    sources.fit(recipe, lock, &reach)?;
    let sources = &sources;
    let stages = Stages::new(PACK + 1, progress);
    let gated = || {
        // What the bundle is made of takes longer: where all cores have work, Helm gets what the disk leaves over at the end.
        parallel::step_back();
        stages.run(GATE, |told| gate(order, sources, cache, told))
    };
    let pulled = || stages.run(PULL, |told| Ok(pull::pull(recipe, lock, &reach.told_to(told), order.jobs)?));
    let compressed = || stages.run(COMPRESS, |told| compress_all(order, sources, cache, told));
    let packed = || {
        let (images, files) = match parallel::both(pulled, compressed) {
            (Ok(images), Ok(files)) => (images, files),
            (images, files) => return Err(first(images.err().into_iter().chain(files.err()))),
        };
        let contents = Contents { recipe, lock, images: &images, charts: &sources.charts, files: &files };
        stages.run(PACK, |told| Finished::make(order, &contents, cache, told))
    };
    match parallel::both(packed, gated) {
        (Ok(finished), Ok(())) => finished.name(order),
        (packed, gated) => Err(first(packed.err().into_iter().chain(gated.err()))),
    }
}

/// The error to tell, whichever came first: that of the earlier stage, but none that is only the other's consequence.
fn first(errors: impl Iterator<Item = BuildError>) -> BuildError {
    let rank = |error: &BuildError| match error {
        BuildError::Lock(_) => 0,
        BuildError::Gate(_) => 1,
        BuildError::Stopped
        | BuildError::Pull(PullError::Source(SourceError::Registry(RegistryError::Stopped))) => 4,
        BuildError::Pull(_) => 2,
        _ => 3,
    };
    errors.min_by_key(rank).unwrap_or(BuildError::Stopped)
}

/// Whether what would be packed works on a site.
fn gate(
    order: &Order<'_>,
    sources: &Sources,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<(), BuildError> {
    let recipe = order.recipe;
    gate::charts(recipe, &sources.charts)?;
    if recipe.components.is_empty() {
        return Ok(());
    }
    let profiles = gate::profiles(recipe, order.roots).map_err(GateError::from)?;
    let packed = packed_helm(recipe, sources, cache)?;
    let renderer = Renderer::find(order.helm, packed, cache)?;
    gate::closure(recipe, &sources.charts, &profiles, order.lock, renderer, progress)?;
    Ok(())
}

/// The Helm that the site will get, which this machine can often run, too.
fn packed_helm<'a>(
    recipe: &Recipe,
    sources: &'a Sources,
    cache: &Cache,
) -> Result<Option<&'a Path>, CacheError> {
    let here = format!("linux/{}", if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" });
    let runs = |content: &FileContent<'_>| content.platform.is_none_or(|platform| serves(platform, &here));
    let index =
        recipe.file_contents().iter().position(|content| content.entry.name == "helm" && runs(content));
    let Some(found) = index.and_then(|index| sources.files.get(index)) else { return Ok(None) };
    // What is not as the lock says is not run; it is told by who reads all files.
    let as_locked = found.read || cache.digest_of_file(&found.path)? == found.content;
    Ok(as_locked.then_some(found.path.as_path()))
}

/// Reads those files that nobody has read, compresses all, several at once, the largest first. When that is not wanted any
/// more, they are still compared with the lock.
fn compress_all(
    order: &Order<'_>,
    sources: &Sources,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Vec<(Content, Content)>, BuildError> {
    let (recipe, lock) = (order.recipe, order.lock);
    let total: u64 = sources.files.iter().map(|found| found.content.size).sum();
    progress.note(&format!("compress  {}, {}", count(sources.files.len(), "file"), bytes(total)));
    let mut queue: Vec<(usize, &FoundFile)> = sources.files.iter().enumerate().collect();
    queue.sort_by_key(|(_, found)| Reverse(found.content.size));
    let (done, other) = (AtomicU64::new(0), AtomicBool::new(false));
    let making = Frames::of(recipe.compression.level);
    let wanted = || !other.load(Ordering::Relaxed) && progress.wanted();
    let mut results = parallel::map(parallel::cores().min(MOST_FRAMES), queue, |(index, found)| {
        let framed = compress::frame(cache, found, &making, &wanted)?;
        other.fetch_or(matches!(framed, Framed::Other { .. }), Ordering::Relaxed);
        let before = done.fetch_add(found.content.size, Ordering::Relaxed);
        progress.advance("compress", before + found.content.size, total);
        Ok::<_, BuildError>((index, framed))
    })?;
    results.sort_by_key(|(index, _)| *index);
    let (mut frames, mut changes) = (Vec::new(), Vec::new());
    let contents = recipe.file_contents();
    for ((_, framed), (found, (content, locked))) in
        results.into_iter().zip(sources.files.iter().zip(contents.iter().zip(&lock.files)))
    {
        match framed {
            Framed::Frame(frame) => frames.push((found.content.clone(), frame)),
            Framed::Other { digest } => changes.push(other_file(content, locked, &digest)),
            Framed::Unwanted => {}
        }
    }
    match (changes.is_empty(), frames.len() == sources.files.len()) {
        (false, _) => Err(LockError::OtherContent { changes }.into()),
        (true, false) => Err(BuildError::Stopped),
        (true, true) => Ok(frames),
    }
}

/// A bundle that was verified, and has no name yet.
struct Finished {
    workplace: Workplace,
    built: Built,
}

impl Finished {
    /// Packs under another name, and verifies as a site would.
    fn make(
        order: &Order<'_>,
        contents: &Contents<'_>,
        cache: &Cache,
        progress: &dyn Progress,
    ) -> Result<Self, BuildError> {
        if !progress.wanted() {
            return Err(BuildError::Stopped);
        }
        room_for(contents, order.target)?;
        let workplace = Workplace::beside(order.target).map_err(|source| order.unwritten(source))?;
        let (packed, report) = match pack::pack(contents, cache, order.key, &workplace.bundle, progress) {
            Err(PackError::Write(WriteError::Content { digest, .. } | WriteError::Size { digest, .. })) => {
                cache.forget(&digest)?;
                return Err(BuildError::DamagedCache { digest });
            }
            Err(PackError::Write(WriteError::Proof { source })) => {
                return Err(BuildError::Verify { source: *source });
            }
            other => other?,
        };
        progress.note(&format!("pack      {}, {}", count(packed.blobs.len(), "blob"), bytes(packed.size)));
        progress.note(&format!("verify    {}, every blob matches the signature", bytes(report.bytes)));
        let built = Built { size: packed.size, blobs: report.blobs, key_id: order.key.id() };
        Ok(Self { workplace, built })
    }

    /// Gives it the name that was ordered.
    fn name(self, order: &Order<'_>) -> Result<Built, BuildError> {
        let renamed = std::fs::rename(&self.workplace.bundle, order.target);
        renamed.map_err(|source| order.unwritten(source))?;
        Ok(self.built)
    }
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
    require_room_beside(target, room.needed())
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
            _ => {}
        }
        let (folder, unfinished) = Unfinished::folder(folder)?;
        Ok(Self { bundle: folder.join(name), folder, _unfinished: unfinished })
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next build.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_the_earlier_stage_is_told_and_no_consequence() {
        let lock = || BuildError::Lock(LockError::OtherContent { changes: vec!["kubelet".to_owned()] });
        let gate = || BuildError::Gate(GateError::Charts(vec!["no chart".to_owned()]));
        let pull = || BuildError::Pull(PullError::Source(RegistryError::Stopped.into()));
        let manifest = || {
            let (image, digest) = ("a/b:1".to_owned(), "sha256:0".to_owned());
            BuildError::Pull(PullError::NotAManifest { image, digest })
        };
        let room = || BuildError::Cache(CacheError::Room { folder: "/".into(), needed: 2, free: 1 });
        let told = |gated: Option<_>, images: Option<_>, files: Option<_>| {
            first([gated, images, files].into_iter().flatten()).to_string()
        };
        assert_eq!(told(Some(gate()), Some(pull()), Some(lock())), lock().to_string());
        assert_eq!(told(Some(gate()), Some(manifest()), Some(BuildError::Stopped)), gate().to_string());
        assert_eq!(told(None, Some(manifest()), Some(room())), manifest().to_string());
        assert_eq!(told(None, Some(pull()), Some(room())), room().to_string());
        assert_eq!(told(None, None, Some(room())), room().to_string());
    }
}
