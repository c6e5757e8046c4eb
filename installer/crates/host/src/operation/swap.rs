//! Switches swap off now, and keeps it off after a boot.

use crate::command::Command;
use crate::context::Context;
use crate::facts::system;
use crate::file;
use crate::journal::Change;
use crate::protocol::{Failure, Outcome};

/// What a line of fstab that we commented out starts with.
const MARK: &str = "# off by Sealift: ";
/// Services that make swap at every boot by themselves, with no swap unit that could be masked (Debian's zram-tools and
/// dphys-swapfile, Ubuntu's zram-config, Fedora's older zram-swap, systemd-swap of others).
const SERVICES: [&str; 5] = [
    "zramswap.service",
    "dphys-swapfile.service",
    "zram-config.service",
    "zram-swap.service",
    "systemd-swap.service",
];

pub(crate) fn apply(ctx: &Context<'_>) -> Result<Outcome, Failure> {
    let areas = active(ctx)?;
    for path in &areas {
        ctx.record(Change::SwapOff { path: path.clone() })?;
        ctx.run(Command::new("swapoff").arg(path))?;
    }
    let fstab = without_swap_in_fstab(ctx)?;
    // Services first: one that still ran could make a new unit.
    let masked = mask(ctx, &services(ctx)?)? + mask(ctx, &units(ctx)?)?;
    let left = active(ctx)?;
    if !left.is_empty() {
        return Err(Failure::other(format!("swap is still in use: {}", left.join(", "))));
    }
    let changed = !areas.is_empty() || fstab || masked > 0;
    let summary = if changed { "switched swap off, now and for the next boot" } else { "swap is off" };
    Ok(Outcome::new(changed, summary))
}

fn active(ctx: &Context<'_>) -> Result<Vec<String>, Failure> {
    let text = file::read_text_if_exists(&ctx.paths().host("/proc/swaps"))?.unwrap_or_default();
    Ok(system::parse_swaps(&text).into_iter().map(|swap| swap.path).collect())
}

fn without_swap_in_fstab(ctx: &Context<'_>) -> Result<bool, Failure> {
    use std::os::unix::fs::MetadataExt;
    let place = ctx.paths().host("/etc/fstab");
    let Some(old) = file::read_text_if_exists(&place)? else { return Ok(false) };
    let new = comment_swap(&old);
    if new == old {
        return Ok(false);
    }
    let mode = std::fs::metadata(&place).map_or(0o644, |metadata| metadata.mode() & 0o7777);
    ctx.write_file("/etc/fstab", new.as_bytes(), mode)?;
    // Units that systemd made from these lines go.
    ctx.run(Command::new("systemctl").arg("daemon-reload"))?;
    Ok(true)
}

fn comment_swap(fstab: &str) -> String {
    let mut text = String::with_capacity(fstab.len());
    for line in fstab.split_inclusive('\n') {
        let is_swap = !line.trim_start().starts_with('#') && line.split_whitespace().nth(2) == Some("swap");
        if is_swap {
            text.push_str(MARK);
        }
        text.push_str(line);
    }
    text
}

/// Keeps units from ever starting. Gives how many that were.
fn mask(ctx: &Context<'_>, units: &[String]) -> Result<usize, Failure> {
    for unit in units {
        ctx.record(Change::UnitMasked { unit: unit.clone() })?;
        ctx.run(Command::new("systemctl").args(["mask", "--now", unit]))?;
    }
    Ok(units.len())
}

/// Those of [`SERVICES`] that this host has.
fn services(ctx: &Context<'_>) -> Result<Vec<String>, Failure> {
    let list = ["list-unit-files", "--type=service", "--plain", "--no-legend", "--full"];
    // Where none of them is there it ends with status 1.
    let text = ctx.run_to_end(Command::new("systemctl").args(list).args(SERVICES))?.text();
    Ok(parse_unit_files(&text, |unit| SERVICES.contains(&unit)))
}

