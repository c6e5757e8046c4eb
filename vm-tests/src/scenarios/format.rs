//! The bundle as other programs see it: reproducible, an OCI archive, signed in a way that anybody can check.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::{Test, refusals};
use crate::lab::run;
use crate::test::Context;
use crate::{payload, programs, wait};

/// In order.
pub const TESTS: &[Test] = &[
    Test::lab("format::as_much_in_it_as_in_a_real_one", as_much_as_in_a_real_one),
    Test::lab("format::two_builds_from_one_lock_are_equal", two_builds_are_equal),
    Test::lab("format::skopeo_lists_and_copies_images", skopeo),
    Test::lab("format::oras_reads_every_entry", oras),
    Test::lab("format::containerd_imports_every_image", containerd),
    Test::lab("format::minisign_verifies_the_index", minisign),
    Test::lab("format::parts_are_read_where_they_lie", parts),
    Test::lab("format::a_key_that_follows_a_trusted_one_is_trusted", rotation),
];

/// What is proved with this bundle is proved for one of a real product's kind: images, charts, cluster binaries, and images
/// for both kinds of processors.
fn as_much_as_in_a_real_one(context: &Context<'_>) -> Result<()> {
    let bundle = refusals::open(context, &context.made.bundle)?;
    let document = bundle.document();
    for (what, least, found) in [
        ("images", 20, document.images.len()),
        ("charts", 5, document.charts.len()),
        ("binaries", 12, document.files.iter().filter(|file| file.mode & 0o111 != 0).count()),
    ] {
        ensure!(found >= least, "{found} {what} are in the bundle, {least} are wanted");
    }
    let products = document.images.iter().filter(|image| image.name.contains("/orders/"));
    let mut both = 0;
    for image in products.filter(|image| image.media_type.contains("index")) {
        let index: Value = serde_json::from_slice(&bundle.read_blob(&image.digest)?)?;
        let entries = index["manifests"].as_array().context("an index without manifests")?;
        let packed = entries.iter().filter(|entry| image.blobs.iter().any(|blob| entry["digest"] == **blob));
        both += usize::from(packed.count() >= 2);
    }
    ensure!(both >= 3, "{both} images of the product are packed for two platforms, 3 are made for them");
    Ok(())
}

/// The second build starts from nothing but recipe, lock and upstream.
fn two_builds_are_equal(context: &Context<'_>) -> Result<()> {
    let scratch = scratch(context)?;
    let registry = payload::start_registry(context.cache, context.payload, 0)?;
    let mirrors = scratch.path().join("mirrors.yaml");
    fs::write(&mirrors, payload::mirrors_yaml(&registry.address())?)?;
    let lock = context.made.bundle.with_file_name("recipe.lock.yaml");
    let again = scratch.path().join("again.bundle");
    let mut build = Command::new(&context.programs.bundle_builder);
    build.arg("build").arg("--recipe").arg(programs::checkout().join("assets/orders/recipe.yaml"));
    build.arg("--lock").arg(&lock).arg("--mirrors").arg(&mirrors);
    build.arg(format!("--root=payload={}", context.payload.root().display()));
    build.arg("--key").arg(context.made.public_key.with_extension(""));
    build.arg("--cache").arg(scratch.path().join("cache"));
    build.arg("--helm").arg(context.payload.bin.join("helm"));
    build.arg("--out").arg(&again);
    let output = build.output().context("start bundle-builder")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{build:?}: {said}");
    // Each image that is no part of the cluster is named by a chart on one of the sample sites, or by a hint.
    ensure!(!said.contains("nothing names it"), "{said}");
    let compare = Command::new("cmp").arg(&context.made.bundle).arg(&again).output()?;
    if !compare.status.success() {
        bail!("the two builds differ: {}", String::from_utf8_lossy(&compare.stdout));
    }
    Ok(())
}

/// Beside the labs: on the disk that has room.
fn scratch(context: &Context<'_>) -> Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix("scratch-")
        .tempdir_in(context.lab.folder())
        .context("no room for a scratch folder")
}

