//! `cargo xtask bench install`: five fresh hosts, ours against a plain shell script, in pairs on fresh labs.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, ensure};
use sealift_bundle::{Bundle, TrustedKeys};

use super::figure::{Figure, median};
use super::{baseline, ours, surroundings};
use crate::bundle::{self, Made};
use crate::demo::seat::Seat;
use crate::lab::{Lab, LabSpec};
use crate::payload::{self, Payload};
use crate::programs::{self, Programs};
use crate::stage::human_bytes;
use crate::{cache, system};

/// Name of the lab: one at a time.
const LAB: &str = "bench-install";

/// How much is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How many pairs of installs, ours and the baseline's; with more than one, medians count
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=20))]
    pairs: u32,
}

/// What is installed.
struct Parts {
    programs: Programs,
    payload: Payload,
    made: Made,
    bundle: Bundle,
}

/// A lab that goes down with the one who asked for it.
struct Fresh<'a> {
    cache: &'a Path,
    lab: Lab,
}

impl<'a> Fresh<'a> {
    fn up(cache: &'a Path) -> Result<Self> {
        Lab::down(cache, LAB)?;
        Ok(Self { cache, lab: Lab::up(cache, LAB, &LabSpec::standard(0))? })
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        if let Err(error) = Lab::down(self.cache, LAB) {
            println!("lab {LAB} does not go down: {error:#}");
        }
    }
}

/// Measures and gives the figures.
pub fn run(options: &Options) -> Result<Vec<Figure>> {
    system::need_root()?;
    system::ensure(&[system::LAB, payload::PACKAGES, system::BUILD])?;
    let cache = cache::root();
    let parts = Parts::make(&cache)?;
    let needed = needed_bytes(&parts.bundle);
    parts.inputs(needed);
    let (mut measured, mut by_hand) = (Vec::new(), Vec::new());
    for pair in 1..=options.pairs {
        // In turns, so that whoever comes second has no lasting advantage.
        let mut order = ["baseline", "installer"];
        if pair % 2 == 0 {
            order.reverse();
        }
        for who in order {
            let fresh = Fresh::up(&cache)?;
            let seat = Seat::prepare(&fresh.lab, &parts.programs, &parts.made)?;
            if who == "installer" {
                let one = ours::measure(&fresh.lab, &seat)?;
                println!(
                    "pair {pair}       installer: all nodes Ready after {:.1} s, product accepted after {:.1} s, \
                     {} sent, {} of memory, second run {:.1} s",
                    one.ready,
                    one.whole,
                    human_bytes(one.sent),
                    human_bytes(one.memory),
                    one.second
                );
                measured.push(one);
            } else {
                let seconds = baseline::measure(&cache, &fresh.lab, &seat, &parts.bundle)?;
                println!("pair {pair}       baseline: all nodes Ready after {seconds:.1} s");
                by_hand.push(seconds);
            }
        }
    }
    figures(&measured, &by_hand, needed)
}

fn figures(measured: &[ours::Measured], by_hand: &[f64], needed: u64) -> Result<Vec<Figure>> {
    ensure!(!measured.is_empty() && needed > 0, "nothing was measured");
    let middle = |value: fn(&ours::Measured) -> f64| median(&measured.iter().map(value).collect::<Vec<_>>());
    let figure = |name, value, unit, target| Figure { name, value, unit, target };
    Ok(vec![
        figure("install-time-ratio", middle(|one| one.ready) / median(by_hand), "ratio", 0.9),
        figure("seat-link-ratio", middle(|one| one.sent as f64) / needed as f64, "ratio", 1.05),
        figure("installer-memory", middle(|one| one.memory as f64) / 1024.0 / 1024.0, "MiB", 150.0),
        figure("second-install", middle(|one| one.second), "s", 20.0),
    ])
}

impl Parts {
    fn make(cache: &Path) -> Result<Self> {
        let programs = programs::build()?;
        let payload = payload::build(cache, payload::KUBERNETES)?;
        let made = bundle::make(cache, &programs, &payload)?;
        let keys = TrustedKeys::from_files(std::slice::from_ref(&made.public_key))?;
        let bundle = Bundle::open(&made.bundle, &keys)?;
        Ok(Self { programs, payload, made, bundle })
    }

    /// Everything that the figures depend on.
    fn inputs(&self, needed: u64) {
        for line in surroundings::lines() {
            println!("{line}");
        }
        let document = self.bundle.document();
        let product = &document.product;
        println!("bundle       {} {}, {}", product.name, product.version, human_bytes(self.made.bytes));
        println!("needed       {} of it by this site, each blob once", human_bytes(needed));
        println!("kubernetes   {} ({} images)", self.payload.version, document.images.len());
        let versions: Vec<String> =
            document.files.iter().map(|file| format!("{} {}", file.name, file.version)).collect();
        println!("programs     {}", versions.join(", "));
        println!(
            "installer    {}, {}",
            env!("CARGO_PKG_VERSION"),
            human_bytes(size(&self.programs.installer))
        );
        println!("hosts        3 masters and 2 workers, containers on this machine, fresh for each install");
        println!(
            "baseline     {}: the same files by scp to all hosts at once, then kubeadm by hand",
            baseline::scripts()
                .join("install.sh")
                .strip_prefix(programs::checkout())
                .map_or_else(|_| String::new(), |path| path.display().to_string())
        );
    }
}

fn size(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

/// Bytes of every blob that some host of the site needs, each once.
fn needed_bytes(bundle: &Bundle) -> u64 {
    let document = bundle.document();
    let images = document.images.iter().flat_map(|image| image.blobs.iter());
    let files = document.files.iter().map(|file| &file.digest);
    let charts = document.charts.iter().map(|chart| &chart.digest);
    let needed: BTreeSet<&String> = images.chain(files).chain(charts).collect();
    document.blobs.iter().filter(|blob| needed.contains(&blob.digest)).map(|blob| blob.size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_ratios_of_medians() {
        let one = |ready, sent| ours::Measured { ready, whole: 100.0, sent, memory: 100 << 20, second: 5.0 };
        let lines: Vec<String> = figures(&[one(40.0, 1_020), one(50.0, 1_060)], &[60.0, 40.0], 1_000)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            lines,
            [
                "figure install-time-ratio 0.900 ratio target 0.9 pass",
                "figure seat-link-ratio 1.040 ratio target 1.05 pass",
                "figure installer-memory 100.000 MiB target 150 pass",
                "figure second-install 5.000 s target 20 pass",
            ]
        );
        assert!(figures(&[], &[1.0], 1).is_err());
    }
}
