//! `bundle-builder inspect`

use clap::Args;
use sealift_bundle::document::{Role, Stage};

use super::output::{Format, fit, json};
use super::standard::say;
use super::trust::Shown;
use crate::failure::Failure;
use crate::inspect::summary::{ReferrerPart, RolePart, Sharing, Summary};
use crate::progress::{bytes, count};

/// Groups of shared layers that people see; JSON has all.
const GROUPS: usize = 5;

/// Show what is in a bundle: sizes by component and role, shared layers, disk needed
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bundle-builder inspect orders-4.2.0.bundle --key release.key.pub
  bundle-builder inspect orders-4.2.0.bundle --key release.key.pub \\
      --output json")]
pub(super) struct Arguments {
    #[command(flatten)]
    shown: Shown,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let bundle = arguments.shown.open()?;
    let summary = Summary::of(&bundle);
    if arguments.shown.output == Format::Json {
        return json(&summary);
    }
    head(&summary);
    components(&summary);
    for role in &summary.roles {
        self::role(role);
    }
    sharing(&summary.sharing);
    referrers(&summary.referrers);
    Ok(())
}

fn head(summary: &Summary) {
    let (product, signature, counts) = (&summary.product, &summary.signature, &summary.counts);
    let release = format!("{} {} (serial {})", product.title, product.version, product.serial);
    say!("product     {}", fit(&release, 68));
    say!("cluster     Kubernetes {}, {}", summary.kubernetes, summary.platforms.join(", "));
    say!("bundle      {}, {}", fit(&summary.path, 58), bytes(summary.size));
    say!("signed      {}", fit(&signature.comment.replace('\t', " "), 68));
    if let Some(time) = signature.time {
        say!("            on {}", time.strftime("%Y-%m-%d at %H:%M UTC"));
    }
    say!("key         {} {}", signature.key_id, quoted(&signature.key_comment));
    say!("            fingerprint {}", signature.fingerprint);
    say!(
        "holds       {}, {}, {}, {}",
        count(counts.images, "image"),
        count(counts.charts, "chart"),
        count(counts.files, "file"),
        count(counts.blobs, "blob")
    );
}

fn quoted(comment: &str) -> String {
    if comment.is_empty() { String::new() } else { format!("\"{}\"", fit(comment, 48)) }
}

fn components(summary: &Summary) {
    say!();
    say!("{:<24} {:<9} {:<26} {:>6} {:>11}", "component", "stage", "chart", "images", "size");
    for part in &summary.components {
        let stage = match part.stage {
            Stage::Platform => "platform",
            Stage::Product => "product",
        };
        let chart = format!("{} {}", part.chart, part.chart_version);
        say!(
            "{:<24} {stage:<9} {:<26} {:>6} {:>11}",
            fit(&part.name, 24),
            fit(&chart, 26),
            part.images.len(),
            bytes(part.size)
        );
    }
    let rest = &summary.other_images;
    say!(
        "{:<24} {:<9} {:<26} {:>6} {:>11}",
        "named by no component",
        "",
        "the cluster's own, others",
        rest.images.len(),
        bytes(rest.size)
    );
}

fn role(part: &RolePart) {
    let name = match part.role {
        Role::ControlPlane => "each master",
        Role::Worker => "each worker",
    };
    say!();
    say!(
        "{name} gets {} ({}) and {} ({}, unpacked {})",
        count(part.images, "image"),
        bytes(part.image_size),
        count(part.files, "file"),
        bytes(part.file_size),
        bytes(part.plain_file_size)
    );
    say!("  {:>8}  free disk in all, of these", bytes(part.disk_size));
    for disk in &part.disk {
        say!("  {:>8}  {:<22} {}", bytes(disk.size), disk.path, disk.holds);
    }
}

/// `beside      2 signatures, 1 SBOM (14 kB) of 2 images; hosts do not get them`
fn referrers(part: &ReferrerPart) {
    if part.kinds.is_empty() {
        return;
    }
    let kinds: Vec<String> = part.kinds.iter().map(|(kind, number)| count(*number, kind.name())).collect();
    say!();
    say!("beside      {}, {}", kinds.join(", "), bytes(part.size));
    say!("            of {}; hosts do not get them", count(part.images.len(), "image"));
}

fn sharing(sharing: &Sharing) {
    say!();
    say!(
        "shared      images take {} together instead of {} apart: {} saved",
        bytes(sharing.together),
        bytes(sharing.apart),
        bytes(sharing.apart - sharing.together)
    );
    for group in sharing.groups.iter().take(GROUPS) {
        say!(
            "  {} in {}, {} saved:",
            count(group.blobs, "blob"),
            count(group.images.len(), "image"),
            bytes(group.saved)
        );
        for image in &group.images {
            say!("    {}", fit(image, 76));
        }
    }
    if sharing.groups.len() > GROUPS {
        say!("  and {} more, see --output json", count(sharing.groups.len() - GROUPS, "group"));
    }
}
