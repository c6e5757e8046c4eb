//! `installer bundle`: the next bundle from a delta, a damaged copy mended, the list of what is here.

use std::convert::Infallible;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use sealift_bundle::delta::{Against, cut};
use sealift_bundle::inventory::Inventory;
use sealift_bundle::recarry::{DamageList, recarry};
use sealift_bundle::testing::{
    SampleKey, hollow_bundle, on_a_full_disk, sample_document, sample_writer, too_many_blobs,
};
use sealift_bundle::write::{BlobGroup, trusted_comment};
use sealift_bundle::{Bundle, TrustedKeys};

use crate::seat::{Ended, command, program};

/// A disk with two releases of one vendor: `old.bundle`, and `new.bundle`, which has one blob more.
struct Disk {
    folder: tempfile::TempDir,
    keys: TrustedKeys,
}

/// What only the newer one has.
const ADDED: &[u8] = b"what the newer one has more";

impl Disk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = SampleKey::generate();
        let comment = trusted_comment(&sample_document().product);
        for (name, added) in [("old.bundle", None), ("new.bundle", Some(ADDED))] {
            let mut writer = sample_writer();
            if let Some(content) = added {
                writer.add_bytes(BlobGroup::Data, content.to_vec()).unwrap();
            }
            let sign = |index: &[u8]| Ok::<_, Infallible>(key.sign(index, &comment));
            writer.pack(&folder.path().join(name), 2, &|_, _| {}, sign).unwrap();
        }
        let text = key.public_key_text();
        fs::write(folder.path().join("vendor.pub"), &text).unwrap();
        Self { keys: TrustedKeys::from_public_key_text(&text).unwrap(), folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn open(&self, name: &str) -> Bundle {
        Bundle::open(&self.path(name), &self.keys).unwrap()
    }

    /// Runs `bundle VERB` on these files, with the vendor's key.
    fn run(&self, verb: &str, files: &[&str], flag: (&str, &str)) -> Ended {
        Ended::of(self.command(verb, files, flag).output().unwrap())
    }

    fn command(&self, verb: &str, files: &[&str], flag: (&str, &str)) -> Command {
        let files: Vec<String> = files.iter().map(|name| self.text(name)).collect();
        let (value, key) = (self.text(flag.1), self.text("vendor.pub"));
        let files = files.iter().map(String::as_str);
        let words = ["bundle", verb].into_iter().chain(files).chain([flag.0, &value, "--trust-key", &key]);
        command(&words.collect::<Vec<_>>())
    }

    fn apply(&self, old: &str, delta: &str) -> Ended {
        self.run("apply", &[old, delta], ("--out", "made.bundle"))
    }

    /// Flips a bit in the content of the first chart.
    fn damage(&self, name: &str) {
        let bundle = self.open(name);
        let blob = bundle.read_blob(&bundle.document().charts[0].digest).unwrap();
        let mut content = fs::read(self.path(name)).unwrap();
        let at = content.windows(blob.len()).position(|window| window == blob).unwrap();
        content[at] ^= 1;
        fs::write(self.path(name), content).unwrap();
    }

    fn same(&self, one: &str, other: &str) -> bool {
        fs::read(self.path(one)).unwrap() == fs::read(self.path(other)).unwrap()
    }

    /// Nothing half-written is left.
    fn assert_clean(&self) {
        for entry in fs::read_dir(self.folder.path()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.starts_with('.'), "{name} was left behind");
        }
    }
}

/// Bytes of each of the blobs that are too many: they are holes, and take no room themselves.
const BLOB: u64 = 4_000_000_000;

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn assert_no_room(ended: &Ended, folder: &Path) {
    let (code, said) = (ended.code, &ended.errors);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(&format!("not enough room in {}: ", shown(folder))), "{said}");
    assert!(said.contains("B needed, ") && said.contains("B free\n  next: make room"), "{said}");
}

