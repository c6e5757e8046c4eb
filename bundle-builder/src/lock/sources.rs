//! Charts and files as they are where the recipe says.

use super::{Lock, LockError, LockedChart, LockedFile};
use crate::chart::Chart;
use crate::parallel;
use crate::recipe::{FileContent, FileSource, Recipe};
use crate::source::Reach;
use crate::source::chart::{self, ChartOrigin};
use crate::source::file::{self, FoundFile, Place};

/// A recipe's charts and files, all of them here.
#[derive(Debug)]
pub struct Sources {
    /// Charts, in the recipe's order.
    pub charts: Vec<Chart>,
    /// Where each of them came from.
    pub origins: Vec<ChartOrigin>,
    /// Files, in the order of [`Recipe::file_contents`].
    pub files: Vec<FoundFile>,
}

impl Sources {
    /// As they are now.
    pub fn current(recipe: &Recipe, reach: &Reach<'_>) -> Result<Self, LockError> {
        let (charts, origins) = charts(recipe, None, reach)?.into_iter().unzip();
        let files = parallel::map(parallel::cores(), recipe.file_contents(), |content| {
            file::find(content.source, None, reach)
        })?;
        Ok(Self { charts, origins, files })
    }
}

/// A recipe's charts as its lock pins them, and where its files are; those from web servers may still have to come.
#[derive(Debug)]
pub struct LockedSources<'a> {
    /// Charts, in the recipe's order.
    pub charts: Vec<Chart>,
    /// Files, in the order of [`Recipe::file_contents`].
    pub files: Vec<Place<'a>>,
}

impl<'a> LockedSources<'a> {
    /// Gets the charts of `recipe` and looks for its files. Where one is not what `lock`, which fits it, has pinned, all
    /// differences are told together; who reads a file that was only looked at must compare it.
    pub fn look(recipe: &'a Recipe, lock: &Lock, reach: &Reach<'_>) -> Result<Self, LockError> {
        let charts = charts(recipe, Some(lock), reach)?.into_iter().map(|(chart, _)| chart).collect();
        let contents = recipe.file_contents();
        let pairs = contents.iter().zip(&lock.files);
        let files = parallel::map(parallel::cores(), pairs.clone().collect(), |(content, locked)| {
            file::look(content.source, locked, reach)
        })?;
        let seen = Self { charts, files };
        let mut changes = seen.other_charts(lock);
        let mut placed = pairs.clone().zip(&seen.files);
        if changes.is_empty() && !placed.any(|((content, locked), place)| shows_other(content, locked, place))
        {
            return Ok(seen);
        }
        // There will be no bundle: who changes the recipe wants to know of all files.
        let digests = parallel::map(parallel::cores(), pairs.clone().collect(), |(content, locked)| {
            file::digest(content.source, locked, reach)
        })?;
        let others = pairs.zip(digests).filter(|((_, locked), digest)| locked.digest != *digest);
        changes.extend(others.map(|((content, locked), digest)| other_file(content, locked, &digest)));
        Err(LockError::OtherContent { changes })
    }

    fn other_charts(&self, lock: &Lock) -> Vec<String> {
        let pairs = self.charts.iter().zip(&lock.charts);
        let others = pairs.filter(|(chart, locked)| chart.content != locked.content);
        let told = |(_, locked): (_, &LockedChart)| {
            format!("chart {} ({}) has other content", locked.name, locked.from)
        };
        others.map(told).collect()
    }
}

/// The charts of `recipe`, as `lock` pins them where there is one, and where each came from.
fn charts(
    recipe: &Recipe,
    lock: Option<&Lock>,
    reach: &Reach<'_>,
) -> Result<Vec<(Chart, ChartOrigin)>, LockError> {
    let charts = recipe.charts.iter().enumerate().collect();
    Ok(parallel::map(parallel::cores(), charts, |(index, entry)| {
        chart::find(entry, lock.and_then(|lock| lock.charts.get(index)), reach)
    })?)
}

/// Whether it shows already that the file of `content` is not what `locked` says.
fn shows_other(content: &FileContent<'_>, locked: &LockedFile, place: &Place<'_>) -> bool {
    match (content.source, place) {
        (FileSource::Url(url), _) => file::pin(url) != locked.digest,
        (_, Place::Here(found)) => found.content.digest != locked.digest,
        _ => false,
    }
}

/// Says that the file of `content` is not what `locked` says.
pub(crate) fn other_file(content: &FileContent<'_>, locked: &LockedFile, digest: &str) -> String {
    let (title, from, expected) = (content.title(), &locked.from, &locked.digest);
    format!("file {title} ({from}) has other content: {digest} instead of {expected}")
}
