//! Split bundles are read where they lie, refused with the part's name, and mended.

use std::fs;
use std::path::{Path, PathBuf};

use sealift_bundle::repair::{RepairError, Spare, repair};
use sealift_bundle::split::{SplitError, join, split};
use sealift_bundle::testing::sample_bundle;
use sealift_bundle::{Bundle, BundleError, TrustedKeys};

/// The document ends in the first part, as it does in parts of any use.
const PART: u64 = 37_000;

struct Site {
    folder: tempfile::TempDir,
    bundle: PathBuf,
    keys: TrustedKeys,
}

fn site() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, key) = sample_bundle(folder.path());
    let keys = TrustedKeys::from_public_key_text(&key).unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    split(&bundle, PART, &disk, &|_, _| {}).unwrap();
    Site { folder, bundle, keys }
}

impl Site {
    fn whole(&self) -> PathBuf {
        self.folder.path().join("disk").join(self.bundle.file_name().unwrap())
    }

    fn part(&self, number: usize) -> PathBuf {
        PathBuf::from(format!("{}.{number:03}", self.whole().display()))
    }

    fn count(&self) -> usize {
        fs::read_dir(self.folder.path().join("disk")).unwrap().count()
    }

    fn refusal(&self) -> BundleError {
        Bundle::open(&self.part(1), &self.keys).unwrap_err()
    }

    fn cut(&self, number: usize, by: u64) {
        let file = fs::OpenOptions::new().write(true).open(self.part(number)).unwrap();
        file.set_len(file.metadata().unwrap().len() - by).unwrap();
    }
}

#[test]
fn parts_are_read_in_place_and_joined() {
    let site = site();
    assert!(site.count() > 3);
    for path in [site.part(1), site.whole(), site.part(2)] {
        let bundle = Bundle::open(&path, &site.keys).unwrap();
        assert_eq!(bundle.verify(2, &|_, _| {}).unwrap().bytes, fs::metadata(&site.bundle).unwrap().len());
    }
    let joined = site.folder.path().join("joined");
    join(&site.part(1), &joined, &|_, _| {}).unwrap();
    assert_eq!(fs::read(&joined).unwrap(), fs::read(&site.bundle).unwrap());
    let late = site.folder.path().join("late");
    let progress = |_, _| fs::write(&late, "somebody's").unwrap();
    assert!(
        matches!(join(&site.part(1), &late, &progress), Err(SplitError::Exists { path }) if path == late)
    );
    assert_eq!(fs::read(&late).unwrap(), b"somebody's");
    let again = split(&site.bundle, PART, &site.folder.path().join("disk"), &|_, _| {});
    assert!(matches!(again, Err(SplitError::Exists { .. })));
    let tiny = split(&site.bundle, 100, site.folder.path(), &|_, _| {});
    assert!(matches!(tiny, Err(SplitError::PartSize { .. })));
}

#[test]
fn a_missing_part_is_named() {
    for number in [1, 2] {
        let site = site();
        fs::remove_file(site.part(number)).unwrap();
        let error = site.refusal();
        assert!(
            matches!(&error, BundleError::MissingPart { path, .. } if *path == site.part(number)),
            "{error}"
        );
    }
    let site = site();
    fs::remove_file(site.part(site.count())).unwrap();
    let expected = site.part(site.count() + 1);
    let error = site.refusal();
    assert!(matches!(&error, BundleError::MissingPart { path, .. } if *path == expected), "{error}");
}

#[test]
fn a_short_part_is_named() {
    for number in [1, 2] {
        let site = site();
        site.cut(number, 700);
        let error = site.refusal();
        assert!(
            matches!(&error, BundleError::ShortPart { path, .. } if *path == site.part(number)),
            "{error}"
        );
    }
    let site = site();
    site.cut(site.count(), 700);
    let error = site.refusal();
    assert!(
        matches!(&error, BundleError::ShortPart { path, .. } if *path == site.part(site.count())),
        "{error}"
    );
}

