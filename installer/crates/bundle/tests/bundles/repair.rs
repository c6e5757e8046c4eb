//! Repair writes to nothing but the damage of a bundle, whatever it is pointed at and whatever a re-carry file claims.

use std::fs;
use std::path::PathBuf;

use sealift_bundle::digest::digest_of;
use sealift_bundle::recarry::{DamageList, DamagedBlob, recarry};
use sealift_bundle::repair::{self, RepairError, Repaired, Spare, repair};
use sealift_bundle::split::split;
use sealift_bundle::testing::{SampleKey, resigned, sample_bundle};
use sealift_bundle::{Bundle, BundleError, TrustedKeys};
use serde_json::Value;

use crate::common::{self, BLOCK, Piece};

const PART: u64 = 37_000;

/// A good bundle, and `copy`, which is to be mended.
struct Case {
    folder: tempfile::TempDir,
    bundle: PathBuf,
    good: Vec<u8>,
    keys: TrustedKeys,
}

fn case() -> Case {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, key) = sample_bundle(folder.path());
    let keys = TrustedKeys::from_public_key_text(&key).unwrap();
    let good = fs::read(&bundle).unwrap();
    fs::write(folder.path().join("copy"), &good).unwrap();
    Case { folder, bundle, good, keys }
}

impl Case {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn spare(&self) -> Spare {
        Spare::open(&self.bundle, &self.keys).unwrap()
    }

    fn repair(&self, name: &str, spare: &Spare) -> Result<Repaired, RepairError> {
        repair(&self.path(name), &self.keys, spare, 2, &|_, _| {})
    }

    fn list(&self, name: &str) -> DamageList {
        DamageList::find(&self.path(name), &self.keys, 2, &|_, _| {}).unwrap()
    }

    /// Bytes of a re-carry file.
    fn recarry(&self, list: &DamageList) -> Vec<u8> {
        let path = self.path("mend.recarry");
        let vendor = Bundle::open(&self.bundle, &self.keys).unwrap();
        recarry(&vendor, Some(list), &path, 1, &|_, _| {}).unwrap();
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        bytes
    }

    fn opened(&self, recarry: &[u8]) -> Spare {
        let path = self.path("forged.recarry");
        fs::write(&path, recarry).unwrap();
        Spare::open(&path, &self.keys).unwrap()
    }

    /// What refuses to mend the file `name`, which stays as it is.
    fn assert_untouched(&self, name: &str) -> RepairError {
        let before = fs::read(self.path(name)).unwrap();
        let spare = self.spare();
        let room = repair::room(&self.path(name), &self.keys, &spare).unwrap_err();
        let error = self.repair(name, &spare).unwrap_err();
        assert_eq!(error.to_string(), room.to_string());
        assert!(fs::read(self.path(name)).unwrap() == before);
        error
    }
}

fn content(piece: &Piece) -> Vec<u8> {
    let size = tar::Header::from_byte_slice(&piece.bytes[..BLOCK]).entry_size().unwrap();
    piece.bytes[BLOCK..BLOCK + usize::try_from(size).unwrap()].to_vec()
}

/// This re-carry file with `content` as the blob `digest`, and everything around it changed to match.
fn forged(parcel: &[u8], digest: &str, forgery: &[u8]) -> Vec<u8> {
    let name = |digest: &str| format!("blobs/sha256/{}", digest.strip_prefix("sha256:").unwrap());
    let mut pieces = common::pieces(parcel);
    let [mut index, mut manifest] =
        [1, 2].map(|place| serde_json::from_slice::<Value>(&content(&pieces[place])).unwrap());
    let layers = manifest["layers"].as_array_mut().unwrap();
    layers.iter_mut().find(|layer| layer["digest"] == digest).unwrap()["size"] = forgery.len().into();
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let entry = &mut index["manifests"][0];
    entry["digest"] = digest_of(&manifest).into();
    entry["size"] = manifest.len().into();
    pieces[1] = common::piece("index.json", &serde_json::to_vec(&index).unwrap());
    pieces[2] = common::piece(&name(&digest_of(&manifest)), &manifest);
    let blob = pieces.iter_mut().find(|piece| piece.name == name(digest)).unwrap();
    *blob = common::piece(&name(digest), forgery);
    common::join(&pieces)
}

