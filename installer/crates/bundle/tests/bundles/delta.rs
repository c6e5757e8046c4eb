//! Old bundle and delta make the new bundle, byte for byte; whatever else is given makes nothing.

use std::convert::Infallible;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use crate::common::{BLOCK, Piece, empty_document, join, piece, pieces};
use proptest::prelude::*;
use sealift_bundle::delta::patch::{self, ApplyError, PatchError};
use sealift_bundle::delta::{Against, Delta, DeltaError, Report, apply, cut, room, room_to_cut};
use sealift_bundle::digest::digest_of;
use sealift_bundle::document::{File, Role};
use sealift_bundle::inventory::Inventory;
use sealift_bundle::parcel::Parcel;
use sealift_bundle::recarry::recarry;
use sealift_bundle::split::split;
use sealift_bundle::testing::SampleKey;
use sealift_bundle::write::{BlobGroup, BundleWriter, trusted_comment};
use sealift_bundle::{Bundle, BundleError, TrustedKeys, frame};

/// Two releases of one vendor.
struct Case {
    folder: tempfile::TempDir,
    key: SampleKey,
}

/// One release: its files by name, and other blobs.
#[derive(Default)]
struct Release<'a> {
    serial: u64,
    files: Vec<(&'a str, Vec<u8>)>,
    others: Vec<Vec<u8>>,
}

impl Case {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), key: SampleKey::generate() }
    }

    fn keys(&self) -> TrustedKeys {
        TrustedKeys::from_public_key_text(&self.key.public_key_text()).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Packs a release, files compressed as the builder does it, at level 3.
    fn pack(&self, name: &str, release: &Release<'_>) -> Bundle {
        let mut document = empty_document();
        document.product.serial = release.serial;
        let mut blobs: Vec<Vec<u8>> = release.others.clone();
        for (name, plain) in &release.files {
            let mut encoder = frame::encoder(Vec::new(), 3, plain.len() as u64).unwrap();
            encoder.write_all(plain).unwrap();
            let frame = encoder.finish().unwrap();
            let manifest = format!(r#"{{"file":"{name}","digest":"{}"}}"#, digest_of(&frame)).into_bytes();
            document.files.push(File {
                name: (*name).to_owned(),
                version: "v1".to_owned(),
                path: format!("/usr/local/bin/{name}"),
                mode: 0o755,
                roles: vec![Role::Worker],
                platform: None,
                manifest: digest_of(&manifest),
                digest: digest_of(&frame),
                size: frame.len() as u64,
                plain_digest: digest_of(plain),
                plain_size: plain.len() as u64,
            });
            blobs.extend([manifest, frame]);
        }
        let comment = trusted_comment(&document.product);
        let mut writer = BundleWriter::new(document);
        for blob in blobs {
            writer.add_bytes(BlobGroup::Data, blob).unwrap();
        }
        let sign = |index: &[u8]| Ok::<_, Infallible>(self.key.sign(index, &comment));
        writer.pack(&self.path(name), 2, &|_, _| {}, sign).unwrap();
        Bundle::open(&self.path(name), &self.keys()).unwrap()
    }

    fn cut(&self, old: &Bundle, new: &Bundle) -> Report {
        cut(Against::Bundle(old), new, &self.path("delta"), 2, &|_, _, _| {}).unwrap()
    }

    fn apply(&self, old: &Bundle) -> Result<u64, DeltaError> {
        let delta = Delta::open(&self.path("delta"), &self.keys())?;
        apply(old, &delta, &self.path("made"), 2, &|_, _| {})
    }

    /// What was made is `new`, and nothing else was left behind.
    fn assert_made(&self, new: &Bundle) {
        assert!(fs::read(self.path("made")).unwrap() == fs::read(new.path()).unwrap());
        self.assert_clean();
    }

    fn assert_clean(&self) {
        let left = fs::read_dir(self.folder.path())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("partial"));
        assert_eq!(left.count(), 0);
    }
}

/// Something that does not compress, the same for one seed.
fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(count).collect()
}