fn skopeo(context: &Context<'_>) -> Result<()> {
    let scratch = scratch(context)?;
    let bundle = refusals::open(context, &context.made.bundle)?;
    let archive = format!("oci-archive:{}", context.made.bundle.display());
    let skopeo = |words: &[&str]| {
        let mut command = Command::new("skopeo");
        // It unpacks archives; the default place may be a small file system in memory.
        command.args(words).env("TMPDIR", scratch.path());
        run(&mut command)
    };
    let listed =
        [&bundle.document().kubernetes.pause_image, &bundle.document().kubernetes.load_balancer_image];
    for name in listed {
        let image = bundle.document().images.iter().find(|image| image.name == **name);
        let image = image.with_context(|| format!("{name} is not in the bundle"))?;
        let seen: Value = serde_json::from_str(&skopeo(&["inspect", &format!("{archive}:{name}")])?)?;
        if seen["Digest"] != image.digest.as_str() {
            bail!("skopeo sees {} as {}, the bundle names {}", name, seen["Digest"], image.digest);
        }
    }
    let name = &bundle.document().kubernetes.pause_image;
    let copied = scratch.path().join("copied");
    skopeo(&["copy", "--quiet", &format!("{archive}:{name}"), &format!("oci:{}:copied", copied.display())])?;
    let index: Value = serde_json::from_slice(&fs::read(copied.join("index.json"))?)?;
    let image = bundle.document().images.iter().find(|image| image.name == *name);
    let digest = image.map(|image| image.digest.as_str());
    if index["manifests"][0]["digest"].as_str() != digest {
        bail!("the copied image is {}, the bundle names {digest:?}", index["manifests"][0]["digest"]);
    }
    Ok(())
}

/// The ORAS library finds each image by its name, each chart and file by its digest, and every blob below them.
fn oras(context: &Context<'_>) -> Result<()> {
    let bundle = refusals::open(context, &context.made.bundle)?;
    let document = bundle.document();
    let artifacts: Vec<(&str, &str)> = document
        .charts
        .iter()
        .map(|chart| (chart.name.as_str(), chart.manifest.as_str()))
        .chain(document.files.iter().map(|file| (file.name.as_str(), file.manifest.as_str())))
        .collect();
    let mut list = Command::new(context.payload.bin.join("oci-list"));
    list.arg(&context.made.bundle).args(artifacts.iter().map(|(_, digest)| digest));
    let seen: Value = serde_json::from_str(&run(&mut list)?)?;
    let entries = seen["entries"].as_array().context("oci-list names no entries")?;
    let images =
        document.images.iter().map(|image| (image.name.as_str(), image.name.as_str(), &image.digest));
    let others =
        document.charts.iter().map(|chart| (chart.name.as_str(), chart.manifest.as_str(), &chart.manifest));
    let files =
        document.files.iter().map(|file| (file.name.as_str(), file.manifest.as_str(), &file.manifest));
    for (name, tag, digest) in images.chain(others).chain(files) {
        let entry = entries.iter().find(|entry| entry["tag"] == tag);
        let entry = entry.with_context(|| format!("ORAS does not see {name}"))?;
        if entry["digest"] != digest.as_str() || entry["absent"] != 0 || entry["blobs"].as_u64() < Some(3) {
            bail!("ORAS sees {name} as {entry}, the bundle names {digest}");
        }
    }
    Ok(())
}

/// containerd's own import takes the bundle as it is, and names every image as the recipe does.
fn containerd(context: &Context<'_>) -> Result<()> {
    let bundle = refusals::open(context, &context.made.bundle)?;
    let scratch = scratch(context)?;
    let containerd = Containerd::start(&context.payload.bin, scratch.path())?;
    let ctr = |words: &[&str]| {
        let mut command = Command::new(context.payload.bin.join("ctr"));
        command.arg("--address").arg(&containerd.socket).args(words);
        run(&mut command)
    };
    let path = context.made.bundle.to_string_lossy();
    ctr(&["images", "import", "--no-unpack", &path])?;
    let listed = ctr(&["images", "list"])?;
    for image in &bundle.document().images {
        let line = listed.lines().find(|line| line.split_whitespace().next() == Some(&image.name));
        if !line.is_some_and(|line| line.contains(&image.digest)) {
            bail!("containerd has {} as {line:?}, the bundle names {}", image.name, image.digest);
        }
    }
    Ok(())
}

/// A containerd that keeps images only; it ends when this is dropped.
struct Containerd {
    child: std::process::Child,
    socket: PathBuf,
}

