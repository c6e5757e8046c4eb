//! How a container image becomes an OCI image layout; which images there are is said in [`super::catalog`].

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use sealift_bundle::{
    digest, layout,
    oci::{Descriptor, INDEX_MEDIA_TYPE, Index, MANIFEST_MEDIA_TYPE, Manifest, REF_NAME},
};
use serde_json::json;

use super::{
    catalog::definitions,
    debian::{self, LayerFile},
    layer::{self, Content, Entry, Layer, LayerWriter},
    results::{Results, link},
    tool::Sources,
};
use crate::cache::Key;

/// Media type of an image's config.
const CONFIG_MEDIA_TYPE: &str = "application/vnd.oci.image.config.v1+json";
/// Where programs are looked for inside the images.
const SEARCH_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The processor of this machine, and of images that are made for one only.
const OWN_ARCHITECTURE: &str = "amd64";

/// Where a file of an image comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A program of the payload, by name.
    Program(&'static str),
    /// A file in `payload/images`.
    Asset(&'static str),
}

/// What one image is made of.
#[derive(Debug, Clone, Default)]
pub struct Definition {
    /// Registry and repository.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// Processors that it is made for, each an entry of the image's index; none means this machine's, without an index.
    pub architectures: &'static [&'static str],
    /// Debian tree below the files, which is one of this machine's processor; none means that the image starts empty.
    pub tree: Option<&'static str>,
    /// Files, each with its folder.
    pub files: Vec<(Source, &'static str)>,
    /// Empty folders whose parents are in the tree, with mode and owner.
    pub folders: Vec<(&'static str, u32, u64)>,
    /// Program that is started.
    pub entrypoint: Vec<&'static str>,
    /// What it is started with unless a pod says otherwise.
    pub arguments: Vec<&'static str>,
    /// `USER:GROUP`; empty for root.
    pub user: &'static str,
    /// `NAME=VALUE`; a search path alone where empty.
    pub environment: Vec<&'static str>,
}

/// An image that lies on disk as an OCI layout.
#[derive(Debug, Clone)]
pub struct Image {
    /// Full upstream name with tag.
    pub reference: String,
    /// The layout's folder.
    pub folder: PathBuf,
    /// Digest of the manifest, or of the index where it is made for several processors.
    pub digest: String,
    /// Media type of what the digest names.
    pub media_type: String,
    /// The manifests that an index names.
    pub manifests: Vec<Descriptor>,
    /// Configs and layers.
    pub blobs: Vec<Descriptor>,
}

/// The image of one processor.
struct Variant {
    architecture: &'static str,
    layers: Vec<Layer>,
}

/// Programs of the payload with the keys of what they were made from.
pub type Programs = BTreeMap<String, (PathBuf, String)>;

/// The Debian trees that images stand on, by stage name.
pub fn trees(results: Results) -> Result<BTreeMap<&'static str, Vec<LayerFile>>> {
    let base = debian::base(results)?;
    let mut trees = BTreeMap::from([(debian::BASE.name, vec![base.clone()])]);
    for packages in debian::TREES {
        let above = debian::above(results, &base, packages)?;
        trees.insert(packages.name, vec![base.clone(), above]);
    }
    Ok(trees)
}

/// Makes all images.
pub fn all(
    results: Results,
    sources: &Sources,
    kubernetes: &str,
    programs: &Programs,
    trees: &BTreeMap<&'static str, Vec<LayerFile>>,
) -> Result<Vec<Image>> {
    definitions(sources, kubernetes)?
        .iter()
        .map(|definition| {
            let below = match definition.tree {
                Some(name) => trees.get(name).with_context(|| format!("no tree {name}"))?.as_slice(),
                None => &[],
            };
            definition.make(results, sources, programs, below)
        })
        .collect()
}

impl Definition {
    /// Full name with tag.
    pub fn reference(&self) -> String {
        format!("{}:{}", self.repository, self.tag)
    }

    /// Name of the stage: the last part of the repository.
    fn stage_name(&self) -> String {
        format!("image-{}", self.repository.rsplit('/').next().unwrap_or_default())
    }

    fn architectures(&self) -> &'static [&'static str] {
        if self.architectures.is_empty() { &[OWN_ARCHITECTURE] } else { self.architectures }
    }

    /// Makes the image on top of the layers `below`.
    pub fn make(
        &self,
        results: Results,
        sources: &Sources,
        programs: &Programs,
        below: &[LayerFile],
    ) -> Result<Image> {
        let key = self.key(sources, programs, below)?;
        let folder = results.get(&self.stage_name(), &key, |folder| {
            let variants: Vec<Variant> = self
                .architectures()
                .iter()
                .map(|architecture| self.variant(folder, architecture, sources, programs, below))
                .collect::<Result<_>>()?;
            self.write_layout(folder, &variants)
        })?;
        read_layout(folder)
    }

    fn key(&self, sources: &Sources, programs: &Programs, below: &[LayerFile]) -> Result<String> {
        let digests: Vec<&str> = below.iter().map(|file| file.layer.digest.as_str()).collect();
        // Entries and settings as text: whatever is added to a definition becomes part of the key.
        let mut key = Key::new("image 1").text(&format!("{self:?}")).text(&digests.join(" "));
        for (source, _) in &self.files {
            key = match source {
                Source::Program(name) => self.architectures().iter().try_fold(key, |key, of| {
                    Ok::<_, anyhow::Error>(key.text(&program(programs, name, of)?.1))
                })?,
                Source::Asset(name) => key.file(&sources.payload.join("images").join(name))?,
            };
        }
        Ok(key.finish())
    }

    fn variant(
        &self,
        root: &Path,
        architecture: &'static str,
        sources: &Sources,
        programs: &Programs,
        below: &[LayerFile],
    ) -> Result<Variant> {
        let mut layers = Vec::new();
        for file in below {
            let target = layout::blob_path(root, &file.layer.digest)?;
            fs::create_dir_all(layout::blobs_folder(root))?;
            link(&layout::blob_path(&file.folder, &file.layer.digest)?, &target)?;
            layers.push(file.layer.clone());
        }
        if !(self.files.is_empty() && self.folders.is_empty()) {
            layers.push(self.own_layer(root, architecture, sources, programs)?);
        }
        Ok(Variant { architecture, layers })
    }

    /// The layer with the image's own files.
    fn own_layer(
        &self,
        root: &Path,
        architecture: &str,
        sources: &Sources,
        programs: &Programs,
    ) -> Result<Layer> {
        let mut writer = LayerWriter::create(root)?;
        let mut folders: Vec<PathBuf> = self
            .files
            .iter()
            .flat_map(|(_, folder)| Path::new(folder).ancestors().map(Path::to_path_buf))
            .filter(|folder| !folder.as_os_str().is_empty())
            .collect();
        folders.sort();
        folders.dedup();
        for folder in folders {
            writer.append(&Entry::new(folder, 0o755, Content::Folder))?;
        }
        if self.tree.is_none() {
            // Programs expect it; nothing else makes it in an empty image.
            writer.append(&Entry::new("tmp", 0o1777, Content::Folder))?;
        }
        for (path, mode, owner) in &self.folders {
            let entry = Entry::new(path, *mode, Content::Folder);
            writer.append(&Entry { uid: *owner, gid: *owner, ..entry })?;
        }
        for (source, folder) in &self.files {
            let (name, path) = match source {
                Source::Program(name) => (*name, program(programs, name, architecture)?.0.clone()),
                Source::Asset(name) => {
                    (name.rsplit('/').next().unwrap_or(name), sources.payload.join("images").join(name))
                }
            };
            writer.append(&Entry::new(Path::new(folder).join(name), 0o755, Content::File(path)))?;
        }
        writer.finish()
    }

    fn config(&self, variant: &Variant) -> serde_json::Value {
        let environment =
            if self.environment.is_empty() { vec![SEARCH_PATH] } else { self.environment.clone() };
        let mut run = json!({ "Env": environment });
        for (name, list) in [("Entrypoint", &self.entrypoint), ("Cmd", &self.arguments)] {
            if !list.is_empty() {
                run[name] = json!(list);
            }
        }
        if !self.user.is_empty() {
            run["User"] = json!(self.user);
        }
        json!({
            "architecture": variant.architecture,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": run,
            "rootfs": {
                "type": "layers",
                "diff_ids": variant.layers.iter().map(|layer| layer.diff_id.as_str()).collect::<Vec<_>>(),
            },
        })
    }

    /// Writes everything but the layers, which are there already.
    fn write_layout(&self, folder: &Path, variants: &[Variant]) -> Result<()> {
        let mut manifests = Vec::new();
        for variant in variants {
            let config = serde_json::to_vec(&self.config(variant))?;
            let manifest = serde_json::to_vec(&manifest_of(&config, &variant.layers))?;
            for blob in [&config, &manifest] {
                write_blob(folder, blob)?;
            }
            let platform = Platform { architecture: variant.architecture.to_owned(), os: "linux".to_owned() };
            manifests.push((Descriptor::of(MANIFEST_MEDIA_TYPE, &manifest), platform));
        }
        let root = match &*manifests {
            [(only, _)] if self.architectures.is_empty() => only.clone(),
            _ => {
                let index = serde_json::to_vec(&index_of(&manifests))?;
                write_blob(folder, &index)?;
                Descriptor::of(INDEX_MEDIA_TYPE, &index)
            }
        };
        write_index(folder, root.annotated(REF_NAME, &self.reference()))
    }
}

