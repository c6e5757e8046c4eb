//! The files of an order: those on web servers are fetched, and each is read and compressed as soon as it is there. It
//! knows nothing of images and charts.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::BuildError;
use crate::cache::Content;
use crate::compress::{self, Framed, Frames};
use crate::lock::{Lock, LockError, LockedFile, other_file};
use crate::manifest::serves;
use crate::parallel::{self, Queue, Turns};
use crate::progress::{Progress, bytes, count};
use crate::recipe::{FileContent, FileSource, Recipe, Url};
use crate::registry::RegistryError;
use crate::source::file::{self, FoundFile, Place};
use crate::source::{Reach, SourceError};
use crate::stages::Stages;

/// Files compressed at once, at most, whatever the number of cores: each takes 25 MB of memory, and these are faster than
/// disks.
const MOST_FRAMES: usize = 6;

/// The files of an order. [`Files::fetch`] and [`Files::compress`] run side by side, or one after the other.
pub(super) struct Files<'a> {
    /// In the order of [`Recipe::file_contents`].
    all: Vec<File<'a>>,
    downloads: Vec<Download<'a>>,
    level: i32,
    /// Which of them can be read now, behind its size.
    ready: Queue<(u64, Reverse<usize>)>,
    /// Whether one turned out not to be what the lock says.
    other: AtomicBool,
    /// Which of them is the Helm of this machine.
    helm: Option<usize>,
    /// Whether that can be read; nothing as long as it may still come.
    helm_is_ready: OnceLock<bool>,
}

/// One of them.
struct File<'a> {
    content: FileContent<'a>,
    locked: &'a LockedFile,
    place: Place<'a>,
}

impl File<'_> {
    /// Gets it, when it is ready.
    fn find(&self, reach: &Reach<'_>) -> Result<FoundFile, LockError> {
        match &self.place {
            Place::Here(found) => Ok(found.clone()),
            Place::AtHand | Place::Away(_) => Ok(file::find(self.content.source, Some(self.locked), reach)?),
        }
    }
}

/// What must come from a web server: a file, or an archive of some.
struct Download<'a> {
    url: &'a Url,
    /// Which files it is, or has in it.
    files: Vec<usize>,
    /// Bytes of these.
    size: u64,
}

impl<'a> Files<'a> {
    /// The files of `recipe`, which `lock` fits, at these places.
    pub(super) fn of(recipe: &'a Recipe, lock: &'a Lock, places: Vec<Place<'a>>) -> Self {
        let found = recipe.file_contents().into_iter().zip(&lock.files).zip(places);
        let files: Vec<File<'_>> =
            found.map(|((content, locked), place)| File { content, locked, place }).collect();
        let helm = files.iter().position(|file| is_own_helm(&file.content));
        let mut downloads: BTreeMap<&str, Download<'_>> = BTreeMap::new();
        let mut ready = Vec::new();
        for (index, File { locked, place, .. }) in files.iter().enumerate() {
            if let Place::Away(url) = place {
                let fresh = || Download { url, files: Vec::new(), size: 0 };
                let download = downloads.entry(&url.sha256).or_insert_with(fresh);
                download.files.push(index);
                download.size = download.size.saturating_add(locked.size);
            } else {
                ready.push((locked.size, Reverse(index)));
            }
        }
        let mut downloads: Vec<Download<'_>> = downloads.into_values().collect();
        let holds_helm = |download: &Download<'_>| helm.is_some_and(|helm| download.files.contains(&helm));
        // The gate waits for Helm. Of the same size, they come as in the recipe.
        downloads.sort_by_key(|download| {
            (Reverse((holds_helm(download), download.size)), download.files.first().copied())
        });
        let helm_is_ready =
            if downloads.iter().any(holds_helm) { OnceLock::new() } else { OnceLock::from(true) };
        Self {
            all: files,
            downloads,
            level: recipe.compression.level,
            ready: Queue::of(ready),
            other: AtomicBool::new(false),
            helm,
            helm_is_ready,
        }
    }

