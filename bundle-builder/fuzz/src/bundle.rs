//! A bundle from bytes: whole, or one part of it, with everything around it made to fit so that the fuzzer gets past the
//! signature and the digests.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use bundle_builder::inspect::{extract, list, summary};
use sealift_bundle::document::{BundleDocument, DOCUMENT_ARTIFACT_TYPE};
use sealift_bundle::oci::{Descriptor, Index, Manifest, REF_NAME};
use sealift_bundle::testing::{SampleKey, archive_of, resigned};
use sealift_bundle::{Bundle, TrustedKeys, layout};

/// Blobs of a made-up size are made of zeros, up to this much in all.
const ZEROS: u64 = 1 << 20;

static KEY: LazyLock<(SampleKey, TrustedKeys)> = LazyLock::new(|| {
    let key = SampleKey::generate();
    let trusted = TrustedKeys::from_public_key_text(&key.public_key_text()).expect("a fresh key");
    (key, trusted)
});

/// Opens, lists, inspects and verifies. The first byte says what the rest is: `D` the bundle document, `I` the index, any
/// other a whole bundle whose index gets a good signature where it is found.
///
/// # Panics
/// When a bundle that opened cannot be read as its document says.
pub fn bundle(content: &[u8]) {
    let _ = opens(content);
}

/// As [`bundle`]; whether it opened, or why not, where there was something to open.
pub(crate) fn opens(content: &[u8]) -> Option<Result<(), String>> {
    let (kind, rest) = content.split_first()?;
    let whole = match kind {
        b'D' => around_document(rest)?,
        b'I' => signed(rest, &[]),
        _ => resigned(rest, &KEY.0).unwrap_or_else(|| rest.to_vec()),
    };
    match Bundle::from_source(Path::new("fuzz.bundle"), Arc::new(whole), &KEY.1) {
        Ok(bundle) => {
            look_at(&bundle);
            Some(Ok(()))
        }
        Err(error) => Some(Err(error.to_string())),
    }
}

fn look_at(bundle: &Bundle) {
    let entries = list::entries(bundle);
    let document = bundle.document();
    assert_eq!(entries.len(), document.images.len() + document.charts.len() + document.files.len());
    for name in document.images.iter().map(|image| &image.name) {
        let _ = extract::find(bundle, name);
    }
    let summary = summary::Summary::of(bundle);
    serde_json::to_string(&summary).expect("a summary can be written");
    serde_json::to_string(&bundle_builder::sbom::sbom(bundle)).expect("an SBOM can be written");
    let damage = bundle.damage(1, &|_, _| {});
    assert_eq!(damage.is_empty(), bundle.verify(1, &|_, _| {}).is_ok());
}

/// A bundle with this document: its index names what the document names, its blobs are zeros of the sizes it tells.
pub(crate) fn around_document(content: &[u8]) -> Option<Vec<u8>> {
    let layer = Descriptor::of("application/json", content);
    let manifest = Manifest::artifact(DOCUMENT_ARTIFACT_TYPE, vec![layer.clone()]);
    let text = serde_json::to_vec(&manifest).ok()?;
    let mut entry = Descriptor::of(&manifest.media_type, &text);
    entry.artifact_type.clone_from(&manifest.artifact_type);
    let mut entries = vec![entry.clone()];
    let mut members = vec![
        (layout::blob_name(&entry.digest).ok()?, text),
        (layout::blob_name(&manifest.config.digest).ok()?, b"{}".to_vec()),
        (layout::blob_name(&layer.digest).ok()?, content.to_vec()),
    ];
    if let Ok(document) = serde_json::from_slice::<BundleDocument>(content) {
        let size =
            |digest: &str| document.blobs.iter().find(|blob| blob.digest == digest).map(|blob| blob.size);
        entries.extend(document.images.iter().map(|image| {
            let mut entry = Descriptor::of(&image.media_type, b"").annotated(REF_NAME, &image.name);
            entry.digest.clone_from(&image.digest);
            entry.size = size(&image.digest).unwrap_or_default();
            entry
        }));
        let total = document.blobs.iter().try_fold(0_u64, |sum, blob| sum.checked_add(blob.size));
        if total.is_some_and(|total| total <= ZEROS) && document.blobs.len() < 1000 {
            for blob in &document.blobs {
                let zeros = vec![0; usize::try_from(blob.size).ok()?];
                members.push((layout::blob_name(&blob.digest).ok()?, zeros));
            }
        }
    }
    Some(signed(&serde_json::to_vec(&Index::new(entries)).ok()?, &members))
}

/// A bundle with this index, signed, and these members behind it.
fn signed(index: &[u8], members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut all = vec![
        (layout::LAYOUT_FILE.to_owned(), layout::LAYOUT_CONTENT.as_bytes().to_vec()),
        (layout::INDEX_FILE.to_owned(), index.to_vec()),
        (layout::SIGNATURE_FILE.to_owned(), KEY.0.signature_file(index)),
    ];
    all.extend(members.iter().cloned());
    archive_of(&all)
}