/// Something that every level compresses in its own way.
fn words(seed: u64, count: usize) -> Vec<u8> {
    const WORDS: [&str; 8] =
        ["mov rax ", "call ", "ret ", "lea rdi ", "jmp short ", "push rbp ", "test ", "xor eax "];
    noise(seed, count).into_iter().flat_map(|byte| WORDS[usize::from(byte % 8)].bytes()).collect()
}

/// A binary, and one in which every hundredth byte or so changed, and some were inserted.
fn binary(count: usize) -> [Vec<u8>; 2] {
    let old = noise(1, count);
    let mut new = old.clone();
    for at in (0..count).step_by(97) {
        new[at] = new[at].wrapping_add(4);
    }
    let middle = count / 2;
    new.splice(middle..middle, noise(2, 300));
    [old, new]
}

fn releases(case: &Case) -> (Bundle, Bundle) {
    let [old, new] = binary(60_000);
    let old = Release {
        serial: 1,
        files: vec![("kubelet", old), ("helm", noise(5, 9_000))],
        others: vec![noise(3, 30_000), noise(4, 70_000)],
    };
    let new = Release {
        serial: 2,
        files: vec![("kubelet", new), ("helm", noise(6, 9_000))],
        others: vec![noise(3, 30_000), noise(7, 20_000), vec![]],
    };
    (case.pack("old", &old), case.pack("new", &new))
}

#[test]
fn a_delta_makes_the_new_bundle_byte_for_byte() {
    let case = Case::new();
    let (old, new) = releases(&case);
    let report = case.cut(&old, &new);
    assert_eq!((report.old.serial, report.new.serial), (1, 2));
    assert_eq!(report.bytes, fs::metadata(case.path("delta")).unwrap().len());
    // The changed binary comes as a patch; the other one has nothing in common with its older version.
    assert_eq!(report.patched.blobs, 1);
    assert!(report.patch_bytes < 10_000, "{report:?}");
    let parcel = Parcel::open(&case.path("delta")).unwrap();
    assert_eq!(parcel.document().patches[0].level, Some(3));
    assert_eq!(parcel.size_of(&digest_of(&noise(3, 30_000))), None);
    assert_eq!(parcel.size_of(&digest_of(&noise(7, 20_000))), Some(20_000));
    assert!(report.bytes < 60_000 && report.file_bytes_carried < report.file_bytes / 3, "{report:?}");
    // Beside what comes out lies what the patch starts from.
    let patch = &parcel.document().patches[0];
    let from = old.document().files.iter().find(|file| file.digest == patch.base).unwrap();
    let delta = Delta::open(&case.path("delta"), &case.keys()).unwrap();
    assert_eq!(room(&old, &delta, 2), new.size() + from.plain_size);

    // Before it is cut only that is certain for which no patch can be made.
    let certain = room_to_cut(Against::Bundle(&old), &new);
    assert!(certain > 20_000 && certain + report.file_bytes_carried < report.bytes, "{certain}: {report:?}");

    assert_eq!(case.apply(&old).unwrap(), new.size());
    case.assert_made(&new);
    let error = case.apply(&old).unwrap_err();
    assert!(matches!(error, DeltaError::Exists { .. }), "{error}");
    let again = cut(Against::Bundle(&old), &new, &case.path("delta"), 1, &|_, _, _| {}).unwrap_err();
    assert!(matches!(again, DeltaError::Exists { .. }), "{again}");
    // Nor is anything replaced that came while the work was done.
    let target = case.path("meanwhile");
    let write = || fs::write(&target, "somebody's").unwrap();
    let delta = Delta::open(&case.path("delta"), &case.keys()).unwrap();
    let late = apply(&old, &delta, &target, 1, &|_, _| write()).unwrap_err();
    assert!(matches!(&late, DeltaError::Exists { path } if *path == target), "{late}");
    assert_eq!(fs::read(&target).unwrap(), b"somebody's");
    fs::remove_file(&target).unwrap();
    let late = cut(Against::Bundle(&old), &new, &target, 1, &|_, _, _| write()).unwrap_err();
    assert!(matches!(&late, DeltaError::Exists { path } if *path == target), "{late}");
    assert_eq!(fs::read(&target).unwrap(), b"somebody's");
    let same = cut(Against::Bundle(&old), &old, &case.path("none"), 1, &|_, _, _| {}).unwrap_err();
    assert!(matches!(same, DeltaError::Same { .. }), "{same}");
}