    /// Fetches those that must come from web servers, as many at a time as it gets turns.
    pub(super) fn fetch(&self, reach: &Reach<'_>, transfers: &Turns) -> Result<(), BuildError> {
        let _end = NothingMoreComes(self);
        let stages = Stages::new(self.downloads.len(), reach.progress);
        let amounts = Mutex::new(self.downloads.iter().map(|download| (0, download.size)).collect());
        let downloads = self.downloads.iter().enumerate().collect();
        parallel::map(transfers.most(), downloads, |(index, download)| {
            stages.run(index, |told| {
                let _turn = transfers.take();
                let needless = || self.is_needless(download);
                let whole = reach.progress;
                let part = Part { index, told, whole, amounts: &amounts, needless: &needless };
                match file::fetch(download.url, &reach.told_to(&part)) {
                    Err(SourceError::Web(RegistryError::Stopped)) if needless() => Ok(()),
                    fetched => fetched.map(|_| self.come(download)).map_err(LockError::from),
                }
            })
        })?;
        Ok(())
    }

    /// The files of `download` are ready.
    fn come(&self, download: &Download<'_>) {
        for &index in &download.files {
            self.ready.push((self.all[index].locked.size, Reverse(index)));
        }
        if self.helm.is_some_and(|helm| download.files.contains(&helm)) {
            // Nobody else has said so: each is fetched once.
            let _ = self.helm_is_ready.set(true);
        }
    }

    /// Whether nobody needs `download` any more: there will be no bundle, and to know that it is as locked takes no look
    /// at it, since the recipe has its digest.
    fn is_needless(&self, download: &Download<'_>) -> bool {
        let is_whole = |index: &usize| matches!(self.all[*index].content.source, FileSource::Url(_));
        self.other.load(Ordering::Relaxed) && download.files.iter().all(is_whole)
    }

    /// Reads those files that nobody has read, compresses all, several at once, the largest of those that are there first.
    /// When that is not wanted any more, they are still compared with the lock.
    pub(super) fn compress(&self, reach: &Reach<'_>) -> Result<Vec<(Content, Content)>, BuildError> {
        let total = sum(self.all.iter().map(|file| file.locked.size));
        reach.progress.note(&format!("compress  {}, {}", count(self.all.len(), "file"), bytes(total)));
        let (making, done) = (Frames::of(self.level), AtomicU64::new(0));
        let lanes = parallel::cores().min(MOST_FRAMES);
        let results = parallel::map(lanes, vec![(); lanes], |()| {
            let mut results = Vec::new();
            while let Some((_, Reverse(index))) = self.ready.take() {
                let made = self.frame(&self.all[index], &making, reach);
                let (content, framed) = made.inspect_err(|_| self.ready.abandon())?;
                let before = done.fetch_add(content.size, Ordering::Relaxed);
                reach.progress.advance("compress", before + content.size, total);
                results.push((index, (content, framed)));
            }
            Ok::<_, BuildError>(results)
        })?;
        self.frames(results.into_iter().flatten().collect())
    }

    /// What is in `file`, and its frame where it is as locked.
    fn frame(
        &self,
        file: &File<'_>,
        making: &Frames,
        reach: &Reach<'_>,
    ) -> Result<(Content, Framed), BuildError> {
        let found = file.find(reach)?;
        let wanted = || !self.other.load(Ordering::Relaxed) && reach.progress.wanted();
        let framed = if found.content.digest == file.locked.digest {
            compress::frame(reach.cache, &found, making, &wanted)?
        } else {
            Framed::Other { digest: found.content.digest.clone() }
        };
        self.other.fetch_or(matches!(framed, Framed::Other { .. }), Ordering::Relaxed);
        Ok((found.content, framed))
    }

