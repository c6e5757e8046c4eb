//! Upkeep: look at every entry, drop old ones.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use sealift_bundle::digest::{self, HashingReader};
use sealift_bundle::layout;

use super::{Cache, CacheError, Content, FRAMES, PARTIAL, PIECE, RENDERINGS};
use crate::parallel;
use crate::progress::Progress;

/// Largest blob that is read as a manifest, bytes.
const MANIFEST_LIMIT: u64 = 4 << 20;

/// An entry that is not what its name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadEntry {
    /// The file, or for a remembered frame the blob that it names.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
    /// The remembered frame that leads to it, where not the blob itself is bad.
    frame: Option<String>,
}

impl fmt::Display for BadEntry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path.display(), self.why)
    }
}

/// What a look at every entry found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Blobs looked at.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Entries that are not what their name says, by path.
    pub bad: Vec<BadEntry>,
}

/// What pruning leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keep {
    /// Drop what was not used for this long.
    pub age: Option<Duration>,
    /// Drop the longest unused until the cache has at most this many bytes.
    pub bytes: Option<u64>,
    /// Digests that stay whatever their age, with everything that they name.
    pub digests: BTreeSet<String>,
}

/// What pruning did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Blobs and unfinished downloads that were dropped.
    pub dropped: usize,
    /// Their bytes.
    pub dropped_bytes: u64,
    /// What stayed.
    pub kept: usize,
    /// Its bytes.
    pub kept_bytes: u64,
}

/// A file in the cache.
struct Entry {
    path: PathBuf,
    /// Nothing where the name is no digest.
    digest: Option<String>,
    size: u64,
    used: SystemTime,
    plain_file: bool,
}

impl Cache {
    /// Reads every blob, `threads` at a time, and compares it with its name; frames also with what they were made from.
    pub fn verify(&self, threads: usize, progress: &dyn Progress) -> Result<Verified, CacheError> {
        let mut entries = Self::entries(&layout::blobs_folder(&self.root))?;
        let frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (blobs, bytes) = (entries.len(), entries.iter().map(|entry| entry.size).sum());
        entries.sort_by_key(|entry| Reverse(entry.size));
        let done = AtomicU64::new(0);
        let bad = parallel::map(threads, entries, |entry| {
            let advance = |count| {
                let before = done.fetch_add(count, Ordering::Relaxed);
                progress.advance("verify", before + count, bytes);
            };
            Ok::<_, CacheError>(judge(entry, &advance))
        })?;
        let mut bad: Vec<BadEntry> = bad.into_iter().flatten().collect();
        let broken: BTreeSet<PathBuf> = bad.iter().map(|entry| entry.path.clone()).collect();
        let frames = parallel::map(threads, frames.into_iter().collect(), |(key, frame)| {
            let path = self.blob_path(&frame.digest)?;
            // A frame that is gone is made again, and one that is broken is told of already.
            let there = path.is_file() && !broken.contains(&path);
            Ok::<_, CacheError>(if there { judge_frame(key, path) } else { None })
        })?;
        bad.extend(frames.into_iter().flatten());
        bad.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Verified { blobs, bytes, bad })
    }

    /// Drops bad entries; what needed them is fetched or made again.
    pub fn remove(&self, bad: &[BadEntry]) -> Result<(), CacheError> {
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in bad {
            if let Some(key) = &entry.frame {
                frames.remove(key);
                continue;
            }
            let is_folder = fs::symlink_metadata(&entry.path).is_ok_and(|file| file.is_dir());
            let removed =
                if is_folder { fs::remove_dir_all(&entry.path) } else { fs::remove_file(&entry.path) };
            removed.map_err(CacheError::at("remove", &entry.path))?;
        }
        self.remember(FRAMES, &*frames)
    }

    /// Drops what `keep` does not keep.
    pub fn prune(&self, keep: &Keep, now: SystemTime) -> Result<Pruned, CacheError> {
        let needed = self.reachable(&keep.digests)?;
        let mut entries = Self::entries(&layout::blobs_folder(&self.root))?;
        entries.extend(Self::entries(&self.root.join(PARTIAL))?);
        entries.sort_by(|a, b| a.used.cmp(&b.used).then_with(|| a.path.cmp(&b.path)));
        let mut total: u64 = entries.iter().map(|entry| entry.size).sum();
        let mut pruned = Pruned::default();
        for entry in entries {
            let age = now.duration_since(entry.used).unwrap_or_default();
            let old = keep.age.is_some_and(|limit| age > limit);
            let too_much = keep.bytes.is_some_and(|limit| total > limit);
            let stays = entry.digest.as_ref().is_some_and(|digest| needed.contains(digest));
            if stays || !entry.plain_file || !(old || too_much) {
                pruned.kept += 1;
                pruned.kept_bytes += entry.size;
                continue;
            }
            fs::remove_file(&entry.path).map_err(CacheError::at("remove", &entry.path))?;
            total -= entry.size;
            pruned.dropped += 1;
            pruned.dropped_bytes += entry.size;
        }
        self.forget_lost()?;
        Ok(pruned)
    }

    /// `roots`, every blob that they name, and the frames that were made from them.
    fn reachable(&self, roots: &BTreeSet<String>) -> Result<BTreeSet<String>, CacheError> {
        let mut found = BTreeSet::new();
        let mut queue: Vec<String> = roots.iter().cloned().collect();
        while let Some(next) = queue.pop() {
            let path = self.blob_path(&next)?;
            if found.insert(next) {
                queue.extend(named_in(&path));
            }
        }
        let frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, frame) in &*frames {
            if found.contains(plain_digest(key)) {
                found.insert(frame.digest.clone());
            }
        }
        Ok(found)
    }

    /// Forgets frames and renderings whose blob is gone.
    fn forget_lost(&self) -> Result<(), CacheError> {
        for (name, remembered) in [(FRAMES, &self.frames), (RENDERINGS, &self.renderings)] {
            let mut remembered = remembered.lock().unwrap_or_else(PoisonError::into_inner);
            let mut there: BTreeMap<String, Content> = BTreeMap::new();
            for (key, content) in &*remembered {
                if self.blob_path(&content.digest)?.is_file() {
                    there.insert(key.clone(), content.clone());
                }
            }
            *remembered = there;
            self.remember(name, &*remembered)?;
        }
        Ok(())
    }

    fn entries(folder: &Path) -> Result<Vec<Entry>, CacheError> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder).map_err(CacheError::at("read", folder))? {
            let path = entry.map_err(CacheError::at("read", folder))?.path();
            let file = fs::symlink_metadata(&path).map_err(CacheError::at("read", &path))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let digest = Some(format!("{}{name}", digest::PREFIX)).filter(|text| digest::is_valid(text));
            let used = file.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            entries.push(Entry { digest, size: file.len(), used, plain_file: file.is_file(), path });
        }
        Ok(entries)
    }
}

