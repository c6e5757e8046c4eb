//! Layers from Debian packages: one small base, and on top of it what each kind of image adds.
//!
//! Every tree is installed by mmdebstrap as a whole and read as a tar stream; a layer above the base holds only
//! what differs. Package versions are those that the machine's mirror has when a layer is first made.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};
use sealift_bundle::layout;

use super::{
    command,
    key::with_list,
    layer::{Content, Entry, Layer, LayerWriter},
    results::Results,
};
use crate::cache::Key;

/// The release whose packages stand behind the tags `haproxy:2.6` and `postgres:15`.
const SUITE: &str = "bookworm";
/// Facts about a layer, beside its blob.
const LAYER_FILE: &str = "layer.json";
/// Fingerprints of a base's entries, for the layers above it.
const ENTRIES_FILE: &str = "entries.json";
/// What no container needs: documentation, translations, caches, the full Perl that only installing uses, and what
/// the installation copied from this machine or drew by chance (names, mirrors, a self-made certificate with its key).
const LEFT_OUT: &[&str] = &[
    "dev/",
    "etc/apt/",
    "etc/hostname",
    "etc/hosts",
    "etc/resolv.conf",
    "etc/ssl/certs/",
    "etc/ssl/private/",
    "usr/lib/udev/",
    "usr/lib/x86_64-linux-gnu/gconv/",
    "usr/lib/x86_64-linux-gnu/libperl.so",
    "usr/lib/x86_64-linux-gnu/perl/",
    "usr/share/bash-completion/",
    "usr/share/bug/",
    "usr/share/common-licenses/",
    "usr/share/doc/",
    "usr/share/doc-base/",
    "usr/share/i18n/",
    "usr/share/info/",
    "usr/share/lintian/",
    "usr/share/locale/",
    "usr/share/man/",
    "usr/share/perl/",
    "usr/share/perl5/",
    "usr/share/zoneinfo/posix/",
    "usr/share/zoneinfo/right/",
    "var/cache/",
    "var/lib/apt/",
    "var/lib/dpkg/info/",
    "var/lib/dpkg/status-old",
    "var/lib/systemd/",
    "var/log/",
];

/// A tree of packages.
#[derive(Debug)]
pub struct Packages {
    /// Name of the stage.
    pub name: &'static str,
    /// What is installed besides Debian's essential packages.
    pub install: &'static [&'static str],
    /// Shell lines run before the packages are installed; `$1` is the tree.
    pub before: &'static [&'static str],
    /// Path prefixes left out besides [`LEFT_OUT`].
    pub left_out: &'static [&'static str],
}

/// What all Debian images share.
pub const BASE: Packages = Packages { name: "debian-base", install: &[], before: &[], left_out: &[] };

/// Programs that kube-proxy and flannel call.
pub const NETWORK: Packages = Packages {
    name: "debian-network",
    install: &["conntrack", "ebtables", "ipset", "iproute2", "iptables", "kmod", "nftables"],
    before: &[],
    left_out: &[],
};

/// The load balancer.
pub const HAPROXY: Packages =
    Packages { name: "debian-haproxy", install: &["haproxy"], before: &[], left_out: &[] };

/// The database, without the compiler for queries (LLVM is larger than all the rest) and without a first cluster.
pub const POSTGRES: Packages = Packages {
    name: "debian-postgres",
    install: &["postgresql-15"],
    before: &[
        // The number that the image has everywhere, so that volumes can be moved.
        "echo 'postgres:x:999:' >> \"$1/etc/group\"",
        "echo 'postgres:x:999:999:PostgreSQL:/var/lib/postgresql:/bin/sh' >> \"$1/etc/passwd\"",
        "mkdir -p \"$1/etc/postgresql-common\"",
        "echo 'create_main_cluster = false' > \"$1/etc/postgresql-common/createcluster.conf\"",
    ],
    left_out: &[
        "usr/lib/llvm-14/",
        "usr/lib/postgresql/15/lib/bitcode/",
        "usr/lib/postgresql/15/lib/llvmjit",
        "usr/lib/x86_64-linux-gnu/libLLVM",
        "usr/lib/x86_64-linux-gnu/libz3.so",
        "usr/share/postgresql-common/",
    ],
};

/// The proxy in front of the product.
pub const NGINX: Packages =
    Packages { name: "debian-nginx", install: &["nginx-light"], before: &[], left_out: &[] };

