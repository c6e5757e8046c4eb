//! The tar of `docker save`: a list of configs and layers, from which an OCI manifest is written. Config and layers stay
//! byte for byte; the manifest is the same wherever and whenever it is written.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use sealift_bundle::digest::{HashingReader, PREFIX, digest_of, is_valid};
use sealift_bundle::oci::{Descriptor, MANIFEST_MEDIA_TYPE, Manifest};
use serde::Deserialize;

use super::{Blobs, Named, Part, Stored, StoredError, Tar};
use crate::archive::Member;

const LIST: &str = "manifest.json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// Layers that an image may have; runtimes stop far earlier.
const MOST_LAYERS: usize = 1000;

/// An image of the list.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// What a config says about its layers.
#[derive(Deserialize)]
struct Config {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

pub(super) fn open(path: &Path) -> Result<Stored, StoredError> {
    let tar = Tar::open(path)?;
    let content = tar.read(LIST)?.ok_or_else(|| wrong(path, "it has no manifest.json".to_owned()))?;
    let entries: Vec<Entry> =
        serde_json::from_slice(&content).map_err(|error| wrong(path, format!("manifest.json: {error}")))?;
    let mut parts = BTreeMap::new();
    let images = entries.into_iter().map(|entry| image(&tar, entry, &mut parts)).collect::<Result<_, _>>()?;
    Ok(Stored { path: path.to_owned(), blobs: Blobs::Tar { file: tar.file, parts }, images })
}

fn wrong(path: &Path, why: String) -> StoredError {
    StoredError::NotOne { path: path.to_owned(), what: "Docker archive", why }
}

/// Writes the manifest of one image, and notes where its parts are.
fn image(tar: &Tar, entry: Entry, parts: &mut BTreeMap<String, Part>) -> Result<Named, StoredError> {
    let config = tar
        .read(&entry.config)?
        .ok_or_else(|| wrong(&tar.path, format!("it lacks the config {}", entry.config)))?;
    let read: Config = serde_json::from_slice(&config)
        .map_err(|error| wrong(&tar.path, format!("config {}: {error}", entry.config)))?;
    let ids = read.rootfs.diff_ids;
    if ids.len() != entry.layers.len() || ids.len() > MOST_LAYERS {
        let why = format!(
            "config {} speaks of {} layers, the list of {}",
            entry.config,
            ids.len(),
            entry.layers.len()
        );
        return Err(wrong(&tar.path, why));
    }
    let mut layers = Vec::new();
    for (name, id) in entry.layers.iter().zip(&ids) {
        let (layer, part) = layer(tar, name, id)?;
        parts.insert(layer.digest.clone(), part);
        layers.push(layer);
    }
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST_MEDIA_TYPE.to_owned(),
        artifact_type: None,
        config: Descriptor::of(CONFIG, &config),
        layers,
        annotations: BTreeMap::new(),
    };
    parts.insert(manifest.config.digest.clone(), Part::Made(config));
    // A struct of strings and numbers: there is no way for this to fail.
    let manifest = serde_json::to_vec(&manifest).unwrap_or_default();
    let digest = digest_of(&manifest);
    parts.insert(digest.clone(), Part::Made(manifest));
    Ok(Named { names: entry.repo_tags.unwrap_or_default(), digest })
}

/// A layer as it lies in the archive: nearly always a plain tar, whose digest is its id; else compressed, and looked into.
fn layer(tar: &Tar, name: &str, id: &str) -> Result<(Descriptor, Part), StoredError> {
    if !is_valid(id) {
        return Err(wrong(&tar.path, format!("{id:?} is no sha256 digest of a layer")));
    }
    let member = tar.member(name).ok_or_else(|| wrong(&tar.path, format!("it lacks the layer {name}")))?;
    let unreadable = |source| StoredError::Read { path: tar.path.clone(), source };
    let mut magic = Vec::new();
    tar.range(member).take(2).read_to_end(&mut magic).map_err(unreadable)?;
    let (digest, media_type) = if magic == [0x1f, 0x8b] {
        (gzip(tar, member, name, id)?, format!("{LAYER}+gzip"))
    } else {
        // Taken at its word here; whoever copies it hashes it.
        (id.to_owned(), LAYER.to_owned())
    };
    let descriptor = Descriptor {
        media_type,
        digest,
        size: member.size,
        artifact_type: None,
        annotations: BTreeMap::new(),
    };
    Ok((descriptor, Part::Range { offset: member.offset, size: member.size }))
}

/// The digest of a compressed layer whose content has the digest `id`.
fn gzip(tar: &Tar, member: &Member, name: &str, id: &str) -> Result<String, StoredError> {
    let unreadable = |source| StoredError::Read { path: tar.path.clone(), source };
    let mut outer = HashingReader::new(tar.range(member));
    let mut inner = HashingReader::new(flate2::read::MultiGzDecoder::new(&mut outer));
    std::io::copy(&mut inner, &mut std::io::sink()).map_err(unreadable)?;
    let (found, _, _) = inner.finish();
    if found != id {
        let why = format!("layer {name} holds {found}, the config says {}{}", PREFIX, &id[PREFIX.len()..]);
        return Err(wrong(&tar.path, why));
    }
    std::io::copy(&mut outer, &mut std::io::sink()).map_err(unreadable)?;
    Ok(outer.finish().0)
}
