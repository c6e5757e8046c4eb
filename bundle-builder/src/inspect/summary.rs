//! A bundle in a page.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sealift_bundle::Bundle;
use sealift_bundle::document::{BundleDocument, Product, ReferrerKind, Role, Stage};
use sealift_bundle::fingerprint::Fingerprint;
use sealift_checks::usual_disk_needs;
use serde::Serialize;

use super::naming::{self, ChartText};
use crate::trust::signed_at;

/// A bundle in a page. Sizes are bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The file.
    pub path: String,
    /// The whole file.
    pub size: u64,
    /// What the vendor sells.
    pub product: Product,
    /// The Kubernetes release.
    pub kubernetes: String,
    /// Platforms packed.
    pub platforms: Vec<String>,
    /// Who signed.
    pub signature: Signature,
    /// How many of what.
    pub counts: Counts,
    /// What gets installed, in this order.
    pub components: Vec<ComponentPart>,
    /// Images that no component's chart or values name: those of the cluster itself, and those that are found in
    /// another way (an operator starts them, or a template puts their name together).
    pub other_images: ImagePart,
    /// What each kind of host gets and needs.
    pub roles: Vec<RolePart>,
    /// What images share.
    pub sharing: Sharing,
    /// Signatures, SBOMs and attestations of images. Hosts do not get them.
    pub referrers: ReferrerPart,
}

/// Signatures, SBOMs and attestations of images.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReferrerPart {
    /// How many of each kind.
    pub kinds: BTreeMap<ReferrerKind, usize>,
    /// Images that have any.
    pub images: Vec<String>,
    /// Their bytes, each blob once; without those that are an image's, too.
    pub size: u64,
}

/// Who signed a bundle, and what they said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Signature {
    /// What the signer wrote under it, word for word; covered by the signature.
    pub comment: String,
    /// The time in that comment: that of the lock.
    pub time: Option<Timestamp>,
    /// Id of the key.
    pub key_id: String,
    /// What the key's file on this side says about it.
    pub key_comment: String,
    /// The public key.
    pub public_key: String,
    /// Its fingerprint.
    pub fingerprint: String,
}

/// How many of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Container images.
    pub images: usize,
    /// Helm charts.
    pub charts: usize,
    /// Cluster binaries and other files.
    pub files: usize,
    /// Blobs, the document's own included.
    pub blobs: usize,
}

/// Images and their bytes; a blob that several of them share counts once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImagePart {
    /// Their names.
    pub images: Vec<String>,
    /// Their bytes.
    pub size: u64,
}

/// What a component brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentPart {
    /// Release name.
    pub name: String,
    /// When it is installed.
    pub stage: Stage,
    /// Its chart.
    pub chart: String,
    /// That chart's version.
    pub chart_version: String,
    /// Images that chart and values name; an image that two components name counts in both.
    pub images: Vec<String>,
    /// Bytes of chart and images; a blob that several of the images share counts once.
    pub size: u64,
}

/// What a kind of host gets and needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RolePart {
    /// Which hosts.
    pub role: Role,
    /// Images that they preload.
    pub images: usize,
    /// Bytes of these; a blob that several of them share counts once.
    pub image_size: u64,
    /// Files that one of them gets: of several platforms, where these take most.
    pub files: usize,
    /// Bytes of these in the bundle.
    pub file_size: u64,
    /// Bytes of these on the host.
    pub plain_file_size: u64,
    /// Free space that the installer asks for, by path.
    pub disk: Vec<Disk>,
    /// The same in all.
    pub disk_size: u64,
}

/// Free space at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Disk {
    /// Where.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// For what.
    pub holds: String,
}

/// What images share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sharing {
    /// Bytes of all images if each brought its own blobs.
    pub apart: u64,
    /// Bytes that they take.
    pub together: u64,
    /// Which images share blobs; those that save most come first.
    pub groups: Vec<SharedGroup>,
}

/// Images that share blobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SharedGroup {
    /// The images.
    pub images: Vec<String>,
    /// How many blobs exactly these images share.
    pub blobs: usize,
    /// Bytes of these blobs.
    pub size: u64,
    /// Bytes that sharing saves.
    pub saved: u64,
}

