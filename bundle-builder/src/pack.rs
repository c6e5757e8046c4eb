//! Turns what is in the cache into bundle entries, and hands them to the bundle room.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use sealift_bundle::document::{
    API_VERSION, BundleDocument, Chart as ChartEntry, FILE_ARTIFACT_TYPE, File, HostDirectory, Image,
    Referrer,
};
use sealift_bundle::oci::{Descriptor, MANIFEST_MEDIA_TYPE, Manifest, REF_NAME, TITLE, VERSION};
use sealift_bundle::write::{BlobContent, BlobGroup, BundleWriter, Packed, WriteError, trusted_comment};
use sealift_bundle::{KeyError, TrustedKeys, VerifyReport};

use crate::cache::{Cache, CacheError, Content};
use crate::chart::{self, Chart};
use crate::inspect::list::name_and_tag;
use crate::key::SigningKey;
use crate::lock::{Lock, LockedImage};
use crate::parallel;
use crate::progress::Progress;
use crate::pull::PulledImage;
use crate::recipe::{FileEntry, Recipe};

/// Media type of a compressed file.
const FRAME_MEDIA_TYPE: &str = "application/vnd.sealift.file.content.v1+zstd";
/// Annotation: digest of the file before compression.
const PLAIN_DIGEST: &str = "io.sealift.plain.digest";
/// Annotation: size of the file before compression.
const PLAIN_SIZE: &str = "io.sealift.plain.size";
/// Annotation: where the file goes.
const PATH: &str = "io.sealift.file.path";

/// Why nothing was packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The bundle room refused or failed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Nobody could verify what the key signs.
    #[error("the public half of the key cannot be used")]
    Key(#[from] KeyError),
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// Everything that goes into a bundle.
#[derive(Debug)]
pub struct Contents<'a> {
    /// What the vendor wants.
    pub recipe: &'a Recipe,
    /// What that stands for.
    pub lock: &'a Lock,
    /// Images, all blobs in the cache.
    pub images: &'a [PulledImage],
    /// Charts, in the recipe's order.
    pub charts: &'a [Chart],
    /// Files in the order of [`Recipe::file_contents`]: content and its frame in the cache.
    pub files: &'a [(Content, Content)],
}

/// Packs, signs and verifies a bundle at `target`.
pub fn pack(
    contents: &Contents<'_>,
    cache: &Cache,
    key: &SigningKey,
    target: &Path,
    progress: &dyn Progress,
) -> Result<(Packed, VerifyReport), PackError> {
    let mut entries = Entries::default();
    let images = entries.images(contents);
    let charts = entries.charts(contents.charts);
    let files = entries.files(contents);
    let recipe = contents.recipe;
    let mut components = recipe.components.clone();
    // The order of keys must come from their names, whatever this program was linked with.
    for component in &mut components {
        component.values.sort_all_objects();
    }
    let document = BundleDocument {
        api_version: API_VERSION.to_owned(),
        kind: "Bundle".to_owned(),
        product: recipe.product.clone(),
        kubernetes: recipe.kubernetes.clone(),
        platforms: recipe.platforms.clone(),
        images,
        files,
        charts,
        components,
        host_directories: directories(recipe),
        secrets: recipe.secrets.clone(),
        settings: recipe.settings.clone(),
        services: recipe.services.clone(),
        sizing: recipe.sizing.clone(),
        blobs: Vec::new(),
    };
    let mut writer = BundleWriter::new(document);
    for entry in entries.index {
        writer.add_entry(entry);
    }
    for (digest, (size, group)) in entries.cached {
        let path = cache.blob_path(&digest)?;
        let fresh = cache.is_fresh(&digest)?;
        let content = if fresh { BlobContent::Hashed(path) } else { BlobContent::File(path) };
        writer.add_blob(&digest, size, group, content)?;
    }
    for (group, content) in entries.made {
        writer.add_bytes(group, content)?;
    }
    let comment =
        format!("{}\ttimestamp:{}", trusted_comment(&recipe.product), contents.lock.created.as_second());
    let sign = |index: &[u8]| Ok::<_, std::convert::Infallible>(key.sign(index, &comment));
    let keys = TrustedKeys::from_public_key_text(key.public_key())?;
    let packed = AtomicBool::new(false);
    let packing = |done, total| {
        progress.advance("pack", done, total);
        packed.fetch_or(done == total, Ordering::Relaxed);
    };
    // The proof follows the packing: what is left of it then is shown.
    let proving = |done, total| {
        if packed.load(Ordering::Relaxed) {
            progress.advance("verify", done, total);
        }
    };
    Ok(writer.pack_proved(target, &keys, parallel::cores(), &packing, &proving, sign)?)
}

