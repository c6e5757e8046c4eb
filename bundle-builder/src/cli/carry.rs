//! `bundle-builder carry`

use std::path::{Path, PathBuf};

use clap::Args;
use sealift_bundle::Bundle;
use sealift_bundle::rotation::Rotation;

use super::standard::say;
use super::trust::Trust;
use super::{Lines, size};
use crate::carry::{self, Installer, Order};
use crate::failure::Failure;
use crate::parallel;
use crate::progress::{Progress as _, bytes, count};

/// Write the folder that goes onto a customer's disk: bundle, installers, key, checksums, what to do
#[derive(Debug, Args)]
#[command(after_help = "START-HERE.txt in the folder tells the field engineer what to do. A folder of
an earlier run is replaced; nothing else is.

Examples:
  bundle-builder carry orders-4.2.0.bundle --key release.key.pub \\
      --installer linux/amd64=installer --out /media/disk/orders-4.2.0
  bundle-builder carry orders-4.2.0.bundle --key release.key.pub \\
      --installer linux/amd64=installer --installer linux/arm64=installer-arm64 \\
      --split fat32 --out /media/disk/orders-4.2.0")]
pub(super) struct Arguments {
    /// The bundle
    bundle: PathBuf,
    #[command(flatten)]
    trust: Trust,
    #[command(flatten)]
    disk: Disk,
    /// The folder
    #[arg(long, alias = "output", value_name = "DIR")]
    out: PathBuf,
}

/// What goes onto the disk beside the bundle, and how.
#[derive(Debug, Args)]
pub(super) struct Disk {
    /// Installer for a platform: a static program; one is needed for each platform of the bundle
    #[arg(long = "installer", value_name = "PLATFORM=FILE", value_parser = installer)]
    installers: Vec<(String, PathBuf)>,
    /// Cut a larger bundle into parts of this size, for disks that take no large files: fat32, 4GB, 512MiB
    #[arg(long, value_name = "SIZE", value_parser = size::part)]
    split: Option<u64>,
}

impl Disk {
    /// The installers, looked at.
    pub(super) fn installers(&self) -> Result<Vec<Installer>, Failure> {
        let all: Result<_, _> =
            self.installers.iter().map(|(platform, path)| Installer::check(platform, path)).collect();
        Ok(all?)
    }

    /// The installers' files.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.installers.iter().map(|(_, path)| path.clone())
    }

    /// Refuses what only a carry folder has a use for.
    pub(super) fn refuse(&self) -> Result<(), Failure> {
        if self.installers.is_empty() && self.split.is_none() {
            return Ok(());
        }
        let message = "`--installer` and `--split` are about the folder for a disk, and there is none";
        Err(Failure::usage(message, "name it: `--carry DIR`"))
    }

    /// Writes the folder, and says so.
    pub(super) fn write(
        &self,
        bundle: &Bundle,
        rotations: &[Rotation],
        installers: &[Installer],
        target: &Path,
        lines: &Lines,
    ) -> Result<(), Failure> {
        let part_size = self.split;
        let carried = carry::carry(&Order { bundle, installers, rotations, part_size, target }, lines)?;
        lines.end();
        say!(
            "carry     {}: {}, {}{}",
            target.display(),
            count(carried.files.len(), "file"),
            bytes(carried.bytes),
            if carried.shared { ", the bundle not a second time on this disk" } else { "" }
        );
        Ok(())
    }
}

pub(super) fn run(arguments: &Arguments, lines: &Lines) -> Result<(), Failure> {
    let bundle = arguments.trust.open(&arguments.bundle)?;
    let rotations = arguments.trust.statements()?;
    let installers = arguments.disk.installers()?;
    carry::check(&installers, &bundle.document().platforms, &arguments.out)?;
    let report = bundle.verify(parallel::cores(), &|done, total| lines.advance("verify", done, total))?;
    lines.note(&format!("verify    {}, every blob matches the signature", bytes(report.bytes)));
    arguments.disk.write(&bundle, &rotations, &installers, &arguments.out, lines)
}

fn installer(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((platform, path)) if !platform.is_empty() && !path.is_empty() => {
            Ok((platform.to_owned(), path.into()))
        }
        _ => Err("must look like PLATFORM=FILE, e.g. linux/amd64=installer".to_owned()),
    }
}