impl Containerd {
    fn start(programs: &Path, folder: &Path) -> Result<Self> {
        let (socket, settings) = (folder.join("containerd.sock"), folder.join("containerd.toml"));
        let place = |name: &str| folder.join(name).display().to_string();
        fs::write(
            &settings,
            format!(
                "version = 3\nroot = \"{}\"\nstate = \"{}\"\n\
                 disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.cri.v1.runtime\", \"io.containerd.cri.v1.images\"]\n\
                 [grpc]\naddress = \"{}\"\n",
                place("root"),
                place("state"),
                socket.display()
            ),
        )?;
        let log = fs::File::create(folder.join("containerd.log"))?;
        // setpriv lets the kernel end it when we are killed and cannot.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(programs.join("containerd"))
            .arg("--config")
            .arg(&settings)
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("start containerd")?;
        let mut started = Self { child, socket };
        started.wait_until_answering(programs, folder)?;
        Ok(started)
    }

    fn wait_until_answering(&mut self, programs: &Path, folder: &Path) -> Result<()> {
        wait::until_true("containerd answers", Duration::from_secs(30), || {
            if let Some(status) = self.child.try_wait()? {
                let log = fs::read_to_string(folder.join("containerd.log")).unwrap_or_default();
                bail!("containerd ended with {status}\n{log}");
            }
            let mut version = Command::new(programs.join("ctr"));
            version.arg("--address").arg(&self.socket).args(["--connect-timeout", "1s", "version"]);
            Ok(version.output()?.status.success())
        })
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn minisign(context: &Context<'_>) -> Result<()> {
    let scratch = scratch(context)?;
    for name in ["index.json", "index.json.minisig"] {
        let output = Command::new("tar").arg("-xOf").arg(&context.made.bundle).arg(name).output()?;
        if !output.status.success() {
            bail!("tar cannot take out {name}: {}", String::from_utf8_lossy(&output.stderr));
        }
        fs::write(scratch.path().join(name), output.stdout)?;
    }
    let index = scratch.path().join("index.json");
    let said = verify(&index, &context.made.public_key)?;
    if !said.contains("Signature and comment signature verified") || !said.contains("orders") {
        bail!("minisign said {said:?}");
    }
    let mut changed = fs::read(&index)?;
    changed.push(b' ');
    fs::write(&index, changed)?;
    if verify(&index, &context.made.public_key).is_ok() {
        bail!("minisign takes a changed index for the signed one");
    }
    Ok(())
}

fn verify(file: &Path, key: &Path) -> Result<String> {
    run(Command::new("minisign").arg("-V").arg("-p").arg(key).arg("-m").arg(file))
}

/// The installer reads a bundle by its first part, and names the part that is wrong.
fn parts(context: &Context<'_>) -> Result<()> {
    let scratch = scratch(context)?;
    let builder = || Command::new(&context.programs.bundle_builder);
    run(builder()
        .arg("split")
        .arg(&context.made.bundle)
        .args(["--size", "64MB", "--out"])
        .arg(scratch.path()))?;
    let name = context.made.bundle.file_name().context("the bundle has no name")?.to_string_lossy();
    let part = |number: usize| scratch.path().join(format!("{name}.{number:03}"));
    let first = part(1).display().to_string();
    let verify = || context.installer(&["verify", &first]);
    verify()?.expect_code(0)?.expect_text(&["every one of", "fingerprint"])?;
    fs::rename(part(2), part(3).with_extension("aside"))?;
    let missing = part(2).display().to_string();
    verify()?.expect_code(5)?.expect_text(&[&missing, "is missing", "put the part beside the others"])?;
    Ok(())
}

/// Who trusts a key and has its statement trusts the key that follows it; without the statement nobody does.
fn rotation(context: &Context<'_>) -> Result<()> {
    let scratch = scratch(context)?;
    let builder = || Command::new(&context.programs.bundle_builder);
    let (old, statement) = (scratch.path().join("old.key"), scratch.path().join("release.rotation"));
    run(builder().args(["keygen", "--no-password", "--out"]).arg(&old))?;
    let release = context.made.public_key.with_extension("");
    let mut rotate = builder();
    rotate.args(["key", "rotate", "--old"]).arg(&old).arg("--new").arg(release).arg("--out").arg(&statement);
    run(&mut rotate)?;
    let trust = format!("--trust-key={}.pub", old.display());
    let rotation = format!("--rotation={}", statement.display());
    context.installer(&["verify", "orders.bundle", &trust, &rotation])?.expect_code(0)?;
    context
        .installer(&["verify", "orders.bundle", &trust])?
        .expect_code(5)?
        .expect_text(&["signed by key", "fingerprint of the signing key"])?;
    Ok(())
}