    /// The content and frame of all files, where there are all; or what differs from the lock, all of it.
    fn frames(
        &self,
        results: BTreeMap<usize, (Content, Framed)>,
    ) -> Result<Vec<(Content, Content)>, BuildError> {
        let (mut frames, mut changes) = (Vec::new(), Vec::new());
        for (index, (content, framed)) in results {
            let file = &self.all[index];
            match framed {
                Framed::Frame(frame) => frames.push((content, frame)),
                Framed::Other { digest } => changes.push(other_file(&file.content, file.locked, &digest)),
                Framed::Unwanted => {}
            }
        }
        match (changes.is_empty(), frames.len() == self.all.len()) {
            (false, _) => Err(LockError::OtherContent { changes }.into()),
            (true, false) => Err(BuildError::Stopped),
            (true, true) => Ok(frames),
        }
    }

    /// The Helm that the site will get, which this machine can often run, too; waits until it is there.
    pub(super) fn helm(&self, reach: &Reach<'_>) -> Result<Option<PathBuf>, BuildError> {
        let Some(file) = self.helm.map(|index| &self.all[index]) else { return Ok(None) };
        if !self.helm_is_ready.wait() {
            return Err(BuildError::Stopped);
        }
        let found = file.find(reach)?;
        let content = if found.read { found.content } else { reach.cache.digest_of_file(&found.path)? };
        // What is not as the lock says is not run; it is told by who reads all files.
        Ok((content.digest == file.locked.digest).then_some(found.path))
    }
}

/// Whether this is Helm for this machine.
fn is_own_helm(content: &FileContent<'_>) -> bool {
    let here = format!("linux/{}", if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" });
    content.entry.name == "helm" && content.platform.is_none_or(|platform| serves(platform, &here))
}

/// All of these sizes, of which a lock that somebody edited may say anything.
fn sum(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}

/// Says when it is dropped that no more files come, to all who wait for some.
struct NothingMoreComes<'a>(&'a Files<'a>);

impl Drop for NothingMoreComes<'_> {
    fn drop(&mut self) {
        self.0.ready.close();
        // Refused where it has come.
        let _ = self.0.helm_is_ready.set(false);
    }
}

/// One of several downloads: what it notes stands in the order of all, and its bytes are told as a part of all.
struct Part<'a> {
    index: usize,
    told: &'a dyn Progress,
    whole: &'a dyn Progress,
    /// Of each download: bytes that are here, and bytes that it has.
    amounts: &'a Mutex<Vec<(u64, u64)>>,
    needless: &'a (dyn Fn() -> bool + Sync),
}

impl Progress for Part<'_> {
    fn note(&self, line: &str) {
        self.told.note(line);
    }

    fn advance(&self, what: &str, done: u64, total: u64) {
        // Told while it is locked: of two, the one that knows more comes last.
        let mut amounts = self.amounts.lock().unwrap_or_else(PoisonError::into_inner);
        amounts[self.index] = (done, total);
        let here = sum(amounts.iter().map(|amount| amount.0));
        self.whole.advance(what, here, sum(amounts.iter().map(|amount| amount.1)));
    }

    fn wanted(&self) -> bool {
        self.told.wanted() && !(self.needless)()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Told(Mutex<Vec<String>>);

    impl Progress for Told {
        fn note(&self, line: &str) {
            self.0.lock().unwrap().push(line.to_owned());
        }
        fn advance(&self, what: &str, done: u64, total: u64) {
            self.0.lock().unwrap().push(format!("{what} {done} of {total}"));
        }
    }

    #[test]
    fn downloads_are_told_as_one() {
        let (whole, own) = (Told::default(), Told::default());
        let amounts = Mutex::new(vec![(0, 10), (0, 20)]);
        let needless = AtomicBool::new(false);
        let needed_no_more = || needless.load(Ordering::Relaxed);
        let part =
            |index| Part { index, told: &own, whole: &whole, amounts: &amounts, needless: &needed_no_more };
        part(1).advance("download", 5, 20);
        // A server said how large it is.
        part(0).advance("download", 1, 11);
        part(1).note("retry");
        assert_eq!(*whole.0.lock().unwrap(), ["download 5 of 30", "download 6 of 31"]);
        assert_eq!(*own.0.lock().unwrap(), ["retry"]);
        assert!(part(0).wanted());
        needless.store(true, Ordering::Relaxed);
        assert!(!part(0).wanted());
    }
}
