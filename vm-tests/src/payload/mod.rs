//! The payload: everything that stands for the vendor's upstream, made on this machine.
//!
//! Programs are built from pinned Go modules, images from those programs and from Debian packages, and the real
//! distribution registry serves the images under their upstream names. Each part lies in the cache under a digest
//! of its inputs and is made only when it is not there.
//!
//! In order of use: [`build`] gives a [`Payload`]; [`start_registry`] gives a [`Registry`] with its images;
//! [`mirrors_yaml`] tells the bundle builder where upstream is. This room knows nothing of labs, bundles or installs.

mod catalog;
mod command;
mod debian;
mod image;
mod key;
mod layer;
mod registry;
mod results;
mod tool;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    thread,
};

use anyhow::{Context as _, Result, anyhow};

use self::{
    image::Programs,
    key::with_list,
    results::Results,
    tool::{Built, Sources},
};

use crate::{
    cache::{self, Key},
    stage::{StageRecord, human_bytes},
};

pub use self::{image::Image, key::with_tree, registry::Registry, results::Report};

/// Debian packages that building a payload needs.
pub const PACKAGES: &[&str] = &[
    "ca-certificates",
    "debian-archive-keyring",
    "gcc",
    "libc6-dev",
    "libseccomp-dev",
    "mmdebstrap",
    "pkg-config",
    "util-linux",
];

/// The Kubernetes release of the demo.
pub const KUBERNETES: &str = "1.36.3";

/// A finished payload.
#[derive(Debug, Clone)]
pub struct Payload {
    /// Folder with all programs by name: the root `payload` of recipes is its parent.
    pub bin: PathBuf,
    /// Kubernetes release, such as `1.36.3`.
    pub version: String,
    /// Digest of everything that the payload was made from.
    pub key: String,
    /// Size of programs and images, bytes.
    pub bytes: u64,
    /// The images as OCI layouts.
    pub images: Vec<Image>,
    /// What was done for it, in order.
    pub steps: Vec<StageRecord>,
}

impl Payload {
    /// The folder that recipes see as `payload`: it holds `bin/`.
    pub fn root(&self) -> &Path {
        self.bin.parent().unwrap_or(&self.bin)
    }
}

/// Makes the payload with Kubernetes `kubernetes` (`1.36.3`) below `cache`.
pub fn build(cache: &Path, kubernetes: &str) -> Result<Payload> {
    build_with(cache, kubernetes, &|_| ())
}

/// As [`build`]; `report` hears of each step.
pub fn build_with(cache: &Path, kubernetes: &str, report: Report) -> Result<Payload> {
    let steps = Mutex::new(Vec::new());
    let remember = |step: &StageRecord| {
        report(step);
        if let Ok(mut steps) = steps.lock() {
            steps.push(step.clone());
        }
    };
    let folder = cache.join("payload");
    let results = Results::new(&folder, &remember);
    let sources = Sources::of_this_checkout();

    // Installing packages waits for the network, compiling for the processor.
    let (trees, built) = thread::scope(|scope| {
        let trees = scope.spawn(|| image::trees(results));
        let built = build_tools(results, &sources, kubernetes);
        (trees.join().unwrap_or_else(|_| Err(anyhow!("the thread for Debian packages broke"))), built)
    });
    let programs = tool::programs(&built?)?;
    let images = image::all(results, &sources, kubernetes, &programs, &trees?)?;
    let bin = collect(results, kubernetes, &programs)?;

    let mut key = Key::new("payload 1").text(kubernetes);
    key = with_list(key, programs.values().map(|(_, key)| key.as_str()));
    key = with_list(key, images.iter().map(|image| image.digest.as_str()));
    let bytes = results::size_of(&bin)? + image_bytes(&images);
    let steps = steps.into_inner().unwrap_or_default();
    Ok(Payload { bin, version: kubernetes.to_owned(), key: key.finish(), bytes, images, steps })
}

fn build_tools(results: Results, sources: &Sources, kubernetes: &str) -> Result<Vec<Built>> {
    let go_version = command::version_of("go", &["version"])?;
    let mut built = vec![build_pause(results, sources)?];
    for tool in tool::all(sources, kubernetes, catalog::PRODUCT_VERSION)? {
        built.push(tool.build(results, &go_version)?);
    }
    Ok(built)
}