/// Makes the folder a layout of one image.
fn write_index(folder: &Path, entry: Descriptor) -> Result<()> {
    fs::write(layout::layout_path(folder), layout::LAYOUT_CONTENT)?;
    Ok(fs::write(layout::index_path(folder), serde_json::to_vec(&Index::new(vec![entry]))?)?)
}

/// Which machines a manifest is for (image-spec, image index).
#[derive(Debug, Clone)]
struct Platform {
    architecture: String,
    os: String,
}

fn manifest_of(config: &[u8], layers: &[Layer]) -> Manifest {
    Manifest {
        schema_version: 2,
        media_type: MANIFEST_MEDIA_TYPE.to_owned(),
        artifact_type: None,
        config: Descriptor::of(CONFIG_MEDIA_TYPE, config),
        layers: layers
            .iter()
            .map(|layer| Descriptor {
                media_type: layer::MEDIA_TYPE.to_owned(),
                digest: layer.digest.clone(),
                size: layer.size,
                artifact_type: None,
                annotations: BTreeMap::new(),
            })
            .collect(),
        annotations: BTreeMap::new(),
    }
}

/// The bundle's own descriptors know no platform, an image's index does.
fn index_of(manifests: &[(Descriptor, Platform)]) -> serde_json::Value {
    let entry = |(of, platform): &(Descriptor, Platform)| {
        json!({
            "mediaType": of.media_type,
            "digest": of.digest,
            "size": of.size,
            "platform": {"architecture": platform.architecture, "os": platform.os},
        })
    };
    json!({
        "schemaVersion": 2,
        "mediaType": INDEX_MEDIA_TYPE,
        "manifests": manifests.iter().map(entry).collect::<Vec<_>>(),
    })
}