#[test]
fn old_bundle_and_delta_may_be_in_parts() {
    let case = Case::new();
    let (old, new) = releases(&case);
    case.cut(&old, &new);
    let disk = case.path("disk");
    fs::create_dir(&disk).unwrap();
    for name in ["old", "delta"] {
        split(&case.path(name), 20_000, &disk, &|_, _| {}).unwrap();
    }
    let old = Bundle::open(&disk.join("old.001"), &case.keys()).unwrap();
    let delta = Delta::open(&disk.join("delta.001"), &case.keys()).unwrap();
    apply(&old, &delta, &case.path("made"), 2, &|_, _| {}).unwrap();
    case.assert_made(&new);
}

#[test]
fn against_an_inventory_everything_new_is_carried_whole() {
    let case = Case::new();
    let (old, new) = releases(&case);
    Inventory::of(&old).write(&case.path("inventory.json")).unwrap();
    let inventory = Inventory::read(&case.path("inventory.json")).unwrap();
    assert_eq!(inventory.blobs.len(), old.blobs().len());
    assert!(inventory.blobs.iter().any(|blob| blob.of == "file kubelet v1"));
    let report = cut(Against::Inventory(&inventory), &new, &case.path("delta"), 2, &|_, _, _| {}).unwrap();
    // All is certain here, but for the delta's own lists.
    let lists = report.bytes - room_to_cut(Against::Inventory(&inventory), &new);
    assert!(lists < 10_000, "{lists}: {report:?}");
    assert_eq!((report.patched.blobs, report.patch_bytes), (0, 0));
    assert!(report.whole.blobs > 2 && report.kept.blobs > 0);
    case.apply(&old).unwrap();
    case.assert_made(&new);
}

#[test]
fn other_bundles_keys_and_kinds_are_refused() {
    let case = Case::new();
    let (old, new) = releases(&case);
    case.cut(&old, &new);
    let error = case.apply(&new).unwrap_err();
    let DeltaError::OtherBase { expected, found, .. } = &error else { panic!("{error}") };
    assert_eq!((expected.serial, found.serial), (1, 2));
    assert!(error.to_string().contains("(serial 1), not from this"), "{error}");

    let stranger = TrustedKeys::from_public_key_text(&SampleKey::generate().public_key_text()).unwrap();
    let error = Delta::open(&case.path("delta"), &stranger).unwrap_err();
    assert!(matches!(error, DeltaError::Bundle(BundleError::WrongKey { .. })), "{error}");

    recarry(&new, None, &case.path("recarry"), 1, &|_, _| {}).unwrap();
    let error = Delta::open(&case.path("recarry"), &case.keys()).unwrap_err();
    assert!(matches!(error, DeltaError::Kind { .. }), "{error}");
    fs::write(case.path("text"), "no parcel at all").unwrap();
    for name in ["old", "text"] {
        let error = Delta::open(&case.path(name), &case.keys()).unwrap_err();
        assert!(matches!(error, DeltaError::Bundle(BundleError::NotAParcel { .. })), "{error}");
    }
    assert!(!case.path("made").exists());
    case.assert_clean();
}

