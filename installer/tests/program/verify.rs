//! `installer verify` as the field engineer runs it, with the list that goes to the vendor where a copy is damaged.

use std::path::{Path, PathBuf};
use std::process::Command;

use sealift_bundle::recarry::DamageList;
use sealift_bundle::testing::sample_bundle;
use sealift_bundle::{Bundle, TrustedKeys};

/// A bundle on a disk, and the vendor's key.
struct Disk {
    folder: tempfile::TempDir,
    bundle: PathBuf,
    keys: TrustedKeys,
}

impl Disk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (bundle, key) = sample_bundle(folder.path());
        std::fs::write(folder.path().join("release.pub"), &key).unwrap();
        Self { bundle, keys: TrustedKeys::from_public_key_text(&key).unwrap(), folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Flips a bit in the content of the blob `digest`; where that stands.
    fn damage(&self, digest: &str) -> u64 {
        let blob = Bundle::open(&self.bundle, &self.keys).unwrap().read_blob(digest).unwrap();
        let mut content = std::fs::read(&self.bundle).unwrap();
        let at = content.windows(blob.len()).position(|window| window == blob).unwrap();
        content[at] ^= 1;
        std::fs::write(&self.bundle, content).unwrap();
        at as u64
    }

    /// Exit code, standard output and standard error of `verify` with these further arguments.
    fn verify(&self, more: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_installer"))
            .args(["verify", self.bundle.to_str().unwrap(), "--trust-key", "release.pub"])
            .args(more)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn damage_is_listed_for_the_vendor() {
    let disk = Disk::new();
    let document = Bundle::open(&disk.bundle, &disk.keys).unwrap().document().clone();
    let (kubelet, chart) =
        (document.files.iter().find(|file| file.name == "kubelet").unwrap(), &document.charts[3]);
    let offsets = [disk.damage(&kubelet.digest), disk.damage(&chart.digest)];
    let (code, said, error) = disk.verify(&["--damage-list", "damage.json"]);
    assert_eq!(code, Some(5), "{error}");
    assert!(said.contains("damage    2 blobs, ") && said.contains(", listed in damage.json"), "{said}");
    assert!(error.contains("next: send damage.json to the vendor"), "{error}");

    let list = DamageList::read(&disk.path("damage.json")).unwrap();
    assert_eq!(list.product, document.product);
    for (digest, size, what, offset) in [
        (&kubelet.digest, kubelet.size, "file kubelet v1.36.3", offsets[0]),
        (&chart.digest, chart.size, "chart orders 4.2.0", offsets[1]),
    ] {
        let blob = list.blobs.iter().find(|blob| blob.digest == *digest).unwrap();
        assert_eq!((blob.size, blob.what.as_str(), blob.offset), (size, what, offset));
    }
    assert_eq!(list.blobs.len(), 2);
    assert_eq!(disk.names(), ["damage.json".to_owned(), name(&disk.bundle), "release.pub".to_owned()]);

    // For machines.
    let (code, said, _) = disk.verify(&["--damage-list", "damage.json", "--output", "json"]);
    assert_eq!(code, Some(5));
    let line = said.lines().find(|line| line.contains(r#""topic":"damage""#)).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["data"]["blobs"], 2);
}

#[test]
fn a_good_copy_and_one_that_nothing_could_mend_give_no_list() {
    let disk = Disk::new();
    let (code, said, error) = disk.verify(&["--damage-list", "damage.json"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(said.contains(" blobs matches the signature") && !said.contains("listed in"), "{said}");
    // What is inside is not known any more.
    let mut content = std::fs::read(&disk.bundle).unwrap();
    let start = content.windows(13).position(|window| window == b"schemaVersion").unwrap();
    content[start] ^= 1;
    std::fs::write(&disk.bundle, content).unwrap();
    let (code, _, error) = disk.verify(&["--damage-list", "damage.json"]);
    assert_eq!(code, Some(5));
    assert!(!error.contains("send damage.json"), "{error}");
    assert_eq!(disk.names(), [name(&disk.bundle), "release.pub".to_owned()]);
}

#[test]
fn a_list_replaces_only_a_list() {
    let disk = Disk::new();
    let document = Bundle::open(&disk.bundle, &disk.keys).unwrap().document().clone();
    disk.damage(&document.charts[0].digest);
    let bundle = name(&disk.bundle);
    std::fs::write(disk.path("mine.json"), "{}").unwrap();
    std::os::unix::fs::symlink("mine.json", disk.path("link")).unwrap();
    let all =
        || disk.names().into_iter().map(|name| std::fs::read(disk.path(&name)).ok()).collect::<Vec<_>>();
    let before = all();
    for (file, expected) in [
        (bundle.as_str(), "is what this command reads"),
        ("release.pub", "release.pub is what this command reads, and never replaced"),
        ("mine.json", "mine.json exists already and is not a damage list: it is not replaced"),
        ("link", "link is a symbolic link, and never replaced"),
    ] {
        let (code, _, error) = disk.verify(&["--damage-list", file]);
        assert_eq!(code, Some(2), "{file}: {error}");
        assert!(error.contains(expected) && error.contains("next: "), "{file}: {error}");
    }
    let (code, _, error) = disk.verify(&["--requirements", "release.pub"]);
    assert!(code == Some(2) && error.contains("what this command reads"), "{error}");
    assert!(all() == before);
    assert!(disk.path("link").is_symlink());
}

#[test]
fn a_list_that_cannot_be_written_is_said() {
    let disk = Disk::new();
    let document = Bundle::open(&disk.bundle, &disk.keys).unwrap().document().clone();
    disk.damage(&document.charts[0].digest);
    let (code, _, error) = disk.verify(&["--damage-list", "nowhere/damage.json"]);
    assert_eq!(code, Some(2));
    assert!(
        error.contains("nowhere/damage.json: cannot be written")
            && error.contains("next: choose another place"),
        "{error}"
    );
}