/// What is wrong with `entry`.
fn judge(entry: Entry, advance: &dyn Fn(u64)) -> Option<BadEntry> {
    let why = match (&entry.digest, entry.plain_file) {
        (_, false) => "is not a file".to_owned(),
        (None, _) => "has a name that is no digest".to_owned(),
        (Some(digest), true) => match digest_of(&entry.path, advance) {
            Ok(found) if found == *digest => return None,
            Ok(found) => format!("has other content than its name says ({found})"),
            Err(error) => format!("cannot be read: {error}"),
        },
    };
    Some(BadEntry { path: entry.path, why, frame: None })
}

fn digest_of(path: &Path, advance: &dyn Fn(u64)) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut hasher, mut buffer) = (digest::Hasher::new(), vec![0; PIECE]);
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&buffer[..count]);
        advance(count as u64);
    }
}

/// What is wrong with the frame at `path`, remembered under `key`.
fn judge_frame(key: String, path: PathBuf) -> Option<BadEntry> {
    let plain = File::open(&path).and_then(|file| {
        let mut reader = HashingReader::new(zstd::Decoder::new(file)?);
        io::copy(&mut reader, &mut io::sink())?;
        Ok(reader.finish().0)
    });
    let wanted = plain_digest(&key);
    let why = match plain {
        Ok(found) if found == wanted => return None,
        Ok(found) => format!("is remembered as compressed {wanted}, and is compressed {found}"),
        Err(error) => format!("is remembered as compressed {wanted}, and does not decompress: {error}"),
    };
    Some(BadEntry { path, why, frame: Some(key) })
}

/// The digest in the key of a remembered frame.
fn plain_digest(key: &str) -> &str {
    key.split('@').next().unwrap_or(key)
}

/// Digests that the blob at `path` names, where it is a manifest or an index; other JSON does no harm: it keeps more.
fn named_in(path: &Path) -> Vec<String> {
    let small = fs::symlink_metadata(path).is_ok_and(|file| file.is_file() && file.len() <= MANIFEST_LIMIT);
    let content = if small { fs::read(path).unwrap_or_default() } else { Vec::new() };
    let mut found = Vec::new();
    if let Ok(value) = serde_json::from_slice(&content) {
        collect(&value, &mut found);
    }
    found
}