impl Summary {
    /// The summary of `bundle`.
    #[must_use]
    pub fn of(bundle: &Bundle) -> Self {
        let document = bundle.document();
        let sizes = Sizes::of(bundle);
        let components = components(bundle, &sizes);
        let named: BTreeSet<&str> =
            components.iter().flat_map(|part| part.images.iter().map(String::as_str)).collect();
        let rest =
            document.images.iter().map(|image| image.name.as_str()).filter(|name| !named.contains(name));
        let other: Vec<String> = rest.map(ToOwned::to_owned).collect();
        Self {
            path: bundle.path().display().to_string(),
            size: bundle.size(),
            product: document.product.clone(),
            kubernetes: document.kubernetes.version.clone(),
            platforms: document.platforms.clone(),
            signature: signature(bundle),
            counts: Counts {
                images: document.images.len(),
                charts: document.charts.len(),
                files: document.files.len(),
                blobs: bundle.blobs().len(),
            },
            other_images: ImagePart { size: sizes.images(&other), images: other },
            components,
            roles: [Role::ControlPlane, Role::Worker].map(|role| self::role(document, &sizes, role)).into(),
            sharing: sharing(document, &sizes),
            referrers: referrers(document, &sizes),
        }
    }
}

fn referrers(document: &BundleDocument, sizes: &Sizes<'_>) -> ReferrerPart {
    let mut part = ReferrerPart::default();
    let (mut seen, mut blobs) = (BTreeSet::new(), BTreeSet::new());
    for image in document.images.iter().filter(|image| !image.referrers.is_empty()) {
        part.images.push(image.name.clone());
        for referrer in &image.referrers {
            if seen.insert(referrer.digest.as_str()) {
                *part.kinds.entry(referrer.kind()).or_default() += 1;
            }
            blobs.extend(referrer.blobs.iter().map(String::as_str));
        }
    }
    for blob in document.images.iter().flat_map(|image| &image.blobs) {
        blobs.remove(blob.as_str());
    }
    part.size = blobs.into_iter().map(|blob| sizes.blob(blob)).sum();
    part
}

fn signature(bundle: &Bundle) -> Signature {
    let fingerprint = Fingerprint::of(bundle.public_key());
    Signature {
        comment: bundle.trusted_comment().to_owned(),
        time: signed_at(bundle.trusted_comment()),
        key_id: bundle.key_id().to_owned(),
        key_comment: bundle.key_comment().to_owned(),
        public_key: bundle.public_key().to_owned(),
        fingerprint: fingerprint.map(|fingerprint| fingerprint.to_string()).unwrap_or_default(),
    }
}

/// Sizes of blobs, and blobs of images.
struct Sizes<'a> {
    blobs: BTreeMap<&'a str, u64>,
    images: BTreeMap<&'a str, &'a [String]>,
}

impl<'a> Sizes<'a> {
    fn of(bundle: &'a Bundle) -> Self {
        let document = bundle.document();
        Self {
            blobs: bundle.blobs().iter().map(|blob| (blob.digest.as_str(), blob.size)).collect(),
            images: document.images.iter().map(|image| (image.name.as_str(), &*image.blobs)).collect(),
        }
    }

    fn blob(&self, digest: &str) -> u64 {
        self.blobs.get(digest).copied().unwrap_or_default()
    }

    /// Bytes of these images together.
    fn images(&self, names: &[String]) -> u64 {
        let lists = names.iter().filter_map(|name| self.images.get(name.as_str()));
        let blobs: BTreeSet<&str> = lists.flat_map(|blobs| blobs.iter().map(String::as_str)).collect();
        blobs.into_iter().map(|digest| self.blob(digest)).sum()
    }
}

fn components(bundle: &Bundle, sizes: &Sizes<'_>) -> Vec<ComponentPart> {
    let document = bundle.document();
    let inside: BTreeSet<&str> = document.images.iter().map(|image| image.name.as_str()).collect();
    let part = |component: &sealift_bundle::document::Component| {
        let chart = document.charts.iter().find(|chart| chart.name == component.chart)?;
        let text = ChartText::read(bundle, &chart.digest);
        let images: Vec<String> = naming::images(component, &text, &inside).into_iter().collect();
        Some(ComponentPart {
            name: component.name.clone(),
            stage: component.stage,
            chart: chart.name.clone(),
            chart_version: chart.version.clone(),
            size: chart.size + sizes.images(&images),
            images,
        })
    };
    document.components.iter().filter_map(part).collect()
}

