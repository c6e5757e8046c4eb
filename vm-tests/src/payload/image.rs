//! The container images: what is in each, and how it becomes an OCI image layout.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use sealift_bundle::{
    digest, layout,
    oci::{Descriptor, Index, MANIFEST_MEDIA_TYPE, Manifest, REF_NAME},
};
use serde_json::json;

use super::{
    debian::{self, LayerFile, Packages},
    layer::{self, Content, Entry, Layer, LayerWriter},
    results::{Results, link},
    tool::Sources,
};
use crate::cache::Key;

/// Media type of an image's config.
const CONFIG_MEDIA_TYPE: &str = "application/vnd.oci.image.config.v1+json";
/// Where programs are looked for inside the images.
const SEARCH_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The user of images that need no rights, as upstream's base images number it.
const NOBODY: &str = "65532:65532";
/// The pause image's tag; what kubeadm 1.36 names.
const PAUSE_VERSION: &str = "3.10.2";
/// The version of the sample product's web application.
pub const WEB_VERSION: &str = "4.2.0";

/// Where a file of an image comes from.
#[derive(Debug, Clone)]
enum Source {
    /// A program of the payload, by name.
    Program(&'static str),
    /// A file in `payload/images`.
    Asset(&'static str),
}

/// What one image is made of.
#[derive(Debug, Clone, Default)]
struct Definition {
    repository: String,
    tag: String,
    /// Debian tree below the files; none means that the image starts empty.
    tree: Option<&'static str>,
    files: Vec<(Source, &'static str)>,
    /// Empty folders whose parents are in the tree, with mode and owner.
    folders: Vec<(&'static str, u32, u64)>,
    entrypoint: Vec<&'static str>,
    arguments: Vec<&'static str>,
    user: &'static str,
    environment: Vec<&'static str>,
}

/// An image that lies on disk as an OCI layout.
#[derive(Debug, Clone)]
pub struct Image {
    /// Full upstream name with tag.
    pub reference: String,
    /// The layout's folder.
    pub folder: PathBuf,
    /// The manifest's digest.
    pub digest: String,
    /// Config and layers.
    pub blobs: Vec<Descriptor>,
}

/// Programs of the payload with the keys of what they were made from.
pub type Programs = BTreeMap<String, (PathBuf, String)>;

/// Full names of all images of a payload with Kubernetes `kubernetes` (`1.36.3`).
pub fn references(sources: &Sources, kubernetes: &str) -> Result<Vec<String>> {
    Ok(definitions(sources, kubernetes)?.iter().map(Definition::reference).collect())
}

/// The Debian trees that images stand on, by stage name.
pub fn trees(results: Results) -> Result<BTreeMap<&'static str, Vec<LayerFile>>> {
    let base = debian::base(results)?;
    debian::TREES
        .iter()
        .map(|packages: &&Packages| {
            let above = debian::above(results, &base, packages)?;
            Ok((packages.name, vec![base.clone(), above]))
        })
        .collect()
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

fn definitions(sources: &Sources, kubernetes: &str) -> Result<Vec<Definition>> {
    let mut all = vec![
        kubernetes_program("kube-apiserver", kubernetes),
        kubernetes_program("kube-controller-manager", kubernetes),
        kubernetes_program("kube-scheduler", kubernetes),
        Definition { tree: Some(debian::NETWORK.name), ..kubernetes_program("kube-proxy", kubernetes) },
    ];
    all.extend(platform(sources)?);
    all.extend(services());
    Ok(all)
}

fn kubernetes_program(name: &'static str, version: &str) -> Definition {
    Definition {
        repository: format!("registry.k8s.io/{name}"),
        tag: format!("v{version}"),
        files: vec![(Source::Program(name), "usr/local/bin")],
        ..Definition::default()
    }
}

/// What Kubernetes needs besides itself.
fn platform(sources: &Sources) -> Result<Vec<Definition>> {
    let etcd = sources.version("etcd", "go.etcd.io/etcd/server/v3")?;
    Ok(vec![
        Definition {
            repository: "registry.k8s.io/etcd".to_owned(),
            // Upstream's image has a revision of its own after etcd's version.
            tag: format!("{}-0", etcd.trim_start_matches('v')),
            files: ["etcd", "etcdctl", "etcdutl"]
                .map(|name| (Source::Program(name), "usr/local/bin"))
                .to_vec(),
            ..Definition::default()
        },
        Definition {
            repository: "registry.k8s.io/pause".to_owned(),
            tag: PAUSE_VERSION.to_owned(),
            files: vec![(Source::Program("pause"), "")],
            entrypoint: vec!["/pause"],
            user: "65535:65535",
            ..Definition::default()
        },
        Definition {
            repository: "registry.k8s.io/coredns/coredns".to_owned(),
            tag: sources.version("coredns", "github.com/coredns/coredns")?,
            files: vec![(Source::Program("coredns"), "")],
            entrypoint: vec!["/coredns"],
            ..Definition::default()
        },
        Definition {
            repository: "ghcr.io/flannel-io/flannel".to_owned(),
            tag: sources.version("flannel", "github.com/flannel-io/flannel")?,
            tree: Some(debian::NETWORK.name),
            files: vec![(Source::Program("flanneld"), "opt/bin")],
            entrypoint: vec!["/opt/bin/flanneld"],
            ..Definition::default()
        },
    ])
}

/// The load balancer, the database and the product.
fn services() -> Vec<Definition> {
    vec![
        Definition {
            repository: "docker.io/library/haproxy".to_owned(),
            tag: "2.6".to_owned(),
            tree: Some(debian::HAPROXY.name),
            entrypoint: vec!["haproxy"],
            arguments: vec!["-f", "/usr/local/etc/haproxy/haproxy.cfg"],
            ..Definition::default()
        },
        Definition {
            repository: "docker.io/library/postgres".to_owned(),
            tag: "15".to_owned(),
            tree: Some(debian::POSTGRES.name),
            files: vec![(Source::Asset("postgres/entrypoint.sh"), "usr/local/bin")],
            // The socket's folder, and a data folder for those who mount no volume.
            folders: vec![("run/postgresql", 0o3777, 999), ("var/lib/postgresql/data", 0o1777, 999)],
            entrypoint: vec!["/usr/local/bin/entrypoint.sh"],
            arguments: vec!["postgres"],
            environment: vec![
                "PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "PGDATA=/var/lib/postgresql/data",
                "LANG=C.UTF-8",
            ],
            ..Definition::default()
        },
        Definition {
            repository: "registry.sealift.example/orders/web".to_owned(),
            tag: WEB_VERSION.to_owned(),
            files: vec![(Source::Program("orders"), "usr/local/bin")],
            entrypoint: vec!["/usr/local/bin/orders"],
            arguments: vec!["serve"],
            user: NOBODY,
            ..Definition::default()
        },
    ]
}

impl Definition {
    fn reference(&self) -> String {
        format!("{}:{}", self.repository, self.tag)
    }

    /// Name of the stage: the last part of the repository.
    fn stage_name(&self) -> String {
        format!("image-{}", self.repository.rsplit('/').next().unwrap_or_default())
    }

    fn make(
        &self,
        results: Results,
        sources: &Sources,
        programs: &Programs,
        below: &[LayerFile],
    ) -> Result<Image> {
        let key = self.key(sources, programs, below)?;
        let folder = results.get(&self.stage_name(), &key, |folder| {
            let mut layers = Vec::new();
            for file in below {
                let target = layout::blob_path(folder, &file.layer.digest)?;
                fs::create_dir_all(layout::blobs_folder(folder))?;
                link(&layout::blob_path(&file.folder, &file.layer.digest)?, &target)?;
                layers.push(file.layer.clone());
            }
            if !(self.files.is_empty() && self.folders.is_empty()) {
                layers.push(self.own_layer(folder, sources, programs)?);
            }
            write_layout(folder, &self.reference(), &self.config(&layers), &layers)
        })?;
        read_layout(folder)
    }

    fn key(&self, sources: &Sources, programs: &Programs, below: &[LayerFile]) -> Result<String> {
        let digests: Vec<&str> = below.iter().map(|file| file.layer.digest.as_str()).collect();
        // Entries and settings as text: whatever is added to a definition becomes part of the key.
        let mut key = Key::new("image 1").text(&format!("{self:?}")).text(&digests.join(" "));
        for (source, _) in &self.files {
            key = match source {
                Source::Program(name) => key.text(&program(programs, name)?.1),
                Source::Asset(name) => key.file(&sources.payload.join("images").join(name))?,
            };
        }
        Ok(key.finish())
    }

    /// The layer with the image's own files.
    fn own_layer(&self, root: &Path, sources: &Sources, programs: &Programs) -> Result<Layer> {
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
            let path = match source {
                Source::Program(name) => program(programs, name)?.0.clone(),
                Source::Asset(name) => sources.payload.join("images").join(name),
            };
            let name = path.file_name().with_context(|| format!("{} has no name", path.display()))?;
            writer.append(&Entry::new(Path::new(folder).join(name), 0o755, Content::File(path.clone())))?;
        }
        writer.finish()
    }

    fn config(&self, layers: &[Layer]) -> serde_json::Value {
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
            "architecture": "amd64",
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": run,
            "rootfs": {
                "type": "layers",
                "diff_ids": layers.iter().map(|layer| layer.diff_id.as_str()).collect::<Vec<_>>(),
            },
        })
    }
}

/// The pause image alone: small enough for tests of what comes after.
#[cfg(test)]
pub fn pause(results: Results, sources: &Sources, programs: &Programs) -> Result<Image> {
    let all = platform(sources)?;
    let definition = all.iter().find(|one| one.repository.ends_with("/pause")).context("no pause image")?;
    definition.make(results, sources, programs, &[])
}

fn program<'a>(programs: &'a Programs, name: &str) -> Result<&'a (PathBuf, String)> {
    programs.get(name).with_context(|| format!("the payload has no program {name}"))
}

