//! The content-addressed cache: an OCI layout's blob folder, and what is known about files on this machine.
//!
//! A blob is under its digest only when it was hashed while it was written; whatever is not finished lies in `partial/`
//! and is taken up again by the next run. One build at a time uses a cache.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use sealift_bundle::{digest, frame, layout};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::progress::{bytes, count};

mod known;
mod place;
mod room;
mod upkeep;

use known::Stamp;

pub use known::OpenFile;
pub use room::{Room, require_room, require_room_beside};
pub use upkeep::{BadEntry, Keep, Pruned, Verified};

const BLOBS: &str = "blobs";
const PARTIAL: &str = "partial";
const LOCK: &str = "lock";
const KNOWN_FILES: &str = "known-files";
const FRAMES: &str = "frames";
const RENDERINGS: &str = "renderings";
/// How much is read and written at once, bytes.
pub(crate) const PIECE: usize = 1 << 18;
/// How names of files begin that only one run can use.
pub(crate) const TEMPORARY: &str = ".new-";
/// How exact the time of a blob's last use is kept: enough for pruning by days, and few writes.
const USED: Duration = Duration::from_hours(1);

/// What failed in the cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// A file of the cache.
    #[error("cannot {action} {}", path.display())]
    File {
        /// `read`, `write`, `create` or `lock`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A digest from outside that is none.
    #[error(transparent)]
    Digest(#[from] digest::InvalidDigest),
    /// Entries that are not what their name says.
    #[error("{} in the cache {}:\n  {}", count(entries.len(), "entry").replace("entrys", "entries"),
        if entries.len() == 1 { "is bad" } else { "are bad" },
        entries.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  "))]
    Bad {
        /// Each of them.
        entries: Vec<BadEntry>,
    },
    /// Somebody else's folder.
    #[error("{} is no cache of this program: it holds {name}", folder.display())]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// Something in it that no cache has.
        name: String,
    },
    /// Too little space, known before anything was written.
    #[error("not enough room in {}: {} needed, {} free", folder.display(), bytes(*needed), bytes(*free))]
    Room {
        /// Where.
        folder: PathBuf,
        /// Bytes that will come.
        needed: u64,
        /// Bytes that there are.
        free: u64,
    },
}

impl CacheError {
    fn at<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::File { action, path: path.to_owned(), source }
    }
}

/// Digest and size of something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// `sha256:…`.
    pub digest: String,
    /// Bytes.
    pub size: u64,
}

/// The cache; blobs are read and written by several threads at once.
#[derive(Debug)]
pub struct Cache {
    root: PathBuf,
    known: Mutex<BTreeMap<PathBuf, Stamp>>,
    /// `plain digest@level maker` to the compressed frame.
    frames: Mutex<BTreeMap<String, Content>>,
    /// What went into Helm to the blob that came out.
    renderings: Mutex<BTreeMap<String, Content>>,
    /// Blobs that this program has made, all of whose bytes it hashed then, and what their files looked like.
    fresh: Mutex<BTreeMap<String, Stamp>>,
    /// Blobs that someone in this program is fetching.
    claims: Mutex<BTreeSet<String>>,
    released: Condvar,
    _lock: File,
}

/// The right to fetch a blob; it ends when dropped.
#[derive(Debug)]
pub struct Claim<'a> {
    cache: &'a Cache,
    digest: String,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.cache.claims.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.digest);
        self.cache.released.notify_all();
    }
}

impl Cache {
    /// Whether there is a cache at `root`.
    #[must_use]
    pub fn is_at(root: &Path) -> bool {
        place::is_one(root)
    }

