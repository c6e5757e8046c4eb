//! Deltas between two small releases: which blobs are patched, from what, with which patch, comes from bytes; everything
//! around it is made to fit and signed, so that the fuzzer gets to where patches are applied.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use sealift_bundle::delta::{Delta, apply};
use sealift_bundle::digest::digest_of;
use sealift_bundle::document::{API_VERSION, File, Role};
use sealift_bundle::oci::{Descriptor, Index, Manifest};
use sealift_bundle::parcel::{
    Base, CONTENT_MEDIA_TYPE, PARCEL_ARTIFACT_TYPE, Parcel, ParcelDocument, ParcelKind, Patch,
};
use sealift_bundle::testing::{SampleKey, archive_of, sample_document};
use sealift_bundle::write::{BlobGroup, BundleWriter, trusted_comment};
use sealift_bundle::{Bundle, TrustedKeys, frame, layout};

/// What the file of the older and of the newer release holds.
pub(crate) const FILES: [&[u8]; 2] =
    [b"0123456789abcdef0123456789ABCDEF", b"0123456789abcdefg0123456789ABCDEF"];
/// The one other blob of each.
const OTHERS: [&[u8]; 2] = [b"a layer of the older one", b"a layer of the newer one"];
/// Patches that one delta has, at most.
const MOST_PATCHES: usize = 4;

static RELEASES: LazyLock<Releases> = LazyLock::new(Releases::new);

/// Two releases of one vendor.
struct Releases {
    trusted: TrustedKeys,
    old: Bundle,
    new: Bundle,
    /// The newer one's bytes.
    whole: Vec<u8>,
}

impl Releases {
    fn new() -> Self {
        let key = SampleKey::generate();
        let trusted = TrustedKeys::from_public_key_text(&key.public_key_text()).expect("a fresh key");
        let [(old, _), (new, whole)] = [0, 1].map(|number| {
            let whole = release(number, &key);
            let source = Arc::new(whole.clone());
            let bundle = Bundle::from_source(Path::new("fuzz.bundle"), source, &trusted);
            (bundle.expect("a bundle that was just packed"), whole)
        });
        Self { trusted, old, new, whole }
    }
}