fn write_blob(folder: &Path, blob: &[u8]) -> Result<()> {
    Ok(fs::write(layout::blob_path(folder, &digest::digest_of(blob))?, blob)?)
}

impl Image {
    /// Another image of the same layers, named `reference`: its config has one label more. `folder` is for its layout.
    pub fn relabelled(&self, reference: &str, folder: &Path) -> Result<Image> {
        let read = |digest: &str| Ok::<_, anyhow::Error>(fs::read(layout::blob_path(&self.folder, digest)?)?);
        let mut manifest: Manifest = serde_json::from_slice(&read(&self.digest)?)
            .with_context(|| format!("{} is no image of one manifest", self.reference))?;
        let mut config: serde_json::Value = serde_json::from_slice(&read(&manifest.config.digest)?)?;
        config["config"]["Labels"]["org.opencontainers.image.ref.name"] = json!(reference);
        let config = serde_json::to_vec(&config)?;
        manifest.config = Descriptor::of(CONFIG_MEDIA_TYPE, &config);
        fs::create_dir_all(layout::blobs_folder(folder))?;
        for layer in &manifest.layers {
            link(
                &layout::blob_path(&self.folder, &layer.digest)?,
                &layout::blob_path(folder, &layer.digest)?,
            )?;
        }
        let manifest = serde_json::to_vec(&manifest)?;
        for blob in [&config, &manifest] {
            write_blob(folder, blob)?;
        }
        let entry = Descriptor::of(MANIFEST_MEDIA_TYPE, &manifest).annotated(REF_NAME, reference);
        write_index(folder, entry)?;
        read_layout(folder.to_owned())
    }
}

/// The pause image alone: small enough for tests of what comes after.
#[cfg(test)]
pub fn pause(results: Results, sources: &Sources, programs: &Programs) -> Result<Image> {
    let all = super::catalog::platform(sources)?;
    let definition = all.iter().find(|one| one.repository.ends_with("/pause")).context("no pause image")?;
    definition.make(results, sources, programs, &[])
}

/// The program `name` for a processor; the ones for other processors have it behind their names.
fn program<'a>(programs: &'a Programs, name: &str, architecture: &str) -> Result<&'a (PathBuf, String)> {
    let name =
        if architecture == OWN_ARCHITECTURE { name.to_owned() } else { format!("{name}-{architecture}") };
    programs.get(&name).with_context(|| format!("the payload has no program {name}"))
}