/// Index entries, and the blobs behind them.
#[derive(Default)]
struct Entries {
    index: Vec<Descriptor>,
    cached: BTreeMap<String, (u64, BlobGroup)>,
    made: Vec<(BlobGroup, Vec<u8>)>,
}

impl Entries {
    fn images(&mut self, contents: &Contents<'_>) -> Vec<Image> {
        let mut images = Vec::new();
        for pulled in contents.images {
            let locked = &contents.lock.images[pulled.index];
            self.index.push(Descriptor {
                media_type: locked.media_type.clone(),
                digest: locked.digest.clone(),
                size: locked.size,
                artifact_type: None,
                annotations: BTreeMap::from([(REF_NAME.to_owned(), locked.name.clone())]),
            });
            for (list, group) in [(&pulled.metadata, BlobGroup::Metadata), (&pulled.layers, BlobGroup::Data)]
            {
                for content in list {
                    let entry = self.cached.entry(content.digest.clone()).or_insert((content.size, group));
                    entry.1 = entry.1.min(group);
                }
            }
            let referrers = self.referrers(locked, pulled);
            let blobs = || pulled.metadata.iter().chain(&pulled.layers);
            images.push(Image {
                name: locked.name.clone(),
                digest: locked.digest.clone(),
                media_type: locked.media_type.clone(),
                size: blobs().map(|content| content.size).sum(),
                roles: contents.recipe.images[pulled.index].roles.clone(),
                blobs: blobs().map(|content| content.digest.clone()).collect(),
                referrers,
            });
        }
        images.sort_by(|a, b| a.name.cmp(&b.name));
        images
    }

    /// What stands beside an image gets entries of its own; one that a tag leads to keeps that tag.
    fn referrers(&mut self, locked: &LockedImage, pulled: &PulledImage) -> Vec<Referrer> {
        let (repository, _) = name_and_tag(&locked.name);
        let mut referrers: Vec<Referrer> = Vec::new();
        for (found, parts) in locked.referrers.iter().zip(&pulled.referrers) {
            let tag = found.tag.as_ref().map(|tag| (REF_NAME.to_owned(), format!("{repository}:{tag}")));
            let entry = Descriptor {
                media_type: found.media_type.clone(),
                digest: found.digest.clone(),
                size: found.size,
                artifact_type: found.artifact_type.clone(),
                annotations: tag.into_iter().collect(),
            };
            // Two tags of one image share what stands beside it; a name stands in an index once.
            if !self.index.contains(&entry) {
                self.index.push(entry);
            }
            for part in parts {
                let group = if part.digest == found.digest { BlobGroup::Metadata } else { BlobGroup::Data };
                let entry = self.cached.entry(part.digest.clone()).or_insert((part.size, group));
                entry.1 = entry.1.min(group);
            }
            let tags = found.tag.iter().cloned();
            match referrers.iter_mut().find(|one| one.digest == found.digest) {
                Some(known) => known.tags.extend(tags),
                None => referrers.push(Referrer {
                    digest: found.digest.clone(),
                    artifact_type: found.artifact_type.clone(),
                    tags: tags.collect(),
                    blobs: parts.iter().map(|part| part.digest.clone()).collect(),
                }),
            }
        }
        referrers
    }