    /// Opens or creates the cache at `root`; `waiting` is called before it waits for another program that uses it.
    pub fn open(root: &Path, waiting: impl FnOnce()) -> Result<Self, CacheError> {
        place::claim(root)?;
        for folder in [layout::blobs_folder(root), root.join(PARTIAL)] {
            fs::create_dir_all(&folder).map_err(CacheError::at("create", &folder))?;
        }
        let path = root.join(LOCK);
        let lock = File::create(&path).map_err(CacheError::at("create", &path))?;
        if lock.try_lock().is_err() {
            waiting();
            lock.lock().map_err(CacheError::at("lock", &path))?;
        }
        clear_temporaries(&root.join(PARTIAL)).map_err(CacheError::at("clear", root))?;
        Ok(Self {
            known: Mutex::new(read_remembered(&root.join(KNOWN_FILES))),
            frames: Mutex::new(read_frames(&root.join(FRAMES))),
            renderings: Mutex::new(read_remembered(&root.join(RENDERINGS))),
            root: root.to_owned(),
            fresh: Mutex::default(),
            claims: Mutex::default(),
            released: Condvar::new(),
            _lock: lock,
        })
    }

    /// Where the blob `digest` is, or would be.
    pub fn blob_path(&self, digest: &str) -> Result<PathBuf, CacheError> {
        Ok(layout::blob_path(&self.root, digest)?)
    }

    /// Where an unfinished download of `digest` lies.
    pub fn partial_path(&self, digest: &str) -> Result<PathBuf, CacheError> {
        Ok(self.root.join(PARTIAL).join(digest::hex(digest)?))
    }