#[test]
fn a_delta_that_is_cut_against_the_sites_own_list_makes_the_next_bundle() {
    let disk = Disk::new();
    let listed = disk.run("inventory", &["old.bundle"], ("--out", "old.json"));
    assert_eq!(listed.code, Some(0), "{}", listed.errors);
    assert!(listed.output.contains("send it to the vendor"), "{}", listed.output);
    let inventory = Inventory::read(&disk.path("old.json")).unwrap();
    assert_eq!(inventory, Inventory::of(&disk.open("old.bundle")));
    // Over itself it may be written again, over nothing else.
    assert_eq!(disk.run("inventory", &["old.bundle"], ("--out", "old.json")).code, Some(0));
    for (out, expected) in [
        ("old.bundle", "is what this command reads, and never replaced"),
        ("vendor.pub", "is what this command reads, and never replaced"),
        ("new.bundle", "exists already and is not an inventory: it is not replaced"),
    ] {
        let before = fs::read(disk.path(out)).unwrap();
        let ended = disk.run("inventory", &["old.bundle"], ("--out", out));
        assert!(ended.code == Some(2) && ended.errors.contains(expected), "{}", ended.errors);
        assert!(fs::read(disk.path(out)).unwrap() == before, "{out}");
    }

    cut(Against::Inventory(&inventory), &disk.open("new.bundle"), &disk.path("delta"), 2, &|_, _, _| {})
        .unwrap();
    let size = |name: &str| disk.path(name).metadata().unwrap().len();
    assert!(size("delta") < size("new.bundle"));
    let made = disk.apply("old.bundle", "delta");
    assert_eq!(made.code, Some(0), "{}", made.errors);
    assert!(made.output.contains("every blob matches the signature"), "{}", made.output);
    assert!(disk.same("made.bundle", "new.bundle"));
    disk.assert_clean();
}

#[test]
fn what_makes_no_bundle_is_refused_and_leaves_nothing() {
    let disk = Disk::new();
    let (old, new) = (disk.open("old.bundle"), disk.open("new.bundle"));
    cut(Against::Bundle(&old), &new, &disk.path("delta"), 2, &|_, _, _| {}).unwrap();
    recarry(&old, None, &disk.path("recarry"), 2, &|_, _| {}).unwrap();
    for (from, with, code, words) in [
        ("new.bundle", "delta", 2, "give the bundle that it starts from"),
        ("old.bundle", "recarry", 2, "installer bundle repair BUNDLE --from FILE"),
        ("old.bundle", "new.bundle", 5, "give the delta"),
        ("old.bundle", "missing", 2, "check the path"),
    ] {
        let ended = disk.apply(from, with);
        assert_eq!(ended.code, Some(code), "{from} with {with}: {}", ended.errors);
        assert!(ended.errors.contains(words), "{from} with {with}: {}", ended.errors);
        assert!(!disk.path("made.bundle").exists());
    }
    fs::write(disk.path("made.bundle"), "somebody's").unwrap();
    let ended = disk.apply("old.bundle", "delta");
    assert_eq!(ended.code, Some(2), "{}", ended.errors);
    assert!(ended.errors.contains("exists already"), "{}", ended.errors);
    assert_eq!(fs::read_to_string(disk.path("made.bundle")).unwrap(), "somebody's");
    // Damaged where it is needed.
    fs::remove_file(disk.path("made.bundle")).unwrap();
    disk.damage("old.bundle");
    let ended = disk.apply("old.bundle", "delta");
    assert_eq!(ended.code, Some(5), "{}", ended.errors);
    assert!(!disk.path("made.bundle").exists());
    disk.assert_clean();
}

