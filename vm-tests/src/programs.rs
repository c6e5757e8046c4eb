//! The product's own programs, built as a customer and a vendor get them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cache::Key;
use crate::lab::run;

/// The target that makes each program one static file, and what both use is compiled once.
const STATIC_TARGET: &str = "x86_64-unknown-linux-musl";

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The customer's program, static.
    pub installer: PathBuf,
    /// The vendor's program, static, too.
    pub bundle_builder: PathBuf,
    /// Sizes of both together, bytes.
    pub bytes: u64,
}

/// Builds both in release mode; cargo itself skips what is unchanged.
pub fn build() -> Result<Programs> {
    need_target()?;
    // Together, so that what both use is compiled once: it is a fifth of the whole. Of what only the other one asks for,
    // nothing changes what a program does, and nothing of it is linked.
    let mut build = cargo();
    build.args(["build", "--quiet", "--locked", "--release", "--target", STATIC_TARGET]);
    build.args(["--package", "installer", "--package", "bundle-builder"]);
    let status = build.status().context("cannot start cargo")?;
    if !status.success() {
        bail!("cargo could not build the programs");
    }
    let folder = Workspace::of(&checkout())?.target.join(STATIC_TARGET).join("release");
    let (installer, bundle_builder) = (folder.join("installer"), folder.join("bundle-builder"));
    let mut bytes = 0;
    for program in [&installer, &bundle_builder] {
        bytes +=
            program.metadata().with_context(|| format!("cargo did not make {}", program.display()))?.len();
    }
    Ok(Programs { installer, bundle_builder, bytes })
}

impl Programs {
    /// A digest of one of them.
    pub fn key_of(program: &Path) -> Result<String> {
        Ok(Key::new("program 1").file(program)?.finish())
    }
}

/// The folder of this checkout.
pub fn checkout() -> PathBuf {
    // The manifest's folder is one below the top.
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// Has rustup fetch the static target's standard library where it is missing. `rust-toolchain.toml` names it, but
/// rustup follows that by itself only where it may install on its own (`RUSTUP_AUTO_INSTALL`), and only for a toolchain
/// that is new.
fn need_target() -> Result<()> {
    let words = ["--print", "target-libdir", "--target", STATIC_TARGET];
    let output = Command::new("rustc").args(words).current_dir(checkout()).output();
    let output = output.context("cannot start rustc")?;
    let folder = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    println!("installing Rust's standard library for {STATIC_TARGET}");
    run(Command::new("rustup").args(["target", "add", STATIC_TARGET]).current_dir(checkout())).with_context(
        || format!("this Rust has no standard library for {STATIC_TARGET}: install it, then run this again"),
    )?;
    Ok(())
}

/// The cargo that runs this, in this checkout.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(checkout());
    command
}

/// What cargo says of a checkout.
#[derive(Debug)]
pub struct Workspace {
    /// The folder that it compiles to.
    pub target: PathBuf,
    /// The names of the packages that are made of the checkout's own sources.
    pub packages: Vec<String>,
}

impl Workspace {
    /// Asks cargo in `root`.
    pub fn of(root: &Path) -> Result<Self> {
        let mut metadata = cargo();
        metadata.args(["metadata", "--format-version=1", "--no-deps", "--offline"]).current_dir(root);
        let metadata: serde_json::Value =
            serde_json::from_str(&run(&mut metadata)?).context("cannot read cargo's metadata")?;
        let target = metadata["target_directory"].as_str().context("cargo names no target folder")?;
        let packages = metadata["packages"].as_array().into_iter().flatten();
        let packages = packages.filter_map(|package| package["name"].as_str());
        Ok(Self { target: PathBuf::from(target), packages: packages.map(ToOwned::to_owned).collect() })
    }
}
