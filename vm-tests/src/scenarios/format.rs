//! The bundle as other programs see it: reproducible, an OCI archive, signed in a way that anybody can check.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{Test, refusals};
use crate::lab::run;
use crate::test::Context;
use crate::{payload, programs};

/// In order.
pub const TESTS: &[Test] = &[
    Test::lab("format::two_builds_from_one_lock_are_equal", two_builds_are_equal),
    Test::lab("format::skopeo_lists_and_copies_images", skopeo),
    Test::lab("format::minisign_verifies_the_index", minisign),
    Test::lab("format::parts_are_read_where_they_lie", parts),
    Test::lab("format::a_key_that_follows_a_trusted_one_is_trusted", rotation),
];

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
    run(&mut build)?;
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