/// Writes everything but the layers, which are there already.
fn write_layout(folder: &Path, reference: &str, config: &serde_json::Value, layers: &[Layer]) -> Result<()> {
    let config = serde_json::to_vec(config)?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST_MEDIA_TYPE.to_owned(),
        artifact_type: None,
        config: Descriptor::of(CONFIG_MEDIA_TYPE, &config),
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
    };
    let manifest = serde_json::to_vec(&manifest)?;
    for blob in [&config, &manifest] {
        fs::write(layout::blob_path(folder, &digest::digest_of(blob))?, blob)?;
    }
    let entry = Descriptor::of(MANIFEST_MEDIA_TYPE, &manifest).annotated(REF_NAME, reference);
    fs::write(layout::layout_path(folder), layout::LAYOUT_CONTENT)?;
    fs::write(layout::index_path(folder), serde_json::to_vec(&Index::new(vec![entry]))?)?;
    Ok(())
}

/// Reads back the one image of the layout in `folder`.
fn read_layout(folder: PathBuf) -> Result<Image> {
    let path = layout::index_path(&folder);
    let index: Index =
        serde_json::from_slice(&fs::read(&path).with_context(|| format!("read {}", path.display()))?)?;
    let entry = index.manifests.first().with_context(|| format!("{} is empty", path.display()))?;
    let manifest: Manifest = serde_json::from_slice(&fs::read(layout::blob_path(&folder, &entry.digest)?)?)?;
    let reference = entry.annotations.get(REF_NAME).cloned().unwrap_or_default();
    let blobs = std::iter::once(manifest.config).chain(manifest.layers).collect();
    Ok(Image { reference, digest: entry.digest.clone(), blobs, folder })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Sources {
        Sources::of_this_checkout()
    }

    #[test]
    fn the_images_are_those_that_kubeadm_and_the_product_name() {
        assert_eq!(
            references(&sources(), "1.36.3").unwrap(),
            [
                "registry.k8s.io/kube-apiserver:v1.36.3",
                "registry.k8s.io/kube-controller-manager:v1.36.3",
                "registry.k8s.io/kube-scheduler:v1.36.3",
                "registry.k8s.io/kube-proxy:v1.36.3",
                "registry.k8s.io/etcd:3.6.8-0",
                "registry.k8s.io/pause:3.10.2",
                "registry.k8s.io/coredns/coredns:v1.14.2",
                "ghcr.io/flannel-io/flannel:v0.28.4",
                "docker.io/library/haproxy:2.6",
                "docker.io/library/postgres:15",
                "registry.sealift.example/orders/web:4.2.0",
            ]
        );
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