/// The one damaged blob after a bit was flipped in some blob that is small and has others behind it.
fn flipped(case: &Case) -> DamagedBlob {
    let vendor = Bundle::open(&case.bundle, &case.keys).unwrap();
    let blob = vendor.blobs().iter().skip(3).find(|blob| (100..2_000).contains(&blob.size)).unwrap();
    let blob = vendor.read_blob(&blob.digest).unwrap();
    let start = case.good.windows(blob.len()).position(|window| window == blob).unwrap();
    let mut copy = case.good.clone();
    copy[start + 50] ^= 1;
    fs::write(case.path("copy"), copy).unwrap();
    let list = case.list("copy");
    assert_eq!(list.blobs.len(), 1);
    list.blobs[0].clone()
}

#[test]
fn a_re_carry_file_that_lies_about_a_size_harms_nothing_else() {
    let case = case();
    let blob = flipped(&case);
    let before = fs::read(case.path("copy")).unwrap();
    let recarry = case.recarry(&case.list("copy"));
    for size in [0, 1, usize::try_from(blob.size).unwrap() + 1, 30_000, case.good.len() * 2] {
        let spare = case.opened(&forged(&recarry, &blob.digest, &vec![7; size]));
        let error = case.repair("copy", &spare).unwrap_err();
        assert!(matches!(&error, RepairError::NotInSpare { blobs, .. } if blobs.len() == 1), "{error}");
        assert!(fs::read(case.path("copy")).unwrap() == before, "{size}");
    }
    // Of the right size it stays in the place of what was wrong before.
    let size = usize::try_from(blob.size).unwrap();
    let error =
        case.repair("copy", &case.opened(&forged(&recarry, &blob.digest, &vec![7; size]))).unwrap_err();
    assert!(matches!(&error, RepairError::NotInSpare { .. }), "{error}");
    assert_eq!(case.list("copy").blobs, [blob]);
    case.repair("copy", &case.opened(&recarry)).unwrap();
    assert!(fs::read(case.path("copy")).unwrap() == case.good);
}

#[test]
fn a_gap_is_not_filled_with_what_is_not_the_blob() {
    let case = case();
    let parts = split(&case.bundle, PART, &case.path(""), &|_, _| {}).unwrap();
    fs::remove_file(&parts[3]).unwrap();
    let first = parts[0].file_name().unwrap().to_str().unwrap();
    let list = case.list(first);
    let recarry = case.recarry(&list);
    let blob = list.blobs.iter().min_by_key(|blob| blob.size).unwrap();
    for size in [blob.size, blob.size + 1] {
        let forgery = vec![7; usize::try_from(size).unwrap()];
        let error = case.repair(first, &case.opened(&forged(&recarry, &blob.digest, &forgery))).unwrap_err();
        assert!(matches!(&error, RepairError::NotInSpare { .. }), "{error}");
        assert!(!parts[3].exists());
    }
    case.repair(first, &case.opened(&recarry)).unwrap();
    let parts: Vec<u8> = parts.iter().flat_map(|part| fs::read(part).unwrap()).collect();
    assert!(parts == case.good);
}

#[test]
fn files_that_are_no_copy_are_not_written_to() {
    let case = case();
    let longer = vec![7; case.good.len() + 5_000];
    let whole = common::pieces(&case.good);
    // All that every bundle begins with, and no more.
    let start = [&whole[0].bytes[..], &longer[..]].concat();
    for (name, content) in
        [("notes.txt", b"notes".as_slice()), ("long.001", &longer), ("long", &longer), ("start", &start)]
    {
        fs::write(case.path(name), content).unwrap();
        let error = case.assert_untouched(name);
        assert!(matches!(&error, RepairError::NotACopy { path, .. } if *path == case.path(name)), "{error}");
        assert!(error.to_string().contains("is no damaged copy of "), "{error}");
    }
}

