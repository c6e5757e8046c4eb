//! Every blob of every locked image into the cache: each digest once, the largest first, several at a time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::cache::{CacheError, Content};
use crate::lock::{Lock, LockedImage};
use crate::manifest::{Manifest, ManifestError, Names};
use crate::parallel::{self, Turns};
use crate::progress::{bytes, count};
use crate::recipe::Recipe;
use crate::source::image::ImageOrigin;
use crate::source::{Reach, SourceError};

/// An image whose blobs are all in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PulledImage {
    /// Its place in the lock's list.
    pub index: usize,
    /// Index, manifests and configs: small JSON.
    pub metadata: Vec<Content>,
    /// Layers.
    pub layers: Vec<Content>,
    /// For each referrer of the locked image: its manifest, and its blobs.
    pub referrers: Vec<Vec<Content>>,
}

impl PulledImage {
    /// Every blob, also those of its referrers; some may stand in it twice.
    pub fn all(&self) -> impl Iterator<Item = &Content> {
        self.metadata.iter().chain(&self.layers).chain(self.referrers.iter().flatten())
    }
}

/// Why an image was not pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// It cannot be had from where it is.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A manifest cannot be used.
    #[error("image {image} cannot be used")]
    Manifest {
        /// The image.
        image: String,
        /// Why.
        source: ManifestError,
    },
    /// An index inside an index, or a manifest in the place of an index.
    #[error("image {image}: {digest} is not an image manifest")]
    NotAManifest {
        /// The image.
        image: String,
        /// The culprit.
        digest: String,
    },
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// Pulls all images of `lock`, which fits `recipe`, as many at a time as it gets turns.
pub fn pull(
    recipe: &Recipe,
    lock: &Lock,
    reach: &Reach<'_>,
    transfers: &Turns,
) -> Result<Vec<PulledImage>, PullError> {
    let Reach { cache, progress, .. } = *reach;
    let origins = recipe.images.iter().map(ImageOrigin::of).collect::<Result<Vec<_>, _>>()?;
    let indexed = lock.images.iter().zip(&origins).enumerate().collect();
    let images = parallel::map(transfers.most(), indexed, |(index, (image, origin))| {
        let _turn = transfers.take();
        read_manifests(index, image, origin, reach)
    })?;

    let mut wanted: BTreeMap<&str, (&Content, usize)> = BTreeMap::new();
    for image in &images {
        for content in image.all() {
            wanted.entry(&content.digest).or_insert((content, image.index));
        }
    }
    let total: u64 = wanted.values().map(|(content, _)| content.size).sum();
    let mut queue = Vec::new();
    for (content, index) in wanted.into_values() {
        if !cache.has(&content.digest, content.size)? {
            queue.push((content, index));
        }
    }
    queue.sort_by(|(a, _), (b, _)| b.size.cmp(&a.size).then_with(|| a.digest.cmp(&b.digest)));
    let missing: u64 = queue.iter().map(|(content, _)| content.size).sum();
    progress.note(&format!(
        "pull      {}, {}; {} to fetch, {}",
        count(images.len(), "image"),
        bytes(total),
        count(queue.len(), "blob"),
        bytes(missing)
    ));

    cache.require_room_for(queue.iter().map(|(content, _)| *content))?;

    let done = AtomicI64::new(0);
    parallel::map(transfers.most(), queue, |(content, index)| {
        let _turn = transfers.take();
        let advanced = |delta: i64| {
            let now = done.fetch_add(delta, Ordering::Relaxed) + delta;
            progress.advance("pull", now.max(0).cast_unsigned(), missing);
        };
        origins[index].blob(content, reach, &advanced).map_err(PullError::from)
    })?;
    Ok(images)
}

/// A manifest by digest.
fn manifest(
    origin: &ImageOrigin<'_>,
    digest: &str,
    reach: &Reach<'_>,
) -> Result<(Manifest, Content), PullError> {
    let content = origin.manifest(digest, reach)?;
    let manifest = Manifest::parse(&content)
        .map_err(|source| PullError::Manifest { image: origin.name().to_string(), source })?;
    Ok((manifest, Content { digest: digest.to_owned(), size: content.len() as u64 }))
}

/// Follows an image from its digest to the blobs of the locked platforms.
fn read_manifests(
    index: usize,
    image: &LockedImage,
    origin: &ImageOrigin<'_>,
    reach: &Reach<'_>,
) -> Result<PulledImage, PullError> {
    let (root, content) = manifest(origin, &image.digest, reach)?;
    let referrers = image.referrers.iter().map(|referrer| origin.referrer_parts(referrer, reach));
    let referrers = referrers.collect::<Result<_, SourceError>>()?;
    let mut pulled = PulledImage { index, metadata: vec![content], layers: Vec::new(), referrers };
    match root.names {
        Names::Blobs { config, layers } => {
            pulled.metadata.push(config);
            pulled.layers = layers;
        }
        Names::Platforms(_) => {
            for digest in image.platforms.values() {
                let (manifest, content) = manifest(origin, digest, reach)?;
                let Names::Blobs { config, layers } = manifest.names else {
                    let (image, digest) = (image.name.clone(), digest.clone());
                    return Err(PullError::NotAManifest { image, digest });
                };
                pulled.metadata.extend([content, config]);
                pulled.layers.extend(layers);
            }
        }
    }
    for list in [&mut pulled.metadata, &mut pulled.layers] {
        list.sort_by(|a, b| a.digest.cmp(&b.digest));
        list.dedup();
    }
    // A layer's blob may be small JSON to another manifest; it needs to stand only once.
    pulled.layers.retain(|layer| !pulled.metadata.contains(layer));
    Ok(pulled)
}
