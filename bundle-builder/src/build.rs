//! The whole way from recipe and lock to a verified bundle.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sealift_bundle::BundleError;
use sealift_bundle::unfinished::Unfinished;
use sealift_bundle::write::WriteError;

use crate::cache::{Cache, CacheError, Room, require_room_beside};
use crate::chart::Chart;
use crate::compress::CompressError;
use crate::gate::{self, GateError, Renderer};
use crate::key::SigningKey;
use crate::lock::{Lock, LockError, LockedSources};
use crate::pack::{self, Contents, PackError};
use crate::parallel::{self, Turns};
use crate::progress::{Progress, bytes, count};
use crate::pull::{self, PullError, PulledImage};
use crate::recipe::Recipe;
use crate::registry::{Registries, RegistryError};
use crate::source::{Reach, Roots, SourceError};
use crate::stages::Stages;

mod files;

use files::Files;

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
const FETCH: usize = 0;
const GATE: usize = 1;
const PULL: usize = 2;
const COMPRESS: usize = 3;
const PACK: usize = 4;

/// Builds the bundle of `order`.
///
/// Charts are rendered while files and images come, what is there of the files is read and compressed, and the bundle is
/// written, which gets its name only when all of that went well; what has come when something fails is taken up by the next
/// run. What a person must correct is the same in every run: first whatever differs from the lock, then what the gate finds.
pub fn build(
    order: &Order<'_>,
    registries: &Registries,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Built, BuildError> {
    let (recipe, lock) = (order.recipe, order.lock);
    lock.fits(recipe)?;
    let reach = Reach { roots: order.roots, registries, cache, progress };
    let LockedSources { charts, files } = LockedSources::look(recipe, lock, &reach)?;
    let (charts, files) = (&charts, &Files::of(recipe, lock, files));
    let (stages, transfers) = (Stages::new(PACK + 1, progress), Turns::of(order.jobs));
    let gated = || {
        // What the bundle is made of takes longer: where all cores have work, Helm gets what the disk leaves over at the end.
        parallel::step_back();
        stages.run(GATE, |told| gate(order, charts, files, &reach.told_to(told)))
    };
    let fetched = || stages.run(FETCH, |told| files.fetch(&reach.told_to(told), &transfers));
    let compressed = || stages.run(COMPRESS, |told| files.compress(&reach.told_to(told)));
    let pulled = || stages.run(PULL, |told| Ok(pull::pull(recipe, lock, &reach.told_to(told), &transfers)?));
    let packed = || {
        let ((fetched, files), images) = parallel::both(|| parallel::both(fetched, compressed), pulled);
        let (images, files) = match (fetched, images, files) {
            (Ok(()), Ok(images), Ok(files)) => (images, files),
            (fetched, images, files) => {
                return Err(first([fetched.err(), images.err(), files.err()].into_iter().flatten()));
            }
        };
        let contents = Contents { recipe, lock, images: &images, charts, files: &files };
        stages.run(PACK, |told| Finished::make(order, &contents, cache, told))
    };
    match parallel::both(packed, gated) {
        (Ok(finished), Ok(())) => finished.name(order),
        (packed, gated) => Err(first(packed.err().into_iter().chain(gated.err()))),
    }
}

/// The error to tell, whichever came first: that of the earlier stage, but none that is only the other's consequence. What
/// servers do not give comes after what a person must correct.
fn first(errors: impl Iterator<Item = BuildError>) -> BuildError {
    let rank = |error: &BuildError| match error {
        BuildError::Stopped
        | BuildError::Lock(LockError::Source(SourceError::Web(RegistryError::Stopped)))
        | BuildError::Pull(PullError::Source(SourceError::Registry(RegistryError::Stopped))) => 5,
        BuildError::Lock(LockError::Source(SourceError::Web(_))) => 2,
        BuildError::Lock(_) => 0,
        BuildError::Gate(_) => 1,
        BuildError::Pull(_) => 3,
        _ => 4,
    };
    errors.min_by_key(rank).unwrap_or(BuildError::Stopped)
}

/// Whether what would be packed works on a site.
fn gate(order: &Order<'_>, charts: &[Chart], files: &Files<'_>, reach: &Reach<'_>) -> Result<(), BuildError> {
    let recipe = order.recipe;
    gate::charts(recipe, charts)?;
    if recipe.components.is_empty() {
        return Ok(());
    }
    let profiles = gate::profiles(recipe, order.roots).map_err(GateError::from)?;
    let packed = if order.helm.is_none() { files.helm(reach)? } else { None };
    let renderer = Renderer::find(order.helm, packed.as_deref(), reach.cache)?;
    gate::closure(recipe, charts, &profiles, order.lock, renderer, reach.progress)?;
    Ok(())
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
        let url = |source: RegistryError| BuildError::Lock(SourceError::Web(source).into());
        let gone = || url(RegistryError::NotFound { registry: "host".to_owned(), what: "file".to_owned() });
        let stopped = || url(RegistryError::Stopped);
        let told = |gated: Option<_>, images: Option<_>, files: Option<_>| {
            first([gated, images, files].into_iter().flatten()).to_string()
        };
        assert_eq!(told(Some(gate()), Some(gone()), Some(manifest())), gate().to_string());
        assert_eq!(told(None, Some(manifest()), Some(gone())), gone().to_string());
        assert_eq!(told(Some(stopped()), None, Some(room())), room().to_string());
        assert_eq!(told(Some(gate()), Some(pull()), Some(lock())), lock().to_string());
        assert_eq!(told(Some(gate()), Some(manifest()), Some(BuildError::Stopped)), gate().to_string());
        assert_eq!(told(None, Some(manifest()), Some(room())), manifest().to_string());
        assert_eq!(told(None, Some(pull()), Some(room())), room().to_string());
        assert_eq!(told(None, None, Some(room())), room().to_string());
    }
}