/// A bundle with one file and one other blob.
fn release(number: usize, key: &SampleKey) -> Vec<u8> {
    let mut document = sample_document();
    document.product.serial = number as u64 + 1;
    document.images.clear();
    document.files.clear();
    document.charts.clear();
    document.components.clear();
    document.secrets.clear();
    document.blobs.clear();
    document.sizing = None;
    let plain = FILES[number];
    let mut encoder = frame::encoder(Vec::new(), 3, plain.len() as u64).expect("memory");
    std::io::Write::write_all(&mut encoder, plain).expect("memory");
    let framed = encoder.finish().expect("memory");
    let manifest = format!("the manifest of {}", digest_of(plain)).into_bytes();
    document.files.push(File {
        name: "kubelet".to_owned(),
        version: "v1".to_owned(),
        path: "/usr/local/bin/kubelet".to_owned(),
        mode: 0o755,
        roles: vec![Role::Worker],
        platform: None,
        manifest: digest_of(&manifest),
        digest: digest_of(&framed),
        size: framed.len() as u64,
        plain_digest: digest_of(plain),
        plain_size: plain.len() as u64,
    });
    let comment = trusted_comment(&document.product);
    let mut writer = BundleWriter::new(document);
    for blob in [framed, manifest, OTHERS[number].to_vec()] {
        writer.add_bytes(BlobGroup::Data, blob).expect("a digest just computed");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("fuzz.bundle");
    let sign = |index: &[u8]| Ok::<_, Infallible>(key.sign(index, &comment));
    writer.pack(&path, 1, &|_, _| {}, sign).expect("a consistent sample");
    std::fs::read(path).expect("what was just written")
}

/// What kind of blob a byte chooses: the file, or another one.
fn chosen(bundle: &Bundle, byte: u8) -> String {
    let blobs = bundle.blobs();
    let file = &bundle.document().files[0].digest;
    let other =
        blobs.iter().filter(|blob| blob.digest != *file).nth(usize::from(byte >> 1) % (blobs.len() - 1));
    other.filter(|_| byte & 1 == 1).map_or_else(|| file.clone(), |blob| blob.digest.clone())
}

/// Applies a delta; whether it made the newer release, or why not. Each three bytes of `patches` are one patch: which
/// blob, from which, and the zstd level; `frames` are what is in the patch's frames.
///
/// # Panics
/// When another bundle comes out than the newer release, or something is left behind where none does.
pub(crate) fn delta(patches: &[u8], frames: [&[u8]; 3]) -> Result<(), String> {
    let Releases { trusted, old, new, whole } = &*RELEASES;
    let frames = frames.map(|plain| zstd::encode_all(plain, 1).expect("memory"));
    let patch = frames.concat();
    let patches = patches.as_chunks::<3>().0.iter().take(MOST_PATCHES).map(|&[blob, base, level]| Patch {
        digest: chosen(new, blob),
        base: chosen(old, base),
        patch: digest_of(&patch),
        frames: [frames[0].len() as u64, frames[1].len() as u64],
        level: (level > 0).then(|| i32::from(level)),
    });
    let parcel = parcel_of(patches.collect(), patch);
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let parcel =
        Parcel::from_source(Path::new("fuzz.delta"), Arc::new(parcel)).map_err(|error| words(&error))?;
    let delta = Delta::new(parcel, trusted).expect("a signed list of contents");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let made = folder.path().join("made");
    let result = apply(old, &delta, &made, 1, &|_, _| {});
    let left = std::fs::read_dir(folder.path()).expect("a folder").count();
    match result {
        Ok(size) => {
            assert_eq!((left, size), (1, whole.len() as u64));
            assert!(std::fs::read(made).expect("what was just made") == *whole);
            Ok(())
        }
        Err(error) => {
            assert_eq!(left, 0);
            Err(words(&error))
        }
    }
}

/// A delta with these patches; what they do not make is carried whole.
fn parcel_of(patches: Vec<Patch>, patch: Vec<u8>) -> Vec<u8> {
    let Releases { old, new, .. } = &*RELEASES;
    let read = |digest: &str| new.read_blob(digest).expect("a small blob");
    let index: Index = serde_json::from_str(new.index_json()).expect("an index");
    let manifest = read(&index.manifests[0].digest);
    let parts: Manifest = serde_json::from_slice(&manifest).expect("a manifest");
    let made: BTreeSet<String> = patches.iter().map(|patch| patch.digest.clone()).collect();
    let document = ParcelDocument {
        api_version: API_VERSION.to_owned(),
        kind: ParcelKind::Delta,
        product: new.document().product.clone(),
        index: digest_of(new.index_json().as_bytes()),
        base: Some(Base {
            product: old.document().product.clone(),
            index: digest_of(old.index_json().as_bytes()),
        }),
        zstd: Some(frame::maker()),
        patches,
    };
    let mut layers = vec![
        serde_json::to_vec(&document).expect("plain JSON"),
        new.index_json().as_bytes().to_vec(),
        new.signature().as_bytes().to_vec(),
        manifest,
        read(&parts.config.digest),
        read(&parts.layers[0].digest),
    ];
    if !made.is_empty() {
        layers.push(patch);
    }
    layers.extend(
        new.blobs().iter().filter(|blob| !made.contains(&blob.digest)).map(|blob| read(&blob.digest)),
    );
    packed(&layers)
}

/// A parcel with these layers, the first of them its document.
fn packed(layers: &[Vec<u8>]) -> Vec<u8> {
    let described = layers.iter().map(|layer| Descriptor::of(CONTENT_MEDIA_TYPE, layer)).collect();
    let manifest = Manifest::artifact(PARCEL_ARTIFACT_TYPE, described);
    let text = serde_json::to_vec(&manifest).expect("plain JSON");
    let mut entry = Descriptor::of(&manifest.media_type, &text);
    entry.artifact_type = Some(PARCEL_ARTIFACT_TYPE.to_owned());
    let index = serde_json::to_vec(&Index::new(vec![entry])).expect("plain JSON");
    let mut members = vec![
        (layout::LAYOUT_FILE.to_owned(), layout::LAYOUT_CONTENT.as_bytes().to_vec()),
        (layout::INDEX_FILE.to_owned(), index),
    ];
    for blob in [&text, &b"{}".to_vec()].into_iter().chain(layers) {
        let name = layout::blob_name(&digest_of(blob)).expect("a digest just computed");
        if members.iter().all(|(known, _)| *known != name) {
            members.push((name, blob.clone()));
        }
    }
    archive_of(&members)
}
