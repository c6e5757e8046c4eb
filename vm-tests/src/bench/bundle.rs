//! `cargo xtask bench bundle`: packing, verifying and opening, on the demo's payload.
//!
//! The *limit* of packing is the time that the same bytes need when each is read once, hashed with the fastest SHA-256
//! at hand, compressed with zstd -3 on all cores where it is not compressed yet, and written once, all of that
//! overlapped perfectly. It does not count that the closure gate starts Helm for each rendering; each round says how long
//! that alone takes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use sealift_bundle::{Bundle, TrustedKeys, testing};

use super::figure::{Figure, median};
use super::{memory, surroundings};
use crate::lab::run as run_command;
use crate::payload::{self, Payload, Registry};
use crate::programs::{self, Programs};
use crate::stage::human_bytes;
use crate::{cache, system};

/// Blobs of the large bundle that is only opened and listed, and bytes of each: 20 GB in all.
const LARGE: (u32, u64) = (2_000, 10_000_000);
/// The image that is another one in the second recipe, and its name there.
const CHANGED: (&str, &str) = (
    "registry.sealift.example/orders/network-tools:4.2.0",
    "registry.sealift.example/orders/network-tools:4.2.1",
);
/// Other people's programs that ours is measured against.
const BASELINES: &[&str] = &["coreutils", "openssl", "skopeo", "tar", "zstd"];
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// How much is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How many rounds, each with everything that is compared; medians count
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
}

/// What is packed, and from where.
struct Inputs {
    programs: Programs,
    payload: Payload,
    registry: Registry,
    scratch: tempfile::TempDir,
    /// References of the recipe's images.
    images: Vec<String>,
    /// Programs that the recipe packs.
    files: Vec<PathBuf>,
}

/// One command's time and memory.
#[derive(Debug, Clone, Copy)]
struct Ran {
    seconds: f64,
    memory: u64,
    /// Most bytes that lay in the folder for temporary files.
    temporary: u64,
}

/// One round.
struct Round {
    first: Ran,
    again: Ran,
    copy: f64,
    verify: Ran,
    by_hand: f64,
    limit: f64,
    sha256sum: f64,
    openssl: f64,
    /// As many starts of Helm as the gate of the first build made, one on each core at a time, and nothing else.
    helm: f64,
}

/// Measures and gives the figures.
pub fn run(options: &Options) -> Result<Vec<Figure>> {
    system::need_root()?;
    system::ensure(&[system::LAB, payload::PACKAGES, system::BUILD, BASELINES])?;
    let inputs = Inputs::make(&cache::root())?;
    inputs.show()?;
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        let round = inputs.round()?;
        println!(
            "round {number}      build {:.2} s (starts of Helm alone {:.2} s), by hand {:.2} s, limit {:.2} s; again {:.2} s, \
             copy {:.2} s; verify {:.3} s, sha256sum {:.3} s, openssl {:.3} s",
            round.first.seconds,
            round.helm,
            round.by_hand,
            round.limit,
            round.again.seconds,
            round.copy,
            round.verify.seconds,
            round.sha256sum,
            round.openssl
        );
        rounds.push(round);
    }
    let mut figures = figures(&rounds, has_sha_instructions());
    figures.extend(inputs.large()?);
    Ok(figures)
}