    fn charts(&mut self, charts: &[Chart]) -> Vec<ChartEntry> {
        let mut entries = Vec::new();
        for chart in charts {
            let mut metadata = chart.metadata.clone();
            metadata.sort_all_objects();
            let config = metadata.to_string().into_bytes();
            let layer = Descriptor::of(chart::ARCHIVE_MEDIA_TYPE, &chart.archive);
            let manifest = Manifest {
                config: Descriptor::of(chart::CONFIG_MEDIA_TYPE, &config),
                // Helm itself writes none: what it is shows from the config's media type.
                artifact_type: None,
                annotations: names(&chart.name, &chart.version),
                ..Manifest::artifact("", vec![layer.clone()])
            };
            self.made.push((BlobGroup::Metadata, config));
            self.made.push((BlobGroup::Data, chart.archive.clone()));
            let manifest =
                self.manifest(&manifest, chart::CONFIG_MEDIA_TYPE, names(&chart.name, &chart.version));
            entries.push(ChartEntry {
                name: chart.name.clone(),
                version: chart.version.clone(),
                manifest,
                digest: layer.digest,
                size: layer.size,
            });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    fn files(&mut self, contents: &Contents<'_>) -> Vec<File> {
        let mut files = Vec::new();
        for (content, (plain, frame)) in contents.recipe.file_contents().iter().zip(contents.files) {
            let entry = content.entry;
            self.cached.insert(frame.digest.clone(), (frame.size, BlobGroup::Data));
            let manifest = Manifest::artifact(FILE_ARTIFACT_TYPE, vec![file_layer(entry, plain, frame)]);
            let mut annotations = names(&entry.name, &entry.version);
            annotations.insert(PATH.to_owned(), entry.path.clone());
            let manifest = self.manifest(&manifest, FILE_ARTIFACT_TYPE, annotations);
            files.push(File {
                name: entry.name.clone(),
                version: entry.version.clone(),
                path: entry.path.clone(),
                mode: entry.mode,
                roles: entry.roles.clone(),
                platform: content.platform.map(ToOwned::to_owned),
                manifest,
                digest: frame.digest.clone(),
                size: frame.size,
                plain_digest: plain.digest.clone(),
                plain_size: plain.size,
            });
        }
        files.sort_by(|a, b| (&a.path, &a.platform).cmp(&(&b.path, &b.platform)));
        files
    }

    /// Adds a manifest as blob and entry; its digest.
    fn manifest(
        &mut self,
        manifest: &Manifest,
        artifact_type: &str,
        annotations: BTreeMap<String, String>,
    ) -> String {
        // A struct of strings and numbers: there is no way for this to fail.
        let text = serde_json::to_vec(manifest).unwrap_or_default();
        let mut entry = Descriptor::of(MANIFEST_MEDIA_TYPE, &text);
        entry.artifact_type = Some(artifact_type.to_owned());
        entry.annotations = annotations;
        let digest = entry.digest.clone();
        self.index.push(entry);
        self.made.push((BlobGroup::Metadata, text));
        digest
    }
}

fn directories(recipe: &Recipe) -> Vec<HostDirectory> {
    let mut directories: Vec<HostDirectory> = recipe
        .host_directories
        .iter()
        .map(|entry| HostDirectory {
            path: entry.path.clone(),
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            roles: entry.roles.clone(),
        })
        .collect();
    // A parent stands before what is below it.
    directories.sort_by(|a, b| a.path.cmp(&b.path));
    directories
}

fn file_layer(entry: &FileEntry, plain: &Content, frame: &Content) -> Descriptor {
    Descriptor {
        media_type: FRAME_MEDIA_TYPE.to_owned(),
        digest: frame.digest.clone(),
        size: frame.size,
        artifact_type: None,
        annotations: names(&entry.name, &entry.version),
    }
    .annotated(PLAIN_DIGEST, &plain.digest)
    .annotated(PLAIN_SIZE, &plain.size.to_string())
}

fn names(title: &str, version: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(TITLE.to_owned(), title.to_owned()), (VERSION.to_owned(), version.to_owned())])
}
