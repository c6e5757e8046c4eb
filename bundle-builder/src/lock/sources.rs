//! Charts and files as they are where the recipe says.

use super::{Lock, LockError, LockedFile};
use crate::chart::Chart;
use crate::parallel;
use crate::recipe::{FileContent, Recipe};
use crate::source::Reach;
use crate::source::chart::{self, ChartOrigin};
use crate::source::file::{self, FoundFile};

/// A recipe's charts and files.
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
        Self::find(recipe, None, reach)
    }

    /// As they are now on this machine, and as `lock`, which fits `recipe`, pins them elsewhere.
    pub fn locked(recipe: &Recipe, lock: &Lock, reach: &Reach<'_>) -> Result<Self, LockError> {
        Self::find(recipe, Some(lock), reach)
    }

    fn find(recipe: &Recipe, lock: Option<&Lock>, reach: &Reach<'_>) -> Result<Self, LockError> {
        let charts = recipe.charts.iter().enumerate().collect();
        let charts = parallel::map(parallel::cores(), charts, |(index, entry)| {
            chart::find(entry, lock.and_then(|lock| lock.charts.get(index)), reach)
        })?;
        let contents = recipe.file_contents();
        let contents = contents.iter().enumerate().collect();
        let files = parallel::map(parallel::cores(), contents, |(index, content)| {
            file::find(content.source, lock.and_then(|lock| lock.files.get(index)), reach)
        })?;
        let (charts, origins) = charts.into_iter().unzip();
        Ok(Self { charts, origins, files })
    }

    /// Whether this is what `lock` pinned, as far as it was read; all differences together.
    pub fn fit(&mut self, recipe: &Recipe, lock: &Lock, reach: &Reach<'_>) -> Result<(), LockError> {
        if self.changes(recipe, lock).is_empty() {
            return Ok(());
        }
        // There will be no bundle: who changes the recipe wants to know of all files.
        let contents = recipe.file_contents();
        let unread = self.files.iter_mut().zip(&contents).filter(|(found, _)| !found.read).collect();
        parallel::map(parallel::cores(), unread, |(found, content)| {
            *found = file::find(content.source, None, reach)?;
            Ok::<_, LockError>(())
        })?;
        Err(LockError::OtherContent { changes: self.changes(recipe, lock) })
    }

    fn changes(&self, recipe: &Recipe, lock: &Lock) -> Vec<String> {
        let mut changes = Vec::new();
        for (chart, locked) in self.charts.iter().zip(&lock.charts) {
            if chart.content != locked.content {
                changes.push(format!("chart {} ({}) has other content", locked.name, locked.from));
            }
        }
        for ((content, found), locked) in recipe.file_contents().iter().zip(&self.files).zip(&lock.files) {
            if found.content.digest != locked.digest {
                changes.push(other_file(content, locked, &found.content.digest));
            }
        }
        changes
    }
}

/// Says that the file of `content` is not what `locked` says.
pub(crate) fn other_file(content: &FileContent<'_>, locked: &LockedFile, digest: &str) -> String {
    let (title, from, expected) = (content.title(), &locked.from, &locked.digest);
    format!("file {title} ({from}) has other content: {digest} instead of {expected}")
}