fn figures(rounds: &[Round], sha_instructions: bool) -> Vec<Figure> {
    let middle = |value: &dyn Fn(&Round) -> f64| median(&rounds.iter().map(value).collect::<Vec<_>>());
    let most = |value: &dyn Fn(&Round) -> u64| rounds.iter().map(value).max().unwrap_or(u64::MAX) as f64;
    let figure = |name, value, unit, target| Figure { name, value, unit, target };
    // Hashing is most of the work where the processor has no instructions for it, and nobody gets round it.
    let by_hand = if sha_instructions { 1.0 / 1.5 } else { 1.0 / 1.15 };
    vec![
        figure("build-to-limit", middle(&|one| one.first.seconds / one.limit), "ratio", 1.3),
        figure("build-to-skopeo-tar-zstd", middle(&|one| one.first.seconds / one.by_hand), "ratio", by_hand),
        figure(
            "rebuild-less-copy-to-build",
            middle(&|one| (one.again.seconds - one.copy) / one.first.seconds),
            "ratio",
            0.05,
        ),
        figure("verify-to-sha256sum", middle(&|one| one.verify.seconds / one.sha256sum), "ratio", 1.0 / 1.7),
        figure("verify-to-openssl", middle(&|one| one.verify.seconds / one.openssl), "ratio", 1.0 / 0.8),
        figure("build-memory", most(&|one| one.first.memory) / MEBIBYTE, "MiB", 200.0),
        figure("verify-memory", most(&|one| one.verify.memory) / MEBIBYTE, "MiB", 200.0),
        figure("temporary-disk", most(&|one| one.first.temporary), "B", 0.0),
    ]
}