#[test]
fn damage_in_old_bundle_or_delta_is_named_and_leaves_nothing() {
    let case = Case::new();
    let (old, new) = releases(&case);
    case.cut(&old, &new);
    let mut content = fs::read(old.path()).unwrap();
    let base = &old.document().files[0];
    let mut encoder = frame::encoder(Vec::new(), 3, 60_000).unwrap();
    encoder.write_all(&noise(1, 60_000)).unwrap();
    let frame = encoder.finish().unwrap();
    let start = content.windows(64).position(|window| *window == frame[..64]);
    content[start.unwrap() + 30_000] ^= 1;
    fs::write(case.path("hurt"), &content).unwrap();
    let hurt = Bundle::open(&case.path("hurt"), &case.keys()).unwrap();
    let error = case.apply(&hurt).unwrap_err();
    assert!(
        matches!(&error, DeltaError::Bundle(BundleError::DigestMismatch { path, digest, .. })
            if *path == case.path("hurt") && *digest == base.digest),
        "{error}"
    );
    let delta = fs::read(case.path("delta")).unwrap();
    fs::write(case.path("delta"), &delta[..delta.len() - 700]).unwrap();
    let error = case.apply(&old).unwrap_err();
    assert!(matches!(error, DeltaError::Bundle(BundleError::Truncated { .. })), "{error}");
    // Every block of it: some bytes belong to nothing that is used, such as padding.
    let mut refused = 0;
    for at in (0..delta.len()).step_by(509) {
        let mut bad = delta.clone();
        bad[at] ^= 0x10;
        fs::write(case.path("delta"), &bad).unwrap();
        match case.apply(&old) {
            Ok(_) => {
                case.assert_made(&new);
                fs::remove_file(case.path("made")).unwrap();
            }
            Err(_) => refused += 1,
        }
        assert!(!case.path("made").exists());
    }
    assert!(refused > delta.len() / 509 / 2, "{refused}");
    case.assert_clean();
}

#[test]
fn a_frame_that_cannot_be_made_again_is_carried_whole() {
    let case = Case::new();
    let [old_plain, new_plain] = binary(60_000);
    let old = case.pack("old", &Release { serial: 1, files: vec![("kubelet", old_plain)], others: vec![] });
    // Compressed in another way than the builder's.
    let mut document = empty_document();
    document.product.serial = 2;
    let frame = zstd::encode_all(&*new_plain, 3).unwrap();
    let manifest = b"{}".to_vec();
    document.files.push(File {
        digest: digest_of(&frame),
        size: frame.len() as u64,
        plain_digest: digest_of(&new_plain),
        plain_size: new_plain.len() as u64,
        manifest: digest_of(&manifest),
        ..old.document().files[0].clone()
    });
    let mut writer = BundleWriter::new(document);
    writer.add_bytes(BlobGroup::Data, frame.clone()).unwrap();
    writer.add_bytes(BlobGroup::Metadata, manifest).unwrap();
    let sign = |index: &[u8]| Ok::<_, Infallible>(case.key.sign(index, "product:orders"));
    writer.pack(&case.path("new"), 2, &|_, _| {}, sign).unwrap();
    let new = Bundle::open(&case.path("new"), &case.keys()).unwrap();
    let report = case.cut(&old, &new);
    assert_eq!((report.patched.blobs, report.file_bytes_carried), (0, frame.len() as u64));
    case.apply(&old).unwrap();
    case.assert_made(&new);
}

/// The delta with another document: as somebody makes it who can compute digests, but not sign.
fn forge(case: &Case, change: impl FnOnce(String) -> String) {
    let mut members = pieces(&fs::read(case.path("delta")).unwrap());
    let text = |piece: &Piece| {
        let header = tar::Header::from_byte_slice(&piece.bytes[..BLOCK]);
        let size = usize::try_from(header.size().unwrap()).unwrap();
        String::from_utf8(piece.bytes[BLOCK..BLOCK + size].to_vec()).unwrap()
    };
    let name = |digest: &str| format!("blobs/sha256/{}", &digest[7..]);
    let [index, manifest, document] = [1, 2, 4].map(|place: usize| text(&members[place]));
    let forged = change(document.clone());
    let sized = |text: &str| format!("\"digest\":\"{}\",\"size\":{}", digest_of(text.as_bytes()), text.len());
    let next = manifest.replace(&sized(&document), &sized(&forged));
    let top = index.replace(&sized(&manifest), &sized(&next));
    assert!(next != manifest && top != index);
    for (place, text) in [(2, &next), (4, &forged)] {
        members[place] = piece(&name(&digest_of(text.as_bytes())), text.as_bytes());
    }
    members[1] = piece("index.json", top.as_bytes());
    fs::write(case.path("delta"), join(&members)).unwrap();
}