/// The one program that is no Go module.
fn build_pause(results: Results, sources: &Sources) -> Result<Built> {
    let source = sources.payload.join("pause/pause.c");
    let flags = ["-static", "-Os", "-s", "-Wall", "-Wextra", "-Werror"];
    let key = Key::new("pause 1").text(&command::version_of("gcc", &["--version"])?).text(&flags.join(" "));
    let key = key.file(&source)?.finish();
    let folder = results.get("pause", &key, |folder| {
        let mut gcc = Command::new("gcc");
        gcc.args(flags).arg("-o").arg(folder.join("pause")).arg(&source);
        command::output_of(&mut gcc)?;
        Ok(())
    })?;
    Ok(Built { folder, key })
}

/// One folder with all programs.
fn collect(results: Results, kubernetes: &str, programs: &Programs) -> Result<PathBuf> {
    let key = with_list(
        Key::new("programs 1"),
        programs.iter().flat_map(|(name, (_, key))| [name.as_str(), key.as_str()]),
    );
    let folder = results.get(&format!("programs-{kubernetes}"), &key.finish(), |folder| {
        let bin = folder.join("bin");
        fs::create_dir(&bin).with_context(|| format!("create {}", bin.display()))?;
        programs.iter().try_for_each(|(name, (path, _))| results::link(path, &bin.join(name)))
    })?;
    Ok(folder.join("bin"))
}

/// Bytes of all blobs, shared ones once.
pub fn image_bytes(images: &[Image]) -> u64 {
    let blobs: BTreeMap<&str, u64> =
        images.iter().flat_map(|image| &image.blobs).map(|blob| (blob.digest.as_str(), blob.size)).collect();
    blobs.values().sum()
}

/// Full upstream names of the images of a payload, with tags.
pub fn image_references(kubernetes: &str) -> Result<Vec<String>> {
    catalog::references(&Sources::of_this_checkout(), kubernetes)
}

/// Starts the payload's registry on `port` of 127.0.0.1 (0: any free one) with all its images, over the storage that
/// all payloads of `cache` share. It ends with the guard, and with the thread that called this.
pub fn start_registry(cache: &Path, payload: &Payload, port: u16) -> Result<Registry> {
    Registry::start(&payload.bin.join("registry"), &cache.join("registry"), port, &payload.images)
}

/// The bundle builder's `mirrors.yaml`: every upstream registry of the payload at `registry_address`
/// (`127.0.0.1:5000`).
pub fn mirrors_yaml(registry_address: &str) -> Result<String> {
    let references = image_references(KUBERNETES)?;
    let hosts: BTreeSet<&str> =
        references.iter().filter_map(|name| name.split_once('/')).map(|(host, _)| host).collect();
    let mirrors: BTreeMap<&str, String> =
        hosts.into_iter().map(|host| (host, format!("http://{registry_address}/{host}"))).collect();
    Ok(serde_yaml::to_string(&BTreeMap::from([("mirrors", mirrors)]))?)
}

/// Arguments of `cargo xtask payload`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Kubernetes release to build, one of those pinned in vm-tests/payload/go
    #[arg(long, default_value = KUBERNETES)]
    pub kubernetes: String,
    /// Port of 127.0.0.1 for the registry that the images are pushed to; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
}

/// Builds the payload, pushes its images, and prints a line for each step.
pub fn run(arguments: &Arguments) -> Result<()> {
    let cache = cache::root();
    println!("Payload with Kubernetes {} in {}", arguments.kubernetes, cache.display());
    let payload = build_with(&cache, &arguments.kubernetes, &|step| println!("{}", line(step)))?;
    let start = std::time::Instant::now();
    let registry = start_registry(&cache, &payload, arguments.port)?;
    println!(
        "{}",
        line(&StageRecord {
            name: format!("registry ({} of {} images pushed)", registry.pushed.images, payload.images.len()),
            bytes: registry.pushed.bytes,
            seconds: start.elapsed().as_secs_f64(),
            skipped: registry.pushed.images == 0,
        })
    );
    for image in &payload.images {
        println!(
            "  {:<52} {} {}",
            image.reference,
            image.digest,
            human_bytes(image_bytes(std::slice::from_ref(image)))
        );
    }
    let images = image_bytes(&payload.images);
    println!(
        "payload {}: {} in all, of that {} images; key {}",
        payload.version,
        human_bytes(payload.bytes),
        human_bytes(images),
        payload.key
    );
    Ok(())
}

fn line(step: &StageRecord) -> String {
    let done = if step.skipped { "unchanged" } else { "made" };
    format!("  {:<36} {:>10} {:>7.1} s  {done}", step.name, human_bytes(step.bytes), step.seconds)
}

#[cfg(test)]
mod tests;