impl Inputs {
    fn make(cache: &Path) -> Result<Self> {
        let programs = programs::build()?;
        let payload = payload::build(cache, payload::KUBERNETES)?;
        let registry = payload::start_registry(cache, &payload, 0)?;
        fs::create_dir_all(cache.join("bench"))?;
        let scratch = tempfile::Builder::new().prefix("bundle-").tempdir_in(cache.join("bench"))?;
        let recipe = fs::read_to_string(programs::checkout().join("assets/orders/recipe.yaml"))?;
        let values: serde_yaml::Value = serde_yaml::from_str(&recipe)?;
        let names = |key: &str, of: &dyn Fn(&serde_yaml::Value) -> Option<String>| -> Vec<String> {
            values[key].as_sequence().into_iter().flatten().filter_map(of).collect()
        };
        let images = names("images", &|image| image["name"].as_str().map(str::to_owned));
        let files = names("files", &|file| file["source"]["path"].as_str().map(str::to_owned));
        let files: Vec<PathBuf> = files.iter().map(|path| payload.root().join(path)).collect();
        ensure!(!images.is_empty() && !files.is_empty(), "the recipe names no images or no files");
        let mut inputs = Self { programs, payload, registry, scratch, images, files };
        inputs.prepare()?;
        Ok(inputs)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Key, mirrors, both recipes and their locks, and the changed image in the registry.
    fn prepare(&mut self) -> Result<()> {
        let mut keygen = Command::new(&self.programs.bundle_builder);
        run_command(keygen.args(["keygen", "--no-password", "--out"]).arg(self.at("vendor.key")))?;
        fs::write(self.at("mirrors.yaml"), payload::mirrors_yaml(&self.registry.address())?)?;
        let folder = self.at("changed");
        let image = self.payload.images.iter().find(|image| image.reference == CHANGED.0);
        self.registry.push_relabelled(image.context("no image to change")?, CHANGED.1, &folder)?;
        let assets = programs::checkout().join("assets");
        for (name, change) in [("one", false), ("two", true)] {
            let folder = self.at(name);
            run_command(Command::new("cp").arg("-r").arg(&assets).arg(&folder))?;
            let path = folder.join("orders/recipe.yaml");
            if change {
                fs::write(&path, fs::read_to_string(&path)?.replace(CHANGED.0, CHANGED.1))?;
            }
            let mut lock = self.builder("lock", name);
            run_command(lock.arg("--cache").arg(self.at("cache-lock")))?;
        }
        fs::create_dir(self.at("temporary")).context("create a folder for temporary files")
    }

    fn builder(&self, verb: &str, recipe: &str) -> Command {
        let folder = self.at(recipe).join("orders");
        let mut command = Command::new(&self.programs.bundle_builder);
        command.arg(verb).arg("--recipe").arg(folder.join("recipe.yaml"));
        command.arg("--lock").arg(folder.join("recipe.lock.yaml"));
        command.arg("--mirrors").arg(self.at("mirrors.yaml"));
        command.arg(format!("--root=payload={}", self.payload.root().display()));
        command
    }

    /// With what it said.
    fn build(&self, recipe: &str, target: &Path) -> Result<(Ran, String)> {
        let mut command = self.builder("build", recipe);
        command.arg("--key").arg(self.at("vendor.key")).arg("--cache").arg(self.at("cache"));
        command.arg("--helm").arg(self.payload.bin.join("helm")).arg("--out").arg(target);
        measured(&mut command, &self.at("temporary"))
    }

    fn round(&self) -> Result<Round> {
        for name in ["cache", "by-hand"] {
            remove(&self.at(name))?;
        }
        let (one, two, copied) = (self.at("one.bundle"), self.at("two.bundle"), self.at("copied"));
        for path in [&one, &two] {
            remove(path)?;
        }
        let by_hand = self.by_hand()?;
        let (first, said) = self.build("one", &one)?;
        let (again, _) = self.build("two", &two)?;
        let copy = timed(|| {
            fs::copy(&two, &copied)?;
            // The bundle is on the disk when it gets its name; so must be its copy.
            Ok(fs::File::open(&copied)?.sync_all()?)
        })?;
        remove(&copied)?;
        let mut verify = Command::new(&self.programs.bundle_builder);
        verify.arg("verify").arg(&one).arg("--key").arg(self.at("vendor.key.pub"));
        let (verify, _) = measured(&mut verify, &self.at("temporary"))?;
        let sha256sum = timed(|| run_command(Command::new("sha256sum").arg(&one)).map(drop))?;
        let size = one.metadata()?.len();
        let openssl = size as f64 / (openssl_speed()? * cores() as f64);
        let helm = self.starts_of_helm(renderings(&said)?)?;
        Ok(Round { first, again, copy, verify, by_hand, limit: self.limit(size)?, sha256sum, openssl, helm })
    }

    /// What Helm takes before it renders anything.
    fn starts_of_helm(&self, number: u32) -> Result<f64> {
        let next = AtomicU32::new(0);
        let lane = || {
            while next.fetch_add(1, Ordering::Relaxed) < number {
                run_command(Command::new(self.payload.bin.join("helm")).args(["version", "--short"]))?;
            }
            Ok(())
        };
        timed(|| {
            thread::scope(|scope| {
                let lanes: Vec<_> = (0..cores()).map(|_| scope.spawn(lane)).collect();
                lanes.into_iter().try_for_each(|lane| lane.join().unwrap_or_else(|_| bail!("a thread broke")))
            })
        })
    }

    /// All images into one OCI layout, then everything into one compressed archive: what people do without us.
    fn by_hand(&self) -> Result<f64> {
        let folder = self.at("by-hand");
        fs::create_dir(&folder)?;
        let layout = folder.join("images");
        timed(|| {
            for reference in &self.images {
                let mut skopeo = Command::new("skopeo");
                skopeo.args(["copy", "--quiet", "--all", "--src-tls-verify=false"]);
                skopeo.arg(format!("docker://{}/{reference}", self.registry.address()));
                run_command(skopeo.arg(format!("oci:{}:{reference}", layout.display())))?;
            }
            let mut tar = Command::new("tar");
            tar.args(["--dereference", "-I", "zstd -3 -T0", "-cf"]).arg(folder.join("all.tar.zst"));
            tar.arg("-C").arg(&folder).arg("images");
            for file in &self.files {
                let folder = file.parent().context("a program without a folder")?;
                tar.arg("-C").arg(folder).arg(file.file_name().context("a program without a name")?);
            }
            run_command(&mut tar).map(drop)
        })
    }

    /// See the top of this page. `written` are the bytes of the bundle.
    fn limit(&self, written: u64) -> Result<f64> {
        let plain = self.files.iter().map(|path| Ok(path.metadata()?.len())).sum::<Result<u64>>()?;
        let layers = payload::image_bytes(&self.payload.images);
        let read = timed(|| {
            for path in &self.files {
                std::io::copy(&mut fs::File::open(path)?, &mut std::io::sink())?;
            }
            Ok(())
        })? * (plain + layers) as f64
            / plain as f64;
        let hash = (plain + layers) as f64 / (openssl_speed()? * cores() as f64);
        let compress = timed(|| {
            let mut zstd = Command::new("zstd");
            zstd.args(["-3", "-T0", "--quiet", "--stdout"]).args(&self.files).stdout(Stdio::null());
            ensure!(zstd.status()?.success(), "zstd failed");
            Ok(())
        })?;
        let path = self.at("written");
        let mut content = vec![0_u8; 1 << 20];
        content
            .iter_mut()
            .zip(0_u32..)
            .for_each(|(byte, n)| *byte = (n.wrapping_mul(2_654_435_761) >> 24) as u8);
        let write = timed(|| {
            let mut file = fs::File::create(&path)?;
            for _ in 0..written.div_ceil(content.len() as u64) {
                std::io::Write::write_all(&mut file, &content)?;
            }
            Ok(file.sync_all()?)
        })?;
        remove(&path)?;
        // Hashing and compressing share the cores; the disk works beside them.
        Ok((hash + compress).max(read).max(write))
    }

    /// Opens and lists a bundle of 20 GB: time of the whole program, and bytes that opening reads.
    fn large(&self) -> Result<Vec<Figure>> {
        let (path, key) = testing::hollow_bundle(self.scratch.path(), LARGE.0, LARGE.1);
        let key_path = self.at("large.pub");
        fs::write(&key_path, key)?;
        let before = bytes_read()?;
        let bundle = Bundle::open(&path, &TrustedKeys::from_files(std::slice::from_ref(&key_path))?)?;
        let blobs = bundle.blobs().len();
        let read = bytes_read()? - before;
        ensure!(blobs > LARGE.0 as usize, "the large bundle has only {blobs} blobs");
        let mut times = Vec::new();
        for _ in 0..5 {
            let mut list = Command::new(&self.programs.bundle_builder);
            list.arg("ls").arg(&path).arg("--key").arg(&key_path);
            times.push(timed(|| run_command(&mut list).map(drop))?);
        }
        println!(
            "large        {} in {blobs} blobs, opening read {}",
            human_bytes(bundle.size()),
            human_bytes(read)
        );
        Ok(vec![
            Figure { name: "list-large", value: median(&times) * 1000.0, unit: "ms", target: 100.0 },
            Figure { name: "open-large-read", value: read as f64 / 1e6, unit: "MB", target: 2.0 },
        ])
    }

    /// Everything that the figures depend on.
    fn show(&self) -> Result<()> {
        for line in surroundings::lines() {
            println!("{line}");
        }
        let plain = self.files.iter().map(|path| Ok(path.metadata()?.len())).sum::<Result<u64>>()?;
        println!(
            "input        {} images, {} of blobs; {} programs, {}",
            self.images.len(),
            human_bytes(payload::image_bytes(&self.payload.images)),
            self.files.len(),
            human_bytes(plain)
        );
        println!("sha          instructions of the processor: {}", has_sha_instructions());
        for (program, argument) in [
            ("skopeo", "--version"),
            ("zstd", "--version"),
            ("openssl", "version"),
            ("sha256sum", "--version"),
        ] {
            let said = run_command(Command::new(program).arg(argument))?;
            println!("baseline     {}", said.lines().next().unwrap_or(program));
        }
        println!("builder      {}", env!("CARGO_PKG_VERSION"));
        Ok(())
    }
}

/// How often the gate of a build rendered something.
fn renderings(said: &str) -> Result<u32> {
    let gate =
        said.lines().find_map(|line| line.strip_prefix("gate ")).context("the build told of no gate")?;
    let number = gate.split_once(" times").and_then(|(before, _)| before.split(' ').next_back());
    number
        .and_then(|number| number.parse().ok())
        .with_context(|| format!("no number of renderings in: {gate}"))
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn has_sha_instructions() -> bool {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    cpu.lines()
        .filter(|line| line.starts_with("flags"))
        .any(|line| line.split_whitespace().any(|flag| flag == "sha_ni"))
}

/// Bytes per second of SHA-256 on one core.
fn openssl_speed() -> Result<f64> {
    let said = run_command(
        Command::new("openssl")
            .args(["speed", "-mr", "-seconds", "1", "-bytes", "1048576", "-evp", "sha256"]),
    )?;
    // `+F:NUMBER:sha256:BYTES_PER_SECOND`
    let line = said.lines().find(|line| line.starts_with("+F:")).context("openssl told no speed")?;
    line.rsplit(':').next().and_then(|word| word.parse().ok()).context("openssl's speed is no number")
}

/// Bytes that this process has read so far.
fn bytes_read() -> Result<u64> {
    let text = fs::read_to_string("/proc/self/io")?;
    let value =
        text.lines().find_map(|line| line.strip_prefix("rchar:")).context("no count of bytes read")?;
    Ok(value.trim().parse()?)
}

fn remove(path: &Path) -> Result<()> {
    let result = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

/// Runs a command to its good end, with an empty folder for temporary files that is looked at meanwhile; what it told.
fn measured(command: &mut Command, temporary: &Path) -> Result<(Ran, String)> {
    let start = Instant::now();
    let child = command
        .env("TMPDIR", temporary)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {command:?}"))?;
    let memory = memory::watch(child.id());
    let done = AtomicBool::new(false);
    let (output, seconds, temporary) = thread::scope(|scope| {
        let look = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                most = most.max(size_of(temporary));
                thread::sleep(std::time::Duration::from_millis(20));
            }
            most
        });
        let output = child.wait_with_output();
        let seconds = start.elapsed().as_secs_f64();
        done.store(true, Ordering::Relaxed);
        (output, seconds, look.join().unwrap_or(u64::MAX))
    });
    let output = output?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{command:?}: {said}");
    let memory = memory.join().ok().flatten().context("its memory could not be read")?;
    Ok((Ran { seconds, memory, temporary }, said))
}

