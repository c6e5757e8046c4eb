//! What is packed is read back; packing is deterministic and leaves nothing when it fails.

use std::convert::Infallible;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::common::empty_document;
use sealift_bundle::digest::digest_of;
use sealift_bundle::document::{Component, Stage};
use sealift_bundle::oci::Descriptor;
use sealift_bundle::testing::{SampleKey, sample_bundle, sample_document, sample_writer};
use sealift_bundle::write::{BlobContent, BlobGroup, BundleWriter, WriteError};
use sealift_bundle::{Bundle, BundleError, TrustedKeys, layout};

fn signer(key: &SampleKey) -> impl FnOnce(&[u8]) -> Result<String, Infallible> {
    |index| Ok(key.sign(index, "product:orders"))
}

#[test]
fn the_sample_is_read_back_as_it_was_packed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, public_key) = sample_bundle(folder.path());
    let keys = TrustedKeys::from_public_key_text(&public_key).unwrap();
    let bundle = Bundle::open(&path, &keys).unwrap();
    assert_eq!(bundle.document(), &sample_document());
    assert_eq!(bundle.trusted_comment(), "product:orders\tversion:4.2.0\tserial:17");
    assert_eq!(vec![bundle.key_id().to_owned()], keys.ids());
    assert!(public_key.contains(bundle.public_key()) && bundle.key_comment().ends_with(bundle.key_id()));
    assert_eq!(bundle.size(), fs::metadata(&path).unwrap().len());
    let report = bundle.verify(2, &|_, _| {}).unwrap();
    assert_eq!((report.blobs, report.bytes), (bundle.blobs().len(), bundle.size()));
    assert_eq!(bundle.blobs()[3..], bundle.document().blobs);
    for blob in bundle.blobs() {
        let content = bundle.read_blob(&blob.digest).unwrap();
        assert_eq!((digest_of(&content), content.len() as u64), (blob.digest.clone(), blob.size));
    }
}

#[test]
fn readers_start_anywhere_in_a_blob_and_end_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (path, public_key) = sample_bundle(folder.path());
    let bundle = Bundle::open(&path, &TrustedKeys::from_public_key_text(&public_key).unwrap()).unwrap();
    let blob = bundle.blobs().last().unwrap();
    let all = bundle.read_blob(&blob.digest).unwrap();
    for offset in [0, 1, blob.size - 1, blob.size] {
        let mut rest = Vec::new();
        bundle.blob_reader(&blob.digest, offset).unwrap().read_to_end(&mut rest).unwrap();
        assert_eq!(rest, all[usize::try_from(offset).unwrap()..]);
    }
    let behind = bundle.blob_reader(&blob.digest, blob.size + 1).err().unwrap();
    assert!(matches!(behind, BundleError::BehindBlob { .. }), "{behind}");
    let unknown = bundle.read_blob(&digest_of(b"unknown")).unwrap_err();
    assert!(matches!(unknown, BundleError::NoSuchBlob { .. }), "{unknown}");
}

#[test]
fn bundles_are_shared_and_readers_are_sent_between_threads() {
    let folder = tempfile::tempdir().unwrap();
    let (path, public_key) = sample_bundle(folder.path());
    let bundle = Bundle::open(&path, &TrustedKeys::from_public_key_text(&public_key).unwrap()).unwrap();
    let bundle = &bundle;
    let read = |digest: &str| {
        let mut reader = bundle.blob_reader(digest, 0).unwrap();
        std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()).unwrap())
    };
    std::thread::scope(|scope| {
        for blob in bundle.blobs() {
            scope.spawn(move || assert_eq!(read(&blob.digest).join().unwrap(), blob.size));
        }
    });
}

