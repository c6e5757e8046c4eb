//! What a blob is for people: digests say nothing to whoever carries a disk.

use std::collections::BTreeMap;

use crate::document::BundleDocument;

/// Digest to what the blob belongs to; blobs that nothing names are not in it.
pub(crate) fn of(document: &BundleDocument) -> BTreeMap<&str, String> {
    let mut uses: BTreeMap<&str, (String, usize)> = BTreeMap::new();
    let mut note = |digest, what: String| match uses.entry(digest) {
        std::collections::btree_map::Entry::Vacant(entry) => {
            entry.insert((what, 0));
        }
        std::collections::btree_map::Entry::Occupied(mut entry) => entry.get_mut().1 += 1,
    };
    for image in &document.images {
        for blob in &image.blobs {
            note(blob.as_str(), format!("image {}", image.name));
        }
    }
    // After the images: a blob of both is the image's.
    for image in &document.images {
        for referrer in &image.referrers {
            for blob in &referrer.blobs {
                note(blob.as_str(), format!("{} of image {}", referrer.kind().name(), image.name));
            }
        }
    }
    for chart in &document.charts {
        for blob in [&chart.manifest, &chart.digest] {
            note(blob, format!("chart {} {}", chart.name, chart.version));
        }
    }
    for file in &document.files {
        for blob in [&file.manifest, &file.digest] {
            note(blob, format!("file {} {}", file.name, file.version));
        }
    }
    let said = |(what, others): (String, usize)| match others {
        0 => what,
        more => format!("{what} and {more} more"),
    };
    uses.into_iter().map(|(digest, use_)| (digest, said(use_))).collect()
}
