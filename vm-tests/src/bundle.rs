//! The demo's bundle, made as a vendor makes it: keygen, lock, build, from the recipe and a registry.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cache::Key;
use crate::payload::{self, Payload};
use crate::programs::{self, Programs};

/// A bundle and the key that proves it.
#[derive(Debug, Clone)]
pub struct Made {
    /// The bundle.
    pub bundle: PathBuf,
    /// The vendor's public key.
    pub public_key: PathBuf,
    /// Size of the bundle, bytes.
    pub bytes: u64,
    /// Whether it was there already, made from the same inputs.
    pub reused: bool,
}

/// Makes the bundle below `cache`, unless one made from the same inputs is there.
pub fn make(cache: &Path, programs: &Programs, payload: &Payload) -> Result<Made> {
    let folder = cache.join("bundle");
    let public_key = vendor_key(&folder, programs)?;
    let key = key(programs, payload, &public_key)?;
    let result = folder.join(&key);
    let bundle = result.join("orders.bundle");
    let reused = bundle.is_file();
    if !reused {
        let temporary = folder.join(format!("{key}.part"));
        // Left by a killed run.
        if temporary.exists() {
            fs::remove_dir_all(&temporary)?;
        }
        fs::create_dir_all(&temporary)?;
        lock_and_build(cache, programs, payload, &temporary)?;
        fs::rename(&temporary, &result)?;
        forget_others(&folder, &key)?;
    }
    let bytes = bundle.metadata()?.len();
    Ok(Made { bundle, public_key, bytes, reused })
}

/// Everything that the bundle depends on.
fn key(programs: &Programs, payload: &Payload, public_key: &Path) -> Result<String> {
    let assets = programs::checkout().join("assets");
    let key = Key::new("bundle 1")
        .text(&payload.key)
        .text(&Programs::key_of(&programs.bundle_builder)?)
        .file(public_key)?;
    Ok(payload::with_tree(key, &assets, &|_| false)?.finish())
}

/// The vendor's key pair lasts: a new one would make every bundle a stranger to installed sites.
fn vendor_key(folder: &Path, programs: &Programs) -> Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let secret = folder.join("vendor.key");
    let public = folder.join("vendor.key.pub");
    if !(secret.is_file() && public.is_file()) {
        for path in [&secret, &public] {
            // A half of a pair is of no use.
            let _ = fs::remove_file(path);
        }
        let mut keygen = Command::new(&programs.bundle_builder);
        keygen.args(["keygen", "--no-password", "--out"]).arg(&secret);
        run(&mut keygen)?;
    }
    Ok(public)
}

fn lock_and_build(cache: &Path, programs: &Programs, payload: &Payload, folder: &Path) -> Result<()> {
    let registry = payload::start_registry(cache, payload, 0)?;
    let mirrors = folder.join("mirrors.yaml");
    fs::write(&mirrors, payload::mirrors_yaml(&registry.address())?)?;
    let recipe = programs::checkout().join("assets/orders/recipe.yaml");
    let lock = folder.join("recipe.lock.yaml");
    let mut command = Command::new(&programs.bundle_builder);
    command.arg("lock").arg("--recipe").arg(&recipe).arg("--lock").arg(&lock);
    run(common(&mut command, payload, &mirrors))?;
    let mut command = Command::new(&programs.bundle_builder);
    command.arg("build").arg("--recipe").arg(&recipe).arg("--lock").arg(&lock);
    command.arg("--key").arg(cache.join("bundle/vendor.key"));
    command.arg("--cache").arg(cache.join("bundle/blobs"));
    command.arg("--helm").arg(payload.bin.join("helm"));
    command.arg("--out").arg(folder.join("orders.bundle"));
    run(common(&mut command, payload, &mirrors))
}

fn common<'a>(command: &'a mut Command, payload: &Payload, mirrors: &Path) -> &'a mut Command {
    command.arg("--mirrors").arg(mirrors).arg(format!("--root=payload={}", payload.root().display()))
}

/// One bundle of a checkout is enough: they are large.
fn forget_others(folder: &Path, key: &str) -> Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        let path = entry.path();
        let is_bundle = path.join("orders.bundle").exists() || path.extension().is_some_and(|e| e == "part");
        if path.is_dir() && is_bundle && entry.file_name() != *key {
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} ended with {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