    /// The folder that it is in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.root
    }

    /// Whether the blob is there in full.
    pub fn has(&self, digest: &str, size: u64) -> Result<bool, CacheError> {
        let path = self.blob_path(digest)?;
        // Not followed: a link that someone put there leads to what may change.
        let found = fs::symlink_metadata(&path).ok().filter(|file| file.is_file() && file.len() == size);
        if let Some(file) = &found {
            mark_used(&path, file);
        }
        Ok(found.is_some())
    }

    /// Waits until nobody else in this program fetches `digest`, and keeps it so until the claim is dropped.
    pub fn claim(&self, digest: &str) -> Claim<'_> {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        while !claims.insert(digest.to_owned()) {
            claims = self.released.wait(claims).unwrap_or_else(PoisonError::into_inner);
        }
        Claim { cache: self, digest: digest.to_owned() }
    }

    /// Reads a small blob and checks it; nothing where it is not there, not what it should be, or has more than `most` bytes.
    pub fn read(&self, digest: &str, most: u64) -> Result<Option<Vec<u8>>, CacheError> {
        let path = self.blob_path(digest)?;
        let small = fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= most);
        let content = if small { fs::read(&path).ok() } else { None };
        let content = content.filter(|content| digest::digest_of(content) == digest);
        if let (Some(_), Ok(file)) = (&content, fs::symlink_metadata(&path)) {
            mark_used(&path, &file);
        }
        Ok(content)
    }

    /// Makes the finished download of `digest` a blob; the caller has hashed it.
    pub fn adopt_partial(&self, digest: &str) -> Result<(), CacheError> {
        let (from, to) = (self.partial_path(digest)?, self.blob_path(digest)?);
        fs::rename(&from, &to).map_err(CacheError::at("write", &to))?;
        self.remember_fresh(digest, &to)
    }

    /// Takes bytes as a blob.
    pub fn put(&self, content: &[u8]) -> Result<Content, CacheError> {
        let found = Content { digest: digest::digest_of(content), size: content.len() as u64 };
        let mut file = self.temporary()?;
        file.write_all(content).map_err(CacheError::at("write", &self.root))?;
        self.adopt(file, &found.digest)?;
        Ok(found)
    }

    /// Where unfinished things lie; those whose names begin with [`TEMPORARY`] go when the cache is opened.
    pub(crate) fn unfinished_folder(&self) -> PathBuf {
        self.root.join(PARTIAL)
    }

    /// A file to write into, gone when dropped.
    pub fn temporary(&self) -> Result<NamedTempFile, CacheError> {
        let folder = self.unfinished_folder();
        let builder = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(&folder);
        builder.map_err(CacheError::at("create", &folder))
    }

    /// Makes a written file the blob `digest`; the caller has hashed it.
    pub fn adopt(&self, file: NamedTempFile, digest: &str) -> Result<(), CacheError> {
        let path = self.blob_path(digest)?;
        file.persist(&path).map_err(|error| CacheError::at("write", &path)(error.error))?;
        self.remember_fresh(digest, &path)
    }

    /// Drops a blob that turned out not to be what its name says.
    pub fn forget(&self, digest: &str) -> Result<(), CacheError> {
        let path = self.blob_path(digest)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(CacheError::at("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }

    /// The frame of the file `plain` at `level`, where it was made before and is still there.
    pub fn frame(&self, plain: &str, level: i32) -> Result<Option<Content>, CacheError> {
        let found =
            self.frames.lock().unwrap_or_else(PoisonError::into_inner).get(&frame_key(plain, level)).cloned();
        match found {
            Some(frame) if self.has(&frame.digest, frame.size)? => Ok(Some(frame)),
            _ => Ok(None),
        }
    }

    /// Remembers a frame.
    pub fn remember_frame(&self, plain: &str, level: i32, frame: Content) -> Result<(), CacheError> {
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        frames.insert(frame_key(plain, level), frame);
        self.remember(FRAMES, &*frames)
    }

    /// What Helm made of `input` when it rendered it before, where that is still there and whole. `input` names all that
    /// Helm's result depends on; whoever asks makes it.
    pub fn rendering(&self, input: &str) -> Result<Option<Vec<u8>>, CacheError> {
        let found = self.renderings.lock().unwrap_or_else(PoisonError::into_inner).get(input).cloned();
        found.map_or(Ok(None), |content| self.read(&content.digest, content.size))
    }

    /// Whether something is remembered whose input begins with `start`.
    pub fn knows_renderings(&self, start: &str) -> bool {
        let renderings = self.renderings.lock().unwrap_or_else(PoisonError::into_inner);
        renderings.range(start.to_owned()..).next().is_some_and(|(input, _)| input.starts_with(start))
    }

    /// Remembers for each input which blob Helm made of it.
    pub fn remember_renderings(
        &self,
        made: impl IntoIterator<Item = (String, Content)>,
    ) -> Result<(), CacheError> {
        let mut renderings = self.renderings.lock().unwrap_or_else(PoisonError::into_inner);
        renderings.extend(made);
        self.remember(RENDERINGS, &*renderings)
    }

    fn remember(&self, name: &str, value: &impl Serialize) -> Result<(), CacheError> {
        let path = self.root.join(name);
        let failed = CacheError::at("write", &path);
        let mut file = self.temporary()?;
        let written = serde_json::to_vec(value).map_err(io::Error::from).and_then(|text| {
            file.write_all(digest::digest_of(&text).as_bytes())?;
            file.write_all(b"\n")?;
            file.write_all(&text)
        });
        written.map_err(failed)?;
        file.persist(&path).map_err(|error| CacheError::at("write", &path)(error.error))?;
        Ok(())
    }
}

/// Removes what a killed run left and no other can take up; downloads stay.
fn clear_temporaries(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

fn frame_key(plain: &str, level: i32) -> String {
    format!("{plain}@{level} {}", frame::maker())
}

/// The frames that this program would make with the same bytes.
fn read_frames(path: &Path) -> BTreeMap<String, Content> {
    let mut frames: BTreeMap<String, Content> = read_remembered(path);
    let maker = frame::maker();
    frames.retain(|key, _| key.strip_suffix(&maker).is_some_and(|start| start.ends_with(' ')));
    frames
}

/// What an earlier run remembered; losing it costs time only. The first line is the digest of the rest: what was edited
/// by hand is not believed.
fn read_remembered<T: Default + for<'de> Deserialize<'de>>(path: &Path) -> T {
    fs::read_to_string(path)
        .ok()
        .and_then(|content| {
            let (digest, text) = content.split_once('\n')?;
            let whole = digest::digest_of(text.as_bytes()) == digest;
            serde_json::from_str(text).ok().filter(|_| whole)
        })
        .unwrap_or_default()
}

/// Remembers that a blob was used, for pruning. That this fails is no reason to stop.
fn mark_used(path: &Path, file: &fs::Metadata) {
    let now = SystemTime::now();
    let used = file.modified().ok().and_then(|then| now.duration_since(then).ok());
    if used.is_some_and(|ago| ago > USED) {
        let _ = File::options().append(true).open(path).and_then(|file| file.set_modified(now));
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A cache in a folder of its own.
    pub(crate) fn cache() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), || panic!("nobody else uses it")).unwrap();
        (folder, cache)
    }
}

#[cfg(test)]
mod tests {
    use super::testing::cache;
    use super::*;

    #[test]
    fn blobs_are_found_by_digest_and_size() {
        let (_folder, cache) = cache();
        let blob = cache.put(b"content").unwrap();
        assert!(cache.has(&blob.digest, 7).unwrap());
        assert!(!cache.has(&blob.digest, 8).unwrap());
        assert_eq!(cache.read(&blob.digest, 7).unwrap().as_deref(), Some(&b"content"[..]));
        assert_eq!(cache.read(&blob.digest, 6).unwrap(), None);
        fs::write(cache.blob_path(&blob.digest).unwrap(), b"Content").unwrap();
        assert_eq!(cache.read(&blob.digest, 7).unwrap(), None);
        cache.forget(&blob.digest).unwrap();
        cache.forget(&blob.digest).unwrap();
        assert!(!cache.has(&blob.digest, 7).unwrap());
        assert!(cache.blob_path("sha256:../../x").is_err());
    }

    #[test]
    fn frames_are_remembered_across_runs() {
        let (folder, cache) = cache();
        let frame = cache.put(b"frame").unwrap();
        cache.remember_frame("sha256:plain", 3, frame.clone()).unwrap();
        drop(cache);
        let cache = Cache::open(folder.path(), || ()).unwrap();
        assert_eq!(cache.frame("sha256:plain", 3).unwrap(), Some(frame.clone()));
        assert_eq!(cache.frame("sha256:plain", 4).unwrap(), None);
        cache.forget(&frame.digest).unwrap();
        assert_eq!(cache.frame("sha256:plain", 3).unwrap(), None);
    }

    #[test]
    fn frames_of_another_maker_are_made_again() {
        let (folder, cache) = cache();
        let made = cache.put(b"frame").unwrap();
        let key = frame_key("sha256:plain", 3);
        let (others, older) = (key.replace(&frame::maker(), "1.5.6, otherwise"), "sha256:plain@3".to_owned());
        cache.frames.lock().unwrap().extend([(others, made.clone()), (older, made.clone())]);
        cache.remember_frame("sha256:kubelet", 3, made.clone()).unwrap();
        drop(cache);
        let cache = Cache::open(folder.path(), || ()).unwrap();
        assert_eq!(cache.frame("sha256:plain", 3).unwrap(), None);
        assert_eq!(cache.frame("sha256:kubelet", 3).unwrap(), Some(made));
        assert_eq!(cache.frames.lock().unwrap().len(), 1);
    }

    #[test]
    fn renderings_are_remembered_while_they_are_whole() {
        let (folder, cache) = cache();
        let made = cache.put(b"kind: Pod").unwrap();
        cache.remember_renderings([("helm input".to_owned(), made)]).unwrap();
        drop(cache);
        let cache = Cache::open(folder.path(), || ()).unwrap();
        assert!(cache.knows_renderings("helm") && !cache.knows_renderings("heln"));
        assert_eq!(cache.rendering("helm input").unwrap().as_deref(), Some(&b"kind: Pod"[..]));
        assert_eq!(cache.rendering("helm other").unwrap(), None);
        fs::write(cache.blob_path(&digest::digest_of(b"kind: Pod")).unwrap(), b"kind: Job").unwrap();
        assert_eq!(cache.rendering("helm input").unwrap(), None);
        let old = Keep { age: Some(Duration::ZERO), ..Keep::default() };
        cache.prune(&old, SystemTime::now() + USED).unwrap();
        assert!(!cache.knows_renderings("helm"));
    }

    #[test]
    fn what_is_remembered_is_not_believed_after_an_edit() {
        let (folder, cache) = cache();
        let frame = cache.put(b"frame").unwrap();
        let other = cache.put(b"other").unwrap();
        cache.remember_frame("sha256:plain", 3, frame.clone()).unwrap();
        drop(cache);
        let path = folder.path().join(FRAMES);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(&frame.digest));
        fs::write(&path, text.replace(&frame.digest, &other.digest)).unwrap();
        let cache = Cache::open(folder.path(), || ()).unwrap();
        assert_eq!(cache.frame("sha256:plain", 3).unwrap(), None);
    }

    #[test]
    fn what_this_run_made_is_fresh_until_somebody_touches_it() {
        let (folder, cache) = cache();
        let blob = cache.put(b"content").unwrap();
        let download = cache.partial_path(&digest::digest_of(b"x")).unwrap();
        fs::write(&download, "x").unwrap();
        cache.adopt_partial(&digest::digest_of(b"x")).unwrap();
        assert!(cache.is_fresh(&blob.digest).unwrap());
        assert!(cache.is_fresh(&digest::digest_of(b"x")).unwrap());
        assert!(!cache.is_fresh(&digest::digest_of(b"never made")).unwrap());
        let path = cache.blob_path(&blob.digest).unwrap();
        fs::write(&path, b"Content, and more of it").unwrap();
        assert!(!cache.is_fresh(&blob.digest).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(!cache.is_fresh(&blob.digest).unwrap());
        drop(cache);
        let cache = Cache::open(folder.path(), || ()).unwrap();
        assert!(!cache.is_fresh(&digest::digest_of(b"x")).unwrap(), "another run has hashed it");
    }

    #[test]
    fn a_link_in_the_place_of_a_blob_is_none() {
        let (folder, cache) = cache();
        let blob = cache.put(b"content").unwrap();
        let path = cache.blob_path(&blob.digest).unwrap();
        let elsewhere = folder.path().join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert!(!cache.has(&blob.digest, blob.size).unwrap());
    }

    #[test]
    fn one_at_a_time_fetches_a_blob() {
        let (_folder, cache) = cache();
        let claim = cache.claim("sha256:a");
        let order = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                let _claim = cache.claim("sha256:a");
                order.lock().unwrap().push("second");
            });
            let _free = cache.claim("sha256:b");
            order.lock().unwrap().push("first");
            drop(claim);
            other.join().unwrap();
        });
        assert_eq!(order.into_inner().unwrap(), ["first", "second"]);
    }

    #[test]
    fn leftovers_of_a_killed_run_go_but_downloads_stay() {
        let (folder, cache) = cache();
        let (_, leftover) = cache.temporary().unwrap().keep().unwrap();
        let place = cache.unfinished_folder().join(format!("{TEMPORARY}helm"));
        fs::create_dir(&place).unwrap();
        fs::write(place.join("values.json"), "{}").unwrap();
        let download = cache.partial_path(&digest::digest_of(b"x")).unwrap();
        fs::write(&download, "x").unwrap();
        drop(cache);
        let _cache = Cache::open(folder.path(), || ()).unwrap();
        assert!(!leftover.exists() && !place.exists() && download.exists());
    }

    #[test]
    fn a_second_user_waits() {
        let (folder, cache) = cache();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let root = folder.path();
            let second = scope.spawn(move || Cache::open(root, || sender.send(()).unwrap()).map(|_| ()));
            receiver.recv().unwrap();
            drop(cache);
            second.join().unwrap().unwrap();
        });
    }
}