#[test]
fn members_stand_in_the_order_of_the_format() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = sample_bundle(folder.path());
    let names: Vec<String> =
        crate::common::pieces(&fs::read(&path).unwrap()).into_iter().map(|piece| piece.name).collect();
    assert_eq!(names[..3], ["oci-layout", "index.json", "index.json.minisig"]);
    let document = sample_document();
    let expected: Vec<String> =
        document.blobs.iter().map(|blob| layout::blob_name(&blob.digest).unwrap()).collect();
    assert_eq!(names[6..], expected);
    // Small JSON first, each group by digest: exactly one step back in the order of digests.
    let steps_back = expected.windows(2).filter(|pair| pair[0] > pair[1]).count();
    assert_eq!(steps_back, 1);
    let layer = &document.files[0].digest;
    let manifest = &document.files[0].manifest;
    let place = |digest: &String| document.blobs.iter().position(|blob| blob.digest == *digest).unwrap();
    assert!(place(manifest) < place(layer));
}

#[test]
fn packing_twice_gives_the_same_bytes_whatever_the_threads() {
    let folder = tempfile::tempdir().unwrap();
    let key = SampleKey::generate();
    let mut signatures = Vec::new();
    let mut bundles = Vec::new();
    for threads in [1, 2, 7] {
        let path = folder.path().join(threads.to_string());
        // The sample's signer is not deterministic, real ones must be: the first signature serves for all.
        let sign = |index: &[u8]| {
            signatures.push((index.to_vec(), key.sign(index, "product:orders")));
            Ok::<_, Infallible>(signatures[0].1.clone())
        };
        sample_writer().pack(&path, threads, &|_, _| {}, sign).unwrap();
        bundles.push(fs::read(&path).unwrap());
    }
    assert!(signatures.windows(2).all(|pair| pair[0].0 == pair[1].0));
    assert!(bundles.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn the_order_of_adding_does_not_show() {
    let folder = tempfile::tempdir().unwrap();
    let pack = |name: &str, order: &[usize]| {
        let mut writer = BundleWriter::new(empty_document());
        for i in order {
            let content = format!("{{\"blob\":{i}}}").into_bytes();
            // The first one is given as both kinds.
            let group = if *i > 3 { BlobGroup::Data } else { BlobGroup::Metadata };
            if *i == 0 {
                writer.add_bytes(BlobGroup::Data, content.clone()).unwrap();
            }
            let digest = writer.add_bytes(group, content.clone()).unwrap();
            writer.add_entry(
                Descriptor { digest, ..Descriptor::of("application/json", &content) }
                    .annotated("name", &i.to_string()),
            );
        }
        writer.pack(&folder.path().join(name), 1, &|_, _| {}, signer(&SampleKey::generate())).unwrap()
    };
    let (one, other) = (pack("a", &[0, 1, 2, 3, 4, 5]), pack("b", &[5, 3, 1, 0, 2, 4]));
    assert_eq!(one.index_json, other.index_json);
    assert_eq!(one.blobs, other.blobs);
}

#[test]
fn large_files_come_from_a_cache() {
    let folder = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..3_000_001_u32).flat_map(u32::to_le_bytes).take(3_000_001).collect();
    let digest = digest_of(&content);
    let cached = folder.path().join("cached");
    fs::write(&cached, &content).unwrap();
    let mut writer = BundleWriter::new(empty_document());
    let size = content.len() as u64;
    writer.add_blob(&digest, size, BlobGroup::Data, BlobContent::File(cached)).unwrap();
    let key = SampleKey::generate();
    let path = folder.path().join("large.bundle");
    let packed = writer.pack(&path, 2, &|_, _| {}, signer(&key)).unwrap();
    let keys = TrustedKeys::from_public_key_text(&key.public_key_text()).unwrap();
    let bundle = Bundle::open(&path, &keys).unwrap();
    assert_eq!(bundle.verify(2, &|_, _| {}).unwrap().bytes, packed.size);
    assert_eq!(bundle.read_blob(&digest).unwrap(), content);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
}

/// Packs one blob from a file that is not what it should be, hashed on the way or `proved` afterwards; gives the error
/// after checking that nothing is left.
fn pack_wrong(content: &[u8], promised: &[u8], proved: bool) -> WriteError {
    let folder = tempfile::tempdir().unwrap();
    let cache = tempfile::tempdir().unwrap();
    let cached = cache.path().join("cached");
    fs::write(&cached, content).unwrap();
    let target = folder.path().join("b.bundle");
    fs::write(&target, "an older one").unwrap();
    let mut writer = BundleWriter::new(empty_document());
    let size = promised.len() as u64;
    writer.add_blob(&digest_of(promised), size, BlobGroup::Data, BlobContent::File(cached)).unwrap();
    let key = SampleKey::generate();
    let keys = TrustedKeys::from_public_key_text(&key.public_key_text()).unwrap();
    let error = if proved {
        writer.pack_proved(&target, &keys, 2, &|_, _| {}, &|_, _| {}, signer(&key)).unwrap_err()
    } else {
        writer.pack(&target, 2, &|_, _| {}, signer(&key)).unwrap_err()
    };
    assert_eq!(fs::read(&target).unwrap(), b"an older one");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    error
}

#[test]
fn a_wrong_source_is_named_and_leaves_nothing() {
    for proved in [false, true] {
        let error = pack_wrong(b"abd", b"abc", proved);
        let digest = digest_of(b"abc");
        assert!(matches!(&error, WriteError::Content { digest: named, .. } if *named == digest), "{error}");
        let error = pack_wrong(b"abcd", b"abc", proved);
        assert!(matches!(error, WriteError::Size { expected: 3, found: 4, .. }), "{error}");
        let error = pack_wrong(b"ab", b"abc", proved);
        assert!(matches!(error, WriteError::Size { expected: 3, found: 2, .. }), "{error}");
    }
}

#[test]
fn a_proved_bundle_is_the_one_that_is_packed() {
    let folder = tempfile::tempdir().unwrap();
    let key = SampleKey::generate();
    let keys = TrustedKeys::from_public_key_text(&key.public_key_text()).unwrap();
    let source = folder.path().join("cached");
    // So large that the disk is sent for before all of it is written.
    let content = "content ".repeat(9_000_000);
    fs::write(&source, &content).unwrap();
    let writer_of = |file: fn(PathBuf) -> BlobContent| {
        let mut writer = BundleWriter::new(empty_document());
        let (digest, size) = (digest_of(content.as_bytes()), content.len() as u64);
        writer.add_blob(&digest, size, BlobGroup::Data, file(source.clone())).unwrap();
        writer
    };
    let writer = || writer_of(BlobContent::File);
    let (one, two) = (folder.path().join("one.bundle"), folder.path().join("two.bundle"));
    let packed = writer().pack(&one, 2, &|_, _| {}, signer(&key)).unwrap();
    let prove = |target: &Path, keys: &TrustedKeys, threads| {
        writer().pack_proved(target, keys, threads, &|_, _| {}, &|_, _| {}, signer(&key))
    };
    for threads in [1, 2, 7] {
        let (proved, report) = prove(&two, &keys, threads).unwrap();
        assert_eq!((&proved.blobs, report.bytes), (&packed.blobs, packed.size));
        // All but the signature, which this key makes with chance in it.
        assert_eq!(proved.index_json, packed.index_json);
        assert_eq!(Bundle::open(&two, &keys).unwrap().verify(2, &|_, _| {}).unwrap(), report);
    }
    // What was hashed before is not hashed again, and all the rest is as it is without that.
    let mut hashed = 0;
    for file in [BlobContent::File, BlobContent::Hashed] {
        let seen = std::sync::atomic::AtomicU64::new(0);
        let proving = |_, total| seen.store(total, std::sync::atomic::Ordering::Relaxed);
        let writer = writer_of(file);
        let (proved, report) =
            writer.pack_proved(&two, &keys, 2, &|_, _| {}, &proving, signer(&key)).unwrap();
        assert_eq!((proved.index_json, report.bytes), (packed.index_json.clone(), packed.size));
        assert_eq!(Bundle::open(&two, &keys).unwrap().verify(2, &|_, _| {}).unwrap(), report);
        hashed = seen.into_inner().abs_diff(hashed);
    }
    assert_eq!(hashed, content.len() as u64);

    let stranger = SampleKey::generate();
    let keys = TrustedKeys::from_public_key_text(&stranger.public_key_text()).unwrap();
    let refused = prove(&folder.path().join("three.bundle"), &keys, 2);
    assert!(matches!(refused, Err(WriteError::Proof { .. })));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn a_failing_signer_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("b.bundle");
    let pack = |result: Result<String, &'static str>| {
        BundleWriter::new(empty_document()).pack(&target, 1, &|_, _| {}, |_| result).unwrap_err()
    };
    assert!(matches!(pack(Err("no key")), WriteError::Sign { source } if source.to_string() == "no key"));
    assert!(matches!(pack(Ok("not a signature".to_owned())), WriteError::Signature { .. }));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn digests_and_sizes_are_checked_when_added() {
    let mut writer = BundleWriter::new(empty_document());
    let content = || BlobContent::Bytes(Vec::new());
    let trick = writer.add_blob("sha256:../../x", 0, BlobGroup::Data, content());
    assert!(matches!(trick, Err(WriteError::InvalidDigest(_))));
    let digest = digest_of(b"abc");
    writer.add_blob(&digest, 3, BlobGroup::Data, content()).unwrap();
    let conflict = writer.add_blob(&digest, 4, BlobGroup::Data, content());
    assert!(matches!(conflict, Err(WriteError::SizeConflict { first: 3, second: 4, .. })));
}

#[test]
fn contradictions_are_refused_by_the_writer_already() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = |change: &dyn Fn(&mut sealift_bundle::BundleDocument)| {
        let mut document = empty_document();
        change(&mut document);
        let target = folder.path().join("b.bundle");
        let packed = BundleWriter::new(document).pack(&target, 1, &|_, _| {}, signer(&SampleKey::generate()));
        match packed.unwrap_err() {
            WriteError::Refused { source } => *source,
            other => panic!("{other}"),
        }
    };
    let sample = sample_document();
    let inconsistent: [&dyn Fn(&mut sealift_bundle::BundleDocument); 4] = [
        &|document| document.images = sample.images.clone(),
        &|document| document.files = sample.files.clone(),
        &|document| document.charts = sample.charts.clone(),
        &|document| {
            document.components = vec![Component { stage: Stage::Product, ..sample.components[0].clone() }];
        },
    ];
    for change in inconsistent {
        let error = refusal(change);
        assert!(matches!(error, BundleError::Inconsistent { .. }), "{error}");
    }
    for name in ["", "..", "a/b", "a\nb"] {
        let error = refusal(&|document| document.product.name = name.to_owned());
        assert!(matches!(error, BundleError::PathTrick { .. }), "{error}");
    }
    for path in ["usr/bin/x", "/usr/../x", "/usr//x", "/"] {
        let error = refusal(&|document| {
            document.files = sample.files.clone();
            document.files[0].path = path.to_owned();
        });
        assert!(matches!(error, BundleError::PathTrick { .. }), "{error}");
    }
}

#[test]
fn a_hollow_bundle_of_any_size_opens() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = sealift_bundle::testing::hollow_bundle(folder.path(), 10, 1_000_000_000);
    let keys = sealift_bundle::TrustedKeys::from_public_key_text(&key).unwrap();
    let bundle = sealift_bundle::Bundle::open(&path, &keys).unwrap();
    assert!(bundle.size() > 10_000_000_000);
    assert!(bundle.blob_reader(&bundle.blobs()[0].digest, 0).is_ok());
}