#[test]
fn another_zstd_that_gives_other_bytes_is_said_to_be_that() {
    let case = Case::new();
    let plain = words(1, 40_000);
    let changed = [&plain[..90_000], &words(2, 50), &plain[90_000..]].concat();
    let release = |serial, plain| Release { serial, files: vec![("kubelet", plain)], others: vec![] };
    let (old, new) = (case.pack("old", &release(1, plain)), case.pack("new", &release(2, changed)));
    assert_eq!(case.cut(&old, &new).patched.blobs, 1);
    // Another level stands for another version: the content is right, the frame is not.
    forge(&case, |document| {
        document
            .replace(&format!("\"zstd\":\"{}\"", frame::maker()), "\"zstd\":\"1.9.9\"")
            .replace("\"level\":3", "\"level\":9")
    });
    let error = case.apply(&old).unwrap_err();
    assert!(
        matches!(&error, DeltaError::Zstd { made_with, digest, .. }
            if made_with == "1.9.9" && *digest == new.document().files[0].digest),
        "{error}"
    );
    assert!(!case.path("made").exists());
    case.assert_clean();
}

#[test]
fn forged_documents_make_nothing() {
    let case = Case::new();
    let (old, new) = releases(&case);
    case.cut(&old, &new);
    let good = fs::read(case.path("delta")).unwrap();
    let parcel = Parcel::open(&case.path("delta")).unwrap();
    let patch = parcel.document().patches[0].clone();
    let helm = new.document().files[1].digest.clone();
    let frames = format!("\"frames\":[{},{}]", patch.frames[0], patch.frames[1]);
    let cases: [(&str, &str, &str); 8] = [
        ("\"level\":3", "\"level\":22", "asks for zstd level 22"),
        ("\"kind\":\"Delta\"", "\"kind\":\"Recarry\"", "a delta names the bundle"),
        ("sealift/v1", "sealift/v7", "is newer"),
        (&frames, "\"frames\":[18446744073709551615,2]", "shorter than its frames"),
        (&frames, "\"frames\":[7,7]", "does not fit"),
        ("\"serial\":2", "\"serial\":3", "another bundle than the one whose list it holds"),
        (&patch.base, &helm, "holds no blob"),
        (&patch.digest, &helm, "the delta lacks blob"),
    ];
    for (from, to, expected) in cases {
        fs::write(case.path("delta"), &good).unwrap();
        forge(&case, |document| document.replacen(from, to, 1));
        let error = case.apply(&old).unwrap_err();
        assert!(error.to_string().contains(expected), "{to}: {error}");
        assert!(!case.path("made").exists());
    }
    case.assert_clean();
}

/// `bytes` in an unnamed file.
fn file(bytes: &[u8]) -> fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn patched(base: &[u8], patch: &[u8], frames: [u64; 2], size: u64) -> Result<Vec<u8>, ApplyError> {
    let cut = |from: u64, to: u64| {
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(patch.len());
        &patch[place(from)..place(to).max(place(from))]
    };
    let frames =
        [cut(0, frames[0]), cut(frames[0], frames[0] + frames[1]), cut(frames[0] + frames[1], u64::MAX)];
    let mut made = Vec::new();
    let result = patch::apply(&file(base), frames, size, &mut made);
    assert!(made.len() as u64 <= size);
    result.map(|()| made)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_patch_makes_is_what_it_was_made_for(
        base in prop::collection::vec(any::<u8>(), 0..3000),
        kept in 0..3000_usize,
        inserted in prop::collection::vec(any::<u8>(), 0..200),
        changed in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
    ) {
        let mut target = base.clone();
        let at = kept.min(target.len());
        target.splice(at..at, inserted);
        for (index, byte) in changed {
            if !target.is_empty() {
                let at = index.index(target.len());
                target[at] = byte;
            }
        }
        let (patch, frames) = patch::make(&base, &target).unwrap();
        prop_assert_eq!(patched(&base, &patch, frames, target.len() as u64).unwrap(), target);
    }

    #[test]
    fn what_is_no_patch_makes_nothing(
        base in prop::collection::vec(any::<u8>(), 0..500),
        steps in prop::collection::vec((any::<i64>(), any::<u64>(), any::<u64>()), 0..4),
        size in 0..5000_u64,
        near in any::<bool>(),
    ) {
        let pick = |number: u64| if near { number % 600 } else { number };
        let mut list = Vec::new();
        for (distance, taken, new) in steps {
            let distance = if near { distance % 600 } else { distance };
            list.extend(distance.to_le_bytes());
            list.extend(pick(taken).to_le_bytes());
            list.extend(pick(new).to_le_bytes());
        }
        let frame = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
        let (steps, bytes) = (frame(&list), frame(&[3; 800]));
        let patch = [steps.clone(), bytes.clone(), bytes.clone()].concat();
        // Frames that are never used up are refused, so it cannot succeed but with nothing to do.
        let result = patched(&base, &patch, [steps.len() as u64, bytes.len() as u64], size);
        prop_assert!(result.is_err());
    }
}

