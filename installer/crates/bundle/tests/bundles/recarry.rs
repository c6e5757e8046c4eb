//! A damaged copy is listed, a small file is made from the list, and mends the copy where it lies.

use std::fs;
use std::path::{Path, PathBuf};

use sealift_bundle::parcel::{Parcel, ParcelKind, ParcelWriteError};
use sealift_bundle::recarry::{self, DamageList, RecarryError, recarry};
use sealift_bundle::repair::{self, RepairError, Repaired, Spare, repair};
use sealift_bundle::split::split;
use sealift_bundle::testing::sample_bundle;
use sealift_bundle::{Bundle, BundleError, NoteError, TrustedKeys};

const PART: u64 = 37_000;

/// A vendor's bundle, and a copy of it in parts at a site.
struct Case {
    folder: tempfile::TempDir,
    bundle: PathBuf,
    keys: TrustedKeys,
}

fn case() -> Case {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, key) = sample_bundle(folder.path());
    let keys = TrustedKeys::from_public_key_text(&key).unwrap();
    fs::create_dir(folder.path().join("disk")).unwrap();
    split(&bundle, PART, &folder.path().join("disk"), &|_, _| {}).unwrap();
    Case { folder, bundle, keys }
}

impl Case {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn part(&self, number: usize) -> PathBuf {
        self.path(&format!("disk/{}.{number:03}", self.bundle.file_name().unwrap().to_str().unwrap()))
    }

    fn vendor(&self) -> Bundle {
        Bundle::open(&self.bundle, &self.keys).unwrap()
    }

    /// What the site lists, through the file that it sends.
    fn list(&self) -> DamageList {
        let list = DamageList::find(&self.part(1), &self.keys, 2, &|_, _| {}).unwrap();
        list.write(&self.path("damage.json")).unwrap();
        let read = DamageList::read(&self.path("damage.json")).unwrap();
        assert_eq!(read, list);
        read
    }

    fn parcel(&self, list: Option<&DamageList>) -> Spare {
        let path = self.path("mend.recarry");
        let _ = fs::remove_file(&path);
        let size = recarry(&self.vendor(), list, &path, 2, &|_, _| {}).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), size);
        // Known before, but for its own lists.
        let lists = size - recarry::room(&self.vendor(), list);
        assert!(lists < 20_000, "{lists} of {size}");
        Spare::open(&path, &self.keys).unwrap()
    }

    fn room(&self, spare: &Spare) -> u64 {
        repair::room(&self.part(1), &self.keys, spare).unwrap()
    }

    fn repair(&self, spare: &Spare) -> Result<Repaired, RepairError> {
        repair(&self.part(1), &self.keys, spare, 2, &|_, _| {})
    }

    fn assert_whole(&self) {
        let good = fs::read(&self.bundle).unwrap();
        let parts: Vec<u8> = (1..=good.len().div_ceil(37_000))
            .flat_map(|number| fs::read(self.part(number)).unwrap())
            .collect();
        assert!(parts == good);
    }
}

/// Flips a bit every 64 bytes over a range that is longer than what stands between two contents.
fn hurt(path: &Path) {
    let mut content = fs::read(path).unwrap();
    for at in (700..2_800).step_by(64) {
        content[at] ^= 1;
    }
    fs::write(path, content).unwrap();
}

#[test]
fn listed_carried_and_mended() {
    let case = case();
    hurt(&case.part(3));
    let missing = fs::metadata(case.part(4)).unwrap().len();
    fs::remove_file(case.part(4)).unwrap();
    let list = case.list();
    assert!(!list.blobs.is_empty());
    for blob in &list.blobs {
        assert!(blob.part.is_some() && blob.part_offset.unwrap() < PART && !blob.what.is_empty(), "{blob:?}");
    }
    let spare = case.parcel(Some(&list));
    let parcel = Parcel::open(spare.path()).unwrap();
    assert_eq!(parcel.document().kind, ParcelKind::Recarry);
    for blob in case.vendor().blobs().iter().skip(3) {
        let listed = list.blobs.iter().any(|listed| listed.digest == blob.digest);
        assert_eq!(parcel.size_of(&blob.digest), listed.then_some(blob.size));
    }
    // What is damaged is written over.
    assert_eq!(case.room(&spare), missing);
    let mended = case.repair(&spare).unwrap();
    assert!(!mended.all_read && mended.bytes == list.bytes());
    case.assert_whole();
    assert_eq!(case.room(&spare), 0);
    assert!(case.repair(&spare).unwrap().damage.is_empty());
    assert!(case.list().blobs.is_empty());
}

#[test]
fn progress_counts_what_is_carried_and_no_other_content() {
    let case = case();
    hurt(&case.part(3));
    let list = case.list();
    let spare = case.parcel(Some(&list));
    let carried = list.bytes();
    assert!(carried > 0);
    let read = std::sync::atomic::AtomicU64::new(0);
    let all = fs::metadata(&case.bundle).unwrap().len();
    repair(&case.part(1), &case.keys, &spare, 1, &|_, total| {
        read.store(total, std::sync::atomic::Ordering::Relaxed);
    })
    .unwrap();
    // Headers and padding of all, contents only of what is carried and of what is in front.
    let vendor = case.vendor();
    let contents: u64 = vendor.blobs().iter().skip(3).map(|blob| blob.size).sum();
    assert_eq!(read.into_inner(), all - contents + carried);
    case.assert_whole();
}