/// As deep as the JSON reader goes, which is 128 levels.
fn collect(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            let digest = fields.get("digest").and_then(|digest| digest.as_str());
            found.extend(digest.filter(|text| digest::is_valid(text)).map(ToOwned::to_owned));
            fields.values().for_each(|value| collect(value, found));
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::testing::cache;

    struct Silent;

    impl Progress for Silent {
        fn note(&self, _: &str) {}
        fn advance(&self, _: &str, _: u64, _: u64) {}
    }

    fn aged(cache: &Cache, content: &[u8], days: u64) -> Content {
        let blob = cache.put(content).unwrap();
        let path = cache.blob_path(&blob.digest).unwrap();
        let then = SystemTime::now() - Duration::from_hours(24 * days);
        File::options().append(true).open(path).unwrap().set_modified(then).unwrap();
        blob
    }

    fn there(cache: &Cache, blobs: &[&Content]) -> Vec<bool> {
        blobs.iter().map(|blob| cache.blob_path(&blob.digest).unwrap().exists()).collect()
    }

    #[test]
    fn every_kind_of_bad_entry_is_named_and_removed() {
        let (_folder, cache) = cache();
        let good = cache.put(b"good").unwrap();
        let damaged = cache.put(b"damaged").unwrap();
        let path = cache.blob_path(&damaged.digest).unwrap();
        fs::write(&path, b"Damaged").unwrap();
        fs::write(path.with_file_name("note.txt"), "by hand").unwrap();
        fs::create_dir(path.with_file_name("0".repeat(64))).unwrap();
        let frame = cache.put(&zstd::encode_all(&b"plain"[..], 3).unwrap()).unwrap();
        cache.remember_frame(&digest::digest_of(b"plain"), 3, frame.clone()).unwrap();
        let wrong = cache.put(&zstd::encode_all(&b"other"[..], 3).unwrap()).unwrap();
        cache.remember_frame(&digest::digest_of(b"meant"), 3, wrong.clone()).unwrap();

        let verified = cache.verify(2, &Silent).unwrap();
        let mut why: Vec<&str> = verified.bad.iter().map(|bad| bad.why.as_str()).collect();
        why.sort_unstable();
        let begin =
            ["has a name that is no digest", "has other content than", "is not a file", "is remembered as"];
        assert_eq!(why.len(), begin.len(), "{why:?}");
        assert!(why.iter().zip(begin).all(|(why, begin)| why.starts_with(begin)), "{why:?}");
        cache.remove(&verified.bad).unwrap();
        let again = cache.verify(2, &Silent).unwrap();
        assert_eq!((again.blobs, again.bad), (3, vec![]));
        assert!(cache.has(&good.digest, good.size).unwrap());
        assert_eq!(cache.frame(&digest::digest_of(b"plain"), 3).unwrap(), Some(frame));
        assert_eq!(cache.frame(&digest::digest_of(b"meant"), 3).unwrap(), None);
    }

    #[test]
    fn old_entries_go_and_what_a_lock_needs_stays() {
        let (_folder, cache) = cache();
        let layer = aged(&cache, b"layer", 90);
        let manifest = format!(r#"{{"layers":[{{"digest":"{}","size":5}}]}}"#, layer.digest);
        let manifest = aged(&cache, manifest.as_bytes(), 90);
        let index = format!(r#"{{"manifests":[{{"digest":"{}"}}]}}"#, manifest.digest);
        let index = aged(&cache, index.as_bytes(), 90);
        let (old, new) = (aged(&cache, b"old", 31), aged(&cache, b"new", 29));
        let frame = aged(&cache, b"frame", 90);
        cache.remember_frame(&digest::digest_of(b"kubelet"), 3, frame.clone()).unwrap();
        let lost = aged(&cache, b"lost", 90);
        cache.remember_frame(&digest::digest_of(b"other"), 3, lost.clone()).unwrap();
        let digests = [index.digest.clone(), digest::digest_of(b"kubelet")].into();
        let keep = Keep { age: Some(Duration::from_hours(24 * 30)), bytes: None, digests };
        let pruned = cache.prune(&keep, SystemTime::now()).unwrap();
        assert_eq!((pruned.dropped, pruned.dropped_bytes, pruned.kept), (2, 7, 5));
        assert_eq!(
            there(&cache, &[&index, &manifest, &layer, &new, &frame, &old, &lost]),
            [true, true, true, true, true, false, false]
        );
        assert_eq!(cache.frames.lock().unwrap().len(), 1);
    }

    #[test]
    fn the_longest_unused_goes_first_until_the_size_fits() {
        let (_folder, cache) = cache();
        let (a, b, c) = (aged(&cache, b"aaaa", 3), aged(&cache, b"bbbb", 9), aged(&cache, b"cccc", 1));
        fs::write(cache.partial_path(&digest::digest_of(b"x")).unwrap(), b"partial").unwrap();
        let keep = Keep { bytes: Some(15), ..Keep::default() };
        let pruned = cache.prune(&keep, SystemTime::now()).unwrap();
        assert_eq!((pruned.dropped, pruned.kept_bytes), (1, 15));
        assert_eq!(there(&cache, &[&a, &b, &c]), [true, false, true]);
        let kept = Keep { bytes: Some(0), digests: [c.digest.clone()].into(), ..Keep::default() };
        cache.prune(&kept, SystemTime::now()).unwrap();
        assert_eq!(there(&cache, &[&a, &b, &c]), [false, false, true]);
    }

    #[test]
    fn use_makes_an_entry_young() {
        let (_folder, cache) = cache();
        let blob = aged(&cache, b"blob", 90);
        assert!(cache.has(&blob.digest, blob.size).unwrap());
        let keep = Keep { age: Some(Duration::from_hours(24)), ..Keep::default() };
        assert_eq!(cache.prune(&keep, SystemTime::now()).unwrap().dropped, 0);
    }
}
