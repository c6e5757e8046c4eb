//! Every blob of every locked image into the cache: each digest once, the largest first, several at a time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::cache::{Cache, CacheError, Content};
use crate::image::{ImageName, ImageNameError};
use crate::lock::{Lock, LockedImage};
use crate::manifest::{Manifest, ManifestError, Names};
use crate::parallel;
use crate::progress::{Progress, bytes, count};
use crate::registry::{Registries, RegistryError};

/// An image whose blobs are all in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PulledImage {
    /// Its place in the lock's list.
    pub index: usize,
    /// Index, manifests and configs: small JSON.
    pub metadata: Vec<Content>,
    /// Layers.
    pub layers: Vec<Content>,
}

/// Why an image was not pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// A registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
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
    /// The lock holds a name that is no image.
    #[error(transparent)]
    ImageName(#[from] ImageNameError),
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// Pulls all images of `lock`, `jobs` transfers at a time.
pub fn pull(
    lock: &Lock,
    registries: &Registries,
    cache: &Cache,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Vec<PulledImage>, PullError> {
    let indexed: Vec<(usize, &LockedImage)> = lock.images.iter().enumerate().collect();
    let images = parallel::map(jobs, indexed, |(index, image)| {
        read_manifests(index, image, &Source { registries, cache, progress })
    })?;

    let mut wanted: BTreeMap<&str, (&Content, usize)> = BTreeMap::new();
    for image in &images {
        for content in image.metadata.iter().chain(&image.layers) {
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
    parallel::map(jobs, queue, |(content, index)| {
        let name: ImageName = lock.images[index].name.parse()?;
        let advanced = |delta: i64| {
            let now = done.fetch_add(delta, Ordering::Relaxed) + delta;
            progress.advance("pull", now.max(0).cast_unsigned(), missing);
        };
        registries.blob(&name, content, cache, progress, &advanced).map_err(PullError::from)
    })?;
    Ok(images)
}

/// Where things come from and go to.
struct Source<'a> {
    registries: &'a Registries,
    cache: &'a Cache,
    progress: &'a dyn Progress,
}

impl Source<'_> {
    /// A manifest by digest, from the cache or the registry.
    fn manifest(&self, name: &ImageName, digest: &str) -> Result<(Manifest, Content), PullError> {
        let content = if let Some(content) = self.cache.read(digest)? {
            content
        } else {
            let content = self.registries.manifest_by_digest(name, digest, self.progress)?;
            self.cache.put(&content)?;
            content
        };
        let manifest = Manifest::parse(&content)
            .map_err(|source| PullError::Manifest { image: name.to_string(), source })?;
        Ok((manifest, Content { digest: digest.to_owned(), size: content.len() as u64 }))
    }
}

/// Follows an image from its digest to the blobs of the locked platforms.
fn read_manifests(index: usize, image: &LockedImage, source: &Source<'_>) -> Result<PulledImage, PullError> {
    let name: ImageName = image.name.parse()?;
    let (root, content) = source.manifest(&name, &image.digest)?;
    let mut pulled = PulledImage { index, metadata: vec![content], layers: Vec::new() };
    match root.names {
        Names::Blobs { config, layers } => {
            pulled.metadata.push(config);
            pulled.layers = layers;
        }
        Names::Platforms(_) => {
            for digest in image.platforms.values() {
                let (manifest, content) = source.manifest(&name, digest)?;
                let Names::Blobs { config, layers } = manifest.names else {
                    return Err(PullError::NotAManifest { image: name.to_string(), digest: digest.clone() });
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