#[test]
fn arguments_in_the_wrong_order_lose_no_re_carry_file() {
    let case = case();
    flipped(&case);
    let recarry = case.recarry(&case.list("copy"));
    fs::write(case.path("mend.recarry"), recarry).unwrap();
    let error = case.assert_untouched("mend.recarry");
    assert!(matches!(&error, RepairError::Recarry { .. }), "{error}");
}

#[test]
fn another_bundle_is_told_by_its_signed_index_when_its_document_is_lost() {
    let case = case();
    let key = SampleKey::generate();
    let keys = TrustedKeys::from_public_key_text(&key.public_key_text()).unwrap();
    let keys = case.keys.clone().and(keys);
    // Another index, the same blobs.
    let mut pieces = common::pieces(&case.good);
    let index = [&content(&pieces[1])[..], b"\n"].concat();
    pieces[1] = common::piece("index.json", &index);
    let mut other = resigned(&common::join(&pieces), &key).unwrap();
    // In the document.
    let at = pieces[..5].iter().map(|piece| piece.bytes.len()).sum::<usize>() + BLOCK + 10;
    other[at] ^= 1;
    fs::write(case.path("other"), &other).unwrap();
    let error = repair(&case.path("other"), &keys, &case.spare(), 1, &|_, _| {}).unwrap_err();
    assert!(
        matches!(&error, RepairError::NotACopy { reason, .. } if reason.contains("index of another bundle")),
        "{error}"
    );
    assert!(fs::read(case.path("other")).unwrap() == other);
}

#[test]
fn a_bundle_of_a_newer_format_is_not_written_to() {
    let case = case();
    let key = SampleKey::generate();
    let mut pieces = common::pieces(&case.good);
    let text = String::from_utf8(content(&pieces[1])).unwrap();
    let newer = text.replace("application/vnd.sealift.bundle.v1", "application/vnd.sealift.bundle.v9");
    assert!(newer != text);
    pieces[1] = common::piece("index.json", newer.as_bytes());
    let newer = resigned(&common::join(&pieces), &key).unwrap();
    fs::write(case.path("newer"), &newer).unwrap();
    let keys = TrustedKeys::from_public_key_text(&key.public_key_text()).unwrap();
    let keys = case.keys.clone().and(keys);
    let error = repair(&case.path("newer"), &keys, &case.spare(), 1, &|_, _| {}).unwrap_err();
    assert!(matches!(&error, RepairError::Bundle(BundleError::NewerFormat { .. })), "{error}");
    assert!(fs::read(case.path("newer")).unwrap() == newer);
}

#[test]
fn what_little_is_left_of_a_copy_is_mended() {
    let case = case();
    // Nothing at all; within the index; within the first blobs.
    for length in [0, 100, 1_500, 3_000, 9_000, 20_000] {
        fs::write(case.path("copy"), &case.good[..length]).unwrap();
        case.repair("copy", &case.spare()).unwrap();
        assert!(fs::read(case.path("copy")).unwrap() == case.good, "{length}");
    }
    // The start is lost, and one part of the rest.
    let parts = split(&case.bundle, PART, &case.path(""), &|_, _| {}).unwrap();
    let empty: fn(&PathBuf) = |part| fs::write(part, "").unwrap();
    for lose in [empty, |part| fs::remove_file(part).unwrap()] {
        for lost in [&[0][..], &[0, 2], &[2, 3]] {
            for place in lost {
                lose(&parts[*place]);
            }
            let first = parts[0].file_name().unwrap().to_str().unwrap();
            case.repair(first, &case.spare()).unwrap();
            let joined: Vec<u8> = parts.iter().flat_map(|part| fs::read(part).unwrap()).collect();
            assert!(joined == case.good, "{lost:?}");
        }
    }
}