#[test]
fn a_lost_contents_list_is_mended_by_a_file_without_a_list() {
    let case = case();
    let mut first = fs::read(case.part(1)).unwrap();
    first[600..9000].fill(7);
    fs::write(case.part(1), first).unwrap();
    let refused = DamageList::find(&case.part(1), &case.keys, 1, &|_, _| {});
    assert!(refused.is_err());
    case.repair(&case.parcel(None)).unwrap();
    let list = case.list();
    if !list.blobs.is_empty() {
        case.repair(&case.parcel(Some(&list))).unwrap();
    }
    case.assert_whole();
}

#[test]
fn a_missing_part_that_is_not_carried_is_not_filled_with_zeros() {
    let case = case();
    let spare = case.parcel(None);
    fs::remove_file(case.part(4)).unwrap();
    for _ in 0..2 {
        let error = case.repair(&spare).unwrap_err();
        assert!(matches!(&error, RepairError::NotInSpare { blobs, .. } if !blobs.is_empty()), "{error}");
        assert!(!case.part(4).exists());
    }
    case.repair(&case.parcel(Some(&case.list()))).unwrap();
    case.assert_whole();
}

#[test]
fn what_came_while_the_file_was_made_is_not_replaced() {
    let case = case();
    let path = case.path("mend.recarry");
    let progress = |_, _| fs::write(&path, "somebody's").unwrap();
    let error = recarry(&case.vendor(), None, &path, 2, &progress).unwrap_err();
    assert!(
        matches!(&error, RecarryError::Write(ParcelWriteError::Exists { path: named }) if *named == path),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), b"somebody's");
}

#[test]
fn lists_and_files_of_other_bundles_are_refused() {
    let (case, other) = (case(), self::case());
    hurt(&case.part(3));
    let list = case.list();
    let path = other.path("mend.recarry");
    // The same product and version, but signed by another key: another bundle.
    let mut foreign = list.clone();
    foreign.index = sealift_bundle::digest::digest_of(b"another");
    let error = recarry(&other.vendor(), Some(&foreign), &path, 1, &|_, _| {}).unwrap_err();
    assert!(matches!(error, RecarryError::OtherBundle { .. }), "{error}");
    let mut unknown = list.clone();
    unknown.blobs[0].digest = sealift_bundle::digest::digest_of(b"unknown");
    let error = recarry(&case.vendor(), Some(&unknown), &path, 1, &|_, _| {}).unwrap_err();
    assert!(matches!(error, RecarryError::Unknown { .. }), "{error}");
    assert!(!path.exists());
    let spare = other.parcel(None);
    let error = case.repair(&spare).unwrap_err();
    assert!(matches!(error, RepairError::Bundle(BundleError::WrongKey { .. })), "{error}");
    for (text, expected) in [
        ("[]", "not a damage list"),
        ("{}", "something else"),
        (r#"{"kind":"Inventory","apiVersion":"sealift/v1"}"#, "Inventory"),
        (r#"{"kind":"DamageList","apiVersion":"sealift/v9"}"#, "sealift/v9"),
    ] {
        fs::write(&path, text).unwrap();
        let error = DamageList::read(&path).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let text = fs::read_to_string(case.path("damage.json")).unwrap();
    fs::write(&path, text.replacen(&list.blobs[0].digest, "sha256:../../etc", 1)).unwrap();
    assert!(matches!(DamageList::read(&path), Err(NoteError::Digest { .. })));
}

#[test]
fn a_damaged_re_carry_file_mends_nothing_wrongly() {
    let case = case();
    hurt(&case.part(3));
    let list = case.list();
    let spare = case.parcel(Some(&list));
    let good = fs::read(spare.path()).unwrap();
    // A carried blob is hurt.
    let vendor = fs::read(&case.bundle).unwrap();
    let start = usize::try_from(list.blobs[0].offset).unwrap();
    let length = usize::try_from(list.blobs[0].size).unwrap();
    let blob = &vendor[start..start + length];
    let at = good.windows(length).rposition(|window| window == blob).unwrap();
    let mut bad = good.clone();
    bad[at] ^= 1;
    fs::write(spare.path(), &bad).unwrap();
    let spare = Spare::open(spare.path(), &case.keys).unwrap();
    let error = case.repair(&spare).unwrap_err();
    assert!(matches!(&error, RepairError::NotInSpare { .. }), "{error}");
    fs::write(spare.path(), &good[..good.len() - 600]).unwrap();
    let error = Spare::open(spare.path(), &case.keys).unwrap_err();
    assert!(matches!(&error, RepairError::Bundle(BundleError::Truncated { .. })), "{error}");
    fs::write(spare.path(), &good).unwrap();
    case.repair(&Spare::open(spare.path(), &case.keys).unwrap()).unwrap();
    case.assert_whole();
}
