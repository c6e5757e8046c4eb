//! `bundle-builder man`

use std::path::PathBuf;

use clap::Args;

use super::output::cannot_write;
use super::standard::{self, say};
use crate::atomic;
use crate::failure::Failure;
use crate::manual;
use crate::progress::count;

/// Print the manual page, or write all of them: one for the program and one for each verb
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bundle-builder man | man -l -
  bundle-builder man --dir /usr/local/share/man/man1")]
pub(super) struct Arguments {
    /// Folder that all pages go to, made where it is missing; earlier pages in it are replaced
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let pages = manual::pages(super::command());
    let Some(folder) = &arguments.dir else {
        standard::result(format_args!("{}", pages.first().map_or("", |page| &page.text)));
        return Ok(());
    };
    std::fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
    for page in &pages {
        let path = folder.join(&page.file);
        atomic::write(&path, page.text.as_bytes()).map_err(|error| cannot_write(&path, &error))?;
    }
    say!("written   {} in {}", count(pages.len(), "page"), folder.display());
    Ok(())
}