#[test]
fn a_patch_with_any_byte_flipped_is_refused_or_makes_no_more_than_it_should() {
    let [base, target] = binary(3_000);
    let (good, frames) = patch::make(&base, &target).unwrap();
    let size = target.len() as u64;
    assert!(patched(&base, &good, frames, size).unwrap() == target);
    for at in 0..good.len() {
        for bit in [0x01, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= bit;
            // It never gives more bytes than it should; whether they are the right ones shows by the digest.
            if let Ok(made) = patched(&base, &bad, frames, size) {
                assert_eq!(made.len(), target.len());
            }
        }
    }
    for length in 0..good.len() {
        assert!(patched(&base, &good[..length], frames, size).is_err(), "{length}");
    }
    let error = patched(&base, &good, frames, size - 1).unwrap_err();
    assert!(matches!(error, ApplyError::Patch(PatchError::Long { .. })), "{error}");
    let error = patched(&base, &good, frames, size + 1).unwrap_err();
    assert!(matches!(error, ApplyError::Patch(PatchError::Short)), "{error}");
    let error = patched(&base[..1000], &good, frames, size).unwrap_err();
    assert!(matches!(error, ApplyError::Patch(PatchError::Outside { .. })), "{error}");
}

#[test]
fn a_patch_that_unpacks_to_very_much_is_bounded() {
    // 64 MiB of zeros in a few kilobytes, as steps: the first of them does nothing.
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    for _ in 0..64 {
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    let nothing = zstd::encode_all(&[][..], 3).unwrap();
    let patch = [bomb.clone(), nothing.clone(), nothing.clone()].concat();
    let error = patched(b"base", &patch, [bomb.len() as u64, nothing.len() as u64], 100).unwrap_err();
    assert!(matches!(error, ApplyError::Patch(PatchError::Idle)), "{error}");
    // As what is new: only what was asked for is unpacked.
    let step: Vec<u8> = [0_u64, 0, 100].iter().flat_map(|number| number.to_le_bytes()).collect();
    let step = zstd::encode_all(&*step, 3).unwrap();
    let patch = [step.clone(), nothing.clone(), bomb].concat();
    let error = patched(b"base", &patch, [step.len() as u64, nothing.len() as u64], 100).unwrap_err();
    assert!(matches!(error, ApplyError::Patch(PatchError::Long { .. })), "{error}");
}

/// Releases whose files and other blobs are often the same, or one the beginning of another.
fn contents() -> impl Strategy<Value = Vec<(u64, usize)>> {
    prop::collection::vec((0..3_u64, 0..9_000_usize), 0..4)
}

fn release(serial: u64, files: &[(u64, usize)], others: &[(u64, usize)]) -> Release<'static> {
    let named = ["kubelet", "helm", "runc", "ctr"].into_iter().zip(files);
    Release {
        serial,
        files: named.map(|(name, (seed, count))| (name, words(*seed, *count))).collect(),
        others: others.iter().map(|(seed, count)| noise(*seed + 10, *count)).collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_release_is_made_from_any_other(
        old in (contents(), contents()),
        new in (contents(), contents()),
    ) {
        let case = Case::new();
        let old = case.pack("old", &release(1, &old.0, &old.1));
        let new = case.pack("new", &release(2, &new.0, &new.1));
        let report = case.cut(&old, &new);
        prop_assert!(report.patch_bytes <= report.patched.bytes);
        prop_assert!(room_to_cut(Against::Bundle(&old), &new) < report.bytes);
        case.apply(&old).unwrap();
        case.assert_made(&new);
    }
}
