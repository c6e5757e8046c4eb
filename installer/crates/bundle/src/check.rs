//! Whether document, index and blobs of a bundle agree with each other.
//!
//! The signature says who made the bundle, not that it was made well: whatever later rooms rely on is looked at here,
//! by reader and writer alike.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::digest::InvalidDigest;
use crate::document::{BundleDocument, Image};
use crate::error::BundleError;
use crate::member::Member;
use crate::oci::{Index, REF_NAME};
use crate::open::blobs;

/// Refuses a bundle that contradicts itself or holds names that lead elsewhere.
pub(crate) fn contents(
    path: &Path,
    document: &BundleDocument,
    index: &Index,
    members: &[Member],
) -> Result<(), BundleError> {
    plain_names(document).map_err(|what| BundleError::PathTrick { path: path.to_owned(), what })?;
    agreement(document, index, members)
        .map_err(|what| BundleError::Inconsistent { path: path.to_owned(), what })
}

/// A digest that is not one: a path trick where it looks like a path.
pub(crate) fn odd_digest(path: &Path, error: &InvalidDigest) -> BundleError {
    let (path, what) = (path.to_owned(), error.to_string());
    if error.text.contains(['/', '\\', '.']) {
        BundleError::PathTrick { path, what: format!("digest {:?}", error.text) }
    } else {
        BundleError::Inconsistent { path, what }
    }
}

/// Names that become file names must be just that; targets must be absolute without detours.
fn plain_names(document: &BundleDocument) -> Result<(), String> {
    let product = std::iter::once(("product", &document.product.name));
    let files = document.files.iter().map(|file| ("file", &file.name));
    let charts = document.charts.iter().map(|chart| ("chart", &chart.name));
    let components = document.components.iter().map(|component| ("component", &component.name));
    for (what, name) in product.chain(files).chain(charts).chain(components) {
        if matches!(name.as_str(), "" | "." | "..")
            || name.contains(['/', '\\'])
            || name.contains(char::is_control)
        {
            return Err(format!("{what} name {name:?}"));
        }
    }
    let files = document.files.iter().map(|file| &file.path);
    let directories = document.host_directories.iter().map(|directory| &directory.path);
    for target in files.chain(directories) {
        let straight = target
            .strip_prefix('/')
            .is_some_and(|path| path.split('/').all(|part| !matches!(part, "" | "." | "..")));
        if !straight || target.contains(char::is_control) {
            return Err(format!("target {target:?} on hosts"));
        }
    }
    Ok(())
}

fn agreement(document: &BundleDocument, index: &Index, members: &[Member]) -> Result<(), String> {
    if document.kind != "Bundle" {
        return Err(format!("the document's kind is {:?}, not Bundle", document.kind));
    }
    let mut sizes = BTreeMap::new();
    for member in blobs(members) {
        if sizes.insert(member.digest.as_str(), member.size).is_some() {
            return Err(format!("blob {} stands in it twice", member.digest));
        }
    }
    let present = |digest: &str, user: &str| match sizes.get(digest) {
        Some(size) => Ok(*size),
        None => Err(format!("{user} needs blob {digest}, which is not inside")),
    };
    let of_size = |digest: &str, size: u64, user: &str| match present(digest, user)? {
        found if found == size => Ok(()),
        found => Err(format!("{user} takes blob {digest} for {size} bytes, it has {found}")),
    };
    for entry in &index.manifests {
        of_size(&entry.digest, entry.size, "index.json")?;
    }
    images(document, index, &present)?;
    for file in &document.files {
        let user = format!("file {}", file.name);
        present(&file.manifest, &user)?;
        of_size(&file.digest, file.size, &user)?;
    }
    for chart in &document.charts {
        let user = format!("chart {}", chart.name);
        present(&chart.manifest, &user)?;
        of_size(&chart.digest, chart.size, &user)?;
    }
    components(document)
}

fn images(
    document: &BundleDocument,
    index: &Index,
    present: &dyn Fn(&str, &str) -> Result<u64, String>,
) -> Result<(), String> {
    let mut named = BTreeMap::new();
    for entry in &index.manifests {
        if let Some(name) = entry.annotations.get(REF_NAME)
            && named.insert(name.as_str(), entry.digest.as_str()).is_some()
        {
            return Err(format!("index.json names {name} twice"));
        }
    }
    let listed: BTreeSet<&str> = index.manifests.iter().map(|entry| entry.digest.as_str()).collect();
    for image in &document.images {
        let user = format!("image {}", image.name);
        if named.get(image.name.as_str()) != Some(&image.digest.as_str()) {
            return Err(format!("{user} has digest {} in the document, but not in index.json", image.digest));
        }
        if !image.blobs.contains(&image.digest) {
            return Err(format!("{user} does not list its own manifest among its blobs"));
        }
        let beside = image.referrers.iter().flat_map(|referrer| &referrer.blobs);
        for blob in image.blobs.iter().chain(beside) {
            present(blob, &user)?;
        }
        referrers(image, &user, &listed)?;
    }
    Ok(())
}

/// Tools find a referrer by its entry in `index.json`.
fn referrers(image: &Image, user: &str, listed: &BTreeSet<&str>) -> Result<(), String> {
    for referrer in &image.referrers {
        let digest = &referrer.digest;
        if !referrer.blobs.contains(digest) {
            return Err(format!("referrer {digest} of {user} does not list its own manifest"));
        }
        if !listed.contains(digest.as_str()) {
            return Err(format!("referrer {digest} of {user} is not in index.json"));
        }
    }
    Ok(())
}

fn components(document: &BundleDocument) -> Result<(), String> {
    let charts: BTreeSet<&str> = document.charts.iter().map(|chart| chart.name.as_str()).collect();
    let mut names = BTreeSet::new();
    for component in &document.components {
        if !charts.contains(component.chart.as_str()) {
            return Err(format!(
                "component {} needs chart {}, which is not inside",
                component.name, component.chart
            ));
        }
        if !names.insert(component.name.as_str()) {
            return Err(format!("component {} stands in it twice", component.name));
        }
    }
    match document.secrets.iter().find(|secret| !names.contains(secret.component.as_str())) {
        Some(secret) => {
            Err(format!("secret {} is for component {}, which is not inside", secret.name, secret.component))
        }
        None => Ok(()),
    }
}