/// Every swap unit that systemd would start (from GPT, zram generators, hand-written ones).
fn units(ctx: &Context<'_>) -> Result<Vec<String>, Failure> {
    let list = Command::new("systemctl").args([
        "list-units",
        "--type=swap",
        "--all",
        "--plain",
        "--no-legend",
        "--full",
    ]);
    let files = Command::new("systemctl").args([
        "list-unit-files",
        "--type=swap",
        "--plain",
        "--no-legend",
        "--full",
    ]);
    let mut units = parse_units(&ctx.run(list)?.text());
    // Without a single one it ends with status 1.
    units.extend(parse_unit_files(&ctx.run_to_end(files)?.text(), is_swap));
    units.sort();
    units.dedup();
    Ok(units)
}

fn is_swap(unit: &str) -> bool {
    unit.rsplit_once('.').is_some_and(|(_, kind)| kind == "swap")
}

/// `UNIT LOAD ACTIVE SUB DESCRIPTION`; masked and vanished ones need nothing.
fn parse_units(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| {
            let mut columns = line.split_whitespace();
            let unit = columns.next().filter(|unit| is_swap(unit))?;
            (columns.next()? == "loaded").then(|| unit.to_owned())
        })
        .collect()
}

/// `UNIT STATE PRESET`.
fn parse_unit_files(text: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    text.lines()
        .filter_map(|line| {
            let mut columns = line.split_whitespace();
            let unit = columns.next().filter(|unit| wanted(unit))?;
            (!columns.next()?.starts_with("masked")).then(|| unit.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::testing::Recorder;
    use crate::paths::Paths;

    #[test]
    fn only_swap_lines_are_commented_and_only_once() {
        let fstab = "# swap was on /dev/sda3\nUUID=1 / ext4 defaults 0 1\nUUID=2 none swap sw 0 0\n/swapfile none  swap defaults 0 0";
        let new = comment_swap(fstab);
        let expected = format!(
            "# swap was on /dev/sda3\nUUID=1 / ext4 defaults 0 1\n{MARK}UUID=2 none swap sw 0 0\n{MARK}/swapfile none  swap defaults 0 0"
        );
        assert_eq!(new, expected);
        assert_eq!(comment_swap(&new), new);
    }

    #[test]
    fn masked_units_are_left_alone() {
        let units = "dev-sda3.swap loaded active active Swap Partition\ndev-zram0.swap masked inactive dead dev-zram0.swap\n";
        assert_eq!(parse_units(units), ["dev-sda3.swap"]);
        assert_eq!(
            parse_unit_files("dev-sda3.swap generated -\ndev-zram0.swap masked-runtime enabled\n", is_swap),
            ["dev-sda3.swap"]
        );
    }

    /// Stands for a Debian with zram-tools: its service makes swap, and no swap unit is there.
    const SYSTEMCTL: &str = r#"#!/bin/sh
here=${0%/*}
echo "$*" >>"$here/told"
case "$*" in
  *--type=service*) if [ -e "$here/masked" ]; then echo "zramswap.service masked enabled"
                    else echo "zramswap.service enabled enabled"; fi ;;
  mask*) touch "$here/masked" ;;
esac
"#;

    #[test]
    fn services_that_make_swap_are_masked_and_only_once() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let programs = paths.host("/usr/local/sbin");
        sealift_bundle::testing::program(&programs.join("systemctl"), SYSTEMCTL);
        let recorder = Recorder::default();
        let off = || apply(&Context::new(&paths, &recorder, "r", "s")).unwrap();
        assert!(off().changed);
        let told = std::fs::read_to_string(programs.join("told")).unwrap();
        assert!(told.lines().any(|line| line == "mask --now zramswap.service"), "{told}");
        assert!(!off().changed);
        let again = std::fs::read_to_string(programs.join("told")).unwrap();
        assert_eq!(again.matches("mask --now").count(), 1, "{again}");
    }
}