fn role(document: &BundleDocument, sizes: &Sizes<'_>, role: Role) -> RolePart {
    let images: Vec<String> = document
        .images
        .iter()
        .filter(|image| image.roles.contains(&role))
        .map(|image| image.name.clone())
        .collect();
    let files = document.files_of_a_host(&[role]);
    let disk: Vec<Disk> = usual_disk_needs(document, &[role])
        .into_iter()
        .map(|need| Disk { path: need.path, size: need.bytes, holds: need.holds.to_owned() })
        .collect();
    RolePart {
        role,
        images: images.len(),
        image_size: sizes.images(&images),
        files: files.len(),
        file_size: files.iter().map(|file| file.size).sum(),
        plain_file_size: files.iter().map(|file| file.plain_size).sum(),
        disk_size: disk.iter().map(|disk| disk.size).sum(),
        disk,
    }
}

fn sharing(document: &BundleDocument, sizes: &Sizes<'_>) -> Sharing {
    let mut users: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for image in &document.images {
        for blob in &image.blobs {
            users.entry(blob).or_default().insert(&image.name);
        }
    }
    let mut groups: BTreeMap<BTreeSet<&str>, (usize, u64)> = BTreeMap::new();
    let (mut apart, mut together) = (0, 0);
    for (blob, images) in users {
        let size = sizes.blob(blob);
        apart += size * images.len() as u64;
        together += size;
        if images.len() > 1 {
            let group = groups.entry(images).or_default();
            *group = (group.0 + 1, group.1 + size);
        }
    }
    let mut groups: Vec<SharedGroup> = groups
        .into_iter()
        .map(|(images, (blobs, size))| SharedGroup {
            saved: size * (images.len() as u64 - 1),
            images: images.into_iter().map(ToOwned::to_owned).collect(),
            blobs,
            size,
        })
        .collect();
    groups.sort_by(|a, b| b.saved.cmp(&a.saved).then_with(|| a.images.cmp(&b.images)));
    Sharing { apart, together, groups }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealift_bundle::TrustedKeys;
    use sealift_bundle::testing::sample_bundle;

    fn summary() -> (Summary, BundleDocument) {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = sample_bundle(folder.path());
        let bundle = Bundle::open(&path, &TrustedKeys::from_public_key_text(&key).unwrap()).unwrap();
        (Summary::of(&bundle), bundle.document().clone())
    }

    #[test]
    fn counts_and_sizes_are_those_of_the_document() {
        let (summary, document) = summary();
        assert_eq!(summary.counts.images, document.images.len());
        assert_eq!(summary.counts.blobs, document.blobs.len() + 3);
        assert_eq!(summary.components.len(), document.components.len());
        let [masters, workers] = &*summary.roles else { panic!("not two roles") };
        assert_eq!((masters.role, workers.role), (Role::ControlPlane, Role::Worker));
        assert_eq!(masters.files, document.files.len());
        assert_eq!(masters.disk_size, masters.disk.iter().map(|disk| disk.size).sum::<u64>());
        assert!(masters.disk.iter().any(|disk| disk.path == "/var/lib/etcd"));
        assert!(workers.disk.iter().all(|disk| disk.path != "/var/lib/etcd"));
        assert!(masters.disk_size > workers.disk_size);
    }

    #[test]
    fn shared_blobs_count_once_and_say_what_they_save() {
        let (summary, mut document) = summary();
        let all: u64 = document.images.iter().map(|image| image.size).sum();
        assert_eq!((summary.sharing.apart, summary.sharing.together), (all, all));
        assert_eq!(summary.sharing.groups, []);
        // Now the first image's blobs are in the second, too.
        let first = document.images[0].clone();
        document.images[1].blobs.extend(first.blobs.iter().cloned());
        let sizes = Sizes {
            blobs: document.blobs.iter().map(|blob| (blob.digest.as_str(), blob.size)).collect(),
            images: [].into(),
        };
        let found = sharing(&document, &sizes);
        assert_eq!((found.apart, found.together), (all + first.size, all));
        let [group] = &*found.groups else { panic!("not one group") };
        assert_eq!(group.images, [first.name, document.images[1].name.clone()]);
        assert_eq!((group.blobs, group.saved), (first.blobs.len(), first.size));
    }
}
