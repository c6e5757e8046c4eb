//! `bundle-builder init`

use std::path::PathBuf;

use clap::Args;

use super::Lines;
use super::standard::say;
use crate::failure::Failure;
use crate::helm::Helm;
use crate::init;
use crate::progress::{Progress as _, count};

/// Begin a recipe from a folder of charts: commented, the images in them filled in
#[derive(Debug, Args)]
#[command(after_help = "Charts are rendered with their default values. One that does not render is left
out: the recipe says so in a comment, with what Helm said.

Examples:
  bundle-builder init charts
  bundle-builder init charts --out orders/recipe.yaml --helm /opt/helm/helm")]
pub(super) struct Arguments {
    /// Folder with charts, folders or archives (.tgz), or a single chart, folder or archive
    charts: PathBuf,
    /// The recipe to write; nothing is replaced
    #[arg(long, alias = "output", value_name = "FILE", default_value = "recipe.yaml")]
    out: PathBuf,
    /// Helm that renders the charts [default: the one in PATH]
    #[arg(long, value_name = "PATH")]
    helm: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, lines: &Lines) -> Result<(), Failure> {
    let helm = || Helm::find(arguments.helm.as_deref(), None, &std::env::temp_dir());
    let begun = init::init(&arguments.charts, helm, &arguments.out)?;
    for (path, why) in &begun.left_out {
        lines.note(&format!("left out  {}: {}", path.display(), why.replace('\n', "\n          ")));
    }
    say!(
        "written   {}: {}, {}",
        arguments.out.display(),
        count(begun.charts, "chart"),
        count(begun.images, "image")
    );
    lines.note("next      look at every line that says CHANGE, then run `bundle-builder lock`");
    Ok(())
}