/// Small tools in one program.
pub const BUSYBOX: Packages =
    Packages { name: "debian-busybox", install: &["busybox-static"], before: &[], left_out: &[] };

/// Programs that show measurements to a Prometheus.
pub const EXPORTERS: Packages = Packages {
    name: "debian-exporters",
    install: &[
        "prometheus-blackbox-exporter",
        "prometheus-node-exporter",
        "prometheus-postgres-exporter",
        "prometheus-process-exporter",
    ],
    before: &[],
    left_out: &[],
};

/// Every tree above the base.
pub const TREES: &[&Packages] = &[&NETWORK, &HAPROXY, &POSTGRES, &NGINX, &BUSYBOX, &EXPORTERS];

/// A layer with the layout folder that holds its blob.
#[derive(Debug, Clone)]
pub struct LayerFile {
    /// The layer.
    pub layer: Layer,
    /// The folder.
    pub folder: PathBuf,
}

type Fingerprints = BTreeMap<PathBuf, String>;

/// Makes the base layer.
pub fn base(results: Results) -> Result<LayerFile> {
    let folder = results.get(BASE.name, &key(&BASE, "")?, |folder| {
        let mut seen = Fingerprints::new();
        let mut writer = LayerWriter::create(folder)?;
        install(&BASE, &mut |entry| {
            seen.insert(entry.path.clone(), entry.fingerprint()?);
            writer.append(entry)
        })?;
        fs::write(folder.join(ENTRIES_FILE), serde_json::to_vec(&seen)?)?;
        save(folder, &writer.finish()?)
    })?;
    load(folder)
}

/// Makes the layer that turns `base` into the tree of `packages`.
pub fn above(results: Results, base: &LayerFile, packages: &Packages) -> Result<LayerFile> {
    let folder = results.get(packages.name, &key(packages, &base.layer.digest)?, |folder| {
        let below: Fingerprints = serde_json::from_slice(&fs::read(base.folder.join(ENTRIES_FILE))?)?;
        let mut difference = Difference { gone: below.clone(), below, writer: LayerWriter::create(folder)? };
        install(packages, &mut |entry| difference.add(entry))?;
        save(folder, &difference.finish()?)
    })?;
    load(folder)
}

/// Writes what differs from the layer below.
struct Difference {
    below: Fingerprints,
    gone: Fingerprints,
    writer: LayerWriter,
}

impl Difference {
    fn add(&mut self, entry: &Entry) -> Result<()> {
        self.gone.remove(&entry.path);
        if self.below.get(&entry.path) == Some(&entry.fingerprint()?) {
            return Ok(());
        }
        self.writer.append(entry)
    }

    /// Marks what the layer below has and this tree has not; a marked folder hides all that is in it.
    fn finish(mut self) -> Result<Layer> {
        for path in self.gone.keys() {
            let hidden = path.ancestors().skip(1).any(|parent| self.gone.contains_key(parent));
            if let (false, Some(name)) = (hidden, path.file_name()) {
                let marker = path.with_file_name(format!(".wh.{}", name.to_string_lossy()));
                self.writer.append(&Entry::new(marker, 0o644, Content::Bytes(Vec::new())))?;
            }
        }
        self.writer.finish()
    }
}

fn key(packages: &Packages, below: &str) -> Result<String> {
    let architecture = command::version_of("dpkg", &["--print-architecture"])?;
    let mut key = Key::new("debian layer 1").text(SUITE).text(&architecture).text(below);
    for list in [packages.install, packages.before, LEFT_OUT, packages.left_out] {
        key = with_list(key, list.iter().copied());
    }
    Ok(key.finish())
}

/// Installs a tree and hands over its entries, in the order of the archive.
fn install(packages: &Packages, take: &mut dyn FnMut(&Entry) -> Result<()>) -> Result<()> {
    let errors = tempfile::NamedTempFile::new().context("create a file for mmdebstrap's messages")?;
    let mut mmdebstrap = Command::new("mmdebstrap");
    mmdebstrap.args(["--variant=essential", "--format=tar", "--quiet"]);
    for pattern in ["doc", "info", "locale", "man"] {
        mmdebstrap.arg(format!("--dpkgopt=path-exclude=/usr/share/{pattern}/*"));
    }
    mmdebstrap.arg("--aptopt=Apt::Install-Recommends \"false\"");
    mmdebstrap.args(packages.before.iter().map(|line| format!("--essential-hook={line}")));
    if !packages.install.is_empty() {
        mmdebstrap.arg(format!("--include={}", packages.install.join(",")));
    }
    mmdebstrap.args([SUITE, "-"]).env("SOURCE_DATE_EPOCH", "0").env("LC_ALL", "C.UTF-8");
    mmdebstrap.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors.reopen()?);
    let mut child = mmdebstrap.spawn().context("start mmdebstrap")?;
    let stream = child.stdout.take().context("read from mmdebstrap")?;
    let read = read_tree(stream, packages, take);
    let mut output = child.wait_with_output().context("wait for mmdebstrap")?;
    output.stderr = fs::read(errors.path())?;
    // mmdebstrap's own message says more than the broken stream that follows from it.
    command::check(&mmdebstrap, &output)?;
    read
}