/// Reads back the one image of the layout in `folder`.
fn read_layout(folder: PathBuf) -> Result<Image> {
    let path = layout::index_path(&folder);
    let index: Index =
        serde_json::from_slice(&fs::read(&path).with_context(|| format!("read {}", path.display()))?)?;
    let entry = index.manifests.first().with_context(|| format!("{} is empty", path.display()))?;
    let mut image = Image {
        reference: entry.annotations.get(REF_NAME).cloned().unwrap_or_default(),
        digest: entry.digest.clone(),
        media_type: entry.media_type.clone(),
        manifests: Vec::new(),
        blobs: Vec::new(),
        folder,
    };
    let read = |digest: &str| Ok::<_, anyhow::Error>(fs::read(layout::blob_path(&image.folder, digest)?)?);
    if entry.media_type == INDEX_MEDIA_TYPE {
        let index: Index = serde_json::from_slice(&read(&entry.digest)?)?;
        image.manifests = index.manifests;
    }
    let named: Vec<&str> = image.manifests.iter().map(|manifest| manifest.digest.as_str()).collect();
    let digests = if named.is_empty() { vec![entry.digest.as_str()] } else { named };
    for digest in digests {
        let manifest: Manifest = serde_json::from_slice(&read(digest)?)?;
        image.blobs.extend(std::iter::once(manifest.config).chain(manifest.layers));
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::super::catalog::{NOBODY, kubernetes_program, platform};
    use super::*;

    fn sources() -> Sources {
        Sources::of_this_checkout()
    }

    fn pause_of(root: &Path, content: &str, key: &str, user: &'static str) -> Image {
        let path = root.join("pause");
        fs::write(&path, content).unwrap();
        let programs = Programs::from([("pause".to_owned(), (path, key.to_owned()))]);
        let definition = Definition {
            user,
            ..platform(&sources()).unwrap().into_iter().find(|one| one.repository.ends_with("pause")).unwrap()
        };
        definition.make(Results::new(root, &|_| ()), &sources(), &programs, &[]).unwrap()
    }

    #[test]
    fn an_image_is_a_complete_layout_and_the_same_each_time() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = pause_of(one.path(), "program", "k1", NOBODY);
        assert_eq!(first.digest, pause_of(two.path(), "program", "k1", NOBODY).digest);
        assert_eq!(first.reference, "registry.k8s.io/pause:3.10.2");
        for blob in &first.blobs {
            let content = fs::read(layout::blob_path(&first.folder, &blob.digest).unwrap()).unwrap();
            assert_eq!(Descriptor::of(&blob.media_type, &content), *blob);
        }
        let config: serde_json::Value = serde_json::from_slice(
            &fs::read(layout::blob_path(&first.folder, &first.blobs[0].digest).unwrap()).unwrap(),
        )
        .unwrap();
        assert_eq!(config["config"]["Entrypoint"], json!(["/pause"]));
        assert_eq!(config["config"]["User"], NOBODY);
        assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn an_image_for_two_processors_is_an_index_over_both() {
        let root = tempfile::tempdir().unwrap();
        let programs: Programs = ["orders", "orders-arm64"]
            .map(|name| {
                let path = root.path().join(name);
                fs::write(&path, name).unwrap();
                (name.to_owned(), (path, name.to_owned()))
            })
            .into();
        let web = definitions(&sources(), "1.36.3").unwrap();
        let web = web.iter().find(|one| one.repository.ends_with("/web")).unwrap();
        let image = web.make(Results::new(root.path(), &|_| ()), &sources(), &programs, &[]).unwrap();
        assert_eq!((image.media_type.as_str(), image.manifests.len()), (INDEX_MEDIA_TYPE, 2));
        // Two configs and two layers.
        assert_eq!(image.blobs.len(), 4);
        let index: serde_json::Value = serde_json::from_slice(
            &fs::read(layout::blob_path(&image.folder, &image.digest).unwrap()).unwrap(),
        )
        .unwrap();
        assert_eq!(index["manifests"][1]["platform"], json!({"architecture": "arm64", "os": "linux"}));
        let config = fs::read(layout::blob_path(&image.folder, &image.blobs[2].digest).unwrap()).unwrap();
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
        assert_eq!(config["architecture"], "arm64");
    }

    #[test]
    fn an_image_is_made_anew_when_its_program_or_settings_change() {
        let root = tempfile::tempdir().unwrap();
        let base = pause_of(root.path(), "program", "k1", NOBODY);
        assert_eq!(base.folder, pause_of(root.path(), "program", "k1", NOBODY).folder);
        assert_ne!(base.digest, pause_of(root.path(), "other program", "k2", NOBODY).digest);
        assert_ne!(base.digest, pause_of(root.path(), "program", "k1", "0").digest);
    }

    #[test]
    fn a_missing_program_is_named() {
        let root = tempfile::tempdir().unwrap();
        let error = kubernetes_program("kube-proxy", "1.36.3")
            .make(Results::new(root.path(), &|_| ()), &sources(), &Programs::new(), &[])
            .unwrap_err();
        assert_eq!(error.to_string(), "the payload has no program kube-proxy");
    }
}