/// Bytes of the files below a folder; what goes away meanwhile counts nothing.
fn size_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size_of(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(seconds: f64) -> Ran {
        Ran { seconds, memory: 100 << 20, temporary: 0 }
    }

    #[test]
    fn figures_are_ratios_of_the_same_round() {
        let round = Round {
            first: ran(2.0),
            again: ran(0.5),
            copy: 0.4,
            verify: ran(0.1),
            by_hand: 3.2,
            limit: 1.6,
            sha256sum: 0.2,
            openssl: 0.1,
            helm: 0.2,
        };
        let lines: Vec<String> = figures(&[round], true).iter().map(ToString::to_string).collect();
        assert_eq!(lines[0], "figure build-to-limit 1.250 ratio target 1.3 pass");
        assert!(lines[1].starts_with("figure build-to-skopeo-tar-zstd 0.625 ratio"), "{}", lines[1]);
        assert_eq!(lines[2], "figure rebuild-less-copy-to-build 0.050 ratio target 0.05 pass");
        assert_eq!(lines[7], "figure temporary-disk 0.000 B target 0 pass");
    }

    #[test]
    fn the_gate_tells_how_often_it_rendered() {
        let said =
            "pull      2 images\ngate      5 components rendered 12 times, 7 images named, none missing\n";
        assert_eq!(renderings(said).unwrap(), 12);
        assert!(renderings("gate      1 component rendered once, 1 image named").is_err());
    }

    #[test]
    fn what_is_read_is_counted() {
        let before = bytes_read().unwrap();
        let read = fs::read("/proc/self/maps").unwrap().len() as u64;
        assert!(bytes_read().unwrap() >= before + read);
    }
}