fn read_tree(
    stream: impl std::io::Read,
    packages: &Packages,
    take: &mut dyn FnMut(&Entry) -> Result<()>,
) -> Result<()> {
    let mut archive = tar::Archive::new(stream);
    for member in archive.entries()? {
        if let Some(entry) = Entry::from_tar(&mut member?)?
            && !is_left_out(&entry.path, packages.left_out)
        {
            take(&entry)?;
        }
    }
    // Whatever pads the stream must be taken, else its writer fails.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink())?;
    Ok(())
}

/// Prefixes that end in a slash leave out what is in the folder, and keep the folder.
fn is_left_out(path: &Path, more: &[&str]) -> bool {
    let text = path.to_string_lossy();
    LEFT_OUT.iter().chain(more).any(|prefix| text.starts_with(prefix))
}

fn save(folder: &Path, layer: &Layer) -> Result<()> {
    Ok(fs::write(folder.join(LAYER_FILE), serde_json::to_vec_pretty(layer)?)?)
}

fn load(folder: PathBuf) -> Result<LayerFile> {
    let path = folder.join(LAYER_FILE);
    let text = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    let layer: Layer =
        serde_json::from_slice(&text).with_context(|| format!("understand {}", path.display()))?;
    let blob = layout::blob_path(&folder, &layer.digest)?;
    fs::metadata(&blob).with_context(|| format!("find {}", blob.display()))?;
    Ok(LayerFile { layer, folder })
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn folders_stay_and_their_content_goes() {
        assert!(is_left_out(Path::new("usr/share/doc/tar/copyright"), &[]));
        assert!(!is_left_out(Path::new("usr/share/doc"), &[]));
        assert!(!is_left_out(Path::new("usr/bin/sh"), &[]));
        assert!(is_left_out(Path::new("usr/lib/x86_64-linux-gnu/libLLVM-14.so.1"), POSTGRES.left_out));
    }

    #[test]
    fn a_layer_above_holds_changes_additions_and_marks_for_what_is_gone() {
        let file = |path: &str, text: &str| Entry::new(path, 0o644, Content::Bytes(text.as_bytes().to_vec()));
        let below: Fingerprints =
            [file("etc/kept", "1"), file("etc/changed", "1"), file("etc/gone", "1"), file("old", "")]
                .into_iter()
                .chain([file("old/inner", "1"), Entry::new("etc", 0o755, Content::Folder)])
                .map(|entry| (entry.path.clone(), entry.fingerprint().unwrap()))
                .collect();
        let folder = tempfile::tempdir().unwrap();
        let writer = LayerWriter::create(folder.path()).unwrap();
        let mut difference = Difference { gone: below.clone(), below, writer };
        for entry in [
            Entry::new("etc", 0o755, Content::Folder),
            file("etc/kept", "1"),
            file("etc/changed", "2"),
            file("etc/new", "3"),
        ] {
            difference.add(&entry).unwrap();
        }
        let layer = difference.finish().unwrap();
        let blob = File::open(layout::blob_path(folder.path(), &layer.digest).unwrap()).unwrap();
        let mut archive = tar::Archive::new(zstd::Decoder::new(blob).unwrap());
        let names: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["etc/changed", "etc/new", "etc/.wh.gone", ".wh.old"]);
    }

    #[test]
    fn the_key_follows_packages_and_the_layer_below() {
        let keys = [
            key(&NETWORK, "sha256:a").unwrap(),
            key(&NETWORK, "sha256:b").unwrap(),
            key(&HAPROXY, "sha256:a").unwrap(),
        ];
        assert_eq!(keys[0], key(&NETWORK, "sha256:a").unwrap());
        assert!(keys[0] != keys[1] && keys[0] != keys[2] && keys[1] != keys[2]);
    }
}
