//! Which blobs are needed for what, in the order in which they cross the seat's link.

use std::collections::{BTreeMap, BTreeSet};

use sealift_bundle::document::{BundleDocument, Image, Role};

use crate::PlanError;
use crate::operation::Blob;

/// The bundle's blobs in three groups, each blob in the first group that needs it.
pub(super) struct Groups {
    /// Cluster binaries, all roles.
    pub(super) binaries: Vec<Blob>,
    /// What nodes come up from: control-plane images and the workers' load balancer.
    pub(super) control_plane: Vec<Blob>,
    /// Charts and all other images.
    pub(super) rest: Vec<Blob>,
}

impl Groups {
    pub(super) fn new(document: &BundleDocument) -> Result<Self, PlanError> {
        let sizes: BTreeMap<&str, u64> =
            document.blobs.iter().map(|blob| (blob.digest.as_str(), blob.size)).collect();
        let mut taken = BTreeSet::new();
        let mut group = |digests: Vec<&str>| -> Result<Vec<Blob>, PlanError> {
            let mut blobs = Vec::new();
            for digest in digests {
                let size = *sizes
                    .get(digest)
                    .ok_or_else(|| PlanError::NotInBundle { what: "blob", name: digest.to_owned() })?;
                if taken.insert(digest.to_owned()) {
                    blobs.push(Blob { digest: digest.to_owned(), size });
                }
            }
            Ok(blobs)
        };
        // A joining worker reaches the masters through its load balancer: that image belongs to the early ones.
        let is_early = |image: &Image| {
            image.roles.contains(&Role::ControlPlane) || image.name == document.kubernetes.load_balancer_image
        };
        let images = |early: bool| {
            let images = document.images.iter().filter(|image| is_early(image) == early);
            images.flat_map(|image| image.blobs.iter().map(String::as_str)).collect::<Vec<_>>()
        };
        let binaries = group(document.files.iter().map(|file| file.digest.as_str()).collect())?;
        let control_plane = group(images(true))?;
        let mut rest = images(false);
        rest.splice(0..0, document.charts.iter().map(|chart| chart.digest.as_str()));
        Ok(Self { binaries, control_plane, rest: group(rest)? })
    }
}

/// Sum of sizes, bytes.
pub(super) fn bytes(blobs: &[Blob]) -> u64 {
    blobs.iter().map(|blob| blob.size).sum()
}

/// Bytes for people.
pub(super) fn megabytes(blobs: &[Blob]) -> String {
    format!("{:.0} MB", bytes(blobs) as f64 / 1e6)
}