#[test]
fn a_disk_that_is_too_small_is_told_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = too_many_blobs(folder.path(), BLOB);
    // Of holes, so they take no room themselves; the newer one has nothing that the older one has not.
    let releases = [("old", blobs + 1), ("new", blobs)].map(|(name, count)| {
        let place = folder.path().join(name);
        fs::create_dir(&place).unwrap();
        let (path, key) = hollow_bundle(&place, count, BLOB);
        fs::write(place.join("vendor.pub"), key).unwrap();
        (path, place.join("vendor.pub"))
    });
    let keys = TrustedKeys::from_files(&releases.each_ref().map(|(_, key)| key.clone())).unwrap();
    let [old, new] = releases.each_ref().map(|(path, _)| Bundle::open(path, &keys).unwrap());
    let delta = folder.path().join("delta");
    cut(Against::Bundle(&old), &new, &delta, 2, &|_, _, _| {}).unwrap();

    let made = folder.path().join("made.bundle");
    let [(old, old_key), (_, new_key)] = releases.each_ref().map(|(path, key)| (shown(path), shown(key)));
    let words = ["bundle", "apply", &old, &shown(&delta), "--out", &shown(&made)];
    let ended = program(&[&words[..], &["--trust-key", &old_key, "--trust-key", &new_key]].concat());
    assert_no_room(&ended, folder.path());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "the releases and the delta alone");
}

#[test]
fn a_copy_that_the_disk_has_no_room_for_is_not_mended() {
    let folder = tempfile::tempdir().unwrap();
    let (good, key) = hollow_bundle(folder.path(), too_many_blobs(folder.path(), BLOB), BLOB);
    let path = |name: &str| folder.path().join(name);
    fs::write(path("vendor.pub"), key).unwrap();
    // Its contents list alone is left.
    let front = 1 << 20;
    io::copy(&mut fs::File::open(&good).unwrap().take(front), &mut fs::File::create(path("copy")).unwrap())
        .unwrap();
    let [copy, good, key] = [path("copy"), good, path("vendor.pub")].map(|path| shown(&path));
    let ended = program(&["bundle", "repair", &copy, "--from", &good, "--trust-key", &key]);
    assert_no_room(&ended, folder.path());
    assert_eq!(path("copy").metadata().unwrap().len(), front);
}

#[test]
fn a_repair_on_a_disk_that_fills_up_goes_on() {
    let disk = Disk::new();
    let content = fs::read(disk.path("new.bundle")).unwrap();
    fs::write(disk.path("copy.bundle"), &content[..60_000]).unwrap();
    let mend = || disk.command("repair", &["copy.bundle"], ("--from", "new.bundle"));
    let ended = Ended::of(on_a_full_disk(&mend(), 90).output().unwrap());
    assert_eq!(ended.code, Some(2), "{}", ended.errors);
    assert!(
        ended.errors.contains("cannot be written") && ended.errors.contains("File too large"),
        "{}",
        ended.errors
    );
    // No longer than what is in it.
    assert_eq!(disk.path("copy.bundle").metadata().unwrap().len(), 90 << 10);
    let ended = Ended::of(mend().output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert!(disk.same("copy.bundle", "new.bundle"));
    disk.assert_clean();
}

#[test]
fn a_damaged_copy_is_mended_from_another_one_and_from_a_recarry_file() {
    let disk = Disk::new();
    fs::copy(disk.path("new.bundle"), disk.path("copy.bundle")).unwrap();
    let mend = |from: &str| disk.run("repair", &["copy.bundle"], ("--from", from));
    disk.damage("copy.bundle");
    let mended = mend("new.bundle");
    assert_eq!(mended.code, Some(0), "{}", mended.errors);
    assert!(mended.output.contains("1 place mended"), "{}", mended.output);
    assert!(disk.same("copy.bundle", "new.bundle"));
    assert!(mend("new.bundle").output.contains("nothing to mend: every blob"));

    disk.damage("copy.bundle");
    let list = DamageList::find(&disk.path("copy.bundle"), &disk.keys, 2, &|_, _| {}).unwrap();
    recarry(&disk.open("new.bundle"), Some(&list), &disk.path("recarry"), 2, &|_, _| {}).unwrap();
    let mended = mend("recarry");
    assert_eq!(mended.code, Some(0), "{}", mended.errors);
    assert!(mended.output.contains("`installer verify` reads everything"), "{}", mended.output);
    assert!(disk.same("copy.bundle", "new.bundle"));

    let ended = mend("old.bundle");
    assert_eq!(ended.code, Some(2), "{}", ended.errors);
    assert!(ended.errors.contains("another copy of the same bundle"), "{}", ended.errors);
    assert!(disk.same("copy.bundle", "new.bundle"));
    disk.assert_clean();
}
