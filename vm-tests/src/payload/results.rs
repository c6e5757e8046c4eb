//! Results of stages: each is made only when nothing lies under its key, and tells what it took.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Instant, SystemTime},
};

use anyhow::{Context as _, Result};

use crate::{cache, stage::StageRecord};

/// How many results of one name are kept: the current one, and others for switching back and forth.
const KEPT: usize = 3;

/// Hears of each stage when it is done; from several threads.
pub type Report<'a> = &'a (dyn Fn(&StageRecord) + Sync);

/// The folder of results: `NAME/KEY` below it.
#[derive(Clone, Copy)]
pub struct Results<'a> {
    folder: &'a Path,
    report: Report<'a>,
}

impl<'a> Results<'a> {
    /// Results lie in `folder`.
    pub fn new(folder: &'a Path, report: Report<'a>) -> Self {
        Self { folder, report }
    }

    /// The folder with the result of stage `name` under `key`; `make` fills it when it is not there yet.
    pub fn get(&self, name: &str, key: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let start = Instant::now();
        let parent = self.folder.join(name);
        let result = cache::folder(&parent, key, make).with_context(|| format!("make {name}"))?;
        // The folder's own time says when it was last of use.
        File::open(&result.path)?.set_modified(SystemTime::now())?;
        if !result.skipped {
            drop_old(&parent)?;
        }
        let (bytes, seconds) = (size_of(&result.path)?, start.elapsed().as_secs_f64());
        (self.report)(&StageRecord { name: name.to_owned(), bytes, seconds, skipped: result.skipped });
        Ok(result.path)
    }
}

/// Removes the longest unused results in `parent` beyond [`KEPT`].
fn drop_old(parent: &Path) -> Result<()> {
    let mut results = Vec::new();
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            results.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    results.sort_by(|a, b| b.cmp(a));
    for (_, path) in results.into_iter().skip(KEPT) {
        cache::remove_folder(&path)?;
    }
    Ok(())
}

/// Bytes of all files below `folder`.
pub fn size_of(folder: &Path) -> Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let entry = entry?;
        total += if entry.file_type()?.is_dir() { size_of(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(total)
}

/// Puts `source` at `target` without a second copy where the file system allows that.
pub fn link(source: &Path, target: &Path) -> Result<()> {
    if fs::hard_link(source, target).is_err() {
        fs::copy(source, target)
            .with_context(|| format!("copy {} to {}", source.display(), target.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn each_stage_is_reported_with_size_and_whether_it_was_there() {
        let root = tempfile::tempdir().unwrap();
        let steps = Mutex::new(Vec::new());
        let report = |step: &StageRecord| steps.lock().unwrap().push(step.clone());
        let results = Results::new(root.path(), &report);
        let first = results.get("tool", "a", |folder| Ok(fs::write(folder.join("out"), "12345")?)).unwrap();
        let again = results.get("tool", "a", |_| anyhow::bail!("made twice")).unwrap();
        assert_eq!(first, again);
        let failed = results.get("tool", "b", |_| anyhow::bail!("no compiler")).unwrap_err();
        assert_eq!(format!("{failed:#}"), "make tool: no compiler");
        let seen: Vec<_> = steps.lock().unwrap().iter().map(|step| (step.bytes, step.skipped)).collect();
        assert_eq!(seen, [(5, false), (5, true)]);
    }

    #[test]
    fn only_the_latest_results_of_a_name_stay() {
        let root = tempfile::tempdir().unwrap();
        let results = Results::new(root.path(), &|_| ());
        let other = results.get("other", "a", |_| Ok(())).unwrap();
        let made: Vec<_> =
            (0..5).map(|number| results.get("tool", &format!("k{number}"), |_| Ok(())).unwrap()).collect();
        let there: Vec<bool> = made.iter().map(|path| path.is_dir()).collect();
        assert_eq!(there, [false, false, true, true, true]);
        assert!(other.is_dir());
    }
}