#[test]
fn exchanged_and_foreign_parts_are_named() {
    let site = site();
    let swap = |a: &Path, b: &Path| {
        let (one, other) = (fs::read(a).unwrap(), fs::read(b).unwrap());
        fs::write(a, other).unwrap();
        fs::write(b, one).unwrap();
    };
    swap(&site.part(2), &site.part(3));
    let error = site.refusal();
    assert!(
        matches!(&error, BundleError::SwappedPart { path, belongs } if *path == site.part(2) && *belongs == site.part(3)),
        "{error}"
    );
    swap(&site.part(2), &site.part(3));
    fs::write(site.part(3), vec![7; usize::try_from(PART).unwrap()]).unwrap();
    let error = site.refusal();
    assert!(matches!(&error, BundleError::ForeignPart { path, .. } if *path == site.part(3)), "{error}");
}

#[test]
fn damage_names_part_offset_and_what_it_is_and_is_mended() {
    let site = site();
    let mut part = fs::read(site.part(2)).unwrap();
    part[5000] ^= 1;
    fs::write(site.part(2), &part).unwrap();
    fs::remove_file(site.part(3)).unwrap();
    let damaged = Bundle::open_damaged(&site.part(1), &site.keys).unwrap();
    let damage = damaged.damage(2, &|_, _| {});
    assert!(damage.iter().any(|damage| damage.part.as_ref().is_some_and(|(path, _)| *path == site.part(2))));
    assert!(damage.iter().any(|damage| damage.to_string().contains(" is missing")));
    assert!(damage.iter().any(|damage| !damage.what.is_empty()));
    let spare = Spare::open(&site.bundle, &site.keys).unwrap();
    let mended = repair(&site.part(1), &site.keys, &spare, 2, &|_, _| {}).unwrap();
    assert_eq!(mended.damage, damage);
    let joined = site.folder.path().join("joined");
    join(&site.part(1), &joined, &|_, _| {}).unwrap();
    assert_eq!(fs::read(&joined).unwrap(), fs::read(&site.bundle).unwrap());
    assert!(repair(&site.part(1), &site.keys, &spare, 2, &|_, _| {}).unwrap().damage.is_empty());
}

#[test]
fn a_destroyed_front_is_mended_and_other_bundles_are_refused() {
    let site = site();
    let good = fs::read(&site.bundle).unwrap();
    let spare = Spare::open(&site.part(1), &site.keys).unwrap();
    let mut bad = good.clone();
    bad[..3000].fill(0);
    bad.truncate(bad.len() - 3000);
    fs::write(&site.bundle, &bad).unwrap();
    repair(&site.bundle, &site.keys, &spare, 2, &|_, _| {}).unwrap();
    assert_eq!(fs::read(&site.bundle).unwrap(), good);

    let folder = tempfile::tempdir().unwrap();
    let tiny = crate::common::tiny(crate::common::empty_document());
    let other = folder.path().join("other");
    fs::write(&other, &tiny.bytes).unwrap();
    let keys = site.keys.clone().and(tiny.keys);
    let error = repair(&other, &keys, &spare, 1, &|_, _| {}).unwrap_err();
    assert!(matches!(error, RepairError::OtherBundle { .. }), "{error}");
    assert_eq!(fs::read(&other).unwrap(), tiny.bytes);
}

#[test]
fn only_whole_sets_of_parts_are_joined() {
    let site = site();
    let joined = site.folder.path().join("joined");
    let join = |path: &Path, target: &Path| join(path, target, &|_, _| {});
    let second = fs::read(site.part(2)).unwrap();
    site.cut(2, 700);
    let error = join(&site.part(1), &joined).unwrap_err();
    assert!(
        matches!(&error, SplitError::Bundle(BundleError::ShortPart { path, .. }) if *path == site.part(2)),
        "{error}"
    );
    fs::write(site.part(2), second).unwrap();
    let error = join(&site.bundle, &joined).unwrap_err();
    assert!(matches!(error, SplitError::InOneFile { .. }), "{error}");
    let next = site.part(site.count() + 1);
    let error = join(&site.part(1), &next).unwrap_err();
    assert!(matches!(&error, SplitError::PartName { path, .. } if *path == next), "{error}");
    let error = split(&site.part(1), PART / 2, site.folder.path(), &|_, _| {}).unwrap_err();
    assert!(matches!(error, SplitError::InParts { .. }), "{error}");
    // Damage inside of blobs is no reason: other copies may be damaged elsewhere.
    let last = site.part(site.count());
    let mut content = fs::read(&last).unwrap();
    content.iter_mut().rev().skip(1024).take(200).for_each(|byte| *byte ^= 1);
    fs::write(&last, content).unwrap();
    join(&site.part(1), &joined).unwrap();
}
